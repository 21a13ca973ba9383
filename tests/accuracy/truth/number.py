"""Arrays of exact numbers, what floats can say of them, and what a stated bound allows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from mpmath import mp, mpf

from chainrule.ir.bound import Bound, Carried, Decided, Exact, Own, Roundings, Ulps
from chainrule.loops.mathematics import BOUNDS

PRECISION = 300  # binary digits of what isn't exact anyway
_LIMITS = {4: (24, -149, 128), 8: (53, -1074, 1024)}  # digits, least exponent, first too large


@dataclass
class Truth:
    """The true result, entry by entry, and what its error is relative to.

    Args:
        value: an object array of `mpf` or `int`.
        size: what a bound of `Roundings`, or of `Ulps` of something else, is relative to.
        count: how many roundings.
        margin: how far the sides of a comparison lie apart.
    """

    value: Any
    size: Any = None
    count: Any = 1
    margin: Any = None


def entrywise(function: Callable[..., Any], *arrays: Any) -> np.ndarray:
    """A function of numbers over broadcast object arrays."""
    result = np.frompyfunc(function, len(arrays), 1)(*arrays)
    out = np.empty(np.shape(result), object)
    out[...] = result
    return out


def exact(x: Any) -> np.ndarray:
    """The numbers that an array holds: floats as `mpf`, others as `int`."""
    x = np.asarray(x)
    kind = mpf if x.dtype.kind == "f" else int
    with np.errstate(invalid="ignore"):  # NaN is a number here like any other
        return entrywise(kind, x.astype(object))


def lifted(x: Any, dtype: np.dtype[Any]) -> Any:
    """An operand as the operation reads it: a Python number beside float32 is a float32."""
    if type(x) is float and dtype.kind == "f":
        return exact(dtype.type(x))
    return exact(x)


def unit(dtype: np.dtype[Any]) -> mpf:
    """Half the distance from 1 to the next number."""
    return mp.ldexp(1, -_LIMITS[dtype.itemsize][0])


def least(dtype: np.dtype[Any]) -> mpf:
    """The smallest positive number."""
    return mp.ldexp(1, _LIMITS[dtype.itemsize][1])


def ulp(x: mpf, dtype: np.dtype[Any]) -> mpf:
    """The distance between numbers of this size."""
    digits, smallest, _ = _LIMITS[dtype.itemsize]
    if not mpmath.isfinite(x):
        return mpf(0)
    exponent = int(mpmath.frexp(x)[1]) if x else smallest
    return mp.ldexp(1, max(exponent - digits, smallest))


def rounds_to_infinity(x: mpf, dtype: np.dtype[Any]) -> bool:
    """Whether the nearest float is infinite."""
    digits, _, most = _LIMITS[dtype.itemsize]
    return bool(abs(x) >= mp.ldexp(1, most) - mp.ldexp(1, most - digits - 1))


def whole(values: Any, dtype: np.dtype[Any]) -> np.ndarray:
    """Whole numbers as a dtype holds them: wrapped around; truth values are not 0."""
    if dtype.kind == "b":
        return entrywise(lambda n: int(n != 0), values)
    width = 8 * dtype.itemsize
    start = 1 << (width - 1) if dtype.kind == "i" else 0
    return entrywise(lambda n: (int(n) + start) % (1 << width) - start, values)


# ---- what a bound allows -------------------------------------------------------------------------


def allowed(bound: Bound, truth: Truth, dtype: np.dtype[Any], compared: Any = None) -> np.ndarray:
    """The largest error that a bound allows each entry.

    Args:
        dtype: of the result.
        compared: of the sides that a decision compares.
    """
    if isinstance(bound, Own):
        bound = bound.ulps(BOUNDS)
    if isinstance(bound, Decided):
        near = bound.factor * unit(compared)
        return entrywise(
            lambda gap, size: mp.inf if gap <= near * size else mpf(0), truth.margin, truth.size
        )
    if isinstance(bound, Carried):
        return truth.size
    if isinstance(bound, Exact) or dtype.kind != "f":
        return entrywise(lambda _: mpf(0), truth.value)
    single = dtype.itemsize == 4
    factor = mpf(bound.single if single else bound.double)
    if isinstance(bound, Ulps):
        assert (truth.size is not None) == bool(bound.of), "an error is of the result or of a size"
        measure = truth.value if truth.size is None else truth.size
        return entrywise(lambda size: factor * ulp(size, dtype), measure)
    assert isinstance(bound, Roundings), bound
    assert truth.size is not None
    tiny = least(dtype)

    def roundings(size: mpf, count: Any) -> mpf:
        steps = factor * count * unit(dtype)
        return steps / (1 - steps) * size + factor * count * tiny

    return entrywise(roundings, truth.size, truth.count)


def distance(found: mpf, true: mpf, dtype: np.dtype[Any]) -> mpf:
    """How far a float is from the truth; the largest one stands for infinity as rounding does."""
    if mpmath.isnan(true) or mpmath.isnan(found):
        return mpf(0) if mpmath.isnan(true) and mpmath.isnan(found) else mp.inf
    if mpmath.isinf(true) or rounds_to_infinity(true, dtype):
        if mpmath.isinf(found):
            return mpf(0) if (found > 0) == (true > 0) else mp.inf
        true = mp.sign(true) * mp.ldexp(1, _LIMITS[dtype.itemsize][2])
    elif mpmath.isinf(found):
        found = mp.sign(found) * mp.ldexp(1, _LIMITS[dtype.itemsize][2])
    return abs(found - true)


def excess(found: Any, truth: Truth, bound: Bound, compared: Any = None) -> np.ndarray:
    """How large each entry's error is beside what is allowed: at most 1 where the bound holds."""
    dtype = found.dtype
    value = truth.value if dtype.kind == "f" else whole(truth.value, dtype)
    assert np.shape(value) == np.shape(found), (np.shape(value), np.shape(found))
    room = allowed(bound, truth, dtype, compared)

    def beside(one: Any, true: Any, most: mpf) -> float:
        away = distance(mpf(one), mpf(true), dtype) if dtype.kind == "f" else abs(one - true)
        if away == 0 or mpmath.isinf(most):
            return 0.0
        return float(away / most) if most else float("inf")

    return entrywise(beside, exact(found), value, room).astype(float)


# ---- what isn't compared entry by entry ----------------------------------------------------------


@dataclass
class Residual:
    """By how much what was found fails to be what it should, and what that is relative to."""

    name: str
    error: mpf
    size: mpf
    count: int


def beyond(residual: Residual, bound: Roundings, dtype: np.dtype[Any]) -> float:
    """How large a residual is beside what is allowed: at most 1 where the bound holds."""
    single = dtype.itemsize == 4
    factor = mpf(bound.single if single else bound.double)
    room = factor * residual.count * unit(dtype) * residual.size
    return float(residual.error / room) if residual.error else 0.0
