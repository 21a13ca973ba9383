"""Which function gives the true result of a primitive."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from mpmath import mp

from truth.number import PRECISION, Residual, Truth

REFERENCES: dict[str, Callable[..., Any]] = {}


def reference(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter `rule(*object arrays, **params)` → `Truth`, its value, a tuple of these, or residuals.

    A rule may also ask for `out`, the types of the results, and for `found`, what was computed:
    where several results are equally true, it speaks of the one that is nearest.
    """

    def enter(rule: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            assert name not in REFERENCES, name
            REFERENCES[name] = rule
        return rule

    return enter


def truths(
    name: str,
    operands: Any,
    params: Any,
    out: Any,
    found: Any = None,
    *,
    precision: int = PRECISION,
) -> tuple[Truth | Residual, ...]:
    """The true results of a primitive, one for each output; or residuals of what was found."""
    rule = REFERENCES[name]
    asked = inspect.signature(rule).parameters
    more = {"out": out, "found": found}
    more = {key: value for key, value in more.items() if key in asked}
    with mp.workprec(PRECISION):
        results = rule(*operands, **params, **more)
    results = results if isinstance(results, (tuple, list)) else (results,)
    return tuple(r if isinstance(r, (Truth, Residual)) else Truth(_array(r)) for r in results)


def _array(value: Any) -> np.ndarray:
    out = np.empty(np.shape(value), object)
    out[...] = value
    return out
