"""The networks of W5, what they are trained on, and their training by hand in float64."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from benchmarks.effort import THREADS

RATE, MOMENTUM = 0.01, 0.9


class Conv(NamedTuple):
    """A convolution and relu."""

    filters: int
    size: int
    stride: int
    pad: int


class Pool(NamedTuple):
    """The largest entry of each window."""

    size: int
    stride: int


class Dense(NamedTuple):
    """A product, and relu but for the last; the first one takes pictures as they lie."""

    units: int


class Net(NamedTuple):
    """A network, and what it is trained on.

    Fields: shape, of a picture: rows, columns, channels; batch, pictures of a step; steps of a
    call that is timed; checked, steps of the first call, whose result is checked; rounds.
    """

    shape: tuple[int, int, int]
    batch: int
    steps: int
    checked: int
    rounds: int
    layers: tuple[Conv | Pool | Dense, ...]

    def inputs(self):
        """What each layer gets: a shape without the batch."""
        found = [self.shape]
        for layer in self.layers:
            side, depth = found[-1][0], found[-1][-1]
            match layer:
                case Conv(filters, size, stride, pad):
                    side = (side + 2 * pad - size) // stride + 1
                    found.append((side, side, filters))
                case Pool(size, stride):
                    side = (side - size) // stride + 1
                    found.append((side, side, depth))
                case Dense(units):
                    found.append((units,))
        return found[:-1]

    def products(self):
        """Rows, inner size and columns of the product that each layer's forward pass is."""
        found = []
        for layer, shape in zip(self.layers, self.inputs(), strict=True):
            match layer:
                case Conv(filters, size, stride, pad):
                    side = (shape[0] + 2 * pad - size) // stride + 1
                    found.append((self.batch * side * side, size * size * shape[-1], filters))
                case Dense(units):
                    found.append((self.batch, int(np.prod(shape)), units))
        return found


NETS = {
    "LeNet": Net(
        (28, 28, 1),
        64,
        20,
        20,
        7,
        (
            *(Conv(6, 5, 1, 2), Pool(2, 2), Conv(16, 5, 1, 0), Pool(2, 2)),
            *(Dense(120), Dense(84), Dense(10)),
        ),
    ),
    "four convolutions": Net(
        (32, 32, 3),
        64,
        4,
        2,
        5,
        (
            *(Conv(32, 3, 1, 1), Conv(32, 3, 1, 1), Pool(2, 2)),
            *(Conv(64, 3, 1, 1), Conv(64, 3, 1, 1), Pool(2, 2)),
            *(Dense(256), Dense(10)),
        ),
    ),
    "AlexNet's shapes": Net(
        (224, 224, 3),
        8,
        4,
        2,
        3,
        (
            *(Conv(64, 11, 4, 2), Pool(3, 2), Conv(192, 5, 1, 2), Pool(3, 2)),
            *(Conv(384, 3, 1, 1), Conv(256, 3, 1, 1), Conv(256, 3, 1, 1), Pool(3, 2)),
            *(Dense(4096), Dense(4096), Dense(1000)),
        ),
    ),
}


@dataclass
class Problem:
    """float32; a kernel is [row][column][channel][filter]; x [steps, batch, *shape]."""

    net: Net
    parameters: tuple[np.ndarray, ...]
    x: np.ndarray
    labels: np.ndarray

    @cached_property
    def exact(self):
        """How far each parameter gets in the steps that are checked, in float64."""
        return by_hand(self)

    def calls(self):
        """The steps of each call: few in the first one, since rounding grows from step to step."""
        yield self.net.checked
        while True:
            yield self.net.steps

    def read(self, parameters):
        """How far off the way of each parameter is, as a part of its length."""
        return tuple(
            np.linalg.norm(np.asarray(after, float).reshape(way.shape) - first - way)
            / np.linalg.norm(way)
            for after, first, way in zip(parameters, self.parameters, self.exact, strict=True)
        )


def title(name):
    net = NETS[name]
    side, count = net.shape[0], flops(net) / 1e9
    head = f"W5 · a step of training, {name}, {side}x{side}, batch {net.batch}"
    return f"{head}, {count:.2g} GFLOP, float32, threads: {THREADS}"


def flops(net):
    """Of the products of a step: forward, by the kernel, and by the input but for the first."""
    return sum(2 * m * k * n * (3 if i else 2) for i, (m, k, n) in enumerate(net.products()))


