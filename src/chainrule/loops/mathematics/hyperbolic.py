"""tanh, sinh and cosh."""

from __future__ import annotations

from chainrule.loops.mathematics.arithmetic import (
    above,
    below,
    layout,
    polynomial,
    two_to,
)
from chainrule.loops.mathematics.coefficients import COSH, SINH
from chainrule.loops.mathematics.exponential import expm1_parts, less_log2
from chainrule.loops.scalar import Node, copysign, fma, select

# Twice where tanh has become 1 in every bit, and more.
_ONE = {"f64": -80.0, "f32": -40.0}
# Beyond these, sinh and cosh are infinite.
_MOST = {"f64": 710.5, "f32": 89.5}


def tanh(x: Node) -> Node:
    """The hyperbolic tangent: (1 - w)/(1 + w) with w = exp(-2|x|)."""
    first, rest, _, shifted = less_log2(above(-2 * abs(x), _ONE[x.kind]))
    scale = two_to(shifted)
    r = first + expm1_parts(first, rest)
    return copysign(fma(-scale, r, 1 - scale) / fma(scale, r, 1 + scale), x)


def sinh(x: Node) -> Node:
    """The hyperbolic sine."""
    sum_, difference, first, odd, even = _halves(x)
    y = fma(first, sum_, difference) + fma(sum_, odd, difference * even)
    return select(abs(x) < layout(x).digit, x, copysign(2 * y, x))


def cosh(x: Node) -> Node:
    """The hyperbolic cosine."""
    sum_, difference, first, odd, even = _halves(x)
    return 2 * (sum_ + fma(sum_, even, difference * (first + odd)))


def _halves(x: Node) -> tuple[Node, Node, Node, Node, Node]:
    """A quarter of 2^n ± 2^-n; first; sinh(r) - first and cosh(r) - 1, for |x| = n·log 2 + r."""
    form = layout(x)
    first, rest, n, shifted = less_log2(below(abs(x), _MOST[x.kind]))
    r = first - rest
    square = r * r
    odd = fma(r * square, polynomial(square, SINH[x.kind]), -rest)
    even = square * polynomial(square, COSH[x.kind])
    # Quarters, for the sake of the largest results; 2^-n counts for nothing long before its end.
    up = two_to(shifted - 2)
    down = two_to(above(-n, 4.0 - form.bias) + (form.exponent_shifter - 2))
    return up + down, up - down, first, odd, even
