"""Batch normalisation: each channel with mean 0 and variance 1 over the batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.base.registry import get, register
from chainrule.nn.affine import Normalization
from chainrule.nn.arguments import axis_in, fraction
from chainrule.nn.moments import moments, weighted_moments
from chainrule.nn.spec import InputSpec


@register("layer")
class BatchNormalization(Normalization):
    """(x - mean) / sqrt(variance + epsilon) · gamma + beta, over all axes but one.

    While training, mean and variance (the population's, divided by n) are the batch's, and the
    moving ones follow: moving ← momentum · moving + (1 - momentum) · batch's. Otherwise, and in a
    layer set to trainable=False or a part of one, the moving ones are used. Rows that only fill a
    batch up, and entries that a mask leaves out, count nowhere.

    Args:
        axis: of the channels, which are kept apart.
        momentum: of the moving statistics.
        epsilon: added to the variance.
        center, scale: whether beta is added, and whether gamma multiplies.
        beta_initializer, gamma_initializer: first values.
        moving_mean_initializer, moving_variance_initializer: first values of the state.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: applied after each update.

    Shapes: any → the same; gamma, beta, moving_mean and moving_variance (channels,). The mask of a
    call has the input's first axes.

    Source: Ioffe and Szegedy, Batch normalization, 2015, algorithm 1.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> layer = cr.nn.BatchNormalization(momentum=0.5, epsilon=0.0)
        >>> layer(np.array([[1.0], [3.0]]), training=True)
        array([[-1.],
               [ 1.]], dtype=float32)
        >>> layer.moving_mean, layer.moving_variance
        (array([1.], dtype=float32), array([1.], dtype=float32))
    """

    supports_masking = True

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
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
        self.axis = int(axis)
        self.momentum = fraction("momentum", momentum)
        self.moving_mean_initializer = get("initializer", moving_mean_initializer)
        self.moving_variance_initializer = get("initializer", moving_variance_initializer)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        axis = axis_in("axis", self.axis, len(input_shape))
        count = input_shape[axis]
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: count})
        self.add_affine((count,))
        self.moving_mean = self.add_weight(
            name="moving_mean",
            shape=(count,),
            initializer=self.moving_mean_initializer,
            trainable=False,
        )
        self.moving_variance = self.add_weight(
            name="moving_variance",
            shape=(count,),
            initializer=self.moving_variance_initializer,
            trainable=False,
        )

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        axis = self.axis % inputs.ndim
        shape = tuple(n if a == axis else 1 for a, n in enumerate(inputs.shape))
        # No statistics of an empty batch: it leaves the moving ones as they are.
        if training and inputs.size and not self.is_frozen():
            mean, variance = self._moments(inputs, axis, mask)
            old, new = self.momentum, 1.0 - self.momentum
            self.moving_mean = old * self.moving_mean + new * np.reshape(mean, -1)
            self.moving_variance = old * self.moving_variance + new * np.reshape(variance, -1)
        else:
            mean = np.reshape(self.moving_mean, shape)
            variance = np.reshape(self.moving_variance, shape)
        return self.normalized(inputs, mean, variance, shape)

    def _moments(self, x: Any, axis: int, mask: Any) -> tuple[Any, Any]:
        """Mean and population variance over all axes but one, of what counts."""
        axes = tuple(a for a in range(x.ndim) if a != axis)
        weights = self._counted(x, mask)
        return moments(x, axes) if weights is None else weighted_moments(x, weights, axes)

    def _counted(self, x: Any, mask: Any) -> Any:
        """1 for what counts and 0 for the rest, of x's rank; None if all does."""
        rows, found = self.rows(), None
        if rows is not None:
            found = np.reshape(rows, (x.shape[0], *(1,) * (x.ndim - 1))).astype(x.dtype)
        if mask is not None:
            shape = np.shape(mask)
            if len(shape) >= x.ndim or shape != x.shape[: len(shape)]:
                raise ShapeError(
                    f"the mask of {self.name!r} doesn't fit its input",
                    {"mask": list(shape), "input": list(x.shape)},
                    "its shape has to be that of the input's first axes: (batch, steps)",
                )
            counts = np.reshape(mask, (*shape, *(1,) * (x.ndim - len(shape)))).astype(x.dtype)
            found = counts if found is None else found * counts
        return found
