"""Reductions: sums and products, and the questions any and all."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.ir.bound import EXACT, Roundings
from chainrule.ir.primitive import Case, Custom, Draw, Flat, Linear, Primitive
from chainrule.ir.types import ArrayType
from chainrule.ops.family import kept, normal_axes, ones_at, primitive, structural
from chainrule.tracing.table import TABLE, Handler, implements
from chainrule.tracing.trace import apply
from chainrule.tracing.tracer import Tracer

_NONE = np._NoValue
Axes = tuple[int, ...]


def _spread(g: Any, shape: tuple[int, ...], axis: Axes) -> Any:
    """A reduced array, back over the axes that were reduced."""
    if len(axis) == len(shape):
        return g
    return np.broadcast_to(np.reshape(g, ones_at(shape, axis)), shape)


def _total_type(x: ArrayType, axis: Axes) -> ArrayType:
    """NumPy adds and multiplies small integers as 64-bit ones."""
    dtype = np.dtype(int) if x.dtype.kind == "b" else x.dtype
    if x.dtype.kind in "iu" and x.dtype.itemsize < 8:
        dtype = np.dtype(x.dtype.kind + "8")
    return ArrayType(kept(x.shape, axis), dtype)


def _reduce_batch(op: Primitive, size: int, args: Any, batched: Any, axis: Axes) -> Any:
    return apply(op, args[0], axis=tuple(a + 1 for a in axis))


_CASES = (
    Case((Draw((3,)),), {"axis": (0,)}),
    Case((Draw((5,)),), {"axis": (0,)}),
    Case((Draw((2, 3, 4)),), {"axis": (0, 2)}),
    Case((Draw((2, 3)),), {"axis": (0, 1)}),
    Case((Draw((2, 3)),), {"axis": (1,)}),
    Case((Draw((2, 3)),), {"axis": ()}),
    Case((Draw(()),), {"axis": ()}),
    Case((Draw((0, 3)),), {"axis": (0,)}),
    Case((Draw((3,), dtype="f4"),), {"axis": (0,)}),
    Case((Draw((2, 3), dtype="c16"),), {"axis": (1,)}),
)


def _reduced(
    op: Primitive, neutral: Any, a: Any, axis: Any, keepdims: Any, where: Any, dtype: Any = None
) -> Any:
    """Reduce as NumPy's arguments say; what `where=` leaves out becomes what doesn't count."""
    if type(a) is not Tracer or where is not True:
        a = TABLE["operand"](a)
        if where is not True and where is not _NONE:
            a = np.where(where, a, neutral)
    if dtype is not None:
        a = TABLE["astype"](a, dtype)
    axes = normal_axes(axis, len(a.shape))
    result = apply(op, a, axis=axes)
    if keepdims is False or keepdims is _NONE or not keepdims:
        return result
    return np.reshape(result, ones_at(a.shape, axes))


# ---- sum -----------------------------------------------------------------------------------------

sum_ = primitive(
    name="sum",
    type_rule=_total_type,
    value=lambda x, axis: np.add.reduce(x, axis=axis),
    derivative=Linear(lambda g, x, axis: _spread(g, x.shape, axis)),
    batch=_reduce_batch,
    symbolic=structural(lambda x, axis: np.add.reduce(x, axis=axis)),
    lower=lambda b, out, x, axis: b.reduce("add", out, x, axis),
    bound=Roundings("(n − 1)", "Σ|x|"),
    cases=_CASES,
)


@implements(np.sum, lists=True)
def _sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    keepdims: Any = False,
    initial: Any = _NONE,
    where: Any = True,
) -> Any:
    total = _reduced(sum_, 0, a, axis, keepdims, where, dtype)
    return total if initial is _NONE or initial is None else total + initial


# ---- product -------------------------------------------------------------------------------------


def _in_rows(x: Any, axis: Axes) -> Any:
    """The reduced axes behind all others, and made into one."""
    shape = np.shape(x)
    others = tuple(k for k in range(len(shape)) if k not in axis)
    count = math.prod(shape[k] for k in axis)
    if others + axis != tuple(range(len(shape))):
        x = np.transpose(x, others + axis)
    return np.reshape(x, (*(shape[k] for k in others), count))


def _prod_forward(tangents: tuple[Any], y: Any, x: Any, axis: Axes) -> Any:
    """Halve again and again, with the product rule on (value, tangent): nothing is divided.

    So zeros are nothing special, in derivatives of any order.
    """
    x, t = _in_rows(x, axis), _in_rows(tangents[0], axis)
    rest: tuple[Any, Any] | None = None
    while (count := np.shape(x)[-1]) > 1:
        if count % 2:
            rest = _times(rest, (x[..., -1], t[..., -1]))
        half = count // 2
        left = x[..., :half], t[..., :half]
        x, t = _times(left, (x[..., half : 2 * half], t[..., half : 2 * half]))
    if count == 0:
        return np.sum(t, axis=-1)
    return _times(rest, (x[..., 0], t[..., 0]))[1]


def _prod_reverse(g: Any, y: Any, x: Any, axis: Axes) -> tuple[Any]:
    """Everything before an entry times everything behind it; by running products, for speed."""
    shape = np.shape(x)
    rows = _in_rows(x, axis)
    one = np.ones((*np.shape(rows)[:-1], min(1, np.shape(rows)[-1])), x.dtype)
    before = np.cumprod(np.concatenate([one, rows[..., :-1]], axis=-1), axis=-1)
    behind = np.cumprod(np.concatenate([one, rows[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    part = before * behind * np.reshape(g, (*np.shape(g), 1))
    order = tuple(k for k in range(len(shape)) if k not in axis) + axis
    part = np.reshape(part, tuple(shape[k] for k in order))
    return (np.transpose(part, tuple(order.index(k) for k in range(len(shape)))),)


def _times(left: tuple[Any, Any] | None, right: tuple[Any, Any]) -> tuple[Any, Any]:
    """The product of two (value, tangent) pairs; None is one."""
    if left is None:
        return right
    return left[0] * right[0], left[1] * right[0] + right[1] * left[0]


prod = primitive(
    name="prod",
    type_rule=_total_type,
    value=lambda x, axis: np.multiply.reduce(x, axis=axis),
    derivative=Custom(_prod_forward, _prod_reverse),
    batch=_reduce_batch,
    symbolic=structural(lambda x, axis: np.multiply.reduce(x, axis=axis)),
    lower=lambda b, out, x, axis: b.reduce("mul", out, x, axis),
    bound=Roundings("(n − 1)", "|result|"),
    cases=(*_CASES, Case((np.array([0.0, 2.0, 3.0, 0.0, -1.0]),), {"axis": (0,)}, "zeros")),
)


@implements(np.prod, lists=True)
def _prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    keepdims: Any = False,
    initial: Any = _NONE,
    where: Any = True,
) -> Any:
    total = _reduced(prod, 1, a, axis, keepdims, where, dtype)
    return total if initial is _NONE or initial is None else total * initial


# ---- any and all ---------------------------------------------------------------------------------


def _truth_type(x: ArrayType, axis: Axes) -> ArrayType:
    return ArrayType(kept(x.shape, axis), np.dtype(bool))


any_ = primitive(
    name="any",
    type_rule=_truth_type,
    value=lambda x, axis: np.logical_or.reduce(x, axis=axis),
    derivative=Flat(),
    batch=_reduce_batch,
    symbolic=None,
    lower=lambda b, out, x, axis: b.reduce("or", out, x, axis),
    bound=EXACT,
    cases=(*_CASES, Case((Draw((2, 3), dtype="?"),), {"axis": (1,)})),
)

all_ = primitive(
    name="all",
    type_rule=_truth_type,
    value=lambda x, axis: np.logical_and.reduce(x, axis=axis),
    derivative=Flat(),
    batch=_reduce_batch,
    symbolic=None,
    lower=lambda b, out, x, axis: b.reduce("and", out, x, axis),
    bound=EXACT,
    cases=(*_CASES, Case((Draw((2, 3), dtype="?"),), {"axis": (1,)})),
)


@implements(np.any, lists=True)
def _any(a: Any, axis: Any = None, *, keepdims: Any = False, where: Any = True) -> Any:
    return _reduced(any_, False, a, axis, keepdims, where)


@implements(np.all, lists=True)
def _all(a: Any, axis: Any = None, *, keepdims: Any = False, where: Any = True) -> Any:
    return _reduced(all_, True, a, axis, keepdims, where)


@implements(np.count_nonzero)
def _count_nonzero(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return np.sum(np.not_equal(TABLE["operand"](a), 0), axis=axis, keepdims=keepdims)


# ---- leaving out NaN -----------------------------------------------------------------------------


@implements(np.nansum)
def _nansum(
    a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, where: Any = True
) -> Any:
    a = TABLE["operand"](a)
    return _sum(np.where(np.isnan(a), 0, a), axis, dtype, keepdims=keepdims, where=where)


@implements(np.nanprod)
def _nanprod(
    a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, where: Any = True
) -> Any:
    a = TABLE["operand"](a)
    return _prod(np.where(np.isnan(a), 1, a), axis, dtype, keepdims=keepdims, where=where)


# ---- the ufuncs' own reduce, which goes along the first axis -------------------------------------


def _method(function: Handler) -> Handler:
    def reduce(
        array: Any, axis: Any = 0, dtype: Any = None, *, keepdims: Any = False,
        initial: Any = _NONE, where: Any = True,
    ) -> Any:  # fmt: skip
        return function(array, axis, dtype, keepdims=keepdims, initial=initial, where=where)

    return reduce


def _truth_method(function: Handler) -> Handler:
    def reduce(array: Any, axis: Any = 0, *, keepdims: Any = False, where: Any = True) -> Any:
        return function(array, axis, keepdims=keepdims, where=where)

    return reduce


TABLE[np.add, "reduce"] = _method(_sum)
TABLE[np.multiply, "reduce"] = _method(_prod)
TABLE[np.logical_or, "reduce"] = _truth_method(_any)
TABLE[np.logical_and, "reduce"] = _truth_method(_all)
