"""Random numbers that may lie anywhere: uniform, normal and others made of these.

What follows from others (`uniform` from bits, `gumbel` from `uniform`) is written with them, so
that it's traced, batched and compiled as they are. Derivatives go through the parameters: every
number is a smooth function of them and of one that doesn't depend on them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import DomainError, DtypeError
from chainrule.base.keys import DRAWN, WORD
from chainrule.ops import draw
from chainrule.ops.draw_keys import (
    FRACTIONS,
    check_positive,
    dtype_of,
    float_type,
    key,
    parameter,
    placed,
    plain,
    shape_of,
)
from chainrule.tracing.table import TABLE
from chainrule.tracing.trace import apply


def bits(seed: Any, shape: Any = (), dtype: Any = np.uint64) -> Any:
    """Random bits, as whole numbers.

    Args:
        seed: a whole number or a key.
        shape: of the result; a number or a tuple.
        dtype: uint64 or uint32.

    Returns:
        What NumPy's `Generator.integers(0, 2**64, shape, np.uint64)` draws; for uint32, what
        `integers(0, 2**32, shape, np.uint32)` draws.

    Derivative: zero.

    Example:
        >>> import chainrule as cr
        >>> cr.random.bits(0, 2)
        array([ 213000021201967259, 4455796210202625458], dtype=uint64)
    """
    kind = dtype_of(dtype, "bits")
    if kind not in (WORD, np.dtype(np.uint32)):
        raise DtypeError(
            "bits: they come as uint64 or uint32", {"dtype": kind}, "convert them with .astype"
        )
    return _bits(seed, shape_of(shape, "bits"), kind)


def _bits(seed: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    return apply(draw.random_bits, key(seed), 0, region=DRAWN, shape=shape, dtype=dtype)


def uniform(
    seed: Any, shape: Any = (), low: Any = 0.0, high: Any = 1.0, dtype: Any = np.float64
) -> Any:
    """Numbers that are equally likely to lie anywhere from low to high, high left out.

    Args:
        seed: a whole number or a key.
        shape: of the result; a number or a tuple.
        low, high: numbers, or arrays that broadcast to the shape.
        dtype: of the result, float64 or float32.

    Returns:
        What NumPy's `Generator.random(shape, dtype)` draws, times `high - low`, plus low.

    Raises:
        DomainError: low is larger than high.

    Derivative: 1 − u with respect to low and u to high, where u is the number between 0 and 1.

    Example:
        >>> import chainrule as cr
        >>> cr.random.uniform(0, 3)
        array([0.01154675, 0.2415492 , 0.11142586])
    """
    own, kind = shape_of(shape, "uniform"), float_type(dtype, "uniform")
    low = parameter(low, own, kind, "uniform", "low")
    high = parameter(high, own, kind, "uniform", "high")
    least, most = plain(low), plain(high)
    if least is not None and most is not None and np.any(np.greater(least, most)):
        raise DomainError(
            "uniform: low is larger than high", {"low": least, "high": most}, "exchange them"
        )
    width = high if isinstance(low, (int, float)) and low == 0 else high - low
    return placed(fraction(seed, own, kind), low, width)


def fraction(seed: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """From 0 to 1, 1 left out: all the bits that a float has."""
    drawn, dropped, step = FRACTIONS[dtype]
    whole = np.right_shift(_bits(seed, shape, drawn), drawn.type(dropped))
    return TABLE["astype"](whole, dtype) * step


def normal(
    seed: Any, shape: Any = (), loc: Any = 0.0, scale: Any = 1.0, dtype: Any = np.float64
) -> Any:
    """Normal numbers of mean `loc` and standard deviation `scale`.

    Args:
        seed: a whole number or a key.
        shape: of the result; a number or a tuple.
        loc, scale: numbers, or arrays that broadcast to the shape.
        dtype: of the result, float64 or float32.

    Returns:
        What NumPy's `Generator.standard_normal(shape, dtype)` draws, times scale, plus loc.

    Raises:
        DomainError: a negative scale.

    Derivative: 1 with respect to loc, the standard normal number to scale.

    Example:
        >>> import chainrule as cr
        >>> cr.random.normal(0, 3)
        array([ 0.15929547, -1.77418852,  1.32651188])
    """
    return _standard(draw.random_normal, "normal", seed, shape, loc, scale, dtype)


def truncated_normal(
    seed: Any, shape: Any = (), loc: Any = 0.0, scale: Any = 1.0, dtype: Any = np.float64
) -> Any:
    """Normal numbers without those further from the mean than two `scale`.

    Args:
        seed: a whole number or a key.
        shape: of the result; a number or a tuple.
        loc, scale: mean and standard deviation of the whole distribution; that of what is left is
            0.87962566 · scale.
        dtype: of the result, float64 or float32.

    Returns:
        Of what NumPy's `Generator.standard_normal` draws one after the other, those in [−2, 2], in
        this order; times scale, plus loc.

    Raises:
        DomainError: a negative scale.

    Derivative: 1 with respect to loc, the standard number to scale.

    Example:
        >>> import chainrule as cr
        >>> bool(abs(cr.random.truncated_normal(0, 1000)).max() <= 2)
        True
    """
    op = draw.random_truncated_normal
    return _standard(op, "truncated_normal", seed, shape, loc, scale, dtype)


def _standard(op: Any, what: str, seed: Any, shape: Any, loc: Any, scale: Any, dtype: Any) -> Any:
    own, kind = shape_of(shape, what), float_type(dtype, what)
    loc = parameter(loc, own, kind, what, "loc")
    scale = parameter(scale, own, kind, what, "scale")
    check_positive(scale, what, "scale")
    return placed(apply(op, key(seed), shape=own, dtype=kind), loc, scale)


def exponential(seed: Any, shape: Any = (), scale: Any = 1.0, dtype: Any = np.float64) -> Any:
    """Exponential numbers of mean `scale`, as waiting times are distributed.

    Args:
        seed: a whole number or a key.
        shape: of the result; a number or a tuple.
        scale: the mean, 1 over the rate; a number, or an array that broadcasts to the shape.
        dtype: of the result, float64 or float32.

    Returns:
        What NumPy's `Generator.standard_exponential(shape, dtype)` draws, times scale.

    Raises:
        DomainError: a negative scale.

    Derivative: the standard number with respect to scale.

    Example:
        >>> import chainrule as cr
        >>> cr.random.exponential(0, 3, scale=2.0)
        array([0.00991968, 1.20137844, 0.67989606])
    """
    return _standard(draw.random_exponential, "exponential", seed, shape, 0, scale, dtype)


def gumbel(
    seed: Any, shape: Any = (), loc: Any = 0.0, scale: Any = 1.0, dtype: Any = np.float64
) -> Any:
    """Gumbel numbers, as the largest of many numbers is distributed.

    Added to logits, the largest is a draw from their softmax; see `categorical`.

    Args:
        seed: a whole number or a key.
        shape: of the result; a number or a tuple.
        loc, scale: the mode, and the unit; numbers, or arrays that broadcast to the shape.
        dtype: of the result, float64 or float32.

    Returns:
        loc − scale·log(−log(1 − u)) with u as `uniform` draws it: what NumPy's
        `Generator.gumbel(loc, scale, shape)` draws, to rounding. Where u is 0, which NumPy skips,
        half of the next larger u stands for it.

    Raises:
        DomainError: a negative scale.

    Derivative: 1 with respect to loc, the standard number to scale.

    Example:
        >>> import chainrule as cr
        >>> cr.random.gumbel(0, 3)
        array([4.45554955, 1.2856264 , 2.13590874])
    """
    own, kind = shape_of(shape, "gumbel"), float_type(dtype, "gumbel")
    loc = parameter(loc, own, kind, "gumbel", "loc")
    scale = parameter(scale, own, kind, "gumbel", "scale")
    check_positive(scale, "gumbel", "scale")
    u = np.maximum(fraction(seed, own, kind), FRACTIONS[kind][2] / 2)
    return placed(-np.log(-np.log1p(-u)), loc, scale)
