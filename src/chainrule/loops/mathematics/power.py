"""Powers and roots: power, cbrt and hypot; xlogy and xlog1py."""

from __future__ import annotations

from chainrule.loops.mathematics.arithmetic import (
    Pair,
    above,
    below,
    layout,
    nearest,
    polynomial,
    scaled,
    two_product,
    two_to,
    zero,
)
from chainrule.loops.mathematics.coefficients import CBRT
from chainrule.loops.mathematics.exponential import LOG2, exp_small, expm1_parts
from chainrule.loops.mathematics.logarithm import log, log1p, log2_parts, split
from chainrule.loops.scalar import Node, copysign, fma, is_nan, maximum, minimum, rint, select, sqrt

_INFINITY = float("inf")
_NAN = float("nan")
# Between the first two, squares neither overflow nor lose digits; the third moves others there.
_SQUARES = {"f64": (2.0**500, 2.0**-400, 2.0**600), "f32": (2.0**60, 2.0**-40, 2.0**100)}


def exp2_parts(high: Node, low: Node, factor: Pair | None = None) -> Node:
    """2^(high + low), for a small lower part, times a factor in two parts."""
    form = layout(high)
    least, most = -form.bias - form.mantissa - 2.0, form.bias + 1.0
    inside = below(above(high, least), most)
    n, shifted = nearest(inside, 1.0)
    # Beyond the ends the lower part may be NaN.
    low = select(inside.eq(high), low, 0.0)
    r = ((inside - n) + low) * LOG2[high.kind][0]
    if factor is None:
        return scaled(exp_small(r), n, shifted)
    more = expm1_parts(r, zero(r)) + r
    return scaled(factor[0] + fma(factor[0], more, factor[1]), n, shifted)


def power(x: Node, y: Node) -> Node:
    """x to the power y, with every special case of C's pow."""
    size = abs(x)
    high, low = log2_parts(size)
    high = select(size.eq(0.0), -_INFINITY, select(size < _INFINITY, high, size))
    product, lost = two_product(y, high)
    result = exp2_parts(product, fma(y, low, lost))
    whole = y.eq(rint(y))
    half = y * 0.5
    odd = whole & half.ne(rint(half))
    result = select((x < 0.0) & (size < _INFINITY) & ~whole, _NAN, result)
    result = select(odd, copysign(result, x), result)
    one = x.eq(1.0) | y.eq(0.0) | (x.eq(-1.0) & abs(y).eq(_INFINITY))
    return select(one, 1.0, result)


def cbrt(x: Node) -> Node:
    """The cube root."""
    g = x.graph
    form = layout(x)
    size = abs(x)
    small = size < form.tiny
    up = 3.0 * (form.mantissa // 3 + 1)
    size = select(small, size * 2.0**up, size)
    k, f = split(size)
    # k = 3·third + j: a cube is taken out, and j is left.
    third = rint((k - 1.0) * (1 / 3))
    j = k - 3.0 * third
    one, four = g.const(1.0, x.kind), g.const(4.0, x.kind)
    m = (1 + f) * select(j.eq(0.0), one, select(j.eq(1.0), 2.0, four))
    # 1/∛1, 1/∛2 and 1/∛4, no better than the polynomial.
    last = g.const(0.25 ** (1 / 3), x.kind)
    start = select(j.eq(0.0), one, select(j.eq(1.0), 0.5 ** (1 / 3), last))
    inverse = polynomial(1 + f, CBRT[x.kind]) * start
    if x.kind == "f64":
        # Newton's step for the inverse, of third order.
        rest = fma(-m * inverse, inverse * inverse, 1.0)
        inverse = fma(inverse * rest, fma(rest, 2 / 9, 1 / 3), inverse)
    # And for the root itself, whose square is kept in two parts.
    root = m * inverse * inverse
    square, lost = two_product(root, root)
    rest = fma(-lost, root, fma(-square, root, m))
    root = fma(rest * (inverse * inverse), 1 / 3, root)
    down = select(small, up / 3, g.const(0.0, x.kind))
    y = root * two_to(third - down + form.exponent_shifter)
    y = select((abs(x) < _INFINITY) & x.ne(0.0), copysign(y, x), x)
    return y


def hypot(x: Node, y: Node) -> Node:
    """√(x² + y²), without overflow on the way."""
    a, b = abs(x), abs(y)
    larger, smaller = maximum(a, b), minimum(a, b)
    most, least, far = _SQUARES[x.kind]
    one = x.graph.const(1.0, x.kind)
    big, small = larger > most, larger < least
    down = select(big, 1 / far, select(small, far, one))
    up = select(big, far, select(small, 1 / far, one))
    first, second = larger * down, smaller * down
    result = sqrt(fma(first, first, second * second)) * up
    result = select(is_nan(x) | is_nan(y), x + y, result)
    return select(a.eq(_INFINITY) | b.eq(_INFINITY), _INFINITY, result)


def xlogy(x: Node, y: Node) -> Node:
    """x·log(y), and 0 for x = 0 unless y is NaN."""
    return select(x.eq(0.0) & ~is_nan(y), 0.0, x * log(y))


def xlog1py(x: Node, y: Node) -> Node:
    """x·log(1 + y), and 0 for x = 0 unless y is NaN."""
    return select(x.eq(0.0) & ~is_nan(y), 0.0, x * log1p(y))
