"""The networks of W6, written once for ours and for the peers: an LSTM, a Neural Turing Machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers import jax_with, torch_ready

WIDTH = 16  # of a place of the memory
HEAD = WIDTH + 6  # a key, its strength, a gate, three shifts, a sharpness


@dataclass(frozen=True)
class Names:
    """What a library calls the few functions that are written alike in no two of them."""

    np: Any
    sigmoid: Callable[[Any], Any]
    softmax: Callable[[Any], Any]
    softplus: Callable[[Any], Any]
    roll: Callable[[Any, int], Any]  # along axis 1
    join: Callable[[list[Any]], Any]  # along axis 1
    scan: Callable[..., Any]
    entropy: Callable[[Any, Any], Any]  # mean cross-entropy of scores and labels
    binary: Callable[[Any, Any], Any]  # and of scores and bits


def plainly(scan):
    """In plain NumPy."""

    def softmax(x):
        e = np.exp(x - np.max(x, axis=-1, keepdims=True))
        return e / np.sum(e, axis=-1, keepdims=True)

    def entropy(scores, labels):
        top = np.max(scores, axis=1, keepdims=True)
        all_of = np.log(np.sum(np.exp(scores - top), axis=1)) + top[:, 0]
        return np.mean(all_of - scores[np.arange(len(labels)), labels])

    return Names(
        np,
        lambda x: 1 / (1 + np.exp(-x)),
        softmax,
        lambda x: np.logaddexp(x, 0),
        lambda x, by: np.roll(x, by, axis=1),
        lambda parts: np.concatenate(parts, axis=1),
        scan,
        entropy,
        lambda x, bits: np.mean(np.maximum(x, 0) - x * bits + np.log1p(np.exp(-np.abs(x)))),
    )


def in_jax():
    jax = jax_with(False)
    jnp = jax.numpy

    def entropy(scores, labels):
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None], 1))

    return Names(
        jnp,
        jax.nn.sigmoid,
        jax.nn.softmax,
        jax.nn.softplus,
        lambda x, by: jnp.roll(x, by, 1),
        lambda parts: jnp.concatenate(parts, 1),
        jax.lax.scan,
        entropy,
        lambda x, bits: jnp.mean(jnp.maximum(x, 0) - x * bits + jnp.log1p(jnp.exp(-jnp.abs(x)))),
    )


def in_torch():
    torch = torch_ready()

    def scan(step, state, sequence):
        found = []
        for x in sequence:
            state, y = step(state, x)
            found.append(y)
        return state, None if found[0] is None else torch.stack(found)

    return Names(
        torch,
        torch.sigmoid,
        lambda x: torch.softmax(x, -1),
        torch.nn.functional.softplus,
        lambda x, by: torch.roll(x, by, 1),
        lambda parts: torch.cat(parts, 1),
        scan,
        torch.nn.functional.cross_entropy,
        torch.nn.functional.binary_cross_entropy_with_logits,
    )


def stepwise(step, state, sequence):
    """`scan` as a Python loop."""
    found = []
    for x in sequence:
        state, y = step(state, x)
        found.append(y)
    return state, None if found[0] is None else np.stack(found)


def cell(projected, hidden, memory, recurrent, names):
    """A step of an LSTM; the gates are input, forget, change, output."""
    z, n = projected + hidden @ recurrent, hidden.shape[1]
    enter, forget, change, leave = (z[:, k * n : (k + 1) * n] for k in range(4))
    kept = names.sigmoid(forget) * memory
    memory = kept + names.sigmoid(enter) * names.np.tanh(change)
    return names.sigmoid(leave) * names.np.tanh(memory), memory


def lstm(parameters, rest, x, labels, names):
    """The loss of an LSTM that reads x [sequence, batch, inputs] and then says a class."""
    kernel, recurrent, bias, last, last_bias = parameters
    flat = x.reshape(-1, x.shape[-1]) @ kernel + bias
    projected = flat.reshape(*x.shape[:2], -1)

    def step(state, projected):
        return cell(projected, *state, recurrent, names), None

    (hidden, _), _ = names.scan(step, (rest, rest), projected)
    return names.entropy(hidden @ last + last_bias, labels)


def address(u, weighting, memory, names):
    """Where a head looks: by content, then by place.

    Source: Graves, Wayne and Danihelka, Neural Turing Machines, 2014, eqs. 5 to 9.
    """
    np = names.np
    key, strength = np.tanh(u[:, :WIDTH]), names.softplus(u[:, WIDTH : WIDTH + 1])
    gate, shifts = names.sigmoid(u[:, WIDTH + 1 : WIDTH + 2]), names.softmax(u[:, -4:-1])
    sharp = 1 + names.softplus(u[:, -1:])
    likeness = (memory @ key[:, :, None])[:, :, 0]
    norms = ((memory * memory).sum(-1) + 1e-8) ** 0.5 * ((key * key).sum(-1)[:, None] + 1e-8) ** 0.5
    mixed = gate * names.softmax(strength * likeness / norms) + (1 - gate) * weighting
    turned = shifts[:, 0:1] * names.roll(mixed, 1) + shifts[:, 1:2] * mixed
    turned = turned + shifts[:, 2:3] * names.roll(mixed, -1)
    powers = (turned + 1e-8) ** sharp
    return powers / powers.sum(-1)[:, None]


def machine(parameters, rest, x, bits, names):
    """The loss of a Neural Turing Machine with an LSTM as its controller and one head of each kind.

    Args:
        rest: zeros for the controller, a memory of zeros, an even weighting, an empty reading.
        x: [steps, batch, bits].
    """
    np, (kernel, recurrent, bias, *ends, first) = names.np, parameters
    read, read_bias, write, write_bias, last, last_bias = ends
    still, empty, even, nothing = rest

    def step(state, x):
        hidden, cells, memory, reading, writing, seen = state
        projected = names.join([x, seen]) @ kernel + bias
        hidden, cells = cell(projected, hidden, cells, recurrent, names)
        u = hidden @ write + write_bias
        writing = address(u[:, :HEAD], writing, memory, names)
        erase, add = names.sigmoid(u[:, HEAD : HEAD + WIDTH]), np.tanh(u[:, HEAD + WIDTH :])
        memory = memory * (1 - writing[:, :, None] * erase[:, None, :])
        memory = memory + writing[:, :, None] * add[:, None, :]
        reading = address(hidden @ read + read_bias, reading, memory, names)
        seen = (reading[:, None, :] @ memory)[:, 0]
        answer = names.join([hidden, seen]) @ last + last_bias
        return (hidden, cells, memory, reading, writing, seen), answer

    begin = still, still, empty + np.tanh(first), even, even, nothing
    return names.binary(names.scan(step, begin, x)[1], bits)
