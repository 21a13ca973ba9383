"""A scene as TikZ: a .tex file that compiles by itself with pdflatex, lualatex or xelatex."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator

from chainrule.base.errors import UnsupportedError
from chainrule.show import palette
from chainrule.show.mathtext import latex_text
from chainrule.show.palette import Colour
from chainrule.show.scene import GREEK, Circle, Curve, Lines, Rect, Run, Scene, Shape, Text, scale

_MOST_GROUPS = 900  # beyond which TeX runs out of memory or patience
_POINT = 0.75  # points per pixel
_INSET = "\\draw[draw=crcapturedLine, line width=0.7pt, "

_COLOURS: dict[str, Colour] = {
    "ink": palette.INK,
    "quiet": palette.QUIET,
    "value": palette.VALUE,
    "gradient": palette.GRADIENT,
    "wrong": palette.WRONG,
    "wire": palette.LINE,
    "bracket": palette.QUIET,
    "positive": palette.SERIES[0],
    "negative": palette.SERIES[1],
}
_GREEK_NAMES = {letter: name for name, letter in GREEK.items()}
_SIGNS = {
    "−": "$-$", "×": r"$\times$", "÷": r"$\div$", "·": r"$\cdot$", "Σ": r"$\Sigma$",
    "∏": r"$\prod$", "√": r"$\surd$", "∗": r"$\ast$", "∞": r"$\infty$", "⚠": r"\textbf{!}",
    "↻": r"$\circlearrowright$", "→": r"$\to$", "≥": r"$\geq$", "≤": r"$\leq$", "≠": r"$\neq$",
    "…": r"\dots{}", "ᵀ": r"$^{\top}$", "∂": r"$\partial$", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", "²": "$^2$", "³": "$^3$", '"': "''",
    "–": "--", "—": "---",
}  # fmt: skip


def tikz_text(scene: Scene) -> str:
    """The text of a .tex file.

    Raises:
        UnsupportedError: the picture has more parts than TeX can take.
    """
    if len(scene.groups) > _MOST_GROUPS:
        raise UnsupportedError(
            "this picture has more parts than TeX can take",
            {"parts": f"{len(scene.groups):,}", "most": f"{_MOST_GROUPS:,}"},
            "fold the graph: save(path, fold='auto'), or by 'layer', 'loop' or 'function'",
        )
    lines = [
        "\\documentclass[border=4pt]{standalone}",
        "\\usepackage{amsmath}",
        "\\usepackage{amssymb}",
        "\\usepackage{tikz}",
        *_colours(),
        "\\begin{document}",
        f"% {_comment(scene.title)}: {_comment(scene.description)}",
        f"\\begin{{tikzpicture}}[x={_POINT}pt, y=-{_POINT}pt, line cap=round, line join=round,",
        "  every node/.style={inner sep=0pt, outer sep=0pt}]",
    ]
    for group in scene.groups:
        lines.append(f"  % {_comment(group.title)}")
        kind = set(group.kind.split())
        for shape in group.shapes:
            lines += (f"  {line}" for line in _shape(shape, kind))
    return "\n".join([*lines, "\\end{tikzpicture}", "\\end{document}", ""])


def _colours() -> Iterator[str]:
    for name, colour in _COLOURS.items():
        yield _defined(name, colour)
    for role, (ground, outline) in palette.ROLES.items():
        yield _defined(f"{role}Fill", ground)
        yield _defined(f"{role}Line", outline)


def _defined(name: str, colour: Colour) -> str:
    return f"\\definecolor{{cr{name}}}{{HTML}}{{{colour.light[1:].upper()}}}"


def _comment(text: str) -> str:
    """Text that stays within its comment, in plain ASCII."""
    kept = "".join(c if c.isprintable() else " " for c in text)
    return kept.encode("ascii", "replace").decode()[:160]


def _colour(role: str) -> str:
    known = [word for word in role.split() if word in _COLOURS]
    if "wrong" in role:
        return "crwrong"
    return f"cr{known[-1]}" if known else "crink"


def _shape(shape: Shape, kind: Collection[str]) -> Iterator[str]:
    if isinstance(shape, Text):
        yield _text(shape)
    elif isinstance(shape, Rect):
        role = shape.role if shape.role in palette.ROLES else "operation"
        how = f"\\filldraw[fill=cr{role}Fill, draw=cr{role}Line, {_outline(kind)}"
        yield (
            f"{_INSET if shape.role == 'inset' else how}"
            f"rounded corners={shape.radius * _POINT:.2f}pt] "
            f"({shape.x:.2f}, {shape.y:.2f}) rectangle "
            f"({shape.x + shape.width:.2f}, {shape.y + shape.height:.2f});"
        )
    elif isinstance(shape, Circle):
        role = shape.role if shape.role in palette.ROLES else "operation"
        yield (
            f"\\filldraw[fill=cr{role}Fill, draw=cr{role}Line, line width=0.9pt] "
            f"({shape.x:.2f}, {shape.y:.2f}) circle[radius={shape.radius * _POINT:.2f}pt];"
        )
    elif isinstance(shape, Lines):
        width = 0.7 if shape.width is None else shape.width * _POINT
        path = " -- ".join(f"({x:.2f}, {y:.2f})" for x, y in shape.points)
        dashes = _dashes(shape.role)
        yield f"\\draw[{dashes}draw={_colour(shape.role)}, line width={width:.2f}pt] {path};"
    else:
        yield _curve(shape)


def _outline(kind: Collection[str]) -> str:
    """How the outline of a box is drawn: thick around outputs, dashed around what isn't finite."""
    wrong = "draw=crwrong, dash pattern=on 3pt off 2pt, " if "wrong" in kind else ""
    width = 1.9 if "output" in kind else 1.5 if wrong else 0.9
    return f"{wrong}line width={width}pt, "


