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
class Contestant:
    """One way to do a workload.

    `prepare(problem)` returns `(run, read)`: what is timed, and what turns its result into
    NumPy arrays to check. It raises ImportError where a library is not installed.
    """

    name: str
    prepare: Callable[[Any], tuple[Run, Callable[[Any], tuple[Any, ...]]]]
    role: str = "peer"  # "ours", "peer" or "limit"


@dataclass(frozen=True)
class Row:
    """One line of a table: the median, and by how much the rounds varied."""

    name: str
    role: str
    median: float
    spread: float  # half the interquartile range, as a part of the median
    memory: float | None = None


def one_core() -> str:
    """Keep this process on one core, so that nobody gains by threads; says whether it could."""
    if not hasattr(os, "sched_setaffinity"):
        return "threads limited to one by environment variables"
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return "everybody kept on one of them"


def compete(
    contestants: Sequence[Contestant],
    problem: Any,
    reference: tuple[Any, ...],
    rounds: int,
    seconds: float,
) -> tuple[list[Row], list[str]]:
    """Check everybody's result against the reference, then time them in turn.

    Returns:
        The rows, and one line about each contestant that could not take part.
    """
    runs, absent = [], []
    for contestant in contestants:
        try:
            run, read = contestant.prepare(problem)
        except ImportError as error:
            absent.append(f"{contestant.name}: {error}")
            continue
        check(contestant.name, read(run()), reference)
        runs.append((contestant, run, calls_in(run, seconds)))
    times: dict[str, list[float]] = {contestant.name: [] for contestant, _, _ in runs}
    for number in range(rounds):
        # The order turns, so that nobody always follows the same neighbour.
        turn = number % len(runs)
        for contestant, run, calls in runs[turn:] + runs[:turn]:
            times[contestant.name].append(per_call(run, calls))
    return [summary(c.name, c.role, times[c.name]) for c, _, _ in runs], absent


def check(name: str, found: tuple[Any, ...], reference: tuple[Any, ...]) -> None:
    for mine, exact in zip(found, reference, strict=True):
        np.testing.assert_allclose(
            np.asarray(mine, float).ravel(),
            np.ravel(exact),
            rtol=1e-9,
            atol=1e-9,
            err_msg=f"{name} computes something else",
        )


def calls_in(run: Run, seconds: float) -> int:
    """How many calls fill the time, after two to warm up."""
    run()
    run()
    began = time.perf_counter()
    run()
    return max(1, int(seconds / max(time.perf_counter() - began, 1e-7)))


def per_call(run: Run, calls: int) -> float:
    began = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - began) / calls


def summary(name: str, role: str, times: Sequence[float], memory: float | None = None) -> Row:
    median = statistics.median(times)
    low, _, high = statistics.quantiles(times, n=4) if len(times) > 1 else (median,) * 3
    return Row(name, role, median, (high - low) / 2 / median, memory)
