"""Activations as layers of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import get, register
from chainrule.nn.activations import elu, leaky_relu, relu, softmax
from chainrule.nn.layer import Layer


def _slope(name: str, value: Any) -> float:
    if not isinstance(value, (int, float, np.number)) or not value >= 0:
        raise ArgumentError(
            f"{name} has to be a number from 0 on", {"given": repr(value)}, f"{name}=0.1"
        )
    return float(value)


@register("layer")
class Activation(Layer):
    """A function applied to the input, entry by entry (softmax: along the last axis).

    Args:
        activation: a name or function.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.Activation("relu")(np.array([-1.0, 2.0], np.float32))
        array([0., 2.], dtype=float32)
    """

    supports_masking = True

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation = get("activation", activation)

    def call(self, inputs: Any) -> Any:
        return inputs if self.activation is None else self.activation(inputs)


@register("layer")
class ReLU(Layer):
    """max(x, 0), with Keras's options; `cr.nn.relu` says what they do.

    Args:
        max_value: the largest output; None for no bound.
        negative_slope: the slope below the threshold.
        threshold: where the bend is.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.ReLU(max_value=6.0)(np.array([-1.0, 9.0], np.float32))
        array([0., 6.], dtype=float32)
    """

    supports_masking = True

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.max_value = None if max_value is None else _slope("max_value", max_value)
        self.negative_slope = _slope("negative_slope", negative_slope)
        self.threshold = _slope("threshold", threshold)

    def call(self, inputs: Any) -> Any:
        return relu(inputs, self.negative_slope, self.max_value, self.threshold)


@register("layer")
class LeakyReLU(Layer):
    """x where it is positive, negative_slope · x elsewhere.

    Args:
        negative_slope: 0.1, the lectures' (Keras has 0.3).

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.LeakyReLU()(np.array([-1.0, 2.0], np.float32))
        array([-0.1,  2. ], dtype=float32)
    """

    supports_masking = True

    def __init__(self, negative_slope: float = 0.1, **options: Any) -> None:
        super().__init__(**options)
        self.negative_slope = _slope("negative_slope", negative_slope)

    def call(self, inputs: Any) -> Any:
        return leaky_relu(inputs, self.negative_slope)


@register("layer")
class ELU(Layer):
    """x where it is positive, alpha · (e^x - 1) elsewhere.

    Args:
        alpha: minus the limit for large negative x.

    Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by
        exponential linear units, 2016.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.ELU()(np.array([-1.0, 2.0], np.float32))
        array([-0.63212055,  2.        ], dtype=float32)
    """

    supports_masking = True

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = float(alpha)

    def call(self, inputs: Any) -> Any:
        return elu(inputs, self.alpha)


@register("layer")
class Softmax(Layer):
    """e^x divided by its sum along an axis; `mask` names the entries that take part.

    Args:
        axis: one, or several that are taken together.

    Shapes: any → the same; mask likewise, true where an entry counts. Where none does, all are
    equal.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> x = np.array([[1.0, 1.0, 5.0]], np.float32)
        >>> cr.nn.Softmax()(x, mask=np.array([[True, True, False]]))
        array([[0.5, 0.5, 0. ]], dtype=float32)
    """

    supports_masking = True

    def __init__(self, axis: Any = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = tuple(axis) if isinstance(axis, (list, tuple)) else int(axis)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is not None:
            inputs = np.where(mask, inputs, float(np.finfo(inputs.dtype).min))
        return softmax(inputs, self.axis)
