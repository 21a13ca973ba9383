"""The base of the initialisers, and what they draw from. Plain NumPy, never traced.

The numbers come from NumPy's Philox, so a seed gives the same weights on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.nn.dtype import float_dtype

Shape = Sequence[int]
Seed = int | np.random.SeedSequence | np.random.Generator | None


class Initializer:
    """Base of the initialisers: `initializer(shape, dtype=None, seed=None)` gives an array.

    A subclass defines `draw(self, shape, random)`, where `random` is a numpy.random.Generator, and
    `get_config(self)`.

    Args:
        seed: an own seed; without one, the caller's counts.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, (int, np.integer))):
            raise ArgumentError(
                f"{type(self).__name__}: a seed is a whole number",
                {"seed": repr(seed)[:60]},
                "a Generator or SeedSequence can be given where the initialiser is called",
            )
        self.seed = None if seed is None else int(seed)

    def __call__(self, shape: Shape, dtype: Any = None, seed: Seed = None) -> np.ndarray:
        """An array of this shape.

        Args:
            shape: the shape of the weight.
            dtype: "float32", "float64", or None for the default.
            seed: what decides the numbers where the initialiser has no seed of its own: an int, a
                SeedSequence, a Generator (which moves on), or None for others each time.

        Returns:
            A C-contiguous array.
        """
        drawn = self.draw(tuple(shape), generator(seed if self.seed is None else self.seed))
        return np.array(drawn, float_dtype(dtype), order="C")  # 0-d stays 0-d

    def draw(self, shape: tuple[int, ...], random: np.random.Generator) -> Any:
        """The numbers, in float64."""
        raise NotImplementedError(f"{type(self).__name__} doesn't define draw(self, shape, random)")

    def get_config(self) -> dict[str, Any]:
        """The arguments this object was made with."""
        return {"seed": self.seed}


def generator(seed: Seed) -> np.random.Generator:
    """A source of random numbers from a seed; a Generator is handed back as it is."""
    if isinstance(seed, np.random.Generator):
        return seed
    return np.random.Generator(np.random.Philox(seed))


def cut_normal(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Standard normal numbers within ±2; those outside are drawn again."""
    drawn = np.asarray(random.standard_normal(shape))
    flat = drawn.reshape(-1)
    outside = np.flatnonzero(np.abs(flat) > 2)
    while outside.size:
        flat[outside] = random.standard_normal(outside.size)
        outside = outside[np.abs(flat[outside]) > 2]
    return drawn


def compute_fans(
    shape: Shape, input_axes: Shape | None = None, output_axes: Shape | None = None
) -> tuple[int, int]:
    """How many numbers go into one output of a weight, and out of one input.

    Args:
        shape: the shape of the weight; (…, in, out) for a convolution, whose fans count the whole
            receptive field.
        input_axes: with output_axes, the axes that count instead.
        output_axes: see input_axes.

    Returns:
        (fan_in, fan_out).

    Example:
        >>> compute_fans((3, 3, 16, 32))
        (144, 288)
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[k] for k in input_axes), math.prod(shape[k] for k in output_axes)
    if len(shape) < 2:
        return (math.prod(shape),) * 2
    field = math.prod(shape[:-2])
    return field * shape[-2], field * shape[-1]
