"""W2: value and gradient of the chained Rosenbrock function, from 10³ to 10⁷ numbers."""

from __future__ import annotations

import ctypes

import numpy as np

from benchmarks import c
from benchmarks.effort import QUICK, THREADS, rounds
from benchmarks.measure import Contestant, compete
from benchmarks.peers import in_jax, jax_with, numpy_of, torch_compile, torch_ready
from benchmarks.report import table
from benchmarks.workloads import rosenbrock

SIZES = (1_000, 100_000, 10_000_000)
# Symbolic libraries hold every element as an expression of its own.
SYMBOLIC_LIMIT = 200_000


def title(n):
    return f"W2 · chained Rosenbrock, value and gradient, n = {n:,}, float64, threads: {THREADS}"


def problem(n):
    return np.random.default_rng(0).uniform(-1, 1, n)


def value_and_slopes(x):
    d, e = x[1:] - x[:-1] ** 2, 1 - x[:-1]
    slopes = np.zeros_like(x)
    slopes[:-1] = -400 * x[:-1] * d - 2 * e
    slopes[1:] += 200 * d
    return np.sum(100 * d**2 + e**2), slopes


def ours(x, given):
    import chainrule as cr

    both = cr.jit(cr.value_and_grad(rosenbrock))
    if not given:
        return lambda: both(x), tuple
    out = np.zeros(()), np.zeros_like(x)
    return lambda: both(x, out=out), tuple


def ours_uncompiled(x):
    import chainrule as cr

    both = cr.value_and_grad(rosenbrock)
    return lambda: both(x), tuple


def by_hand(x):
    return lambda: value_and_slopes(x), tuple


def with_autograd(x):
    import autograd
    import autograd.numpy as anp

    both = autograd.value_and_grad(lambda x: rosenbrock(x, anp))
    return lambda: both(x), tuple


def with_torch(x):
    torch = torch_ready()
    leaf = torch.tensor(x, requires_grad=True)

    def run():
        value = rosenbrock(leaf, torch)
        return value, *torch.autograd.grad(value, leaf)

    return run, numpy_of


def with_torch_compile(x):
    torch = torch_ready()
    compiled = torch_compile(lambda x: rosenbrock(x, torch))
    leaf = torch.tensor(x, requires_grad=True)

    def run():
        value = compiled(leaf)
        return value, *torch.autograd.grad(value, leaf)

    return run, numpy_of


def with_jax(x):
    jax = jax_with(True)
    return in_jax(jax.value_and_grad(lambda x: rosenbrock(x, jax.numpy)), x), tuple


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


def in_c(x):
    """One sweep over memory, into a given array: what a compiler could reach."""
    both = c.function("rosenbrock", "rosenbrock", [c.POINTER, c.POINTER, c.LONG], ctypes.c_double)
    slopes = np.zeros(x.size)
    inputs, outputs = c.address(x), c.address(slopes)
    return lambda: (both(inputs, outputs, x.size), slopes), tuple


CONTESTANTS = (
    Contestant("C, one sweep, called by ctypes", in_c, "limit"),
    Contestant("NumPy by hand", by_hand, "limit"),
    Contestant("chainrule, out=", lambda x: ours(x, given=True), "ours"),
    Contestant("chainrule", lambda x: ours(x, given=False), "ours"),
    Contestant("chainrule, uncompiled", ours_uncompiled, "also ours"),
    Contestant("autograd", with_autograd),
    Contestant("torch, eager", with_torch),
    Contestant("torch.compile", with_torch_compile),
    Contestant("jax, jit", with_jax),
    Contestant("casadi, bound buffers", with_casadi),
)


def tables():
    found = []
    for n in SIZES[:2] if QUICK else SIZES:
        x = problem(n)
        measured = compete(CONTESTANTS, x, value_and_slopes(x), *rounds(15, 0.05))
        found.append(table(title(n), *measured))
    return found
