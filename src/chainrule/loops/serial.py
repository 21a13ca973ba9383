"""Loops whose turns depend on each other: writing to computed places, and running totals."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.loops.cluster import memory_of
from chainrule.loops.nest import Nest, Store, step_along
from chainrule.loops.scalar import Graph, Node, bits_of, postorder, select
from chainrule.loops.schedule import Schedule, Target
from chainrule.loops.value import Value, strides

_ROUND = 4  # vectors that one round of the innermost loop does


def serial_nest(value: Value, expression: Node) -> Nest:
    """The loops of a scatter or a running total, in the order of its counters."""
    graph = Graph()
    made: dict[int, Node] = {}
    for node in postorder([expression]):
        args = tuple(made[a.number] for a in node.args)
        if node.op == "read":
            source: Value = node.attr
            offset = _offset(graph, args, strides(source.shape))
            made[node.number] = graph.load(memory_of(source), offset, node.kind)
        elif node.op == "update":
            place, entry = args
        else:
            made[node.number] = graph.make(node.op, node.kind, *args, attr=node.attr)
    domain = value.domain
    if value.how == "running":
        entry = made[expression.number]
        place = _offset(graph, [graph.index(k) for k in range(len(domain))], strides(domain))
        if value.call != len(domain) - 1:
            entry = _joined(graph, value, place, entry)
    last = domain[-1] if domain else 1
    return Nest(graph, domain, (), [Store(value, place, entry, last)], [], [])


def _joined(graph: Graph, value: Value, place: Node, entry: Node) -> Node:
    """Of a total along an axis that isn't the last: with what memory holds one step before."""
    later = graph.index(value.call) > 0
    before = select(later, place - strides(value.shape)[value.call], place)
    total = graph.load(value, before, entry.kind)
    return select(later, graph.binary(value.combine, total, entry), entry)


def serial_schedule(value: Value, nest: Nest, target: Target) -> Schedule:
    """By vectors along the last counter, where its turns don't meet each other's."""
    ones = (1,) * len(nest.domain)
    last = len(nest.domain) - 1
    store = nest.inner[0]
    apart = last >= 0 and step_along(store.offset, last) == 1
    if not apart or (value.how == "running" and value.call == last):
        return Schedule(None, 1, ones)
    length = nest.domain[last]
    lanes = target.vector_bytes * 8 // max(8, bits_of(store.node.kind))
    while lanes > 2 and lanes >= 2 * length:
        lanes //= 2
    if length < 2 or lanes < 2:
        return Schedule(None, 1, ones)
    rounds = _ROUND if value.how == "running" else 1
    return Schedule(last, lanes, (*ones[:-1], max(1, min(rounds, length // lanes))))


def _offset(graph: Graph, index: Sequence[Node], steps: Sequence[int]) -> Node:
    offset = graph.const(0, "i64")
    for i, step in zip(index, steps, strict=True):
        offset = offset + i * step
    return offset
