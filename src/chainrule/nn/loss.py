"""The base of the losses, and how the values of the samples become one number."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.registry import base_of, deserialize, register, serialize, snake_case
from chainrule.nn.dtype import default_dtype, float_dtype
from chainrule.nn.labels import check_finite, check_numbers, check_paired
from chainrule.tracing.tracer import Tracer

REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none")


@base_of("loss")
class Loss:
    """Base of the losses: one value per sample from `call`, reduced to one number.

    A subclass defines `call(self, y_true, y_pred)` with NumPy functions.

    Args:
        name: shown in the history; the class's name in snake_case if not given.
        reduction: "sum_over_batch_size" (or "mean"): the mean over the samples; "sum";
            "mean_with_sample_weight": the sum divided by that of the weights; "none": the values.
        dtype: the type to compute in; None is that of the predictions.

    Example:
        >>> import numpy as np
        >>> class Quartic(Loss):
        ...     def call(self, y_true, y_pred):
        ...         return np.mean((y_pred - y_true) ** 4, axis=-1)
        >>> float(Quartic()(np.zeros((2, 1)), np.array([[1.0], [2.0]])))
        8.5
    """

    options: ClassVar[tuple[str, ...]] = ()  # its own arguments, kept under the same names

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        reduction = "none" if reduction is None else reduction
        if reduction not in REDUCTIONS:
            raise ArgumentError(
                "a loss has no such reduction",
                {"reduction": repr(reduction), "known": ", ".join(REDUCTIONS)},
            )
        self.name = snake_case(type(self).__name__) if name is None else name
        self.reduction = reduction
        self.dtype = None if dtype is None else float_dtype(dtype)

    def __call__(
        self, y_true: Any, y_pred: Any, sample_weight: Any = None, *, rows: Any = None
    ) -> Any:
        """The loss of a batch.

        Args:
            y_true: the labels.
            y_pred: the output of the model, samples on the first axis. One number per sample may
                come as (n,) or (n, 1).
            sample_weight: how much each sample counts: (n,), or the shape of the values.
            rows: 0 or 1 for each sample of a batch that was filled up to its size; rows of 0 count
                neither in the sum nor in the divisor.

        Returns:
            One number, or the values if the reduction is "none".
        """
        y_true, y_pred = as_array(y_true), as_float(y_pred, self.dtype)
        if not isinstance(y_true, Tracer):
            self.check(y_true, np.shape(y_pred))
        y_true, y_pred = self.prepare(y_true, y_pred)
        values = self.call(y_true, y_pred)
        counted = self.counted(y_true, y_pred)
        if counted is None:
            counted = rows
        elif rows is not None:
            counted = align(rows, values) * counted
        return reduce_loss(values, sample_weight, self.reduction, counted)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of each sample, one value per row of the predictions."""
        raise NotImplementedError(
            f"{type(self).__name__} doesn't define call(self, y_true, y_pred)"
        )

    def prepare(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        """Labels and predictions as `call` wants them."""
        return y_true, y_pred

    def counted(self, y_true: Any, y_pred: Any) -> Any:
        """0 or 1 for each value: whether it counts at all; None if all do."""
        return None

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        """Refuse labels that this loss can't work with; called by `fit` before training.

        Args:
            y_true: all labels.
            output_shape: the shape of the model's output; its first entry, the batch, is not read.

        Raises:
            ShapeError, ArgumentError, DtypeError: says what is expected, and where it isn't so.
        """
        labels = as_array(y_true)
        check_numbers(type(self).__name__, labels, "biufc")
        check_finite(type(self).__name__, labels)

    def get_config(self) -> dict[str, Any]:
        """The arguments this object was made with."""
        own = {option: getattr(self, option) for option in self.options}
        dtype = None if self.dtype is None else self.dtype.name
        return {**own, "reduction": self.reduction, "name": self.name, "dtype": dtype}


class FunctionLoss(Loss):
    """A loss whose values are those of a function `f(y_true, y_pred, **options)`."""

    function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        options = {option: getattr(self, option) for option in self.options}
        return type(self).function(y_true, y_pred, **options)


class OutputLoss(FunctionLoss):
    """A loss of each output by itself, averaged over the last axis."""

    def prepare(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        # One number per sample: without an axis of its own, the samples themselves were averaged,
        # and no weight could tell them apart.
        return y_true, y_pred[:, None] if np.ndim(y_pred) == 1 else y_pred

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        check_paired(type(self).__name__, as_array(y_true), output_shape)


@register("loss")
class WrappedFunction(Loss):
    """A user's function `f(y_true, y_pred)` as a loss.

    Args:
        function: gives one value per sample, or one number for the batch.
        reduction, name, dtype: as for every loss.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name or function_name(function), reduction, dtype)
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred)

    def check(self, y_true: Any, output_shape: Sequence[int | None]) -> None:
        """Anything may be a label to a user's own function."""

    def get_config(self) -> dict[str, Any]:
        """The arguments this object was made with; the function has to be a registered one."""
        return {"function": serialize(self.function, "loss"), **super().get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> WrappedFunction:
        """The loss that `get_config` tells of."""
        return cls(**{**config, "function": deserialize(config.get("function"))})


def function_name(function: Any) -> str:
    """What a user's function is called; "lambda" if it has no name."""
    return str(getattr(function, "__name__", type(function).__name__)).strip("<>")


# ---- from values to one number -------------------------------------------------------------------


def reduce_loss(
    values: Any,
    sample_weight: Any = None,
    reduction: str = "sum_over_batch_size",
    rows: Any = None,
) -> Any:
    """The values of a batch, weighted and reduced.

    Args:
        values: one value per sample, (n,) or with more axes.
        sample_weight: what each value is multiplied by: (n,), or a shape that broadcasts.
        reduction: as for `Loss`. "mean_with_sample_weight" divides by the sum of the weights over
            all values.
        rows: 0 where a sample (or value) doesn't count, neither in the sum nor in the divisor. What
            fills such rows has to be finite, such as a row of the data once more.

    Returns:
        One number, or the weighted values if the reduction is "none"; 0 if nothing counts.

    Raises:
        ShapeError: weights that don't fit.

    Example:
        >>> import numpy as np
        >>> float(reduce_loss(np.array([1.0, 3.0, 8.0]), rows=np.array([1, 1, 0])))
        2.0
    """
    weights = None if sample_weight is None else align(sample_weight, values, "sample_weight")
    present = None if rows is None else align(rows, values, "rows") != 0
    weighted = values if weights is None else values * weights
    if present is not None:
        # Multiplied, not chosen: a choice is remembered by all derivatives that come before it.
        weighted = weighted * present.astype(weighted.dtype)
    if reduction == "none":
        return weighted
    total = np.sum(weighted)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weights is not None:
        kept = weights if present is None else np.where(present, weights, 0)
        shares = np.sum(kept) * (math.prod(np.shape(values)) / max(math.prod(np.shape(kept)), 1))
        return np.where(shares == 0, 0, total / np.where(shares == 0, 1, shares))[()]
    if present is None:
        return total / max(math.prod(np.shape(values)), 1)
    each = math.prod(np.shape(values)) // max(math.prod(np.shape(present)), 1)
    count = np.sum(present.astype(total.dtype)) * each
    return total / np.maximum(count, 1)


def align(weights: Any, values: Any, name: str = "weights") -> Any:
    """Weights in the type of the values, with axes so that they broadcast from the first on.

    Raises:
        ShapeError: they don't fit, or there is one value for all samples.
    """
    if np.ndim(values) == 0 and np.ndim(weights) > 0:
        raise ShapeError(
            f"{name} can't tell the samples apart in one number for the whole batch",
            {name: np.shape(weights)},
            "let the loss give one value per sample, such as np.mean(…, axis=-1)",
        )
    weights = as_array(weights).astype(values.dtype)
    if np.ndim(weights) == np.ndim(values) + 1 and np.shape(weights)[-1] == 1:
        weights = weights[..., 0]
    while np.ndim(weights) < np.ndim(values):
        weights = weights[..., None]
    given, wanted = np.shape(weights), np.shape(values)
    if len(given) != len(wanted) or any(
        a not in (1, b) for a, b in zip(given, wanted, strict=True)
    ):
        raise ShapeError(
            f"{name} don't fit the values of the loss",
            {name: given, "values": wanted},
            "give one number per sample",
        )
    return weights


# ---- labels and predictions ----------------------------------------------------------------------


def as_array(value: Any) -> Any:
    """An array, traced or not."""
    return value if isinstance(value, (np.ndarray, np.generic, Tracer)) else np.asarray(value)


def as_float(value: Any, dtype: Any = None) -> Any:
    """An array of floating-point numbers: of the given type, its own, or the default."""
    value = as_array(value)
    if dtype is None:
        dtype = value.dtype if value.dtype.kind == "f" else default_dtype()
    return value if value.dtype == dtype else value.astype(dtype)


def pair(name: str, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Labels and predictions of one type and shape; (n,) and (n, 1) count as the same.

    Raises:
        ShapeError: their shapes differ otherwise, which NumPy might broadcast without a word.
    """
    y_pred = as_float(y_pred)
    y_true = as_float(y_true, y_pred.dtype)
    if np.ndim(y_true) + 1 == np.ndim(y_pred) and np.shape(y_pred)[-1] == 1:
        y_true = y_true[..., None]
    elif np.ndim(y_pred) + 1 == np.ndim(y_true) and np.shape(y_true)[-1] == 1:
        y_pred = y_pred[..., None]
    if np.shape(y_true) != np.shape(y_pred):
        raise ShapeError(
            f"{name}: labels and predictions differ in shape",
            {"labels": np.shape(y_true), "predictions": np.shape(y_pred)},
            "give one label for each predicted number",
        )
    return y_true, y_pred
