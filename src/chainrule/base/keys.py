"""Keys of random numbers: the 128 bits that decide a whole stream of Philox, as two words.

A stream is cut into regions by the top word of Philox's counter, so that the numbers drawn with a
key, the keys split off it, and those folded into it never meet.

Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, Parallel random numbers: as easy as 1, 2, 3, SC'11.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.base.errors import DomainError, DtypeError

WORD = np.dtype(np.uint64)
DRAWN, SPLIT, FOLDED = range(3)  # regions

_BITS = 128
_MASK = (1 << 64) - 1


def negative(what: str, number: Any) -> DomainError:
    """The error for a number that must not be below zero."""
    return DomainError(
        f"{what} can't be negative",
        {"given": number},
        "count from 0; abs(n) would give n and -n the same numbers",
    )


def key_of(seed: Any) -> np.ndarray:
    """The key of a seed: its low and its high word, as NumPy's `Philox(key=seed)` has them."""
    try:
        number = operator.index(seed)
    except TypeError:
        raise DtypeError(
            "a seed is a whole number, or a key made by cr.random.key",
            {"given": repr(seed)[:80]},
            "any number from 0 on will do, such as 0; the same one gives the same numbers",
        ) from None
    if number < 0:
        raise negative("a seed", number)
    if number >= 1 << _BITS:
        raise DomainError(
            "a seed has at most 128 bits", {"given": f"{number:#x}"[:60]}, "use seed % 2**128"
        )
    return np.array([number & _MASK, number >> 64], WORD)


def philox(key: np.ndarray, start: int = 0, region: int = DRAWN) -> np.random.Philox:
    """NumPy's own stream of a key, so many blocks of four words into a region of it."""
    return np.random.Philox(key=key, counter=int(start) + (region << 192))


def generator(key: np.ndarray) -> np.random.Generator:
    """NumPy's own generator of the numbers that are drawn with a key."""
    return np.random.Generator(philox(key))
