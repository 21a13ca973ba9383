"""Pages as files: the drawings that a page holds, and what `save("g.html")` writes."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DomainError
from chainrule.base.trees import unflatten
from chainrule.show.diagram import compose
from chainrule.show.draw import NOTATIONS, Notation, draw
from chainrule.show.fold import Box, By, FoldedGraph
from chainrule.show.fold import fold as folded
from chainrule.show.graph import ComputationGraph
from chainrule.show.layout import Direction
from chainrule.show.overview import folded_diagram
from chainrule.show.page_html import View, page
from chainrule.show.picture import writes
from chainrule.show.style import Theme, check_theme
from chainrule.show.svg import svg_text
from chainrule.show.symbol import is_literal

_WHOLE = 60  # nodes that are read without folding
_MOST_WHOLE = 2000  # nodes of a drawing of everything
_MOST_DRAWN = 2500  # in all drawings of one page together
_MOST_VIEWS = 60
_TURNS = 3  # of a loop that are opened, beside the last one


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
    if boxed is None or not boxed.boxes:
        return [View("", name, svg_text(draw(whole, notation, direction), style=False))]
    found = _opened(boxed, direction)
    if count <= _MOST_WHOLE // 4:
        picture = svg_text(draw(whole, notation, direction), style=False)
        found.append(View("whole", f"all of {name}", picture))
    return found


def _opened(folded: FoldedGraph, direction: Direction) -> list[View]:
    """A folded graph and what its boxes hold, outer ones first, until there is enough."""
    found = [_view("", folded.root.name, "", folded, direction)]
    waiting = deque(("", box) for box in _told_apart(folded))
    drawn = len(folded.nodes)
    while waiting and drawn <= _MOST_DRAWN and len(found) < _MOST_VIEWS:
        parent, box = waiting.popleft()
        inside = folded.inside(box)
        found.append(_view(box.key, box.name, parent, inside, direction))
        waiting.extend((box.key, inner) for inner in _told_apart(inside))
        drawn += len(inside.nodes)
    return found


def _view(key: str, title: str, parent: str, inside: FoldedGraph, direction: Direction) -> View:
    picture = svg_text(compose(folded_diagram(inside), direction), style=False)
    return View(key, title, picture, parent)


def _told_apart(folded: FoldedGraph) -> list[Box]:
    """The boxes of a drawing; of a loop's turns, which are alike, the first ones and the last."""
    turns = [box for box in folded.boxes if box.kind == "turn"]
    left_out = set(map(id, turns[_TURNS:-1]))
    return [box for box in folded.boxes if id(box) not in left_out]
