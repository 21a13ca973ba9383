"""W11: elementwise mathematics over arrays that fit into no cache."""

from __future__ import annotations

import numpy as np

from benchmarks import c, workloads
from benchmarks.effort import QUICK, THREADS, rounds
from benchmarks.measure import Contestant, compete
from benchmarks.peers import in_jax, jax_with, numpy_of, torch_compile, torch_ready
from benchmarks.report import table

SIZE = 100_000 if QUICK else 10_000_000


def title():
    return f"W11 · a*b + sin(c) * exp(-a*a), {SIZE:,} numbers, float64, threads: {THREADS}"


def problem():
    return tuple(np.random.default_rng(0).uniform(-1, 1, (3, SIZE)))


def only(found):
    return (found,)


def ours(problem, given):
    import chainrule as cr

    compiled = cr.jit(workloads.elementwise)
    if not given:
        return lambda: compiled(*problem), only
    out = np.zeros(SIZE)
    return lambda: compiled(*problem, out=out), only


def in_numpy(problem):
    return lambda: workloads.elementwise(*problem), only


def in_c(problem, entry):
    function = c.function("stream", entry, [c.POINTER] * 4 + [c.LONG])
    out = np.zeros(SIZE)
    pointers = [c.address(array) for array in (*problem, out)]

    def run():
        function(*pointers, SIZE)
        return out

    run.keep = problem
    return run, only if entry == "work" else None


def with_jax(problem):
    numpy = jax_with(True).numpy
    return in_jax(lambda *given: workloads.elementwise(*given, numpy), *problem), only


def with_torch(problem):
    torch = torch_ready()
    arrays = [torch.from_numpy(array) for array in problem]
    return lambda: workloads.elementwise(*arrays, torch), lambda found: numpy_of([found])


def with_torch_compile(problem, given):
    torch = torch_ready()
    arrays = [torch.from_numpy(array) for array in problem]
    if not given:
        compiled = torch_compile(lambda *arrays: workloads.elementwise(*arrays, torch))
        return lambda: compiled(*arrays), lambda found: numpy_of([found])
    out = torch.zeros(SIZE, dtype=torch.float64)
    compiled = torch_compile(lambda o, *arrays: o.copy_(workloads.elementwise(*arrays, torch)))
    return lambda: compiled(out, *arrays), lambda found: numpy_of([found])


CONTESTANTS = (
    Contestant("memory: three read, one written", lambda p: in_c(p, "stream"), "limit"),
    Contestant("C, one sweep", lambda p: in_c(p, "work"), "limit"),
    Contestant("chainrule, out=", lambda p: ours(p, given=True), "ours"),
    Contestant("chainrule", lambda p: ours(p, given=False), "ours"),
    Contestant("NumPy", in_numpy),
    Contestant("torch.compile, into given", lambda p: with_torch_compile(p, given=True)),
    Contestant("torch.compile", lambda p: with_torch_compile(p, given=False)),
    Contestant("torch, eager", with_torch),
    Contestant("jax, jit", with_jax),
)


def tables():
    arrays = problem()
    reference = (workloads.elementwise(*arrays),)
    return [table(title(), *compete(CONTESTANTS, arrays, reference, *rounds(9, 0.05), 1e-12))]
