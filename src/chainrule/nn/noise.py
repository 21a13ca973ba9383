"""Layers that disturb what passes through them while training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.registry import get, register
from chainrule.nn.arguments import channels, fraction, one_of, whole_number
from chainrule.nn.layer import Layer
from chainrule.nn.spec import InputSpec
from chainrule.ops.draw_continuous import normal
from chainrule.ops.draw_discrete import bernoulli
from chainrule.ops.draw_keys import fold_in


class Random(Layer):
    """A layer that draws random numbers while training.

    Args:
        seed: a number mixed into the seed of the call, which decides everything without it.
    """

    supports_masking = True

    def __init__(self, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.seed = None if seed is None else whole_number("seed", seed, least=0)

    def draw_key(self) -> Any:
        """A key for one draw."""
        key = self.random_key()
        return key if self.seed is None else fold_in(key, self.seed)

    def kept(self, x: Any, rate: float, shape: tuple[int, ...]) -> Any:
        """x with entries of a pattern of this shape set to 0, and the rest scaled up."""
        if rate == 1.0:
            return np.zeros_like(x)
        kept = bernoulli(self.draw_key(), 1.0 - rate, shape, np.float32)
        return x * _factors(kept, 1.0 / (1.0 - rate), x.dtype)


def _factors(kept: Any, scale: float, dtype: Any) -> Any:
    """What keeps, scaled up, or leaves out: as factors.

    A choice by np.where would have derivatives follow, through every layer before this one, what
    it left out: more work than the layers themselves.
    """
    return np.where(kept, dtype.type(scale), dtype.type(0))


@register("layer")
class Dropout(Random):
    """Entries set to 0 at random while training, the others scaled up; else the input as it is.

    Args:
        rate: the share that is dropped.
        noise_shape: the shape of the pattern, 1 or None for the size where it differs: 1 drops
            all along that axis together.
        seed: a number mixed into the seed of the call.

    Derivative: 1 / (1 - rate) for what is kept, 0 for the rest.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, Dropout: a simple way to
        prevent neural networks from overfitting, 2014; scaled while training, as all libraries do.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> x = np.ones((1, 4), np.float32)
        >>> cr.nn.Dropout(0.5)(x)
        array([[1., 1., 1., 1.]], dtype=float32)
        >>> y, _ = cr.nn.Dropout(0.5).apply({"parameters": {}}, x, training=True, seed=0)
        >>> sorted({float(v) for v in y[0]})
        [0.0, 2.0]
    """

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **options: Any
    ) -> None:
        super().__init__(seed, **options)
        self.rate = fraction("rate", rate)
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0.0:
            return inputs
        return self.kept(inputs, self.rate, self._pattern(inputs.shape))

    def _pattern(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if self.noise_shape is None:
            return shape
        named = self.noise_shape
        if len(named) == len(shape):
            pattern = tuple(n if m is None else m for n, m in zip(shape, named, strict=True))
            if all(m in (1, n) for n, m in zip(shape, pattern, strict=True)):
                return pattern
        raise ShapeError(
            f"the noise_shape of {self.name!r} doesn't fit its input",
            {"input": list(shape), "noise_shape": list(named)},
            "for each axis give 1, None, or its size",
        )


class _SpatialDropout(Random):
    """Whole channels set to 0 at random while training."""

    rank: int

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.rate = fraction("rate", rate)
        self.data_format = channels(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0.0:
            return inputs
        ones = (1,) * self.rank
        if self.data_format == "channels_last":
            shape = (inputs.shape[0], *ones, inputs.shape[-1])
        else:
            shape = (*inputs.shape[:2], *ones)
        return self.kept(inputs, self.rate, shape)


@register("layer")
class SpatialDropout1D(_SpatialDropout):
    """Whole channels of a sequence set to 0 at random while training.

    Args:
        rate: the share of channels that is dropped.
        seed: a number mixed into the seed of the call.

    Shapes: (batch, steps, channels) → the same.

    Source: Tompson, Goroshin, Jain, LeCun and Bregler, Efficient object localization using
        convolutional networks, 2015.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.SpatialDropout1D(0.5).compute_output_shape((None, 10, 3))
        (None, 10, 3)
    """

    rank = 1

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(rate, None, seed, **options)


@register("layer")
class SpatialDropout2D(_SpatialDropout):
    """Whole channels of a picture set to 0 at random while training.

    Args:
        rate: the share of channels that is dropped.
        data_format: where the channels are, "channels_last" or "channels_first".
        seed: a number mixed into the seed of the call.

    Shapes: (batch, rows, columns, channels) → the same.

    Source: as for SpatialDropout1D.

    Example:
        >>> import chainrule as cr
        >>> cr.nn.SpatialDropout2D(0.5).compute_output_shape((None, 8, 8, 3))
        (None, 8, 8, 3)
    """

    rank = 2


@register("layer")
class GaussianNoise(Random):
    """x + n with normal n while training; else the input as it is.

    Args:
        stddev: the standard deviation of n; its mean is 0.
        seed: a number mixed into the seed of the call.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.GaussianNoise(0.1)(np.ones((1, 2), np.float32))
        array([[1., 1.]], dtype=float32)
    """

    def __init__(self, stddev: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        if not isinstance(stddev, (int, float, np.number)) or not stddev >= 0:
            raise ArgumentError(
                "stddev has to be a number from 0 on", {"given": repr(stddev)}, "stddev=0.1"
            )
        self.stddev = float(stddev)

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.stddev == 0.0:
            return inputs
        noise = normal(self.draw_key(), inputs.shape, dtype=inputs.dtype)
        return inputs + self.stddev * noise


@register("layer")
class GaussianDropout(Random):
    """x · n while training, n normal with mean 1; else the input as it is.

    Args:
        rate: n has the variance rate / (1 - rate), that of dropout at this rate.
        seed: a number mixed into the seed of the call.

    Source: as for Dropout, section 10.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.nn.GaussianDropout(0.5)(np.ones((1, 2), np.float32))
        array([[1., 1.]], dtype=float32)
    """

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(seed, **options)
        self.rate = fraction("rate", rate)
        if self.rate == 1.0:
            raise ArgumentError("rate has to be below 1", {"given": "1.0"}, "rate=0.5")

    def call(self, inputs: Any, training: bool = False) -> Any:
        if not training or self.rate == 0.0:
            return inputs
        deviation = math.sqrt(self.rate / (1.0 - self.rate))
        noise = normal(self.draw_key(), inputs.shape, dtype=inputs.dtype)
        return inputs * (1.0 + deviation * noise)


@register("layer")
class StochasticDepth(Random):
    """A residual block that is skipped at random while training: y = x + b · block(x).

    b is 1 with the probability `survival` and 0 otherwise; outside of training it is `survival`.

    Args:
        block: the layer, or any function, whose output has the shape of its input.
        survival: the probability that the block takes part.
        mode: "batch" draws one b for the whole batch, as in the paper; "row" one for each row.
        seed: a number mixed into the seed of the call.

    Source: Huang, Sun, Liu, Sedra and Weinberger, Deep networks with stochastic depth, 2016,
        equations 2 and 5.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> layer = cr.nn.StochasticDepth(cr.nn.Activation("relu"), survival=0.75)
        >>> layer(np.array([[4.0, -1.0]], np.float32))
        array([[ 7., -1.]], dtype=float32)
    """

    def __init__(
        self,
        block: Any,
        survival: float,
        *,
        mode: str = "batch",
        seed: int | None = None,
        **options: Any,
    ) -> None:
        super().__init__(seed, **options)
        self.block = get("layer", block)
        self.survival = fraction("survival", survival)
        self.mode = one_of("mode", mode, ("batch", "row"))

    def call(self, inputs: Any, training: bool = False) -> Any:
        y = self.block(inputs)
        if y.shape != inputs.shape:
            raise ShapeError(
                f"the block of {self.name!r} changes the shape, so that nothing can be added",
                {"input": list(inputs.shape), "output": list(y.shape)},
                "give it a block that keeps the shape: padding='same', as many units as inputs",
            )
        if not training:
            return inputs + self.survival * y
        rows = inputs.shape[0] if self.mode == "row" else 1
        shape = (rows, *(1,) * (inputs.ndim - 1))
        taken = bernoulli(self.draw_key(), self.survival, shape, np.float32)
        return inputs + y * _factors(taken, 1.0, y.dtype)
