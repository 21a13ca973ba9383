"""Steps divided by the size of past gradients, entry by entry: Adagrad, Adadelta, RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.registry import register
from chainrule.optim.check import check_number
from chainrule.optim.optimizer import Optimizer, Rule, as_type


@register("optimizer")
@dataclass(eq=False)
class Adagrad(Optimizer):
    """Adagrad: steps are divided by the root of the sum of all squared gradients.

    a ← a + g², then w ← w − rate · g / √(a + epsilon).

    Args:
        learning_rate: a number, a schedule, or any function of the step.
        initial_accumulator_value: what a begins with.
        epsilon: keeps the divisor from zero.
        options: those of `Optimizer`, by name.

    Raises:
        ArgumentError: negative numbers.

    Source: Duchi, Hazan & Singer (2011), "Adaptive subgradient methods for online learning and
    stochastic optimization".

    Example:
        >>> import chainrule as cr
        >>> optimizer = cr.optim.Adagrad(1.0, initial_accumulator_value=0.0)
        >>> w = optimizer.update({"w": 4.0}, optimizer.init({"w": 1.0}), {"w": 1.0})[0]
        >>> round(float(w["w"]), 6)
        0.0
    """

    learning_rate: Any = 0.001
    initial_accumulator_value: float = 0.1
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.initial_accumulator_value, "initial_accumulator_value", least=0)
        check_number(self.epsilon, "epsilon", least=0)

    def slots(self) -> dict[str, float]:
        return {"accumulator": self.initial_accumulator_value}

    def rule(self, rate: Any, count: Any, shared: Mapping[str, Any]) -> Rule:
        def step(w: Any, g: Any, a: Any) -> tuple[Any, ...]:
            a = a + g * g
            return w - as_type(rate, w) * g / np.sqrt(a + self.epsilon), a

        return step


@register("optimizer")
@dataclass(eq=False)
class Adadelta(Optimizer):
    """Adadelta: steps in the proportion of past steps to past gradients.

    v ← rho · v + (1 − rho) · g², d = g · √(u + epsilon) / √(v + epsilon), w ← w − rate · d,
    u ← rho · u + (1 − rho) · d².

    Args:
        learning_rate: a number, a schedule, or any function of the step; 1 in the paper.
        rho: the part of the averages that an update keeps; 0 to 1.
        epsilon: keeps the divisor from zero, and the first steps from being none.
        options: those of `Optimizer`, by name.

    Raises:
        ArgumentError: numbers out of their range.

    Source: Zeiler (2012), "ADADELTA: An adaptive learning rate method".

    Example:
        >>> import chainrule as cr
        >>> cr.optim.Adadelta().rho
        0.95
    """

    learning_rate: Any = 0.001
    rho: float = 0.95
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.rho, "rho", least=0, most=1)
        check_number(self.epsilon, "epsilon", least=0)

    def slots(self) -> dict[str, float]:
        return {"velocity": 0.0, "delta": 0.0}

    def rule(self, rate: Any, count: Any, shared: Mapping[str, Any]) -> Rule:
        rho, epsilon = self.rho, self.epsilon

        def step(w: Any, g: Any, v: Any, u: Any) -> tuple[Any, ...]:
            v = rho * v + (1 - rho) * (g * g)
            d = g * np.sqrt(u + epsilon) / np.sqrt(v + epsilon)
            u = rho * u + (1 - rho) * (d * d)
            return w - as_type(rate, w) * d, v, u

        return step


@register("optimizer")
@dataclass(eq=False)
class RMSprop(Optimizer):
    """RMSprop: steps are divided by the root of a moving average of squared gradients.

    v ← rho · v + (1 − rho) · g², then w ← w − rate · g / √(v + epsilon). Centred, the divisor is
    √(v − a² + epsilon) with a ← rho · a + (1 − rho) · g. With momentum the step is added to
    m ← momentum · m + step, and w ← w − m.

    Args:
        learning_rate: a number, a schedule, or any function of the step.
        rho: the part of the averages that an update keeps; 0 to 1.
        momentum: the part of the last step that is made again; 0 to 1.
        epsilon: keeps the divisor from zero.
        centered: whether the divisor is the estimated standard deviation of the gradient.
        options: those of `Optimizer`, by name.

    Raises:
        ArgumentError: numbers out of their range.

    Source: Tieleman & Hinton (2012), Coursera "Neural networks for machine learning", lecture 6.5;
    Graves (2013), "Generating sequences with recurrent neural networks", for the centred form.

    Example:
        >>> import chainrule as cr
        >>> optimizer = cr.optim.RMSprop(0.01, momentum=0.9, centered=True)
        >>> list(optimizer.init({"w": 1.0}))
        ['step', 'velocity', 'momentum', 'average_gradient']
    """

    learning_rate: Any = 0.001
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-7
    centered: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.rho, "rho", least=0, most=1)
        check_number(self.momentum, "momentum", least=0, most=1)
        check_number(self.epsilon, "epsilon", least=0)

    def slots(self) -> dict[str, float]:
        names = ["velocity"]
        names += ["momentum"] if self.momentum else []
        names += ["average_gradient"] if self.centered else []
        return dict.fromkeys(names, 0.0)

    def rule(self, rate: Any, count: Any, shared: Mapping[str, Any]) -> Rule:
        rho = self.rho
        names = list(self.slots())

        def step(w: Any, g: Any, *slots: Any) -> tuple[Any, ...]:
            kept = dict(zip(names, slots, strict=True))
            v = kept["velocity"] = rho * kept["velocity"] + (1 - rho) * (g * g)
            if self.centered:
                a = kept["average_gradient"] = rho * kept["average_gradient"] + (1 - rho) * g
                v = v - a * a
            way = as_type(rate, w) * g / np.sqrt(v + self.epsilon)
            if self.momentum:
                way = kept["momentum"] = self.momentum * kept["momentum"] + way
            return w - way, *kept.values()

        return step
