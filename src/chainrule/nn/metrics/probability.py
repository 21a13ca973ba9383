"""The losses of probabilities and margins, as metrics."""

from __future__ import annotations

from typing import Any, ClassVar

from chainrule.base.registry import register
from chainrule.nn import losses
from chainrule.nn.metric import MeanLoss


@register("metric", "kld", "KLD", "kl_divergence")
class KLDivergence(MeanLoss):
    """The mean of Kullback and Leibler's divergence Σ t log(t / p)."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(losses.KLDivergence(), name, dtype)


@register("metric")
class Poisson(MeanLoss):
    """The mean of y − t log y."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(losses.Poisson(), name, dtype)


@register("metric")
class Hinge(MeanLoss):
    """The mean of max(0, 1 − t·y)."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(losses.Hinge(), name, dtype)


@register("metric")
class SquaredHinge(MeanLoss):
    """The mean of max(0, 1 − t·y)²."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(losses.SquaredHinge(), name, dtype)


@register("metric")
class CategoricalHinge(MeanLoss):
    """The mean of max(0, 1 + the largest wrong score − the right score)."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(losses.CategoricalHinge(), name, dtype)


@register("metric", "bce", "BCE")
class BinaryCrossentropy(MeanLoss):
    """The mean of the binary cross-entropy.

    Args:
        name, dtype: as for every metric.
        from_logits, label_smoothing: as for the loss.
    """

    options: ClassVar[tuple[str, ...]] = ("from_logits", "label_smoothing")

    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(losses.BinaryCrossentropy(from_logits, label_smoothing), name, dtype)
        self.from_logits = bool(from_logits)
        self.label_smoothing = float(label_smoothing)


@register("metric")
class CategoricalCrossentropy(MeanLoss):
    """The mean of the cross-entropy of one-hot labels.

    Args:
        name, dtype: as for every metric.
        from_logits, label_smoothing, axis: as for the loss.
    """

    options: ClassVar[tuple[str, ...]] = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        loss = losses.CategoricalCrossentropy(from_logits, label_smoothing, axis)
        super().__init__(loss, name, dtype)
        self.from_logits, self.label_smoothing = loss.from_logits, loss.label_smoothing
        self.axis = loss.axis


@register("metric")
class SparseCategoricalCrossentropy(MeanLoss):
    """The mean of the cross-entropy of labels that are whole numbers.

    Args:
        name, dtype: as for every metric.
        from_logits, ignore_class, axis: as for the loss.
    """

    options: ClassVar[tuple[str, ...]] = ("from_logits", "ignore_class", "axis")

    def __init__(
        self,
        name: str | None = None,
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        loss = losses.SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis)
        super().__init__(loss, name, dtype)
        self.from_logits, self.ignore_class = loss.from_logits, loss.ignore_class
        self.axis = loss.axis
