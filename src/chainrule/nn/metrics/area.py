"""The area under a curve of alarms, from counts at fixed thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import register
from chainrule.nn.activations import sigmoid
from chainrule.nn.loss import pair
from chainrule.nn.metric import Metric, State, ratio
from chainrule.nn.metrics.confusion import alarms

_EPSILON = 1e-7
_COUNTS = ("true_positives", "false_positives", "false_negatives", "true_negatives")


@register("metric")
class AUC(Metric):
    """The area under the ROC or the precision-recall curve.

    The curve goes through the points of fixed thresholds, so that batches add up.

    Args:
        num_thresholds: how many thresholds, spread evenly over [0, 1].
        curve: "ROC" (share found over share of false alarms) or "PR" (precision over recall).
        summation_method: between the points "interpolation" (Davis and Goadrich's for PR, straight
            lines for ROC), or the larger or smaller height: "majoring", "minoring".
        name, dtype: as for every metric.
        thresholds: these instead, in (0, 1).
        multi_label: one area for each output, averaged.
        num_labels: the number of outputs, if it has to be known before the first batch.
        label_weights: how much each output counts.
        from_logits: the predictions are logits, and go through a sigmoid first.

    Raises:
        ArgumentError: an unknown curve or method, fewer than 2 thresholds, or num_labels without
            multi_label.

    Source: Davis and Goadrich, The relationship between precision-recall and ROC curves, 2006.

    Example:
        >>> metric = AUC(num_thresholds=3)
        >>> float(metric(np.array([0, 0, 1, 1]), np.array([0.0, 0.5, 0.3, 0.9])))
        0.75
    """

    options: ClassVar[tuple[str, ...]] = (
        "num_thresholds",
        "curve",
        "summation_method",
        "thresholds",
        "multi_label",
        "num_labels",
        "label_weights",
        "from_logits",
    )

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name, dtype)
        _one_of("curve", curve, ("ROC", "PR"))
        _one_of("summation_method", summation_method, ("interpolation", "minoring", "majoring"))
        if thresholds is None and num_thresholds < 2:
            raise ArgumentError("AUC: two thresholds at least", {"num_thresholds": num_thresholds})
        if num_labels is not None and not multi_label:
            raise ArgumentError("AUC: num_labels goes with multi_label=True")
        self.num_thresholds = num_thresholds if thresholds is None else len(thresholds) + 2
        self.curve = curve
        self.summation_method = summation_method
        self.thresholds = None if thresholds is None else sorted(thresholds)
        self.multi_label = bool(multi_label)
        self.num_labels = num_labels
        self.label_weights = None if label_weights is None else list(label_weights)
        self.from_logits = bool(from_logits)
        between = np.arange(1, self.num_thresholds - 1) / (self.num_thresholds - 1)
        inner = between if thresholds is None else np.asarray(self.thresholds)
        self._limits = np.concatenate([[-_EPSILON], inner, [1 + _EPSILON]])

    def init(self) -> State:
        shape: tuple[int, ...] = (self.num_thresholds,)
        if self.multi_label:
            shape += (self.num_labels or self.outputs(),)
        return {name: np.zeros(shape) for name in _COUNTS}

    def update(self, state: State, y_true: Any, y_pred: Any, weights: Any = None) -> State:
        y_true, y_pred = pair("AUC", y_true, y_pred)
        if self.from_logits:
            y_pred = sigmoid(y_pred)
        counts = alarms(y_true, y_pred, self._limits, weights)
        if not self.multi_label:
            shares = self.label_weights
            flat = (np.reshape(c, (self.num_thresholds, -1)) for c in counts)
            counts = tuple(np.sum(c if shares is None else c * np.asarray(shares), 1) for c in flat)
        return {name: state[name] + c for name, c in zip(_COUNTS, counts, strict=True)}

    def value(self, state: State) -> Any:
        areas = np.sum(self._pieces(*(state[name] for name in _COUNTS)), axis=0)
        if not self.multi_label:
            return areas
        if self.label_weights is None:
            return np.mean(areas)
        shares = np.asarray(self.label_weights, np.float64)
        return ratio(np.sum(areas * shares), np.sum(shares))

    def _pieces(self, true: Any, false: Any, missed: Any, quiet: Any) -> Any:
        """The areas between neighbouring points of the curve."""
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _precision_pieces(true, true + false, true + missed)
        recall = ratio(true, true + missed)
        if self.curve == "ROC":
            x, y = ratio(false, false + quiet), recall
        else:
            x, y = recall, ratio(true, true + false)
        heights = {
            "interpolation": (y[:-1] + y[1:]) / 2,
            "minoring": np.minimum(y[:-1], y[1:]),
            "majoring": np.maximum(y[:-1], y[1:]),
        }[self.summation_method]
        return (x[:-1] - x[1:]) * heights


def _precision_pieces(true: Any, alarm: Any, positive: Any) -> Any:
    """∫ precision d recall, true alarms taken as linear in alarms between two thresholds."""
    more_true, more = true[:-1] - true[1:], np.maximum(alarm[:-1] - alarm[1:], 0)
    slope = ratio(more_true, more)
    intercept = true[1:] - slope * alarm[1:]
    both = np.logical_and(alarm[:-1] > 0, alarm[1:] > 0)
    growth = np.where(both, ratio(alarm[:-1], alarm[1:]), 1)
    return ratio(slope * (more_true + intercept * np.log(growth)), positive[1:])


def _one_of(name: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise ArgumentError(
            f"AUC: there is no such {name}", {name: repr(given), "known": ", ".join(known)}
        )
