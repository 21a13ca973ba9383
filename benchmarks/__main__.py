"""`python -m benchmarks`, or `./run bench`: measure, print, write benchmarks/RESULTS.md."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

# Before NumPy and the peers are loaded: one thread each.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

from benchmarks import importing, joining, rosenbrock, tanh_sum  # noqa: E402
from benchmarks.measure import compete, one_core  # noqa: E402
from benchmarks.report import document, table  # noqa: E402

RESULTS = Path(__file__).with_name("RESULTS.md")


def run_import(quick: bool) -> list[str]:
    return [table(importing.TITLE, *importing.measure(3 if quick else 21))]


def run_tanh_sum(quick: bool) -> list[str]:
    x = tanh_sum.problem()
    rounds, seconds = (3, 0.01) if quick else (25, 0.05)
    rows, absent = compete(tanh_sum.CONTESTANTS, x, tanh_sum.reference(x), rounds, seconds)
    return [table(tanh_sum.TITLE, rows, absent)]


def run_rosenbrock(quick: bool) -> list[str]:
    tables = []
    for n in rosenbrock.SIZES[:2] if quick else rosenbrock.SIZES:
        x = rosenbrock.problem(n)
        rounds, seconds = (3, 0.01) if quick else (15, 0.05)
        reference = rosenbrock.value_and_slopes(x)
        rows, absent = compete(rosenbrock.CONTESTANTS, x, reference, rounds, seconds)
        tables.append(table(rosenbrock.title(n), rows, absent))
    return tables


def run_joining(quick: bool) -> list[str]:
    x = joining.problem()
    rounds, seconds = (3, 0.01) if quick else (15, 0.05)
    return [
        table(title, *compete(contestants, x, reference(x), rounds, seconds))
        for title, contestants, reference in (
            (joining.ARRAYS_TITLE, joining.ARRAYS, joining.arrays_reference),
            (joining.PIECES_TITLE, joining.PIECES, joining.pieces_reference),
        )
    ]


WORKLOADS: dict[str, Callable[[bool], list[str]]] = {
    "W8": run_import,
    "W10": run_tanh_sum,
    "W2": run_rosenbrock,
    "joins": run_joining,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", help=f"of {', '.join(WORKLOADS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="few rounds; nothing is written")
    options = parser.parse_args()
    unknown = set(options.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"there is no workload {', '.join(sorted(unknown))}")
    conditions = one_core()
    tables = []
    for name in options.workloads or WORKLOADS:
        for text in WORKLOADS[name](options.quick):
            print(text, end="\n\n", flush=True)
            tables.append(text)
    if not options.quick and not options.workloads:
        RESULTS.write_text(document(tables, conditions), encoding="utf-8")
        print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
