"""LSTM-diagonal: the gradient of a recurrent network without matrices, and the value alone."""

from __future__ import annotations

import ctypes

import numpy as np

from benchmarks import c, workloads
from benchmarks.effort import QUICK, rounds
from benchmarks.measure import Contestant, compete
from benchmarks.peers import in_jax, jax_with, numpy_of, torch_ready
from benchmarks.report import table

LAYERS, WIDTH = 4, 14
STEPS = (32, 1024)
EAGER_STEPS = 32  # more takes a second a call


def title(steps):
    return f"LSTM-diagonal · l = {LAYERS}, c = {steps}, b = {WIDTH}, float64"


def problem(steps):
    """weights, ends, state, sequence."""
    random = np.random.default_rng(0)
    shapes = (LAYERS, 8, WIDTH), (3, WIDTH), (LAYERS, 2, WIDTH)
    return (
        *(random.uniform(-1, 1, shape) for shape in shapes),
        random.uniform(0, 1, (steps, WIDTH)),
    )


def reference(problem):
    """By reverse differentiation of plain steps, one after the other, as written by hand."""
    weights, ends, state, sequence = problem
    steps = len(sequence) - 1
    hidden, cell = state[:, 0].copy(), state[:, 1].copy()
    kept, loss = [], 0.0
    for s in range(steps):
        v, layers = sequence[s] * ends[0], []
        for k in range(LAYERS):
            wf, wi, wo, wc, bf, bi, bo, bc = weights[k]
            f, e, o = (
                1 / (1 + np.exp(-(a * w + b)))
                for a, w, b in ((v, wf, bf), (hidden[k], wi, bi), (v, wo, bo))
            )
            g = np.tanh(hidden[k] * wc + bc)
            layers.append((v, hidden[k].copy(), cell[k].copy(), f, e, o, g))
            cell[k] = cell[k] * f + e * g
            v = o * np.tanh(cell[k])
            hidden[k] = v
        y = v * ends[1] + ends[2]
        shift = np.log(2 + np.sum(np.exp(y)))
        loss += sequence[s + 1] @ (y - shift)
        kept.append((layers, v, np.exp(y - shift)))
    by_weights, by_ends = np.zeros_like(weights), np.zeros_like(ends)
    by_hidden, by_cell = np.zeros_like(hidden), np.zeros_like(cell)
    for s in reversed(range(steps)):
        layers, v, share = kept[s]
        target = sequence[s + 1]
        gy = (target - target.sum() * share) * (-1 / steps / WIDTH)
        by_ends[1] += gy * v
        by_ends[2] += gy
        gv = gy * ends[1]
        for k in reversed(range(LAYERS)):
            wf, wi, wo, wc = weights[k, :4]
            v, h, before, f, e, o, g = layers[k]
            t = np.tanh(before * f + e * g)
            gh = gv + by_hidden[k]
            gc = by_cell[k] + gh * o * (1 - t * t)
            gf, gi = gc * before * f * (1 - f), gc * g * e * (1 - e)
            go, gg = gh * t * o * (1 - o), gc * e * (1 - g * g)
            by_weights[k] += [gf * v, gi * h, go * v, gg * h, gf, gi, go, gg]
            by_cell[k], by_hidden[k] = gc * f, gi * wi + gg * wc
            gv = gf * wf + go * wo
        by_ends[0] += gv * sequence[s]
    return -loss / steps / WIDTH, by_weights, by_ends


def flat(found):
    value, slopes = found
    return value, *slopes


def ours(problem):
    import chainrule as cr

    both = cr.value_and_grad(lambda *given: workloads.diagonal_lstm(*given, cr.scan), (0, 1))
    compiled = cr.jit(both)
    return lambda: compiled(*problem), flat


def our_value(problem):
    import chainrule as cr

    compiled = cr.jit(lambda *given: workloads.diagonal_lstm(*given, cr.scan))
    return lambda: compiled(*problem), None


def with_jax(problem):
    jax = jax_with(True)

    def value(*given):
        return workloads.diagonal_lstm(*given, jax.lax.scan, jax.numpy)

    return in_jax(jax.value_and_grad(value, (0, 1)), *problem), flat


def value_in_jax(problem):
    jax = jax_with(True)

    def value(*given):
        return workloads.diagonal_lstm(*given, jax.lax.scan, jax.numpy)

    return in_jax(value, *problem), None


def with_torch(problem):
    if len(problem[3]) > EAGER_STEPS:
        raise ImportError(f"not above c = {EAGER_STEPS}")
    torch = torch_ready()
    weights, ends, state, sequence = map(torch.tensor, problem)
    leaves = weights.requires_grad_(), ends.requires_grad_()

    def scan(step, state, pairs):
        parts = []
        for pair in zip(*pairs, strict=True):
            state, part = step(state, pair)
            parts.append(part)
        return state, Parts(torch.stack(parts))

    class Parts:
        """PyTorch's `size` is a method."""

        def __init__(self, tensor):
            self.tensor, self.size = tensor, tensor.numel()

    class Names:
        exp, log, tanh, stack = torch.exp, torch.log, torch.tanh, torch.stack

        @staticmethod
        def sum(x):
            return (x.tensor if isinstance(x, Parts) else x).sum()

    def run():
        value = workloads.diagonal_lstm(*leaves, state, sequence, scan, Names)
        return value, *torch.autograd.grad(value, leaves)

    return run, numpy_of


def in_c(problem, slopes):
    weights, ends, state, sequence = problem
    steps, sizes = len(sequence) - 1, {"LAYERS": LAYERS, "B": WIDTH}
    more = [c.POINTER] * 4 if slopes else []
    entry, arguments = "gradient" if slopes else "value", [*[c.POINTER] * 4, c.LONG, *more]
    function = c.function("lstm", entry, arguments, ctypes.c_double, **sizes)
    begin, by_weights, by_ends = state.copy(), np.zeros_like(weights), np.zeros_like(ends)
    kept, last = np.zeros((steps, LAYERS, 8, WIDTH)), np.zeros((steps, WIDTH))
    given = [c.address(array) for array in (weights, ends, begin, sequence)]
    found = [c.address(array) for array in (kept, last, by_weights, by_ends)] if slopes else []

    def run():
        begin[...] = state
        return function(*given, steps, *found), by_weights, by_ends

    run.keep = kept, last, problem
    return run, tuple if slopes else None


CONTESTANTS = (
    Contestant("C", lambda p: in_c(p, slopes=True), "limit"),
    Contestant("C, value", lambda p: in_c(p, slopes=False), "limit"),
    Contestant("chainrule, scan", ours, "ours"),
    Contestant("chainrule, value", our_value, "ours"),
    Contestant("jax, scan", with_jax),
    Contestant("jax, value", value_in_jax),
    Contestant("torch, eager", with_torch),
)


def tables():
    found = []
    for steps in STEPS[:1] if QUICK else STEPS:
        this = problem(steps)
        measured = compete(CONTESTANTS, this, reference(this), *rounds(15, 0.05))
        found.append(table(title(steps), *measured))
    return found
