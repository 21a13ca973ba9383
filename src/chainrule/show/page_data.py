"""What a page knows of a graph, as plain data: nodes, edges, numbers, arithmetic, source lines."""

from __future__ import annotations

import linecache
import os
from collections.abc import Collection, Iterator, Sequence
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.trees import flatten, unflatten
from chainrule.show.graph import ComputationGraph
from chainrule.show.javascript.scalar import Unprintable
from chainrule.show.javascript.text import javascript, runtime
from chainrule.show.node import Edge, Node
from chainrule.show.page_gate import Gates, constant
from chainrule.show.page_number import numbers_of, packed
from chainrule.show.source.source import source as source_of
from chainrule.show.sweep import SMALL, Sweeps, is_moving, labels, sweeps, tangents
from chainrule.show.symbol import function_words
from chainrule.transform.gradient import grad

_MOST_ENTRIES = 200_000  # numbers that a page computes with at once
_MOST_COMPUTED = 6_000  # values that a page computes, each with its gradient and its tangent
_MOST_OPERATIONS = 60  # of a function whose gradient is shown as text
_MOST_LINES = 400  # of a function's source


def page_data(graph: ComputationGraph, drawn: Collection[int] = ()) -> tuple[dict[str, Any], str]:
    """The data of a graph's page, and the JavaScript of its arithmetic ("" where there is none).

    Edges aren't told: there is one per operand that a node reads, in order. Of the nodes that are
    `drawn` there are words for those who don't see the drawing.
    """
    arithmetic, made, reason = _arithmetic(graph)
    blocks = _blocks(graph)
    files, sources = [name for name, _, _ in blocks], [_source(*block) for block in blocks]
    gates, lines = Gates(), _Lines(files, sources)
    data: dict[str, Any] = {
        "name": graph.program.name,
        "nodes": [
            (node.name, gates.number(node), *(source.index for source in node.inputs))
            for node in graph.nodes
        ],
        "gates": gates.data,
        "words": {str(n): function_words(graph.nodes[n]) for n in sorted(drawn)},
        "inputs": [node.index for node in graph.inputs],
        "outputs": [node.index for node in graph.outputs],
        "sources": [source._asdict() for source in (*sources, *_gradient_source(graph))],
        "lines": [lines.number(node) for node in graph.nodes],
        "spots": lines.spots,
        "cannotEdit": reason,
    }
    if made is not None:
        data["places"] = {
            what: {str(n): place for (kind, n), place in made.places.items() if kind == what}
            for what in ("value", "tangent", "gradient", "contribution", "local")
        }
        data["moving"] = made.moving
        data["captured"] = [numbers_of(value, None) for _, value in graph.program.captured]
        data["held"] = [numbers_of(value, None) for _, value in made.program.captured]
        data["leaves"] = [numbers_of(leaf, None) for leaf in graph.leaves or ()]
    else:
        data["shown"] = _shown(graph)
    return data, arithmetic


def _arithmetic(graph: ComputationGraph) -> tuple[str, Sweeps | None, str]:
    """The text of all sweeps, what it gives, and why there is none."""
    if graph.leaves is None:
        return "", None, "This is the body of a loop: its values differ from turn to turn."
    if graph.program.branches:
        place, _ = graph.program.branches[0]
        at = "" if place is None else f" ({place})"
        return "", None, (
            f"Python itself chose a branch by a value{at}; another input may take another path. "
            "Call cr.graph with the other input."
        )  # fmt: skip
    entries = sum(node.type.size for node in graph.nodes)
    if len(graph.nodes) > _MOST_COMPUTED:
        return "", None, f"The graph has {len(graph.nodes):,} nodes: too many to compute in a page."
    if entries > _MOST_ENTRIES:
        return "", None, f"The graph holds {entries:,} numbers: too many to compute in a page."
    try:
        made = sweeps(graph)
        return runtime() + "\n" + javascript(made.program, labels(graph, made), "sweep"), made, ""
    except Unprintable as error:
        return "", None, f"The page can't compute this graph itself: {error.problem}."
    except ChainruleError as error:
        return "", None, f"There is no derivative: {error.problem}."


# ---- numbers -------------------------------------------------------------------------------------


def _shown(graph: ComputationGraph) -> dict[str, Any]:
    """The numbers of a page that doesn't compute: Python's own, by nodes and by edges."""
    found: dict[str, Any] = {
        "value": packed(None if n.kind == "constant" else n.value for n in graph.nodes),
        "gradient": packed(node.gradient for node in graph.nodes),
        "contribution": packed(map(_contribution, graph.edges)),
        "local": packed(map(_local, graph.edges)),
    }
    along, moved = _tangents(graph)
    found["tangent"] = packed(moved.get(node.index) for node in graph.nodes)
    if along is not None:
        found["along"] = along
    return found


