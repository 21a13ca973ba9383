"""What labels have to look like: checked once over the whole array, before anything is trained.

Each function names the first thing that is wrong, which loss or layer expects what, and a remedy.
Labels may be memory-mapped: they are read a part at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError, ShapeError

_PART = 1 << 16  # rows looked at together


def first_place(labels: Any, is_wrong: Callable[[np.ndarray], Any]) -> tuple[int, ...] | None:
    """The index of the first entry that is wrong, or None."""
    if np.ndim(labels) == 0:
        return () if np.any(is_wrong(np.asarray(labels))) else None
    for start in range(0, len(labels), _PART):
        wrong = is_wrong(np.asarray(labels[start : start + _PART]))
        if np.any(wrong):
            row, *rest = (int(k) for k in np.argwhere(wrong)[0])
            return (start + row, *rest)
    return None


def place_text(place: tuple[int, ...]) -> str:
    """(3, 1) → "row 3, column 1"."""
    if not place:
        return "the only one"
    row, *rest = place
    if not rest:
        return f"row {row}"
    return f"row {row}, column {rest[0]}" if len(rest) == 1 else f"row {row}, entry {tuple(rest)}"


def shape_text(shape: Sequence[int | None]) -> str:
    """A shape whose first axis is the batch: (100, 10) → "(n, 10)"."""
    rest = [str(n) for n in shape[1:]]
    return "()" if not shape else f"({', '.join(['n', *rest])}{'' if rest else ','})"


def check_finite(loss: str, labels: Any, what: str = "labels") -> None:
    """Refuse NaN and infinity.

    Raises:
        ArgumentError: names row and column of the first one.
    """
    if np.asarray(labels[:1] if np.ndim(labels) else labels).dtype.kind not in "fc":
        return
    place = first_place(labels, lambda part: ~np.isfinite(part))
    if place is not None:
        raise ArgumentError(
            f"{loss}: the {what} hold {labels[place]}",
            {"first": place_text(place), what: shape_text(np.shape(labels))},
            "leave such rows out, or fill them in, before training",
        )


def check_numbers(loss: str, labels: Any, kinds: str = "biuf") -> None:
    """Refuse labels that aren't real numbers, such as text."""
    dtype = labels.dtype
    if dtype.kind not in kinds:
        raise DtypeError(
            f"{loss}: the labels have to be numbers",
            {"labels": f"{dtype} {shape_text(np.shape(labels))}"},
            "classes given as text become numbers by np.unique(labels, return_inverse=True)[1]"
            if dtype.kind in "OSUT"
            else "convert them to float32",
        )


def check_like_output(loss: str, labels: Any, output_shape: Sequence[int | None]) -> None:
    """The labels have the shape of the output; (n,) and (n, 1) count as the same.

    Raises:
        ShapeError: they haven't.
    """
    given, wanted = tuple(np.shape(labels)), tuple(output_shape)
    if given[1:] == wanted[1:] and len(given) == len(wanted):
        return
    if {given[1:], wanted[1:]} == {(), (1,)}:
        return
    units = wanted[-1] if wanted else 1
    if len(given) < len(wanted) and units != 1:
        fix = (
            "classes as whole numbers belong with SparseCategoricalCrossentropy; "
            "one number per row needs a last layer of 1 unit"
        )
    elif len(given) == len(wanted) == 2:
        fix = f"the last layer needs {given[-1]} units, or the labels {units} columns"
    else:
        fix = f"give labels of shape {shape_text(wanted)}"
    raise ShapeError(
        f"{loss} expects labels of the output's shape {shape_text(wanted)}, "
        f"got {shape_text(given)}",
        {"labels": shape_text(given), "output": shape_text(wanted)},
        fix,
    )


def check_paired(loss: str, labels: Any, output_shape: Sequence[int | None]) -> None:
    """Finite numbers in the shape of the output."""
    check_numbers(loss, labels)
    check_like_output(loss, labels, output_shape)
    check_finite(loss, labels)


