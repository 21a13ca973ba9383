"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.bound import Roundings
from chainrule.ir.primitive import Case, Custom, Draw, Irregular
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops import sum_loops
from chainrule.ops.family import kept, normal_axes, ones_at, primitive, real_dtype
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply

Axes = tuple[int, ...]


# ---- the Euclidean norm --------------------------------------------------------------------------


def _length_value(x: Any, axis: Axes) -> Any:
    if len(axis) == np.ndim(x):
        return np.linalg.norm(x)
    return np.sqrt(np.add.reduce((np.conj(x) * x).real, axis=axis))


def _conjugate(x: Any) -> Any:
    return np.conj(x) if x.dtype.kind == "c" else x


def _length_forward(tangents: tuple[Any], y: Any, x: Any, axis: Axes) -> Any:
    """At 0 there is a kink, and the subgradient of least norm is 0."""
    zero = np.equal(y, 0)
    along = np.sum(np.real(_conjugate(x) * tangents[0]), axis=axis)
    return np.where(zero, 0, along / np.where(zero, 1, y))


def _length_reverse(g: Any, y: Any, x: Any, axis: Axes) -> tuple[Any]:
    zero = np.equal(y, 0)
    scale = np.where(zero, 0, g / np.where(zero, 1, y))
    return (_conjugate(x) * np.reshape(scale, ones_at(np.shape(x), axis)),)


def _length_symbolic(sympy: Any, x: Any, axis: Axes) -> Any:
    squares = np.add.reduce(x * x, axis=axis)
    return np.frompyfunc(sympy.sqrt, 1, 1)(squares)


length = primitive(
    name="length",
    type_rule=lambda x, axis: ArrayType(kept(x.shape, axis), real_dtype(x.dtype)),
    value=_length_value,
    derivative=Custom(_length_forward, _length_reverse),
    batch=lambda op, size, args, batched, axis: apply(op, args[0], axis=tuple(k + 1 for k in axis)),
    symbolic=_length_symbolic,
    lower=sum_loops.length,
    bound=Roundings("(n/2 + 1)", "|result|"),
    cases=(
        Case((Draw((3,)),), {"axis": (0,)}),
        Case((Draw((2, 3)),), {"axis": (0, 1)}),
        Case((Draw((2, 3)),), {"axis": (1,)}),
        Case((Draw((2, 3, 4)),), {"axis": (0, 2)}),
        Case((Draw((0,)),), {"axis": (0,)}),
        Case((Draw((3,), dtype="f4"),), {"axis": (0,)}),
        Case((Draw((2, 3), dtype="c16"),), {"axis": (1,)}),
    ),
    irregular=(Irregular("kink", lambda y, x, axis: np.equal(y, 0), "the norm has its tip at 0"),),
)


# ---- entries -------------------------------------------------------------------------------------


@implements(np.linalg.norm, lists=True)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    x = _as_inexact(x)
    ndim = np.ndim(x)
    if axis is None:
        axes = tuple(range(ndim))
        if ord is not None and ndim not in (1, 2):
            raise ShapeError(
                "norm: with ord= the array must be a vector or a matrix",
                {"array": type_of(x), "ord": ord},
                "say which axes with axis=",
            )
        if ord is None:
            axes_ = axes
            return _restored(apply(length, x, axis=axes_), x, axes_, keepdims)
    else:
        axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
        normal_axes(axes, ndim)
        axes = tuple(int(k) % ndim for k in axes)
    if len(axes) == 1:
        result = _vector(x, 2 if ord is None else ord, axes)
    elif len(axes) == 2:
        result = _matrix(x, "fro" if ord is None else ord, axes)
    else:
        raise ShapeError(
            "norm: axis names one or two axes",
            {"axis": axis},
            fix="use np.linalg.vector_norm, which takes any number of axes",
        )
    return _restored(result, x, axes, keepdims)


def _as_inexact(x: Any) -> Any:
    x = TABLE["operand"](x)
    return x if np.result_type(x).kind in "fc" else TABLE["astype"](x, np.dtype(float))


def _restored(result: Any, x: Any, axes: Axes, keepdims: bool) -> Any:
    return np.reshape(result, ones_at(np.shape(x), axes)) if keepdims else result


def _vector(x: Any, order: Any, axes: Axes) -> Any:
    if order == 2:
        return apply(length, x, axis=tuple(sorted(axes)))
    if order == math.inf:
        return np.max(np.abs(x), axis=axes)
    if order == -math.inf:
        return np.min(np.abs(x), axis=axes)
    if order == 0:
        return TABLE["astype"](np.sum(np.not_equal(x, 0), axis=axes), real_dtype(x.dtype))
    if order == 1:
        return np.sum(np.abs(x), axis=axes)
    if isinstance(order, str):
        raise ShapeError(
            "norm: no such norm of vectors",
            {"ord": repr(order)},
            fix="use a number, np.inf or -np.inf; 'fro' and 'nuc' are norms of matrices",
        )
    total = np.sum(np.abs(x) ** order, axis=axes)
    # At 0 the norm has its tip: derivative 0, the subgradient of least norm.
    zero = np.equal(total, 0)
    return np.where(zero, 0, np.where(zero, 1, total) ** (1 / order))


def _matrix(x: Any, order: Any, axes: Axes) -> Any:
    rows, columns = axes
    if rows == columns:
        raise ShapeError(
            "norm: the two axes of a matrix must differ",
            {"axis": axes},
            fix="name two axes, such as axis=(0, 1); one axis for norms of vectors",
        )
    if order in ("fro", "f"):
        return apply(length, x, axis=tuple(sorted(axes)))
    if order in (1, -1, math.inf, -math.inf):
        summed, best = (rows, columns) if abs(order) == 1 else (columns, rows)
        totals = np.sum(np.abs(x), axis=summed)
        best -= best > summed
        return np.max(totals, axis=best) if order > 0 else np.min(totals, axis=best)
    if order in (2, -2, "nuc"):
        rest = tuple(k for k in range(np.ndim(x)) if k not in axes)
        values = np.linalg.svdvals(np.transpose(x, (*rest, rows, columns)))
        if order == "nuc":
            return np.sum(values, axis=-1)
        return np.max(values, axis=-1) if order == 2 else np.min(values, axis=-1)
    raise ShapeError(
        "norm: no such norm of matrices",
        {"ord": repr(order)},
        fix="use 'fro', 'nuc', 1, -1, 2, -2, np.inf or -np.inf",
    )


@implements(np.linalg.vector_norm)
def _vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    x = _as_inexact(x)
    axes = normal_axes(axis, np.ndim(x))
    return _restored(_vector(x, ord, axes), x, axes, keepdims)


@implements(np.linalg.matrix_norm)
def _matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return _norm(x, ord, (-2, -1), keepdims)


@implements(np.linalg.cond)
def _cond(x: Any, p: Any = None) -> Any:
    x = _as_inexact(x)
    if p in (None, 2, -2):
        values = np.linalg.svdvals(x)
        ratio = values[..., 0] / values[..., -1]
        return 1 / ratio if p == -2 else ratio
    return _norm(x, p, (-2, -1)) * _norm(np.linalg.inv(x), p, (-2, -1))
