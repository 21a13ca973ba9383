"""Numbers as a page holds them: exact in JSON's text, or many of them packed."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule.show.numeral import short

SHOWN = 64  # entries of an array up to which a page that doesn't compute holds them


def number_of(x: Any) -> Any:
    """A number that JSON can hold: what isn't finite, and -0, as JavaScript's Number reads it."""
    x = x.item() if hasattr(x, "item") else x
    if isinstance(x, complex):
        return repr(x).strip("()")
    if isinstance(x, float):
        if math.isnan(x):
            return "NaN"
        if math.isinf(x):
            return "Infinity" if x > 0 else "-Infinity"
        if x == 0 and math.copysign(1, x) < 0:
            return "-0"
    return x


def numbers_of(value: Any, most: int | None = SHOWN) -> dict[str, Any]:
    """An array: shape, type and entries in C order; of many the first ones, and their range."""
    array = np.asarray(value)
    found: dict[str, Any] = {
        "shape": array.shape,
        "kind": array.dtype.str[1:],
        "entries": [number_of(x) for x in array.ravel()[:most]],
    }
    if len(found["entries"]) < array.size and array.dtype.kind in "biuf":
        found["range"] = _range(array)
    return found


def _range(array: Any) -> list[Any]:
    return [number_of(array.min()), number_of(array.max())]


def packed(arrays: Iterable[Any]) -> dict[str, Any]:
    """Arrays one behind the other; None where none is.

    Returns:
        As base64: "there", a bit per array whether it's there; "entries", doubles, little-endian.
        By place: "ranges" has the least and the greatest entry of large arrays, which have no
        entries; "texts" those of complex ones, rounded.
    """
    there: list[bool] = []
    parts: list[Any] = [np.zeros(0)]
    ranges: dict[str, list[Any]] = {}
    texts: dict[str, list[str]] = {}
    for k, given in enumerate(arrays):
        array = None if given is None else np.asarray(given)
        real = array is not None and array.dtype.kind in "biuf"
        there.append(real)
        if array is None:
            continue
        if not real:
            texts[str(k)] = [short(x) for x in array.ravel()[:SHOWN]]
        elif array.size > SHOWN:
            ranges[str(k)] = _range(array)
        else:
            parts.append(array.ravel())
    entries = np.concatenate(parts, dtype="<f8", casting="unsafe")
    return {
        "there": _base64(np.packbits(np.array(there, bool))),
        "entries": _base64(entries),
        "ranges": ranges,
        "texts": texts,
    }


def _base64(array: Any) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")
