"""Learning rates that change with the step: functions of the step, traced or plain."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import register
from chainrule.optim.check import check_number, check_rate


@dataclass(frozen=True)
class Schedule:
    """Base class: a learning rate as a function of the number of updates made so far.

    Any function of the step serves as a learning rate; one that is entered with
    `register("schedule")` can be saved with its optimiser. The step is an integer, traced where
    the update is; the rate is a number of shape ().
    """

    def __call__(self, step: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has to define __call__(self, step)")

    def get_config(self) -> dict[str, Any]:
        """The arguments it was made with, as plain data."""
        return asdict(self)


@register("schedule")
@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """rate = initial · decay_rate^(step / decay_steps).

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: after how many steps the rate is multiplied by `decay_rate` once.
        decay_rate: the factor.
        staircase: whether it goes down in jumps, with step / decay_steps rounded down.

    Raises:
        ArgumentError: negative rates, or decay_steps that aren't positive.

    Example:
        >>> import chainrule as cr
        >>> float(cr.optim.ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)(200))
        0.025
    """

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False
    name: str = "ExponentialDecay"

    def __post_init__(self) -> None:
        check_rate(self.initial_learning_rate, "initial_learning_rate")
        check_number(self.decay_steps, "decay_steps", above=0)
        check_number(self.decay_rate, "decay_rate", least=0)

    def __call__(self, step: Any) -> Any:
        passed = _passed(step, self.decay_steps, self.staircase)
        return self.initial_learning_rate * self.decay_rate**passed


@register("schedule")
@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    """rate = initial / (1 + decay_rate · step / decay_steps).

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the unit that steps are counted in.
        decay_rate: how fast it goes down.
        staircase: whether it goes down in jumps, with step / decay_steps rounded down.

    Raises:
        ArgumentError: negative rates, or decay_steps that aren't positive.

    Source: Robbins & Monro (1951): rates whose sum diverges and whose squares' sum doesn't.

    Example:
        >>> import chainrule as cr
        >>> float(cr.optim.InverseTimeDecay(0.1, decay_steps=10, decay_rate=1.0)(10))
        0.05
    """

    initial_learning_rate: float
    decay_steps: float
    decay_rate: float
    staircase: bool = False
    name: str = "InverseTimeDecay"

    def __post_init__(self) -> None:
        check_rate(self.initial_learning_rate, "initial_learning_rate")
        check_number(self.decay_steps, "decay_steps", above=0)
        check_number(self.decay_rate, "decay_rate", least=0)

    def __call__(self, step: Any) -> Any:
        passed = _passed(step, self.decay_steps, self.staircase)
        return self.initial_learning_rate / (1.0 + self.decay_rate * passed)


@register("schedule")
@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """rate = (initial − end) · (1 − step / decay_steps)^power + end, and `end` from then on.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the step at which `end_learning_rate` is reached.
        end_learning_rate: the last rate.
        power: 1 for a straight line.
        cycle: whether it begins anew whenever the end is reached, with decay_steps the next
            multiple that isn't passed yet.

    Raises:
        ArgumentError: negative rates, or decay_steps that aren't positive.

    Example:
        >>> import chainrule as cr
        >>> float(cr.optim.PolynomialDecay(0.1, decay_steps=100, end_learning_rate=0.0)(75))
        0.025
    """

    initial_learning_rate: float
    decay_steps: float
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False
    name: str = "PolynomialDecay"

    def __post_init__(self) -> None:
        check_rate(self.initial_learning_rate, "initial_learning_rate")
        check_number(self.decay_steps, "decay_steps", above=0)
        check_rate(self.end_learning_rate, "end_learning_rate")
        check_number(self.power, "power", least=0)

    def __call__(self, step: Any) -> Any:
        if self.cycle:
            length = self.decay_steps * np.maximum(np.ceil(step / self.decay_steps), 1.0)
            passed = step / length
        else:
            passed = np.minimum(step, self.decay_steps) / self.decay_steps
        span = self.initial_learning_rate - self.end_learning_rate
        return span * (1.0 - passed) ** self.power + self.end_learning_rate


@register("schedule")
@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Half a cosine from the first rate down to `alpha` of it, after a linear rise if wanted.

    rate = initial · ((1 − alpha) · ½(1 + cos(π · step / decay_steps)) + alpha), and the last rate
    from then on. With `warmup_target` the rate first rises in a straight line from
    `initial_learning_rate` to it, in `warmup_steps` steps, and goes down from there.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the number of steps it goes down for.
        alpha: the last rate, as a part of the highest.
        warmup_target: the highest rate; None: no rise.
        warmup_steps: the number of steps it rises for.

    Raises:
        ArgumentError: negative rates, decay_steps or warmup_steps that aren't positive.

    Source: Loshchilov & Hutter (2016), "SGDR: Stochastic gradient descent with warm restarts".

    Example:
        >>> import chainrule as cr
        >>> rate = cr.optim.CosineDecay(0.0, 1000, warmup_target=0.1, warmup_steps=100)
        >>> [round(float(rate(step)), 4) for step in (0, 50, 100, 600, 1100)]
        [0.0, 0.05, 0.1, 0.05, 0.0]
    """

    initial_learning_rate: float
    decay_steps: float
    alpha: float = 0.0
    name: str = "CosineDecay"
    warmup_target: float | None = None
    warmup_steps: float = 0

    def __post_init__(self) -> None:
        check_rate(self.initial_learning_rate, "initial_learning_rate")
        check_number(self.decay_steps, "decay_steps", above=0)
        check_number(self.alpha, "alpha", least=0)
        check_number(self.warmup_steps, "warmup_steps", least=0)
        if self.warmup_target is not None:
            check_rate(self.warmup_target, "warmup_target")

    def __call__(self, step: Any) -> Any:
        if self.warmup_target is None:
            return self._fall(step, self.initial_learning_rate)
        fall = self._fall(np.maximum(step - self.warmup_steps, 0), self.warmup_target)
        if not self.warmup_steps:
            return fall
        rise = (self.warmup_target - self.initial_learning_rate) / self.warmup_steps
        return np.where(step < self.warmup_steps, self.initial_learning_rate + rise * step, fall)

    def _fall(self, step: Any, highest: float) -> Any:
        passed = np.minimum(step, self.decay_steps) / self.decay_steps
        return highest * ((1.0 - self.alpha) * _half_cosine(passed) + self.alpha)


