"""Writes into traced arrays, with NumPy's own aliasing.

A write goes to the root of the written view, at the positions that the same chain of view
operations picks out of an array of indices. The root's name is then re-pointed to a new variable.
Element writes are logged and become one equation at the first whole read, so that filling an
array in a loop takes memory in proportion to the array.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError, OutOfBoundsError
from chainrule.tracing.table import TABLE
from chainrule.tracing.trace import (
    Log,
    describe_type,
    newest_of,
    numbering,
    positions_of,
    repoint,
    root_of,
    settle_aliasing,
)
from chainrule.tracing.tracer import Tracer


def write(x: Tracer, index: tuple[Any, ...], value: Any) -> None:
    """x[index] = value."""
    settle_aliasing(x)
    root = root_of(x)
    check_dtype(root.dtype, value, describe_type(root))
    element = _element(x, index, value)
    if element is not None:
        _log(root, element, value)
        return
    if type(root.alias) is Log:
        flush(root)
    base = _under_newest(root, value)
    if x is root:
        new = TABLE["put"](base, index, value)
    else:
        spots = positions_of(x)[_plain_index(index)]
        flat = np.reshape(base, (-1,))  # type: ignore[call-overload]
        new = np.reshape(TABLE["put"](flat, (spots,), value), root.shape)
    _advance(root, new)


def check_dtype(dtype: np.dtype[Any], value: Any, target: str) -> None:
    """An array of integers can't hold a derivative: refuse to cut a traced number short."""
    kind = value.dtype.kind if isinstance(value, Tracer) else ""
    if (kind in "fc" and kind and dtype.kind in "iub") or (kind == "c" and dtype.kind == "f"):
        raise DtypeError(
            f"an array of dtype {dtype} can't hold a traced {value.dtype}",
            {"array": target, "value": describe_type(value)},
            f"make the array with dtype {value.dtype}; or convert the value with .astype({dtype})",
        )


def _element(x: Tracer, index: tuple[Any, ...], value: Any) -> int | None:
    """The flat position in the root, when a single element is written with a single value."""
    if len(index) != x.ndim or not x.ndim or np.shape(value) != ():
        return None
    if not all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in index):
        return None
    place = tuple(map(operator.index, index))
    for i, n in zip(place, x.shape, strict=True):
        if not -n <= i < n:
            raise index_error(place, x.shape)
    return int(positions_of(x)[place])


def index_error(place: Any, shape: tuple[int, ...]) -> OutOfBoundsError:
    """An index that lies outside the array."""
    shown = ", ".join(map(str, place))
    return OutOfBoundsError("an index lies outside the array", {"index": shown, "shape": shape})


def _log(root: Tracer, position: int, value: Any) -> None:
    if type(root.alias) is not Log:
        root.alias = Log(flush)
    root.alias.entries[position] = value
    root.version += 1


def logged(x: Tracer, index: tuple[Any, ...]) -> Any:
    """The value last written to one element, if it still stands in the log; else None."""
    if type(x.alias) is not Log or len(index) != x.ndim:
        return None
    if not all(isinstance(i, (int, np.integer)) and not isinstance(i, bool) for i in index):
        return None
    place = tuple(map(operator.index, index))
    if not all(-n <= i < n for i, n in zip(place, x.shape, strict=True)):
        return None
    return x.alias.entries.get(int(numbering(tuple(x.shape))[place]))


def flush(root: Tracer) -> None:
    """Turn the logged element writes into one equation."""
    entries = root.alias.entries
    root.alias = None
    base = _under_newest(root, *entries.values())
    positions = np.fromiter(entries, np.intp, len(entries))
    _advance(root, TABLE["assemble"](base, positions, list(entries.values())))


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


def _plain_index(index: tuple[Any, ...]) -> tuple[Any, ...]:
    """Indices as NumPy takes them: traced positions by their values."""
    return tuple(i.owner.concrete(i, "an index") if type(i) is Tracer else i for i in index)
