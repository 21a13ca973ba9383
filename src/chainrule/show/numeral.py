"""Numbers as pictures show them, and as programs read them back."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

DIGITS = 4
_MOST = 64  # entries of an array that stand in a picture's data in full


def short(x: Any, digits: int = DIGITS) -> str:
    """A number in a few significant digits, with a true minus sign.

    Example:
        >>> short(404.853739609282), short(-4.0), short(1.25e-7), short(float("inf"))
        ('404.9', '−4', '1.25e−7', '∞')
    """
    x = x.item() if hasattr(x, "item") else x
    if isinstance(x, bool):
        return "true" if x else "false"
    if isinstance(x, complex):
        sign = "−" if x.imag < 0 else "+"
        return f"{short(x.real, digits)} {sign} {short(abs(x.imag), digits)}i"
    if isinstance(x, int) and abs(x) < 10**6:
        return str(x).replace("-", "−")
    if not isinstance(x, (int, float)):
        return str(x)
    if not _finite(x):
        return "NaN" if x != x else ("∞" if x > 0 else "−∞")
    text = f"{x:.{digits}g}"
    mantissa, e, exponent = text.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    whole = mantissa + (f"e{int(exponent)}" if e else "")
    return ("0" if whole == "-0" else whole).replace("-", "−")


def _finite(x: float) -> bool:
    return isinstance(x, int) or math.isfinite(x)


def is_finite(value: Any) -> bool:
    """Whether no entry is NaN or infinite."""
    if isinstance(value, (int, float)):
        return math.isfinite(value)
    array = np.asarray(value)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def exact(value: Any) -> str | None:
    """A value in full, as JSON (with NaN and Infinity); None for what is too large or no number."""
    array = np.asarray(value)
    if array.size > _MOST or array.dtype.kind not in "biufc":
        return None
    if array.dtype.kind == "c":
        return json.dumps(np.stack([array.real, array.imag], -1).tolist())
    return json.dumps(array.tolist())


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as mathematics writes it: 2 × 3."""
    if len(shape) == 1:
        return f"length {shape[0]}"
    return " × ".join(map(str, shape)) if shape else "scalar"


def range_text(value: Any) -> str:
    """The least and the greatest entry of an array."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf" or not array.size:
        return ""
    if not is_finite(array):
        wrong = int(array.size - np.isfinite(array).sum())
        return f"{wrong} not finite"
    low, high = array.min(), array.max()
    return short(low, 3) if low == high else f"{short(low, 3)} … {short(high, 3)}"


def words(value: Any) -> str:
    """A value for the ear: the number, or the shape and range of an array."""
    array = np.asarray(value)
    if array.ndim == 0:
        return short(array[()])
    if array.size <= 8:
        flat = ", ".join(short(x) for x in array.ravel())
        return f"{shape_text(array.shape)} array {flat}"
    return f"{shape_text(array.shape)} array, {range_text(array)}"
