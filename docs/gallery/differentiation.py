"""From the lecture on differentiation, and on how graphs and networks are drawn."""

from __future__ import annotations

from math import cos, exp, log, pi, sin

import numpy as np
from scipy.special import expit

from gallery.case import Case


def y(x, z):
    a = x * z
    b = np.log(x)
    c = np.sin(b)
    d = np.exp(a)
    e = a / b
    f = c / a
    y = d + e + f
    return y


LN2 = log(2)
BY_X = 3 * exp(6) + 3 / LN2 - 3 / LN2**2 + cos(LN2) / 12 - sin(LN2) / 12
BY_Z = 2 * exp(6) + 2 / LN2 - sin(LN2) / 18


def loss(x1, x2, w11, w12, b1, w21, w22, b2, v1, v2, c, t):
    h1 = expit(w11 * x1 + w12 * x2 + b1)
    h2 = expit(w21 * x1 + w22 * x2 + b2)
    o = v1 * h1 + v2 * h2 + c
    L = (o - t) ** 2
    return L


def network_loss(x, W, b, V, c, t):
    h = expit(W @ x + b)
    o = V @ h + c
    L = np.sum((o - t) ** 2)
    return L


def product_and_sine(x1, x2):
    y = x1 * x2 + np.sin(x1)
    return y


CASES = [
    Case(
        "D-a",
        "One function, five derivatives",
        y,
        (2.0, 3.0),
        "*a* is used three times: what comes back through *d*, *e* and *f* adds up to 404.85.",
        exp(6) + 6 / LN2 + sin(LN2) / 6,
        (BY_X, BY_Z),
        {"a": 404.853739609282, "b": -12.360007402472986, "c": 1 / 6, "d": 1.0, "e": 1.0, "f": 1.0},
    ),
    Case(
        "C4",
        "The other notation",
        product_and_sine,
        (pi / 2, 2.0),
        "Each circle is a variable here, and the operation stands on its edges; compare G-a.",
        pi + 1,
        (2.0, pi / 2),
        picture={"notation": "variables"},
    ),
    Case(
        "C5",
        "A small network as a computation graph",
        loss,
        (1.0, 2.0, 2.0, -1.0, 0.0, -1.0, 1.0, -1.0, 2.0, 4.0, -1.0, 1.0),
        "Every weight, feature, label and bias is a node, and the loss is the last one.",
        1.0,
        (0.0, 1.0, 1.0, 2.0, 1.0, 2.0, 4.0, 2.0, 1.0, 1.0, 2.0, -2.0),
        {"h1": 4.0, "h2": 8.0, "o": 2.0},
        picture={"direction": "down"},
    ),
    Case(
        "C6",
        "The same network as a network diagram",
        network_loss,
        (
            np.array([1.0, 2.0]),
            np.array([[2.0, -1.0], [-1.0, 1.0]]),
            np.array([0.0, -1.0]),
            np.array([[2.0, 4.0]]),
            np.array([-1.0]),
            np.array([1.0]),
        ),
        "A circle per unit and a number per weight, without biases and without the loss; "
        "the page has it in matrix form.",
        1.0,
        (
            np.array([0.0, 1.0]),
            np.array([[1.0, 2.0], [2.0, 4.0]]),
            np.array([1.0, 2.0]),
            np.array([[1.0, 1.0]]),
            np.array([2.0]),
            np.array([-2.0]),
        ),
        {"h": np.array([4.0, 8.0]), "o": np.array([2.0])},
        picture={"convention": "network"},
    ),
]
