"""Axes of length one, taken out of all values: their counters stand still.

A layer that is given one example works in shapes (1, n), a gradient makes (n, 1) of a vector and
back. All of these are the same vector. Once axes of length one are gone, what runs over the same
entries runs over the same counters, and shares a loop as if it had been written for vectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.loops.scalar import Node, postorder
from chainrule.loops.value import Shape, Value, describe_reads


def without_units(values: Sequence[Value]) -> None:
    """Change values, and how others read them, until no axis has length one."""
    shapes = {value.number: value.shape for value in values if 1 in value.shape}
    for value in values:
        if value.expression is not None and (
            1 in value.shape
            or 1 in value.extents
            or any(operand.number in shapes for operand in value.operands)
        ):
            _rewrite(value, shapes)
        if value.how == "running":
            value.call = sum(n != 1 for n in value.shape[: value.call])
        value.parts = tuple(
            (part, start, _longer(steps, part.shape)) for part, start, steps in value.parts
        )
    for value in values:
        value.shape = tuple(n for n in value.shape if n != 1)
        value.extents = tuple(n for n in value.extents if n != 1)


def _longer(row: Sequence[Any], shape: Shape) -> tuple[Any, ...]:
    """What belongs to the axes that are longer than one, or have no entries at all."""
    return tuple(part for part, n in zip(row, shape, strict=True) if n != 1)


def _rewrite(value: Value, shapes: dict[int, Shape]) -> None:
    """The expression of a value without the counters that stand still, its own and others'."""
    domain, graph = value.domain, value.graph
    assert value.expression is not None
    counters = iter(range(len(domain)))
    zero = graph.const(0, "i64")
    own = [zero if n == 1 else graph.index(next(counters)) for n in domain]
    made: dict[int, Node] = {}
    for node in postorder([value.expression]):
        args: Sequence[Node] = [made[a.number] for a in node.args]
        if node.op == "index":
            made[node.number] = own[node.attr]
            continue
        if node.op == "read" and node.attr.number in shapes:
            args = _longer(args, shapes[node.attr.number])
        made[node.number] = graph.make(node.op, node.kind, *args, attr=node.attr)
    value.expression = made[value.expression.number]
    given = value.operands
    describe_reads(value)
    if value.how == "scatter":
        value.operands = tuple(dict.fromkeys((given[0], *value.operands)))
