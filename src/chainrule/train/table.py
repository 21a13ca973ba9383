"""Tables with named columns: read from files, and turned into numbers a network can use.

What the numbers need (means, spreads, categories) comes from the training part alone, and is kept
with the model, so that a file seen later is treated the same way.
"""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ModelFileError, StorageError

_MOST_CATEGORIES = 50  # a column of texts with more different ones says little by itself
_MOST_CLASSES = 20  # whole numbers with at most so many different values are classes
_MISSING = "(missing)"

Columns = Mapping[str, np.ndarray]


def read_table(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The columns of a CSV file with a header, or of a Parquet file.

    Args:
        path: ends in .csv, .csv.gz, .tsv or .parquet.

    Returns:
        Name → float64 (missing values NaN) or texts (missing ones "(missing)").

    Raises:
        StorageError: there is no such file, or it can't be read.
        ArgumentError: it isn't a table; pyarrow is not installed.
    """
    chunks = list(table_chunks(path))
    if not chunks:
        raise ArgumentError("the file has no rows", {"file": str(path)})
    return {name: _joined([c[name] for c in chunks]) for name in chunks[0]}


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    if len({p.dtype.kind for p in parts}) > 1:
        parts = [p if p.dtype.kind == "O" else _texts(p) for p in parts]
    return np.concatenate(parts)


def _texts(numbers: np.ndarray) -> np.ndarray:
    return np.array([_MISSING if np.isnan(v) else f"{v:g}" for v in numbers], object)


def table_chunks(
    path: str | os.PathLike[str], rows: int = 65_536
) -> Iterator[dict[str, np.ndarray]]:
    """The same columns, some thousands of rows at a time: for files larger than memory.

    Raises:
        As `read_table`.
    """
    place = Path(path)
    if not place.is_file():
        raise StorageError(f"there is no file {str(place)!r}", fix="check the path")
    try:
        arrow = importlib.import_module("pyarrow")
        csv = importlib.import_module("pyarrow.csv")
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ArgumentError(
            "reading tables needs pyarrow, which is not installed",
            fix='pip install "chainrule[data]"',
        ) from None
    try:
        if place.suffix == ".parquet":
            for batch in parquet.ParquetFile(place).iter_batches(batch_size=rows):
                yield _columns(batch)
            return
        tabs = ".tsv" in place.suffixes
        parse = csv.ParseOptions(delimiter="\t" if tabs else ",")
        convert = csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=True)
        for batch in csv.open_csv(place, parse_options=parse, convert_options=convert):
            for start in range(0, batch.num_rows, rows):
                yield _columns(batch.slice(start, rows))
    except (arrow.ArrowInvalid, UnicodeDecodeError) as error:
        raise ArgumentError(
            f"{place.name} isn't a table that can be read",
            {"reason": _printable(str(error).split("\n")[0][:200])},
            "a CSV file has a header line and the same number of fields in every line",
        ) from error
    except OSError as error:
        raise StorageError(f"{place.name} can't be read", {"reason": str(error)}) from error


def _printable(text: str) -> str:
    """A text that may quote a file's own bytes, as a terminal can bear it."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def _columns(batch: Any) -> dict[str, np.ndarray]:
    names = batch.schema.names
    if len(set(names)) != len(names) or any(not name.strip() for name in names):
        raise ArgumentError(
            "the columns of a table have names that are all different",
            {"header": ", ".join(names)[:200]},
            "does the file begin with its header?",
        )
    return {name: _column(batch.column(i)) for i, name in enumerate(names)}


def _column(column: Any) -> np.ndarray:
    kind = str(column.type)
    if kind.startswith(("int", "uint", "float", "double", "half", "decimal")):
        return np.asarray(column.cast("float64").to_numpy(zero_copy_only=False), np.float64)
    if kind == "bool":
        return np.array([np.nan if v is None else float(v) for v in column.to_pylist()])
    if kind == "null":
        return np.full(len(column), np.nan)
    return np.array([_MISSING if v is None else str(v) for v in column.to_pylist()], object)


class Encoder:
    """Columns as numbers: standardised, or one column per category.

    Args:
        numbers: name → (mean, standard deviation) of the training part.
        categories: name → its categories there.
        target: the column to predict.
        classes: its classes, if it is one of them; None for a number.
        scale: mean and standard deviation of a target that is a number.

    A missing number counts as the mean; a category that wasn't there while training as none.
    """

    def __init__(
        self,
        numbers: Mapping[str, Sequence[float]],
        categories: Mapping[str, Sequence[str]],
        target: str,
        classes: Sequence[str] | None,
        scale: Sequence[float] = (0.0, 1.0),
    ) -> None:
        self.numbers = {str(k): (float(v[0]), float(v[1])) for k, v in numbers.items()}
        self.categories = {str(k): [str(c) for c in v] for k, v in categories.items()}
        self.target = str(target)
        self.classes = None if classes is None else [str(c) for c in classes]
        self.scale = (float(scale[0]), float(scale[1]))
        self.ignored: list[str] = []  # columns that were left out when it was fitted

    @classmethod
    def fitted(cls, columns: Columns, target: str, task: str = "auto") -> Encoder:
        """The encoder for a training part.

        Args:
            columns: of the training part alone.
            target: the column to predict.
            task: "classify", "regress", or "auto": texts and few whole numbers are classes.

        Raises:
            ArgumentError: no such column, nothing else to learn from, or a target that can't be
                what `task` says.
        """
        known_column(columns, target)
        numbers: dict[str, tuple[float, float]] = {}
        categories: dict[str, list[str]] = {}
        ignored = []
        for name, values in columns.items():
            if name == target:
                continue
            if values.dtype.kind == "f":
                known = values[np.isfinite(values)]
                mean, spread = _mean_and_spread(known) if known.size else (0.0, 0.0)
                numbers[name] = (mean, spread or 1.0)
            else:
                kinds = sorted(set(values.tolist()))
                if len(kinds) <= _MOST_CATEGORIES:
                    categories[name] = kinds
                else:
                    ignored.append(name)
        if not numbers and not categories:
            raise ArgumentError(
                "no column is left to learn from",
                {"target": target, "columns": ", ".join(columns)},
                f"texts with more than {_MOST_CATEGORIES} different values aren't used",
            )
        classes, scale = _target(columns[target], target, task)
        made = cls(numbers, categories, target, classes, scale)
        made.ignored = ignored
        return made

    def inputs(self, columns: Columns) -> np.ndarray:
        """Rows of numbers, float32.

        Raises:
            ArgumentError: a column is missing, or holds texts where numbers were.
        """
        parts = []
        for name, (mean, spread) in self.numbers.items():
            values = known_column(columns, name)
            if values.dtype.kind != "f":
                row = next(i for i, v in enumerate(values) if not _is_number(v))
                raise ArgumentError(
                    f"the column {name!r} held numbers while training, and now doesn't",
                    {"row": row + 1, "value": repr(values[row])},
                )
            scaled = (values - mean) / spread
            parts.append(np.where(np.isfinite(scaled), scaled, 0.0)[:, None])
        for name, kinds in self.categories.items():
            values = as_texts(known_column(columns, name))
            parts.append(values[:, None] == np.array(kinds, object)[None, :])
        return np.concatenate(parts, axis=1).astype(np.float32)

    def labels(self, columns: Columns) -> np.ndarray:
        """The target: numbers of classes, or standardised numbers of shape (n, 1).

        Raises:
            ArgumentError: a class that wasn't there while training, or no number.
        """
        values = known_column(columns, self.target)
        if self.classes is None:
            mean, spread = self.scale
            return ((values - mean) / spread)[:, None].astype(np.float32)
        places = {name: i for i, name in enumerate(self.classes)}
        texts = as_texts(values).tolist()
        strange = next((t for t in texts if t not in places), None)
        if strange is not None:
            raise ArgumentError(
                "the target has a class that the training part doesn't have",
                {"class": strange, "known": ", ".join(self.classes)},
                "more rows of it, or another --seed",
            )
        return np.array([places[t] for t in texts])

    def answers(self, outputs: np.ndarray) -> np.ndarray:
        """What outputs of the network mean: names of classes, or numbers in the target's units."""
        if self.classes is None:
            return outputs[:, 0] * self.scale[1] + self.scale[0]
        return np.array(self.classes, object)[np.argmax(outputs, axis=1)]

    def config(self) -> dict[str, Any]:
        """All of it, as plain data."""
        return {
            "numbers": {name: list(pair) for name, pair in self.numbers.items()},
            "categories": self.categories,
            "target": self.target,
            "classes": self.classes,
            "scale": list(self.scale),
        }

    @classmethod
    def from_config(cls, config: Any) -> Encoder:
        """The encoder that `config` wrote.

        Raises:
            ModelFileError: it isn't one.
        """
        try:
            return cls(**config)
        except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            raise ModelFileError(
                "the file doesn't say how to read a table", {"reason": str(error)[:120]}
            ) from error


def _target(values: np.ndarray, name: str, task: str) -> tuple[list[str] | None, Any]:
    """The classes of a target, or None and its mean and spread."""
    if task == "classify" or (task == "auto" and _is_class(values)):
        classes = sorted(set(as_texts(values).tolist()), key=_in_order)
        if len(classes) < 2:
            raise ArgumentError(
                "the target has a single value, so there is nothing to tell apart",
                {"target": name, "value": classes[0], "rows to learn from": len(values)},
                "choose another column with --target, or bring more rows",
            )
        return classes, (0.0, 1.0)
    if values.dtype.kind != "f" or not np.all(np.isfinite(values)):
        row = 0 if values.dtype.kind != "f" else int(np.argmin(np.isfinite(values)))
        raise ArgumentError(
            "a target to be predicted as a number has to be one in every row",
            {"target": name, "row": row + 1, "value": repr(values[row])},
            "remove such rows, or choose --task classify",
        )
    mean, spread = _mean_and_spread(values)
    return None, (mean, spread or 1.0)


def _mean_and_spread(values: np.ndarray) -> tuple[float, float]:
    """The mean and standard deviation, also of numbers whose squares are out of range."""
    top = float(np.max(np.abs(values), initial=0.0))
    unit = top if top > 1e150 else 1.0
    return float((values / unit).mean()) * unit, float((values / unit).std()) * unit


def known_column(columns: Columns, name: str) -> np.ndarray:
    """A column by its name.

    Raises:
        ArgumentError: there is none; the message suggests the nearest.
    """
    if name in columns:
        return columns[name]
    near = difflib.get_close_matches(name, list(columns), n=1)
    raise ArgumentError(
        f"the table has no column {name!r}",
        {"columns": ", ".join(columns)[:300]},
        f"did you mean {near[0]!r}?" if near else "name one of these",
    )


def as_texts(values: np.ndarray) -> np.ndarray:
    """A column as texts: whole numbers without a point."""
    return values if values.dtype.kind == "O" else _texts(values)


def _is_class(values: np.ndarray) -> bool:
    if values.dtype.kind != "f":
        return True
    known = values[np.isfinite(values)]
    return bool(np.all(known == np.round(known))) and len(np.unique(known)) <= _MOST_CLASSES


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return value == _MISSING
    return True


def _in_order(text: str) -> tuple[bool, float, str]:
    """Numbers by their value, before texts."""
    number = _is_number(text) and text != _MISSING
    return (not number, float(text) if number else 0.0, text)
