"""Sliding windows as loops: from where each entry comes."""

from __future__ import annotations

from typing import Any

from chainrule.ir.types import ArrayType

Sizes = tuple[int, ...]


def windows(
    b: Any,
    out: ArrayType,
    x: Any,
    axes: Sizes,
    window: Sizes,
    strides: Sizes,
    dilation: Sizes,
) -> Any:
    """The entry that a window holds at one of its spots."""
    if 0 in out.shape:
        return empty(b, out)

    def entry(*index: Any) -> Any:
        own, spot = list(index[: x.ndim]), index[x.ndim :]
        for axis, i, s, d in zip(axes, spot, strides, dilation, strict=True):
            own[axis] = own[axis] * s + i * d
        return x(*own)

    return b.entry(out.shape, out.dtype, entry)


def window_max(
    b: Any, out: ArrayType, x: Any, axes: Sizes, window: Sizes, strides: Sizes, dilation: Sizes
) -> Any:
    """The largest entry that a window holds."""
    if 0 in out.shape:
        return empty(b, out)

    def entry(*index: Any) -> Any:
        own, spot = list(index[: x.ndim]), index[x.ndim :]
        for axis, i, s, d in zip(axes, spot, strides, dilation, strict=True):
            own[axis] = own[axis] * s + i * d
        return x(*own)

    return b.fold("max", out.shape, window, out.dtype, entry)


def windows_sum(
    b: Any,
    out: ArrayType,
    x: Any,
    axes: Sizes,
    window: Sizes,
    strides: Sizes,
    dilation: Sizes,
    lengths: Sizes,
) -> Any:
    """The sum over the windows that cover an entry."""
    if 0 in x.shape or 0 in out.shape:
        return empty(b, out)
    # Of undilated windows only the last few that begin before an entry can cover it.
    extents = tuple(
        k if d > 1 else -(-k // s) for k, s, d in zip(window, strides, dilation, strict=True)
    )

    def entry(*index: Any) -> Any:
        own, turns = list(index[: len(out.shape)]), index[len(out.shape) :]
        spots, inside = [], b.const(True, "i1")
        for axis, turn, k, s, d in zip(axes, turns, window, strides, dilation, strict=True):
            count = x.shape[axis]
            if d > 1:
                # Ahead by whole strides, so that what is divided isn't negative.
                ahead, left = divided(b, own[axis] - turn * d + k * d * s, s)
                place, spot, here = ahead - k * d, turn, left.eq(0)
            else:
                whole, left = divided(b, own[axis], s)
                place, spot = whole - turn, left + turn * s
                # As many turns as ceil(window / stride): the last ones may lie beyond the window.
                here = spot < k if k % s else b.const(True, "i1")
            here = here & (place >= 0) & (place < count)
            own[axis] = b.select(here, place, 0)
            spots.append(b.select(here, spot, 0))
            inside = inside & here
        return b.select(inside, b.written_out(x, (*own, *spots)), 0)

    return b.fold("add", out.shape, extents, out.dtype, entry)


def divided(b: Any, i: Any, step: int) -> tuple[Any, Any]:
    """A number that isn't negative by a step, and what is left."""
    if step == 1:
        return i, b.const(0, "i64")
    whole = i / step
    return whole, i - whole * step


def empty(b: Any, out: ArrayType) -> Any:
    """Zeros, however many."""
    kind = f"{out.dtype.kind}{out.dtype.itemsize * 8}" if out.dtype.kind != "b" else "i1"
    return b.entry(out.shape, out.dtype, lambda *i: b.const(0, kind))
