"""What only matters where something isn't finite: kept from a product, or trusted to be finite.

Derivatives say with `withhold` what behind a choice must not count. Nearly always it wouldn't count
anyway, as it's multiplied by a zero: then a program is as right without, and shorter. A program
taken on that trust (optimise/trust.py) holds `without_nan` where a NaN would give it away.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ir.bound import EXACT
from chainrule.ir.primitive import Case, Draw, Linear
from chainrule.ir.types import ArrayType
from chainrule.ops.family import broadcast, each, elementwise_batch, primitive, sum_to
from chainrule.tracing.table import TABLE
from chainrule.tracing.trace import apply


class FoundNan(ArithmeticError):
    """A program that was taken on trust isn't right for these values: it met a NaN."""


def _withhold_value(x: Any, used: Any) -> Any:
    found: Any = np.where(used, x, np.zeros((), np.result_type(x)))
    return found[()]


def _withhold_symbolic(S: Any, x: Any, used: Any) -> Any:
    if isinstance(used, (bool, np.bool_)):
        return x if used else S.Integer(0)
    return S.Piecewise((x, used), (0, True))


def _withhold_loops(b: Any, out: ArrayType, x: Any, used: Any) -> Any:
    def entry(*index: Any) -> Any:
        return b.select(b.truth(b.at(used, index)), b.at(x, index, out.dtype), 0)

    return b.entry(out.shape, out.dtype, entry)


_withhold = primitive(
    name="withhold",
    type_rule=lambda x, used: ArrayType(broadcast(x, used), x.dtype),
    value=_withhold_value,
    derivative=Linear(lambda g, x, used: sum_to(withhold(g, used), x.shape), selects=True),
    batch=elementwise_batch,
    symbolic=each(_withhold_symbolic),
    lower=_withhold_loops,
    bound=EXACT,
    cases=(
        Case((Draw((3,)), Draw((3,), dtype="?"))),
        Case((Draw((2, 3), dtype="f4"), Draw((3,), dtype="?"))),
        Case((Draw(()), Draw((2, 3), dtype="?"))),
        Case((Draw((3,), dtype="c16"), Draw((), dtype="?"))),
        Case((Draw((0,)), Draw((0,), dtype="?"))),
    ),
)


def withhold(x: Any, used: Any) -> Any:
    """x where it's used, 0 elsewhere, where it meets nothing but zeros."""
    return apply(_withhold, TABLE["operand"](x), TABLE["operand"](used))


def _without_nan_value(x: Any, finite: bool) -> Any:
    if not np.isfinite(x).all() if finite else np.isnan(x).any():
        raise FoundNan
    return x


def _without_nan_loops(b: Any, out: ArrayType, x: Any, finite: bool) -> Any:
    # Zero times what isn't finite is NaN.
    b.check(x.shape, lambda *i: b.is_nan(x(*i) * 0 if finite else x(*i)))
    return x


without_nan = primitive(
    name="without_nan",
    type_rule=lambda x, finite: ArrayType(x.shape, x.dtype),
    value=_without_nan_value,
    derivative=Linear(lambda g, x, finite: g),
    batch=elementwise_batch,
    symbolic=lambda S, x, finite: x,
    lower=_without_nan_loops,
    bound=EXACT,
    cases=(
        Case((Draw((3,)),), {"finite": False}),
        Case((Draw((2, 0)),), {"finite": True}),
        Case((Draw((), dtype="c16"),), {"finite": False}),
    ),
)
