"""W6: training steps of an LSTM and of a Neural Turing Machine, plain SGD."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.effort import THREADS, rounds
from benchmarks.measure import Contestant, compete
from benchmarks.peers import jax_with, torch_compile, torch_ready
from benchmarks.report import table
from benchmarks.turing import HEAD, WIDTH, in_jax, in_torch, lstm, machine, plainly, stepwise

RATE = 0.1
BATCHES, SEQUENCE, BATCH, INPUTS, HIDDEN, CLASSES = 5, 64, 32, 128, 128, 10
LSTM_TITLE = (
    f"W6 · a step of training, LSTM, sequence {SEQUENCE}, hidden {HIDDEN}, batch {BATCH}, float32, "
    f"threads: {THREADS}"
)
STEPS, WRITERS, ROWS, CONTROLLER, BITS, ANSWERS = 20, 16, 64, 100, 9, 8
MACHINE_TITLE = (
    f"W6 · a step of training, Neural Turing Machine, {STEPS} steps, memory {ROWS}x{WIDTH}, "
    f"controller {CONTROLLER}, batch {WRITERS}, float32, threads: {THREADS}"
)


# --- the problems and their references ----------------------------------------------------------


@dataclass
class Problem:
    """float32; a loss, its parameters, the states that it begins with, and batches [batch]."""

    loss: Callable[..., Any]
    parameters: tuple[np.ndarray, ...]
    rest: Any
    x: np.ndarray
    y: np.ndarray
    read: Callable[[Any], tuple[Any, ...]]


def normal(random, *shape, scale):
    return (random.standard_normal(shape) * scale).astype(np.float32)


def lstm_problem():
    random, small = np.random.default_rng(0), 0.1
    parameters = (
        normal(random, INPUTS, 4 * HIDDEN, scale=INPUTS**-0.5),
        normal(random, HIDDEN, 4 * HIDDEN, scale=HIDDEN**-0.5),
        normal(random, 4 * HIDDEN, scale=small),
        normal(random, HIDDEN, CLASSES, scale=HIDDEN**-0.5),
        normal(random, CLASSES, scale=small),
    )
    x = normal(random, BATCHES, SEQUENCE, BATCH, INPUTS, scale=1)
    labels = random.integers(0, CLASSES, (BATCHES, BATCH))
    rest = np.zeros((BATCH, HIDDEN), np.float32)
    this = Problem(lstm, parameters, rest, x, labels, tuple)
    exact = lstm_by_hand(this)
    scales = [np.max(np.abs(part)) for part in exact]

    def read(after):
        """How far the parameters got, in units of the largest change of each."""
        trios = zip(after, parameters, scales, strict=True)
        return tuple((np.asarray(a, float) - b) / scale for a, b, scale in trios)

    this.read = read
    return this, tuple(part / scale for part, scale in zip(exact, scales, strict=True))


def lstm_by_hand(problem):
    """How far the parameters get in all steps, in float64."""
    parts = [part.astype(float) for part in problem.parameters]
    for x, labels in zip(problem.x.astype(float), problem.y, strict=True):
        kernel, recurrent, bias, last, last_bias = parts
        h = c = problem.rest.astype(float)
        kept = []
        for step in x:
            z = (step @ kernel + bias + h @ recurrent).reshape(BATCH, 4, HIDDEN)
            i, f, o = (1 / (1 + np.exp(-z[:, k])) for k in (0, 1, 3))
            g = np.tanh(z[:, 2])
            after = f * c + i * g
            kept.append((step, h, c, i, f, g, o, np.tanh(after)))
            h, c = o * np.tanh(after), after
        d = np.exp(h @ last + last_bias)
        d /= d.sum(1, keepdims=True)
        d[np.arange(BATCH), labels] -= 1
        d /= BATCH
        slopes = [np.zeros_like(part) for part in parts]
        slopes[3:] = [h.T @ d, d.sum(0)]
        dh, dc = d @ last.T, np.zeros_like(c)
        for step, h, c, i, f, g, o, t in reversed(kept):
            dc = dc + dh * o * (1 - t * t)
            gates = dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g)
            dz = np.concatenate([*gates, dh * t * o * (1 - o)], axis=1)
            for slope, more in zip(slopes, (step.T @ dz, h.T @ dz, dz.sum(0)), strict=False):
                slope += more
            dh, dc = dz @ recurrent.T, dc * f
        parts = [part - RATE * slope for part, slope in zip(parts, slopes, strict=True)]
    return [part - first for part, first in zip(parts, problem.parameters, strict=True)]


def machine_problem():
    random, small, even = np.random.default_rng(0), 0.1, CONTROLLER**-0.5
    parameters = (
        normal(random, BITS + WIDTH, 4 * CONTROLLER, scale=(BITS + WIDTH) ** -0.5),
        normal(random, CONTROLLER, 4 * CONTROLLER, scale=even),
        normal(random, 4 * CONTROLLER, scale=small),
        normal(random, CONTROLLER, HEAD, scale=even),
        normal(random, HEAD, scale=small),
        normal(random, CONTROLLER, HEAD + 2 * WIDTH, scale=even),
        normal(random, HEAD + 2 * WIDTH, scale=small),
        normal(random, CONTROLLER + WIDTH, ANSWERS, scale=even),
        normal(random, ANSWERS, scale=small),
        normal(random, ROWS, WIDTH, scale=small),
    )
    shapes = (WRITERS, CONTROLLER), (WRITERS, ROWS, WIDTH), (WRITERS, ROWS), (WRITERS, WIDTH)
    still, empty, weighting, nothing = (np.zeros(shape, np.float32) for shape in shapes)
    rest = still, empty, weighting + np.float32(1 / ROWS), nothing
    x, bits = (
        random.integers(0, 2, (1, STEPS, WRITERS, count)).astype(np.float32)
        for count in (BITS, ANSWERS)
    )
    this = Problem(machine, parameters, rest, x, bits, tuple)
    directions = [random.standard_normal((4, *part.shape)) for part in parameters]
    exact = [slopes_along(this, k, ways) for k, ways in enumerate(directions)]
    scales = [np.max(np.abs(part)) for part in exact]

    def read(after):
        """The derivative that made the step, along some directions for each of the parameters."""
        groups = zip(after, parameters, directions, scales, strict=True)
        return tuple(
            np.array([np.sum(way * (b - np.asarray(a, float))) for way in ways]) / RATE / scale
            for a, b, ways, scale in groups
        )

    this.read = read
    return this, tuple(part / scale for part, scale in zip(exact, scales, strict=True))


def slopes_along(problem, place, ways, width=1e-5):
    """Central differences of the loss in float64 as a parameter moves in each of these ways."""
    parts = [part.astype(float) for part in problem.parameters]
    rest = [part.astype(float) for part in problem.rest]
    names, found = plainly(stepwise), []
    for way in ways:
        values = []
        for by in (width, -width):
            moved = [*parts[:place], parts[place] + by * way, *parts[place + 1 :]]
            x, y = problem.x[0].astype(float), problem.y[0].astype(float)
            values.append(problem.loss(moved, rest, x, y, names))
        found.append((values[0] - values[1]) / (2 * width))
    return np.array(found)


# --- who takes part -----------------------------------------------------------------------------


def ours(problem):
    import chainrule as cr

    names = plainly(cr.scan)

    def step(parameters, rest, x, y):
        slopes = cr.grad(lambda parameters: problem.loss(parameters, rest, x, y, names))(parameters)
        return tuple(w - np.float32(RATE) * g for w, g in zip(parameters, slopes, strict=True))

    compiled = cr.jit(step, donate_argnums=0)
    state = [tuple(map(np.copy, problem.parameters))]
    batches = list(zip(problem.x, problem.y, strict=True))

    def run():
        for x, y in batches:
            state[0] = compiled(state[0], problem.rest, x, y)
        return state[0]

    return run, problem.read


def by_fit(problem):
    import chainrule as cr

    model = cr.nn.Sequential([cr.nn.LSTM(HIDDEN), cr.nn.Dense(CLASSES)])
    model.compile(cr.optim.SGD(RATE), cr.nn.SparseCategoricalCrossentropy(from_logits=True))
    model.build((SEQUENCE, INPUTS))
    model.set_weights(problem.parameters)
    x = np.ascontiguousarray(problem.x.swapaxes(1, 2)).reshape(-1, SEQUENCE, INPUTS)
    labels = problem.y.ravel()

    def run():
        model.fit(x, labels, batch_size=BATCH, shuffle=False, verbose=0)
        return model.get_weights()

    return run, problem.read


def with_jax(problem):
    jax, names = jax_with(False), in_jax()

    def step(parameters, rest, x, y):
        slopes = jax.grad(problem.loss)(parameters, rest, x, y, names)
        return jax.tree.map(lambda w, g: w - RATE * g, parameters, slopes)

    compiled = jax.jit(step, donate_argnums=0)
    state = [tuple(map(jax.numpy.array, problem.parameters))]
    rest, x, y = jax.tree.map(jax.numpy.asarray, (problem.rest, problem.x, problem.y))
    batches = list(zip(x, y, strict=True))

    def run():
        for pair in batches:
            state[0] = compiled(state[0], rest, *pair)
        return jax.block_until_ready(state[0])

    return run, problem.read


def torch_lstm(problem, compiled):
    torch = torch_ready()
    layer, end = torch.nn.LSTM(INPUTS, HIDDEN), torch.nn.Linear(HIDDEN, CLASSES)
    kernel, recurrent, bias, last, last_bias = (torch.tensor(p) for p in problem.parameters)
    layer.weight_ih_l0.data = kernel.T.contiguous()
    layer.weight_hh_l0.data = recurrent.T.contiguous()
    layer.bias_ih_l0.data = bias
    # PyTorch has two biases that add up; two that learn would go twice as far.
    layer.bias_hh_l0.data.zero_()
    layer.bias_hh_l0.requires_grad_(False)
    end.weight.data, end.bias.data = last.T.contiguous(), last_bias
    learning = [p for p in (*layer.parameters(), *end.parameters()) if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=RATE, fused=True)
    batches = list(zip(torch.tensor(problem.x), torch.tensor(problem.y), strict=True))

    def value(x, labels):
        return torch.nn.functional.cross_entropy(end(layer(x)[0][-1]), labels)

    value = torch_compile(value) if compiled else value

    def run():
        for x, labels in batches:
            optimizer.zero_grad()
            value(x, labels).backward()
            optimizer.step()
        return learning

    return run, lambda parts: problem.read([p.detach().numpy().T for p in parts])


def torch_machine(problem):
    torch, names = torch_ready(), in_torch()
    parameters = [torch.tensor(part, requires_grad=True) for part in problem.parameters]
    rest = [torch.tensor(part) for part in problem.rest]
    x, bits = torch.tensor(problem.x[0]), torch.tensor(problem.y[0])

    def run():
        value = problem.loss(parameters, rest, x, bits, names)
        slopes = torch.autograd.grad(value, parameters)
        with torch.no_grad():
            torch._foreach_sub_(parameters, slopes, alpha=RATE)
        return parameters

    return run, lambda p: problem.read([q.detach().numpy() for q in p])


def limit(products):
    """Products (how often, rows, inner size, columns) by MKL; nothing else."""
    torch = torch_ready()
    groups = [
        (count, torch.rand(m, k), torch.rand(k, n), torch.empty(m, n))
        for count, m, k, n in products
    ]

    def run():
        for count, left, right, out in groups:
            for _ in range(count):
                torch.mm(left, right, out=out)

    return run, None


def lstm_products():
    """The state's product step by step, forward and back; the others of a sequence at once."""
    long, wide = SEQUENCE * BATCH, 4 * HIDDEN
    at_once = [(1, long, INPUTS, wide), (1, INPUTS, long, wide), (1, HIDDEN, long, wide)]
    each = [(SEQUENCE, BATCH, HIDDEN, wide), (SEQUENCE, BATCH, wide, HIDDEN)]
    return BATCHES * (at_once + each)


