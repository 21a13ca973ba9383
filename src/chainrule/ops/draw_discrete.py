"""Random truth values, whole numbers, orders and choices."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.errors import (
    DomainError,
    DtypeError,
    ShapeError,
    UnsupportedError,
)
from chainrule.ir.types import type_of
from chainrule.ops import draw
from chainrule.ops.draw_continuous import fraction, gumbel
from chainrule.ops.draw_keys import check_fits, count_of, dtype_of, float_type, key, plain, shape_of
from chainrule.ops.family import normal_axis
from chainrule.tracing.table import TABLE
from chainrule.tracing.trace import apply


def bernoulli(seed: Any, p: Any = 0.5, shape: Any = None, dtype: Any = np.float64) -> Any:
    """Truth values that are true with probability p.

    Args:
        seed: a whole number or a key.
        p: a probability, or an array of them that broadcasts to the shape.
        shape: of the result; a number or a tuple. None: that of p.
        dtype: float64, or float32, which takes half as long and rounds p to 24 binary digits.

    Returns:
        NumPy's `Generator.random(shape, dtype) < p`.

    Raises:
        DomainError: p outside [0, 1].

    Derivative: zero, also with respect to p: where the answer changes, it jumps.

    Example:
        >>> import chainrule as cr
        >>> cr.random.bernoulli(0, 0.5, 3)
        array([ True,  True,  True])
    """
    own = np.shape(p) if shape is None else shape_of(shape, "bernoulli")
    kind = float_type(dtype, "bernoulli")
    check_fits(own, "bernoulli", "p", p)
    numbers = plain(p)
    if numbers is not None and not np.all((np.asarray(numbers) >= 0) & (np.asarray(numbers) <= 1)):
        raise DomainError(
            "bernoulli: a probability lies between 0 and 1",
            {"p": numbers},
            "make any number one with 1 / (1 + np.exp(-p)), if it is a logit",
        )
    return np.less(fraction(seed, own, kind), p)


def integers(seed: Any, low: Any, high: Any = None, shape: Any = (), dtype: Any = np.int64) -> Any:
    """Whole numbers from low to high − 1, each as likely as any other.

    Args:
        seed: a whole number or a key.
        low, high: whole numbers. With high left out they go from 0 to low − 1.
        shape: of the result; a number or a tuple.
        dtype: any type of whole numbers that holds them.

    Returns:
        What NumPy's `Generator.integers(low, high, shape, dtype)` draws.

    Raises:
        DomainError: there is no whole number from low to high − 1.
        DtypeError: bounds that aren't whole, or that dtype can't hold.

    Derivative: zero.

    Example:
        >>> import chainrule as cr
        >>> cr.random.integers(0, 1, 7, 4)
        array([1, 1, 4, 2])
    """
    least, most = (0, low) if high is None else (low, high)
    least, most = _bound(least), _bound(most)
    kind = dtype_of(dtype, "integers")
    if kind.kind not in "iu":
        raise DtypeError("integers: a type of whole numbers", {"dtype": kind}, "use dtype=np.int64")
    if least >= most:
        raise DomainError(
            "integers: there is no whole number from low to high − 1",
            {"low": least, "high": most},
            "high itself is left out: make it larger than low",
        )
    info = np.iinfo(kind)
    if least < info.min or most - 1 > info.max:
        raise DtypeError(
            "integers: this type doesn't hold all of them",
            {"dtype": kind, "low": least, "high": most},
            "take a wider dtype",
        )
    own = shape_of(shape, "integers")
    return apply(draw.random_integers, key(seed), low=least, high=most, shape=own, dtype=kind)


def _bound(value: Any) -> int:
    number = plain(value)
    if number is None:
        raise UnsupportedError(
            "integers: low and high must be known while tracing",
            {"given": f"{value!r}"},
            "np.floor(cr.random.uniform(seed, shape, low, high)) takes traced ones;\n"
            "or name the argument in static_argnums of cr.jit",
        )
    if isinstance(number, (int, np.integer)) and not isinstance(number, bool):
        return int(number)
    raise DtypeError(
        "integers: low and high are whole numbers",
        {"given": repr(number)[:80]},
        "use int(n); np.floor(cr.random.uniform(seed, shape, low, high)) takes arrays",
    )


def permutation(seed: Any, x: Any, axis: int = 0) -> Any:
    """The entries of an array in random order, or the numbers from 0 to n − 1.

    Args:
        seed: a whole number or a key.
        x: an array, or a whole number n.
        axis: along which the parts of an array are put in another order.

    Returns:
        What NumPy's `Generator.permutation(x, axis)` gives; x itself stays as it is.

    Derivative: with respect to an array, that of taking its parts; zero to the seed.

    Example:
        >>> import chainrule as cr
        >>> cr.random.permutation(0, 5)
        array([4, 1, 2, 0, 3])
    """
    x = TABLE["operand"](x)
    key_ = key(seed)
    if not np.ndim(x):
        return apply(draw.random_permutation, key_, count=count_of(x, "permutation"))
    axis = normal_axis(axis, np.ndim(x))
    order = apply(draw.random_permutation, key_, count=np.shape(x)[axis])
    return np.take(x, order, axis=axis)


def choice(
    seed: Any, a: Any, shape: Any = (), replace: bool = True, p: Any = None, axis: int = 0
) -> Any:
    """Entries of an array picked at random, or numbers from 0 to n − 1.

    Args:
        seed: a whole number or a key.
        a: an array, or a whole number n.
        shape: of what is picked; a number or a tuple.
        replace: whether one entry may be picked again and again.
        p: how likely each entry is, with a sum of 1; None: all the same. Not without replacement.
        axis: along which the parts of an array are picked.

    Returns:
        What NumPy's `Generator.choice(a, shape, replace, p, axis)` gives.

    Raises:
        DomainError: more than there are without replacement; nothing to pick from; probabilities
            below 0 or with another sum.
        ShapeError: not one probability for each entry.
        UnsupportedError: p without replacement.

    Derivative: with respect to an array, that of taking its entries; zero to seed and p.

    Example:
        >>> import chainrule as cr
        >>> cr.random.choice(0, 10, 4, replace=False)
        array([2, 5, 0, 7])
    """
    a = TABLE["operand"](a)
    own, whole = shape_of(shape, "choice"), not np.ndim(a)
    axis = 0 if whole else normal_axis(axis, np.ndim(a))
    count = count_of(a, "choice") if whole else np.shape(a)[axis]
    size = math.prod(own)
    if size and not count:
        raise DomainError(
            "choice: there is nothing to pick from", {"a": type_of(a)}, "give entries"
        )
    if not replace:
        places = _subset(seed, count, own, size, p)
    elif p is not None:
        places = _weighted(seed, p, count, own)
    else:
        places = integers(seed, 0, max(count, 1), own)
    return places if whole else np.take(a, places, axis=axis)


def _subset(seed: Any, count: int, shape: tuple[int, ...], size: int, p: Any) -> Any:
    if p is not None:
        raise UnsupportedError(
            "choice: p without replacement isn't supported",
            fix="they are where np.log(p) + cr.random.gumbel(seed, n) is largest:\n"
            "np.argsort(-(...))[:count]",
        )
    if size > count:
        raise DomainError(
            "choice: more entries than there are, without replacement",
            {"entries": count, "wanted": size},
            "use replace=True",
        )
    return apply(draw.random_subset, key(seed), count=count, shape=shape)


def _weighted(seed: Any, p: Any, count: int, shape: tuple[int, ...]) -> Any:
    """Where a uniform number lies among the sums of the probabilities, as NumPy finds it."""
    p = TABLE["operand"](p)
    if np.shape(p) != (count,):
        raise ShapeError(
            "choice: one probability for each entry", {"entries": count, "p": type_of(p)},
            "p is one row of numbers that add up to 1",
        )  # fmt: skip
    numbers = plain(p)
    if numbers is not None:
        numbers = np.asarray(numbers, float)
        if not (numbers >= 0).all() or abs(numbers.sum() - 1) > 2.0**-26:
            raise DomainError(
                "choice: probabilities are not negative and add up to 1",
                {"least": numbers.min(initial=1), "sum": numbers.sum()},
                "divide by the sum: p / np.sum(p)",
            )
    sums = np.cumsum(p)
    return np.searchsorted(sums / sums[-1], fraction(seed, shape, np.dtype(float)), side="right")


def categorical(seed: Any, logits: Any, axis: int = -1, shape: Any = None) -> Any:
    """Which of several things happens, given the logarithms of how likely each is.

    Args:
        seed: a whole number or a key.
        logits: log-probabilities along an axis; a constant added to all of them changes nothing.
        axis: of the things.
        shape: of the result; it ends with the other axes of the logits. None: it is just these.

    Returns:
        Numbers from 0 on, int64: where logits + `gumbel` numbers are largest.

    Raises:
        ShapeError: a shape that doesn't end with the logits' own.

    Derivative: zero.

    Source: E. Gumbel, Statistical theory of extreme values (1954).

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.random.categorical(0, np.log([0.1, 0.2, 0.7]), shape=5)
        array([0, 2, 2, 2, 1])
    """
    logits = TABLE["operand"](logits)
    if not np.ndim(logits):
        raise ShapeError(
            "categorical: one logit for each thing", {"logits": type_of(logits)}, "give a row"
        )
    axis = normal_axis(axis, np.ndim(logits))
    logits = np.moveaxis(logits, axis, -1)
    lead = np.shape(logits)[:-1]
    own = lead if shape is None else shape_of(shape, "categorical")
    if own[len(own) - len(lead) :] != lead or len(own) < len(lead):
        raise ShapeError(
            "categorical: the shape ends with that of the logits without their axis",
            {"shape": own, "logits": lead},
            f"draw n for each with shape=(n, {', '.join(map(str, lead))})",
        )
    kind = logits.dtype if logits.dtype == np.float32 else np.dtype(float)
    noise = gumbel(seed, (*own, np.shape(logits)[-1]), dtype=kind)
    return np.argmax(logits + noise, axis=-1)
