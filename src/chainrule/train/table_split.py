"""A table split into parts, and what an encoder learns of the first."""

from __future__ import annotations

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.train.partition import Split, split
from chainrule.train.table import Columns, Encoder, as_texts, known_column, target_meaning
from chainrule.train.table_file import MISSING

_OFTEN = 10  # rows from which a class is shared out evenly


def split_table(
    columns: Columns,
    target: str,
    task: str = "auto",
    *,
    validation: float = 0.15,
    test: float = 0.15,
    seed: int = 0,
) -> tuple[Split, Encoder]:
    """Split the rows of a table; all that is learned of the columns is learned on the first part.

    Args:
        columns: of all rows, as `read_table` gives them.
        target: the column to predict.
        task: "classify", "regress" or "auto", as for `Encoder.fitted`.
        validation, test: the fractions of the rows; each class gets its share.
        seed: decides which rows go where.

    Returns:
        A `Split` of pairs (inputs, labels), and the encoder that made them. Rows without a target
        are in no part; a class with too few rows to be shared out is in the first one.

    Raises:
        ArgumentError: as `split` and `Encoder.fitted`.

    Example:
        >>> table = {"size": np.arange(40.0), "kind": np.array(["a", "b"] * 20, object)}
        >>> (train, _, test), encoder = split_table(table, "kind")
        >>> train[0].shape, len(test[1]), encoder.classes
        ((28, 1), 6, ['a', 'b'])
    """
    labels = known_column(columns, target)
    rows = np.flatnonzero(_is_known(labels))
    labels = labels[rows]
    if not len(rows):
        raise ArgumentError(
            "the target is missing in every row",
            {"target": target},
            "choose another column with --target",
        )
    classes, _ = target_meaning(labels, target, task)
    places = split(
        np.arange(len(rows)),
        validation=validation,
        test=test,
        stratify=None if classes is None else _frequent(labels),
        seed=seed,
    )
    if classes is not None:
        places = _met_in_training(places, labels)
    chosen = _rows_of(columns, rows[places.train])
    encoder = Encoder.fitted(chosen, target, task)
    encoder.notes += [
        f"left out, {missing:,} row{'s' * (missing > 1)} without a value in {target}"
        for missing in [len(columns[target]) - len(rows)]
        if missing
    ]
    train = encoder.inputs(chosen), encoder.labels(chosen)
    held = [_rows_of(columns, rows[part]) for part in places[1:]]
    return Split(train, *((encoder.inputs(c), encoder.labels(c)) for c in held)), encoder


def _rows_of(columns: Columns, rows: np.ndarray) -> dict[str, np.ndarray]:
    return {key: values[rows] for key, values in columns.items()}


def _is_known(labels: np.ndarray) -> np.ndarray:
    """Which rows have a target at all."""
    if labels.dtype.kind == "f":
        return np.isfinite(labels)
    if labels.dtype.kind == "M":
        return ~np.isnat(labels)
    return np.asarray(labels != MISSING, bool)


def _frequent(labels: np.ndarray) -> np.ndarray:
    """Classes to share out evenly; single rows of a class go wherever chance puts them."""
    _, classes, counts = np.unique(as_texts(labels), return_inverse=True, return_counts=True)
    return np.where(counts[classes] >= _OFTEN, classes, -1)


def _met_in_training(places: Split, labels: np.ndarray) -> Split:
    """The parts, with the rows of classes that training would never meet moved there."""
    _, classes = np.unique(as_texts(labels), return_inverse=True)
    met = np.isin(classes, classes[places.train])
    moved = [part[~met[part]] for part in places[1:]]
    return Split(np.concatenate([places.train, *moved]), *(part[met[part]] for part in places[1:]))
