"""`chainrule demo`: the ways to differentiate side by side, then one of them put to work."""

from __future__ import annotations

import importlib
import inspect
import time
from typing import Any, NamedTuple

import click
import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.cli import digits
from chainrule.transform.compare import compare

HIDDEN = 30


def y(x, z):
    return np.exp(x * z) + x * z / np.log(x) + np.sin(np.log(x)) / (x * z)


def by_hand(x, z):
    a, b = x * z, np.log(x)
    slope = np.exp(a) + 1 / b - np.sin(b) / a**2  # ∂y/∂a, with a = xz
    other = np.cos(b) / a - a / b**2  # ∂y/∂b, with b = ln x
    return slope * z + other / x, slope * x


class Images(NamedTuple):
    """Handwritten digits: 64 grey values from 0 to 1 each, and the number that is meant."""

    train: np.ndarray
    train_digits: np.ndarray
    test: np.ndarray
    test_digits: np.ndarray


def run_demo(epochs: int, seed: int) -> None:
    """All of it, printed."""
    began = time.perf_counter()
    show_comparison()
    accuracy, images = show_training(epochs, seed)
    seconds = time.perf_counter() - began
    correct = round(accuracy * len(images.test))
    click.echo(
        f"\n{correct} of {len(images.test)} digits that it had never seen are read correctly"
        f" ({accuracy:.1%}); all of this took {seconds:.0f} s.\n"
    )
    click.echo(NEXT)


NEXT = """Try next
  chainrule diff "log(a*b)" --at a=2,b=3      the same table for your own expression
  chainrule demo --epochs 3 --seed 7          a shorter training from another start
  import chainrule as cr; cr.grad(f)(x)       in your own code: f is plain NumPy
  docs/getting-started.md                     the tour
"""


def heading(text: str) -> None:
    click.secho(f"\n{text}", bold=True)
    click.echo("─" * len(text))


def show_comparison() -> None:
    heading("1. One function, five ways to its derivative")
    click.echo(source_of(y, by_hand))
    click.echo("cr.compare(y, 2.0, 3.0, manual=by_hand)\n")
    click.echo(str(compare(y, 2.0, 3.0, manual=by_hand)))


def source_of(*functions: Any) -> str:
    """The text of the functions that run here, indented."""
    texts = [inspect.getsource(function).rstrip() for function in functions]
    lines = "\n\n".join(texts).splitlines()
    return "\n".join(f"    {line}".rstrip() for line in lines) + "\n"


def show_training(epochs: int, seed: int) -> tuple[float, Images]:
    heading("2. A network learns to read digits")
    images = load_images(seed)
    click.echo(
        f"{len(images.train)} images of 8×8 pixels to learn from, {len(images.test)} held out.\n"
        f"64 pixels → {HIDDEN} sigmoids → 10 scores, trained one image at a time, by this code:\n"
    )
    click.echo("    import numpy as np\n    from chainrule import grad\n")
    click.echo(source_of(digits.loss, digits.train))
    return train(images, epochs, seed), images


def load_images(seed: int) -> Images:
    """scikit-learn's digits, shuffled, a fifth of them held out."""
    try:
        datasets = importlib.import_module("sklearn.datasets")
    except ImportError:
        raise ArgumentError(
            "the demo's digits come with scikit-learn, which is not installed",
            {"needed": "scikit-learn, an extra of this package"},
            "pip install scikit-learn",
            where="chainrule demo",
        ) from None
    bunch = datasets.load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.data))
    pixels, numbers = bunch.data[order] / 16, bunch.target[order]
    held = len(pixels) // 5
    return Images(pixels[held:], numbers[held:], pixels[:held], numbers[:held])


def first_network(rng: np.random.Generator) -> list[np.ndarray]:
    """Small random weights, no biases."""
    return [
        rng.normal(0, 64**-0.5, (HIDDEN, 64)),
        np.zeros(HIDDEN),
        rng.normal(0, HIDDEN**-0.5, (10, HIDDEN)),
        np.zeros(10),
    ]


def train(images: Images, epochs: int, seed: int) -> float:
    """Train with progress on the screen; the accuracy on the held-out images."""
    rng = np.random.default_rng(seed + 1)
    network = first_network(rng)
    accuracy = score(network, images)
    with Progress(len(images.train)) as progress:
        for epoch in range(1, epochs + 1):
            progress.begin(f"epoch {epoch:>2} of {epochs}")
            order = rng.permutation(len(images.train))
            steps = digits.train(network, images.train, images.train_digits, order)
            for step in steps:
                network = step
                progress.advance()
            accuracy = score(network, images)
            progress.end(f"{accuracy:.1%} of the held-out digits")
    return accuracy


def score(network: list[np.ndarray], images: Images) -> float:
    """The part of the held-out images that is read correctly."""
    return float(np.mean(digits.classify(network, images.test) == images.test_digits))


class Progress:
    """A bar per epoch on a terminal; one plain line per epoch elsewhere."""

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.done = 0
        self.bar: Any = None
        self.task: Any = None
        self.label = ""
        self.began = 0.0

    def __enter__(self) -> Progress:
        console = importlib.import_module("rich.console").Console()
        if console.is_terminal:
            rich = importlib.import_module("rich.progress")
            self.bar = rich.Progress(
                rich.TextColumn("{task.description}"),
                rich.BarColumn(bar_width=30),
                rich.TextColumn("{task.fields[note]}"),
                console=console,
            )
            self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def begin(self, label: str) -> None:
        self.label, self.done, self.began = label, 0, time.perf_counter()
        if self.bar is not None:
            self.task = self.bar.add_task(label, total=self.steps, note="")

    def advance(self) -> None:
        self.done += 1
        if self.bar is not None and self.done % 32 == 0:
            rate = self.done / (time.perf_counter() - self.began)
            self.bar.update(self.task, completed=self.done, note=f"{rate:,.0f} images/s")

    def end(self, note: str) -> None:
        note = f"{note}, {time.perf_counter() - self.began:.1f} s"
        if self.bar is not None:
            self.bar.update(self.task, completed=self.steps, note=note)
        else:
            click.echo(f"{self.label}: {note}")


@click.command()
@click.option(
    "--epochs",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="How often each image is used.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Decides the split, the first weights and the order of the images.",
)
def demo(epochs: int, seed: int) -> None:
    """Compare the methods, then train a network on handwritten digits.

    Needs scikit-learn for the digits: pip install scikit-learn.
    """
    run_demo(epochs, seed)
