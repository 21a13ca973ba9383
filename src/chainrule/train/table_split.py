"""A table split into parts, and what an encoder learns of the first."""

from __future__ import annotations

import numpy as np

from chainrule.train.partition import Split, split
from chainrule.train.table import Columns, Encoder

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
        A `Split` of pairs (inputs, labels), and the encoder that made them.

    Raises:
        ArgumentError: as `split` and `Encoder.fitted`.

    Example:
        >>> table = {"size": np.arange(40.0), "kind": np.array(["a", "b"] * 20, object)}
        >>> (train, _, test), encoder = split_table(table, "kind")
        >>> train[0].shape, len(test[1]), encoder.classes
        ((28, 1), 6, ['a', 'b'])
    """
    discrete = Encoder.fitted(columns, target, task).classes is not None
    places = split(
        np.arange(len(columns[target])),
        validation=validation,
        test=test,
        stratify=_frequent(columns[target]) if discrete else None,
        seed=seed,
    )
    chosen = [{key: values[part] for key, values in columns.items()} for part in places]
    encoder = Encoder.fitted(chosen[0], target, task)
    return Split(*((encoder.inputs(c), encoder.labels(c)) for c in chosen)), encoder


def _frequent(labels: np.ndarray) -> np.ndarray:
    """Classes to share out evenly; single rows of a class go wherever chance puts them."""
    _, classes, counts = np.unique(labels.astype(str), return_inverse=True, return_counts=True)
    return np.where(counts[classes] >= _OFTEN, classes, -1)
