"""Gradient descent, with momentum or without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from chainrule.base.registry import register
from chainrule.optim.check import check_number
from chainrule.optim.optimizer import Optimizer, Rule, as_type


@register("optimizer")
@dataclass(eq=False)
class GradientDescent(Optimizer):
    """Gradient descent on all the data at once: w ← w − rate · g.

    The update is SGD's without momentum. What differs is the gradient: `fit` takes it over the
    whole of the data, unless a batch size is given.

    Args:
        learning_rate: a number, a schedule, or any function of the step.
        options: those of `Optimizer`, by name.

    Source: Cauchy (1847), "Méthode générale pour la résolution des systèmes d'équations
    simultanées".

    Example:
        >>> import chainrule as cr
        >>> optimizer = cr.optim.GradientDescent(0.1)
        >>> optimizer.update({"w": 2.0}, optimizer.init({"w": 1.0}), {"w": 1.0})[0]
        {'w': np.float64(0.8)}
    """

    full_batch: ClassVar[bool] = True

    learning_rate: Any = 0.01

    def rule(self, rate: Any, count: Any, shared: Mapping[str, Any]) -> Rule:
        def step(w: Any, g: Any) -> tuple[Any, ...]:
            return (w - as_type(rate, w) * g,)

        return step


@register("optimizer")
@dataclass(eq=False)
class SGD(Optimizer):
    """Stochastic gradient descent: w ← w − rate · g, or with a momentum v.

    v ← momentum · v − rate · g, then w ← w + v; with Nesterov's momentum
    w ← w + momentum · v − rate · g.

    Args:
        learning_rate: a number, a schedule, or any function of the step.
        momentum: the part of the last step that is made again; 0 to 1.
        nesterov: whether the gradient counts as that of the point the momentum leads to.
        options: those of `Optimizer`, by name.

    Raises:
        ArgumentError: momentum outside [0, 1].

    Source: Robbins & Monro (1951); Polyak (1964) for momentum; Nesterov (1983), in the form of
    Sutskever, Martens, Dahl & Hinton (2013).

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> optimizer = cr.optim.SGD(0.1, momentum=0.9)
        >>> w = {"w": np.array([1.0])}
        >>> state = optimizer.init(w)
        >>> for _ in range(2):
        ...     w, state = optimizer.update({"w": np.array([1.0])}, state, w)
        >>> w["w"], state["step"]
        (array([0.71]), np.int64(2))
    """

    learning_rate: Any = 0.01
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.momentum, "momentum", least=0, most=1)

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0} if self.momentum else {}

    def rule(self, rate: Any, count: Any, shared: Mapping[str, Any]) -> Rule:
        def step(w: Any, g: Any, *slots: Any) -> tuple[Any, ...]:
            way = as_type(rate, w) * g
            if not slots:
                return (w - way,)
            v = self.momentum * slots[0] - way
            return (w + self.momentum * v - way if self.nesterov else w + v), v

        return step
