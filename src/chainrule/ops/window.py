"""Windows that slide over an array: their places, what they hold, and how it is added up again."""

from __future__ import annotations

import itertools
import operator
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError, ShapeError
from chainrule.ir.bound import EXACT, Roundings
from chainrule.ir.primitive import Case, Draw, Linear, Primitive
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops import window_loops
from chainrule.ops.family import normal_axis, primitive, structural
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply

Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


# ---- places --------------------------------------------------------------------------------------


def stretched(length: int, step: int) -> int:
    """From the first to the last of so many entries that lie `step` apart."""
    return (length - 1) * step + 1 if length else 0


def places(length: int, size: int, stride: int = 1, dilation: int = 1) -> int:
    """In how many places along an axis a window lies wholly inside."""
    room = length - stretched(size, dilation)
    return room // stride + 1 if room >= 0 else 0


def per_axis(value: Any, rank: int, what: str) -> Sizes:
    """One positive whole number for all axes, or one for each."""
    try:
        numbers = (operator.index(value),) * rank if np.ndim(value) == 0 else tuple(value)
        numbers = tuple(operator.index(n) for n in numbers)
    except TypeError:
        raise DtypeError(
            f"{what} must be a whole number, or one for each axis",
            {"given": f"{value!r}"},
            fix=f"write {what}=2, or {what}={(2,) * max(rank, 1)}",
        ) from None
    if len(numbers) != rank or min(numbers, default=1) < 1:
        raise ShapeError(
            f"{what} must hold {rank} positive numbers, one for each axis the window moves along",
            {"given": value},
            fix=f"write {what}=1, or {what}={(1,) * rank}",
        )
    return numbers


