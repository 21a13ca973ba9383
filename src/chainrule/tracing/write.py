"""Writes into traced arrays, with NumPy's own aliasing.

A write goes to the root of the written view, at the positions that the same chain of view
operations picks out of an array of positions. The root's name is then re-pointed to a new
variable. Writes of single elements, or of whole rows, are logged and become one equation at the
first whole read, so that filling an array in a loop takes memory in proportion to the array.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError, OutOfBoundsError, TraceError
from chainrule.ir.types import type_of
from chainrule.tracing.table import TABLE
from chainrule.tracing.trace import describe_type, newest_of, repoint, snapshot
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import Log, memory_order, positions_of, root_of, settle_aliasing

Place = tuple[int, ...]
_asarray, _shape = np.asarray, np.shape  # while a trace runs, NumPy's own names are ours


def write(x: Tracer, index: tuple[Any, ...], value: Any) -> None:
    """x[index] = value."""
    settle_aliasing(x)
    root = root_of(x)
    check_dtype(root, value)
    row = _row(x, root, index)
    if row is not None:
        entry = _entry(value, root.shape[len(row) :], root.dtype)
        if entry is not None:
            _log(root, row, entry)
            if x is not root and len(row) < root.ndim:
                # The written view is all new: it needs no reading back from the root.
                repoint(x, entry)
                x.alias.seen = root.version
            return
    if type(root.alias) is Log:
        flush(root)
    base = _under_newest(root, value, *index)
    if x is root:
        new = TABLE["put"](base, index, value)
    else:
        # Counted along the memory, as `positions_of` does.
        order = memory_order(root) or tuple(range(root.ndim))
        laid = np.transpose(base, order)
        spots = TABLE["getitem"](_spots_of(x, root), index)
        flat = TABLE["put"](np.reshape(laid, (-1,)), (spots,), value)
        back = tuple(order.index(k) for k in range(len(order)))
        new = np.transpose(np.reshape(flat, laid.shape), back)
    _advance(root, new)


def check_dtype(target: Any, value: Any) -> None:
    """An array of integers can't hold a derivative: refuse to cut a traced number short."""
    if type(value) is not Tracer:
        return
    dtype, kind = target.dtype, value.dtype.kind
    if (kind in "fc" and dtype.kind in "iub") or (kind == "c" and dtype.kind == "f"):
        raise DtypeError(
            f"an array of dtype {dtype} can't hold a traced {value.dtype}",
            {"array": type_of(target), "value": describe_type(value)},
            f"make the array with dtype {value.dtype}; or convert the value with .astype({dtype})",
        )


def _spots_of(x: Tracer, root: Tracer) -> np.ndarray:
    """Where each element of a view is to be written, counted along the root's memory."""
    spots = positions_of(x)
    if x.dtype != root.dtype:
        raise TraceError(
            "the real or imaginary part of a traced array can't be written by itself",
            {"array": describe_type(root), "part": describe_type(x)},
            "write both: z[...] = real + 1j * imag",
        )
    if any(step == 0 and n > 1 for step, n in zip(spots.strides, spots.shape, strict=True)):
        raise ArgumentError(
            "an array made by broadcasting is read-only, for its entries share their memory",
            {"array": describe_type(x)},
            "write into a copy: np.broadcast_to(x, shape).copy()",
        )
    return spots.real.astype(np.intp) if spots.dtype.kind == "c" else spots


# ---- the log -----------------------------------------------------------------------------------


def _row(x: Tracer, root: Tracer, index: tuple[Any, ...]) -> Place | None:
    """The leading indices of the row of the root that a write fills entirely, if it does."""
    if x is root:
        return _place(index, tuple(x.shape)) if index else None
    view = x.alias
    if view.parent is root and len(index) == 1 and _is_all(index[0]) and x.dtype == root.dtype:
        # `y[i] += 1` is, to Python, a write to all of the view y[i].
        how = view.params.get("index")
        return _place(how, tuple(root.shape)) if type(how) is tuple and how else None
    place = _place(index, tuple(x.shape)) if len(index) == x.ndim and index else None
    if place is None or memory_order(root) is not None:
        return None
    return tuple(map(int, np.unravel_index(int(_spots_of(x, root)[place]), root.shape)))


