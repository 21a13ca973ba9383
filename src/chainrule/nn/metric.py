"""The base of the metrics: pure functions on a small state, and a shell that keeps the state.

A metric is `init()` → state, `update(state, y_true, y_pred, weights)` → state and `result(state)`.
The states are dicts of arrays, so that updates run inside compiled loops. Sums are kept in float64:
an epoch of a hundred million samples counts each one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.registry import base_of, deserialize, register, serialize, snake_case
from chainrule.nn.dtype import float_dtype
from chainrule.nn.loss import Loss, align, as_array, as_float, function_name

State = dict[str, Any]


@base_of("metric")
class Metric:
    """Base of the metrics.

    A subclass defines `init(self)`, `update(self, state, y_true, y_pred, weights=None)` and
    `value(self, state)` with NumPy functions.

    Args:
        name: shown in the history; the class's name in snake_case if not given.
        dtype: the type of the result; None is float64.

    Example:
        >>> class Largest(Metric):
        ...     def init(self):
        ...         return {"most": np.array(-np.inf)}
        ...
        ...     def update(self, state, y_true, y_pred, weights=None):
        ...         return {"most": np.maximum(state["most"], np.max(np.abs(y_true - y_pred)))}
        ...
        ...     def value(self, state):
        ...         return state["most"]
        >>> metric = Largest()
        >>> metric.update_state(np.array([1.0, 2.0]), np.array([1.5, 2.0]))
        >>> float(metric.result())
        0.5
    """

    options: ClassVar[tuple[str, ...]] = ()  # its own arguments, kept under the same names

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self.name = snake_case(type(self).__name__) if name is None else name
        self.dtype = None if dtype is None else float_dtype(dtype)
        self.output_shape: tuple[int, ...] | None = None
        self._state: State | None = None

    def add_variable(self, *args: Any, **options: Any) -> Any:
        """Refused: a state is what `init` and `update` return, so that metrics compile.

        Raises:
            ArgumentError: says what to define instead.
        """
        raise ArgumentError(
            f"{type(self).__name__} has variables for a state, and metrics are pure functions",
            fix="define init(self), update(self, state, y_true, y_pred, weights=None), which\n"
            "returns the next state, and value(self, state); see cr.nn.Metric",
        )

    add_weight = add_variable

    # ---- pure ----

    def build(self, output_shape: Sequence[int | None]) -> None:
        """Take note of the shape of the predictions, which some states depend on.

        Args:
            output_shape: the first entry, the batch, is not read.
        """
        self.output_shape = tuple(0 if n is None else int(n) for n in output_shape)

    def init(self) -> State:
        """The state before any data: a dict of float64 arrays."""
        raise NotImplementedError(f"{type(self).__name__} doesn't define init(self)")

    def update(self, state: State, *data: Any, **weights: Any) -> State:
        """The state after one more batch.

        Args:
            state: the state before.
            data: y_true and y_pred.
            weights: `weights=`, how much each sample counts; 0 is not at all.
        """
        raise NotImplementedError(
            f"{type(self).__name__} doesn't define update(self, state, y_true, y_pred, weights)"
        )

    def value(self, state: State) -> Any:
        """What a state says: a number or an array."""
        raise NotImplementedError(f"{type(self).__name__} doesn't define value(self, state)")

    def result(self, state: State | None = None) -> Any:
        """What a state says; without one, what the data given to `update_state` say."""
        found = self.value(self.state if state is None else state)
        return found if self.dtype is None else found.astype(self.dtype)

    # ---- with a state of its own, as in Keras ----

    @property
    def state(self) -> State:
        """The state that `update_state` keeps."""
        if self._state is None:
            self._state = self.init()
        return self._state

    def update_state(self, *data: Any, sample_weight: Any = None) -> None:
        """Take in a batch: labels, predictions, and how much each sample counts."""
        arrays = [as_array(part) for part in data]
        if self._state is None and self.output_shape is None:
            self.build(np.shape(arrays[-1]))
        self._state = self.update(self.state, *arrays, weights=sample_weight)

    def reset_state(self) -> None:
        """Forget the data."""
        self._state = None

    def __call__(self, *data: Any, sample_weight: Any = None) -> Any:
        """Take in a batch, and say the result so far."""
        self.update_state(*data, sample_weight=sample_weight)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """The arguments this object was made with."""
        own = {option: getattr(self, option) for option in self.options}
        dtype = None if self.dtype is None else self.dtype.name
        return {**own, "name": self.name, "dtype": dtype}

    def outputs(self) -> int:
        """The size of the predictions' last axis, once `build` has been told.

        Raises:
            ArgumentError: it hasn't.
            ShapeError: the predictions aren't (n, k).
        """
        if self.output_shape is None:
            raise ArgumentError(
                f"{type(self).__name__} needs to know the shape of the predictions first",
                fix="call build((None, outputs)) before init()",
            )
        if len(self.output_shape) == 1:
            return 1
        if len(self.output_shape) != 2:
            raise ShapeError(
                f"{type(self).__name__} works on predictions of shape (n, k)",
                {"predictions": self.output_shape},
            )
        return self.output_shape[-1]


class MeanMetric(Metric):
    """The weighted mean of one value per sample; a subclass defines `values(y_true, y_pred)`."""

    def values(self, y_true: Any, y_pred: Any) -> Any:
        """One value per sample."""
        raise NotImplementedError(f"{type(self).__name__} doesn't define values(y_true, y_pred)")

    def init(self) -> State:
        return {"total": np.zeros(()), "count": np.zeros(())}

    def update(self, state: State, y_true: Any, y_pred: Any, weights: Any = None) -> State:
        values = self.values(as_array(y_true), as_float(y_pred))
        return add_values(state, per_sample(values, y_pred), weights)

    def value(self, state: State) -> Any:
        return ratio(state["total"], state["count"])


def per_sample(values: Any, y_pred: Any) -> Any:
    """One value per sample; one number for the whole batch counts for each of its samples."""
    values = as_array(values)
    return np.broadcast_to(values, np.shape(y_pred)[:1]) if np.ndim(values) == 0 else values


def add_values(state: State, values: Any, weights: Any = None) -> State:
    """A total and a count with more values in it."""
    values = as_array(values).astype(np.float64)
    size = math.prod(np.shape(values))
    if weights is None:
        total, count = np.sum(values), float(size)
    else:
        weights = align(weights, values)
        total, count = np.sum(weighed(values, weights)), np.sum(weights)
        count = count * (size / max(math.prod(np.shape(weights)), 1))
    return {"total": state["total"] + total, "count": state["count"] + count}


def weighed(values: Any, weights: Any) -> Any:
    """Values times weights; what weighs 0 is left out, even if it is NaN."""
    return np.where(weights == 0, 0, values * weights)


def ratio(total: Any, count: Any) -> Any:
    """total / count, 0 where the count is 0."""
    return np.where(count == 0, 0, total / np.where(count == 0, 1, count))[()]


class MeanLoss(MeanMetric):
    """Base of the metrics that are the mean of a loss's values."""

    def __init__(self, loss: Loss, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name or loss.name, dtype)
        self.loss = loss

    def update(self, state: State, y_true: Any, y_pred: Any, weights: Any = None) -> State:
        y_true, y_pred = self.loss.prepare(as_array(y_true), as_float(y_pred, self.loss.dtype))
        values = self.loss.call(y_true, y_pred)
        counted = self.loss.counted(y_true, y_pred)
        if counted is not None:
            weights = counted if weights is None else align(weights, values) * counted
        return add_values(state, per_sample(values, y_pred), weights)


