"""Sorting, and the quantiles that follow from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import DomainError, DtypeError, ShapeError, UnsupportedError
from chainrule.ir.bound import EXACT, Roundings
from chainrule.ir.primitive import Case, Custom, Draw, Flat, Irregular, Linear, Primitive
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops import order_loops, sum_loops
from chainrule.ops.family import normal_axes, normal_axis, ones_at, primitive
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply, ground

Axes = tuple[int, ...]


# ---- sorting -------------------------------------------------------------------------------------


def _take(x: Any, order: Any) -> Any:
    """Entries along the last axis in another order, row by row."""
    shape = np.shape(x)
    count = shape[-1]
    rows = math.prod(shape[:-1])
    places = np.reshape(order, (rows, count))
    # Through the table: a plain array can't be indexed by a traced one.
    index = np.arange(rows)[:, None], places
    picked = TABLE["getitem"](np.reshape(x, (rows, count)), index)
    return np.reshape(picked, shape)


def _mean_of_runs(t: Any, starts: np.ndarray) -> Any:
    """Every entry replaced by the mean of its run; a run begins wherever `starts` says."""
    if starts.all() or not t.size:
        return np.array(t)
    flat = np.ascontiguousarray(np.broadcast_to(t, starts.shape)).reshape(-1)
    first = np.flatnonzero(np.ascontiguousarray(starts).reshape(-1))
    lengths = np.diff(np.append(first, flat.size))
    means = np.add.reduceat(flat, first) / lengths.astype(flat.real.dtype)
    return np.repeat(means, lengths).reshape(starts.shape)


def _runs_batch(op: Primitive, size: int, args: Any, batched: Any) -> Any:
    shape = np.shape(args[0])[batched[0] :]
    return apply(op, *[np.broadcast_to(a, (size, *shape)) for a in args])


# Entries that are equal share a derivative equally; the map is its own transpose.
share_runs: Primitive = primitive(
    name="share_runs",
    type_rule=lambda t, starts: ArrayType(t.shape, t.dtype),
    value=_mean_of_runs,
    derivative=Linear(lambda g, t, starts: apply(share_runs, g, starts)),
    batch=_runs_batch,
    symbolic=None,
    lower=sum_loops.share_runs,
    bound=Roundings("n", "Σ|t|/length"),
    cases=(
        Case((Draw((4,)), np.array([True, False, True, False]))),
        Case((Draw((2, 3)), np.array([[True, True, False], [True, False, False]]))),
        Case((Draw((3,), dtype="f4"), np.array([True, True, True]))),
        Case((Draw((3,), dtype="c16"), np.array([True, False, True]))),
    ),
)


def _starts(y: Any) -> Any:
    """Where in sorted rows a new value begins."""
    front = np.ones((*np.shape(y)[:-1], min(1, np.shape(y)[-1])), bool)
    return np.concatenate([front, np.not_equal(y[..., 1:], y[..., :-1])], axis=-1)


def _sort_forward(tangents: tuple[Any], y: Any, x: Any) -> Any:
    order = np.argsort(x, axis=-1, kind="stable")
    return apply(share_runs, _take(tangents[0], order), _starts(y))


def _sort_reverse(g: Any, y: Any, x: Any) -> tuple[Any]:
    order = np.argsort(x, axis=-1, kind="stable")
    return (_take(apply(share_runs, g, _starts(y)), np.argsort(order, axis=-1, kind="stable")),)


sort = primitive(
    name="sort",
    type_rule=lambda x: x,
    value=lambda x: np.sort(x, axis=-1),
    derivative=Custom(_sort_forward, _sort_reverse),
    batch=lambda op, size, args, batched: apply(op, args[0]),
    symbolic=None,
    lower=order_loops.sort,
    bound=EXACT,
    cases=(
        Case((Draw((5,)),)),
        Case((Draw((2, 4)),)),
        Case((Draw((2, 2, 3)),)),
        Case((Draw((1,)),)),
        Case((Draw((0,)),)),
        Case((Draw((4,), dtype="f4"),)),
    ),
    irregular=(
        Irregular(
            "kink",
            lambda y, x: np.logical_not(_starts(y)),
            "equal entries change their order when one of them moves",
        ),
    ),
)


argpartition = primitive(
    name="argpartition",
    type_rule=lambda x, kth: ArrayType(x.shape, np.dtype(np.intp)),
    value=lambda x, kth: np.argpartition(x, kth, axis=-1),
    derivative=Flat(),
    batch=lambda op, size, args, batched, kth: apply(op, args[0], kth=kth),
    symbolic=None,
    lower=None,
    cases=(Case((Draw((5,)),), {"kth": (2,)}), Case((Draw((2, 5)),), {"kth": (0, 3)})),
)


def _sorted_rows(a: Any, axis: Any) -> tuple[Any, Any]:
    """The array with the axis to be sorted last, and how to put it back."""
    a = TABLE["operand"](a)
    if axis is None:
        return np.reshape(a, (-1,)), lambda result: result
    along, last = normal_axis(axis, np.ndim(a)), np.ndim(a) - 1
    if along == last:
        return a, lambda result: result
    return np.swapaxes(a, along, last), lambda result: np.swapaxes(result, along, last)


@implements(np.sort, lists=True)
def _sort(
    a: Any, axis: Any = -1, kind: Any = None, order: None = None, *, stable: Any = None
) -> Any:
    rows, back = _sorted_rows(a, axis)
    return back(apply(sort, rows))


@implements(np.partition)
def _partition(a: Any, kth: Any, axis: Any = -1, kind: Any = None, order: None = None) -> Any:
    """Taken at NumPy's own positions; among equal entries the derivative goes to those."""
    rows, back = _sorted_rows(a, axis)
    result = back(_take(rows, apply(argpartition, rows, kth=_places(kth, rows))))
    return np.copy(result, "C") if np.ndim(result) > 1 else result


