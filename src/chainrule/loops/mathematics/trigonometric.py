"""sin, cos, tan and sinc."""

from __future__ import annotations

from chainrule.loops.mathematics.arithmetic import (
    Pair,
    fast_two_sum,
    layout,
    polynomial,
    quotient,
    two_product,
    two_sum,
)
from chainrule.loops.mathematics.coefficients import COS, SIN
from chainrule.loops.mathematics.huge import huge_angle
from chainrule.loops.scalar import Node, bits, cast, fma, rare, select

QUARTER_TURN = {
    "f64": (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
    "f32": (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
}
_INVERSE = 0.6366197723675814

# Up to here the multiples of ½·π taken off are exact enough; beyond, `huge` takes over.
_LIMIT = {"f64": 2.0**28, "f32": 2.0**16}


def sin(x: Node) -> Node:
    """The sine, of radians."""
    r, quadrant = _reduced(abs(x))
    y = sine_at(r, quadrant, bits(x, layout(x).whole))
    return rare(abs(x) >= _LIMIT[x.kind], "sin_huge", y, x)


def cos(x: Node) -> Node:
    """The cosine, of radians."""
    r, quadrant = _reduced(abs(x))
    y = sine_at(r, quadrant + 1, x.graph.const(0, layout(x).whole))
    return rare(abs(x) >= _LIMIT[x.kind], "cos_huge", y, x)


def tan(x: Node) -> Node:
    """The tangent, of radians."""
    angle, quadrant = _reduced_parts(abs(x))
    y = tangent_at(angle, quadrant, bits(x, layout(x).whole))
    y = select(x.eq(0.0), x, y)
    return rare(abs(x) >= _LIMIT[x.kind], "tan_huge", y, x)


def sin_huge(x: Node) -> Node:
    """The sine of a huge number of radians."""
    r, quadrant = _sum(huge_angle(cast(x, "f64")))
    return cast(sine_at(r, quadrant, bits(cast(x, "f64"), "u64")), x.kind)


def cos_huge(x: Node) -> Node:
    """The cosine of a huge number of radians."""
    r, quadrant = _sum(huge_angle(cast(x, "f64")))
    return cast(sine_at(r, quadrant + 1, x.graph.const(0, "u64")), x.kind)


def tan_huge(x: Node) -> Node:
    """The tangent of a huge number of radians."""
    r, quadrant = huge_angle(cast(x, "f64"))
    return cast(tangent_at(r, quadrant, bits(cast(x, "f64"), "u64")), x.kind)


def _sum(reduced: tuple[Pair, Node]) -> tuple[Node, Node]:
    (high, low), quadrant = reduced
    return high + low, quadrant


def _reduced(size: Node) -> tuple[Node, Node]:
    """r, |r| ≤ ¼·π, and a number whose last two bits are the quadrant."""
    high, k, quadrant = _less_quarter_turns(size)
    _, second, third = QUARTER_TURN[size.kind]
    return fma(-k, third, fma(-k, second, high)), quadrant


def _reduced_parts(size: Node) -> tuple[Pair, Node]:
    """The same with r in two parts."""
    high, k, quadrant = _less_quarter_turns(size)
    _, second, third = QUARTER_TURN[size.kind]
    product, lost = two_product(k, second)
    high, low = two_sum(high, -product)
    return fast_two_sum(high, fma(-k, third, low - lost)), quadrant


def _less_quarter_turns(size: Node) -> tuple[Node, Node, Node]:
    """|x| - k·½·π but for what that number lacks to ½·π, which is exact; k; and k's last bits."""
    form = layout(size)
    shifted = fma(size, _INVERSE, form.shifter)
    k = shifted - form.shifter
    return fma(-k, QUARTER_TURN[size.kind][0], size), k, bits(shifted, form.whole)


def sine_at(r: Node, quadrant: Node, sign: Node) -> Node:
    """sin(r + quadrant·½·π) for |r| ≤ ¼·π, with the bits of a sign."""
    form = layout(r)
    square = r * r
    sine = fma(r * square, polynomial(square, SIN[r.kind]), r)
    cosine = fma(square * square, polynomial(square, COS[r.kind]), fma(square, -0.5, 1.0))
    y = select((quadrant & 1).ne(0), cosine, sine)
    half_turn = quadrant << (form.width - 2)
    return bits(bits(y, form.whole) ^ ((half_turn ^ sign) & form.sign), form.kind)


def sine_cosine_parts(angle: Pair) -> tuple[Pair, Pair]:
    """The sine and the cosine of |r| ≤ ¼·π, each in two parts."""
    r, lost = angle
    square = r * r
    sine = r, fma(r * square, polynomial(square, SIN[r.kind]), lost)
    less = fma(square * square, polynomial(square, COS[r.kind]), square * -0.5)
    return sine, (r.graph.const(1.0, r.kind), fma(-r, lost, less))


def tangent_at(angle: Pair, quadrant: Node, sign: Node) -> Node:
    """tan(r + quadrant·½·π) for |r| ≤ ¼·π, with the bits of a sign."""
    form = layout(angle[0])
    sine, cosine = sine_cosine_parts(angle)
    odd = (quadrant & 1).ne(0)
    top = select(odd, cosine[0], sine[0]), select(odd, cosine[1], sine[1])
    bottom = select(odd, sine[0], cosine[0]), select(odd, sine[1], cosine[1])
    high, low = quotient(top, bottom, 1 / (bottom[0] + bottom[1]))
    turned = quadrant << (form.width - 1)
    return bits(bits(high + low, form.whole) ^ ((turned ^ sign) & form.sign), form.kind)
