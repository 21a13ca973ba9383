"""Pieces of an array laid side by side: what many basic indices read, put together again."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.tracing.table import TABLE

# While a trace runs, NumPy's own names make buffers.
_zeros = np.zeros

# Where a piece lies, axis by axis: a place, or (start, stop). The axes behind are taken whole.
_Spot = tuple[Any, ...]


def tiled(shape: tuple[int, ...], pieces: Sequence[tuple[Any, tuple[Any, ...]]]) -> Any:
    """Zeros of a shape with each g added at its index, as one array joined of all of them.

    Args:
        shape: of the result.
        pieces: (g, index) each; an index holds no arrays.

    Returns:
        The sum; None where indices overlap without being the same, leave most of the array empty,
        or are of another kind than integers and slices of one axis after the other.
    """
    spots = [_spot(shape, index) for _, index in pieces]
    if not all(spots):
        return None
    found = [(g, spot) for (g, _), spot in zip(pieces, spots, strict=True) if spot]
    return _joined(shape, found, 0)


def _spot(shape: tuple[int, ...], index: tuple[Any, ...]) -> _Spot | None:
    """Where an index points; None where that isn't one block."""
    if any(entry is None or entry is Ellipsis for entry in index):
        return None
    found: list[Any] = []
    for entry, length in zip(index, shape, strict=False):
        if isinstance(entry, slice):
            start, stop, step = entry.indices(length)
            if step != 1 or stop <= start:
                return None
            found.append((start, stop))
        else:
            found.append(entry % length)
    while found and found[-1] == (0, shape[len(found) - 1]):
        found.pop()
    return tuple(found)


def _joined(shape: tuple[int, ...], pieces: Sequence[tuple[Any, _Spot]], axis: int) -> Any:
    """The blocks along an axis, each with all that lies in it, and zeros between them."""
    length = shape[axis]
    if all(first == (0, length) and rest for _, (first, *rest) in pieces):
        return _joined(shape, [(g, spot[1:]) for g, spot in pieces], axis + 1)
    blocks: dict[Any, list[tuple[Any, _Spot]]] = {}
    for g, (first, *rest) in pieces:
        if rest and (type(first) is tuple or axis):
            return None
        blocks.setdefault(first, []).append((g, tuple(rest)))
    ordered = sorted(blocks, key=_ends)
    if not _lie_apart(ordered, length):
        return None
    rows = all(type(first) is int for first in ordered)
    before, after = shape[:axis], shape[axis + 1 :]
    parts: list[Any] = []
    at = 0
    for first in [*ordered, (length, length)]:
        start, stop = _ends(first)
        if start > at:
            dtype = pieces[0][0].dtype
            gap = [_zeros((*before, *after), dtype)] * (start - at)
            parts += gap if rows else [_zeros((*before, start - at, *after), dtype)]
        if first in blocks:
            block = _block((*before, *after), blocks[first])
            if block is None:
                return None
            whole = rows or type(first) is tuple
            parts.append(block if whole else np.reshape(block, (*before, 1, *after)))
        at = stop
    return TABLE["stack"](parts, axis) if rows else np.concatenate(parts, axis)


def _lie_apart(ordered: Sequence[Any], length: int) -> bool:
    """Whether blocks don't overlap, and fill at least half of an axis."""
    covered, at = 0, 0
    for first in ordered:
        start, stop = _ends(first)
        if start < at:
            return False
        covered, at = covered + stop - start, stop
    return 2 * covered >= length


def _ends(first: Any) -> tuple[int, int]:
    return first if type(first) is tuple else (first, first + 1)


def _block(shape: tuple[int, ...], pieces: Sequence[tuple[Any, _Spot]]) -> Any:
    """What lies in one block: pieces that fill it are added up, with the others joined."""
    filling = [g for g, rest in pieces if not rest]
    others = [(g, rest) for g, rest in pieces if rest]
    if others:
        joined = _joined(shape, others, 0)
        if joined is None:
            return None
        filling.append(joined)
    return functools.reduce(operator.add, filling)