def machine_products():
    sizes = (
        *((BITS + WIDTH, 4 * CONTROLLER), (CONTROLLER, 4 * CONTROLLER), (CONTROLLER, HEAD)),
        *((CONTROLLER, HEAD + 2 * WIDTH), (CONTROLLER + WIDTH, ANSWERS)),
    )
    found = []
    for k, n in sizes:
        found += [(STEPS, WRITERS, k, n), (STEPS, WRITERS, n, k), (1, k, STEPS * WRITERS, n)]
    return found


LSTM = (
    Contestant("MKL, the products alone", lambda _: limit(lstm_products()), "limit"),
    Contestant("chainrule, scan", ours, "ours"),
    Contestant("chainrule, cr.nn.LSTM, fit", by_fit, "ours"),
    Contestant("torch, nn.LSTM", lambda p: torch_lstm(p, compiled=False)),
    Contestant("torch.compile, nn.LSTM", lambda p: torch_lstm(p, compiled=True)),
    Contestant("jax, scan", with_jax),
)
MACHINE = (
    Contestant("MKL, the products alone", lambda _: limit(machine_products()), "limit"),
    Contestant("chainrule, scan", ours, "ours"),
    Contestant("torch, eager", torch_machine),
    # torch.compile took more than 400 s for the first graph of twenty steps and was stopped there.
    Contestant("jax, scan", with_jax),
)


def tables():
    found = []
    for title, contestants, make in (
        (LSTM_TITLE, LSTM, lstm_problem),
        (MACHINE_TITLE, MACHINE, machine_problem),
    ):
        this, exact = make()
        measured = compete(contestants, this, exact, *rounds(9, 0.1), 1e-2, len(this.x))
        found.append(table(title, *measured))
    return found
