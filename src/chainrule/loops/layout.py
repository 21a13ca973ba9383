"""Operands of products kept in memory in the order of what they are made from.

An entry of such an operand may be made from entries that lie far from each other for neighbours
along its last axis: it's the transpose of something, scaled perhaps. Then it's made in the order in
which that lies in memory, and the product reads it with its axes exchanged; whether it's turned
over for that, in registers, is decided with the other operands (see pack.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.loops.cluster import first_roots
from chainrule.loops.expand import Expander, reads_of
from chainrule.loops.scalar import Node, rebuilt
from chainrule.loops.value import Builder, Value, describe_reads, strides

_LEAST = 4096  # entries; fewer stay near anyway


def laid_out(b: Builder, outputs: Sequence[Value]) -> list[Value]:
    """All values in order of definition, with those before others that these are now read from."""
    values = list(b.values)
    operands = _operands(values)
    if not operands:
        return values
    roots = first_roots(values, outputs)
    expander = Expander(roots)
    order: list[Value] = []
    for value in values:
        if value.number in operands and value.number in roots and value not in outputs:
            axes = _axes(value, expander)
            if axes is not None:
                order.append(_exchanged(b, value, axes))
        order.append(value)
    return order


def _operands(values: Sequence[Value]) -> set[int]:
    """Large values that are worked out, and that nothing but products reads."""
    found: set[int] = set()
    others: set[int] = set()
    for value in values:
        if value.how == "entry" and value.size >= _LEAST and not value.stored:
            found.add(value.number)
        product = value.how == "fold" and value.combine == "add" and len(value.reads) == 2
        if not product:
            others |= {operand.number for operand in value.operands}
    return found - others


def _axes(value: Value, expander: Expander) -> list[int] | None:
    """The order of axes in which all that's large lies in memory; None if it's the value's own."""
    own = list(range(value.ndim))
    found: list[int] | None = None
    for source, index in reads_of(expander.root(value)):
        if source.size * 4 < value.size:
            continue
        steps = _steps(source, index)
        if steps is None or not all(k in steps for k in own):
            return None
        order = sorted(own, key=lambda k: -steps[k])
        if found is not None and order != found:
            return None
        found = order
    return None if found == own else found


def _steps(source: Value, index: Sequence[Node]) -> dict[int, int] | None:
    """How far apart in memory neighbours along each counter are; None where that varies."""
    steps: dict[int, int] = {}
    for node, step in zip(index, strides(source.shape), strict=True):
        if node.op == "index" and node.attr not in steps:
            steps[node.attr] = step
        elif node.op != "const":
            return None
    return steps


def _exchanged(b: Builder, value: Value, axes: list[int]) -> Value:
    """The value with its axes in another order; it's changed to read that."""
    expression = value.expression
    assert expression is not None

    def rule(*own: Node) -> Node:
        there = dict(zip(axes, own, strict=True))
        return rebuilt(
            [expression], b.graph, lambda node: there[node.attr] if node.op == "index" else None
        )[0]

    b.place = value.place
    inner = b.stored(b.entry(tuple(value.shape[k] for k in axes), value.dtype, rule))
    value.expression = inner(*(b.graph.index(k) for k in axes))
    describe_reads(value)
    return inner
