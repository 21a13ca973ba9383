"""What an entry of `metrics=` means: a name, a metric, a loss or a function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import get
from chainrule.nn.loss import Loss
from chainrule.nn.losses import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalHinge,
    Hinge,
    MulticlassHinge,
    NegativeLogLikelihood,
    SparseCategoricalCrossentropy,
    SquaredHinge,
    as_loss,
)
from chainrule.nn.metric import FunctionMetric, LossMetric, Metric
from chainrule.nn.metrics import probability
from chainrule.nn.metrics.accuracy import (
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
)

_BINARY = (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    NegativeLogLikelihood,
    Hinge,
    SquaredHinge,
)
_CATEGORICAL = (CategoricalCrossentropy, CategoricalHinge)
_SPARSE = (SparseCategoricalCrossentropy, MulticlassHinge)


def resolve(
    identifier: Any,
    loss: Any = None,
    label_shape: Sequence[int | None] | None = (None,),
    output_shape: Sequence[int | None] = (None, 1),
) -> Metric:
    """The metric that an entry of `metrics=` means, built for the output's shape.

    "accuracy" (or "acc") is the binary, categorical or sparse categorical accuracy, and
    "crossentropy" (or "ce") the cross-entropy: by the loss if it is one of probabilities or
    margins, else by the shapes, as Keras does. Where the loss works on logits or scores, the
    threshold of the binary accuracy is 0, not ½, and other metrics given by a name read logits
    too. A metric given by a name is shown under it.

    Args:
        identifier: a name, a metric, a class of one, a loss, a function or a config.
        loss: the loss that the model is trained with, or None.
        label_shape: the shape of the labels, their number first; None if there are none.
        output_shape: the shape of the output, the batch first.

    Returns:
        A metric.

    Raises:
        ArgumentError: no metric has this name.

    Example:
        >>> type(resolve("accuracy", None, (60, 1), (60, 10))).__name__
        'SparseCategoricalAccuracy'
    """
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        metric = _accuracy(identifier, loss, label_shape, output_shape)
    elif isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        metric = _crossentropy(identifier, loss, label_shape, output_shape)
    else:
        metric = _found(identifier)
        if isinstance(identifier, str):
            if getattr(loss, "from_logits", False):
                metric = _of_scores(metric)
            metric.name = identifier
    metric.build(output_shape)
    return metric


def _found(identifier: Any) -> Metric:
    try:
        found = get("metric", identifier)
    except ArgumentError as no_metric:
        # Every loss is a metric too, such as "huber".
        try:
            found = as_loss(identifier)
        except ArgumentError:
            raise no_metric from None
    if found is None:
        raise ArgumentError("None is no metric", fix="leave it out of metrics=")
    if isinstance(found, Loss):
        return LossMetric(found)
    return found if isinstance(found, Metric) else FunctionMetric(found)


def _of_scores(metric: Metric) -> Metric:
    """The metric as it reads logits, if it tells them from probabilities."""
    if type(metric) is BinaryAccuracy:
        return BinaryAccuracy(threshold=0.0)
    if "from_logits" in getattr(metric, "options", ()):
        return type(metric)(from_logits=True)  # type: ignore[call-arg]
    return metric


def _accuracy(name: str, loss: Any, labels: Any, output: Any) -> Metric:
    kind = _kind(loss, labels, output)
    if kind == "binary":
        scores = getattr(loss, "from_logits", isinstance(loss, _BINARY))
        return BinaryAccuracy(name, threshold=0.0 if scores else 0.5)
    return (SparseCategoricalAccuracy if kind == "sparse" else CategoricalAccuracy)(name)


def _crossentropy(name: str, loss: Any, labels: Any, output: Any) -> Metric:
    logits = bool(getattr(loss, "from_logits", False))
    kind = _kind(loss, labels, output)
    if kind == "binary":
        return probability.BinaryCrossentropy(name, from_logits=logits)
    if kind == "sparse":
        return probability.SparseCategoricalCrossentropy(name, from_logits=logits)
    return probability.CategoricalCrossentropy(name, from_logits=logits)


def _kind(loss: Any, labels: Sequence[int | None] | None, output: Sequence[int | None]) -> str:
    for kind, losses in (("binary", _BINARY), ("categorical", _CATEGORICAL), ("sparse", _SPARSE)):
        if isinstance(loss, losses):
            return kind
    if len(output) < 2 or output[-1] == 1:
        return "binary"
    if labels is None or len(labels) < len(output) or labels[-1] == 1:
        return "sparse"
    return "categorical"
