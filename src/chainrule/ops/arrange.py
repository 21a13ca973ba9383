"""Arranging: the same numbers in another shape, order or dtype."""

from __future__ import annotations

import operator
import warnings
from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError, ShapeError
from chainrule.base.place import user_frame
from chainrule.ir.bound import EXACT, ROUNDED
from chainrule.ir.primitive import Case, Draw, Flat, Linear, Primitive
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops.family import (
    broadcast,
    column_order,
    normal_axes,
    normal_axis,
    primitive,
    structural,
)
from chainrule.tracing.creation import refuse_unknown
from chainrule.tracing.table import TABLE, Handler, implements
from chainrule.tracing.trace import apply
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import View, memory_order

# ---- reshape -------------------------------------------------------------------------------------

reshape = primitive(
    name="reshape",
    type_rule=lambda x, shape: ArrayType(shape, x.dtype),
    value=lambda x, shape: np.reshape(x, shape),
    derivative=Linear(lambda g, x, shape: np.reshape(g, x.shape)),
    batch=lambda op, size, args, batched, shape: apply(op, args[0], shape=(size, *shape)),
    symbolic=structural(lambda x, shape: np.reshape(x, shape)),
    lower=lambda b, out, x, shape: b.reshape(x, shape),
    bound=EXACT,
    cases=(
        Case((Draw((2, 3)),), {"shape": (6,)}),
        Case((Draw((2, 3)),), {"shape": (3, 1, 2)}),
        Case((Draw(()),), {"shape": (1, 1)}),
        Case((Draw((0, 3)),), {"shape": (0,)}),
    ),
    view=lambda out, shape: True,
)


@implements(np.reshape, lists=True)
def _reshape(a: Any, /, shape: Any = None, order: str = "C", *, copy: Any = None) -> Any:
    a = TABLE["operand"](a)
    wanted = _fitting_shape(type_of(a), shape)
    if order == "A":
        order = "F" if column_order(a, binding=True) else "C"
    if order == "F":
        return np.transpose(apply(reshape, np.transpose(a), shape=wanted[::-1]))
    if order != "C":
        raise ShapeError(
            f"reshape: order must be 'C', 'F' or 'A', not {order!r}",
            fix="write order='C', which goes along the rows, or 'F', along the columns",
        )
    result = apply(reshape, a, shape=wanted)
    return TABLE["copy"](result) if copy else result


@implements(np.ravel, lists=True)
def _ravel(a: Any, order: str = "C") -> Any:
    a = TABLE["operand"](a)
    if order == "K":
        # As the entries lie in memory: the axis with the longest steps first.
        return _ravel(np.transpose(a, memory_order(a, binding=True) or range(np.ndim(a))))
    if order == "A":
        order = "F" if column_order(a, binding=True) else "C"
    flat = _reshape(a, (-1,), order)
    if type(flat) is Tracer and type(flat.alias) is View:
        flat.alias.ravelled = a, order
    return flat


@implements(np.squeeze, lists=True)
def _squeeze(a: Any, axis: Any = None) -> Any:
    a = TABLE["operand"](a)
    shape = np.shape(a)
    if axis is None:
        dropped: tuple[int, ...] = tuple(k for k, n in enumerate(shape) if n == 1)
    else:
        dropped = normal_axes(axis, len(shape))
    if any(shape[k] != 1 for k in dropped):
        raise ShapeError(
            "squeeze: only axes of length 1 can be dropped",
            {"array": type_of(a), "axis": axis},
            fix="leave axis out to drop every axis of length 1; or take one entry: x[..., 0]",
        )
    return apply(reshape, a, shape=tuple(n for k, n in enumerate(shape) if k not in dropped))


@implements(np.expand_dims, lists=True)
def _expand_dims(a: Any, axis: Any) -> Any:
    a = TABLE["operand"](a)
    count = len(axis) if isinstance(axis, (tuple, list)) else 1
    added = normal_axes(axis, np.ndim(a) + count)
    rest = iter(np.shape(a))
    return apply(
        reshape,
        a,
        shape=tuple(1 if k in added else next(rest) for k in range(np.ndim(a) + count)),
    )


