"""`fit`: epochs of native steps, with everything that is told and kept in between."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.nn.arguments import whole_number
from chainrule.train.callback import Callback, as_callbacks, wants_batches
from chainrule.train.carrying import refuse_short
from chainrule.train.data import Rows, as_rows, check_numbers, check_small, is_stream
from chainrule.train.evaluation import measured
from chainrule.train.history import History
from chainrule.train.prepare import build_for, check_labels, compiled_of, outputs_of, setting
from chainrule.train.progress import Progress, progress_for
from chainrule.train.source import ArraySource, StreamSource
from chainrule.train.training import Training

_BATCH = 32


def fit(
    model: Any,
    x: Any = None,
    y: Any = None,
    batch_size: Any = _BATCH,
    epochs: int = 1,
    verbose: Any = "auto",
    callbacks: Any = None,
    validation_split: float = 0.0,
    validation_data: Any = None,
    shuffle: bool = True,
    class_weight: Any = None,
    sample_weight: Any = None,
    initial_epoch: int = 0,
    steps_per_epoch: int | None = None,
    validation_batch_size: int | None = None,
    validation_freq: int = 1,
    seed: int = 0,
) -> History:
    """Train a model; see `Model.fit`."""
    compiled = compiled_of(model, "fit")
    size = None if batch_size is None else whole_number("batch_size", batch_size)
    if compiled.optimizer.full_batch:
        size = None
    epochs = whole_number("epochs", epochs)
    initial_epoch = whole_number("initial_epoch", initial_epoch, 0)
    validation_freq = whole_number("validation_freq", validation_freq)
    seed = whole_number("seed", seed, 0)
    if validation_batch_size is not None:
        validation_batch_size = whole_number("validation_batch_size", validation_batch_size)
    outputs = outputs_of(model, "fit")
    source = _source(x, y, size, shuffle, class_weight, sample_weight, outputs, steps_per_epoch)
    held = None
    if isinstance(source, ArraySource):
        check_small(source.rows)
        source, held = _split(source, validation_split)
    elif validation_split:
        raise ArgumentError(
            "validation_split takes rows from the end of arrays, and these are batches",
            fix="pass validation_data=",
        )
    if validation_data is not None:
        held = _held(validation_data, outputs)
    build_for(model, source.sample().x, seed)
    how = setting(model, source.sample(), "fit")
    if isinstance(source, StreamSource):
        source.check = lambda rows: _check_batch(model, how, source, rows)
    else:
        refuse_short(model, source.rows.length, source.plan.size, "fit")
    told = as_callbacks(callbacks)
    training = Training(model, how, source, seed, by_batch=wants_batches(told))
    if training.carried and isinstance(source, ArraySource) and source.shuffle:
        _warn_of_order(source)
    run = _Run(model, training, told, progress_for(verbose, epochs, source.steps), held, how)
    if validation_batch_size is None and training.carried:
        validation_batch_size = source.plan.size
    run.validation = (validation_batch_size, validation_freq)
    return run.epochs(initial_epoch, epochs)


def _source(
    x: Any,
    y: Any,
    size: int | None,
    shuffle: bool,
    class_weight: Any,
    sample_weight: Any,
    outputs: Sequence[str],
    steps: int | None,
) -> ArraySource | StreamSource:
    """Where the batches come from: arrays, or an iterable of batches."""
    if is_stream(x):
        for name, value in (
            ("y", y), ("class_weight", class_weight), ("sample_weight", sample_weight)
        ):  # fmt: skip
            if value is not None:
                raise ArgumentError(
                    f"fit was given batches, and {name} besides",
                    fix="yield (x, y) or (x, y, sample_weight) from the iterable",
                )
        return StreamSource(x, outputs, steps)
    if steps is not None:
        raise ArgumentError(
            "steps_per_epoch cuts iterables into epochs; arrays have a length",
            fix="leave it out, or pass fewer rows",
        )
    return ArraySource(as_rows(x, y, sample_weight, class_weight, outputs), size, shuffle)


def _warn_of_order(source: ArraySource) -> None:
    if source.steps != 1:
        warnings.warn(
            "the rows are shuffled, while a stateful layer takes row i of a batch for what follows "
            "row i of the batch before: pass shuffle=False",
            stacklevel=4,
        )


def _check_batch(model: Any, how: Any, source: StreamSource, rows: Rows) -> None:
    """Refuse a batch whose labels or size the model can't work with."""
    check_labels(how, rows)
    refuse_short(model, rows.length, source.plan.size, "fit")


