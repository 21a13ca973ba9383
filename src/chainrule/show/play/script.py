"""The Python code that makes the network on the page, from the first weights to the last step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from chainrule.show.play.controls import MAKE, Controls, Source, in_words
from chainrule.show.play.network import layers, optimizer, quoted, training
from chainrule.show.play.problem import Problem
from chainrule.show.play.table import VALIDATION

FILE = "network.safetensors"


class Segment(NamedTuple):
    """Epochs that were trained under the same controls, from `first` up to and without `last`."""

    controls: Controls
    first: int
    last: int


def script(segments: Sequence[Segment], problem: Problem, source: Source | None) -> str:
    """A program that trains the same network again, changes on the way included.

    Args:
        segments: since the weights were drawn; the last one may be empty.
        problem: what was learned at the end.
        source: the user's table, if there is one.
    """
    first = segments[0].controls
    parts = [_beginning(first), _rows(first, source), _model(first, problem), _fit(segments[0])]
    before = first
    for segment in segments[1:]:
        parts.append(_change(before, segment, problem, source))
        before = segment.controls
    parts.append(f"print(model.evaluate(x_validation, y_validation))\nmodel.save({quoted(FILE)})\n")
    return "\n\n".join(part for part in parts if part)


def _beginning(controls: Controls) -> str:
    names = "table_rows" if controls.data == "table" else "dataset, features"
    return (
        '"""A network from `chainrule play`: run it, and the same weights come out, bit for bit."""'
        f"\n\nimport chainrule as cr\nfrom chainrule.show.play import {names}"
    )


def _rows(controls: Controls, source: Source | None) -> str:
    if controls.data == "table" and source is not None:
        told = f"target={quoted(source.target)}, task={quoted(source.task)}, seed={controls.seed}"
        return (
            f"rows = table_rows({quoted(source.path)}, {told})\n"
            "(x, y), (x_validation, y_validation) = rows.train, rows.validation"
        )
    names = ", ".join(map(quoted, controls.features))
    return (
        f"points, labels = dataset({quoted(controls.data)}, noise={controls.noise!r}, "
        f"seed={controls.seed})\n"
        f"inputs = features(points, [{names}])\n"
        "(x, y), (x_validation, y_validation), _ = cr.train.split(\n"
        f"    inputs, labels, validation={VALIDATION}, test=0.0, seed={controls.seed}\n"
        ")"
    )


def _model(controls: Controls, problem: Problem) -> str:
    lines = ["model = cr.nn.Sequential(", "    ["]
    lines += [f"        {layer}," for layer in layers(controls, problem)]
    lines += ["    ]", ")", f"model.build(seed={controls.seed})"]
    lines += [f"optimizer = {optimizer(controls)}", "model.compile(", "    optimizer,"]
    for name, value in training(controls, problem).items():
        text = quoted(value).replace("'", '"') if isinstance(value, list) else str(value)
        lines.append(f"    {name}={text},")
    return "\n".join([*lines, ")"])


def _fit(segment: Segment) -> str:
    if segment.last == segment.first:
        return ""
    controls = segment.controls
    size = controls.batch_size or None
    start = f"initial_epoch={segment.first}, " if segment.first else ""
    return (
        f"model.fit(x, y, batch_size={size}, {start}epochs={segment.last}, "
        f"seed={controls.seed}, verbose=0)"
    )


def _change(before: Controls, segment: Segment, problem: Problem, source: Source | None) -> str:
    """What was changed at the beginning of a segment, and its epochs."""
    now = segment.controls
    names = now.differences(before)
    told = ", ".join(
        f"{in_words(name)} {quoted(getattr(now, name))}"
        for name in Controls.__dataclass_fields__
        if name in names
    )
    lines = [f"# After epoch {segment.first}: {told}."]
    if "noise" in names:
        lines.append(_rows(now, source))
    if names & MAKE:
        lines += ["before = model", _model(now, problem), "model.keep(before.variables)"]
        if "optimizer" not in names:
            lines.append("model.optimizer_state = before.optimizer_state")
    elif "learning_rate" in names:
        lines.append(f"optimizer.learning_rate = {now.learning_rate!r}")
    fit = _fit(segment)
    return "\n".join([*lines, fit] if fit else lines)
