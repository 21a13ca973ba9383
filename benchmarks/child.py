"""Every workload is measured in a process of its own, everybody side by side in it."""

from __future__ import annotations

import importlib
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

from benchmarks.effort import environment
from benchmarks.measure import keep_to_cores

# Name → module, the function in it that gives the tables, and with how many threads.
WORKLOADS: dict[str, tuple[str, str, tuple[int, ...]]] = {
    "W8": ("importing", "tables", (1,)),
    "W10": ("tanh_sum", "tables", (1,)),
    "call": ("tanh_sum", "compiled_tables", (1,)),
    "W1": ("scalar_call", "tables", (1,)),
    "W2": ("rosenbrock", "tables", (1, 2)),
    "W3": ("sgd", "tables", (1,)),
    "W3fit": ("fitting", "textbook_tables", (1,)),
    "W4": ("momentum", "tables", (1, 2)),
    "W4fit": ("fitting", "minibatch_tables", (1, 2)),
    "W5": ("convolution", "tables", (1, 2)),
    "W6": ("recurrence", "tables", (1, 2)),
    "W7": ("second_order", "tables", (1,)),
    "W9": ("first_call", "tables", (1,)),
    "W11": ("elementwise", "tables", (1, 2)),
    "GMM": ("mixture", "tables", (1,)),
    "LSTM": ("recurrent", "tables", (1,)),
    "joins": ("joining", "tables", (1,)),
    "trees": ("trees", "tables", (1,)),
    "products": ("products", "tables", (1, 2)),
    "calls": ("calls", "tables", (1,)),
    "files": ("files", "tables", (1,)),
    "digits": ("digits", "tables", (1,)),
    "pictures": ("drawing", "tables", (1,)),
}


def run(name: str, quick: bool, threads: int) -> list[str]:
    """A workload's tables."""
    os.environ.update(environment(quick, threads))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(tables, name, threads).result()


def tables(name: str, threads: int) -> list[str]:
    keep_to_cores(threads)
    module, function, _ = WORKLOADS[name]
    found: list[str] = getattr(importlib.import_module(f"benchmarks.{module}"), function)()
    return found
