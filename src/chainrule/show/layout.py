"""Where everything goes: a layered layout with few crossings, by Graphviz's own `dot` as a library.

Measured against the other layered layouts that pip installs, on traced programs of 30, 200 and 500
nodes: crossings 2, 69, 97 (pygraphviz, which brings dot along), 3, 67, 124 (graphlay), 3, 88, 157
(fast-sugiyama, Python 3.11 and newer), 5, 274, 727 (grandalf).

The time that dot takes grows faster than the graph. Large graphs are laid out like a long text: cut
into pieces in the order of the program, set in rows; a value that comes from another piece stands
there as a tag with its name.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from chainrule.base.errors import ArgumentError, UnsupportedError
from chainrule.show.piece import cut, far_wires, in_rows
from chainrule.show.way import Point, columns_of, crossings, height_at, joined, moved, smooth
from chainrule.show.wrap import Rows, rows_of

Direction = Literal["right", "down", "left", "up"]

DIRECTIONS = ("right", "down", "left", "up")
_RANKDIR = {"right": "LR", "left": "RL", "down": "TB", "up": "BT"}
# Where an edge arrives and leaves.
_PORTS = {"right": ("w", "e"), "left": ("e", "w"), "down": ("n", "s"), "up": ("s", "n")}

_WHOLE = 260  # nodes that are laid out as one piece
_LONG = 2600  # layers that all edges together may cross in one piece
_COMPARED = 80  # wires up to which the order of operands is weighed against crossings
_PORT_GAP = 9.0
_ALONE = 40  # items without wires that are set apart, in their order

_DOT = threading.Lock()  # Graphviz isn't made for threads


@dataclass(frozen=True)
class Item:
    """Something to place.

    Args:
        width, height: the room it takes.
        tag: the size of the tag that may stand for it elsewhere.
        side: how long the side is that wires arrive at; all of it if 0.
    """

    width: float
    height: float
    tag: tuple[float, float] = (24.0, 16.0)
    side: float = 0.0


@dataclass(frozen=True)
class Wire:
    """An edge between two items, by their positions in the list; room for a label on its line.

    `plain` says that its end stays in the middle of the side where it arrives.
    """

    source: int
    target: int
    width: float = 0.0
    height: float = 0.0
    plain: bool = False


@dataclass(frozen=True)
class Route:
    """A wire's way: points of joined cubic curves, 3n + 1; the middle of its label, if it has one.

    `tag` is where the tag stands that the way starts from, if it does.
    """

    points: tuple[Point, ...]
    label: Point | None = None
    tag: Point | None = None


@dataclass
class Layout:
    """The size of the whole, the middle of each item, and the way of each wire."""

    width: float
    height: float
    centers: list[Point]
    routes: list[Route]


def arrange(
    items: Sequence[Item],
    wires: Sequence[Wire],
    direction: Direction = "right",
    gap: tuple[float, float] = (20.0, 28.0),
) -> Layout:
    """Place items in layers and lead the wires.

    Args:
        items: in an order in which every wire leads from an earlier to a later one.
        wires: between them.
        direction: where the wires lead.
        gap: least distance between neighbours in a layer, and between layers.

    Raises:
        ArgumentError: an unknown direction.
        UnsupportedError: the library isn't installed.
    """
    if direction not in DIRECTIONS:
        raise ArgumentError(
            f"no direction is called {direction!r}", {"known": ", ".join(DIRECTIONS)}
        )
    if not items:
        return Layout(0.0, 0.0, [], [])
    dot = _library()
    alone = set(range(len(items))).difference(*((wire.source, wire.target) for wire in wires))
    if alone and len(alone) <= _ALONE:
        return _beside(items, sorted(alone), wires, direction, gap)
    span = sum(_spans(len(items), wires))
    labelled = sum(wire.width > 0 for wire in wires)
    if len(items) + labelled <= _WHOLE and span <= _LONG:
        return _whole(dot, items, wires, direction, gap)
    return _pieces(dot, items, wires, direction, gap)


def _beside(
    items: Sequence[Item],
    alone: Sequence[int],
    wires: Sequence[Wire],
    direction: Direction,
    gap: Point,
) -> Layout:
    """The layout of all items that have wires, and the others in a row where wires begin."""
    own = {k: place for place, k in enumerate(k for k in range(len(items)) if k not in alone)}
    kept = [replace(w, source=own[w.source], target=own[w.target]) for w in wires]
    found = arrange([items[k] for k in own], kept, direction, gap)
    centers: list[Point] = [(0.0, 0.0)] * len(items)
    for k, place in own.items():
        centers[k] = found.centers[place]
    flat = direction in ("right", "left")
    width, height = found.width, found.height
    for k in alone:
        item = items[k]
        if flat:
            height += gap[0] * (height > 0)
            centers[k] = (item.width / 2, height + item.height / 2)
            width, height = max(width, item.width), height + item.height
        else:
            width += gap[0] * (width > 0)
            centers[k] = (width + item.width / 2, item.height / 2)
            width, height = width + item.width, max(height, item.height)
    # Wires that lead left or up begin at the other side.
    for k in alone:
        x, y = centers[k]
        centers[k] = {"left": (width - x, y), "up": (x, height - y)}.get(direction, (x, y))
    return Layout(width, height, centers, found.routes)


def _library() -> Any:
    try:
        import pygraphviz
    except ImportError as error:
        raise UnsupportedError(
            "drawing a graph needs the layout library pygraphviz, which isn't installed",
            {"reason": str(error)},
            "pip install 'chainrule[draw]'",
        ) from error
    return pygraphviz


def _spans(count: int, wires: Sequence[Wire]) -> list[int]:
    """How many layers each wire crosses beyond the next, if all items stand as early as they can.

    Items that read nothing stand just before the first that reads them.
    """
    layer, reads = [0] * count, [False] * count
    first: dict[int, int] = {}
    for wire in sorted(wires, key=lambda w: w.target):
        reads[wire.target] = True
        layer[wire.target] = max(layer[wire.target], layer[wire.source] + 1)
    for wire in wires:
        if not reads[wire.source]:
            first[wire.source] = min(first.get(wire.source, count), layer[wire.target] - 1)
    for k, at in first.items():
        layer[k] = at
    return [max(0, layer[wire.target] - layer[wire.source] - 1) for wire in wires]


# ---- one piece -----------------------------------------------------------------------------------


def _whole(
    dot: Any,
    items: Sequence[Item],
    wires: Sequence[Wire],
    direction: Direction,
    gap: Point,
    wrap: bool = True,
) -> Layout:
    """Lay out by dot. A wire's label is a node of its own that the wire passes through."""
    free = _placed(dot, items, wires, direction, gap, False, wrap)
    if len(wires) > _COMPARED:
        return free
    kept = _placed(dot, items, wires, direction, gap, True, wrap)
    worse = crossings([r.points for r in kept.routes]) > crossings([r.points for r in free.routes])
    return free if worse else kept


