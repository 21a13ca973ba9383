"""What a loop keeps for the loop of its transpose: little, and the same numbers to the last bit."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.ir.verify import verify
from chainrule.optimise.cut import INFINITE, Network
from chainrule.optimise.pipeline import optimise
from chainrule.optimise.recompute import recompute
from chainrule.tracing.stage import evaluate, trace_program


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def recurrent(w, h, xs):
    def step(h, x):
        gate = sigmoid(w * x + h)
        h = gate * h + (1 - gate) * np.tanh(x - h)
        return h, np.sum(h * h)

    return np.sum(cr.scan(step, h, xs)[1])


W, H, XS = (
    np.linspace(0.5, 1.5, 6),
    np.linspace(-1.0, 1.0, 6),
    np.sin(np.arange(30.0)).reshape(5, 6),
)


def scans(program):
    return [e for e in program.equations if e.primitive.name == "scan"]


def agree(program, smaller, *leaves):
    for left, right in zip(evaluate(program, *leaves), evaluate(smaller, *leaves), strict=True):
        np.testing.assert_array_equal(left, right)


def bytes_kept(program):
    """What the first loop stacks."""
    first = scans(program)[0]
    rows = first.outputs[first.params["carry"] :]
    return sum(var.type.size * var.type.dtype.itemsize for var in rows)


def test_only_what_is_dear_is_kept():
    program = trace_program(cr.grad(recurrent, (0, 1)), W, H, XS, values=False)
    smaller = verify(optimise(program))
    agree(program, smaller, W, H, XS)
    first = scans(smaller)[0]
    body = first.params["body"]
    made = {var.number: e.primitive.name for e in body.equations for var in e.outputs}
    kept = sorted(made.get(out.number, "carry") for out in body.outputs[first.params["carry"] :])
    # What a gate is made of follows from its exponential, 1 - tanh² from tanh.
    assert kept == ["carry", "exp", "tanh"]
    assert bytes_kept(smaller) < bytes_kept(program) / 2


@pytest.mark.parametrize("argnums", [0, 1, 2, (0, 1, 2)])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_same_numbers(argnums, reverse):
    def f(w, h, xs):
        def step(h, x):
            y = np.where(x > 0, np.sqrt(np.abs(x) + 1) * h, h / w)
            return y * sigmoid(w) + x[0], (y, np.exp(-y))

        last, (ys, es) = cr.scan(step, h, xs, reverse=reverse)
        return np.sum(last) + np.sum(ys * es)

    both = cr.value_and_grad(f, argnums)
    program = trace_program(both, W, H, XS, values=False)
    smaller = verify(optimise(program))
    agree(program, smaller, W, H, XS)
    for left, right in zip(flat(cr.jit(both)(W, H, XS)), flat(both(W, H, XS)), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-12, atol=1e-14)


def flat(pair):
    value, slopes = pair
    return value, *(slopes if isinstance(slopes, tuple) else (slopes,))


def test_rows_that_others_read_stay():
    def f(w, h, xs):
        def step(h, x):
            y = h * x
            return y + w, y

        return cr.scan(step, h, xs)

    def loss(w):
        return np.sum(np.sin(f(w, H, XS)[1]))

    program = trace_program(cr.value_and_grad(loss), W, values=False)
    agree(program, verify(optimise(program)), W)


def test_higher_orders_and_loops_in_loops():
    def f(w):
        def outer(c, x):
            return cr.scan(lambda c, k: (np.sin(c) * w + x * k, None), c, np.arange(3.0))[0], c

        last, cs = cr.scan(outer, np.cos(W), XS)
        return np.sum(last * last) + np.sum(cs)

    hessian = cr.hessian(f)
    program = trace_program(hessian, W, values=False)
    smaller = verify(optimise(program))
    agree(program, smaller, W)
    np.testing.assert_allclose(cr.jit(hessian)(W), hessian(W), rtol=1e-10, atol=1e-12)


def test_loops_that_have_nothing_to_do_with_each_other():
    def f(x):
        a = cr.scan(lambda c, r: (c + r, c * r), x[0], x)[1]
        return np.sum(a) + np.sum(cr.scan(lambda c, r: (c - r, c / r), x[0], x[1:])[1])

    program = optimise(trace_program(f, XS + 2, values=False))
    assert recompute(program) is program


def test_python_numbers_that_are_carried():
    def f(x):
        return np.sum(cr.fori_loop(0, 4, lambda i, y: np.tanh(y * x) + i * y, x))

    program = trace_program(cr.grad(f), W, values=False)
    agree(program, verify(optimise(program)), W)


# ---- the cut -------------------------------------------------------------------------------------


def least(nodes, edges):
    network = Network(nodes)
    for start, end, room in edges:
        network.edge(start, end, room)
    network.fill(0, 1)
    late = network.before(1)
    return sum(room for a, b, room in edges if a not in late and b in late)


def test_a_cut_of_least_price():
    edges = [(0, 2, 10), (0, 3, 10), (2, 3, 2), (2, 4, 4), (2, 5, 8), (3, 5, 9)]
    assert least(6, [*edges, (5, 4, 6), (4, 1, 10), (5, 1, 10)]) == 19


def test_a_cut_is_no_dearer_than_any_other():
    rng = np.random.default_rng(0)
    for _ in range(30):
        nodes = 7
        edges = [
            (a, b, int(rng.integers(1, 20)))
            for a in range(nodes)
            for b in range(nodes)
            if a != b and rng.random() < 0.4
        ]
        best = min(
            sum(room for a, b, room in edges if a in early and b not in early)
            for early in (
                {0, *(k for k in range(2, nodes) if code >> (k - 2) & 1)}
                for code in range(1 << (nodes - 2))
            )
        )
        assert least(nodes, edges) == best


def test_what_may_not_be_cut():
    assert least(4, [(0, 2, INFINITE), (2, 3, 7), (3, 1, INFINITE)]) == 7
