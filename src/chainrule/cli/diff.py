"""`chainrule diff`: a typed expression, its derivative as a formula, and a table of all methods."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from typing import Any

import click
import numpy as np

from chainrule.base.errors import ExpressionError, UnsupportedError
from chainrule.cli.expression import Expression
from chainrule.cli.point import at_option, read_point
from chainrule.cli.vocabulary import FUNCTIONS
from chainrule.transform.compare import compare
from chainrule.transform.differentiability import differentiability
from chainrule.transform.symbolic import symbolic

READABLE = 40  # operations of a formula that still fits on a screen
MOST_COLUMNS = 2  # names that get a column of their own in the table


def run_diff(text: str, at: Sequence[str]) -> None:
    """Check what was typed, then print value, formulas and table."""
    point = read_point(at)
    f = Expression(text, list(point))
    if not point:
        raise ExpressionError(
            "there is nothing to differentiate with respect to",
            {"expression": f.text},
            "use a name in the expression and give it a value: --at x=2",
        )
    values = list(point.values())
    f.check_domain(*values)
    shown = ", ".join(f"{name} = {value:.12g}" for name, value in point.items())
    with np.errstate(all="ignore"):
        table = table_of(f, values)
        click.echo(f"f({', '.join(point)}) = {f.text}")
        click.echo(f"{'at ' + shown if len(shown) < 70 else 'at the point of --at'}\n")
        rows = [("f", "", f"{float(table.value):.15g}")]
        best = next(row.values for row in table.rows if row.method == table.best)
        slopes = np.ravel(np.concatenate([np.ravel(v) for v in best]))
        for name, formula, slope in zip(point, formulas(f, values), slopes, strict=True):
            rows.append((f"df/d{name}", formula, f"{slope:.15g}"))
        special = remarks(f, values)
    click.echo("\n".join([lines_of(rows), *special]))
    # Places in our own files say nothing to who typed the expression.
    click.echo("\n" + re.sub(r" \(\S+:\d+ in [^)]*\)", "", str(table)))


def table_of(f: Expression, values: Sequence[float]) -> Any:
    """All methods; many names share one column, as a vector."""
    if len(values) <= MOST_COLUMNS:
        return compare(f, *values)

    def joined(v: Any) -> Any:
        return f(*v)

    joined.__name__ = "f"
    joined.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("point", inspect.Parameter.POSITIONAL_ONLY)]
    )
    return compare(joined, np.array(values))


def formulas(f: Expression, values: Sequence[float]) -> list[str]:
    """The derivative by each name as a formula; empty where there is none, or a long one."""
    try:
        written = symbolic(f, *values)
    except UnsupportedError:
        return [""] * len(values)
    return [
        str(written.derivative(k)) if written.count_ops(k, shared=False) <= READABLE else ""
        for k in range(len(values))
    ]


def remarks(f: Expression, values: Sequence[float]) -> list[str]:
    """Kinks, jumps and other places where the derivative is not what it seems."""
    lines = []
    for found in differentiability(f, *values).findings:
        taken = ", ".join(f"{t:g}" for t in found.taken)
        choice = f"; the derivative taken is {taken}" if taken else ""
        lines.append(f"{found.kind} of {found.operation}: {found.reason}{choice}")
    return ["", *lines] if lines else []


def lines_of(rows: Sequence[tuple[str, str, str]]) -> str:
    """`df/dx = 2*x = 4`, the names below each other, values below formulas that are long."""
    width = max(len(name) for name, _, _ in rows)
    lines = []
    for name, formula, value in rows:
        if formula and formula != value and len(formula) + len(value) > 60:
            lines += [f"{name:<{width}} = {formula}", f"{'':<{width}} = {value}"]
        elif formula and formula != value:
            lines.append(f"{name:<{width}} = {formula} = {value}")
        else:
            lines.append(f"{name:<{width}} = {value}")
    return "\n".join(lines)


DIFF_HELP = f"""Differentiate EXPRESSION at a point, by every method.

EXPRESSION is arithmetic: numbers, names that --at gives a value, + - * / ** %, round brackets,
the constants pi and e, where(x > 0, a, b), and these functions:

{" ".join(sorted(FUNCTIONS))}

\b
chainrule diff "log(a*b)" --at a=2,b=3
chainrule diff "x1*x2 + sin(x1)" --at x1=pi/2,x2=2
"""


@click.command(
    help=DIFF_HELP,
    # "-x**2" is an expression, not an option.
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
)
@click.argument("expression")
@at_option
def diff(expression: str, at: tuple[str, ...]) -> None:
    run_diff(expression, at)
