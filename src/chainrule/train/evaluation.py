"""`evaluate` and `predict`: one compiled program for batches of one size, the last one padded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.keys import key_of
from chainrule.base.trees import flatten, map_tree
from chainrule.nn import pure
from chainrule.nn.arguments import whole_number
from chainrule.ops.draw_keys import fold_in
from chainrule.run.guards import settled
from chainrule.run.jit import jit
from chainrule.train.carrying import carried_of, keep_states, refuse_short, states_for
from chainrule.train.data import as_array, as_rows, is_stream
from chainrule.train.objective import Batch
from chainrule.train.prepare import Setting, compiled_of, outputs_of, padded, setting
from chainrule.train.source import StreamSource

_SIZE = 256  # rows of a batch when the user names no number


def evaluate(
    model: Any,
    x: Any,
    y: Any = None,
    batch_size: int | None = None,
    sample_weight: Any = None,
) -> dict[str, Any]:
    """The loss and the metrics on data; see `Model.evaluate`."""
    batch_size = None if batch_size is None else whole_number("batch_size", batch_size)
    outputs = outputs_of(model, "evaluate")
    _begin(model)
    if is_stream(x):
        stream = StreamSource(x, outputs, None)
        return measured(model, setting(model, stream.sample(), "evaluate"), stream, None)
    rows = as_rows(x, y, sample_weight, None, outputs, "evaluate")
    return measured(model, setting(model, rows, "evaluate"), rows, batch_size)


def measured(model: Any, how: Setting, rows: Any, batch_size: int | None) -> dict[str, Any]:
    """The loss and the metrics of rows, or of a stream, with the values that the model has now."""
    compiled = compiled_of(model, "evaluate")
    objective, meters = how

    def step(
        variables: Any, sums: Any, number: Any, x: Any, y: Any, weights: Any, valid: Any
    ) -> Any:
        batch = Batch(x, y, weights, valid)
        loss, outcome = objective(
            variables["parameters"], variables["state"], batch, _key(number), training=False
        )
        sums = meters.update(sums, loss, outcome, batch, len(valid))
        return sums, carried_of(model, outcome.state)

    program = compiled.kept(("evaluate", objective), lambda: jit(settled(step)))
    sums, variables = meters.init(), model.variables
    streamed = isinstance(rows, StreamSource)
    size = rows.plan.size if streamed else _size(model, batch_size, rows.length)
    number = 0
    states = states_for(model, rows.sample().x if streamed else rows.x, size, "evaluate")
    variables["state"] |= states
    for piece in rows.all_rows() if streamed else [rows]:
        refuse_short(model, piece.length, size, "evaluate")
        for part, valid in batches(tuple(piece), size):
            sums, states = program(variables, sums, number, *part, valid)
            variables["state"] |= states
            number += 1
    keep_states(model, states)
    return meters.results(sums)


def predict(model: Any, x: Any, batch_size: int | None = None) -> Any:
    """The outputs for inputs; see `Model.predict`."""
    batch_size = None if batch_size is None else whole_number("batch_size", batch_size)
    inputs = map_tree(lambda a: as_array(a, "x", "predict"), _as_tree(x))
    _begin(model)
    program = model.kept_program("predict", lambda: jit(settled(_outputs(model))))
    count = len(flatten(inputs)[0][0])
    size = _size(model, batch_size, max(count, 1))
    refuse_short(model, count, size, "predict")
    variables = model.variables
    states = states_for(model, inputs, size, "predict") if count else {}
    variables["state"] |= states
    found = []
    for number, (part, valid) in enumerate(batches((inputs,), size)):
        have = int(np.sum(valid))
        outputs, states = program(variables, number, *part)
        variables["state"] |= states
        found.append(map_tree(lambda a, n=have: np.asarray(a)[:n], outputs))
    if not found:
        one = map_tree(lambda a: np.zeros((1, *a.shape[1:]), a.dtype), inputs)
        return map_tree(lambda a: np.asarray(a)[:0], program(variables, 0, one)[0])
    keep_states(model, states)
    return map_tree(lambda *parts: np.concatenate(parts), *found)


def _begin(model: Any) -> None:
    """Refuse a model that has no values and can't be given any.

    Raises:
        ArgumentError: it has no weights yet.
    """
    model.build_if_known()
    if not model.has_values:
        raise ArgumentError(
            "the model has no weights yet",
            fix="train it with fit, give it first values with build, or load it from a file",
        )


def _outputs(model: Any) -> Any:
    def outputs(variables: Any, number: Any, x: Any) -> Any:
        done = pure.forward(model, variables, (x,), seed=_key(number))
        return done.output, carried_of(model, done.state)

    return outputs


def _key(number: Any) -> Any:
    """Where the chance of a batch comes from, for layers that draw outside of training too."""
    return fold_in(key_of(0), number)


def _size(model: Any, given: int | None, count: int) -> int:
    """The rows of a compiled call."""
    known = model.known_batch_size() if model.carried_by_path() else None
    return min(given or known or _SIZE, count)


def _as_tree(x: Any) -> Any:
    plain = isinstance(x, (list, tuple)) and not any(hasattr(a, "shape") for a in x)
    return np.asarray(x) if plain else x


def batches(tree: tuple[Any, ...], size: int) -> Iterator[tuple[Any, np.ndarray]]:
    """Batches of `size` rows, the last one padded, each with 1 for every row that counts."""
    count = len(flatten(tree)[0][0])
    for start in range(0, count, size):
        part = map_tree(lambda a, s=start: a[s : s + size], tree)
        have = min(size, count - start)
        valid = np.zeros(size, np.float32)
        valid[:have] = 1
        yield padded(part, size), valid
