"""Layers of several inputs as functions: `add([x, y])` is `Add()([x, y])`."""

from __future__ import annotations

from typing import Any

from chainrule.nn.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
)


def add(inputs: Any, **options: Any) -> Any:
    """Their sum; see `Add`.

    Args:
        inputs: a list of arrays, or of what `cr.nn.Input` and calls of layers on it gave.
        options: those of the layer.

    Example:
        >>> import chainrule as cr
        >>> x = cr.nn.Input((4,))
        >>> cr.nn.add([x, cr.nn.Dense(4)(x)]).shape
        (None, 4)
    """
    return Add(**options)(inputs)


def average(inputs: Any, **options: Any) -> Any:
    """Their mean; see `Average`, and `add` for the arguments."""
    return Average(**options)(inputs)


def concatenate(inputs: Any, axis: int = -1, **options: Any) -> Any:
    """They, one behind the other along an axis; see `Concatenate`, and `add` for the arguments."""
    return Concatenate(axis, **options)(inputs)


def dot(inputs: Any, axes: Any = -1, **options: Any) -> Any:
    """Their product along axes; see `Dot`, and `add` for the arguments."""
    return Dot(axes, **options)(inputs)


def maximum(inputs: Any, **options: Any) -> Any:
    """The largest of them, entry by entry; see `Maximum`, and `add` for the arguments."""
    return Maximum(**options)(inputs)


def minimum(inputs: Any, **options: Any) -> Any:
    """The smallest of them, entry by entry; see `Minimum`, and `add` for the arguments."""
    return Minimum(**options)(inputs)


def multiply(inputs: Any, **options: Any) -> Any:
    """Their product, entry by entry; see `Multiply`, and `add` for the arguments."""
    return Multiply(**options)(inputs)


def subtract(inputs: Any, **options: Any) -> Any:
    """The first less the second; see `Subtract`, and `add` for the arguments."""
    return Subtract(**options)(inputs)
