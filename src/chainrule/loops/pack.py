"""Operands of products laid out anew, where the innermost loop would stride through memory.

A sum of products reads each operand many times over. If neighbours along the loop that goes by
vectors don't lie side by side, copying the operand once, turned over, costs less than gathering it
again and again. A large operand is laid out in panels: all that one register tile reads lies in
one piece, where memory otherwise would be read in strides that no prefetcher follows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from chainrule.loops.block import NEAR
from chainrule.loops.cluster import own_cost
from chainrule.loops.scalar import Node, rebuilt
from chainrule.loops.schedule import Target, tile_of
from chainrule.loops.units import without_units
from chainrule.loops.value import Builder, Shape, Value, describe_reads, strides

_SHORT = 8  # entries along an axis that a vector isn't worth
_REUSE = 8  # how often an operand must be read for a copy to pay


_FAR = 1024 * 1024  # bytes that don't stay in the second nearest
_LARGE = 32 * 1024  # bytes that don't stay in the nearest cache


def packed(b: Builder, values: Sequence[Value], target: Target) -> list[Value]:
    """The same values in their order, and before each fold the copies that pay for it."""
    order: list[Value] = []
    for value in tuple(values):
        if value.how == "fold" and value.combine == "add":
            copies = _copies(b, value, target)
            order += copies or _split(b, value)
        order.append(value)
    return order


def _split(b: Builder, fold: Value) -> list[Value]:
    """A long sum that strides through more memory than stays near, as a sum of shorter ones."""
    count = len(fold.shape)
    if len(fold.extents) != 1 or math.prod(fold.shape) < _REUSE:
        return []
    extent = fold.extents[0]
    strided = 0
    for source, index in fold.reads:
        place = _place_of(index, count)
        if place is not None and not _neighbours(source, place):
            wide = [i for i in index[place + 1 :] if i.op == "index"]
            strided += source.size * source.dtype.itemsize * bool(wide)
    block = next((n for n in range(128, 31, -1) if extent % n == 0), 0)
    if strided < _FAR or not block or extent < 4 * block:
        return []
    pieces = extent // block
    if pieces * math.prod(fold.shape) * fold.dtype.itemsize > strided // 2:
        return []
    expression = fold.expression
    assert expression is not None

    def piece(*index: Node) -> Node:
        first, *own, turn = index

        def change(node: Node) -> Node | None:
            if node.op != "index":
                return None
            return own[node.attr] if node.attr < count else first * block + turn

        return rebuilt([expression], b.graph, change)[0]

    partial = b.fold("add", (pieces, *fold.shape), (block,), fold.dtype, piece)
    *own, turn = b.counters(count + 1)
    fold.expression, fold.extents = partial(turn, *own), (pieces,)
    describe_reads(fold)
    return [partial]


def _copies(b: Builder, fold: Value, target: Target) -> list[Value]:
    """New layouts for what a fold reads; the fold is changed to read them."""
    if len(fold.reads) != 2 or not fold.shape or fold.shape[-1] < _SHORT:
        return []
    return _for_columns(b, fold, target) + _for_rows(b, fold)


def _for_rows(b: Builder, fold: Value) -> list[Value]:
    """The other operand, if it's large and the innermost sum strides through it."""
    inner = len(fold.shape)
    if inner < 2 or len(fold.extents) != 1:
        return []
    rows, columns = inner - 2, inner - 1
    along = [read for read in fold.reads if _place_of(read[1], rows) is not None]
    if len(along) != 1 or _place_of(along[0][1], columns) is not None:
        return []
    source, index = along[0]
    place = _place_of(index, inner)
    if source.kind is None or place is None or _neighbours(source, place):
        return []
    large = source.size * source.dtype.itemsize > _LARGE and fold.extents[0] >= 64
    if not large or fold.shape[columns] < 2 * _REUSE or any(i.op == "read" for i in index):
        return []
    if not all(i.op in ("index", "const") for i in index) or _made_from_little(source):
        return []
    return _turned(b, fold, source, index, inner, 0)


def _made_from_little(value: Value) -> bool:
    """Whether a value is worked out from memory that is much smaller than it would be itself."""
    leaves, todo = set(), [value]
    while todo:
        v = todo.pop()
        if v.how == "entry" and not v.stored and own_cost(v) <= 2:
            todo += v.operands
        else:
            leaves.add(v)
    return value not in leaves and 4 * sum(v.size for v in leaves) <= value.size


