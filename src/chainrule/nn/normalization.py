"""Normalisations within each row of the batch: over a layer, groups of channels, neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import register
from chainrule.nn.affine import Normalization
from chainrule.nn.arguments import axis_in, channels, whole_number
from chainrule.nn.layer import Layer
from chainrule.nn.moments import moments
from chainrule.nn.spec import InputSpec
from chainrule.transform.custom import custom_vjp


def _own_axes(axis: Any, rank: int) -> tuple[int, ...]:
    """One axis or several, counted from the front, in order."""
    given = axis if isinstance(axis, (list, tuple)) else (axis,)
    return tuple(sorted(axis_in("axis", a, rank) for a in given))


def _as_given(axis: Any) -> Any:
    return tuple(int(a) for a in axis) if isinstance(axis, (list, tuple)) else int(axis)


@register("layer")
class LayerNormalization(Normalization):
    """(x - mean) / sqrt(variance + epsilon) · gamma + beta, over one or some axes of each row.

    Args:
        axis: one, or several that are taken together.
        epsilon: added to the variance (the population's, divided by n).
        center, scale: whether beta is added, and whether gamma multiplies.
        beta_initializer, gamma_initializer: first values.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: applied after each update.

    Shapes: any → the same; gamma and beta have the sizes of the axes.

    Source: Ba, Kiros and Hinton, Layer normalization, 2016, equation 4.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.LayerNormalization(epsilon=0.0)(np.array([[1.0, 3.0], [10.0, 30.0]]))
        array([[-1.,  1.],
               [-1.,  1.]], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **options,
        )
        self.axis = _as_given(axis)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        axes = _own_axes(self.axis, len(input_shape))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={a: input_shape[a] for a in axes})
        self.add_affine(tuple(input_shape[a] for a in axes))

    def call(self, inputs: Any) -> Any:
        axes = _own_axes(self.axis, inputs.ndim)
        shape = tuple(n if a in axes else 1 for a, n in enumerate(inputs.shape))
        mean, variance = moments(inputs, axes)
        return self.normalized(inputs, mean, variance, shape)


