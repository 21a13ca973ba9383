"""How a model is trained: what `compile` was given, brought into one form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

import chainrule.optim  # noqa: F401 - says where optimisers are, for their names
from chainrule.base.errors import ArgumentError
from chainrule.base.registry import as_data, get
from chainrule.ir.types import ArrayType
from chainrule.nn.losses import as_loss
from chainrule.nn.metrics import resolve

_MOST_KEPT = 64


class Part(NamedTuple):
    """One output of the model, and what is made of it."""

    name: str  # "" for an only output
    type: ArrayType
    loss: Any
    weight: float
    metrics: tuple[Any, ...]
    weighted_metrics: tuple[Any, ...]


class Programs:
    """What was made before, such as compiled programs; the newest of them."""

    def __init__(self) -> None:
        self._made: dict[Any, Any] = {}

    def kept(self, key: Any, make: Callable[[], Any]) -> Any:
        """What was made for this key; made now if needed."""
        if key not in self._made:
            self._made[key] = make()
            if len(self._made) > _MOST_KEPT:  # a model that changes from call to call
                del self._made[next(iter(self._made))]
        return self._made[key]


class Compiled(Programs):
    """The optimiser, the losses and the metrics of a model; see `Model.compile`."""

    def __init__(
        self,
        optimizer: Any,
        loss: Any,
        loss_weights: Any,
        metrics: Any,
        weighted_metrics: Any,
        regularizer: Any,
        blocked: bool | None,
    ) -> None:
        super().__init__()
        self.optimizer = get("optimizer", optimizer)
        self.loss = _each(lambda one: None if one is None else as_loss(one), loss)
        self.loss_weights = loss_weights
        _check_weights(loss_weights)
        self.metrics = metrics
        self.weighted_metrics = weighted_metrics
        self.regularizer = get("regularizer", regularizer)
        self.blocked = blocked

    def parts(self, outputs: Any, labels: Any, names: Sequence[str]) -> list[Part]:
        """One part per output.

        Args:
            outputs: the types of the model's outputs, in their tree.
            labels: the types of the labels, in the same tree; None to evaluate without.
            names: what the outputs are called.

        Raises:
            ArgumentError: other outputs are named than the model has, or one has no loss.
        """
        many = list(names) != [""]
        types = leaves(outputs)
        truths = leaves(labels) if labels is not None else [None] * len(types)
        if len(truths) != len(types):
            raise ArgumentError(
                "the labels don't match the model's outputs",
                {"outputs": len(types), "labels": len(truths)},
                "pass one array of labels per output, in the same list or dict",
            )
        losses = _spread("loss", self.loss, names)
        weights = _spread("loss_weights", self.loss_weights, names)
        metrics = _spread("metrics", self.metrics, names, listed=not many)
        weighted = _spread("weighted_metrics", self.weighted_metrics, names, listed=not many)
        if all(loss is None for loss in losses):
            raise ArgumentError(
                "the model has no loss", fix='compile(optimizer="sgd", loss="mse", …) names one'
            )

        def known(given: Any, loss: Any, truth: Any, kind: ArrayType) -> tuple[Any, ...]:
            wanted = given if isinstance(given, (list, tuple)) else [given]
            shape = None if truth is None else truth.shape
            return tuple(resolve(m, loss, shape, kind.shape) for m in wanted if m is not None)

        return [
            Part(
                name,
                kind,
                loss,
                1.0 if weight is None else float(weight),
                known(m, loss, t, kind),
                known(w, loss, t, kind),
            )
            for name, kind, t, loss, weight, m, w in zip(
                names, types, truths, losses, weights, metrics, weighted, strict=True
            )
        ]

    def config(self) -> dict[str, Any]:
        """What `compile` was given, as plain data."""
        return {
            "optimizer": as_data(self.optimizer),
            "loss": as_data(self.loss),
            "loss_weights": as_data(self.loss_weights),
            "metrics": as_data(self.metrics),
            "weighted_metrics": as_data(self.weighted_metrics),
            "regularizer": as_data(self.regularizer),
            "blocked": self.blocked,
        }


def leaves(tree: Any) -> list[Any]:
    """The leaves of a tree of outputs; a type is a leaf."""
    if isinstance(tree, (list, tuple)) and not isinstance(tree, ArrayType):
        return [leaf for entry in tree for leaf in leaves(entry)]
    if isinstance(tree, Mapping):
        return [leaf for entry in tree.values() for leaf in leaves(entry)]
    return [tree]


def output_names(outputs: Any) -> list[str]:
    """What the outputs are called: "" for an only one, keys of a dict, places in a list."""
    if isinstance(outputs, Mapping):
        return [str(name) for name in outputs]
    if isinstance(outputs, (list, tuple)) and not isinstance(outputs, ArrayType):
        return [f"output_{i}" for i in range(len(outputs))]
    return [""]


def _check_weights(given: Any) -> None:
    """Refuse weights of losses that aren't numbers.

    Raises:
        ArgumentError: one isn't.
    """
    each = list(given.values()) if isinstance(given, Mapping) else given
    for weight in each if isinstance(each, (list, tuple)) else [each]:
        real = isinstance(weight, (int, float, np.number)) and not isinstance(weight, bool)
        if weight is not None and not (real and np.isfinite(weight)):
            raise ArgumentError("the weight of a loss is a number", {"given": repr(weight)[:80]})


def _each(function: Any, given: Any) -> Any:
    if isinstance(given, (list, tuple)):
        return [function(one) for one in given]
    if isinstance(given, Mapping) and "class_name" not in given:
        return {name: function(one) for name, one in given.items()}
    return function(given)


def _spread(what: str, given: Any, names: Sequence[str], listed: bool = False) -> list[Any]:
    """One entry per output, from a dict by name, a list, or one for all.

    `listed`: a list is the only output's own.
    """
    if isinstance(given, Mapping):
        strange = [name for name in given if name not in names]
        if strange:
            raise ArgumentError(
                f"{what} names an output that the model doesn't have",
                {"named": strange[0], "outputs": ", ".join(names)},
            )
        return [given.get(name) for name in names]
    if isinstance(given, (list, tuple)) and not listed:
        if len(given) != len(names):
            raise ArgumentError(
                f"{what} has another number of entries than the model has outputs",
                {what: len(given), "outputs": len(names)},
            )
        return list(given)
    return [given] * len(names)
