"""What `fit` returns: every number of every epoch."""

from __future__ import annotations

import importlib
from typing import Any

from chainrule.base.errors import ArgumentError


class History:
    """The numbers of a training.

    Attributes:
        epoch: the numbers of the epochs, from 0.
        history: name → one number per epoch: "loss", "val_loss", metrics, "learning_rate",
            "seconds".
        stopped: why it ended before its last epoch; None if it didn't.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> model = cr.nn.Sequential([cr.nn.Dense(1)])
        >>> model.compile(optimizer="sgd", loss="mse")
        >>> x = np.linspace(-1, 1, 32)[:, None]
        >>> history = model.fit(x, 2 * x, epochs=3, verbose=0, seed=0)
        >>> len(history.history["loss"])
        3
    """

    def __init__(self) -> None:
        self.epoch: list[int] = []
        self.history: dict[str, list[Any]] = {}
        self.stopped: str | None = None

    def add(self, epoch: int, logs: dict[str, Any]) -> None:
        """Enter the numbers of an epoch."""
        for name, values in self.history.items():
            if name not in logs:
                values.append(None)
        for name, value in logs.items():
            self.history.setdefault(name, [None] * len(self.epoch)).append(value)
        self.epoch.append(epoch)

    def __repr__(self) -> str:
        last = {name: values[-1] for name, values in self.history.items() if values}
        numbers = ", ".join(
            f"{name} {value:.4g}" for name, value in last.items() if isinstance(value, float)
        )
        return f"<History of {len(self.epoch)} epochs; the last: {numbers}>"

    def plot(self, names: Any = None, file: Any = None) -> Any:
        """Draw the curves: losses, and a panel for each metric, training beside validation.

        Args:
            names: what to draw; losses and metrics if not given.
            file: where to save the picture (.png, .svg, .pdf).

        Returns:
            The matplotlib figure; its `.data` holds the numbers that are drawn.

        Raises:
            ArgumentError: matplotlib isn't installed, or a name isn't known.
        """
        try:
            figure_module = importlib.import_module("matplotlib.figure")
            importlib.import_module("matplotlib.backends.backend_agg")
        except ImportError:
            raise ArgumentError(
                "drawing needs matplotlib, which is not installed",
                fix='pip install "chainrule[plot]"',
            ) from None
        chosen = self._panels(names)
        figure = figure_module.Figure(figsize=(5.2 * len(chosen), 3.6), layout="constrained")
        drawn: dict[str, list[Any]] = {}
        for axes, name in zip(
            figure.subplots(1, len(chosen), squeeze=False)[0], chosen, strict=True
        ):
            for key, label, style in ((name, "training", "-"), (f"val_{name}", "validation", "--")):
                if key in self.history:
                    drawn[key] = self.history[key]
                    steps = [epoch + 1 for epoch in self.epoch]
                    mark = "o" if len(steps) < 3 else None
                    axes.plot(steps, self.history[key], style, label=label, marker=mark)
            axes.set_xlabel("epoch")
            axes.set_title(name.replace("_", " "))
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False)
        figure.data = {"epoch": self.epoch, **drawn}
        if file is not None:
            figure.savefig(file, dpi=150)
        return figure

    def _panels(self, names: Any) -> list[str]:
        if names is None:
            skipped = ("learning_rate", "seconds")
            return [n for n in self.history if not n.startswith("val_") and n not in skipped]
        chosen = [names] if isinstance(names, str) else list(names)
        for name in chosen:
            if name not in self.history:
                raise ArgumentError(
                    "the history has no such curve",
                    {"asked": name, "known": ", ".join(self.history)},
                )
        return chosen
