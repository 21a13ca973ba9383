"""What `fit` returns: every number of every epoch."""

from __future__ import annotations

import os
from typing import Any

from chainrule.base.errors import ArgumentError, ChainruleError, StorageError
from chainrule.base.registry import look_up

_PICTURES = (".png", ".svg", ".pdf", ".jpg", ".jpeg", ".eps")


def check_picture(file: Any) -> None:
    """Refuse a name that doesn't say which kind of picture it is.

    Raises:
        ArgumentError: another ending.
    """
    ending = os.path.splitext(os.fspath(file))[1]
    if ending.lower() not in _PICTURES:
        raise ArgumentError(
            "the ending of a picture's name says its kind",
            {"file": os.fspath(file), "known": ", ".join(_PICTURES)},
            "curves.png",
        )


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
            A plot: its `.data` holds the numbers that are drawn, `.figure` is matplotlib's, and it
            shows itself in notebooks.

        Raises:
            ArgumentError: matplotlib isn't installed, or a name or the file's ending isn't known.
            StorageError: the picture can't be written.
        """
        if file is not None:
            check_picture(file)
        plot = look_up("plot", "history")(self, names)
        if file is not None:
            try:
                plot.save(file)
            except OSError as error:
                if isinstance(error, ChainruleError):
                    raise
                raise StorageError(
                    f"{os.fspath(file)} couldn't be written",
                    {"reason": str(error)},
                    "choose another place, or make room on the disk",
                ) from error
        return plot
