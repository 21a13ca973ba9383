"""A step length along a line that meets the strong Wolfe conditions, as one native loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.transform.control import while_loop

_EXPANSION = 3.0
_MARGIN = 0.1  # a trial keeps this part of the interval away from both its ends


class Point(NamedTuple):
    """A point of the line: its length, the value there, the slope along the line, the gradient."""

    length: Any
    value: Any
    slope: Any
    gradient: Any


class _End(NamedTuple):
    """The far end of the interval that is searched; at infinity at first."""

    length: Any
    value: Any
    slope: Any


def search(
    evaluate: Callable[[Any], Point],
    start: Point,
    first: Any,
    evaluations: int,
    decrease: float,
    curvature: float,
) -> tuple[Point, Any]:
    """A point with f ≤ f₀ + decrease · t · f₀′ and |f′| ≤ curvature · |f₀′|.

    The interval from the best point so far to the far end always holds such a point: at the best
    the line still falls steeply, at the far end it lies too high or rises. The minimum of the cubic
    through both is tried next.

    Args:
        evaluate: from a length to the point there.
        start: the point of length 0.
        first: the length that is tried first.
        evaluations: how many lengths are tried at most.
        decrease, curvature: the constants of the two conditions.

    Returns:
        The point, and whether it meets the conditions. If not, it is the best that was found,
        perhaps the start itself: where the line doesn't fall nothing is tried.

    Source: Nocedal & Wright (2006), "Numerical optimization", algorithms 3.5 and 3.6 and equation
    3.59; Hager & Zhang (2005) for the room that rounding is given.
    """
    dtype = start.gradient.dtype
    # Near a minimum, values differ by less than their rounding.
    rounding = 4 * np.finfo(start.value.dtype).eps * np.abs(start.value)
    none = np.zeros((), dtype)
    carry = {
        "trial": first,
        "best": start,
        "far": _End(none + np.inf, 0 * start.value, none),
        "found": np.zeros((), bool),
        "left": np.full((), evaluations),
    }

    def goes_on(carry: Any) -> Any:
        width = carry["far"].length - carry["best"].length
        wide = width > 4 * np.finfo(dtype).eps * carry["best"].length
        return (start.slope < 0) & (carry["left"] > 0) & wide & ~carry["found"]

    def body(carry: Any) -> Any:
        best, far = carry["best"], carry["far"]
        here = evaluate(carry["trial"])
        highest = start.value + decrease * here.length * start.slope + rounding
        # Written so that a value that is not a number is too high as well.
        low = (here.value <= highest) & (here.value <= best.value + rounding)
        found = low & (np.abs(here.slope) <= -curvature * start.slope)
        nearer = low & (here.slope < 0)
        best = _one_of(found | nearer, here, best)
        far = _one_of(nearer, far, _End(here.length, here.value, here.slope))
        inner = _between(best, far)
        trial = np.where(np.isinf(far.length), _EXPANSION * best.length, inner)
        return {
            "trial": trial.astype(dtype),
            "best": best,
            "far": far,
            "found": found,
            "left": carry["left"] - 1,
        }

    last = while_loop(goes_on, body, carry)
    return last["best"], last["found"]


def _one_of(condition: Any, first: Any, other: Any) -> Any:
    pairs = zip(first, other, strict=True)
    return type(first)(*(np.where(condition, a, b) for a, b in pairs))


def _between(near: Point, far: _End) -> Any:
    """Where the cubic with these values and slopes has its minimum, kept off the ends."""
    finite = np.isfinite(far.value) & np.isfinite(far.slope) & np.isfinite(far.length)
    finite = finite & (far.length != near.length)  # equal where the search is over
    width = np.where(finite, far.length - near.length, 1.0)
    rise = np.where(finite, far.value - near.value, 0.0)
    slope = np.where(finite, far.slope, 0.0)
    first = near.slope + slope - 3 * rise / width
    second = np.sqrt(np.maximum(first * first - near.slope * slope, 0))
    divisor = slope - near.slope + 2 * second
    part = 1 - (slope + second - first) / np.where(divisor == 0, 1.0, divisor)
    part = np.where(finite, np.clip(part, _MARGIN, 1 - _MARGIN), 0.5)
    length = np.where(np.isinf(far.length), near.length, far.length)
    return near.length + part * (length - near.length)
