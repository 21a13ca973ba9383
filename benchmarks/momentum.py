"""W4: a training step of a network of three layers: relu, softmax, SGD with momentum."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from benchmarks import c
from benchmarks.effort import QUICK, THREADS, rounds
from benchmarks.measure import Contestant, compete
from benchmarks.peers import jax_with, numpy_of, torch_compile, torch_ready
from benchmarks.report import table
from benchmarks.workloads import batch

LAYERS = (784, 256, 128, 10)
BATCHES = (32, 128, 512)
STEPS = 20
RATE, MOMENTUM = 0.01, 0.9


@dataclass
class Problem:
    """float32; `parameters` is ((weights [input][output], bias), …); x [STEPS, batch, 784]."""

    parameters: tuple[tuple[np.ndarray, np.ndarray], ...]
    x: np.ndarray
    labels: np.ndarray


def title(size):
    layers = "-".join(map(str, LAYERS))
    return f"W4 · SGD step with momentum, {layers}, relu, batch {size}, float32, threads: {THREADS}"


def problem(size):
    random = np.random.default_rng(0)
    parameters = tuple(
        (
            (random.standard_normal((i, o)) / np.sqrt(i)).astype(np.float32),
            np.zeros(o, np.float32),
        )
        for i, o in pairwise(LAYERS)
    )
    x = random.random((STEPS, size, LAYERS[0]), np.float32)
    return Problem(parameters, x, random.integers(0, LAYERS[-1], (STEPS, size)))


def reference(problem):
    """The parameters after STEPS steps by hand, in float64."""
    parameters = [part.astype(float) for layer in problem.parameters for part in layer]
    speeds = [np.zeros_like(part) for part in parameters]
    for x, labels in zip(problem.x, problem.labels, strict=True):
        inputs = [x.astype(float)]
        for k in range(3):
            z = inputs[-1] @ parameters[2 * k] + parameters[2 * k + 1]
            inputs.append(np.maximum(z, 0) if k < 2 else z)
        z = np.exp(inputs.pop())
        d = z / z.sum(1, keepdims=True)
        d[np.arange(len(labels)), labels] -= 1
        d /= len(labels)
        slopes = []
        for k in (2, 1, 0):
            slopes = [inputs[k].T @ d, d.sum(0), *slopes]
            d = (d @ parameters[2 * k].T) * (inputs[k] > 0)
        for part, speed, slope in zip(parameters, speeds, slopes, strict=True):
            speed *= MOMENTUM
            speed += slope
            part -= RATE * speed
    return tuple(parameters)


def step(state, x, labels, grad, np=np):
    """Also for JAX, with its grad and namespace."""
    parameters, speeds = state
    slopes = grad(lambda parameters: batch(parameters, x, labels, np))(parameters)
    rate, momentum = np.float32(RATE), np.float32(MOMENTUM)
    speeds = each(lambda v, g: momentum * v + g, speeds, slopes)
    return each(lambda w, v: w - rate * v, parameters, speeds), speeds


def each(function, *trees):
    layers = zip(*trees, strict=True)
    return tuple(tuple(map(function, *parts)) for parts in layers)


def resting(problem):
    return each(np.copy, problem.parameters), each(np.zeros_like, problem.parameters)


def parameters_of(state):
    return tuple(np.array(part) for layer in state[0] for part in layer)


def ours(problem, given):
    import chainrule as cr

    compiled = cr.jit(lambda *arguments: step(*arguments, cr.grad), donate_argnums=0)
    states = [resting(problem), resting(problem)]
    batches = list(zip(problem.x, problem.labels, strict=True))

    def run():
        for x, labels in batches:
            if given:
                states.reverse()
                compiled(states[1], x, labels, out=states[0])
            else:
                states[0] = compiled(states[0], x, labels)
        return states[0]

    return run, parameters_of


def ours_scanned(problem):
    import chainrule as cr

    def all_steps(state, x, labels):
        body = lambda state, pair: (step(state, *pair, cr.grad), None)  # noqa: E731
        return cr.scan(body, state, (x, labels))[0]

    compiled = cr.jit(all_steps)
    state = [resting(problem)]

    def run():
        state[0] = compiled(state[0], problem.x, problem.labels)
        return state[0]

    return run, parameters_of


def with_jax(problem, scanned):
    jax = jax_with(False)

    def all_steps(state, x, labels):
        body = lambda state, pair: (step(state, *pair, jax.grad, jax.numpy), None)  # noqa: E731
        return jax.lax.scan(body, state, (x, labels))[0]

    def one_step(state, x, labels):
        return step(state, x, labels, jax.grad, jax.numpy)

    compiled = jax.jit(all_steps if scanned else one_step, donate_argnums=0)
    state = [jax.tree.map(jax.numpy.array, resting(problem))]
    x, labels = map(jax.numpy.asarray, (problem.x, problem.labels))
    batches = [(x, labels)] if scanned else list(zip(x, labels, strict=True))

    def run():
        for pair in batches:
            state[0] = compiled(state[0], *pair)
        return jax.block_until_ready(state[0])

    return run, parameters_of


def with_torch(problem):
    torch = torch_ready()
    parameters = leaves(torch, problem)
    optimiser = torch.optim.SGD(parameters, lr=RATE, momentum=MOMENTUM, fused=True)
    batches = torch_batches(torch, problem)

    def run():
        for x, labels in batches:
            optimiser.zero_grad()
            torch_loss(torch, parameters, x, labels).backward()
            optimiser.step()
        return parameters

    return run, numpy_of


def with_torch_compile(problem):
    torch = torch_ready()

    def one_step(parameters, speeds, x, labels):
        slopes = torch.func.grad(lambda p: torch_loss(torch, p, x, labels))(parameters)
        for w, v, g in zip(parameters, speeds, slopes, strict=True):
            v.mul_(MOMENTUM).add_(g)
            w.sub_(v, alpha=RATE)

    compiled = torch_compile(one_step)
    parameters = [part.detach() for part in leaves(torch, problem)]
    speeds = [torch.zeros_like(part) for part in parameters]
    batches = torch_batches(torch, problem)

    def run():
        with torch.no_grad():
            for x, labels in batches:
                compiled(parameters, speeds, x, labels)
        return parameters

    return run, numpy_of


def torch_loss(torch, parameters, x, labels):
    w1, b1, w2, b2, w3, b3 = parameters
    x = torch.relu(torch.addmm(b1, x, w1))
    x = torch.relu(torch.addmm(b2, x, w2))
    return torch.nn.functional.cross_entropy(torch.addmm(b3, x, w3), labels)


def leaves(torch, problem):
    return [torch.tensor(p).requires_grad_() for layer in problem.parameters for p in layer]


def torch_batches(torch, problem):
    return list(zip(torch.tensor(problem.x), torch.tensor(problem.labels), strict=True))


def products(problem):
    """The operands and the results of all the matrix products of a step."""
    random, size = np.random.default_rng(1), problem.x.shape[1]
    found = []
    for k, (i, o) in enumerate(pairwise(LAYERS)):
        shapes = [(size, i), (i, o), (size, o)]
        x, w, d = (random.standard_normal(shape).astype(np.float32) for shape in shapes)
        found += [(x, w, d.copy()), (x.T, d, w.copy()), *([(d, w.T, x.copy())] if k else [])]
    return found


def limit(problem, with_mkl):
    """All the matrix products, by OpenBLAS or MKL, and one sweep that updates; nothing else."""
    update = c.function("momentum", "momentum", [c.POINTER] * 3 + [c.LONG])
    triples, multiply = products(problem), np.matmul
    if with_mkl:
        torch = torch_ready()
        triples = [tuple(map(torch.from_numpy, triple)) for triple in triples]
        multiply = torch.mm
    parameters, speeds = resting(problem)
    slopes = each(np.zeros_like, parameters)
    trios = zip(parameters, speeds, slopes, strict=True)
    parts = [
        (*map(c.address, part), part[0].size) for trio in trios for part in zip(*trio, strict=True)
    ]

    def run():
        for _ in range(STEPS):
            for left, right, out in triples:
                multiply(left, right, out=out)
            for part in parts:
                update(*part)

    run.keep = parameters, speeds, slopes
    return run, None


CONTESTANTS = (
    Contestant("MKL and one sweep in C", lambda p: limit(p, with_mkl=True), "limit"),
    Contestant("OpenBLAS and one sweep in C", lambda p: limit(p, with_mkl=False), "limit"),
    Contestant("chainrule, scan", ours_scanned, "ours"),
    Contestant("chainrule, step, out=", lambda p: ours(p, given=True), "ours"),
    Contestant("chainrule, step", lambda p: ours(p, given=False), "also ours"),
    Contestant("jax, scan", lambda p: with_jax(p, scanned=True)),
    Contestant("jax, step", lambda p: with_jax(p, scanned=False)),
    Contestant("torch, eager", with_torch),
    Contestant("torch.compile, a step", with_torch_compile),
)


def tables():
    found = []
    for size in BATCHES[:1] if QUICK else BATCHES:
        this = problem(size)
        measured = compete(CONTESTANTS, this, reference(this), *rounds(9, 0.1), 1e-3, STEPS)
        found.append(table(title(size), *measured))
    return found
