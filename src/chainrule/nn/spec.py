"""What a layer expects of its input, and what its `call` takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError


class InputSpec:
    """The rank, shape or single axes that a layer needs its input to have.

    Args:
        dtype: kept for reading; inputs are cast, so nothing is refused by it.
        shape: the whole shape, None where anything goes.
        ndim: how many axes.
        max_ndim, min_ndim: at most and at least so many.
        axes: {axis: size}.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.InputSpec(ndim=2, axes={-1: 3})
        InputSpec(ndim=2, axes={-1: 3})
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: Mapping[int, int | None] | None = None,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = ndim if self.shape is None else len(self.shape)
        self.max_ndim = max_ndim
        self.min_ndim = min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}

    def __repr__(self) -> str:
        parts = {k: v for k, v in vars(self).items() if v is not None and v != {}}
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in parts.items())})"

    def fault(self, shape: tuple[int, ...]) -> str | None:
        """What is wrong with an input of this shape, or None."""
        n = len(shape)
        if self.ndim is not None and n != self.ndim:
            return f"expects {self.ndim} axes, its input has {n}"
        if self.min_ndim is not None and n < self.min_ndim:
            return f"expects at least {self.min_ndim} axes, its input has {n}"
        if self.max_ndim is not None and n > self.max_ndim:
            return f"expects at most {self.max_ndim} axes, its input has {n}"
        sizes = dict(enumerate(self.shape)) if self.shape is not None else self.axes
        for axis, size in sizes.items():
            if size is not None and not (-n <= axis < n):
                return f"expects an axis {axis}, its input has {n} axes"
            if size is not None and shape[axis] not in (None, size):
                return f"expects {size} entries along axis {axis}, its input has {shape[axis]}"
        return None


def check_inputs(spec: Any, name: str, shapes: Any) -> None:
    """Hold a layer's inputs against its `input_spec`.

    Raises:
        ShapeError: one doesn't fit; names the layer, the shapes and a remedy.
    """
    if spec is None:
        return
    specs = spec if isinstance(spec, (list, tuple)) else [spec]
    given = shapes if len(specs) > 1 and not _is_shape(shapes) else [shapes]
    for one, shape in zip(specs, given, strict=False):
        fault = one.fault(shape) if _is_shape(shape) else None
        if fault is not None:
            raise ShapeError(
                f"the layer {name!r} {fault}",
                {"input": f"{list(shape)}, the batch first"},
                _remedy(one, len(shape)),
            )


def _remedy(spec: InputSpec, axes: int) -> str:
    """What to do about an input that doesn't fit."""
    least = spec.ndim or spec.min_ndim or 0
    if axes == least - 1 and spec.ndim is not None:
        return (
            "x[..., None] gives grey images and plain series their channel axis; x[None] makes a "
            "batch of a single sample"
        )
    if axes == least - 1:
        return "x[None] makes a batch of a single sample, x[:, None] a column of single numbers"
    return "reshape the input (cr.nn.Flatten, cr.nn.Reshape), or make a layer for this shape"


def _is_shape(shape: Any) -> bool:
    return isinstance(shape, tuple) and all(n is None or isinstance(n, int) for n in shape)


def shapes_of(inputs: tuple[Any, ...]) -> Any:
    """The shape of a single input, or the shapes of several in their tree."""
    shapes = tuple(_shape_tree(x) for x in inputs)
    return shapes[0] if len(shapes) == 1 else list(shapes)


def _shape_tree(x: Any) -> Any:
    if isinstance(x, (list, tuple)):
        return [_shape_tree(item) for item in x]
    if isinstance(x, Mapping):
        return {key: _shape_tree(item) for key, item in x.items()}
    return tuple(np.shape(x))


def map_shapes(function: Callable[[tuple[Any, ...]], Any], shapes: Any) -> Any:
    """A tree of shapes, each through a function; a tuple of sizes is one shape.

    Raises:
        ArgumentError: something in it isn't a shape.
    """
    if isinstance(shapes, int):
        return function((shapes,))
    if isinstance(shapes, (tuple, list)) and all(n is None or isinstance(n, int) for n in shapes):
        return function(tuple(shapes))
    if isinstance(shapes, (tuple, list)):
        return [map_shapes(function, shape) for shape in shapes]
    if isinstance(shapes, Mapping):
        return {key: map_shapes(function, shape) for key, shape in shapes.items()}
    raise ArgumentError(
        "an input shape is a tuple of whole numbers",
        {"given": repr(shapes)},
        "give the shape of one input without the batch: (28, 28, 1)",
    )


def with_batch(shape: tuple[Any, ...], size: int) -> tuple[int, ...]:
    """A shape with its batch: (784,) and (None, 784) both become (size, 784)."""
    rest = shape[1:] if shape and shape[0] is None else shape
    if any(n is None for n in rest):
        raise ArgumentError(
            "all sizes but the batch have to be known",
            {"shape": str(shape)},
            "give the size that the network is to work at",
        )
    return (size, *(int(n) for n in rest))


@functools.lru_cache(maxsize=1024)
def _taken(call: Any) -> tuple[frozenset[str], bool]:
    parameters = inspect.signature(call).parameters.values()
    return frozenset(p.name for p in parameters), any(p.kind is p.VAR_KEYWORD for p in parameters)


def chosen_options(call: Any, options: dict[str, Any], training: bool) -> dict[str, Any]:
    """The options to hand to `call`: `training` and `mask` only where it names them."""
    known, everything = _taken(call)
    chosen = {
        name: value
        for name, value in options.items()
        if name in known or everything or name not in ("training", "mask")
    }
    if "training" in known and chosen.get("training") is None:
        chosen["training"] = training
    return chosen
