"""What a page knows of a graph, as plain data: nodes, edges, numbers, arithmetic, source lines."""

from __future__ import annotations

import linecache
import math
import os
from collections.abc import Sequence
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.trees import flatten, unflatten
from chainrule.ir.primitive import Flat, Linear, Multilinear, Partials
from chainrule.show.formula import formula, local_formula
from chainrule.show.graph import ComputationGraph
from chainrule.show.javascript.scalar import Unprintable
from chainrule.show.javascript.text import javascript, runtime
from chainrule.show.node import Edge, Node
from chainrule.show.source.source import source as source_of
from chainrule.show.sweep import SMALL, Sweeps, is_moving, labels, sweeps, tangents
from chainrule.show.symbol import function_words
from chainrule.transform.gradient import grad

_SHOWN = 64  # entries of an array that a page holds where it doesn't compute
_MOST_ENTRIES = 200_000  # numbers that a page computes with at once
_MOST_COMPUTED = 6_000  # values that a page computes, each with its gradient and its tangent
_MOST_OPERATIONS = 60  # of a function whose gradient is shown as text
_MOST_LINES = 400  # of a function's source

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


def page_data(graph: ComputationGraph) -> tuple[dict[str, Any], str]:
    """The data of a graph's page, and the JavaScript of its arithmetic ("" where there is none)."""
    arithmetic, made, reason = _arithmetic(graph)
    blocks = _blocks(graph)
    files, sources = [name for name, _, _ in blocks], [_source(*block) for block in blocks]
    data: dict[str, Any] = {
        "name": graph.program.name,
        "nodes": [_node(node) for node in graph.nodes],
        "edges": [_edge(edge) for edge in graph.edges],
        "inputs": [node.index for node in graph.inputs],
        "outputs": [node.index for node in graph.outputs],
        "sources": [source._asdict() for source in (*sources, *_gradient_source(graph))],
        "lines": [_line(node, files, sources) for node in graph.nodes],
        "cannotEdit": reason,
    }
    if made is not None:
        data["places"] = {
            what: {str(n): place for (kind, n), place in made.places.items() if kind == what}
            for what in ("value", "tangent", "gradient", "contribution", "local")
        }
        data["moving"] = made.moving
        data["captured"] = [numbers_of(value) for _, value in graph.program.captured]
        data["held"] = [numbers_of(value) for _, value in made.program.captured]
        data["leaves"] = [numbers_of(leaf) for leaf in graph.leaves or ()]
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


def number_of(x: Any) -> Any:
    """A number that JSON can hold: what isn't finite, and -0, as JavaScript's Number reads it."""
    x = x.item() if hasattr(x, "item") else x
    if isinstance(x, complex):
        return repr(x).strip("()")
    if isinstance(x, float):
        if math.isnan(x):
            return "NaN"
        if math.isinf(x):
            return "Infinity" if x > 0 else "-Infinity"
        if x == 0 and math.copysign(1, x) < 0:
            return "-0"
    return x


def numbers_of(value: Any, most: int | None = None) -> dict[str, Any]:
    """An array: shape, type and entries in C order; of many the first ones, and their range."""
    array = np.asarray(value)
    found: dict[str, Any] = {
        "shape": array.shape,
        "kind": array.dtype.str[1:],
        "entries": [number_of(x) for x in array.ravel()[:most]],
    }
    if len(found["entries"]) < array.size and array.dtype.kind in "biuf":
        found["range"] = [number_of(array.min()), number_of(array.max())]
    return found


def _shown(graph: ComputationGraph) -> dict[str, Any]:
    """The numbers of a page that doesn't compute: Python's own."""
    found: dict[str, Any] = {
        "value": {}, "gradient": {}, "contribution": {}, "local": {}, "tangent": {},
    }  # fmt: skip
    for node in graph.nodes:
        if node.value is not None:
            found["value"][str(node.index)] = numbers_of(node.value, _SHOWN)
        if node.gradient is not None:
            found["gradient"][str(node.index)] = numbers_of(node.gradient, _SHOWN)
    for k, edge in enumerate(graph.edges):
        if not is_moving(edge) or graph.contribution(edge) is None:
            continue
        found["contribution"][str(k)] = numbers_of(edge.contribution, _SHOWN)
        if edge.target.elementwise or edge.target.type.size * edge.source.type.size <= SMALL:
            found["local"][str(k)] = numbers_of(edge.local, _SHOWN)
    along, moved = _tangents(graph)
    if along is not None:
        found["along"] = along
        found["tangent"] = {str(n): numbers_of(t, _SHOWN) for n, t in moved.items()}
    return found


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


# ---- nodes and edges -----------------------------------------------------------------------------


def _node(node: Node) -> dict[str, Any]:
    kind = node.type.dtype.str[1:]
    found: dict[str, Any] = {
        "name": node.name,
        "kind": node.kind,
        "shape": node.type.shape,
        "dtype": kind,
        "reads": [source.index for source in node.inputs],
    }
    if node.equation is not None:
        found["operation"] = node.operation
        found["words"] = function_words(node)
        found["formula"] = f"<math>{formula(node).mathml}</math>"
        found["pattern"] = PATTERNS.get(node.equation.primitive.name, "")
    if node.kind == "constant":
        found["value"] = numbers_of(node.value, _SHOWN)
    return found


def _edge(edge: Edge) -> dict[str, Any]:
    found: dict[str, Any] = {
        "source": edge.source.index,
        "target": edge.target.index,
        "slot": edge.slot,
        "moving": is_moving(edge),
        "cost": multiplications(edge),
    }
    equation = edge.target.equation
    derivative = None if equation is None else equation.primitive.derivative
    if found["moving"]:
        found["formula"] = f"<math>{local_formula(edge.target, edge.slot).mathml}</math>"
    if isinstance(derivative, Partials):
        found["how"] = "entries"
        rule = derivative.rules[edge.slot]
        if not callable(rule):
            found["constant"] = float(rule)
    else:
        found["how"] = "jacobian"
    return found


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


def _line(node: Node, files: Sequence[str], sources: Sequence[Source]) -> tuple[int, int] | None:
    """The block and the line in it that a node stands in."""
    place = node.place
    if place is not None:
        for k, (name, source) in enumerate(zip(files, sources, strict=True)):
            line = place.line - source.first
            if place.filename == name and 0 <= line < len(source.lines):
                return k, line
    return None
