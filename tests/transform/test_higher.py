"""Derivatives up to the fourth against SymPy; and chains longer than any recursion limit."""

import itertools
import math
import sys

import numpy as np
import pytest
import sympy

import chainrule as cr

S = sympy

# name: (NumPy function, SymPy function, point)
FUNCTIONS = {
    "polynomial": (lambda x: 3 * x**5 - x**2 / 7 + 2, lambda x: 3 * x**5 - x**2 / 7 + 2, 0.7),
    "product": (
        lambda x: np.sin(x) * np.exp(-x * x),
        lambda x: S.sin(x) * S.exp(-x * x),
        0.4,
    ),
    "quotient": (lambda x: x / (1 + x * x), lambda x: x / (1 + x * x), 1.3),
    "tower": (lambda x: x**x, lambda x: x**x, 1.2),
    "logistic": (lambda x: 1 / (1 + np.exp(-x)), lambda x: 1 / (1 + S.exp(-x)), -0.8),
    "roots": (
        lambda x: np.sqrt(1 + np.sqrt(x)),
        lambda x: S.sqrt(1 + S.sqrt(x)),
        0.6,
    ),
    "logarithm": (lambda x: np.log(x + np.log(x + 2)), lambda x: S.log(x + S.log(x + 2)), 1.1),
    "hyperbolic": (lambda x: np.tanh(x) ** 3, lambda x: S.tanh(x) ** 3, 0.5),
    "negative power": (
        lambda x: (x - 3) ** -2.5 * x,
        lambda x: (x - 3) ** S.Rational(-5, 2) * x,
        4.5,
    ),
    "math module": (
        lambda x: math.sin(math.exp(x / 2)),
        lambda x: S.sin(S.exp(x / 2)),
        0.3,
    ),
    "array": (
        lambda x: np.sum(np.array([x, x * x, np.sin(x)]) * np.array([x, 1.0, x])),
        lambda x: x * x + x * x + S.sin(x) * x,
        0.9,
    ),
}

along = lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1]
STEPS = {"grad": cr.grad, "jvp": along, "jacfwd": cr.jacfwd, "jacrev": cr.jacrev}


def exact(formula, point, order):
    x = S.Symbol("x", positive=point > 0)
    return float(formula(x).diff(x, order).subs(x, S.Float(point, 30)).evalf(20))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("step", STEPS)
def test_repeated(name, step):
    f, formula, point = FUNCTIONS[name]
    for order in range(1, 5):
        f = STEPS[step](f)
        np.testing.assert_allclose(f(point), exact(formula, point, order), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_mixed_fourth_order(name):
    f, formula, point = FUNCTIONS[name]
    expected = exact(formula, point, 4)
    for first, second in itertools.product((cr.grad, along), repeat=2):
        found = first(second(second(first(f))))(point)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-11)


def test_fourth_order_of_an_array_function():
    def f(x):
        return np.sum(x) ** 4

    tensor = cr.jacfwd(cr.jacrev(cr.hessian(f)))(np.array([1.0, 2.0]))
    np.testing.assert_allclose(tensor, np.full((2, 2, 2, 2), 24.0))


# ---- long chains ---------------------------------------------------------------------------------

LENGTH = 100_000


def chain(x):
    for _ in range(LENGTH // 2):
        x = x * 1.0000001 + 1e-7
    return x


def test_no_recursion_over_a_long_chain():
    assert 10 * sys.getrecursionlimit() < LENGTH
    exact_slope = 1.0000001 ** (LENGTH // 2)
    np.testing.assert_allclose(cr.grad(chain)(1.0), exact_slope)
    np.testing.assert_allclose(cr.jvp(chain, (1.0,), (1.0,))[1], exact_slope)


def test_long_chain_behind_a_select():
    def f(x):
        y = np.sqrt(x)
        for _ in range(2000):
            y = y[::-1] * 1.0
        return np.sum(np.where(x > 0, y, 0.0))

    with np.errstate(all="ignore"):
        np.testing.assert_allclose(cr.grad(f)(np.array([0.0, 4.0])), [0.0, 0.25])
        np.testing.assert_allclose(cr.jacfwd(f)(np.array([0.0, 4.0])), [0.0, 0.25])