@register("metric")
class LossMetric(MeanLoss):
    """Any loss as a metric: the mean of its values over all samples.

    Args:
        loss: the loss; its reduction is not read.
        name, dtype: as for every metric; the name is the loss's if not given.
    """

    def get_config(self) -> dict[str, Any]:
        """The arguments this object was made with."""
        return {"loss": serialize(self.loss), **super().get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> LossMetric:
        """The metric that `get_config` tells of."""
        return cls(**{**config, "loss": deserialize(config.get("loss"), "loss")})


@register("metric")
class FunctionMetric(MeanMetric):
    """A user's function `f(y_true, y_pred)` as a metric: the mean of its values.

    A function that gives one number for a whole batch is averaged over the batches by their sizes.

    Args:
        function: gives one value per sample, or one number.
        name, dtype: as for every metric; the name is the function's if not given.
    """

    def __init__(
        self, function: Callable[..., Any], name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(name or function_name(function), dtype)
        self.function = function

    def values(self, y_true: Any, y_pred: Any) -> Any:
        return self.function(y_true, y_pred)

    def get_config(self) -> dict[str, Any]:
        """The arguments this object was made with; the function has to be a registered one."""
        return {"function": serialize(self.function, "metric"), **super().get_config()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> FunctionMetric:
        """The metric that `get_config` tells of."""
        return cls(**{**config, "function": deserialize(config.get("function"))})
