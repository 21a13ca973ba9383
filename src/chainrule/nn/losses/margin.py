"""Losses of labels that are signs or classes, and scores of any size: hinges and logistic loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import register
from chainrule.nn.labels import check_among, check_classes, check_numbers, check_one_hot
from chainrule.nn.loss import FunctionLoss, OutputLoss, as_array, pair
from chainrule.nn.losses.crossentropy import no_class_is_nan, whole_labels
from chainrule.tracing.table import SCIPY_SPECIAL

_log_expit = SCIPY_SPECIAL["log_expit"]


def negative_log_likelihood(y_true: Any, y_pred: Any, labels: Sequence[int] = (0, 1)) -> Any:
    """The mean of −log sigmoid(±f) over the last axis, for labels 0 and 1 or −1 and 1."""
    y_true, y_pred = pair("negative_log_likelihood", y_true, y_pred)
    signs = 2 * y_true - 1 if labels[0] == 0 else y_true
    return np.mean(-_log_expit(signs * y_pred), axis=-1)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean of max(0, 1 − t·y) over the last axis; labels −1 or 1, a label 0 counts as −1."""
    y_true, y_pred = pair("hinge", y_true, y_pred)
    return np.mean(np.maximum(1 - _signs(y_true) * y_pred, 0), axis=-1)


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean of max(0, 1 − t·y)² over the last axis; labels as for hinge."""
    y_true, y_pred = pair("squared_hinge", y_true, y_pred)
    return np.mean(np.square(np.maximum(1 - _signs(y_true) * y_pred, 0)), axis=-1)


def _signs(y_true: Any) -> Any:
    return np.where(y_true == 0, -1, y_true)


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(0, 1 + the largest (1 − t)·y − Σ t·y) over the last axis, for one-hot labels."""
    y_true, y_pred = pair("categorical_hinge", y_true, y_pred)
    own = np.sum(y_true * y_pred, axis=-1)
    return np.maximum(np.max((1 - y_true) * y_pred, axis=-1) - own + 1, 0)


def multiclass_hinge(y_true: Any, y_pred: Any, margin: float = 1.0) -> Any:
    """Σ over the wrong classes j of max(0, s_j − s_t + margin), for whole-number labels."""
    y_true, scores = whole_labels("multiclass_hinge", y_true, y_pred)
    classes = scores.shape[-1]
    hot = np.arange(classes) == y_true[..., None]
    own = np.sum(np.where(hot, scores, 0), axis=-1, keepdims=True)
    # Multiplied, not chosen: a choice is remembered by all derivatives that come before it.
    wrong = np.logical_not(hot).astype(scores.dtype)
    margins = np.sum(wrong * np.maximum(scores - own + margin, 0), axis=-1)
    return no_class_is_nan(y_true, margins, classes)


@register("loss", "nll")
class NegativeLogLikelihood(OutputLoss):
    """The logistic loss of a score f: −log sigmoid((2t − 1)f), or −log sigmoid(t·f) for ±1.

    Args:
        labels: (0, 1) or (−1, 1): what the labels are.
        reduction, name, dtype: as for every loss.

    Raises:
        ArgumentError: other labels.

    Derivative: sigmoid(f) − t for labels 0 and 1, −t · sigmoid(−t·f) for −1 and 1.

    Example:
        >>> loss = NegativeLogLikelihood(labels=(-1, 1))
        >>> round(float(loss(np.array([-1]), np.array([2.0]))), 6)
        2.126928
    """

    function = staticmethod(negative_log_likelihood)
    options: ClassVar[tuple[str, ...]] = ("labels",)

    def __init__(
        self,
        labels: Sequence[int] = (0, 1),
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        if tuple(labels) not in ((0, 1), (-1, 1)):
            raise ArgumentError(
                "NegativeLogLikelihood: the labels are (0, 1) or (-1, 1)",
                {"labels": repr(labels)[:60]},
            )
        self.labels = list(labels)

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        super().check(y_true, output_shape)
        other = (-1, 1) if self.labels[0] == 0 else (0, 1)
        check_among(
            type(self).__name__,
            as_array(y_true),
            tuple(self.labels),
            f"for labels {other[0]} and {other[1]}: NegativeLogLikelihood(labels={other})",
        )


class _Signs(OutputLoss):
    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        super().check(y_true, output_shape)
        check_among(
            type(self).__name__,
            as_array(y_true),
            (-1, 0, 1),
            "for more than two classes use MulticlassHinge",
        )


@register("loss")
class Hinge(_Signs):
    """max(0, 1 − t·y) for labels −1 and 1 (or 0 and 1), averaged over the outputs.

    Derivative: −t where t·y < 1, else 0, divided by the number of outputs.

    Example:
        >>> float(Hinge()(np.array([1, -1]), np.array([0.5, -3.0])))
        0.25
    """

    function = staticmethod(hinge)


@register("loss")
class SquaredHinge(_Signs):
    """max(0, 1 − t·y)² for labels −1 and 1 (or 0 and 1), averaged over the outputs.

    Example:
        >>> float(SquaredHinge()(np.array([1, -1]), np.array([0.5, -3.0])))
        0.125
    """

    function = staticmethod(squared_hinge)


@register("loss")
class CategoricalHinge(FunctionLoss):
    """max(0, 1 + the largest wrong score − the right score), for one-hot labels.

    `MulticlassHinge` sums over all wrong classes. As in Keras, the right class takes part in the
    maximum with a score of 0.

    Example:
        >>> float(CategoricalHinge()(np.array([[0, 1, 0]]), np.array([[2.0, 1.5, 1.0]])))
        1.5
    """

    function = staticmethod(categorical_hinge)

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        labels = as_array(y_true)
        check_numbers(type(self).__name__, labels)
        check_one_hot(type(self).__name__, labels, output_shape)


@register("loss")
class MulticlassHinge(FunctionLoss):
    """The hinge of support vector machines, summed over the wrong classes.

    Σ over j ≠ t of max(0, s_j − s_t + margin), for labels t that are whole numbers 0 … k−1.

    Args:
        margin: by how much the right score has to lead.
        reduction, name, dtype: as for every loss.

    Derivative: 1 for each wrong class within the margin, minus their number for the right class.

    Source: Weston and Watkins, Support vector machines for multi-class pattern recognition, 1999.

    Example:
        >>> float(MulticlassHinge()(np.array([1]), np.array([[2.0, 1.5, 1.0]])))
        2.0
    """

    function = staticmethod(multiclass_hinge)
    options: ClassVar[tuple[str, ...]] = ("margin",)

    def __init__(
        self,
        margin: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.margin = float(margin)

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        labels = as_array(y_true)
        check_numbers(type(self).__name__, labels)
        check_classes(type(self).__name__, labels, output_shape, one_hot="CategoricalHinge")
