"""Rows set apart: to train on, to choose by, to judge by."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.nn.arguments import whole_number


class Split(NamedTuple):
    """The three parts, each a tuple of arrays in the order they were given."""

    train: Any
    validation: Any
    test: Any


def split(
    *arrays: Any,
    validation: float = 0.15,
    test: float = 0.15,
    stratify: Any = None,
    seed: int = 0,
) -> Split:
    """Split rows at random in three: for training, for choices, and an untouched rest for judging.

    Args:
        arrays: arrays with a row per sample, split alike.
        validation, test: the fractions of the rows; 0 leaves a part empty on purpose.
        stratify: a class per row; each part then gets its share of every class.
        seed: decides which rows go where.

    Returns:
        A `Split` of tuples (or of single arrays, if one was given).

    Raises:
        ShapeError: arrays of different lengths.
        ArgumentError: fractions that leave a part empty that was asked for.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> x, y = np.arange(20).reshape(10, 2), np.arange(10)
        >>> parts = cr.train.split(x, y, validation=0.2, test=0.3)
        >>> [len(labels) for _, labels in parts]
        [5, 2, 3]
    """
    held = [np.asarray(a) for a in arrays]
    lengths = {len(a) if a.ndim else 0 for a in held}
    if len(lengths) != 1:
        raise ShapeError(
            "split: the arrays have different numbers of rows",
            {"rows": ", ".join(str(a.shape) for a in held) or "no arrays"},
            "pass arrays with a row per sample",
        )
    count = lengths.pop()
    seed = whole_number("seed", seed, 0)
    for name, fraction in (("validation", validation), ("test", test)):
        if not 0 <= fraction < 1 or validation + test >= 1:
            raise ArgumentError(
                "split: the fractions are from 0 up to 1, and leave rows to train on",
                {"validation": validation, "test": test},
                "validation=0.15, test=0.15",
            )
        if fraction and round(fraction * count) == 0:
            raise ArgumentError(
                f"split: the {name} part would be empty",
                {"rows": count, name: fraction},
                "more rows, or a larger fraction",
            )
    chance = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, count])))
    groups = [np.arange(count)] if stratify is None else _classes(np.asarray(stratify), count)
    places: tuple[list[Any], list[Any], list[Any]] = ([], [], [])
    for group in groups:
        order = chance.permutation(group)
        first = round(validation * len(group))
        second = first + round(test * len(group))
        for part, chosen in zip(
            places, (order[second:], order[:first], order[first:second]), strict=True
        ):
            part.append(chosen)
    indices = [chance.permutation(np.concatenate(part)) for part in places]
    single = len(held) == 1
    parts = [held[0][i] if single else tuple(a[i] for a in held) for i in indices]
    return Split(*parts)


def _classes(labels: np.ndarray, count: int) -> list[np.ndarray]:
    if labels.shape != (count,):
        raise ShapeError(
            "split: stratify has a class per row", {"rows": count, "stratify": labels.shape}
        )
    return [np.flatnonzero(labels == c) for c in np.unique(labels)]
