"""Masking: steps of a sequence that are there only to fill it up."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.registry import register
from chainrule.nn.layer import Layer


@register("layer")
class Masking(Layer):
    """Steps all of whose features have one value are masked out, and set to 0.

    The layers that follow leave them out as far as they support masking: recurrent layers keep
    their states, attention gives them no weight, losses and metrics don't count them.

    Args:
        mask_value: the value.

    Shapes: (batch, steps, features) → the same; the mask (batch, steps), false where masked out.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> model = cr.nn.Sequential([cr.nn.Masking(), cr.nn.GlobalAveragePooling1D()])
        >>> model.build((3, 1))
        >>> model.predict(np.array([[[1.0], [3.0], [0.0]]]))
        array([[2.]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, mask_value: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.mask_value = float(mask_value)

    def call(self, inputs: Any) -> Any:
        return np.where(self.compute_mask(inputs, None)[..., None], inputs, 0.0)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return np.any(np.not_equal(inputs, self.mask_value), axis=-1)
