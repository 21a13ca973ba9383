"""What goes on inside a network, layer by layer: activations forward, gradients backward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import get
from chainrule.base.trees import map_tree
from chainrule.ir.types import type_of
from chainrule.nn import pure
from chainrule.show import palette
from chainrule.show.plot.plot import Look, Plot, in_panels
from chainrule.tracing.stage import StageTrace
from chainrule.tracing.tracer import Tracer
from chainrule.train.compiled import leaves, output_names
from chainrule.train.objective import Batch, Objective
from chainrule.transform.gradient import grad

_BINS = 40
_WORDS = {"activation": "activation", "gradient": "log₁₀ |gradient|"}


def activation_histograms(model: Any, x: Any, *, bins: int = _BINS, theme: str = "light") -> Plot:
    """How the outputs of each layer are spread: saturated, dead, or alive.

    Args:
        model: a network.
        x: inputs, a batch of them.
        bins: of each histogram.
        theme: "light" or "dark".

    Returns:
        A `Plot` with a panel per layer; its data: layer's path → all its outputs, one row per
        example.

    Raises:
        ArgumentError: the model has no weights yet; matplotlib isn't installed.
    """
    outputs = _Outputs(model)
    pure.forward(model, _variables(model), (_inputs(model, x),), watch=outputs)
    return _histograms(outputs.found, "activation", bins, theme)


def gradient_histograms(
    model: Any, x: Any, y: Any, *, loss: Any = None, bins: int = _BINS, theme: str = "light"
) -> Plot:
    """How large the gradients are that come back to each layer, in powers of ten.

    Args:
        model: a network.
        x: inputs, a batch of them.
        y: their labels; of several outputs as for `fit`.
        loss: a name or a function of (y, prediction); the one the model was compiled with.
        bins: of each histogram.
        theme: "light" or "dark".

    Returns:
        A `Plot` with a panel per layer, of powers of ten; its data: layer's path → the derivative
        of the loss by each of its outputs, one row per example.

    Raises:
        ArgumentError: no loss is known; the model has no weights yet; matplotlib isn't installed.
    """
    variables, inputs = _variables(model), _inputs(model, x)
    outputs = _Outputs(model)
    prediction = pure.forward(model, variables, (inputs,), watch=outputs).output
    lowered = _lowered(model, variables, inputs, loss, prediction, y)
    zeros = {path: np.zeros_like(output) for path, output in outputs.found.items()}
    slopes = grad(lambda offsets: lowered(_Outputs(model, offsets)))(zeros)
    return _histograms(slopes, "gradient", bins, theme)


def _lowered(
    model: Any, variables: Any, inputs: Any, loss: Any, prediction: Any, y: Any
) -> Callable[[_Outputs], Any]:
    """The loss of a forward pass that is watched: one that is named, or what `fit` lowers."""
    if loss is not None:
        chosen, labels = get("loss", loss), map_tree(np.asarray, y)

        def named(watch: _Outputs) -> Any:
            return chosen(labels, pure.forward(model, variables, (inputs,), watch=watch).output)

        return named
    if model.compiled is None:
        raise ArgumentError(
            "gradient_histograms: there is no loss to differentiate",
            fix='name one, loss="mse", or compile the model',
        )
    truths = [np.asarray(label) for label in leaves(y)]
    types = map_tree(type_of, prediction)
    names = model.output_names() or output_names(types)
    parts = model.compiled.parts(types, list(map(type_of, truths)), names)
    objective = Objective(model, parts, model.compiled.regularizer)
    batch = Batch(inputs, truths, [None] * len(truths), None)

    def whole(watch: _Outputs) -> Any:
        parameters, state = variables["parameters"], variables["state"]
        return objective(parameters, state, batch, None, training=False, watch=watch)[0]

    return whole


class _Outputs:
    """Watches a forward pass, and keeps what the innermost layers give.

    Args:
        model: the network.
        offsets: path → what is added to the output there.

    Attributes: found, path → output; a layer that is called again is told apart by its number.
    What a layer computes step by step within a loop isn't an output: that of the whole layer is.
    """

    def __init__(self, model: Any, offsets: Mapping[str, Any] | None = None) -> None:
        self.names = {id(layer): path for path, layer in model.walk()}
        self.offsets = offsets
        self.found: dict[str, Any] = {}

    def __call__(self, layer: Any, output: Any) -> Any:
        name = self.names.get(id(layer), layer.name)
        within = f"{name}/" if name else ""
        staged = type(output) is Tracer and isinstance(output.owner, StageTrace)
        array = isinstance(output, (np.ndarray, Tracer)) and output.dtype.kind in "fc"
        if staged or not array or any(known.startswith(within) for known in self.found):
            return None
        name = name or layer.name
        calls = sum(known.partition(" (")[0] == name for known in self.found)
        path = f"{name} (call {calls + 1})" if calls else name
        self.found[path] = output
        return None if self.offsets is None else output + self.offsets[path]


def _variables(model: Any) -> Any:
    model.build_if_known()
    if not model.has_values:
        raise ArgumentError(
            "this model has no weights yet", fix="build it: model.build(input_shape), or fit it"
        )
    return model.variables


def _inputs(model: Any, x: Any) -> Any:
    """The inputs as arrays, floating-point ones in the model's dtype; several stay several."""

    def one(entry: Any) -> np.ndarray:
        entry = np.asarray(entry)
        return entry.astype(model.dtype, copy=False) if entry.dtype.kind == "f" else entry

    several = isinstance(x, Mapping) or (
        isinstance(x, (list, tuple)) and all(isinstance(entry, np.ndarray) for entry in x)
    )
    return map_tree(one, x) if several else one(x)


