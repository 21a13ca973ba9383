"""A picture much longer than high, set in rows like a text: its edges lead on into the next row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from chainrule.show.way import Column, Point

_LONGEST = 1500.0  # a row that is never broken
_SHAPE = 2.5  # width to height that is aimed at
_STOUT = 3.5  # width to height that is left as it is
_GAP = 44.0  # between rows, besides the lanes in it
_LANE = 7.0
_BEND = 9.0


def rows_of(
    columns: Sequence[Column], height: float, ways: Sequence[Sequence[Point]]
) -> list[float]:
    """Where to break: the positions along the picture at which a new row starts.

    A row ends where few edges lead on, as far as it is allowed to go.
    """
    total = columns[-1][1] if columns else 0.0
    if total > _LONGEST and 2 * (climbing := _usual_height(ways, total)) < height:
        height = climbing
    limit = max(0.7 * _LONGEST, (_SHAPE * total * (height + _GAP)) ** 0.5)
    if total <= max(_LONGEST, limit, _STOUT * height):
        return []
    gaps = [(a[1] + b[0]) / 2 for a, b in pairwise(columns)]
    count = -(-total // limit)
    for slack in (1.06, 1.15, 1.25, 1.4):  # rows of about the same length, no short last one
        breaks = _breaks(gaps, ways, total, total / count * slack)
        if len(breaks) < count:
            break
    return breaks


def _usual_height(ways: Sequence[Sequence[Point]], total: float) -> float:
    """How high a row's length of the picture is: of one that climbs, much less than all of it."""
    found = []
    for k in range(8):
        start = (total - 0.7 * _LONGEST) * k / 7
        inside = [y for way in ways for x, y in way if start <= x <= start + 0.7 * _LONGEST]
        if inside:
            found.append(max(inside) - min(inside) + _GAP)
    return max(found, default=0.0)


def _breaks(
    gaps: Sequence[float], ways: Sequence[Sequence[Point]], total: float, limit: float
) -> list[float]:
    """Where rows start that are no longer than a limit."""
    breaks: list[float] = []
    start = 0.0
    while total - start > limit:
        near = [x for x in gaps if start + 0.72 * limit < x <= start + limit]
        near = near or [x for x in gaps if x > start][:1]
        if not near:
            break
        start = min(near, key=lambda x: (_passing(ways, x), -x))
        breaks.append(start)
    return breaks


def _passing(ways: Sequence[Sequence[Point]], x: float) -> int:
    return sum(way[0][0] < x < way[-1][0] for way in ways)


class Rows:
    """A picture broken into rows, each as high as what stands in it.

    Args:
        breaks: where along it each new row starts.
        length: of the picture in one row.
        boxes: left, right, top and bottom of everything that stands in it.
        ways: its edges, joined cubic curves that run straight through all columns.
    """

    def __init__(
        self,
        breaks: Sequence[float],
        length: float,
        boxes: Sequence[tuple[float, float, float, float]],
        ways: Sequence[Sequence[Point]],
    ) -> None:
        self.starts = [0.0, *breaks]
        ends = [*breaks, length]
        self.places = [_lanes(ways, x) for x in breaks]
        lanes = [len(places) for places in self.places]
        self.margin = _BEND + 6 + _LANE * max(lanes, default=0)
        self.inner = max(b - a for a, b in zip(self.starts, ends, strict=True))
        self.width = self.inner + 2 * self.margin
        self.shifts: list[float] = []
        self.bottoms: list[float] = []
        level = 0.0
        for row, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
            heights = [y for a, b, *span in boxes if a < end and b > start for y in span]
            heights += [y for way in ways for x, y in way if start <= x <= end]
            top, bottom = (min(heights), max(heights)) if heights else (0.0, 0.0)
            self.shifts.append(level - top)
            self.bottoms.append(level + bottom - top)
            level = self.bottoms[-1] + _GAP + _LANE * (lanes[row] if row < len(lanes) else 0)
        self.height = self.bottoms[-1]

    def row(self, x: float) -> int:
        """The row of a position along the picture."""
        return max(k for k, start in enumerate(self.starts) if start <= x or k == 0)

    def moved(self, point: Point) -> Point:
        """Where a point goes."""
        return self._put(point, self.row(point[0]))

    def _put(self, point: Point, row: int) -> Point:
        return point[0] - self.starts[row] + self.margin, point[1] + self.shifts[row]

    def way(self, k: int, points: Sequence[Point]) -> tuple[Point, ...]:
        """An edge, led through the space between the rows where it was broken."""
        row = self.row(points[0][0])
        found = [self._put(points[0], row)]
        for i in range(0, len(points) - 1, 3):
            a, b, c, d = points[i : i + 4]
            while row + 1 < len(self.starts) and d[0] > self.starts[row + 1]:
                # Both ends of a curve across a gap lie at the columns beside it.
                start = found[-1] if a[0] >= self.starts[row] else self._left(row, found[-1][1])
                end_height = d[1] + self.shifts[row + 1]
                found += self._return(start, end_height, row, self.places[row][k])[1:]
                row += 1
                a = (self.starts[row], d[1])
                b = c = a
            if found[-1] != self._put(d, row):
                x, y = found[-1]
                e = self._put(d, row)
                if a[0] == points[i][0]:
                    found += [self._put(b, row), self._put(c, row), e]
                else:
                    found += [(x + (e[0] - x) / 3, y), (x + (e[0] - x) * 2 / 3, e[1]), e]
        return tuple(found)

    def _left(self, row: int, height: float) -> Point:
        return self.margin, height

    def _return(self, start: Point, end: float, row: int, place: tuple[int, int]) -> list[Point]:
        """From the end of a row back to the start of the next: right, down, left, down, right."""
        lane, count = place
        right = self.margin + self.inner + 4 + _LANE * lane
        left = self.margin - 6 - _LANE * (count - 1 - lane)
        level = self.bottoms[row] + _GAP / 2 + _LANE * lane
        corners = [start, (right, start[1]), (right, level), (left, level), (left, end)]
        return rounded([*corners, (self.margin, end)])


def _lanes(ways: Sequence[Sequence[Point]], x: float) -> dict[int, tuple[int, int]]:
    """Of each way across a break its lane, the lowest first, and how many there are."""
    passing = [
        (-max(p[1] for p in way if p[0] <= x), k)
        for k, way in enumerate(ways)
        if way[0][0] < x < way[-1][0]
    ]
    last = [(-next(p[1] for p in reversed(ways[k][::3]) if p[0] <= x), k) for _, k in passing]
    return {k: (lane, len(last)) for lane, (_, k) in enumerate(sorted(last))}


def rounded(corners: Sequence[Point]) -> list[Point]:
    """Straight lines with round corners, as joined cubic curves."""
    way = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        reach_in = min(_BEND, _length(before, corner) / 2)
        reach_out = min(_BEND, _length(corner, after) / 2)
        enter, leave = _towards(corner, before, reach_in), _towards(corner, after, reach_out)
        way += [way[-1], enter, enter]
        way += [
            _towards(corner, before, reach_in * 0.45),
            _towards(corner, after, reach_out * 0.45),
        ]
        way.append(leave)
    return [*way, way[-1], corners[-1], corners[-1]]


def _length(a: Point, b: Point) -> float:
    return abs(a[0] - b[0]) + abs(a[1] - b[1])


def _towards(a: Point, b: Point, by: float) -> Point:
    length = _length(a, b)
    if length == 0:
        return a
    return a[0] + (b[0] - a[0]) * by / length, a[1] + (b[1] - a[1]) * by / length
