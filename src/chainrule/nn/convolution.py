"""Convolutions over one, two and three axes."""

from __future__ import annotations

from typing import Any

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.registry import get, register
from chainrule.nn.arguments import whole_number
from chainrule.nn.convolving import Convolving
from chainrule.ops.convolution import convolution


class _Conv(Convolving):
    """A convolution with a kernel (*kernel_size, channels / groups, filters)."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        *,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
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
        self.groups = whole_number("groups", groups)
        self.kernel_initializer = get("initializer", kernel_initializer)
        self.kernel_regularizer = get("regularizer", kernel_regularizer)
        self.kernel_constraint = get("constraint", kernel_constraint)
        if self.filters % self.groups:
            raise ArgumentError(
                "the filters don't fall into so many groups",
                {"filters": filters, "groups": groups},
                "the number of groups has to divide the number of filters",
            )

    def build(self, input_shape: Any) -> None:
        count = self.channels_of(input_shape)
        if count % self.groups:
            raise ShapeError(
                f"the channels of the input of {self.name!r} don't fall into so many groups",
                {"input": list(input_shape), "channels": count, "groups": self.groups},
                "the number of groups has to divide the number of channels",
            )
        shape = (*self.kernel_size, count // self.groups, self.filters)
        self.kernel = self.add_kernel("kernel", shape)
        self.add_bias(self.filters)

    def convolved(self, x: Any) -> Any:
        return convolution(
            x,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
            groups=self.groups,
        )


@register("layer", "Convolution1D")
class Conv1D(_Conv):
    """activation(convolution along one axis + bias).

        y[n, o, f] = Σ over k, c of padded(x)[n, o · stride + k · dilation, c] · kernel[k, c, f]

    Args:
        filters: the channels of the output.
        kernel_size: the size of the window.
        strides: how far the window moves.
        padding: "valid" (none), "same" (ceil(steps / stride) places; of an odd number of zeros one
            more behind), or "causal" (all zeros before the first step).
        data_format: where the channels are, "channels_last" or "channels_first".
        dilation_rate: how far apart the entries of the window lie.
        groups: channels and filters fall into so many groups that don't see each other.
        activation: a name or function; None is linear.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: first values.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties.
        kernel_constraint, bias_constraint: applied after each update.

    Shapes: (batch, steps, channels) → (batch, places, filters); kernel (kernel_size,
    channels / groups, filters), bias (filters,).

    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.Conv1D(8, 3, padding="causal").compute_output_shape((None, 10, 4))
        (None, 10, 8)
    """

    rank = 1
    paddings = ("valid", "same", "causal")


@register("layer", "Convolution2D")
class Conv2D(_Conv):
    """activation(convolution along rows and columns + bias).

    Args:
        filters: the channels of the output.
        kernel_size, strides, dilation_rate: of the window, one number or one for each axis.
        padding: "valid" (none), or "same" (ceil(length / stride) places; of an odd number of zeros
            one more behind).
        data_format, groups, activation and what follows: as for `Conv1D`.

    Shapes: (batch, rows, columns, channels) → (batch, …, …, filters), or with the channels first;
    kernel (*kernel_size, channels / groups, filters), bias (filters,).

    Source: as for `Conv1D`, which has the formula.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> layer = cr.nn.Conv2D(1, 2, kernel_initializer="ones")
        >>> layer(np.arange(9.0).reshape(1, 3, 3, 1))[0, :, :, 0]
        array([[ 8., 12.],
               [20., 24.]], dtype=float32)
    """

    rank = 2


@register("layer", "Convolution3D")
class Conv3D(_Conv):
    """activation(convolution along three axes + bias).

    Args:
        filters: the channels of the output.
        kernel_size, strides, dilation_rate: of the window, one number or one for each axis.
        padding: "valid" (none), or "same" (ceil(length / stride) places; of an odd number of zeros
            one more behind).
        data_format, groups, activation and what follows: as for `Conv1D`.

    Shapes: (batch, a, b, c, channels) → (batch, …, …, …, filters), or with the channels first;
    kernel (*kernel_size, channels / groups, filters), bias (filters,).

    Source: as for `Conv1D`, which has the formula.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.Conv3D(8, 3, strides=2).compute_output_shape((None, 9, 9, 9, 2))
        (None, 4, 4, 4, 8)
    """

    rank = 3
