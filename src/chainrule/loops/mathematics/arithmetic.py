"""What the families share: the layout of floats, polynomials, and sums kept in two parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chainrule.loops.scalar import Node, bits, fma, is_const, select

Pair = tuple[Node, Node]


@dataclass(frozen=True)
class Format:
    """How a float type is laid out.

    Args:
        kind: f32 or f64.
        whole: The integers of its width.
        mantissa: Number of stored bits of the fraction.
        bias: Of the exponent.
    """

    kind: str
    whole: str
    mantissa: int
    bias: int

    @property
    def shifter(self) -> float:
        """Added to a number, leaves it rounded to a whole one in the lowest bits."""
        return 1.5 * 2.0**self.mantissa

    @property
    def exponent_shifter(self) -> float:
        """The same, and what is in the lowest bits is that whole number plus the bias."""
        return self.shifter + self.bias

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return 2.0 ** (1 - self.bias)

    @property
    def digit(self) -> float:
        """Half the distance from 1 to the next number."""
        return 2.0 ** (-1 - self.mantissa)

    @property
    def width(self) -> int:
        """Number of bits."""
        return int(self.kind[1:])

    @property
    def sign(self) -> int:
        """The bit of the sign."""
        return 1 << (self.width - 1)


FORMATS = {"f32": Format("f32", "u32", 23, 127), "f64": Format("f64", "u64", 52, 1023)}


def layout(x: Node) -> Format:
    """How the type of a float node is laid out."""
    return FORMATS[x.kind]


def polynomial(x: Node, coefficients: Sequence[float]) -> Node:
    """A polynomial, from the lowest power on.

    Neighbours are joined in pairs, and those of long ones again, so that much can run side by side;
    the rest goes one after the other, since every further power of x is one more product.
    """
    g = x.graph
    terms = [g.const(c, x.kind) for c in coefficients]
    power = x
    while len(terms) > 6 or power is x:
        pairs = [fma(b, power, a) for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[len(pairs) * 2 :]
        power = power * power
    result = terms.pop()
    while terms:
        result = fma(result, power, terms.pop())
    return result


def below(x: Node, limit: float) -> Node:
    """x, at most a limit; NaN stays."""
    return select(x > limit, limit, x)


def above(x: Node, limit: float) -> Node:
    """x, at least a limit; NaN stays."""
    return select(x < limit, limit, x)


def nearest(x: Node, factor: float) -> Pair:
    """n, x·factor rounded to a whole number; and n + `exponent_shifter`, made for `two_to`."""
    shifter = layout(x).exponent_shifter
    shifted = fma(x, factor, shifter)
    return shifted - shifter, shifted


def two_to(shifted: Node) -> Node:
    """2^n, if normal, from n + `exponent_shifter`."""
    form = layout(shifted)
    return bits(bits(shifted, form.whole) << form.mantissa, form.kind)


def scaled(x: Node, n: Node, shifted: Node) -> Node:
    """x·2^n for |n| up to twice the largest exponent, rounded once, from what `nearest` gave."""
    half, half_shifted = nearest(n, 0.5)
    return x * two_to(half_shifted) * two_to(shifted - half)


def two_sum(a: Node, b: Node) -> Pair:
    """a + b rounded, and what was lost."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)


def fast_two_sum(a: Node, b: Node) -> Pair:
    """a + b rounded, and what was lost; |a| ≥ |b| or a = 0."""
    total = a + b
    return total, b - (total - a)


def two_product(a: Node, b: Node | float) -> Pair:
    """a·b rounded, and what was lost."""
    product = a * b
    return product, fma(a, b, -product)


def zero(x: Node) -> Node:
    """The lower part of a number that has none; sums and products leave it out."""
    return x.graph.const(0.0, x.kind)


def parts_product(a: Pair, b: Pair) -> Pair:
    """The product of two numbers in two parts."""
    product, lost = two_product(a[0], b[0])
    for part, other in ((a[1], b[0]), (b[1], a[0])):
        if not is_const(part, 0):
            lost = fma(part, other, lost)
    return product, lost


def quotient(top: Pair, bottom: Pair, inverse: Node) -> Pair:
    """top/bottom in two parts, from the bottom's inverse."""
    exact = is_const(top[1], 0)
    first = (top[0] if exact else top[0] + top[1]) * inverse
    left = fma(-first, bottom[0], top[0])
    left = left if exact else left + top[1]
    return first, fma(-first, bottom[1], left) * inverse


def polynomial_parts(x: Node, coefficients: Sequence[float], count: int) -> Pair:
    """A polynomial in two parts: the first steps, so many, exactly; the rest is small to them."""
    g = x.graph
    value: Pair = polynomial(x, coefficients[count:]), zero(x)
    for coefficient in reversed(coefficients[:count]):
        high, low = parts_product((x, zero(x)), value)
        high, lost = fast_two_sum(g.const(coefficient, x.kind), high)
        value = high, lost + low
    return value
