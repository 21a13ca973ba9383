"""Comparison, selection, rounding."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ir.primitive import Flat, Linear, Primitive, Case, Draw
from chainrule.ir.types import ArrayType, result_dtype
from chainrule.ops.family import align, binary, broadcast, elementwise, primitive, unary
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply

for _u in (np.greater, np.less, np.greater_equal, np.less_equal, np.equal, np.not_equal, np.logical_and, np.logical_or):
    elementwise(_u, Flat(), symbolic=None, cases=binary())
for _u in (np.isfinite, np.isnan, np.logical_not, np.sign, np.floor):
    elementwise(_u, Flat(), symbolic=None, cases=unary())


def _select_transpose(g, c, x, y):
    zero = np.zeros((), g.dtype)
    return _sum_to(np.where(c, g, zero), x.shape), _sum_to(np.where(c, zero, g), y.shape)


def _sum_to(g, shape):
    have = np.shape(g)
    if have == shape:
        return g
    extra = len(have) - len(shape)
    axes = tuple(range(extra)) + tuple(extra + i for i, n in enumerate(shape) if n == 1 and have[extra + i] != 1)
    return np.reshape(np.sum(g, axis=axes), shape)

def _select_batch(op, size, args, batched):
    rank = max(np.ndim(a) - b for a, b in zip(args, batched))
    return apply(op, *align(args, batched, rank))

select = primitive(
    name="select",
    type_rule=lambda c, x, y: ArrayType(broadcast(c, x, y), result_dtype(x, y)),
    value=lambda c, x, y: np.where(c, x, y)[()],
    derivative=Linear(_select_transpose, args=(1, 2), selects=True),
    batch=_select_batch,
    symbolic=None,
    lower=None,
    cases=(Case((Draw((3,), dtype="?"), Draw((3,)), Draw((3,)))),),
)

@implements(np.where)
def _where(condition: Any, x: Any, y: Any, /) -> Any:
    condition, x, y = map(TABLE["operand"], (condition, x, y))
    return apply(select, condition, x, y)
