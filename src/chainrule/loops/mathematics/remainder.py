"""fmod, remainder and floor_divide, as NumPy has them."""

from __future__ import annotations

from chainrule.loops.mathematics.arithmetic import layout
from chainrule.loops.scalar import Node, copysign, floor, fma, rare, select, unary

_INFINITY = float("inf")


def fmod(x: Node, y: Node) -> Node:
    """What is left of x after whole multiples of y, with the sign of x; exact."""
    ratio = x / y
    whole = unary("trunc", ratio)
    left = fma(-whole, y, x)
    # The rounded ratio may have reached the next whole number.
    over = ((left < 0.0) & (x > 0.0)) | ((left > 0.0) & (x < 0.0))
    left = select(over, left + copysign(y, x), left)
    left = copysign(left, x)
    left = select(abs(y).eq(_INFINITY) & (abs(x) < _INFINITY), x, left)
    return rare(abs(ratio) >= 2.0 ** layout(x).mantissa, "fmod_large", left, x, y)


def fmod_large(x: Node, y: Node) -> Node:
    """The same for any ratio of x to y."""
    return x.graph.binary("rem", x, y)


def remainder(x: Node, y: Node) -> Node:
    """What is left of x after whole multiples of y, with the sign of y."""
    left = fmod(x, y)
    other = left.ne(0.0) & (left < 0.0).ne(y < 0.0)
    return select(left.eq(0.0), copysign(left, y), select(other, left + y, left))


def floor_divide(x: Node, y: Node) -> Node:
    """The whole number of multiples of y below x."""
    left = fmod(x, y)
    other = left.ne(0.0) & (left < 0.0).ne(y < 0.0)
    ratio = (x - left) / y
    ratio = select(other, ratio - 1.0, ratio)
    below = floor(ratio)
    whole = select(ratio - below > 0.5, below + 1.0, below)
    whole = select(ratio.eq(0.0), copysign(ratio * 0.0, x / y), whole)
    return select(y.eq(0.0), x / y, whole)
