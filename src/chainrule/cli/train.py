"""`chainrule train`: from a table to a model, judged on rows it has never seen."""

from __future__ import annotations

import importlib
import importlib.util
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from chainrule.base.errors import ArgumentError, StorageError
from chainrule.base.registry import get
from chainrule.nn.dense import Dense
from chainrule.nn.losses import MeanSquaredError, SparseCategoricalCrossentropy
from chainrule.train.container import write_container
from chainrule.train.monitor import EarlyStopping
from chainrule.train.partition import Split, split
from chainrule.train.saving import contents
from chainrule.train.sequential import Sequential
from chainrule.train.table import Encoder, known_column, read_table
from chainrule.train.table_split import split_table


@dataclass(frozen=True)
class Options:
    """What `chainrule train` was told."""

    target: str | None
    task: str
    hidden: tuple[int, ...]
    activation: str
    optimizer: str
    learning_rate: float
    batch_size: int
    epochs: int
    patience: int
    validation: float
    test: float
    seed: int
    output: str
    plot: str | None
    verbose: bool


class Task(NamedTuple):
    """Numbers to train on, in three parts, and how to read further tables."""

    parts: Split
    encoder: Encoder
    name: str


def hidden_units(text: str) -> list[int]:
    """The units of the hidden layers: "64,32"; "" or "0" for none.

    Raises:
        ArgumentError: something else.
    """
    try:
        units = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        units = [-1]
    if any(count < 0 for count in units):
        raise ArgumentError(
            "--hidden is the units of each hidden layer", {"given": repr(text)}, "--hidden 64,32"
        )
    return [count for count in units if count]


def run_train(file: str, options: Options) -> None:
    """Read, split, train, judge on the untouched part, save."""
    task = _digits(options) if file == "digits" else _file(file, options)
    train, validation, test = task.parts
    _describe(task, train, validation, test)
    model = _network(task.encoder, options)
    began = time.perf_counter()
    x, y = train
    history = model.fit(
        x,
        y,
        batch_size=options.batch_size,
        epochs=options.epochs,
        validation_data=validation,
        callbacks=[EarlyStopping(patience=options.patience)],
        seed=options.seed,
        verbose="auto" if options.verbose else 0,
    )
    seconds = time.perf_counter() - began
    epochs = f"{len(history.epoch)} epoch{'s' * (len(history.epoch) != 1)}"
    if options.verbose:
        click.echo()  # between the lines of the epochs and these
    click.echo(f"trained for {epochs} in {seconds:.1f} s", nl=False)
    click.echo(f"; stopped early: {history.stopped}" if history.stopped else "")
    click.echo(_judgement(model, task.encoder, train, test))
    meaning, arrays = contents(model, include_optimizer=False)
    meaning["table"] = task.encoder.config()
    write_container(options.output, "model", meaning, arrays)
    click.echo(f"saved  {options.output}")
    plot = options.plot or str(Path(options.output).with_suffix(".png"))
    if options.plot is not None or importlib.util.find_spec("matplotlib") is not None:
        history.plot(file=plot)
        click.echo(f"curves {plot}")
    else:
        click.echo('curves need matplotlib: pip install "chainrule[plot]"')
    click.echo(f"\nnext   chainrule predict {options.output} NEW_ROWS.csv")


def _file(file: str, options: Options) -> Task:
    if file.endswith(".npz"):
        return _arrays(file, options)
    columns = read_table(file)
    target = options.target or list(columns)[-1]
    known_column(columns, target)
    return _from_columns(columns, target, Path(file).name, options)


