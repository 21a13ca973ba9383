"""Tables with named columns, turned into numbers a network can use.

What the numbers need (means, spreads, categories) comes from the training part alone, and is kept
with the model, so that a file seen later is treated the same way.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ModelFileError
from chainrule.train.table_file import MISSING

_MOST_CATEGORIES = 50  # a column of texts with more different ones says little by itself
_FEW = 10  # as many of them are categories even if most rows have one of their own
_MOST_CLASSES = 20  # whole numbers with at most so many different values are classes
_SAME = 1e-14  # of a column's size, below which its spread is rounding alone
_DAY = np.timedelta64(1, "D")

Columns = Mapping[str, np.ndarray]


class Encoder:
    """Columns as numbers: standardised, or one column per category.

    Args:
        numbers: name → (mean, standard deviation) of the training part.
        categories: name → its categories there.
        target: the column to predict.
        classes: its classes, if it is one of them; None for a number.
        scale: mean and standard deviation of a target that is a number.
        dates: which of the numbers are dates, counted in days since 1970.

    A missing number counts as the mean; a category that wasn't there while training as none.

    Attributes:
        notes: what was left out when it was fitted, and why, a line each.
    """

    def __init__(
        self,
        numbers: Mapping[str, Sequence[float]],
        categories: Mapping[str, Sequence[str]],
        target: str,
        classes: Sequence[str] | None,
        scale: Sequence[float] = (0.0, 1.0),
        dates: Collection[str] = (),
    ) -> None:
        self.numbers = {str(k): (float(v[0]), float(v[1])) for k, v in numbers.items()}
        self.categories = {str(k): [str(c) for c in v] for k, v in categories.items()}
        self.target = str(target)
        self.classes = None if classes is None else [str(c) for c in classes]
        self.scale = (float(scale[0]), float(scale[1]))
        self.dates = sorted(str(name) for name in dates)
        self.notes: list[str] = []

    @property
    def texts(self) -> list[str]:
        """The columns to read as texts, whatever they look like: "007" isn't the category "7"."""
        return list(self.categories)

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
        dates, constant, various = [], [], []
        for name, values in columns.items():
            if name == target:
                continue
            if values.dtype.kind in "fM":
                days = _numbers(values)
                known = days[np.isfinite(days)]
                mean, spread = _mean_and_spread(known) if known.size else (0.0, 0.0)
                if spread:
                    numbers[name] = (mean, spread)
                    dates += [name] * (values.dtype.kind == "M")
                else:
                    constant.append(name)
                continue
            kinds = sorted(set(values.tolist()))
            if len(kinds) == 1:
                constant.append(name)
            elif len(kinds) <= (_MOST_CATEGORIES if 2 * len(kinds) <= len(values) else _FEW):
                categories[name] = kinds
            else:
                various.append(_described(name, kinds))
        notes = []
        if constant:
            notes.append(f"left out, the same in every row: {', '.join(constant)}")
        if various:
            notes.append(f"left out, texts with too many different values: {', '.join(various)}")
        if not numbers and not categories:
            raise ArgumentError(
                "no column is left to learn from",
                {"target": target, "columns": ", ".join(columns)[:300]}
                | {f"reason {i + 1}": note for i, note in enumerate(notes)},
                "columns that vary, and texts with at most"
                f" {_MOST_CATEGORIES} different values, are learned from",
            )
        classes, scale = target_meaning(columns[target], target, task)
        made = cls(numbers, categories, target, classes, scale, dates)
        made.notes = notes
        return made

    def inputs(self, columns: Columns) -> np.ndarray:
        """Rows of numbers, float32.

        Raises:
            ArgumentError: a column is missing, or holds texts where numbers were.
        """
        count = len(known_column(columns, next(iter({**self.numbers, **self.categories}))))
        width = len(self.numbers) + sum(map(len, self.categories.values()))
        found = np.zeros((count, width), np.float32)
        for place, (name, (mean, spread)) in enumerate(self.numbers.items()):
            days = _numbers(self._of_kind(name, known_column(columns, name)))
            scaled = (days - mean) / spread
            found[:, place] = np.where(np.isfinite(scaled), scaled, 0.0)
        place = len(self.numbers)
        for name, kinds in self.categories.items():
            codes = _codes(as_texts(known_column(columns, name)), kinds)
            rows = np.flatnonzero(codes >= 0)
            found[rows, place + codes[rows]] = 1
            place += len(kinds)
        return found

    def _of_kind(self, name: str, values: np.ndarray) -> np.ndarray:
        """A column of numbers or dates, as it was while training."""
        date = name in self.dates
        if values.dtype.kind == ("M" if date else "f") or not len(values):
            return values
        if values.dtype.kind == "f" and not np.any(np.isfinite(values)):
            return values  # nothing but missing values
        row = 0
        if values.dtype.kind == "O":
            understood = _is_date if date else _is_number
            row = next((i for i, v in enumerate(values) if not understood(v)), 0)
        raise ArgumentError(
            f"the column {name!r} held {'dates' if date else 'numbers'} while training,"
            " and now doesn't",
            {"row": row + 1, "value": repr(values[row])},
            "write them as then; an empty cell is a missing value",
        )

    def labels(self, columns: Columns) -> np.ndarray:
        """The target: numbers of classes, or standardised numbers of shape (n, 1).

        Raises:
            ArgumentError: a class that wasn't there while training, or no number.
        """
        values = known_column(columns, self.target)
        if self.classes is None:
            _require_numbers(values, self.target)
            mean, spread = self.scale
            return ((values - mean) / spread)[:, None].astype(np.float32)
        texts = as_texts(values)
        codes = _codes(texts, self.classes)
        if np.any(codes < 0):
            row = int(np.argmin(codes >= 0))
            raise ArgumentError(
                "the target has a class that the training part doesn't have",
                {"class": texts[row], "row": row + 1, "known": ", ".join(self.classes)[:300]},
                "train on rows that have it, too, or leave such rows out",
            )
        return codes

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
            "dates": self.dates,
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