def _is_all(entry: Any) -> bool:
    return entry is Ellipsis or (type(entry) is slice and entry == slice(None))


def _place(index: tuple[Any, ...], shape: tuple[int, ...]) -> Place | None:
    """Non-negative leading indices, when the index is made of integers alone."""
    for i in index:
        if type(i) is not int and not isinstance(i, np.integer):
            return None
    if len(index) > len(shape):
        return None
    place = tuple(map(operator.index, index))
    for i, n in zip(place, shape, strict=False):
        if not -n <= i < n:
            raise index_error(place, shape)
    return tuple(i + n if i < 0 else i for i, n in zip(place, shape, strict=False))


def index_error(place: Any, shape: tuple[int, ...]) -> OutOfBoundsError:
    """An index that lies outside the array."""
    shown = ", ".join(map(str, place))
    return OutOfBoundsError(
        "an index lies outside the array",
        {"index": shown, "shape": shape},
        fix="use an index from -n to n - 1 along an axis of length n",
    )


def _entry(value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """A value as the array will hold it, under a name of its own; None if it doesn't fit simply."""
    given = tuple(value.shape) if type(value) is Tracer else _shape(value)
    if given != shape:
        if given != ():
            return None
        value = np.broadcast_to(value, shape)
    if type(value) is not Tracer:
        return _asarray(value).astype(dtype)[()]
    value = snapshot(value) if value.dtype == dtype else TABLE["astype"](value, dtype)
    value.weak = False
    return value


def _log(root: Tracer, place: Place, value: Any) -> None:
    if type(root.alias) is Log and root.alias.depth != len(place):
        flush(root)
    if type(root.alias) is not Log:
        root.alias = Log(flush, len(place))
    root.alias.entries[place] = value
    root.version += 1


def logged(x: Tracer, index: tuple[Any, ...]) -> Any:
    """x[index] while writes to x stand in its log, when that can be told without reading all."""
    log = x.alias
    if type(log) is not Log or not log.depth <= len(index):
        return None
    place = _place(index, tuple(x.shape))
    if place is None:
        return None
    row = log.entries.get(place[: log.depth])
    if row is None:
        result = TABLE["getitem"](Tracer(x.owner, x.value, x.mark), place)
    elif len(place) == log.depth:
        result = snapshot(row) if type(row) is Tracer else row
    else:
        result = TABLE["getitem"](row, place[log.depth :])
    if len(place) == x.ndim:
        return result
    if type(result) is not Tracer:
        result = x.owner.lift(result)
    TABLE["link"](result, x, place)
    return result


def flush(root: Tracer) -> None:
    """Turn the logged writes into one equation."""
    entries = root.alias.entries
    root.alias = None
    values = list(entries.values())
    places = _asarray(list(entries), np.intp).T
    _advance(root, TABLE["assemble"](_under_newest(root, *values), tuple(places), values))


# ---- the new variable --------------------------------------------------------------------------


def _under_newest(root: Tracer, *values: Any) -> Any:
    """The root's variable, known to the trace that will record the write."""
    newest = newest_of(values)
    current: Any = Tracer(root.owner, root.value, root.mark)
    if newest is not None and (not root.owner.open or newest.serial > root.owner.serial):
        return newest.lift(current if root.owner.open else root.value)
    return current


def _advance(root: Tracer, new: Any) -> None:
    if new.dtype != root.dtype:
        new = TABLE["astype"](new, root.dtype)
    if type(new) is Tracer:
        new.alias = None
    root.alias = None
    repoint(root, new)
    root.version += 1