@register("layer")
class GroupNormalization(Normalization):
    """(x - mean) / sqrt(variance + epsilon) · gamma + beta, over groups of channels of each row.

    Args:
        groups: how many; -1 gives each channel its own (instance normalisation).
        axis: of the channels.
        epsilon: added to the variance (the population's, divided by n).
        center, scale: whether beta is added, and whether gamma multiplies.
        beta_initializer, gamma_initializer: first values.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: applied after each update.

    Shapes: any → the same; gamma and beta (channels,).

    Source: Wu and He, Group normalization, 2018, equations 1, 2 and 7.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> layer = cr.nn.GroupNormalization(groups=2, epsilon=0.0)
        >>> layer(np.array([[1.0, 3.0, 10.0, 30.0]]))
        array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(
            epsilon,
            center,
            scale,
            beta_initializer,
            gamma_initializer,
            beta_regularizer,
            gamma_regularizer,
            beta_constraint,
            gamma_constraint,
            **options,
        )
        self.groups = -1 if groups == -1 else whole_number("groups", groups)
        self.axis = int(axis)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        axis = axis_in("axis", self.axis, len(input_shape))
        count = input_shape[axis]
        if self.groups != -1 and count % self.groups:
            raise ArgumentError(
                f"the channels of {self.name!r} don't fall into so many groups",
                {"channels": count, "groups": self.groups},
                "the number of groups has to divide the number of channels",
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: count})
        self.add_affine((count,))

    def call(self, inputs: Any) -> Any:
        shape, axis = inputs.shape, self.axis % inputs.ndim
        groups = shape[axis] if self.groups == -1 else self.groups
        apart = (groups, shape[axis] // groups)
        x = np.reshape(inputs, (*shape[:axis], *apart, *shape[axis + 1 :]))
        own = (*(1 for _ in shape[:axis]), *apart, *(1 for _ in shape[axis + 1 :]))
        axes = tuple(a for a in range(1, x.ndim) if a != axis)
        mean, variance = moments(x, axes)
        return np.reshape(self.normalized(x, mean, variance, own), shape)


@register("layer")
class RMSNormalization(Layer):
    """x / sqrt(mean of x² + epsilon) · scale, over one or some axes of each row.

    Args:
        axis: one, or several that are taken together.
        epsilon: added to the mean square.

    Shapes: any → the same; scale has the sizes of the axes.

    Source: Zhang and Sennrich, Root mean square layer normalization, 2019, equation 4.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.RMSNormalization(epsilon=0.0)(np.array([[3.0, 3.0]]))
        array([[1., 1.]], dtype=float32)
    """

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **options: Any) -> None:
        super().__init__(**options)
        self.axis = _as_given(axis)
        self.epsilon = float(epsilon)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        axes = _own_axes(self.axis, len(input_shape))
        sizes = tuple(input_shape[a] for a in axes)
        self.input_spec = InputSpec(ndim=len(input_shape), axes=dict(zip(axes, sizes, strict=True)))
        self.scale = self.add_weight(name="scale", shape=sizes, initializer="ones")

    def call(self, inputs: Any) -> Any:
        axes = _own_axes(self.axis, inputs.ndim)
        shape = tuple(n if a in axes else 1 for a, n in enumerate(inputs.shape))
        square = np.mean(inputs * inputs, axis=axes, keepdims=True)
        return inputs * (1.0 / np.sqrt(square + self.epsilon)) * np.reshape(self.scale, shape)


@register("layer")
class LocalResponseNormalization(Layer):
    """x_c / (k + alpha · Σ x_j²)^beta, the sum over the `size` channels around c.

    Args:
        size: how many channels are added up; odd, those beyond the first and last don't count.
        alpha, beta, k: as in the formula. PyTorch divides alpha by `size`; the paper doesn't.
        data_format: where the channels are, "channels_last" or "channels_first".

    Shapes: (batch, …, channels) → the same.

    Source: Krizhevsky, Sutskever and Hinton, ImageNet classification with deep convolutional
        neural networks, 2012, section 3.3.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> layer = cr.nn.LocalResponseNormalization(size=3, alpha=1.0, beta=1.0, k=1.0)
        >>> layer(np.array([[1.0, 1.0, 2.0]])).round(4)
        array([[0.3333, 0.1429, 0.3333]], dtype=float32)
    """

    def __init__(
        self,
        size: int = 5,
        alpha: float = 1e-4,
        beta: float = 0.75,
        k: float = 2.0,
        *,
        data_format: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.size = whole_number("size", size)
        if self.size % 2 == 0:
            raise ArgumentError(
                "size has to be odd, as many channels on each side", {"given": size}, "size=5"
            )
        self.alpha, self.beta, self.k = float(alpha), float(beta), float(k)
        self.data_format = channels(data_format)
        self.input_spec = InputSpec(min_ndim=2)

    def call(self, inputs: Any) -> Any:
        axis = inputs.ndim - 1 if self.data_format == "channels_last" else 1
        around = self.k + self.alpha * _around(inputs * inputs, axis, self.size)
        # A power whose derivative needs no second one; its base is at least k.
        return inputs * np.exp(-self.beta * np.log(around))


def _added(x: Any, axis: int, size: int) -> Any:
    """The sum of each entry and its neighbours, size // 2 on both sides, along an axis."""
    reach = size // 2
    wide = np.pad(x, [(reach, reach) if a == axis else (0, 0) for a in range(x.ndim)])
    return np.sum(np.lib.stride_tricks.sliding_window_view(wide, size, axis=axis), axis=-1)


# Entries are each other's neighbours: the sum is its own transpose, in its cheapest form.
_around = custom_vjp(_added, nondiff_argnums=(1, 2))
_around.defvjp(
    lambda x, axis, size: (_added(x, axis, size), None),
    lambda axis, size, _, g: (_added(g, axis, size),),
)
