"""Metrics of numbers: means of errors, and the share of the variance that is explained."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import register
from chainrule.nn import losses
from chainrule.nn.loss import align, pair
from chainrule.nn.metric import MeanLoss, Metric, State, add_values, ratio, weighed


@register("metric")
class Mean(Metric):
    """The weighted mean of the numbers it is given.

    Example:
        >>> metric = Mean()
        >>> float(metric(np.array([1.0, 2.0, 6.0])))
        3.0
    """

    def init(self) -> State:
        return {"total": np.zeros(()), "count": np.zeros(())}

    def update(self, state: State, values: Any, weights: Any = None) -> State:
        return add_values(state, values, weights)

    def value(self, state: State) -> Any:
        return ratio(state["total"], state["count"])


class _OfLoss(MeanLoss):
    """A loss's mean, as a metric that can be made without arguments."""

    made_of: ClassVar[type[losses.Loss]]

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        loss = self.made_of()
        super().__init__(loss, name or loss.name, dtype)


@register("metric", "mse", "MSE")
class MeanSquaredError(_OfLoss):
    """The mean of (y − t)².

    Example:
        >>> float(MeanSquaredError()(np.array([0.0, 0.0]), np.array([1.0, 3.0])))
        5.0
    """

    made_of = losses.MeanSquaredError


@register("metric", "rmse", "RMSE")
class RootMeanSquaredError(MeanSquaredError):
    """The root of the mean of (y − t)² over all samples.

    Example:
        >>> float(RootMeanSquaredError()(np.array([0.0, 0.0]), np.array([1.0, 7.0])))
        5.0
    """

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name or "root_mean_squared_error", dtype)

    def value(self, state: State) -> Any:
        return np.sqrt(super().value(state))


@register("metric", "mae", "MAE")
class MeanAbsoluteError(_OfLoss):
    """The mean of |y − t|.

    Example:
        >>> float(MeanAbsoluteError()(np.array([0.0, 0.0]), np.array([1.0, -3.0])))
        2.0
    """

    made_of = losses.MeanAbsoluteError


@register("metric", "mape", "MAPE")
class MeanAbsolutePercentageError(_OfLoss):
    """100 times the mean of |y − t| / |t|."""

    made_of = losses.MeanAbsolutePercentageError


@register("metric", "msle", "MSLE")
class MeanSquaredLogarithmicError(_OfLoss):
    """The mean of (log(1 + y) − log(1 + t))²."""

    made_of = losses.MeanSquaredLogarithmicError


@register("metric", "logcosh")
class LogCosh(_OfLoss):
    """The mean of log cosh(y − t)."""

    made_of = losses.LogCosh


@register("metric")
class CosineSimilarity(MeanLoss):
    """The mean cosine of the angle between label and prediction: 1 is the best, −1 the worst.

    The loss of the same name is minus this.

    Example:
        >>> float(CosineSimilarity()(np.array([[1.0, 0.0]]), np.array([[2.0, 0.0]])))
        1.0
    """

    options: ClassVar[tuple[str, ...]] = ("axis",)

    def __init__(self, name: str | None = None, dtype: Any = None, axis: int = -1) -> None:
        loss = losses.CosineSimilarity(axis)
        super().__init__(loss, name or loss.name, dtype)
        self.axis = loss.axis

    def value(self, state: State) -> Any:
        return -super().value(state)


_AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


@register("metric")
class R2Score(Metric):
    """The share of the labels' variance that is explained: 1 − Σ (t − y)² / Σ (t − mean t)².

    Args:
        class_aggregation: how several outputs become one number: "uniform_average",
            "variance_weighted_average", or None for one number each.
        num_regressors: with p > 0, the adjusted score 1 − (1 − R²)(n − 1) / (n − p − 1); without
            effect while n ≤ p + 1.
        name, dtype: as for every metric.

    Raises:
        ArgumentError: an unknown aggregation, or a negative number.

    Example:
        >>> metric = R2Score()
        >>> float(metric(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [2.0], [4.0]])))
        0.5
    """

    options: ClassVar[tuple[str, ...]] = ("class_aggregation", "num_regressors")

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, dtype)
        if class_aggregation not in _AGGREGATIONS or num_regressors < 0:
            raise ArgumentError(
                "R2Score: no such way to aggregate, or a negative number of regressors",
                {
                    "class_aggregation": repr(class_aggregation),
                    "known": ", ".join(map(repr, _AGGREGATIONS)),
                    "num_regressors": num_regressors,
                },
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = int(num_regressors)

    def init(self) -> State:
        zeros = np.zeros(self.outputs())
        names = ("sum", "squared_sum", "residual", "count")
        return {**{name: zeros.copy() for name in names}, "samples": np.zeros(())}

    def update(self, state: State, y_true: Any, y_pred: Any, weights: Any = None) -> State:
        y_true, y_pred = pair(type(self).__name__, y_true, y_pred)
        t, y = y_true.astype(np.float64), y_pred.astype(np.float64)
        if np.ndim(t) == 1:
            t, y = t[:, None], y[:, None]
        w = np.ones(t.shape) if weights is None else align(weights, t) * np.ones(t.shape)
        return {
            "sum": state["sum"] + np.sum(weighed(t, w), axis=0),
            "squared_sum": state["squared_sum"] + np.sum(weighed(t * t, w), axis=0),
            "residual": state["residual"] + np.sum(weighed(np.square(t - y), w), axis=0),
            "count": state["count"] + np.sum(w, axis=0),
            "samples": state["samples"] + np.sum((w[:, 0] != 0).astype(np.float64)),
        }

    def value(self, state: State) -> Any:
        spread = state["squared_sum"] - ratio(state["sum"] ** 2, state["count"])
        # Labels that are all the same have no variance to explain: 0, as in Keras.
        scores: Any = np.where(spread == 0, 0, 1 - ratio(state["residual"], spread))
        if self.class_aggregation == "uniform_average":
            scores = np.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ratio(np.sum(spread * scores), np.sum(spread))
        if not self.num_regressors:
            return scores
        left = state["samples"] - self.num_regressors - 1
        adjusted = 1 - (1 - scores) * (state["samples"] - 1) / np.where(left > 0, left, 1)
        return np.where(left > 0, adjusted, scores)[()]
