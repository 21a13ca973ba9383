"""Indices: how a user's index is kept, and how it is taken for a whole batch.

An index is kept in two parts. The static part, `index`, is a tuple of integers, slices, None,
Ellipsis and `Spot(k)`; a spot stands for index array number k, which is an operand of its own.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import DtypeError, OutOfBoundsError, TraceError, UnsupportedError
from chainrule.ir.types import ArrayType, type_of
from chainrule.tracing.creation import refuse_unknown
from chainrule.tracing.table import TABLE
from chainrule.tracing.trace import ground
from chainrule.tracing.tracer import Tracer

# While a trace runs, NumPy's own names make buffers.
_zeros, _asarray = np.zeros, np.asarray


class Spot(NamedTuple):
    """The place of index array `number` in an index."""

    number: int

    def __repr__(self) -> str:
        return f"@{self.number}"


def full_index(index: tuple[Any, ...], arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The index as NumPy takes it."""
    if not arrays:
        return index
    return tuple(arrays[i.number] if type(i) is Spot else i for i in index)


def split_index(x: Any, index: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """A user's index → its static part and its index arrays. Boolean masks become positions."""
    entries = [_plain_entry(entry) for entry in (index if type(index) is tuple else (index,))]
    static: list[Any] = []
    arrays: list[Any] = []
    for entry, axis in zip(entries, _axes_of(x, entries), strict=True):
        if not isinstance(entry, (np.ndarray, Tracer)):
            static.append(entry)
            continue
        for array in _positions(entry, x, axis) if entry.dtype.kind == "b" else (entry,):
            static.append(Spot(len(arrays)))
            arrays.append(array)
    return tuple(static), tuple(arrays)


def _plain_entry(entry: Any) -> Any:
    """One entry of an index: an integer, a slice, None, Ellipsis, or an array that may index."""
    kind = type(entry)
    if kind is int or entry is None or entry is Ellipsis:
        return entry
    if kind is slice:
        return _plain_slice(entry)
    if kind is Tracer and entry.shape == () and entry.dtype.kind in "iu":
        value = ground(entry)
        return entry if value is None else int(value)
    if kind is bool or kind is np.bool_:
        return _asarray(entry)
    if not isinstance(entry, (np.ndarray, Tracer, list, tuple)):
        return _integer(entry)
    entry = TABLE["operand"](list(entry) if kind is tuple else entry)
    if entry.size == 0 and entry.dtype.kind == "f" and type(entry) is not Tracer:
        return entry.astype(np.intp)
    if entry.dtype.kind not in "iub":
        raise DtypeError(
            "an index array must hold integers or booleans",
            {"index": type_of(entry)},
            "convert it first: index.astype(int)",
        )
    return entry


def _integer(entry: Any) -> int:
    try:
        return operator.index(entry)
    except TypeError:
        refuse_unknown(entry)
        raise DtypeError(
            "an index must be an integer, a slice, or an array of integers or booleans",
            {"index": f"{type(entry).__name__} {entry!r}"[:80]},
            "convert a number first: x[int(i)]",
        ) from None


def _plain_slice(entry: slice) -> slice:
    parts = (entry.start, entry.stop, entry.step)
    if all(p is None or type(p) is int for p in parts):
        return entry
    return slice(*[None if p is None else _integer(p) for p in parts])


def _axes_of(x: Any, entries: list[Any]) -> list[int]:
    """For every entry the axis of x that it begins at."""
    widths = [_width(entry) for entry in entries]
    used, ndim = sum(widths), len(x.shape)
    if used > ndim:
        raise OutOfBoundsError(
            "too many indices for the array",
            {"array": type_of(x), "indices": used},
            "use at most one index per axis",
        )
    if sum(entry is Ellipsis for entry in entries) > 1:
        raise OutOfBoundsError(
            "an index can hold only one ellipsis (...)",
            fix="keep one ..., and write : for the other axes",
        )
    axes, axis = [], 0
    for entry, width in zip(entries, widths, strict=True):
        axes.append(axis)
        axis += ndim - used if entry is Ellipsis else width
    return axes


def _width(entry: Any) -> int:
    """How many axes an entry takes."""
    if entry is None or entry is Ellipsis:
        return 0
    is_mask = isinstance(entry, (np.ndarray, Tracer)) and entry.dtype.kind == "b"
    return len(entry.shape) if is_mask else 1


def _positions(mask: Any, x: Any, axis: int) -> tuple[Any, ...]:
    """Where a mask over the axes of x from `axis` on is true."""
    shape = tuple(mask.shape)
    if not shape:
        raise UnsupportedError(
            "a single truth value can't be combined with other indices",
            fix="choose with np.where(condition, a, b)",
        )
    if shape != tuple(x.shape[axis : axis + len(shape)]):
        raise OutOfBoundsError(
            "a mask must have the shape of the axes that it picks from",
            {"array": type_of(x), "mask": type_of(mask)},
            "make the mask from the array itself, as in x[x > 0]",
        )
    known = ground(mask)
    if known is None:
        raise TraceError(
            "indexing with a mask gives a shape that depends on values not known here",
            fix="choose with np.where(mask, x, 0)",
        )
    return np.nonzero(known)


# ---- types ---------------------------------------------------------------------------------------


def out_of_bounds(x: Any, index: tuple[Any, ...], error: IndexError) -> OutOfBoundsError:
    return OutOfBoundsError(
        f"indexing: {error}", {"array": type_of(x)}, "use an index inside the array"
    )


def indexed_type(x: ArrayType, *arrays: ArrayType, index: tuple[Any, ...]) -> ArrayType:
    # Shapes follow from NumPy itself, on arrays that take no memory.
    probe = np.broadcast_to(np.zeros((), np.int8), x.shape)
    spots = [np.zeros(a.shape, np.intp) for a in arrays]
    try:
        return ArrayType(probe[full_index(index, spots)].shape, x.dtype)
    except IndexError as error:
        raise out_of_bounds(probe, index, error) from None


# ---- batches -------------------------------------------------------------------------------------


class Layout(NamedTuple):
    """How a batched index is taken: NumPy's index, its arrays, and the axes of the raw result.

    `order` lists the axes of NumPy's result such that the batch comes first and the rest stands as
    for one example.
    """

    entries: tuple[Any, ...]
    arrays: tuple[Any, ...]
    order: tuple[int, ...]


def batched_layout(
    shape: tuple[int, ...],
    index: tuple[Any, ...],
    arrays: Sequence[Any],
    batched_x: bool,
    batched: Sequence[bool],
    size: int,
) -> Layout:
    """The layout for an array of this (example's) shape whose batch axis is in front, or isn't."""
    kinds = [
        ArrayType(np.shape(a)[b:], np.dtype(int)) for a, b in zip(arrays, batched, strict=True)
    ]
    result = indexed_type(ArrayType(shape, np.dtype(float)), *kinds, index=index)
    rank = max((len(k.shape) for k in kinds), default=0)
    spread = max((len(np.broadcast_shapes(*[k.shape for k in kinds])), 0)) if kinds else 0
    at = _advanced_position(index, len(shape)) if arrays else 0
    ndim = len(result.shape)
    if not any(batched):
        grown = (slice(None), *index)
        # NumPy moves index arrays that a slice separates to the very front.
        front = spread if arrays and _is_separated(index) else 0
        order = (front, *range(front), *range(front + 1, ndim + 1))
        return Layout(grown, tuple(arrays), order)
    aligned = tuple(
        np.reshape(a, (size, *(1,) * (rank - np.ndim(a) + 1), *np.shape(a)[1:])) if b else a
        for a, b in zip(arrays, batched, strict=True)
    )
    if not batched_x:
        order = (at, *range(at), *range(at + 1, ndim + 1))
        return Layout(index, aligned, order)
    examples = np.arange(size).reshape((size,) + (1,) * rank)
    shifted = tuple(Spot(i.number + 1) if type(i) is Spot else i for i in index)
    grown = (Spot(0), *shifted)
    if not _is_separated(grown):
        return Layout(grown, (examples, *aligned), tuple(range(ndim + 1)))
    # The raw result is (batch, spread…, rest…); the spread belongs behind `at` axes of the rest.
    rest = list(range(1 + spread, ndim + 1))
    order = (0, *rest[:at], *range(1, 1 + spread), *rest[at:])
    return Layout(grown, (examples, *aligned), order)


def _advanced(index: tuple[Any, ...]) -> list[bool]:
    return [type(i) is Spot or isinstance(i, int) for i in index]


def _is_separated(index: tuple[Any, ...]) -> bool:
    """Whether a slice, None or Ellipsis stands between two index arrays."""
    flags = _advanced(index)
    if True not in flags:
        return False
    first, last = flags.index(True), len(flags) - 1 - flags[::-1].index(True)
    return not all(flags[first : last + 1])


def _advanced_position(index: tuple[Any, ...], ndim: int) -> int:
    """Where in one example's result the axes of the index arrays stand."""
    if _is_separated(index):
        return 0
    used = sum(1 for i in index if i is not None and i is not Ellipsis)
    position = 0
    for i, advanced in zip(index, _advanced(index), strict=True):
        if advanced:
            return position
        position += ndim - used if i is Ellipsis else 1
    return position


def inverse(order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(k) for k in np.argsort(order))
