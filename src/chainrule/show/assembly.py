"""The nodes of a program, in topological order."""

from __future__ import annotations

from typing import Any

from chainrule.ir.program import Constant, Operand, Program, Var
from chainrule.ir.types import type_of
from chainrule.show.node import Node


def assembled(graph: Any, program: Program) -> tuple[dict[int, Node], tuple[Node, ...]]:
    """The nodes by the variables they show, and all of them in order.

    Inputs come first, then captured arrays, then the operations, each after the literals that it
    reads; last the literals that are results. What nobody reads is left out, inputs excepted.
    """
    assembly = _Assembly(graph, program)
    return assembly.known, tuple(assembly.nodes)


class _Assembly:
    def __init__(self, graph: Any, program: Program) -> None:
        self.graph = graph
        self.nodes: list[Node] = []
        self.known: dict[int, Node] = {}
        for var in program.inputs:
            self.known[var.number] = self.add(self.shown("input", var))
        for var, value in program.captured:
            self.known[var.number] = self.add(self.shown("captured", var, value))
        used = {a.number for e in program.equations for a in e.inputs if isinstance(a, Var)}
        used |= {a.number for a in program.outputs if isinstance(a, Var)}
        for equation in program.equations:
            operands = tuple(map(self.operand, equation.inputs))
            made = []
            for k, var in enumerate(equation.outputs):
                if var.number in used:
                    node = self.shown("operation", var, None, operands, equation, k)
                    self.known[var.number] = self.add(node)
                    made.append(node)
            for node in made:
                node.siblings = tuple(made)
        for out in program.outputs:
            if isinstance(out, Constant):
                self.operand(out)
        self.link()

    def add(self, node: Node) -> Node:
        node.index = len(self.nodes)
        self.nodes.append(node)
        return node

    def shown(self, kind: str, var: Var, *more: Any) -> Node:
        node = Node(self.graph, kind, var.name, var.type, *more)
        node.variable = var
        return node

    def operand(self, a: Operand) -> Node:
        if isinstance(a, Var):
            return self.known[a.number]
        return self.add(Node(self.graph, "constant", repr(a), type_of(a.value), a.value))

    def link(self) -> None:
        """Tell every node who reads it."""
        users: dict[int, list[Node]] = {}
        for node in self.nodes:
            for source in dict.fromkeys(node.inputs):
                users.setdefault(source.index, []).append(node)
        for node in self.nodes:
            node.users = tuple(users.get(node.index, ()))