@register("schedule")
@dataclass(frozen=True)
class CosineDecayRestarts(Schedule):
    """Half a cosine down, again and again, each time `t_mul` as long and `m_mul` as high.

    Args:
        initial_learning_rate: the rate at step 0.
        first_decay_steps: the length of the first period.
        t_mul: how much longer each period is than the one before; 1 or more.
        m_mul: the height of each period, as a part of the one before.
        alpha: the lowest rate, as a part of `initial_learning_rate`.

    Raises:
        ArgumentError: negative rates, first_decay_steps that aren't positive, t_mul below 1.

    Source: Loshchilov & Hutter (2016), "SGDR: Stochastic gradient descent with warm restarts".

    Example:
        >>> import chainrule as cr
        >>> rate = cr.optim.CosineDecayRestarts(0.1, first_decay_steps=100)
        >>> [round(float(rate(step)), 4) for step in (0, 50, 100, 200, 300)]
        [0.1, 0.05, 0.1, 0.05, 0.1]
    """

    initial_learning_rate: float
    first_decay_steps: float
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0
    name: str = "SGDRDecay"

    def __post_init__(self) -> None:
        check_rate(self.initial_learning_rate, "initial_learning_rate")
        check_number(self.first_decay_steps, "first_decay_steps", above=0)
        check_number(self.t_mul, "t_mul", least=1)
        check_number(self.m_mul, "m_mul", least=0)
        check_number(self.alpha, "alpha", least=0)

    def __call__(self, step: Any) -> Any:
        passed = step / self.first_decay_steps
        if self.t_mul == 1:
            restarts = np.floor(passed)
            within = passed - restarts
        else:
            restarts = np.floor(np.log1p(passed * (self.t_mul - 1)) / math.log(self.t_mul))
            # The quotient of logarithms may be rounded to just below a whole number.
            restarts = restarts + (passed >= self._begin(restarts + 1))
            within = (passed - self._begin(restarts)) / self.t_mul**restarts
        height = self.m_mul**restarts
        wave = (1.0 - self.alpha) * height * _half_cosine(within) + self.alpha
        return self.initial_learning_rate * wave

    def _begin(self, period: Any) -> Any:
        """Where a period begins, in lengths of the first: 1 + t + t² + … ."""
        return (self.t_mul**period - 1) / (self.t_mul - 1)


@register("schedule")
@dataclass(frozen=True)
class PiecewiseConstantDecay(Schedule):
    """values[0] up to and with step boundaries[0], then values[1], and so on.

    Args:
        boundaries: steps, each greater than the one before.
        values: the rates in between: one more than there are boundaries.

    Raises:
        ArgumentError: negative rates, boundaries that don't rise, another number of values.

    Example:
        >>> import chainrule as cr
        >>> rate = cr.optim.PiecewiseConstantDecay([100, 200], [0.1, 0.01, 0.001])
        >>> [float(rate(step)) for step in (0, 100, 101, 500)]
        [0.1, 0.1, 0.01, 0.001]
    """

    boundaries: Sequence[float]
    values: Sequence[float]
    name: str = "PiecewiseConstant"

    def __post_init__(self) -> None:
        if len(self.values) != len(self.boundaries) + 1:
            raise ArgumentError(
                "PiecewiseConstantDecay needs one value more than boundaries",
                {"boundaries": len(self.boundaries), "values": len(self.values)},
                "give a rate for before the first boundary, and one for after each",
            )
        for value in self.values:
            check_rate(value, "values")
        for last, boundary in zip(self.boundaries, self.boundaries[1:], strict=False):
            check_number(boundary, "boundaries", above=last)

    def __call__(self, step: Any) -> Any:
        rate: Any = float(self.values[-1])
        pairs = list(zip(self.boundaries, self.values, strict=False))
        for boundary, value in reversed(pairs):
            rate = np.where(step <= boundary, float(value), rate)
        return rate


def _passed(step: Any, length: float, staircase: bool) -> Any:
    passed = step / length
    return np.floor(passed) if staircase else passed


def _half_cosine(passed: Any) -> Any:
    return 0.5 * (1.0 + np.cos(math.pi * passed))
