"""What the page is sent: the scene, when the problem changes, and frames of the network at work."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.nn.dense import Dense
from chainrule.show.play.probe import LARGEST, SMALLEST, activations, layer_pictures
from chainrule.show.play.problem import Problem

MAP = 100  # pixels of the decision picture, each way
TILE = 20  # pixels of the picture of one unit
SHOWN = 8  # units of a layer that are drawn; the page says how many more there are
_DRAWN = 400  # points that are drawn, of either part
_PROBED = 256  # rows that the histograms count


def numbers(values: Iterable[float | None]) -> list[Any]:
    """Numbers as JSON takes them: four significant digits; "NaN", "Infinity" or "-Infinity"."""
    return [_number(value) for value in values]


def _number(value: float | None) -> Any:
    if value is None:
        return None
    if math.isfinite(value):
        return float(f"{value:.4g}")
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def scene(problem: Problem) -> dict[str, Any]:
    """All of a problem that the page draws once."""
    plane = problem.plane
    parts = {}
    for name, places, (_, y) in (
        ("train", problem.places[0], problem.train),
        ("validation", problem.places[1], problem.validation),
    ):
        chosen = slice(None, _DRAWN)
        labels = y[chosen] if problem.classes is not None else y[chosen, 0] / problem.span
        parts[name] = {
            "x": numbers(places[chosen, 0].tolist()),
            "y": numbers(places[chosen, 1].tolist()),
            "label": numbers(labels.tolist()),
            "rows": len(y),
        }
    return {
        "title": problem.title,
        "inputs": problem.inputs,
        "classes": problem.classes,
        "target": None if problem.encoder is None else problem.encoder.target,
        "axes": plane.axes,
        "low": plane.low,
        "high": plane.high,
        "shown": [numbers(ends) for ends in plane.shown],
        "notes": problem.notes,
        "map": MAP,
        "tile": TILE,
        "powers": [SMALLEST, LARGEST],
        **parts,
    }


class Camera:
    """Takes the pictures of networks for one problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.grid = problem.plane.grid(MAP)
        x, y = problem.train
        self.rows = x[:_PROBED], y[:_PROBED]

    def picture(self, model: Any) -> dict[str, Any]:
        """A network now: decisions over the plane, what units give there, weights, histograms."""
        with np.errstate(all="ignore"):  # a network may be about to leave the finite numbers
            variables = model.variables
            units = [self.grid, *activations(model, variables, self.grid)]
            return {
                "map": _encoded(self._decisions(units[-1])),
                "tiles": [_encoded(_tiles(layer)) for layer in units],
                "layers": [_weights(layer) for layer in model.layers if isinstance(layer, Dense)],
                "histograms": [
                    {
                        "low": _number(one.low),
                        "high": _number(one.high),
                        "activations": one.activations,
                        "gradients": one.gradients,
                        "zeros": _number(one.zeros),
                        "strange": _number(one.strange),
                        "typical": _number(one.typical),
                    }
                    for one in layer_pictures(model, variables, *self.rows)
                ],
            }

    def _decisions(self, outputs: np.ndarray) -> np.ndarray:
        """Bytes: per pixel the value, or one plane with classes and one with how sure it is.

        255 as a class stands for scores that aren't finite.
        """
        if self.problem.classes is None:
            return _signed(outputs[:, 0] / self.problem.span)
        shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        chances = shifted / shifted.sum(axis=1, keepdims=True)
        best = chances.max(axis=1)
        even = 1 / len(self.problem.classes)
        sure = np.nan_to_num((best - even) / (1 - even))
        winner = np.where(np.isfinite(best), np.argmax(outputs, axis=1), 255)
        return np.concatenate([winner, np.round(255 * sure)]).astype(np.uint8)


def _signed(values: np.ndarray) -> np.ndarray:
    """Numbers from -1 to 1 as bytes from 1 to 255; 0 stands for NaN."""
    whole = np.round(128 + 127 * np.clip(values, -1, 1))
    return np.where(np.isfinite(values), whole, 0).astype(np.uint8)


def _tiles(layer: np.ndarray) -> np.ndarray:
    """A smaller picture per unit, each in its own scale."""
    step = MAP // TILE
    whole = layer[:, :SHOWN].T.reshape(-1, MAP, MAP)
    shown = whole[:, step // 2 :: step, step // 2 :: step].reshape(len(whole), -1)
    size = np.max(np.abs(np.nan_to_num(shown)), axis=1, keepdims=True)
    return _signed(shown / np.where(size > 0, size, 1))


def _weights(layer: Dense) -> dict[str, Any]:
    kernel, bias = layer.kernel, layer.bias
    return {
        "units": layer.units,
        "weights": [numbers(row) for row in kernel[:SHOWN, :SHOWN].tolist()],
        "biases": numbers(bias[:SHOWN].tolist()),
    }


def _encoded(data: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(data).tobytes()).decode("ascii")


class Curves:
    """Loss and accuracy over the epochs, thinned so that any training fits."""

    MOST = 500

    def __init__(self) -> None:
        self.names = ("epoch", "loss", "val_loss", "accuracy", "val_accuracy")
        self.every = 1
        self.rows: list[tuple[Any, ...]] = []
        self.last: tuple[Any, ...] | None = None

    def add(self, epoch: int, logs: dict[str, Any]) -> None:
        """Enter the numbers after an epoch, counted from 1."""
        self.last = (epoch, *(logs.get(name) for name in self.names[1:]))
        if epoch % self.every == 0:
            self.rows.append(self.last)
        if len(self.rows) > self.MOST:
            self.every *= 2
            self.rows = [row for row in self.rows if row[0] % self.every == 0]

    def data(self) -> dict[str, Sequence[Any]]:
        """Name → a list with a number for each epoch that is kept, the newest last."""
        rows = list(self.rows)
        if self.last is not None and (not rows or rows[-1] != self.last):
            rows.append(self.last)
        return {name: numbers(row[i] for row in rows) for i, name in enumerate(self.names)}
