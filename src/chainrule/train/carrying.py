"""Stateful models: what a batch leaves for the next one, within `fit` and from call to call."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.nn import pure
from chainrule.train.prepare import input_shapes, with_rows


def states_for(model: Any, x: Any, size: int, where: str) -> dict[str, Any]:
    """What a model's batches of `size` rows begin with: what was left last, or zeros.

    Args:
        model: the network, with values.
        x: inputs to see shapes by.
        size: the rows of a batch.
        where: the call that the user made.

    Returns:
        The arrays by path, none if no layer is stateful. The model keeps them.

    Raises:
        ArgumentError: the inputs say that batches have another size.
        ShapeError: what was left is of batches of another size.
    """
    carried = model.carried_by_path()
    if not carried:
        return {}
    fixed = model.known_batch_size()
    if fixed not in (None, size):
        raise ArgumentError(
            f"{where}: the model's Input says another batch size",
            {"Input": f"batch_size={fixed}", "rows of a batch": size},
            f"pass batch_size={fixed}",
        )
    shapes = with_rows(input_shapes(x), size)
    kinds = model.kept_program(f"states {shapes}", lambda: pure.carried_types(model, shapes))
    for path, kind in kinds.items():
        kept = carried[path].value
        if kept is None:
            carried[path].value = np.zeros(kind.shape, kind.dtype)
        elif kept.shape != kind.shape:
            raise ShapeError(
                f"{where}: the stateful layers have states for batches of another size",
                {
                    "state": path,
                    "rows before": kept.shape[0],
                    "rows now": kind.shape[0],
                },
                "pass the batch_size of the calls before, or forget the states with\n"
                "model.reset_states()",
            )
    return {path: one.value for path, one in carried.items() if one.value is not None}


def refuse_short(model: Any, rows: int, size: int, where: str) -> None:
    """Refuse a last batch with fewer rows, where states are handed on row by row.

    Raises:
        ArgumentError: the rows don't come out even.
    """
    if rows % size and model.carried_by_path():
        raise ArgumentError(
            f"{where}: the batches of a stateful model all have the same size",
            {"rows": rows, "batch_size": size, "rows left over": rows % size},
            f"pass {rows - rows % size} rows, or a batch_size that goes evenly into {rows}",
        )


def keep_states(model: Any, states: dict[str, Any]) -> None:
    """Leave these for the next call."""
    carried = model.carried_by_path() if states else {}
    for path, value in states.items():
        carried[path].value = np.asarray(value)


def carried_of(model: Any, state: dict[str, Any]) -> dict[str, Any]:
    """The part of the state after a call that is there for the next one."""
    return {path: state[path] for path in model.carried_by_path() if path in state}
