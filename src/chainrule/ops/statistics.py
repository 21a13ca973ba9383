"""Covariance, correlation and counts: what NumPy makes of sums and products."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.types import type_of
from chainrule.ops.family import known
from chainrule.tracing.table import TABLE, implements


def _variables(m: Any, y: Any, rowvar: bool) -> Any:
    """One row per variable, in floating point."""
    rows = [TABLE["operand"](m)] + ([] if y is None else [TABLE["operand"](y)])
    for k, x in enumerate(rows):
        if np.ndim(x) > 2:
            raise ShapeError(
                "cov: needs a vector or a matrix",
                {"array": type_of(x)},
                "one row per variable, one column per observation",
            )
        if np.ndim(x) < 2:
            rows[k] = np.reshape(x, (1, -1))
        elif not rowvar:
            rows[k] = np.swapaxes(x, 0, 1)
    joined = rows[0] if len(rows) == 1 else np.concatenate(rows, axis=0)
    kind = np.result_type(joined, np.float64)
    return TABLE["astype"](joined, kind)


@implements(np.cov, lists=True)
def _cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Any:
    x = _variables(m, y, rowvar)
    less = (0 if bias else 1) if ddof is None else ddof
    count = np.shape(x)[1]
    weights = None
    for given in (fweights, aweights):
        if given is not None:
            weights = given if weights is None else np.multiply(weights, given)
    if weights is None:
        away = x - np.mean(x, axis=1, keepdims=True)
        free: Any = max(count - less, 0)
        weighted = away
    else:
        total = np.sum(weights)
        away = x - np.sum(x * weights, axis=1, keepdims=True) / total
        weighted = away * weights
        if less == 0:
            free = total
        elif aweights is None:
            free = total - less
        else:
            free = total - less * np.sum(np.multiply(weights, aweights)) / total
    product = np.matmul(away, np.conjugate(np.swapaxes(weighted, 0, 1)))
    result = np.squeeze(np.true_divide(product, free))
    return result if dtype is None else TABLE["astype"](result, dtype)


@implements(np.corrcoef, lists=True)
def _corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = _cov(x, y, rowvar, dtype=dtype)
    if np.ndim(c) == 0:
        return c / c
    spread = np.sqrt(np.real(np.diagonal(c)))
    result = c / spread[:, None] / spread[None, :]
    if result.dtype.kind == "c":
        return result
    # NumPy clips what rounding leaves outside; the derivative of a clipped entry is the entry's.
    plain = np.clip(result, -1, 1)
    inside = np.less_equal(np.absolute(result), 1)
    return np.where(inside, result, plain)


@implements(np.bincount, lists=True)
def _bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    places = known(x, "bincount")
    if weights is None:
        return np.bincount(places, None, minlength)
    weights = TABLE["operand"](weights)
    if np.shape(weights) != np.shape(places):
        raise ShapeError(
            "bincount: one weight per entry",
            {"entries": np.shape(places), "weights": np.shape(weights)},
            "make them equally long",
        )
    if np.size(places) and int(np.min(places)) < 0:
        raise ShapeError("bincount: entries can't be negative", fix="shift them: x - x.min()")
    size = max(int(minlength), int(np.max(places)) + 1 if np.size(places) else 0)
    if not np.size(places):
        return np.zeros(size)
    given = TABLE["astype"](weights, np.dtype(float))
    return TABLE["put_add"](given, (places,), (size,))
