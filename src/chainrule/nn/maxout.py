"""Maxout: an activation that is learnt, as the largest of several linear pieces."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.registry import get, register
from chainrule.nn.arguments import whole_number
from chainrule.nn.layer import Layer
from chainrule.nn.spec import InputSpec


@register("layer")
class Maxout(Layer):
    """The largest of several affine functions: y = max over k of (x @ kernel_k + bias_k).

    Args:
        units: the size of the output.
        pieces: how many functions the maximum is taken of.
        use_bias: whether biases are added.
        kernel_initializer, bias_initializer: first values.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties.
        kernel_constraint, bias_constraint: applied after each update.

    Shapes: (batch, …, inputs) → (batch, …, units); kernel (inputs, units · pieces), the pieces of
    a unit side by side, bias (units · pieces,).

    Derivative: of pieces that tie, each has an equal share.

    Source: Goodfellow, Warde-Farley, Mirza, Courville and Bengio, Maxout networks, 2013, section 3.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> layer = cr.nn.Maxout(1, 2, use_bias=False)
        >>> variables = {"parameters": {"kernel": np.array([[1.0, -1.0]])}}
        >>> layer = layer if layer.init(0, (1,)) else layer
        >>> layer.apply(variables, np.array([[-3.0], [2.0]]))[0]
        array([[3.],
               [2.]])
    """

    supports_masking = True

    def __init__(
        self,
        units: int,
        pieces: int,
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
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.units = whole_number("units", units)
        self.pieces = whole_number("pieces", pieces)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = get("initializer", kernel_initializer)
        self.bias_initializer = get("initializer", bias_initializer)
        self.kernel_regularizer = get("regularizer", kernel_regularizer)
        self.bias_regularizer = get("regularizer", bias_regularizer)
        self.kernel_constraint = get("constraint", kernel_constraint)
        self.bias_constraint = get("constraint", bias_constraint)
        self.input_spec = InputSpec(min_ndim=2)

    def build(self, input_shape: Any) -> None:
        inputs = input_shape[-1]
        self.input_spec = InputSpec(min_ndim=2, axes={-1: inputs})
        self.kernel = self.add_weight(
            name="kernel",
            shape=(inputs, self.units * self.pieces),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units * self.pieces,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs: Any) -> Any:
        z = inputs @ self.kernel
        if self.use_bias:
            z = z + self.bias
        return np.max(np.reshape(z, (*inputs.shape[:-1], self.units, self.pieces)), axis=-1)
