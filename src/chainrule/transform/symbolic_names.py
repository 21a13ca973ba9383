"""What the symbols of a formula are called: the user's own parameter names."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.trees import flatten, paths
from chainrule.transform.symbolic_terms import as_objects


def parameter_names(f: Callable[..., Any], given: int) -> list[str]:
    """The names of f's first parameters; x0, x1 … where it has none."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = [p.name for p in parameters if p.kind in plain][:given]
    return names + [f"x{k}" for k in range(len(names), given)]


def symbols_of(sympy: Any, name: str, argument: Any) -> list[Any]:
    """One object array of symbols per leaf: x; x0, x1 …; w_bias0 for trees."""
    arrays = []
    for leaf, path in zip(*leaves_and_paths(argument), strict=True):
        value = np.asarray(leaf)
        stem = "_".join([name, *re.findall(r"\w+", path)])
        joint = "_" if max(value.shape, default=0) > 10 and value.ndim > 1 else ""
        real = None if value.dtype.kind == "c" else True
        integer = True if value.dtype.kind in "iu" else None
        entries = [
            sympy.Symbol(stem + joint.join(map(str, index)), real=real, integer=integer)
            for index in np.ndindex(value.shape)
        ]
        arrays.append(as_objects(entries, value.shape))
    return arrays


def distinct(sympy: Any, symbols: list[list[Any]]) -> list[list[Any]]:
    """Symbols of which no two have one name (a vector x and a scalar x0 would clash)."""
    flat = [s for arrays in symbols for array in arrays for s in array.flat]
    if len({str(s) for s in flat}) == len(flat):
        return symbols
    fresh = iter(
        [sympy.Symbol(f"{s}_{k}", real=s.is_real, integer=s.is_integer) for k, s in enumerate(flat)]
    )
    return [
        [as_objects([next(fresh) for _ in array.flat], array.shape) for array in arrays]
        for arrays in symbols
    ]


def leaves_and_paths(argument: Any) -> tuple[list[Any], list[str]]:
    return flatten(argument)[0], paths(argument)
