"""Forward and reverse mode line by line, as the lectures write them out."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.show.formula import formula, pull_formula, push_formula
from chainrule.show.mathtext import Formula, added, bar, dot, equation, written
from chainrule.show.node import Node

_MOST_SHOWN = 6
_WHOLE = "color: inherit; white-space: nowrap"
_STYLE = "text-align: left; padding: 0.2em 1em"


class Table:
    """A trace line by line: `str()` aligns it, a notebook shows it as HTML.

    Attributes:
        headers: one per column.
        rows: the cells, as text.
    """

    def __init__(self, headers: Sequence[str], cells: Sequence[Sequence[str | Formula]]) -> None:
        self.headers = tuple(headers)
        self.rows = tuple(tuple(map(str, row)) for row in cells)
        self._cells = cells

    def __str__(self) -> str:
        lines = [self.headers, *self.rows]
        widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
        text = [
            "  ".join(cell + " " * (w - _width(cell)) for cell, w in zip(line, widths, strict=True))
            for line in lines
        ]
        rule = "  ".join("─" * width for width in widths)
        return "\n".join(line.rstrip() for line in (text[0], rule, *text[1:]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th style="{_STYLE}">{html.escape(text)}</th>' for text in self.headers)
        body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in self._cells)
        return (
            f'<table style="{_WHOLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        )


def _cell(cell: str | Formula) -> str:
    inner = f"<math>{cell.mathml}</math>" if isinstance(cell, Formula) else html.escape(cell)
    return f'<td style="{_STYLE}">{inner}</td>'


def _width(text: str) -> int:
    """Columns that a text takes: marks above letters take none."""
    return sum(not unicodedata.combining(c) for c in text)


def forward_table(
    nodes: Sequence[Node],
    varying: Sequence[Node],
    tangents: Callable[[Node], dict[int, Any]],
    digits: int,
) -> Table:
    """Values and tangents, first to last; a column of tangents for each of the varying inputs."""
    lines = [node for node in nodes if node.kind != "constant"]
    headers = ["", "value", "", *[f"d/d{wrt.name}" for wrt in varying]]
    columns = [_column(lines, wrt, tangents, digits) for wrt in varying]
    rows: list[list[str | Formula]] = []
    for k, node in enumerate(lines):
        rule = equation(dot(node.name), _forward_rule(node)) if _moves(node) else ""
        found = [column[k] for column in columns]
        rows.append([_equation(node), _shown(node.value, digits), rule, *found])
    return Table(headers, rows)


def _column(
    lines: Sequence[Node], wrt: Node, tangents: Callable[[Node], dict[int, Any]], digits: int
) -> list[str]:
    if wrt.type.size > _MOST_SHOWN:  # one sweep per entry, and nothing that could be read
        return ["×".join(map(str, n.type.shape + wrt.type.shape)) * _moves(n) for n in lines]
    found = tangents(wrt)
    column = []
    for node in lines:
        number = -1 if node.variable is None else node.variable.number
        zero = np.zeros(node.type.shape + wrt.type.shape)[()]
        column.append(_shown(found.get(number, zero), digits) if _moves(node) else "")
    return column


def _forward_rule(node: Node) -> Formula:
    if not node.inputs:
        return written("1 for itself, else 0" if node.kind == "input" else "0", {})
    return added(
        [push_formula(node, slot) for slot, source in enumerate(node.inputs) if _moves(source)]
    )


def reverse_table(nodes: Sequence[Node], outputs: Sequence[Node], digits: int) -> Table:
    """Values, and gradients last to first: each the sum of what comes from its users."""
    lines = [node for node in nodes if _moves(node)]
    rows: list[list[str | Formula]] = []
    for node in reversed(lines):
        parts = []
        if node in outputs:
            parts.append(written("ones" if node.type.shape else "1", {}))
        parts += [
            pull_formula(user, slot)
            for user in node.users
            for slot, source in enumerate(user.inputs)
            if source is node and user.type.dtype.kind in "fc"
        ]
        rule = equation(bar(node.name), added([part for part in parts if part.text != "0"]))
        value = _shown(node.value, digits)
        rows.append([_equation(node), value, rule, _shown(node.gradient, digits)])
    return Table(["", "value", "", "gradient"], rows)


def _moves(node: Node) -> bool:
    return node.kind != "constant" and node.type.dtype.kind in "fc"


def _equation(node: Node) -> Formula:
    return equation(node.name, formula(node)) if node.inputs else written("{0}", {"0": node.name})


def _shown(value: Any, digits: int) -> str:
    """A number in a few digits; small arrays with their entries, large ones as their shape."""
    if value is None:
        return ""
    array = np.asarray(value)
    if not array.shape:
        return _number(array[()], digits)
    if array.size <= _MOST_SHOWN:
        text = np.array2string(
            array,
            separator=" ",
            formatter={"all": lambda v: _number(v, digits)},
            max_line_width=200,
        )
        return " ".join(text.split())
    return "×".join(map(str, array.shape))


def _number(value: Any, digits: int) -> str:
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return str(value)
    if isinstance(value, (complex, np.complexfloating)):
        sign = "+" if value.imag >= 0 or value.imag != value.imag else "-"
        return f"{value.real:.{digits}g}{sign}{abs(value.imag):.{digits}g}j"
    return f"{value:.{digits}g}"
