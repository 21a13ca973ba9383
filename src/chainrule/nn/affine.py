"""What the normalisations share: a learnt scale and offset after they have done their work."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import get
from chainrule.nn.layer import Layer


class Normalization(Layer):
    """A normalisation followed by · gamma + beta.

    Args:
        epsilon: added to the variance.
        center, scale: whether beta is added, and whether gamma multiplies.
        beta_initializer, gamma_initializer: first values.
        beta_regularizer, gamma_regularizer: penalties.
        beta_constraint, gamma_constraint: applied after each update.
    """

    def __init__(
        self,
        epsilon: float,
        center: bool,
        scale: bool,
        beta_initializer: Any,
        gamma_initializer: Any,
        beta_regularizer: Any,
        gamma_regularizer: Any,
        beta_constraint: Any,
        gamma_constraint: Any,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if not isinstance(epsilon, (int, float, np.number)) or not epsilon >= 0:
            raise ArgumentError(
                "epsilon has to be a number from 0 on", {"given": repr(epsilon)}, "epsilon=1e-3"
            )
        self.epsilon = float(epsilon)
        self.center = bool(center)
        self.scale = bool(scale)
        self.beta_initializer = get("initializer", beta_initializer)
        self.gamma_initializer = get("initializer", gamma_initializer)
        self.beta_regularizer = get("regularizer", beta_regularizer)
        self.gamma_regularizer = get("regularizer", gamma_regularizer)
        self.beta_constraint = get("constraint", beta_constraint)
        self.gamma_constraint = get("constraint", gamma_constraint)

    def add_affine(self, shape: tuple[int, ...]) -> None:
        """Make gamma and beta, those that are wanted."""
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma",
                shape=shape,
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta",
                shape=shape,
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
            )

    def normalized(self, x: Any, mean: Any, variance: Any, shape: tuple[int, ...]) -> Any:
        """(x - mean) / sqrt(variance + epsilon) · gamma + beta, these two in this shape."""
        factor = 1.0 / np.sqrt(variance + self.epsilon)
        if self.scale:
            factor = factor * np.reshape(self.gamma, shape)
        y = (x - mean) * factor
        return y + np.reshape(self.beta, shape) if self.center else y
