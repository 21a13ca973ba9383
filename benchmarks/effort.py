"""What a run of the benchmarks was asked for; the environment brings it to the child processes."""

from __future__ import annotations

import os

QUICK = bool(os.environ.get("CHAINRULE_BENCH_QUICK"))
# Ours reads it too.
THREADS = int(os.environ.get("CHAINRULE_THREADS") or 1)


def environment(quick: bool, threads: int) -> dict[str, str]:
    """To be set before NumPy and the peers are loaded."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "CHAINRULE_THREADS")
    return {
        **{name: str(threads) for name in names},
        "CHAINRULE_BENCH_QUICK": "yes" if quick else "",
        "JAX_PLATFORMS": "cpu",
        # Threads that wait must not hold the core that the next contestant needs.
        "OMP_WAIT_POLICY": "passive",
    }


def rounds(full: int, seconds: float) -> tuple[int, float]:
    """How many rounds, and how long each contestant works in each of them."""
    return (3, 0.01) if QUICK else (full, seconds)
