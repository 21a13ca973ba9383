"""Pictures: a graph of 2,000 operations whole and folded, and one of 50,000, which folds first.

There is no peer: Graphviz's own `dot` takes minutes for the whole of 2,000 operations.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import chainrule as cr
from benchmarks.effort import QUICK
from benchmarks.measure import Row, summary
from benchmarks.report import table

_TURN = 6  # operations of a turn


def recurrence(count: int) -> Any:
    """The graph of a loop of so many operations, with values and gradients."""

    def f(x, y):
        s = x
        for _ in range(count // _TURN):
            s = np.sin(s) * y + np.cos(s) / (2.0 + y)
        return s

    graph = cr.graph(f, 0.5, 0.3)
    graph.backward()
    return graph


def row(name: str, role: str, draw: Callable[[], str], least: int, rounds: int) -> Row:
    """How long a picture takes that has at least so many nodes."""
    samples = []
    for _ in range(rounds):
        began = time.perf_counter()
        picture = draw()
        samples.append(time.perf_counter() - began)
        nodes = len(re.findall(r'<g[^>]* class="node|<g class="node', picture))
        if nodes < least:
            raise AssertionError(f"{name}: {nodes} nodes are drawn, of {least}")
    return summary(name, role, samples)


def tables() -> list[str]:
    rounds = 3 if QUICK else 7
    graph = recurrence(2_000)
    whole = [
        row("ours", "ours", graph.svg, 1_990, rounds),
        row("ours, folded by loop", "also ours", lambda: graph.fold("loop").svg(), 3, rounds),
    ]
    found = [table("pictures · 2,000 operations with values and gradients, as SVG", whole, [])]
    if not QUICK:
        large = recurrence(50_000)
        folded = [row("ours", "ours", large.svg, 3, rounds)]
        found.append(table("pictures · 50,000 operations, which fold first, as SVG", folded, []))
    return found
