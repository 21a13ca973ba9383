"""Random programs: a graph's gradients, tangents and parts agree with the transformations."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.ops.family import sum_to

UNARY = (np.sin, np.tanh, np.exp, lambda v: v * v, lambda v: -v, lambda v: 0.5 * v, np.abs)
BINARY = (np.add, np.multiply, np.subtract, np.maximum, lambda a, b: a / (2 + b * b))
SHAPED = (
    lambda v: v[::-1], np.cumsum, lambda v: v - np.sum(v), lambda v: np.where(v > 0, v, 0.1 * v),
    lambda v: np.concatenate([v[1:], v[:1]]), lambda v: np.outer(v, v) @ v, lambda v: v * np.max(v),
)  # fmt: skip

STEP = st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))


def program_of(steps, arrays):
    """A function of two inputs that does these steps, each on values made before."""

    def f(x, y):
        values = [x, y]
        for kind, left, right in steps:
            a, b = values[left % len(values)], values[right % len(values)]
            if kind % 3 == 0:
                values.append(UNARY[kind % len(UNARY)](a))
            elif kind % 3 == 1 or not arrays:
                values.append(BINARY[kind % len(BINARY)](a, b))
            else:
                values.append(SHAPED[kind % len(SHAPED)](a))
            values[-1] = np.tanh(values[-1])  # nothing grows beyond bounds
        total = sum(values[2:], values[0] * values[1])
        return np.sum(total) if arrays else total

    return f


def inputs_of(seed, arrays):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-2, 2, (2, 3)) if arrays else map(float, rng.uniform(-2, 2, 2))
    return x, y


RANDOM = (st.lists(STEP, min_size=1, max_size=8), st.integers(0, 2**20), st.booleans())


def close(value, wanted):
    np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-12)


@given(*RANDOM)
def test_backward_is_grad(steps, seed, arrays):
    f, (x, y) = program_of(steps, arrays), inputs_of(seed, arrays)
    g = cr.graph(f, x, y)
    for found, wanted in zip(g.backward(), cr.grad(f, (0, 1))(x, y), strict=True):
        close(found, wanted)


@given(*RANDOM)
def test_tangents_are_jvp(steps, seed, arrays):
    f, (x, y) = program_of(steps, arrays), inputs_of(seed, arrays)
    g = cr.graph(f, x, y)
    t = inputs_of(seed + 1, arrays)[0]
    along = g.outputs[0].tangent("x")
    close(np.sum(along * t), cr.jvp(f, (x, y), (t, np.zeros_like(y)))[1])


@given(*RANDOM)
def test_contributions_add_up(steps, seed, arrays):
    g = cr.graph(program_of(steps, arrays), *inputs_of(seed, arrays))
    g.backward()
    for node in g.nodes:
        if node.kind == "constant" or node in g.outputs or node.type.dtype.kind != "f":
            continue
        parts = [e.contribution for e in g.edges if e.source is node]
        close(sum(p for p in parts if p is not None), node.gradient)


@given(*RANDOM)
def test_contribution_is_upstream_times_local(steps, seed, arrays):
    g = cr.graph(program_of(steps, arrays), *inputs_of(seed, arrays))
    g.backward()
    for edge in g.edges:
        if edge.contribution is None:
            continue
        if edge.target.elementwise:
            whole = np.broadcast_to(edge.upstream * edge.local, edge.target.type.shape)
            wanted = sum_to(whole, edge.source.type.shape)
        else:
            wanted = np.tensordot(edge.upstream, edge.local, np.ndim(edge.upstream))
        close(edge.contribution, wanted)


@given(*RANDOM)
def test_total_derivatives_chain(steps, seed, arrays):
    """d(out)/d(node) is the node's gradient; along one step total is partial."""
    g = cr.graph(program_of(steps, arrays), *inputs_of(seed, arrays))
    g.backward()
    out = g.outputs[0]
    for node in g.nodes:
        if node.kind != "constant" and node.type.dtype.kind == "f":
            close(g.derivative(out, node), node.gradient)
    last = out.inputs[0]
    if last.kind == "operation" and out.users == ():
        once = all(source is last or source.index < last.index for source in out.inputs)
        reach = any(source is not last and last in source.inputs for source in out.inputs)
        if once and not reach:
            close(g.derivative(out, last), g.derivative(out, last, kind="partial"))


@given(*RANDOM)
def test_forward_again_is_the_function(steps, seed, arrays):
    f = program_of(steps, arrays)
    g = cr.graph(f, *inputs_of(seed, arrays))
    other = inputs_of(seed + 7, arrays)
    close(g.forward(*other), f(*other))
    for found, wanted in zip(g.backward(), cr.grad(f, (0, 1))(*other), strict=True):
        close(found, wanted)


@given(*RANDOM)
def test_names_are_unique(steps, seed, arrays):
    g = cr.graph(program_of(steps, arrays), *inputs_of(seed, arrays))
    names = [node.name for node in g.nodes if node.kind != "constant"]
    assert len(set(names)) == len(names)