def _placed(
    dot: Any,
    items: Sequence[Item],
    wires: Sequence[Wire],
    direction: Direction,
    gap: Point,
    ordered: bool,
    wrap: bool,
) -> Layout:
    """What dot finds; `ordered` keeps the operands of each node in their order."""
    arrive, leave = _PORTS[direction]
    lines = [
        f"digraph {{ rankdir={_RANKDIR[direction]}; nodesep={gap[0] / 72:.4f}; "
        f"ranksep={gap[1] / 72:.4f}; {'ordering=in;' * ordered}"
        'node [shape=box, fixedsize=true, label=""];'
    ]
    lines += [
        f"{k} [width={item.width / 72:.4f}, height={item.height / 72:.4f}];"
        for k, item in enumerate(items)
    ]
    ports = f"tailport={leave}, headport={arrive}, arrowhead=none"
    for k, wire in enumerate(wires):
        if wire.width:
            lines.append(
                f"l{k} [width={wire.width / 72:.4f}, height={wire.height / 72:.4f}];"
                f"{wire.source} -> l{k} [id=a{k}, {ports}, weight=2];"
                f"l{k} -> {wire.target} [id=b{k}, {ports}, weight=2];"
            )
        else:
            lines.append(f"{wire.source} -> {wire.target} [id=a{k}, {ports}];")
    with _DOT:
        graph = dot.AGraph(string="\n".join([*lines, "}"]))
        found = json.loads(graph.draw(prog="dot", format="json0"))
        graph.close()
    _, _, width, height = (float(x) for x in found["bb"].split(","))
    turn = _turn(direction, width, height)
    nodes = {node["name"]: turn(_point(node["pos"])) for node in found.get("objects", ())}
    ways = {
        edge["id"]: [turn(_point(word)) for word in edge["pos"].split()]
        for edge in found.get("edges", ())
    }
    return _led(items, wires, nodes, ways, direction, (width, height), wrap)


def _point(text: str) -> Point:
    x, y = text.split(",")
    return float(x), float(y)


def _turn(direction: Direction, width: float, height: float) -> Callable[[Point], Point]:
    """From dot's coordinates, with y upwards, to those in which all edges lead to the right."""
    return {
        "right": lambda p: (p[0], height - p[1]),
        "left": lambda p: (width - p[0], height - p[1]),
        "down": lambda p: (height - p[1], p[0]),
        "up": lambda p: (p[1], p[0]),
    }[direction]


def _turned_back(direction: Direction, width: float, height: float) -> Callable[[Point], Point]:
    """From coordinates in which all edges lead to the right to those of the picture."""
    return {
        "right": lambda p: p,
        "left": lambda p: (width - p[0], p[1]),
        "down": lambda p: (p[1], p[0]),
        "up": lambda p: (p[1], height - p[0]),
    }[direction]


