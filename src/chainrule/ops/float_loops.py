"""Floating-point rules that are more than a line: extremes, signs, neighbours, special values."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from chainrule.ir.primitive import Rule
from chainrule.ops.whole_loops import chain

# Exponents by which a power, and one of the reciprocal, is multiplied together: further ones lose
# more than the bound that `constant_power` states.
_MOST, _LEAST = 8, -3


def _is_number(x: Any) -> bool:
    """Whether x is a constant other than NaN."""
    return bool(x.op == "const" and x.attr == x.attr and not _is_nan_constant(x))


def _is_nan_constant(x: Any) -> bool:
    if not isinstance(x.attr, bytes):
        return False
    return bool(np.isnan(np.frombuffer(x.attr, f"f{len(x.attr)}")[0]))


# ---- the larger and the smaller ------------------------------------------------------------------


def extremum(larger: bool, keeps_nan: bool) -> Rule:
    """maximum, minimum (NaN wins) and fmax, fmin (NaN loses); operands in the result's type."""

    def rule(s: Any, x: Any, y: Any, ties: Any = None) -> Any:
        if x.kind == "i1":
            return x | y if larger else x & y
        if x.kind[0] != "f":
            return s.select(x > y, x, y) if larger else s.select(x < y, x, y)
        if _is_number(x) and not _is_number(y):
            x, y = y, x
        if not keeps_nan:
            best = s.select(x >= y if larger else x <= y, x, y)
            return best if _is_number(y) else s.select(s.is_nan(y), x, best)
        best = s.select(y > x if larger else y < x, y, x)
        return best if _is_number(y) else s.select(s.is_nan(y), y, best)

    return rule


# ---- signs ---------------------------------------------------------------------------------------


def sign(s: Any, x: Any) -> Any:
    """−1, 0 or 1; NaN of NaN."""
    if x.kind[0] == "u":
        return s.cast(x.ne(0), x.kind)
    negative = s.select(x < 0, s.const(-1, x.kind), 0)
    result = s.select(x > 0, s.const(1, x.kind), negative)
    return result if x.kind[0] != "f" else s.select(s.is_nan(x), x, result)


def absolute(s: Any, x: Any) -> Any:
    """|x|."""
    return s.unary("abs", x) if x.kind[0] in "fi" and x.kind != "i1" else x


def heaviside(s: Any, x: Any, y: Any) -> Any:
    """0 below zero, 1 above it, y at it."""
    step = s.select(x < 0, s.const(0, x.kind), 1)
    return s.select(s.is_nan(x), x, s.select(x.eq(0), y, step))


def is_negative(s: Any, x: Any) -> Any:
    """The sign bit."""
    if x.kind[0] != "f":
        return x < 0 if x.kind[0] == "i" and x.kind != "i1" else s.const(False, "i1")
    return s.bits(x, f"i{x.kind[1:]}") < 0


def is_infinite(s: Any, x: Any) -> Any:
    """±∞."""
    return s.unary("abs", x).eq(math.inf) if x.kind[0] == "f" else s.const(False, "i1")


def is_finite(s: Any, x: Any) -> Any:
    """Neither ±∞ nor NaN."""
    return s.unary("abs", x) < math.inf if x.kind[0] == "f" else s.const(True, "i1")


def is_nan(s: Any, x: Any) -> Any:
    """Whether x is NaN; no whole number is."""
    return s.is_nan(x) if x.kind[0] == "f" else s.const(False, "i1")


def equals(value: float) -> Rule:
    """Whether x is one special value."""
    return lambda s, x: x.eq(value) if x.kind[0] == "f" else s.const(False, "i1")


# ---- neighbours ----------------------------------------------------------------------------------


def next_after(s: Any, x: Any, y: Any) -> Any:
    """The number beside x on the way to y."""
    whole = f"i{x.kind[1:]}"
    number = s.bits(x, whole)
    outwards = (x < y) ^ (x < 0)
    moved = s.bits(s.select(outwards, number + 1, number - 1), x.kind)
    least = s.bits(s.const(1, whole), x.kind)
    moved = s.select(x.eq(0), s.copysign(least, y), moved)
    moved = s.select(x.eq(y), y, moved)
    return s.select(s.is_nan(x) | s.is_nan(y), x + y, moved)


def spacing(s: Any, x: Any) -> Any:
    """From x to the next number away from zero."""
    whole = f"i{x.kind[1:]}"
    next_one = s.bits(s.bits(x, whole) + 1, x.kind)
    least = s.bits(s.const(1, whole), x.kind)
    gap = s.select(x.eq(0), least, next_one - x)
    return s.select(is_finite(s, x), gap, math.nan)


# ---- powers and roundings ------------------------------------------------------------------------


def constant_power(s: Any, x: Any, n: Any) -> Any:
    """x**n for a literal n: by multiplying, or by a square root, where that is exact enough."""
    n = int(n) if isinstance(n, bool) else n
    whole = int(n) if math.isfinite(n) and n == int(n) else None
    if whole == 0:
        return s.const(1, x.kind)
    if whole is not None and _LEAST <= whole <= _MOST:
        # 1/x first: then nothing overflows on the way that wouldn't in the end.
        base = x if whole > 0 else s.const(1, x.kind) / x
        return chain(base, abs(whole))
    if n == 0.5:
        return s.unary("sqrt", x)
    if abs(n) in (0.5, 1.5, 2.5):
        # +0 for −0; and of −∞ the power is infinite, where its root is NaN.
        root = s.unary("sqrt", x) + s.const(0, x.kind)
        root = s.select(x.eq(-math.inf), math.inf, root)
        rest = chain(s.unary("abs", x), int(abs(n))) if abs(n) > 1 else None
        if n > 0:
            return root if rest is None else rest * root
        # Divided one by one: their product may be too small or too large where this isn't.
        one = s.const(1, x.kind)
        return (one if rest is None else one / rest) / root
    return s.call("power", x, s.const(n, x.kind))


