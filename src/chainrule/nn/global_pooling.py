"""Global pooling: the largest entry, or the mean, of all that a channel holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.registry import register
from chainrule.nn.arguments import channels
from chainrule.nn.layer import Layer
from chainrule.nn.spec import InputSpec


class _GlobalPooling(Layer):
    """One number for each channel of each row of the batch."""

    rank: int

    def __init__(
        self, data_format: str | None = None, *, keepdims: bool = False, **options: Any
    ) -> None:
        super().__init__(**options)
        self.data_format = channels(data_format)
        self.keepdims = bool(keepdims)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def axes(self) -> tuple[int, ...]:
        """The axes that go."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))


class _GlobalAverage(_GlobalPooling):
    def call(self, inputs: Any) -> Any:
        return np.mean(inputs, axis=self.axes(), keepdims=self.keepdims)


class _GlobalMax(_GlobalPooling):
    def call(self, inputs: Any) -> Any:
        return np.max(inputs, axis=self.axes(), keepdims=self.keepdims)


@register("layer", "GlobalAvgPool1D")
class GlobalAveragePooling1D(_GlobalAverage):
    """The mean over all steps.

    Args:
        data_format: where the channels are, "channels_last" or "channels_first".
        keepdims: leave an axis of size 1 where the steps were.

    Shapes: (batch, steps, channels) → (batch, channels). A call also takes `mask` (batch, steps):
    only steps where it is true count.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.GlobalAveragePooling1D().compute_output_shape((None, 10, 4))
        (None, 4)
    """

    supports_masking = True
    rank = 1

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return super().call(inputs)
        last = self.data_format == "channels_last"
        counts = np.expand_dims(mask, 2 if last else 1).astype(inputs.dtype)
        axes = self.axes()
        total = np.sum(inputs * counts, axis=axes, keepdims=self.keepdims)
        return total / np.maximum(np.sum(counts, axis=axes, keepdims=self.keepdims), 1.0)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None  # no steps are left


@register("layer", "GlobalAvgPool2D")
class GlobalAveragePooling2D(_GlobalAverage):
    """The mean over all rows and columns.

    Args:
        data_format: where the channels are, "channels_last" or "channels_first".
        keepdims: leave axes of size 1 where rows and columns were.

    Shapes: (batch, rows, columns, channels) → (batch, channels).

    Example:
        >>> import chainrule as cr
        >>> cr.nn.GlobalAveragePooling2D(keepdims=True).compute_output_shape((None, 7, 7, 4))
        (None, 1, 1, 4)
    """

    rank = 2


@register("layer", "GlobalAvgPool3D")
class GlobalAveragePooling3D(_GlobalAverage):
    """The mean over three axes.

    Args:
        data_format: where the channels are, "channels_last" or "channels_first".
        keepdims: leave axes of size 1.

    Shapes: (batch, a, b, c, channels) → (batch, channels).

    Example:
        >>> import chainrule as cr
        >>> cr.nn.GlobalAveragePooling3D().compute_output_shape((None, 4, 4, 4, 2))
        (None, 2)
    """

    rank = 3


@register("layer", "GlobalMaxPool1D")
class GlobalMaxPooling1D(_GlobalMax):
    """The largest of all steps; steps that tie share the derivative.

    Args:
        data_format: where the channels are, "channels_last" or "channels_first".
        keepdims: leave an axis of size 1 where the steps were.

    Shapes: (batch, steps, channels) → (batch, channels).

    Example:
        >>> import chainrule as cr
        >>> cr.nn.GlobalMaxPooling1D().compute_output_shape((None, 10, 4))
        (None, 4)
    """

    rank = 1


@register("layer", "GlobalMaxPool2D")
class GlobalMaxPooling2D(_GlobalMax):
    """The largest of all rows and columns; entries that tie share the derivative.

    Args:
        data_format: where the channels are, "channels_last" or "channels_first".
        keepdims: leave axes of size 1 where rows and columns were.

    Shapes: (batch, rows, columns, channels) → (batch, channels).

    Example:
        >>> import chainrule as cr
        >>> cr.nn.GlobalMaxPooling2D().compute_output_shape((None, 7, 7, 4))
        (None, 4)
    """

    rank = 2


@register("layer", "GlobalMaxPool3D")
class GlobalMaxPooling3D(_GlobalMax):
    """The largest along three axes; entries that tie share the derivative.

    Args:
        data_format: where the channels are, "channels_last" or "channels_first".
        keepdims: leave axes of size 1.

    Shapes: (batch, a, b, c, channels) → (batch, channels).

    Example:
        >>> import chainrule as cr
        >>> cr.nn.GlobalMaxPooling3D().compute_output_shape((None, 4, 4, 4, 2))
        (None, 2)
    """

    rank = 3
