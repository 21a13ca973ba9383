"""Pooling: the largest entry, or the mean, of every window that slides over an array.

Compiled code never lays the windows out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.bound import EXACT
from chainrule.ir.primitive import Case, Custom, Draw, Irregular, Primitive
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops import window_loops
from chainrule.ops.family import PRIMITIVES, primitive
from chainrule.ops.window import (
    Pairs,
    Sizes,
    padding_of,
    per_axis,
    places,
    stretched,
    windows,
    windows_of,
    windows_params,
    windows_sum,
    windows_type,
)
from chainrule.tracing.table import TABLE
from chainrule.tracing.trace import apply

# ---- the largest entry of each window ------------------------------------------------------------


def _over(x: Any, axes: Sizes) -> Sizes:
    """The axes of what windows hold that go over the spots of a window."""
    return tuple(range(np.ndim(x), np.ndim(x) + len(axes)))


def _value(x: Any, axes: Sizes, **where: Any) -> Any:
    return np.maximum.reduce(windows_of(x, axes, **where), axis=_over(x, axes))


def _type(x: ArrayType, axes: Sizes, **where: Any) -> ArrayType:
    return ArrayType(windows_type(x, axes, **where).shape[: x.ndim], x.dtype)


def _left_out(y: Any, x: Any, axes: Sizes, **where: Any) -> Any:
    """What a window holds beside its largest entries."""
    spread = np.reshape(y, (*np.shape(y), *(1,) * len(axes)))
    return np.less(apply(windows, x, axes=axes, **where), spread)


def _shares(out: Any, x: Any, axes: Sizes) -> Any:
    """How many entries of each window tie."""
    return np.sum(np.where(out, x.dtype.type(0), x.dtype.type(1)), axis=_over(x, axes))


def _forward(tangents: tuple[Any], y: Any, x: Any, axes: Sizes, **where: Any) -> Any:
    out = _left_out(y, x, axes, **where)
    taken = np.where(out, 0, apply(windows, tangents[0], axes=axes, **where))
    return np.sum(taken, axis=_over(x, axes)) / _shares(out, x, axes)


def _reverse(g: Any, y: Any, x: Any, axes: Sizes, **where: Any) -> tuple[Any]:
    out = _left_out(y, x, axes, **where)
    share = np.true_divide(g, _shares(out, x, axes))
    parts = np.where(out, 0, np.reshape(share, (*np.shape(share), *(1,) * len(axes))))
    lengths = tuple(np.shape(x)[axis] for axis in axes)
    return (apply(windows_sum, parts, axes=axes, lengths=lengths, **where),)


def _batch(op: Primitive, size: int, args: Any, batched: Any, axes: Sizes, **where: Any) -> Any:
    return apply(op, args[0], axes=tuple(axis + 1 for axis in axes), **where)


def _symbolic(sympy: Any, x: Any, axes: Sizes, **where: Any) -> Any:
    rule = PRIMITIVES["max"].symbolic
    assert rule is not None
    return rule(sympy, windows_of(x, axes, **where), _over(x, axes))


# Unlike max itself it doesn't mark what it leaves out: a derivative that is infinite behind an
# entry that isn't the largest does count. Marks would double the work of all layers before it.
window_max = primitive(
    name="window_max",
    type_rule=_type,
    value=_value,
    derivative=Custom(_forward, _reverse),
    batch=_batch,
    symbolic=_symbolic,
    lower=window_loops.window_max,
    bound=EXACT,
    cases=(
        Case((Draw((5,)),), windows_params((0,), (3,))),
        Case((Draw((2, 4, 6, 3)),), windows_params((1, 2), (2, 2), (2, 2))),
        Case((Draw((2, 7, 3)),), windows_params((1,), (3,), (2,), (2,))),
        Case((Draw((5, 5), dtype="f4"),), windows_params((0, 1), (3, 3), (2, 2))),
        Case((Draw((0, 3)),), windows_params((1,), (2,))),
    ),
    irregular=(
        Irregular(
            "kink",
            lambda y, x, axes, **where: np.greater(
                _shares(_left_out(y, x, axes, **where), x, axes), 1
            ),
            "several entries of a window share the largest value",
        ),
    ),
)


# ---- what users call -----------------------------------------------------------------------------


def max_pool(
    x: Any, size: Any, *, strides: Any = None, padding: Any = "valid", dilation: Any = 1
) -> Any:
    """The largest entry of every window; padding never counts.

    Args:
        x: (batch, *lengths, channels).
        size: of the window: one number, or one for each axis.
        strides: how far the window moves; by its own size if None.
        padding: "valid", "same", or (before, after) for each axis, less than the window.
        dilation: how far apart the entries of the window lie.

    Returns:
        (batch, *places, channels), in the type of x.

    Raises:
        ShapeError: the window is longer than the padded input.

    Derivative:
        Entries that tie for the largest share equally.

    Example:
        >>> x = np.array([3.0, 1.0, 2.0, 5.0, 4.0]).reshape(1, 5, 1)
        >>> max_pool(x, 2)[0, :, 0]
        array([3., 5.])
        >>> max_pool(x, 3, strides=2, padding="same")[0, :, 0]
        array([3., 5., 5.])
    """
    x = TABLE["operand"](x)
    x, params, _ = _placed("max_pool", x, size, strides, padding, dilation, _lowest(x))
    return apply(window_max, x, **params)


def average_pool(
    x: Any, size: Any, *, strides: Any = None, padding: Any = "valid", dilation: Any = 1
) -> Any:
    """The mean of every window, over those of its entries that aren't padding.

    Args:
        x: (batch, *lengths, channels).
        size: of the window: one number, or one for each axis.
        strides: how far the window moves; by its own size if None.
        padding: "valid", "same", or (before, after) for each axis, less than the window.
        dilation: how far apart the entries of the window lie.

    Returns:
        (batch, *places, channels), in the type of x; floating point if that is whole numbers.

    Raises:
        ShapeError: the window is longer than the padded input.

    Derivative:
        Linear.

    Example:
        >>> x = np.array([3.0, 1.0, 2.0, 5.0, 4.0]).reshape(1, 5, 1)
        >>> average_pool(x, 2)[0, :, 0]
        array([2. , 3.5])
        >>> average_pool(x, 2, strides=1, padding="same")[0, :, 0]
        array([2. , 1.5, 3.5, 4.5, 4. ])
    """
    x = TABLE["operand"](x)
    if x.dtype.kind in "biu":
        x = TABLE["astype"](x, np.dtype(float))
    x, params, counts = _placed("average_pool", x, size, strides, padding, dilation, 0)
    total = np.sum(apply(windows, x, **params), axis=_over(x, params["axes"]))
    if np.ndim(counts):
        return total / counts.astype(x.dtype)
    return total * (1.0 / counts)


def _lowest(x: Any) -> Any:
    """What is never larger than an entry of x."""
    kind = x.dtype.kind
    if kind == "f":
        return -np.inf
    return False if kind == "b" else np.iinfo(x.dtype).min


def _placed(
    name: str, x: Any, size: Any, strides: Any, padding: Any, dilation: Any, filling: Any
) -> tuple[Any, dict[str, Any], Any]:
    """The padded input, where its windows lie, and how many entries of x each one holds."""
    rank = np.ndim(x) - 2
    if rank < 1:
        raise ShapeError(
            f"{name}: the input has no axis for a window to move along",
            {"input": type_of(x)},
            fix="the input is (batch, *lengths, channels); one channel still is an axis",
        )
    size = per_axis(size, rank, "size")
    strides = size if strides is None else per_axis(strides, rank, "strides")
    dilation = per_axis(dilation, rank, "dilation")
    lengths = tuple(np.shape(x)[1:-1])
    pairs = padding_of(padding, lengths, size, strides, dilation, name)
    for n, k, d, (low, high) in zip(lengths, size, dilation, pairs, strict=True):
        width = stretched(k, d)
        facts = {"input": type_of(x), "size": size, "padding": pairs, "dilation": dilation}
        if n + low + high < width:
            raise ShapeError(
                f"{name}: the window is longer than the padded input",
                facts,
                fix="use a smaller window, padding='same', or fewer poolings before it",
            )
        if not (0 <= low < width and 0 <= high < width):
            raise ShapeError(
                f"{name}: padding must be less than the window, and not below 0",
                facts,
                fix="cut off with a slice, x[:, 1:]; pad with any number by np.pad",
            )
    axes = tuple(range(1, 1 + rank))
    params = {"axes": axes, "window": size, "strides": strides, "dilation": dilation}
    counts = _counts(lengths, pairs, **params)
    if any(pair != (0, 0) for pair in pairs):
        x = np.pad(x, ((0, 0), *pairs, (0, 0)), constant_values=filling)
    return x, params, counts


def _counts(
    lengths: Sizes, pairs: Pairs, axes: Sizes, window: Sizes, strides: Sizes, dilation: Sizes
) -> Any:
    """How many entries that aren't padding each window holds: one number where all hold as many."""
    total: Any = np.ones((1,) * (len(axes) + 2), int)
    for axis, n, (low, high), k, s, d in zip(
        axes, lengths, pairs, window, strides, dilation, strict=True
    ):
        if (low, high) != (0, 0):
            ones = np.pad(np.ones(n, int), (low, high))
            along = windows_of(ones, (0,), (k,), (s,), (d,)).sum(axis=1)
            shape = [1] * total.ndim
            shape[axis] = places(n + low + high, k, s, d)
            total = total * along.reshape(shape)
        else:
            total = total * k
    return total if total.size > 1 else int(total.reshape(()))
