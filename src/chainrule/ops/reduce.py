"""Reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ir.primitive import Case, Draw, Linear, Primitive
from chainrule.ir.types import ArrayType
from chainrule.ops.family import normal_axes, primitive, structural
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply


def _kept(shape: tuple[int, ...], axis: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(n for k, n in enumerate(shape) if k not in axis)


def _spread(g: Any, shape: tuple[int, ...], axis: tuple[int, ...]) -> Any:
    """A reduced array, back over the axes that were reduced."""
    if len(axis) == len(shape):
        return g
    return np.broadcast_to(
        np.reshape(g, tuple(1 if k in axis else n for k, n in enumerate(shape))), shape
    )


def _sum_type(x: ArrayType, axis: tuple[int, ...]) -> ArrayType:
    dtype = np.dtype(int) if x.dtype.kind in "b" else x.dtype
    if x.dtype.kind in "iu" and x.dtype.itemsize < 8:
        dtype = np.dtype(x.dtype.kind + "8")
    return ArrayType(_kept(x.shape, axis), dtype)


def _reduce_batch(op: Primitive, size: int, args: Any, batched: Any, axis: tuple[int, ...]) -> Any:
    return apply(op, args[0], axis=tuple(a + 1 for a in axis))


sum_ = primitive(
    name="sum",
    type_rule=_sum_type,
    value=lambda x, axis: np.add.reduce(x, axis=axis),
    derivative=Linear(lambda g, x, axis: _spread(g, x.shape, axis)),
    batch=_reduce_batch,
    symbolic=structural(lambda x, axis: np.add.reduce(x, axis=axis)),
    lower=None,
    cases=(
        Case((Draw((3,)),), {"axis": (0,)}),
        Case((Draw((2, 3, 4)),), {"axis": (0, 2)}),
        Case((Draw((2, 3)),), {"axis": ()}),
        Case((Draw(()),), {"axis": ()}),
        Case((Draw((0, 3)),), {"axis": (0,)}),
    ),
)


@implements(np.sum, (np.add, "reduce"), lists=True)
def _sum(a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False) -> Any:
    a = TABLE["operand"](a)
    axes = normal_axes(axis, np.ndim(a))
    if dtype is not None:
        a = TABLE["astype"](a, dtype)
    total = apply(sum_, a, axis=axes)
    return restore(total, a, axes, keepdims)


def restore(result: Any, a: Any, axes: tuple[int, ...], keepdims: Any) -> Any:
    """Put back reduced axes with length 1, where the caller asked for it."""
    if keepdims is True or (keepdims is not np._NoValue and keepdims):
        return np.reshape(result, tuple(1 if k in axes else n for k, n in enumerate(np.shape(a))))
    return result
