"""What every step of a loop would compute alike is computed once, before it."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.tracing.stage import trace_program

W = np.linspace(0.2, 1.4, 12).reshape(3, 4)
XS = np.cos(np.arange(20.0)).reshape(5, 4)


def f(w, xs):
    def step(c, x):
        gain, shift, rate = w
        return np.tanh(gain * c + shift) * np.exp(-rate) + x, None

    return np.sum(cr.scan(step, np.zeros(4), xs)[0])


def body(program):
    (scan,) = [e for e in program.equations if e.primitive.name == "scan"]
    return [e.primitive.name for e in scan.params["body"].equations]


def test_the_body_has_what_differs_from_step_to_step():
    program = trace_program(f, W, XS, values=False)
    assert body(program) == ["multiply", "add", "tanh", "multiply", "add"]
    assert [e.primitive.name for e in program.equations][:3] == ["getitem"] * 3


def test_all_modes_agree():
    by_hand = cr.finite_difference(f)(W, XS)
    for found in (
        cr.grad(f)(W, XS),
        cr.jit(cr.grad(f))(W, XS),
        cr.jacfwd(f)(W, XS),
        cr.vmap(cr.grad(f), (0, None))(np.stack([W, 2 * W]), XS)[0],
    ):
        np.testing.assert_allclose(found, by_hand, rtol=1e-6, atol=1e-8)
    cr.check_grads(f, (W, XS), order=2)


def test_what_would_take_more_memory_is_left_inside():
    def wide(w):
        return cr.scan(lambda c, _: (c + w[:, None] * w[None, :], None), np.zeros((4, 4)), length=3)

    assert "multiply" in body(trace_program(wide, W[0], values=False))


@pytest.mark.parametrize("length", [0, 1])
def test_nothing_is_computed_for_no_steps(length):
    calls = []

    def seen(x):
        calls.append(1)
        return x * 2

    def run(w):
        doubled = cr.custom_jvp(seen)
        doubled.defjvp(lambda xs, ts: (seen(*xs), 2 * ts[0]))
        return cr.scan(lambda c, _: (c + doubled(w), None), w, length=length)[0]

    np.testing.assert_array_equal(run(W), W * (1 + 2 * length))


def test_loops_in_loops():
    def g(w):
        def outer(c, x):
            inner = cr.fori_loop(0, 3, lambda i, y: y * w[0] + np.sin(w[1]) * x, c)
            return inner, None

        return np.sum(cr.scan(outer, w[2], XS)[0])

    np.testing.assert_allclose(
        cr.jit(cr.grad(g))(W), cr.finite_difference(g)(W), rtol=1e-6, atol=1e-7
    )


def test_each_equation_keeps_the_line_that_it_was_written_on():
    def g(w):
        def step(c, x):
            rate = np.log(w)
            return c + rate * x, None

        return np.sum(cr.scan(step, np.zeros(2), np.arange(3.0))[0])

    (log,) = [
        e for e in trace_program(g, np.ones(2), values=False).equations if e.primitive.name == "log"
    ]
    assert log.place.text == "np.log(w)"
    assert not log.backward
    with cr.settings(check_nan=True), pytest.raises(cr.DomainError, match=r"np\.log\(w\)"):
        cr.jit(g)(np.array([-1.0, 2.0]))
