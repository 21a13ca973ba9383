"""Many steps of training as one program, which runs as one native call.

The number of steps is an argument, so a call can do as many as a progress bar or Ctrl-C allows,
and the result is the same however an epoch is cut into calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.trees import flatten, map_tree
from chainrule.ops.draw_keys import fold_in
from chainrule.train.meters import Meters
from chainrule.train.objective import Batch, Objective
from chainrule.transform.control import while_loop
from chainrule.transform.gradient import value_and_grad


class Carry(NamedTuple):
    """All that a step of training changes."""

    parameters: Any
    state: Any
    optimizer: Any
    meters: Any


class Data(NamedTuple):
    """Arrays with a row per sample: inputs, and lists of labels and of weights per output."""

    x: Any
    y: Any
    weights: Any


class Plan(NamedTuple):
    """What is fixed about the batches: how many rows one has, and whether some are padding."""

    size: int
    padded: bool
    whole: bool = False  # one batch of all rows, in their own order


def rows_at(data: Data, plan: Plan, order: Any, count: Any, step: Any) -> Batch:
    """The batch of a step: rows `order[step·size …]`; places from `count` on are padding."""
    if plan.whole:
        return Batch(data.x, data.y, data.weights, None)
    places = step * plan.size + np.arange(plan.size)
    rows = None
    if plan.padded:
        rows = (places < count).astype(np.float32)
        places = np.minimum(places, count - 1)
    chosen = order[places]
    x, y, weights = map_tree(lambda a: a[chosen], tuple(data))
    return Batch(x, y, weights, rows)


def is_finite(*data: Any) -> Any:
    """Whether data holds neither NaN nor infinity, which a mask may keep from the loss."""
    found = np.True_
    for leaf in flatten(data)[0]:
        if leaf.dtype.kind == "f":
            found = np.logical_and(found, np.all(np.isfinite(leaf)))
    return found


def training(
    objective: Objective, optimizer: Any, meters: Meters, plan: Plan
) -> Callable[..., tuple[Carry, Any, Any]]:
    """The program of some steps of training.

    It takes (carry, data, order, count, first, start, stop, key, rate), steps being counted within
    the epoch and `first` the one that `order` begins with. It returns the carry after the last
    step, the number of the step it stopped before, and whether all losses were finite.
    """
    slope = value_and_grad(objective, has_aux=True)

    def one_step(carry: Carry, batch: Batch, key: Any, rate: Any) -> tuple[Carry, Any]:
        (loss, outcome), gradients = slope(carry.parameters, carry.state, batch, key)
        more = {}
        if optimizer.needs_objective:
            more = {
                "value": loss,
                "objective": lambda p: objective(p, carry.state, batch, key)[0],
            }
        parameters, slots = optimizer.update(
            gradients, carry.optimizer, carry.parameters, rate, **more
        )
        after = Carry(
            objective.constrained(parameters),
            outcome.state,
            slots,
            meters.update(carry.meters, loss, outcome, batch, plan.size),
        )
        return after, loss

    def steps(
        carry: Carry,
        data: Data,
        order: Any,
        count: Any,
        first: Any,
        start: Any,
        stop: Any,
        key: Any,
        rate: Any,
    ) -> tuple[Carry, Any, Any]:
        def going_on(now: Any) -> Any:
            _, step, fine = now
            return np.logical_and(step < stop, fine)

        def body(now: Any) -> Any:
            carry, step, _ = now
            batch = rows_at(data, plan, order, count, step - first)
            carry, loss = one_step(carry, batch, fold_in(key, step), rate)
            fine = np.isfinite(loss) & is_finite(batch.x, batch.y, batch.weights)
            return carry, step + 1, fine

        return while_loop(going_on, body, (carry, start, np.True_))

    return steps
