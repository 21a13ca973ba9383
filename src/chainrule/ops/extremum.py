"""The larger, the smaller, and values kept between bounds.

Where two values tie, the derivative's weights `ties = (left, right)` are a parameter that is set
when the operation is recorded: (0, 0) beside a literal, which has no derivative of its own, and
(½, ½) otherwise. Rules read the parameter alone, so no later step can change what a tie gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.ir.bound import EXACT
from chainrule.ir.primitive import Case, Draw, Irregular, Partials, Primitive, Scalar
from chainrule.ops import float_loops
from chainrule.ops.family import binary, elementwise
from chainrule.tracing.buffer import Buffer
from chainrule.tracing.table import KEEPS_BUFFERS, TABLE, implements
from chainrule.tracing.trace import apply
from chainrule.tracing.tracer import Tracer

Ties = tuple[float, float]
EVEN: Ties = (0.5, 0.5)
NONE: Ties = (0.0, 0.0)


def is_literal(value: Any) -> bool:
    """A number written in the program, or zeros that nobody has touched."""
    if type(value) is Buffer:
        return value.is_zero()
    return type(value) is not Tracer and not isinstance(value, np.ndarray)


def _weight(wins: Any, x: Any, y: Any, tie: float) -> Any:
    """1 where one side wins, `tie` where both are equal: a truth value when that is 0."""
    if tie == 0.0:
        return wins
    return np.where(np.equal(x, y), np.result_type(x, y).type(tie), wins)


def _extremum(ufunc: np.ufunc, beats: Callable[[Any, Any], Any], sign: int) -> Primitive:
    """maximum (sign 1) or minimum (−1); `beats(x, y)` says where x is the result."""

    def symbolic(S: Any, x: Any, y: Any, *, ties: Ties) -> Any:
        x, y = S.sympify(x), S.sympify(y)
        middle = (x + y) / 2
        if ties == NONE:
            middle = x if x.is_number else y
        return S.Piecewise((x, sign * x > sign * y), (y, sign * x < sign * y), (middle, True))

    op = elementwise(
        ufunc,
        Partials(
            lambda z, x, y, *, ties: _weight(beats(x, y), x, y, ties[0]),
            lambda z, x, y, *, ties: _weight(beats(y, x), x, y, ties[1]),
        ),
        value=lambda x, y, *, ties: ufunc(x, y),
        symbolic=symbolic,
        lower=Scalar(float_loops.extremum(sign > 0, ufunc in (np.maximum, np.minimum))),
        bound=EXACT,
        cases=(
            *binary((-2.0, -0.1), (0.1, 2.0), "df", params={"ties": EVEN}),
            *binary((0.1, 2.0), (-2.0, -0.1), params={"ties": EVEN})[:3],
            *binary((-2.0, -0.1), (0.1, 2.0), params={"ties": NONE})[:3],
            Case((Draw((3,), 0.1, 2.0), 0.0), {"ties": NONE}, "literal"),
        ),
        irregular=(Irregular("kink", lambda z, x, y, ties: np.equal(x, y), "both are equal"),),
    )

    def choose(x: Any, y: Any) -> Any:
        ties = NONE if is_literal(x) or is_literal(y) else EVEN
        return apply(op, x, y, ties=ties)

    TABLE[ufunc] = choose
    KEEPS_BUFFERS.add(ufunc)
    return op


def _or_other_is_nan(beats: np.ufunc) -> Callable[[Any, Any], Any]:
    def wins(x: Any, y: Any) -> Any:
        return np.logical_or(beats(x, y), np.logical_and(np.isnan(y), np.logical_not(np.isnan(x))))

    return wins


maximum = _extremum(np.maximum, np.greater, 1)
minimum = _extremum(np.minimum, np.less, -1)
fmax = _extremum(np.fmax, _or_other_is_nan(np.greater), 1)
fmin = _extremum(np.fmin, _or_other_is_nan(np.less), -1)


@implements(np.clip, lists=True)
def _clip(
    a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None
) -> Any:  # fmt: skip
    low = _bound(a_min, min, "a_min", "min")
    high = _bound(a_max, max, "a_max", "max")
    if low is not None:
        a = np.maximum(a, low)
    if high is not None:
        a = np.minimum(a, high)
    return np.positive(a) if low is None and high is None else a


def _bound(given: Any, named: Any, name: str, other: str) -> Any:
    """A bound of clip, by either of its two names."""
    given = None if given is np._NoValue else given
    named = None if named is np._NoValue else named
    if given is not None and named is not None:
        raise ArgumentError(
            f"clip: give {name} or {other}, not both", fix="leave one of the two out"
        )
    return named if given is None else given
