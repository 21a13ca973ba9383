"""A network of dense layers as its units: circles, weights on the edges, no biases and no loss."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.base.errors import UnsupportedError
from chainrule.show.metric import text_width
from chainrule.show.node import Node
from chainrule.show.numeral import exact, short
from chainrule.show.scene import (
    Circle,
    Group,
    Lines,
    Point,
    Run,
    Scene,
    Shape,
    Text,
    name_runs,
    runs_width,
)

_RADIUS = 19.0
_APART = 62.0  # units of a layer
_STEPS = (230.0, 300.0, 380.0)  # between layers; as far as the numbers on the edges need
_MOST = 9  # units of a layer that are drawn one by one
_FEW = (4, 2)  # units above and below the dots of a wider layer
_LABELLED = 40  # weights that are written on their edges, where there is room
_LABEL = 11.5  # size of their numbers
_SIGNS = {
    "expit": "σ",
    "sigmoid": "σ",
    "tanh": "tanh",
    "maximum": "relu",
    "relu": "relu",
    "linear": "",
    "softmax": "soft",
}


@dataclass(frozen=True)
class Dense:
    """One layer: weights of shape (inputs, units), and what is done with the sums."""

    name: str
    kernel: np.ndarray
    activation: str = ""


def network(source: Any) -> Scene:
    """Draw a network of dense layers as circles and weights.

    Args:
        source: a `ComputationGraph` of such a network, or a model that has its weights.

    Raises:
        UnsupportedError: it isn't a chain of dense layers.
    """
    layers = _of_graph(source) if hasattr(source, "edges") else _of_model(source)
    for before, after in pairwise(layers):
        if before.kernel.shape[1] != after.kernel.shape[0]:
            raise _refusal(
                f"{before.name} gives {before.kernel.shape[1]} numbers, and {after.name} takes "
                f"{after.kernel.shape[0]}"
            )
    return _scene(layers)


def _refusal(reason: str) -> UnsupportedError:
    return UnsupportedError(
        "a network diagram shows a chain of dense layers, and this isn't one",
        {"reason": reason},
        "draw it with convention='computation', folded if it is large: fold='layer'",
    )


# ---- the layers ----------------------------------------------------------------------------------


def _of_model(model: Any) -> list[Dense]:
    """The layers of a model; what has no weights and changes no shape passes."""
    found: list[Dense] = []
    for layer in getattr(model, "layers", ()):
        kernel = getattr(layer, "kernel", None)
        if kernel is not None and np.ndim(kernel) == 2:
            activation = getattr(layer, "activation", None)
            name = getattr(activation, "__name__", "") if activation is not None else ""
            found.append(Dense(layer.name, np.asarray(kernel), _SIGNS.get(name, name)))
        elif layer.weights:
            raise _refusal(f"{layer.name} ({type(layer).__name__}) isn't a dense layer")
        elif found and type(layer).__name__ in ("Activation", "ReLU", "Softmax"):
            last = found.pop()
            activation = getattr(layer, "activation", None)
            name = getattr(activation, "__name__", type(layer).__name__.lower())
            found.append(Dense(last.name, last.kernel, _SIGNS.get(name, name)))
    if not found:
        raise _refusal("it has no dense layer with weights: call model.build(input_shape) first")
    return found


def _of_graph(graph: Any) -> list[Dense]:
    """The products with arrays of weights, each with the function that its sums go through."""
    found: list[Dense] = []
    last: Node | None = None
    for node in graph.nodes:
        if node.operation != "matmul":
            continue
        side = _weights_of(node)
        if side is None:
            raise _refusal(f"{node.name} multiplies two computed arrays")
        if last is not None and last not in _behind(node.inputs[1 - side]):
            raise _refusal(f"{node.name} doesn't follow {last.name}")
        kernel = np.asarray(node.inputs[side].value)
        kernel = kernel if side == 1 else kernel.T
        found.append(Dense(node.inputs[side].name, kernel, _activation(node)))
        last = node
    if not found:
        raise _refusal("it multiplies by no array of weights")
    return found


def _weights_of(node: Node) -> int | None:
    """Which operand holds the weights: a two-dimensional leaf, the right one of two."""
    for side in (1, 0):
        source, other = node.inputs[side], node.inputs[1 - side]
        if source.kind != "operation" and len(source.type.shape) == 2:
            if other.kind != "operation" and side == 1 and len(other.type.shape) == 2:
                return 0 if other.kind == "captured" and source.kind != "captured" else 1
            return side
    return None


def _behind(node: Node) -> set[Node]:
    """Everything that a node depends on up to the next product, itself included."""
    seen: set[Node] = set()
    waiting = [node]
    while waiting:
        at = waiting.pop()
        if at not in seen:
            seen.add(at)
            waiting += at.inputs if at.operation != "matmul" else ()
    return seen


def _activation(node: Node) -> str:
    """The function after a product and its bias, as a sign for a unit."""
    users: tuple[Node, ...] = node.users
    for _ in range(4):
        if len(users) != 1:
            return ""
        name = users[0].operation or ""
        if name in _SIGNS:
            return _SIGNS[name]
        if name not in ("add", "reshape"):
            return ""
        users = users[0].users
    return ""


# ---- the picture ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """The units of one layer that are drawn: their numbers and places; where the dots stand."""

    units: tuple[int, ...]
    places: tuple[Point, ...]
    dots: tuple[Point, ...]


def _column(count: int, x: float, height: float) -> _Column:
    if count <= _MOST:
        units: tuple[int, ...] = tuple(range(count))
        slots: Sequence[int] = range(count)
    else:
        units = (*range(_FEW[0]), *range(count - _FEW[1], count))
        slots = (*range(_FEW[0]), *range(_FEW[0] + 1, sum(_FEW) + 1))
    rows = count if count <= _MOST else sum(_FEW) + 1
    top = height / 2 - (rows - 1) / 2 * _APART
    places = tuple((x, top + slot * _APART) for slot in slots)
    middle = top + _FEW[0] * _APART
    dots = () if count <= _MOST else tuple((x, middle + d) for d in (-9.0, 0.0, 9.0))
    return _Column(units, places, dots)


def _rows(count: int) -> int:
    return count if count <= _MOST else sum(_FEW) + 1


def _drawn(count: int) -> int:
    """How many units of a layer are drawn."""
    return count if count <= _MOST else sum(_FEW)


def _scene(layers: Sequence[Dense]) -> Scene:
    sizes = [layers[0].kernel.shape[0], *(layer.kernel.shape[1] for layer in layers)]
    height = max(map(_rows, sizes)) * _APART
    captions = ["input", *(layer.name.removesuffix("/kernel") for layer in layers)]
    runs = [name_runs(words) for words in captions]
    columns = [_column(sizes[0], max(_RADIUS, runs_width(runs[0], 13.0) / 2), height)]
    shown = sum(_drawn(a) * _drawn(b) for a, b in pairwise(sizes))
    groups: list[Group] = []
    labels: list[Group] = []
    for k, layer in enumerate(layers):
        last = columns[-1]
        for step in _STEPS if shown <= _LABELLED else _STEPS[:1]:
            column = _column(sizes[k + 1], last.places[0][0] + step, height)
            wires = list(_wires(layer, last, column))
            places = _placed(wires) if shown <= _LABELLED else None
            crossed = sum(_crossed(wire, wires, t) for wire, t in places or ())
            if places is not None and 2 * crossed <= len(wires):
                break
        groups += _weights(k, layer, wires)
        if places is not None:
            labels += [_label(wire, t) for wire, t in places]
        columns.append(column)
    groups += labels
    for k, column in enumerate(columns):
        groups += _units(k, column, layers, sizes[k])
    for column, words, line, size in zip(columns, captions, runs, sizes, strict=True):
        x = column.places[0][0]
        shapes: list[Shape] = [Text(x, height + 16, line, 13.0, "middle", "quiet")]
        if column.dots:
            count = (Run(f"{size} units"),)
            shapes.append(Text(x, height + 34, count, 11.5, "middle", "quiet"))
        groups.append(Group("caption", words, tuple(shapes)))
    width = columns[-1].places[0][0] + max(_RADIUS, runs_width(runs[-1], 13.0) / 2)
    description = f"{len(layers)} dense layers: {' to '.join(map(str, sizes))} units."
    bottom = height + (38 if any(column.dots for column in columns) else 20)
    return Scene(width, bottom, "Network diagram", description, tuple(groups))


@dataclass(frozen=True)
class _Wire:
    """One weight: between which units, how much, and the line from rim to rim."""

    source: int
    target: int
    weight: float
    ends: tuple[Point, Point]
    title: str

    @property
    def angle(self) -> float:
        (x0, y0), (x1, y1) = self.ends
        return math.atan2(y1 - y0, x1 - x0)

    def at(self, t: float) -> Point:
        """A point on the line, t from 0 to 1 along it."""
        (x0, y0), (x1, y1) = self.ends
        return x0 + (x1 - x0) * t, y0 + (y1 - y0) * t


def _wires(layer: Dense, before: _Column, after: _Column) -> Iterator[_Wire]:
    for i, (x0, y0) in zip(before.units, before.places, strict=True):
        for j, (x1, y1) in zip(after.units, after.places, strict=True):
            weight = float(layer.kernel[i, j])
            angle = math.atan2(y1 - y0, x1 - x0)
            dx, dy = _RADIUS * math.cos(angle), _RADIUS * math.sin(angle)
            title = f"weight {i + 1} to {j + 1} of {layer.name}: {short(weight)}"
            yield _Wire(i, j, weight, ((x0 + dx, y0 + dy), (x1 - dx, y1 - dy)), title)


def _weights(k: int, layer: Dense, wires: Sequence[_Wire]) -> Iterator[Group]:
    """The edges of one layer: colour and dashes by sign, thickness by size."""
    largest = float(np.max(np.abs(layer.kernel), initial=0.0)) or 1.0
    for wire in wires:
        role = "weight positive" if wire.weight >= 0 else "weight negative"
        line = Lines(wire.ends, role, 0.7 + 2.0 * min(1.0, abs(wire.weight) / largest))
        data = {"layer": str(k), "source": str(wire.source), "target": str(wire.target)}
        data["weight"] = exact(np.asarray(layer.kernel[wire.source, wire.target])) or ""
        yield Group("edge", wire.title, (line,), data)


# ---- numbers on the edges ------------------------------------------------------------------------


def _label(wire: _Wire, t: float) -> Group:
    """The number along a line, just above it."""
    x, y = wire.at(t)
    x, y = x + 4 * math.sin(wire.angle), y - 4 * math.cos(wire.angle)
    text = (Run(short(wire.weight, 3)),)
    shape = Text(x, y, text, _LABEL, "middle", "ink halo", math.degrees(wire.angle))
    return Group("label", wire.title, (shape,))


def _placed(wires: Sequence[_Wire]) -> list[tuple[_Wire, float]] | None:
    """Where on its line each number stands, so that none touches another; None if they can't."""
    found: list[tuple[_Wire, float]] = []
    taken: list[list[Point]] = []
    for wire in wires:
        free = []
        for k in range(20, 81, 3):
            corners = _corners(wire, k / 100)
            if not any(_touch(corners, other) for other in taken):
                free.append((_crossed(wire, wires, k / 100), abs(k / 100 - 0.3), k / 100))
        if not free:
            return None
        found.append((wire, min(free)[2]))
        taken.append(_corners(*found[-1]))
    return found


