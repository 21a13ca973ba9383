"""Minimise a function of a tree: an optimiser's updates as one compiled loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.trees import map_tree
from chainrule.optim.check import Parameters, array_of, check_count
from chainrule.run.jit import jit
from chainrule.transform.arguments import check_callable
from chainrule.transform.control import scan
from chainrule.transform.gradient import value_and_grad


def minimized(
    optimizer: Any, f: Callable[[Any], Any], parameters: Any, steps: int
) -> tuple[Any, Any]:
    """The parameters after so many updates, and the values of f on the way."""
    check_callable(f, "minimize")
    check_count(steps, "steps", 0)
    Parameters(parameters)
    slope = value_and_grad(f)

    def step(carry: Any, _: Any) -> Any:
        tree, state, value, gradients = carry
        return optimizer.advance(slope, gradients, state, tree, None, value), value

    def loop(tree: Any) -> Any:
        value, gradients = slope(tree)
        start = tree, optimizer.init(tree), value, gradients
        (tree, _, value, _), values = scan(step, start, None, length=steps)
        return tree, np.append(values, value)

    compiled: Any = jit(loop)
    return compiled(map_tree(array_of, parameters))
