"""The ways of edges: smooth curves that leave and arrive straight, and how often they cross."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]
_STEP = 8.0  # less than half the room between neighbours
Column = tuple[float, float]  # where a layer starts and ends


def columns_of(boxes: Sequence[tuple[float, float]]) -> list[Column]:
    """The layers of a picture, from the middle and size of everything that stands in it."""
    found: list[list[float]] = []
    for low, high in sorted((at - size / 2, at + size / 2) for at, size in boxes):
        if found and low < found[-1][1]:
            found[-1][1] = max(found[-1][1], high)
        else:
            found.append([low, high])
    return [(low, high) for low, high in found]


def smooth(points: Sequence[Point], columns: Sequence[Column], shift: float = 0.0) -> list[Point]:
    """A way from left to right that bends between the layers and runs straight through them.

    Args:
        points: joined cubic curves from left to right that touch nothing.
        columns: the layers, from left to right.
        shift: how far from the middle of its side it arrives.

    Returns:
        Joined cubic curves: in each gap it is where the given way is at both ends of the gap.
    """
    (x0, y0), (x1, y1) = points[0], points[-1]
    y1 += shift
    inner = [(low, high) for low, high in columns if low > x0 + 1 and high < x1 - 1]
    start = next((high for low, high in columns if low <= x0 + 1 <= high + 2), x0)
    end = next((low for low, high in columns if low - 2 <= x1 - 1 <= high), x1)
    stops = [(x0, y0), (min(max(start, x0), x1), y0)]
    for low, high in inner:
        middle = height_at(points, (low + high) / 2)
        stops += [(low, middle), (high, middle)]
    stops += [(max(min(end, x1), x0), y1), (x1, y1)]
    stops = _levelled(stops)
    way = [stops[0]]
    for a, b in pairwise(stops):
        if b[0] - a[0] < 0.01 and abs(b[1] - a[1]) < 0.01:
            continue
        half = (b[0] - a[0]) / 2
        way += [(a[0] + half, a[1]), (b[0] - half, b[1]), b]
    return way


def _levelled(stops: list[Point]) -> list[Point]:
    """Small steps between neighbouring layers taken out."""
    found = list(stops)
    for k in range(2, len(found) - 3, 2):
        if abs(found[k][1] - found[k - 1][1]) < _STEP:
            level = found[k - 1][1]
            found[k], found[k + 1] = (found[k][0], level), (found[k + 1][0], level)
    return found


def height_at(points: Sequence[Point], x: float) -> float:
    """The height of a way at x; of its ends outside it."""
    if x <= points[0][0]:
        return points[0][1]
    if x >= points[-1][0]:
        return points[-1][1]
    k = max(0, min(bisect_right([p[0] for p in points[::3]], x) - 1, (len(points) - 1) // 3 - 1))
    curve = points[3 * k : 3 * k + 4]
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        if on_curve(curve, middle)[0] < x:
            low = middle
        else:
            high = middle
    return on_curve(curve, low)[1]


def on_curve(curve: Sequence[Point], t: float) -> Point:
    """A point of a cubic curve."""
    s = 1 - t
    a, b, c, d = s * s * s, 3 * s * s * t, 3 * s * t * t, t * t * t
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = curve
    return a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3


def crossings(ways: Sequence[Sequence[Point]]) -> int:
    """How often ways cross each other, as lines between points taken along them."""
    lines = [_sampled(way) for way in ways]
    count = 0
    for k, one in enumerate(lines):
        for other in lines[k + 1 :]:
            count += sum(
                _cross(*a, *b)
                for a in pairwise(one)
                for b in pairwise(other)
                if a[0][0] < b[1][0] and b[0][0] < a[1][0]
            )
    return count


def _sampled(way: Sequence[Point]) -> list[Point]:
    found = [way[0]]
    for k in range(0, len(way) - 1, 3):
        # Not in the middle, where curves of equal ends would meet in a point of both.
        found += [on_curve(way[k : k + 4], t) for t in (0.37, 0.71, 1.0)]
    return found


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    def side(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    return side(a, b, c) * side(a, b, d) < -1e-6 and side(c, d, a) * side(c, d, b) < -1e-6


def joined(first: list[Point], second: list[Point]) -> list[Point]:
    """Two ways made one, straight from the end of the first to the start of the second."""
    (ax, ay), (bx, by) = first[-1], second[0]
    dx, dy = (bx - ax) / 3, (by - ay) / 3
    return [*first, (ax + dx, ay + dy), (bx - dx, by - dy), *second]


def moved(point: Point, dx: float, dy: float) -> Point:
    """A point somewhere else."""
    return point[0] + dx, point[1] + dy
