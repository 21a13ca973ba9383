"""Arithmetic: + − × ÷, powers and roots."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ir.primitive import Irregular, Partials
from chainrule.ops.family import binary, elementwise, unary
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply
from chainrule.tracing.tracer import Tracer

add = elementwise(
    np.add,
    Partials(1.0, 1.0),
    symbolic=lambda S, x, y: x + y,
    cases=binary(dtypes="dfD"),
    weak=True,
)

subtract = elementwise(
    np.subtract,
    Partials(1.0, -1.0),
    symbolic=lambda S, x, y: x - y,
    cases=binary(dtypes="dfD"),
    weak=True,
)

multiply = elementwise(
    np.multiply,
    Partials(lambda z, x, y: y, lambda z, x, y: x),
    symbolic=lambda S, x, y: x * y,
    cases=binary(dtypes="dfD"),
    weak=True,
)

divide = elementwise(
    np.true_divide,
    # np.divide, not 1/y: a literal y of 0.0 would raise in Python where NumPy says inf.
    Partials(lambda z, x, y: np.divide(1.0, y), lambda z, x, y: -z / y),
    symbolic=lambda S, x, y: x / y,
    cases=binary(right=(0.5, 2.0), dtypes="dfD"),
    weak=True,
    irregular=(Irregular("domain", lambda z, x, y: np.equal(y, 0), "division by zero"),),
)

negative = elementwise(
    np.negative,
    Partials(-1.0),
    symbolic=lambda S, x: -x,
    cases=unary(dtypes="dfD"),
    weak=True,
)

positive = elementwise(
    np.positive,
    Partials(1.0),
    symbolic=lambda S, x: x,
    cases=unary(dtypes="dfD"),
    weak=True,
)

reciprocal = elementwise(
    np.reciprocal,
    Partials(lambda y, x: -y * y),
    symbolic=lambda S, x: 1 / x,
    cases=unary(0.5, 2.0, dtypes="dfD"),
    irregular=(Irregular("domain", lambda y, x: np.equal(x, 0), "division by zero"),),
)

square = elementwise(
    np.square,
    Partials(lambda y, x: 2 * x),
    symbolic=lambda S, x: x**2,
    cases=unary(dtypes="dfD"),
)

sqrt = elementwise(
    np.sqrt,
    Partials(lambda y, x: np.divide(0.5, y)),
    symbolic=lambda S, x: S.sqrt(x),
    cases=unary(0.1, 4.0, dtypes="dfD"),
    irregular=(
        Irregular("infinite", lambda y, x: np.equal(x, 0), "the square root is vertical at 0"),
        Irregular("domain", lambda y, x: np.isnan(y), "the square root of a negative number"),
    ),
)

cbrt = elementwise(
    np.cbrt,
    Partials(lambda y, x: np.divide(1.0 / 3.0, y * y)),
    symbolic=lambda S, x: S.sign(x) * S.Abs(x) ** S.Rational(1, 3),
    cases=unary(0.1, 4.0, dtypes="df"),
    irregular=(
        Irregular("infinite", lambda y, x: np.equal(x, 0), "the cube root is vertical at 0"),
    ),
)


# ---- powers ----------------------------------------------------------------------------------------


def _base_partial(z: Any, x: Any, y: Any) -> Any:
    """y·x^(y−1), and 0 where y = 0 whatever x is."""
    none = np.equal(y, 0)
    return np.where(none, 0, y * np.power(x, np.where(none, 1, y - 1)))


def _exponent_partial(z: Any, x: Any, y: Any) -> Any:
    """z·log x, with its limit 0 at x = 0 and y > 0."""
    zero = np.equal(x, 0)
    return np.where(
        zero, np.where(np.greater(y, 0), 0, np.log(x)), z * np.log(np.where(zero, 1, x))
    )


power = elementwise(
    np.power,
    Partials(_base_partial, _exponent_partial),
    symbolic=lambda S, x, y: x**y,
    cases=binary(left=(0.2, 2.0), right=(-2.0, 3.0), dtypes="dfD"),
    weak=True,
    irregular=(
        Irregular("domain", lambda z, x, y: np.isnan(z), "a fractional power of a negative number"),
        Irregular(
            "infinite",
            lambda z, x, y: np.logical_and(
                np.equal(x, 0), np.logical_and(y < 1, np.not_equal(y, 0))
            ),
            "a power below 1 is vertical at 0",
        ),
    ),
)


def _constant_power_partial(y: Any, x: Any, n: Any) -> Any:
    return np.multiply(n, TABLE[np.power](x, n - 1))


# x**n with a literal n: the exponent is settled when recorded, so that every derivative at 0 is
# right (n·x^(n−1) ends in 0 once n does, instead of 0·∞).
constant_power = elementwise(
    None,
    Partials(lambda y, x, *, n: _constant_power_partial(y, x, n)),
    name="constant_power",
    value=lambda x, *, n: np.power(x, n),
    symbolic=lambda S, x, *, n: x ** (S.Integer(int(n)) if float(n).is_integer() else S.Float(n)),
    cases=(
        *unary(0.3, 2.0, params={"n": 3}),
        *unary(0.3, 2.0, params={"n": 2.5}),
        *unary(-2.0, -0.3, params={"n": -2}),
    ),
    irregular=(
        Irregular("domain", lambda y, x, n: np.isnan(y), "a fractional power of a negative number"),
        Irregular(
            "infinite",
            lambda y, x, n: np.logical_and(np.equal(x, 0), n < 1),
            "a power below 1 is vertical at 0",
        ),
    ),
)


@implements(np.power)
def _power(x: Any, n: Any) -> Any:
    if type(n) in (int, float) and type(x) is Tracer:
        if n == 1:
            return apply(positive, x)
        if n == 2:
            return apply(square, x)
        if n == 0.5:
            return apply(sqrt, x)
        if n == 0:
            return np.ones(x.shape, np.result_type(x.dtype, type(n)(0)))[()]
        return apply(constant_power, x, n=n)
    return apply(power, x, n)


@implements(np.float_power)
def _float_power(x: Any, n: Any) -> Any:
    return apply(power, np.multiply(x, 1.0), np.multiply(n, 1.0))
