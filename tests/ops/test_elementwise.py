"""Elementwise names as users type them: every alias, methods, answers and choices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special

import chainrule as cr

# name → a point inside its domain
UNARY = {
    "abs": -0.4, "absolute": -0.4, "fabs": -0.4, "negative": 0.4, "positive": 0.4,
    "square": 0.4, "sqrt": 0.4, "cbrt": -0.4, "reciprocal": 0.4, "sign": 0.4,
    "exp": 0.4, "exp2": 0.4, "expm1": 0.4, "log": 0.4, "log2": 0.4, "log10": 0.4, "log1p": 0.4,
    "sin": 0.4, "cos": 0.4, "tan": 0.4, "sinh": 0.4, "cosh": 0.4, "tanh": 0.4,
    "arcsin": 0.4, "arccos": 0.4, "arctan": 0.4, "arcsinh": 0.4, "arccosh": 1.4, "arctanh": 0.4,
    "asin": 0.4, "acos": 0.4, "atan": 0.4, "asinh": 0.4, "acosh": 1.4, "atanh": 0.4,
    "sinc": 0.4, "i0": 0.4, "deg2rad": 0.4, "rad2deg": 0.4, "degrees": 0.4, "radians": 0.4,
    "floor": 0.4, "ceil": 0.4, "trunc": 0.4, "rint": 0.4, "round": 0.4, "around": 0.4,
    "fix": 0.4, "spacing": 0.4, "nan_to_num": 0.4, "real": 0.4, "imag": 0.4, "conj": 0.4,
    "conjugate": 0.4, "angle": 0.4,
}  # fmt: skip
BINARY = (
    "add subtract multiply divide true_divide floor_divide power pow float_power remainder mod "
    "fmod hypot arctan2 atan2 logaddexp logaddexp2 maximum minimum fmax fmin copysign heaviside "
    "nextafter"
).split()
SPECIAL = {
    "expit": 0.4, "logit": 0.4, "log_expit": 0.4, "erf": 0.4, "erfc": 0.4, "erfcx": 0.4,
    "erfinv": 0.4, "erfcinv": 0.4, "ndtr": 0.4, "ndtri": 0.4, "log_ndtr": 0.4, "gammaln": 0.4,
    "gamma": 0.4, "rgamma": 0.4, "digamma": 0.4, "psi": 0.4, "entr": 0.4, "j0": 0.4, "j1": 0.4,
    "i0": 0.4, "i1": 0.4,
}  # fmt: skip


def difference(f: Callable[[float], Any], x: float, h: float = 1e-5) -> Any:
    return (f(x + h) - f(x - h)) / (2 * h)


@pytest.mark.parametrize("name", UNARY)
def test_numpy_functions_of_one_number(name: str) -> None:
    f = getattr(np, name)
    x = UNARY[name]
    out, slope = cr.jvp(f, (x,), (1.0,))
    assert out == pytest.approx(f(x), rel=1e-15)
    assert slope == pytest.approx(difference(f, x), rel=1e-6, abs=1e-9)
    assert cr.grad(lambda v: np.sum(f(v)))(np.array([x, x])).tolist() == [slope, slope]


@pytest.mark.parametrize("name", BINARY)
def test_numpy_functions_of_two_numbers(name: str) -> None:
    f = getattr(np, name)
    x, y = 2.3, 0.95
    slopes = cr.grad(f, argnums=(0, 1))(x, y)
    assert slopes[0] == pytest.approx(difference(lambda x: f(x, y), x), rel=1e-6, abs=1e-9)
    if name != "nextafter":
        assert slopes[1] == pytest.approx(difference(lambda y: f(x, y), y), rel=1e-6, abs=1e-9)
    assert cr.grad(lambda x: f(x, y))(x) == pytest.approx(slopes[0])
    assert cr.grad(lambda y: f(x, y))(y) == pytest.approx(slopes[1])


@pytest.mark.parametrize("name", SPECIAL)
def test_scipy_functions(name: str) -> None:
    f = getattr(scipy.special, name)
    x = SPECIAL[name]
    assert cr.grad(f)(x) == pytest.approx(difference(f, x), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("name", ["xlogy", "xlog1py", "rel_entr", "kl_div", "beta", "betaln"])
def test_scipy_functions_of_two_numbers(name: str) -> None:
    f = getattr(scipy.special, name)
    slopes = cr.grad(f, argnums=(0, 1))(2.3, 0.95)
    assert slopes[0] == pytest.approx(difference(lambda x: f(x, 0.95), 2.3), rel=1e-6)
    assert slopes[1] == pytest.approx(difference(lambda y: f(2.3, y), 0.95), rel=1e-6)


def test_operators() -> None:
    f = lambda x: (abs(-x) ** 2 // 1 + x % 1 + divmod(x, 0.5)[1] - +x / 2) * 1.0
    assert cr.grad(f)(1.3) == pytest.approx(1.5)
    assert cr.grad(lambda x: 7.0 % x + 7.0 // x)(2.4) == -2
    assert cr.grad(lambda x: round(x, 1) * x)(1.26) == 1.3


def test_two_results() -> None:
    quotient, rest = cr.jvp(lambda x: np.divmod(x, 0.7), (2.0,), (1.0,))[1]
    assert (quotient, rest) == (0, 1)
    fraction, whole = cr.jvp(np.modf, (-2.25,), (1.0,))[0]
    assert (fraction, whole) == (-0.25, -2.0)
    assert cr.grad(lambda x: np.modf(x)[0])(-2.25) == 1
    assert cr.grad(lambda x: np.ldexp(x, 3))(1.5) == 8


def test_rounding_to_decimals() -> None:
    out, slope = cr.jvp(lambda x: np.round(x, 2), (np.array([1.234, 5.678]),), (np.ones(2),))
    assert out.tolist() == [1.23, 5.68]
    assert slope.tolist() == [0, 0]


# ---- answers -------------------------------------------------------------------------------------


def test_questions_are_answered_with_numpys_values() -> None:
    asked: list[Any] = []

    def f(x: Any) -> Any:
        asked.append(
            [
                bool(np.allclose(x, x + 1e-12)), bool(np.array_equal(x, x)),
                bool(np.array_equal(x, x[:1])), bool(np.array_equiv(x, x)),
                np.isclose(x, [1.0, 5.0]).tolist(), np.isfinite(x).tolist(),
                np.signbit(x).tolist(), np.isposinf(x).tolist(), np.iscomplex(x).tolist(),
                (~(x > 0)).tolist(), ((x > 0) & (x < 1.5)).tolist(), ((x > 5) | (x < 0)).tolist(),
                ((x > 0) ^ (x > 1.5)).tolist(), np.logical_xor(x, 0).tolist(),
            ]
        )  # fmt: skip
        return np.sum(x)

    x = np.array([1.0, 2.0])
    cr.grad(f)(x)
    f(x)
    traced, plain = asked
    assert list(map(_plain, traced)) == plain


def _plain(answer: Any) -> Any:
    return [bool(a) for a in answer] if isinstance(answer, list) else answer


def test_positions_of_what_is_true() -> None:
    def f(x: Any) -> Any:
        (places,) = np.nonzero(x > 1)
        assert type(places) is np.ndarray
        return np.sum(x[places]) + np.sum(x[np.where(x > 1)] ** 2)

    assert cr.grad(f)(np.array([0.0, 2.0, 3.0])).tolist() == [0, 5, 7]


# ---- choices -------------------------------------------------------------------------------------


@np.errstate(invalid="ignore", divide="ignore")  # NumPy warns of the values not taken, rightly
def test_where_hides_what_is_not_taken() -> None:
    assert cr.grad(lambda x: np.where(x < 1, x, np.sqrt(x - 1)))(0.0) == 1
    assert cr.grad(lambda x: np.where(x > 0, np.log(x), 0.0))(0.0) == 0
    slope = cr.grad(lambda x: np.sum(np.where(x > 0, x * np.log(x), 0)))(np.array([0.0, 1.0]))
    assert slope.tolist() == [0, 1]
    assert cr.grad(cr.grad(lambda x: np.where(x < 1, np.sin(x), np.log(x - 1)) ** 2))(0.0) == 2


def test_where_broadcasts_and_keeps_the_dtype() -> None:
    x = np.ones(3, np.float32)
    out, slope = cr.jvp(lambda x: np.where(x > 0, x, 0.0), (x,), (x,))
    assert out.dtype == slope.dtype == np.float32
    grads = cr.grad(lambda a, b: np.sum(np.where(np.array([[True], [False]]), a, b)), (0, 1))
    left, right = grads(np.zeros(3), 0.0)
    assert left.tolist() == [1, 1, 1]
    assert right == 3


def test_select_and_choose() -> None:
    x = np.array([-1.0, 0.5, 2.0])
    select = lambda x: np.sum(np.select([x < 0, x < 1], [x**2, x**3], 5 * x))
    np.testing.assert_allclose(cr.grad(select)(x), [-2, 0.75, 5])
    choose = lambda x: np.sum(np.choose([0, 1, 1], [x**2, x**3]))
    np.testing.assert_allclose(cr.grad(choose)(x), [-2, 0.75, 12])
    with pytest.raises(cr.ShapeError, match="one choice per condition"):
        cr.grad(lambda x: np.sum(np.select([x < 0], [x, x])))(x)


def test_piecewise() -> None:
    x = np.array([-1.0, 0.5, 2.0])
    f = lambda x: np.sum(np.piecewise(x, [x < 0, x > 1], [lambda u: u**2, np.log, lambda u: 3 * u]))
    np.testing.assert_allclose(cr.grad(f)(x), [-2, 3, 0.5])
    single = lambda x: np.sum(np.piecewise(x, x > 0, [lambda u, a: a * u, 1.0], 4.0))
    np.testing.assert_allclose(cr.grad(single)(x), [0, 4, 4])
    with pytest.raises(cr.ShapeError, match="one function per condition"):
        cr.grad(lambda x: np.sum(np.piecewise(x, [x < 0], [])))(x)


def test_nan_to_num() -> None:
    x = np.array([np.nan, np.inf, -np.inf, 2.0])
    out, slope = cr.jvp(lambda x: np.nan_to_num(x, nan=7.0, posinf=9.0), (x,), (np.ones(4),))
    assert out.tolist() == [7, 9, -np.finfo(float).max, 2]
    assert slope.tolist() == [0, 0, 0, 1]


def test_clip_spellings() -> None:
    x = np.array([-1.0, 0.5, 2.0])
    for f in (
        lambda x: np.clip(x, 0, 1),
        lambda x: x.clip(0, 1),
        lambda x: np.clip(x, max=1, min=0),
        lambda x: np.clip(x, a_min=0, a_max=1),
    ):
        assert cr.grad(lambda x: np.sum(f(x)))(x).tolist() == [0, 1, 0]  # noqa: B023
    with pytest.raises(cr.ArgumentError, match="not both"):
        cr.grad(lambda x: np.sum(np.clip(x, 0, None, min=0)))(x)


# ---- complex numbers -----------------------------------------------------------------------------

LOSSES: dict[str, Callable[[Any], Any]] = {
    "abs": lambda z: np.abs(z),
    "abs squared": lambda z: np.abs(z) ** 2,
    "real": lambda z: np.real(z**2),
    "imag": lambda z: np.imag(z**2),
    "conj": lambda z: np.real(np.conj(z) * z * 1j + np.conj(z) ** 2),
    "methods": lambda z: (z * z).real + z.imag * z.conj().real,
    "angle": lambda z: np.angle(z),
    "degrees": lambda z: np.angle(z, deg=True),
    "holomorphic": lambda z: np.real(np.exp(z) * np.sin(z) / np.sqrt(z)),
    "sign": lambda z: np.real(np.sign(z) * (2 - 1j)),
    "where": lambda z: np.abs(np.where(z.real > 0, z, 2 * z)),
    "product": lambda z: np.imag(z * np.conj(z * 1j)),
}


@pytest.mark.parametrize("f", LOSSES.values(), ids=LOSSES)
def test_complex_gradient_is_the_steepest_ascent(f: Callable[[Any], Any]) -> None:
    z = np.complex128(0.8 - 0.6j)
    h = 1e-6
    along = [(f(z + h * d) - f(z - h * d)) / (2 * h) for d in (1, 1j)]
    np.testing.assert_allclose(cr.grad(f)(z), along[0] + 1j * along[1], rtol=1e-6)
    for direction, expected in zip((1.0 + 0j, 1j), along, strict=True):
        np.testing.assert_allclose(cr.jvp(f, (z,), (direction,))[1], expected, rtol=1e-6)
    batch = cr.vmap(cr.grad(f))(np.array([z, z]))
    np.testing.assert_allclose(batch, np.full(2, cr.grad(f)(z)))


def test_real_numbers_through_complex_ones() -> None:
    f = lambda x: np.abs(np.exp(1j * x) + x)
    assert cr.grad(f)(0.7) == pytest.approx(difference(f, 0.7), rel=1e-8)
    assert cr.grad(cr.grad(f))(0.7) == pytest.approx(difference(cr.grad(f), 0.7), rel=1e-8)
    assert cr.grad(lambda x: np.real(x) + np.imag(x))(2.0) == 1


@pytest.mark.parametrize("part", [np.real, np.imag, np.conj, np.abs, np.angle])
@np.errstate(all="ignore")
def test_complex_parts_behind_a_choice(part: Callable[[Any], Any]) -> None:
    """What isn't taken is infinite here; what is taken must come through."""
    f = lambda x: np.real(part(np.sqrt(x * (1 + 1j)) * x))
    x = np.array([0.7, 0.0])
    slope = cr.grad(lambda x: np.sum(np.where(x > 0, f(x) / x, 0.0)))(x)
    np.testing.assert_allclose(slope, [difference(lambda x: f(x) / x, 0.7), 0], rtol=1e-7)


def test_single_precision_complex() -> None:
    z = np.array([1 + 1j], np.complex64)
    assert cr.grad(lambda z: np.sum(np.abs(z)))(z).dtype == np.complex64
    assert cr.jvp(np.abs, (z,), (z,))[1].dtype == np.float32
