"""What every test of NumPy's own semantics asks of a function, in every mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.tracing.stage import evaluate, trace_program


def gradient_by_differences(f: Callable[[Any], Any], x: np.ndarray, h: float) -> np.ndarray:
    """Fourth-order central differences of a scalar function."""
    found = np.zeros(x.size)
    for k, e in enumerate(np.eye(x.size)):
        e = h * e.reshape(x.shape)
        near, far = f(x + e) - f(x - e), f(x + 2 * e) - f(x - 2 * e)
        found[k] = (8 * near - far) / (12 * h)
    return found.reshape(x.shape)


def weights(shape: tuple[int, ...]) -> np.ndarray:
    return np.cos(np.arange(1.0, np.prod(shape) + 1)).reshape(shape)


def check_everywhere(
    f: Callable[[Any], Any], x: Any, *, batch: bool = True, staged: bool = True
) -> None:
    """f of one array: NumPy's value, both modes twice, batched, and recorded without values."""
    x = np.asarray(x, dtype=float)
    before = x.copy()
    expected = np.asarray(f(x.copy()))

    def scalar(x: Any) -> Any:
        y = f(x)
        return np.sum(np.sin(y) * weights(np.shape(y)))

    def plain(x: Any) -> Any:
        return scalar(x.copy())

    t = weights(x.shape)
    value, tangent = cr.jvp(f, (x,), (t,))
    assert np.shape(value) == expected.shape
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)
    gradient = cr.grad(scalar)(x)
    numeric = gradient_by_differences(plain, x, 1e-4)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-7, atol=1e-8)
    along = np.sum(np.cos(expected) * weights(expected.shape) * tangent)
    np.testing.assert_allclose(along, np.sum(gradient * t), rtol=1e-9, atol=1e-10)

    def slope(x: Any) -> Any:
        return np.sum(cr.grad(scalar)(x) * t)

    second = gradient_by_differences(slope, x, 1e-4)
    np.testing.assert_allclose(cr.grad(slope)(x), second, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(cr.jvp(cr.grad(scalar), (x,), (t,))[1], second, 1e-6, 1e-7)
    np.testing.assert_array_equal(x, before)
    others = [x, 0.9 * x, x + 0.05]
    if batch:
        found = cr.vmap(f)(np.stack(others))
        np.testing.assert_allclose(found, np.stack([f(z.copy()) for z in others]), 1e-12, 1e-12)
        gradients = cr.vmap(cr.grad(scalar))(np.stack(others))
        one_by_one = np.stack([cr.grad(scalar)(z) for z in others])
        np.testing.assert_allclose(gradients, one_by_one, rtol=1e-10, atol=1e-10)
    if staged:
        program = trace_program(f, x, values=False)
        for z in others:
            (out,) = evaluate(program, z)
            np.testing.assert_allclose(out, f(z.copy()), rtol=1e-12, atol=1e-12)


@pytest.fixture
def everywhere() -> Callable[..., None]:
    """`everywhere(f, x)` checks f in every mode."""
    return check_everywhere
