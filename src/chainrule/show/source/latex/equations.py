"""A program as aligned equations: a line for each named value, the results last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.ir.program import Program
from chainrule.show.source.latex import control, operations
from chainrule.show.source.latex.symbol import LIST, constant, function_symbol, symbol
from chainrule.show.source.names import Names, identifier
from chainrule.show.source.piece import Piece
from chainrule.show.source.subject import Subject
from chainrule.show.source.tree import entrances, parameters_of
from chainrule.show.source.writer import Rule, Writer

_INDENT = "    "
_QUAD = r"\quad "


class Latex:
    """LaTeX, as amsmath sets it."""

    name = "LaTeX"
    expressions: Mapping[str, Rule] = operations.EXPRESSIONS
    statements: Mapping[str, Rule] = control.STATEMENTS

    def constant(self, value: Any, exact: bool) -> Piece:
        return constant(value)

    def variable(self, name: str, names: Names) -> Piece:
        if name in names.gradients:
            return Piece(symbol(name[1:], bar=True), cheap=True)
        return Piece(symbol(name), cheap=True)

    def assignment(self, names: Sequence[str], text: str) -> str:
        left = names[0] if len(names) == 1 else rf"\left({LIST.join(names)}\right)"
        return f"{left} &= {text}"

    def width(self, text: str) -> int:
        """Commands are about as wide as one letter; fractions count once."""
        count, k = 0, 0
        while k < len(text):
            if text[k] == "\\":
                k += 1
                while k < len(text) and text[k].isalpha():
                    k += 1
            elif text[k] in "{}_^ ":
                k += 1
                continue
            count += 1
            k += 1
        return 2 * count


class Equations(NamedTuple):
    """The text, what it describes, and arrays that are only mentioned in it."""

    text: str
    name: str
    arrays: dict[str, np.ndarray]


def equations(
    program: Program, names: Mapping[int, str], subject: Subject, args: Sequence[Any]
) -> Equations:
    """Write a program as mathematics.

    Args:
        names: that some of its variables would have, by number.
        args: what it was traced with, for their trees.
    """
    writer = Writer(Latex(), program)
    parameters = [writer.names.new(p) for p in parameters_of(subject.plain, len(args))]
    leaves = entrances(writer.names, parameters, args)
    arrays: dict[str, np.ndarray] = {}
    for var, value in program.captured:
        if np.size(value) > 9:
            name = writer.names.new(var.label or "C")
            writer.frame.pieces[var.number] = Piece(symbol(name), cheap=True)
            arrays[name] = np.asarray(value)
    inputs = [Piece(symbol(leaf.name), cheap=True) for leaf in leaves]
    outs = writer.run(program, inputs, names)
    heads = _heads(subject, [leaf.name for leaf in leaves], parameters, args, len(outs))
    for head, out in zip(heads, outs, strict=True):
        writer.line(f"{head} &= {out.text}")
    rows = [_row(line) for line in writer.lines]
    body = " \\\\\n".join(f"{_INDENT}{row}" for row in rows)
    text = f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"
    return Equations(text, identifier(subject.plain_name) or "f", arrays)


def _row(line: str) -> str:
    """A line of the writer: what stands in loops and branches goes to the right."""
    depth = (len(line) - len(line.lstrip(" "))) // 4
    line = line.lstrip(" ")
    if not depth:
        return line
    left, sign, right = line.partition("&")
    return f"&{_QUAD * depth}{left}{right}" if sign else line


def _heads(
    subject: Subject,
    leaves: Sequence[str],
    parameters: Sequence[str],
    args: Sequence[Any],
    count: int,
) -> list[str]:
    """What stands left of the results."""
    f = function_symbol(identifier(subject.plain_name) or "f")
    call = rf"{f}\left({LIST.join(map(symbol, parameters))}\right)"
    if subject.argnums:
        wanted = subject.leaves_of_gradient(leaves, args)
        slopes = [rf"\frac{{\partial {f}}}{{\partial {symbol(name)}}}" for name in wanted]
        slopes = [call, *slopes] if subject.with_value else slopes
        if len(slopes) == count:
            return slopes
    if subject.words.startswith("the Hessian"):
        call = rf"\nabla^{{2}} {call}"
    elif subject.words != "{}":
        call = rf"{function_symbol(subject.name)}\left({LIST.join(map(symbol, parameters))}\right)"
    return [call] if count == 1 else [rf"{call}_{{{k}}}" for k in range(count)]
