"""Metrics of right and wrong alarms: precision, recall, F scores, the area under a curve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import register
from chainrule.nn.loss import align, pair
from chainrule.nn.metric import Metric, State, ratio

_NEVER = -1e10  # below every prediction


def alarms(
    y_true: Any, y_pred: Any, thresholds: Any, weights: Any = None
) -> tuple[Any, Any, Any, Any]:
    """Weighted counts of true and false alarms and misses, for each threshold.

    Args:
        y_true: labels; what is above 0 is positive.
        y_pred: predictions of the same shape, (n, …); above a threshold they are alarms.
        thresholds: T numbers.
        weights: how much each sample counts, or None.

    Returns:
        True positives, false positives, false negatives and true negatives: float64, (T, …) with
        the axes of the predictions behind the first.
    """
    limits = np.asarray(thresholds, np.float64).astype(y_pred.dtype)
    limits = np.reshape(limits, (-1,) + (1,) * np.ndim(y_pred))
    w = np.ones(np.shape(y_pred))
    if weights is not None:
        w = align(weights, y_pred).astype(np.float64) * w
    positive = y_true > 0
    alarm = y_pred > limits
    true = np.sum(np.where(np.logical_and(alarm, positive), w, 0), axis=1)
    false = np.sum(np.where(np.logical_and(alarm, np.logical_not(positive)), w, 0), axis=1)
    all_positive = np.sum(np.where(positive, w, 0), axis=0)
    all_negative = np.sum(np.where(positive, 0, w), axis=0)
    return true, false, all_positive - true, all_negative - false


class _Alarms(Metric):
    """Precision and recall: a share of two sums of alarms."""

    options: ClassVar[tuple[str, ...]] = ("thresholds", "top_k", "class_id")

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, dtype)
        self.thresholds = list(thresholds) if isinstance(thresholds, Sequence) else thresholds
        self.top_k = top_k
        self.class_id = class_id
        given = [thresholds] if isinstance(thresholds, (int, float)) else thresholds
        if given is not None and not all(0 <= limit <= 1 for limit in given):
            raise ArgumentError(
                f"{type(self).__name__}: thresholds lie in [0, 1]", {"thresholds": thresholds}
            )
        self._limits = list(given) if given is not None else [0.5 if top_k is None else _NEVER]

    def init(self) -> State:
        return {name: np.zeros(len(self._limits)) for name in ("right", "wrong")}

    def counted(self, y_true: Any, y_pred: Any, weights: Any) -> tuple[Any, Any, Any]:
        """True alarms, false alarms and misses of one batch, for each threshold."""
        y_true, y_pred = pair(type(self).__name__, y_true, y_pred)
        if self.top_k is not None:
            ahead = np.sum(y_pred[..., None, :] > y_pred[..., :, None], axis=-1)
            y_pred = np.where(ahead < self.top_k, y_pred, y_pred.dtype.type(2 * _NEVER))
        if self.class_id is not None:
            y_true, y_pred = y_true[..., self.class_id], y_pred[..., self.class_id]
        counts = alarms(y_true, y_pred, self._limits, weights)
        true, false, missed = (
            np.sum(np.reshape(c, (len(self._limits), -1)), 1) for c in counts[:3]
        )
        return true, false, missed

    def value(self, state: State) -> Any:
        shares = ratio(state["right"], state["right"] + state["wrong"])
        return shares[0] if len(self._limits) == 1 else shares


@register("metric")
class Precision(_Alarms):
    """The share of the alarms that are right.

    Args:
        thresholds: what a prediction has to exceed to be an alarm, one number or several; ½ if not
            given.
        top_k: only the k largest outputs of a sample can be alarms.
        class_id: only this output counts.
        name, dtype: as for every metric.

    Raises:
        ArgumentError: a threshold outside [0, 1].

    Example:
        >>> metric = Precision()
        >>> float(metric(np.array([0, 1, 1, 1]), np.array([1.0, 0.0, 1.0, 1.0]))).__round__(4)
        0.6667
    """

    def update(self, state: State, y_true: Any, y_pred: Any, weights: Any = None) -> State:
        true, false, _ = self.counted(y_true, y_pred, weights)
        return {"right": state["right"] + true, "wrong": state["wrong"] + false}


@register("metric")
class Recall(_Alarms):
    """The share of the positive labels that are found.

    Args:
        thresholds, top_k, class_id: as for `Precision`.
        name, dtype: as for every metric.

    Raises:
        ArgumentError: a threshold outside [0, 1].

    Example:
        >>> metric = Recall()
        >>> float(metric(np.array([0, 1, 1, 1]), np.array([1.0, 0.0, 1.0, 1.0]))).__round__(4)
        0.6667
    """

    def update(self, state: State, y_true: Any, y_pred: Any, weights: Any = None) -> State:
        true, _, missed = self.counted(y_true, y_pred, weights)
        return {"right": state["right"] + true, "wrong": state["wrong"] + missed}


@register("metric")
class FBetaScore(Metric):
    """(1 + β²) · precision · recall / (β² · precision + recall), for each output.

    Args:
        average: how the outputs become one number: "macro" (the plain mean), "weighted" (by the
            number of positive labels), "micro" (all counted together), or None for one each.
        beta: how much more recall counts than precision.
        threshold: what an output has to exceed; None: the largest output of a sample counts.
        name, dtype: as for every metric.

    Raises:
        ArgumentError: an unknown average, β ≤ 0 or a threshold outside (0, 1]; or one output and no
            threshold.

    Source: van Rijsbergen, Information retrieval, 1979, chapter 7.

    Example:
        >>> metric = FBetaScore(beta=2.0, threshold=0.5)
        >>> metric(np.array([[1, 1], [1, 0]]), np.array([[0.2, 0.6], [0.7, 0.4]])).round(4)
        array([0.5556, 1.    ])
    """

    options: ClassVar[tuple[str, ...]] = ("average", "beta", "threshold")

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name or self.keras_name, dtype)
        if average not in (None, "micro", "macro", "weighted"):
            raise ArgumentError(
                f"{type(self).__name__}: there is no such average",
                {"average": repr(average), "known": "None, 'micro', 'macro', 'weighted'"},
            )
        if not beta > 0 or not (threshold is None or 0 < threshold <= 1):
            raise ArgumentError(
                f"{type(self).__name__}: beta is above 0, a threshold above 0 and at most 1",
                {"beta": beta, "threshold": threshold},
            )
        self.average, self.beta, self.threshold = average, beta, threshold

    keras_name: ClassVar[str] = "fbeta_score"

    def init(self) -> State:
        count = self.outputs()
        if count == 1 and self.threshold is None:
            raise ArgumentError(
                f"{type(self).__name__}: the largest of one output says nothing",
                fix=f"{type(self).__name__}(threshold=0.5)",
            )
        return {name: np.zeros(count) for name in ("true", "false", "missed")}

    def update(self, state: State, y_true: Any, y_pred: Any, weights: Any = None) -> State:
        y_true, y_pred = pair(type(self).__name__, y_true, y_pred)
        if np.ndim(y_pred) == 1:
            y_true, y_pred = y_true[:, None], y_pred[:, None]
        if self.threshold is None:
            most = np.max(y_pred, axis=-1, keepdims=True)
            alarm = np.logical_and(y_pred >= most, np.abs(y_pred) > 1e-9)
        else:
            alarm = y_pred > self.threshold
        true, false, missed, _ = alarms(y_true, alarm.astype(y_pred.dtype), [0.5], weights)
        return {
            "true": state["true"] + true[0],
            "false": state["false"] + false[0],
            "missed": state["missed"] + missed[0],
        }

    def value(self, state: State) -> Any:
        true, false, missed = state["true"], state["false"], state["missed"]
        if self.average == "micro":
            true, false, missed = np.sum(true), np.sum(false), np.sum(missed)
        square = self.beta**2
        scores = ratio((1 + square) * true, (1 + square) * true + square * missed + false)
        if self.average == "weighted":
            positive = true + missed
            return ratio(np.sum(scores * positive), np.sum(positive))
        return np.mean(scores) if self.average == "macro" else scores


@register("metric")
class F1Score(FBetaScore):
    """The harmonic mean of precision and recall, for each output.

    Args:
        average, threshold: as for `FBetaScore`.
        name, dtype: as for every metric.

    Raises:
        ArgumentError: as for `FBetaScore`.

    Example:
        >>> metric = F1Score(threshold=0.5)
        >>> metric(np.array([[1, 1], [1, 0]]), np.array([[0.2, 0.6], [0.7, 0.4]])).round(4)
        array([0.6667, 1.    ])
    """

    options: ClassVar[tuple[str, ...]] = ("average", "threshold")
    keras_name = "f1_score"

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)