@implements(np.argpartition)
def _argpartition(a: Any, kth: Any, axis: Any = -1, kind: Any = None, order: None = None) -> Any:
    rows, back = _sorted_rows(a, axis)
    return back(apply(argpartition, rows, kth=_places(kth, rows)))


def _places(kth: Any, rows: Any) -> Axes:
    count = np.shape(rows)[-1]
    chosen = tuple(kth) if isinstance(kth, (tuple, list)) else (kth,)
    return tuple(normal_axis(k, count, "kth") for k in chosen)


@implements(np.lexsort)
def _lexsort(keys: Any, axis: Any = -1) -> Any:
    """Sort by the last key first: stable sorts from the first key to the last."""
    keys = TABLE["operand"](keys)
    along = normal_axis(axis, np.ndim(keys) - 1)
    rows = np.swapaxes(keys, along + 1, np.ndim(keys) - 1)
    found = np.argsort(rows[0], axis=-1, kind="stable")
    for key in rows[1:]:
        again = np.argsort(_take(key, found), axis=-1, kind="stable")
        found = _take(found, again)
    return np.swapaxes(found, along, np.ndim(found) - 1)


# ---- quantiles -----------------------------------------------------------------------------------


@implements(np.median, lists=True)
def _median(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    a = TABLE["operand"](a)
    ordered, axes = _ordered(a, axis)
    count = np.shape(ordered)[-1]
    if count == 0:
        raise ShapeError(
            "median: an empty array has none",
            {"shape": np.shape(a)},
            fix="give it an entry, or ask x.size first",
        )
    half = count // 2
    middle = (
        np.mean(ordered[..., half : half + 1], axis=-1)
        if count % 2
        else np.mean(ordered[..., half - 1 : half + 1], axis=-1)
    )
    if ordered.dtype.kind == "f":
        middle = np.where(np.isnan(ordered[..., -1]), math.nan, middle)
    return np.reshape(middle, ones_at(np.shape(a), axes)) if keepdims else middle


def _ordered(a: Any, axis: Any) -> tuple[Any, Axes]:
    """Sorted along some axes taken together, which become the last."""
    axes = normal_axes(axis, np.ndim(a))
    shape = np.shape(a)
    kept = tuple(k for k in range(len(shape)) if k not in axes)
    rows = np.transpose(a, kept + axes) if len(shape) > 1 else a
    count = math.prod(shape[k] for k in axes)
    return apply(sort, np.reshape(rows, (*(shape[k] for k in kept), count))), axes


@implements(np.quantile)
def _quantile(
    a: Any, q: Any, axis: Any = None, *, method: str = "linear", keepdims: Any = False
) -> Any:
    return _at_fractions(a, q, axis, method, keepdims, "quantile")


@implements(np.percentile)
def _percentile(
    a: Any, q: Any, axis: Any = None, *, method: str = "linear", keepdims: Any = False
) -> Any:
    fractions = TABLE["operand"](q) / 100
    return _at_fractions(a, fractions, axis, method, keepdims, "percentile")


@implements(np.nanquantile)
def _nanquantile(
    a: Any, q: Any, axis: Any = None, *, method: str = "linear", keepdims: Any = False
) -> Any:
    return _at_fractions(a, q, axis, method, keepdims, "nanquantile", _among_numbers)


@implements(np.nanpercentile)
def _nanpercentile(
    a: Any, q: Any, axis: Any = None, *, method: str = "linear", keepdims: Any = False
) -> Any:
    fractions = TABLE["operand"](q) / 100
    return _at_fractions(a, fractions, axis, method, keepdims, "nanpercentile", _among_numbers)


@implements(np.nanmedian)
def _nanmedian(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _at_fractions(a, 0.5, axis, "linear", keepdims, "nanmedian", _among_numbers)


def _among_all(ordered: Any, q: Any) -> Any:
    """Entries of sorted rows at fractions of the way, for every fraction; NaN if there is any."""
    count = np.shape(ordered)[-1]
    place = q * (count - 1)
    low = TABLE["astype"](np.clip(np.floor(place), 0, max(count - 2, 0)), np.dtype(np.intp))
    at = TABLE["getitem"]
    below, above = at(ordered, (..., low)), at(ordered, (..., np.minimum(low + 1, count - 1)))
    kind = np.result_type(ordered, 0.0)
    found = below + (above - below) * TABLE["astype"](place - low, kind)
    if kind.kind == "f":
        found = np.where(np.isnan(ordered[..., -1:]), math.nan, found)
    return np.moveaxis(found, -1, 0)


def _among_numbers(ordered: Any, q: Any) -> Any:
    """The same among those entries that aren't NaN, which stand in front."""
    *shape, count = np.shape(ordered)
    rows = np.reshape(ordered, (math.prod(shape), count))
    last = np.sum(np.logical_not(np.isnan(rows)), axis=-1) - 1
    place = q[:, None] * np.maximum(last, 0)
    low = TABLE["astype"](np.floor(place), np.dtype(np.intp))
    high = np.minimum(low + 1, np.maximum(last, 0))
    at, row = TABLE["getitem"], np.arange(math.prod(shape))
    below, above = at(rows, (row, low)), at(rows, (row, high))
    weight = TABLE["astype"](place - low, np.result_type(ordered, 0.0))
    return np.reshape(below + (above - below) * weight, (np.shape(q)[0], *shape))


def _at_fractions(
    a: Any,
    q: Any,
    axis: Any,
    method: str,
    keepdims: Any,
    what: str,
    among: Callable[[Any, Any], Any] = _among_all,
) -> Any:
    if method != "linear":
        raise UnsupportedError(
            f"np.{what}: method={method!r} can't be traced", fix="use method='linear'"
        )
    a, q = TABLE["operand"](a), TABLE["operand"](q)
    fractions = ground(q)
    if fractions is not None and not np.all((fractions >= 0) & (fractions <= 1)):
        whole = 100 if what.endswith("percentile") else 1
        raise DomainError(
            f"{what}: q must lie between 0 and {whole}", fix=f"give a number from 0 to {whole}"
        )
    ordered, axes = _ordered(a, axis)
    if np.shape(ordered)[-1] == 0:
        raise ShapeError(
            f"{what}: an empty array has none",
            {"shape": np.shape(a)},
            fix="give it an entry, or ask x.size first",
        )
    kind = np.result_type(ordered, q)
    if kind.kind == "c" and what != "nanmedian":
        raise DtypeError(
            f"{what}: complex numbers have no order that quantiles could follow",
            {"array": type_of(a), "q": type_of(q)},
            "take np.real(x), np.imag(x) or np.abs(x)",
        )
    ordered = ordered if ordered.dtype == kind else TABLE["astype"](ordered, kind)
    found = among(ordered, np.reshape(q, (-1,)))
    if np.ndim(q) == 0:
        found = found[0]  # a scalar where nothing but the one entry is left, as NumPy's
    else:
        found = np.reshape(found, (*np.shape(q), *np.shape(ordered)[:-1]))
    return np.reshape(found, (*np.shape(q), *ones_at(np.shape(a), axes))) if keepdims else found
