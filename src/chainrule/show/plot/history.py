"""The curves of a training: losses, and a panel for each metric."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import register
from chainrule.show.plot.plot import Look, Plot, draw_curves, in_panels, legend

_ASIDE = ("learning_rate", "seconds")


@register("plot", "history")
def learning_curves(history: Any, names: Any = None, *, theme: str = "light") -> Plot:
    """The curves of a training, its own data beside those it was validated on.

    Args:
        history: what `fit` returned.
        names: what to draw; losses and metrics if not given.
        theme: "light" or "dark".

    Returns:
        A `Plot`; its data holds "epoch" and the curves by name, such as "val_loss".

    Raises:
        ArgumentError: a name isn't known; there is nothing to draw; matplotlib isn't installed.
    """
    chosen = _chosen(history.history, names)
    epochs = [epoch + 1 for epoch in history.epoch]
    keys = [key for name in chosen for key in (name, f"val_{name}") if key in history.history]

    def draw(figure: Any, look: Look) -> None:
        for axes, name in zip(in_panels(figure, len(chosen), 3), chosen, strict=True):
            curves = {
                label: [np.nan if v is None else v for v in history.history[key]]
                for key, label in ((name, "training"), (f"val_{name}", "validation"))
                if key in history.history
            }
            draw_curves(axes, look, epochs, curves)
            axes.set(xlabel="epoch", title=name.replace("_", " "))
            axes.xaxis.get_major_locator().set_params(integer=True)
            legend(axes)

    data = {"epoch": history.epoch, **{key: history.history[key] for key in keys}}
    columns, rows = min(len(chosen), 3), -(-len(chosen) // 3)
    return Plot(data, draw, (4.8 * columns, 3.4 * rows), theme)


def _chosen(history: dict[str, list[Any]], names: Any) -> Sequence[str]:
    if names is None:
        chosen = [n for n in history if not n.startswith("val_") and n not in _ASIDE]
    else:
        chosen = [names] if isinstance(names, str) else list(names)
    for name in chosen:
        if name not in history:
            raise ArgumentError(
                "the history has no such curve", {"asked": name, "known": ", ".join(history)}
            )
    if not chosen:
        raise ArgumentError("the history has no curves yet", fix="train with model.fit first")
    return chosen
