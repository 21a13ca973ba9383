"""`Callback`: what is told of the course of a training, and may change it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import base_of, get


@base_of("callback")
class Callback:
    """Base class of the callbacks; each method is called at its time and does nothing here.

    `self.model` is the model, `self.params` a dict with "epochs" and "steps". A callback ends the
    training with `self.model.stop_training = True`. One that defines `on_train_batch_begin` or
    `on_train_batch_end` makes every batch a native call of its own, which costs time.

    A plain function works as well: it is called with (epoch, logs) at the end of every epoch.
    """

    model: Any = None
    params: dict[str, Any]

    def set_model(self, model: Any) -> None:
        """Told the model before anything else."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Told the numbers of the training."""
        self.params = params

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """After the last epoch, also when the training was ended early or interrupted."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Before an epoch, numbered from 0."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """After an epoch, with its numbers: "loss", metrics, and "val_…" of the validation."""

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Before a batch."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a batch, with the means of its epoch so far."""

    def state(self) -> dict[str, Any]:
        """What a resumed training needs to know: numbers, texts and arrays by name."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave."""

    def every_steps(self) -> int | None:
        """After so many steps, `on_steps` is called even within an epoch; None for never."""
        return None

    def on_steps(self, epoch: int, step: int, training: Any) -> None:
        """Called every so many steps, and able to save all that the training is."""

    def after_epoch(self, epoch: int, training: Any) -> None:
        """After all `on_epoch_end` of an epoch."""

    def say(self, text: str) -> None:
        """Print a line where the training's progress is shown."""
        (self.model.progress or print)(text)

    def resume_at(self, training: Any, history: Any) -> tuple[int, int] | None:
        """The epoch and the step to go on from, after having put `training` there; or None."""
        return None


class FunctionCallback(Callback):
    """A function of (epoch, logs), called at the end of every epoch."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.function(epoch, dict(logs or {}))


def as_callbacks(given: Any) -> list[Callback]:
    """What a user passed as `callbacks=`.

    Raises:
        ArgumentError: something that isn't a callback, a function or a known name.
    """
    if given is None:
        return []
    each = list(given) if isinstance(given, (list, tuple)) else [given]
    found = []
    for one in each:
        callback = get("callback", one)
        if not isinstance(callback, Callback):
            if not callable(callback):
                raise ArgumentError("this isn't a callback", {"given": repr(one)[:80]})
            callback = FunctionCallback(callback)
        found.append(callback)
    return found


def wants_batches(callbacks: Sequence[Callback]) -> bool:
    """Whether some callback is to be told of every batch."""
    return any(
        type(c).on_train_batch_begin is not Callback.on_train_batch_begin
        or type(c).on_train_batch_end is not Callback.on_train_batch_end
        for c in callbacks
    )
