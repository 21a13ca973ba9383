"""Masks: what a select has taken, so that a derivative behind what it hasn't taken can't count.

A mask is an ordinary boolean of the program; it is worked out only where a partial derivative isn't
finite, or may not stay so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.ops.doubt import withhold
from chainrule.tracing.recording import RECORDING
from chainrule.tracing.tracer import Tracer
from chainrule.transform.shape import fill


class Mask:
    """A boolean pattern that is worked out only when somebody needs it."""

    __slots__ = ("_make", "_parents", "_value", "around", "near", "other", "whole")

    def __init__(self, make: Callable[[], Any], *parents: Mask | None) -> None:
        self._make: Callable[[], Any] | None = make
        self._parents = parents
        self._value: Any = None
        self.other: Mask | None = None  # what the same choice took from its other operand
        self.whole: Mask | None = None  # what both took together; None is every entry
        self.near = False  # the condition of a choice itself, which is there in any case
        self.around: Mask | None = None  # a near mask that takes all that this one does, and more

    def value(self) -> Any:
        # Parents first, on a stack of our own: masks may follow a chain as long as the program.
        stack = [self]
        while stack:
            mask = stack[-1]
            waiting = [p for p in mask._parents if p is not None and p._make is not None]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            if mask._make is not None:
                mask._value = mask._make()
                mask._make, mask._parents = None, ()
        return self._value


def halves(
    split: Callable[[Any], tuple[Any, Any]], whole: Mask | None, shape: tuple[int, ...]
) -> tuple[Mask, Mask]:
    """What each operand of a choice gave; `split` parts a pattern of the result between them."""

    def taken(k: int) -> Any:
        every = np.ones(shape, bool) if whole is None else fill(whole.value(), shape)
        return split(every)[k]

    one, other = (Mask(functools.partial(taken, k), whole) for k in range(2))
    one.other, other.other = other, one
    one.whole = other.whole = whole
    one.near = other.near = whole is None or whole.near
    if not one.near and whole is not None:
        one.around, other.around = halves(split, whole.around, shape)
    return one, other


def join(masks: list[Mask], mask: Mask | None) -> list[Mask] | None:
    """The masks with one more, two halves as their whole; None if together they are every entry."""
    while mask is not None and mask.other is not None and mask.other in masks:
        masks = [known for known in masks if known is not mask.other]
        mask = mask.whole
    if mask is None:
        return None
    return masks if mask in masks else [*masks, mask]


Masked = tuple[Any, Mask | None]


def generic(shape: tuple[int, ...]) -> Any:
    """Positive numbers that no linear operation adds up to zero by accident."""
    return np.random.default_rng(len(shape)).uniform(0.5, 1.0, shape)


def generic_pattern(mask: Mask | None, shape: tuple[int, ...], dtype: Any = float) -> Any:
    """The same where something was taken, and zeros elsewhere; complex where the entries are."""
    numbers = generic(shape)
    if np.dtype(dtype).kind == "c":
        numbers = numbers + 1j * generic((1, *shape))[0]
    return numbers if mask is None else np.where(fill(mask.value(), shape), numbers, 0.0)


def blank(partial: Any, mask: Mask | None, shape: tuple[int, ...]) -> Any:
    """A partial with zeros where nothing was taken; untouched where it's plain and finite."""
    if mask is None or type(partial) in (int, float, complex):
        return partial
    if RECORDING.finite and not mask.near:
        return partial
    if _known_finite(partial) or plainly_true(mask.value()):
        return partial
    near = mask if mask.near else mask.around
    if near is not None:
        partial = np.where(fill(near.value(), shape), partial, np.zeros((), partial.dtype))
    return partial if mask.near else withhold(partial, fill(mask.value(), shape))


def plainly_true(pattern: Any) -> bool:
    """Whether a pattern is known to leave out nothing."""
    while type(pattern) is Tracer and pattern.owner.batching:
        pattern = pattern.value
    return type(pattern) is not Tracer and bool(np.all(pattern))


def plainly_finite(x: Any) -> bool:
    """Whether a value is finite, and no derivative of it will be asked for that isn't."""
    return RECORDING.finite or _known_finite(x)


def _known_finite(x: Any) -> bool:
    while type(x) is Tracer and x.owner.batching:
        x = x.value
    return type(x) is not Tracer and bool(np.isfinite(x).all())


def factor_pattern(x: Any) -> Any:
    """A constant zero hands nothing on; a traced one might, once it is differentiated itself."""
    numbers = generic(np.shape(x))
    return numbers if type(x) is Tracer else np.where(np.equal(x, 0), 0.0, numbers)