def _led(
    items: Sequence[Item],
    wires: Sequence[Wire],
    nodes: dict[str, Point],
    ways: dict[str, list[Point]],
    direction: Direction,
    size: Point,
    wrap: bool,
) -> Layout:
    """The wires led smoothly between what dot has placed."""
    flat = direction in ("right", "left")
    along = [(nodes[str(k)][0], i.width if flat else i.height) for k, i in enumerate(items)]
    along += [
        (nodes[f"l{k}"][0], wire.width if flat else wire.height)
        for k, wire in enumerate(wires)
        if wire.width
    ]
    columns = columns_of(along)
    shifts = _spread(wires, items, ways, flat)
    leads: list[list[Point]] = []
    for k, wire in enumerate(wires):
        if wire.width:
            first = smooth(ways[f"a{k}"], columns)
            leads.append(joined(first, smooth(ways[f"b{k}"], columns, shifts[k])))
        else:
            leads.append(smooth(ways[f"a{k}"], columns, shifts[k]))
    size = size if flat else (size[1], size[0])
    breaks = rows_of(columns, size[1], leads) if wrap else []
    move: Callable[[Point], Point] = _same
    if breaks:
        rows = Rows(breaks, size[0], _boxes(items, wires, nodes, flat), leads)
        leads = [list(rows.way(k, points)) for k, points in enumerate(leads)]
        size, move = (rows.width, rows.height), rows.moved
    size = size if flat else (size[1], size[0])
    back = _turned_back(direction, *size)
    routes = [
        Route(tuple(map(back, points)), back(move(nodes[f"l{k}"])) if wire.width else None)
        for k, (wire, points) in enumerate(zip(wires, leads, strict=True))
    ]
    centers = [back(move(nodes[str(k)])) for k in range(len(items))]
    return Layout(*size, centers, routes)


def _boxes(
    items: Sequence[Item], wires: Sequence[Wire], nodes: dict[str, Point], flat: bool
) -> list[tuple[float, float, float, float]]:
    """Left, right, top and bottom of items and labels, as if all edges led to the right."""
    found = []
    sized: list[tuple[str, Item | Wire]] = [(str(k), item) for k, item in enumerate(items)]
    sized += [(f"l{k}", wire) for k, wire in enumerate(wires) if wire.width]
    for name, thing in sized:
        x, y = nodes[name]
        half = (thing.width / 2, thing.height / 2)
        dx, dy = half if flat else half[::-1]
        found.append((x - dx, x + dx, y - dy, y + dy))
    return found


def _same(point: Point) -> Point:
    return point


def _spread(
    wires: Sequence[Wire], items: Sequence[Item], ways: dict[str, list[Point]], flat: bool
) -> list[float]:
    """How far from the middle each wire arrives: side by side, in the order in which they come."""
    arriving: dict[int, list[tuple[float, int]]] = {}
    for k, wire in enumerate(wires):
        if not wire.plain:
            points = ways[f"b{k}" if wire.width else f"a{k}"]
            before = height_at(points, points[-1][0] - 40.0) - points[-1][1]
            arriving.setdefault(wire.target, []).append((before, k))
    shifts = [0.0] * len(wires)
    for target, group in arriving.items():
        if len(group) > 1:
            side = items[target].side or (items[target].height if flat else items[target].width)
            step = min(_PORT_GAP, (side - 10) / (len(group) - 1))
            for place, (_, k) in enumerate(sorted(group)):
                shifts[k] = (place - (len(group) - 1) / 2) * step
    return shifts


# ---- many pieces ---------------------------------------------------------------------------------


def _pieces(
    dot: Any, items: Sequence[Item], wires: Sequence[Wire], direction: Direction, gap: Point
) -> Layout:
    """Cut the items into pieces in their order, lay out each, and set them in rows."""
    piece = cut(len(items), wires)
    far = far_wires(wires)
    centers: list[Point] = [(0.0, 0.0)] * len(items)
    routes: list[Route] = [Route(())] * len(wires)
    members: dict[int, list[int]] = {}
    for k, number in enumerate(piece):
        members.setdefault(number, []).append(k)
    inside: dict[int, list[int]] = {number: [] for number in members}
    for k, wire in enumerate(wires):
        inside[piece[wire.target]].append(k)
    blocks = []
    for number in sorted(members):
        own = {k: place for place, k in enumerate(members[number])}
        parts = [items[k] for k in own]
        tags: dict[int, int] = {}
        local = []
        for k in inside[number]:
            wire = wires[k]
            if piece[wire.source] != number or k in far:
                tags[k] = len(parts)
                parts.append(Item(*items[wire.source].tag))
            source = tags[k] if k in tags else own[wire.source]
            local.append(Wire(source, own[wire.target], wire.width, wire.height, wire.plain))
        blocks.append((own, tags, inside[number], _whole(dot, parts, local, direction, gap, False)))
    places, size = in_rows(
        [(b[3].width, b[3].height) for b in blocks], direction in ("right", "left")
    )
    for (own, tags, indices, found), (dx, dy) in zip(blocks, places, strict=True):
        for k, place in own.items():
            centers[k] = moved(found.centers[place], dx, dy)
        for k, route in zip(indices, found.routes, strict=True):
            tag = moved(found.centers[tags[k]], dx, dy) if k in tags else None
            points = tuple(moved(point, dx, dy) for point in route.points)
            label = None if route.label is None else moved(route.label, dx, dy)
            routes[k] = Route(points, label, tag)
    return Layout(*size, centers, routes)