def _at_least(rank: int) -> Handler:
    """np.atleast_1d and its kin: one array in, one out; several in, a tuple out."""

    def widen(*arys: Any) -> Any:
        results = tuple(_widened(TABLE["operand"](a), rank) for a in arys)
        return results[0] if len(results) == 1 else results

    return widen


def _widened(a: Any, rank: int) -> Any:
    shape = np.shape(a)
    if len(shape) >= rank:
        return a
    wanted: tuple[int, ...] = (1,) * (rank - len(shape)) + shape
    if rank == 3:
        wanted = {0: (1, 1, 1), 1: (1, *shape, 1), 2: (*shape, 1)}[len(shape)]
    return apply(reshape, a, shape=wanted)


implements(np.atleast_1d, lists=True)(_at_least(1))
implements(np.atleast_2d, lists=True)(_at_least(2))
implements(np.atleast_3d, lists=True)(_at_least(3))


def _fitting_shape(x: ArrayType, shape: Any) -> tuple[int, ...]:
    """The wanted shape with its −1 filled in."""
    try:
        wanted = tuple(map(operator.index, shape if isinstance(shape, (tuple, list)) else (shape,)))
    except TypeError:
        refuse_unknown(shape)
        raise ShapeError(
            "reshape: a shape is made of integers",
            {"shape": repr(shape)},
            fix="write x.reshape(2, 3); -1 stands for what is left over",
        ) from None
    known = int(np.prod([n for n in wanted if n != -1]))
    if wanted.count(-1) == 1 and known and x.size % known == 0:
        wanted = tuple(x.size // known if n == -1 else n for n in wanted)
    if min(wanted, default=0) < 0 or int(np.prod(wanted)) != x.size:
        raise ShapeError(
            "reshape: the number of elements must stay the same",
            {"array": f"{x} ({x.size} elements)", "shape": wanted},
            "use -1 for the one length that follows from the others",
        )
    return wanted


# ---- transpose -----------------------------------------------------------------------------------


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axes.index(k) for k in range(len(axes)))


def _transpose_batch(op: Primitive, size: int, args: Any, batched: Any, axes: Any) -> Any:
    return apply(op, args[0], axes=(0, *(a + 1 for a in axes)))


transpose = primitive(
    name="transpose",
    type_rule=lambda x, axes: ArrayType(tuple(x.shape[a] for a in axes), x.dtype),
    value=lambda x, axes: np.transpose(x, axes),
    derivative=Linear(lambda g, x, axes: np.transpose(g, _inverse(axes))),
    batch=_transpose_batch,
    symbolic=structural(lambda x, axes: np.transpose(x, axes)),
    lower=lambda b, out, x, axes: b.transpose(x, axes),
    bound=EXACT,
    cases=(
        Case((Draw((2, 3)),), {"axes": (1, 0)}),
        Case((Draw((2, 3, 4)),), {"axes": (2, 0, 1)}),
        Case((Draw((3,)),), {"axes": (0,)}),
    ),
    view=lambda out, axes: True,
)


@implements(np.transpose, np.permute_dims, lists=True)
def _transpose(a: Any, axes: Any = None) -> Any:
    a = TABLE["operand"](a)
    ndim = np.ndim(a)
    order = tuple(reversed(range(ndim))) if axes is None else tuple(
        normal_axis(k, ndim) for k in axes
    )  # fmt: skip
    if sorted(order) != list(range(ndim)):
        raise ShapeError(
            "transpose: axes must name every axis once",
            {"axes": axes, "array": type_of(a)},
            fix="give a permutation of 0, 1, …; or swap two axes with np.swapaxes",
        )
    return a if ndim < 2 else apply(transpose, a, axes=order)


@implements(np.matrix_transpose, np.linalg.matrix_transpose, lists=True)
def _matrix_transpose(x: Any, /) -> Any:
    x = TABLE["operand"](x)
    if np.ndim(x) < 2:
        raise ShapeError(
            "matrix_transpose: needs at least two axes",
            {"array": type_of(x)},
            fix="make a vector a row with x[None, :] first",
        )
    return _swapaxes(x, -1, -2)


