"""The type of numbers that layers are made with."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError

_FLOATS = ("float32", "float64")
_default = np.dtype("float32")


def set_dtype(dtype: Any) -> None:
    """Choose the type of the weights and computations of layers made from now on.

    Args:
        dtype: "float32", as at the start, or "float64".

    Raises:
        ArgumentError: any other type.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.set_dtype("float64")
        >>> cr.nn.Dense(2).dtype
        dtype('float64')
        >>> cr.nn.set_dtype("float32")
    """
    global _default
    _default = float_dtype(dtype)


def default_dtype() -> np.dtype[Any]:
    """The type that layers, initialisers and losses use when none is given."""
    return _default


def float_dtype(dtype: Any) -> np.dtype[Any]:
    """A type given by a user, checked; None is the default.

    Raises:
        ArgumentError: it isn't float32 or float64.
    """
    if dtype is None:
        return _default
    try:
        found = np.dtype(dtype)
    except TypeError:
        found = None
    if found is None or found.name not in _FLOATS:
        raise ArgumentError(
            "networks compute in float32 or float64",
            {"dtype": repr(dtype)},
            f"choose one of {', '.join(_FLOATS)}",
        )
    return found
