"""Keys of random numbers, and what the arguments of everything random mean."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DomainError, DtypeError, ShapeError
from chainrule.base.keys import FOLDED, SPLIT, WORD, key_of
from chainrule.ir.types import type_of
from chainrule.ops import draw
from chainrule.ops.family import known
from chainrule.tracing.table import TABLE
from chainrule.tracing.trace import apply, ground
from chainrule.tracing.tracer import Tracer

# Per float type: the bits that are drawn, how many of them are left out, and 1 over what's left.
FRACTIONS: dict[np.dtype[Any], tuple[np.dtype[Any], int, float]] = {
    np.dtype(np.float64): (WORD, 11, 2.0**-53),
    np.dtype(np.float32): (np.dtype(np.uint32), 8, 2.0**-24),
}


# ---- keys ----------------------------------------------------------------------------------------


def key(seed: Any) -> Any:
    """The key of a seed: what a stream of random numbers follows from.

    Wherever a function here takes a seed, it takes a key as well.

    Args:
        seed: a whole number from 0 to 2**128 − 1, also a traced one; or a key, which is returned.

    Returns:
        An array of two 64-bit words, uint64, the lower one first: what
        `np.random.Philox(key=seed)` calls its key.

    Raises:
        DtypeError: the seed isn't a whole number.
        DomainError: it is negative, or too large.
        ShapeError: an array that isn't a key.

    Derivative: zero.

    Example:
        >>> import chainrule as cr
        >>> cr.random.key(5)
        array([5, 0], dtype=uint64)
    """
    if seed is None or isinstance(seed, (str, bytes)):
        return key_of(seed)  # which says what a seed is
    seed = TABLE["operand"](seed)
    if type(seed) is not Tracer and not np.ndim(seed):
        if isinstance(seed, (bool, np.bool_)):
            raise DtypeError("a seed is a whole number, not a truth value", fix="use 0 or 1")
        return key_of(seed.item() if isinstance(seed, np.ndarray) else seed)
    if seed.dtype.kind not in "iu":
        raise DtypeError(
            "a seed is a whole number, or a key made by cr.random.key",
            {"given": type_of(seed)},
            "make it whole with x.astype(int)",
        )
    if seed.shape == ():
        return apply(draw.random_key, seed)
    if seed.shape != (2,) or seed.dtype != WORD:
        many = seed.shape[-1:] == (2,) and seed.dtype == WORD
        raise ShapeError(
            "a key is an array of two words, u64[2]",
            {"given": type_of(seed)},
            "cr.vmap draws with many keys at once"
            if many
            else "make keys with cr.random.key(seed) and cr.random.split(key, n)",
        )
    return seed


def split(seed: Any, n: int = 2) -> Any:
    """Several keys from one, whose numbers have nothing to do with one another.

    Args:
        seed: a whole number or a key.
        n: how many.

    Returns:
        Keys as rows, uint64 of shape (n, 2): the first 2·n words of
        `np.random.Philox(key=key, counter=2**192).random_raw`.

    Raises:
        ArgumentError: a negative number of keys.

    Derivative: zero.

    Example:
        >>> import chainrule as cr
        >>> weights, biases = cr.random.split(0)
        >>> cr.random.uniform(weights, 2)
        array([0.62462166, 0.97976803])
    """
    return apply(
        draw.random_bits, key(seed), 0, region=SPLIT, shape=(count_of(n, "split"), 2), dtype=WORD
    )


def fold_in(seed: Any, data: Any) -> Any:
    """A new key from a key and a whole number, such as the number of a step.

    Args:
        seed: a whole number or a key.
        data: a whole number from 0 to 2**64 − 1, also a traced one.

    Returns:
        A key: the first two words of
        `np.random.Philox(key=key, counter=data + 2**193).random_raw`.

    Raises:
        DtypeError: data isn't whole.
        DomainError: data is negative, or too large.

    Derivative: zero.

    Example:
        >>> import chainrule as cr
        >>> noise = [cr.random.normal(cr.random.fold_in(0, step)) for step in range(2)]
    """
    data = TABLE["operand"](data)
    kind = type_of(data)
    if kind.dtype.kind not in "iu" or kind.shape:
        raise DtypeError(
            "fold_in: what is folded into a key is one whole number",
            {"given": kind},
            "fold in several one after the other; make floats whole with x.astype(int)",
        )
    if type(data) is int and data >= 1 << 64:
        raise DomainError(
            "fold_in: a number beyond 64 bits",
            {"given": data},
            "fold in its parts, one after the other",
        )
    whole = data if type(data) is not int or data < 1 << 63 else np.uint64(data)
    return apply(draw.random_bits, key(seed), whole, region=FOLDED, shape=(2,), dtype=WORD)


# ---- what arguments mean -------------------------------------------------------------------------


def count_of(n: Any, what: str) -> int:
    """How many, as a number that is known."""
    n = known(n, f"{what}: a number of entries")
    try:
        count = operator.index(n)
    except TypeError:
        raise DtypeError(
            f"{what}: a number of entries is a whole number", {"given": repr(n)[:80]}, "use int(n)"
        ) from None
    if count < 0:
        raise ArgumentError(
            f"{what}: a negative number of entries", {"given": count}, "use 0 or more"
        )
    return count


def shape_of(shape: Any, what: str) -> tuple[int, ...]:
    """A shape that is known; a number is that of one axis."""
    if isinstance(shape, (tuple, list)):
        return tuple(count_of(n, what) for n in shape)
    numbers = known(shape, f"{what}: a shape")
    if np.ndim(numbers):
        return tuple(count_of(n, what) for n in numbers)
    return (count_of(numbers, what),)


def dtype_of(dtype: Any, what: str) -> np.dtype[Any]:
    """A dtype by any of its names."""
    try:
        return np.dtype(dtype)
    except TypeError:
        raise DtypeError(
            f"{what}: there is no such dtype",
            {"dtype": repr(dtype)[:80]},
            "use np.float32 or np.int64",
        ) from None


def float_type(dtype: Any, what: str) -> np.dtype[Any]:
    """One of the float types in which numbers are drawn."""
    kind = dtype_of(dtype, what)
    if kind not in FRACTIONS:
        raise DtypeError(
            f"{what}: numbers are drawn in float64 or float32",
            {"dtype": kind},
            "draw them in float32 and convert with .astype(dtype)",
        )
    return kind


def plain(value: Any) -> Any:
    """The numbers of an argument, where they are known."""
    return ground(TABLE["operand"](value))


def check_fits(shape: tuple[int, ...], what: str, name: str, value: Any) -> None:
    """A parameter that is an array must broadcast to the shape that is drawn."""
    own = np.shape(value)
    try:
        fits = np.broadcast_shapes(own, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"{what}: {name} doesn't broadcast to the shape that is drawn",
            {name: own, "shape": shape},
            f"draw a shape that ends with that of {name}",
        )


def parameter(
    value: Any, shape: tuple[int, ...], dtype: np.dtype[Any], what: str, name: str
) -> Any:
    """A parameter of a distribution in the type that is drawn; Python's numbers fit any."""
    value = TABLE["operand"](value)
    check_fits(shape, what, name, value)
    kind = type_of(value)
    if kind.dtype.kind not in "biuf":
        raise DtypeError(f"{what}: {name} is a real number", {name: kind}, "take np.real(x)")
    return value if kind.weak or kind.dtype == dtype else TABLE["astype"](value, dtype)


def check_positive(value: Any, what: str, name: str) -> None:
    """A parameter must not be negative, where it's known."""
    numbers = plain(value)
    if numbers is not None and np.any(np.less(numbers, 0)):
        raise DomainError(
            f"{what}: {name} is negative",
            {name: numbers},
            f"use abs({name}), or its square root if it is a variance",
        )


def placed(x: Any, loc: Any, scale: Any) -> Any:
    """loc + scale·x; literal zeros and ones leave x as it is."""
    still = isinstance(loc, (int, float)) and loc == 0
    if isinstance(scale, (int, float)) and scale == 1:
        return x if still else loc + x
    return scale * x if still else apply(draw.random_placed, x, loc, scale)
