"""`chainrule graph`: a typed expression as a graph, in a file to look at or to step through."""

from __future__ import annotations

import webbrowser
from collections.abc import Sequence
from pathlib import Path

import click

from chainrule.base.errors import ExpressionError
from chainrule.cli.diff import lines_of
from chainrule.cli.expression import Expression
from chainrule.cli.point import at_option, read_point
from chainrule.cli.vocabulary import FUNCTIONS
from chainrule.show.graph import graph as graph_of


def run_graph(text: str, at: Sequence[str], output: str, show: bool) -> None:
    """Check what was typed, save the graph, print value and gradient, open the file."""
    point = read_point(at)
    f = Expression(text, list(point))
    if not point:
        raise ExpressionError(
            "there is nothing to draw: the expression has no inputs",
            {"expression": f.text},
            "use a name in the expression and give it a value: --at x=2",
        )
    values = list(point.values())
    f.check_domain(*values)
    drawn = graph_of(f, *values)
    drawn.backward()
    path = Path(output)
    drawn.save(path)
    rows = [("f", "", f"{float(drawn.outputs[0].value):.15g}")]
    for name, node in zip(point, drawn.inputs, strict=True):
        rows.append((f"df/d{name}", "", f"{float(node.gradient):.15g}"))
    click.echo(f"f({', '.join(point)}) = {f.text}\n\n{lines_of(rows)}\n\nsaved {path}")
    if show:
        opened(path.resolve())


def opened(path: Path) -> None:
    """Show a file in the user's browser; where there is none, say where the file lies."""
    try:
        found = webbrowser.get().open(path.as_uri(), new=2)
    except webbrowser.Error:
        found = False
    if not found:
        click.echo(f"no browser was found here; open this file in one: {path}", err=True)


GRAPH_HELP = f"""Draw EXPRESSION as a computation graph, with values and gradients at a point.

FILE says what comes out: a page to step through (.html), a picture (.svg, .png), or text for other
programs (.dot, .tex). EXPRESSION is what `chainrule diff` takes: numbers, names that --at gives a
value, + - * / ** %, round brackets, pi and e, where(x > 0, a, b), and these functions:

{" ".join(sorted(FUNCTIONS))}

\b
chainrule graph "exp(x*z) + x*z/log(x)" --at x=2,z=3 -o f.html --open
chainrule graph "1/(1 + exp(-w*x))" --at w=2,x=-1 -o sigmoid.svg
"""


@click.command(
    help=GRAPH_HELP,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
)
@click.argument("expression")
@at_option
@click.option(
    "-o",
    "--output",
    default="graph.html",
    show_default=True,
    metavar="FILE",
    help="Where to put it; the ending says what it is.",
)
@click.option("--open", "show", is_flag=True, help="Show the file in the browser.")
def graph(expression: str, at: tuple[str, ...], output: str, show: bool) -> None:
    run_graph(expression, at, output, show)
