"""Means and spreads, which are made of sums."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.ir.bound import ROUNDED
from chainrule.ir.primitive import Irregular, Partials, Scalar
from chainrule.ops.family import elementwise, normal_axes, unary
from chainrule.tracing.table import TABLE, Handler, implements
from chainrule.tracing.trace import apply

_NONE = np._NoValue
Axes = tuple[int, ...]

# np.sum itself, which another function stands for while a trace runs.
_SUM = np.sum


def _sum(*args: Any, **kwargs: Any) -> Any:
    # By the table, not by NumPy, which doesn't look for traced values in where=.
    return TABLE[_SUM](*args, **kwargs)


def _count(a: Any, axes: Axes, where: Any, keepdims: Any, dtype: Any) -> Any:
    """How many entries each mean is of."""
    shape = np.shape(a)
    if where is True or where is _NONE:
        return math.prod(shape[k] for k in axes)
    taken = np.broadcast_to(where, shape)
    return TABLE["astype"](_sum(taken, axes, keepdims=keepdims), dtype)


def _as_inexact(a: Any, dtype: Any) -> Any:
    """Means of integers are floating point."""
    if dtype is None:
        kind = np.result_type(a)
        return a if kind.kind in "fc" else TABLE["astype"](a, np.dtype(float))
    return TABLE["astype"](a, dtype)


@implements(np.mean, lists=True)
def _mean(
    a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, where: Any = True
) -> Any:
    a = _as_inexact(TABLE["operand"](a), dtype)
    axes = normal_axes(axis, np.ndim(a))
    total = _sum(a, axes, keepdims=keepdims, where=where)
    return np.true_divide(total, _count(a, axes, where, keepdims, total.dtype))


@implements(np.average, lists=True)
def _average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:
    a = TABLE["operand"](a)
    if weights is None:
        mean = _mean(a, axis, keepdims=keepdims)
        scale: Any = np.full(np.shape(mean), np.size(a) / max(np.size(mean), 1), mean.dtype)
    else:
        w = TABLE["operand"](weights)
        kind = np.result_type(a, w)
        kind = kind if kind.kind in "fc" else np.dtype(float)
        if np.shape(w) != np.shape(a):
            (along,) = normal_axes(axis, np.ndim(a)) if axis is not None else (np.ndim(a) - 1,)
            w = np.reshape(w, tuple(-1 if k == along else 1 for k in range(np.ndim(a))))
            w = np.broadcast_to(w, np.shape(a))
        scale = _sum(w, axis, kind, keepdims=keepdims)
        mean = np.true_divide(_sum(np.multiply(a, w), axis, kind, keepdims=keepdims), scale)
    return (mean, np.broadcast_to(scale, np.shape(mean))) if returned else mean


@implements(np.var, lists=True)
def _var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: Any = 0,
    keepdims: Any = False,
    where: Any = True,
    mean: Any = _NONE,
    correction: Any = _NONE,
) -> Any:
    ddof = ddof if correction is _NONE else correction
    a = _as_inexact(TABLE["operand"](a), dtype)
    axes = normal_axes(axis, np.ndim(a))
    centre = _mean(a, axes, keepdims=True, where=where) if mean is _NONE else mean
    away = a - centre
    squares = np.real(away * np.conj(away)) if a.dtype.kind == "c" else np.multiply(away, away)
    total = _sum(squares, axes, keepdims=keepdims, where=where)
    count = _count(a, axes, where, keepdims, total.dtype)
    # A count that is a Python number stays one, so that float32 stays float32.
    free = max(count - ddof, 0) if isinstance(count, int) else np.maximum(count - ddof, 0)
    return np.true_divide(total, free)


def _deviation_partial(y: Any, x: Any) -> Any:
    still = np.equal(y, 0)
    return np.where(still, 0, 0.5 / np.where(still, 1, y))


# The square root of a variance: where nothing varies it has a kink rather than a vertical tangent.
deviation = elementwise(
    None,
    Partials(_deviation_partial),
    name="deviation",
    value=np.sqrt,
    symbolic=lambda S, x: S.Piecewise((0, S.Eq(x, 0)), (S.sqrt(x), True)),
    lower=Scalar(lambda s, x: s.unary("sqrt", x)),
    bound=ROUNDED,
    cases=unary(0.1, 4.0, dtypes="df"),
    irregular=(Irregular("kink", lambda y, x: np.equal(x, 0), "nothing varies here"),),
)


@implements(np.std, lists=True)
def _std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    *,
    ddof: Any = 0,
    keepdims: Any = False,
    where: Any = True,
    mean: Any = _NONE,
    correction: Any = _NONE,
) -> Any:
    """Where nothing varies the standard deviation has a kink: 0, the subgradient of least norm."""
    variance = _var(
        a, axis, dtype, ddof=ddof, keepdims=keepdims, where=where, mean=mean, correction=correction
    )
    return apply(deviation, variance)


def _leaving_out_nan(function: Handler) -> Handler:
    def reduced(
        a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, where: Any = True,
        **more: Any,
    ) -> Any:  # fmt: skip
        a = TABLE["operand"](a)
        there = np.logical_and(np.logical_not(np.isnan(a)), True if where is _NONE else where)
        return function(np.where(there, a, 0), axis, dtype, keepdims=keepdims, where=there, **more)

    return reduced


@implements(np.nanmean)
def _nanmean(
    a: Any, axis: Any = None, dtype: Any = None, *, keepdims: Any = False, where: Any = True
) -> Any:
    return _leaving_out_nan(_mean)(a, axis, dtype, keepdims=keepdims, where=where)


@implements(np.nanvar)
def _nanvar(
    a: Any, axis: Any = None, dtype: Any = None, *, ddof: Any = 0, keepdims: Any = False,
    where: Any = True,
) -> Any:  # fmt: skip
    return _leaving_out_nan(_var)(a, axis, dtype, keepdims=keepdims, where=where, ddof=ddof)


@implements(np.nanstd)
def _nanstd(
    a: Any, axis: Any = None, dtype: Any = None, *, ddof: Any = 0, keepdims: Any = False,
    where: Any = True,
) -> Any:  # fmt: skip
    return _leaving_out_nan(_std)(a, axis, dtype, keepdims=keepdims, where=where, ddof=ddof)
