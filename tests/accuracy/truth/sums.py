"""Sums and products of many entries, by their definitions."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from mpmath import mp, mpf

from chainrule.ops.index_plan import full_index
from chainrule.ops.window import stretched
from truth.number import Truth, entrywise
from truth.registry import reference


def _size(x: Any) -> Any:
    return entrywise(abs, x)


def _length(x: Any, axis: Any) -> int:
    return math.prod(np.shape(x)[k] for k in axis)


@reference("sum")
def _sum(x: Any, axis: Any) -> Truth:
    return Truth(
        np.asarray(np.add.reduce(x, axis=axis, initial=0), object),
        np.asarray(np.add.reduce(_size(x), axis=axis, initial=0), object),
        max(0, _length(x, axis) - 1),
    )


@reference("prod")
def _prod(x: Any, axis: Any) -> Truth:
    value = np.asarray(np.multiply.reduce(x, axis=axis, initial=1), object)
    return Truth(value, _size(value), max(0, _length(x, axis) - 1))


@reference("cumsum")
def _cumsum(x: Any, axis: int) -> Truth:
    return Truth(np.add.accumulate(x, axis), np.add.accumulate(_size(x), axis), np.shape(x)[axis])


@reference("cumprod")
def _cumprod(x: Any, axis: int) -> Truth:
    value = np.multiply.accumulate(x, axis)
    return Truth(value, _size(value), np.shape(x)[axis])


@reference("length")
def _norm(x: Any, axis: Any) -> Truth:
    value = entrywise(mp.sqrt, np.asarray(np.add.reduce(x * x, axis=axis, initial=0), object))
    return Truth(value, value, mpf(_length(x, axis)) / 2 + 1)


# ---- products ------------------------------------------------------------------------------------


@reference("matmul")
def _matmul(a: Any, b: Any) -> Truth:
    inner = np.shape(a)[-1]

    def product(a: Any, b: Any) -> Any:
        return np.asarray(np.matmul(a, b), object) + (0 if inner else mpf(0))

    return Truth(product(a, b), product(_size(a), _size(b)), inner)


@reference("einsum")
def _einsum(*xs: Any, subscripts: str, optimize: bool) -> Truth:
    left, right = subscripts.split("->")
    sizes = {
        c: n
        for term, x in zip(left.split(","), xs, strict=True)
        for c, n in zip(term, x.shape, strict=True)
    }
    count = math.prod(n for c, n in sizes.items() if c not in right)

    def contracted(xs: Any) -> Any:
        """Σ over the letters that the result lacks of the product of all operands."""
        result = np.empty([sizes[c] for c in right], object)
        rest = [c for c in sizes if c not in right]
        for place in np.ndindex(*result.shape):
            total: Any = 0
            for inside in np.ndindex(*(sizes[c] for c in rest)):
                at = dict(zip([*right, *rest], [*place, *inside], strict=True))
                total += math.prod(
                    x[tuple(at[c] for c in term)]
                    for term, x in zip(left.split(","), xs, strict=True)
                )
            result[place] = total
        return result

    return Truth(contracted(xs), contracted([_size(x) for x in xs]), count + len(xs))


@reference("convolve")
def _convolve(x: Any, y: Any) -> Truth:
    def convolved(x: Any, y: Any) -> Any:
        out = np.zeros(len(x) + len(y) - 1, object)
        for k, factor in enumerate(y):
            out[k : k + len(x)] += x * factor
        return out

    return Truth(convolved(x, y), convolved(_size(x), _size(y)), min(len(x), len(y)))


# ---- windows -------------------------------------------------------------------------------------


def _laid_out(x: Any, padding: Any, apart: Any) -> Any:
    """Zeros between and around the entries; negative padding cuts off."""
    lengths = [stretched(n, a) for n, a in zip(x.shape[1:-1], apart, strict=True)]
    wide = np.zeros((x.shape[0], *lengths, x.shape[-1]), object)
    wide[(slice(None), *(slice(None, None, a) for a in apart))] = x
    widths = [(max(0, low), max(0, high)) for low, high in padding]
    wide = np.pad(wide, [(0, 0), *widths, (0, 0)], constant_values=0)
    cut = (
        slice(max(0, -low), n - max(0, -high))
        for n, (low, high) in zip(wide.shape[1:-1], padding, strict=True)
    )
    return wide[(slice(None), *cut)]


def _at_spot(x: Any, spot: Any, places: Any, strides: Any, dilation: Any) -> Any:
    """What lies under one spot of the kernel, at each place."""
    return x[
        (slice(None), *(
            slice(k * d, k * d + stretched(n, s), s)
            for k, d, n, s in zip(spot, dilation, places, strides, strict=True)
        ))
    ]  # fmt: skip


def _grouped(x: Any, groups: int) -> Any:
    """Channels apart by group, which come first."""
    return np.moveaxis(x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups), -2, 0)


@reference("convolution")
def _convolution(
    x: Any, kernel: Any, strides: Any, padding: Any, dilation: Any, input_dilation: Any,
    groups: int, out: Any,
) -> Truth:  # fmt: skip
    window, places = kernel.shape[:-2], out[0].shape[1:-1]

    def correlated(x: Any, kernel: Any) -> Any:
        wide = _laid_out(x, padding, input_dilation)
        total = np.zeros(out[0].shape, object)
        for spot in itertools.product(*map(range, window)):
            here = _grouped(_at_spot(wide, spot, places, strides, dilation), groups)
            factors = _grouped(kernel[spot], groups)
            parts = [np.dot(a, b) for a, b in zip(here, factors, strict=True)]
            total += np.concatenate(parts, axis=-1)
        return total

    count = math.prod(kernel.shape[:-1])
    return Truth(correlated(x, kernel), correlated(_size(x), _size(kernel)), count)


@reference("convolution_kernel")
def _convolution_kernel(
    x: Any, g: Any, window: Any, strides: Any, padding: Any, dilation: Any, input_dilation: Any,
    groups: int, out: Any,
) -> Truth:  # fmt: skip
    places = g.shape[1:-1]

    def correlated(x: Any, g: Any) -> Any:
        wide = _laid_out(x, padding, input_dilation)
        total = np.zeros(out[0].shape, object)
        for spot in itertools.product(*map(range, window)):
            here = _grouped(_at_spot(wide, spot, places, strides, dilation), groups)
            flat = here.reshape(groups, -1, here.shape[-1])
            weights = _grouped(g, groups).reshape(groups, -1, g.shape[-1] // groups)
            parts = [a.T @ b for a, b in zip(flat, weights, strict=True)]
            total[spot] = np.concatenate(parts, axis=-1)
        return total

    return Truth(correlated(x, g), correlated(_size(x), _size(g)), math.prod(g.shape[:-1]))


@reference("windows_sum")
def _windows_sum(
    g: Any, axes: Any, window: Any, strides: Any, dilation: Any, lengths: Any, out: Any
) -> Truth:
    def added(g: Any) -> Any:
        total = np.zeros(out[0].shape, object)
        for spot in np.ndindex(*g.shape):
            place = list(spot[: total.ndim])
            for axis, k, s, d in zip(axes, spot[total.ndim :], strides, dilation, strict=True):
                place[axis] = place[axis] * s + k * d
            total[tuple(place)] += g[spot]
        return total

    return Truth(added(g), added(_size(g)), math.prod(window))


# ---- by index ------------------------------------------------------------------------------------


@reference("put_add")
def _put_add(g: Any, *arrays: Any, index: Any, shape: Any) -> Truth:
    own = [a.astype(np.intp) for a in arrays]

    def added(g: Any) -> Any:
        total = np.zeros(shape, object)
        np.add.at(total, full_index(index, own), g)
        return total

    count = added(entrywise(lambda _: 1, g))
    return Truth(added(g), added(_size(g)), count)


@reference("share_runs")
def _share_runs(t: Any, starts: Any) -> Truth:
    shape = np.broadcast_shapes(t.shape, starts.shape)
    flat, begins = (np.broadcast_to(a, shape).reshape(-1) for a in (t, starts))

    runs: list[list[int]] = []
    for k, begin in enumerate(begins):
        runs = [*runs, [k]] if begin or not runs else [*runs[:-1], [*runs[-1], k]]

    def of_each(rule: Any) -> Any:
        """A rule of the places in a run, for each place."""
        found = [rule(run) for run in runs for _ in run]
        return np.array(found, object).reshape(shape)

    return Truth(
        of_each(lambda run: sum(flat[run]) / len(run)),
        of_each(lambda run: sum(abs(flat[run])) / len(run)),
        of_each(len),
    )
