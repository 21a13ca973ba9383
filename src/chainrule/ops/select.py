"""Picking entries by position or by condition, and NumPy's functions that write into an array."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.base.errors import OutOfBoundsError, ShapeError, TraceError
from chainrule.ir.types import type_of
from chainrule.ops.family import at_axis, known, laid_out, normal_axis
from chainrule.tracing.table import RESOLVERS, TABLE, WRITERS, implements
from chainrule.tracing.tracer import Tracer

_arange = np.arange


# ---- picking -----------------------------------------------------------------------------------


@implements(np.take, lists=True)
def _take(a: Any, indices: Any, axis: Any = None, *, mode: str = "raise") -> Any:
    a = TABLE["operand"](a)
    if axis is None:
        a, axis = np.reshape(a, (-1,)), 0
    along = normal_axis(axis, np.ndim(a))
    picked = _positions(indices)
    length = np.shape(a)[along]
    if mode == "wrap":
        picked = picked % max(length, 1)
    elif mode == "clip":
        picked = np.clip(picked, 0, length - 1)
    elif mode != "raise":
        raise ShapeError(
            f"take: mode must be 'raise', 'wrap' or 'clip', not {mode!r}",
            fix="write mode='wrap' to count around, 'clip' to stop at the ends",
        )
    # A plain array would not dispatch on traced positions.
    return laid_out(TABLE["getitem"](a, at_axis(along, picked)), None)


def _positions(indices: Any) -> Any:
    """An array of positions; an empty list counts as one."""
    picked = TABLE["operand"](indices)
    if type(picked) is not Tracer:
        picked = np.asarray(picked)
        picked = picked.astype(np.intp) if picked.size == 0 or picked.dtype == bool else picked
    return picked


def _grid(indices: Any, shape: tuple[int, ...], axis: int) -> tuple[Any, ...]:
    """The index that takes along one axis and goes with the position along the others."""
    ndim = len(shape)
    if np.ndim(indices) != ndim:
        raise ShapeError(
            "take_along_axis: the indices must have as many axes as the array",
            {"array": shape, "indices": np.shape(indices)},
            fix="keep the axis when you find them: np.argmax(x, axis=1, keepdims=True)",
        )
    return tuple(
        indices if k == axis else np.reshape(_arange(n), (1,) * k + (-1,) + (1,) * (ndim - k - 1))
        for k, n in enumerate(shape)
    )


@implements(np.take_along_axis)
def _take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    arr = TABLE["operand"](arr)
    if axis is None:
        arr, axis = np.reshape(arr, (-1,)), 0
    along = normal_axis(axis, np.ndim(arr))
    return TABLE["getitem"](arr, _grid(_positions(indices), tuple(np.shape(arr)), along))


@implements(np.compress)
def _compress(condition: Any, a: Any, axis: Any = None) -> Any:
    chosen = known(condition, "compress: the condition")
    if chosen.ndim != 1:
        raise ShapeError(
            "compress: the condition must be a vector",
            {"shape": chosen.shape},
            fix="a mask of x's own shape chooses with x[mask]",
        )
    return _take(a, np.flatnonzero(chosen), axis)


@implements(np.extract)
def _extract(condition: Any, arr: Any) -> Any:
    return _take(arr, np.flatnonzero(known(condition, "extract: the condition")))


# ---- positions ---------------------------------------------------------------------------------


@implements(np.argwhere, lists=True)
def _argwhere(a: Any) -> Any:
    return np.argwhere(known(a, "argwhere: the array"))


@implements(np.flatnonzero, lists=True)
def _flatnonzero(a: Any) -> Any:
    return np.flatnonzero(known(a, "flatnonzero: the array"))


@implements(np.ix_)
def _ix(*args: Any) -> tuple[Any, ...]:
    axes = []
    for k, positions in enumerate(args):
        positions = _positions(positions)
        if np.ndim(positions) != 1:
            raise ShapeError(
                "ix_: needs vectors",
                {"shape": np.shape(positions)},
                fix="flatten the positions with np.ravel",
            )
        if positions.dtype.kind == "b":
            positions = np.flatnonzero(positions)
        axes.append(np.reshape(positions, (1,) * k + (-1,) + (1,) * (len(args) - k - 1)))
    return tuple(axes)


@implements(np.unravel_index)
def _unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[Any, ...]:
    sizes = tuple(map(operator.index, shape)) if np.ndim(shape) else (operator.index(shape),)
    rest, parts = TABLE["operand"](indices), []
    for size in sizes if order == "F" else reversed(sizes):
        parts.append(np.remainder(rest, size))
        rest = np.floor_divide(rest, size)
    return tuple(parts if order == "F" else reversed(parts))


@implements(np.ravel_multi_index)
def _ravel_multi_index(multi_index: Any, dims: Any, *, order: str = "C") -> Any:
    parts = list(zip(multi_index, map(operator.index, dims), strict=True))
    flat: Any = 0
    for part, size in reversed(parts) if order == "F" else parts:
        flat = flat * size + part
    return flat


# ---- writing -----------------------------------------------------------------------------------


def _target(array: Any, what: str) -> Any:
    """An array that traced values can be written into."""
    if type(array) is Tracer or type(array) in RESOLVERS:
        return array
    raise TraceError(
        f"np.{what} names a plain array, which can't hold a traced value",
        fix="make the array inside the function with np.zeros(...) or x.copy()",
    )


def _repeated(values: Any, places: np.ndarray) -> Any:
    """The entries of `values` in turn, over and over, at these places."""
    flat = np.reshape(TABLE["operand"](values), (-1,))
    if not np.size(flat):
        raise ShapeError("there are no values to write", fix="give at least one value")
    return flat[places % np.size(flat)]


def _write_flat(array: Any, places: Any, values: Any) -> None:
    """Write at positions counted in C order."""
    array[np.unravel_index(places, np.shape(array))] = values


@implements(np.copyto)
def _copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    target = _target(dst, "copyto")
    target[...] = src if where is True else np.where(where, src, target)


@implements(np.put)
def _put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    places = np.ravel(known(ind, "put: the positions")).astype(np.intp)
    size = np.size(a)
    if mode == "wrap":
        places = places % max(size, 1)
    elif mode == "clip":
        places = np.clip(places, 0, size - 1)
    elif places.size and not -size <= places.min() <= places.max() < size:
        raise OutOfBoundsError(
            "put: a position lies outside the array",
            {"size": size},
            fix="give mode='wrap' or mode='clip'; or leave that position out",
        )
    if places.size:
        _write_flat(_target(a, "put"), places % max(size, 1), _repeated(v, _arange(places.size)))


@implements(np.place)
def _place(arr: Any, mask: Any, vals: Any) -> None:
    places = np.flatnonzero(known(mask, "place: the mask"))
    if places.size:
        _write_flat(_target(arr, "place"), places, _repeated(vals, _arange(places.size)))


@implements(np.putmask)
def _putmask(a: Any, /, mask: Any, values: Any) -> None:
    places = np.flatnonzero(known(mask, "putmask: the mask"))
    if places.size:
        _write_flat(_target(a, "putmask"), places, _repeated(values, places))


@implements(np.put_along_axis)
def _put_along_axis(arr: Any, indices: Any, values: Any, axis: Any) -> None:
    target = _target(arr, "put_along_axis")
    if axis is None:
        _write_flat(target, _positions(indices), values)
        return
    along = normal_axis(axis, np.ndim(arr))
    target[_grid(_positions(indices), tuple(np.shape(arr)), along)] = values


@implements(np.fill_diagonal)
def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    shape = np.shape(a)
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) != 1):
        raise ShapeError(
            "fill_diagonal: needs a matrix, or an array with axes of one length",
            {"array": type_of(TABLE["operand"](a))},
            fix="write with two index arrays instead: x[rows, columns] = value",
        )
    size = np.size(a)
    # Steps along the memory: one further in every axis; in a tall matrix without wrapping the
    # diagonal ends with the columns.
    step = sum(int(np.prod(shape[k + 1 :])) for k in range(len(shape)))
    end = size if len(shape) > 2 or wrap else min(size, shape[1] * shape[1])
    places = _arange(0, end, step)
    if places.size:
        _write_flat(_target(a, "fill_diagonal"), places, _repeated(val, _arange(places.size)))


@implements((np.add, "at"))
def _add_at(a: Any, indices: Any, b: Any) -> None:
    """a[indices] += b, where a place that is named several times gets every addition."""
    _accumulate(_target(a, "add.at"), indices, TABLE["operand"](b))


@implements((np.subtract, "at"))
def _subtract_at(a: Any, indices: Any, b: Any) -> None:
    _accumulate(_target(a, "subtract.at"), indices, np.negative(TABLE["operand"](b)))


def _accumulate(target: Any, indices: Any, addend: Any) -> None:
    current = TABLE["operand"](target)
    place = np.shape(TABLE["getitem"](current, indices))
    addend = np.broadcast_to(addend, place)
    target[...] = current + TABLE["put_add"](addend, indices, np.shape(current))


WRITERS.update(
    (np.copyto, np.put, np.place, np.putmask, np.put_along_axis, np.fill_diagonal),
)
