"""The two operations of which convolutions consist, and their rules.

One equation holds all forms. With `xd` the input, `strides`, `dilation` of the kernel, and
`input_dilation` (zeros put between the entries of the input):

    y[n, o, f] = Σ over k, c of  padded(x)[n, o·stride + k·dilation, c] · kernel[k, c, f]

It is linear in the input and in the kernel. Its transpose in the input is a convolution too: of the
cotangent, dilated by the strides, with the kernel turned round and its channels exchanged. That is
the transposed convolution of networks. Its transpose in the kernel is a second operation, whose own
transposes are the first one again; so derivatives of every order stay within the two.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.ir.bound import Roundings
from chainrule.ir.primitive import Case, Draw, Multilinear, Primitive
from chainrule.ir.types import ArrayType
from chainrule.ops import convolution_loops
from chainrule.ops.convolution_value import (
    all_places,
    convolution_type,
    convolution_value,
    kernel_gradient_type,
    kernel_gradient_value,
)
from chainrule.ops.family import primitive, structural
from chainrule.ops.window import Pairs, Sizes, stretched
from chainrule.tracing.trace import apply

# ---- transposes ----------------------------------------------------------------------------------


def turned(kernel: Any, groups: int = 1) -> Any:
    """A kernel turned round, its channels and filters exchanged within each group."""
    *size, channels, filters = np.shape(kernel)
    rank = len(size)
    for axis in range(rank):
        if size[axis] > 1:
            kernel = np.flip(kernel, axis)
    if groups == 1:
        return np.swapaxes(kernel, -1, -2)
    apart = np.reshape(kernel, (*size, channels, groups, filters // groups))
    order = (*range(rank), rank + 2, rank + 1, rank)
    return np.reshape(np.transpose(apart, order), (*size, filters // groups, groups * channels))


def _to_input(
    g: Any,
    x: ArrayType,
    kernel: Any,
    strides: Sizes,
    padding: Pairs,
    dilation: Sizes,
    input_dilation: Sizes,
    groups: int,
) -> Any:
    size = np.shape(kernel)[:-2]
    back = []
    for n, o, k, s, (low, _), d, apart in zip(
        x.shape[1:-1], np.shape(g)[1:-1], size, strides, padding, dilation, input_dilation,
        strict=True,
    ):  # fmt: skip
        back.append((stretched(k, d) - 1 - low, stretched(n, apart) + low - stretched(o, s)))
    return apply(
        correlation,
        g,
        turned(kernel, groups),
        strides=input_dilation,
        padding=tuple(back),
        dilation=dilation,
        input_dilation=strides,
        groups=groups,
    )


def _to_kernel(g: Any, x: Any, kernel: ArrayType, **params: Any) -> Any:
    return apply(kernel_gradient, x, g, window=kernel.shape[:-2], **params)


# ---- batches -------------------------------------------------------------------------------------


def _batch(op: Primitive, size: int, args: Any, batched: Any, groups: int, **where: Any) -> Any:
    x, kernel = args
    if not batched[1]:
        shape = np.shape(x)
        out = apply(op, _merged(x, 0, 2), kernel, groups=groups, **where)
        return np.reshape(out, (*shape[:2], *np.shape(out)[1:]))
    *window, channels, filters = np.shape(kernel)[1:]
    rank = len(window)
    if batched[0]:  # every example is a group of its own, or several
        x = _merged(np.moveaxis(x, 0, -2), rank + 1, rank + 3)
        kernel = _merged(np.moveaxis(kernel, 0, -2), rank + 1, rank + 3)
        out = apply(op, x, kernel, groups=size * groups, **where)
        return np.moveaxis(_split(out, -1, (size, filters)), -2, 0)
    # The examples' filters side by side, within each group.
    each = filters // groups
    parts = np.reshape(kernel, (size, *window, channels, groups, each))
    kernel = _merged(np.moveaxis(parts, 0, -2), rank + 1, rank + 4)
    out = _split(apply(op, x, kernel, groups=groups, **where), -1, (groups, size, each))
    return _merged(np.moveaxis(out, -2, 0), rank + 2, rank + 4)


def _kernel_batch(
    op: Primitive, size: int, args: Any, batched: Any, groups: int, **where: Any
) -> Any:
    x, g = args
    channels, filters = np.shape(x)[-1] // groups, np.shape(g)[-1]
    rank = len(where["window"])
    if groups > 1 or all(batched):
        x = x if batched[0] else np.broadcast_to(x, (size, *np.shape(x)))
        g = g if batched[1] else np.broadcast_to(g, (size, *np.shape(g)))
        batched = (True, True)
    if batched[0]:
        x = _merged(np.moveaxis(x, 0, -2), rank + 1, rank + 3)
    if batched[1]:
        g = _merged(np.moveaxis(g, 0, -2), rank + 1, rank + 3)
    if all(batched):
        out = apply(op, x, g, groups=size * groups, **where)
        return np.moveaxis(_split(out, -1, (size, filters)), -2, 0)
    out = apply(op, x, g, groups=1, **where)
    if batched[0]:
        return np.moveaxis(_split(out, -2, (size, channels)), -3, 0)
    return np.moveaxis(_split(out, -1, (size, filters)), -2, 0)


def _merged(x: Any, first: int, end: int) -> Any:
    """Neighbouring axes as one."""
    shape = np.shape(x)
    return np.reshape(x, (*shape[:first], math.prod(shape[first:end]), *shape[end:]))


def _split(x: Any, axis: int, shape: Sizes) -> Any:
    """One of the last axes as several."""
    whole = np.shape(x)
    end = whole[len(whole) + axis + 1 :]
    return np.reshape(x, (*whole[:axis], *shape, *end))


# ---- the two operations --------------------------------------------------------------------------


def _params(
    rank: int,
    strides: Sizes | None = None,
    padding: Pairs | None = None,
    dilation: Sizes | None = None,
    input_dilation: Sizes | None = None,
    groups: int = 1,
) -> dict[str, Any]:
    ones = (1,) * rank
    return {
        "strides": strides or ones,
        "padding": padding or ((0, 0),) * rank,
        "dilation": dilation or ones,
        "input_dilation": input_dilation or ones,
        "groups": groups,
    }


# Shape of the input, of the kernel, and the rest.
_CASES: tuple[tuple[Sizes, Sizes, dict[str, Any]], ...] = (
    ((2, 6, 3), (3, 3, 2), _params(1)),
    ((1, 7, 2), (3, 2, 2), _params(1, (2,), ((2, 1),), (2,))),
    ((2, 5, 4, 3), (3, 2, 3, 2), _params(2, (1, 1), ((1, 1), (0, 1)))),
    ((1, 6, 7, 2), (3, 3, 2, 2), _params(2, (2, 3), ((1, 0), (1, 1)))),
    ((1, 3, 3, 2), (2, 3, 2, 2), _params(2, (1, 1), ((1, 1), (2, 1)), (1, 1), (2, 3))),
    ((1, 4, 4, 2), (2, 2, 2, 1), _params(2, (2, 1), ((1, 2), (-1, 0)), (2, 1), (2, 1))),
    ((2, 4, 4, 4), (2, 2, 2, 6), _params(2, groups=2)),
    ((1, 5, 5, 3), (3, 3, 1, 6), _params(2, (2, 2), ((1, 1), (1, 1)), groups=3)),
    ((2, 3, 3, 2), (1, 1, 2, 4), _params(2)),
    ((1, 5, 5, 2), (3, 3, 2, 2), _params(2, (1, 1), ((-1, 0), (0, -1)))),
    ((1, 3, 4, 3, 2), (2, 2, 2, 2, 1), _params(3, (1, 2, 1))),
    ((0, 4, 2), (2, 2, 3), _params(1)),
    ((1, 2, 2), (3, 2, 3), _params(1)),
)


def _cases(*dtypes: str) -> tuple[Case, ...]:
    return tuple(
        Case((Draw(x, dtype=dtype), Draw(k, dtype=dtype)), p)
        for dtype in dtypes
        for x, k, p in (_CASES if dtype == "f8" else _CASES[3:4])
    )


def _gradient_cases(*dtypes: str) -> tuple[Case, ...]:
    found = []
    for case in _cases(*dtypes):
        x, k = case.args
        where = {name: p for name, p in case.params.items() if name != "groups"}
        out = all_places(x.shape[1:-1], k.shape[:-2], **where)
        g = Draw((x.shape[0], *out, k.shape[-1]), dtype=x.dtype)
        found.append(Case((x, g), {**case.params, "window": k.shape[:-2]}))
    return tuple(found)


correlation = primitive(
    name="convolution",
    type_rule=convolution_type,
    value=convolution_value,
    derivative=Multilinear(_to_input, _to_kernel),
    batch=_batch,
    symbolic=structural(convolution_value),
    lower=convolution_loops.convolution,
    bound=Roundings("n", "Σ|x·kernel|"),
    cases=_cases("f8", "f4", "c16"),
)

kernel_gradient = primitive(
    name="convolution_kernel",
    type_rule=kernel_gradient_type,
    value=kernel_gradient_value,
    derivative=Multilinear(
        lambda t, x, g, window, **params: _to_input(g, x, t, **params),
        lambda t, x, g, window, **params: apply(correlation, x, t, **params),
    ),
    batch=_kernel_batch,
    symbolic=structural(kernel_gradient_value),
    lower=convolution_loops.kernel_gradient,
    bound=Roundings("n", "Σ|x·g|"),
    cases=_gradient_cases("f8", "f4", "c16"),
)
