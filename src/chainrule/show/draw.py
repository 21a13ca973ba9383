"""A computation graph as a diagram, in either notation of the lectures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.show.block import Block, number_block
from chainrule.show.diagram import Diagram, Link, Part, compose, titles
from chainrule.show.fold import LOOPS, operations, turns_of, unfolds
from chainrule.show.layout import Direction
from chainrule.show.node import Edge, Node
from chainrule.show.numeral import exact, is_finite, shape_text, words
from chainrule.show.scene import Run, Scene, name_runs, runs_words
from chainrule.show.symbol import function_runs, function_words, is_literal, leaf_runs

Notation = Literal["operations", "variables"]
NOTATIONS = ("operations", "variables")

MOST_LABELLED = 160  # nodes up to which every edge carries its numbers
_MOST_NUMBERED = 400  # nodes up to which a matrix shows entries


def draw(
    graph: Any,
    notation: Notation = "operations",
    direction: Direction = "right",
    values: bool = True,
    gradients: bool = True,
) -> Scene:
    """Draw a computation graph.

    Args:
        graph: a `ComputationGraph`.
        notation: "operations": a box per operation with its function inside, edges named after the
            values they carry; "variables": a node per value, edges that say what is done with it.
        direction: where the edges lead: "right", "down", "left" or "up".
        values: whether values stand above the edges.
        gradients: whether gradients stand below them, once `backward()` has run.

    Returns:
        A `Scene`.

    Raises:
        ArgumentError: an unknown notation or direction.
        UnsupportedError: the layout library isn't installed.
    """
    if notation not in NOTATIONS:
        raise ArgumentError(f"no notation is called {notation!r}", {"known": ", ".join(NOTATIONS)})
    return compose(diagram_of(graph, notation, values, gradients), direction)


def diagram_of(graph: Any, notation: Notation, values: bool, gradients: bool) -> Diagram:
    """What there is to draw of a graph, without places."""
    shown = [node for node in graph.nodes if not is_literal(node) or node in graph.outputs]
    labelled = len(shown) <= MOST_LABELLED
    reader = Reader(graph, shown, values, gradients, labelled)
    if notation == "operations":
        edges = [(k, e) for k, e in enumerate(graph.edges) if e.source.index in reader.at]
        parts, links = reader.operations(edges, graph.outputs)
    else:
        parts, links = reader.variables()
    count = sum(node.kind == "operation" for node in graph.nodes)
    title = f"Computation graph of {graph.program.name}"
    description = f"{count} operations from {_listed(graph.inputs)} to {_listed(graph.outputs)}."
    caption = graph.caption if values else ""
    if caption:
        title += f", {caption}"
    return Diagram(tuple(parts), tuple(links), title, description, caption)


def _listed(nodes: Sequence[Node]) -> str:
    names = [node.name for node in nodes]
    return ", ".join(names[:6]) + (" …" if len(names) > 6 else "") if names else "nothing"


class Reader:
    """Makes the parts and links of one diagram."""

    def __init__(
        self, graph: Any, shown: Sequence[Node], values: bool, gradients: bool, labelled: bool
    ) -> None:
        self.graph = graph
        self.shown = shown
        self.at = {node.index: k for k, node in enumerate(shown)}
        self.values = values
        self.gradients = gradients
        self.labelled = labelled
        self.entries = len(shown) <= _MOST_NUMBERED
        self.ends = {node.index for node in graph.outputs}

    # ---- both notations -------------------------------------------------------------------------

    def data(self, node: Node) -> dict[str, str]:
        """What programs read: position, name, and the numbers in full."""
        found = {"node": str(node.index), "name": node.name, "kind": node.kind}
        if node.operation is not None:
            found["operation"] = node.operation
        found["shape"] = " ".join(map(str, node.type.shape))
        found |= numbers(node.value, node.gradient)
        if node.place is not None:
            found["line"] = str(node.place.line)
        return found

    def title(self, node: Node) -> str:
        kinds = {"input": "input", "captured": "array from outside", "constant": "constant"}
        what = kinds.get(node.kind) or function_words(node)
        parts = [f"{node.name}: {what}"]
        if node.type.shape:
            parts.append(f"shape {shape_text(node.type.shape)}")
        if node.value is not None:
            parts.append(f"value {words(node.value)}")
        if node.gradient is not None:
            parts.append(f"gradient {words(node.gradient)}")
        if node.place is not None:
            parts.append(str(node.place))
        return titles(parts)

    def classes(self, node: Node) -> tuple[str, ...]:
        wrong = node.value is not None and not is_finite(node.value)
        wrong = wrong or (node.gradient is not None and not is_finite(node.gradient))
        return ("output",) * (node.index in self.ends) + ("wrong",) * wrong

    def matrix(self, node: Node) -> Block | None:
        """The entries of a small matrix, in small."""
        if not (self.entries and self.values) or node.value is None or not node.type.shape:
            return None
        block = number_block(node.value, "quiet", 9.5, digits=3)
        return block if block.matrix else None

    def value_block(self, node: Node, lead: tuple[Run, ...] = ()) -> Block | None:
        if not self.values or node.value is None:
            return None
        return number_block(node.value, "value", 12.0, lead)

    def gradient_block(self, gradient: Any) -> Block | None:
        if not self.gradients or gradient is None:
            return None
        return number_block(gradient, "gradient", 12.0)

    # ---- a box per operation --------------------------------------------------------------------

    def operations(
        self, edges: Sequence[tuple[int, Edge]], leaving: Sequence[Node]
    ) -> tuple[list[Part], list[Link]]:
        """The parts of all nodes, these edges with their numbers, and an end for what leaves.

        An operation with several results is one box, and reads each operand once.
        """
        heads = [node for node in self.shown if node is node.siblings[0]]
        parts = [self.operation(node, node.siblings) for node in heads]
        place = {node.index: k for k, node in enumerate(heads)}
        self.at = {node.index: place[node.siblings[0].index] for node in self.shown}
        uses: dict[tuple[int, int], list[tuple[int, Edge]]] = {}
        for k, edge in edges:
            use = edge.target.siblings[0].index, edge.slot
            uses.setdefault(use, []).append((k, edge))
        links = [self.carrier(use) for use in uses.values()]
        for node in dict.fromkeys(leaving):
            parts.append(Part("end", leaf_runs(node), f"output {node.name}", name=()))
            links.append(self.exit(node, len(parts) - 1))
        return parts, links

    def operation(self, node: Node, results: Sequence[Node] = ()) -> Part:
        results = results or (node,)
        several = len(results) > 1
        shape = ((Run(shape_text(node.type.shape)),),) if node.type.shape and not several else ()
        leaf = node.kind != "operation"
        inside = leaf_runs(node) if leaf else function_runs(node)
        total = None
        branching = [x for x in results if self.ways(x) > 1]
        if self.labelled and len(branching) == 1:
            total = self.gradient_block(branching[0].gradient)
        sign: tuple[Run, ...] = (Run("Σ "),)
        if several and total is not None:
            sign = (Run("Σ "), *name_runs(branching[0].name), Run(" = "))
        wrong = tuple(dict.fromkeys(word for x in results for word in self.classes(x)))
        data = self.data(node) | ({"results": _indices(results)} if several else {})
        if several and total is not None:
            data["sums"] = str(branching[0].index)
        role, lines = node.kind, [*shape]
        if unfolds(node):
            role = "loop" if node.operation in LOOPS else "function"
            turns, inner = turns_of(node), operations(node)
            lines += [(Run(f"↻ {turns} turns"),)] * (turns > 0)
            lines.append((Run(f"{inner} operation{'s' * (inner != 1)}"),))
        return Part(
            role=role,
            inside=inside,
            below_inside=tuple(lines),
            stacked=role == "loop",
            entries=self.matrix(node) if node.kind in ("input", "captured") else None,
            outside=() if leaf or self.labelled else name_runs(node.name),
            below=None if total is None else _led(sign, total),
            title=titles([self.title(x) for x in results]),
            classes=wrong,
            data=data,
            name=name_runs(node.name),
        )

    def ways(self, node: Node) -> int:
        """How many edges lead away from a node, each of which brings a part of its gradient."""
        users = [user for user in node.users if user is user.siblings[0]]
        others = {user.siblings[0].index for user in node.users} - {user.index for user in users}
        reads = sum(sum(x is node for x in user.inputs) for user in users)
        return reads + len(others) + (node.index in self.ends)

    def carrier(self, use: Sequence[tuple[int, Edge]]) -> Link:
        """One operand of an operation; what comes back from all its results flows together."""
        k, edge = use[0]
        node = edge.source
        back = [each.contribution for _, each in use] if self.gradients else []
        back = [g for g in back if g is not None]
        contribution = sum(back[1:], back[0]) if back else None
        data = {
            "edge": str(k),
            "source": str(node.index),
            "target": str(edge.target.index),
            "slot": str(edge.slot),
        }
        if len(use) > 1:
            data["edges"] = " ".join(str(number) for number, _ in use)
        above = below = None
        if self.labelled:
            named = node.kind == "operation"
            above = self.above(node, named)
            below = self.gradient_block(contribution)
        title = [f"{node.name} to {edge.target.name}"]
        if contribution is not None:
            title.append(f"gradient {words(contribution)}")
        wrong = contribution is not None and not is_finite(contribution)
        wrong = wrong or (node.value is not None and not is_finite(node.value))
        data |= numbers(node.value, contribution)
        source, target = self.at[node.index], self.at[edge.target.index]
        return Link(source, target, titles(title), above, below, ("wrong",) * wrong, data)

    def above(self, node: Node, named: bool) -> Block | None:
        name = name_runs(node.name)
        if not self.values or node.value is None:
            return Block(name, (("",),), 12.0, "ink") if named else None
        if node.kind == "constant" or (node.kind != "operation" and self.matrix(node) is not None):
            return None  # its entries stand in its box
        return self.value_block(node, (*name, Run(" = ")) if named else ())

    def exit(self, node: Node, end: int) -> Link:
        """The edge that leads out of the picture, with what came in from behind below it."""
        above = self.value_block(node) if self.labelled else None
        # What is used elsewhere too has a gradient that also came from there.
        upstream = None if node.users else node.gradient
        below = self.gradient_block(upstream) if self.labelled else None
        data = {"output": str(node.index)} | numbers(node.value, upstream)
        finite = all(x is None or is_finite(x) for x in (node.value, upstream))
        wrong = () if finite else ("wrong",)
        return Link(self.at[node.index], end, f"output {node.name}", above, below, wrong, data)

    # ---- a node per variable --------------------------------------------------------------------

    def variables(self) -> tuple[list[Part], list[Link]]:
        parts, links = [], []
        for node in self.shown:
            shape = ((Run(shape_text(node.type.shape)),),) if node.type.shape else ()
            role = "variable" if node.kind == "operation" else node.kind
            numbered = self.labelled
            parts.append(
                Part(
                    role=role,
                    inside=leaf_runs(node),
                    below_inside=shape,
                    above=self.value_block(node) if numbered and node.kind != "constant" else None,
                    below=self.gradient_block(node.gradient) if numbered else None,
                    title=self.title(node),
                    classes=self.classes(node),
                    data=self.data(node),
                    name=name_runs(node.name),
                )
            )
        for k, edge in enumerate(self.graph.edges):
            if edge.source.index not in self.at:
                continue
            runs = function_runs(edge.target)
            sign = Block(runs, (("",),), 12.0, "ink") if self.labelled else None
            data = {
                "edge": str(k),
                "operation": edge.target.operation or "",
                "slot": str(edge.slot),
            }
            data |= numbers(edge.source.value, edge.contribution)
            title = f"{edge.source.name} to {edge.target.name} by {runs_words(runs)}"
            source, target = self.at[edge.source.index], self.at[edge.target.index]
            links.append(Link(source, target, title, sign, None, (), data))
        return parts, links


def _led(sign: tuple[Run, ...], block: Block) -> Block:
    """A block with a sign before it."""
    return Block((*sign, *block.lead), block.cells, block.size, block.role, block.matrix)


def _indices(nodes: Sequence[Node]) -> str:
    return " ".join(str(node.index) for node in nodes)


def numbers(value: Any, gradient: Any) -> dict[str, str]:
    """Value and gradient in full, as attributes."""
    found = {}
    for key, number in (("value", value), ("gradient", gradient)):
        text = None if number is None else exact(np.asarray(number))
        if text is not None:
            found[key] = text
    return found
