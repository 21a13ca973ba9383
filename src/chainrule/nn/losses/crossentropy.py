"""Cross-entropies, from logits or from probabilities.

From logits nothing overflows, and the gradient is softmax(logits) − labels (or sigmoid(logits) −
labels) to rounding. Probabilities are kept within [1e−7, 1 − 1e−7], as Keras does; beyond, the
gradient is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.base.registry import register
from chainrule.nn.labels import (
    check_classes,
    check_numbers,
    check_one_hot,
    check_range,
)
from chainrule.nn.loss import FunctionLoss, OutputLoss, as_array, as_float, pair
from chainrule.nn.losses.regression import EPSILON
from chainrule.ops.exponential_sum import shift
from chainrule.tracing.table import SCIPY_SPECIAL
from chainrule.tracing.trace import apply

_expit = SCIPY_SPECIAL["expit"]
_log_expit = SCIPY_SPECIAL["log_expit"]


# ---- two classes ---------------------------------------------------------------------------------


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The mean of −t log p − (1 − t) log(1 − p) along the axis."""
    y_true, y_pred = pair("binary_crossentropy", y_true, y_pred)
    return np.mean(_binary(_smooth(y_true, label_smoothing, 2), y_pred, from_logits), axis=axis)


def _binary(t: Any, y: Any, from_logits: bool) -> Any:
    if from_logits:
        # One logarithm of a number in [½, 1); both choices agree in value and slope at 0.
        positive = y >= 0
        return np.where(positive, 1 - t, -t) * y - _log_expit(np.where(positive, y, -y))
    p = np.clip(y, EPSILON, 1 - EPSILON)
    return -(t * np.log(p) + (1 - t) * np.log1p(-p))


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The binary cross-entropy times (1 − q)^gamma, q the probability given to the true class."""
    y_true, y_pred = pair("binary_focal_crossentropy", y_true, y_pred)
    t = _smooth(y_true, label_smoothing, 2)
    p = _expit(y_pred) if from_logits else y_pred
    missed = 1 - (t * p + (1 - t) * (1 - p))
    loss = missed**gamma * _binary(t, y_pred, from_logits)
    if apply_class_balancing:
        loss = (t * alpha + (1 - t) * (1 - alpha)) * loss
    return np.mean(loss, axis=axis)


def _smooth(t: Any, label_smoothing: float, classes: int) -> Any:
    if not label_smoothing:
        return t
    return t * (1 - label_smoothing) + label_smoothing / classes


class _Binary(OutputLoss):
    def __init__(
        self,
        from_logits: bool,
        label_smoothing: float,
        axis: int,
        reduction: str | None,
        name: str | None,
        dtype: Any,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.from_logits = bool(from_logits)
        self.label_smoothing = float(label_smoothing)
        self.axis = int(axis)

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        super().check(y_true, output_shape)
        check_range(type(self).__name__, as_array(y_true), 0, 1)


@register("loss", "bce", "BCE")
class BinaryCrossentropy(_Binary):
    """−t log p − (1 − t) log(1 − p), averaged over the outputs; labels 0, 1 or in between.

    Args:
        from_logits: the predictions are logits f with p = sigmoid(f), rather than p itself.
        label_smoothing: draws the labels towards ½ by this share.
        axis: what is averaged.
        reduction, name, dtype: as for every loss.

    Derivative: sigmoid(f) − t from logits, divided by the number of outputs.

    Example:
        >>> loss = BinaryCrossentropy(from_logits=True)
        >>> float(loss(np.array([1.0, 0.0]), np.array([1000.0, 0.0]))) * 2
        0.6931471805599453
    """

    function = staticmethod(binary_crossentropy)
    options: ClassVar[tuple[str, ...]] = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)


@register("loss")
class BinaryFocalCrossentropy(_Binary):
    """The binary cross-entropy times (1 − q)^gamma, which fades what is already right.

    Args:
        apply_class_balancing: weigh class 1 by alpha and class 0 by 1 − alpha.
        alpha: see apply_class_balancing.
        gamma: how fast it fades.
        from_logits, label_smoothing, axis: as for `BinaryCrossentropy`.
        reduction, name, dtype: as for every loss.

    Source: Lin, Goyal, Girshick, He and Dollár, Focal loss for dense object detection, 2017,
        equations 4 and 5.

    Example:
        >>> float(BinaryFocalCrossentropy()(np.array([[1.0]]), np.array([[0.5]])))
        0.17328679513998632
    """

    function = staticmethod(binary_focal_crossentropy)
    options: ClassVar[tuple[str, ...]] = (
        "apply_class_balancing",
        "alpha",
        "gamma",
        "from_logits",
        "label_smoothing",
        "axis",
    )

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.apply_class_balancing = bool(apply_class_balancing)
        self.alpha = float(alpha)
        self.gamma = float(gamma)


# ---- several classes -----------------------------------------------------------------------------


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """−Σ t log p along the axis, for one-hot labels or probabilities t."""
    y_pred = as_float(y_pred)
    y_true = as_float(y_true, y_pred.dtype)
    if np.shape(y_true) != np.shape(y_pred):
        raise ShapeError(
            "categorical_crossentropy: one-hot labels have the shape of the predictions",
            {"labels": np.shape(y_true), "predictions": np.shape(y_pred)},
            "for labels that are whole numbers use sparse_categorical_crossentropy",
        )
    t = _smooth(y_true, label_smoothing, np.shape(y_true)[axis])
    if not from_logits:
        return -np.sum(t * np.log(_probabilities(y_pred, axis)), axis=axis)
    lowered, log_total = _log_sum(y_pred, axis)
    return np.sum(t, axis=axis) * log_total - np.sum(t * lowered, axis=axis)


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """−log p of the true class, for labels that are whole numbers; NaN where one is no class."""
    y_true, y_pred = whole_labels("sparse_categorical_crossentropy", y_true, y_pred, axis)
    classes = y_pred.shape[-1]
    hot = np.arange(classes) == y_true[..., None]
    if from_logits:
        lowered, log_total = _log_sum(y_pred, -1)
        values = log_total - np.sum(np.where(hot, lowered, 0), axis=-1)
    else:
        chosen = np.sum(np.where(hot, y_pred, 0), axis=-1) / np.sum(y_pred, axis=-1)
        values = -np.log(np.clip(chosen, EPSILON, 1 - EPSILON))
    if ignore_class is None:
        return no_class_is_nan(y_true, values, classes)
    counts = (y_true != ignore_class).astype(values.dtype)
    return no_class_is_nan(np.where(y_true == ignore_class, 0, y_true), values * counts, classes)


def whole_labels(name: str, y_true: Any, y_pred: Any, axis: int = -1) -> tuple[Any, Any]:
    """Labels (…) and predictions (…, classes), classes moved to the end.

    Raises:
        ShapeError: they don't go together.
    """
    y_true, y_pred = as_array(y_true), as_float(y_pred)
    if axis not in (-1, np.ndim(y_pred) - 1):
        y_pred = np.moveaxis(y_pred, axis, -1)
    if np.ndim(y_true) == np.ndim(y_pred) and np.shape(y_true)[axis] == 1:
        y_true = np.squeeze(y_true, axis=axis)
    if np.shape(y_true) != np.shape(y_pred)[:-1]:
        raise ShapeError(
            f"{name}: one whole number is expected for each row of predictions",
            {"labels": np.shape(y_true), "predictions": np.shape(y_pred)},
            "for one-hot labels use categorical_crossentropy",
        )
    return y_true, y_pred


def no_class_is_nan(y_true: Any, values: Any, classes: int) -> Any:
    """NaN instead of a value whose label is no class: what a trace can say without raising."""
    known = np.logical_and(y_true >= 0, y_true < classes)
    number = values.dtype.type
    # Added, not chosen: the gradients are the same, and the program is half as long.
    return values + np.where(known, number(0), number(np.nan))


def _log_sum(logits: Any, axis: int) -> tuple[Any, Any]:
    """The logits lowered by their largest along the axis, and the logarithm of Σ exp of those."""
    lowered = logits - apply(shift, logits, axis=(axis % np.ndim(logits),))
    return lowered, np.log(np.sum(np.exp(lowered), axis=axis))


def _probabilities(y: Any, axis: int) -> Any:
    """Numbers that sum to 1 along the axis, none of them 0 or 1."""
    return np.clip(y / np.sum(y, axis=axis, keepdims=True), EPSILON, 1 - EPSILON)


@register("loss", "cce")
class CategoricalCrossentropy(FunctionLoss):
    """−Σ t log p over the classes, for labels that are one-hot or probabilities.

    Args:
        from_logits: the predictions are logits f with p = softmax(f), rather than p itself.
        label_smoothing: draws the labels towards 1/k by this share.
        axis: the axis of the classes.
        reduction, name, dtype: as for every loss.

    Derivative: softmax(f) − t from logits.

    Example:
        >>> loss = CategoricalCrossentropy(from_logits=True)
        >>> float(loss(np.array([[0.0, 1.0]]), np.array([[1000.0, 0.0]])))
        1000.0
    """

    function = staticmethod(categorical_crossentropy)
    options: ClassVar[tuple[str, ...]] = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.from_logits = bool(from_logits)
        self.label_smoothing = float(label_smoothing)
        self.axis = int(axis)

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        labels = as_array(y_true)
        check_numbers(type(self).__name__, labels)
        check_one_hot(type(self).__name__, labels, output_shape)


@register("loss", "scce")
class SparseCategoricalCrossentropy(FunctionLoss):
    """−log p of the true class, for labels that are whole numbers 0 … k−1.

    Args:
        from_logits: the predictions are logits f with p = softmax(f), rather than p itself.
        ignore_class: a label (often −1 or 255) whose samples don't count at all.
        reduction: as for every loss.
        axis: the axis of the classes.
        name, dtype: as for every loss.

    Derivative: softmax(f) − onehot(t) from logits.

    Example:
        >>> loss = SparseCategoricalCrossentropy(from_logits=True)
        >>> float(loss(np.array([1]), np.array([[1000.0, 0.0]])))
        1000.0
    """

    function = staticmethod(sparse_categorical_crossentropy)
    options: ClassVar[tuple[str, ...]] = ("from_logits", "ignore_class", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(reduction, name, dtype)
        self.from_logits = bool(from_logits)
        self.ignore_class = None if ignore_class is None else int(ignore_class)
        self.axis = int(axis)

    def counted(self, y_true: Any, y_pred: Any) -> Any:
        if self.ignore_class is None:
            return None
        y_true, _ = whole_labels(type(self).__name__, y_true, y_pred, self.axis)
        return y_true != self.ignore_class

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        labels, shape = as_array(y_true), list(output_shape)
        check_numbers(type(self).__name__, labels)
        shape.append(shape.pop(self.axis))
        check_classes(type(self).__name__, labels, shape, self.ignore_class)