def _histograms(data: dict[str, np.ndarray], what: str, bins: int, theme: str) -> Plot:
    if not data:
        raise ArgumentError("no layer of this model gives floating-point numbers")
    columns = 4
    shown = {name: _shown(values, what) for name, values in data.items()}
    every = np.concatenate([values for values, _ in shown.values()])
    low, high = (float(every.min()), float(every.max())) if every.size else (0.0, 1.0)
    if high <= low:
        low, high = low - 0.5, high + 0.5

    def draw(figure: Any, look: Look) -> None:
        panels = in_panels(figure, len(shown), columns)
        for axes, (name, (values, notes)) in zip(panels, shown.items(), strict=True):
            # Sizes of gradients are to be compared from layer to layer.
            span = (low, high) if what == "gradient" else None
            colour = look(palette.VALUE if what == "activation" else palette.GRADIENT)
            if values.size:
                axes.hist(values, bins=bins, range=span, color=colour, edgecolor="none")
            if span is not None:
                edge = 0.03 * (high - low)  # room for the outermost bars
                axes.set_xlim(low - edge, high + edge)
            axes.set(title=name, xlabel=_WORDS[what], yticks=[])
            axes.spines["left"].set_visible(False)
            axes.margins(y=0.22 if notes else 0.05)
            axes.text(
                0.98, 0.98, "\n".join(notes), transform=axes.transAxes, ha="right", va="top",
                fontsize=8.5, color=look(palette.WRONG if notes else palette.QUIET),
            )  # fmt: skip

    rows, width = -(-len(shown) // columns), min(len(shown), columns)
    return Plot(data, draw, (2.6 * width + 0.4, 2.3 * rows + 0.3), theme)


def _shown(values: np.ndarray, what: str) -> tuple[np.ndarray, list[str]]:
    """What a histogram counts, and notes on what it can't: zeros as powers of ten, NaN."""
    values = np.asarray(values, float).reshape(-1)
    fine = values[np.isfinite(values)]
    notes = [f"{values.size - fine.size} not finite"] * (fine.size < values.size)
    if what == "activation":
        return fine, notes
    zeros = int((fine == 0).sum())
    if zeros:
        notes.append(f"{zeros / values.size:.0%} are 0")
    return np.log10(np.abs(fine[fine != 0])), notes
