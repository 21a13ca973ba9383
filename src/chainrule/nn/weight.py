"""A weight of a layer: what it is, and its value while nothing is being traced."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.tracing.tracer import Tracer


class Weight:
    """One array of a layer.

    Args:
        name: the last part of its path, such as "kernel".
        shape, dtype: of the array.
        initializer: makes the first value from a shape, a dtype and a seed.
        regularizer: its penalty, as a function of the value; or None.
        constraint: what becomes of the value after each update; or None.
        trainable: whether the optimiser changes it.
    """

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        initializer: Any,
        regularizer: Any = None,
        constraint: Any = None,
        trainable: bool = True,
    ) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype
        self.initializer = initializer
        self.regularizer = regularizer
        self.constraint = constraint
        self.trainable = trainable
        self.value: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"<Weight {self.name} {self.dtype}{list(self.shape)}>"

    def kept(self) -> np.ndarray:
        """The value outside of calls with values of their own.

        Raises:
            ArgumentError: it has none yet.
        """
        if self.value is None:
            raise ArgumentError(
                f"the weight {self.name!r} has no value yet",
                fix="make the values first: model.build(input_shape, seed=0), or model.init",
            )
        return self.value

    def keep(self, value: Any) -> None:
        """Give it another value for good.

        Raises:
            ShapeError: it has another shape.
            ArgumentError: it is a traced one.
        """
        self.check(value)
        self.value = untraced(self.name, value, self.dtype)

    def check(self, value: Any) -> None:
        """Refuse a value of another shape."""
        if np.shape(value) != self.shape:
            raise ShapeError(
                f"the weight {self.name!r} was given a value of another shape",
                {"weight": list(self.shape), "value": list(np.shape(value))},
            )

    def first_value(self, path: str, seed: int) -> np.ndarray:
        """What it starts with: decided by the seed and by where it stands, by nothing else."""
        chance = np.random.SeedSequence([seed, *path.encode()])
        options = {"seed": chance} if _takes_seed(self.initializer) else {}
        value = self.initializer(self.shape, self.dtype, **options)
        if np.shape(value) != self.shape:
            raise ShapeError(
                f"the initializer of {path!r} made another shape than it was asked for",
                {"asked": list(self.shape), "made": list(np.shape(value))},
            )
        return np.array(value, self.dtype, order="C")


def _takes_seed(initializer: Any) -> bool:
    """Whether it draws from a seed; a function of shape and dtype alone has none."""
    parameters = inspect.signature(initializer).parameters.values()
    return any(p.name == "seed" or p.kind is p.VAR_KEYWORD for p in parameters)


def untraced(name: str, value: Any, dtype: Any = None) -> np.ndarray:
    """A copy of a value that can be kept.

    Raises:
        ArgumentError: it is a traced one, which means nothing outside of its trace.
    """
    if isinstance(value, Tracer):
        raise ArgumentError(
            "a layer that keeps something from call to call was called by itself within a trace",
            {"what it would keep": name},
            "hand it through instead: y, state = layer.apply(variables, x, training=True), and\n"
            'give the next call {**variables, "state": state}',
        )
    return np.array(value, dtype, order="C")
