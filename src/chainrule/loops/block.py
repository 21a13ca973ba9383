"""Sums of products cut into blocks, so that what is read again and again stays near.

A convolution reads its kernel anew for every tile of places; where the kernel is larger than the
second nearest cache, it comes from afar each time. So its last axis is cut: one block of filters is
done for all places of an image before the next.
"""

from __future__ import annotations

import math

from chainrule.loops.nest import Nest, over, step_along
from chainrule.loops.scalar import Node, bits_of, postorder, rebuilt
from chainrule.loops.schedule import Target

NEAR = 640 * 1024  # bytes that stay in the second nearest cache
_AGAIN = 16  # how often a block must be read for the cut to pay


def blocked(nest: Nest, target: Target) -> Nest:
    """The nest with its last axis cut, where that keeps more of an operand near."""
    count = len(nest.shape)
    if count < 3 or len(nest.folds) != 1 or nest.inner or not nest.extents:
        return nest
    (fold,) = nest.folds
    if fold.value.combine != "add" or any(limit != nest.domain[-1] for limit in nest.limits()):
        return nest
    axis = count - 1
    loads = [n for n in postorder([fold.node]) if n.op == "load"]
    along = [n for n in loads if step_along(n.args[0], axis) == 1]
    if len(along) != 1 or len(loads) != 2:
        return nest
    other = loads[0] if loads[1] is along[0] else loads[1]
    used = _counters(along[0])
    again = [k for k in range(axis) if k not in used]
    if math.prod(nest.shape[k] for k in again) < _AGAIN:
        return nest
    place = again[0]
    if place == 0 and nest.shape[0] >= 4 and math.prod(nest.shape[k] for k in again[1:]) >= _AGAIN:
        place = 1  # threads share the outermost loop
    size = bits_of(along[0].kind) // 8
    inside = {k for k in range(len(nest.domain)) if k >= place}
    column = math.prod(nest.domain[k] for k in (used & inside) - {axis}) * size
    streamed = _span(nest, other, inside) * size
    width = _width(nest.shape[axis], column, streamed, target.vector_bytes // size)
    return _cut(nest, axis, place, width) if width else nest


def _counters(load: Node) -> set[int]:
    return {n.attr for n in postorder(load.args) if n.op == "index"}


def _span(nest: Nest, load: Node, axes: set[int]) -> int:
    """Entries from the first to the last that are read while some counters run."""
    steps = [(step_along(load.args[0], k), nest.domain[k]) for k in _counters(load) & axes]
    if any(step is None for step, _ in steps):
        return math.prod(n for _, n in steps)
    return 1 + sum(abs(step or 0) * (n - 1) for step, n in steps)


def _width(extent: int, column: int, streamed: int, lanes: int) -> int:
    """How much of the last axis at once; 0 where all of it may stay together.

    Args:
        column: bytes that are read again for every place, for each entry along the axis.
        streamed: bytes of the other operand.
    """
    if column * extent + streamed <= NEAR or extent % lanes:
        return 0
    room = max(NEAR - streamed, NEAR // 3)
    fitting = [n for n in range(lanes, extent, lanes) if extent % n == 0 and column * n <= room]
    best = max(fitting, default=0)
    if best < 2 * lanes <= extent and extent % (2 * lanes) == 0 and column * 2 * lanes <= NEAR:
        best = 2 * lanes  # else a register tile would be too small
    return best if best < extent else 0


def _cut(nest: Nest, axis: int, place: int, width: int) -> Nest:
    """An axis in blocks of some width; which block it is, is counted further out."""
    graph = nest.graph

    def change(node: Node) -> Node | None:
        if node.op != "index" or node.attr < place:
            return None
        if node.attr == axis:
            return graph.index(place) * width + graph.index(axis + 1)
        return graph.index(node.attr + 1)

    shape = (
        *nest.shape[:place], nest.shape[axis] // width, *nest.shape[place:axis], width,
        *nest.shape[axis + 1 :],
    )  # fmt: skip
    return over(nest, shape, nest.extents, rebuilt(nest.nodes(), graph, change))
