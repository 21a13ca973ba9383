"""Arithmetic: + − × ÷, powers and roots."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError
from chainrule.ir.bound import EXACT, ROUNDED, Own, Ulps
from chainrule.ir.primitive import Case, Draw, Irregular, Partials, Scalar
from chainrule.ir.types import result_dtype, type_of
from chainrule.ops import float_loops, whole_loops
from chainrule.ops.family import (
    binary,
    each,
    elementwise,
    elementwise_batch,
    elementwise_type,
    primitive,
    unary,
)
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply
from chainrule.tracing.tracer import Tracer

add = elementwise(
    np.add,
    Partials(1.0, 1.0),
    symbolic=lambda S, x, y: x + y,
    lower=Scalar(lambda s, x, y: x | y if x.kind == "i1" else x + y),
    bound=ROUNDED,
    cases=binary(dtypes="dfD"),
    weak=True,
)

subtract = elementwise(
    np.subtract,
    Partials(1.0, -1.0),
    symbolic=lambda S, x, y: x - y,
    lower=Scalar(lambda s, x, y: x - y),
    bound=ROUNDED,
    cases=binary(dtypes="dfD"),
    weak=True,
)

multiply = elementwise(
    np.multiply,
    Partials(lambda z, x, y: y, lambda z, x, y: x),
    symbolic=lambda S, x, y: x * y,
    lower=Scalar(lambda s, x, y: x * y),
    bound=ROUNDED,
    cases=(*binary(dtypes="dfD"), Case((Draw((3,)), Draw((3,), dtype="?")), note="by a condition")),
    weak=True,
)

_BY_ZERO = Irregular("domain", lambda z, x, y: np.equal(y, 0), "division by zero")


def _reciprocal(z: Any, x: Any, y: Any) -> Any:
    # np.divide, not 1/y: a literal y of 0.0 would raise in Python where NumPy says inf.
    quotient = np.divide(1.0, y)
    # Of a Python number it is one again, so that float32 stays float32.
    return quotient.item() if type(y) in (int, float, complex) else quotient


divide = elementwise(
    np.true_divide,
    Partials(_reciprocal, lambda z, x, y: -z / y),
    symbolic=lambda S, x, y: x / y,
    lower=Scalar(lambda s, x, y: x / y),
    bound=ROUNDED,
    cases=(*binary(right=(0.5, 2.0), dtypes="dfD"), *binary(right=(-2.0, -0.5))[:1]),
    weak=True,
    irregular=(_BY_ZERO,),
)

negative = elementwise(
    np.negative,
    Partials(-1.0),
    symbolic=lambda S, x: -x,
    lower=Scalar(lambda s, x: -x),
    bound=EXACT,
    cases=unary(dtypes="dfD"),
    weak=True,
)

positive = elementwise(
    np.positive,
    Partials(1.0),
    symbolic=lambda S, x: x,
    lower=Scalar(lambda s, x: x),
    bound=EXACT,
    cases=unary(dtypes="dfD"),
    weak=True,
)

reciprocal = elementwise(
    np.reciprocal,
    Partials(lambda y, x: -y * y),
    symbolic=lambda S, x: 1 / x,
    lower=whole_loops.reciprocal,
    bound=ROUNDED,
    cases=unary(0.5, 2.0, dtypes="dfD"),
    irregular=(Irregular("domain", lambda y, x: np.equal(x, 0), "division by zero"),),
)

square = elementwise(
    np.square,
    Partials(lambda y, x: 2 * x),
    symbolic=lambda S, x: x**2,
    lower=Scalar(lambda s, x: x * x),
    bound=ROUNDED,
    cases=unary(dtypes="dfD"),
)

sqrt = elementwise(
    np.sqrt,
    Partials(lambda y, x: np.divide(0.5, y)),
    symbolic=lambda S, x: S.sqrt(x),
    lower=Scalar(lambda s, x: s.unary("sqrt", x)),
    bound=ROUNDED,
    cases=unary(0.1, 4.0, dtypes="dfD"),
    irregular=(
        Irregular("infinite", lambda y, x: np.equal(x, 0), "the square root is vertical at 0"),
        Irregular("domain", lambda y, x: np.isnan(y), "the square root of a negative number"),
    ),
)

cbrt = elementwise(
    np.cbrt,
    Partials(lambda y, x: np.divide(1.0 / 3.0, y * y)),
    symbolic=lambda S, x: S.Piecewise((S.cbrt(x), x >= 0), (-S.cbrt(-x), True)),
    lower=Scalar(lambda s, x: s.call("cbrt", x)),
    bound=Own("cbrt"),
    cases=(*unary(0.1, 4.0, dtypes="df"), *unary(-4.0, -0.1)),
    irregular=(
        Irregular("infinite", lambda y, x: np.equal(x, 0), "the cube root is vertical at 0"),
    ),
)


def _leg(z: Any, x: Any, y: Any) -> Any:
    """x/z, and 0 at the origin: the slope of least norm at the tip of the cone."""
    none = np.equal(z, 0)
    return np.where(none, 0, np.divide(x, np.where(none, 1, z)))


hypot = elementwise(
    np.hypot,
    Partials(_leg, lambda z, x, y: _leg(z, y, x)),
    symbolic=lambda S, x, y: S.sqrt(x**2 + y**2),
    lower=Scalar(lambda s, x, y: s.call("hypot", x, y)),
    bound=Own("hypot"),
    cases=(*binary(right=(0.5, 2.0), dtypes="df"), *binary(left=(-2.0, -0.5))[:1]),
    irregular=(Irregular("kink", lambda z, x, y: np.equal(z, 0), "the tip of a cone"),),
)


# ---- powers --------------------------------------------------------------------------------------


def _base_partial(z: Any, x: Any, y: Any) -> Any:
    """y·x^(y−1), and 0 where y = 0 whatever x is."""
    none = np.equal(y, 0)
    return np.where(none, 0, y * np.power(x, np.where(none, 1, y - 1)))


def _exponent_partial(z: Any, x: Any, y: Any) -> Any:
    """z·log x, with its limit 0 at x = 0 and y > 0."""
    if type(x) in (int, float) and x > 0:
        return z * math.log(x)  # a literal base: its logarithm is a literal too
    zero = np.equal(x, 0)
    at_zero = np.where(np.greater(np.real(y), 0), 0, np.log(x))
    return np.where(zero, at_zero, z * np.log(np.where(zero, 1, x)))


power = elementwise(
    np.power,
    Partials(_base_partial, _exponent_partial),
    symbolic=lambda S, x, y: x**y,
    lower=whole_loops.power,
    bound=Own("power"),
    cases=(
        *binary(left=(0.2, 2.0), right=(-2.0, 3.0), dtypes="dfD"),
        Case((2.0, Draw((3,)))),
        Case((Draw((3,)), np.array([0, 1, 3]))),
    ),
    weak=True,
    irregular=(
        Irregular("domain", lambda z, x, y: np.isnan(z), "a fractional power of a negative number"),
        Irregular(
            "infinite",
            lambda z, x, y: np.equal(x, 0) & np.less(y, 1) & np.not_equal(y, 0),
            "a power below 1 is vertical at 0",
        ),
    ),
)


def _exact(S: Any, n: Any) -> Any:
    """A literal exponent in SymPy: whole numbers and short fractions stay exact."""
    if not isinstance(n, complex) and math.isfinite(n):
        exact = S.nsimplify(n, rational=True)
        return exact if abs(exact.q) <= 64 else S.Float(n)
    return S.sympify(n)


# x**n with a literal n: the exponent is settled when recorded, so that every derivative at 0 is
# right (n·x^(n−1) ends in 0 once n does, instead of 0·∞).
constant_power = primitive(
    name="constant_power",
    type_rule=lambda x, n: elementwise_type(np.power)(x, type_of(n)),
    value=lambda x, n: np.power(x, n),
    derivative=Partials(lambda y, x, n: n * x ** (n - 1) if n else 0.0),
    batch=elementwise_batch,
    symbolic=each(lambda S, x, *, n: x ** _exact(S, n)),
    lower=Scalar(float_loops.constant_power),
    bound=Ulps(5.5, 5.5),
    cases=(
        *unary(-2.0, 2.0, dtypes="dfD", params={"n": 3}),
        *unary(0.3, 2.0, dtypes="dfD", params={"n": 2.5}),
        *unary(-2.0, -0.3, params={"n": -2})[:2],
        *unary(0.3, 2.0, params={"n": -0.5})[:2],
    ),
    weak=True,
    irregular=(
        Irregular("domain", lambda y, x, n: np.isnan(y), "a fractional power of a negative number"),
        Irregular(
            "infinite",
            lambda y, x, n: np.equal(x, 0) & (n < 1 if isinstance(n, (int, float)) else False),
            "a power below 1 is vertical at 0",
        ),
    ),
)

_SHORT = {1: positive, 2: square, 0.5: sqrt, -1: reciprocal}


@implements(np.power)
def _power(x: Any, n: Any, /) -> Any:
    if type(x) is not Tracer or type(n) is Tracer or isinstance(n, np.ndarray):
        return apply(power, x, n)
    if type(n) in (int, float) and x.dtype.kind in "fc":
        return literal_power(x, n)
    dtype = result_dtype(type_of(x), type_of(n))
    if dtype.kind not in "fc":
        if dtype.kind in "iu" and n < 0:
            raise DtypeError(
                "power: an integer can't be raised to a negative integer power",
                {"base": type_of(x), "exponent": n},
                "make the base a float: x.astype(float)",
            )
        return apply(power, x, n)
    if x.dtype != dtype:
        x = TABLE["astype"](x, dtype)
    return literal_power(x, n.item() if isinstance(n, np.generic) else n)


def literal_power(x: Tracer, n: Any) -> Any:
    """x**n for a floating-point x and a Python number n."""
    n = int(n) if isinstance(n, bool) else n
    if type(n) is int and n.bit_length() > 1023:
        raise ArgumentError(
            "power: the exponent is too large for a floating-point number",
            {"exponent": f"an integer of {n.bit_length()} bits"},
            fix="write it as a float, such as 1e300; or take the logarithm: n * np.log(x)",
        )
    op = positive if n == 1 else None
    if not x.weak:
        # The short forms are strong: to NumPy's promotion np.sqrt(2.0) is a float64, 2.0**0.5 not.
        if n == 0:
            return np.ones(x.shape, x.dtype)[()]
        op = _SHORT.get(n)
    return apply(constant_power, x, n=n) if op is None else apply(op, x)


@implements(np.float_power)
def _float_power(x: Any, n: Any, /) -> Any:
    kinds = [t.dtype for t in map(type_of, (x, n))]
    dtype = functools.reduce(np.promote_types, kinds, np.dtype(float))
    return np.power(_at_least(x, dtype), _at_least(n, dtype))


def _at_least(x: Any, dtype: np.dtype[Any]) -> Any:
    """An operand of float_power in its precision; Python numbers stay what they are."""
    return x if type(x) in (int, float, complex) else TABLE["astype"](x, dtype)


@implements(np.ldexp)
def _ldexp(x: Any, n: Any, /) -> Any:
    x, n = TABLE["operand"](x), TABLE["operand"](n)
    if np.result_type(x).kind == "c" or np.result_type(n).kind not in "biu":
        raise DtypeError(
            "ldexp: needs a real number and an integer exponent",
            {"operand 0": type_of(x), "operand 1": type_of(n)},
            "write x * 2.0**n",
        )
    return np.multiply(x, np.exp2(TABLE["astype"](n, x.dtype)))
