"""Functions along an axis: called once per row."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.types import type_of
from chainrule.ops.family import normal_axis
from chainrule.tracing.table import TABLE, implements


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