def _held(given: Any, outputs: Sequence[str]) -> Any:
    """The validation data that a user passed: rows, or batches that can be gone through anew.

    Raises:
        ArgumentError: it is neither.
    """
    if is_stream(given):
        return StreamSource(given, outputs, None)
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise ArgumentError(
            "validation_data is (x, y) or (x, y, sample_weight), or an iterable of such batches",
            {"given": type(given).__name__},
            "validation_data=(x_held, y_held)",
        )
    held = as_rows(given[0], given[1], given[2] if len(given) == 3 else None, None, outputs)
    check_numbers(held, "fit: validation_data")
    return held


def _split(source: ArraySource, split: float) -> tuple[ArraySource, Rows | None]:
    """The rows to train on and those held out: the last ones, in the order they came in.

    Raises:
        ArgumentError: a split that leaves one side empty.
    """
    if not split:
        return source, None
    rows = source.rows
    fraction = split if isinstance(split, (int, float, np.number)) and 0 < split < 1 else 1.0
    cut = int(rows.length * (1 - fraction))
    if not 0 < cut < rows.length:
        raise ArgumentError(
            "validation_split leaves one of the two sides empty",
            {"validation_split": split, "rows": rows.length},
            "a fraction between 0 and 1, such as 0.1, and enough rows for both sides",
        )
    kept = ArraySource(rows.part(slice(None, cut)), source.size, source.shuffle)
    held = rows.part(slice(cut, None))
    check_numbers(held, "fit: validation_split", cut)
    return kept, held


class _Run:
    """One call of `fit`: its epochs, and who is told."""

    def __init__(
        self,
        model: Any,
        training: Training,
        callbacks: list[Callback],
        progress: Progress,
        held: Rows | StreamSource | None,
        how: Any,
    ) -> None:
        self.model = model
        self.training = training
        self.callbacks = callbacks
        self.progress = progress
        self.held = held
        self.how = how
        self.validation: tuple[int | None, int] = (None, 1)
        self.history = History()

    def epochs(self, first: int, last: int) -> History:
        """Run them all; Ctrl-C ends the training and keeps what it has."""
        model, callbacks = self.model, self.callbacks
        model.stop_training = False
        model.history = self.history
        model.progress = self.progress.say if self.progress.shown else None
        self.training.callbacks, self.training.history = callbacks, self.history
        for callback in callbacks:
            callback.set_model(model)
            callback.set_params({"epochs": last, "steps": self.training.source.steps})
        for callback in callbacks:
            callback.on_train_begin({})
        start = (first, 0)
        for callback in callbacks:
            start = callback.resume_at(self.training, self.history) or start
        try:
            with self.progress:
                for epoch in range(start[0], last):
                    self._epoch(epoch, start[1] if epoch == start[0] else 0)
                    if model.stop_training:
                        self.history.stopped = self.history.stopped or "a callback ended it"
                        break
        except KeyboardInterrupt:
            self.history.stopped = "interrupted"
            self.progress.say(
                "interrupted: the model keeps the weights it had after its last whole steps"
            )
        finally:
            self.training.hand_over()
        self.training.finish()
        for callback in callbacks:
            callback.on_train_end({})
        return self.history

    def _epoch(self, epoch: int, start: int) -> None:
        began = time.perf_counter()
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch, {})
        self.training.take_over()
        self.progress.begin(epoch)
        logs = self.training.epoch(epoch, start, self.callbacks, self.progress)
        size, every = self.validation
        if self.held is not None and (epoch + 1) % every == 0:
            found = measured(self.model, self.how, self.held, size)
            logs.update({f"val_{name}": value for name, value in found.items()})
        rate = self.training.rate_now()
        if rate is not None:
            logs["learning_rate"] = rate
        logs["seconds"] = time.perf_counter() - began
        self.history.add(epoch, dict(logs))
        self.progress.end(epoch, logs)
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)
        self.training.take_over()
        for callback in self.callbacks:
            callback.after_epoch(epoch, self.training)
