"""The values of --at: `x=2,z=pi/3` in, names and numbers out."""

from __future__ import annotations

import keyword
from collections.abc import Iterable
from itertools import pairwise

import click

from chainrule.base.errors import ExpressionError
from chainrule.cli.expression import Expression
from chainrule.cli.reader import pointer
from chainrule.cli.vocabulary import FUNCTIONS

# Of every command that takes a point.
at_option = click.option(
    "--at",
    "at",
    multiple=True,
    metavar="NAME=VALUE,…",
    help="The point: a value for every name, as in x=2,z=pi/3.",
)


def read_point(texts: Iterable[str]) -> dict[str, float]:
    """Name → value, from one or several `name=value,…` texts.

    Example:
        >>> read_point(["x=2,y=pi/2", "z=1e-3"])
        {'x': 2.0, 'y': 1.5707963267948966, 'z': 0.001}
    """
    point: dict[str, float] = {}
    for text in texts:
        for start, end in pieces(text):
            name, value = _assignment(text, start, end)
            if name in point:
                raise _error(f"{name} has two values", "give each name once", text, start, end)
            point[name] = value
    return point


def pieces(text: str) -> list[tuple[int, int]]:
    """Where the parts between commas stand; commas inside brackets don't count."""
    cuts, depth = [-1], 0
    for column, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            cuts.append(column)
    cuts.append(len(text))
    return [(a + 1, b) for a, b in pairwise(cuts)]


def _assignment(text: str, start: int, end: int) -> tuple[str, float]:
    name, equals, value = text[start:end].partition("=")
    name = name.strip()
    if not equals or not name or not value.strip():
        raise _error("a value is missing", "write name=value, as in x=2,z=3", text, start, end)
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        fix = "a name is letters and digits, and begins with a letter"
        raise _error(f"{name!r} can't be the name of a variable", fix, text, start, end)
    if name in FUNCTIONS:
        fix = "choose another name"
        raise _error(f"{name} is the name of a function", fix, text, start, end)
    return name, _number(text, start + text[start:end].index("=") + 1, end)


def _number(text: str, start: int, end: int) -> float:
    value = text[start:end].strip()
    try:
        result = Expression(value, ())()
    except ExpressionError as error:
        problem = f"{value[:40]!r} is not a number"
        fix = f"write a finite real number, such as 2, -0.5, 1e-3 or pi/2 ({error.problem})"
        raise _error(problem, fix, text, start, end) from None
    return float(result)


def _error(problem: str, fix: str, text: str, start: int, end: int) -> ExpressionError:
    facts = {"at": pointer(text, start, max(end, start + 1))["expression"]}
    return ExpressionError(problem, facts, fix)
