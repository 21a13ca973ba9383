"""Mean and variance, with a derivative that needs one pass less over the data."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from chainrule.transform.custom import custom_jvp

Axes = tuple[int, ...]


def moments(x: Any, axes: Axes) -> tuple[Any, Any]:
    """Mean and population variance along some axes, which stay with size 1.

    Example:
        >>> mean, variance = moments(np.array([[1.0, 3.0]]), (1,))
        >>> mean, variance
        (array([[2.]]), array([[1.]]))
    """
    mean = np.mean(x, axis=axes, keepdims=True)
    return mean, _spread(x, mean, axes)


def weighted_moments(x: Any, weights: Any, axes: Axes) -> tuple[Any, Any]:
    """The same where entries count as often as the weights say, which broadcast to x.

    Where all weights are 0, so are mean and variance.
    """
    # How many entries each weight stands for along the axes.
    each = math.prod(x.shape[a] for a in axes if weights.shape[a] == 1)
    total = np.maximum(np.sum(weights, axis=axes, keepdims=True) * each, 1.0)
    mean = np.sum(x * weights, axis=axes, keepdims=True) / total
    return mean, _weighted_spread(x, mean, weights, total, axes)


# A variance doesn't change with the mean it is taken about, to first order: the slope in the mean,
# -2 · Σ (x - mean), is 0. So the rules leave it out, where a plain derivative would add it up. They
# hold where the second argument is the mean of the first, and then in every order, because what is
# left still depends on both.


@functools.partial(custom_jvp, nondiff_argnums=(2,))
def _spread(x: Any, mean: Any, axes: Axes) -> Any:
    return np.mean((x - mean) ** 2, axis=axes, keepdims=True)


@_spread.defjvp
def _spread_tangent(axes: Axes, primals: Any, tangents: Any) -> Any:
    x, mean = primals
    slope = 2.0 * np.mean((x - mean) * tangents[0], axis=axes, keepdims=True)
    return _spread(x, mean, axes), slope


@functools.partial(custom_jvp, nondiff_argnums=(4,))
def _weighted_spread(x: Any, mean: Any, weights: Any, total: Any, axes: Axes) -> Any:
    return np.sum((x - mean) ** 2 * weights, axis=axes, keepdims=True) / total


@_weighted_spread.defjvp
def _weighted_spread_tangent(axes: Axes, primals: Any, tangents: Any) -> Any:
    x, mean, weights, total = primals
    slope = 2.0 * np.sum((x - mean) * weights * tangents[0], axis=axes, keepdims=True) / total
    return _weighted_spread(x, mean, weights, total, axes), slope
