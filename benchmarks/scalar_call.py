"""W1: a scalar function's value and both partial derivatives: numbers in, numbers out."""

from __future__ import annotations

import numpy as np

from benchmarks import c
from benchmarks.effort import rounds
from benchmarks.measure import Contestant, compete
from benchmarks.peers import jax_with, numpy_of, torch_compile, torch_ready
from benchmarks.report import table
from benchmarks.workloads import product_and_logarithm

TITLE = "W1 · exp(xz) + xz/log(x) + sin(log x)/(xz), value and both partials, Python floats"
POINT = (2.0, 3.0)


def reference(point):
    x, z = map(np.longdouble, point)
    log, product = np.log(x), x * z
    inner = np.exp(product) + 1 / log - np.sin(log) / product**2
    value = np.exp(product) + product / log + np.sin(log) / product
    return value, z * inner + (np.cos(log) / product - product / log**2) / x, x * inner


def flat(result):
    value, slopes = result
    return value, *slopes


def ours(point):
    import chainrule as cr

    both = cr.jit(cr.value_and_grad(product_and_logarithm, (0, 1)))
    return lambda: both(2.0, 3.0), flat


def ours_uncompiled(point):
    import chainrule as cr

    both = cr.value_and_grad(product_and_logarithm, (0, 1))
    return lambda: both(2.0, 3.0), flat


def in_c(point):
    call = c.extension("scalar").call
    return lambda: call(2.0, 3.0), tuple


def with_jax(point, numbers):
    jax = jax_with(True)
    both = jax.jit(jax.value_and_grad(lambda x, z: product_and_logarithm(x, z, jax.numpy), (0, 1)))
    if not numbers:
        x, z = map(jax.numpy.float64, point)
        return lambda: jax.block_until_ready(both(x, z)), flat

    def run():
        value, (by_x, by_z) = both(2.0, 3.0)
        return float(value), float(by_x), float(by_z)

    return run, tuple


def in_torch(torch):
    return lambda x, z: product_and_logarithm(x, z, torch)


def with_torch(point):
    torch = torch_ready()
    f = in_torch(torch)
    x, z = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in point)

    def run():
        value = f(x, z)
        return value, *torch.autograd.grad(value, (x, z))

    return run, numpy_of


def with_torch_compile(point):
    torch = torch_ready()
    both = torch_compile(torch.func.grad_and_value(in_torch(torch), argnums=(0, 1)))
    x, z = (torch.tensor(v, dtype=torch.float64) for v in point)

    def run():
        with torch.no_grad():
            (by_x, by_z), value = both(x, z)
        return value, by_x, by_z

    return run, numpy_of


def casadi_function():
    import casadi

    x, z = casadi.SX.sym("x"), casadi.SX.sym("z")
    value = product_and_logarithm(x, z, casadi)
    slopes = [casadi.gradient(value, x), casadi.gradient(value, z)]
    return casadi.Function("f", [x, z], [value, *slopes])


def with_casadi(point):
    both = casadi_function()
    return lambda: both(2.0, 3.0), lambda found: tuple(float(part) for part in found)


def with_casadi_buffers(point):
    both = casadi_function()
    buffer, evaluate = both.buffer()
    given = [np.array([v]) for v in point]
    found = [np.zeros(1) for _ in range(3)]
    for k, array in enumerate(given):
        buffer.set_arg(k, memoryview(array))
    for k, array in enumerate(found):
        buffer.set_res(k, memoryview(array))

    def run():
        evaluate()
        return found

    run.keep = both, buffer, given
    return run, tuple


def with_sympy(point):
    import sympy

    x, z = sympy.symbols("x z")
    value = product_and_logarithm(x, z, sympy)
    both = sympy.lambdify((x, z), [value, value.diff(x), value.diff(z)], "math", cse=True)
    return lambda: both(2.0, 3.0), tuple


def with_autograd(point):
    import autograd
    import autograd.numpy as anp

    both = autograd.value_and_grad(lambda point: product_and_logarithm(*point, anp))
    return lambda: both(point), flat


CONTESTANTS = (
    Contestant("C extension module", in_c, "limit"),
    Contestant("chainrule, jit", ours, "ours"),
    Contestant("chainrule, uncompiled", ours_uncompiled, "also ours"),
    Contestant("casadi, bound buffers", with_casadi_buffers),
    Contestant("casadi", with_casadi),
    Contestant("sympy, lambdify", with_sympy),
    Contestant("jax, jit, its own scalars", lambda p: with_jax(p, numbers=False)),
    Contestant("jax, jit, Python floats", lambda p: with_jax(p, numbers=True)),
    Contestant("torch, eager", with_torch),
    Contestant("torch.compile", with_torch_compile),
    Contestant("autograd", with_autograd),
)


def tables():
    return [table(TITLE, *compete(CONTESTANTS, POINT, reference(POINT), *rounds(25, 0.03)))]
