"""`chainrule train`: from a table to a model, judged on rows it has never seen."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Sequence
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
from chainrule.train.history import check_picture
from chainrule.train.monitor import EarlyStopping
from chainrule.train.partition import Split, split
from chainrule.train.saving import contents
from chainrule.train.sequential import Sequential
from chainrule.train.table import Encoder, known_column
from chainrule.train.table_file import read_table
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
    without: tuple[str, ...]
    encoding: str | None
    output: str
    plot: str | None
    verbose: bool


class Task(NamedTuple):
    """Numbers to train on, in three parts, and how to read further tables."""

    parts: Split
    encoder: Encoder
    name: str
    notes: Sequence[str] = ()


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
    _check_places(options)
    task = _digits(options) if file == "digits" else _file(file, options)
    train, validation, test = task.parts
    _describe(task, train, validation, test)
    model = _network(task.encoder, options)
    began = time.perf_counter()
    x, y = train
    held = len(validation[1]) > 0
    history = model.fit(
        x,
        y,
        batch_size=options.batch_size,
        epochs=options.epochs,
        validation_data=validation if held else None,
        callbacks=[EarlyStopping(patience=options.patience)] if held else None,
        seed=options.seed,
        verbose="auto" if options.verbose else 0,
    )
    seconds = time.perf_counter() - began
    epochs = f"{len(history.epoch)} epoch{'s' * (len(history.epoch) != 1)}"
    if options.verbose:
        click.echo()  # between the lines of the epochs and these
    click.echo(f"trained for {epochs} in {seconds:.1f} s", nl=False)
    click.echo(f"; stopped early: {history.stopped}" if history.stopped else "")
    meaning, arrays = contents(model, include_optimizer=False)
    meaning["table"] = task.encoder.config()
    write_container(options.output, "model", meaning, arrays)
    click.echo(_judgement(model, task.encoder, train, test))
    click.echo(f"saved  {options.output}")
    plot = options.plot or str(Path(options.output).with_suffix(".png"))
    if _can_plot():
        history.plot(file=plot)
        click.echo(f"curves {plot}")
    else:
        click.echo('curves need matplotlib: pip install "chainrule[plot]"')
    named = f'"{options.output}"' if " " in options.output else options.output
    click.echo(f"\nnext   chainrule predict {named} NEW_ROWS.csv")


def _can_plot() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def _check_places(options: Options) -> None:
    """Refuse a place that can't be written to before the work is done, not after."""
    if options.plot and not _can_plot():
        raise ArgumentError(
            "drawing needs matplotlib, which is not installed",
            fix='pip install "chainrule[plot]"',
        )
    plot = options.plot or str(Path(options.output).with_suffix(".png"))
    check_picture(plot)
    if Path(options.output) == Path(plot):
        raise ArgumentError(
            "the model and the picture of its curves would be one file",
            {"file": options.output},
            "-o model.safetensors",
        )
    for place in (options.output, plot):
        folder = Path(place).parent
        if Path(place).is_dir() or not os.access(folder, os.W_OK):
            problem = "is a folder" if Path(place).is_dir() else "can't be written"
            if not folder.is_dir():
                problem = "is in a folder that isn't there"
            raise StorageError(f"{place!r} {problem}", fix="choose another place with -o or --plot")


def _file(file: str, options: Options) -> Task:
    if file.endswith(".npz"):
        return _arrays(file, options)
    columns = read_table(file, encoding=options.encoding)
    for name in options.without:
        known_column(columns, name)
        columns.pop(name, None)
    target = options.target or next(reversed(columns), "")
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
    return Task(parts, encoder, name, (*getattr(columns, "notes", ()), *encoder.notes))


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
    total = sum(map(len, encoder.categories.values()))
    counts = {
        _counted(len(encoder.numbers) - len(encoder.dates), "number", "numbers"): encoder.numbers,
        _counted(len(encoder.dates), "date", "dates"): encoder.dates,
        f"{_counted(len(encoder.categories), 'category', 'categories')} ({total} values)": total,
    }
    kinds = [text for text, there in counts.items() if there and not text.startswith("0")]
    inputs = _counted(train[0].shape[1], "input", "inputs")
    click.echo(f"data   {task.name}: {' and '.join(kinds)} → {inputs}")
    for note in task.notes:
        click.echo(f"       {note}")
    if encoder.classes is not None:
        named = ", ".join(encoder.classes[:8]) + ", …" * (len(encoder.classes) > 8)
        click.echo(f"target {encoder.target}: {len(encoder.classes)} classes ({named})")
    else:
        mean, spread = encoder.scale
        click.echo(f"target {encoder.target}: a number, mean {mean:.4g}, spread {spread:.4g}")
    learned, chosen, judged = (len(part[1]) for part in (train, validation, test))
    click.echo(f"rows   {learned} to train on, {chosen} to choose by, {judged} to judge by\n")


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _network(encoder: Encoder, options: Options) -> Sequential:
    classes = encoder.classes
    layers = [Dense(units, activation=options.activation) for units in options.hidden]
    model = Sequential([*layers, Dense(1 if classes is None else len(classes))])
    rate = {"learning_rate": options.learning_rate}
    optimizer = get("optimizer", {"class_name": options.optimizer, "config": rate})
    if classes is None:
        model.compile(optimizer, MeanSquaredError())
    else:
        model.compile(
            optimizer, SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
        )
    return model


def _judgement(model: Any, encoder: Encoder, train: Any, test: Any) -> str:
    """How good the answers are on rows that nothing was learned from, beside the plainest guess."""
    if not len(test[1]):
        return "test   no rows were kept to judge by (--test 0)"
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
@click.option(
    "--without", metavar="COLUMN", multiple=True, help="Leave a column out; may be said again."
)
@click.option("--encoding", help="Of a text file: cp1252, latin-1, …; UTF-8 if not given.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("-o", "--output", metavar="FILE", default="model.safetensors", show_default=True)
@click.option("--plot", metavar="FILE", help="Where to save the curves; beside the model.")
@click.option("--quiet", is_flag=True, help="No progress.")
def train(file: str, hidden: str, quiet: bool, **options: Any) -> None:
    """Train a network on FILE and save it.

    FILE is a table with a header (CSV of any separator, or Parquet), an .npz file with arrays x and
    y, or the word digits. A part of the rows is set aside first and used for nothing but the last
    judgement; numbers are standardised and categories taken from the training part alone.

    \b
    chainrule train flowers.csv --target species
    chainrule train digits --hidden 30 --batch-size 1 --epochs 5
    """
    units = tuple(hidden_units(hidden))
    run_train(file, Options(hidden=units, verbose=not quiet, **options))
