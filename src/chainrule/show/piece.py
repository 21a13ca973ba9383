"""How a large picture is cut into pieces and the pieces are set in rows, like a long text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chainrule.show.way import Point

_SIZE = 90  # items of one piece; dot takes about a twentieth of a second for them
_FAR = 30  # items that a wire passes by before a tag takes its place
_ROW_GAP = 64.0


class Lead(Protocol):
    """What leads from one item to another, by their positions in a list."""

    @property
    def source(self) -> int: ...

    @property
    def target(self) -> int: ...


def far_wires(wires: Sequence[Lead]) -> set[int]:
    """The wires that lead far ahead; what reads nothing stands where it is first read."""
    read = {wire.target for wire in wires}
    at: dict[int, int] = {}
    for wire in wires:
        if wire.source not in read:
            at[wire.source] = min(at.get(wire.source, wire.target), wire.target)
    return {
        k for k, wire in enumerate(wires) if wire.target - at.get(wire.source, wire.source) > _FAR
    }


def cut(count: int, wires: Sequence[Lead]) -> list[int]:
    """The piece of each item, in their order; what reads nothing goes with what first reads it."""
    first: dict[int, int] = {}
    reads: dict[int, list[int]] = {}
    for wire in wires:
        first[wire.source] = min(first.get(wire.source, count), wire.target)
        reads.setdefault(wire.target, []).append(wire.source)
    piece, held, number = [0] * count, 0, 0
    for k in range(count):
        if k not in reads and k in first:
            continue
        own = [j for j in reads.get(k, ()) if j not in reads and first[j] == k]
        if held and held + 1 + len(own) > _SIZE:
            held, number = 0, number + 1
        held += 1 + len(own)
        for j in (k, *own):
            piece[j] = number
    return piece


def in_rows(sizes: Sequence[Point], flat: bool) -> tuple[list[Point], Point]:
    """Where blocks of these sizes go, in rows of about the shape of a page; the whole's size.

    `flat` says that the edges lead to the right or left; else the rows are columns.
    """
    if not flat:
        places, (height, width) = in_rows([(h, w) for w, h in sizes], True)
        return [(x, y) for y, x in places], (width, height)
    area = sum((w + _ROW_GAP) * (h + _ROW_GAP) for w, h in sizes)
    limit = max(max(w for w, _ in sizes), (1.6 * area) ** 0.5)
    places = []
    x = y = tall = wide = 0.0
    for w, h in sizes:
        if x and x + w > limit:
            x, y, tall = 0.0, y + tall + _ROW_GAP, 0.0
        places.append((x, y))
        x += w + _ROW_GAP
        tall, wide = max(tall, h), max(wide, x - _ROW_GAP)
    return places, (wide, y + tall)
