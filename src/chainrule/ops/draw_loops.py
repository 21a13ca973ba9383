"""Random numbers as loops: whole streams first, then what is read of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.distributions import address
from chainrule.ir.primitive import Rule
from chainrule.ir.types import ArrayType


def bits(
    b: Any, out: ArrayType, key: Any, start: Any, region: int, shape: tuple[int, ...], dtype: Any
) -> Any:
    """As many entries of each key's stream as there are."""
    lead = out.shape[: len(out.shape) - len(shape)]
    count, size = math.prod(lead), math.prod(shape)
    if not count * size:
        return _nothing(b, out)
    _check_sign(b, start)
    keys = b.entry((*lead, 2), np.uint64, lambda *i: _key_at(b, key, i))
    starts = b.entry(lead, np.uint64, lambda *i: b.at(start, i, np.uint64))
    halves = 8 // dtype.itemsize
    words = b.words(
        b.reshape(keys, (count, 2)), b.reshape(starts, (count,)), region, -(-size // halves)
    )
    flat = b.view(words, (*lead, words.shape[1] * halves), dtype)

    def entry(*index: Any) -> Any:
        offset = b.const(0, "i64")
        for i, step in zip(index[len(lead) :], _steps(shape), strict=True):
            offset = offset + i * step
        return flat(*index[: len(lead)], offset)

    return b.entry(out.shape, dtype, entry)


def filled(function: str, within: bool = False) -> Rule:
    """Numbers that a function of NumPy's draws in order; `within`: none beyond two."""

    def lower(b: Any, out: ArrayType, key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
        name = function + "_f" * (dtype == np.float32)
        return _distributed(b, out, key, name, within=within)

    return lower


def integers(
    b: Any, out: ArrayType, key: Any, low: int, high: int, shape: tuple[int, ...], dtype: Any
) -> Any:
    """Whole numbers from a first one on, up to so many more."""
    numbers = tuple(n if n < 1 << 63 else n - (1 << 64) for n in (low, high - 1 - low))
    name = f"random_bounded_uint{8 * dtype.itemsize}_fill"
    return _distributed(b, out, key, name, numbers=numbers)


def permutation(b: Any, out: ArrayType, key: Any, count: int) -> Any:
    """The numbers from 0 on, exchanged one after the other."""
    return _distributed(b, out, key, "random_interval")


def _distributed(b: Any, out: ArrayType, key: Any, function: str, **more: Any) -> Any:
    if address(function) is None:
        return None
    count = math.prod(key.shape[:-1])
    if not out.size:
        return _nothing(b, out)
    size = out.size // count
    keys = b.reshape(key, (count, 2))
    drawn = b.distribution(keys, size, out.dtype, function=function, **more)
    return b.reshape(drawn, out.shape)


def _nothing(b: Any, out: ArrayType) -> Any:
    """An array without entries."""
    kind = f"{out.dtype.kind}{8 * out.dtype.itemsize}"
    return b.entry(out.shape, out.dtype, lambda *i: b.const(0, kind))


def _key_at(b: Any, key: Any, index: tuple[Any, ...]) -> Any:
    *own, word = index
    return key(*b.broadcast_index(key.shape[:-1], own), word)


def _steps(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Entries between neighbours along each axis, in C order."""
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))


def _check_sign(b: Any, number: Any) -> None:
    """The program fails where a whole number is negative."""
    known = number.expression is not None and number.expression.op == "const"
    if number.dtype.kind == "i" and not known:
        b.check(number.shape, lambda *i: number(*i) < 0)


def key(b: Any, out: ArrayType, seed: Any) -> Any:
    """A whole number's own word, and zero."""
    _check_sign(b, seed)

    def entry(*index: Any) -> Any:
        *own, word = index
        return b.select(word.eq(0), b.cast(seed(*own), "u64"), b.const(0, "u64"))

    return b.entry(out.shape, out.dtype, entry)
