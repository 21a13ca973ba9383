"""Layers round other layers: both directions of time, and every step by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import deserialize, get, register, serialize
from chainrule.nn.arguments import one_of
from chainrule.nn.layer import Layer
from chainrule.nn.mask import takes_mask
from chainrule.nn.recurrent import RNN
from chainrule.nn.scope import current
from chainrule.nn.spec import InputSpec

_MODES = ("concat", "sum", "mul", "ave")


@register("layer")
class Bidirectional(Layer):
    """A recurrent layer from the front and one from the back, their outputs together.

    Args:
        layer: the recurrent layer that goes forward.
        merge_mode: "concat" (side by side), "sum", "mul", "ave" (the mean), or None: both outputs.
        backward_layer: the one that goes backward; if not given, one with the same arguments.

    Shapes: (batch, steps, features) → with "concat" (batch, 2 · units), or (batch, steps,
    2 · units); with return_state all states follow, those of the forward layer first. A call also
    takes `initial_state`, the forward layer's first, and `mask`.

    Source: Schuster and Paliwal, Bidirectional recurrent neural networks, 1997.

    Example:
        >>> import chainrule as cr
        >>> layer = cr.nn.Bidirectional(cr.nn.LSTM(4, return_sequences=True))
        >>> layer.compute_output_shape((None, 10, 3))
        (None, 10, 8)
    """

    supports_masking = True

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        *,
        backward_layer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.forward_layer = _recurrent("layer", layer)
        self.backward_layer = (
            _turned(self.forward_layer)
            if backward_layer is None
            else _recurrent("backward_layer", backward_layer)
        )
        self.given_backward = backward_layer is not None
        self.merge_mode = None if merge_mode is None else one_of("merge_mode", merge_mode, _MODES)
        one, other = self.forward_layer, self.backward_layer
        facts = {
            name: f"{getattr(one, name)} and {getattr(other, name)}"
            for name in ("go_backwards", "return_sequences", "return_state")
            if (getattr(one, name) == getattr(other, name)) == (name == "go_backwards")
        }
        if facts:
            raise ArgumentError(
                "the two layers of a Bidirectional don't go together",
                facts,
                "they differ in go_backwards, and agree in what they return",
            )
        self.return_sequences = one.return_sequences
        self.return_state = one.return_state
        # Outputs that no step has made are 0 in both, so that they can be put together.
        for part in (one, other):
            part.zero_output_for_mask = self.return_sequences
        self.input_spec = InputSpec(min_ndim=3)

    def get_config(self) -> dict[str, Any]:
        return {
            "layer": serialize(self.forward_layer),
            "merge_mode": self.merge_mode,
            "backward_layer": serialize(self.backward_layer) if self.given_backward else None,
            **self.base_config(),
        }

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,
    ) -> Any:
        first, second = None, None
        if initial_state is not None:
            half = len(initial_state) // 2
            first, second = list(initial_state[:half]), list(initial_state[half:])
        options = {"mask": mask, "training": training}
        y = self.forward_layer(sequences, initial_state=first, **options)
        z = self.backward_layer(sequences, initial_state=second, **options)
        states: tuple[Any, ...] = ()
        if self.return_state:
            y, z, states = y[0], z[0], (*y[1:], *z[1:])
        if self.return_sequences:
            z = np.flip(z, 1)
        if self.merge_mode is None:
            return (y, z, *states)
        output = self._merged(y, z)
        return (output, *states) if self.return_state else output

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        kept = previous_mask if self.return_sequences else None
        return [kept, kept] if self.merge_mode is None else kept

    def _merged(self, y: Any, z: Any) -> Any:
        if self.merge_mode == "concat":
            return np.concatenate([y, z], axis=-1)
        if self.merge_mode == "mul":
            return y * z
        return y + z if self.merge_mode == "sum" else (y + z) * 0.5


def _recurrent(name: str, layer: Any) -> RNN:
    found = get("layer", layer)
    if not isinstance(found, RNN):
        raise ArgumentError(
            f"the {name} of a Bidirectional is a recurrent layer",
            {"given": repr(layer)[:80]},
            "cr.nn.Bidirectional(cr.nn.LSTM(32))",
        )
    return found


def _turned(layer: RNN) -> RNN:
    """A layer with the same arguments that goes the other way."""
    data = serialize(layer)
    config = dict(data["config"], go_backwards=not layer.go_backwards)
    config.pop("name", None)
    turned: RNN = deserialize({**data, "config": config}, "layer")
    return turned


@register("layer")
class TimeDistributed(Layer):
    """A layer applied to each step of time by itself, with the same weights.

    All steps are put through it at once, as one larger batch; a batch normalisation inside sees
    all steps together.

    Args:
        layer: the layer.

    Shapes: (batch, steps, …) → (batch, steps, …).

    Example:
        >>> import chainrule as cr
        >>> cr.nn.TimeDistributed(cr.nn.Flatten()).compute_output_shape((None, 10, 4, 3))
        (None, 10, 12)
    """

    supports_masking = True

    def __init__(self, layer: Any, **options: Any) -> None:
        super().__init__(**options)
        self.layer = get("layer", layer)
        self.input_spec = InputSpec(min_ndim=3)

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        batch, steps = inputs.shape[:2]
        scope = current()
        rows = None if scope is None else scope.rows
        options: dict[str, Any] = {"training": training}
        if mask is not None and takes_mask(self.layer):
            options["mask"] = np.reshape(mask, (batch * steps, *np.shape(mask)[2:]))
        if scope is not None and rows is not None:
            scope.rows = np.repeat(rows, steps)
        try:
            y = self.layer(np.reshape(inputs, (batch * steps, *inputs.shape[2:])), **options)
        finally:
            if scope is not None:
                scope.rows = rows
        return np.reshape(y, (batch, steps, *y.shape[1:]))
