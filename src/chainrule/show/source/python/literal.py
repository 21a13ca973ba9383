"""Numbers, types and small arrays as Python's text: what is read back is the same to the bit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.show.source.piece import ATOM, SIGN, Piece
from chainrule.transform.mask import generic

SMALL = 32  # entries of an array that may stand in the text
_DEFAULT = {np.dtype("f8"), np.dtype("c16"), np.dtype("i8"), np.dtype("?")}


def literal(value: Any, exact: bool = False) -> Piece:
    """A number or a small array; with `exact`, NumPy's numbers keep their dtype."""
    if isinstance(value, np.ndarray) and value.shape:
        return Piece(array(value), cheap=value.size <= 3 or is_even(value))
    if isinstance(value, np.ndarray):
        value = value[()]
    if isinstance(value, np.generic):
        if exact and value.dtype.kind != "b":
            return Piece(f"{dtype(value.dtype)}({number(value.item())})", cheap=True)
        value = value.item()
    text = number(value)
    signed = text.startswith("-")
    return Piece(text, SIGN if signed else ATOM, cheap=True)


def number(value: Any) -> str:
    """One of Python's own numbers."""
    if isinstance(value, complex):
        parts = (value.real, value.imag)
        usual = all(math.isfinite(p) for p in parts) and math.copysign(1.0, value.real) > 0
        if usual and value.real and math.copysign(1.0, value.imag) > 0:
            return repr(value)
        return f"complex({number(value.real)}, {number(value.imag)})"
    if isinstance(value, float) and not math.isfinite(value):
        return "np.nan" if math.isnan(value) else "np.inf" if value > 0 else "-np.inf"
    if not isinstance(value, (bool, int, float)):
        raise TypeError(f"not a number: {type(value).__name__}")
    return repr(value)


def dtype(kind: np.dtype[Any]) -> str:
    """A dtype by the name that NumPy has for it."""
    return "bool" if kind.kind == "b" else f"np.{kind.name}"


def array(value: np.ndarray) -> str:
    """An array, as short as it can be made anew."""
    return _even(value) if is_even(value) else full_array(value)


def is_even(value: np.ndarray) -> bool:
    """Whether an array holds one number all over, to the last bit."""
    if value.size < 2 or value.dtype.kind not in "biufc":
        return False
    return np.ascontiguousarray(value).tobytes() == value.flat[0].tobytes() * value.size


def uneven(value: Any) -> str | None:
    """The numbers by which a gradient learns what reaches what, as the function that makes them."""
    if not isinstance(value, np.ndarray) or not value.size or value.dtype != np.dtype("f8"):
        return None
    for turned, text in ((value, ""), (value.T, ".T")):
        if np.array_equal(turned, generic(turned.shape)):
            return f"uneven{tuple_of(map(str, turned.shape)).replace(',)', ')')}{text}"
    return None


def _even(value: np.ndarray) -> str:
    first, sized = value.flat[0].item(), shape(value.shape)
    kind = "" if value.dtype == np.dtype("f8") else f", dtype={dtype(value.dtype)}"
    if value.dtype.kind == "f" and first == 0 and not math.copysign(1.0, first) < 0:
        return f"np.zeros({sized}{kind})"
    if value.dtype.kind == "f" and first == 1:
        return f"np.ones({sized}{kind})"
    kind = "" if value.dtype in _DEFAULT else f", dtype={dtype(value.dtype)}"
    return f"np.full({sized}, {number(first)}{kind})"


def full_array(value: np.ndarray) -> str:
    """An array with all of its entries."""
    if not value.size:
        return f"np.zeros({shape(value.shape)}, dtype={dtype(value.dtype)})"
    kind = "" if value.dtype in _DEFAULT else f", dtype={dtype(value.dtype)}"
    return f"np.array({_nested(value.tolist())}{kind})"


def _nested(entries: Any) -> str:
    if isinstance(entries, list):
        return f"[{', '.join(map(_nested, entries))}]"
    return number(entries)


def shape(sizes: tuple[int, ...]) -> str:
    """A shape as NumPy's functions take it."""
    return str(sizes[0]) if len(sizes) == 1 else tuple_of(map(str, sizes))


def axes(numbers: tuple[int, ...]) -> str:
    """An axis, or several."""
    return str(numbers[0]) if len(numbers) == 1 else tuple_of(map(str, numbers))


def tuple_of(parts: Any) -> str:
    """A tuple of texts."""
    parts = list(parts)
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
