"""Convolutions on the NumPy engine: what the windows hold, laid out as matrices, piece by piece."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError
from chainrule.ir.types import ArrayType, result_dtype, type_of
from chainrule.ops.window import Pairs, Sizes, places, stretched

_CHUNK = 2**25  # bytes of windows that are laid out at once


# ---- types ---------------------------------------------------------------------------------------


def all_places(
    lengths: Sizes,
    size: Sizes,
    strides: Sizes,
    padding: Pairs,
    dilation: Sizes,
    input_dilation: Sizes,
) -> Sizes:
    """The shape of a result, without batch and filters."""
    return tuple(
        places(stretched(n, apart) + low + high, k, s, d)
        for n, k, s, (low, high), d, apart in zip(
            lengths, size, strides, padding, dilation, input_dilation, strict=True
        )
    )


def _dtype(x: ArrayType, other: ArrayType) -> np.dtype[Any]:
    dtype = result_dtype(x, other)
    if dtype.kind == "b":
        raise DtypeError(
            "convolution: truth values can't be added up",
            {"input": x, "kernel": other},
            fix="convert one of the two with .astype(float)",
        )
    return dtype


def convolution_type(
    x: ArrayType,
    kernel: ArrayType,
    strides: Sizes,
    padding: Pairs,
    dilation: Sizes,
    input_dilation: Sizes,
    groups: int,
) -> ArrayType:
    shape = all_places(x.shape[1:-1], kernel.shape[:-2], strides, padding, dilation, input_dilation)
    return ArrayType((x.shape[0], *shape, kernel.shape[-1]), _dtype(x, kernel))


def kernel_gradient_type(
    x: ArrayType, g: ArrayType, window: Sizes, groups: int, **places: Any
) -> ArrayType:
    return ArrayType((*window, x.shape[-1] // groups, g.shape[-1]), _dtype(x, g))


# ---- values --------------------------------------------------------------------------------------


def _padded(x: Any, padding: Pairs, input_dilation: Sizes) -> Any:
    """The input with zeros between and around its entries; negative padding cuts off."""
    lengths = x.shape[1:-1]
    if all(p == (0, 0) for p in padding) and all(a == 1 for a in input_dilation):
        return x
    shape, to, taken = [], [], []
    for n, (low, high), apart in zip(lengths, padding, input_dilation, strict=True):
        room = max(0, stretched(n, apart) + low + high)
        first = max(0, -(low // apart))
        end = max(first, min(n, (room - 1 - low) // apart + 1))
        shape.append(room)
        taken.append(slice(first, end))
        start = low + first * apart
        to.append(slice(start, start + stretched(end - first, apart), apart))
    out = np.zeros((x.shape[0], *shape, x.shape[-1]), x.dtype)
    out[(slice(None), *to)] = x[(slice(None), *taken)]
    return out


def _patches(
    x: Any,
    size: Sizes,
    strides: Sizes,
    padding: Pairs,
    dilation: Sizes,
    input_dilation: Sizes,
    groups: int,
) -> Iterator[tuple[tuple[slice, slice], Any]]:
    """What the windows hold as matrices, some places at a time: (which, group × place × spot)."""
    x = _padded(x, padding, input_dilation)
    out = tuple(map(places, x.shape[1:-1], size, strides, dilation))
    n, *inner, c = x.strides
    channels = x.shape[-1] // groups
    view = np.lib.stride_tricks.as_strided(
        x,
        (groups, x.shape[0], *out, *size, channels),
        (
            c * channels,
            n,
            *(step * s for step, s in zip(inner, strides, strict=True)),
            *(step * d for step, d in zip(inner, dilation, strict=True)),
            c,
        ),
        writeable=False,
    )
    spots = math.prod(size) * channels
    each = math.prod(out) * spots * groups * x.itemsize
    images = max(1, _CHUNK // max(1, each))
    rows = max(1, out[0] if each <= _CHUNK else out[0] * _CHUNK // each)
    for first, row in itertools.product(range(0, x.shape[0], images), range(0, out[0], rows)):
        which = slice(first, first + images), slice(row, row + rows)
        block = view[(slice(None), *which)]
        yield which, block.reshape(groups, math.prod(block.shape[1 : 2 + len(out)]), spots)


def convolution_value(x: Any, kernel: Any, groups: int, **where: Any) -> Any:
    out = convolution_type(type_of(x), type_of(kernel), groups=groups, **where)
    x, kernel = np.asarray(x, out.dtype), np.asarray(kernel, out.dtype)
    *size, _, filters = kernel.shape
    rows = math.prod(kernel.shape[:-1])
    matrices = np.moveaxis(kernel.reshape(rows, groups, filters // groups), 1, 0)
    result = np.zeros((*out.shape[:-1], groups, filters // groups), out.dtype)
    for which, block in _patches(x, tuple(size), groups=groups, **where):
        part = np.moveaxis(np.matmul(block, matrices), 0, 1)
        result[which] = part.reshape(result[which].shape)
    return result.reshape(out.shape)


def kernel_gradient_value(x: Any, g: Any, window: Sizes, groups: int, **where: Any) -> Any:
    out = kernel_gradient_type(type_of(x), type_of(g), window, groups)
    x, g = np.asarray(x, out.dtype), np.asarray(g, out.dtype)
    *_, channels, filters = out.shape
    each = filters // groups
    total = np.zeros((groups, math.prod(window) * channels, each), out.dtype)
    for which, block in _patches(x, window, groups=groups, **where):
        rows = g[which].reshape(block.shape[1], groups, each)
        total += np.matmul(np.swapaxes(block, 1, 2), np.moveaxis(rows, 1, 0))
    return np.moveaxis(total, 0, 1).reshape(out.shape)
