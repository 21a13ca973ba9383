"""Penalties on weights: a function of the array that is added to the loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.registry import register


class Regularizer:
    """Base of the penalties: callable on an array, gives one number.

    A subclass defines `__call__(self, x)` with NumPy functions and `get_config(self)`.
    """

    def __call__(self, x: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} doesn't define __call__(self, x)")

    def get_config(self) -> dict[str, Any]:
        """The arguments this object was made with."""
        return {}


@register("regularizer", "l1")
class L1(Regularizer):
    """The sum of absolute values: l1 · Σ |w|.

    Derivative: l1 · sign(w), 0 at 0.

    Example:
        >>> float(L1(0.5)(np.array([1.0, -3.0])))
        2.0
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = _rate("l1", l1)

    def __call__(self, x: Any) -> Any:
        return self.l1 * np.sum(np.abs(x))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


@register("regularizer", "l2")
class L2(Regularizer):
    """The sum of squares, without a half: l2 · Σ w².

    Derivative: 2 · l2 · w.

    Example:
        >>> float(L2(0.5)(np.array([1.0, -3.0])))
        5.0
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = _rate("l2", l2)

    def __call__(self, x: Any) -> Any:
        return self.l2 * np.sum(np.square(x))

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


@register("regularizer", "l1_l2")
class L1L2(Regularizer):
    """Both: l1 · Σ |w| + l2 · Σ w².

    Example:
        >>> float(L1L2(l1=0.5, l2=0.1)(np.array([1.0, -3.0])))
        3.0
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = _rate("l1", l1)
        self.l2 = _rate("l2", l2)

    def __call__(self, x: Any) -> Any:
        return self.l1 * np.sum(np.abs(x)) + self.l2 * np.sum(np.square(x))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


@register("regularizer")
class ElasticNet(Regularizer):
    """The elastic net: rate · Σ (beta · w² + |w|).

    Args:
        rate: how much the penalty counts, ≥ 0.
        beta: the share of the squares, ≥ 0.

    Source: Zou and Hastie, Regularization and variable selection via the elastic net, 2005.

    Example:
        >>> float(ElasticNet(rate=0.5, beta=0.1)(np.array([1.0, -3.0])))
        2.5
    """

    def __init__(self, rate: float = 0.01, beta: float = 1.0) -> None:
        self.rate = _rate("rate", rate)
        self.beta = _rate("beta", beta)

    def __call__(self, x: Any) -> Any:
        return self.rate * np.sum(self.beta * np.square(x) + np.abs(x))

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "beta": self.beta}


@register("regularizer")
class OrthogonalRegularizer(Regularizer):
    """How far the rows (or columns) of a matrix are from standing at right angles.

    factor · mean over the pairs of |cos of the angle between them|.

    Args:
        factor: how much the penalty counts, ≥ 0.
        mode: "rows" or "columns".

    Raises:
        ArgumentError: another mode.
        ShapeError: on use, the array isn't a matrix.

    Example:
        >>> float(OrthogonalRegularizer(factor=1.0)(np.array([[3.0, 0.0], [0.0, 2.0]])))
        0.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _rate("factor", factor)
        if mode not in ("rows", "columns"):
            raise ArgumentError(
                "OrthogonalRegularizer: mode is 'rows' or 'columns'", {"mode": repr(mode)}
            )
        self.mode = mode

    def __call__(self, x: Any) -> Any:
        if np.ndim(x) != 2:
            raise ShapeError(
                "OrthogonalRegularizer works on a matrix",
                {"weight": np.shape(x)},
                "use it on the kernel of a Dense layer",
            )
        vectors = x if self.mode == "rows" else x.T
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        count = vectors.shape[0]
        pairs = count * (count - 1) / 2
        # Each pair once.
        cosines = np.triu(np.abs(vectors @ vectors.T), 1)
        return self.factor / max(pairs, 1) * np.sum(cosines)

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


def _rate(name: str, value: float | None) -> float:
    """A finite number ≥ 0; None counts as 0."""
    number = 0.0 if value is None else float(value)
    if not (math.isfinite(number) and number >= 0):
        raise ArgumentError(
            "a penalty's factor has to be a finite number and not negative", {name: value}
        )
    return number
