"""W3 and W4 through `model.fit`, beside the bare compiled loop and the peers' scans.

A row says the time of an example or of a step; the calls go through an epoch or three. Every call
of W4 begins with the same weights and with a momentum at rest, which are set before the clock runs:
trained on and on, gradients would become denormal numbers, which are slow for all who don't flush
them to zero. Our bare loop draws the order of the rows for each epoch, as `fit` does; the peers are
given it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks import momentum, sgd
from benchmarks.effort import rounds
from benchmarks.measure import Contestant, FromStart, compete
from benchmarks.peers import jax_with, torch_ready
from benchmarks.report import table

EXAMPLES = {"W3a": 40_000, "W3b": 4_000}
STEPS = 100
EPOCHS = 3


def order_of(count, epoch):
    """The rows in the order in which `fit` takes them with seed 0."""
    chance = np.random.Philox(np.random.SeedSequence([0, epoch]))
    return np.random.Generator(chance).permutation(count)


# --- W3 -----------------------------------------------------------------------------------------


def textbook(name):
    """The problem of `sgd` with more examples, `EPOCHS` epochs of them one after the other."""
    inputs, hidden, outputs, _ = sgd.SIZES[name]
    count = EXAMPLES[name]
    random = np.random.default_rng(0)
    x = random.random((count, inputs), np.float32)
    labels = np.argmax((x - 0.5) @ random.standard_normal((inputs, outputs)), 1)
    first = random.standard_normal((inputs, hidden)) / np.sqrt(inputs)
    last = random.standard_normal((hidden, outputs)) / np.sqrt(hidden)
    parameters = first, np.zeros(hidden), last, np.zeros(outputs)
    parameters = tuple(part.astype(np.float32) for part in parameters)
    order = np.concatenate([order_of(count, epoch) for epoch in range(EPOCHS)])
    return sgd.Problem(parameters, x, labels, order)


def by_fit(problem, blocked):
    import chainrule as cr

    inputs, hidden = problem.parameters[0].shape
    model = cr.nn.Sequential(
        [cr.nn.Dense(hidden, activation="sigmoid"), cr.nn.Dense(len(problem.parameters[3]))]
    )
    model.compile(
        cr.optim.SGD(sgd.RATE),
        cr.nn.SparseCategoricalCrossentropy(from_logits=True),
        blocked=blocked,
    )
    model.build((inputs,))
    model.set_weights(problem.parameters)

    def run():
        model.fit(problem.x, problem.labels, batch_size=1, epochs=EPOCHS, verbose=0)
        return model.weights

    return run, tuple


def by_bare_scan(problem):
    import chainrule as cr

    compiled = cr.jit(lambda *given: sgd.epoch(*given, cr.scan, cr.grad))
    state = [problem.parameters]

    def run():
        for epoch in range(EPOCHS):
            order = order_of(len(problem.x), epoch)
            state[0] = compiled(state[0], problem.x, problem.labels, order)
        return state[0]

    return run, tuple


TEXTBOOK = (
    Contestant("C, one sweep an example", lambda p: sgd.in_c(p, "swept"), "limit"),
    Contestant("chainrule, fit", lambda p: by_fit(p, None), "ours"),
    Contestant("chainrule, fit, blocked=False", lambda p: by_fit(p, False), "also ours"),
    Contestant("chainrule, bare scan", by_bare_scan, "also ours"),
    Contestant("jax, scan", sgd.with_jax),
)


# --- W4 -----------------------------------------------------------------------------------------


@dataclass
class Shuffled:
    """Rows, and the order in which an epoch takes them."""

    parameters: tuple[tuple[np.ndarray, np.ndarray], ...]
    x: np.ndarray
    labels: np.ndarray
    order: np.ndarray
    size: int


def shuffled(size):
    random = np.random.default_rng(0)
    parameters = momentum.problem(size).parameters
    x = random.random((STEPS * size, momentum.LAYERS[0]), np.float32)
    # Labels that can be learned, and one epoch: rounding grows over hundreds of steps of noise.
    labels = np.argmax((x - 0.5) @ random.standard_normal((x.shape[1], momentum.LAYERS[-1])), 1)
    return Shuffled(parameters, x, labels, order_of(len(x), 0), size)


def ordered(problem):
    """The batches as `momentum` has them, for its reference."""
    shape = len(problem.order) // problem.size, problem.size
    order = problem.order.reshape(shape)
    return momentum.Problem(problem.parameters, problem.x[order], problem.labels[order])


def minibatches_by_fit(problem):
    import chainrule as cr

    *inner, last = momentum.LAYERS[1:]
    model = cr.nn.Sequential(
        [*(cr.nn.Dense(units, activation="relu") for units in inner), cr.nn.Dense(last)]
    )
    # Keras's momentum takes the rate into the velocity: with one rate the steps are the same.
    model.compile(
        cr.optim.SGD(momentum.RATE, momentum=momentum.MOMENTUM),
        cr.nn.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.build((momentum.LAYERS[0],))

    def reset():
        model.set_weights([part for layer in problem.parameters for part in layer])
        model.optimizer_state = model.compiled.optimizer.init(model.variables["parameters"])

    def run():
        model.fit(problem.x, problem.labels, batch_size=problem.size, verbose=0)
        return model

    return FromStart(reset, run), lambda model: tuple(model.weights)


def scanned(problem, scan, jit, grad, np_):
    """The bare loop: rows are gathered by the order, step by step. Also for JAX."""

    def all_steps(state, x, labels, order):
        def body(state, rows):
            return momentum.step(state, x[rows], labels[rows], grad, np_), None

        return scan(body, state, order)[0]

    return jit(all_steps)


def by_scan(problem):
    import chainrule as cr

    compiled = scanned(problem, cr.scan, cr.jit, cr.grad, np)
    state = momentum.resting(problem)

    def run():
        order = order_of(len(problem.x), 0).reshape(-1, problem.size)
        return compiled(state, problem.x, problem.labels, order)

    return run, momentum.parameters_of


def by_jax(problem):
    jax = jax_with(False)
    compiled = scanned(problem, jax.lax.scan, jax.jit, jax.grad, jax.numpy)
    order = problem.order.reshape(-1, problem.size)
    given = tuple(map(jax.numpy.asarray, (problem.x, problem.labels, order)))
    state = jax.tree.map(jax.numpy.asarray, momentum.resting(problem))

    def run():
        return jax.block_until_ready(compiled(state, *given))

    return run, momentum.parameters_of


def by_torch(problem):
    torch = torch_ready()
    sizes = momentum.LAYERS
    layers = []
    for k, (weights, bias) in enumerate(problem.parameters):
        linear = torch.nn.Linear(sizes[k], sizes[k + 1])
        linear.weight.data = torch.tensor(weights.T.copy())
        linear.bias.data = torch.tensor(bias.copy())
        layers += [linear, torch.nn.ReLU()]
    model = torch.nn.Sequential(*layers[:-1])
    optimizer = torch.optim.SGD(
        model.parameters(), lr=momentum.RATE, momentum=momentum.MOMENTUM, fused=True
    )
    x, labels = torch.tensor(problem.x), torch.tensor(problem.labels)
    order = torch.tensor(problem.order.reshape(-1, problem.size))

    first = [part.detach().clone() for part in model.parameters()]

    def reset():
        optimizer.state.clear()
        with torch.no_grad():
            torch._foreach_copy_(list(model.parameters()), first)

    def run():
        for rows in order:
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(x[rows]), labels[rows]).backward()
            optimizer.step()
        return [
            p for layer in model if hasattr(layer, "weight") for p in (layer.weight.T, layer.bias)
        ]

    return FromStart(reset, run), lambda parts: tuple(part.detach().numpy() for part in parts)


MINIBATCHES = (
    Contestant("chainrule, fit", minibatches_by_fit, "ours"),
    Contestant("chainrule, bare scan", by_scan, "also ours"),
    Contestant("jax, scan", by_jax),
    Contestant("torch, eager, fused SGD", by_torch),
)


def textbook_tables():
    found = []
    for name in EXAMPLES:
        this = textbook(name)
        measured = compete(
            TEXTBOOK, this, sgd.reference(this), *rounds(9, 0.1), 5e-3, len(this.order)
        )
        found.append(table(f"{sgd.title(name)}, through fit", *measured))
    return found


def minibatch_tables():
    found = []
    for size in momentum.BATCHES:
        this = shuffled(size)
        wanted = momentum.reference(ordered(this))
        measured = compete(
            MINIBATCHES, this, wanted, *rounds(7, 0.2), 1e-2, len(this.order) // size
        )
        title = momentum.title(size).replace("step with momentum", "with momentum through fit")
        found.append(table(title, *measured))
    return found
