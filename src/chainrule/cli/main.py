"""The command `chainrule`: what it understands, and how it ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from chainrule.base.errors import ChainruleError, InternalError
from chainrule.cli.demo import run_demo
from chainrule.cli.diff import run_diff
from chainrule.cli.info import info_text, version
from chainrule.cli.vocabulary import FUNCTIONS

FAULT = 1
USER_ERROR = 2
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 90})
@click.version_option(
    version("chainrule") or "(not installed: runs from its source)", message="chainrule %(version)s"
)
def cli() -> None:
    """Derivatives by every method, from the command line.

    \b
    chainrule diff "exp(x*z) + x*z/log(x)" --at x=2,z=3
    chainrule demo
    """


DIFF_HELP = f"""Differentiate EXPRESSION at a point, by every method.

EXPRESSION is arithmetic: numbers, names that --at gives a value, + - * / ** %, round brackets,
the constants pi and e, where(x > 0, a, b), and these functions:

{" ".join(sorted(FUNCTIONS))}

\b
chainrule diff "log(a*b)" --at a=2,b=3
chainrule diff "x1*x2 + sin(x1)" --at x1=pi/2,x2=2
"""


@cli.command(
    help=DIFF_HELP,
    # "-x**2" is an expression, not an option.
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
)
@click.argument("expression")
@click.option(
    "--at",
    "at",
    multiple=True,
    metavar="NAME=VALUE,…",
    help="The point: a value for every name, as in x=2,z=pi/3.",
)
def diff(expression: str, at: tuple[str, ...]) -> None:
    run_diff(expression, at)


@cli.command()
@click.option(
    "--epochs",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="How often each image is used.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Decides the split, the first weights and the order of the images.",
)
def demo(epochs: int, seed: int) -> None:
    """Compare the methods, then train a network on handwritten digits.

    Needs scikit-learn for the digits: pip install scikit-learn.
    """
    run_demo(epochs, seed)


@cli.command()
def info() -> None:
    """Show versions, engine, processor and extras."""
    click.echo(info_text())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    Returns:
        0 when all went well, 2 for a mistake in what was typed, 130 after Ctrl-C, 1 for a fault of
        this package (with CHAINRULE_DEBUG=1 it shows its traceback).
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        cli.main(arguments, prog_name="chainrule", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAULT
    except Exception as error:
        if os.environ.get("CHAINRULE_DEBUG"):
            raise
        click.echo(message(error), err=True)
        return FAULT if is_ours(error) else USER_ERROR
    return 0


def is_ours(error: Exception) -> bool:
    """Whether an error is a fault of this package rather than of what was typed."""
    return isinstance(error, InternalError) or not isinstance(error, ChainruleError)


def message(error: Exception) -> str:
    """An error in the house form; its place in our own files says nothing to who typed it."""
    if not isinstance(error, ChainruleError):
        error = InternalError(
            "the command failed, and should not have",
            {"error": f"{type(error).__name__}: {error}"},
            "please report it; CHAINRULE_DEBUG=1 chainrule … shows where it happened",
        )
    error.where = None
    return f"{type(error).__name__}: {error}"