def _arrays(file: str, options: Options) -> Task:
    if not Path(file).is_file():
        raise StorageError(f"there is no file {file!r}", fix="check the path")
    try:
        with np.load(file, allow_pickle=False) as held:
            missing = {"x", "y"} - set(held.files)
            if missing:
                raise ArgumentError(
                    "an .npz file to train on holds the arrays x and y",
                    {"it holds": ", ".join(held.files)},
                    "np.savez(file, x=inputs, y=labels)",
                )
            x, y = held["x"], held["y"]
    except (OSError, ValueError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise StorageError(f"{file} can't be read", {"reason": str(error)}) from error
    columns = {f"x{i}": values for i, values in enumerate(x.reshape(len(x), -1).T.astype(float))}
    columns["y"] = y.astype(float) if y.dtype.kind in "biuf" else y.astype(str).astype(object)
    return _from_columns(columns, "y", Path(file).name, options)


def _from_columns(columns: Any, target: str, name: str, options: Options) -> Task:
    parts, encoder = split_table(
        columns,
        target,
        options.task,
        validation=options.validation,
        test=options.test,
        seed=options.seed,
    )
    return Task(parts, encoder, name)


def _digits(options: Options) -> Task:
    """scikit-learn's digits, pixels from 0 to 1."""
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError:
        raise ArgumentError(
            "the digits come with scikit-learn, which is not installed",
            fix='pip install "chainrule[demo]"',
        ) from None
    bunch = datasets.load_digits()
    x, y = (bunch.data / 16).astype(np.float32), bunch.target
    parts = split(
        x, y, validation=options.validation, test=options.test, stratify=y, seed=options.seed
    )
    pixels = {f"pixel_{i}": (0.0, 16.0) for i in range(64)}
    encoder = Encoder(pixels, {}, "digit", [str(digit) for digit in range(10)])
    return Task(parts, encoder, "digits")


def _describe(task: Task, train: Any, validation: Any, test: Any) -> None:
    encoder = task.encoder
    count = len(encoder.numbers)
    kinds = [f"{count} number{'s' * (count != 1)}"] * bool(count)
    if encoder.categories:
        total = sum(map(len, encoder.categories.values()))
        count = len(encoder.categories)
        kinds.append(f"{count} categor{'y' if count == 1 else 'ies'} ({total} values)")
    click.echo(f"data   {task.name}: {' and '.join(kinds)} → {train[0].shape[1]} inputs")
    if encoder.ignored:
        click.echo(
            f"       left out, texts with too many different values: {', '.join(encoder.ignored)}"
        )
    if encoder.classes is not None:
        named = ", ".join(encoder.classes[:8]) + ", …" * (len(encoder.classes) > 8)
        click.echo(f"target {encoder.target}: {len(encoder.classes)} classes ({named})")
    else:
        mean, spread = encoder.scale
        click.echo(f"target {encoder.target}: a number, mean {mean:.4g}, spread {spread:.4g}")
    counts = [len(part[1]) for part in (train, validation, test)]
    click.echo(
        f"rows   {counts[0]} to train on, {counts[1]} to choose by, {counts[2]} to judge by\n"
    )


def _network(encoder: Encoder, options: Options) -> Sequential:
    classes = encoder.classes
    layers = [Dense(units, activation=options.activation) for units in options.hidden]
    model = Sequential([*layers, Dense(1 if classes is None else len(classes))])
    optimizer = get("optimizer", options.optimizer)
    optimizer.learning_rate = options.learning_rate
    if classes is None:
        model.compile(optimizer, MeanSquaredError())
    else:
        model.compile(
            optimizer, SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
        )
    return model


def _judgement(model: Any, encoder: Encoder, train: Any, test: Any) -> str:
    """How good the answers are on rows that nothing was learned from, beside the plainest guess."""
    outputs = model.predict(test[0])
    if encoder.classes is not None:
        right = int(np.sum(np.argmax(outputs, axis=1) == test[1]))
        guess = np.bincount(train[1], minlength=len(encoder.classes)).argmax()
        plain = float(np.mean(test[1] == guess))
        return (
            f"test   {right} of {len(test[1])} right: accuracy {right / len(test[1]):.1%}"
            f" (always {encoder.classes[guess]!r}: {plain:.1%})"
        )
    spread = encoder.scale[1]
    error = float(np.sqrt(np.mean((outputs - test[1]) ** 2))) * spread
    plain = float(np.sqrt(np.mean(test[1] ** 2))) * spread
    return f"test   typical error {error:.4g} (always the mean: {plain:.4g})"


@click.command()
@click.argument("file")
@click.option("--target", metavar="COLUMN", help="What to predict; the last column if not given.")
@click.option(
    "--task",
    type=click.Choice(["auto", "classify", "regress"]),
    default="auto",
    show_default=True,
    help="auto: texts and few whole numbers are classes.",
)
@click.option("--hidden", default="30", show_default=True, help="Units of hidden layers: 64,32.")
@click.option("--activation", default="relu", show_default=True, help="Of the hidden layers.")
@click.option("--optimizer", default="adam", show_default=True)
@click.option("--learning-rate", type=float, default=0.003, show_default=True)
@click.option("--batch-size", type=click.IntRange(1), default=32, show_default=True)
@click.option("--epochs", type=click.IntRange(1), default=100, show_default=True)
@click.option(
    "--patience",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="Epochs to wait for a better validation loss before stopping.",
)
@click.option("--validation", type=float, default=0.15, show_default=True, help="Fraction of rows.")
@click.option("--test", type=float, default=0.15, show_default=True, help="Fraction of rows.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("-o", "--output", default="model.safetensors", show_default=True)
@click.option("--plot", metavar="FILE", help="Where to save the curves; beside the model.")
@click.option("--quiet", is_flag=True, help="No progress.")
def train(file: str, hidden: str, quiet: bool, **options: Any) -> None:
    """Train a network on FILE and save it.

    FILE is a table with a header (.csv, .tsv, .parquet), an .npz file with arrays x and y, or the
    word digits. A part of the rows is set aside first and used for nothing but the last judgement;
    numbers are standardised and categories taken from the training part alone.

    \b
    chainrule train flowers.csv --target species
    chainrule train digits --hidden 30 --batch-size 1 --epochs 5
    """
    units = tuple(hidden_units(hidden))
    run_train(file, Options(hidden=units, verbose=not quiet, **options))
