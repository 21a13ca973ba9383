"""Initialisers: the numbers that weights start from. Plain NumPy, never traced."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.registry import register
from chainrule.nn.initializer import Initializer, Shape, compute_fans, cut_normal

# The standard deviation of a standard normal cut off at ±2.
_CUT_DEVIATION = 0.87962566103423978


# ---- fixed numbers -------------------------------------------------------------------------------


@register("initializer")
class Zeros(Initializer):
    """All 0.

    Example:
        >>> Zeros()((2,))
        array([0., 0.], dtype=float32)
    """

    def __init__(self) -> None:
        super().__init__()

    def draw(self, shape: tuple[int, ...], random: np.random.Generator) -> Any:
        return np.zeros(shape)

    def get_config(self) -> dict[str, Any]:
        return {}


@register("initializer")
class Ones(Zeros):
    """All 1.

    Example:
        >>> Ones()((2,))
        array([1., 1.], dtype=float32)
    """

    def draw(self, shape: tuple[int, ...], random: np.random.Generator) -> Any:
        return np.ones(shape)


@register("initializer")
class Constant(Initializer):
    """One number everywhere, or an array that fits the shape.

    Args:
        value: a number, or an array (or nested list) that broadcasts to the weight.

    Raises:
        ShapeError: on use, the array doesn't fit.

    Example:
        >>> Constant(0.5)((2,))
        array([0.5, 0.5], dtype=float32)
    """

    def __init__(self, value: Any = 0.0) -> None:
        super().__init__()
        self.value = np.asarray(value, dtype=np.float64)

    def draw(self, shape: tuple[int, ...], random: np.random.Generator) -> Any:
        try:
            return np.broadcast_to(self.value, shape)
        except ValueError:
            raise ShapeError(
                "Constant: the value doesn't fit the weight",
                {"value": self.value.shape, "weight": shape},
                "give a number, or an array of the weight's shape",
            ) from None

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value.tolist()}


@register("initializer")
class Identity(Initializer):
    """The unit matrix times gain.

    Raises:
        ShapeError: on use, the weight isn't a matrix.

    Example:
        >>> Identity(2.0)((2, 2))
        array([[2., 0.],
               [0., 2.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain

    def draw(self, shape: tuple[int, ...], random: np.random.Generator) -> Any:
        if len(shape) != 2:
            raise ShapeError("Identity: the weight has to be a matrix", {"weight": shape})
        return self.gain * np.eye(*shape)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}


# ---- random numbers ------------------------------------------------------------------------------


@register("initializer", "normal")
class RandomNormal(Initializer):
    """Normal numbers.

    Args:
        mean: their mean.
        stddev: their standard deviation.
        seed: as for every initialiser.

    Example:
        >>> bool(np.all(RandomNormal(seed=1)((3,)) == RandomNormal(seed=1)((3,))))
        True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def draw(self, shape: tuple[int, ...], random: np.random.Generator) -> Any:
        return self.mean + self.stddev * random.standard_normal(shape)

    def get_config(self) -> dict[str, Any]:
        return {"mean": self.mean, "stddev": self.stddev, **super().get_config()}


@register("initializer")
class TruncatedNormal(RandomNormal):
    """Normal numbers, drawn again where they are further than 2 stddev from the mean.

    Args:
        mean: the mean.
        stddev: the standard deviation before cutting.
        seed: as for every initialiser.

    Example:
        >>> bool(np.abs(TruncatedNormal(stddev=1.0, seed=0)((1000,))).max() <= 2)
        True
    """

    def draw(self, shape: tuple[int, ...], random: np.random.Generator) -> Any:
        return self.mean + self.stddev * cut_normal(shape, random)


@register("initializer", "uniform")
class RandomUniform(Initializer):
    """Numbers spread evenly over [minval, maxval).

    Example:
        >>> bool(np.all(np.abs(RandomUniform(seed=0)((100,))) <= 0.05))
        True
    """

    def __init__(
        self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def draw(self, shape: tuple[int, ...], random: np.random.Generator) -> Any:
        return self.minval + (self.maxval - self.minval) * random.random(shape)

    def get_config(self) -> dict[str, Any]:
        return {"minval": self.minval, "maxval": self.maxval, **super().get_config()}


# ---- scaled by the number of connections ---------------------------------------------------------


@register("initializer")
class VarianceScaling(Initializer):
    """Numbers of mean 0 whose variance is scale / n.

    Args:
        scale: above 0.
        mode: n is "fan_in", "fan_out" or "fan_avg", the mean of both.
        distribution: "truncated_normal" (or "normal", the same), "untruncated_normal" or "uniform".
        seed: as for every initialiser.
        input_axes: with output_axes, the axes of the weight that count as inputs and outputs.
        output_axes: see input_axes.

    Raises:
        ArgumentError: an unknown mode or distribution, or a scale that isn't above 0.

    Source: He and others, Delving deep into rectifiers, 2015; Glorot and Bengio, Understanding the
        difficulty of training deep feedforward neural networks, 2010.

    Example:
        >>> VarianceScaling(seed=0)((400, 100)).std().round(3)
        np.float32(0.05)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Shape | None = None,
        output_axes: Shape | None = None,
    ) -> None:
        super().__init__(seed)
        distribution = "truncated_normal" if distribution == "normal" else distribution
        _one_of("mode", mode, ("fan_in", "fan_out", "fan_avg"))
        kinds = ("truncated_normal", "untruncated_normal", "uniform")
        _one_of("distribution", distribution, kinds)
        if not scale > 0:
            raise ArgumentError("VarianceScaling: scale has to be above 0", {"scale": scale})
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = None if input_axes is None else list(input_axes)
        self.output_axes = None if output_axes is None else list(output_axes)

    def draw(self, shape: tuple[int, ...], random: np.random.Generator) -> Any:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        deviation = math.sqrt(self.scale / max(1.0, fans[self.mode]))
        if self.distribution == "uniform":
            return deviation * math.sqrt(3.0) * (2 * random.random(shape) - 1)
        if self.distribution == "untruncated_normal":
            return deviation * random.standard_normal(shape)
        return deviation / _CUT_DEVIATION * cut_normal(shape, random)

    def get_config(self) -> dict[str, Any]:
        return {
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            **super().get_config(),
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


def _one_of(name: str, given: str, known: tuple[str, ...]) -> None:
    if given not in known:
        raise ArgumentError(
            f"VarianceScaling: there is no such {name}",
            {name: repr(given), "known": ", ".join(known)},
        )


class _Scaled(VarianceScaling):
    """A VarianceScaling under the name of those who proposed its setting."""

    _setting: tuple[float, str, str]

    def __init__(
        self,
        seed: int | None = None,
        input_axes: Shape | None = None,
        output_axes: Shape | None = None,
    ) -> None:
        super().__init__(*self._setting, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


@register("initializer")
class GlorotUniform(_Scaled):
    """Uniform on ±√(6 / (fan_in + fan_out)). Source: Glorot and Bengio, 2010, equation 16."""

    _setting = (1.0, "fan_avg", "uniform")


@register("initializer")
class GlorotNormal(_Scaled):
    """Truncated normal of variance 2 / (fan_in + fan_out). Source: Glorot and Bengio, 2010."""

    _setting = (1.0, "fan_avg", "truncated_normal")


@register("initializer")
class HeUniform(_Scaled):
    """Uniform on ±√(6 / fan_in). Source: He and others, 2015."""

    _setting = (2.0, "fan_in", "uniform")


@register("initializer")
class HeNormal(_Scaled):
    """Truncated normal of variance 2 / fan_in. Source: He and others, 2015, equation 10."""

    _setting = (2.0, "fan_in", "truncated_normal")


@register("initializer")
class LecunUniform(_Scaled):
    """Uniform on ±√(3 / fan_in). Source: LeCun and others, Efficient BackProp, 1998."""

    _setting = (1.0, "fan_in", "uniform")


@register("initializer")
class LecunNormal(_Scaled):
    """Truncated normal of variance 1 / fan_in. Source: LeCun and others, 1998, section 4.6."""

    _setting = (1.0, "fan_in", "truncated_normal")


@register("initializer")
class Orthogonal(Initializer):
    """A random matrix whose columns (or rows, whichever are fewer) are orthonormal, times gain.

    A weight of more axes is taken as a matrix whose columns are its last axis.

    Raises:
        ShapeError: on use, the weight has fewer than two axes.

    Source: Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in
        deep linear neural networks, 2014.

    Example:
        >>> q = Orthogonal(seed=0)((5, 3), dtype="float64")
        >>> bool(np.allclose(q.T @ q, np.eye(3)))
        True
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def draw(self, shape: tuple[int, ...], random: np.random.Generator) -> Any:
        if len(shape) < 2:
            raise ShapeError("Orthogonal: the weight needs two axes at least", {"weight": shape})
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = random.standard_normal((max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(tall)
        # With this choice of signs every rotation is equally likely (Mezzadri 2007).
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain, **super().get_config()}
