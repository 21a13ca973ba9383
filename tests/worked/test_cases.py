"""The lectures' worked examples: each exact value once, against every method.

A case is a function, a point, the exact value and derivatives there, and the derivative worked out
by hand. The methods are the hand-written one, finite differences, symbolic, forward and reverse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

import chainrule as cr

E1, E6, LN2 = math.e, math.e**6, math.log(2)


@dataclass(frozen=True)
class Case:
    name: str
    f: Callable[..., Any]
    by_hand: Callable[..., Any]
    point: tuple[Any, ...]
    value: float
    derivatives: tuple[Any, ...]


# --- differentiation ---------------------------------------------------------------------------


def exp_log_sin(x, z):
    return np.exp(x * z) + x * z / np.log(x) + np.sin(np.log(x)) / (x * z)


def exp_log_sin_by_hand(x, z):
    a, b = x * z, np.log(x)
    by_a = np.exp(a) + 1 / b - np.sin(b) / a**2
    by_b = np.cos(b) / a - a / b**2
    return by_a * z + by_b / x, by_a * x


# --- backpropagation ---------------------------------------------------------------------------


def sum_times(x, y, z):
    return (x + y) * z


def neuron(w, x):
    return 1 / (1 + np.exp(-(w[0] * x[0] + w[1] * x[1] + w[2])))


def neuron_by_one_gate(w, x):
    return expit(w[0] * x[0] + w[1] * x[1] + w[2])


def neuron_by_hand(w, x):
    s = expit(w[:2] @ x + w[2])
    return s * (1 - s) * np.append(x, 1.0), s * (1 - s) * w[:2]


def squared_norm(W, x):
    return np.sum((W @ x) ** 2)


def squared_norm_by_hand(W, x):
    q = W @ x
    return np.outer(2 * q, x), 2 * W.T @ q


# --- networks ----------------------------------------------------------------------------------


def log_of_product(a, b):
    return np.log(a * b)


# Three examples with two features each, their labels, and a layer of two hidden units.
X = np.array([[1.0, 2.0], [-1.0, 0.5], [0.5, -1.5]])
Y = np.array([1.0, 0.0, 1.0])
U = np.array([[0.2, -0.4], [0.6, 0.1]])
W = np.array([0.7, -0.3])


def hidden_layer_loss(w, u):
    p = expit(expit(X @ u.T) @ w)
    return -np.sum(Y * np.log(p) + (1 - Y) * np.log(1 - p))


def hidden_layer_by_hand(w, u):
    phi = expit(X @ u.T)
    error = expit(phi @ w) - Y
    return phi.T @ error, ((error[:, None] * w) * phi * (1 - phi)).T @ X


def hidden_layer_as_printed(w, u):
    """The slide's formula: the label enters with the wrong sign."""
    phi = expit(X @ u.T)
    error = expit(phi @ w) + Y
    return phi.T @ error, ((error[:, None] * w) * phi * (1 - phi)).T @ X


def hidden_layer_exact():
    """Σ(σ(h)−y)φ and Σ(σ(h)−y)·w_j·φ_j(1−φ_j)·x, written as sums over numbers."""
    value, by_w, by_u = 0.0, np.zeros(2), np.zeros((2, 2))
    for x, y in zip(X, Y, strict=True):
        phi = [1 / (1 + math.exp(-(u[0] * x[0] + u[1] * x[1]))) for u in U]
        p = 1 / (1 + math.exp(-(W[0] * phi[0] + W[1] * phi[1])))
        value -= math.log(p if y else 1 - p)
        for j in range(2):
            by_w[j] += (p - y) * phi[j]
            by_u[j] += (p - y) * W[j] * phi[j] * (1 - phi[j]) * x
    return value, (by_w, by_u)


# --- implementing it ---------------------------------------------------------------------------


def log_sigmoid_square(w, x):
    return -np.log(expit(w * x**2))


def log_sigmoid_square_by_hand(w, x):
    upstream = -(1 - expit(w * x**2))
    return upstream * x**2, upstream * 2 * w * x


def log_sigmoid_dot(w, x):
    return -np.log(expit(w @ x))


def log_sigmoid_dot_by_hand(w, x):
    upstream = -(1 - expit(w @ x))
    return upstream * x, upstream * w


def reused(x):
    a = x**2
    b = 5 * a
    c = np.log(a)
    return -(b * c)


# --- graphs ------------------------------------------------------------------------------------


def product_plus_sine(x1, x2):
    return x1 * x2 + np.sin(x1)


def logistic_map(x):
    for _ in range(3):
        x = 4 * x * (1 - x)
    return x


def logistic_map_closed(x):
    return 64 * x * (1 - x) * (1 - 2 * x) ** 2 * (1 - 8 * x + 8 * x**2) ** 2


