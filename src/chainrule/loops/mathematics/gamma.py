"""The gamma function, its logarithm, and the derivative of that."""

from __future__ import annotations

from chainrule.loops.mathematics.arithmetic import (
    Pair,
    below,
    fast_two_sum,
    layout,
    parts_product,
    polynomial,
    polynomial_parts,
    quotient,
    two_product,
    two_sum,
    zero,
)
from chainrule.loops.mathematics.coefficients import (
    DIGAMMA,
    DIGAMMA_TAIL,
    GAMMA,
    GAMMALN,
    STIRLING,
)
from chainrule.loops.mathematics.exponential import LOG2
from chainrule.loops.mathematics.logarithm import LOG2_E, log, log2_parts
from chainrule.loops.mathematics.power import exp2_parts
from chainrule.loops.mathematics.trigonometric import QUARTER_TURN, sine_cosine_parts, tangent_at
from chainrule.loops.scalar import Node, cast, floor, fma, is_nan, maximum, rare, rint, select

_INFINITY = float("inf")
_NAN = float("nan")
# From here on the asymptotic series are used, of Γ and of ψ.
_FAR = 8.0
_FAR_DIGAMMA = 6.0
# Beyond this, Γ is infinite.
_MOST = 200.0
# ½·log(2π) - ½, and the base-2 logarithm of √(2π), in two parts.
_LOG = {
    "f64": (0.4189385332046727, 1.6728209650585413e-17),
    "f32": (0.418938547372818, -1.4168144879533884e-08),
}
_LOG2 = {
    "f64": (1.3257480647361595, -7.153413670427599e-17),
    "f32": (1.325748085975647, -2.1239488390278893e-08),
}
# log(π), in two parts.
_LOG_PI = (1.1447298858494002, 1.0265951162707826e-17)
# Where ψ is 0, in two parts.
_ROOT = {
    "f64": (1.4616321449683622, 9.549995429965697e-17),
    "f32": (1.4616321325302124, 1.243815006546356e-08),
}


def gammaln(x: Node) -> Node:
    """log |Γ(x)|."""
    high, low = _gammaln_positive(x)
    y = select(high < _INFINITY, high + low, high)
    return rare(x <= 0.0, "gammaln_negative", y, x)


def gammaln_negative(x: Node) -> Node:
    """The same for x ≤ 0, from |Γ(x)·Γ(-x)| = π/|x·sin(π·x)|."""
    if x.kind != "f64":
        return cast(gammaln_negative(cast(x, "f64")), x.kind)
    size = abs(x)
    product, rest = parts_product((size, zero(x)), _sine_of_turns(size))
    high, low = parts_product(log2_parts(product), _pair(x, LOG2))
    low = low + rest / product
    other, other_low = _gammaln_positive(size)
    first, second = _LOG_PI
    total, lost = two_sum(x.graph.const(first, "f64"), -high)
    total, more = two_sum(total, -other)
    y = total + ((lost + more) + (second - low - other_low))
    pole = size.eq(rint(size))
    return select(size < layout(x).digit, -log(size), select(pole, _INFINITY, y))


def _gammaln_positive(x: Node) -> Pair:
    far = x >= _FAR
    s, product, down = _near_two(x)
    high, low = log2_parts(select(far, x, product[0]))
    high, low = parts_product((high, low), _pair(x, LOG2))
    # Near: log Γ(2 + s), plus or minus the logarithm of the product.
    core, rest = parts_product((s, zero(x)), polynomial_parts(s, GAMMALN[x.kind], 2))
    more = low + product[1] / product[0]
    near, lost = two_sum(select(down, -high, high), core)
    near_low = (lost + select(down, -more, more)) + rest
    # Far: Stirling's series, with log(x) - 1 as a factor, since log(x) would overflow too early.
    inverse = 1 / x
    rest = inverse * polynomial(inverse * inverse, STIRLING[x.kind])
    less, lost = fast_two_sum(high, x.graph.const(-1.0, x.kind))
    total, lost = parts_product((x - 0.5, zero(x)), (less, lost + low))
    first, second = _LOG[x.kind]
    y, more = fast_two_sum(total, x.graph.const(first, x.kind))
    y_low = lost + (more + (rest + second))
    return select(far, y, select(is_nan(x), x, near)), select(far, y_low, near_low)