def _corners(wire: _Wire, t: float) -> list[Point]:
    """The corners of the room that a number takes."""
    x, y = wire.at(t)
    half = text_width(short(wire.weight, 3), _LABEL) / 2 + 3
    (ux, uy) = math.cos(wire.angle), math.sin(wire.angle)
    return [
        (x + a * ux - b * uy, y + a * uy + b * ux)
        for a, b in ((-half, -14.0), (half, -14.0), (half, 1.0), (-half, 1.0))
    ]


def _touch(one: Sequence[Point], other: Sequence[Point]) -> bool:
    """Whether two rectangles overlap: no line separates them."""
    for corners in (one, other):
        for a, b in pairwise(corners[:3]):
            axis = (b[0] - a[0], b[1] - a[1])
            mine, theirs = ([x * axis[0] + y * axis[1] for x, y in box] for box in (one, other))
            if max(mine) <= min(theirs) or max(theirs) <= min(mine):
                return False
    return True


def _crossed(wire: _Wire, wires: Sequence[_Wire], t: float) -> int:
    """How many other lines run through the room of a number."""
    x, y = wire.at(t)
    count = 0
    for other in wires:
        (x0, y0), (x1, y1) = other.ends
        height = y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        count += other is not wire and -20.0 < height - y < 8.0
    return count


def _units(k: int, column: _Column, layers: Sequence[Dense], count: int) -> Iterator[Group]:
    last = k == len(layers)
    role = "input" if k == 0 else "operation"
    for unit, (x, y) in zip(column.units, column.places, strict=True):
        if k == 0:
            runs: tuple[Run, ...] = (Run("x", "name"), Run(str(unit + 1), "sub"))
            words = f"input {unit + 1}"
        else:
            sign = layers[k - 1].activation
            runs = (Run(sign or "Σ"),)
            words = f"unit {unit + 1} of {layers[k - 1].name}"
        size = 15.0 if k == 0 or len(runs[0].text) < 2 else 11.5
        shapes = (Circle(x, y, _RADIUS, role), Text(x, y + size * 0.34, runs, size))
        kind = f"node unit {role}" + (" output" if last else "")
        yield Group(kind, words, shapes, {"layer": str(k), "unit": str(unit)})
    if column.dots:
        shapes_of_dots = tuple(Circle(x, y, 1.8, "dots") for x, y in column.dots)
        hidden = count - len(column.units)
        yield Group("more", f"{hidden} more units", shapes_of_dots)