def target_meaning(values: np.ndarray, name: str, task: str) -> tuple[list[str] | None, Any]:
    """The classes of a target, or None and its mean and spread.

    Raises:
        ArgumentError: it can't be what `task` says, or there is nothing to tell apart.
    """
    if task == "classify" or (task == "auto" and _is_class(values)):
        classes = sorted(set(as_texts(values).tolist()), key=_in_order)
        if len(classes) < 2:
            raise ArgumentError(
                "the target has a single value, so there is nothing to tell apart",
                {"target": name, "value": classes[0], "rows to learn from": len(values)},
                "choose another column with --target, or bring more rows",
            )
        if len(classes) > _MOST_CLASSES and len(classes) > len(values) / 2:
            raise ArgumentError(
                "nearly every row has a class of its own, so there is nothing to learn",
                {"target": name, "classes": len(classes), "rows to learn from": len(values)},
                "choose another column with --target"
                + ", or --task regress to predict a number" * (values.dtype.kind == "f"),
            )
        return classes, (0.0, 1.0)
    _require_numbers(values, name)
    mean, spread = _mean_and_spread(values)
    if not spread:
        raise ArgumentError(
            "the target has a single value, so there is nothing to predict",
            {"target": name, "value": f"{mean:g}", "rows to learn from": len(values)},
            "choose another column with --target, or bring more rows",
        )
    return None, (mean, spread)


def _require_numbers(values: np.ndarray, name: str) -> None:
    """Refuse a target that is to be a number, and isn't one in some row."""
    if values.dtype.kind != "f" or not np.all(np.isfinite(values)):
        strange = 0
        if values.dtype.kind == "f":
            strange = int(np.argmin(np.isfinite(values)))
        elif values.dtype.kind == "O":
            strange = next((i for i, v in enumerate(values) if not _is_number(v)), 0)
        raise ArgumentError(
            "a target to be predicted as a number has to be one in every row",
            {"target": name, "row": strange + 1, "value": repr(values[strange])},
            "remove such rows, or choose --task classify",
        )


def _numbers(values: np.ndarray) -> np.ndarray:
    """Numbers as they are, dates as days since 1970."""
    if values.dtype.kind != "M":
        return values
    return np.asarray((values - np.datetime64(0, "D")) / _DAY, np.float64)


def _mean_and_spread(values: np.ndarray) -> tuple[float, float]:
    """The mean and standard deviation, also of numbers whose squares are out of range."""
    top = float(np.max(np.abs(values), initial=0.0))
    unit = top if top > 1e150 else 1.0
    mean, spread = float((values / unit).mean()) * unit, float((values / unit).std()) * unit
    return mean, spread if spread > _SAME * top else 0.0


def _described(name: str, kinds: Sequence[str]) -> str:
    """A column of many texts with one of them; the one that keeps the rest from being numbers."""
    given = [kind for kind in kinds if kind != MISSING]
    strange = [kind for kind in given if not _is_number(kind)]
    if strange and len(strange) <= 0.1 * len(given):
        return f"{name} (numbers, but for {strange[0][:30]!r})"
    return f"{name} ({given[0][:30]!r}, …)"


def _codes(texts: np.ndarray, kinds: Sequence[str]) -> np.ndarray:
    """The place of each text among the kinds; -1 for none."""
    places = {kind: i for i, kind in enumerate(kinds)}
    return np.fromiter((places.get(t, -1) for t in texts), np.int64, len(texts))


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
    if values.dtype.kind == "O":
        return values
    if values.dtype.kind == "M":
        return values.astype(str).astype(object)
    different, places = np.unique(values, return_inverse=True)
    return np.array([_text(v) for v in different], object)[places]


def _text(number: float) -> str:
    """A number in full: another one never has the same text."""
    if np.isnan(number):
        return MISSING
    return str(int(number)) if number.is_integer() else repr(float(number))


def _is_class(values: np.ndarray) -> bool:
    if values.dtype.kind != "f":
        return True
    known = values[np.isfinite(values)]
    return bool(np.all(known == np.round(known))) and len(np.unique(known)) <= _MOST_CLASSES


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except ValueError:
        return bool(value == MISSING)
    return True


def _is_date(value: Any) -> bool:
    try:
        np.datetime64(value)
    except ValueError:
        return bool(value == MISSING)
    return True


def _in_order(text: str) -> tuple[bool, float, str]:
    """Numbers by their value, before texts."""
    number = _is_number(text) and text != MISSING
    return (not number, float(text) if number else 0.0, text)
