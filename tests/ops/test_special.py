"""Special functions: accuracy far out, higher orders, and SciPy's functions written in Python."""

from __future__ import annotations

import math
import sys
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special
from scipy.special import log_softmax, logsumexp, softmax

import chainrule as cr

FAR = [-800.0, -40.0, -5.0, 0.0, 5.0, 40.0, 800.0]


def sigmoid(x: float) -> float:
    return float(1 / (1 + mpmath.exp(-mpmath.mpf(x))))


@pytest.mark.parametrize("x", FAR)
def test_nothing_overflows(x: float) -> None:
    """Warnings are errors here, so an overflow on the way would show."""
    for softplus in (
        lambda x: np.logaddexp(x, 0),
        lambda x: np.logaddexp(0.0, x),
        lambda x: -scipy.special.log_expit(-x),
        lambda x: scipy.special.logsumexp([x, 0.0]),
        lambda x: logsumexp(np.array([0.0, x])),
    ):
        np.testing.assert_allclose(cr.grad(softplus)(x), sigmoid(x), rtol=1e-12)
        np.testing.assert_allclose(
            cr.grad(cr.grad(softplus))(x), sigmoid(x) * sigmoid(-x), rtol=1e-10, atol=1e-16
        )
    slope = cr.grad(scipy.special.expit)(x)
    np.testing.assert_allclose(slope, sigmoid(x) * sigmoid(-x), rtol=1e-10, atol=1e-16)


def test_logaddexp_of_infinities() -> None:
    slopes = cr.grad(np.logaddexp, argnums=(0, 1))
    assert slopes(-np.inf, 1.0) == (0, 1)
    assert slopes(1.0, -np.inf) == (1, 0)
    assert slopes(0.0, 0.0) == (0.5, 0.5)


def test_log_ndtr_far_left() -> None:
    x = -30.0
    exact = mpmath.npdf(x) / mpmath.ncdf(x)
    np.testing.assert_allclose(cr.grad(scipy.special.log_ndtr)(x), float(exact), rtol=1e-10)


def test_x_log_y_at_zero() -> None:
    slopes = cr.grad(scipy.special.xlogy, argnums=(0, 1))
    assert slopes(0.0, 0.0) == (-np.inf, 0)
    assert slopes(0.0, 2.0) == (math.log(2), 0)
    mixed = cr.grad(cr.grad(scipy.special.xlogy, argnums=1), argnums=0)
    assert mixed(0.0, 2.0) == 0.5
    # The entropy of a distribution with an empty cell: its other entries are untouched.
    p = np.array([0.0, 0.25, 0.75])
    slope = cr.grad(lambda p: np.sum(scipy.special.entr(p)))(p)
    assert slope[0] == np.inf
    np.testing.assert_allclose(slope[1:], -1 - np.log(p[1:]))
    slope = cr.grad(lambda q: np.sum(scipy.special.rel_entr(p, q)))(np.array([0.0, 0.5, 0.5]))
    np.testing.assert_allclose(slope, [0, -0.5, -1.5])


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_gamma_to_fourth_order(order: int) -> None:
    f: Any = scipy.special.gammaln
    for _ in range(order):
        f = cr.grad(f)
    np.testing.assert_allclose(f(2.5), float(mpmath.polygamma(order - 1, 2.5)), rtol=1e-12)


@pytest.mark.parametrize("name", ["sinc", "j0", "i0"])
@pytest.mark.parametrize("x", [0.0, 0.3, 3.0])
def test_every_derivative_also_at_zero(name: str, x: float) -> None:
    exact = {
        "sinc": mpmath.sincpi,
        "j0": lambda t: mpmath.besselj(0, t),
        "i0": lambda t: mpmath.besseli(0, t),
    }
    f: Any = np.sinc if name == "sinc" else getattr(scipy.special, name)
    for order, coefficient in enumerate(mpmath.taylor(exact[name], x, 4)):
        np.testing.assert_allclose(
            float(f(x)), float(coefficient) * math.factorial(order), rtol=1e-10, atol=1e-12
        )
        f = cr.grad(f)


def test_polygamma_and_bessel_orders() -> None:
    assert cr.grad(lambda x: scipy.special.polygamma(1, x))(2.0) == pytest.approx(
        float(mpmath.polygamma(2, 2))
    )
    assert cr.grad(lambda x: scipy.special.psi(x))(2.0) == pytest.approx(math.pi**2 / 6 - 1)
    slope = cr.grad(lambda x: scipy.special.jv(2, x))(1.5)
    assert slope == pytest.approx(float(mpmath.diff(lambda t: mpmath.besselj(2, t), 1.5)))
    with pytest.raises(cr.UnsupportedError, match="whole order"):
        cr.grad(lambda v: scipy.special.jv(v, 1.5))(2.0)
    with pytest.raises(cr.UnsupportedError, match="whole number"):
        cr.grad(lambda v: scipy.special.polygamma(v, 1.5))(2.0)


