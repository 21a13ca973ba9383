"""Curves over a common axis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.show.plot.plot import Look, Plot, draw_curves, legend, mark_not_positive


def curves(
    x: Any,
    series: Mapping[str, Any],
    *,
    xlabel: str = "",
    ylabel: str = "",
    title: str = "",
    log: str = "",
    points: Mapping[str, tuple[Any, Any]] | None = None,
    theme: str = "light",
) -> Plot:
    """Several curves over one axis: learning curves, bias and variance, fits.

    Args:
        x: numbers, shape (n,).
        series: name → n numbers; NaN and infinity are marked, and what isn't positive on a
            logarithmic axis.
        xlabel, ylabel, title: what stands beside it.
        log: the axes that are logarithmic: "x", "y" or "xy".
        points: name → (x, y), drawn as points, such as data that a curve is fitted to.
        theme: "light" or "dark".

    Returns:
        A `Plot`; its data holds x, the series, and the points as (x, y).

    Raises:
        ShapeError: a series of another length.
        ArgumentError: matplotlib isn't installed.
    """
    x = np.asarray(x)
    numbers = {name: np.asarray(y, float) for name, y in series.items()}
    for name, y in numbers.items():
        if y.shape != x.shape:
            raise ShapeError(
                "curves: a series has another length than x",
                {"x": x.shape, name: y.shape},
                "give one number for each x",
            )
    dots = {name: (np.asarray(px), np.asarray(py)) for name, (px, py) in (points or {}).items()}

    def draw(figure: Any, look: Look) -> None:
        axes = figure.subplots()
        for k, (name, (px, py)) in enumerate(dots.items()):
            colour = look.series(len(numbers) + k)
            axes.plot(px, py, "o", color=colour, alpha=0.6, markersize=3.5, label=name)
        draw_curves(axes, look, x, numbers, marks=len(x) <= 12)
        for axis in log:
            getattr(axes, f"set_{axis}scale")("log")
        if "y" in log:
            for y in numbers.values():
                mark_not_positive(axes, look, x, y)
        axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
        legend(axes)

    return Plot({"x": x, **numbers, **dots}, draw, theme=theme)
