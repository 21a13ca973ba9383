"""Layers that make one array of several."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.registry import register
from chainrule.nn.arguments import axis_in
from chainrule.nn.layer import Layer
from chainrule.nn.mask import is_there


class Merge(Layer):
    """A layer that is called on a list of arrays."""

    least = 1  # how many inputs it needs
    most: int | None = None

    def build(self, input_shape: Any) -> None:
        several = isinstance(input_shape, list) and all(isinstance(s, tuple) for s in input_shape)
        count = len(input_shape) if several else 1
        if not several or count < self.least or count > (self.most or count):
            wanted = f"{self.least}" if self.most else f"{self.least} or more"
            raise ArgumentError(
                f"the layer {self.name!r} takes a list of {wanted} arrays",
                {"given": f"{count} of shape {input_shape}"},
                f"{self.name}([a, b])",
            )
        if len({shape[0] for shape in input_shape}) > 1:
            self.refuse(input_shape, "all inputs need the same batch")

    def refuse(self, shapes: Any, fix: str) -> None:
        """The error for shapes that don't go together."""
        raise ShapeError(
            f"the inputs of the layer {self.name!r} don't go together",
            {f"input {i}": list(shape) for i, shape in enumerate(shapes)},
            fix,
        )


class _EntryByEntry(Merge):
    """One operation between all inputs, entry by entry; sizes of 1 are repeated."""

    supports_masking = True

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        try:
            np.broadcast_shapes(*(shape[1:] for shape in self._aligned(input_shape)))
        except ValueError:
            self.refuse(input_shape, "sizes have to be equal, or 1, axis by axis")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """What counts in any of the inputs; all, if one of them has no mask."""
        masks = previous_mask or [None]
        if any(mask is None for mask in masks):
            return None
        return functools.reduce(np.logical_or, masks)

    def _aligned(self, shapes: Any) -> list[tuple[int, ...]]:
        """Shapes of one rank: missing axes come right behind the batch."""
        rank = max(map(len, shapes))
        return [(shape[0], *(1,) * (rank - len(shape)), *shape[1:]) for shape in shapes]

    def call(self, inputs: Any) -> Any:
        shapes = [x.shape for x in inputs]
        if len({len(shape) for shape in shapes}) > 1:
            inputs = [np.reshape(x, s) for x, s in zip(inputs, self._aligned(shapes), strict=True)]
        return self.merged(inputs)

    def merged(self, inputs: Any) -> Any:
        """The inputs, now of one rank, as one."""
        raise ArgumentError(f"{type(self).__name__} doesn't say what it computes")


@register("layer")
class Add(_EntryByEntry):
    """The sum of its inputs.

    Shapes: a list of arrays that broadcast → that shape.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.Add()([np.ones((1, 2)), np.ones((1, 2))])
        array([[2., 2.]], dtype=float32)
    """

    def merged(self, inputs: Any) -> Any:
        return functools.reduce(np.add, inputs)


@register("layer")
class Subtract(_EntryByEntry):
    """The first of two inputs minus the second.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.Subtract()([np.ones((1, 2)), np.ones((1, 2))])
        array([[0., 0.]], dtype=float32)
    """

    least = most = 2

    def merged(self, inputs: Any) -> Any:
        return inputs[0] - inputs[1]


@register("layer")
class Multiply(_EntryByEntry):
    """The product of its inputs, entry by entry.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.Multiply()([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
        array([[6., 6.]], dtype=float32)
    """

    def merged(self, inputs: Any) -> Any:
        return functools.reduce(np.multiply, inputs)


@register("layer")
class Average(_EntryByEntry):
    """The mean of its inputs, entry by entry.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.Average()([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
        array([[2.5, 2.5]], dtype=float32)
    """

    def merged(self, inputs: Any) -> Any:
        return functools.reduce(np.add, inputs) * (1.0 / len(inputs))


@register("layer")
class Maximum(_EntryByEntry):
    """The largest of its inputs, entry by entry; where two tie, each has half the derivative.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.Maximum()([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
        array([[3., 3.]], dtype=float32)
    """

    def merged(self, inputs: Any) -> Any:
        return functools.reduce(np.maximum, inputs)


