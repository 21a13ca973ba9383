"""What a page says of a value besides its name and its numbers: of all that are alike once.

A graph of many nodes has few kinds of them: the 5,000 turns of a loop repeat the same few gates.
So formulas hold the places of names instead of names, and the page puts those in.
"""

from __future__ import annotations

import json
import math
from typing import Any

from chainrule.ir.primitive import Flat, Linear, Multilinear, Partials
from chainrule.show.formula import formula, local_formula
from chainrule.show.node import Edge, Node
from chainrule.show.page_number import numbers_of
from chainrule.show.sweep import is_moving
from chainrule.show.symbol import is_literal

_MARK = "\ue000"  # before the place of a name; of the characters that are nobody's

# What the lectures say of a gate, by its operation.
PATTERNS = {
    "add": "distributes",
    "subtract": "subtracts",
    "multiply": "switches",
    "maximum": "routes",
    "minimum": "routes",
    "fmax": "routes",
    "fmin": "routes",
    "max": "routes",
    "min": "routes",
    "select": "routes",
    "sum": "spreads",
    "matmul": "turns",
}


class Gates:
    """The different gates of a graph, as data, in the order in which they are first met."""

    def __init__(self) -> None:
        self.data: list[dict[str, Any]] = []
        self._by_text: dict[str, int] = {}
        self._by_node: dict[Any, int] = {}

    def number(self, node: Node) -> int:
        """Which gate a node is."""
        key = _key(node)
        try:
            known = self._by_node.get(key)
        except TypeError:  # a parameter without a hash
            return self._added(node)
        if known is None:
            known = self._by_node[key] = self._added(node)
        return known

    def _added(self, node: Node) -> int:
        data = _gate(node)
        number = self._by_text.setdefault(json.dumps(data), len(self.data))
        if number == len(self.data):
            self.data.append(data)
        return number


def _key(node: Node) -> Any:
    """Nodes with the same key are the same gate."""
    own = (node.kind, node.type.shape, node.type.dtype)
    if node.equation is None:
        literal = node.name if is_literal(node) else node.index
        return *own, literal if node.kind == "constant" else None
    literals = tuple(
        (source.type.shape, source.type.dtype, source.name if source.kind == "constant" else None)
        for source in node.inputs
    )
    params = tuple(node.params.items())
    return (*own, node.operation, node.equation.primitive.name, params, literals)


def _gate(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": node.kind,
        "shape": node.type.shape,
        "dtype": node.type.dtype.str[1:],
    }
    if node.kind == "constant":
        found["value"] = numbers_of(node.value)
    if node.equation is not None:
        names = {str(k): f"{_MARK}{k}" for k in range(len(node.inputs))} | {"y": f"{_MARK}y"}
        found["formula"] = f"<math>{formula(node, names).mathml}</math>"
        found["pattern"] = PATTERNS.get(node.equation.primitive.name, "")
        edges = [Edge(source, node, slot) for slot, source in enumerate(node.inputs)]
        found["slots"] = [_slot(edge, names) for edge in edges]
    return found


def _slot(edge: Edge, names: dict[str, str]) -> dict[str, Any]:
    """How a derivative passes through a gate by way of one operand."""
    if not is_moving(edge):
        return {"moving": False, "cost": 0}
    node = edge.target
    found: dict[str, Any] = {
        "moving": True,
        "cost": multiplications(edge),
        "formula": f"<math>{local_formula(node, edge.slot, names).mathml}</math>",
        "how": "entries" if node.elementwise else "jacobian",
    }
    factor = constant(edge)
    if factor is not None:
        found["constant"] = factor
    return found


def constant(edge: Edge) -> float | None:
    """The local derivative of every entry, where it's the same at all inputs."""
    equation = edge.target.equation
    if equation is None or not isinstance(equation.primitive.derivative, Partials):
        return None
    rule = equation.primitive.derivative.rules[edge.slot]
    return None if callable(rule) else float(rule)


def multiplications(edge: Edge) -> int:
    """How many numbers are multiplied to carry a derivative along an edge, either way.

    None where the local derivative is ±1 or entries are only moved or added; one per entry of an
    elementwise operation; of a product of matrices as many as the product itself takes.
    """
    equation = edge.target.equation
    if equation is None or not is_moving(edge):
        return 0
    derivative, target = equation.primitive.derivative, edge.target.type
    if isinstance(derivative, Partials):
        rule = derivative.rules[edge.slot]
        return 0 if not callable(rule) and abs(rule) == 1 else target.size
    if isinstance(derivative, (Linear, Flat)):
        return 0
    if isinstance(derivative, Multilinear):
        return round(math.sqrt(target.size * math.prod(x.type.size for x in edge.target.inputs)))
    return target.size * edge.source.type.size
