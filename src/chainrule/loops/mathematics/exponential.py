"""exp, exp2 and expm1."""

from __future__ import annotations

from chainrule.loops.mathematics.arithmetic import (
    above,
    below,
    layout,
    nearest,
    polynomial,
    scaled,
    two_to,
)
from chainrule.loops.mathematics.coefficients import EXP
from chainrule.loops.scalar import Node, fma, is_const, select

LOG2 = {
    "f64": (0.6931471805599453, 2.3190468138462996e-17),
    "f32": (0.6931471824645996, -1.9046542121259336e-09),
}
INVERSE_LOG2 = 1.4426950408889634

# Beyond these, exp is 0 or infinite, whatever it is exactly.
_LEAST = {"f64": -746.0, "f32": -104.0}
_MOST = {"f64": 710.0, "f32": 89.0}
# Beyond these, expm1 is -1 in every bit.
_MINUS_ONE = {"f64": -40.0, "f32": -20.0}


def less_log2(x: Node) -> tuple[Node, Node, Node, Node]:
    """x = n·log 2 + first - rest, with |first| ≤ ½·log 2; and n as `two_to` wants it."""
    high, low = LOG2[x.kind]
    n, shifted = nearest(x, INVERSE_LOG2)
    # The first difference is exact: what is left has no more bits than log 2 itself.
    return fma(-n, high, x), n * low, n, shifted


def expm1_parts(first: Node, rest: Node) -> Node:
    """exp(first - rest) - 1 - first: what makes `first` into expm1."""
    r = first - rest
    if is_const(rest, 0):
        return r * r * polynomial(r, EXP[r.kind])
    return fma(r * r, polynomial(r, EXP[r.kind]), -rest)


def exp_small(r: Node) -> Node:
    """exp(r) for |r| ≤ ½·log 2."""
    return 1 + fma(r * r, polynomial(r, EXP[r.kind]), r)


def exp(x: Node) -> Node:
    """e to the x."""
    return exp_of_parts(x, None)


def exp_of_parts(x: Node, more: Node | None) -> Node:
    """e to the x + more, where that is small to x, unless x is so large that it doesn't count."""
    inside = below(above(x, _LEAST[x.kind]), _MOST[x.kind])
    first, rest, n, shifted = less_log2(inside)
    if more is not None:
        rest = rest - select(inside.eq(x), more, 0.0)
    return scaled(exp_small(first - rest), n, shifted)


def exp2(x: Node) -> Node:
    """2 to the x."""
    form = layout(x)
    x = below(above(x, -form.bias - form.mantissa - 2.0), form.bias + 1.0)
    n, shifted = nearest(x, 1.0)
    return scaled(exp_small((x - n) * LOG2[x.kind][0]), n, shifted)


def expm1(x: Node) -> Node:
    """e to the x, less 1."""
    form = layout(x)
    first, rest, _, shifted = less_log2(below(above(x, _MINUS_ONE[x.kind]), _MOST[x.kind]))
    # Half of everything, so that the largest results don't overflow on the way.
    half = two_to(shifted - 1)
    y = 2 * fma(half, expm1_parts(first, rest), fma(half, first, half - 0.5))
    return select(abs(x) < form.digit / 2, x, y)
