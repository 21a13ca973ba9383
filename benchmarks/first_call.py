"""W9: the first call, cold: tracing and compiling, each in a fresh process, in turn."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.effort import QUICK
from benchmarks.measure import Row, summary
from benchmarks.report import table

ROOT = Path(__file__).parents[1]
EPOCH_TITLE = "W9 · first call of the W3a epoch, fresh processes, after the imports"
LOOP_TITLE = "W9 · first call of the gradient of y = sin(y) * x[i % 8] + y, written out n times"
LENGTHS = (200, 400, 800, 1600)

EPOCH = """
import time
from benchmarks import sgd
problem = sgd.problem("W3a")
{imports}
began = time.perf_counter()
{call}
print(time.perf_counter() - began)
"""
# Ours reads these libraries when it first needs them; the rows begin after the imports.
EPOCHS = {
    "ours": (
        "import llvmlite.binding, optree, chainrule as cr; cr.jit, cr.scan",
        "sgd.ours(problem)[0]()",
    ),
    "jax": (
        "from benchmarks.peers import jax_with; jax_with(False).numpy.zeros(3) + 1",
        "sgd.with_jax(problem)[0]()",
    ),
    "torch.compile": (
        "import torch; torch.zeros(3) + 1",
        "problem.order = problem.order[:1]; sgd.with_torch(problem, compiled=True)[0]()",
    ),
}
LOOP = """
import time
import numpy as np
from benchmarks.workloads import unrolled
x = np.random.default_rng(0).uniform(-1, 1, 8)
{imports}
began = time.perf_counter()
{call}
print(time.perf_counter() - began)
"""
LOOPS = {
    "ours": (
        "import llvmlite.binding, optree, chainrule as cr; cr.jit",
        "cr.jit(cr.grad(lambda x: unrolled(x, {n})))(x)",
    ),
    "jax": (
        "from benchmarks.peers import jax_with; jax = jax_with(True); x = jax.numpy.asarray(x) + 0",
        "jax.block_until_ready(jax.jit(jax.grad(lambda x: unrolled(x, {n}, jax.numpy)))(x))",
    ),
    "torch.compile": (
        "import torch; leaf = torch.tensor(x, requires_grad=True)",
        "torch.compile(lambda x: unrolled(x, {n}, torch))(leaf).backward()",
    ),
}


def seconds(code: str, cache: str) -> float:
    """What a fresh process says its first call took.

    Raises:
        ImportError: a library isn't there.
    """
    paths = os.pathsep.join((str(ROOT), str(ROOT / "src")))
    added = {"PYTHONPATH": paths, "CHAINRULE_CACHE": cache}
    # Peers start without their caches on disk, too.
    added |= {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | added, capture_output=True, text=True
    )
    if done.returncode:
        if "ModuleNotFoundError" in done.stderr:
            raise ImportError(done.stderr.strip().splitlines()[-1])
        raise RuntimeError(f"a first call fails\n{code}\n{done.stderr}")
    return float(done.stdout.split()[-1])


def measured(contestants: list[tuple[str, str, str, int]], warm: dict[str, str]):
    """Rows of (name, role, code, rounds); `warm`: name → the folder of its filled cache."""
    times: dict[str, list[float]] = {}
    absent = {}
    for turn in range(max(most for *_, most in contestants)):
        for name, _, code, most in contestants:
            if turn >= most or name in absent:
                continue
            try:
                times.setdefault(name, []).append(one(code, warm.get(name)))
            except ImportError as error:
                absent[name] = f"{name}: {error}"
    rows: list[Row] = []
    for name, role, _, _ in contestants:
        if name not in absent:
            rows.append(summary(name, role, times[name]))
    return rows, list(absent.values())


def one(code: str, folder: str | None) -> float:
    if folder is not None:
        if not any(Path(folder).rglob("*.*")):
            seconds(code, folder)
        return seconds(code, folder)
    with tempfile.TemporaryDirectory(prefix="chainrule-bench-") as empty:
        return seconds(code, empty)


def tables():
    most = 2 if QUICK else 7
    with tempfile.TemporaryDirectory(prefix="chainrule-bench-") as folder:
        again = "chainrule, second process"
        codes = {name: EPOCH.format(imports=i, call=c) for name, (i, c) in EPOCHS.items()}
        epoch = [
            ("chainrule, nothing cached", "ours", codes["ours"], most),
            (again, "ours", codes["ours"], most),
            ("jax", "peer", codes["jax"], most),
            *([] if QUICK else [("torch.compile, a step", "peer", codes["torch.compile"], 2)]),
        ]
        found = [table(EPOCH_TITLE, *measured(epoch, {again: folder}))]
    with tempfile.TemporaryDirectory(prefix="chainrule-bench-") as folder:
        loops = []
        for n in LENGTHS[:1] if QUICK else LENGTHS:
            code = loop("ours", n)
            role = "ours" if n == LENGTHS[0] else "also ours"
            loops.append((f"chainrule, n = {n}", role, code, most if n < 800 else 3))
        again = f"chainrule, n = {LENGTHS[0]}, second process"
        loops.append((again, "also ours", loop("ours", LENGTHS[0]), most))
        if not QUICK:
            loops += [(f"jax, n = {n}", "peer", loop("jax", n), 1) for n in (50, 100, 200)]
            loops.append(("torch.compile, n = 50", "peer", loop("torch.compile", 50), 1))
        found.append(table(LOOP_TITLE, *measured(loops, {again: folder})))
    return found


def loop(name: str, n: int) -> str:
    imports, call = LOOPS[name]
    return LOOP.format(imports=imports, call=call.format(n=n))
