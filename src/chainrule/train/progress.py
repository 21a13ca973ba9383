"""What is seen of a training: a bar on a terminal, a plain line per epoch elsewhere."""

from __future__ import annotations

import importlib
import sys
import time
from typing import Any

from chainrule.base.errors import ArgumentError

_WIDTH = 24
_BESIDE = _WIDTH + 12  # characters of the bar, the time left and what is between the columns


class Progress:
    """Shows nothing; the base of those that do."""

    watched = False  # whether `advance` is worth calling
    shown = False

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def begin(self, epoch: int) -> None:
        """An epoch begins."""

    def advance(self, step: int, numbers: dict[str, Any]) -> None:
        """So many steps of the epoch are done, with these numbers so far."""

    def end(self, epoch: int, logs: dict[str, Any]) -> None:
        """An epoch has ended."""

    def say(self, text: str) -> None:
        """Something worth a line."""


class Lines(Progress):
    """A plain line per epoch, for files, pipes and notebooks' logs."""

    shown = True

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def end(self, epoch: int, logs: dict[str, Any]) -> None:
        self.say(f"{self.title(epoch)}  {numbers_text(logs)}  {logs['seconds']:.2f} s")

    def title(self, epoch: int) -> str:
        """Which epoch, of how many."""
        digits = len(str(self.epochs))
        return f"epoch {epoch + 1:>{digits}}/{self.epochs}"

    def say(self, text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


class Bar(Lines):
    """A bar with the steps, the numbers so far, the rate and the time left."""

    watched = True

    def __init__(self, epochs: int, steps: int | None) -> None:
        super().__init__(epochs)
        self.steps = steps
        self.bar: Any = None
        self.task: Any = None
        self.told = False  # whether a step is done
        self.said = ""  # what every line of the bar says at least
        self.began: tuple[int, float] | None = None  # a step and its time, to reckon rates from

    def __enter__(self) -> Progress:
        rich = importlib.import_module("rich.progress")
        self.bar = rich.Progress(
            rich.TextColumn("{task.description}"),
            rich.BarColumn(bar_width=_WIDTH),
            rich.MofNCompleteColumn(),
            rich.TextColumn("{task.fields[rate]}"),
            rich.TimeRemainingColumn(compact=True),
            rich.TextColumn("{task.fields[numbers]}"),
            transient=True,
        )
        self.bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.bar.stop()

    def begin(self, epoch: int) -> None:
        self.began = None
        if self.task is not None:
            self.bar.remove_task(self.task)
        self.said = f"{self.title(epoch)} {self.steps}/{self.steps}"
        rate = "" if self.told else "compiling …"  # which, of a large network, takes a while
        self.task = self.bar.add_task(self.title(epoch), total=self.steps, rate=rate, numbers="")

    def advance(self, step: int, numbers: dict[str, Any]) -> None:
        self.told = True
        now = time.perf_counter()
        unit = ""
        if self.began is None:
            self.began = (step, now)  # what came before was compiling
        elif step > self.began[0]:
            rate = (step - self.began[0]) / max(now - self.began[1], 1e-9)
            unit = f"{rate:,.0f} steps/s" if rate >= 10 else f"{1 / rate:.2f} s/step"
        text = numbers_text(numbers)
        room = self.bar.console.width - len(self.said) - len(unit) - _BESIDE
        if len(text) > room:  # else the columns before it would be cut
            text = text[: max(room - 1, 0)] + "…"
        self.bar.update(self.task, completed=step, rate=unit, numbers=text)

    def say(self, text: str) -> None:
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)


def progress_for(verbose: Any, epochs: int, steps: int | None) -> Progress:
    """What `verbose=` means: "auto" and 1 a bar on a terminal and lines elsewhere, 2 lines, 0 none.

    Raises:
        ArgumentError: anything else.
    """
    if verbose not in ("auto", 0, 1, 2):
        raise ArgumentError(
            'verbose is "auto", 0 (nothing), 1 (a bar) or 2 (a line per epoch)',
            {"verbose": repr(verbose)},
        )
    if verbose in (0, False):
        return Progress()
    if verbose != 2 and importlib.import_module("rich.console").Console().is_terminal:
        return Bar(epochs, steps)
    return Lines(epochs)


def numbers_text(logs: dict[str, Any]) -> str:
    """Losses and metrics in one line; rates and times aren't among them."""
    return "  ".join(
        f"{name} {value:.4f}" if 1e-3 <= abs(value) < 1e4 or value == 0 else f"{name} {value:.3e}"
        for name, value in logs.items()
        if isinstance(value, (int, float)) and name not in ("seconds", "learning_rate")
    )
