"""Layers of plain matrix products."""

from __future__ import annotations

from typing import Any

from chainrule.base.registry import get, register
from chainrule.nn.arguments import whole_number
from chainrule.nn.layer import Layer
from chainrule.nn.scope import current
from chainrule.nn.spec import InputSpec


@register("layer")
class Dense(Layer):
    """activation(x @ kernel + bias), along the last axis.

    Args:
        units: the size of the output.
        activation: a name or function; None is linear.
        use_bias: whether a bias is added.
        kernel_initializer, bias_initializer: first values.
        kernel_regularizer, bias_regularizer, activity_regularizer: penalties.
        kernel_constraint, bias_constraint: applied after each update.

    Shapes: (batch, …, inputs) → (batch, …, units); kernel (inputs, units), bias (units,).

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> layer = cr.nn.Dense(2, activation="relu", kernel_initializer="ones")
        >>> layer(np.array([[1.0, -3.0], [2.0, 1.0]]))
        array([[0., 0.],
               [3., 3.]], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self,
        units: int,
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
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.units = whole_number("units", units)
        self.activation = get("activation", activation)
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
            shape=(inputs, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs: Any) -> Any:
        scope = current()
        given = None if scope is None else scope.given.get(id(self))
        z = inputs @ self.kernel if given is None else given
        if self.use_bias:
            z = z + self.bias
        return z if self.activation is None else self.activation(z)
