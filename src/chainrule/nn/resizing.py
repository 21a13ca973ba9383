"""Layers that put a border round their input, cut one off, or repeat its entries."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.base.registry import register
from chainrule.nn.arguments import channels, one_of, pairs, whole_numbers
from chainrule.nn.layer import Layer
from chainrule.nn.spec import InputSpec


class _Spatial(Layer):
    """A layer on (batch, *lengths, channels), or with the channels first."""

    rank: int

    def __init__(self, data_format: str | None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = channels(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def around(self, entries: Any, other: Any) -> list[Any]:
        """One entry for each axis of the input: those given for the lengths, `other` elsewhere."""
        if self.data_format == "channels_last":
            return [other, *entries, other]
        return [other, other, *entries]


class _ZeroPadding(_Spatial):
    def __init__(self, padding: Any, data_format: str | None = None, **options: Any) -> None:
        super().__init__(data_format, **options)
        self.padding = pairs("padding", padding, self.rank)

    def call(self, inputs: Any) -> Any:
        return np.pad(inputs, self.around(self.padding, (0, 0)))


@register("layer")
class ZeroPadding1D(_ZeroPadding):
    """Zeros before and behind a sequence.

    Args:
        padding: how many on both sides, or (before, behind).
        data_format: where the channels are, "channels_last" or "channels_first".

    Shapes: (batch, steps, channels) → (batch, steps + before + behind, channels).

    Example:
        >>> import chainrule as cr
        >>> cr.nn.ZeroPadding1D((1, 2)).compute_output_shape((None, 4, 3))
        (None, 7, 3)
    """

    rank = 1

    def __init__(self, padding: Any = 1, *, data_format: str | None = None, **options: Any) -> None:
        super().__init__(padding, data_format, **options)


@register("layer")
class ZeroPadding2D(_ZeroPadding):
    """Zeros round a picture.

    Args:
        padding: how many on all sides, one number for rows and one for columns, or pairs:
            ((above, below), (left, right)).
        data_format: where the channels are, "channels_last" or "channels_first".

    Shapes: (batch, rows, columns, channels) → the same, rows and columns larger.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.ZeroPadding2D(((0, 1), (2, 2))).compute_output_shape((None, 4, 4, 3))
        (None, 5, 8, 3)
    """

    rank = 2

    def __init__(
        self, padding: Any = (1, 1), *, data_format: str | None = None, **options: Any
    ) -> None:
        super().__init__(padding, data_format, **options)


@register("layer")
class ZeroPadding3D(_ZeroPadding):
    """Zeros round a volume.

    Args:
        padding: how many on all sides, one number for each axis, or a pair for each.
        data_format: where the channels are, "channels_last" or "channels_first".

    Shapes: (batch, a, b, c, channels) → the same, a, b and c larger.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.ZeroPadding3D(2).compute_output_shape((None, 4, 4, 4, 3))
        (None, 8, 8, 8, 3)
    """

    rank = 3

    def __init__(
        self,
        padding: Any = ((1, 1), (1, 1), (1, 1)),
        *,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(padding, data_format, **options)


@register("layer")
class Cropping2D(_Spatial):
    """A border cut off a picture.

    Args:
        cropping: how much on all sides, one number for rows and one for columns, or pairs:
            ((above, below), (left, right)).
        data_format: where the channels are, "channels_last" or "channels_first".

    Shapes: (batch, rows, columns, channels) → the same, rows and columns smaller.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.Cropping2D(((0, 1), (2, 2))).compute_output_shape((None, 5, 8, 3))
        (None, 4, 4, 3)
    """

    rank = 2

    def __init__(
        self,
        cropping: Any = ((0, 0), (0, 0)),
        *,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(data_format, **options)
        self.cropping = pairs("cropping", cropping, self.rank)

    def call(self, inputs: Any) -> Any:
        kept = []
        for pair, n in zip(self.around(self.cropping, (0, 0)), inputs.shape, strict=True):
            if sum(pair) > n:
                raise ShapeError(
                    f"the layer {self.name!r} cuts off more than there is",
                    {"input": list(inputs.shape), "cropping": self.cropping},
                    "crop less",
                )
            kept.append(slice(pair[0], n - pair[1]))
        return inputs[tuple(kept)]


@register("layer")
class UpSampling2D(_Spatial):
    """A picture with more rows and columns.

    Args:
        size: how many rows and columns are made of one.
        data_format: where the channels are, "channels_last" or "channels_first".
        interpolation: "nearest" repeats entries; "bilinear" goes from one centre to the next in a
            straight line, and is constant beyond the outermost centres.

    Shapes: (batch, rows, columns, channels) → (batch, rows · size[0], columns · size[1], channels).

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> x = np.array([1.0, 3.0]).reshape(1, 1, 2, 1)
        >>> cr.nn.UpSampling2D((1, 2))(x)[0, 0, :, 0]
        array([1., 1., 3., 3.], dtype=float32)
        >>> cr.nn.UpSampling2D((1, 2), interpolation="bilinear")(x)[0, 0, :, 0]
        array([1. , 1.5, 2.5, 3. ], dtype=float32)
    """

    rank = 2

    def __init__(
        self,
        size: Any = (2, 2),
        *,
        data_format: str | None = None,
        interpolation: str = "nearest",
        **options: Any,
    ) -> None:
        super().__init__(data_format, **options)
        self.size = whole_numbers("size", size, self.rank)
        self.interpolation = one_of("interpolation", interpolation, ("nearest", "bilinear"))

    def call(self, inputs: Any) -> Any:
        enlarged = _repeated if self.interpolation == "nearest" else _interpolated
        for axis, times in enumerate(self.around(self.size, 1)):
            if times > 1:
                inputs = enlarged(inputs, axis, times)
        return inputs


def _repeated(x: Any, axis: int, times: int) -> Any:
    before, n, behind = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    wide = np.broadcast_to(np.expand_dims(x, axis + 1), (*before, n, times, *behind))
    return np.reshape(wide, (*before, n * times, *behind))


def _interpolated(x: Any, axis: int, times: int) -> Any:
    n = x.shape[axis]
    # Where the new centres lie among the old ones, which are at 0, 1, …
    place = np.clip((np.arange(n * times) + 0.5) / times - 0.5, 0, n - 1)
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, n - 1)
    share = (place - low).astype(x.dtype).reshape(-1, *(1,) * (x.ndim - axis - 1))
    at = (slice(None),) * axis
    return x[(*at, low)] * (1 - share) + x[(*at, high)] * share
