"""The trade-off of finite differences: a small step rounds, a large one bends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import DomainError
from chainrule.show import palette
from chainrule.show.plot.plot import Look, Plot, draw_curve, legend
from chainrule.transform.difference import finite_difference
from chainrule.transform.jacobian import jacobian


def step_size_error(
    f: Callable[..., Any],
    *args: Any,
    methods: Sequence[str] = ("forward", "central"),
    steps: Any = None,
    theme: str = "light",
) -> Plot:
    """The error of finite differences against the size of their step.

    Args:
        f: a function of floating-point arrays; its first argument varies.
        args: where to differentiate.
        methods: "forward", "backward", "central".
        steps: sizes of the step; from 10⁻¹⁴ to 1 times the argument's size, if not given.
        theme: "light" or "dark".

    Returns:
        A `Plot`, logarithmic; its data: "step", and for each method the largest error of any entry
        against automatic differentiation.

    Raises:
        ArgumentError: an unknown method; matplotlib isn't installed.
        DomainError: the derivative isn't finite there.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> plot = cr.show.step_size_error(np.exp, 1.0)
        >>> best = np.argmin(plot.data["central"])
        >>> bool(1e-7 < plot.data["step"][best] < 1e-4)
        True
    """
    scale = max(1.0, float(np.max(np.abs(args[0]), initial=0.0)))
    h = np.logspace(-14, 0, 57) * scale if steps is None else np.asarray(steps, float)
    exact = jacobian(f)(*args)
    if not np.all(np.isfinite(exact)):
        raise DomainError(
            "step_size_error: the derivative isn't finite here, so that every error is infinite",
            {"derivative": str(exact)[:80]},
            "choose a point where the function is smooth",
        )
    errors = {}
    for method in methods:
        curve = finite_difference(f, method=method).curve(*args, exact=exact, steps=h.tolist())
        errors[method] = np.array([error for _, error in curve])

    def draw(figure: Any, look: Look) -> None:
        axes = figure.subplots()
        for k, (name, values) in enumerate(errors.items()):
            there = values != 0  # an error of exactly 0 has no place on a logarithmic axis
            draw_curve(axes, look, k, name, h[there], values[there])
        axes.set_xscale("log")
        axes.set_yscale("log")
        eps = float(np.finfo(float).eps)
        for power, where in ((1 / 2, "√ε"), (1 / 3, "∛ε")):
            axes.axvline(eps**power, color=look(palette.LINE), linewidth=0.9, linestyle=":")
            axes.annotate(
                where, (eps**power, 0.98), xycoords=axes.get_xaxis_transform(), va="top",
                xytext=(3, 0), textcoords="offset points", color=look(palette.QUIET), fontsize=9,
            )  # fmt: skip
        axes.set(xlabel="step h", ylabel="largest error")
        legend(axes)

    return Plot({"step": h, **errors}, draw, theme=theme)
