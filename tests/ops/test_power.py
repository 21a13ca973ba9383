"""Powers: literal exponents at 0 to every order, dtypes, traced exponents and bases."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr

EXPONENTS = [0, 1, 2, 3, 4, 5, 0.0, 1.0, 2.0, 3.0, np.float64(2), np.float64(3), np.int64(3)]


def derivatives(f: Callable[[Any], Any], x: float, count: int) -> list[float]:
    found = []
    for _ in range(count):
        f = cr.grad(f)
        found.append(float(f(x)))
    return found


def falling(n: float, order: int) -> float:
    return math.prod(n - k for k in range(order))


@pytest.mark.parametrize("n", EXPONENTS, ids=repr)
def test_every_derivative_at_zero(n: Any) -> None:
    expected = [float(math.factorial(int(n))) if k == n else 0.0 for k in range(1, 5)]
    assert derivatives(lambda x: x**n, 0.0, 4) == expected
    assert derivatives(lambda x: np.power(x, n), 0.0, 4) == expected
    assert derivatives(lambda x: np.sum((x * np.ones(2)) ** n) / 2, 0.0, 4) == expected


@pytest.mark.parametrize("n", [*EXPONENTS, -1, -2, 0.5, -0.5, 2.5, 1 / 3, np.float64(0.5), True])
def test_every_derivative_elsewhere(n: Any) -> None:
    expected = [falling(float(n), k) * 1.5 ** (float(n) - k) for k in range(1, 5)]
    np.testing.assert_allclose(derivatives(lambda x: x**n, 1.5, 4), expected, rtol=1e-12)


@pytest.mark.parametrize("n", [-3, -2, -1, 2, 3])
def test_negative_bases(n: int) -> None:
    expected = [falling(n, k) * (-1.5) ** (n - k) for k in range(1, 4)]
    np.testing.assert_allclose(derivatives(lambda x: x**n, -1.5, 3), expected, rtol=1e-12)


def test_an_exponent_in_an_array_at_zero() -> None:
    """The exponents 0 … 4 in one array: settled entry by entry."""
    n = np.arange(5.0)
    for order in range(1, 5):
        f: Any = lambda x: np.sum(x**n)
        for _ in range(order):
            f = cr.grad(f)
        assert f(0.0) == math.factorial(order)


def test_a_traced_exponent() -> None:
    slopes = cr.grad(lambda x, n: x**n, argnums=(0, 1))
    np.testing.assert_allclose(slopes(2.0, 3.0), (12.0, 8 * math.log(2)))
    assert slopes(0.0, 2.0) == (0, 0)
    assert slopes(-2.0, 2.0)[0] == -4
    assert cr.grad(lambda x, n: x**n)(0.0, 0.0) == 0
    mixed = cr.grad(cr.grad(lambda x, n: x**n), argnums=1)(2.0, 3.0)
    np.testing.assert_allclose(mixed, 4 + 12 * math.log(2))


@pytest.mark.parametrize("base", [2, 2.0, np.float64(2)], ids=repr)
def test_a_literal_base(base: Any) -> None:
    expected = [8 * math.log(2) ** k for k in range(1, 4)]
    np.testing.assert_allclose(derivatives(lambda x: base**x, 3.0, 3), expected)


def test_zero_to_a_traced_power() -> None:
    assert cr.grad(lambda x: 0**x)(2.0) == 0
    assert cr.grad(lambda x: 0.0**x)(2.0) == 0


@pytest.mark.parametrize("n", [0, 1, 2, 3, -1, 0.5, 2.5, 2.0])
def test_float32_stays_float32(n: Any) -> None:
    x = np.array([1.0, 2.0], np.float32)
    out, tangent = cr.jvp(lambda x: x**n, (x,), (x,))
    assert out.dtype == tangent.dtype == (x**n).dtype == np.float32
    assert cr.grad(lambda x: np.sum(x**n))(x).dtype == np.float32


@pytest.mark.parametrize("n", [0, 1, 2, 3, 0.5, -1, -2])
def test_a_weak_scalar_stays_weak(n: Any) -> None:
    """A Python float raised to a Python number is still one to NumPy's promotion."""
    weights = np.array([1.0, 2.0], np.float32)
    assert cr.grad(lambda w, x: np.sum(w * x**n), argnums=0)(weights, 1.5).dtype == np.float32
    product = cr.jvp(lambda x: weights * x**n, (1.5,), (1.0,))[0]
    assert product.dtype == (weights * 1.5**n).dtype


def test_a_strong_exponent_promotes() -> None:
    x = np.array([1.0, 2.0], np.float32)
    out, _ = cr.jvp(lambda x: x ** np.float64(2), (x,), (x,))
    assert out.dtype == (x ** np.float64(2)).dtype == np.float64


def test_float_power_computes_in_double() -> None:
    x = np.array([1.0, 2.0], np.float32)
    out, tangent = cr.jvp(lambda x: np.float_power(x, 3), (x,), (x,))
    assert out.dtype == np.float64
    np.testing.assert_allclose(tangent, 3 * x**3)
    assert cr.grad(lambda x: np.float_power(x, 2))(0.0) == 0


def test_square_roots_are_vertical_at_zero() -> None:
    for f in (np.sqrt, lambda x: x**0.5, np.cbrt, lambda x: x**0.3):
        assert cr.grad(f)(0.0) == np.inf
    assert derivatives(lambda x: x**2.5, 0.0, 3) == [0, 0, np.inf]


def test_complex_powers() -> None:
    z = 1.0 + 0.5j
    for n in (2, 3, -1, 0.5, 2.5, 1j):
        tangent = cr.jvp(lambda z, n=n: z**n, (z,), (1.0 + 0j,))[1]
        np.testing.assert_allclose(tangent, n * z ** (n - 1))


def test_integers() -> None:
    """An integer that is traced beside a float keeps its own arithmetic."""
    n = np.array([2, 3])
    out, _ = cr.jvp(lambda x: x * (n**2), (1.0,), (1.0,))
    assert out.tolist() == [4, 9]
    with pytest.raises(cr.DtypeError, match="negative integer power"):
        cr.vmap(lambda k: k**-1)(n)


def test_a_modulus_is_refused_as_numpy_refuses_it() -> None:
    with pytest.raises(TypeError, match="unsupported operand"):
        pow(np.array([2.0]), 2, 5)
    with pytest.raises(TypeError, match="unsupported operand"):
        cr.grad(lambda x: pow(x, 2, 5))(3.0)
