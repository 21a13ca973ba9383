"""Random NumPy programs, compiled: value and gradient against the NumPy engine.

CHAINRULE_FUZZ=1000 runs that many instead of a few.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.ir.program import Program
from chainrule.tracing.stage import evaluate, trace_program

engine = pytest.importorskip("chainrule.run.engine")
if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

compile_module = pytest.importorskip("chainrule.run.compile")

_path = Path(__file__).parents[1] / "fuzz" / "programs.py"
_spec = importlib.util.spec_from_file_location("random_programs", _path)
_programs: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_programs)

COUNT = int(os.environ.get("CHAINRULE_FUZZ") or 60)
NAMES = [name for name in _programs.OPERATIONS if name != "nested"]


def drawn(seed: int) -> tuple[list[Any], list[Any]]:
    """A program's steps, and arrays to run it on."""
    rng = np.random.default_rng(seed)
    names = [*NAMES, "nested"] if seed % 5 == 0 else NAMES
    steps = [
        (names[rng.integers(len(names))], *map(int, rng.integers((10, 10, 1000, 30))))
        for _ in range(rng.integers(1, 9))
    ]
    shapes = [_programs.SHAPES[k] for k in rng.integers(0, len(_programs.SHAPES), seed % 2 + 1)]
    dtypes = ("f8", "f4") if seed % 3 == 0 else ("f8",)
    arrays = [
        np.asarray(_programs.constant(shape, int(rng.integers(99)), rng.choice(dtypes)))[()]
        for shape in shapes
    ]
    return steps, arrays


def moved(arrays: list[Any], rng: np.random.Generator) -> list[Any]:
    """The same arrays with every entry a unit in the last place up or down."""
    signs = [np.where(rng.random(np.shape(a)) < 0.5, -np.inf, np.inf) for a in arrays]
    pairs = zip(arrays, signs, strict=True)
    return [np.nextafter(a, s.astype(a.dtype))[()] for a, s in pairs]


def compare(program: Program, arrays: list[Any], rng: np.random.Generator) -> None:
    """Within some rounding errors, and what rounding the arguments otherwise may do."""
    wanted = evaluate(program, *arrays)
    executable = compile_module.NativeExecutable(program)
    found = executable(arrays, [array for _, array in program.captured])
    nearby = [evaluate(program, *moved(arrays, rng)) for _ in range(3)]
    single = any(np.asarray(a).dtype == np.float32 for a in (*arrays, *wanted))
    eps = np.finfo(np.float32 if single else np.float64).eps
    for k, (one, other) in enumerate(zip(found, wanted, strict=True)):
        assert np.shape(one) == np.shape(other)
        assert np.asarray(one).dtype == np.asarray(other).dtype
        a, b = np.asarray(one, float), np.asarray(other, float)
        near = [np.asarray(values[k], float) for values in nearby]
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b))
        spread = max((np.max(np.abs(n - b), initial=0.0) for n in near), default=0.0)
        if not np.isfinite(spread) or not np.all(np.isfinite(b)):
            continue
        bound = 4096 * eps * (1 + np.max(np.abs(b), initial=0.0)) + 64 * spread
        np.testing.assert_allclose(a, b, rtol=0, atol=bound)


@pytest.mark.parametrize("seed", range(COUNT))
def test_compiled_as_numpy_does_it(seed: int) -> None:
    steps, arrays = drawn(seed)
    rng = np.random.default_rng(seed)
    with np.errstate(all="ignore"):
        values = trace_program(_programs.last(steps), *arrays, values=True)
        compare(values, arrays, rng)
        argnums = tuple(range(len(arrays)))
        gradient = cr.grad(_programs.function(steps), argnums=argnums)
        compare(trace_program(gradient, *arrays, values=True), arrays, rng)
