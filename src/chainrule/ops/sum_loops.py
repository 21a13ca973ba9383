"""Sums as loops: running totals, norms, convolutions, products by index letters, means of runs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.ir.primitive import Rule
from chainrule.ir.types import ArrayType

_LONG = 64  # of a sequence whose middle is convolved apart from its ends


def running(combine: str) -> Rule:
    """cumsum and cumprod."""

    def lower(b: Any, out: ArrayType, x: Any, axis: int) -> Any:
        return b.running(combine, x.shape, axis, out.dtype, lambda *i: b.at(x, i, out.dtype))

    return lower


def shift(b: Any, out: ArrayType, x: Any, axis: tuple[int, ...]) -> Any:
    """The largest entry, where that is finite, and else 0; reduced axes stay, of length 1."""
    if x.dtype.kind != "f":
        return None
    kept = tuple(n for k, n in enumerate(x.shape) if k not in axis)
    largest = b.reduce("max", ArrayType(kept, x.dtype), x, axis)

    def entry(*index: Any) -> Any:
        best = largest(*[i for k, i in enumerate(index) if k not in axis])
        return b.select(b.unary("abs", best) < math.inf, best, 0.0)

    return b.entry(out.shape, out.dtype, entry)


def length(b: Any, out: ArrayType, x: Any, axis: tuple[int, ...]) -> Any:
    """The root of the sum of squares."""
    if x.dtype.kind != "f":
        return None

    def square(*index: Any) -> Any:
        own, over = iter(index[: len(out.shape)]), iter(index[len(out.shape) :])
        entry = b.at(x, [next(over if k in axis else own) for k in range(x.ndim)], out.dtype)
        return entry * entry

    extents = tuple(x.shape[k] for k in axis)
    total = b.fold("add", out.shape, extents, out.dtype, square)
    return b.entry(out.shape, out.dtype, lambda *i: b.unary("sqrt", total(*i)))


def convolve(b: Any, out: ArrayType, x: Any, y: Any) -> Any:
    """Σ x[n − k]·y[k]; beyond the ends of x nothing counts, not even an infinity."""
    if x.size < y.size:
        x, y = y, x
    edge = y.size - 1
    combine = "or" if out.dtype.kind == "b" else "add"

    def piece(start: int, count: int, *, inside: bool) -> Any:
        """Some of the entries; all terms of those inside are there."""

        def term(n: Any, k: Any) -> Any:
            place = n + start - k
            there = b.const(True, "i1") if inside else (place >= 0) & (place < x.size)
            here = b.at(x, (b.select(there, place, 0),), out.dtype)
            return b.select(there, here * b.at(y, (k,), out.dtype), 0)

        return b.fold(combine, (count,), (y.size,), out.dtype, term)

    if x.size < _LONG:
        return piece(0, out.shape[0], inside=False)
    middle = x.size - edge
    parts = [(0, edge, False), (edge, middle, True), (x.size, edge, False)]
    return b.assemble(
        out.shape,
        out.dtype,
        [(piece(start, n, inside=inside), start, (1,)) for start, n, inside in parts if n],
    )


# ---- by index letters ----------------------------------------------------------------------------


def einsum(b: Any, out: ArrayType, *xs: Any, subscripts: str, optimize: bool) -> Any:
    """Pair by pair, in an order that keeps what lies between small."""
    left, right = subscripts.split("->")
    terms = list(zip(left.split(","), xs, strict=True))
    while len(terms) > 2:
        first, second = _cheapest(terms)
        (one, x), (two, y) = terms[first], terms[second]
        rest = [t for k, t in enumerate(terms) if k not in (first, second)]
        needed = set(right).union(*(letters for letters, _ in rest))
        kept = "".join(c for c in dict.fromkeys(one + two) if c in needed)
        terms = [*rest, (kept, _contracted(b, [(one, x), (two, y)], kept, out.dtype))]
    return _contracted(b, terms, right, out.dtype)


def _cheapest(terms: list[tuple[str, Any]]) -> tuple[int, int]:
    """The two whose product runs over the fewest places; those beside each other first."""
    sizes = {c: n for letters, x in terms for c, n in zip(letters, x.shape, strict=True)}
    pairs = [(i, j) for j in range(len(terms)) for i in range(j)]

    def places(pair: tuple[int, int]) -> int:
        return math.prod(sizes[c] for c in {*terms[pair[0]][0], *terms[pair[1]][0]})

    return min(pairs, key=places)


def _contracted(b: Any, terms: list[tuple[str, Any]], kept: str, dtype: Any) -> Any:
    sizes = {c: n for letters, x in terms for c, n in zip(letters, x.shape, strict=True)}
    summed = [c for c in sizes if c not in kept]
    places = {c: k for k, c in enumerate([*kept, *summed])}

    def entry(*index: Any) -> Any:
        factors = [b.at(x, [index[places[c]] for c in letters], dtype) for letters, x in terms]
        result = factors[0]
        for factor in factors[1:]:
            result = result & factor if factor.kind == "i1" else result * factor
        return result

    combine = "or" if np.dtype(dtype).kind == "b" else "add"
    shape, extents = (tuple(sizes[c] for c in letters) for letters in (kept, summed))
    return b.fold(combine, shape, extents, dtype, entry)


# ---- runs ----------------------------------------------------------------------------------------


def share_runs(b: Any, out: ArrayType, t: Any, starts: Any) -> Any:
    """Every entry replaced by the mean of its run: runs are numbered, added up, and read again."""
    shape = starts.shape
    size = math.prod(shape)
    if t.dtype.kind != "f":
        return None
    if not size:
        return b.entry(out.shape, out.dtype, lambda *i: t(*i))
    spread = b.entry(shape, t.dtype, lambda *i: b.at(t, i))
    flat, begins = b.reshape(spread, (size,)), b.reshape(starts, (size,))
    number = b.running("add", (size,), 0, np.int64, lambda i: b.cast(begins(i), "i64"))

    def place(i: Any) -> tuple[Any]:
        run = number(i) - 1
        return (b.select((run >= 0) & (run < size), run, 0),)

    zeros = b.entry((size,), t.dtype, lambda i: b.const(0, t.kind))
    totals = b.scatter(zeros, "add", (size,), place, lambda i: flat(i))
    lengths = b.scatter(zeros, "add", (size,), place, lambda i: b.const(1, t.kind))
    means = b.entry((size,), t.dtype, lambda i: totals(*place(i)) / lengths(*place(i)))
    return b.reshape(means, shape)
