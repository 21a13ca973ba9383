"""W8: what `import` costs: time and memory, each in a fresh process, in turn."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.effort import QUICK
from benchmarks.measure import Row, summary
from benchmarks.report import table

TITLE = "W8 · time and peak memory of an import, fresh processes"
LIBRARIES = {
    "numpy": ("limit", "numpy"),
    "chainrule": ("ours", "chainrule"),
    "autograd": ("peer", "autograd, autograd.numpy"),
    "torch": ("peer", "torch"),
    "jax": ("peer", "jax, jax.numpy"),
    "casadi": ("peer", "casadi"),
    "sympy": ("peer", "sympy"),
}
PROBE = """
import sys, time
began = time.perf_counter()
import {modules}
seconds = time.perf_counter() - began
try:
    # Not ru_maxrss, which on Linux begins at the size of the process that started this one.
    with open("/proc/self/status") as lines:
        peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
except OSError:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
print(seconds, peak)
"""


def measure(rounds: int) -> tuple[list[Row], list[str]]:
    """Rows with seconds and MB; libraries that are not installed are named apart."""
    with tempfile.TemporaryDirectory(prefix="chainrule-bench-") as byte_code:
        return measure_with(rounds, byte_code)


def measure_with(rounds: int, byte_code: str) -> tuple[list[Row], list[str]]:
    found: dict[str, list[tuple[float, float]]] = {}
    absent = []
    for name, (_, modules) in LIBRARIES.items():
        # The first import also fills the disk cache and writes byte code; it does not count.
        if probe(modules, byte_code) is None:
            absent.append(f"{name}: not installed")
        else:
            found[name] = []
    for _ in range(rounds):
        for name, samples in found.items():
            sample = probe(LIBRARIES[name][1], byte_code)
            assert sample is not None
            samples.append(sample)
    rows = [
        summary(
            name,
            LIBRARIES[name][0],
            [seconds for seconds, _ in samples],
            statistics.median(memory for _, memory in samples),
        )
        for name, samples in found.items()
    ]
    return rows, absent


def probe(modules: str, byte_code: str) -> tuple[float, float] | None:
    source = str(Path(__file__).parents[1] / "src")
    # Byte code is cached, as for any installed package, whatever this machine's settings are.
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(modules=modules)],
        env=env | {"PYTHONPATH": source, "PYTHONPYCACHEPREFIX": byte_code},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        if "ModuleNotFoundError" in done.stderr:
            return None
        raise RuntimeError(f"import {modules} fails\n{done.stderr}")
    seconds, memory = done.stdout.split()
    return float(seconds), float(memory)


def tables() -> list[str]:
    return [table(TITLE, *measure(3 if QUICK else 21))]
