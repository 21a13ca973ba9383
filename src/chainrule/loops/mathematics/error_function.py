"""erf, erfc and ndtr."""

from __future__ import annotations

from chainrule.loops.mathematics.arithmetic import (
    Pair,
    below,
    fast_two_sum,
    polynomial,
    quotient,
    scaled,
    two_product,
    two_to,
)
from chainrule.loops.mathematics.coefficients import ERF, ERF_TAIL, ERFC
from chainrule.loops.mathematics.exponential import exp_small, expm1_parts, less_log2
from chainrule.loops.scalar import Node, copysign, fma, select

# From here on erf is 1 in every bit.
_ONE = {"f64": 6.0, "f32": 4.0}
# From here on erfc is 0.
_ZERO = {"f64": 28.0, "f32": 11.0}
# 9·exp(16)·erfc(4), in two parts.
_MIDDLE = {
    "f64": (1.2329951186255526, -4.625318921008717e-17),
    "f32": (1.2329951524734497, -3.384789692972845e-08),
}
# 1/√2, in two parts.
_INVERSE_ROOT_2 = {
    "f64": (0.7071067811865476, -4.833646656726457e-17),
    "f32": (0.7071067690849304, 1.2101617485882343e-08),
}


def erf(x: Node) -> Node:
    """The error function."""
    size = abs(x)
    square = x * x
    near = fma(x, polynomial(square, ERF[x.kind]), x)
    inside = below(size, _ONE[x.kind])
    first, rest, _, shifted = less_log2(-polynomial(inside - 2.0, ERF_TAIL[x.kind]))
    far = 1 - exp_small(first - rest) * two_to(shifted)
    return select(size < 1.0, near, copysign(far, x))


def erfc(x: Node) -> Node:
    """1 - erf(x), with all digits where that is small."""
    size = abs(x)
    inside = below(size, _ZERO[x.kind])
    far = _tail(inside, two_product(inside, inside))
    # 1 - x - the rest of erf
    part = 1 - x
    near = part + (((1 - part) - x) - x * polynomial(x * x, ERF[x.kind]))
    return select(size < 0.5, near, select(x < 0.0, 2 - far, far))


def ndtr(x: Node) -> Node:
    """The normal distribution: ½·erfc(-x/√2)."""
    size = below(abs(x), _ZERO[x.kind] * 1.5)
    first, second = _INVERSE_ROOT_2[x.kind]
    u, lost = two_product(size, first)
    lost = fma(size, second, lost)
    far = _tail(u, two_product(size, size * 0.5), lost, 0.5)
    half = copysign(u, x) * 0.5
    tail = fma(half, polynomial(u * u, ERF[x.kind]), select(x < 0.0, -lost, lost) * 0.5)
    near = (0.5 + half) + tail
    return select(abs(x) < 0.71, near, select(x < 0.0, far, 1 - far))


def _tail(x: Node, square: Pair, more: Node | None = None, factor: float = 1.0) -> Node:
    """erfc(x + more)·factor for x ≥ ½, with the square of that in two parts."""
    t = (x - 4.0) / (x + 4.0)
    middle, more_of_it = _MIDDLE[x.kind]
    high, low = fast_two_sum(x.graph.const(middle, x.kind), t * polynomial(t, ERFC[x.kind]))
    top = high, low + more_of_it
    twice = 2 * x
    bottom = 1 + twice
    lost = 1 - (bottom - twice)
    inverse = 1 / bottom
    high, low = quotient(top, (bottom, lost), inverse)
    if more is not None:
        # exp(x²)·erfc(x) goes about as 1/(1 + 2·x), whose slope is enough for so little.
        low = fma(high * more, -2 * inverse, low)
    first, rest, n, shifted = less_log2(-square[0])
    grown = first + expm1_parts(first, rest + square[1])
    return scaled((high + fma(high, grown, low)) * factor, n, shifted)