def test_math_functions() -> None:
    assert cr.grad(lambda x: math.erf(x))(0.0) == pytest.approx(2 / math.sqrt(math.pi))
    assert cr.grad(lambda x: math.erfc(x))(0.0) == pytest.approx(-2 / math.sqrt(math.pi))
    assert cr.grad(lambda x: math.lgamma(x))(1.0) == pytest.approx(-np.euler_gamma)
    assert cr.grad(lambda x: math.gamma(x))(1.0) == pytest.approx(-np.euler_gamma)
    assert cr.grad(lambda x: math.pow(x, 3))(2.0) == 12


# ---- logsumexp and softmax, by the name in SciPy and by a name bound before the trace ------------

LOGSUMEXP = {
    "scipy.special.logsumexp": lambda *a, **k: scipy.special.logsumexp(*a, **k),
    "logsumexp": logsumexp,
}
X = np.array([[1.0, 2.0, -3.0], [0.5, 0.5, 4.0]])


def weights(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("f", LOGSUMEXP.values(), ids=LOGSUMEXP)
def test_logsumexp(f: Any) -> None:
    np.testing.assert_allclose(cr.grad(f)(X[0]), weights(X[0]))
    for keepdims in (False, True):
        value, slope = cr.value_and_grad(lambda x: np.sum(f(x, axis=1, keepdims=keepdims)))(X)  # noqa: B023
        np.testing.assert_allclose(value, np.sum(logsumexp(X, axis=1)))
        np.testing.assert_allclose(slope, weights(X))
    np.testing.assert_allclose(cr.vmap(f)(X), logsumexp(X, axis=1))
    np.testing.assert_allclose(cr.vmap(cr.grad(f))(X), weights(X))
    assert np.shape(cr.jvp(f, (X,), (X,))[0]) == ()


@pytest.mark.parametrize("f", LOGSUMEXP.values(), ids=LOGSUMEXP)
def test_logsumexp_at_large_and_infinite_values(f: Any) -> None:
    np.testing.assert_allclose(cr.grad(f)(np.array([1000.0, 1000.0, -1000.0])), [0.5, 0.5, 0])
    np.testing.assert_allclose(cr.grad(f)(np.array([-np.inf, 1.0, 1.0])), [0, 0.5, 0.5])
    value, slope = cr.value_and_grad(f)(np.array([-1e5, -1e5]))
    assert value == -1e5 + math.log(2)
    np.testing.assert_allclose(slope, [0.5, 0.5])


@pytest.mark.parametrize("f", LOGSUMEXP.values(), ids=LOGSUMEXP)
def test_logsumexp_with_weights(f: Any) -> None:
    b = np.array([1.0, 0.0, 2.0])
    share = b * np.exp(X[0]) / np.sum(b * np.exp(X[0]))
    np.testing.assert_allclose(cr.grad(lambda x: f(x, b=b))(X[0]), share)
    out, sign = cr.jvp(lambda x: f(x, b=-b, return_sign=True), (X[0],), (X[0],))[0]
    assert sign == -1
    assert out == pytest.approx(logsumexp(X[0], b=b))


def test_second_derivative_of_logsumexp() -> None:
    for x in (X[0], X[1], np.zeros(3)):
        p = weights(x)
        for f in LOGSUMEXP.values():
            rows = [cr.jvp(cr.grad(f), (x,), (unit,))[1] for unit in np.eye(3)]
            np.testing.assert_allclose(rows, np.diag(p) - np.outer(p, p), atol=1e-15)


@pytest.mark.parametrize("f", [softmax, lambda x: scipy.special.softmax(x)])
def test_softmax(f: Any) -> None:
    p = weights(X[0])
    for k in range(3):
        np.testing.assert_allclose(cr.grad(lambda x: f(x)[k])(X[0]), p[k] * (np.eye(3)[k] - p))  # noqa: B023
    huge = cr.jvp(f, (np.array([1e4, 0.0]),), (np.ones(2),))
    assert huge[0].tolist() == [1, 0]
    assert huge[1].tolist() == [0, 0]


@pytest.mark.parametrize("f", [log_softmax, lambda x: scipy.special.log_softmax(x)])
def test_log_softmax(f: Any) -> None:
    p = weights(X[0])
    for k in range(3):
        np.testing.assert_allclose(cr.grad(lambda x: f(x)[k])(X[0]), np.eye(3)[k] - p)  # noqa: B023
    np.testing.assert_allclose(cr.grad(lambda x: f(x)[1])(np.array([1e4, 0.0])), [-1, 1])


def test_scipy_is_left_as_it_was() -> None:
    modules = (scipy.special, sys.modules["scipy.special._logsumexp"])
    before = [dict(vars(module)) for module in modules]

    def f(x: Any) -> Any:
        raise ZeroDivisionError(scipy.special.softmax(x))

    with pytest.raises(ZeroDivisionError):
        cr.grad(f)(X[0])
    for module, names in zip(modules, before, strict=True):
        assert all(vars(module)[name] is value for name, value in names.items())
