"""Functions along an axis: called once per row, or once per window."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.types import type_of
from chainrule.ops.family import at_axis, normal_axis
from chainrule.tracing.table import TABLE, implements

# While a trace runs, NumPy's own name makes buffers.
_arange = np.arange


@implements(np.apply_along_axis)
def _apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **kwargs: Any) -> Any:
    """The function is called once per row, as NumPy does, and its results are stacked."""
    arr = TABLE["operand"](arr)
    along = normal_axis(axis, np.ndim(arr))
    last = np.moveaxis(arr, along, -1)
    outer = np.shape(last)[:-1]
    rows = np.reshape(last, (-1, np.shape(last)[-1]))
    results = [func1d(row, *args, **kwargs) for row in rows]
    if not results:
        raise ShapeError(
            "apply_along_axis: no row to apply the function to",
            {"array": type_of(arr), "axis": axis},
            "none of the other axes may be empty",
        )
    stacked = np.stack([TABLE["operand"](result) for result in results])
    inner = np.shape(stacked)[1:]
    whole = np.reshape(stacked, (*outer, *inner))
    # What the function returns takes the place of the axis that it was given.
    places = tuple(range(len(outer), len(outer) + len(inner)))
    return np.moveaxis(whole, places, tuple(range(along, along + len(inner))))


@implements(np.lib.stride_tricks.sliding_window_view)
def _sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """A copy rather than a view: what it holds is the same."""
    x = TABLE["operand"](x)
    sizes = tuple(window_shape) if isinstance(window_shape, (tuple, list)) else (window_shape,)
    if axis is None:
        axes = tuple(range(np.ndim(x)))
    else:
        given = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
        axes = tuple(normal_axis(a, np.ndim(x)) for a in given)
    if len(axes) != len(sizes):
        raise ShapeError(
            "sliding_window_view: one length per axis",
            {"window_shape": sizes, "axes": axes},
            "name the axes with axis=",
        )
    for along, size in zip(axes, sizes, strict=True):
        count = np.shape(x)[along] - size + 1
        if size < 0 or count < 1:
            raise ShapeError(
                "sliding_window_view: the window is longer than the axis",
                {"array": type_of(x), "axis": along, "window": size},
                "take a shorter window, or pad the array with np.pad",
            )
        spots = _arange(count)[:, None] + _arange(size)
        x = np.moveaxis(x[at_axis(along, spots)], along + 1, -1)
    return x
