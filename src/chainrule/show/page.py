"""Pages as files: the drawings that a page holds, and what `save("g.html")` writes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from chainrule.base.errors import ArgumentError, DomainError
from chainrule.base.trees import unflatten
from chainrule.show.diagram import Diagram, compose
from chainrule.show.draw import NOTATIONS, Notation, draw
from chainrule.show.fold import Box, By, FoldedGraph, unfolds
from chainrule.show.fold import fold as folded
from chainrule.show.graph import ComputationGraph
from chainrule.show.layout import Direction
from chainrule.show.node import Node
from chainrule.show.overview import box_part, folded_diagram
from chainrule.show.page_html import View, page
from chainrule.show.picture import writes
from chainrule.show.scene import Scene
from chainrule.show.style import Theme, check_theme
from chainrule.show.svg import svg_text
from chainrule.show.symbol import is_literal

_WHOLE = 60  # nodes that are read without folding
_MOST_WHOLE = 2000  # nodes of a drawing of everything
_MOST_DRAWN = 2500  # in all drawings of one page together
_MOST_VIEWS = 60
_TURNS = 3  # of a loop that are opened, beside the last one
_MOST_TURNS = 100  # of a loop whose turns are all drawn
_EACH_TURN = 300  # nodes of a loop's turns together that are looked at one by one


@writes(".html")
def page_bytes(graph: Any, **options: Any) -> bytes:
    """A page to step through, in one file; arguments as for `page_text`."""
    return page_text(graph, **options).encode()


def page_text(
    graph: ComputationGraph | FoldedGraph,
    theme: Theme = "auto",
    direction: Direction = "right",
    notation: Notation = "operations",
    fold: By | None = None,
) -> str:
    """A graph's page as HTML text.

    Gradients are computed first, with 1 for every number of the result, if none are there.

    Args:
        graph: a graph, or a folded one.
        theme: "light", "dark", or "auto": as the reader's system has it.
        direction: where edges lead: "right", "down", "left" or "up".
        notation: "operations": a box per operation; "variables": a node per value.
        fold: by what to fold; a large graph is folded in any case where it can be.

    Raises:
        ArgumentError: an option that isn't there.
        UnsupportedError: the layout library isn't installed.
    """
    check_theme(theme)
    if notation not in NOTATIONS:
        raise ArgumentError(f"no notation is called {notation!r}", {"known": ", ".join(NOTATIONS)})
    whole: ComputationGraph = graph.graph if isinstance(graph, FoldedGraph) else graph
    if whole.leaves is not None and all(node.gradient is None for node in whole.nodes):
        _differentiate(whole)
    return page(whole, views(graph, direction, notation, fold), theme)


def _differentiate(graph: ComputationGraph) -> None:
    """Gradients of the sum of all outputs, where there is a derivative."""
    ones = [np.ones(node.type.shape) for node in graph.outputs]
    try:
        graph.backward(unflatten(graph.program.out_tree, ones))
    except DomainError:
        return  # the page says why there is none


def views(
    graph: ComputationGraph | FoldedGraph,
    direction: Direction = "right",
    notation: Notation = "operations",
    fold: By | None = None,
) -> list[View]:
    """The drawings of a graph's page, the one that is shown first in front.

    A large graph opens folded, and each box opens into a drawing of its own, as far as the page
    stays usable; the whole graph is there too, unless it's too large.
    """
    whole: ComputationGraph = graph.graph if isinstance(graph, FoldedGraph) else graph
    count = sum(not is_literal(node) for node in whole.nodes)
    boxed = graph if isinstance(graph, FoldedGraph) else None
    if boxed is None and (fold is not None or count > _WHOLE):
        boxed = folded(whole, fold or "auto")
    name = whole.program.name
    if boxed is not None and len(boxed.nodes) > _MOST_DRAWN:
        boxed = _in_one(boxed)
    if boxed is None or not boxed.boxes:
        first = _view(_Level("", name, "", "", whole), direction, notation)
        return [first, *_opened(_beside(whole), direction, notation)]
    found = _opened([_Level("", boxed.root.name, "", "", boxed)], direction, notation)
    if count <= _MOST_WHOLE // 4:
        found.append(_view(_Level("whole", f"all of {name}", "", "", whole), direction, notation))
    return found


def _opened(levels: Iterable[_Level], direction: Direction, notation: Notation) -> list[View]:
    """Drawings and what their boxes hold, outer ones first, until there is enough."""
    found: list[View] = []
    waiting = deque(levels)
    drawn = 0
    while waiting and drawn <= _MOST_DRAWN and len(found) < _MOST_VIEWS:
        level = waiting.popleft()
        if isinstance(level.shown, FoldedGraph):
            level = level._replace(shown=_abridged(level.shown))
        shown = level.shown
        size = len(shown.parts if isinstance(shown, Diagram) else shown.nodes)
        if found and drawn + size > _MOST_DRAWN:
            continue  # its box says that it isn't drawn
        found.append(_view(level, direction, notation))
        if isinstance(shown, FoldedGraph):
            for box in _told_apart(shown):
                waiting.extend(_levels(level, box, shown))
        drawn += size
    return found


def _in_one(shown: FoldedGraph) -> FoldedGraph:
    """A graph too large to be drawn, folded too: one box for all of it."""
    box = Box("all", "function", shown.root.name)
    box.parts = [part for part in shown.nodes if isinstance(part, Box) or part.kind != "input"]
    root = Box("", shown.root.kind, shown.root.name)
    root.parts = [*shown.graph.inputs, box]
    return FoldedGraph(shown.graph, root, frozenset({""}))


def _view(level: _Level, direction: Direction, notation: Notation) -> View:
    scene = _scene(level.shown, direction, notation)
    if level.prefix:
        scene = _inner(scene, level.prefix)
    groups = tuple(replace(group, data=_shortened(group.data)) for group in scene.groups)
    nodes = frozenset(int(group.data["node"]) for group in groups if "node" in group.data)
    svg = svg_text(replace(scene, groups=groups), style=False)
    return View(level.key, level.title, svg, level.parent, nodes)


def _shortened(data: Mapping[str, str]) -> dict[str, str]:
    """Attributes of a group, long lists of nodes as runs: "3-17 20" for 3 to 17 and 20."""
    return {name: _runs(text) if name == "members" else text for name, text in data.items()}


def _runs(text: str) -> str:
    numbers = sorted(map(int, text.split()))
    found: list[str] = []
    for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        ends = members[:1] if len(members) == 1 else [members[0], members[-1]]
        found.append("-".join(map(str, ends)))
    return " ".join(found)


def _abridged(shown: FoldedGraph) -> FoldedGraph:
    """Of a loop of very many turns, which are alike, all but a few in one box."""
    turns = [box for box in shown.boxes if box.kind == "turn"]
    if len(turns) <= _MOST_TURNS:
        return shown
    rest, last = turns[_TURNS:-1], len(turns) - 1
    others = Box(f"{rest[0].key} …", "turn", f"turns {_TURNS + 1} to {last}")
    others.parts = list(rest)
    left_out = set(map(id, rest[1:]))
    root = Box(shown.root.key, shown.root.kind, shown.root.name, shown.root.class_name)
    root.parts = [
        others if part is rest[0] else part for part in shown.nodes if id(part) not in left_out
    ]
    return FoldedGraph(shown.graph, root, frozenset({root.key}))


def _scene(shown: _Shown, direction: Direction, notation: Notation) -> Scene:
    if isinstance(shown, ComputationGraph):
        return draw(shown, notation, direction)
    return compose(shown if isinstance(shown, Diagram) else folded_diagram(shown), direction)


# A body with its numbers, a graph in boxes, or boxes for several bodies, which wait to be opened.
_Shown: TypeAlias = ComputationGraph | FoldedGraph | Diagram


class _Level(NamedTuple):
    """A drawing to be made, and what stands before the keys of the boxes in it."""

    key: str
    title: str
    parent: str
    prefix: str
    shown: _Shown


def _levels(level: _Level, box: Box, shown: FoldedGraph) -> Iterator[_Level]:
    """What a box opens into: its parts, or of one operation that runs a body, that body.

    Of several bodies, such as the branches of a condition, there is a box for each.
    """
    key = level.prefix + box.key
    only = box.step
    if only is None:
        yield _Level(key, box.name, level.key, level.prefix, shown.inside(box))
    else:
        yield from _within(only, key, box.name, level.key)


def _beside(graph: ComputationGraph) -> Iterator[_Level]:
    """What the loops and calls of a drawing without boxes run, each beside it."""
    for node in graph.nodes:
        if unfolds(node) and node is node.siblings[0]:
            yield from _within(node, f"in {node.index}", f"inside {node.name}", "")


def _within(node: Node, key: str, title: str, parent: str) -> Iterator[_Level]:
    """The bodies that an operation runs, of a loop at its last turn; of a few turns at each."""
    yield from _bodies(node, -1, key, title, parent)
    count = node.turns
    small = count * sum(len(body.nodes) for body in node.bodies) <= _EACH_TURN
    if small and any(isinstance(_front(body), ComputationGraph) for body in node.bodies):
        for turn in range(1, count):
            yield from _bodies(node, turn, f"{key} turn {turn}", f"turn {turn} of {count}", key)


def _bodies(node: Node, turn: int, key: str, title: str, parent: str) -> Iterator[_Level]:
    """The bodies with their numbers; for several of them a drawing with a box for each."""
    bodies = node.bodies if node.graph.leaves is None else node.within(turn)
    if len(bodies) == 1:
        yield _Level(key, title, parent, f"{key}/", _front(bodies[0]))
        return
    boxes = [_box_of(body, str(k)) for k, body in enumerate(bodies)]
    count = f"{len(boxes)} functions that it runs."
    several = Diagram(tuple(map(box_part, boxes)), (), title, count)
    yield _Level(key, title, parent, f"{key}/", several)
    for inner, body in zip(boxes, bodies, strict=True):
        within = f"{key}/{inner.key}"
        yield _Level(within, inner.name, key, f"{within}/", _front(body))


def _front(body: ComputationGraph) -> ComputationGraph | FoldedGraph:
    """What is drawn of a body: its boxes, or where there are none all of it, with its numbers."""
    boxed: FoldedGraph = folded(body)
    return boxed if boxed.boxes else body


def _box_of(body: ComputationGraph, key: str) -> Box:
    """A whole body as one box, by its operations."""
    box = Box(key, "function", body.program.name)
    # What it is given are no weights of its own.
    box.parts += [node for node in body.nodes if node.kind == "operation"]
    return box


_KEPT = ("name", "kind", "shape", "value", "gradient")


def _inner(scene: Scene, prefix: str) -> Scene:
    """A drawing of a body: its nodes aren't the page's own, and its boxes have keys of their own.

    Its numbers are those that Python computed; the page doesn't change them.
    """
    groups = []
    for group in scene.groups:
        data = {name: group.data[name] for name in _KEPT if name in group.data}
        if "box" in group.data:
            data["box"] = prefix + group.data["box"]
        groups.append(replace(group, kind=f"{group.kind} inner", data=data))
    return replace(scene, groups=tuple(groups))


def _told_apart(folded: FoldedGraph) -> list[Box]:
    """The boxes of a drawing; of a loop's turns, which are alike, the first ones and the last."""
    turns = [box for box in folded.boxes if box.kind == "turn"]
    left_out = set(map(id, turns[_TURNS:-1]))
    return [box for box in folded.boxes if id(box) not in left_out]
