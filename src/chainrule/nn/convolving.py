"""What all convolutions share: a window, its steps, a bias, an activation."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import get
from chainrule.nn.arguments import channels, one_of, whole_numbers
from chainrule.nn.layer import Layer
from chainrule.nn.spec import InputSpec


class Convolving(Layer):
    """A layer whose window moves along `rank` axes.

    Inside, the channels are last; a layer with the channels first moves them there and back.

    Args:
        kernel_size: the size of the window, one number or one for each axis.
        strides: how far it moves.
        padding: "valid" (none), "same", or "causal" along one axis.
        data_format: where the channels are, "channels_last" or "channels_first".
        dilation_rate: how far apart the entries of the window lie.
        activation: a name or function; None is linear.
        use_bias: whether a bias is added.
        bias_initializer, bias_regularizer, bias_constraint: of the bias.
    """

    rank: int
    paddings: tuple[str, ...] = ("valid", "same")

    def __init__(
        self,
        kernel_size: Any,
        strides: Any,
        *,
        padding: str,
        data_format: str | None,
        dilation_rate: Any,
        activation: Any,
        use_bias: bool,
        bias_initializer: Any,
        bias_regularizer: Any,
        bias_constraint: Any,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.kernel_size = whole_numbers("kernel_size", kernel_size, self.rank)
        self.strides = whole_numbers("strides", strides, self.rank)
        self.padding = one_of("padding", padding, self.paddings)
        self.data_format = channels(data_format)
        self.dilation_rate = whole_numbers("dilation_rate", dilation_rate, self.rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ArgumentError(
                "strides and dilation_rate can't both be more than 1",
                {"strides": self.strides, "dilation_rate": self.dilation_rate},
                "choose one of the two",
            )
        self.activation = get("activation", activation)
        self.use_bias = bool(use_bias)
        self.bias_initializer = get("initializer", bias_initializer)
        self.bias_regularizer = get("regularizer", bias_regularizer)
        self.bias_constraint = get("constraint", bias_constraint)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def channels_of(self, input_shape: Any) -> int:
        """The channels of an input; from now on every input needs as many."""
        axis = -1 if self.data_format == "channels_last" else 1
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={axis: input_shape[axis]})
        return int(input_shape[axis])

    def add_kernel(self, name: str, shape: tuple[int, ...], of: str = "kernel") -> Any:
        """Make a kernel with the initializer, regularizer and constraint of this name."""
        return self.add_weight(
            name=name,
            shape=shape,
            initializer=getattr(self, f"{of}_initializer"),
            regularizer=getattr(self, f"{of}_regularizer"),
            constraint=getattr(self, f"{of}_constraint"),
        )

    def add_bias(self, size: int) -> None:
        """Make the bias, if one is wanted."""
        if self.use_bias:
            self.bias = self.add_kernel("bias", (size,), "bias")

    def call(self, inputs: Any) -> Any:
        first = self.data_format == "channels_first"
        y = self.convolved(np.moveaxis(inputs, 1, -1) if first else inputs)
        if self.use_bias:
            y = y + self.bias
        if first:
            y = np.moveaxis(y, -1, 1)
        return y if self.activation is None else self.activation(y)

    def convolved(self, x: Any) -> Any:
        """The convolution, channels last, without bias."""
        raise ArgumentError(f"{type(self).__name__} doesn't say what it computes")
