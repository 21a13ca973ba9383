"""W5: training steps of three convolutional networks, SGD with momentum."""

from __future__ import annotations

import numpy as np

from benchmarks.effort import QUICK, rounds
from benchmarks.measure import Contestant, compete, per_call
from benchmarks.peers import jax_with, torch_compile, torch_ready
from benchmarks.pictures import MOMENTUM, NETS, RATE, Conv, Dense, Pool, flops, problem, title
from benchmarks.report import table

# How far off the way of a parameter may be, as a part of its length. A unit that is 1e-5 on one
# side of relu's kink in float64 may be on the other in float32, and AlexNet has millions of them.
FAR = 0.05


def by_fit(problem):
    import chainrule as cr

    layers = []
    for layer in problem.net.layers:
        match layer:
            case Conv(filters, size, stride, pad):
                same = 2 * pad == size - 1 and stride == 1
                if pad and not same:
                    layers.append(cr.nn.ZeroPadding2D(pad))
                padding = "same" if same else "valid"
                conv = cr.nn.Conv2D(filters, size, stride, padding=padding, activation="relu")
                layers.append(conv)
            case Pool(size, stride):
                layers.append(cr.nn.MaxPooling2D(size, stride))
            case Dense(units):
                if not isinstance(layers[-1], cr.nn.Dense):
                    layers.append(cr.nn.Flatten())
                last = layer is problem.net.layers[-1]
                layers.append(cr.nn.Dense(units, activation=None if last else "relu"))
    model = cr.nn.Sequential(layers)
    # Keras's momentum takes the rate into the velocity: with one rate the steps are the same.
    model.compile(
        cr.optim.SGD(RATE, momentum=MOMENTUM),
        cr.nn.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.build(problem.net.shape)
    model.set_weights(problem.parameters)
    x, labels = problem.x.reshape(-1, *problem.net.shape), problem.labels.ravel()
    size, calls = problem.net.batch, problem.calls()

    def run():
        rows = slice(size * next(calls))
        model.fit(x[rows], labels[rows], batch_size=size, shuffle=False, verbose=0)
        return model.weights

    return run, problem.read


def with_jax(problem):
    jax = jax_with(False)
    lax, net = jax.lax, problem.net
    names = "NHWC", "HWIO", "NHWC"

    def value(parameters, x, labels):
        parts = iter(parameters)
        for layer in net.layers:
            match layer:
                case Conv(_, _, stride, pad):
                    kernel, bias = next(parts), next(parts)
                    x = lax.conv_general_dilated(
                        x, kernel, (stride,) * 2, [(pad, pad)] * 2, dimension_numbers=names
                    )
                    x = jax.nn.relu(x + bias)
                case Pool(size, stride):
                    window, strides = (1, size, size, 1), (1, stride, stride, 1)
                    x = lax.reduce_window(x, -np.inf, lax.max, window, strides, "VALID")
                case Dense():
                    x = x.reshape(len(x), -1) @ next(parts) + next(parts)
                    x = x if layer is net.layers[-1] else jax.nn.relu(x)
        scores = jax.nn.log_softmax(x)
        return -jax.numpy.mean(jax.numpy.take_along_axis(scores, labels[:, None], 1))

    def step(state, x, labels):
        parameters, speeds = state
        slopes = jax.grad(value)(parameters, x, labels)
        speeds = jax.tree.map(lambda v, g: MOMENTUM * v + g, speeds, slopes)
        return jax.tree.map(lambda w, v: w - RATE * v, parameters, speeds), speeds

    compiled = jax.jit(step, donate_argnums=0)
    parameters = [jax.numpy.array(part) for part in problem.parameters]
    state = [(parameters, jax.tree.map(jax.numpy.zeros_like, parameters))]
    x, labels = map(jax.numpy.asarray, (problem.x, problem.labels))
    batches, calls = list(zip(x, labels, strict=True)), problem.calls()

    def run():
        for pair in batches[: next(calls)]:
            state[0] = compiled(state[0], *pair)
        return jax.block_until_ready(state[0])

    return run, lambda found: problem.read(found[0])


def flattened(net):
    """Which parameter the first dense kernel is, and the shape of the pictures it gets."""
    shapes = net.inputs()
    first = next(k for k, layer in enumerate(net.layers) if isinstance(layer, Dense))
    return 2 * sum(isinstance(layer, Conv) for layer in net.layers), shapes[first]


def turned(problem):
    """The parameters for pictures with the channels first."""
    at, (rows, columns, depth) = flattened(problem.net)
    parts = list(problem.parameters)
    kernel = parts[at].reshape(rows, columns, depth, -1)
    parts[at] = kernel.transpose(2, 0, 1, 3).reshape(parts[at].shape)
    return parts


def turned_back(problem, parts):
    at, (rows, columns, depth) = flattened(problem.net)
    kernel = parts[at].reshape(depth, rows, columns, -1)
    parts[at] = kernel.transpose(1, 2, 0, 3).reshape(parts[at].shape)
    return parts


def with_torch(problem, compiled):
    torch = torch_ready()
    nn, last = torch.nn, problem.net.layers[-1]
    layers, parts = [], iter(turned(problem))
    for layer, shape in zip(problem.net.layers, problem.net.inputs(), strict=True):
        match layer:
            case Conv(filters, size, stride, pad):
                layers += [filled(torch, nn.Conv2d(shape[-1], filters, size, stride, pad), parts)]
                layers += [nn.ReLU()]
            case Pool(size, stride):
                layers += [nn.MaxPool2d(size, stride)]
            case Dense(units):
                layers += [nn.Flatten()] if len(shape) > 1 else []
                layers += [filled(torch, nn.Linear(int(np.prod(shape)), units), parts)]
                layers += [] if layer is last else [nn.ReLU()]
    model = nn.Sequential(*layers).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=RATE, momentum=MOMENTUM, fused=True)
    x = torch.tensor(problem.x.transpose(0, 1, 4, 2, 3))
    x = [batch.contiguous(memory_format=torch.channels_last) for batch in x]
    batches = list(zip(x, torch.tensor(problem.labels), strict=True))
    calls = problem.calls()

    def value(x, labels):
        return nn.functional.cross_entropy(model(x), labels)

    value = torch_compile(value) if compiled else value

    def run():
        for x, labels in batches[: next(calls)]:
            optimizer.zero_grad()
            value(x, labels).backward()
            optimizer.step()
        return model

    def read(model):
        parts = [part.detach().numpy() for part in model.parameters()]
        axes = {4: (2, 3, 1, 0), 2: (1, 0), 1: (0,)}
        return problem.read(turned_back(problem, [p.transpose(axes[p.ndim]) for p in parts]))

    return run, read


