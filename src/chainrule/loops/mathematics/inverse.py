"""Inverse trigonometric and hyperbolic functions."""

from __future__ import annotations

from chainrule.loops.mathematics.arithmetic import (
    fast_two_sum,
    layout,
    polynomial,
    two_to,
)
from chainrule.loops.mathematics.coefficients import ARCSIN, ARCTAN, ARCTANH
from chainrule.loops.mathematics.exponential import LOG2
from chainrule.loops.mathematics.logarithm import logarithm_of_parts
from chainrule.loops.mathematics.trigonometric import QUARTER_TURN
from chainrule.loops.scalar import (
    Node,
    bits,
    copysign,
    fma,
    is_nan,
    maximum,
    minimum,
    select,
    sqrt,
)

_INFINITY = float("inf")
_NAN = float("nan")
# From here on x² + 1 is x², and log(1 + x) is log(x).
_LARGE = {"f64": 2.0**28, "f32": 2.0**13}


def arcsin(x: Node) -> Node:
    """The angle of a sine."""
    size = abs(x)
    wide, root, tail = _arcsine(size)
    high, low, _ = QUARTER_TURN[x.kind]
    y = select(wide, high - (2 * root - fma(tail, -2.0, low)), root + tail)
    return copysign(y, x)


def arccos(x: Node) -> Node:
    """The angle of a cosine."""
    wide, root, tail = _arcsine(abs(x))
    high, low, _ = QUARTER_TURN[x.kind]
    narrow = high - (copysign(root, x) - (low - copysign(tail, x)))
    twice = 2 * (root + tail)
    turned = 2 * high - (2 * root - fma(tail, -2.0, 2 * low))
    return select(wide, select(x < 0.0, turned, twice), narrow)


def _arcsine(size: Node) -> tuple[Node, Node, Node]:
    """Whether |x| > ½, and arcsin of |x| or there of √(½ - ½·|x|), as the argument and the rest."""
    wide = size > 0.5
    square = select(wide, fma(size, -0.5, 0.5), size * size)
    root = select(wide, sqrt(square), size)
    return wide, root, root * square * polynomial(square, ARCSIN[size.kind])


def arctan(x: Node) -> Node:
    """The angle of a tangent."""
    size = abs(x)
    large = size > 1.0
    a = select(large, 1 / size, size)
    return copysign(_arctangent(a, large), x)


def arctan2(y: Node, x: Node) -> Node:
    """The angle of a point (x, y), with every special case of C's atan2."""
    g = x.graph
    high, low, _ = QUARTER_TURN[x.kind]
    across, along = abs(y), abs(x)
    steep = across > along
    larger, smaller = maximum(across, along), minimum(across, along)
    # Of two zeros the ratio is taken to be 0, and of two infinities 1.
    ratio = select(smaller.eq(larger), 1.0, smaller / larger)
    ratio = select(larger.eq(0.0), 0.0, ratio)
    first = fma(ratio * ratio * ratio, polynomial(ratio * ratio, ARCTAN[x.kind]), ratio)
    back = bits(x, layout(x).whole) >= layout(x).sign
    # The angle is ±first plus a number of quarter turns.
    turns = select(steep, 1.0, select(back, 2.0, g.const(0.0, x.kind)))
    other = steep.graph.make("xor", "i1", steep, back)
    part = select(other, -first, first)
    y_angle = turns * high + fma(turns, low, part)
    angle = copysign(y_angle, y)
    return select(is_nan(x) | is_nan(y), x + y, angle)


def _arctangent(a: Node, large: Node) -> Node:
    """arctan(a) for 0 ≤ a ≤ 1, or where `large` what it lacks to a quarter turn."""
    high, low, _ = QUARTER_TURN[a.kind]
    square = a * a
    tail = a * square * polynomial(square, ARCTAN[a.kind])
    return select(large, high - (a - (low - tail)), a + tail)


def arcsinh(x: Node) -> Node:
    """The inverse of sinh: log(a + √(a² + 1)) = log(1 + a + a²/(1 + √(a² + 1)))."""
    a = abs(x)
    square = a * a
    more = square / (1 + sqrt(square + 1))
    y = _logarithm_of_more(a, more, a > _LARGE[x.kind])
    return select(a < layout(x).digit, x, copysign(y, x))


def arccosh(x: Node) -> Node:
    """The inverse of cosh: log(1 + t + √(t² + 2·t)) with t = x - 1."""
    t = x - 1.0
    more = sqrt(fma(t, t, 2 * t))
    large = x > _LARGE[x.kind]
    # t may be much smaller than the root.
    high, low = fast_two_sum(more, t)
    y = _logarithm_of_more(select(large, x, high), low, large)
    return select(x < 1.0, _NAN, y)


def _logarithm_of_more(a: Node, b: Node, large: Node) -> Node:
    """log(1 + a + b), |b| ≤ |a|; where a is large log(2·a)."""
    g = a.graph
    sum_, left = fast_two_sum(a, b)
    one = g.const(1.0, a.kind)
    bigger, less = maximum(sum_, one), minimum(sum_, one)
    high, low = fast_two_sum(bigger, less)
    low = select(large, 0.0, low + left)
    high = select(large, a, high)
    y = logarithm_of_parts(high, low, sum_, left)
    y = y + select(large, LOG2[a.kind][0], g.const(0.0, a.kind))
    return select(a < _INFINITY, y, a)


def arctanh(x: Node) -> Node:
    """The inverse of tanh: ½·log of (1 + a)/(1 - a) = 2^k·(1 + s)/(1 - s)."""
    form = layout(x)
    a = abs(x)
    high, low = LOG2[x.kind]
    # The bits of a float are nearly its logarithm, which tells k.
    difference = bits(1 + a, form.whole) - bits(1 - a, form.whole)
    difference = (difference + (1 << (form.mantissa - 1))) >> form.mantissa
    k = bits(difference + bits(a.graph.const(form.shifter, x.kind), form.whole), form.kind)
    power = two_to(k + form.bias)
    k = k - form.shifter
    # The two terms less and plus 2^k times each other: of a, or of 1 - a where that is exact.
    wide = a >= 0.5
    part = select(wide, a - 1, a)
    more, less = 1 + power, 1 - power
    s = fma(part, more, select(wide, 2.0, less)) / fma(part, less, select(wide, 2.0, more))
    square = s * s
    tail = fma(s * square, polynomial(square, ARCTANH[x.kind]), k * (low / 2))
    y = fma(k, high / 2, s + tail)
    y = select(a < 1.0, y, select(a.eq(1.0), _INFINITY, x.graph.const(_NAN, x.kind)))
    return select(a < form.digit, x, copysign(y, x))
