"""What to say when the loss is no number any more: where in the network, and why."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import DivergenceError
from chainrule.base.settings import settings
from chainrule.base.trees import flatten
from chainrule.train.data import refuse_strange
from chainrule.train.epoch import Carry, rows_at
from chainrule.train.objective import Batch
from chainrule.train.source import Chunk
from chainrule.transform.gradient import value_and_grad

_KEPT = "the model keeps the weights from before that step"


def refuse_divergence(
    training: Any, before: Carry, chunk: Chunk, start: int, reached: int, key: np.ndarray
) -> None:
    """Raise, naming the data's row or the first layer that overflowed; the model keeps its weights.

    The steps of the call are repeated up to the one before the failure: the same numbers, since
    nothing in them depends on how an epoch is cut into calls.

    Args:
        before: the carry at the beginning of the call, `start`.
        reached: the step after the one whose loss or data wasn't finite.

    Raises:
        DomainError: the data of that step holds NaN or infinity.
        DivergenceError: it doesn't.
    """
    failed = reached - 1
    carry = before
    if failed - 1 > start:
        carry, _, _ = training.run_steps(before, chunk, start, failed - 1, key)
    for step in range(max(failed - 1, start), failed + 1):
        if all(_finite(value) for value in carry.parameters.values()):
            training.carry = carry
            training.hand_over()
        batch = rows_at(
            chunk.data, training.source.plan, chunk.order, chunk.filled, step - chunk.first
        )
        _refuse_data(training.source, chunk, batch, step)
        report = _first_fault(training, carry, batch)
        if report is not None:
            raise DivergenceError(
                "the training diverged: the loss isn't a finite number any more",
                {"step": f"{step} of epoch {training.position[0]}", **report},
                "lower the learning rate, clip the gradients (clipnorm=1.0), or scale the inputs;\n"
                + _KEPT,
            )
        carry, _, _ = training.run_steps(carry, chunk, step, step + 1, key)
    raise DivergenceError(
        "the training diverged: the loss isn't a finite number any more",
        {"step": failed},
        "lower the learning rate, or clip the gradients (clipnorm=1.0)",
    )


def _refuse_data(source: Any, chunk: Chunk, batch: Batch, step: int) -> None:
    """Whether it was the data: its rows by where they stand in what the user gave."""
    for name, tree in (("x", batch.x), ("y", batch.y), ("sample_weight", batch.weights)):
        for leaf in flatten(tree)[0]:
            if leaf.dtype.kind == "f" and not np.all(np.isfinite(leaf)):
                row = int(np.argwhere(~np.isfinite(leaf))[0][0])
                place = source.place(chunk, step, row)
                refuse_strange(leaf[row], name, "fit", place, f";\n{_KEPT}")


def _first_fault(training: Any, carry: Carry, batch: Batch) -> dict[str, Any] | None:
    """The first layer whose output, or, backwards, whose gradient isn't finite."""
    model, objective = training.model, training.how.objective
    names = {id(layer): path for path, layer in model.walk()}
    faults: list[str] = []
    last = ("", 0.0)

    def watch(layer: Any, output: Any) -> None:
        nonlocal last
        for leaf in flatten(output)[0]:
            if not names.get(id(layer)):
                continue
            if not faults and not _finite(leaf):
                faults.append(names[id(layer)])
            last = (names[id(layer)], float(np.max(np.abs(leaf), initial=0)))

    chance = np.zeros(2, np.uint64)
    with settings(engine="numpy"), np.errstate(all="ignore"):
        loss, _ = objective(carry.parameters, carry.state, batch, chance, watch=watch)
        if faults:
            return {"layer": faults[0], "what": "its output isn't finite"}
        if not _finite(loss):
            layer, size = last
            return {
                "layer": layer,
                "what": f"its output reaches {size:.1e}, and the loss of that isn't finite",
            }
        slope = value_and_grad(objective, has_aux=True)
        try:
            _, gradients = slope(carry.parameters, carry.state, batch, chance)
        except ArithmeticError as error:
            return {"what": f"a derivative: {error.args[0]}"}
    bad = {path for path, g in gradients.items() if not _finite(g)}
    for path in reversed(list(model.weights_by_path())):
        if path in bad:
            layer = path.rpartition("/")[0] or model.name
            return {"layer": layer, "what": f"the gradient of {path} overflowed"}
    return None


def _finite(value: Any) -> bool:
    return bool(np.all(np.isfinite(np.asarray(value))))
