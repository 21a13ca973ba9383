"""Timing: everybody in turn, round after round, so that a slow minute is slow for all."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Run = Callable[[], Any]


@dataclass(frozen=True)
class FromStart:
    """A run with a state of its own: every call begins as the first did; only `run` is timed."""

    reset: Callable[[], None]
    run: Run

    def __call__(self) -> Any:
        self.reset()
        return self.run()


@dataclass(frozen=True)
class Contestant:
    """One way to do a workload.

    `prepare(problem)` returns `(run, read)`: what is timed, and what turns its result into
    NumPy arrays to check (None where there is no result, as for memory traffic alone). It raises
    ImportError where a library is not installed.
    """

    name: str
    prepare: Callable[[Any], tuple[Run, Callable[[Any], tuple[Any, ...]] | None]]
    # "ours" has a column of ratios; "also ours" has none; or "peer", or "limit"
    role: str = "peer"


@dataclass(frozen=True)
class Row:
    """One line of a table: the median, and by how much the rounds varied."""

    name: str
    role: str
    median: float
    spread: float  # half the interquartile range, as a part of the median
    memory: float | None = None


# OpenMP's threads spin for 0.2 s after their work, on a core that the next in turn needs.
_SETTLE = 0.25


def keep_to_cores(count: int) -> None:
    """Keep this process on so many cores, so that nobody gains by more threads than that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def compete(
    contestants: Sequence[Contestant],
    problem: Any,
    reference: tuple[Any, ...],
    rounds: int,
    seconds: float,
    tolerance: float = 1e-9,
    parts: int = 1,
) -> tuple[list[Row], list[str]]:
    """Check everybody's result against the reference, then time them in turn.

    Args:
        contestants: who takes part.
        problem: what each of them is prepared with.
        reference: the results, of higher precision than the contestants' if that is float32.
        rounds: how often each has its turn.
        seconds: how long a turn is.
        tolerance: how far a result may be off, relative and absolute.
        parts: what is timed does the work so many times; the rows say the time of one.

    Returns:
        The rows, and one line about each contestant that could not take part.
    """
    runs, absent = [], []
    for contestant in contestants:
        try:
            run, read = contestant.prepare(problem)
            found = run()  # the first time: what has a state of its own is still where it began
        except Exception as error:
            # A peer that can't do it has no row, and the table says why; ours has to do it.
            missing = isinstance(error, ImportError) and contestant.role == "limit"
            if contestant.role != "peer" and not missing:
                raise
            absent.append(f"{contestant.name}: {reason(error)}")
            continue
        if read is not None:
            check(contestant.name, read(found), reference, tolerance)
        runs.append((contestant, run, calls_in(run, seconds)))
    times: dict[str, list[float]] = {contestant.name: [] for contestant, _, _ in runs}
    for number in range(rounds):
        # The order turns, so that nobody always follows the same neighbour.
        turn = number % len(runs)
        for contestant, run, calls in runs[turn:] + runs[:turn]:
            if cores() > 1:
                time.sleep(_SETTLE)
                run()
            times[contestant.name].append(per_call(run, calls) / parts)
    return [summary(c.name, c.role, times[c.name]) for c, _, _ in runs], absent


def reason(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [""]
    return (
        lines[0][:100]
        if isinstance(error, ImportError)
        else f"{type(error).__name__}: {lines[0][:100]}"
    )


def check(
    name: str, found: tuple[Any, ...], reference: tuple[Any, ...], tolerance: float = 1e-9
) -> None:
    for mine, exact in zip(found, reference, strict=True):
        np.testing.assert_allclose(
            np.asarray(mine, float).ravel(),
            np.ravel(exact),
            rtol=tolerance,
            atol=tolerance,
            err_msg=f"{name} computes something else",
        )


def calls_in(run: Run, seconds: float) -> int:
    """How many calls fill the time, after two to warm up; after one, where one fills it."""
    run()
    took = per_call(run, 1)
    if took < seconds:
        took = per_call(run, 1)
    return max(1, int(seconds / max(took, 1e-7)))


def per_call(run: Run, calls: int) -> float:
    if isinstance(run, FromStart):
        return sum(_once(run) for _ in range(calls)) / calls
    began = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - began) / calls


def _once(run: FromStart) -> float:
    run.reset()
    began = time.perf_counter()
    run.run()
    return time.perf_counter() - began


def summary(name: str, role: str, times: Sequence[float], memory: float | None = None) -> Row:
    median = statistics.median(times)
    low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else (median,) * 3
    return Row(name, role, median, (high - low) / 2 / median, memory)
