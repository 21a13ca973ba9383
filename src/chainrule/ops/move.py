"""Moving: flips, rolls, tiles, pads and ranges, all made of slices, index arrays and joins."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError, UnsupportedError
from chainrule.ops.family import (
    at_axis,
    column_order,
    known,
    laid_out,
    normal_axes,
    normal_axis,
    strong,
)
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import memory_order

# While a trace runs, NumPy's own name makes a buffer.
_arange = np.arange


# ---- flips and turns -----------------------------------------------------------------------------


@implements(np.flip, lists=True)
def _flip(m: Any, axis: Any = None) -> Any:
    m = TABLE["operand"](m)
    axes = normal_axes(axis, np.ndim(m))
    return m[tuple(slice(None, None, -1) if k in axes else slice(None) for k in range(np.ndim(m)))]


@implements(np.flipud, lists=True)
def _flipud(m: Any) -> Any:
    return _flip(m, 0)


@implements(np.fliplr, lists=True)
def _fliplr(m: Any) -> Any:
    return _flip(m, 1)


@implements(np.rot90, lists=True)
def _rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    m = TABLE["operand"](m)
    first, second = (normal_axis(axis, np.ndim(m)) for axis in axes)
    if first == second:
        raise ShapeError(
            "rot90: the two axes must differ",
            {"axes": axes},
            fix="name two axes, such as axes=(0, 1)",
        )
    turns = operator.index(k) % 4
    if turns == 0:
        return m[...]
    if turns == 2:
        return _flip(m, (first, second))
    return (
        np.swapaxes(_flip(m, second), first, second)
        if turns == 1
        else _flip(np.swapaxes(m, first, second), second)
    )


@implements(np.roll, lists=True)
def _roll(a: Any, shift: Any, axis: Any = None) -> Any:
    a = TABLE["operand"](a)
    if axis is None:
        return np.reshape(_roll(np.reshape(a, (-1,)), np.sum(shift), 0), np.shape(a))
    order = memory_order(a)
    shifts, axes = np.broadcast_arrays(known(shift, "roll: the shift"), axis)
    for by, k in zip(shifts.ravel().tolist(), axes.ravel().tolist(), strict=True):
        along = normal_axis(k, np.ndim(a))
        length = np.shape(a)[along]
        by = operator.index(by) % length if length else 0
        if by:
            front, back = a[at_axis(along, slice(-by, None))], a[at_axis(along, slice(None, -by))]
            a = np.concatenate([front, back], axis=along)
    return laid_out(TABLE["copy"](a), order)


# ---- repetition ----------------------------------------------------------------------------------


@implements(np.tile, lists=True)
def _tile(A: Any, reps: Any) -> Any:
    a = TABLE["operand"](A)
    counts = [operator.index(n) for n in (reps if np.ndim(reps) else (reps,))]
    rank = max(np.ndim(a), len(counts))
    counts = [1] * (rank - len(counts)) + counts
    shape = (1,) * (rank - np.ndim(a)) + tuple(np.shape(a))
    apart = tuple(n for length in shape for n in (1, length))
    wide = tuple(n for pair in zip(counts, shape, strict=True) for n in pair)
    spread = np.broadcast_to(np.reshape(a, apart), wide)
    return TABLE["copy"](
        np.reshape(spread, tuple(r * n for r, n in zip(counts, shape, strict=True))), "C"
    )


@implements(np.repeat, lists=True)
def _repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    a = TABLE["operand"](a)
    if axis is None:
        a, axis = np.reshape(a, (-1,)), 0
    along = normal_axis(axis, np.ndim(a))
    counts = known(repeats, "repeat: the counts")
    shape = tuple(np.shape(a))
    if np.size(counts) != 1:
        if np.shape(counts) != (shape[along],):
            raise ShapeError(
                "repeat: one count per entry is needed",
                {"counts": np.shape(counts), "entries": shape[along]},
                fix="give one number for all, or a list as long as the axis",
            )
        return a[at_axis(along, np.repeat(_arange(shape[along]), counts))]
    count = operator.index(np.reshape(counts, ()).item())
    if count < 0:
        raise ShapeError(
            "repeat: a count can't be negative",
            {"count": count},
            fix="a count of 0 leaves the entries out",
        )
    apart = np.reshape(a, (*shape[: along + 1], 1, *shape[along + 1 :]))
    spread = np.broadcast_to(apart, (*shape[: along + 1], count, *shape[along + 1 :]))
    return TABLE["copy"](
        np.reshape(spread, (*shape[:along], shape[along] * count, *shape[along + 1 :])), "C"
    )


# ---- pads ----------------------------------------------------------------------------------------

_BY_POSITION = ("edge", "wrap", "reflect", "symmetric")


@implements(np.pad, lists=True)
def _pad(
    array: Any, pad_width: Any, mode: Any = "constant", *, constant_values: Any = 0
) -> Any:  # fmt: skip
    a = TABLE["operand"](array)
    widths = _widths(pad_width, np.ndim(a))
    order = column_order(a)
    if mode == "constant":
        return laid_out(_pad_constant(a, widths, TABLE["operand"](constant_values)), order)
    if mode == "empty":
        return laid_out(_pad_constant(a, widths, 0), order)
    if mode not in _BY_POSITION:
        raise UnsupportedError(
            f"np.pad: mode={mode!r} can't be traced",
            fix=f"use mode='constant', '{', '.join(_BY_POSITION)}', or join with np.concatenate",
        )
    for axis, width in enumerate(widths):
        if width != (0, 0):
            length = np.shape(a)[axis]
            if not length:
                raise ShapeError(
                    f"pad: an empty axis can't be padded with mode={mode!r}",
                    fix="use mode='constant', which needs no entries to go by",
                )
            a = a[at_axis(axis, np.pad(_arange(length), width, mode))]
    return laid_out(TABLE["copy"](a), order)


def _widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    """(before, after) of every axis."""
    if isinstance(pad_width, dict):
        widths: list[Any] = [(0, 0)] * ndim
        for axis, width in pad_width.items():
            widths[normal_axis(axis, ndim)] = width if np.ndim(width) else (width, width)
    else:
        try:
            widths = np.broadcast_to(known(pad_width, "pad: the widths"), (ndim, 2)).tolist()
        except ValueError:
            raise ShapeError(
                "pad: pad_width must be a number, (before, after), or a pair for every axis",
                {"pad_width": pad_width, "axes": ndim},
                fix="write pad_width=1, (1, 2), or ((1, 2), (0, 0)) for two axes",
            ) from None
    pairs = [(operator.index(before), operator.index(after)) for before, after in widths]
    if min(map(min, pairs), default=0) < 0:
        raise ShapeError(
            "pad: a width can't be negative",
            {"pad_width": pad_width},
            fix="cut off with a slice instead: x[1:-1]",
        )
    return pairs


def _pad_constant(a: Any, widths: list[tuple[int, int]], values: Any) -> Any:
    ndim = np.ndim(a)
    if np.ndim(values):
        pairs = np.broadcast_to(values, (ndim, 2))
    for axis, width in enumerate(widths):
        parts = [a]
        for side in (0, 1):
            if width[side]:
                shape = (*np.shape(a)[:axis], width[side], *np.shape(a)[axis + 1 :])
                value = pairs[axis, side] if np.ndim(values) else values
                filled = np.broadcast_to(_cast(value, a.dtype), shape)
                parts.insert(0 if side == 0 else len(parts), filled)
        if len(parts) > 1:
            a = np.concatenate(parts, axis=axis)
    return a if any(map(any, widths)) else TABLE["copy"](a)


def _cast(value: Any, dtype: Any) -> Any:
    if type(value) is Tracer:
        return TABLE["astype"](value, dtype)
    own = np.array(value, dtype)
    own.flags.writeable = False  # known never to change, by whoever compiles it
    return own


# ---- differences ---------------------------------------------------------------------------------


@implements(np.diff, lists=True)
def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    a = TABLE["operand"](a)
    along = normal_axis(axis, np.ndim(a))
    if n < 0:
        raise ShapeError(
            "diff: the order can't be negative",
            {"n": n},
            fix="give n of 0 or more; np.cumsum undoes a difference",
        )
    ends = [_end(part, a, along) for part in (prepend, append)]
    parts = [*ends[:1], a, *ends[1:]]
    if prepend is not None or append is not None:
        a = np.concatenate([part for part in parts if part is not None], axis=along)
    for _ in range(n):
        late, early = a[at_axis(along, slice(1, None))], a[at_axis(along, slice(None, -1))]
        a = np.not_equal(late, early) if a.dtype.kind == "b" else np.subtract(late, early)
    return a


def _end(part: Any, a: Any, axis: int) -> Any:
    """What diff sets before or after an array: a scalar becomes a slice."""
    if part is None or part is np._NoValue:
        return None
    part = TABLE["operand"](part)
    if np.ndim(part):
        return part
    return np.broadcast_to(part, (*np.shape(a)[:axis], 1, *np.shape(a)[axis + 1 :]))


@implements(np.ediff1d, lists=True)
def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    steps = _diff(np.reshape(TABLE["operand"](ary), (-1,)))
    ends = [
        None if end is None else np.reshape(_cast(TABLE["operand"](end), steps.dtype), (-1,))
        for end in (to_begin, to_end)
    ]
    if ends == [None, None]:
        return steps
    return np.concatenate([part for part in (ends[0], steps, ends[1]) if part is not None])


# ---- ranges --------------------------------------------------------------------------------------


@implements(np.linspace)
def _linspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    start, stop = (TABLE["operand"](end) * 1.0 for end in (start, stop))
    count = operator.index(num)
    if count < 0:
        raise ArgumentError(
            "linspace: the number of samples can't be negative",
            {"num": num},
            fix="give num of 0 or more",
        )
    gaps = count - 1 if endpoint else count
    whole = np.subtract(stop, start)
    kind = np.result_type(start, stop, 0.0)
    steps = np.reshape(_arange(count, dtype=kind), (-1, *(1,) * np.ndim(whole)))
    step = whole / gaps if gaps > 0 else whole * np.nan
    line = start + (steps * step if gaps > 0 else steps * whole)
    if endpoint and count > 1:
        # The last one is the end itself, not what rounding makes of it.
        end = np.broadcast_to(stop, line.shape[1:])[None]
        line = np.concatenate([line[:-1], end], dtype=line.dtype)
    line = line if axis == 0 else np.moveaxis(line, 0, axis)
    line = line if dtype is None else TABLE["astype"](line, dtype)
    return (line, step) if retstep else line


@implements(np.logspace)
def _logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, base: Any = 10.0,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    powers = np.power(base, _linspace(start, stop, num, endpoint, axis=axis))
    return powers if dtype is None else TABLE["astype"](powers, dtype)


@implements(np.geomspace)
def _geomspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    start, stop = strong(start), strong(stop)
    ratio = np.true_divide(stop, start)
    powers = start * np.exp(_linspace(0.0 * ratio, np.log(ratio), num, endpoint, axis=axis))
    return powers if dtype is None else TABLE["astype"](powers, dtype)


# ---- leaving out and putting in ------------------------------------------------------------------


def _flattened(arr: Any, axis: Any) -> tuple[Any, int]:
    arr = TABLE["operand"](arr)
    if axis is None:
        return np.reshape(arr, (-1,)), 0
    return arr, normal_axis(axis, np.ndim(arr))


@implements(np.delete, lists=True)
def _delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    arr, along = _flattened(arr, axis)
    obj = obj if isinstance(obj, slice) else known(obj, "delete: the positions")
    kept = arr[at_axis(along, np.delete(_arange(np.shape(arr)[along]), obj))]
    return laid_out(kept, column_order(arr)) if np.ndim(obj) == 0 else kept


@implements(np.insert, lists=True)
def _insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    arr, along = _flattened(arr, axis)
    length = np.shape(arr)[along]
    obj = _arange(*obj.indices(length)) if isinstance(obj, slice) else known(obj, "insert: places")
    values = _cast(TABLE["operand"](values), arr.dtype)
    if np.size(obj) == 1:
        short = np.ndim(arr) - np.ndim(values)
        values = np.reshape(values, (1,) * max(0, short) + tuple(np.shape(values)))
        if np.ndim(obj) == 0:
            values = np.moveaxis(values, 0, along)
        count = np.shape(values)[along]
        obj = np.reshape(obj, ()).item()
    else:
        count = int(np.sum(obj)) if obj.dtype == bool else len(obj)
    shape = tuple(np.shape(arr))
    values = np.broadcast_to(values, (*shape[:along], count, *shape[along + 1 :]))
    order = np.insert(_arange(length), obj, length + _arange(count))
    joined = np.concatenate([arr, values], axis=along)[at_axis(along, order)]
    return laid_out(joined, column_order(arr))
