"""log, log2, log10 and log1p."""

from __future__ import annotations

from chainrule.loops.mathematics.arithmetic import (
    Pair,
    above,
    fast_two_sum,
    layout,
    parts_product,
    polynomial,
    quotient,
    two_product,
    two_sum,
    two_to,
    zero,
)
from chainrule.loops.mathematics.coefficients import LOG, LOG2_PARTS
from chainrule.loops.mathematics.exponential import LOG2
from chainrule.loops.scalar import Node, bits, fma, is_const, select

# The bits of 1 less those of √½, by type: what makes the exponent step at √½ instead of at 1.
_STEP = {"f64": 0x3FF0000000000000 - 0x3FE6A09E667F3BCD, "f32": 0x3F800000 - 0x3F3504F3}
_ROOT = {"f64": 0x3FE6A09E667F3BCD, "f32": 0x3F3504F3}


# In two parts: log2(e), log10(e), and the factors of s and s³ in log2((1 + s)/(1 - s)).
LOG2_E = {
    "f64": (1.4426950408889634, 2.0355273740931033e-17),
    "f32": (1.4426950216293335, 1.925963033500011e-08),
}
_LOG10_E = {
    "f64": (0.4342944819032518, 1.098319650216765e-17),
    "f32": (0.4342944920063019, -1.0103049952192578e-08),
}
# log10(2), whose first part has room for the exponent.
_LOG10_2 = {
    "f64": (0.30102999566395283, 2.8363394551044964e-14),
    "f32": (0.30103302001953125, -3.024355464731343e-06),
}
_FIRST = {
    "f64": (2.8853900817779268, 4.0710547481862066e-17),
    "f32": (2.885390043258667, 3.851926067000022e-08),
}
_THIRD = {
    "f64": (0.9617966939259756, 5.0577616648125907e-17),
    "f32": (0.9617967009544373, -7.028461812552678e-09),
}


def split(x: Node, lowered: Node | float = 0.0) -> tuple[Node, Node]:
    """x = 2^k·(1 + f) with √½ ≤ 1 + f < √2, for normal x: k less `lowered`, and f."""
    form = layout(x)
    g = x.graph
    moved = bits(x, form.whole) + _STEP[x.kind]
    # The exponent becomes a float by being written into the low bits of one.
    shifter = 2.0**form.mantissa
    pattern = (form.bias + form.mantissa) << form.mantissa
    k = bits((moved >> form.mantissa) | pattern, form.kind)
    offset = lowered + g.const(shifter + form.bias, x.kind)
    fraction = (moved & ((1 << form.mantissa) - 1)) + _ROOT[x.kind]
    return k - offset, bits(fraction, form.kind) - 1


def normal_split(x: Node) -> tuple[Node, Node]:
    """The same for every positive x."""
    form = layout(x)
    small = x < form.tiny
    up = form.mantissa + 2.0
    lowered = select(small, up, x.graph.const(0.0, x.kind))
    return split(select(small, x * 2.0**up, x), lowered)


def special_logarithm(x: Node, y: Node) -> Node:
    """y where 0 < x < ∞, and what a logarithm is elsewhere."""
    outside = select(x.eq(0.0), float("-inf"), x.graph.const(float("nan"), x.kind))
    return select(x.eq(float("inf")), x, select(x > 0.0, y, outside))


def log(x: Node) -> Node:
    """The natural logarithm."""
    high, low = LOG2[x.kind]
    k, f = normal_split(x)
    square = f * f
    tail = fma(f * square, polynomial(f, LOG[x.kind]), k * low)
    y = fma(k, high, fma(square, -0.5, tail) + f)
    return special_logarithm(x, y)


def log2(x: Node) -> Node:
    """The logarithm to base 2; of powers of 2 exact."""
    k, f = normal_split(x)
    return special_logarithm(x, _other_base(f, LOG2_E[x.kind], k, zero(x)))


def log10(x: Node) -> Node:
    """The logarithm to base 10; of powers of 10 exact."""
    k, f = normal_split(x)
    high, low = _LOG10_2[x.kind]
    return special_logarithm(x, _other_base(f, _LOG10_E[x.kind], k * high, k * low))


def _other_base(f: Node, factor: tuple[float, float], high: Node, low: Node) -> Node:
    """log(1 + f)·factor + high + low."""
    square = f * f
    tail = fma(square, -0.5, f * square * polynomial(f, LOG[f.kind]))
    product, lost = two_product(f, factor[0])
    total, rest = two_sum(high, product)
    return total + (
        rest + fma(tail, factor[0], fma(f, factor[1], lost if is_const(low, 0) else lost + low))
    )


def log1p(x: Node) -> Node:
    """The logarithm of 1 + x."""
    high, low = two_sum(x.graph.const(1.0, x.kind), x)
    y = special_logarithm(high, logarithm_of_parts(high, low, x, x.graph.const(0.0, x.kind)))
    return select(abs(x) < layout(x).digit, x, y)


def log1p_of_share(w: Node) -> Node:
    """The logarithm of 1 + w for 0 ≤ w ≤ 1."""
    high, low = LOG2[w.kind]
    double = w > 2**0.5 - 1
    k = select(double, 1.0, w.graph.const(0.0, w.kind))
    f = select(double, fma(w, 0.5, -0.5), w)
    square = f * f
    tail = fma(f * square, polynomial(f, LOG[w.kind]), k * low)
    return fma(k, high, fma(square, -0.5, tail) + f)


def logarithm_of_parts(high: Node, low: Node, less: Node, less_low: Node) -> Node:
    """log(high + low) of a normal number; near 1, log(1 + less + less_low) of the same number."""
    first, second = LOG2[high.kind]
    k, f = split(high)
    near = k.eq(0.0)
    f = select(near, less, f)
    # Beyond the bound, the lower part is nothing to the higher.
    shift = above(-k, 4.0 - layout(high).bias)
    rest = low * two_to(shift + layout(high).exponent_shifter)
    rest = select(near, less_low, rest)
    square = f * f
    tail = fma(f * square, polynomial(f, LOG[f.kind]), fma(k, second, rest * (1 + fma(f, f, -f))))
    return fma(k, first, fma(square, -0.5, tail) + f)


def log2_parts(x: Node) -> Pair:
    """The logarithm to base 2 in two parts, half as many digits again, for 0 < x < ∞."""
    k, f = normal_split(x)
    bottom = 2 + f
    inverse = 1 / bottom
    s = quotient((f, zero(x)), (bottom, f - (bottom - 2)), inverse)
    square = parts_product(s, s)
    rest = square[0] * polynomial(square[0], LOG2_PARTS[x.kind])
    first, third = _FIRST[x.kind], _THIRD[x.kind]
    inner = _constant_plus(third, rest, None)
    inner = _constant_plus(first, *parts_product(square, inner))
    high, low = parts_product(s, inner)
    # For k = 0 the sum of unequal sizes is exact all the same.
    total, lost = fast_two_sum(k, high)
    return total, lost + low


def _constant_plus(constant: tuple[float, float], high: Node, low: Node | None) -> Pair:
    """A constant in two parts, plus something smaller."""
    total, lost = fast_two_sum(high.graph.const(constant[0], high.kind), high)
    lost = lost + constant[1]
    return total, lost if low is None else lost + low
