"""A folded graph as a diagram: boxes with what they hold in numbers, edges with shapes."""

from __future__ import annotations

from chainrule.show.block import Block
from chainrule.show.diagram import Diagram, Link, Part, titles
from chainrule.show.draw import MOST_LABELLED, Reader
from chainrule.show.fold import Box, FoldedEdge, FoldedGraph, is_first
from chainrule.show.node import Node
from chainrule.show.numeral import shape_text
from chainrule.show.scene import Run, name_runs, visible
from chainrule.show.symbol import is_literal

_ROLES = {"layer": "layer", "function": "function", "loop": "loop", "turn": "loop"}


def folded_diagram(folded: FoldedGraph) -> Diagram:
    """What there is to draw of a folded graph; of one without boxes its numbers too."""
    title, description = _words(folded)
    if not folded.boxes:
        parts, links = _numbered(folded)
        caption = folded.graph.caption
        return Diagram(tuple(parts), tuple(links), title, description, caption)
    reader = Reader(folded.graph, (), values=False, gradients=False, labelled=False)
    parts = []
    at: dict[int, int] = {}
    for node in folded.outside:
        at[id(node)] = len(parts)
        parts.append(_stranger(reader, node))
    for part in folded.nodes:
        at[id(part)] = len(parts)
        parts.append(box_part(part) if isinstance(part, Box) else reader.operation(part))
    links = [_flow(edge, at[id(edge.source)], at[id(edge.target)]) for edge in folded.edges]
    for node in folded.leaving:
        end = Part("end", name_runs(node.name), f"{node.name}, which leads out")
        shape = _shape_block(node.type.shape)
        data = {"output": str(node.index)}
        links.append(
            Link(at[id(folded.within[node.index])], len(parts), end.title, shape, None, (), data)
        )
        parts.append(end)
    return Diagram(tuple(parts), tuple(links), title, description)


def _words(folded: FoldedGraph) -> tuple[str, str]:
    """The title of a picture, and what there is in it."""
    whole = not folded.root.key
    title = f"Computation graph of {folded.program.name}, folded" if whole else folded.root.name
    count = sum(map(is_first, folded.root.nodes))
    return title, f"{count} operations in {len(folded.boxes)} boxes."


def _numbered(folded: FoldedGraph) -> tuple[list[Part], list[Link]]:
    """What a box without boxes holds, as a graph of its own is drawn."""
    shown = [*folded.outside, *map(_as_node, folded.nodes)]
    labelled = len(shown) <= MOST_LABELLED
    reader = Reader(folded.graph, shown, values=True, gradients=True, labelled=labelled)
    edges = [
        (k, edge)
        for k, edge in enumerate(folded.graph.edges)
        if edge.target.index in folded.within and not is_literal(edge.source)
    ]
    parts, links = reader.operations(edges, folded.leaving)
    for node in folded.outside:
        if node is node.siblings[0]:
            parts[reader.at[node.index]] = _stranger(reader, node)
    return parts, links


def _as_node(part: Node | Box) -> Node:
    assert isinstance(part, Node)
    return part


def _stranger(reader: Reader, node: Node) -> Part:
    """A value that comes from outside the box that is shown."""
    return Part(
        "constant",
        name_runs(node.name),
        f"{node.name}, from outside",
        ((Run(shape_text(node.type.shape)),),) if node.type.shape else (),
        data=reader.data(node),
        name=name_runs(node.name),
    )


def box_part(box: Box) -> Part:
    """A box as it is drawn: what it is called, and how much is in it."""
    operations = f"{box.operations} operation{'s' * (box.operations != 1)}"
    lines = []
    if box.class_name and box.class_name.lower() != box.name.lower():
        lines.append(visible(box.class_name))
    if box.turns:
        lines.append(f"↻ {box.turns} turns")
    lines.append(operations)
    if box.weights:
        lines.append(f"{box.weights:,} weight{'s' * (box.weights != 1)}")
    what = box.name if box.kind == "turn" else f"{box.kind} {box.name}"
    title = titles([what, *lines])
    return Part(
        role=_ROLES[box.kind],
        inside=(Run(visible(box.name), "strong"),),
        below_inside=tuple((Run(line),) for line in lines),
        title=title,
        classes=("box",),
        data={
            "box": box.key,
            "kind": box.kind,
            "name": box.name,
            "members": " ".join(str(node.index) for node in box.nodes),
        },
        name=(Run(visible(box.name)),),
        stacked=box.kind == "loop",
    )


def _flow(edge: FoldedEdge, source: int, target: int) -> Link:
    values = edge.values
    label = None
    if len(values) > 1:
        label = Block((), ((f"{len(values)} values",),), 11.0, "quiet")
    elif isinstance(edge.source, Box):
        label = _shape_block(values[0].type.shape)
    names = ", ".join(f"{node.name} ({shape_text(node.type.shape)})" for node in values[:8])
    more = " …" if len(values) > 8 else ""
    data = {
        "flow": " ".join(str(node.index) for node in values),
        "size": str(sum(node.type.size for node in values)),
    }
    if len(edge.edges) == 1:
        only = edge.edges[0]
        data |= {
            "source": str(only.source.index),
            "target": str(only.target.index),
            "slot": str(only.slot),
        }
    return Link(source, target, names + more, label, None, (), data)


def _shape_block(shape: tuple[int, ...]) -> Block | None:
    return Block((), ((shape_text(shape),),), 11.0, "quiet") if shape else None