@register("layer")
class Minimum(_EntryByEntry):
    """The smallest of its inputs, entry by entry; where two tie, each has half the derivative.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.Minimum()([np.full((1, 2), 3.0), np.full((1, 2), 2.0)])
        array([[2., 2.]], dtype=float32)
    """

    def merged(self, inputs: Any) -> Any:
        return functools.reduce(np.minimum, inputs)


@register("layer")
class Concatenate(Merge):
    """Its inputs side by side.

    Args:
        axis: the one along which they may differ in size; not the batch.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.Concatenate().compute_output_shape([(None, 4, 2), (None, 4, 3)])
        (None, 4, 5)
    """

    supports_masking = True

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = int(axis)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        axis = axis_in("axis", self.axis, len(input_shape[0]))
        others = {tuple(n for a, n in enumerate(shape) if a != axis) for shape in input_shape}
        if len(others) > 1:
            self.refuse(input_shape, f"all sizes but those along axis {self.axis} have to be equal")

    def call(self, inputs: Any) -> Any:
        return np.concatenate(inputs, axis=self.axis)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """Steps that count in any of the inputs; along the steps, those of each."""
        if not is_there(previous_mask):
            return None
        parts = []
        for x, mask in zip(inputs, previous_mask, strict=True):
            if mask is None:
                parts.append(np.ones(np.shape(x), bool))
            elif np.ndim(mask) < np.ndim(x):
                parts.append(np.logical_or(mask[..., None], np.zeros(np.shape(x), bool)))
            else:
                parts.append(mask)
        return np.any(np.concatenate(parts, axis=self.axis), axis=-1)


@register("layer")
class Dot(Merge):
    """The products of two inputs, added up along an axis of each, for each row of the batch.

    Args:
        axes: one axis for both inputs, or one for each; not the batch.
        normalize: divide both by their length along it first, so that the result is a cosine.

    Shapes: axes=(1, 2): (batch, n, a), (batch, b, n) → (batch, a, b). Of two vectors (batch, 1).

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.Dot(axes=1)([np.array([[1.0, 2.0]]), np.array([[3.0, 4.0]])])
        array([[11.]], dtype=float32)
    """

    supports_masking = True
    least = most = 2

    def __init__(self, axes: Any, normalize: bool = False, **options: Any) -> None:
        super().__init__(**options)
        several = isinstance(axes, (list, tuple))
        if several and len(axes) != 2:
            raise ArgumentError(
                "axes has to be one axis, or one for each input", {"given": repr(axes)}, "axes=1"
            )
        self.axes = tuple(int(axis) for axis in axes) if several else int(axes)
        self.normalize = bool(normalize)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        a, b = self._axes(*input_shape)
        if input_shape[0][a] != input_shape[1][b]:
            self.refuse(input_shape, f"their axes {a} and {b} need the same size")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None

    def _axes(self, x: Any, y: Any) -> tuple[int, int]:
        a, b = self.axes if isinstance(self.axes, tuple) else (self.axes, self.axes)
        return axis_in("axes", a, len(x)), axis_in("axes", b, len(y))

    def call(self, inputs: Any) -> Any:
        x, y = inputs
        a, b = self._axes(x.shape, y.shape)
        if self.normalize:
            x, y = _unit(x, a), _unit(y, b)
        rest = [n for i, n in enumerate(x.shape) if i not in (0, a)]
        rest += [n for i, n in enumerate(y.shape) if i not in (0, b)]
        if not rest:
            return np.sum(x * y, axis=1, keepdims=True)
        x, y = np.moveaxis(x, a, -1), np.moveaxis(y, b, 1)
        x = np.reshape(x, (x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1]))
        y = np.reshape(y, (*y.shape[:2], math.prod(y.shape[2:])))
        return np.reshape(x @ y, (x.shape[0], *rest))


def _unit(x: Any, axis: int) -> Any:
    """x divided by its length along an axis; a zero vector stays one."""
    square = np.sum(x * x, axis=axis, keepdims=True)
    return x / np.sqrt(np.maximum(square, 1e-14))
