"""cr.jit outside, between and inside all other transformations, against closed forms."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

_spec = importlib.util.spec_from_file_location(
    "nests", Path(__file__).parents[1] / "transform" / "test_compositions.py"
)
nests = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(nests)

JIT = {"jit": (0, cr.jit)}
SCALAR, VECTOR = nests.SCALAR | JIT, nests.VECTOR | JIT
NAMES = list(nests.SCALAR)
EXACT = nests.scalar_derivatives(5)


def check(names):
    order, f = nests.nest(SCALAR, names, nests.scalar)
    for _ in range(3):  # traced, from the cache, and by the shortest way
        found = f(nests.X)
        assert np.shape(found) == ()
        np.testing.assert_allclose(found, EXACT[order], rtol=1e-9, err_msg=" of ".join(names))
    order, f = nests.nest(VECTOR, names, nests.vector)
    exact = nests.vector_derivative(order)
    for _ in range(3):
        found = f(nests.POINT)
        assert np.shape(found) == (3,)
        np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-13, err_msg=" of ".join(names))


@pytest.mark.parametrize("name", [*NAMES, "jit"])
@pytest.mark.parametrize("engine", ["numpy", "llvm"])
def test_around_and_inside_each(engine, name):
    with cr.settings(engine=engine):
        check(("jit", name))
        check((name, "jit"))
        check(("jit", name, "jit"))


@pytest.mark.parametrize(("outer", "inner"), list(itertools.product(NAMES, repeat=2)))
def test_around_and_between_two(outer, inner):
    with cr.settings(engine="numpy"):
        check(("jit", outer, inner))
        check((outer, "jit", inner))
        check((outer, inner, "jit"))


def test_a_closure_over_a_traced_value():
    """An inner compiled function that sees an outer variable of differentiation."""

    def f(w):
        return cr.jit(lambda x: np.sin(x) * w**2)(0.5) * w

    np.testing.assert_allclose(cr.grad(f)(2.0), 3 * 2.0**2 * np.sin(0.5))
    np.testing.assert_allclose(cr.jit(cr.grad(f))(2.0), 3 * 2.0**2 * np.sin(0.5))
    np.testing.assert_allclose(cr.vmap(f)(np.array([1.0, 2.0])), np.array([1.0, 8.0]) * np.sin(0.5))


INNER = cr.jit(lambda x, y: x * y + 1.0)


def test_a_compiled_function_on_plain_values_inside_a_trace():
    def f(x):
        scale = INNER(2.0, np.arange(3.0))  # nothing here is traced
        return np.sum(INNER(x, scale))

    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(cr.grad(f)(x), [1.0, 3.0, 5.0])
    np.testing.assert_allclose(cr.jit(cr.grad(f))(x), [1.0, 3.0, 5.0])


def test_values_decide_in_a_compiled_function_inside_grad_as_without_it():
    f = cr.jit(lambda x: x**2 if x > 0 else -x)
    assert cr.grad(f)(3.0) == 6.0
    assert cr.grad(f)(-3.0) == -1.0


def test_ties_are_those_of_the_uncompiled_function():
    f = lambda x: np.maximum(x, 0.0)
    assert cr.jit(cr.grad(f))(0.0) == cr.grad(f)(0.0) == 0.0
    g = lambda x, y: np.maximum(x, y)
    assert cr.jit(cr.grad(g))(1.0, 1.0) == cr.grad(g)(1.0, 1.0) == 0.5
    assert cr.grad(cr.jit(f))(0.0) == 0.0
    assert cr.grad(cr.jit(g))(1.0, 1.0) == 0.5


def test_a_tape_of_compiled_steps():
    step = cr.jit(cr.value_and_grad(lambda w, x: np.sum((w * x - 1.0) ** 2)))
    w, x = np.ones(3), np.array([1.0, 2.0, 3.0])
    for _ in range(50):
        _, gradient = step(w, x)
        w = w - 0.05 * gradient
    np.testing.assert_allclose(w, 1 / x, rtol=1e-2)
