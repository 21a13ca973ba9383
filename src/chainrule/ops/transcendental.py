"""Exponentials, logarithms, circular and hyperbolic functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.ir.bound import ROUNDED, Own, Roundings, Ulps
from chainrule.ir.primitive import Irregular, Partials, Primitive, Scalar
from chainrule.ir.types import ArrayType
from chainrule.ops import float_loops
from chainrule.ops.family import binary, each, elementwise, elementwise_batch, primitive, unary
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply

_LN2 = math.log(2.0)
_LN10 = math.log(10.0)

# ---- exponentials --------------------------------------------------------------------------------

exp = elementwise(
    np.exp,
    Partials(lambda y, x: y),
    symbolic=lambda S, x: S.exp(x),
    lower=Scalar(lambda s, x: s.call("exp", x)),
    bound=Own("exp"),
    cases=unary(dtypes="dfD"),
)

exp2 = elementwise(
    np.exp2,
    Partials(lambda y, x: y * _LN2),
    symbolic=lambda S, x: 2**x,
    lower=Scalar(lambda s, x: s.call("exp2", x)),
    bound=Own("exp2"),
    cases=unary(dtypes="dfD"),
)

expm1 = elementwise(
    np.expm1,
    Partials(lambda y, x: y + 1),
    symbolic=lambda S, x: S.exp(x) - 1,
    lower=Scalar(lambda s, x: s.call("expm1", x)),
    bound=Own("expm1"),
    cases=unary(dtypes="dfD"),
)


# ---- logarithms ----------------------------------------------------------------------------------


def _log_edges(at: float) -> tuple[Irregular, ...]:
    return (
        Irregular("infinite", lambda y, x: np.equal(x, at), f"the logarithm falls to −∞ at {at:g}"),
        Irregular("domain", lambda y, x: np.isnan(y), "the logarithm of a negative number"),
    )


log = elementwise(
    np.log,
    Partials(lambda y, x: np.divide(1.0, x)),
    symbolic=lambda S, x: S.log(x),
    lower=Scalar(lambda s, x: s.call("log", x)),
    bound=Own("log"),
    cases=unary(0.1, 3.0, dtypes="dfD"),
    irregular=_log_edges(0),
)

log2 = elementwise(
    np.log2,
    Partials(lambda y, x: np.divide(1.0 / _LN2, x)),
    symbolic=lambda S, x: S.log(x) / S.log(2),
    lower=Scalar(lambda s, x: s.call("log2", x)),
    bound=Own("log2"),
    cases=unary(0.1, 3.0, dtypes="dfD"),
    irregular=_log_edges(0),
)

log10 = elementwise(
    np.log10,
    Partials(lambda y, x: np.divide(1.0 / _LN10, x)),
    symbolic=lambda S, x: S.log(x) / S.log(10),
    lower=Scalar(lambda s, x: s.call("log10", x)),
    bound=Own("log10"),
    cases=unary(0.1, 3.0, dtypes="dfD"),
    irregular=_log_edges(0),
)

log1p = elementwise(
    np.log1p,
    Partials(lambda y, x: np.divide(1.0, x + 1)),
    symbolic=lambda S, x: S.log(1 + x),
    lower=Scalar(lambda s, x: s.call("log1p", x)),
    bound=Own("log1p"),
    cases=unary(-0.8, 3.0, dtypes="dfD"),
    irregular=_log_edges(-1),
)


def _gap_value(x: Any, y: Any) -> Any:
    with np.errstate(invalid="ignore"):
        return np.where(np.equal(x, y), 0.0, np.subtract(x, y))[()]


# An operation of its own, as a choice between branches would have derivatives carry masks.
gap = elementwise(
    None,
    Partials(1.0, -1.0),
    name="gap",
    value=_gap_value,
    symbolic=lambda S, x, y: x - y,
    lower=Scalar(lambda s, x, y: s.select(s.compare("eq", x, y), s.const(0, x.kind), x - y)),
    bound=ROUNDED,
    cases=binary(dtypes="df"),
)


def _share(x: Any, z: Any) -> Any:
    """log of one term's share of a sum of exponentials; never ∞ − ∞."""
    return apply(gap, x, z)


logaddexp = elementwise(
    np.logaddexp,
    # The exponents are never positive, so nothing overflows.
    Partials(
        lambda z, x, y: np.exp(_share(x, z)),
        lambda z, x, y: np.exp(_share(y, z)),
    ),
    symbolic=lambda S, x, y: S.log(S.exp(x) + S.exp(y)),
    lower=Scalar(lambda s, x, y: s.call("logaddexp", x, y)),
    bound=Own("logaddexp", of="the larger term"),
    cases=binary(dtypes="df"),
)

