"""Callbacks that write the numbers down, or set the rate from outside."""

from __future__ import annotations

import contextlib
import csv
import importlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ChainruleError, StorageError
from chainrule.base.registry import get, register
from chainrule.train.callback import Callback
from chainrule.train.container import make_folder
from chainrule.train.monitor import Monitor, numeric_rate


@register("callback")
class LearningRateScheduler(Callback):
    """Sets the learning rate before each epoch.

    Args:
        schedule: a function of (epoch, rate) or of (epoch) alone that gives the next rate.
        verbose: 1 prints the rate.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule = get("schedule", schedule)
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        rate = numeric_rate(self.model, type(self).__name__)
        try:
            new = self.schedule(epoch, rate)
        except TypeError:
            new = self.schedule(epoch)
        if not isinstance(new, (int, float, np.floating)) or not np.isfinite(new):
            raise ArgumentError(
                "a schedule gives a number", {"epoch": epoch, "given": repr(new)[:80]}
            )
        self.model.compiled.optimizer.learning_rate = float(new)
        if self.verbose:
            self.say(f"epoch {epoch + 1}: learning rate {float(new):.3g}")


@register("callback")
class CSVLogger(Callback):
    """Writes a line per epoch to a CSV file; a resumed training goes on in the same file.

    Args:
        filename: the file.
        separator: between the columns.
        append: whether to go on in a file that is there.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        self.filename = os.fspath(filename)
        self.separator = separator
        self.append = append
        self.columns: list[str] | None = None
        self.resumed = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.columns = None
        make_folder(Path(self.filename).parent)
        if self.append and Path(self.filename).is_file():
            with (
                _log_kept(self.filename),
                open(self.filename, newline="", encoding="utf-8") as file,
            ):
                self.columns = next(csv.reader(file, delimiter=self.separator), None)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        row = {"epoch": epoch, **(logs or {})}
        with _log_kept(self.filename):
            if self.resumed:
                self._forget_from(epoch)
                self.resumed = False
            new = self.columns is None
            self.columns = self.columns or list(row)
            with open(self.filename, "w" if new else "a", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(
                    file, self.columns, extrasaction="ignore", delimiter=self.separator
                )
                if new:
                    writer.writeheader()
                writer.writerow(row)

    def state(self) -> dict[str, Any]:
        return {"columns": "\n".join(self.columns or [])}

    def restore(self, state: dict[str, Any]) -> None:
        self.columns = state["columns"].split("\n") if state["columns"] else None
        self.resumed = self.columns is not None and Path(self.filename).is_file()

    def _forget_from(self, epoch: int) -> None:
        """Drop the lines of epochs that a killed training wrote and a resumed one repeats."""
        with open(self.filename, newline="", encoding="utf-8") as file:
            header, *rows = csv.reader(file, delimiter=self.separator)
        if header != self.columns or "epoch" not in header:
            raise ArgumentError(
                "the log isn't the one that the training has begun",
                {"file": self.filename, "its columns": ", ".join(header)[:200]},
                "move it away, or choose another place for the log",
            )
        place = header.index("epoch")
        # A disk that was full may have left half a line.
        whole = [row for row in rows if len(row) == len(header) and row[place].isdigit()]
        kept = [row for row in whole if int(row[place]) < epoch]
        part = f"{self.filename}.part"  # under the log's own name there is always a whole one
        with open(part, "w", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=self.separator).writerows([header, *kept])
        os.replace(part, self.filename)


@contextlib.contextmanager
def _log_kept(name: str) -> Iterator[None]:
    """What goes wrong with the file of a log, said as such."""
    try:
        yield
    except OSError as error:
        if isinstance(error, ChainruleError):
            raise
        raise StorageError(
            f"{name} couldn't be written",
            {"reason": str(error)},
            "the model is whole; choose another place for the log",
        ) from error


@register("callback")
class ModelCheckpoint(Monitor):
    """Saves the model after epochs, as one file that is replaced as a whole.

    Args:
        filepath: the file; "{epoch:02d}" and "{val_loss:.3f}" are filled in, epochs from 1.
        monitor, mode: what decides which is the best.
        verbose: 1 prints what is saved.
        save_best_only: whether only the best so far is kept.
        save_freq: "epoch", or after how many steps.
        initial_value_threshold: what has to be beaten from the start.
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_freq = steps_between(save_freq)
        self.initial_value_threshold = initial_value_threshold
        self.best = initial_value_threshold

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        folder = Path(self.filepath).parent
        if "{" not in str(folder):  # a name in it is known once there are numbers
            make_folder(folder)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq is None and (
            not self.save_best_only or self.is_better(self.watched(logs))
        ):
            self._save(epoch, logs or {})

    def every_steps(self) -> int | None:
        return self.save_freq

    def on_steps(self, epoch: int, step: int, training: Any) -> None:
        self._save(epoch, {})

    def _save(self, epoch: int, logs: dict[str, Any]) -> None:
        try:
            path = self.filepath.format(epoch=epoch + 1, **logs)
        except (KeyError, IndexError, ValueError) as error:
            raise ArgumentError(
                "the name of the file can't be filled in",
                {"filepath": self.filepath, "known": ", ".join(["epoch", *logs])},
                f"it asks for {error}",
            ) from error
        make_folder(Path(path).parent)
        self.model.save(path)
        if self.verbose:
            self.say(f"saved {path}")


def steps_between(save_freq: Any) -> int | None:
    """After how many steps to save; None for after every epoch.

    Raises:
        ArgumentError: neither "epoch" nor a whole number from 1 on.
    """
    if save_freq == "epoch":
        return None
    if isinstance(save_freq, bool) or not isinstance(save_freq, int) or save_freq < 1:
        raise ArgumentError(
            'save_freq is "epoch" or a number of steps', {"save_freq": repr(save_freq)}
        )
    return save_freq


@register("callback")
class TensorBoard(Callback):
    """Writes the numbers of the epochs for TensorBoard.

    Args:
        log_dir: the folder; training and validation get folders of their own in it.
        histogram_freq: after how many epochs the weights' distributions are written; 0: never.

    Raises:
        ArgumentError: the tensorboard package isn't installed.
    """

    def __init__(self, log_dir: Any = "logs", histogram_freq: int = 0) -> None:
        self.log_dir = os.fspath(log_dir)
        self.histogram_freq = histogram_freq
        self.writers: dict[str, Any] = {}
        try:
            self.proto = importlib.import_module("tensorboard.compat.proto.summary_pb2")
            self.event = importlib.import_module("tensorboard.compat.proto.event_pb2")
            self.files = importlib.import_module("tensorboard.summary.writer.event_file_writer")
        except ImportError:
            raise ArgumentError(
                "this callback writes files for TensorBoard, which is not installed",
                fix='pip install "chainrule[tensorboard]"',
            ) from None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with _log_kept(self.log_dir):
            self._enter(epoch, logs or {})

    def _enter(self, epoch: int, logs: dict[str, Any]) -> None:
        for name, value in logs.items():
            if isinstance(value, (int, float)):
                side = "validation" if name.startswith("val_") else "train"
                entry = self.proto.Summary.Value(
                    tag=f"epoch_{name.removeprefix('val_')}", simple_value=float(value)
                )
                self._write(side, epoch, entry)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for path, weight in self.model.weights_by_path().items():
                self._write("train", epoch, self._histogram(path, weight.kept()))
        for writer in self.writers.values():
            writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        with _log_kept(self.log_dir):
            while self.writers:
                self.writers.popitem()[1].close()

    def _histogram(self, tag: str, values: np.ndarray) -> Any:
        counts, edges = np.histogram(values, bins=30)
        told = self.proto.HistogramProto(
            min=float(values.min()),
            max=float(values.max()),
            num=float(values.size),
            sum=float(values.sum()),
            sum_squares=float((values.astype(np.float64) ** 2).sum()),
            bucket_limit=edges[1:].tolist(),
            bucket=counts.astype(float).tolist(),
        )
        return self.proto.Summary.Value(tag=tag, histo=told)

    def _write(self, side: str, epoch: int, entry: Any) -> None:
        if side not in self.writers:
            folder = os.path.join(self.log_dir, side)
            self.writers[side] = self.files.EventFileWriter(folder)
        summary = self.proto.Summary(value=[entry])
        self.writers[side].add_event(
            self.event.Event(wall_time=time.time(), step=epoch, summary=summary)
        )
