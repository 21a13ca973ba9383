"""`BackupAndRestore`: a killed training goes on where it was, and ends with the same bits."""

from __future__ import annotations

import contextlib
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ChainruleError, ModelFileError
from chainrule.base.registry import register
from chainrule.train.callback import Callback
from chainrule.train.container import (
    make_folder,
    read_container,
    tree_arrays,
    tree_from,
    write_container,
)
from chainrule.train.logging import steps_between
from chainrule.train.monitor import kept_number
from chainrule.train.saving import contents, put_optimizer, put_weights

_FILE = "training.safetensors"
_METERS = "meters"
# Our own part of a file, and the one that the library of safetensors writes before it.
_UNFINISHED = re.compile(rf"\.{re.escape(_FILE)}\.[0-9a-f]{{12}}\.part|\.tmp[A-Za-z0-9]{{6}}")
_OLD = 3600.0  # seconds, after which nobody is still writing it
_CARRIED = "carried/"  # what a batch leaves for the next one


@register("callback")
class BackupAndRestore(Callback):
    """Keeps all that a training is in one file, and takes it up when `fit` is called again.

    The file holds the weights, the optimiser's state, the position, the numbers so far and what the
    other callbacks remember. The order of the rows and all chance follow from the seed and the
    position, so the weights at the end equal those of a training that was never interrupted, bit
    for bit, if the model, the data, the seed and the callbacks are the same.

    Args:
        backup_dir: the folder of the file; made if it isn't there.
        save_freq: "epoch", or after how many steps.
        delete_checkpoint: whether the file is removed when the training has come to its end.
    """

    def __init__(
        self, backup_dir: Any, save_freq: Any = "epoch", delete_checkpoint: bool = True
    ) -> None:
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq = steps_between(save_freq)
        self.delete_checkpoint = delete_checkpoint

    @property
    def file(self) -> Path:
        """Where everything is kept."""
        return Path(self.backup_dir) / _FILE

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        make_folder(Path(self.backup_dir))
        _sweep(Path(self.backup_dir))

    def every_steps(self) -> int | None:
        return self.save_freq

    def on_steps(self, epoch: int, step: int, training: Any) -> None:
        self._write(training, epoch, step)

    def after_epoch(self, epoch: int, training: Any) -> None:
        self._write(training, epoch + 1, 0)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.delete_checkpoint and self.model.history.stopped != "interrupted":
            self.file.unlink(missing_ok=True)

    def _write(self, training: Any, epoch: int, step: int) -> None:
        meaning, arrays = contents(self.model)
        arrays.update(tree_arrays(_METERS, training.carry.meters))
        arrays.update((f"{_CARRIED}{path}", one.kept()) for path, one in training.carried.items())
        kept = []
        for i, callback in enumerate(training.callbacks):
            state = callback.state()
            plain = {k: v for k, v in state.items() if not isinstance(v, np.ndarray)}
            kept.append({"class": type(callback).__name__, "state": plain})
            arrays.update(
                {f"callback/{i}/{k}": v for k, v in state.items() if isinstance(v, np.ndarray)}
            )
        meaning["training"] = {
            "epoch": epoch,
            "step": step,
            "seed": training.seed,
            "steps": training.source.steps,
            "rate": training.plain_rate(),
            "history": {
                "epoch": training.history.epoch,
                "numbers": {k: _plain(v) for k, v in training.history.history.items()},
            },
            "callbacks": kept,
        }
        write_container(self.file, "checkpoint", meaning, arrays)

    def resume_at(self, training: Any, history: Any) -> tuple[int, int] | None:
        if not self.file.is_file():
            return None
        meaning, arrays = read_container(self.file, "checkpoint")
        where = str(self.file)
        try:
            told = meaning["training"]
            self._check(told, training)
            position = _count(told["epoch"]), _count(told["step"])
            rate = kept_number(told["rate"])
            epochs, numbers = _history(told["history"])
            meters = tree_from(_METERS, training.how.meters.init(), arrays, where)
            for i, (callback, kept) in enumerate(
                zip(training.callbacks, told["callbacks"], strict=True)
            ):
                start = f"callback/{i}/"
                found = {n.removeprefix(start): a for n, a in arrays.items() if n.startswith(start)}
                callback.restore({**kept["state"], **found})
        except ChainruleError:
            raise
        except (
            KeyError,
            TypeError,
            AttributeError,
            IndexError,
            ValueError,
            OverflowError,
        ) as error:
            raise ModelFileError(
                f"{where} doesn't describe a training",
                {"reason": f"{type(error).__name__}: {error}"[:200]},
                "remove the file to begin anew",
            ) from error
        put_weights(self.model, arrays, where)
        put_optimizer(self.model, arrays, where)
        for path, one in training.carried.items():
            one.keep(_like(one.kept(), arrays.get(f"{_CARRIED}{path}"), where))
        training.resumed(meters)
        if rate is not None:
            training.optimizer.learning_rate = float(rate)
        history.epoch, history.history = epochs, numbers
        return position

    def _check(self, told: dict[str, Any], training: Any) -> None:
        """Refuse another seed, other data or other callbacks: it would be another training."""
        here = {
            "seed": training.seed,
            "steps of an epoch": training.source.steps,
            "callbacks": ", ".join(type(c).__name__ for c in training.callbacks),
        }
        there = {
            "seed": told["seed"],
            "steps of an epoch": told["steps"],
            "callbacks": ", ".join(str(c["class"]) for c in told["callbacks"]),
        }
        for name, value in here.items():
            if there[name] != value:
                raise ArgumentError(
                    "the training that was kept is another one",
                    {f"{name} now": value, f"{name} then": there[name], "file": str(self.file)},
                    "call fit as before, or remove the file to begin anew",
                )


def _like(here: Any, kept: Any, where: str) -> Any:
    """The state of a stateful layer that was kept.

    Raises:
        ModelFileError: there is none, or of other batches.
    """
    if kept is None or kept.shape != here.shape or kept.dtype != here.dtype:
        raise ModelFileError(
            f"{where} holds other states of stateful layers than this training has",
            {
                "here": f"{here.dtype}{list(here.shape)}",
                "in the file": "none" if kept is None else f"{kept.dtype}{list(kept.shape)}",
            },
            "call fit with the batch_size of then, or remove the file to begin anew",
        )
    return kept


def _sweep(folder: Path) -> None:
    """Remove what trainings that were killed while writing have left of unfinished files."""
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):  # another training may sweep as well
            if _UNFINISHED.fullmatch(entry.name) and time.time() - entry.stat().st_mtime > _OLD:
                entry.unlink()


def _count(value: Any) -> int:
    """A number of epochs or steps.

    Raises:
        TypeError: it can't be one.
    """
    if type(value) is not int or not 0 <= value < 1 << 62:
        raise TypeError(f"{value!r:.40} isn't a number of steps")
    return value


def _history(told: dict[str, Any]) -> tuple[list[int], dict[str, list[Any]]]:
    """The epochs that were whole, and a number or a list of numbers of each of them.

    Raises:
        TypeError, ValueError: it is something else.
    """
    epochs = [_count(epoch) for epoch in told["epoch"]]
    numbers = {name: list(values) for name, values in told["numbers"].items()}
    for name, values in numbers.items():
        if len(values) > len(epochs):
            raise ValueError(f"{name!r:.40} has more numbers than there were epochs")
        np.array(values, np.float64)
    return epochs, numbers


def _plain(values: list[Any]) -> list[Any]:
    return [v.tolist() if isinstance(v, np.ndarray) else v for v in values]