def logistic_map_by_hand(x):
    slope = 1.0
    for _ in range(3):
        slope *= 4 - 8 * x
        x = 4 * x * (1 - x)
    return (slope,)


def six_inputs(x):
    x1, x2, x3, x4, x5, x6 = x
    return expit(np.log(5 * (np.maximum(x1, x2) * x3 / x4 - (x5 + x6)))) + 1 / 2


def six_inputs_by_hand(x):
    x1, x2, x3, x4, x5, x6 = x
    m = max(x1, x2)
    inside = m * x3 / x4 - (x5 + x6)
    s = expit(np.log(5 * inside))
    upstream = s * (1 - s) / inside
    slopes = [x3 / x4 * (x1 > x2), x3 / x4 * (x2 > x1), m / x4, -m * x3 / x4**2, -1.0, -1.0]
    return (upstream * np.array(slopes),)


A = np.array([[1.0, 2.0, -1.0], [0.5, 3.0, 0.0], [4.0, -2.0, 1.0]])


def quadratic_form(w):
    return w @ A @ w


def logistic_regression(w):
    x, y, weight = np.array([2.0, 1.0]), -1, 0.5
    return 0.5 * w @ w - weight * np.log(expit(y * (w @ x)))


def logistic_regression_by_hand(w):
    x, y, weight = np.array([2.0, 1.0]), -1, 0.5
    return (w - weight * y * x * expit(-y * (w @ x)),)


SIGMA1 = 1 / (1 + math.exp(-1))
SIGMA_4 = 1 / (1 + math.exp(4))
SIGMA_M45 = 1 / (1 + math.exp(-4.5))
HIDDEN_VALUE, HIDDEN_DERIVATIVES = hidden_layer_exact()

CASES = [
    Case(
        "D-a",
        exp_log_sin,
        exp_log_sin_by_hand,
        (2.0, 3.0),
        E6 + 6 / LN2 + math.sin(LN2) / 6,
        (
            3 * E6 + 3 / LN2 - 3 / LN2**2 + math.cos(LN2) / 12 - math.sin(LN2) / 12,
            2 * E6 + 2 / LN2 - math.sin(LN2) / 18,
        ),
    ),
    Case(
        "B-a",
        sum_times,
        lambda x, y, z: (z, z, x + y),
        (-2.0, 5.0, -4.0),
        -12.0,
        (-4.0, -4.0, 3.0),
    ),
    *[
        Case(
            name,
            f,
            neuron_by_hand,
            (np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0])),
            SIGMA1,
            (
                SIGMA1 * (1 - SIGMA1) * np.array([-1.0, -2.0, 1.0]),
                SIGMA1 * (1 - SIGMA1) * np.array([2.0, -3.0]),
            ),
        )
        for name, f in (("B-b", neuron), ("B-b-one-gate", neuron_by_one_gate))
    ],
    Case(
        "B-c",
        squared_norm,
        squared_norm_by_hand,
        (np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4])),
        0.116,
        (np.array([[0.088, 0.176], [0.104, 0.208]]), np.array([-0.112, 0.636])),
    ),
    Case(
        "I-a",
        log_of_product,
        lambda a, b: (1 / a, 1 / b),
        (2.0, 3.0),
        math.log(6),
        (1 / 2, 1 / 3),
    ),
    Case("I-b", hidden_layer_loss, hidden_layer_by_hand, (W, U), HIDDEN_VALUE, HIDDEN_DERIVATIVES),
    Case(
        "L-a",
        log_sigmoid_square,
        log_sigmoid_square_by_hand,
        (1.0, 2.0),
        math.log1p(math.exp(-4)),
        (-4 * SIGMA_4, -4 * SIGMA_4),
    ),
    Case(
        "L-b",
        log_sigmoid_dot,
        log_sigmoid_dot_by_hand,
        (np.array([1.0, -2.0, 3.0]), np.array([0.5, 1.0, -1.0])),
        4.5 + math.log1p(math.exp(-4.5)),
        (-SIGMA_M45 * np.array([0.5, 1.0, -1.0]), -SIGMA_M45 * np.array([1.0, -2.0, 3.0])),
    ),
    Case(
        "L-c",
        reused,
        lambda x: (-(10 * x * np.log(x**2) + 10 * x),),
        (2.0,),
        -20 * math.log(4),
        (-20 * math.log(4) - 20,),
    ),
    Case(
        "G-a",
        product_plus_sine,
        lambda x1, x2: (x2 + np.cos(x1), x1),
        (math.pi / 2, 2.0),
        math.pi + 1,
        (2.0, math.pi / 2),
    ),
    *[
        Case(name, f, logistic_map_by_hand, (0.25,), 0.75, (8.0,))
        for name, f in (("G-b", logistic_map), ("G-b-closed", logistic_map_closed))
    ],
    Case(
        "G-c",
        six_inputs,
        six_inputs_by_hand,
        (np.array([1.0, 2.0, 6.0, 3.0, 1.0, 1.0]),),
        31 / 22,
        (np.array([0, 10 / 121, 10 / 363, -20 / 363, -5 / 121, -5 / 121]),),
    ),
    Case(
        "G-d",
        quadratic_form,
        lambda w: ((A + A.T) @ w,),
        (np.array([1.0, -1.0, 2.0]),),
        15.5,
        (np.array([5.5, -7.5, 9.0]),),
    ),
    Case(
        "G-f",
        logistic_regression,
        logistic_regression_by_hand,
        (np.array([1.0, -1.0]),),
        1 + 0.5 * math.log(1 + E1),
        (np.array([1.0, -1.0]) + 0.5 * SIGMA1 * np.array([2.0, 1.0]),),
    ),
]

