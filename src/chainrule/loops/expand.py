"""Whole expressions: what is read is written out, down to values that get memory."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.loops.scalar import Graph, Node, postorder
from chainrule.loops.value import Value


class Expander:
    """Writes out the expressions of roots until they read nothing but roots."""

    def __init__(self, roots: set[int]) -> None:
        self.roots = roots
        self.graph = Graph()
        self.expressions: dict[int, Node] = {}
        self.inlined: dict[int, set[Value]] = {}
        self.memo: dict[tuple[int, tuple[int, ...]], Node] = {}
        self.below: dict[int, set[Value]] = {}

    def root(self, value: Value) -> Node:
        """The expression of a root over its own counters."""
        if value.number not in self.expressions:
            counters = tuple(self.graph.index(k) for k in range(len(value.domain)))
            self.expressions[value.number] = self._written_out(value, counters)
            self.inlined[value.number] = self._inside(value)
        return self.expressions[value.number]

    def _inside(self, value: Value) -> set[Value]:
        known = self.below.get(value.number)
        if known is None:
            known = set()
            for operand in value.operands:
                if operand.number not in self.roots:
                    known |= {operand} | self._inside(operand)
            self.below[value.number] = known
        return known

    def _written_out(self, value: Value, index: tuple[Node, ...]) -> Node:
        key = (value.number, tuple(i.number for i in index))
        if key in self.memo:
            return self.memo[key]
        assert value.expression is not None
        graph = self.graph
        made: dict[int, Node] = {}
        for node in postorder([value.expression]):
            if node.op == "index":
                other = index[node.attr]
            else:
                args = tuple(made[a.number] for a in node.args)
                if node.op == "read" and node.attr.number not in self.roots:
                    other = self._written_out(node.attr, args)
                else:
                    other = graph.make(node.op, node.kind, *args, attr=node.attr)
            made[node.number] = other
        self.memo[key] = made[value.expression.number]
        return self.memo[key]


def reads_of(expression: Node) -> list[tuple[Value, tuple[Node, ...]]]:
    """What memory an expression reads, and where."""
    known = expression.graph.reads
    if expression.number not in known:
        nodes = postorder([expression])
        known[expression.number] = [(n.attr, n.args) for n in nodes if n.op == "read"]
    return known[expression.number]


def is_counting(index: Sequence[Node]) -> bool:
    """Whether an index is the loop's own counters, in order."""
    return all(i.op == "index" and i.attr == k for k, i in enumerate(index))
