"""`python -m benchmarks`, or `./run bench`: measure, print, write benchmarks/RESULTS.md."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.child import WORKLOADS, run
from benchmarks.measure import cores
from benchmarks.report import document

RESULTS = Path(__file__).with_name("RESULTS.md")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("workloads", nargs="*", help=f"of {', '.join(WORKLOADS)}; all if none")
    parser.add_argument("--quick", action="store_true", help="few rounds; nothing is written")
    parser.add_argument("--threads", type=int, help="only with so many threads")
    options = parser.parse_args()
    unknown = set(options.workloads) - set(WORKLOADS)
    if unknown:
        parser.error(f"there is no workload {', '.join(sorted(unknown))}")
    found = []
    for name in options.workloads or WORKLOADS:
        for threads in WORKLOADS[name][2]:
            if threads > cores() or options.threads not in (None, threads):
                continue
            for text in run(name, options.quick, threads):
                print(text, end="\n\n", flush=True)
                found.append(text)
    if not options.quick and not options.workloads and options.threads is None:
        conditions = "everybody kept on as many of them as there are threads"
        RESULTS.write_text(document(found, conditions), encoding="utf-8")
        print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
