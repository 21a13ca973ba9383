"""What layers take from a user: numbers, fractions, words, checked where they are given."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError

CHANNELS = ("channels_last", "channels_first")


def whole_number(name: str, value: Any, least: int = 1) -> int:
    """A whole number given by a user, at least 1 if nothing else is said.

    Raises:
        ArgumentError: it isn't one.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ArgumentError(
            f"{name} has to be a whole number from {least} on",
            {"given": repr(value)},
            f"{name}={max(least, 2)}",
        )
    return int(value)


def whole_numbers(name: str, value: Any, count: int, least: int = 1) -> tuple[int, ...]:
    """One whole number for each of `count` axes; a single one stands for all.

    Raises:
        ArgumentError: another number of them, or one that isn't whole.
    """
    if isinstance(value, (list, tuple)):
        if len(value) != count:
            raise ArgumentError(
                f"{name} has to be one whole number, or {count}, one for each axis",
                {"given": repr(value)},
                f"{name}={(2,) * count}",
            )
        return tuple(whole_number(name, number, least) for number in value)
    return (whole_number(name, value, least),) * count


def pairs(name: str, value: Any, count: int) -> tuple[tuple[int, int], ...]:
    """(before, after) for each of `count` axes, from one number, one an axis, or the pairs.

    Raises:
        ArgumentError: something else, or a negative number.
    """
    if isinstance(value, (list, tuple)):
        entries = list(value)
        if count == 1 and len(entries) == 2 and all(_is_whole(entry) for entry in entries):
            entries = [tuple(entries)]
    else:
        entries = [value] * count
    if len(entries) != count:
        raise ArgumentError(
            f"{name} has to be one whole number, {count}, or {count} pairs of them",
            {"given": repr(value)},
            f"{name}={((1, 1),) * count}",
        )
    return tuple(whole_numbers(name, entry, 2, least=0) for entry in entries)  # type: ignore[misc]


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def fraction(name: str, value: Any) -> float:
    """A number from 0 to 1 given by a user.

    Raises:
        ArgumentError: it isn't one.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        number = np.nan
    else:
        number = float(value)
    if not 0.0 <= number <= 1.0:
        raise ArgumentError(
            f"{name} has to be a number from 0 to 1", {"given": repr(value)}, f"{name}=0.5"
        )
    return number


def one_of(name: str, value: Any, words: Sequence[str]) -> str:
    """One of a few words given by a user.

    Raises:
        ArgumentError: it is none of them.
    """
    if value not in words:
        raise ArgumentError(
            f"{name} can't be {value!r}",
            {"known": ", ".join(map(repr, words))},
            f"choose one of these: {name}={words[0]!r}",
        )
    return str(value)


def channels(data_format: Any) -> str:
    """Where an input has its channels: last if not said otherwise.

    Raises:
        ArgumentError: neither "channels_last" nor "channels_first".
    """
    return one_of("data_format", data_format or CHANNELS[0], CHANNELS)


def axis_in(name: str, axis: Any, rank: int) -> int:
    """An axis of an input with so many axes, counted from the front; the batch isn't one.

    Raises:
        ArgumentError: there is no such axis, or it is the batch.
    """
    try:
        number = operator.index(axis)
    except TypeError:
        number = rank
    found = number + rank if number < 0 else number
    if not 0 < found < rank:
        raise ArgumentError(
            f"{name} has to be an axis of the input other than the batch",
            {"given": repr(axis), "axes": f"1 to {rank - 1}, or -1 to {1 - rank}"},
            f"{name}=-1 is the last one",
        )
    return found
