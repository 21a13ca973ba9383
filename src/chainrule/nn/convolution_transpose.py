"""Transposed convolutions over one, two and three axes."""

from __future__ import annotations

from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import get, register
from chainrule.nn.arguments import whole_number, whole_numbers
from chainrule.nn.convolving import Convolving
from chainrule.ops.convolution import transposed_convolution


class _ConvTranspose(Convolving):
    """The transpose of a convolution, with a kernel (*kernel_size, filters, channels)."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        *,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        self.output_padding = (
            None
            if output_padding is None
            else whole_numbers("output_padding", output_padding, self.rank, least=0)
        )
        if any(n >= s for n, s in zip(self.output_padding or (), self.strides, strict=False)):
            raise ArgumentError(
                "output_padding has to be less than the strides",
                {"output_padding": self.output_padding, "strides": self.strides},
                "leave it out: the output then is as long as Keras's",
            )
        self.kernel_initializer = get("initializer", kernel_initializer)
        self.kernel_regularizer = get("regularizer", kernel_regularizer)
        self.kernel_constraint = get("constraint", kernel_constraint)

    def build(self, input_shape: Any) -> None:
        shape = (*self.kernel_size, self.filters, self.channels_of(input_shape))
        self.kernel = self.add_kernel("kernel", shape)
        self.add_bias(self.filters)

    def convolved(self, x: Any) -> Any:
        return transposed_convolution(
            x,
            self.kernel,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
            dilation=self.dilation_rate,
        )


@register("layer", "Convolution1DTranspose")
class Conv1DTranspose(_ConvTranspose):
    """activation(transposed convolution along one axis + bias).

    It goes from the shape of a convolution's output to that of its input.

    Args:
        filters: the channels of the output.
        kernel_size: the size of the window.
        strides: how far apart the steps of the input are pulled.
        padding: that of the convolution: "valid" gives (steps - 1) · stride + max(size, stride)
            places, "same" steps · stride.
        output_padding: how many places more than (steps - 1) · stride + size, with "same" minus
            2 · (size // 2); less than the stride.
        data_format: where the channels are, "channels_last" or "channels_first".
        dilation_rate: how far apart the entries of the window lie.
        activation: a name or function; None is linear.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: first values.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties.
        kernel_constraint, bias_constraint: applied after each update.

    Shapes: (batch, steps, channels) → (batch, places, filters); kernel (kernel_size, filters,
    channels), bias (filters,).

    Source: Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016,
        chapter 4.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.Conv1DTranspose(8, 3, strides=2).compute_output_shape((None, 10, 4))
        (None, 21, 8)
    """

    rank = 1


@register("layer", "Convolution2DTranspose")
class Conv2DTranspose(_ConvTranspose):
    """activation(transposed convolution along rows and columns + bias).

    Args:
        filters: the channels of the output.
        kernel_size, strides and what follows: as for `Conv1DTranspose`, one number for both axes
            or one for each.

    Shapes: (batch, rows, columns, channels) → (batch, …, …, filters), or with the channels first;
    kernel (*kernel_size, filters, channels), bias (filters,).

    Source: as for `Conv1DTranspose`.

    Example:
        >>> import chainrule as cr
        >>> layer = cr.nn.Conv2DTranspose(8, 3, strides=2, padding="same")
        >>> layer.compute_output_shape((None, 7, 7, 4))
        (None, 14, 14, 8)
    """

    rank = 2


@register("layer", "Convolution3DTranspose")
class Conv3DTranspose(_ConvTranspose):
    """activation(transposed convolution along three axes + bias).

    Args:
        filters: the channels of the output.
        kernel_size, strides and what follows: as for `Conv1DTranspose`, one number for all axes or
            one for each.

    Shapes: (batch, a, b, c, channels) → (batch, …, …, …, filters), or with the channels first;
    kernel (*kernel_size, filters, channels), bias (filters,).

    Source: as for `Conv1DTranspose`.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.Conv3DTranspose(8, 2, strides=2).compute_output_shape((None, 4, 4, 4, 2))
        (None, 8, 8, 8, 8)
    """

    rank = 3