@implements(np.swapaxes, lists=True)
def _swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    a = TABLE["operand"](a)
    order = list(range(np.ndim(a)))
    i, j = normal_axis(axis1, len(order)), normal_axis(axis2, len(order))
    order[i], order[j] = j, i
    return _transpose(a, order)


@implements(np.moveaxis, lists=True)
def _moveaxis(a: Any, source: Any, destination: Any) -> Any:
    a = TABLE["operand"](a)
    ndim = np.ndim(a)
    taken, placed = (
        [normal_axis(k, ndim) for k in (axes if isinstance(axes, (tuple, list)) else (axes,))]
        for axes in (source, destination)
    )
    if len(taken) != len(placed) or len({*taken}) < len(taken) or len({*placed}) < len(placed):
        raise ShapeError(
            "moveaxis: source and destination must name as many different axes",
            {"source": source, "destination": destination},
            fix="give both the same length, and name each axis once",
        )
    order = [k for k in range(ndim) if k not in taken]
    for place, axis in sorted(zip(placed, taken, strict=True)):
        order.insert(place, axis)
    return _transpose(a, order)


@implements(np.rollaxis, lists=True)
def _rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    a = TABLE["operand"](a)
    ndim = np.ndim(a)
    moved = normal_axis(axis, ndim)
    before = normal_axis(start, ndim + 1, "start") if start >= 0 else start + ndim
    order = [k for k in range(ndim) if k != moved]
    order.insert(before - (moved < before), moved)
    return _transpose(a, order)


# ---- broadcast_to --------------------------------------------------------------------------------


def _broadcast_transpose(g: Any, x: ArrayType, shape: tuple[int, ...]) -> Any:
    extra = len(shape) - x.ndim
    axes = tuple(range(extra)) + tuple(
        extra + k for k, n in enumerate(x.shape) if n == 1 and shape[extra + k] != 1
    )
    return np.reshape(np.sum(g, axis=axes), x.shape)


def _broadcast_batch(op: Primitive, size: int, args: Any, batched: Any, shape: Any) -> Any:
    (x,) = args
    rank = len(shape) - np.ndim(x) + 1
    x = np.reshape(x, (size, *(1,) * rank, *np.shape(x)[1:]))
    return apply(op, x, shape=(size, *shape))


broadcast_to = primitive(
    name="broadcast_to",
    type_rule=lambda x, shape: ArrayType(shape, x.dtype),
    value=lambda x, shape: np.broadcast_to(x, shape),
    derivative=Linear(_broadcast_transpose),
    batch=_broadcast_batch,
    symbolic=structural(lambda x, shape: np.broadcast_to(x, shape)),
    lower=lambda b, out, x, shape: b.entry(shape, x.dtype, lambda *i: b.at(x, i)),
    bound=EXACT,
    cases=(
        Case((Draw(()),), {"shape": (2, 3)}),
        Case((Draw((3, 1)),), {"shape": (2, 3, 4)}),
        Case((Draw((3,)),), {"shape": (3,)}),
    ),
    view=lambda out, shape: True,
)


@implements(np.broadcast_to, lists=True)
def _broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    array = TABLE["operand"](array)
    wanted = tuple(shape) if isinstance(shape, (tuple, list)) else (operator.index(shape),)
    if np.shape(array) == wanted:
        return array
    if broadcast(type_of(array), ArrayType(wanted, np.dtype(float))) != wanted:
        raise ShapeError(
            "broadcast_to: the array doesn't fit the shape",
            {"array": type_of(array), "shape": wanted},
            "each axis must have the wanted length, or 1, from the last axis backwards",
        )
    return apply(broadcast_to, array, shape=wanted)


@implements(np.broadcast_arrays)
def _broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    arrays = [TABLE["operand"](a) for a in args]
    shape = broadcast(*map(type_of, arrays))
    return tuple(_broadcast_to(a, shape) for a in arrays)


