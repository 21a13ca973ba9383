"""The command `chainrule`: what it understands, and how it ends."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from chainrule.base.errors import ChainruleError, InternalError
from chainrule.cli.info import version

FAULT = 1
USER_ERROR = 2
INTERRUPTED = 130


# Command → the module that defines it, under the same name. They are read when they are called:
# `chainrule info` needs no compiler and `chainrule diff` no networks.
COMMANDS = {
    "diff": "chainrule.cli.diff",
    "graph": "chainrule.cli.graph",
    "train": "chainrule.cli.train",
    "predict": "chainrule.cli.predict",
    "play": "chainrule.cli.play",
    "demo": "chainrule.cli.demo",
    "info": "chainrule.cli.info",
}


class Commands(click.Group):
    """A group whose commands are read from their modules at their first use."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[name]), name)
        return command


@click.group(
    cls=Commands, context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 90}
)
@click.version_option(
    version("chainrule") or "(not installed: runs from its source)", message="chainrule %(version)s"
)
def cli() -> None:
    """Derivatives by every method, and networks, from the command line.

    \b
    chainrule diff "exp(x*z) + x*z/log(x)" --at x=2,z=3
    chainrule graph "exp(x*z) + x*z/log(x)" --at x=2,z=3 -o f.html --open
    chainrule train flowers.csv --target species
    chainrule demo
    """


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
