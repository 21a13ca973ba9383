"""`model.summary()`: layers, output shapes, numbers of weights."""

from __future__ import annotations

import importlib
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.trees import flatten
from chainrule.ir.types import ArrayType, type_of
from chainrule.nn.infer import Inference
from chainrule.nn.scope import Scope


def summary(
    model: Any,
    line_length: int | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
) -> None:
    """Print a model's layers; see `Model.summary`."""
    model.build_if_known()
    if not model.built:
        raise ArgumentError(
            "the shapes of the model aren't known yet",
            fix="build it first: model.build(input_shape), or begin with cr.nn.Input(shape)",
        )
    rows = _rows(model, expand_nested)
    text = _table(model, rows, line_length or 88)
    (print_fn or _print)(text)


def _print(text: str) -> None:
    console = importlib.import_module("rich.console").Console()
    console.print(text, highlight=False, markup=False)


def _rows(model: Any, deep: bool) -> list[tuple[str, str, str, int]]:
    """Path, class, output shape and number of weights of each part."""
    shapes = _output_shapes(model)
    chosen = [(path, layer) for path, layer in model.walk() if path]
    if not deep:
        chosen = [(path, layer) for path, layer in chosen if "/" not in path]
    return [
        (
            path,
            type(layer).__name__,
            shapes.get(id(layer), "–"),
            sum(math.prod(w.shape) for w in layer.weights_by_path().values())
            if not deep
            else sum(math.prod(w.shape) for w in layer.own_weights),
        )
        for path, layer in chosen
    ]


def _output_shapes(model: Any) -> dict[int, str]:
    """The output shape of each layer at its first call."""
    inference = Inference()
    found: dict[int, str] = {}
    shapes = model.built_for

    def stand_in(tree: Any) -> Any:
        if isinstance(tree, list):
            return [stand_in(entry) for entry in tree]
        if isinstance(tree, dict):
            return {name: stand_in(entry) for name, entry in tree.items()}
        return inference.value(ArrayType(tuple(tree), model.dtype))

    def watch(layer: Any, output: Any) -> None:
        sizes = [
            "(" + ", ".join(["batch", *map(str, type_of(leaf).shape[1:])]) + ")"
            for leaf in flatten(output)[0]
        ]
        found.setdefault(id(layer), ", ".join(sizes))

    scope = Scope({}, make=lambda w: inference.value(ArrayType(w.shape, w.dtype)), watch=watch)

    def run() -> Any:
        with scope:
            return model(stand_in(shapes))

    inference.types(run)
    return found


def _table(model: Any, rows: list[tuple[str, str, str, int]], width: int) -> str:
    rich_table = importlib.import_module("rich.table")
    box = importlib.import_module("rich.box")
    table = rich_table.Table(title=model.name, box=box.SIMPLE_HEAD, title_justify="left")
    for name, side in (
        ("layer", "left"),
        ("type", "left"),
        ("output", "left"),
        ("weights", "right"),
    ):
        table.add_column(name, justify=side, overflow="fold")
    for path, kind, shape, count in rows:
        table.add_row(path, kind, shape, f"{count:,}")
    stream = io.StringIO()
    console = importlib.import_module("rich.console").Console(file=stream, width=width)
    console.print(table)
    weights = model.weights_by_path()
    trained = model.trainable_paths()
    total = sum(math.prod(w.shape) for w in weights.values())
    changed = sum(math.prod(weights[path].shape) for path in trained)
    size = sum(math.prod(w.shape) * np.dtype(w.dtype).itemsize for w in weights.values())
    lines = [line.rstrip() for line in stream.getvalue().rstrip().splitlines()]
    return "\n".join(
        [
            *lines,
            f"  {total:,} weights, {changed:,} of them trained; {_bytes(size)}",
        ]
    )


def _bytes(size: int) -> str:
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size = size / 1000  # type: ignore[assignment]
    return f"{size:.1f} GB"
