"""Programs that random search found to go wrong, made small."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr

X = np.array([[0.3, 0.5, 0.2], [0.1, 0.7, 0.9]])


def copy_of_a_strided_view(x: Any) -> Any:
    y = x * 1.0
    np.ascontiguousarray(y[::2])[0] = 5.0
    np.ascontiguousarray(y.T)[0] = 7.0
    return np.sum(y * y)


def partition_then_reshape(x: Any) -> Any:
    y = np.partition(x, 0, axis=0)
    y.reshape(-1)[0] = x[0, 0] ** 2
    return np.sum(y * y)


def list_of_transposes(x: Any) -> Any:
    b = np.array([x.T, x.T * 2])
    b.reshape(-1)[1] = x[0, 0] ** 2
    return np.sum(b**2 * np.arange(b.size).reshape(b.shape))


def reshape_of_a_scalar(x: Any) -> Any:
    total = np.sum(x) * 1.0
    row = np.reshape(total, (1,))
    row[0] = x[0, 0] ** 2
    return total * row[0]


def buffer_without_axes(x: Any) -> Any:
    b = np.zeros(())
    row = b.reshape(1)
    row[0] = np.sin(x[0, 0])
    b[()] *= 2
    return row[0] * b + np.sum(x)


def mask_made_inside(x: Any) -> Any:
    mask = np.arange(x.size).reshape(x.shape) % 2 == 0
    return np.sum(x * x, where=mask) + np.sum(np.cos(X), where=mask)


def joins_of_new_memory(x: Any) -> Any:
    zeros, ones = np.zeros(2), np.ones(2)
    made = [
        np.concatenate([zeros, ones]),
        np.vstack([zeros, ones]).reshape(-1),
        np.stack([zeros, ones])[0],
        np.column_stack([zeros, ones])[1],
        np.block([zeros, ones]),
        np.tile(zeros, 2),
        np.roll(ones, 1),
    ]
    for k, part in enumerate(made):
        part[k % 2] = x[0, k % 3] ** 2
    return sum(np.sum(part * part) for part in made) + np.sum(zeros) + np.sum(ones)


def join_that_is_a_view_of_an_argument(x: Any) -> Any:
    outside = np.ones(3)
    view, _ = np.broadcast_arrays(outside, np.zeros(3))
    outside[0] = 4.0
    return np.sum(view * x[0])


FOUND = [
    copy_of_a_strided_view,
    partition_then_reshape,
    list_of_transposes,
    reshape_of_a_scalar,
    buffer_without_axes,
    mask_made_inside,
    joins_of_new_memory,
    join_that_is_a_view_of_an_argument,
]


@pytest.mark.parametrize("f", FOUND)
def test_found(f: Any) -> None:
    value, gradient = f(X.copy()), np.zeros(X.shape)
    for place in np.ndindex(X.shape):
        step = np.zeros(X.shape)
        step[place] = 1e-6
        gradient[place] = (f(X + step) - f(X - step)) / 2e-6
    found, slopes = cr.value_and_grad(f)(X)
    np.testing.assert_allclose(found, value, rtol=1e-14)
    np.testing.assert_allclose(slopes, gradient, rtol=1e-7, atol=1e-8)
    np.testing.assert_allclose(cr.vmap(f)(X[None])[0], value, rtol=1e-14)
    np.testing.assert_allclose(cr.jvp(f, (X,), (X,))[1], np.sum(gradient * X), rtol=1e-7)


@pytest.mark.parametrize("x", [0.45, np.array([0.45, -0.3, 0.0, 2.5]), np.float32(0.3)])
def test_sinc_is_numpys_bit_for_bit(x: Any) -> None:
    np.testing.assert_array_equal(cr.jvp(np.sinc, (x,), (x,))[0], np.sinc(x))
