"""Functions with rules of their own inside loops: their arrays are handed in, and all is native."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.run import compile as compiling

MUTABLE = np.array([1.0, 2.0, 3.0])


@cr.custom_vjp
def made(x):
    """Uses arrays made on the spot."""
    return np.concatenate([x * np.array([1.0, 2.0, 3.0]), np.zeros(2), x[:1] * np.ones(3)])[:3]


made.defvjp(lambda x: (made(x), None), lambda _, g: (g * np.array([1.0, 2.0, 3.0]),))


@cr.custom_vjp
def kept(x):
    """Uses an array of somebody else's, twice, and another of its kind."""
    return np.sin(x * MUTABLE) + MUTABLE * np.array([0.1, 0.2, 0.3])


kept.defvjp(lambda x: (kept(x), x), lambda x, g: (g * MUTABLE * np.cos(x * MUTABLE),))


def scanned(f, x):
    return np.sum(cr.scan(lambda c, k: (c + 0.1 * k * f(c), f(c)), x, np.arange(4.0))[1])


def counted(f, x):
    return np.sum(cr.fori_loop(0, 3, lambda i, c: c + 0.1 * f(c), x))


def repeated(f, x):
    return np.sum(
        cr.while_loop(lambda c: np.sum(c) + f(c)[0] < 9, lambda c: c + 0.3 * f(c) + 0.5, x)
    )


def chosen(f, x):
    return np.sum(cr.cond(x[0] > 0, lambda x: f(x) * 2, lambda x: f(x) - f(-x), x))


def nested(f, x):
    turn = lambda c, k: (cr.cond(k > 1, lambda c: c + f(c), lambda c: 0.5 * f(c), c), None)
    return np.sum(cr.scan(lambda c, _: cr.scan(turn, c, np.arange(3)), x, np.arange(2.0))[0])


LOOPS = {f.__name__: f for f in (scanned, counted, repeated, chosen, nested)}


@pytest.fixture
def programs(monkeypatch):
    found = []
    build = compiling.NativeExecutable.__init__

    def noted(self, *args, **keywords):
        build(self, *args, **keywords)
        found.append(self)

    monkeypatch.setattr(compiling.NativeExecutable, "__init__", noted)
    return found


@pytest.mark.parametrize("f", [made, kept], ids=lambda f: f.__name__)
@pytest.mark.parametrize("loop", LOOPS)
def test_native_as_without(loop, f, programs):
    value = lambda x: LOOPS[loop](f, x)
    x = np.array([0.3, -0.2, 0.1])
    for point in (x, -x):
        wanted = cr.value_and_grad(value)(point)
        found = cr.jit(cr.value_and_grad(value))(point)
        np.testing.assert_allclose(found[0], wanted[0], rtol=1e-13)
        np.testing.assert_allclose(found[1], wanted[1], rtol=1e-12)
        with cr.settings(engine="numpy"):
            found = cr.jit(cr.value_and_grad(value))(point)
        np.testing.assert_allclose(found[1], wanted[1], rtol=1e-12)
    for program in programs:
        _ = program.module
        assert not [e.primitive.name for e in program.callbacks if "call" in e.primitive.name]


@pytest.mark.parametrize("loop", LOOPS)
def test_in_batches(loop):
    value = cr.grad(lambda x: LOOPS[loop](kept, x))
    rows = np.array([[0.3, -0.2, 0.1], [-0.1, 0.2, 0.4]])
    found = cr.jit(cr.vmap(value))(rows)
    np.testing.assert_allclose(found, [value(row) for row in rows], rtol=1e-12)


@pytest.mark.parametrize("loop", LOOPS)
def test_arrays_that_change_count_at_the_next_call(loop):
    value = cr.jit(lambda x: LOOPS[loop](kept, x))
    x = np.array([0.3, -0.2, 0.1])
    before = value(x)
    MUTABLE[0] += 1
    try:
        after = value(x)
        np.testing.assert_allclose(after, LOOPS[loop](kept, x), rtol=1e-13)
        assert before != after
    finally:
        MUTABLE[0] -= 1
    assert value(x) == before
