"""`evaluate` and `predict`: one compiled program for batches of one size, the last one padded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.trees import flatten, map_tree
from chainrule.nn import pure
from chainrule.nn.arguments import whole_number
from chainrule.run.jit import jit
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
    outputs = outputs_of(compiled_of(model, "evaluate"))
    if is_stream(x):
        stream = StreamSource(x, outputs, None)
        return measured(model, setting(model, stream.sample(), "evaluate"), stream, None)
    rows = as_rows(x, y, sample_weight, None, outputs, "evaluate")
    return measured(model, setting(model, rows, "evaluate"), rows, batch_size)


def measured(model: Any, how: Setting, rows: Any, batch_size: int | None) -> dict[str, Any]:
    """The loss and the metrics of rows, or of a stream, with the values that the model has now."""
    compiled = compiled_of(model, "evaluate")
    objective, meters = how

    def step(variables: Any, sums: Any, x: Any, y: Any, weights: Any, valid: Any) -> Any:
        batch = Batch(x, y, weights, valid)
        loss, outcome = objective(
            variables["parameters"], variables["state"], batch, None, training=False
        )
        return meters.update(sums, loss, outcome, batch, len(valid))

    program = compiled.kept(("evaluate", objective), lambda: jit(step))
    sums, variables = meters.init(), model.variables
    streamed = isinstance(rows, StreamSource)
    size = rows.plan.size if streamed else min(batch_size or _SIZE, rows.length)
    for piece in rows.all_rows() if streamed else [rows]:
        for part, valid in batches(tuple(piece), size):
            sums = program(variables, sums, *part, valid)
    return meters.results(sums)


def predict(model: Any, x: Any, batch_size: int | None = None) -> Any:
    """The outputs for inputs; see `Model.predict`."""
    batch_size = None if batch_size is None else whole_number("batch_size", batch_size)
    inputs = map_tree(lambda a: as_array(a, "x", "predict"), _as_tree(x))
    model.build_if_known()
    if not model.has_values:
        raise ArgumentError(
            "the model has no weights yet",
            fix="train it with fit, give it first values with build, or load it from a file",
        )
    program = model.kept_program("predict", lambda: jit(_outputs(model)))
    count = len(flatten(inputs)[0][0])
    size = min(batch_size or _SIZE, max(count, 1))
    variables = model.variables
    found = []
    for part, valid in batches((inputs,), size):
        have = int(np.sum(valid))
        outputs = program(variables, *part)
        found.append(map_tree(lambda a, n=have: np.asarray(a)[:n], outputs))
    if not found:
        empty = program(variables, map_tree(lambda a: np.zeros((1, *a.shape[1:]), a.dtype), inputs))
        return map_tree(lambda a: np.asarray(a)[:0], empty)
    return map_tree(lambda *parts: np.concatenate(parts), *found)


def _outputs(model: Any) -> Any:
    def outputs(variables: Any, x: Any) -> Any:
        return pure.forward(model, variables, (x,)).output

    return outputs


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
