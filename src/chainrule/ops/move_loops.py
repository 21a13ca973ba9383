"""Joining, diagonals and strides as loops: from where each entry comes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from chainrule.ir.types import ArrayType

_FEW = 4  # pieces that are chosen between; more are written into memory one by one


def _steps(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Entries between neighbours along each axis, in C order."""
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))


def _fresh(b: Any, x: Any, dtype: Any) -> Any:
    return b.entry(x.shape, dtype, lambda *i: b.at(x, i, dtype))


def stack(b: Any, out: ArrayType, *xs: Any, axis: int) -> Any:
    """Several arrays along a new axis."""
    if len(xs) <= _FEW:

        def entry(*index: Any) -> Any:
            k, own = index[axis], (*index[:axis], *index[axis + 1 :])
            result = b.at(xs[-1], own, out.dtype)
            for number in range(len(xs) - 2, -1, -1):
                result = b.select(k < number + 1, b.at(xs[number], own, out.dtype), result)
            return result

        return b.entry(out.shape, out.dtype, entry)
    steps = _steps(out.shape)
    own_steps = (*steps[:axis], *steps[axis + 1 :])
    parts = [(_fresh(b, x, out.dtype), k * steps[axis], own_steps) for k, x in enumerate(xs)]
    return b.assemble(out.shape, out.dtype, parts)


def concatenate(b: Any, out: ArrayType, *xs: Any, axis: int) -> Any:
    """Several arrays one behind the other."""
    starts = [sum(x.shape[axis] for x in xs[:k]) for k in range(len(xs))]
    pieces = [(x, start) for x, start in zip(xs, starts, strict=True) if x.shape[axis]]
    if 0 in out.shape:
        return b.entry(out.shape, out.dtype, lambda *i: b.const(0, _kind(out)))
    if len(pieces) <= _FEW:
        return b.entry(out.shape, out.dtype, lambda *i: _piece(b, out, pieces, axis, i))
    steps = _steps(out.shape)
    parts = [(_fresh(b, x, out.dtype), start * steps[axis], steps) for x, start in pieces]
    return b.assemble(out.shape, out.dtype, parts)


def _piece(
    b: Any, out: ArrayType, pieces: Sequence[tuple[Any, int]], axis: int, index: tuple[Any, ...]
) -> Any:
    """The entry of whichever piece lies here; the others are read at a place that they have."""
    result = None
    for number, (x, start) in reversed(list(enumerate(pieces))):
        i = index[axis]
        last = number == len(pieces) - 1
        inside = b.const(True, "i1") if last else i < start + x.shape[axis]
        here = inside if number == 0 else inside & (i >= start)
        own = (*index[:axis], b.select(here, i - start, 0), *index[axis + 1 :])
        entry = b.at(x, own, out.dtype)
        result = entry if result is None else b.select(inside, entry, result)
    return result


def _kind(out: ArrayType) -> str:
    return "i1" if out.dtype.kind == "b" else f"{out.dtype.kind}{out.dtype.itemsize * 8}"


def diagonal(b: Any, out: ArrayType, x: Any, offset: int) -> Any:
    """Of the last two axes."""
    down, right = max(0, -offset), max(0, offset)
    return b.entry(out.shape, out.dtype, lambda *i: x(*i[:-1], i[-1] + down, i[-1] + right))


def strided(
    b: Any,
    out: ArrayType,
    x: Any,
    start: int,
    shape: tuple[int, ...],
    steps: tuple[int, ...],
) -> Any:
    """Entries of x's memory at regular steps."""
    flat = x if x.ndim == 1 else b.reshape(x, (x.size,))

    def entry(*index: Any) -> Any:
        place = b.const(start, "i64")
        for i, step in zip(index, steps, strict=True):
            place = place + i * step
        return flat(place)

    return b.entry(out.shape, out.dtype, entry)
