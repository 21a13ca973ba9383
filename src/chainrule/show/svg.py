"""A scene as SVG: a file that people and screen readers can read, without scripts or links."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

from chainrule.show.scene import (
    Circle,
    Curve,
    Group,
    Lines,
    Point,
    Rect,
    Run,
    Scene,
    Shape,
    Text,
    scale,
)
from chainrule.show.style import Theme, stylesheet

MARGIN = 16.0
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_UNSEEN = re.compile("[\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\t\n\r]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"})
_SPECIAL = re.compile(f"[&<>\"']|{_FORBIDDEN.pattern}|{_UNSEEN.pattern}")


def svg_text(scene: Scene, theme: Theme = "auto", style: bool = True) -> str:
    """The text of an SVG file.

    Args:
        scene: what to print.
        theme: "light", "dark", or "auto": as the reader's system has it, light on paper.
        style: whether the style sheet is part of it; a page may hold it once for all its pictures.
    """
    width, height = scene.width + 2 * MARGIN, scene.height + 2 * MARGIN
    box = " ".join(map(number, (-MARGIN, -MARGIN, width, height)))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chainrule" viewBox="{box}" '
        f'width="{number(width)}" height="{number(height)}" role="graphics-document" '
        f'aria-label="{escaped(scene.title)}">',
        f"<title>{escaped(scene.title)}</title>",
        f"<desc>{escaped(scene.description)}</desc>",
    ]
    if style:
        lines.append(f"<style>\n{stylesheet(theme)}\n</style>")
    lines.append(
        f'<rect class="paper" x="{number(-MARGIN)}" y="{number(-MARGIN)}" '
        f'width="{number(width)}" height="{number(height)}"/>'
    )
    for group in scene.groups:
        lines += _group(group)
    return "\n".join([*lines, "</svg>", ""])


def escaped(text: str) -> str:
    """Text for an element or an attribute; what can't be seen is written by its number."""
    if not _SPECIAL.search(text):
        return text
    text = _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text).translate(_ESCAPES)
    return _UNSEEN.sub(lambda match: f"&#{ord(match[0])};", text)


def number(x: float) -> str:
    """A coordinate, to a hundredth of a pixel."""
    x = round(x, 2)
    whole = int(x)
    return str(whole) if whole == x else repr(x)


def _group(group: Group) -> Iterator[str]:
    data = "".join(f' data-{key}="{escaped(text)}"' for key, text in group.data.items())
    yield (
        f'<g class="{escaped(group.kind)}" role="graphics-symbol" '
        f'aria-label="{escaped(group.title)}"{data}>'
    )
    yield f"  <title>{escaped(group.title)}</title>"
    for shape in group.shapes:
        for line in _shape(shape):
            yield f"  {line}"
    yield "</g>"


def _shape(shape: Shape) -> Iterator[str]:
    if isinstance(shape, Text):
        yield _text(shape)
    elif isinstance(shape, Rect):
        yield (
            f'<rect class="{shape.role}" x="{number(shape.x)}" y="{number(shape.y)}" '
            f'width="{number(shape.width)}" height="{number(shape.height)}" '
            f'rx="{number(shape.radius)}"/>'
        )
    elif isinstance(shape, Circle):
        yield (
            f'<circle class="{shape.role}" cx="{number(shape.x)}" cy="{number(shape.y)}" '
            f'r="{number(shape.radius)}"/>'
        )
    elif isinstance(shape, Lines):
        points = " L".join(f"{number(x)} {number(y)}" for x, y in shape.points)
        width = "" if shape.width is None else f' stroke-width="{number(shape.width)}"'
        yield f'<path class="{shape.role}" d="M{points}"{width}/>'
    else:
        yield from _curve(shape)


def _curve(curve: Curve) -> Iterator[str]:
    points = curve.points
    head: tuple[Point, ...] = ()
    if curve.arrow:
        points, head = with_head(points, curve.arrow)
    start, *rest = (f"{number(x)} {number(y)}" for x, y in points)
    path = "".join(f" C{a} {b} {c}" for a, b, c in zip(*[iter(rest)] * 3, strict=True))
    yield f'<path class="{curve.role}" d="M{start}{path}"/>'
    if head:
        corners = " ".join(f"{number(x)},{number(y)}" for x, y in head)
        yield f'<polygon class="head" points="{corners}"/>'


def with_head(points: Sequence[Point], size: float) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """A way shortened by its arrowhead, and the corners of the head."""
    (x, y), (px, py) = points[-1], points[-2]
    length = math.hypot(x - px, y - py)
    dx, dy = ((x - px) / length, (y - py) / length) if length > 1e-6 else (1.0, 0.0)
    foot = (x - dx * size, y - dy * size)
    half = size * 0.42
    left = (foot[0] - dy * half, foot[1] + dx * half)
    right = (foot[0] + dy * half, foot[1] - dx * half)
    back = 0.85 * size
    end = (x - dx * back, y - dy * back)
    control = points[-2] if length > size else (end[0] - dx, end[1] - dy)
    return (*points[:-2], control, end), (points[-1], left, right)


def _text(text: Text) -> str:
    runs, lifted = [], 0.0
    for run in text.runs:
        level = {"sub": 0.24, "sup": -0.38}.get(run.style, 0.0) * text.size
        runs.append(_run(run, text.size, level - lifted))
        lifted = level
    anchor = "" if text.anchor == "start" else f' text-anchor="{text.anchor}"'
    if text.angle:
        about = f"{number(text.angle)} {number(text.x)} {number(text.y)}"
        anchor += f' transform="rotate({about})"'
    return (
        f'<text class="{text.role}" x="{number(text.x)}" y="{number(text.y)}" '
        f'font-size="{number(text.size)}"{anchor}>{"".join(runs)}</text>'
    )


def _run(run: Run, size: float, shift: float) -> str:
    style = f' class="{run.style}"' if run.style not in ("", "sub", "sup") else ""
    style += f' dy="{number(shift)}"' if shift else ""
    if scale(run) != 1.0:
        style += f' font-size="{number(size * scale(run))}"'
    return f"<tspan{style}>{escaped(run.text)}</tspan>" if style else escaped(run.text)