# What the lectures print, digit by digit; the table above has it as formulas.
PRINTED = {
    "B-b": (
        0.7310585786,
        (-0.1966119332, -0.3932238665, 0.1966119332, 0.3932238665, -0.5898357998),
    ),
    "I-a": (1.791759469, (0.5, 0.3333333333)),
    "L-a": (0.01814992791780974, (-0.07194483984836623, -0.07194483984836623)),
    "L-b": (
        4.511047744848594,
        (-0.49450653, -0.98901306, 0.98901306, -0.98901306, 1.97802611, -2.96703917),
    ),
    "L-c": (-27.725887222397812, (-47.725887222397816,)),
    "G-f": (1.6566308437591113, (1.73105858, -0.63447071)),
}

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
TOLERANCE = {"finite": 1e-7}


@each_case
def test_the_value_is_exact(case):
    np.testing.assert_allclose(case.f(*case.point), case.value, rtol=4e-15)


@each_case
def test_by_hand(case):
    for found, exact in zip(case.by_hand(*case.point), case.derivatives, strict=True):
        np.testing.assert_allclose(found, exact, rtol=1e-13, atol=1e-15)


@each_case
@pytest.mark.parametrize("mode", ["finite", "symbolic", "forward", "reverse", "auto"])
def test_by_every_method(case, mode):
    everything = tuple(range(len(case.point)))
    found = cr.jacobian(case.f, everything, mode=mode)(*case.point)
    tolerance = TOLERANCE.get(mode, 1e-13)
    for part, exact in zip(found, case.derivatives, strict=True):
        assert np.shape(part) == np.shape(exact)
        np.testing.assert_allclose(part, exact, rtol=tolerance, atol=tolerance)


@each_case
def test_value_and_gradient(case):
    everything = tuple(range(len(case.point)))
    value, found = cr.value_and_grad(case.f, everything)(*case.point)
    np.testing.assert_allclose(value, case.value, rtol=4e-15)
    for part, exact in zip(found, case.derivatives, strict=True):
        np.testing.assert_allclose(part, exact, rtol=1e-13, atol=1e-15)


@each_case
def test_directional_derivative(case):
    rng = np.random.default_rng(0)
    direction = tuple(rng.normal(size=np.shape(p))[()] for p in case.point)
    value, slope = cr.jvp(case.f, case.point, direction)
    exact = sum(np.sum(d * t) for d, t in zip(case.derivatives, direction, strict=True))
    np.testing.assert_allclose(value, case.value, rtol=4e-15)
    np.testing.assert_allclose(slope, exact, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", PRINTED)
def test_the_printed_digits(name):
    (case,) = (case for case in CASES if case.name == name)
    value, slopes = PRINTED[name]
    flat = np.concatenate([np.ravel(d) for d in case.derivatives])
    np.testing.assert_allclose(case.value, value, rtol=1e-9)
    np.testing.assert_allclose(flat, slopes, rtol=2e-8)


@each_case
def test_the_comparison_agrees(case):
    table = cr.compare(case.f, *case.point, manual=case.by_hand)
    assert [row.method for row in table.rows if row.disagrees] == []
    assert [row.method for row in table.rows] == [
        "manual",
        "finite difference",
        "symbolic",
        "forward mode",
        "reverse mode",
    ]
    assert all(row.values is not None for row in table.rows)


def test_the_comparison_exposes_a_misprint():
    """I-b: the slide's formula stands alone; with the sign put right, all agree."""
    table = cr.compare(hidden_layer_loss, W, U, manual=hidden_layer_as_printed)
    assert [row.method for row in table.rows if row.disagrees] == ["manual"]
    assert table.verdict.startswith("manual disagrees: dhidden_layer_loss/d")
