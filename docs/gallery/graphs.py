"""From the lecture on computational graphs, forward and reverse mode."""

from __future__ import annotations

from math import e, exp, log, pi

import numpy as np
from scipy.special import expit

from gallery.case import Case


def y(x1, x2):
    v3 = x1 * x2
    v4 = np.sin(x1)
    v5 = v3 + v4
    return v5


def logistic_map(x):
    l = x
    for _ in range(3):
        l = 4 * l * (1 - l)
    return l


def logistic_map_closed(x):
    a = 64 * x * (1 - x)
    b = (1 - 2 * x) ** 2
    c = (1 - 8 * x + 8 * x**2) ** 2
    l4 = a * b * c
    return l4


def six_inputs(x1, x2, x3, x4, x5, x6):
    a = np.maximum(x1, x2)
    b = a * x3
    c = b / x4
    d = x5 + x6
    e = c - d
    f = np.log(5 * e)
    y = expit(f) + 1 / 2
    return y


A = np.array([[1.0, 2.0, -1.0], [0.5, 3.0, 0.0], [4.0, -2.0, 1.0]])


def quadratic_form(w):
    f = w @ A @ w
    return f


def logistic_regression(w, x, y, λ):
    h = w @ x
    p = expit(y * h)
    L = 0.5 * w @ w - λ * np.log(p)
    return L


SIGMA1 = 1 / (1 + exp(-1))

CASES = [
    Case(
        "G-a",
        "x₁x₂ + sin x₁, both modes",
        y,
        (pi / 2, 2.0),
        "The trace below the picture has every dot value of forward mode and every bar value of "
        "reverse mode.",
        pi + 1,
        (2.0, pi / 2),
        {"v3": 1.0, "v4": 1.0},
    ),
    Case(
        "G-b",
        "The logistic map, as a loop",
        logistic_map,
        (0.25,),
        "Three rounds, each of which uses its *l* twice; the slopes 2, −2 and −2 multiply to 8.",
        0.75,
        (8.0,),
    ),
    Case(
        "G-b, closed form",
        "The logistic map, written out",
        logistic_map_closed,
        (0.25,),
        "The same number by a polynomial of degree 8: more gates, and *x* in five places.",
        0.75,
        (8.0,),
    ),
    Case(
        "G-c",
        "A maximum, a quotient and a logarithm",
        six_inputs,
        (1.0, 2.0, 6.0, 3.0, 1.0, 1.0),
        "*x₁* loses the maximum and gets 0; set all six to 1, and the logarithm has no real value.",
        31 / 22,
        (0.0, 10 / 121, 10 / 363, -20 / 363, -5 / 121, -5 / 121),
    ),
    Case(
        "G-d",
        "A quadratic form",
        quadratic_form,
        (np.array([1.0, -1.0, 2.0]),),
        "*w* comes in twice, so its gradient is the sum (A + Aᵀ)w; 2Aw would be (−6, −5, 16).",
        15.5,
        (np.array([5.5, -7.5, 9.0]),),
    ),
    Case(
        "G-f",
        "Logistic regression, module by module",
        logistic_regression,
        (np.array([1.0, -1.0]), np.array([2.0, 1.0]), -1.0, 0.5),
        "*w* hears from the penalty and from the likelihood, and adds the two up.",
        1.6566308437591113,
        (
            np.array([1.0, -1.0]) + 0.5 * SIGMA1 * np.array([2.0, 1.0]),
            0.5 * SIGMA1 * np.array([1.0, -1.0]),
            -0.5 * SIGMA1,
            log(1 + e),
        ),
        {"h": 0.5 * SIGMA1},
        picture={"direction": "down"},
    ),
]
