"""Matrix products of several shapes: ours, and BLAS through SciPy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.effort import QUICK, THREADS, rounds
from benchmarks.measure import Contestant, compete
from benchmarks.report import table

CUBES = tuple((n, n, n) for n in (256, 512, 1024, 2048))
SHAPES = (*CUBES, (32, 784, 256), (512, 784, 256), (128, 1024, 1024), (2048, 2048, 16))


@dataclass
class Problem:
    """`left` times `right`."""

    left: np.ndarray
    right: np.ndarray


def title(shape, dtype):
    rows, inner, columns = shape
    return (
        f"products · ({rows} × {inner}) times ({inner} × {columns}), {np.dtype(dtype)}, "
        f"threads: {THREADS}"
    )


def problem(shape, dtype):
    random = np.random.default_rng(0)
    rows, inner, columns = shape
    pair = random.standard_normal((rows, inner)), random.standard_normal((inner, columns))
    return Problem(*(part.astype(dtype) for part in pair))


def only(found):
    return (found,)


def result(problem):
    return np.zeros((len(problem.left), problem.right.shape[1]), problem.left.dtype)


def ours(problem):
    import chainrule as cr

    compiled, out = cr.jit(np.matmul), result(problem)
    return lambda: compiled(problem.left, problem.right, out=out), only


def with_scipy(problem):
    from scipy.linalg import blas

    out = result(problem)
    gemm = blas.sgemm if out.dtype == np.float32 else blas.dgemm

    def run():
        # Rows of ours are BLAS's columns.
        gemm(1.0, problem.right.T, problem.left.T, c=out.T, overwrite_c=True)
        return out

    return run, only


def in_numpy(problem):
    out = result(problem)
    return lambda: np.matmul(problem.left, problem.right, out=out), only


CONTESTANTS = (
    Contestant("OpenBLAS by SciPy", with_scipy, "limit"),
    Contestant("chainrule", ours, "ours"),
    Contestant("NumPy", in_numpy),
)


def tables():
    found = []
    for dtype in ("f4", "f8"):
        for shape in SHAPES[:1] if QUICK else SHAPES:
            this = problem(shape, dtype)
            wanted = this.left.astype(float) @ this.right.astype(float)
            tolerance = 1e-3 if dtype == "f4" else 1e-9
            measured = compete(CONTESTANTS, this, (wanted,), *rounds(9, 0.1), tolerance)
            found.append(table(title(shape, dtype), *measured))
    return found