def _contribution(edge: Edge) -> Any:
    return edge.contribution if is_moving(edge) else None


def _local(edge: Edge) -> Any:
    """The local derivative, where it differs from node to node and isn't too large."""
    if not is_moving(edge) or edge.contribution is None or constant(edge) is not None:
        return None
    small = edge.target.type.size * edge.source.type.size <= SMALL
    return edge.local if edge.target.elementwise or small else None


def _tangents(graph: ComputationGraph) -> tuple[int | None, dict[int, Any]]:
    """Forward mode along one number, where the graph has values and isn't too large."""
    size = sum(node.type.size for node in graph.nodes)
    varies = any(node.type.dtype.kind == "f" and node.type.size for node in graph.inputs)
    if graph.leaves is None or not varies or size > _MOST_ENTRIES:
        return None, {}
    try:
        return tangents(graph)
    except ChainruleError:
        return None, {}  # the page says why there is no derivative


# ---- source --------------------------------------------------------------------------------------


class Source(NamedTuple):
    """Some lines of a file of the user's, of which the page tells the name but not the place."""

    title: str
    first: int
    lines: list[str]
    made: bool = False  # by this package, not by the user


def _gradient_source(graph: ComputationGraph) -> list[Source]:
    """The gradient of a small graph's function as Python text, where it has one."""
    operations = sum(node.kind == "operation" for node in graph.nodes)
    scalar = [node.type.shape == () and node.type.dtype.kind == "f" for node in graph.outputs]
    if graph.function is None or graph.leaves is None or operations > _MOST_OPERATIONS:
        return []
    args = unflatten(graph.program.in_tree, graph.leaves)
    moving = tuple(k for k, a in enumerate(args) if all(map(_is_float, flatten(a)[0])))
    if scalar != [True] or not moving:
        return []
    try:
        by = moving if len(moving) > 1 else moving[0]
        text = str(source_of(grad(graph.function, by), *args))
    except ChainruleError as error:
        text = f"# There is none: {error.problem}."
    return [Source("the gradient, as Python", 1, text.strip().split("\n"), made=True)]


def _is_float(leaf: Any) -> bool:
    return np.asarray(leaf).dtype.kind == "f"


def _blocks(graph: ComputationGraph) -> list[tuple[str, int, int]]:
    """The user's functions that the graph came through: file, first line and last."""
    codes: dict[CodeType, set[int]] = {}
    for node in graph.nodes:
        if node.place is not None:
            codes.setdefault(node.place.code, set()).add(node.place.line)
    found: list[tuple[str, int, int]] = []
    for code, used in codes.items():
        numbered = set(used)
        if code.co_name != "<module>":
            numbered.add(code.co_firstlineno)
        if code.co_name not in ("<module>", "<lambda>"):
            numbered.update(line for _, _, line in code.co_lines() if line is not None)
        found.append((code.co_filename, min(numbered), max(numbered)))
    return [block for block in _merged(sorted(found)) if linecache.getline(block[0], block[1])]


def _merged(blocks: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Blocks of one file that overlap or touch, made one."""
    found: list[tuple[str, int, int]] = []
    for name, first, last in blocks:
        if found and found[-1][0] == name and first <= found[-1][2] + 2:
            found[-1] = (name, found[-1][1], max(last, found[-1][2]))
        else:
            found.append((name, first, last))
    return found


def _source(name: str, first: int, last: int) -> Source:
    last = min(last, first + _MOST_LINES - 1)
    lines = [linecache.getline(name, n).rstrip("\n") for n in range(first, last + 1)]
    margins = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    margin = min(margins, default=0)
    return Source(os.path.basename(name), first, [line[margin:] for line in lines])


class _Lines:
    """The different lines that nodes stand in, as (block, line in it)."""

    def __init__(self, files: Sequence[str], sources: Sequence[Source]) -> None:
        self.files = files
        self.sources = sources
        self.spots: list[tuple[int, int]] = []
        self._known: dict[tuple[str, int], int | None] = {}

    def number(self, node: Node) -> int | None:
        """Which of the lines a node stands in; None if it's in none that is shown."""
        if node.place is None:
            return None
        key = node.place.filename, node.place.line
        if key not in self._known:
            spot = next(self._within(*key), None)
            self._known[key] = None if spot is None else len(self.spots)
            self.spots += [] if spot is None else [spot]
        return self._known[key]

    def _within(self, filename: str, number: int) -> Iterator[tuple[int, int]]:
        for k, (name, source) in enumerate(zip(self.files, self.sources, strict=True)):
            line = number - source.first
            if filename == name and 0 <= line < len(source.lines):
                yield k, line
