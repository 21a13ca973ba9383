"""A diagram before it has places: its parts, the links between them, and how both become shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from chainrule.show.block import Block
from chainrule.show.layout import Direction, Item, Layout, Route, Wire, arrange
from chainrule.show.scene import (
    Curve,
    Group,
    Point,
    Rect,
    Run,
    Scene,
    Shape,
    Text,
    runs_text,
    runs_width,
)

SIZE = 14.0  # of what stands inside a box
SMALL = 11.5
_PAD = 11.0
_LEAST = 36.0  # height of a box
_ARROW = 8.5
_LINE_GAP = 3.5  # between an edge and the numbers above and below it
_BESIDE = 7.0  # between a box and the numbers beside it
_NAME = SMALL * 1.1  # size of a name outside a box
_CAPTION = 26.0  # room below a picture for a line about it
_INSET = 3.0  # from the outline of an array from outside to the second one in it
_STACK = 4.0  # how far the sheets behind a folded box stand out


@dataclass(frozen=True)
class Part:
    """One box of a diagram.

    Args:
        role: "input", "captured", "constant", "operation", "layer", "function", "loop"; "end" for
            the bare name at the end of an output's edge.
        inside: what stands in it: its first line.
        below_inside: further small lines in it, such as a shape.
        entries: small numbers in it.
        outside: the name above it.
        above, below: numbers over and under it.
        title: what it is, in words.
        classes: further classes.
        data: attributes for programs.
        name: what a tag in its place says.
    """

    role: str
    inside: tuple[Run, ...]
    title: str
    below_inside: tuple[tuple[Run, ...], ...] = ()
    entries: Block | None = None
    outside: tuple[Run, ...] = ()
    above: Block | None = None
    below: Block | None = None
    classes: tuple[str, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    name: tuple[Run, ...] = ()
    stacked: bool = False

    @property
    def round(self) -> bool:
        return self.role in ("input", "captured", "constant", "variable")

    @cached_property
    def body(self) -> tuple[float, float]:
        """The size of the box itself."""
        lines = [runs_width(self.inside, SIZE)]
        lines += [runs_width(line, SMALL) for line in self.below_inside]
        height = SIZE * 1.3 + sum(SMALL * 1.35 for _ in self.below_inside)
        if self.entries is not None:
            lines.append(self.entries.width)
            height += self.entries.height + 2
        pad = _PAD + (4 if self.round else 0)
        if self.role == "end":
            return max(lines) + 6, SIZE * 1.4
        return max(max(lines) + 2 * pad, 40.0), max(height + 12, _LEAST)

    def room(self, flat: bool) -> tuple[float, float]:
        """The room it takes, names and numbers outside included, the box in the middle.

        Where edges lead to the right or left they stand over and under it, else beside it.
        """
        width, height = self.body
        blocks = [block for block in (self.above, self.below) if block is not None]
        name = runs_width(self.outside, _NAME) if self.outside else 0.0
        if not flat:
            beside = max([name, *(block.width for block in blocks)], default=0.0)
            return width + 2 * (beside + _BESIDE) * (beside > 0), height
        up = (SMALL * 1.6 if name else 0.0) + (self.above.height if self.above else 0.0)
        down = self.below.height + 3 if self.below else 0.0
        wide = max([width, name, *(block.width for block in blocks)])
        return wide, height + 2 * max(up, down)


@dataclass(frozen=True)
class Link:
    """One edge: from a part to another, with numbers above and below its line."""

    source: int
    target: int
    title: str
    above: Block | None = None
    below: Block | None = None
    classes: tuple[str, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict)
    plain: bool = False

    def room(self, flat: bool) -> tuple[float, float]:
        """The room that its numbers take, its line through the middle."""
        blocks = [block for block in (self.above, self.below) if block is not None]
        if not blocks:
            return 0.0, 0.0
        if flat:
            height = max(block.height for block in blocks) + _LINE_GAP
            return max(block.width for block in blocks) + 8, 2 * height
        width = max(block.width for block in blocks) + _LINE_GAP + 3
        return 2 * width, max(block.height for block in blocks) + 4


@dataclass(frozen=True)
class Diagram:
    """Parts in an order in which every link leads forward."""

    parts: tuple[Part, ...]
    links: tuple[Link, ...]
    title: str
    description: str
    caption: str = ""


def compose(diagram: Diagram, direction: Direction = "right") -> Scene:
    """Place a diagram's parts and draw them."""
    flat = direction in ("right", "left")
    side = 1 if flat else 0
    items = [Item(*part.room(flat), _tag_size(part), part.body[side]) for part in diagram.parts]
    wires = [Wire(link.source, link.target, *link.room(flat), link.plain) for link in diagram.links]
    found = arrange(items, wires, direction)
    groups = [
        _edge(diagram, link, route, flat)
        for link, route in zip(diagram.links, found.routes, strict=True)
    ]
    groups += _tags(diagram, found)
    groups += [
        _node(part, center, flat) for part, center in zip(diagram.parts, found.centers, strict=True)
    ]
    height = found.height
    if diagram.caption:
        height += _CAPTION
        text = Text(0.0, height - 4.0, (Run(diagram.caption),), SMALL, "start", "quiet")
        groups.append(Group("caption", diagram.caption, (text,)))
    return Scene(found.width, height, diagram.title, diagram.description, tuple(groups))


