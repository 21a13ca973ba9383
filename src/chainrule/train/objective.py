"""The number that training lowers, as a pure function of the parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.nn import pure
from chainrule.nn.mask import counted
from chainrule.nn.weight import Weight
from chainrule.train.compiled import Part, leaves


class Batch(NamedTuple):
    """Some rows of the data.

    Fields: inputs; labels and weights, lists with an entry per output (weights may be None);
    rows: 1 for each row that counts and 0 for padding, None if all count.
    """

    x: Any
    y: Any
    weights: Any
    rows: Any


class Outcome(NamedTuple):
    """What a forward pass gives besides the loss.

    Fields: the state; the outputs; each output's loss; and for each output 1 where it counts and 0
    for padding and what is masked out, None if all of it counts.
    """

    state: Any
    outputs: list[Any]
    losses: list[Any]
    counted: list[Any]


class Objective:
    """The loss of a batch with all its penalties.

    Args:
        model: the network.
        parts: its outputs with their losses.
        regularizer: the penalty of kernels that have none of their own.
    """

    def __init__(self, model: Any, parts: Sequence[Part], regularizer: Any) -> None:
        self.model = model
        self.parts = parts
        self.weights = model.weights_by_path()
        self.carried = model.carried_by_path()
        self.penalties = penalties(self.weights, regularizer)
        self.constraints = {
            path: weight.constraint
            for path, weight in self.weights.items()
            if weight.constraint is not None
        }

    def __call__(
        self,
        parameters: Any,
        state: Any,
        batch: Batch,
        key: Any,
        training: bool = True,
        given: Any = None,
        watch: Any = None,
    ) -> tuple[Any, Outcome]:
        done = pure.forward(
            self.model,
            {"parameters": parameters, "state": state},
            (batch.x,),
            training=training,
            seed=key,
            rows=batch.rows,
            given=given,
            watch=watch,
        )
        outputs = leaves(done.output)
        counts = [counted(batch.rows, done.masks.of(output)) for output in outputs]
        losses = [
            None if part.loss is None else part.loss(y, output, w, rows=rows)
            for part, y, output, w, rows in zip(
                self.parts, batch.y, outputs, batch.weights, counts, strict=True
            )
        ]
        terms = [
            loss * np.asarray(part.weight, loss.dtype) if part.weight != 1 else loss
            for part, loss in zip(self.parts, losses, strict=True)
            if loss is not None
        ]
        total = sum(terms[1:], terms[0])
        for extra in done.losses:
            total = total + extra
        for path, penalty in self.penalties.items():
            if path in parameters:
                total = total + penalty(parameters[path])
        return total, Outcome(done.state, outputs, losses, counts)

    def constrained(self, parameters: Any) -> Any:
        """The parameters after an update, each through its constraint."""
        return {
            path: self.constraints[path](value) if path in self.constraints else value
            for path, value in parameters.items()
        }


def penalties(weights: Mapping[str, Weight], regularizer: Any) -> dict[str, Any]:
    """The penalty of each weight that has one, by path."""
    found = {}
    for path, weight in weights.items():
        penalty = weight.regularizer
        if penalty is None and weight.trainable and len(weight.shape) > 1:
            penalty = regularizer
        if penalty is not None:
            found[path] = penalty
    return found