logaddexp2 = elementwise(
    np.logaddexp2,
    Partials(
        lambda z, x, y: np.exp2(_share(x, z)),
        lambda z, x, y: np.exp2(_share(y, z)),
    ),
    symbolic=lambda S, x, y: S.log(2**x + 2**y) / S.log(2),
    lower=Scalar(float_loops.logaddexp2),
    bound=Ulps(3, 3, of="the larger term"),
    cases=binary(dtypes="df"),
)


# ---- circular functions --------------------------------------------------------------------------

sin = elementwise(
    np.sin,
    Partials(lambda y, x: np.cos(x)),
    symbolic=lambda S, x: S.sin(x),
    lower=Scalar(lambda s, x: s.call("sin", x)),
    bound=Own("sin"),
    cases=unary(dtypes="dfD"),
)

cos = elementwise(
    np.cos,
    Partials(lambda y, x: -np.sin(x)),
    symbolic=lambda S, x: S.cos(x),
    lower=Scalar(lambda s, x: s.call("cos", x)),
    bound=Own("cos"),
    cases=unary(dtypes="dfD"),
)

tan = elementwise(
    np.tan,
    Partials(lambda y, x: 1 + y * y),
    symbolic=lambda S, x: S.tan(x),
    lower=Scalar(lambda s, x: s.call("tan", x)),
    bound=Own("tan"),
    cases=unary(-1.2, 1.2, dtypes="dfD"),
)


def _inverse_edges(name: str) -> tuple[Irregular, ...]:
    return (
        Irregular(
            "infinite", lambda y, x: np.equal(np.absolute(x), 1), f"{name} is vertical at −1 and 1"
        ),
        Irregular("domain", lambda y, x: np.isnan(y), f"{name} outside [−1, 1]"),
    )


arcsin = elementwise(
    np.arcsin,
    Partials(lambda y, x: 1 / np.sqrt((1 - x) * (1 + x))),
    symbolic=lambda S, x: S.asin(x),
    lower=Scalar(lambda s, x: s.call("arcsin", x)),
    bound=Own("arcsin"),
    cases=unary(-0.9, 0.9, dtypes="dfD"),
    irregular=_inverse_edges("arcsin"),
)

arccos = elementwise(
    np.arccos,
    Partials(lambda y, x: -1 / np.sqrt((1 - x) * (1 + x))),
    symbolic=lambda S, x: S.acos(x),
    lower=Scalar(lambda s, x: s.call("arccos", x)),
    bound=Own("arccos"),
    cases=unary(-0.9, 0.9, dtypes="dfD"),
    irregular=_inverse_edges("arccos"),
)

arctan = elementwise(
    np.arctan,
    Partials(lambda y, x: 1 / (1 + x * x)),
    symbolic=lambda S, x: S.atan(x),
    lower=Scalar(lambda s, x: s.call("arctan", x)),
    bound=Own("arctan"),
    cases=unary(dtypes="df"),
)

arctan2 = elementwise(
    np.arctan2,
    # Divided twice by the hypotenuse, which neither overflows nor underflows.
    Partials(
        lambda z, y, x: np.divide(x, np.hypot(x, y)) / np.hypot(x, y),
        lambda z, y, x: -np.divide(y, np.hypot(x, y)) / np.hypot(x, y),
    ),
    symbolic=lambda S, y, x: S.atan2(y, x),
    lower=Scalar(lambda s, x, y: s.call("arctan2", x, y)),
    bound=Own("arctan2"),
    cases=(*binary(right=(0.5, 2.0), dtypes="df"), *binary(left=(0.5, 2.0))),
    irregular=(
        Irregular(
            "jump",
            lambda z, y, x: np.logical_and(np.equal(y, 0), np.less_equal(x, 0)),
            "the angle jumps by 2π at the negative axis",
        ),
    ),
)


# ---- hyperbolic functions ------------------------------------------------------------------------

sinh = elementwise(
    np.sinh,
    Partials(lambda y, x: np.cosh(x)),
    symbolic=lambda S, x: S.sinh(x),
    lower=Scalar(lambda s, x: s.call("sinh", x)),
    bound=Own("sinh"),
    cases=unary(dtypes="dfD"),
)

cosh = elementwise(
    np.cosh,
    Partials(lambda y, x: np.sinh(x)),
    symbolic=lambda S, x: S.cosh(x),
    lower=Scalar(lambda s, x: s.call("cosh", x)),
    bound=Own("cosh"),
    cases=unary(dtypes="dfD"),
)

