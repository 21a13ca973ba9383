"""`chainrule predict`: the answers of a saved model for the rows of a table."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import click
import numpy as np

from chainrule.base.errors import ModelFileError, StorageError
from chainrule.train.container import read_container
from chainrule.train.saving import model_from
from chainrule.train.table import Encoder
from chainrule.train.table_file import read_table


def run_predict(
    model_file: str, file: str, output: str | None, encoding: str | None = None
) -> None:
    """The answers of a model for the rows of a table, as CSV."""
    meaning, arrays = read_container(model_file, "model")
    if "table" not in meaning:
        raise ModelFileError(
            f"{Path(model_file).name} doesn't say how to read a table",
            fix="chainrule train saves models that do; others are used from Python: cr.nn.load",
        )
    encoder = Encoder.from_config(meaning["table"])
    model = model_from(meaning, arrays, Path(model_file).name)
    columns = read_table(file, texts=encoder.texts, encoding=encoding)
    outputs = model.predict(encoder.inputs(columns))
    answers = encoder.answers(outputs)
    header = [encoder.target]
    # The weights are float32: what is behind the ninth digit says nothing.
    rows: list[Sequence[Any]] = [
        [answer if isinstance(answer, str) else f"{answer:.9g}"] for answer in answers.tolist()
    ]
    if encoder.classes is not None:
        shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        chances = shifted / shifted.sum(axis=1, keepdims=True)
        header.append("probability")
        rows = [[*row, f"{p:.4f}"] for row, p in zip(rows, chances.max(axis=1), strict=True)]
    if output is None:
        _write(sys.stdout, header, rows)
        return
    try:
        with open(output, "w", newline="", encoding="utf-8") as stream:
            _write(stream, header, rows)
    except OSError as error:
        raise StorageError(f"{output} couldn't be written", {"reason": str(error)}) from error
    click.echo(f"{len(rows)} answers in {output}")


def _write(stream: TextIO, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)


@click.command()
@click.argument("model")
@click.argument("file")
@click.option("-o", "--output", metavar="FILE", help="Where to write; the screen if not given.")
@click.option("--encoding", help="Of a text file: cp1252, latin-1, …; UTF-8 if not given.")
def predict(model: str, file: str, output: str | None, encoding: str | None) -> None:
    """Write the answers of MODEL for the rows of FILE, as CSV.

    \b
    chainrule predict model.safetensors new_flowers.csv
    """
    run_predict(model, file, output, encoding)
