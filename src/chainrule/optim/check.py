"""Checks of what users give to optimisers: numbers in their range, trees that belong together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError, ShapeError
from chainrule.base.trees import flatten, paths
from chainrule.ir.types import type_of


def check_number(
    value: Any,
    name: str,
    *,
    least: float | None = None,
    most: float | None = None,
    above: float | None = None,
    below: float | None = None,
) -> None:
    """A number within its bounds. What is traced is left to the one who traces it.

    Raises:
        ArgumentError: it is no number, not finite, or out of its range.
    """
    if not isinstance(value, (Real, np.ndarray)) and hasattr(value, "dtype"):
        return  # traced: it has no value yet
    bounds = [
        text
        for bound, text in (
            (least, f"at least {least:g}" if least is not None else ""),
            (above, f"above {above:g}" if above is not None else ""),
            (most, f"at most {most:g}" if most is not None else ""),
            (below, f"below {below:g}" if below is not None else ""),
        )
        if bound is not None
    ]
    wanted = " and ".join(bounds) or "finite"
    single = isinstance(value, Real) or (isinstance(value, np.ndarray) and value.ndim == 0)
    if not single or isinstance(value, bool):
        raise ArgumentError(
            f"{name} has to be a number",
            {"given": f"{type(value).__name__} {value!r}"[:80]},
            f"give a number that is {wanted}",
        )
    number = float(value)
    inside = (
        math.isfinite(number)
        and (least is None or number >= least)
        and (most is None or number <= most)
        and (above is None or number > above)
        and (below is None or number < below)
    )
    if not inside:
        raise ArgumentError(
            f"{name} is out of its range", {"given": value}, f"give a number that is {wanted}"
        )


def check_rate(value: Any, name: str = "learning_rate") -> None:
    """A learning rate that is a number: zero or more."""
    check_number(value, name, least=0)


def check_count(value: Any, name: str, least: int) -> None:
    """A whole number, `least` or more."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ArgumentError(
            f"{name} has to be a whole number, {least} or more", {"given": repr(value)[:80]}
        )


def array_of(leaf: Any) -> Any:
    """A leaf as an array, if it isn't one or a traced value already."""
    return leaf if hasattr(leaf, "dtype") else np.asarray(leaf)


def labels(tree: Any) -> list[str]:
    """A name for each leaf: the keys of a flat dict themselves, else paths such as ['a'][0]."""
    found = paths(tree)
    if isinstance(tree, dict) and all(isinstance(key, str) for key in tree):
        named = {f"[{key!r}]": key for key in tree}
        return [named.get(path, path) for path in found]
    return found


class Parameters:
    """The leaves of a tree of parameters, with their names.

    Raises:
        DtypeError: a parameter that isn't of a real floating type.
    """

    def __init__(self, tree: Any) -> None:
        leaves, self.structure = flatten(tree)
        self.tree = tree
        self.leaves = [array_of(leaf) for leaf in leaves]
        for number, leaf in enumerate(self.leaves):
            if np.issubdtype(leaf.dtype, np.floating):
                continue
            complex_ = np.issubdtype(leaf.dtype, np.complexfloating)
            raise DtypeError(
                "only real floating-point numbers can be optimised",
                {"parameter": self.name(number), "dtype": leaf.dtype},
                "give its real and imaginary parts as two parameters"
                if complex_
                else "convert it: x.astype(float)",
            )

    def name(self, number: int) -> str:
        return labels(self.tree)[number] or "the parameter itself"

    def names(self) -> list[str]:
        return labels(self.tree)

    def matched(self, what: str, tree: Any) -> list[Any]:
        """The leaves of another tree that has to have these names and shapes.

        Raises:
            ArgumentError: a parameter without a partner, or the other way round.
            ShapeError: partners of different shapes.
        """
        leaves, structure = flatten(tree)
        if structure != self.structure:
            raise self._mismatch(what, tree)
        found = [array_of(leaf) for leaf in leaves]
        for number, (own, other) in enumerate(zip(self.leaves, found, strict=True)):
            if own.shape != other.shape:
                raise ShapeError(
                    f"{what}: the shape isn't that of its parameter",
                    {
                        "parameter": f"{self.name(number)} {type_of(own)}",
                        what: type_of(other),
                    },
                )
        return found

    def _mismatch(self, what: str, tree: Any) -> ArgumentError:
        own, other = self.names(), labels(tree)
        facts = {
            f"without {what}": _listed([name for name in own if name not in other]),
            "without parameter": _listed([name for name in other if name not in own]),
        }
        if not any(facts.values()):  # the same names in containers of another kind
            facts = {"parameters": type(self.tree).__name__, what: type(tree).__name__}
        return ArgumentError(
            f"{what} and parameters are trees of different structures",
            {label: text for label, text in facts.items() if text},
            "give the gradient of the same tree: cr.grad(f)(parameters)"
            if what == "gradients"
            else "use the state that init or update gave for these parameters",
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(name or "the value itself" for name in names[:4])
    return shown + (f" and {len(names) - 4} more" if len(names) > 4 else "")