def gamma(x: Node) -> Node:
    """The gamma function."""
    high, low = _gamma_near(x)
    near = select(x < layout(x).digit ** 2, 1 / x, high + low)
    far = exp2_parts(*_log2_gamma_far(below(x, _MOST)))
    return rare(x < 0.0, "gamma_negative", select(x >= _FAR, far, near), x)


def gamma_negative(x: Node) -> Node:
    """The same for x < 0, from Γ(x)·Γ(-x) = -π/(x·sin(π·x))."""
    if x.kind != "f64":
        return cast(gamma_negative(cast(x, "f64")), x.kind)
    size = abs(x)
    bottom = parts_product((size, zero(x)), _sine_of_turns(size))
    pi = tuple(2.0 * part for part in QUARTER_TURN["f64"][:2])
    pi_parts = x.graph.const(pi[0], "f64"), x.graph.const(pi[1], "f64")
    whole = parts_product(bottom, _gamma_near(size))
    high, low = quotient(pi_parts, whole, 1 / whole[0])
    first, second = _log2_gamma_far(below(size, _MOST))
    factor = quotient(pi_parts, bottom, 1 / bottom[0])
    far = exp2_parts(-first, -second, factor)
    y = select(size < _FAR, high + low, far)
    # Between -1 and 0 it is negative, between -2 and -1 positive, and so on.
    half = floor(size) * 0.5
    y = select(half.eq(rint(half)), -y, y)
    y = select(size < layout(x).digit, 1 / x, y)
    return select(size.eq(rint(size)), _NAN, y)


def _gamma_near(x: Node) -> Pair:
    """Γ(x) in two parts, for 0 < x < 8."""
    s, product, down = _near_two(x)
    core = fast_two_sum(x.graph.const(1.0, x.kind), s * polynomial(s, GAMMA[x.kind]))
    divided = quotient(core, product, 1 / product[0])
    multiplied = parts_product(core, product)
    return select(down, divided[0], multiplied[0]), select(down, divided[1], multiplied[1])


def _log2_gamma_far(x: Node) -> Pair:
    """Stirling's series to base 2, in two parts, for x ≥ 8."""
    inverse = 1 / x
    rest = inverse * polynomial(inverse * inverse, STIRLING[x.kind])
    high, low = parts_product((x - 0.5, zero(x)), log2_parts(x))
    less, less_low = parts_product((x, zero(x)), _pair(x, LOG2_E))
    total, lost = two_sum(high, -less)
    first, second = _LOG2[x.kind]
    total, more = fast_two_sum(total, x.graph.const(first, x.kind))
    lost = (lost + more) + (low - less_low) + fma(rest, LOG2_E[x.kind][0], second)
    return fast_two_sum(total, lost)


def _near_two(x: Node) -> tuple[Node, Pair, Node]:
    """s, a product and whether to divide by it: Γ(x) = Γ(2 + s)·product, for 0 < x < 8."""
    g = x.graph
    nothing, one = zero(x), g.const(1.0, x.kind)
    steps = rint(x - 2.0)
    steps = select(x < 0.5, -2.0, select(x < 1.5, -1.0, maximum(steps, 0.0)))
    high, low = select(steps >= 1.0, x - 1.0, one), nothing
    for i in range(2, 7):
        longer = parts_product((high, low), (x - float(i), nothing))
        taken = steps >= float(i)
        high, low = select(taken, longer[0], high), select(taken, longer[1], low)
    twice = fast_two_sum(one, x)
    twice = parts_product((x, nothing), twice)
    down, far_down = steps < 0.0, steps < -1.0
    high = select(far_down, twice[0], select(down, x, high))
    low = select(far_down, twice[1], select(down, nothing, low))
    return x - (steps + 2.0), (high, low), down


