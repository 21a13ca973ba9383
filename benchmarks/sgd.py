"""W3: an epoch of textbook SGD, one example at a time, as one scan."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from benchmarks import c
from benchmarks.effort import rounds
from benchmarks.measure import Contestant, compete
from benchmarks.peers import jax_with, numpy_of, torch_compile, torch_ready
from benchmarks.report import table
from benchmarks.workloads import one_example

RATE = 0.05
SIZES = {"W3a": (64, 32, 10, 1797), "W3b": (784, 128, 10, 2000)}


@dataclass
class Problem:
    """float32; weights lie [input][output]."""

    parameters: tuple[np.ndarray, ...]
    x: np.ndarray
    labels: np.ndarray
    order: np.ndarray


def title(name):
    sizes = "-".join(map(str, SIZES[name][:3]))
    return f"{name} · SGD example by example, {sizes}, sigmoid, float32, time per example"


def problem(name):
    inputs, hidden, outputs, count = SIZES[name]
    random = np.random.default_rng(0)
    x = random.random((count, inputs), np.float32)
    labels = np.argmax((x - 0.5) @ random.standard_normal((inputs, outputs)), 1)
    first = random.standard_normal((inputs, hidden)) / np.sqrt(inputs)
    last = random.standard_normal((hidden, outputs)) / np.sqrt(hidden)
    biases = np.zeros(hidden), np.zeros(outputs)
    parameters = first, biases[0], last, biases[1]
    parameters = tuple(part.astype(np.float32) for part in parameters)
    return Problem(parameters, x, labels, random.permutation(count))


def reference(problem):
    """The same by hand, in float64."""
    w1, b1, w2, b2 = (part.astype(float) for part in problem.parameters)
    for s in problem.order:
        x = problem.x[s].astype(float)
        h = 1 / (1 + np.exp(-(x @ w1 + b1)))
        z = np.exp(h @ w2 + b2)
        z /= z.sum()
        z[problem.labels[s]] -= 1
        e = (w2 @ z) * h * (1 - h)
        w2 -= RATE * np.outer(h, z)
        b2 -= RATE * z
        w1 -= RATE * np.outer(x, e)
        b1 -= RATE * e
    return w1, b1, w2, b2


def epoch(parameters, x, labels, order, scan, grad, np=np):
    """Also for JAX, with its scan, grad and namespace."""
    rate = np.float32(RATE)

    def step(parameters, s):
        slopes = grad(lambda parameters: one_example(parameters, x[s], labels[s], np))(parameters)
        return tuple(w - rate * g for w, g in zip(parameters, slopes, strict=True)), None

    return scan(step, parameters, order)[0]


def ours(problem):
    import chainrule as cr

    compiled = cr.jit(lambda *given: epoch(*given, cr.scan, cr.grad))
    state = [problem.parameters]

    def run():
        state[0] = compiled(state[0], problem.x, problem.labels, problem.order)
        return state[0]

    return run, tuple


def with_jax(problem):
    jax = jax_with(False)
    compiled = jax.jit(
        lambda *given: epoch(*given, jax.lax.scan, jax.grad, jax.numpy), donate_argnums=0
    )
    state = [tuple(map(jax.numpy.array, problem.parameters))]
    x, labels, order = map(jax.numpy.asarray, (problem.x, problem.labels, problem.order))

    def run():
        state[0] = jax.block_until_ready(compiled(state[0], x, labels, order))
        return state[0]

    # The buffers it has given back are overwritten by the next call.
    return run, lambda found: tuple(np.array(part) for part in found)


def with_torch(problem, compiled):
    torch = torch_ready()
    parameters = [torch.tensor(part) for part in problem.parameters]
    rows = list(torch.tensor(problem.x).split(1))
    labels = list(torch.tensor(problem.labels).split(1))
    order = problem.order.tolist()

    def loss(parameters, x, label):
        w1, b1, w2, b2 = parameters
        scores = torch.sigmoid(x @ w1 + b1) @ w2 + b2
        return torch.nn.functional.cross_entropy(scores, label)

    def step(parameters, x, label):
        for w, g in zip(parameters, torch.func.grad(loss)(parameters, x, label), strict=True):
            w.sub_(g, alpha=RATE)

    def eager(leaves, x, label):
        slopes = torch.autograd.grad(loss(leaves, x, label), leaves)
        with torch.no_grad():
            torch._foreach_sub_(leaves, slopes, alpha=RATE)

    if compiled:
        one = torch_compile(step)
    else:
        one = eager
        parameters = [part.requires_grad_() for part in parameters]

    def run():
        with torch.set_grad_enabled(not compiled):
            for s in order:
                one(parameters, rows[s], labels[s])
        return parameters

    return run, numpy_of


def in_c(problem, entry):
    inputs, hidden = problem.parameters[0].shape
    outputs = len(problem.parameters[3])
    arguments = [*[c.POINTER] * 3, c.LONG, *[c.POINTER] * 4, ctypes.c_float]
    sizes = {"INPUTS": inputs, "HIDDEN": hidden, "OUTPUTS": outputs}
    function = c.function("sgd", entry, arguments, **sizes)
    parameters = [part.copy() for part in problem.parameters]
    given = [c.address(a) for a in (problem.x, problem.labels, problem.order)]
    changed = [c.address(part) for part in parameters]

    def run():
        function(*given, len(problem.order), *changed, RATE)
        return parameters

    run.keep = problem
    return run, tuple


CONTESTANTS = (
    Contestant("C, one sweep an example", lambda p: in_c(p, "swept"), "limit"),
    Contestant("C, two sweeps an example", lambda p: in_c(p, "epoch"), "limit"),
    Contestant("chainrule, scan", ours, "ours"),
    Contestant("jax, scan", with_jax),
    Contestant("torch, eager", lambda p: with_torch(p, compiled=False)),
    Contestant("torch.compile, a step", lambda p: with_torch(p, compiled=True)),
)


def tables():
    found = []
    for name in SIZES:
        this = problem(name)
        measured = compete(
            CONTESTANTS, this, reference(this), *rounds(9, 0.1), 1e-3, len(this.order)
        )
        found.append(table(title(name), *measured))
    return found
