"""Where the rows of a training come from: arrays, memory-mapped files, or batches one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ArgumentError, DomainError, DtypeError, ShapeError
from chainrule.base.trees import flatten, map_tree, paths

# Arrays up to here are searched for NaN before training, which leaves the model as it was. In
# larger ones each step looks at its batch, where that costs nothing.
_SCANNED_BYTES = 1 << 20
_PART = 1 << 14  # rows searched together
_NAMES = ("x", "y", "sample_weight")  # of the arrays that are the fields of `Rows`


class Rows(NamedTuple):
    """Arrays with a row per sample.

    Fields: x, a tree of inputs; y, one array of labels per output, or None; weights, likewise.
    """

    x: Any
    y: list[Any]
    weights: list[Any]

    @property
    def length(self) -> int:
        """How many rows."""
        return int(flatten(self.x)[0][0].shape[0])

    def part(self, rows: Any) -> Rows:
        """Some of the rows."""
        return Rows(*map_tree(lambda a: a[rows], tuple(self)))


def as_rows(
    x: Any,
    y: Any,
    sample_weight: Any,
    class_weight: Any,
    outputs: Sequence[str],
    where: str = "fit",
) -> Rows:
    """A user's arrays, checked and brought into one form; nothing large is copied.

    Raises:
        ShapeError: arrays of different lengths, or none at all.
        DtypeError: something isn't an array of numbers.
        ArgumentError: labels are missing, or class weights don't fit.
    """
    inputs = map_tree(lambda a: as_array(a, "x", where), _arrays(x))
    given = [] if y is None else _in_order(y, outputs, "y")
    labels = [None if a is None else as_array(a, "y", where) for a in given]
    if y is not None and len(labels) != len(outputs):
        raise ArgumentError(
            f"{where}: the model has another number of outputs than there are arrays of labels",
            {"outputs": len(outputs), "labels": len(labels)},
            "pass one array of labels per output, in the outputs' order",
        )
    weights: list[Any] = [None] * len(outputs)
    if sample_weight is not None:
        found = _in_order(sample_weight, outputs, "sample_weight")
        weights = [None if a is None else as_array(a, "sample_weight", where) for a in found]
        weights = weights if len(weights) == len(outputs) else weights * len(outputs)
    if class_weight is not None:
        weights = [_class_weights(class_weight, labels, w, where) for w in weights]
    rows = Rows(inputs, labels if labels else [None] * len(outputs), weights)
    _check_lengths(rows, where)
    return rows


def is_stream(x: Any) -> bool:
    """Whether it gives batches one by one, rather than being arrays or a tree of them."""
    if hasattr(x, "shape") or isinstance(x, (Mapping, str)):
        return False
    if isinstance(x, (list, tuple)):
        return bool(x) and isinstance(x[0], tuple) and len(x[0]) in (2, 3)
    return hasattr(x, "__iter__") or hasattr(x, "__next__")


def _arrays(x: Any) -> Any:
    """Lists of numbers are arrays, lists of arrays are several inputs."""
    if isinstance(x, (list, tuple)) and not any(hasattr(a, "shape") for a in x):
        return np.asarray(x)
    return x


def _in_order(tree: Any, outputs: Sequence[str], name: str) -> list[Any]:
    """The arrays for the outputs, in their order; a dict's by their names, None for others.

    Raises:
        ArgumentError: it names other outputs.
    """
    if not isinstance(tree, Mapping) or (len(tree) == 1 and len(outputs) == 1):
        return _flat(tree)
    if not set(tree) <= set(outputs):
        raise ArgumentError(
            f"{name} names other outputs than the model has",
            {"named": ", ".join(map(str, tree)), "outputs": ", ".join(filter(None, outputs))},
            "give each output its array by its name, or a list in the outputs' order",
        )
    return [tree.get(output) for output in outputs]


def _flat(tree: Any) -> list[Any]:
    tree = _arrays(tree)
    if isinstance(tree, Mapping):
        return list(tree.values())
    return list(tree) if isinstance(tree, (list, tuple)) else [tree]


def as_array(a: Any, name: str, where: str) -> np.ndarray:
    """Something a user calls an array; pandas' frames and the like become one.

    Raises:
        DtypeError: its entries aren't numbers.
        ShapeError: it has no axis of rows.
    """
    array = np.asarray(a)
    if array.dtype.kind not in "biuf":
        raise DtypeError(
            f"{where}: {name} isn't an array of numbers",
            {name: f"{array.dtype}{list(array.shape)}"},
            "turn categories into numbers first: np.unique(labels, return_inverse=True)",
        )
    if array.ndim == 0:
        raise ShapeError(
            f"{where}: {name} is a single number", fix="give an array with a row per sample"
        )
    if array.dtype == np.float16 or not array.dtype.isnative or array.dtype.itemsize > 8:
        array = array.astype(np.float64 if array.dtype.itemsize > 4 else np.float32)
    return np.ascontiguousarray(array)


def _class_weights(class_weight: Any, labels: list[Any], weights: Any, where: str) -> np.ndarray:
    if len(labels) != 1 or not isinstance(class_weight, Mapping):
        raise ArgumentError(
            f"{where}: class_weight is a dict from class to weight, for a model of one output",
            {"given": type(class_weight).__name__, "outputs": len(labels)},
            "{0: 1.0, 1: 5.0}; for several outputs pass sample_weight",
        )
    y = labels[0]
    classes = np.argmax(y, axis=-1) if y.ndim > 1 and y.shape[-1] > 1 else y.reshape(len(y))
    found = np.unique(classes)
    strange = [c for c in found.tolist() if c not in class_weight]
    if strange:
        raise ArgumentError(
            f"{where}: class_weight says nothing of some classes",
            {"classes": ", ".join(map(str, strange[:10]))},
            "give every class a weight, 1.0 where it shall count once",
        )
    factors = np.array([class_weight[c] for c in found.tolist()], np.float32)
    chosen = factors[np.searchsorted(found, classes)]
    return chosen if weights is None else chosen * weights.astype(np.float32)


def _check_lengths(rows: Rows, where: str) -> None:
    lengths = {leaf.shape[0] for leaf in flatten(tuple(rows))[0]}
    if len(lengths) == 1 and 0 not in lengths:
        return
    facts = {
        f"{name}{tail}": leaf.shape[0]
        for name, tree in zip(_NAMES, rows, strict=True)
        for leaf, tail in zip(flatten(tree)[0], paths(tree), strict=True)
    }
    if len(lengths) > 1:
        raise ShapeError(
            f"{where}: the arrays have different numbers of rows",
            facts,
            "the first axis is the samples; is one of them transposed, or cut elsewhere?",
        )
    raise ShapeError(
        f"{where}: there are no rows", facts, "is a split or a filter before this empty?"
    )


def check_small(rows: Rows) -> None:
    """Refuse NaN and infinity in arrays that are small enough to search before training."""
    small = map_tree(lambda a: a if a.nbytes <= _SCANNED_BYTES else a[:0], tuple(rows))
    check_numbers(Rows(*small))


def check_numbers(rows: Rows, where: str = "fit", first: int = 0) -> None:
    """Refuse NaN and infinity.

    Args:
        rows: the data.
        where: what it is for.
        first: the number of its first row in the user's data.

    Raises:
        DomainError: names the array, the row and the column.
    """
    for name, tree in zip(_NAMES, rows, strict=True):
        for leaf, tail in zip(flatten(tree)[0], paths(tree), strict=True):
            for start in range(0, len(leaf) if leaf.dtype.kind == "f" else 0, _PART):
                part = leaf[start : start + _PART]
                if not all_finite(part):
                    row = int(np.argwhere(~np.isfinite(part))[0][0])
                    full = f"{name}{tail if name == 'x' else ''}"
                    refuse_strange(part[row], full, where, {"row": first + start + row})


def all_finite(array: np.ndarray) -> bool:
    """Whether there is neither NaN nor infinity."""
    flat = array.reshape(-1)
    # The sum of the squares tells, as fast as memory is read, unless the squares overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat)) or np.all(np.isfinite(flat)))


def refuse_strange(
    row: np.ndarray, name: str, where: str, place: Mapping[str, Any], left: str = ""
) -> None:
    """Refuse a row for the first of its numbers that is NaN or infinite.

    Args:
        row: of the array called `name`.
        place: where it stands in the user's data.
        left: what else to say.

    Raises:
        DomainError: names the array, the row and the column.
    """
    column = np.argwhere(~np.isfinite(row))[0].tolist()
    value = row[tuple(column)]
    facts: dict[str, Any] = {"array": name, **place}
    if column:
        facts["column"] = column[0] if len(column) == 1 else tuple(column)
    raise DomainError(
        f"{where}: the data holds {'NaN' if np.isnan(value) else 'an infinite number'}",
        facts,
        "fill or drop such rows first: x[np.isfinite(x).all(axis=1)], or np.nan_to_num(x)" + left,
    )
