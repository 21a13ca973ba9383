"""Convolutions that keep channels apart: depthwise, and depthwise followed by a product."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.registry import get, register
from chainrule.nn.arguments import whole_number
from chainrule.nn.convolving import Convolving
from chainrule.ops.convolution import convolution


class _Depthwise(Convolving):
    """A layer with a kernel for each channel: (*kernel_size, channels, depth_multiplier)."""

    depth_multiplier: int

    def add_depthwise(self, count: int, name: str, of: str) -> Any:
        """Make the kernel for so many channels."""
        return self.add_kernel(name, (*self.kernel_size, count, self.depth_multiplier), of)

    def each_apart(self, x: Any, kernel: Any) -> Any:
        """Every channel convolved by itself; what is made of one stands side by side."""
        return convolution(
            x,
            np.reshape(kernel, (*self.kernel_size, 1, -1)),
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            groups=x.shape[-1],
        )


class _DepthwiseConv(_Depthwise):
    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        *,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            bias_constraint=bias_constraint,
            activity_regularizer=activity_regularizer,
            **options,
        )
        self.depth_multiplier = whole_number("depth_multiplier", depth_multiplier)
        self.depthwise_initializer = get("initializer", depthwise_initializer)
        self.depthwise_regularizer = get("regularizer", depthwise_regularizer)
        self.depthwise_constraint = get("constraint", depthwise_constraint)

    def build(self, input_shape: Any) -> None:
        count = self.channels_of(input_shape)
        self.kernel = self.add_depthwise(count, "kernel", "depthwise")
        self.add_bias(count * self.depth_multiplier)

    def convolved(self, x: Any) -> Any:
        return self.each_apart(x, self.kernel)


class _SeparableConv(_Depthwise):
    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        *,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding=padding,
            data_format=data_format,
            dilation_rate=dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            bias_constraint=bias_constraint,
            activity_regularizer=activity_regularizer,
            **options,
        )
        self.filters = whole_number("filters", filters)
        self.depth_multiplier = whole_number("depth_multiplier", depth_multiplier)
        self.depthwise_initializer = get("initializer", depthwise_initializer)
        self.pointwise_initializer = get("initializer", pointwise_initializer)
        self.depthwise_regularizer = get("regularizer", depthwise_regularizer)
        self.pointwise_regularizer = get("regularizer", pointwise_regularizer)
        self.depthwise_constraint = get("constraint", depthwise_constraint)
        self.pointwise_constraint = get("constraint", pointwise_constraint)

    def build(self, input_shape: Any) -> None:
        count = self.channels_of(input_shape)
        self.depthwise_kernel = self.add_depthwise(count, "depthwise_kernel", "depthwise")
        shape = (*(1,) * self.rank, count * self.depth_multiplier, self.filters)
        self.pointwise_kernel = self.add_kernel("pointwise_kernel", shape, "pointwise")
        self.add_bias(self.filters)

    def convolved(self, x: Any) -> Any:
        y = self.each_apart(x, self.depthwise_kernel)
        return y @ np.reshape(self.pointwise_kernel, (-1, self.filters))


@register("layer")
class DepthwiseConv1D(_DepthwiseConv):
    """activation(convolution of each channel by itself + bias), along one axis.

    Args:
        kernel_size: the size of the window.
        strides: how far the window moves.
        padding: "valid" (none), "same" (ceil(steps / stride) places; of an odd number of zeros one
            more behind), or "causal" (all zeros before the first step).
        depth_multiplier: how many channels are made of one.
        data_format: where the channels are, "channels_last" or "channels_first".
        dilation_rate: how far apart the entries of the window lie.
        activation: a name or function; None is linear.
        use_bias: whether a bias is added.
        depthwise_initializer, bias_initializer: first values.
        depthwise_regularizer, bias_regularizer, activity_regularizer: penalties.
        depthwise_constraint, bias_constraint: applied after each update.

    Shapes: (batch, steps, channels) → (batch, places, channels · depth_multiplier); kernel
    (kernel_size, channels, depth_multiplier).

    Source: Sifre, Rigid-motion scattering for image classification, 2014, section 6.2.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.DepthwiseConv1D(3, depth_multiplier=2).compute_output_shape((None, 10, 4))
        (None, 8, 8)
    """

    rank = 1
    paddings = ("valid", "same", "causal")


@register("layer")
class DepthwiseConv2D(_DepthwiseConv):
    """activation(convolution of each channel by itself + bias), along rows and columns.

    Args:
        kernel_size, strides and what follows: as for `DepthwiseConv1D`, one number for both axes
            or one for each; padding is "valid" or "same".

    Shapes: (batch, rows, columns, channels) → (batch, …, …, channels · depth_multiplier), or with
    the channels first; kernel (*kernel_size, channels, depth_multiplier).

    Source: as for `DepthwiseConv1D`.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.DepthwiseConv2D(3, padding="same").compute_output_shape((None, 8, 8, 4))
        (None, 8, 8, 4)
    """

    rank = 2


@register("layer", "SeparableConvolution1D")
class SeparableConv1D(_SeparableConv):
    """activation(depthwise convolution, then a product of its channels, + bias), along one axis.

    Args:
        filters: the channels of the output.
        kernel_size: the size of the window.
        strides: how far the window moves.
        padding: "valid", "same" or "causal", as for `Conv1D`.
        data_format: where the channels are, "channels_last" or "channels_first".
        dilation_rate: how far apart the entries of the window lie.
        depth_multiplier: how many channels the first step makes of one.
        activation: a name or function; None is linear.
        use_bias: whether a bias is added.
        depthwise_initializer, pointwise_initializer, bias_initializer: first values.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer, activity_regularizer:
            penalties.
        depthwise_constraint, pointwise_constraint, bias_constraint: applied after each update.

    Shapes: (batch, steps, channels) → (batch, places, filters); depthwise_kernel (kernel_size,
    channels, depth_multiplier), pointwise_kernel (1, channels · depth_multiplier, filters).

    Source: Chollet, Xception: deep learning with depthwise separable convolutions, 2017.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.SeparableConv1D(8, 3).compute_output_shape((None, 10, 4))
        (None, 8, 8)
    """

    rank = 1
    paddings = ("valid", "same", "causal")


@register("layer", "SeparableConvolution2D")
class SeparableConv2D(_SeparableConv):
    """activation(depthwise convolution, then a product of its channels, + bias), on pictures.

    Args:
        filters: the channels of the output.
        kernel_size, strides and what follows: as for `SeparableConv1D`, one number for both axes
            or one for each; padding is "valid" or "same".

    Shapes: (batch, rows, columns, channels) → (batch, …, …, filters), or with the channels first;
    depthwise_kernel (*kernel_size, channels, depth_multiplier), pointwise_kernel (1, 1, …).

    Source: as for `SeparableConv1D`.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.SeparableConv2D(8, 3).compute_output_shape((None, 10, 10, 4))
        (None, 8, 8, 8)
    """

    rank = 2
