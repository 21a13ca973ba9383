"""Huge angles, reduced with as many digits of π as they need.

Source: M. Payne, R. Hanek, Radian reduction for trigonometric functions, SIGNUM Newsletter 18
(1983).
"""

from __future__ import annotations

from chainrule.loops.mathematics.arithmetic import Pair, fast_two_sum, two_product, two_sum
from chainrule.loops.scalar import Node, bits, cast, fma, table

# The binary digits of 1/π after the point, after a word of zeros.
_INVERSE_PI = (
    0x0000000000000000, 0x517CC1B727220A94, 0xFE13ABE8FA9A6EE0, 0x6DB14ACC9E21C820,
    0xFF28B1D5EF5DE2B0, 0xDB92371D2126E970, 0x0324977504E8C90E, 0x7F0EF58E5894D39F,
    0x74411AFA975DA242, 0x74CE38135A2FBF20, 0x9CC8EB1CC1A99CFA, 0x4E422FC5DEFC941D,
    0x8FFC4BFFEF02CC07, 0xF79788C5AD05368F, 0xB69B3F6793E584DB, 0xA7A31FB34F2FF516,
    0xBA93DD63F5F2F8BD, 0x9E839CFBC5294975, 0x35FDAFD88FC6AE84, 0x2B0198237E3DB5D5,
    0xF867DE104D7A1B0E,
)  # fmt: skip
_QUARTER_TURN = (1.5707963267948966, 6.123233995736766e-17)
_HALF = 0xFFFFFFFF


def huge_angle(x: Node) -> tuple[Pair, Node]:
    """|x| = r + q·½·π, with |r| ≤ ¼·π in two parts, and q; r of an infinite x is NaN. x is f64."""
    first, second = _turns(x)
    # Of a turn's digits, the first two are the quadrant. The rest is read with a sign: an angle
    # below 0 is one before the next quadrant.
    top = bits((first << 2) | (second >> 62), "i64")
    quadrant = (first >> 62) + (bits(top, "u64") >> 63)
    # The fraction, in three parts each as long as a float can hold.
    high = cast(top >> 32, "f64") * 2.0**-32
    middle = cast(bits(top, "u64") & _HALF, "f64") * 2.0**-64
    high, low = two_sum(high, middle)
    high, low = fast_two_sum(high, low + cast(second << 2, "f64") * 2.0**-128)
    product, lost = two_product(high, _QUARTER_TURN[0])
    lost = fma(low, _QUARTER_TURN[0], fma(high, _QUARTER_TURN[1], lost))
    return fast_two_sum(product + (x - x), lost), quadrant


def _turns(x: Node) -> Pair:
    """|x|/2π without its whole part, as 128 binary digits; 2^-28 ≤ |x|."""
    pattern = bits(abs(x), "u64")
    mantissa = (pattern & 0xFFFFFFFFFFFFF) | (1 << 52)
    # x = mantissa·2^e. Digits of 1/π before the one at e count whole turns and are left out.
    position = (pattern >> 52) - (1075 - 63)
    words = [table(_INVERSE_PI, (position >> 6) + k, "u64") for k in range(4)]
    shift = position & 63
    window = [(words[k] << shift) | ((words[k + 1] >> 1) >> (63 - shift)) for k in range(3)]
    # The last 192 bits of mantissa·window, of which the first 128 are wanted.
    carry, _ = _wide_product(mantissa, window[2])
    upper, lower = _wide_product(mantissa, window[1])
    second = lower + carry
    upper = upper + cast(second < carry, "u64")
    return mantissa * window[0] + upper, second


def _wide_product(a: Node, b: Node) -> Pair:
    """The upper and the lower word of the product of two words."""
    a1, a0, b1, b0 = a >> 32, a & _HALF, b >> 32, b & _HALF
    lowest = a0 * b0
    middle = a1 * b0 + (lowest >> 32)
    other = a0 * b1 + (middle & _HALF)
    return a1 * b1 + (middle >> 32) + (other >> 32), a * b
