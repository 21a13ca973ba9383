"""The page of a graph: one file that needs nothing else, to step through values and gradients."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from chainrule.show import palette
from chainrule.show.graph import ComputationGraph
from chainrule.show.page_data import page_data
from chainrule.show.palette import Colour
from chainrule.show.style import Theme, stylesheet
from chainrule.show.svg import escaped

# What the page's own style sheet calls the colours of all pictures, and a few more.
_VARIABLES = {
    "paper": palette.PAPER,
    "ink": palette.INK,
    "faint": palette.QUIET,
    "edge": palette.LINE,
    "line": palette.FAINT,
    "value": palette.VALUE,
    "gradient": palette.GRADIENT,
    "tangent": Colour("#5d3f94", "#c5a8f2"),
    "bad": palette.WRONG,
    "ground": Colour("#f3f5f7", "#0e1014"),
    "active": Colour("#ffe9a8", "#4d3d0c"),
    "active-line": palette.LOOP[1],
    "hover": palette.INPUT[0],
    "control": Colour("#868e97", "#757e89"),  # the border of what can be pressed or written in
}
_SCRIPTS = (
    "number", "model", "derivative", "camera", "drawing", "panels", "inputs", "source", "address",
    "main",
)  # fmt: skip
_STYLES = ("page", "panels", "screen")


class View(NamedTuple):
    """One drawing of a page: the whole graph, or what a folded box holds.

    `parent` is the key of the view that its box stands in, "" for the outermost; `nodes` are those
    of the graph that are drawn one by one.
    """

    key: str
    title: str
    svg: str
    parent: str = ""
    nodes: frozenset[int] = frozenset()


def page(graph: ComputationGraph, views: Sequence[View], theme: Theme = "auto") -> str:
    """A graph's page as HTML text, with its drawings, numbers, arithmetic and source.

    It asks nobody for anything: its own policy forbids it to.
    """
    drawn = frozenset[int]().union(*(view.nodes for view in views))
    data, arithmetic = page_data(graph, drawn)
    sheets = [_asset(f"{name}.css") for name in _STYLES]
    style = "\n".join([_colours(), *sheets, _drawings(), _asset("drawing.css")])
    script = _script(arithmetic)
    name, operations = graph.program.name, sum(n.kind == "operation" for n in graph.nodes)
    parts = {
        "theme": "" if theme == "auto" else f' data-theme="{theme}"',
        "policy": _policy(style, script),
        "title": escaped(f"{name}: computation graph"),
        "heading": f"Computation graph of <var>{escaped(name)}</var>",
        "summary": f"{_counted(operations, 'gate')}, {_counted(len(graph.inputs), 'input')}",
        "style": style,
        "views": "\n".join(map(_view, views)),
        "data": embedded(data),
        "script": script,
    }
    return _filled(_asset("page.html"), parts)


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def embedded(data: Any) -> str:
    """JSON that may stand in a script element: nothing in it can end that, or begin a comment."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _asset(name: str) -> str:
    return files("chainrule.show").joinpath(f"assets/{name}").read_text("utf-8")


def _script(arithmetic: str) -> str:
    """The page's program: the printed arithmetic, then everything else, out of everybody's way."""
    sweep = "null"
    if arithmetic:
        sweep = f"(() => {{\n{arithmetic}\nreturn sweep;\n}})()"
    parts = [_asset(f"{name}.js") for name in _SCRIPTS]
    inside = "\n".join([f"const sweep = {sweep};", *parts])
    return f'(() => {{\n"use strict";\n{inside}\n}})();'


_DARK = ':root:not([data-theme="light"])'
_CHOSEN_DARK = ':root[data-theme="dark"]'


def _colours() -> str:
    """The palette as variables of the style sheet, light, dark, and dark by choice."""
    light, dark = (
        "; ".join(f"--{name}: {colour[which]}" for name, colour in _VARIABLES.items())
        for which in (0, 1)
    )
    return (
        f":root {{ {light} }}\n{_CHOSEN_DARK} {{ {dark} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ {_DARK} {{ {dark} }} }}"
    )


def _drawings() -> str:
    """The style of the drawings themselves, which follows the page's theme."""
    dark = stylesheet("dark", f"{_DARK} .chainrule")
    return "\n".join(
        [
            stylesheet("light", ".chainrule"),
            f"@media screen and (prefers-color-scheme: dark) {{\n{dark}\n}}",
            stylesheet("dark", f"{_CHOSEN_DARK} .chainrule"),
        ]
    )


def _policy(style: str, script: str) -> str:
    """Only this very script and style, and no connection to anywhere."""
    rules = {
        "default-src": "'none'",
        "script-src": f"'sha256-{_digest(script)}'",
        "style-src": f"'sha256-{_digest(style)}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _view(view: View) -> str:
    attributes = {"key": view.key, "title": view.title, "parent": view.parent}
    listed = " ".join(f'data-{name}="{escaped(text)}"' for name, text in attributes.items())
    return f'<template class="view" {listed}>{view.svg}</template>'


def _filled(template: str, parts: Mapping[str, str]) -> str:
    """A template with each {name} replaced once; what is put in is never looked at again."""
    pieces = template.split("{")
    found = [pieces[0]]
    for piece in pieces[1:]:
        name, mark, rest = piece.partition("}")
        found.append(parts[name] + rest if mark and name in parts else "{" + piece)
    return "".join(found)