def filled(torch, layer, parts):
    """A layer of PyTorch with the next kernel and bias."""
    kernel, bias = next(parts), next(parts)
    order = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
    layer.weight.data = torch.tensor(np.ascontiguousarray(kernel.transpose(order)))
    layer.bias.data = torch.tensor(bias)
    return layer


def limit(problem):
    """The products of all layers as one product of matrices each, by MKL; nothing else."""
    torch, trios = torch_ready(), []
    for number, (m, k, n) in enumerate(problem.net.products()):
        x, w, y = torch.rand(m, k), torch.rand(k, n), torch.rand(m, n)
        trios += [(x, w, torch.empty(m, n)), (x.T, y, torch.empty(k, n))]
        trios += [(y, w.T, torch.empty(m, k))] if number else []

    def run():
        for _ in range(problem.net.steps):
            for left, right, out in trios:
                torch.mm(left, right, out=out)

    return run, None


CONTESTANTS = (
    Contestant("MKL, the products alone", limit, "limit"),
    Contestant("chainrule, fit", by_fit, "ours"),
    Contestant("torch, eager, channels last", lambda p: with_torch(p, compiled=False)),
    Contestant("torch.compile, channels last", lambda p: with_torch(p, compiled=True)),
    Contestant("jax, step", with_jax),
)


def peak():
    """Operations a second of one large product, by MKL."""
    torch = torch_ready()
    left, right, out = (torch.rand(2048, 2048) for _ in range(3))
    return 2 * 2048**3 / min(per_call(lambda: torch.mm(left, right, out=out), 2) for _ in range(9))


def best_speed():
    """A line that says what the machine can do."""
    try:
        return [f"one product of 2048 x 2048 by MKL: {peak() / 1e9:.0f} GFLOP/s"]
    except ImportError:
        return []  # without PyTorch there's nobody to compare with


def tables():
    found = []
    for name in list(NETS)[:1] if QUICK else NETS:
        this = problem(name)
        exactly = (0.0,) * len(this.parameters)
        rows, absent = compete(
            CONTESTANTS, this, exactly, *rounds(this.net.rounds, 0.2), FAR, this.net.steps
        )
        found.append("\n".join([table(title(name), rows, absent, flops(this.net)), *best_speed()]))
    return found
