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


def code(*lines):
    return subprocess.run(
        [sys.executable, "-c", "\n".join(lines)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "CHAINRULE_BENCH_QUICK": "yes"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


@pytest.mark.parametrize(
    "workload",
    [
        *("W1", "W2", "W3", "W4", "W5", "W6", "W7", "W9", "W10", "W11", "GMM", "LSTM"),
        *("call", "joins", "products", "calls", "trees", "files", "digits"),
    ],
)
def test_a_workload_runs(workload):
    done = benchmarks("--quick", "--threads", "1", workload)
    assert done.returncode == 0, done.stderr
    assert "\nchainrule" in done.stdout


def test_an_unknown_workload():
    done = benchmarks("W99")
    assert done.returncode == 2
    assert "there is no workload W99" in done.stderr


def test_a_wrong_result_is_found():
    done = code(
        "from benchmarks import measure, tanh_sum",
        "wrong = measure.Contestant('wrong', lambda x: (lambda: x, lambda g: (g,)))",
        "x = tanh_sum.problem()",
        "measure.compete([wrong], x, tanh_sum.reference(x), 1, 0.001)",
    )
    assert "wrong computes something else" in done.stderr


def test_nothing_calls_back_into_numpy():
    """What the tables show as compiled is machine code through and through."""
    done = code(
        "import numpy as np, chainrule as cr",
        "from benchmarks import mixture, momentum, recurrent, second_order, sgd, workloads",
        "from chainrule.run.compile import compile_program",
        "x = np.linspace(-1, 1, 10)",
        "d = sgd.problem('W3a')",
        "b = momentum.problem(32)",
        "state = momentum.resting(b)",
        "scanned = lambda *given: workloads.diagonal_lstm(*given, cr.scan)",
        "for f, arguments in (",
        "    (cr.value_and_grad(workloads.product_and_logarithm, (0, 1)), (2.0, 3.0)),",
        "    (cr.value_and_grad(workloads.rosenbrock), (x,)),",
        "    (cr.grad(workloads.tanh_and_exponential), (x,)),",
        "    (cr.grad(lambda x: workloads.unrolled(x, 20)), (x,)),",
        "    (workloads.elementwise, (x, x, x)),",
        "    (lambda *g: sgd.epoch(*g, cr.scan, cr.grad), (d.parameters, d.x, d.labels, d.order)),",
        "    (lambda *g: momentum.step(*g, cr.grad), (state, b.x[0], b.labels[0])),",
        "    (cr.jacobian(workloads.tanh_of_product, 2), second_order.jacobian_problem()),",
        "    (cr.hessian(workloads.logistic_loss, 2), second_order.hessian_problem()),",
        "    (cr.value_and_grad(workloads.mixture, (0, 1, 2, 3)), mixture.problem(2, 5)),",
        "    (cr.value_and_grad(scanned, (0, 1)), recurrent.problem(8)),",
        "):",
        "    program = cr.jit(f).program(*arguments)",
        "    print([equation.primitive.name for equation in compile_program(program).callbacks])",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["[]"] * 11
