"""Constraints: what is done to a weight after each step, so that it keeps to its bounds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.registry import register

_EPSILON = 1e-7  # Keras's guard against dividing by a norm of 0


class Constraint:
    """Base of the constraints: callable on an array, gives the array that keeps to them.

    A subclass defines `__call__(self, w)` with NumPy functions and `get_config(self)`.
    """

    def __call__(self, w: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} doesn't define __call__(self, w)")

    def get_config(self) -> dict[str, Any]:
        """The arguments this object was made with."""
        return {}


@register("constraint")
class NonNeg(Constraint):
    """No entry below 0.

    Example:
        >>> NonNeg()(np.array([-1.0, 2.0]))
        array([0., 2.])
    """

    def __call__(self, w: Any) -> Any:
        return np.maximum(w, 0)


class _Norm(Constraint):
    """What the constraints on norms have in common: along which axes a norm is taken."""

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis if isinstance(axis, int) else tuple(axis)

    def norms(self, w: Any) -> Any:
        return np.sqrt(np.sum(np.square(w), axis=self.axis, keepdims=True))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis if isinstance(self.axis, int) else list(self.axis)}


@register("constraint")
class MaxNorm(_Norm):
    """Norms of at most max_value: longer vectors are scaled down.

    Args:
        max_value: the largest norm.
        axis: the axis or axes that a norm is taken along; 0 for the kernel of a Dense layer,
            (0, 1, 2) for that of a Conv2D.

    Source: Srivastava and others, Dropout, 2014, section 5.1.

    Example:
        >>> MaxNorm(5.0)(np.array([[6.0, 0.3], [8.0, 0.4]])).round(3)
        array([[3. , 0.3],
               [4. , 0.4]])
    """

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        super().__init__(axis)
        self.max_value = max_value

    def __call__(self, w: Any) -> Any:
        norms = self.norms(w)
        return w * (np.minimum(norms, self.max_value) / (_EPSILON + norms))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, **super().get_config()}


@register("constraint")
class UnitNorm(_Norm):
    """Norms of 1.

    Args:
        axis: as for MaxNorm.

    Example:
        >>> UnitNorm()(np.array([[3.0], [4.0]])).round(3)
        array([[0.6],
               [0.8]])
    """

    def __call__(self, w: Any) -> Any:
        return w / (_EPSILON + self.norms(w))


@register("constraint")
class MinMaxNorm(_Norm):
    """Norms between min_value and max_value.

    Args:
        min_value: the smallest norm.
        max_value: the largest norm.
        rate: how far a norm moves towards its bound in one step; 1 is all the way.
        axis: as for MaxNorm.

    Example:
        >>> MinMaxNorm(max_value=5.0)(np.array([[6.0], [8.0]])).round(3)
        array([[3.],
               [4.]])
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: int | Sequence[int] = 0,
    ) -> None:
        super().__init__(axis)
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate

    def __call__(self, w: Any) -> Any:
        norms = self.norms(w)
        bounded = np.clip(norms, self.min_value, self.max_value)
        wanted = self.rate * bounded + (1 - self.rate) * norms
        return w * (wanted / (_EPSILON + norms))

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            **super().get_config(),
        }
