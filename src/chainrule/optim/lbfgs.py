"""L-BFGS: Newton's method with curvature learnt from the last few steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import register
from chainrule.base.trees import unflatten
from chainrule.optim.check import Parameters, check_count, check_number
from chainrule.optim.line_search import Point, search
from chainrule.optim.optimizer import Optimizer, as_type
from chainrule.transform.control import scan
from chainrule.transform.gradient import value_and_grad

_NOT_TAKEN = {
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "gradient_accumulation_steps": None,
}


@register("optimizer")
@dataclass(eq=False)
class LBFGS(Optimizer):
    """L-BFGS with a line search: for smooth functions, on all the data at once.

    The direction is −H · g, where H is made of the last steps s and changes of the gradient y by
    the recursion of two loops; the length meets the strong Wolfe conditions. An update evaluates
    the function several times if the first length doesn't fit.

    Args:
        learning_rate: the length that is tried first, as a part of the quasi-Newton step.
        history_size: how many steps are remembered.
        max_evaluations: how often an update evaluates the function at most.
        decrease: how much of the slope's promise a step has to keep (c₁).
        curvature: which part of the slope may be left (c₂).

    Raises:
        ArgumentError: numbers out of their range; options of other optimisers that would break the
            method: clipping, weight decay, averages, accumulated gradients.

    Source: Liu & Nocedal (1989), "On the limited memory BFGS method for large scale optimization";
    Nocedal & Wright (2006), "Numerical optimization", algorithms 7.4 and 7.5.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> rosenbrock = lambda x: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
        >>> x, values = cr.optim.LBFGS().minimize(rosenbrock, np.array([-1.2, 1.0]), steps=40)
        >>> np.round(x, 6)
        array([1., 1.])
    """

    full_batch: ClassVar[bool] = True
    needs_objective: ClassVar[bool] = True

    learning_rate: Any = 1.0
    history_size: int = 10
    _: KW_ONLY
    max_evaluations: int = 20
    decrease: float = 1e-4
    curvature: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count(self.history_size, "history_size", 1)
        check_count(self.max_evaluations, "max_evaluations", 1)
        check_number(self.decrease, "decrease", above=0, below=1)
        check_number(self.curvature, "curvature", above=self.decrease, below=1)
        for name, default in _NOT_TAKEN.items():
            if getattr(self, name) != default:
                raise ArgumentError(
                    f"LBFGS can't be used with {name}",
                    {name: getattr(self, name)},
                    "its steps follow from the function alone; add a penalty to the function",
                )

    def init(self, parameters: Any) -> dict[str, Any]:
        given = Parameters(parameters)
        x = _flat(given.leaves)
        rows = (self.history_size, x.shape[0])
        return {
            "step": np.int64(0),
            "steps": np.zeros(rows, x.dtype),
            "changes": np.zeros(rows, x.dtype),
            "weights": np.zeros(self.history_size, x.dtype),  # 1 / (s · y); 0 for an empty row
            "scale": np.ones((), x.dtype),
        }

    def update(
        self,
        gradients: Any,
        state: Mapping[str, Any],
        parameters: Any,
        rate: Any = None,
        *,
        value: Any = None,
        objective: Callable[[Any], Any] | None = None,
    ) -> tuple[Any, dict[str, Any]]:
        """One update, which evaluates the objective along a line.

        Args:
            gradients, state, parameters, rate: as for any optimiser.
            value: the objective's value at the parameters; computed if not given.
            objective: the function of the tree of parameters that is minimised.

        Returns:
            `(parameters, state)` after the update.

        Raises:
            ArgumentError: no objective; trees that don't belong together.
        """
        if objective is None:
            raise ArgumentError(
                "LBFGS needs the function itself, not only its gradient",
                fix="pass objective=f: update(gradients, state, parameters, objective=f)",
            )
        if value is None:
            value = objective(parameters)
        slope = value_and_grad(objective)
        return self.advance(slope, gradients, state, parameters, rate, value)[:2]

    def advance(
        self,
        slope: Callable[[Any], tuple[Any, Any]],
        gradients: Any,
        state: Mapping[str, Any],
        parameters: Any,
        rate: Any = None,
        value: Any = None,
    ) -> tuple[Any, dict[str, Any], Any, Any]:
        """As for any optimiser; value and gradient are those of the line's last point."""
        given = Parameters(parameters)
        x, g = _flat(given.leaves), _flat(given.matched("gradients", gradients))
        g = as_type(g, x)
        self._check_state(state, x)
        direction = -self._applied(g, state)
        value = np.asarray(value)
        rate = self.rate_at(state["step"]) if rate is None else rate

        def evaluate(length: Any) -> Point:
            here, gradients = slope(_tree(x + length * direction, given))
            gradient = as_type(_flat(given.matched("gradients", gradients)), x)
            return Point(length, as_type(here, value), np.sum(gradient * direction), gradient)

        # Without a history the gradient's size says nothing about the distance.
        small = 1 / np.maximum(np.sum(np.abs(g)), 1)
        first = as_type(rate, x) * np.where(np.any(state["weights"] > 0), 1.0, small)
        start = Point(np.zeros((), x.dtype), value, np.sum(g * direction), g)
        bounds = self.max_evaluations, self.decrease, self.curvature
        point, found = search(evaluate, start, first.astype(x.dtype), *bounds)

        s, y = point.length * direction, point.gradient - g
        new = {"step": state["step"] + 1, **self._remembered(state, s, y, found)}
        tree = _tree(x + s, given)
        gradient = _tree(point.gradient, given)
        return tree, new, point.value, gradient

    def _applied(self, g: Any, state: Mapping[str, Any]) -> Any:
        """H · g by the two loops, from the newest step to the oldest and back."""
        age = np.arange(self.history_size)
        newest_first = (state["step"] - 1 - age) % self.history_size
        steps, changes, weights = state["steps"], state["changes"], state["weights"]

        def entry(array: Any, row: Any) -> Any:
            return np.take(array, row, axis=0)

        def back(q: Any, row: Any) -> Any:
            part = entry(weights, row) * np.sum(entry(steps, row) * q)
            return q - part * entry(changes, row), part

        def forth(r: Any, pair: Any) -> Any:
            row, part = pair
            correction = part - entry(weights, row) * np.sum(entry(changes, row) * r)
            return r + correction * entry(steps, row), None

        q, parts = scan(back, g, newest_first)
        return scan(forth, state["scale"] * q, (newest_first, parts), reverse=True)[0]

    def _remembered(self, state: Mapping[str, Any], s: Any, y: Any, found: Any) -> dict[str, Any]:
        """The history with one more step, or none at all after a search that failed."""
        product, size = np.sum(s * y), np.sum(y * y)
        fits = found & (product > np.finfo(s.dtype).eps * size)
        row = np.arange(self.history_size) == state["step"] % self.history_size
        weight = 1 / np.where(fits, product, 1.0)
        return {
            "steps": np.where(row[:, None], s, state["steps"]),
            "changes": np.where(row[:, None], y, state["changes"]),
            "weights": np.where(fits, np.where(row, weight, state["weights"]), 0.0),
            "scale": np.where(fits, product / np.where(fits, size, 1.0), 1.0),
        }

    def _check_state(self, state: Mapping[str, Any], x: Any) -> None:
        rows = (self.history_size, x.shape[0])
        names = {"step", "steps", "changes", "weights", "scale"}
        if not isinstance(state, Mapping) or set(state) != names or state["steps"].shape != rows:
            raise ArgumentError(
                "this isn't a state of LBFGS for these parameters and this history_size",
                {"history": f"{rows[0]} steps of {rows[1]} numbers is wanted"},
                "use the state that its own init or update gave",
            )


def _flat(leaves: list[Any]) -> Any:
    """All entries in one row, in the type that holds them all."""
    return np.concatenate([np.reshape(leaf, -1) for leaf in leaves]) if leaves else np.zeros(0)


def _tree(flat: Any, given: Parameters) -> Any:
    leaves, begin = [], 0
    for leaf in given.leaves:
        part = flat[begin : begin + leaf.size]
        leaves.append(as_type(np.reshape(part, leaf.shape), leaf))
        begin += leaf.size
    return unflatten(given.structure, leaves)