# ---- edges ---------------------------------------------------------------------------------------


def _edge(diagram: Diagram, link: Link, route: Route, flat: bool) -> Group:
    source, target = diagram.parts[link.source], diagram.parts[link.target]
    points = _to_body(source, target, route, flat)
    role = "wrong-wire" if "wrong" in link.classes else "wire"
    shapes: list[Shape] = [Curve(points, role, _ARROW)]
    if route.label is not None:
        shapes += _numbers(link, route.label, flat)
    return Group(" ".join(("edge", *link.classes)), link.title, tuple(shapes), link.data)


def _to_body(source: Part, target: Part, route: Route, flat: bool) -> tuple[Point, ...]:
    """The way led on from the room around its ends to the boxes themselves."""
    points = list(route.points)
    if len(points) < 4:
        return tuple(points)
    start, end = _margin(source, flat), _margin(target, flat)
    if start and route.tag is None:
        points = _lengthened(points, start, flat)
    if end:
        points = _lengthened(points[::-1], end, flat)[::-1]
    return tuple(points)


def _margin(part: Part, flat: bool) -> float:
    room, body = part.room(flat), part.body
    return (room[0] - body[0]) / 2 if flat else (room[1] - body[1]) / 2


def _lengthened(points: list[Point], by: float, flat: bool) -> list[Point]:
    """A straight piece put before the first point, towards the box it belongs to."""
    x, y = points[0]
    along = 0 if flat else 1
    ahead = next((p[along] for p in points if p[along] != points[0][along]), points[0][along] + 1)
    sign = -1.0 if ahead > points[0][along] else 1.0
    dx, dy = (sign * by, 0.0) if flat else (0.0, sign * by)
    return [(x + dx, y + dy), (x + dx * 2 / 3, y + dy * 2 / 3), (x + dx / 3, y + dy / 3), *points]


def _numbers(link: Link, at: Point, flat: bool) -> Iterator[Shape]:
    """The numbers of an edge above and below its line, or left and right of one that leads down."""
    x, y = at
    if link.above is not None:
        if flat:
            yield from link.above.shapes(x, y - _LINE_GAP - link.above.height)
        else:
            left = x - _LINE_GAP - 3 - link.above.width / 2
            yield from link.above.shapes(left, y - link.above.height / 2)
    if link.below is not None:
        if flat:
            yield from link.below.shapes(x, y + _LINE_GAP)
        else:
            right = x + _LINE_GAP + 3 + link.below.width / 2
            yield from link.below.shapes(right, y - link.below.height / 2)


