"""Whole numbers as loops: quotients, remainders, powers and shifts, as NumPy defines them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.ir.primitive import Rule
from chainrule.ir.types import ArrayType


def known(value: Any) -> Any:
    """The number that a literal operand is, or None."""
    literal = value.how == "entry" and value.expression.op == "const"
    return value.expression.attr if literal and value.expression.kind[0] in "iu" else None


def entrywise(b: Any, out: ArrayType, rule: Callable[..., Any], *values: Any) -> Any:
    """Entry by entry, on operands of the result's type."""
    return b.entry(out.shape, out.dtype, lambda *i: rule(*[b.at(v, i, out.dtype) for v in values]))


def division(name: str, whole: Callable[[Any, Any, Any], Any]) -> Rule:
    """floor_divide and its kin: of floats by their function, of whole numbers by `whole`.

    A program that divides a whole number by zero is run again by NumPy, which has more to say.
    """

    def lower(b: Any, out: ArrayType, x: Any, y: Any) -> Any:
        if out.dtype.kind == "f":
            return entrywise(b, out, lambda p, q: b.call(name, p, q), x, y)
        if not known(y) and not b.quiet:
            b.check(y.shape, lambda *i: b.at(y, i, out.dtype).eq(0))
        return entrywise(b, out, lambda p, q: whole(b, p, q), x, y)

    return lower


def _parts(s: Any, x: Any, y: Any) -> tuple[Any, Any, Any]:
    """Quotient and remainder of C, and the divisor used: 1 where the machine would stop."""
    turned = y.eq(-1) if y.kind[0] == "i" else s.const(False, "i1")
    safe = s.select(y.eq(0) | turned, 1, y)
    quotient = x / safe
    rest = s.select(y.eq(0), 0, x - quotient * safe)
    return s.select(y.eq(0), 0, s.select(turned, -x, quotient)), rest, safe


def _opposed(s: Any, rest: Any, y: Any) -> Any:
    """Whether a remainder hasn't the sign of the divisor."""
    if y.kind[0] == "u":
        return s.const(False, "i1")
    return rest.ne(0) & ((rest < 0) ^ (y < 0))


def floored(s: Any, x: Any, y: Any) -> Any:
    """x // y; 0 where y is."""
    quotient, rest, safe = _parts(s, x, y)
    return s.select(_opposed(s, rest, safe), quotient - 1, quotient)


def modulo(s: Any, x: Any, y: Any) -> Any:
    """x % y, with the sign of y."""
    _, rest, safe = _parts(s, x, y)
    return s.select(_opposed(s, rest, safe), rest + safe, rest)


def rest(s: Any, x: Any, y: Any) -> Any:
    """The remainder with the sign of x."""
    return _parts(s, x, y)[1]


def reciprocal(b: Any, out: ArrayType, x: Any) -> Any:
    """1/x."""
    if out.dtype.kind != "f":
        if not b.quiet:
            b.check(x.shape, lambda *i: b.at(x, i, out.dtype).eq(0))
        return entrywise(b, out, lambda p: floored_to_zero(b, b.const(1, p.kind), p), x)
    return entrywise(b, out, lambda p: b.const(1, p.kind) / p, x)


def floored_to_zero(s: Any, x: Any, y: Any) -> Any:
    """The quotient of C."""
    return _parts(s, x, y)[0]


# ---- powers --------------------------------------------------------------------------------------


def chain(x: Any, n: int) -> Any:
    """xⁿ for n ≥ 1 by squaring."""
    result, square = None, x
    while True:
        if n & 1:
            result = square if result is None else result * square
        n >>= 1
        if not n:
            return result
        square = square * square


def power(b: Any, out: ArrayType, x: Any, y: Any) -> Any:
    """x**y."""
    if out.dtype.kind == "f":
        return entrywise(b, out, lambda p, q: b.call("power", p, q), x, y)
    n = known(y)
    if n is not None and n >= 0:
        return entrywise(b, out, lambda p: chain(p, n) if n else b.const(1, p.kind), x)
    if y.dtype.kind == "i":
        # NumPy refuses negative exponents of whole numbers.
        b.check(y.shape, lambda *i: b.at(y, i) < 0)
    return entrywise(b, out, lambda p, q: _squared_along(b, p, q, out.dtype.itemsize * 8), x, y)


def _squared_along(s: Any, x: Any, n: Any, bits: int) -> Any:
    """xⁿ, an exponent's bit at a time."""
    result = s.const(1, x.kind)
    for k in range(bits - (n.kind[0] == "i")):
        result = s.select((n & (1 << k)).ne(0), result * x, result)
        x = x * x
    return result


# ---- shifts --------------------------------------------------------------------------------------


def left(s: Any, x: Any, n: Any) -> Any:
    """x << n: all bits are gone once n reaches the width; C says nothing of it."""
    inside = _inside(n)
    return s.select(inside, x << s.select(inside, n, 0), 0)


def right(s: Any, x: Any, n: Any) -> Any:
    """x >> n: only the sign is left once n reaches the width."""
    inside = _inside(n)
    width = int(x.kind[1:])
    gone = x >> (width - 1) if x.kind[0] == "i" else s.const(0, x.kind)
    return s.select(inside, x >> s.select(inside, n, 0), gone)


def _inside(n: Any) -> Any:
    width = int(n.kind[1:])
    return (n >= 0) & (n < width) if n.kind[0] == "i" else n < width


# ---- comparisons ---------------------------------------------------------------------------------

_TURNED = {"lt": "gt", "gt": "lt", "le": "ge", "ge": "le", "eq": "eq", "ne": "ne"}


def compared(s: Any, relation: str, x: Any, y: Any) -> Any:
    """A comparison; unsigned 64-bit numbers meet signed ones as they are, exactly."""
    if x.kind == y.kind:
        return s.compare(relation, x, y)
    if x.kind != "u64":
        return compared(s, _TURNED[relation], y, x)
    below = s.const(relation in ("gt", "ge", "ne"), "i1")
    return s.select(y < 0, below, s.compare(relation, x, s.cast(y, "u64")))
