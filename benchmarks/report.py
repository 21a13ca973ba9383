"""The tables, as text for the terminal and for RESULTS.md."""

from __future__ import annotations

import datetime
import platform
from collections.abc import Sequence
from importlib import metadata

from benchmarks.measure import Row

LIBRARIES = ("chainrule numpy scipy llvmlite optree autograd torch jax jaxlib casadi sympy").split()


def table(
    title: str, rows: Sequence[Row], absent: Sequence[str], operations: float | None = None
) -> str:
    """Median, spread and ratios; a ratio is ours divided by theirs: below 1, ours is faster.

    Args:
        title: the first line.
        rows: a line each.
        absent: who could not take part, and why.
        operations: the floating-point operations of the work, for a column of speeds.
    """
    ours = [row for row in rows if row.role == "ours"]
    memory = ours[0].memory is not None
    ratios = ["ours / it"] if len(ours) == 1 else [f"{row.name} / it" for row in ours]
    head = ["", "median", "±", *ratios, *(["memory", "ours / it"] if memory else [])]
    head += ["GFLOP/s"] if operations is not None else []
    body = [head]
    for row in rows:
        label = {"limit": f"{row.name} (limit)"}.get(row.role, row.name)
        cells = [label, duration(row.median), f"{row.spread:.0%}", *[ratio(o, row) for o in ours]]
        if row.memory is not None and ours[0].memory is not None:
            share = "" if row is ours[0] else f"{ours[0].memory / row.memory:.2f}"
            cells += [f"{row.memory:.0f} MB", share]
        if operations is not None:
            cells.append(f"{operations / row.median / 1e9:.0f}")
        body.append(cells)
    widths = [max(len(line[k]) for line in body) for k in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in body
    ]
    lines += [f"not here: {'; '.join(absent)}"] if absent else []
    return "\n".join([title, "", *lines])


def ratio(ours: Row, row: Row) -> str:
    if row is ours:
        return ""
    value = ours.median / row.median
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def document(tables: Sequence[str], conditions: str) -> str:
    """All of RESULTS.md."""
    date = datetime.date.today().isoformat()
    blocks = "\n\n".join(f"```text\n{text}\n```" for text in tables)
    return f"""# Results

Measured on {date} by `python -m benchmarks` (`./run bench --peers`): {processor()}, {conditions}.
Versions: {versions()}.

Every result is checked against a float64 reference first. Medians of interleaved rounds; ± is half
the interquartile range. "ours / it" is our time divided by theirs: below 1, ours is faster. The
absolute times of a shared machine move from day to day; the ratios of one run are what counts.

{blocks}
"""


def processor() -> str:
    name, count = platform.processor() or platform.machine(), 0
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    name, count = line.partition(":")[2].strip(), count + 1
    except OSError:
        return name  # not Linux
    return f"{name}, {count} cores"


def versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for library in LIBRARIES:
        try:
            found.append(f"{library} {metadata.version(library)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)
