"""Operations entry by entry: arithmetic, elementary and special functions, signs, comparisons."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
from mpmath import mp, mpf

from truth import scalar
from truth.number import Truth, entrywise, least, lifted, ulp
from truth.registry import reference


def _enter(name: str, function: Callable[..., Any]) -> None:
    """A function of numbers, for arrays; params are handed on."""
    reference(name)(
        lambda *xs, **params: entrywise(lambda *numbers: function(*numbers, **params), *xs)
    )


def _divided(x: Any, y: Any) -> mpf:
    return mpf(x) / y


def _power(x: Any, n: Any) -> Any:
    whole = isinstance(x, int) and isinstance(n, int)
    return x**n if whole else scalar.REFERENCES["power"](mpf(x), mpf(n))


@reference("constant_power")
def _literal_power(x: Any, n: Any, out: Any) -> Any:
    """A literal exponent beside float32 is one."""
    literal = lifted(n, out[0].dtype)
    return entrywise(lambda x: _power(x, literal[()]), x)


def _reciprocal(x: Any) -> Any:
    return (x if abs(x) == 1 else 0) if isinstance(x, int) else 1 / x


for _name, _function in {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": _divided,
    "negative": operator.neg,
    "reciprocal": _reciprocal,
    "square": lambda x: x * x,
    "sqrt": mp.sqrt,
    "deviation": mp.sqrt,
    "power": _power,
    "deg2rad": lambda x: x * mp.pi / 180,
    "radians": lambda x: x * mp.pi / 180,
    "rad2deg": lambda x: x * 180 / mp.pi,
    "degrees": lambda x: x * 180 / mp.pi,
    "gap": operator.sub,
    "modulus": abs,
    "angle": lambda x: mp.pi if x < 0 else mpf(0),
    "imag": lambda x: 0,
    "iscomplex": lambda x: 0,
    "isreal": lambda x: 1,
    "astype": lambda x, dtype: x,
    "truncate": lambda x, dtype: int(x),
}.items():
    _enter(_name, _function)


# ---- the compiler's own functions ----------------------------------------------------------------

_CANCEL = ("logaddexp", "gammaln", "digamma")  # measured by their terms


def _own(name: str) -> None:
    function = scalar.REFERENCES[name]

    @reference(name)
    def rule(*xs: Any) -> Any:
        value = entrywise(lambda *n: function(*map(mpf, n)), *xs)
        if name not in _CANCEL:
            return value
        size = entrywise(lambda y, *n: scalar.scale(name, tuple(map(mpf, n)), y), value, *xs)
        return Truth(value, size)


for _name in scalar.REFERENCES:
    if _name not in ("softplus", "power", "fmod", "remainder", "floor_divide"):
        _own(_name)


# ---- functions made of others --------------------------------------------------------------------


def _positive_or(x: Any, inside: Callable[[], mpf]) -> mpf:
    return mpf(0) if x == 0 else inside() if x > 0 else mp.inf


_enter("logit", lambda x: mp.log(x / (1 - x)))
_enter("entr", lambda x: -_positive_or(x, lambda: x * mp.log(x)))
_enter("rel_entr", lambda x, y: _positive_or(x, lambda: x * mp.log(mpf(x) / y)))


@reference("kl_div")
def _kl_div(x: Any, y: Any) -> Truth:
    terms = entrywise(lambda x, y: _positive_or(x, lambda: x * mp.log(mpf(x) / y)), x, y)
    size = entrywise(lambda *parts: max(map(abs, parts)), terms, x, y)
    return Truth(terms - x + y, size)


@reference("logaddexp2")
def _logaddexp2(x: Any, y: Any) -> Truth:
    def rest(x: Any, y: Any) -> mpf:
        return mp.log1p(mp.power(2, max(-abs(x - y), mpf(-3000)))) / mp.log(2)

    larger, part = entrywise(max, x, y), entrywise(rest, x, y)
    return Truth(larger + part, entrywise(lambda *p: max(map(abs, p)), larger, part, larger + part))


@reference("sinc")
def _sinc(x: Any, order: int) -> Truth:
    """A derivative of sin(πx)/(πx): by the product rule, or near 0 by its series."""

    def value(x: mpf) -> mpf:
        if abs(x) < 0.01:
            u, first = mp.pi * x, (order + 1) // 2
            terms = (
                (-1) ** m * u ** (2 * m - order) / ((2 * m + 1) * mp.factorial(2 * m - order))
                for m in range(first, first + 40)
            )
            return mp.pi**order * mp.fsum(terms)
        # Σ over k of binomial(order, k) · (1/x)⁽ᵏ⁾ · sin(πx)⁽ᵒʳᵈᵉʳ⁻ᵏ⁾/π
        terms = (
            mp.binomial(order, k)
            * ((-1) ** k * mp.factorial(k) / x ** (k + 1))
            * (mp.pi ** (order - k - 1) * mp.sin(mp.pi * (x + mpf(order - k) / 2)))
            for k in range(order + 1)
        )
        return mp.fsum(terms)

    return Truth(entrywise(lambda x: value(mpf(x)), x), entrywise(lambda _: mp.pi**order, x))


@reference("random_placed")
def _placed(x: Any, loc: Any, scale: Any) -> Truth:
    moved = scale * x
    return Truth(loc + moved, entrywise(lambda a, b: abs(a) + abs(b), loc, moved))


# ---- rounding, signs, neighbours -----------------------------------------------------------------


def _halves_to_even(x: Any) -> int:
    low = int(mp.floor(x))
    away = x - low
    return low + (away > 0.5 or (away == 0.5 and low % 2 == 1))


def _sign(x: Any) -> int:
    return (x > 0) - (x < 0)


def _rest(x: Any, y: Any) -> Any:
    """The remainder with the sign of x."""
    if isinstance(x, int) and isinstance(y, int):
        return x - y * (abs(x) // abs(y)) * _sign(x) * _sign(y)
    return scalar.REFERENCES["fmod"](mpf(x), mpf(y))


def _modulo(x: Any, y: Any) -> Any:
    left = _rest(x, y)
    return left if left == 0 or (left < 0) == (y < 0) else left + y


for _name, _function in {
    "floor": mp.floor,
    "ceil": mp.ceil,
    "trunc": lambda x: mp.floor(x) if x > 0 else mp.ceil(x),
    "rint": _halves_to_even,
    "sign": _sign,
    "absolute": abs,
    "fabs": abs,
    "copysign": lambda x, y: abs(x) if y >= 0 else -abs(x),
    "heaviside": lambda x, y: y if x == 0 else mpf(x > 0),
    "fmod": _rest,
    "remainder": _modulo,
    "floor_divide": lambda x, y: x // y if isinstance(x, int) else mp.floor(x / y),
    "maximum": lambda x, y, ties: max(x, y),
    "minimum": lambda x, y, ties: min(x, y),
    "fmax": lambda x, y, ties: max(x, y),
    "fmin": lambda x, y, ties: min(x, y),
}.items():
    _enter(_name, _function)


@reference("round")
def _round(x: Any, decimals: int, found: Any) -> Any:
    """A multiple of 10⁻ᵈ: the nearest, and of two that are all but equally near the one found."""
    step = mpf(10) ** -decimals

    def nearest(x: Any, found: Any) -> Any:
        places = x / step
        low = mp.floor(places)
        middle = abs(places - low - 0.5)
        if decimals and middle <= abs(places) * mpf(2) ** (-52 if found.dtype == "f8" else -23):
            return min(low * step, (low + 1) * step, key=lambda y: abs(y - mpf(float(found))))
        return _halves_to_even(places) * step

    boxed = np.frompyfunc(np.asarray(found).dtype.type, 1, 1)(np.asarray(found).astype(object))
    return entrywise(nearest, x, boxed)


@reference("nextafter")
def _next_after(x: Any, y: Any, out: Any) -> Any:
    (kind,) = out

    def beside(x: mpf, y: mpf) -> mpf:
        if x == y or x == 0:
            return x + _sign(y - x) * least(kind.dtype)
        inwards = (y > x) != (x > 0)
        step = ulp(x * (1 - mpf(2) ** -70) if inwards else x, kind.dtype)
        return x + _sign(y - x) * step

    return entrywise(beside, x, y)


@reference("spacing")
def _spacing(x: Any, out: Any) -> Any:
    (kind,) = out
    return entrywise(lambda x: (-1 if x < 0 else 1) * ulp(mpf(x), kind.dtype), x)


# ---- comparisons, logic, bits --------------------------------------------------------------------

for _name, _function in {
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "less": operator.lt,
    "less_equal": operator.le,
    "equal": operator.eq,
    "not_equal": operator.ne,
    "logical_and": lambda x, y: bool(x) and bool(y),
    "logical_or": lambda x, y: bool(x) or bool(y),
    "logical_xor": lambda x, y: bool(x) != bool(y),
    "logical_not": lambda x: not x,
    "isfinite": mpmath.isfinite,
    "isinf": mpmath.isinf,
    "isnan": mpmath.isnan,
    "isposinf": lambda x: x == mp.inf,
    "isneginf": lambda x: x == -mp.inf,
    "signbit": lambda x: x < 0,
    "left_shift": operator.lshift,
    "right_shift": operator.rshift,
    "bitwise_and": operator.and_,
    "bitwise_or": operator.or_,
    "bitwise_xor": operator.xor,
}.items():
    _enter(_name, lambda *xs, f=_function: int(f(*xs)))


@reference("invert")
def _invert(x: Any, out: Any) -> Any:
    flips = out[0].dtype.kind == "b"
    return entrywise(lambda n: 1 - n if flips else ~n, x)


@reference("isclose")
def _isclose(x: Any, y: Any, rtol: float, atol: float, equal_nan: bool) -> Truth:
    room = entrywise(lambda y: mpf(atol) + mpf(rtol) * abs(y), y)
    gap = entrywise(lambda x, y: abs(x - y), x, y)
    size = entrywise(lambda x, y: abs(x) + abs(y) + mpf(atol), x, y)
    return Truth(
        entrywise(lambda a, b: int(a <= b), gap, room),
        size,
        margin=entrywise(lambda a, b: abs(a - b), gap, room),
    )
