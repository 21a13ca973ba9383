"""Loop nests that differ in nothing but where their arrays lie: one function does for all of them.

The layers of a deep network repeat a few shapes, so most of its loops come many times.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from chainrule.loops.nest import Nest, Store
from chainrule.loops.scalar import Node, postorder
from chainrule.loops.value import Value


@dataclass(frozen=True)
class Likeness:
    """What a nest does, and to which buffers, in an order that nests alike agree on.

    Two nests with equal keys become each other when their buffers are exchanged one by one.
    """

    key: Hashable
    buffers: tuple[Value, ...]


def likeness(nest: Nest) -> Likeness:
    """What makes a nest the same as others."""
    buffers: dict[int, tuple[int, Value]] = {}  # each with its place
    numbers: dict[int, int] = {}  # node → its place in the rows
    folds = {fold.value.number: place for place, fold in enumerate(nest.folds)}
    rows: list[Hashable] = []

    def buffer(value: Value) -> int:
        return buffers.setdefault(value.number, (len(buffers), value))[0]

    def attribute(node: Node) -> Any:
        if node.op == "load":
            return buffer(node.attr)
        return folds[node.attr.number] if node.op == "fold" else node.attr

    def written(store: Store) -> Hashable:
        place, value = numbers[store.offset.number], numbers[store.node.number]
        return buffer(store.target), place, value, store.limit

    for node in postorder(nest.nodes()):
        numbers[node.number] = len(rows)
        rows.append((node.op, node.kind, attribute(node), *[numbers[a.number] for a in node.args]))
    sums = tuple((f.value.combine, numbers[f.node.number], f.limit) for f in nest.folds)
    stores = tuple(map(written, nest.inner)), tuple(map(written, nest.outer))
    # Of memory that no cache holds the loops have more fetched ahead.
    values = tuple(value for _, value in buffers.values())
    sizes = tuple((value.size, value.dtype.str) for value in values)
    return Likeness((nest.shape, nest.extents, tuple(rows), sums, stores, sizes), values)
