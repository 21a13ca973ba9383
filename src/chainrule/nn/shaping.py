"""Layers that only move entries about: flatten, reshape, permute, repeat, and do nothing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.registry import register
from chainrule.nn.arguments import channels, whole_number
from chainrule.nn.layer import Layer
from chainrule.nn.spec import InputSpec


@register("layer")
class Identity(Layer):
    """The input as it is.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.Identity()(np.ones(2, np.float32))
        array([1., 1.], dtype=float32)
    """

    supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs


@register("layer")
class Flatten(Layer):
    """Each row of the batch as one vector.

    Args:
        data_format: "channels_last", or "channels_first": the channels are moved to the end
            before, so that both give the same vector for the same picture.

    Shapes: (batch, a, b, …) → (batch, a·b·…); (batch,) → (batch, 1).

    Example:
        >>> import chainrule as cr
        >>> cr.nn.Flatten().compute_output_shape((None, 4, 3))
        (None, 12)
    """

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = channels(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = np.moveaxis(inputs, 1, -1)
        return np.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))


@register("layer")
class Reshape(Layer):
    """The same entries, in the same order, in another shape.

    Args:
        target_shape: the shape of a row of the batch; one size may be -1, what is left.

    Shapes: (batch, …) → (batch, *target_shape).

    Example:
        >>> import chainrule as cr
        >>> cr.nn.Reshape((2, -1)).compute_output_shape((None, 6))
        (None, 2, 3)
    """

    def __init__(self, target_shape: Any, **options: Any) -> None:
        super().__init__(**options)
        sizes = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)
        whole = all(isinstance(n, (int, np.integer)) and n >= -1 for n in sizes)
        if not whole or sum(n == -1 for n in sizes) > 1:
            raise ArgumentError(
                "target_shape has to be sizes, at most one of them -1",
                {"given": repr(target_shape)},
                "target_shape=(28, 28, 1); the batch isn't part of it",
            )
        self.target_shape = tuple(int(n) for n in sizes)

    def call(self, inputs: Any) -> Any:
        shape = inputs.shape[1:]
        known = math.prod(n for n in self.target_shape if n != -1)
        total = math.prod(shape)
        open_size = -1 in self.target_shape
        if (total % known if open_size and known else total != known) or (open_size and not known):
            raise ShapeError(
                f"the layer {self.name!r} can't give its input this shape",
                {
                    "input": f"{list(shape)}, {total} entries, without the batch",
                    "target_shape": list(self.target_shape),
                },
                "both need the same number of entries",
            )
        full = tuple(total // known if n == -1 else n for n in self.target_shape)
        return np.reshape(inputs, (inputs.shape[0], *full))


@register("layer")
class Permute(Layer):
    """The axes in another order.

    Args:
        dims: the axes of a row of the batch, counted from 1, in their new order.

    Shapes: dims=(2, 1): (batch, a, b) → (batch, b, a).

    Example:
        >>> import chainrule as cr
        >>> cr.nn.Permute((2, 1)).compute_output_shape((None, 10, 64))
        (None, 64, 10)
    """

    def __init__(self, dims: Any, **options: Any) -> None:
        super().__init__(**options)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(
                "dims has to name each axis once, counted from 1",
                {"given": repr(dims)},
                "dims=(2, 1) exchanges the two axes of a row",
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return np.transpose(inputs, (0, *self.dims))


@register("layer")
class RepeatVector(Layer):
    """Each row of the batch n times, one after the other.

    Args:
        n: how often.

    Shapes: (batch, features) → (batch, n, features).

    Example:
        >>> import chainrule as cr
        >>> cr.nn.RepeatVector(3).compute_output_shape((None, 32))
        (None, 3, 32)
    """

    def __init__(self, n: int, **options: Any) -> None:
        super().__init__(**options)
        self.n = whole_number("n", n)
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        batch, features = inputs.shape
        return np.broadcast_to(inputs[:, None, :], (batch, self.n, features))
