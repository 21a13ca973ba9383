"""Axes of length one are gone before loops are made: layers of one example are those of vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.loops.cluster import Kernel, cluster
from chainrule.loops.lower import lower
from chainrule.loops.units import without_units
from chainrule.optimise.pipeline import optimise
from chainrule.tracing.stage import trace_program


def kernels(f: Any, *args: Any) -> list[tuple[Any, Any]]:
    """The loop nests that a function becomes: over what, and folding what."""
    lowered = lower(optimise(trace_program(f, *args, values=False)))
    without_units(lowered.builder.values)
    steps = cluster(lowered.builder.values, lowered.outputs).steps
    return [(step.shape, step.extents) for step in steps if isinstance(step, Kernel)]


def loss(w: Any, b: Any, v: Any, x: Any) -> Any:
    return np.sum(np.tanh(np.tanh(x @ w + b) @ v) ** 2)


def test_a_layer_of_one_row_makes_the_loops_of_a_vector() -> None:
    rng = np.random.default_rng(0)
    w, b, v, x = (rng.normal(size=n) for n in ((6, 5), 5, (5, 3), 6))
    step = cr.grad(loss, argnums=(0, 1, 2))
    assert kernels(step, w, b, v, x[None]) == kernels(step, w, b, v, x)
    for found, wanted in zip(cr.jit(step)(w, b, v, x[None]), step(w, b, v, x), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-11)


def there_and_back(x: Any) -> Any:
    column = np.reshape(x, (-1, 1))
    row = np.transpose(column) * 2
    return np.sum(np.broadcast_to(row, (1, 4)) + column.T, axis=0)[:, None][:, 0]


def test_columns_rows_and_stacks_of_one_are_the_same_vector() -> None:
    x = np.arange(4.0)
    assert kernels(there_and_back, x) == [((4,), ())]
    np.testing.assert_array_equal(cr.jit(there_and_back)(x), 3 * x)


def test_no_value_keeps_an_axis_of_length_one() -> None:
    def f(x: Any, i: Any) -> Any:
        y = np.cumsum(x, axis=0)
        joined = np.concatenate([y, x[:, :1] * 2], axis=1)
        z = np.zeros((1, 5))
        z[:, i] += np.max(joined, axis=1, keepdims=True)
        return z, np.cumsum(joined, axis=1), joined[0, ::-1].reshape(1, 1, 4)

    x, i = np.array([[3.0, 1.0, 2.0]]), np.array([1])
    lowered = lower(optimise(trace_program(f, x, i, values=False)))
    without_units(lowered.builder.values)
    assert all(1 not in value.domain + value.shape for value in lowered.builder.values)
    for found, wanted in zip(cr.jit(f)(x, i), f(x, i), strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("shape", [(1, 0), (0, 1), (1, 1, 1), (1, 3, 1), (2, 1, 3)])
def test_odd_shapes(shape: tuple[int, ...]) -> None:
    x = np.arange(float(np.prod(shape))).reshape(shape)

    def f(x: Any) -> Any:
        return np.exp(x) - x.T.T, np.cumsum(x, axis=-1), np.sum(x, axis=0), x.reshape(-1, 1)

    for found, wanted in zip(cr.jit(f)(x), f(x), strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=1e-15)


@pytest.mark.parametrize("length", [0, 1, 4])
def test_a_loop_over_rows_of_one_entry(length: int) -> None:
    def f(c: Any, xs: Any) -> Any:
        return cr.scan(lambda c, x: (c * 0.5 + x, (c + x)[:, None]), c, xs)

    c, xs = np.array([2.0]), np.arange(float(length)).reshape(length, 1)
    found, rows = cr.jit(f)(c, xs)
    wanted, expected = f(c, xs)
    np.testing.assert_array_equal(found, wanted)
    assert rows.shape == expected.shape
    np.testing.assert_array_equal(rows, expected)


def test_one_key_draws_what_it_draws_by_itself() -> None:
    def f(seed: Any) -> Any:
        keys = cr.random.split(cr.random.key(seed), 1)
        return cr.vmap(lambda k: (cr.random.normal(k, (1, 3)), cr.random.bits(k, (2, 1))))(keys)

    for found, wanted in zip(cr.jit(f)(3), f(3), strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_array_equal(found, wanted)