def problem(name):
    net, random = NETS[name], np.random.default_rng(0)
    parameters = []
    for layer, shape in zip(net.layers, net.inputs(), strict=True):
        if isinstance(layer, Pool):
            continue
        kernel = (
            (layer.size, layer.size, shape[-1], layer.filters)
            if isinstance(layer, Conv)
            else (int(np.prod(shape)), layer.units)
        )
        values = random.standard_normal(kernel, np.float32)
        parameters += [values * np.float32(np.sqrt(2 / np.prod(kernel[:-1])))]
        parameters += [np.zeros(kernel[-1], np.float32)]
    x = random.random((net.steps, net.batch, *net.shape), np.float32)
    labels = random.integers(0, net.layers[-1].units, (net.steps, net.batch))
    return Problem(net, tuple(parameters), x, labels)


# --- the reference ------------------------------------------------------------------------------


def windows(x, size, stride):
    """[batch, row, column, channel, row within, column within], without a copy."""
    found = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return found[:, ::stride, ::stride]


def spread(parts, shape, size, stride):
    """What windows add up to: `parts(i, j)` is what goes to their entry in row i, column j."""
    total = np.zeros(shape)
    for i in range(size):
        for j in range(size):
            part = parts(i, j)
            down, across = (stride * length for length in part.shape[1:3])
            total[:, i : i + down : stride, j : j + across : stride] += part
    return total


def forward(layer, x, kernel, bias, last):
    """The output of a layer, and the input as its derivative needs it."""
    match layer:
        case Conv(_, size, stride, pad):
            x = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
            axes = (3, 4, 5), (2, 0, 1)
            return np.maximum(np.tensordot(windows(x, size, stride), kernel, axes) + bias, 0), x
        case Pool(size, stride):
            return windows(x, size, stride).max((4, 5)), x
    x = x.reshape(len(x), -1)
    z = x @ kernel + bias
    return z if last else np.maximum(z, 0), x


def backward(layer, x, y, d, kernel):
    """What a derivative `d` by the output `y` makes by the input, the kernel and the bias."""
    match layer:
        case Conv(_, size, stride, pad):
            d = d.reshape(y.shape) * (y > 0)
            by_kernel = np.tensordot(windows(x, size, stride), d, ((0, 1, 2), (0, 1, 2)))
            by_x = spread(lambda i, j: d @ kernel[i, j].T, x.shape, size, stride)
            inner = slice(pad, x.shape[1] - pad)
            return by_x[:, inner, inner], [by_kernel.transpose(1, 2, 0, 3), d.sum((0, 1, 2))]
        case Pool(size, stride):
            # Entries that tie are zeros behind a relu, whose derivative takes what they get.
            d, seen = d.reshape(y.shape), windows(x, size, stride)
            return spread(lambda i, j: d * (seen[..., i, j] == y), x.shape, size, stride), []
    return d @ kernel.T, [x.T @ d, d.sum(0)]


def by_hand(problem):
    parameters = [part.astype(float) for part in problem.parameters]
    speeds = [np.zeros_like(part) for part in parameters]
    checked = slice(problem.net.checked)
    for x, labels in zip(problem.x[checked], problem.labels[checked], strict=True):
        y, kept, place = x.astype(float), [], iter(range(0, len(parameters), 2))
        for layer in problem.net.layers:
            at = None if isinstance(layer, Pool) else next(place)
            kernel, bias = (None, None) if at is None else parameters[at : at + 2]
            y, x = forward(layer, y, kernel, bias, layer is problem.net.layers[-1])
            kept.append((layer, x, y, kernel))
        d = np.exp(y - y.max(1, keepdims=True))
        d /= d.sum(1, keepdims=True)
        d[np.arange(len(labels)), labels] -= 1
        d /= len(labels)
        slopes = []
        for layer, x, y, kernel in reversed(kept):
            if isinstance(layer, Dense) and layer is not problem.net.layers[-1]:
                d = d * (y > 0)
            d, found = backward(layer, x, y, d, kernel)
            slopes = [*found, *slopes]
        for part, speed, slope in zip(parameters, speeds, slopes, strict=True):
            speed *= MOMENTUM
            speed += slope
            part -= RATE * speed
    return [part - first for part, first in zip(parameters, problem.parameters, strict=True)]