@implements(np.meshgrid)
def _meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[Any, ...]:
    if indexing not in ("xy", "ij"):
        raise ShapeError(
            f"meshgrid: indexing must be 'xy' or 'ij', not {indexing!r}",
            fix="write indexing='xy' for columns first, 'ij' for rows first",
        )
    count = len(xi)
    grids = [
        np.reshape(TABLE["operand"](x), (1,) * k + (-1,) + (1,) * (count - k - 1))
        for k, x in enumerate(xi)
    ]
    if indexing == "xy" and count > 1:
        grids = [np.swapaxes(grid, 0, 1) for grid in grids]
    if not sparse:
        grids = list(_broadcast_arrays(*grids))
    return tuple(map(TABLE["copy"], grids)) if copy else tuple(grids)


# ---- dtype ---------------------------------------------------------------------------------------

astype = primitive(
    name="astype",
    type_rule=lambda x, dtype: ArrayType(x.shape, dtype),
    value=lambda x, dtype: np.asarray(x).astype(dtype)[()],
    derivative=Linear(lambda g, x, dtype: g),
    batch=lambda op, size, args, batched, dtype: apply(op, *args, dtype=dtype),
    symbolic=lambda S, x, dtype: x,
    lower=lambda b, out, x, dtype: b.entry(out.shape, dtype, lambda *i: b.at(x, i, dtype)),
    bound=ROUNDED,
    cases=(
        Case((Draw((3,)),), {"dtype": np.dtype("f4")}),
        Case((Draw((3,)),), {"dtype": np.dtype("c16")}),
        Case((Draw((3,), dtype="f4"),), {"dtype": np.dtype("f8")}),
    ),
)

# Cutting a number short is flat, like floor.
truncate = primitive(
    name="truncate",
    type_rule=lambda x, dtype: ArrayType(x.shape, dtype),
    value=lambda x, dtype: np.asarray(x).astype(dtype)[()],
    derivative=Flat(),
    batch=lambda op, size, args, batched, dtype: apply(op, *args, dtype=dtype),
    symbolic=None,
    lower=lambda b, out, x, dtype: b.entry(out.shape, dtype, lambda *i: b.at(x, i, dtype)),
    bound=EXACT,
    cases=(Case((Draw((3,)),), {"dtype": np.dtype("i8")}),),
)


def _warn_of_complex() -> None:
    """NumPy's own warning, at the user's line."""
    frame = user_frame()
    if frame is not None:
        warnings.warn_explicit(
            "Casting complex values to real discards the imaginary part",
            np.exceptions.ComplexWarning,
            frame.f_code.co_filename,
            frame.f_lineno,
            registry=frame.f_globals.setdefault("__warningregistry__", {}),
        )


@implements("astype", np.astype)
def _astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    wanted = np.dtype(dtype)
    if wanted.kind not in "fciub":
        raise DtypeError(
            f"a traced array can't be converted to {wanted}",
            {"array": type_of(x)},
            "leave out dtype=, or keep traced values in a list",
        )
    if type(x) is not Tracer:
        return np.asarray(x).astype(wanted)
    if wanted.kind in "fiu" and x.dtype.kind == "c":
        _warn_of_complex()
        x = np.real(x)
    if wanted.kind in "iub" and x.dtype.kind in "fc":
        return apply(truncate, x, dtype=wanted)
    return apply(astype, x, dtype=wanted)


copy = primitive(
    name="copy",
    type_rule=lambda x, order: ArrayType(x.shape, x.dtype),
    value=lambda x, order: np.array(x, order=order)[()],
    derivative=Linear(lambda g, x, order: g),
    # An example keeps its order where F is asked for: only writes to reshapes of it could tell.
    batch=lambda op, size, args, batched, order: apply(
        op, *args, order="C" if order == "C" else "K"
    ),
    symbolic=lambda S, x, order: x,
    lower=lambda b, out, x, **layout: b.entry(x.shape, x.dtype, lambda *i: x(*i)),
    bound=EXACT,
    cases=(Case((Draw((3,)),), {"order": "K"}), Case((Draw((2, 3)),), {"order": "F"})),
)


@implements("copy", np.copy)
def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return apply(copy, TABLE["operand"](a), order=order)
