"""A picture before it is printed: shapes and texts with places, classes and words for the ear."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from chainrule.show.mathtext import free_name
from chainrule.show.metric import text_width

Point = tuple[float, float]

_LONGEST = 28  # characters of a name or function that are shown; the whole is in the title
_SUB = 0.72  # size of an index beside what it is an index of


@dataclass(frozen=True)
class Run:
    """A stretch of text in one style.

    style: "" upright, "name" for names, "sub" and "sup" for indices and exponents (upright),
    "strong", or the class of a colour such as "value".
    """

    text: str
    style: str = ""


@dataclass(frozen=True)
class Text:
    """One line of text: the point where its baseline starts, has its middle or ends.

    `angle` turns it about that point, in degrees clockwise.
    """

    x: float
    y: float
    runs: tuple[Run, ...]
    size: float = 14.0
    anchor: str = "middle"
    role: str = "ink"
    angle: float = 0.0


@dataclass(frozen=True)
class Rect:
    """A rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    radius: float = 4.0
    role: str = "operation"


@dataclass(frozen=True)
class Circle:
    """A circle by its middle."""

    x: float
    y: float
    radius: float
    role: str = "unit"


@dataclass(frozen=True)
class Curve:
    """Joined cubic curves through 3n + 1 points; with an arrowhead at the end if it has a size."""

    points: tuple[Point, ...]
    role: str = "wire"
    arrow: float = 0.0


@dataclass(frozen=True)
class Lines:
    """Straight lines through points, of a width of their own if one is given."""

    points: tuple[Point, ...]
    role: str = "wire"
    width: float | None = None


Shape = Text | Rect | Circle | Curve | Lines


@dataclass(frozen=True)
class Group:
    """What belongs together: a node, an edge, a tag.

    Args:
        kind: classes, the first of which says what it is ("node", "edge", "tag", "box").
        title: what it is in words, for screen readers and as a tooltip.
        data: attributes for programs that read the picture.
        shapes: from back to front.
    """

    kind: str
    title: str
    shapes: tuple[Shape, ...]
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scene:
    """A whole picture. Its groups are printed in order, later ones in front."""

    width: float
    height: float
    title: str
    description: str
    groups: tuple[Group, ...]


# ---- text ----------------------------------------------------------------------------------------


def visible(text: str, longest: int = _LONGEST) -> str:
    """A text that can be shown on one line: nothing invisible, nothing that turns others around."""
    shown = text
    if not (text.isascii() and text.isprintable()):
        shown = "".join(map(_seen, text))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _seen(c: str) -> str:
    if c in "\t\n\r\v\f\x85":
        return " "
    hidden = unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return "\N{REPLACEMENT CHARACTER}" if hidden else c


def name_runs(name: str) -> tuple[Run, ...]:
    """A name as mathematics writes it: l_2, x1 and w_in with an index, theta as θ."""
    base, index = _indexed(visible(free_name(name)))
    base = GREEK.get(base, base)
    return (Run(base, "name"), Run(index, "sub")) if index else (Run(base, "name"),)


def _indexed(name: str) -> tuple[str, str]:
    """A name and its index, which may be empty."""
    base, mark, index = name.rpartition("_")
    if mark and base and index and (index.isdecimal() or (base.isalpha() and len(base) <= 2)):
        return base, index
    letters = name.rstrip("0123456789")
    digits = name[len(letters) :]
    if digits and letters.isalpha() and (len(letters) == 1 or letters in GREEK):
        return letters, digits
    return name, ""


def runs_width(runs: Sequence[Run], size: float) -> float:
    """The greatest width of a line of text."""
    return sum(text_width(run.text, size * scale(run), face(run)) for run in runs)


def face(run: Run) -> str:
    """The face that a style is set in."""
    return {"name": "italic", "strong": "bold"}.get(run.style, "sans")


def scale(run: Run) -> float:
    """How large a style is set."""
    if run.style == "name":
        return 1.14  # serif letters look smaller
    return _SUB if run.style in ("sub", "sup") else 1.0


def runs_text(runs: Sequence[Run]) -> str:
    """A line of text without styles."""
    return "".join(run.text for run in runs)


def runs_words(runs: Sequence[Run]) -> str:
    """A line of text for the ear, in which an exponent stays one: q², x to the power of 0.25."""
    spoken = []
    for raised, part in groupby(runs, lambda run: run.style == "sup"):
        text = runs_text(tuple(part))
        if raised:
            small = set(text) <= _EXPONENTS.keys()
            text = "".join(_EXPONENTS[c] for c in text) if small else f" to the power of {text}"
        spoken.append(text)
    return "".join(spoken)


_EXPONENTS = dict(zip("0123456789−n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻ⁿ", strict=True))

GREEK = dict(
    zip(
        "alpha beta gamma delta epsilon zeta eta theta kappa lambda mu nu xi pi rho sigma tau phi "
        "chi psi omega Gamma Delta Theta Lambda Sigma Phi Psi Omega".split(),
        "αβγδεζηθκλμνξπρστφχψωΓΔΘΛΣΦΨΩ",
        strict=True,
    )
)
