"""A graph in the DOT language, for Graphviz and everything else that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from chainrule.show import palette
from chainrule.show.fold import Box, FoldedGraph
from chainrule.show.node import Node
from chainrule.show.numeral import range_text, shape_text, short
from chainrule.show.scene import runs_text, visible
from chainrule.show.symbol import function_runs, is_literal


def dot_text(graph: Any, direction: str = "right") -> str:
    """The text of a .dot file: a node per value, or per box of a folded graph.

    Args:
        graph: a `ComputationGraph` or a folded one.
        direction: "right", "down", "left" or "up".
    """
    rank = {"right": "LR", "left": "RL", "down": "TB", "up": "BT"}[direction]
    lines = [
        f"digraph {quoted(graph.program.name)} {{",
        f"  rankdir={rank};",
        '  node [shape=box, style="rounded,filled", fontname="Helvetica"];',
        f'  edge [color="{palette.LINE.light}", fontname="Helvetica", fontsize=10];',
        *(_folded(graph) if isinstance(graph, FoldedGraph) else _plain(graph)),
        "}",
        "",
    ]
    return "\n".join(lines)


def quoted(text: str) -> str:
    """A quoted string of DOT; nothing in it is an escape or ends it."""
    shown = visible(text, 400).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{shown}"'


def _plain(graph: Any) -> Iterator[str]:
    for node in graph.nodes:
        if not is_literal(node) or node in graph.outputs:
            yield f"  n{node.index} [{_attributes(node)}];"
    for edge in graph.edges:
        if is_literal(edge.source):
            continue
        label = [_number(edge.source.value), _number(edge.contribution)]
        text = " / ".join(part for part in label if part)
        attributes = f" [label={quoted(text)}]" if text else ""
        yield f"  n{edge.source.index} -> n{edge.target.index}{attributes};"


def _folded(graph: FoldedGraph) -> Iterator[str]:
    for node in (*graph.outside, *graph.nodes):
        if isinstance(node, Box):
            label = quoted(f"{node.name} ({node.kind}, {node.operations} operations)")
            kind = "loop" if node.kind == "turn" else node.kind
            yield f"  {_key(node)} [label={label}, {_colours(kind)}];"
        else:
            yield f"  {_key(node)} [{_attributes(node)}];"
    for edge in graph.edges:
        values = edge.values
        many = f"{len(values)} values"
        text = many if len(values) > 1 else shape_text(values[0].type.shape)
        yield f"  {_key(edge.source)} -> {_key(edge.target)} [label={quoted(text)}];"


def _key(part: Node | Box) -> str:
    return "b" + part.key.replace(".", "_") if isinstance(part, Box) else f"n{part.index}"


def _attributes(node: Node) -> str:
    name = node.name
    if node.kind == "operation":
        name = f"{node.name} = {runs_text(function_runs(node))}"
    shape = f" ({shape_text(node.type.shape)})" if node.type.shape else ""
    return f"label={quoted(name + shape)}, {_colours(node.kind)}"


def _colours(role: str) -> str:
    ground, outline = palette.ROLES[role]
    return f'fillcolor="{ground.light}", color="{outline.light}"'


def _number(value: Any) -> str:
    if value is None:
        return ""
    if getattr(value, "shape", ()) == ():
        return short(value)
    return range_text(value)
