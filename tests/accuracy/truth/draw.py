"""Random bits by the definition of Philox, and the numbers that NumPy makes of them.

Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, Parallel random numbers: as easy as 1, 2, 3, SC'11:
Philox4×64 with ten rounds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from truth.registry import reference

_WORD = 1 << 64
_MULTIPLIERS = 0xD2E7470EE14C6C93, 0xCA5A826395121157
_STEPS = 0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B


def block(counter: int, key: tuple[int, int]) -> list[int]:
    """The four words of a counter of 256 bits."""
    a, b, c, d = ((counter >> 64 * k) % _WORD for k in range(4))
    first, second = key
    for _ in range(10):
        high, low = divmod(_MULTIPLIERS[0] * a, _WORD)
        upper, under = divmod(_MULTIPLIERS[1] * c, _WORD)
        a, b, c, d = upper ^ b ^ first, under, high ^ d ^ second, low
        first, second = (first + _STEPS[0]) % _WORD, (second + _STEPS[1]) % _WORD
    return [a, b, c, d]


def words(key: Any, start: int, region: int, count: int) -> list[int]:
    """A stream: NumPy counts up before it draws; a region is named by the counter's top word."""
    first = start + (region << 192) + 1
    pair = int(key[0]), int(key[1])
    stream = (w for n in range(-(-count // 4)) for w in block(first + n, pair))
    return [next(stream) for _ in range(count)]


@reference("random_key")
def _key(seed: Any) -> Any:
    return np.stack([seed, np.zeros(seed.shape, object)], axis=-1)


@reference("random_bits")
def _bits(key: Any, start: Any, region: int, shape: Any, dtype: Any) -> Any:
    lead = np.broadcast_shapes(key.shape[:-1], start.shape)
    keys, starts = np.broadcast_to(key, (*lead, 2)), np.broadcast_to(start, lead)
    count = math.prod(shape)
    out = np.empty((*lead, count), object)
    for place in np.ndindex(*lead):
        if dtype.itemsize == 8:
            out[place] = words(keys[place], starts[place], region, count)
        else:  # the lower half of a word comes first
            stream = words(keys[place], starts[place], region, -(-count // 2))
            halves = [half for w in stream for half in (w % (1 << 32), w >> 32)]
            out[place] = halves[:count]
    return out.reshape((*lead, *shape))


# ---- NumPy's distributions -----------------------------------------------------------------------


def _drawn(name: str, draw: Callable[..., Any]) -> None:
    """`draw(generator, **params)` for each key: NumPy's own numbers are what is promised."""

    @reference(name)
    def rule(key: Any, out: Any, **params: Any) -> Any:
        (kind,) = out
        result = np.empty(kind.shape, kind.dtype)
        for place in np.ndindex(*key.shape[:-1]):
            stream = np.random.Philox(key=key[place].astype(np.uint64))
            result[place] = draw(np.random.Generator(stream), **params)
        return result


def _two_sigma(g: Any, shape: Any, dtype: Any) -> Any:
    """Normal numbers in the order in which they're drawn, without those beyond two sigma."""
    kept: list[Any] = []
    while len(kept) < math.prod(shape):
        drawn = g.standard_normal(math.prod(shape) - len(kept), dtype)
        kept += [x for x in drawn if abs(x) <= 2]
    return np.array(kept, dtype).reshape(shape)


_drawn("random_normal", lambda g, shape, dtype: g.standard_normal(shape, dtype))
_drawn("random_exponential", lambda g, shape, dtype: g.standard_exponential(shape, dtype))
_drawn("random_truncated_normal", _two_sigma)
_drawn(
    "random_integers",
    lambda g, low, high, **more: g.integers(low, high, more["shape"], more["dtype"]),
)
_drawn("random_permutation", lambda g, count: g.permutation(count))
