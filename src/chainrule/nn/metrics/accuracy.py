"""Accuracies: the share of the samples that are told right."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from chainrule.base.registry import register
from chainrule.nn.loss import as_array, as_float, pair
from chainrule.nn.losses.crossentropy import whole_labels
from chainrule.nn.metric import MeanMetric


@register("metric")
class Accuracy(MeanMetric):
    """The share of predictions that equal their labels exactly.

    In `metrics=`, the name "accuracy" stands for the accuracy that suits the loss.

    Example:
        >>> metric = Accuracy()
        >>> float(metric(np.array([1, 2, 3, 4]), np.array([0, 2, 3, 4])))
        0.75
    """

    def values(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = pair(type(self).__name__, y_true, y_pred)
        return y_true == y_pred


@register("metric")
class BinaryAccuracy(MeanMetric):
    """The share of outputs on the right side of a threshold.

    A label 1 is right where the prediction is above the threshold, any other label (0 or −1) where
    it isn't.

    Args:
        name, dtype: as for every metric.
        threshold: ½ for probabilities; 0 for logits and scores.

    Example:
        >>> metric = BinaryAccuracy()
        >>> float(metric(np.array([1, 1, 0, 0]), np.array([0.9, 0.4, 0.2, 0.6])))
        0.5
    """

    options: ClassVar[tuple[str, ...]] = ("threshold",)

    def __init__(self, name: str | None = None, dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(name, dtype)
        self.threshold = float(threshold)

    def values(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = pair(type(self).__name__, y_true, y_pred)
        right = (y_true == 1) == (y_pred > self.threshold)
        return right if np.ndim(right) < 2 else np.mean(right.astype(np.float64), axis=-1)


@register("metric")
class CategoricalAccuracy(MeanMetric):
    """The share of samples whose largest output is that of the one-hot label.

    Example:
        >>> metric = CategoricalAccuracy()
        >>> float(metric(np.eye(2), np.array([[0.9, 0.1], [0.8, 0.2]])))
        0.5
    """

    def values(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = pair(type(self).__name__, y_true, y_pred)
        return np.argmax(y_true, axis=-1) == np.argmax(y_pred, axis=-1)


@register("metric")
class SparseCategoricalAccuracy(MeanMetric):
    """The share of samples whose largest output is that of the label, a whole number.

    Example:
        >>> metric = SparseCategoricalAccuracy()
        >>> float(metric(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]])))
        0.5
    """

    def values(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = whole_labels(type(self).__name__, y_true, y_pred)
        return np.argmax(y_pred, axis=-1) == y_true


class _TopK(MeanMetric):
    options: ClassVar[tuple[str, ...]] = ("k",)

    def __init__(self, k: int = 5, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name or self.keras_name, dtype)
        self.k = int(k)

    keras_name: ClassVar[str]


def is_in_top(y_pred: Any, hot: Any, k: int) -> Any:
    """Whether the entry marked in `hot` is one of the k largest; a tie counts as one of them."""
    own = np.sum(np.where(hot, y_pred, 0), axis=-1, keepdims=True)
    ahead = np.sum((y_pred > own).astype(np.int64), axis=-1)
    return np.logical_and(ahead < k, np.isfinite(own[..., 0]))


@register("metric", "top_k_categorical_accuracy")
class TopKCategoricalAccuracy(_TopK):
    """The share of samples whose one-hot label is among the k largest outputs.

    Args:
        k: how many count.
        name, dtype: as for every metric.

    Example:
        >>> metric = TopKCategoricalAccuracy(k=2)
        >>> float(metric(np.eye(3), np.array([[0.5, 0.4, 0.1]] * 3))).__round__(3)
        0.667
    """

    keras_name = "top_k_categorical_accuracy"

    def values(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = pair(type(self).__name__, y_true, y_pred)
        hot = np.arange(y_pred.shape[-1]) == np.argmax(y_true, axis=-1)[..., None]
        return is_in_top(y_pred, hot, self.k)


@register("metric", "sparse_top_k_categorical_accuracy")
class SparseTopKCategoricalAccuracy(_TopK):
    """The share of samples whose label, a whole number, is among the k largest outputs.

    Args:
        k: how many count.
        name, dtype: as for every metric.

    Example:
        >>> metric = SparseTopKCategoricalAccuracy(k=2)
        >>> float(metric(np.array([0, 2]), np.array([[0.5, 0.4, 0.1]] * 2)))
        0.5
    """

    keras_name = "sparse_top_k_categorical_accuracy"

    def values(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = whole_labels(type(self).__name__, as_array(y_true), as_float(y_pred))
        hot = np.arange(y_pred.shape[-1]) == y_true[..., None]
        return is_in_top(y_pred, hot, self.k)