def check_classes(
    loss: str,
    labels: Any,
    output_shape: Sequence[int | None],
    ignored: int | None = None,
    one_hot: str = "CategoricalCrossentropy",
) -> None:
    """Whole numbers 0 … k−1, one for each row of k numbers in the output.

    Args:
        loss: its name, for messages.
        labels: the labels.
        output_shape: the shape of the output, classes on the last axis.
        ignored: one more number that may occur.
        one_hot: the loss to name for labels that are one-hot.

    Raises:
        ShapeError: another shape.
        ArgumentError: a number that is no class: names the first row and the value.
    """
    given, classes = tuple(np.shape(labels)), output_shape[-1] or 0
    wanted = tuple(output_shape[:-1])
    if classes == 1:
        raise ShapeError(
            f"{loss} needs one unit per class in the last layer, and there is 1",
            {"output": shape_text(output_shape)},
            "make it as many units as classes; two classes with 1 unit need BinaryCrossentropy",
        )
    if not _same_rows(given, wanted):
        hot = given[1:] == tuple(output_shape[1:])
        raise ShapeError(
            f"{loss} expects whole-number labels of shape {shape_text(wanted)}, "
            f"got {'one-hot ' if hot else ''}{shape_text(given)}",
            {"labels": shape_text(given), "output": shape_text(output_shape)},
            f"use {one_hot}, or labels.argmax(axis=-1)"
            if hot
            else f"give one number for each row of {classes}",
        )

    def is_wrong(part: np.ndarray) -> Any:
        whole = part.dtype.kind in "iu" and part.size > 0
        if whole and part.min() >= 0 and part.max() < classes:  # two quick sweeps, nearly always
            return False
        with np.errstate(invalid="ignore"):
            known = (part >= 0) & (part < classes) & (part == np.floor(part))
        return ~known if ignored is None else ~(known | (part == ignored))

    place = first_place(labels, is_wrong)
    if place is not None:
        value = labels[place]
        one_based = value == classes and first_place(labels, lambda part: part == 0) is None
        raise ArgumentError(
            f"{loss}: a label isn't a class of the output",
            {
                "first": f"{value} in {place_text(place)}",
                "classes": f"whole numbers 0 … {classes - 1}, because the output is "
                f"{shape_text(output_shape)}",
            },
            "they seem to start at 1: subtract 1"
            if one_based
            else "correct the labels, or give the last layer as many units as there are classes",
        )


def _same_rows(given: tuple[Any, ...], wanted: tuple[Any, ...]) -> bool:
    if len(given) == len(wanted) + 1 and given[-1] == 1:
        given = given[:-1]
    return len(given) == len(wanted) and given[1:] == wanted[1:]


def check_one_hot(loss: str, labels: Any, output_shape: Sequence[int | None]) -> None:
    """Probabilities of the classes, in the output's shape.

    Raises:
        ShapeError: another shape, such as classes as whole numbers.
        ArgumentError: a number outside [0, 1].
    """
    given, wanted = tuple(np.shape(labels)), tuple(output_shape)
    if len(given) != len(wanted) or given[1:] != wanted[1:]:
        whole = _same_rows(given, wanted[:-1])
        raise ShapeError(
            f"{loss} expects one-hot labels of shape {shape_text(wanted)}, "
            f"got {'whole numbers ' if whole else ''}{shape_text(given)}",
            {"labels": shape_text(given), "output": shape_text(wanted)},
            "use SparseCategoricalCrossentropy, or np.eye(classes)[labels]"
            if whole
            else f"one-hot labels have one column per unit of the last layer: {wanted[-1]}",
        )
    check_range(loss, labels, 0, 1)


def check_range(loss: str, labels: Any, low: float, high: float) -> None:
    """Every label lies in [low, high].

    Raises:
        ArgumentError: names the first one that doesn't.
    """
    place = first_place(labels, lambda part: ~((part >= low) & (part <= high)))
    if place is not None:
        range_text = f"in [{low}, {high}]" if np.isfinite(high) else f"≥ {low}"
        raise ArgumentError(
            f"{loss} expects labels {range_text}",
            {"first": f"{labels[place]} in {place_text(place)}"},
            "labels −1 and 1 belong with Hinge or NegativeLogLikelihood(labels=(-1, 1))"
            if labels[place] == -1
            else "scale or correct the labels, or choose a loss for numbers of any size",
        )


def check_among(loss: str, labels: Any, values: tuple[int, ...], fix: str) -> None:
    """Every label is one of the values.

    Raises:
        ArgumentError: names the first one that isn't.
    """
    place = first_place(labels, lambda part: ~np.isin(part, values))
    if place is not None:
        raise ArgumentError(
            f"{loss} expects labels {' or '.join(map(str, values))}",
            {"first": f"{labels[place]} in {place_text(place)}"},
            fix,
        )