tanh = elementwise(
    np.tanh,
    Partials(lambda y, x: 1 - y * y),
    symbolic=lambda S, x: S.tanh(x),
    lower=Scalar(lambda s, x: s.call("tanh", x)),
    bound=Own("tanh"),
    cases=unary(dtypes="dfD"),
)

arcsinh = elementwise(
    np.arcsinh,
    Partials(lambda y, x: 1 / np.sqrt(x * x + 1)),
    symbolic=lambda S, x: S.asinh(x),
    lower=Scalar(lambda s, x: s.call("arcsinh", x)),
    bound=Own("arcsinh"),
    cases=unary(dtypes="df"),
)

arccosh = elementwise(
    np.arccosh,
    Partials(lambda y, x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1))),
    symbolic=lambda S, x: S.acosh(x),
    lower=Scalar(lambda s, x: s.call("arccosh", x)),
    bound=Own("arccosh"),
    cases=unary(1.2, 3.0, dtypes="dfD"),
    irregular=(
        Irregular("infinite", lambda y, x: np.equal(x, 1), "arccosh is vertical at 1"),
        Irregular("domain", lambda y, x: np.isnan(y), "arccosh below 1"),
    ),
)

arctanh = elementwise(
    np.arctanh,
    Partials(lambda y, x: 1 / ((1 - x) * (1 + x))),
    symbolic=lambda S, x: S.atanh(x),
    lower=Scalar(lambda s, x: s.call("arctanh", x)),
    bound=Own("arctanh"),
    cases=unary(-0.8, 0.8, dtypes="dfD"),
    irregular=_inverse_edges("arctanh"),
)


# ---- degrees -------------------------------------------------------------------------------------


def _turned(ufunc: np.ufunc, factor: float, symbolic: Any) -> Any:
    return elementwise(
        ufunc,
        Partials(factor),
        symbolic=symbolic,
        lower=Scalar(lambda s, x: x * factor),
        bound=Ulps(1.5, 1.5),
        cases=unary(dtypes="df"),
    )


deg2rad = _turned(np.deg2rad, math.pi / 180, lambda S, x: x * S.pi / 180)
radians = _turned(np.radians, math.pi / 180, lambda S, x: x * S.pi / 180)
rad2deg = _turned(np.rad2deg, 180 / math.pi, lambda S, x: x * 180 / S.pi)
degrees = _turned(np.degrees, 180 / math.pi, lambda S, x: x * 180 / S.pi)


# ---- sinc ----------------------------------------------------------------------------------------


def sinc_value(x: Any, order: int) -> Any:
    """The derivative of this order of sin(πx)/(πx), right at and near 0 as well.

    Far out by the product rule x·s⁽ᵏ⁾ + k·s⁽ᵏ⁻¹⁾ = πᵏ⁻¹ sin(πx + kπ/2); near 0, where that cancels,
    by the series Σ (−1)ᵐ (πx)²ᵐ/(2m+1)!, differentiated term by term.
    """
    x = np.asarray(x)
    if not order:
        return np.sinc(x)[()]
    u = math.pi * x
    far = np.where(np.absolute(u) > 2.0 + order, x, 1.0 + order)
    v = math.pi * far
    value = np.sin(v) / v
    for k in range(1, order + 1):
        value = (math.pi ** (k - 1) * np.sin(v + k * math.pi / 2) - k * value) / far
    near, square = np.zeros_like(u), u * u
    for term in float_loops.sinc_series(order):
        near = near * square + term
    near = near * u if order % 2 else near
    small = np.absolute(u) <= 2.0 + order
    return np.where(small, math.pi**order * near, value).astype(u.dtype)[()]


def _sinc_symbolic(S: Any, x: Any, *, order: int) -> Any:
    dummy = S.Dummy("x")
    return S.diff(S.sinc(S.pi * dummy), dummy, order).subs(dummy, x)


def _sinc_type(x: ArrayType, order: int) -> ArrayType:
    kind = x.dtype if x.dtype.kind in "fc" else np.dtype(float)
    return ArrayType(x.shape, kind)


sinc: Primitive = primitive(
    name="sinc",
    type_rule=_sinc_type,
    value=sinc_value,
    derivative=Partials(lambda y, x, order: apply(sinc, x, order=order + 1)),
    batch=elementwise_batch,
    symbolic=each(_sinc_symbolic),
    lower=Scalar(float_loops.sinc),
    bound=Roundings("", "π^order", 8, 8),
    cases=(
        *unary(dtypes="df", params={"order": 0}),
        *unary(0.5, 5.0, params={"order": 1})[:3],
        *unary(-0.2, 0.2, params={"order": 2})[:3],
    ),
)


@implements(np.sinc, lists=True)
def _sinc(x: Any) -> Any:
    return apply(sinc, TABLE["operand"](x), order=0)
