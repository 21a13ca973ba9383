"""Adam and its relatives: momentum, divided by the size of past gradients, entry by entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.registry import register
from chainrule.optim.check import check_number
from chainrule.optim.optimizer import Optimizer, Rule, as_type


@dataclass(eq=False)
class _Moments(Optimizer):
    """What Adam and its relatives share: two averages that forget at a certain rate."""

    learning_rate: Any = 0.001
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.beta_1, "beta_1", least=0, below=1)
        check_number(self.beta_2, "beta_2", least=0, below=1)
        check_number(self.epsilon, "epsilon", least=0)

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0, "velocity": 0.0}

    def _averaged_moments(self, g: Any, m: Any, v: Any) -> tuple[Any, Any]:
        return m + (g - m) * (1 - self.beta_1), v + (g * g - v) * (1 - self.beta_2)


@register("optimizer")
@dataclass(eq=False)
class Adam(_Moments):
    """Adam: the mean gradient, divided by the root of the mean squared gradient.

    m ← m + (1 − beta_1) · (g − m), v ← v + (1 − beta_2) · (g² − v), then at update t
    w ← w − rate · √(1 − beta_2ᵗ) / (1 − beta_1ᵗ) · m / (√v + epsilon). With `amsgrad` the largest v
    so far takes the place of v.

    Args:
        learning_rate: a number, a schedule, or any function of the step.
        beta_1: the part of the mean gradient that an update keeps; below 1.
        beta_2: the part of the mean squared gradient that an update keeps; below 1.
        epsilon: keeps the divisor from zero (the paper's ε̂).
        amsgrad: whether the divisor never shrinks.
        options: those of `Optimizer`, by name.

    Raises:
        ArgumentError: numbers out of their range.

    Source: Kingma & Ba (2014), "Adam: A method for stochastic optimization", end of section 2;
    Reddi, Kale & Kumar (2018), "On the convergence of Adam and beyond", for amsgrad.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> optimizer = cr.optim.Adam(0.1)
        >>> w = {"w": np.array([1.0, 1.0])}
        >>> w, state = optimizer.update({"w": np.array([5.0, -0.01])}, optimizer.init(w), w)
        >>> np.round(w["w"], 3)  # however large the gradient, the first step is the rate
        array([0.9, 1.1])
    """

    amsgrad: bool = False

    def slots(self) -> dict[str, float]:
        return {**super().slots(), **({"velocity_hat": 0.0} if self.amsgrad else {})}

    def rule(self, rate: Any, count: Any, shared: Mapping[str, Any]) -> Rule:
        rate = rate * np.sqrt(1 - self.beta_2**count) / (1 - self.beta_1**count)

        def step(w: Any, g: Any, m: Any, v: Any, *highest: Any) -> tuple[Any, ...]:
            m, v = self._averaged_moments(g, m, v)
            highest = tuple(np.maximum(old, v) for old in highest)
            size = np.sqrt(highest[0] if highest else v)
            return w - m * as_type(rate, w) / (size + self.epsilon), m, v, *highest

        return step


@register("optimizer")
@dataclass(eq=False)
class AdamW(Adam):
    """Adam with weight decay beside the gradient, not within it.

    w ← w − rate · weight_decay · w before each update of Adam's.

    Args:
        learning_rate: a number, a schedule, or any function of the step.
        weight_decay: which part of a parameter is taken away, times the rate.
        beta_1, beta_2, epsilon, amsgrad: as for `Adam`.
        options: those of `Optimizer`, by name; `exclude_from_weight_decay=("bias", "gamma",
            "beta")` spares biases and the parameters of normalisations.

    Raises:
        ArgumentError: numbers out of their range.

    Source: Loshchilov & Hutter (2019), "Decoupled weight decay regularization".

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> optimizer = cr.optim.AdamW(0.1, weight_decay=0.5, exclude_from_weight_decay=["bias"])
        >>> w = {"dense/bias": np.array([1.0]), "dense/kernel": np.array([1.0])}
        >>> still = {name: np.zeros(1) for name in w}
        >>> optimizer.update(still, optimizer.init(w), w)[0]
        {'dense/bias': array([1.]), 'dense/kernel': array([0.95])}
    """

    learning_rate: Any = 0.001
    weight_decay: float | None = 0.004
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7
    amsgrad: bool = False


@register("optimizer")
@dataclass(eq=False)
class Adamax(_Moments):
    """Adamax: Adam with the largest gradient, fading, in place of the root mean square.

    m ← m + (1 − beta_1) · (g − m), u ← max(beta_2 · u, |g|), then at update t
    w ← w − rate / (1 − beta_1ᵗ) · m / (u + epsilon).

    Args:
        learning_rate: a number, a schedule, or any function of the step.
        beta_1, beta_2: the parts of m and u that an update keeps; below 1.
        epsilon: keeps the divisor from zero.
        options: those of `Optimizer`, by name.

    Raises:
        ArgumentError: numbers out of their range.

    Source: Kingma & Ba (2014), "Adam: A method for stochastic optimization", section 7.1.

    Example:
        >>> import chainrule as cr
        >>> list(cr.optim.Adamax().init({"w": 1.0}))
        ['step', 'momentum', 'norm']
    """

    def slots(self) -> dict[str, float]:
        return {"momentum": 0.0, "norm": 0.0}

    def rule(self, rate: Any, count: Any, shared: Mapping[str, Any]) -> Rule:
        rate = rate / (1 - self.beta_1**count)

        def step(w: Any, g: Any, m: Any, u: Any) -> tuple[Any, ...]:
            m = m + (g - m) * (1 - self.beta_1)
            u = np.maximum(self.beta_2 * u, np.abs(g))
            return w - as_type(rate, w) * m / (u + self.epsilon), m, u

        return step


@register("optimizer")
@dataclass(eq=False)
class Nadam(_Moments):
    """Nadam: Adam with Nesterov's momentum.

    With μₜ = beta_1 · (1 − ½ · 0.96ᵗ) and m, v as in Adam, at update t
    m̂ = μₜ₊₁ · m / (1 − Πμ up to t+1) + (1 − μₜ) · g / (1 − Πμ up to t) and
    w ← w − rate · m̂ / (√(v / (1 − beta_2ᵗ)) + epsilon).

    Args:
        learning_rate: a number, a schedule, or any function of the step.
        beta_1, beta_2: the parts of m and v that an update keeps; below 1.
        epsilon: keeps the divisor from zero.
        options: those of `Optimizer`, by name.

    Raises:
        ArgumentError: numbers out of their range.

    Source: Dozat (2016), "Incorporating Nesterov momentum into Adam".

    Example:
        >>> import chainrule as cr
        >>> list(cr.optim.Nadam().init({"w": 1.0}))
        ['step', 'product', 'momentum', 'velocity']
    """

    def shared(self, count: Any = None, shared: Any = None) -> dict[str, Any]:
        return {"product": 1.0 if count is None else shared["product"] * self._weight(count)}

    def _weight(self, count: Any) -> Any:
        return self.beta_1 * (1.0 - 0.5 * 0.96**count)

    def rule(self, rate: Any, count: Any, shared: Mapping[str, Any]) -> Rule:
        now, following = self._weight(count), self._weight(count + 1)
        of_mean = rate * following / (1 - shared["product"] * following)
        of_gradient = rate * (1 - now) / (1 - shared["product"])
        correction = 1 / np.sqrt(1 - self.beta_2**count)

        def step(w: Any, g: Any, m: Any, v: Any) -> tuple[Any, ...]:
            m, v = self._averaged_moments(g, m, v)
            way = as_type(of_mean, w) * m + as_type(of_gradient, w) * g
            return w - way / (np.sqrt(v) * as_type(correction, w) + self.epsilon), m, v

        return step
