"""The user's own table: its rows as numbers, in a part to train on and one to judge by."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.train.table import Encoder, known_column
from chainrule.train.table_file import Table, read_table
from chainrule.train.table_split import split_table

MOST_ROWS = 20_000
MOST_INPUTS = 200
MOST_CLASSES = 8  # as many as there are colours that nobody mixes up

VALIDATION = 0.3


class TableRows(NamedTuple):
    """A table in two parts.

    Fields: train and validation, pairs (inputs, labels); encoder, which made them; notes, what
    was done to the table that its owner should know.
    """

    train: Any
    validation: Any
    encoder: Encoder
    notes: tuple[str, ...]


def table_rows(
    path: str | os.PathLike[str], target: str | None = None, task: str = "auto", seed: int = 0
) -> TableRows:
    """Read a table for the playground: 70 % of its rows to train on, the others to judge by.

    Args:
        path: a CSV, TSV or Parquet file with a header.
        target: the column to predict; the last one if not given.
        task: "classify", "regress" or "auto": texts and few whole numbers are classes.
        seed: decides which rows go where.

    Returns:
        A `TableRows`. Numbers are standardised and categories taken by the training part.

    Raises:
        StorageError, ArgumentError: as `cr.train.read_table`; or a table that has more inputs or
            classes than a picture can show.
    """
    columns = read_table(path)
    name = known_target(columns, target)
    notes = list(columns.notes)
    count = len(columns[name])
    if count > MOST_ROWS:
        chance = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, count, 2])))
        kept = np.sort(chance.choice(count, MOST_ROWS, replace=False))
        columns = Table({key: values[kept] for key, values in columns.items()})
        notes.append(f"{MOST_ROWS:,} of {count:,} rows, drawn at random")
    parts, encoder = split_table(columns, name, task, validation=VALIDATION, test=0.0, seed=seed)
    _refuse_large(parts.train[0].shape[1], encoder)
    gaps = sum(int(np.sum(~np.isfinite(columns[key]))) for key in encoder.numbers)
    if gaps:
        what = "value" if gaps == 1 else "values"
        notes.append(f"{gaps:,} missing or infinite {what} counted as the mean of the column")
    notes += encoder.notes
    return TableRows(parts.train, parts.validation, encoder, tuple(notes))


def known_target(columns: Any, target: str | None) -> str:
    """The column to predict; the last one if none is named.

    Raises:
        ArgumentError: no such column.
    """
    name = list(columns)[-1] if target is None else target
    known_column(columns, name)
    return name


def _refuse_large(inputs: int, encoder: Encoder) -> None:
    if inputs > MOST_INPUTS:
        raise ArgumentError(
            "the table has more inputs than the playground takes",
            {"inputs": inputs, "at most": MOST_INPUTS},
            "chainrule train has no such limit",
        )
    if encoder.classes is not None and len(encoder.classes) > MOST_CLASSES:
        raise ArgumentError(
            "the target has more classes than can be told apart by colour",
            {"target": encoder.target, "classes": len(encoder.classes), "at most": MOST_CLASSES},
            "choose another column with --target, or --task regress for numbers",
        )
