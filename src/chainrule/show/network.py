"""A network of dense layers as its units: circles, weights on the edges, no biases and no loss."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from chainrule.base.errors import UnsupportedError
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
_STEP = 250.0  # layers
_MOST = 9  # units of a layer that are drawn one by one
_FEW = (4, 2)  # units above and below the dots of a wider layer
_LABELLED = 40  # weights that are written on their edges
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


def _scene(layers: Sequence[Dense]) -> Scene:
    sizes = [layers[0].kernel.shape[0], *(layer.kernel.shape[1] for layer in layers)]
    height = max(map(_rows, sizes)) * _APART
    captions = ["input", *(layer.name.removesuffix("/kernel") for layer in layers)]
    runs = [name_runs(words) for words in captions]
    start = max(_RADIUS, runs_width(runs[0], 13.0) / 2)
    end = max(_RADIUS, runs_width(runs[-1], 13.0) / 2)
    columns = [_column(n, start + k * _STEP, height) for k, n in enumerate(sizes)]
    shown = sum(len(a.units) * len(b.units) for a, b in pairwise(columns))
    groups: list[Group] = []
    for k, layer in enumerate(layers):
        groups += _weights(k, layer, columns[k], columns[k + 1], shown <= _LABELLED)
    for k, column in enumerate(columns):
        groups += _units(k, column, layers, sizes[k])
    for column, words, line, size in zip(columns, captions, runs, sizes, strict=True):
        x = column.places[0][0]
        shapes: list[Shape] = [Text(x, height + 16, line, 13.0, "middle", "quiet")]
        if column.dots:
            count = (Run(f"{size} units"),)
            shapes.append(Text(x, height + 34, count, 11.5, "middle", "quiet"))
        groups.append(Group("caption", words, tuple(shapes)))
    width = start + _STEP * len(layers) + end
    description = f"{len(layers)} dense layers: {' to '.join(map(str, sizes))} units."
    return Scene(width, height + 40, "Network diagram", description, tuple(groups))


def _weights(
    k: int, layer: Dense, before: _Column, after: _Column, labelled: bool
) -> Iterator[Group]:
    """The edges of one layer: colour and thickness by sign and size, the number along the line."""
    largest = float(np.max(np.abs(layer.kernel), initial=0.0)) or 1.0
    taken: list[Point] = []
    labels: list[Group] = []
    for i, (x0, y0) in zip(before.units, before.places, strict=True):
        for j, (x1, y1) in zip(after.units, after.places, strict=True):
            weight = float(layer.kernel[i, j])
            angle = math.atan2(y1 - y0, x1 - x0)
            dx, dy = _RADIUS * math.cos(angle), _RADIUS * math.sin(angle)
            ends = ((x0 + dx, y0 + dy), (x1 - dx, y1 - dy))
            role = "weight positive" if weight >= 0 else "weight negative"
            line = Lines(ends, role, 0.7 + 2.0 * min(1.0, abs(weight) / largest))
            title = f"weight {i + 1} to {j + 1} of {layer.name}: {short(weight)}"
            data = {"layer": str(k), "source": str(i), "target": str(j)}
            data["weight"] = exact(np.asarray(layer.kernel[i, j])) or ""
            yield Group("edge", title, (line,), data)
            if labelled:
                x, y = _free_place(ends, taken)
                x, y = x + 4 * math.sin(angle), y - 4 * math.cos(angle)
                text = (Run(short(weight, 3)),)
                turn = math.degrees(angle)
                shape = Text(x, y, text, 11.5, "middle", "ink halo", turn)
                labels.append(Group("label", title, (shape,)))
    yield from labels


def _free_place(ends: tuple[Point, Point], taken: list[Point]) -> Point:
    """A place on a line for its number, where no other number stands; else the least crowded."""
    (x0, y0), (x1, y1) = ends
    best, most = ends[0], -1.0
    for t in (0.26, 0.74, 0.18, 0.82, 0.36, 0.64, 0.5):
        at = (x0 + (x1 - x0) * t, y0 + (y1 - y0) * t)
        room = min((_distance(at, other) for other in taken), default=math.inf)
        if room > most:
            best, most = at, room
        if room > 1.0:
            break
    taken.append(best)
    return best


def _distance(a: Point, b: Point) -> float:
    """How far apart two numbers are, 1 where they would touch."""
    return math.hypot((a[0] - b[0]) / 46.0, (a[1] - b[1]) / 17.0)


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
