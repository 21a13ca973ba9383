"""From a model and data to programs: what `fit` and `evaluate` share before they run."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.trees import map_tree
from chainrule.ir.types import ArrayType
from chainrule.nn import pure
from chainrule.train.compiled import Compiled, output_names
from chainrule.train.data import Rows
from chainrule.train.meters import Meters
from chainrule.train.objective import Objective
from chainrule.train.scores import check_scores


class Setting(NamedTuple):
    """The pure functions behind a training: what is computed, and what is reported."""

    objective: Objective
    meters: Meters


def compiled_of(model: Any, what: str) -> Compiled:
    """How the model is trained.

    Raises:
        ArgumentError: `compile` was never called.
    """
    if model.compiled is None:
        raise ArgumentError(
            f"{what} needs a loss, and the model was never compiled",
            fix='model.compile(optimizer="sgd", loss="mse") first',
        )
    compiled: Compiled = model.compiled
    return compiled


def outputs_of(model: Any, where: str) -> list[str]:
    """What the outputs are called that labels are for, in their order; [""] for an only one.

    A model put together from inputs and outputs knows it. Of a class with a `call` of its own only
    the losses are known before it is built; `setting` holds its outputs against them.

    Raises:
        ArgumentError: `compile` was never called.
    """
    loss = compiled_of(model, where).loss
    names: list[str] | None = model.output_names()
    if names is None and isinstance(loss, (list, dict)):
        names = [str(name) for name in loss] if isinstance(loss, dict) else output_names(loss)
    return [""] if names is None else names


def build_for(model: Any, x: Any, seed: int) -> None:
    """Make weights and first values, if there are none, for inputs like these."""
    if not model.has_values:
        model.begin(input_shapes(x), seed)


def input_shapes(x: Any) -> Any:
    """The shapes of single inputs, in their tree."""
    if isinstance(x, (list, tuple)):
        return [input_shapes(a) for a in x]
    if isinstance(x, dict):
        return {name: input_shapes(a) for name, a in x.items()}
    return tuple(x.shape[1:])


def setting(model: Any, rows: Rows, where: str) -> Setting:
    """The objective and the meters for data like this; labels are held against the losses.

    Raises:
        ArgumentError, ShapeError, DtypeError, DomainError: labels that a loss can't work with;
            says which of loss and layer expects what.
    """
    compiled = compiled_of(model, where)
    shapes = input_shapes(rows.x)
    labels = [None if y is None else ArrayType((2, *y.shape[1:]), y.dtype) for y in rows.y]
    key = ("setting", repr(shapes), tuple(labels), model.makeup())
    how = compiled.kept(key, lambda: _setting(model, compiled, shapes, labels))
    for part, y in zip(how.objective.parts, rows.y, strict=True):
        if part.loss is not None and y is None:
            raise ArgumentError(
                f"{where} needs labels for the loss of {part.name or 'the output'}",
                fix="pass y=; model.predict works without",
            )
    check_labels(how, rows)
    check_scores(how.objective.parts, model.last_layers())
    return how


def check_labels(how: Setting, rows: Rows) -> None:
    """Hold labels against the losses that are to work with them."""
    for part, y in zip(how.objective.parts, rows.y, strict=True):
        if part.loss is not None:
            part.loss.check(y, (len(y), *part.type.shape[1:]))


def _setting(model: Any, compiled: Compiled, shapes: Any, labels: Any) -> Setting:
    types = pure.output_types(model, with_rows(shapes, 2))
    names = model.output_names() or output_names(types)
    losses = list(compiled.loss) if isinstance(compiled.loss, dict) else names
    if model.output_names() is None and set(losses) == set(names) and losses != names:
        raise ArgumentError(
            "the losses are named in another order than the model returns its outputs",
            {"losses": ", ".join(losses), "outputs": ", ".join(names)},
            "name them in the order of the outputs",
        )
    parts = compiled.parts(types, labels, names)
    return Setting(Objective(model, parts, compiled.regularizer), Meters(parts))


def with_rows(shapes: Any, rows: int) -> Any:
    """Shapes of single inputs with a batch of so many rows."""
    if isinstance(shapes, list):
        return [with_rows(shape, rows) for shape in shapes]
    if isinstance(shapes, dict):
        return {name: with_rows(shape, rows) for name, shape in shapes.items()}
    return (rows, *shapes)


def padded(tree: Any, size: int) -> Any:
    """Batches with their last row repeated until they have `size` rows."""
    return map_tree(lambda a: _padded(a, size), tree)


def _padded(a: np.ndarray, size: int) -> np.ndarray:
    missing = size - len(a)
    return a if missing == 0 else np.concatenate([a, np.repeat(a[-1:], missing, axis=0)])
