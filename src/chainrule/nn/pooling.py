"""Pooling: the largest entry, or the mean, of each window, or of all a row of the batch holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.registry import register
from chainrule.nn.arguments import channels, one_of, whole_numbers
from chainrule.nn.layer import Layer
from chainrule.nn.spec import InputSpec
from chainrule.ops.pooling import average_pool, max_pool


class _Pooling(Layer):
    """A window that moves along `rank` axes."""

    rank: int

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        *,
        padding: str = "valid",
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.pool_size = whole_numbers("pool_size", pool_size, self.rank)
        given = self.pool_size if strides is None else strides
        self.strides = whole_numbers("strides", given, self.rank)
        self.padding = one_of("padding", padding, ("valid", "same"))
        self.data_format = channels(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        first = self.data_format == "channels_first"
        y = self.pooled(np.moveaxis(inputs, 1, -1) if first else inputs)
        return np.moveaxis(y, -1, 1) if first else y

    def pooled(self, x: Any) -> Any:
        """What is made of the windows, channels last."""
        raise NotImplementedError


class _MaxPooling(_Pooling):
    def pooled(self, x: Any) -> Any:
        return max_pool(x, self.pool_size, strides=self.strides, padding=self.padding)


class _AveragePooling(_Pooling):
    def pooled(self, x: Any) -> Any:
        return average_pool(x, self.pool_size, strides=self.strides, padding=self.padding)


@register("layer", "MaxPool1D")
class MaxPooling1D(_MaxPooling):
    """The largest entry of each window along one axis; entries that tie share the derivative.

    Args:
        pool_size: the size of the window.
        strides: how far it moves; pool_size if not given.
        padding: "valid" (none), or "same" (ceil(steps / stride) places; padding never counts).
        data_format: where the channels are, "channels_last" or "channels_first".

    Shapes: (batch, steps, channels) → (batch, places, channels).

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.MaxPooling1D()(np.array([1.0, 3.0, 2.0, 0.0]).reshape(1, 4, 1))[0, :, 0]
        array([3., 2.], dtype=float32)
    """

    rank = 1


@register("layer", "MaxPool2D")
class MaxPooling2D(_MaxPooling):
    """The largest entry of each window on a picture; entries that tie share the derivative.

    Args:
        pool_size, strides: one number for both axes, or one for each.
        padding, data_format: as for `MaxPooling1D`.

    Shapes: (batch, rows, columns, channels) → (batch, …, …, channels), or with the channels first.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.MaxPooling2D().compute_output_shape((None, 28, 28, 6))
        (None, 14, 14, 6)
    """

    rank = 2


@register("layer", "MaxPool3D")
class MaxPooling3D(_MaxPooling):
    """The largest entry of each window in a volume; entries that tie share the derivative.

    Args:
        pool_size, strides: one number for all axes, or one for each.
        padding, data_format: as for `MaxPooling1D`.

    Shapes: (batch, a, b, c, channels) → (batch, …, …, …, channels), or with the channels first.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.MaxPooling3D().compute_output_shape((None, 8, 8, 8, 2))
        (None, 4, 4, 4, 2)
    """

    rank = 3


@register("layer", "AvgPool1D")
class AveragePooling1D(_AveragePooling):
    """The mean of each window along one axis, over its entries that aren't padding.

    Args:
        pool_size: the size of the window.
        strides: how far it moves; pool_size if not given.
        padding: "valid" (none), or "same" (ceil(steps / stride) places).
        data_format: where the channels are, "channels_last" or "channels_first".

    Shapes: (batch, steps, channels) → (batch, places, channels).

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.AveragePooling1D()(np.array([1.0, 3.0, 2.0, 0.0]).reshape(1, 4, 1))[0, :, 0]
        array([2., 1.], dtype=float32)
    """

    rank = 1


@register("layer", "AvgPool2D")
class AveragePooling2D(_AveragePooling):
    """The mean of each window on a picture, over its entries that aren't padding.

    Args:
        pool_size, strides: one number for both axes, or one for each.
        padding, data_format: as for `AveragePooling1D`.

    Shapes: (batch, rows, columns, channels) → (batch, …, …, channels), or with the channels first.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.AveragePooling2D(3, strides=2).compute_output_shape((None, 28, 28, 6))
        (None, 13, 13, 6)
    """

    rank = 2


@register("layer", "AvgPool3D")
class AveragePooling3D(_AveragePooling):
    """The mean of each window in a volume, over its entries that aren't padding.

    Args:
        pool_size, strides: one number for all axes, or one for each.
        padding, data_format: as for `AveragePooling1D`.

    Shapes: (batch, a, b, c, channels) → (batch, …, …, …, channels), or with the channels first.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.AveragePooling3D().compute_output_shape((None, 8, 8, 8, 2))
        (None, 4, 4, 4, 2)
    """

    rank = 3
