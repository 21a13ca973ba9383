"""Rounding, remainders and signs: steps, and what is left between them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.ir.bound import EXACT, Own, Ulps
from chainrule.ir.primitive import Case, Draw, Flat, Irregular, Partials, Scalar
from chainrule.ops import float_loops, whole_loops
from chainrule.ops.family import (
    binary,
    elementwise,
    elementwise_batch,
    elementwise_type,
    primitive,
    unary,
)
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply

_STEP = (Irregular("jump", lambda y, x: np.equal(x, y), "a step at every whole number"),)
_HALF_STEP = (
    Irregular(
        "jump",
        lambda y, x: np.equal(np.absolute(np.remainder(np.real(x), 1.0)), 0.5),
        "a step halfway between whole numbers",
    ),
)
_WHOLE = (*unary(dtypes="df"), Case((Draw((3,), dtype="i8"),)))

floor = elementwise(
    np.floor,
    Flat(),
    symbolic=lambda S, x: S.floor(x),
    lower=Scalar(float_loops.whole("floor")),
    bound=EXACT,
    cases=_WHOLE,
    irregular=_STEP,
)

ceil = elementwise(
    np.ceil,
    Flat(),
    symbolic=lambda S, x: S.ceiling(x),
    lower=Scalar(float_loops.whole("ceil")),
    bound=EXACT,
    cases=_WHOLE,
    irregular=_STEP,
)

trunc = elementwise(
    np.trunc,
    Flat(),
    symbolic=lambda S, x: S.sign(x) * S.floor(S.Abs(x)),
    lower=Scalar(float_loops.whole("trunc")),
    bound=EXACT,
    cases=_WHOLE,
    irregular=(
        Irregular(
            "jump",
            lambda y, x: np.logical_and(np.equal(x, y), np.not_equal(x, 0)),
            "a step at every whole number but 0",
        ),
    ),
)

rint = elementwise(
    np.rint,
    Flat(),
    symbolic=None,
    lower=Scalar(lambda s, x: s.unary("rint", x)),
    bound=EXACT,
    cases=unary(dtypes="dfD"),
    irregular=_HALF_STEP,
)

round_ = primitive(
    name="round",
    type_rule=lambda x, decimals: elementwise_type(np.rint if x.dtype.kind == "b" else np.positive)(
        x
    ),
    value=lambda x, decimals: np.round(x, decimals),
    derivative=Flat(),
    batch=elementwise_batch,
    symbolic=None,
    lower=Scalar(float_loops.rounded),
    bound=Ulps(1, 1),
    cases=(
        *unary(dtypes="dfD", params={"decimals": 0}),
        *unary(params={"decimals": 2}),
        Case((Draw((3,), 0, 90, "i8"),), {"decimals": -1}),
    ),
    irregular=(
        Irregular(
            "jump",
            lambda y, x, decimals: np.equal(
                np.absolute(np.remainder(np.real(x) * 10.0**decimals, 1.0)), 0.5
            ),
            "a step halfway between round numbers",
        ),
    ),
)


@implements(np.round, np.around, lists=True)
def _round(a: Any, decimals: Any = 0) -> Any:
    return apply(round_, TABLE["operand"](a), decimals=operator.index(decimals))


@implements(np.fix, lists=True)
def _fix(x: Any) -> Any:
    return np.trunc(TABLE["operand"](x))


@implements(np.modf)
def _modf(x: Any, /) -> tuple[Any, Any]:
    """Fractional and whole part, both with the sign of x."""
    whole = np.trunc(x)
    fraction = np.where(np.isinf(x), 0.0, np.subtract(x, whole))
    return np.copysign(fraction, x), whole


# ---- signs ---------------------------------------------------------------------------------------

_AT_ZERO = (Irregular("jump", lambda y, x: np.equal(x, 0), "the sign changes"),)

sign = elementwise(
    np.sign,
    Flat(),
    symbolic=lambda S, x: S.sign(x),
    lower=Scalar(float_loops.sign),
    bound=EXACT,
    cases=(*unary(dtypes="df"), Case((Draw((3,), dtype="i8"),))),
    irregular=_AT_ZERO,
)


@implements(np.sign)
def _sign(x: Any, /) -> Any:
    """Of a complex number z/|z|, which is not flat."""
    if x.dtype.kind != "c":
        return apply(sign, x)
    size = np.absolute(x)
    none = np.equal(size, 0)
    return np.where(none, 0, x / np.where(none, 1, size))


absolute = elementwise(
    np.absolute,
    Partials(lambda y, x: np.sign(x)),
    symbolic=lambda S, x: S.Piecewise((x, x > 0), (-x, x < 0), (S.Integer(0), True)),
    lower=Scalar(float_loops.absolute),
    bound=EXACT,
    cases=(*unary(0.1, 2.0, dtypes="df"), *unary(-2.0, -0.1)),
    weak=True,
    irregular=(Irregular("kink", lambda y, x: np.equal(x, 0), "the slopes are −1 and 1"),),
)


@implements(np.absolute)
def _absolute(x: Any, /) -> Any:
    return TABLE["modulus"](x) if x.dtype.kind == "c" else apply(absolute, x)


fabs = elementwise(
    np.fabs,
    Partials(lambda y, x: np.sign(x)),
    symbolic=lambda S, x: S.Piecewise((x, x > 0), (-x, x < 0), (S.Integer(0), True)),
    lower=Scalar(float_loops.absolute),
    bound=EXACT,
    cases=absolute.cases,
    irregular=absolute.irregular,
)

copysign = elementwise(
    np.copysign,
    Partials(lambda z, x, y: np.sign(x) * np.copysign(np.result_type(x, y).type(1), y), 0.0),
    symbolic=None,
    lower=Scalar(lambda s, x, y: s.copysign(x, y)),
    bound=EXACT,
    cases=(*binary(right=(0.2, 2.0), dtypes="df"), *binary(left=(-2.0, -0.2))),
    irregular=(
        Irregular(
            "kink",
            lambda z, x, y: np.logical_or(np.equal(x, 0), np.equal(y, 0)),
            "the sign changes",
        ),
    ),
)

heaviside = elementwise(
    np.heaviside,
    Partials(0.0, lambda z, x, y: np.equal(x, 0)),
    symbolic=lambda S, x, y: S.Piecewise((1, x > 0), (0, x < 0), (y, True)),
    lower=Scalar(float_loops.heaviside),
    bound=EXACT,
    cases=(*binary(left=(0.2, 2.0), dtypes="df"), *binary(left=(-2.0, -0.2))[:1]),
    irregular=(Irregular("jump", lambda z, x, y: np.equal(x, 0), "the step"),),
)

nextafter = elementwise(
    np.nextafter,
    Partials(1.0, 0.0),
    symbolic=None,
    lower=Scalar(float_loops.next_after),
    bound=EXACT,
    cases=binary(dtypes="df"),
)

spacing = elementwise(
    np.spacing,
    Flat(),
    symbolic=None,
    lower=Scalar(float_loops.spacing),
    bound=EXACT,
    cases=unary(dtypes="df"),
)


# ---- quotients and remainders --------------------------------------------------------------------

_PAIRS = (
    *binary(right=(0.5, 2.0), dtypes="df"),
    Case((Draw((3,), -9, 9, "i8"), Draw((3,), 1, 5, "i8"))),
)
# Quotients between 2 and 3, or −3 and −2: no step within reach of a difference.
_REMAINDERS = (
    *binary(left=(2.2, 2.4), right=(0.9, 1.0), dtypes="df"),
    *binary(left=(-2.4, -2.2), right=(0.9, 1.0))[:2],
)
_MULTIPLE = Irregular(
    "jump",
    lambda z, x, y: np.equal(np.remainder(x, y), 0),
    "a step where the first is a multiple of the second",
)
_BY_ZERO = Irregular("domain", lambda z, x, y: np.equal(y, 0), "division by zero")

floor_divide = elementwise(
    np.floor_divide,
    Flat(),
    symbolic=lambda S, x, y: S.floor(x / y),
    lower=whole_loops.division("floor_divide", whole_loops.floored),
    bound=Own("floor_divide"),
    cases=_PAIRS,
    weak=True,
    irregular=(_MULTIPLE, _BY_ZERO),
)

remainder = elementwise(
    np.remainder,
    Partials(1.0, lambda z, x, y: -np.floor_divide(x, y)),
    symbolic=None,  # SymPy leaves the derivative of floor undone
    lower=whole_loops.division("remainder", whole_loops.modulo),
    bound=Own("remainder"),
    cases=_REMAINDERS,
    weak=True,
    irregular=(_MULTIPLE, _BY_ZERO),
)

fmod = elementwise(
    np.fmod,
    Partials(1.0, lambda z, x, y: -np.trunc(np.divide(x, y))),
    symbolic=None,
    lower=whole_loops.division("fmod", whole_loops.rest),
    bound=Own("fmod"),
    cases=_REMAINDERS,
    irregular=(_MULTIPLE, _BY_ZERO),
)


@implements(np.divmod)
def _divmod(x1: Any, x2: Any, /) -> tuple[Any, Any]:
    return np.floor_divide(x1, x2), np.remainder(x1, x2)