def _for_columns(b: Builder, fold: Value, target: Target) -> list[Value]:
    """The operand along which vectors go."""
    axis = len(fold.shape) - 1
    along = [read for read in fold.reads if _place_of(read[1], axis) is not None]
    if len(along) != 1:
        return []
    source, index = along[0]
    if source.kind is None or not all(i.op in ("index", "const") for i in index):
        return []
    place = _place_of(index, axis)
    assert place is not None
    used = {i.attr for i in index if i.op == "index"}
    reuse = math.prod(n for k, n in enumerate(fold.shape) if k not in used)
    if reuse < _REUSE or len(used) != sum(i.op == "index" for i in index):
        return []
    inner = _place_of(index, len(fold.shape)) if len(fold.extents) == 1 else None
    large = source.size * source.dtype.itemsize > _FAR
    if large and reuse <= 2 * _REUSE and inner is not None and _neighbours(source, inner):
        return []  # lanes go along the sum instead
    width = _panel(fold, source, target) if reuse >= 2 * _REUSE else 0
    if _neighbours(source, place) and not width:
        return []
    return _turned(b, fold, source, index, axis, width)


def _panel(fold: Value, source: Value, target: Target) -> int:
    """How many columns of an operand lie together; 0 where they may stay as they are."""
    lanes = target.vector_bytes // fold.dtype.itemsize
    extent = fold.shape[-1]
    depth = math.prod(fold.extents)
    if extent * depth * source.dtype.itemsize <= _LARGE or depth < 16:
        return 0
    rows = fold.shape[-2] if len(fold.shape) > 1 else 1
    columns = -(-extent // lanes)
    best = tile_of(columns, rows, 2, 1, target)[0]
    if 2 * lanes * depth * source.dtype.itemsize > NEAR // 4 and columns % 2 == 0:
        best = 2  # blocks of so many stay near; see block.py
    if extent % lanes == 0:
        best = next(n for n in range(best, 0, -1) if columns % n == 0)
    return best * lanes if best < columns else 0


def _turned(
    b: Builder, fold: Value, source: Value, index: tuple[Node, ...], axis: int, width: int
) -> list[Value]:
    """A copy of an operand whose last axis is the one that goes by vectors, maybe in panels."""
    domain = fold.domain
    counters = [i.attr for i in index if i.op == "index"]
    lead = sorted(k for k in counters if k < len(fold.shape) and k != axis)
    order = [*lead, *sorted(k for k in counters if k >= len(fold.shape) and k != axis), axis]
    shape = tuple(domain[k] for k in order)

    def entry(*own: Node) -> Node:
        there = dict(zip(order, own, strict=True))
        return source(*[there[i.attr] if i.op == "index" else i for i in index])

    place: list[Node] = [b.graph.index(k) for k in order]
    if width:
        made = _in_panels(b, shape, source, width, entry)
        panel = b.graph.make("panel", "i64", place[-1], attr=width)
        within = b.graph.make("within", "i64", place[-1], attr=width)
        place = [panel, *place[:-1], within]
    else:
        made = [b.stored(b.entry(shape, source.dtype, entry))]
    assert fold.expression is not None
    read, new = source(*index), made[-1](*place)
    (fold.expression,) = rebuilt(
        [fold.expression], b.graph, lambda node: new if node is read else None
    )
    describe_reads(fold)
    return made


def _in_panels(
    b: Builder, shape: Shape, source: Value, width: int, entry: Callable[..., Node]
) -> list[Value]:
    """Memory for so many columns at a time, of which the last may be fewer; its parts first."""
    *rows, columns = shape
    whole = columns // width

    def panels(count: int, first: int, wide: int) -> Value:
        def rule(panel: Node, *own: Node) -> Node:
            *middle, within = own
            return entry(*middle, panel * width + (within + first))

        return b.entry((count, *rows, wide), source.dtype, rule)

    full = panels(whole, 0, width)
    if columns == whole * width:
        return [b.stored(full)]
    last = panels(1, whole * width, columns - whole * width)
    all_ = (whole + 1, *rows, width)
    steps = strides(all_)
    pieces = [(full, 0, steps), (last, whole * steps[0], steps)]
    made = [full, last, b.assemble(all_, source.dtype, pieces)]
    without_units(made)
    return made


def _place_of(index: tuple[Node, ...], axis: int) -> int | None:
    """Which part of an index is this counter."""
    for place, node in enumerate(index):
        if node.op == "index" and node.attr == axis:
            return place
    return None


def _neighbours(value: Value, place: int) -> bool:
    """Whether entries that follow each other along an axis do so in memory."""
    while value.how == "entry" and own_cost(value) == 0 and not value.stored:
        node = value.expression
        if node is None or node.op != "read":
            break
        inner = _place_of(node.args, place)
        if inner is None:
            return False
        value, place = node.attr, inner
    return place == value.ndim - 1
