"""Whether the last layers give what the losses read: scores (logits), or probabilities."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from chainrule.base.errors import ArgumentError
from chainrule.nn import activations
from chainrule.nn.activation_layers import Activation, Softmax
from chainrule.nn.convolving import Convolving
from chainrule.nn.dense import Dense
from chainrule.nn.layer import Layer
from chainrule.train.compiled import Part

_PROBABLE = (activations.sigmoid, activations.softmax)


def check_scores(parts: Sequence[Part], layers: Sequence[Layer | None]) -> None:
    """Hold the last layers against losses that read either scores or probabilities.

    Args:
        parts: the model's outputs with their losses.
        layers: what each output comes out of, as far as it's known.

    Raises:
        ArgumentError: scores are read as probabilities: their logarithm says nothing.
    """
    for part, layer in zip(parts, layers, strict=False):
        from_logits = getattr(part.loss, "from_logits", None)
        if layer is None or from_logits is None:
            continue
        name, gives = type(part.loss).__name__, _given(layer)
        which = f"{layer.name} ({type(layer).__name__})" if layer.named else type(layer).__name__
        if gives == "scores" and not from_logits:
            activation = "sigmoid" if "Binary" in name else "softmax"
            raise ArgumentError(
                f"{name} expects probabilities, and the last layer gives scores",
                {"last layer": f"{which}, without an activation: any number comes out of it"},
                f"{name}(from_logits=True) reads scores; or give the layer "
                f'activation="{activation}"',
            )
        if gives == "probabilities" and from_logits:
            warnings.warn(
                f"{name}(from_logits=True) expects scores, and the last layer, {which}, already "
                "makes probabilities of them: leave either away",
                stacklevel=5,
            )


def _given(layer: Layer) -> str:
    """What comes out of a layer; "" where that isn't known."""
    if isinstance(layer, Softmax):
        return "probabilities"
    if not isinstance(layer, (Dense, Convolving, Activation)):
        return ""
    if layer.activation in _PROBABLE:
        return "probabilities"
    return "scores" if layer.activation in (None, activations.linear) else ""
