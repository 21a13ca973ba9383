"""A look inside a network: what its units give, and which gradients reach its layers."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from chainrule.nn import pure
from chainrule.nn.dense import Dense
from chainrule.nn.scope import Scope
from chainrule.run.jit import jit
from chainrule.transform.gradient import grad

BINS = 24
# Sizes of gradients, as powers of ten: what is smaller or larger counts in the outermost bins.
SMALLEST, LARGEST = -8.0, 2.0


class LayerPicture(NamedTuple):
    """How the entries of a layer are spread over the rows.

    Fields: low and high, between which the activations are counted; activations, counts per bin;
    gradients, counts per bin of log10 of their sizes; zeros, the share of gradients that are 0;
    typical, the root of the mean square of the gradients, NaN if none is finite; strange, the share
    of activations and gradients that aren't finite.
    """

    low: float
    high: float
    activations: list[int]
    gradients: list[int]
    zeros: float
    typical: float
    strange: float


def activations(model: Any, variables: Any, x: np.ndarray) -> list[np.ndarray]:
    """What each dense layer gives for these inputs, compiled."""

    def run(variables: Any, inputs: Any) -> list[Any]:
        found: list[Any] = []

        def watch(layer: Any, output: Any) -> None:
            if isinstance(layer, Dense):
                found.append(output)

        pure.forward(model, variables, (inputs,), watch=watch)
        return found

    program = model.kept_program("activations", lambda: jit(run))
    given: list[np.ndarray] = program(variables, x)
    return given


def both_ways(
    model: Any, variables: Any, x: np.ndarray, y: np.ndarray
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What each dense layer gives for some rows, and the derivative of each row's loss by that.

    Dropout is off, as when the network is asked; penalties on weights play no part. Compiled.
    """
    loss = model.compiled.loss

    def total(added: list[Any], variables: Any, inputs: Any, labels: Any) -> tuple[Any, list[Any]]:
        values = {**variables["parameters"], **variables["state"]}
        weights = model.weights_by_path()
        found: list[Any] = []
        with Scope({weight: values[path] for path, weight in weights.items()}):
            for layer in model.layers:
                inputs = layer(inputs)
                if isinstance(layer, Dense):
                    inputs = inputs + added[len(found)]
                    found.append(inputs)
        return loss(labels, inputs) * len(labels), found

    program = model.kept_program("both ways", lambda: jit(grad(total, has_aux=True)))
    units = [layer.units for layer in model.layers if isinstance(layer, Dense)]
    zeros = [np.zeros((len(x), count), np.float32) for count in units]
    slopes, outputs = program(zeros, variables, x, y)
    return outputs, slopes


def layer_pictures(model: Any, variables: Any, x: np.ndarray, y: np.ndarray) -> list[LayerPicture]:
    """One picture per dense layer, for some rows and their labels."""
    return [_picture(a, g) for a, g in zip(*both_ways(model, variables, x, y), strict=True)]


def _picture(a: np.ndarray, g: np.ndarray) -> LayerPicture:
    fine = a[np.isfinite(a)]
    low, high = (float(fine.min()), float(fine.max())) if fine.size else (0.0, 0.0)
    if high - low < 1e-6:
        low, high = low - 0.5, high + 0.5
    counts, _ = np.histogram(fine, BINS, (low, high))
    known = np.abs(g[np.isfinite(g)]).astype(np.float64)
    moved = known[known > 0]
    powers = np.clip(np.log10(moved), SMALLEST, LARGEST)
    sizes, _ = np.histogram(powers, BINS, (SMALLEST, LARGEST))
    return LayerPicture(
        low,
        high,
        counts.tolist(),
        sizes.tolist(),
        1 - moved.size / known.size if known.size else 0.0,
        float(np.sqrt(np.mean(known**2))) if known.size else np.nan,
        1 - (fine.size + known.size) / (a.size + g.size),
    )
