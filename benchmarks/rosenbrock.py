"""W2: value and gradient of the chained Rosenbrock function, from 10³ to 10⁷ numbers."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.measure import Contestant

SIZES = (1_000, 100_000, 10_000_000)
# Symbolic libraries hold every element as an expression of its own.
SYMBOLIC_LIMIT = 200_000


def title(n):
    return f"W2 · chained Rosenbrock, value and gradient, n = {n:,}, float64, uncompiled"


def problem(n):
    return np.random.default_rng(0).uniform(-1, 1, n)


def value_and_slopes(x):
    d, e = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    slopes = np.zeros_like(x)
    slopes[:-1] = -400 * x[:-1] * d - 2 * e
    slopes[1:] += 200 * d
    return np.sum(100 * d**2 + e**2), slopes


def ours(x):
    import chainrule as cr

    both = cr.value_and_grad(lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))
    return lambda: both(x), tuple


def by_hand(x):
    return lambda: value_and_slopes(x), tuple


def with_autograd(x):
    import autograd
    import autograd.numpy as anp

    both = autograd.value_and_grad(
        lambda x: anp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)
    )
    return lambda: both(x), tuple


def with_torch(x):
    import torch

    torch.set_num_threads(1)
    leaf = torch.tensor(x, requires_grad=True)

    def run():
        value = (100 * (leaf[1:] - leaf[:-1] ** 2) ** 2 + (1 - leaf[:-1]) ** 2).sum()
        return value.detach(), torch.autograd.grad(value, leaf)[0]

    return run, lambda pair: tuple(part.numpy() for part in pair)


def with_jax(x):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    both = jax.jit(
        jax.value_and_grad(lambda x: jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))
    )
    array = jnp.asarray(x)
    return lambda: jax.block_until_ready(both(array)), tuple


def with_casadi(x):
    if x.size > SYMBOLIC_LIMIT:
        raise ImportError(f"not above n = {SYMBOLIC_LIMIT:,}")
    import casadi

    symbol = casadi.MX.sym("x", x.size)
    head, tail = symbol[:-1], symbol[1:]
    value = casadi.sum1(100 * (tail - head**2) ** 2 + (1 - head) ** 2)
    both = casadi.Function("g", [symbol], [value, casadi.gradient(value, symbol)])
    buffer, evaluate = both.buffer()
    total, slopes = np.zeros(1), np.zeros(x.size)
    buffer.set_arg(0, memoryview(x))
    buffer.set_res(0, memoryview(total))
    buffer.set_res(1, memoryview(slopes))

    def run():
        evaluate()
        return total, slopes

    run.keep = both, buffer
    return run, tuple


SOURCE = """
double rosenbrock(const double *x, double *g, long n) {
    double s = 0;
    for (long i = 0; i < n - 1; i++) {
        double d = x[i+1] - x[i]*x[i], e = 1 - x[i];
        double p = i ? x[i] - x[i-1]*x[i-1] : 0;
        s += 100*d*d + e*e;
        g[i] = 200*p - 400*x[i]*d - 2*e;
    }
    g[n-1] = 200*(x[n-1] - x[n-2]*x[n-2]);
    return s;
}
"""


def in_c(x):
    """One pass over memory, into a given array: what a compiler could reach."""
    compiler = shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise ImportError("no C compiler found")
    folder = Path(tempfile.mkdtemp(prefix="chainrule-bench-"))
    (folder / "rosenbrock.c").write_text(SOURCE)
    options = ["-O3", "-march=native", "-ffast-math", "-shared", "-fPIC"]
    subprocess.run(
        [compiler, *options, "rosenbrock.c", "-o", "rosenbrock.so"], cwd=folder, check=True
    )
    function = ctypes.CDLL(str(folder / "rosenbrock.so")).rosenbrock
    shutil.rmtree(folder)
    function.restype = ctypes.c_double
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long]
    slopes = np.zeros(x.size)
    inputs, outputs = x.ctypes.data, slopes.ctypes.data
    return lambda: (function(inputs, outputs, x.size), slopes), tuple


CONTESTANTS = (
    Contestant("C, one fused loop", in_c, "limit"),
    Contestant("NumPy by hand", by_hand, "limit"),
    Contestant("chainrule", ours, "ours"),
    Contestant("autograd", with_autograd),
    Contestant("torch, eager", with_torch),
    Contestant("jax, jit", with_jax),
    Contestant("casadi, bound buffers", with_casadi),
)
