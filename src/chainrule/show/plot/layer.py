"""What goes on inside a network, layer by layer: activations forward, gradients backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, UnsupportedError
from chainrule.base.registry import get
from chainrule.nn import pure
from chainrule.nn.scope import Scope
from chainrule.show import palette
from chainrule.show.plot.plot import Look, Plot, in_panels
from chainrule.train.sequential import Sequential
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
    found: dict[str, np.ndarray] = {}
    names = {id(layer): path for path, layer in model.walk()}

    def watch(layer: Any, output: Any) -> None:
        path = names.get(id(layer))
        if path and isinstance(output, np.ndarray) and not any(layer.children()):
            found[path] = output

    pure.forward(model, _variables(model), (_inputs(model, x),), watch=watch)
    return _histograms(found, "activation", bins, theme)


def gradient_histograms(
    model: Any, x: Any, y: Any, *, loss: Any = None, bins: int = _BINS, theme: str = "light"
) -> Plot:
    """How large the gradients are that come back to each layer, in powers of ten.

    Args:
        model: a `Sequential`.
        x: inputs, a batch of them.
        y: their labels.
        loss: a name or a function of (y, prediction); the one the model was compiled with.
        bins: of each histogram.
        theme: "light" or "dark".

    Returns:
        A `Plot` with a panel per layer, of powers of ten; its data: layer's path → the derivative
        of the loss by each of its outputs, one row per example.

    Raises:
        UnsupportedError: the model isn't a `Sequential`.
        ArgumentError: no loss is known; the model has no weights yet; matplotlib isn't installed.
    """
    if not isinstance(model, Sequential):
        raise UnsupportedError(
            "gradient_histograms: only of layers that stand one after the other",
            {"model": type(model).__name__},
            "put them into a cr.nn.Sequential; activation_histograms takes every model",
        )
    chosen = get("loss", loss if loss is not None else getattr(model.compiled, "loss", None))
    if chosen is None:
        raise ArgumentError(
            "gradient_histograms: there is no loss to differentiate",
            fix='name one, loss="mse", or compile the model',
        )
    y = np.asarray(y)
    values = {w: v for group in _variables(model).values() for w, v in _by_weight(model, group)}
    inputs = _inputs(model, x)

    def total(offsets: Sequence[Any] | None) -> Any:
        """The loss, with something added to each layer's output; without, those outputs."""
        h, outputs = inputs, []
        with Scope(dict(values)):
            for k, layer in enumerate(model.layers):
                h = layer(h) if offsets is None else layer(h) + offsets[k]
                outputs.append(h)
        return outputs if offsets is None else chosen(y, h)

    zeros = [np.zeros_like(output) for output in total(None)]
    slopes = grad(total)(zeros)
    paths = [path for path, _ in model.children()]
    return _histograms(dict(zip(paths, slopes, strict=True)), "gradient", bins, theme)


def _by_weight(model: Any, values: Any) -> list[tuple[Any, Any]]:
    weights = model.weights_by_path()
    return [(weights[path], value) for path, value in values.items()]


def _variables(model: Any) -> Any:
    model.build_if_known()
    if not model.has_values:
        raise ArgumentError(
            "this model has no weights yet", fix="build it: model.build(input_shape), or fit it"
        )
    return model.variables


def _inputs(model: Any, x: Any) -> np.ndarray:
    return np.asarray(x, model.dtype) if np.asarray(x).dtype.kind == "f" else np.asarray(x)


def _histograms(data: dict[str, np.ndarray], what: str, bins: int, theme: str) -> Plot:
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
                axes.set_xlim(*span)
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
