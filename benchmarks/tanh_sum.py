"""W10: the gradient of Σ tanh(x)·x + exp(−x), 10 numbers: the cost of a call, nothing else."""

from __future__ import annotations

import numpy as np

from benchmarks import c
from benchmarks.effort import rounds
from benchmarks.measure import Contestant, compete
from benchmarks.peers import torch_compile, torch_ready
from benchmarks.report import table
from benchmarks.workloads import tanh_and_exponential

CALL_TITLE = "Array call · gradient of np.sum(np.tanh(x) * x + np.exp(-x)), 10 elements, compiled"
TITLE = "W10 · gradient of np.sum(np.tanh(x) * x + np.exp(-x)), 10 elements, float64"


def problem():
    return np.random.default_rng(0).uniform(-1, 1, 10)


def reference(x):
    return (np.tanh(x) + x / np.cosh(x) ** 2 - np.exp(-x),)


def only(found):
    return (found,)


def ours(x):
    import chainrule as cr

    gradient = cr.grad(lambda x: np.sum(np.tanh(x) * x + np.exp(-x)))
    return lambda: gradient(x), lambda g: (g,)


def ours_compiled(x, given):
    import chainrule as cr

    gradient = cr.jit(cr.grad(tanh_and_exponential))
    if not given:
        return lambda: gradient(x), only
    out = np.zeros_like(x)
    return lambda: gradient(x, out=out), only


def in_c(x):
    function = c.function("ten", "ten", [c.POINTER, c.POINTER, c.LONG])
    out = np.zeros_like(x)
    given, found, size = c.address(x), c.address(out), x.size

    def run():
        function(given, found, size)
        return out

    run.keep = x
    return run, only


def with_torch_compile(x):
    torch = torch_ready()
    gradient = torch_compile(torch.func.grad(lambda x: tanh_and_exponential(x, torch)))
    tensor = torch.tensor(x)

    def run():
        with torch.no_grad():
            return gradient(tensor)

    return run, lambda g: (g.numpy(),)


def by_hand(x):
    def run():
        t = np.tanh(x)
        return t + (1 - t * t) * x - np.exp(-x)

    return run, lambda g: (g,)


def with_autograd(x):
    import autograd
    import autograd.numpy as anp

    gradient = autograd.grad(lambda x: anp.sum(anp.tanh(x) * x + anp.exp(-x)))
    return lambda: gradient(x), lambda g: (g,)


def with_torch(x):
    import torch

    torch.set_num_threads(1)
    leaf = torch.tensor(x, requires_grad=True)

    def run():
        value = torch.sum(torch.tanh(leaf) * leaf + torch.exp(-leaf))
        return torch.autograd.grad(value, leaf)[0]

    return run, lambda g: (g.numpy(),)


def with_jax(x, compiled):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    gradient = jax.grad(lambda x: jnp.sum(jnp.tanh(x) * x + jnp.exp(-x)))
    gradient = jax.jit(gradient) if compiled else gradient
    array = jnp.asarray(x)
    # JAX returns before the work is done.
    return lambda: jax.block_until_ready(gradient(array)), lambda g: (g,)


def with_casadi(x):
    import casadi

    symbol = casadi.SX.sym("x", x.size)
    value = casadi.sum1(casadi.tanh(symbol) * symbol + casadi.exp(-symbol))
    gradient = casadi.Function("g", [symbol], [casadi.gradient(value, symbol)])
    buffer, evaluate = gradient.buffer()
    result = np.zeros(x.size)
    buffer.set_arg(0, memoryview(x))
    buffer.set_res(0, memoryview(result))

    def run():
        evaluate()
        return result

    run.keep = gradient, buffer
    return run, lambda g: (g,)


def with_sympy(x):
    import sympy

    symbols = sympy.symbols(f"x:{x.size}")
    value = sum(sympy.tanh(s) * s + sympy.exp(-s) for s in symbols)
    slopes = [sympy.diff(value, s) for s in symbols]
    gradient = sympy.lambdify(symbols, slopes, modules="math", cse=True)
    numbers = x.tolist()
    return lambda: gradient(*numbers), lambda g: (np.array(g),)


CONTESTANTS = (
    Contestant("NumPy by hand", by_hand, "limit"),
    Contestant("chainrule", ours, "ours"),
    Contestant("autograd", with_autograd),
    Contestant("torch, eager", with_torch),
    Contestant("jax, no jit", lambda x: with_jax(x, compiled=False)),
    Contestant("jax, jit", lambda x: with_jax(x, compiled=True)),
    Contestant("casadi, bound buffers", with_casadi),
    Contestant("sympy, lambdify", with_sympy),
)
COMPILED = (
    Contestant("C, called by ctypes", in_c, "limit"),
    Contestant("chainrule, jit", lambda x: ours_compiled(x, given=False), "ours"),
    Contestant("chainrule, jit, out=", lambda x: ours_compiled(x, given=True), "ours"),
    Contestant("jax, jit", lambda x: with_jax(x, compiled=True)),
    Contestant("torch.compile", with_torch_compile),
    Contestant("casadi, bound buffers", with_casadi),
    Contestant("sympy, lambdify", with_sympy),
)


def tables():
    x = problem()
    measured = compete(CONTESTANTS, x, reference(x), *rounds(25, 0.05))
    return [table(TITLE, *measured)]


def compiled_tables():
    x = problem()
    measured = compete(COMPILED, x, reference(x), *rounds(25, 0.05))
    return [table(CALL_TITLE, *measured)]
