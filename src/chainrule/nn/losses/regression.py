"""Losses of numbers: squared, absolute and in between. Each output counts by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule.base.registry import register
from chainrule.nn.labels import check_paired, check_range
from chainrule.nn.loss import FunctionLoss, OutputLoss, as_array, pair
from chainrule.tracing.table import SCIPY_SPECIAL

EPSILON = 1e-7  # Keras's: what is kept from 0
_log_expit = SCIPY_SPECIAL["log_expit"]


def squared_error(y_true: Any, y_pred: Any, half: bool = True) -> Any:
    """½ Σ (y − t)² over the last axis; Σ (y − t)² with half=False."""
    y_true, y_pred = pair("squared_error", y_true, y_pred)
    total = np.sum(np.square(y_pred - y_true), axis=-1)
    return 0.5 * total if half else total


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of (y − t)² over the last axis."""
    y_true, y_pred = pair("mean_squared_error", y_true, y_pred)
    return np.mean(np.square(y_pred - y_true), axis=-1)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of |y − t| over the last axis."""
    y_true, y_pred = pair("mean_absolute_error", y_true, y_pred)
    return np.mean(np.abs(y_pred - y_true), axis=-1)


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 times the mean of |y − t| / max(|t|, 1e−7) over the last axis."""
    y_true, y_pred = pair("mean_absolute_percentage_error", y_true, y_pred)
    relative = np.abs((y_pred - y_true) / np.maximum(np.abs(y_true), EPSILON))
    return 100 * np.mean(relative, axis=-1)


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of (log(1 + y) − log(1 + t))² over the last axis; numbers below 1e−7 count as it."""
    y_true, y_pred = pair("mean_squared_logarithmic_error", y_true, y_pred)
    predicted = np.log1p(np.maximum(y_pred, EPSILON))
    return np.mean(np.square(predicted - np.log1p(np.maximum(y_true, EPSILON))), axis=-1)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """The mean over the last axis of ½e² where |e| ≤ delta, delta·|e| − ½delta² beyond."""
    y_true, y_pred = pair("huber", y_true, y_pred)
    error = y_pred - y_true
    size = np.abs(error)
    far = delta * size - 0.5 * delta * delta
    return np.mean(np.where(size <= delta, 0.5 * np.square(error), far), axis=-1)


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """The mean of log cosh(y − t) over the last axis; never overflows."""
    y_true, y_pred = pair("log_cosh", y_true, y_pred)
    error = y_pred - y_true
    # log cosh e = e + log(1 + exp(−2e)) − log 2, smooth at 0 as well.
    return np.mean(error - _log_expit(2 * error) - math.log(2), axis=-1)


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """−Σ t·y / (|t||y|) along the axis: −1 where both point the same way, 1 where opposite."""
    y_true, y_pred = pair("cosine_similarity", y_true, y_pred)
    return -np.sum(_unit(y_true, axis) * _unit(y_pred, axis), axis=axis)


def _unit(x: Any, axis: int) -> Any:
    """Vectors of length 1 along the axis; a vector of 0 stays."""
    return x / np.sqrt(np.maximum(np.sum(np.square(x), axis=axis, keepdims=True), 1e-24))


@register("loss")
class SquaredError(OutputLoss):
    """Half the sum of squares, as the lectures write it: ½ Σ (y − t)² over the outputs.

    Keras's mean over the outputs is `MeanSquaredError`.

    Args:
        half: False leaves the ½ out.
        reduction: "sum_over_batch_size" is the mean over the samples; "sum" the sum.
        name, dtype: as for every loss.

    Derivative: y − t, twice that without the half; of the mean, divided by the number of samples.

    Example:
        >>> loss = SquaredError(reduction="sum")
        >>> float(loss(np.array([[1.0, 0.0]]), np.array([[3.0, 1.0]])))
        2.5
    """

    function = staticmethod(squared_error)
    options: ClassVar[tuple[str, ...]] = ("half",)

    def __init__(
        self,
        half: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.half = bool(half)


@register("loss", "mse", "MSE")
class MeanSquaredError(OutputLoss):
    """The mean of (y − t)² over the outputs.

    Derivative: 2(y − t) / k for k outputs.

    Example:
        >>> float(MeanSquaredError()(np.array([[1.0, 0.0]]), np.array([[3.0, 1.0]])))
        2.5
    """

    function = staticmethod(mean_squared_error)


@register("loss", "mae", "MAE")
class MeanAbsoluteError(OutputLoss):
    """The mean of |y − t| over the outputs.

    Derivative: sign(y − t) / k for k outputs; 0 where y = t.

    Example:
        >>> float(MeanAbsoluteError()(np.array([[1.0, 0.0]]), np.array([[3.0, 1.0]])))
        1.5
    """

    function = staticmethod(mean_absolute_error)


@register("loss", "mape", "MAPE")
class MeanAbsolutePercentageError(OutputLoss):
    """100 times the mean of |y − t| / max(|t|, 1e−7) over the outputs.

    Example:
        >>> float(MeanAbsolutePercentageError()(np.array([[2.0]]), np.array([[3.0]])))
        50.0
    """

    function = staticmethod(mean_absolute_percentage_error)


@register("loss", "msle", "MSLE")
class MeanSquaredLogarithmicError(OutputLoss):
    """The mean of (log(1 + y) − log(1 + t))² over the outputs; labels can't be negative.

    Example:
        >>> float(MeanSquaredLogarithmicError()(np.array([[1.0]]), np.array([[3.0]])))
        0.4804530139182014
    """

    function = staticmethod(mean_squared_logarithmic_error)

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        super().check(y_true, output_shape)
        check_range(type(self).__name__, as_array(y_true), 0, np.inf)


@register("loss", "huber_loss")
class Huber(OutputLoss):
    """Squares near, absolute values far: ½e² where |e| ≤ delta, delta·|e| − ½delta² beyond.

    Args:
        delta: where one becomes the other.
        reduction, name, dtype: as for every loss.

    Derivative: e clipped to ±delta, divided by the number of outputs.

    Source: Huber, Robust estimation of a location parameter, 1964.

    Example:
        >>> float(Huber()(np.array([[0.0, 0.0]]), np.array([[0.5, 3.0]])))
        1.3125
    """

    function = staticmethod(huber)
    options: ClassVar[tuple[str, ...]] = ("delta",)

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name or "huber_loss", dtype)
        self.delta = float(delta)


@register("loss", "logcosh")
class LogCosh(OutputLoss):
    """The mean of log cosh(y − t) over the outputs; never overflows.

    Derivative: tanh(y − t) / k for k outputs.

    Example:
        >>> round(float(LogCosh()(np.array([[0.0]]), np.array([[1000.0]]))), 6)
        999.306853
    """

    function = staticmethod(log_cosh)


@register("loss")
class CosineSimilarity(FunctionLoss):
    """Minus the cosine of the angle between label and prediction: −1 is the best, 1 the worst.

    Args:
        axis: the axis that the vectors lie along.
        reduction, name, dtype: as for every loss.

    Derivative: 0 at a vector of 0.

    Example:
        >>> float(CosineSimilarity()(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]])))
        -1.0
    """

    function = staticmethod(cosine_similarity)
    options: ClassVar[tuple[str, ...]] = ("axis",)

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.axis = int(axis)

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        check_paired(type(self).__name__, as_array(y_true), output_shape)