# ---- tags ----------------------------------------------------------------------------------------


def _tag_size(part: Part) -> tuple[float, float]:
    return runs_width(part.name or part.inside, SMALL) + 8, SMALL * 1.6


def _tags(diagram: Diagram, found: Layout) -> list[Group]:
    """The names of values that come from elsewhere in a large picture."""
    groups = []
    for link, route in zip(diagram.links, found.routes, strict=True):
        if route.tag is not None:
            part = diagram.parts[link.source]
            runs = part.name or part.inside
            x, y = route.tag
            text = Text(x, y + 0.35 * SMALL, runs, SMALL, "middle", "quiet")
            title = f"{runs_text(runs)}, from elsewhere in the picture"
            groups.append(Group("tag", title, (text,), dict(part.data)))
    return groups


# ---- boxes ---------------------------------------------------------------------------------------


def _node(part: Part, center: Point, flat: bool) -> Group:
    x, y = center
    width, height = part.body
    left, top = x - width / 2, y - height / 2
    shapes: list[Shape] = []
    if part.role != "end":
        radius = height / 2 if part.round and height <= 46 else (12.0 if part.round else 5.0)
        if part.stacked:
            for k in (2, 1):
                shift = k * _STACK
                shapes.append(Rect(left + shift, top - shift, width, height, radius, part.role))
        shapes.append(Rect(left, top, width, height, radius, part.role))
        if part.role == "captured":  # told from an input in grey too
            inner = (width - 2 * _INSET, height - 2 * _INSET, max(radius - _INSET, 1.0))
            shapes.append(Rect(left + _INSET, top + _INSET, *inner, "inset"))
    shapes += _inside(part, x, y)
    shapes += _outside(part, x, y) if flat else _beside(part, x, y)
    classes = " ".join(("node", part.role, *part.classes))
    return Group(classes, part.title, tuple(shapes), part.data)


def _outside(part: Part, x: float, y: float) -> Iterator[Shape]:
    """The name and numbers over a box, and the numbers under it."""
    half = part.body[1] / 2
    place = y - half - 5.0 - (2 * _STACK if part.stacked else 0.0)
    if part.outside:
        yield Text(x, place, part.outside, _NAME, "middle", "ink")
        place -= SMALL * 1.6
    if part.above is not None:
        yield from part.above.shapes(x, place - part.above.height + 3)
    if part.below is not None:
        yield from part.below.shapes(x, y + half + 3)


def _beside(part: Part, x: float, y: float) -> Iterator[Shape]:
    """The value left of a box, its name and gradient right of it."""
    half = part.body[0] / 2 + _BESIDE
    right = x + half + (2 * _STACK if part.stacked else 0.0)
    if part.above is not None:
        yield from part.above.shapes(x - half - part.above.width / 2, y - part.above.height / 2)
    if part.outside:
        lift = 5.0 if part.below is not None else -4.0
        yield Text(right, y - lift, part.outside, _NAME, "start", "ink")
    if part.below is not None:
        drop = 0.0 if part.outside else -part.below.height / 2
        yield from part.below.shapes(x + half + part.below.width / 2, y + drop)


def _inside(part: Part, x: float, y: float) -> Iterator[Shape]:
    """The lines in a box, together in its middle."""
    height = SIZE * 1.3 + SMALL * 1.35 * len(part.below_inside)
    if part.entries is not None:
        height += part.entries.height + 2
    top = y - height / 2
    yield Text(x, top + SIZE * 1.0, part.inside, SIZE, "middle", "ink")
    top += SIZE * 1.3
    for line in part.below_inside:
        yield Text(x, top + SMALL * 0.95, line, SMALL, "middle", "quiet")
        top += SMALL * 1.35
    if part.entries is not None:
        yield from part.entries.shapes(x, top + 1)


def titles(parts: Sequence[str]) -> str:
    """Words about something, put together."""
    return "; ".join(part for part in parts if part)
