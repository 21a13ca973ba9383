"""The expression swell: what a symbolic derivative grows to, and what a program's doesn't."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.optimise.pipeline import optimise
from chainrule.optimise.trust import on_trust
from chainrule.show.plot.plot import Look, Plot, draw_curves, legend
from chainrule.tracing.stage import trace_program
from chainrule.transform.gradient import grad
from chainrule.transform.symbolic import symbolic


def expression_swell(
    f: Callable[..., Any], ns: Sequence[int], x: float = 0.3, *, theme: str = "light"
) -> Plot:
    """The size of a derivative, as a formula and as a program, as loops grow longer.

    Args:
        f: f(x, n) → a number, such as n steps of a loop; x is differentiated.
        ns: the lengths to try.
        x: where to trace it.
        theme: "light" or "dark".

    Returns:
        A `Plot`; its data: "n", and the number of operations of the derivative: "written out" as
        one formula, "shared" with repeated parts named, "automatic" as the program of `cr.grad`.

    Raises:
        ArgumentError: matplotlib isn't installed.

    Example:
        >>> import chainrule as cr
        >>> def logistic(x, n):
        ...     for _ in range(n - 1):
        ...         x = 4 * x * (1 - x)
        ...     return x
        >>> data = cr.show.expression_swell(logistic, [2, 4, 6]).data
        >>> bool(data["written out"][-1] > 4 * data["automatic"][-1])
        True
    """
    lengths = np.asarray(ns, int)
    counts: dict[str, list[int]] = {"written out": [], "shared": [], "automatic": []}
    for n in lengths.tolist():
        formula = symbolic(lambda v, n=n: f(v, n), x)
        counts["written out"].append(formula.count_ops(0, shared=False))
        counts["shared"].append(formula.count_ops(0))
        program = trace_program(grad(lambda v, n=n: f(v, n)), x, values=False)
        counts["automatic"].append(len(optimise(on_trust(program))))

    def draw(figure: Any, look: Look) -> None:
        axes = figure.subplots()
        draw_curves(axes, look, lengths, counts, marks=len(lengths) <= 12)
        axes.set_yscale("log")
        axes.set(xlabel="n", ylabel="operations of the derivative")
        axes.xaxis.get_major_locator().set_params(integer=True)
        legend(axes)

    data = {"n": lengths, **{name: np.asarray(row) for name, row in counts.items()}}
    return Plot(data, draw, theme=theme)
