"""Order as loops: positions of extremes, binary search, sorting of short rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ir.primitive import Rule
from chainrule.ir.types import ArrayType

_MOST = 2**14  # comparisons by which rows are sorted: for each entry, those before it are counted


def position(larger: bool) -> Rule:
    """argmax and argmin: the first of several, and the first NaN before all."""

    def lower(b: Any, out: ArrayType, x: Any, axis: int) -> Any:
        kept = ArrayType(out.shape, x.dtype)
        best = b.reduce("max" if larger else "min", kept, x, (axis,))
        count = x.shape[axis]

        def entry(*index: Any) -> Any:
            *own, k = index
            here = x(*own[:axis], k, *own[axis:])
            chosen = b.compare("eq", here, best(*own))
            if x.kind[0] == "f":
                chosen = chosen | b.is_nan(here)
            return b.select(chosen, k, count)

        return b.fold("min", out.shape, (count,), out.dtype, entry)

    return lower


def searchsorted(b: Any, out: ArrayType, a: Any, v: Any, side: str) -> Any:
    """How many entries of a sorted array come before each of v; NaN comes last."""
    count = a.shape[0]
    common = np.result_type(a.dtype, v.dtype)
    b.stored(a)

    def entry(*index: Any) -> Any:
        wanted = b.at(v, index, common)
        found = b.const(0, "i64")
        for k in range(count.bit_length() - 1, -1, -1):
            tried = found + (1 << k)
            inside = tried <= count
            here = b.at(a, (b.select(inside, tried - 1, 0),), common)
            first = _less(b, here, wanted) if side == "left" else ~_less(b, wanted, here)
            found = b.select(inside & first, tried, found)
        return found

    return b.entry(out.shape, out.dtype, entry)


def _less(s: Any, x: Any, y: Any) -> Any:
    less = x < y
    return less if x.kind[0] != "f" else less | (s.is_nan(y) & ~s.is_nan(x))


def _ranks(b: Any, x: Any, axis: int) -> Any:
    """For every entry its place in its sorted row; equal ones keep their order."""
    b.stored(x)

    def before(*index: Any) -> Any:
        *own, k = index
        mine, other = x(*own), x(*own[:axis], k, *own[axis + 1 :])
        tie = ~_less(b, mine, other) & (k < own[axis])
        return b.cast(_less(b, other, mine) | tie, "i64")

    return b.fold("add", x.shape, (x.shape[axis],), np.int64, before)


def _placed(b: Any, x: Any, axis: int, dtype: Any, rule: Any) -> Any:
    """`rule(i, j, …)` at the place that each entry has in its sorted row."""
    ranks = _ranks(b, x, axis)
    base = b.entry(x.shape, dtype, lambda *i: b.cast(b.const(False, "i1"), rule(*i).kind))
    return b.scatter(base, "", x.shape, lambda *i: (*i[:axis], ranks(*i), *i[axis + 1 :]), rule)


def sort(b: Any, out: ArrayType, x: Any) -> Any:
    """Along the last axis."""
    if not x.size:
        return b.entry(x.shape, x.dtype, lambda *i: x(*i))
    if x.size * x.shape[-1] > _MOST:
        return None
    return _placed(b, x, x.ndim - 1, x.dtype, lambda *i: x(*i))


def argsort(b: Any, out: ArrayType, x: Any, axis: int, kind: Any) -> Any:
    """A stable one; other kinds may leave ties in an order of NumPy's own."""
    if not x.size:
        return b.entry(x.shape, out.dtype, lambda *i: b.const(0, "i64"))
    if kind not in ("stable", "mergesort") or x.size * x.shape[axis] > _MOST:
        return None
    return _placed(b, x, axis, out.dtype, lambda *i: i[axis])
