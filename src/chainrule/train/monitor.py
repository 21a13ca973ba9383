"""Watching one number of the epochs for its best: early stopping, slower learning."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import register
from chainrule.train.callback import Callback

_GROWS = ("acc", "accuracy", "auc", "precision", "recall", "f1", "r2", "similarity", "iou")


class Monitor(Callback):
    """A callback that watches one number of the epochs.

    Args:
        monitor: its name among the numbers of an epoch, such as "val_loss".
        mode: "min", "max", or "auto": more is better where the name says so.
        min_delta: what counts as better has to be better by this much.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in ("auto", "min", "max"):
            raise ArgumentError('mode is "auto", "min" or "max"', {"mode": repr(mode)})
        grows = any(part in monitor.lower() for part in _GROWS) and "loss" not in monitor
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(min_delta)
        self.sign = -1.0 if mode == "max" or (mode == "auto" and grows) else 1.0
        self.best: float | None = None

    def watched(self, logs: dict[str, Any] | None) -> float:
        """The number of this epoch.

        Raises:
            ArgumentError: the epochs have no such number.
        """
        if self.monitor not in (logs or {}):
            known = ", ".join(name for name in (logs or {}) if name != "seconds")
            absent = self.monitor.startswith("val_")
            raise ArgumentError(
                f"{type(self).__name__} watches {self.monitor!r}, which the epochs don't have",
                {"they have": known},
                'pass validation_data= or validation_split= to fit, or watch monitor="loss"'
                if absent
                else "watch one of these",
            )
        return float((logs or {})[self.monitor])

    def is_better(self, value: float) -> bool:
        """Whether a number is better than the best so far, which then it is."""
        if math.isnan(value):
            return False
        if self.best is None or self.sign * value < self.sign * self.best - self.min_delta:
            self.best = value
            return True
        return False

    def state(self) -> dict[str, Any]:
        return {"best": self.best}

    def restore(self, state: dict[str, Any]) -> None:
        self.best = kept_number(state["best"])


@register("callback")
class EarlyStopping(Monitor):
    """Ends the training once a number hasn't become better for some epochs.

    Args:
        monitor, min_delta, mode: what is watched, see `Monitor`.
        patience: how many epochs without anything better are waited for.
        verbose: 1 prints why it stopped.
        baseline: what has to be beaten from the start.
        restore_best_weights: whether the model ends with the weights of its best epoch; also when
            the training ends otherwise, by Ctrl-C or after its last epoch.
        start_from_epoch: epochs before this one aren't looked at.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> model = cr.nn.Sequential([cr.nn.Dense(1)])
        >>> model.compile(optimizer=cr.optim.SGD(1e-9), loss="mse")
        >>> stop = cr.train.EarlyStopping(monitor="loss", min_delta=1e-3, patience=2)
        >>> x = np.ones((8, 1))
        >>> history = model.fit(x, x, epochs=50, callbacks=[stop], verbose=0)
        >>> history.epoch
        [0, 1, 2]
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = True,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = patience
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self.wait = 0
        self.best_epoch: int | None = None
        self.stopped_epoch: int | None = None
        self.best_weights: list[np.ndarray] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.wait, self.best, self.best_weights = 0, self.baseline, None
        self.best_epoch = self.stopped_epoch = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        value = self.watched(logs)
        if epoch < self.start_from_epoch:
            return
        if self.is_better(value):
            self.wait, self.best_epoch = 0, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            return
        self.wait += 1
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            self.model.history.stopped = (
                f"{self.monitor} has not become better for {self.wait} epochs"
            )

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.restore_best_weights and self.best_weights is not None:
            self.model.set_weights(self.best_weights)
        if self.verbose and self.stopped_epoch is not None:
            self.say(f"stopped after epoch {self.stopped_epoch + 1}; the best was {self.best}")

    def state(self) -> dict[str, Any]:
        kept = {f"weight_{i}": w for i, w in enumerate(self.best_weights or [])}
        return {"best": self.best, "wait": self.wait, "best_epoch": self.best_epoch, **kept}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.wait, self.best_epoch = int(state["wait"]), kept_number(state["best_epoch"])
        count = sum(name.startswith("weight_") for name in state)
        self.best_weights = [state[f"weight_{i}"] for i in range(count)] if count else None


@register("callback")
class ReduceLROnPlateau(Monitor):
    """Lowers the learning rate once a number hasn't become better for some epochs.

    Args:
        monitor, min_delta, mode: what is watched, see `Monitor`.
        factor: what the rate is multiplied by.
        patience: how many epochs without anything better are waited for.
        verbose: 1 prints the new rate.
        cooldown: how many epochs after a change aren't counted.
        min_lr: the rate never falls below this.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 < factor < 1:
            raise ArgumentError(
                "a factor that lowers the learning rate is between 0 and 1", {"factor": factor}
            )
        self.factor = factor
        self.patience = patience
        self.verbose = verbose
        self.cooldown = cooldown
        self.min_lr = min_lr
        self.wait = 0
        self.cooling = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.best, self.wait, self.cooling = None, 0, 0
        numeric_rate(self.model, type(self).__name__)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.is_better(self.watched(logs)):
            self.wait = 0
        elif self.cooling == 0:
            self.wait += 1
        if self.cooling > 0:
            self.cooling -= 1
            self.wait = 0
        if self.wait < self.patience:
            return
        rate = numeric_rate(self.model, type(self).__name__)
        lower = max(rate * self.factor, self.min_lr)
        if lower < rate:
            self.model.compiled.optimizer.learning_rate = lower
            self.cooling, self.wait = self.cooldown, 0
            if self.verbose:
                self.say(f"epoch {epoch + 1}: the learning rate is lowered to {lower:.3g}")

    def state(self) -> dict[str, Any]:
        return {"best": self.best, "wait": self.wait, "cooling": self.cooling}

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self.wait, self.cooling = int(state["wait"]), int(state["cooling"])


def kept_number(value: Any) -> Any:
    """A number from a file, or None.

    Raises:
        TypeError: it is something else.
    """
    if value is not None and type(value) not in (int, float):
        raise TypeError(f"{value!r:.40} isn't a number")
    return value


def numeric_rate(model: Any, who: str) -> float:
    """The learning rate that a callback may change.

    Raises:
        ArgumentError: it is a schedule, which changes by itself, or there is none.
    """
    rate = getattr(model.compiled.optimizer, "learning_rate", None)
    if rate is None or callable(rate):
        raise ArgumentError(
            f"{who} changes the learning rate, and the optimizer has no number for it",
            {"learning_rate": repr(rate)},
            "give the optimizer a number: cr.optim.SGD(0.1)",
        )
    return float(rate)
