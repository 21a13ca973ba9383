"""The benchmarks run, and check what everybody computes. How long it takes decides nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def benchmarks(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


@pytest.mark.parametrize("workload", ["W10", "W2", "joins"])
def test_a_workload_runs(workload):
    done = benchmarks("--quick", workload)
    assert done.returncode == 0, done.stderr
    assert "NumPy by hand (limit)" in done.stdout
    assert "\nchainrule " in done.stdout


def test_an_unknown_workload():
    done = benchmarks("W99")
    assert done.returncode == 2
    assert "there is no workload W99" in done.stderr


def test_a_wrong_result_is_found():
    code = (
        "from benchmarks import measure, tanh_sum\n"
        "wrong = measure.Contestant('wrong', lambda x: (lambda: x, lambda g: (g,)))\n"
        "x = tanh_sum.problem()\n"
        "measure.compete([wrong], x, tanh_sum.reference(x), 1, 0.001)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, encoding="utf-8", timeout=60
    )
    assert "wrong computes something else" in done.stderr