def padding_of(
    padding: Any, lengths: Sizes, size: Sizes, strides: Sizes, dilation: Sizes, what: str
) -> Pairs:
    """(before, after) for every axis, from a word or from numbers.

    "valid" is none; "same" gives ceil(length / stride) places, the odd one behind; "causal" puts
    all of it before the first entry.
    """
    rank = len(lengths)
    if not isinstance(padding, str):
        return _padding_numbers(padding, rank, what)
    word = padding.lower()
    if word == "valid":
        return ((0, 0),) * rank
    widths = [stretched(k, d) for k, d in zip(size, dilation, strict=True)]
    if word == "causal" and rank == 1:
        return ((widths[0] - 1, 0),)
    if word != "same":
        raise ArgumentError(
            f"{what}: no such padding: {padding!r}",
            fix="padding is 'valid', 'same'"
            + (", 'causal'" if rank == 1 else "")
            + f", or (before, after) for each axis: {((1, 1),) * rank}",
        )
    totals = [
        max((-(-n // s) - 1) * s + w - n, 0)
        for n, s, w in zip(lengths, strides, widths, strict=True)
    ]
    return tuple((total // 2, total - total // 2) for total in totals)


def _padding_numbers(padding: Any, rank: int, what: str) -> Pairs:
    try:
        if np.ndim(padding) == 0:
            return ((operator.index(padding),) * 2,) * rank
        pairs = tuple((operator.index(low), operator.index(high)) for low, high in padding)
    except (TypeError, ValueError):
        pairs = ()
    if len(pairs) != rank:
        raise ArgumentError(
            f"{what}: padding must be a word, a whole number, or (before, after) for each axis",
            {"given": f"{padding!r}", "axes": rank},
            fix=f"write padding='same', padding=1, or padding={((1, 1),) * rank}",
        )
    return pairs


# ---- what the windows hold -----------------------------------------------------------------------


def windows_of(x: Any, axes: Sizes, window: Sizes, strides: Sizes, dilation: Sizes) -> Any:
    """A view: the places of the windows along their axes, and what they hold behind all others."""
    x = np.asarray(x)
    shape, steps = list(x.shape), list(x.strides)
    for axis, k, s, d in zip(axes, window, strides, dilation, strict=True):
        shape[axis] = places(x.shape[axis], k, s, d)
        steps[axis] *= s
    inside = [x.strides[axis] * d for axis, d in zip(axes, dilation, strict=True)]
    return np.lib.stride_tricks.as_strided(x, (*shape, *window), (*steps, *inside), writeable=False)


def windows_type(
    x: ArrayType, axes: Sizes, window: Sizes, strides: Sizes, dilation: Sizes
) -> ArrayType:
    shape = list(x.shape)
    for axis, k, s, d in zip(axes, window, strides, dilation, strict=True):
        shape[axis] = places(x.shape[axis], k, s, d)
    return ArrayType((*shape, *window), x.dtype)


def _added_up(
    g: Any, axes: Sizes, window: Sizes, strides: Sizes, dilation: Sizes, lengths: Sizes
) -> Any:
    rank = len(axes)
    shape = list(g.shape[: g.ndim - rank])
    for axis, length in zip(axes, lengths, strict=True):
        shape[axis] = length
    out = np.zeros(shape, g.dtype)
    for spot in itertools.product(*map(range, window)):
        where = [slice(None)] * len(shape)
        for axis, i, s, d in zip(axes, spot, strides, dilation, strict=True):
            where[axis] = slice(i * d, i * d + stretched(g.shape[axis], s), s)
        out[tuple(where)] += g[(..., *spot)]
    return out


def _added_up_type(
    g: ArrayType, axes: Sizes, window: Sizes, strides: Sizes, dilation: Sizes, lengths: Sizes
) -> ArrayType:
    shape = list(g.shape[: g.ndim - len(axes)])
    for axis, length in zip(axes, lengths, strict=True):
        shape[axis] = length
    return ArrayType(tuple(shape), g.dtype)


def _batch(op: Primitive, size: int, args: Any, batched: Any, axes: Sizes, **params: Any) -> Any:
    return apply(op, args[0], axes=tuple(axis + 1 for axis in axes), **params)


def windows_params(
    axes: Sizes, window: Sizes, strides: Sizes | None = None, dilation: Sizes | None = None
) -> dict[str, Any]:
    ones = (1,) * len(axes)
    return {
        "axes": axes,
        "window": window,
        "strides": strides or ones,
        "dilation": dilation or ones,
    }


# Everything that windows over some axes hold: NumPy's sliding_window_view, with strides.
windows: Primitive = primitive(
    name="windows",
    type_rule=windows_type,
    value=windows_of,
    derivative=Linear(
        lambda g, x, **params: apply(
            windows_sum, g, **params, lengths=tuple(x.shape[axis] for axis in params["axes"])
        ),
    ),
    batch=_batch,
    symbolic=structural(windows_of),
    lower=window_loops.windows,
    bound=EXACT,
    cases=(
        Case((Draw((5,)),), windows_params((0,), (3,))),
        Case((Draw((2, 5, 6, 3)),), windows_params((1, 2), (2, 2), (2, 2))),
        Case((Draw((2, 7, 3)),), windows_params((1,), (3,), (2,), (2,))),
        Case((Draw((4, 5), dtype="f4"),), windows_params((0, 1), (1, 3), (3, 1))),
        Case((Draw((2, 3)),), windows_params((1,), (5,))),
        Case((Draw((0, 3), dtype="c16"),), windows_params((1,), (2,))),
    ),
)

# Its transpose: every entry is the sum of what the windows that cover it hold there.
windows_sum: Primitive = primitive(
    name="windows_sum",
    type_rule=_added_up_type,
    value=_added_up,
    derivative=Linear(
        lambda g, x, lengths, **params: apply(windows, g, **params),
    ),
    batch=_batch,
    symbolic=structural(_added_up),
    lower=window_loops.windows_sum,
    bound=Roundings("n", "Σ|g|"),
    cases=(
        Case((Draw((3, 3)),), {**windows_params((0,), (3,)), "lengths": (5,)}),
        Case(
            (Draw((2, 2, 3, 3, 2, 2)),),
            {**windows_params((1, 2), (2, 2), (2, 2)), "lengths": (5, 6)},
        ),
        Case((Draw((2, 2, 3)),), {**windows_params((1,), (3,), (2,), (2,)), "lengths": (7,)}),
        Case((Draw((2, 0, 5), dtype="f4"),), {**windows_params((1,), (5,)), "lengths": (3,)}),
    ),
)


@implements(np.lib.stride_tricks.sliding_window_view)
def _sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
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
    # An axis may be named twice; windows of windows are what NumPy makes of that.
    for along, size in zip(axes, sizes, strict=True):
        if size < 0 or np.shape(x)[along] < size:
            raise ShapeError(
                "sliding_window_view: the window is longer than the axis",
                {"array": type_of(x), "axis": along, "window": size},
                "take a shorter window, or pad the array with np.pad",
            )
        x = apply(windows, x, **windows_params((along,), (size,)))
    return x