def rounded(s: Any, x: Any, decimals: int) -> Any:
    """Ties to even, after scaling, as NumPy does it."""
    if x.kind[0] != "f":
        if decimals >= 0:
            return x
        return s.cast(_scaled(s, s.cast(x, "f64"), decimals), x.kind)
    return s.unary("rint", x) if decimals == 0 else _scaled(s, x, decimals)


def _scaled(s: Any, x: Any, decimals: int) -> Any:
    factor = s.const(10.0 ** abs(decimals), x.kind)
    if decimals > 0:
        return s.unary("rint", x * factor) / factor
    return s.unary("rint", x / factor) * factor


def whole(op: str) -> Rule:
    """floor, ceil, trunc: nothing to do to a whole number."""
    return lambda s, x: s.unary(op, x) if x.kind[0] == "f" else x


# ---- functions made of others ------------------------------------------------------------


def logaddexp2(s: Any, x: Any, y: Any) -> Any:
    """log₂(2ˣ + 2ʸ)."""
    gap = x - y
    larger = s.select(gap > 0, x, y)
    part = s.call("log1p", s.call("exp2", -s.unary("abs", gap))) * math.log2(math.e)
    # Of two equal infinities the gap is NaN.
    return s.select(x.eq(y), x + 1, larger + part)


def logit(s: Any, x: Any) -> Any:
    """log(x/(1 − x)); by log1p where that is near 0."""
    half = s.const(2, x.kind) * x - 1
    near = s.call("log1p", half) - s.call("log1p", -half)
    far = s.call("log", x / (s.const(1, x.kind) - x))
    return s.select((x > 0.3) & (x < 0.65), near, far)


def entr(s: Any, x: Any) -> Any:
    """−x·log x."""
    inside = -x * s.call("log", s.select(x > 0, x, 1))
    result = s.select(x > 0, inside, s.select(x.eq(0), 0.0, s.const(-math.inf, x.kind)))
    return s.select(s.is_nan(x), x, result)


def _log_ratio(s: Any, x: Any, y: Any) -> Any:
    """x·log(x/y) of positive numbers; by log1p or two logarithms where that loses digits."""
    ratio = x / y
    least = np.finfo(f"f{int(x.kind[1:]) // 8}").tiny
    close = s.call("log1p", (x - y) / y)
    apart = s.call("log", x) - s.call("log", y)
    normal = (ratio >= float(least)) & (ratio < math.inf)
    plain = s.select(normal, s.call("log", ratio), apart)
    return x * s.select((ratio > 0.5) & (ratio < 2), close, plain)


def rel_entr(s: Any, x: Any, y: Any) -> Any:
    """x·log(x/y), 0 where x is 0, and ∞ outside."""
    positive = (x > 0) & (y > 0)
    inside = _log_ratio(s, s.select(positive, x, 1), s.select(positive, y, 1))
    edge = s.select(x.eq(0) & (y >= 0), s.const(0, x.kind), math.inf)
    return s.select(s.is_nan(x) | s.is_nan(y), math.nan, s.select(positive, inside, edge))


def kl_div(s: Any, x: Any, y: Any) -> Any:
    """x·log(x/y) − x + y, y where x is 0, and ∞ outside."""
    positive = (x > 0) & (y > 0)
    inside = _log_ratio(s, s.select(positive, x, 1), s.select(positive, y, 1)) - x + y
    edge = s.select(x.eq(0) & (y >= 0), y, math.inf)
    return s.select(s.is_nan(x) | s.is_nan(y), math.nan, s.select(positive, inside, edge))


def sinc_series(order: int) -> list[float]:
    """The series of a derivative of sin(u)/u in u², up to |u| = 2 + order; the last term first.

    Σ (−1)ᵐ u²ᵐ/(2m + 1)!, differentiated; of odd orders u is left out once.
    """
    most, terms = 2.0 + order, []
    for m in itertools.count((order + 1) // 2):
        exponent = 2 * m - order
        terms.append((-1) ** m / ((2 * m + 1) * math.factorial(exponent)))
        if abs(terms[-1]) * most**exponent < 1e-20 and exponent > most:
            return terms[::-1]
    raise AssertionError  # the series converges


def sinc(s: Any, x: Any, order: int) -> Any:
    """A derivative of sin(πx)/(πx): see `sinc_value`, which this follows."""
    u = x * math.pi
    if not order:
        none = x.eq(0)
        return s.select(none, 1, s.call("sin", u) / s.select(none, 1, u))
    large = s.unary("abs", u) > 2.0 + order
    far = s.select(large, x, 1.0 + order)
    v = far * math.pi
    turns = [s.call("sin", v), s.call("cos", v)]
    value = turns[0] / v
    for k in range(1, order + 1):
        # sin(v + kπ/2)
        turned = turns[k % 2] if k % 4 in (0, 1) else -turns[k % 2]
        value = (turned * math.pi ** (k - 1) - value * k) / far
    square = u * u
    near = s.const(0, x.kind)
    for term in sinc_series(order):
        near = s.fma(near, square, s.const(term, x.kind))
    near = near * u if order % 2 else near
    return s.select(large, value, near * math.pi**order)
