"""The largest, the smallest, sorting and searching, by their definitions."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from chainrule.ops.window import windows_of
from truth.number import entrywise
from truth.registry import reference


def _along(function: Any, x: Any, axis: int) -> Any:
    """A function of rows, along an axis."""
    moved = np.moveaxis(x, axis, -1)
    out = np.empty(moved.shape[:-1], object)
    for place in np.ndindex(*out.shape):
        out[place] = function(list(moved[place]))
    return out


def _in_rows(x: Any, axis: Any) -> Any:
    """The axes of a reduction as the last one."""
    kept = [k for k in range(x.ndim) if k not in axis]
    moved = np.transpose(x, (*kept, *axis))
    return moved.reshape(*(x.shape[k] for k in kept), math.prod(x.shape[k] for k in axis))


reference("max")(lambda x, axis: _along(max, _in_rows(x, axis), -1))
reference("min")(lambda x, axis: _along(min, _in_rows(x, axis), -1))
reference("any")(lambda x, axis: _along(lambda row: int(any(row)), _in_rows(x, axis), -1))
reference("all")(lambda x, axis: _along(lambda row: int(all(row)), _in_rows(x, axis), -1))
reference("argmax")(lambda x, axis: _along(lambda row: row.index(max(row)), x, axis))
reference("argmin")(lambda x, axis: _along(lambda row: row.index(min(row)), x, axis))


@reference("shift")
def _shift(x: Any, axis: Any) -> Any:
    def largest(row: Any) -> Any:
        most = max(row, default=mpf("-inf"))
        return most if mpmath.isfinite(most) else mpf(0)

    shape = tuple(1 if k in axis else n for k, n in enumerate(x.shape))
    return _along(largest, _in_rows(x, axis), -1).reshape(shape)


def _each_row(function: Any, x: Any, axis: int) -> Any:
    moved = np.moveaxis(x, axis, -1)
    out = np.empty(moved.shape, object)
    for place in np.ndindex(*moved.shape[:-1]):
        out[place] = function(list(moved[place]))
    return np.moveaxis(out, -1, axis)


@reference("sort")
def _sort(x: Any) -> Any:
    return _each_row(sorted, x, -1)


@reference("argsort")
def _argsort(x: Any, axis: int, kind: Any) -> Any:
    return _each_row(lambda row: sorted(range(len(row)), key=row.__getitem__), x, axis)


@reference("searchsorted")
def _searchsorted(a: Any, v: Any, side: str) -> Any:
    return entrywise(lambda v: sum(1 for x in a if x < v or (side == "right" and x == v)), v)


@reference("window_max")
def _window_max(x: Any, axes: Any, **where: Any) -> Any:
    # Which entries a window holds: by their numbers, as views of objects are no views.
    numbers = windows_of(np.arange(x.size).reshape(x.shape), axes, **where)
    return _along(
        max,
        x.reshape(-1)[numbers.reshape(*numbers.shape[: x.ndim], math.prod(where["window"]))],
        -1,
    )
