"""From the introduction to neural networks and the lecture on implementing their learning."""

from __future__ import annotations

from math import exp, log, log1p

import numpy as np
from scipy.special import expit

from gallery.case import Case


def f(a, b):
    f = np.log(a * b)
    return f


x = np.array([[1.0, 2.0], [-1.0, 0.5], [0.5, -1.5]])
y = np.array([1.0, 0.0, 1.0])


def hidden_layer(w, u):
    phi = expit(x @ u.T)
    h = phi @ w
    p = expit(h)
    fit = y * np.log(p) + (1 - y) * np.log(1 - p)
    L = -np.sum(fit)
    return L


W = np.array([0.7, -0.3])
U = np.array([[0.2, -0.4], [0.6, 0.1]])


def hidden_layer_by_hand():
    """−Σ log p or log(1 − p), Σ(σ(h)−y)φ and Σ(σ(h)−y)·w_j·φ_j(1−φ_j)·x, number by number."""
    loss, by_w, by_u = 0.0, np.zeros(2), np.zeros((2, 2))
    for features, label in zip(x, y, strict=True):
        phi = [1 / (1 + exp(-(u[0] * features[0] + u[1] * features[1]))) for u in U]
        p = 1 / (1 + exp(-(W[0] * phi[0] + W[1] * phi[1])))
        loss -= log(p if label else 1 - p)
        for j in range(2):
            by_w[j] += (p - label) * phi[j]
            by_u[j] += (p - label) * W[j] * phi[j] * (1 - phi[j]) * features
    return loss, (by_w, by_u)


HIDDEN_LOSS, HIDDEN_GRADIENT = hidden_layer_by_hand()


def log_sigmoid_of_square(w, x):
    a = x**2
    b = w * a
    c = expit(b)
    g = np.log(c)
    L = -g
    return L


def log_sigmoid_of_product(w, x):
    L = -np.log(expit(w @ x))
    return L


SIGMA_4 = 1 / (1 + exp(4))
SIGMA_M45 = 1 / (1 + exp(-4.5))


def reused(x):
    a = x**2
    b = 5 * a
    c = np.log(a)
    g = b * c
    L = -g
    return L


def local_and_total(x):
    a = x**2
    b = 5 * a
    c = a * b
    return c


CASES = [
    Case(
        "I-a",
        "The logarithm of a product",
        f,
        (2.0, 3.0),
        "Two gates, two modes: forward mode takes a sweep for *a* and another for *b*, reverse "
        "mode one for both.",
        log(6),
        (1 / 2, 1 / 3),
    ),
    Case(
        "I-b",
        "A hidden layer and cross-entropy",
        hidden_layer,
        (W, U),
        "At *h* the gradient is σ(h) − y for each of the three examples; a slide that prints + y "
        "is [found out](worked/networks.md#a-hidden-layer-and-cross-entropy).",
        HIDDEN_LOSS,
        HIDDEN_GRADIENT,
        {"h": expit(expit(x @ U.T) @ W) - y},
    ),
    Case(
        "L-a",
        "−log σ(wx²), step by step",
        log_sigmoid_of_square,
        (1.0, 2.0),
        "Both derivatives are −0.0719: going back, the ways part only at *b = wa*.",
        0.01814992791780974,
        (-0.07194483984836623, -0.07194483984836623),
        {"a": -SIGMA_4, "b": -SIGMA_4, "c": -1 - exp(-4), "g": -1.0},
    ),
    Case(
        "L-b",
        "−log σ(w·x): three sweeps or one",
        log_sigmoid_of_product,
        (np.array([1.0, -2.0, 3.0]), np.array([0.5, 1.0, -1.0])),
        "Forward mode needs a sweep for each number in *x*, reverse mode a single one for all.",
        4.5 + log1p(exp(-4.5)),
        (-SIGMA_M45 * np.array([0.5, 1.0, -1.0]), -SIGMA_M45 * np.array([1.0, -2.0, 3.0])),
    ),
    Case(
        "L-c",
        "A value used twice",
        reused,
        (2.0,),
        "*a* feeds *b* and *c*, and its gradient is the sum of what comes back from both.",
        -27.725887222397812,
        (-47.725887222397816,),
        {"a": -5 * log(4) - 5, "b": -log(4), "c": -20.0, "g": -1.0},
    ),
    Case(
        "L-c, local and total",
        "Local against total",
        local_and_total,
        (2.0,),
        "Click *c*, then *a*: the local derivative holds *b* fixed and is 20, the total one is 40.",
        80.0,
        (160.0,),
        {"a": 40.0, "b": 4.0},
    ),
]