def _sine_of_turns(size: Node) -> Pair:
    """|sin(π·x)| in two parts."""
    fraction = abs(size - rint(size))
    narrow = fraction < 0.25
    sine, cosine = sine_cosine_parts(_half_turns(select(narrow, fraction, 0.5 - fraction)))
    return fast_two_sum(select(narrow, sine[0], cosine[0]), select(narrow, sine[1], cosine[1]))


def _half_turns(x: Node) -> Pair:
    """π·x in two parts."""
    first, second, _ = QUARTER_TURN[x.kind]
    high, low = two_product(x, 2 * first)
    return fast_two_sum(high, fma(x, 2 * second, low))


def digamma(x: Node) -> Node:
    """The derivative of log Γ."""
    y = _digamma_positive(x)
    return rare(x <= 0.0, "digamma_negative", y, x)


def digamma_negative(x: Node) -> Node:
    """The same for x ≤ 0, from ψ(x) = ψ(1 - x) - π/tan(π·x)."""
    if x.kind != "f64":
        return cast(digamma_negative(cast(x, "f64")), x.kind)
    g = x.graph
    fraction = x - rint(x)
    size = abs(fraction)
    narrow = size < 0.25
    # 1/tan of an angle is minus the tangent a quarter turn on, and that of one less also.
    quadrant = select(narrow, g.const(1, "u64"), g.const(0, "u64"))
    angle = _half_turns(select(narrow, size, size - 0.5))
    pi = _pair(x, {"f64": (2 * QUARTER_TURN["f64"][0], 2 * QUARTER_TURN["f64"][1])})
    cotangent = -tangent_at(angle, quadrant, g.const(0, "u64"))
    cotangent = select(fraction < 0.0, -cotangent, cotangent)
    part, lost = parts_product((cotangent, zero(x)), pi)
    y = (_digamma_positive(*two_sum(g.const(1.0, "f64"), -x)) - part) - lost
    y = select(abs(x) < layout(x).digit, -1 / x, y)
    return select(fraction.eq(0.0) & x.ne(0.0), _NAN, y)


def _digamma_positive(x: Node, more: Node | None = None) -> Node:
    """ψ(x + more), where x < 3 and elsewhere ψ(x)."""
    g = x.graph
    far = x >= _FAR_DIGAMMA
    nothing, one = zero(x), g.const(1.0, x.kind)
    # ψ(x) = ψ(y) + 1/y + … + 1/(x - 1) for y between 2 and 3, or ψ(1 + x) - 1/x.
    low = x < 1.0
    y = select(low, x + 1, select(x < 3.0, x, x - floor(x - 2.0)))
    top, bottom = select(low, -one, nothing), select(low, x, one)
    for i in range(1, 4):
        term = x - float(i)
        taken = term >= 2.0
        top = select(taken, fma(top, term, bottom), top)
        bottom = select(taken, bottom * term, bottom)
    first, second = _ROOT[x.kind]
    rest = select(low, x - (y - 1.0), nothing if more is None else more) - second
    core, lost = parts_product((y - first, rest), polynomial_parts(y - 2.0, DIGAMMA[x.kind], 1))
    inverse = 1 / bottom
    part = top * inverse
    near, more = two_sum(core, part)
    near = near + (more + fma(fma(-part, bottom, top), inverse, lost))
    near = select(x < layout(x).digit, part, near)
    inverse = 1 / x
    square = inverse * inverse
    beyond = log(x) - fma(square, polynomial(square, DIGAMMA_TAIL[x.kind]), inverse * 0.5)
    return select(far, beyond, near)


def _pair(x: Node, table: dict[str, tuple[float, float]]) -> Pair:
    high, low = table[x.kind]
    return x.graph.const(high, x.kind), x.graph.const(low, x.kind)