def _curve(curve: Curve) -> str:
    start, *rest = (f"({x:.2f}, {y:.2f})" for x, y in curve.points)
    path = "".join(
        f" .. controls {a} and {b} .. {c}" for a, b, c in zip(*[iter(rest)] * 3, strict=True)
    )
    arrow = "-latex, " if curve.arrow else ""
    style = f"{arrow}{_dashes(curve.role)}draw={_colour(curve.role)}"
    return f"\\draw[{style}, line width=0.9pt] {start}{path};"


def _dashes(role: str) -> str:
    """What isn't finite, and weights below 0, are dashed: not by colour alone."""
    dashed = {"wrong-wire", "negative", "stem"}.intersection(role.split())
    return "dash pattern=on 3pt off 2pt, " if dashed else ""


def _text(text: Text) -> str:
    anchor = {"middle": "base", "start": "base west", "end": "base east"}[text.anchor]
    turned = f", rotate={-text.angle:.2f}" if text.angle else ""
    turned += ", fill=white" if "halo" in text.role.split() else ""
    size = text.size * _POINT
    body = "".join(_run(run, text.size) for run in text.runs)
    return (
        f"\\node[anchor={anchor}{turned}, text={_colour(text.role)}, "
        f"font=\\fontsize{{{size:.2f}}}{{{size * 1.2:.2f}}}\\selectfont\\sffamily] "
        f"at ({text.x:.2f}, {text.y:.2f}) {{{body}}};"
    )


def _run(run: Run, size: float) -> str:
    text = tex(run.text)
    if run.style == "name":
        if run.text in _GREEK_NAMES:
            return f"$\\{_GREEK_NAMES[run.text]}$" if run.text not in "AB" else run.text
        body = f"\\textrm{{\\textit{{{text}}}}}"
        return f"{{\\fontsize{{{size * _POINT * scale(run):.2f}}}{{0}}\\selectfont {body}}}"
    if run.style in ("sub", "sup"):
        return f"\\text{'subscript' if run.style == 'sub' else 'superscript'}{{{text}}}"
    if run.style == "strong":
        return f"\\textbf{{{text}}}"
    return f"\\textcolor{{{_colour(run.style)}}}{{{text}}}" if run.style else text


def tex(text: str) -> str:
    """Text for TeX: every special character as a command, other scripts by their letters' names."""
    return "".join(_character(c) for c in text)


def _character(c: str) -> str:
    if c in _SIGNS:
        return _SIGNS[c]
    if c in _GREEK_NAMES:
        return f"$\\{_GREEK_NAMES[c]}$"
    if c.isascii():
        return latex_text(c) if c.isprintable() else " "
    if unicodedata.category(c)[0] == "L" and ord(c) < 0x180:
        return c  # letters that every engine knows in UTF-8
    return "?"
