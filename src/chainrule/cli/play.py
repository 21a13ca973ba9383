"""`chainrule play`: a small network that trains in the browser, on classic sets or a table."""

from __future__ import annotations

import threading
import webbrowser

import click

from chainrule.show.play.controls import Controls, Source
from chainrule.show.play.server import Server
from chainrule.show.play.session import Session
from chainrule.show.play.table import known_target
from chainrule.train.table_file import read_table


def table_source(file: str, target: str | None, task: str) -> Source:
    """A table that the playground is to learn from.

    Raises:
        StorageError, ArgumentError: it can't be read, or has no such column.
    """
    columns = read_table(file)
    name = known_target(columns, target)
    measured = [key for key, values in columns.items() if values.dtype.kind == "f" and key != name]
    return Source(file, name, task, tuple(measured))


def run_play(file: str | None, target: str | None, task: str, port: int | None, show: bool) -> None:
    """Serve the playground until Ctrl-C."""
    source = None if file is None else table_source(file, target, task)
    session = Session(Controls(data="circle" if source is None else "table"), source)
    server = Server(session, port)
    serving = threading.Thread(target=server.serve_forever, name="server", daemon=True)
    session.open()
    serving.start()
    try:
        click.echo(f"playground at {server.url}")
        if show and not webbrowser.open(server.url):
            click.echo("no browser could be opened: open this address in one yourself")
        click.echo("Ctrl-C ends it")
        # Short waits: on some systems a wait without an end doesn't notice Ctrl-C.
        while session.thread.is_alive():
            session.thread.join(0.5)
    except KeyboardInterrupt:
        click.echo("\nplayground closed")
    finally:
        session.close()
        server.shutdown()
        server.server_close()
    if session.failure is not None:
        raise session.failure


@click.command()
@click.argument("file", required=False)
@click.option("--target", metavar="COLUMN", help="What to predict; the last column if not given.")
@click.option(
    "--task",
    type=click.Choice(["auto", "classify", "regress"]),
    default="auto",
    show_default=True,
    help="auto: texts and few whole numbers are classes.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Where to listen; a free one if not given."
)
@click.option("--no-open", is_flag=True, help="Print the address, and open no browser.")
def play(file: str | None, target: str | None, task: str, port: int | None, no_open: bool) -> None:
    """Watch a small network learn, and change it while it does.

    Without a FILE it learns points of the plane: a circle, a spiral and others. FILE is a table
    with a header (.csv, .tsv, .parquet). The page is served to this machine alone.

    \b
    chainrule play
    chainrule play flowers.csv --target species
    """
    run_play(file, target, task, port, not no_open)
