"""Writes into traced arrays alias as NumPy's do: arguments, views, loops, nested derivatives."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError, DtypeError, OutOfBoundsError, TraceError

X = np.array([0.3, 0.5, 0.7, 0.9])


def write_to_a_view(x: Any) -> Any:
    y = x[1:]
    y[0] = 3.0
    return x * x


def strided_views(x: Any) -> Any:
    y = x[::2]
    y += x[1::2]
    return x**3


def elements(x: Any) -> Any:
    x[1] += x[0] * x[2]
    x[0] = np.sin(x[1])
    return x * x


def reshape_and_transpose(x: Any) -> Any:
    y = x.reshape(2, 2).T
    y[0, 1] = y[1, 0] * y[0, 0]
    z = y[1]
    z *= 2.0
    return x**3


def view_read_after_a_write_to_its_root(x: Any) -> Any:
    y = x * 1.0
    z = y[1:]
    y[2] = y[0] ** 2
    return z**3


def an_advanced_index_is_a_copy(x: Any) -> Any:
    y = x[[0, 1]]
    y[0] = 5.0
    return np.concatenate([x * x, y * y])


def a_copy_is_a_copy(x: Any) -> Any:
    y = x.copy()
    y[0] = 5.0
    return np.stack([x**3, y * y])


def reshape_of_a_transpose_is_a_copy(x: Any) -> Any:
    y = x.reshape(2, 2).T
    z = y.reshape(4)
    z[0] = 9.0 * x[3]
    return np.stack([x**3, z * z])


def ravel_of_a_reversed_view_is_a_copy(x: Any) -> Any:
    y = np.ravel(x[::-1])
    y[0] = 9.0 * x[3]
    z = x[::-1].reshape(4)
    z[1] = 2.0 * x[0]
    return np.stack([x, y])


def a_mask(x: Any) -> Any:
    x[np.array([False, True, True, False])] = x[0] * 2.0
    x[np.arange(4) > 2] = x[1:2] * 3.0
    return x**3


def the_same_object(x: Any) -> Any:
    y = x
    y *= x[0]
    return x * x


def overlapping_views(x: Any) -> Any:
    u, w = x[:3], x[1:]
    u[1] = w[2] * u[0]
    return w**3 * u[1]


def overlapping_copy(x: Any) -> Any:
    x[1:] = x[:-1]
    return x * x


def a_row_through_two_names(x: Any) -> Any:
    y = x.reshape(2, 2) * 1.0
    row = y[0]
    y[0] = x[2:]
    row[0] = 7.0 * x[3]
    y[0, 1] += row[0]
    row += 1.0
    return y * 1.0


def rows_in_a_loop(x: Any) -> Any:
    y = np.empty_like(x, shape=(4, 2))
    y[0] = x[:2]
    for i in range(3):
        y[i + 1] = y[i] * x[2] + y[i][::-1]
        y[i + 1] += x[i]
        y[i + 1][0] *= 2.0
    return y * 1.0


def a_broadcast_array_follows(x: Any) -> Any:
    y = np.broadcast_to(x, (2, 4))
    x[0] = 5.0 * x[1]
    return y * 1.0


def a_diagonal_follows(x: Any) -> Any:
    m = x[:, None] * x
    d = np.diagonal(m)
    m[0, 0] = 7.0
    return d * 1.0


def tile_and_repeat_are_copies(x: Any) -> Any:
    y, z = np.tile(x, (2, 1)), np.repeat(x, 1)
    y[0, 0] = z[1] = 5.0
    x[2] = 0.5
    return np.concatenate([y.ravel(), z, x])


def meshgrid_gives_copies(x: Any) -> Any:
    a, b = np.meshgrid(x[:2], x[2:])
    a[0, 0] = 5.0
    x[1] = x[2] = 0.5
    return a * b


def flat(x: Any) -> Any:
    m = x.reshape(2, 2).T
    m.flat[1] = 3.0 * x[0]
    m.flat[2:] = x[0] * x[1]
    return np.array([*m.flat, m.flat[1], len(m.flat)])


def parts_of_a_split(x: Any) -> Any:
    first, second = np.split(x, 2)
    first[0] = second[1] * 2.0
    second -= first
    return x * 1.0


def sorted_in_place(x: Any) -> Any:
    y = x[::-1] * 1.0
    y[1:].sort()
    return y * np.arange(4)


def functions_that_write(x: Any) -> Any:
    y = x * 1.0
    np.copyto(y[:2], x[2:])
    np.put(y, [3], x[0] * 2.0)
    np.place(y, np.arange(4) == 2, x[:1] * 3.0)
    np.add.at(y, [0, 0], x[1])
    m = np.zeros_like(y, shape=(2, 2))
    np.fill_diagonal(m, x[:2])
    return np.concatenate([y, m.ravel()])


CASES = [
    write_to_a_view, strided_views, elements, reshape_and_transpose,
    view_read_after_a_write_to_its_root, an_advanced_index_is_a_copy, a_copy_is_a_copy,
    reshape_of_a_transpose_is_a_copy, ravel_of_a_reversed_view_is_a_copy, a_mask, the_same_object,
    overlapping_views, overlapping_copy, a_row_through_two_names, rows_in_a_loop,
    a_broadcast_array_follows, a_diagonal_follows, tile_and_repeat_are_copies,
    meshgrid_gives_copies, flat, parts_of_a_split, sorted_in_place, functions_that_write,
]  # fmt: skip


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_as_numpy_does(f: Callable[[Any], Any], everywhere: Callable[..., None]) -> None:
    everywhere(f, X)


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_on_a_value_that_was_computed(
    f: Callable[[Any], Any], everywhere: Callable[..., None]
) -> None:
    everywhere(lambda x: f(0.4 * np.sin(x) + 0.3 * x), X)


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_order_of_an_argument(order: str) -> None:
    """A reshape of what lies column by column is a copy, its transpose's a view."""

    def f(x: Any) -> Any:
        y, z = x.reshape(6), x.T.reshape(6)
        y[0] = 5.0
        z[1] = 7.0 * x[1, 1]
        x[np.array([[True, False, True], [False, False, False]])] = 2.0
        w = x.reshape(6)
        w[5] = 1.5
        return np.sum(x**2) + np.sum(y) + np.sum(z**3)

    x = np.asarray(np.arange(1.0, 7.0).reshape(2, 3), order=order)
    value, gradient = cr.value_and_grad(f)(x)
    np.testing.assert_allclose(value, f(x.copy(order="K")))
    t = np.cos(x)
    ahead, behind = (f(np.asarray(x + h * t, order=order)) for h in (1e-6, -1e-6))
    np.testing.assert_allclose(np.sum(gradient * t), (ahead - behind) / 2e-6, rtol=1e-7)
    second = cr.jvp(cr.grad(f), (x,), (t,))[1]
    reverse = cr.grad(lambda x: np.sum(cr.grad(f)(x) * t))(x)
    np.testing.assert_allclose(second, reverse)


def test_only_the_traced_name_changes() -> None:
    x, w = X.copy(), np.ones(4)

    def f(x: Any, w: Any) -> Any:
        x *= w
        x[0] = 1.0
        return np.sum(x)

    cr.grad(f)(x, w)
    cr.jvp(lambda x: f(x, w), (x,), (x,))
    cr.vmap(f)(x.reshape(2, 2), w.reshape(2, 2))
    np.testing.assert_array_equal(x, X)


def test_scratch_array_of_the_closure() -> None:
    """An untraced array that is changed after use: what counts is what it was."""
    scratch = np.ones(2)

    def f(x: Any) -> Any:
        total = 0.0
        for k in (1.0, 2.0, 3.0):
            scratch[:] = k
            total = total + np.sum(x * scratch)
        return total

    np.testing.assert_array_equal(cr.grad(f)(np.ones(2)), [6.0, 6.0])


def test_scratch_array_of_the_function() -> None:
    def f(x: Any) -> Any:
        scratch, total = np.ones(2), 0.0
        for k in (1.0, 2.0, 3.0):
            scratch[:] = k
            total = total + np.sum(x * scratch)
        return total

    np.testing.assert_array_equal(cr.grad(f)(np.ones(2)), [6.0, 6.0])


# ---- nested derivatives --------------------------------------------------------------------------


def test_an_inner_gradient_writes_an_outer_array() -> None:
    """The outer name means what was written: with values that is right, and stays right."""

    def f(x: Any) -> Any:
        def inner(y: Any) -> Any:
            x[0] = y * y
            return x[0] * x[1]

        return x * cr.grad(inner)(x[2])

    def by_hand(x: Any) -> Any:
        return np.array([x[2] ** 2, x[1], x[2], x[3]]) * 2 * x[2] * x[1]

    np.testing.assert_allclose(cr.jacobian(f)(X), cr.jacobian(by_hand)(X))
    np.testing.assert_allclose(cr.hessian(f)(X), cr.hessian(by_hand)(X))
    np.testing.assert_allclose(cr.vmap(f)(X[None]), by_hand(X)[None])


def test_an_inner_tangent_writes_an_outer_array() -> None:
    def f(x: Any) -> Any:
        kept = np.zeros(2)
        view = kept[1:]

        def inner(y: Any) -> Any:
            view[0] = y * x[1]
            kept[0] += y * y
            return np.sum(kept) * y

        value, slope = cr.jvp(inner, (x[0],), (1.0,))
        return np.stack([kept[0], kept[1], view[0], value, slope])

    def by_hand(x: Any) -> Any:
        a, b = x[0] ** 2, x[0] * x[1]
        return np.stack([a, b, b, (a + b) * x[0], 3 * a + 2 * b])

    np.testing.assert_allclose(cr.jacobian(f)(X), cr.jacobian(by_hand)(X))
    np.testing.assert_allclose(cr.jvp(f, (X,), (X,))[1], cr.jvp(by_hand, (X,), (X,))[1])


def test_an_outer_view_sees_what_an_inner_trace_wrote() -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        view = y[1:]

        def inner(z: Any) -> Any:
            y[1] = z * z
            return np.sum(view) * z

        slope = cr.grad(inner)(x[0])
        return view[0] * slope

    def by_hand(x: Any) -> Any:
        return x[0] ** 2 * (3 * x[0] ** 2 + x[2] + x[3])

    np.testing.assert_allclose(cr.grad(f)(X), cr.grad(by_hand)(X))


@pytest.mark.parametrize("buffer", [False, True])
def test_a_value_of_one_example_may_not_stay(buffer: bool) -> None:
    """What is written under vmap is many values: using the outer array afterwards is refused."""

    def f(x: Any) -> Any:
        kept = np.zeros(3) if buffer else x * 1.0

        def inner(y: Any) -> Any:
            kept[0] = y
            return y * kept[0]

        inside = cr.vmap(inner)(x)
        np.testing.assert_allclose(np.asarray(cr.stop_gradient(inside)), X**2)
        return np.sum(kept)

    with pytest.raises(TraceError, match="one example"):
        cr.grad(f)(X)


def test_a_write_that_no_example_has_a_part_in() -> None:
    def f(x: Any) -> Any:
        kept = np.zeros(3)

        def inner(y: Any) -> Any:
            kept[0] = x[0] * 2.0
            return y * kept[0]

        return np.sum(cr.vmap(inner)(x)) + kept[0]

    expected = cr.grad(lambda x: np.sum(x * x[0] * 2.0) + x[0] * 2.0)(X)
    np.testing.assert_allclose(cr.grad(f)(X), expected)


# ---- refused -------------------------------------------------------------------------------------


def test_an_integer_array_refuses_a_traced_float() -> None:
    def f(x: Any) -> Any:
        counts = x.astype(int)
        counts[0] = x[0]
        return np.sum(counts)

    with pytest.raises(DtypeError, match="can't hold a traced float64"):
        cr.grad(f)(X)


def test_a_real_array_refuses_a_complex_number() -> None:
    def f(x: Any) -> Any:
        x[0] = x[1] * 1j
        return np.sum(x)

    with pytest.raises(DtypeError, match="complex128"):
        cr.grad(f)(X)


def test_parts_of_complex_arrays() -> None:
    def read(x: Any) -> Any:
        z = x * (1.0 + 2.0j)
        real, imag = z.real, z.imag[1:]
        z[1] = x[0] * (3.0 + 4.0j)
        return np.sum(real * real) + np.sum(imag * imag)

    def by_hand(x: Any) -> Any:
        return x[0] ** 2 + np.sum(x[2:] ** 2) * 5 + 25 * x[0] ** 2

    np.testing.assert_allclose(cr.grad(read)(X), cr.grad(by_hand)(X))

    def write(x: Any) -> Any:
        z = x * (1.0 + 2.0j)
        z.real[0] = 5.0
        return np.sum(np.abs(z))

    with pytest.raises(TraceError, match="real or imaginary part"):
        cr.grad(write)(X)

    def replace(x: Any) -> Any:
        z = x * (1.0 + 2.0j)
        z.real, z.imag = x * x, 3.0 * x
        return np.sum(np.abs(z) ** 2)

    np.testing.assert_allclose(cr.grad(replace)(X), 4 * X**3 + 18 * X)


def test_what_broadcasting_made_is_read_only() -> None:
    def f(x: Any) -> Any:
        y = np.broadcast_to(x, (3, 4))
        y[0] = 1.0
        return np.sum(y)

    with pytest.raises(ArgumentError, match="read-only"):
        cr.grad(f)(X)


def test_an_index_outside() -> None:
    def f(x: Any) -> Any:
        x[4] = 1.0
        return np.sum(x)

    with pytest.raises(OutOfBoundsError):
        cr.grad(f)(X)


def test_a_plain_array_of_the_closure_refuses() -> None:
    kept = np.ones(4)

    def element(x: Any) -> Any:
        kept[0] = x[0]
        return np.sum(kept)

    def whole(x: Any) -> Any:
        kept[:] = x
        return np.sum(kept)

    def out(x: Any) -> Any:
        np.add(x, 1.0, out=kept)
        return np.sum(kept)

    for f in (element, whole, out):
        with pytest.raises(TraceError):
            cr.grad(f)(X)
    np.testing.assert_array_equal(kept, 1.0)


# ---- loops ---------------------------------------------------------------------------------------


def euler(steps: int) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        y = np.zeros(steps)
        y[0] = x[0]
        for i in range(steps - 1):
            y[i + 1] = y[i] + 0.001 * (-y[i] * x[1] + x[2])
        return np.sum(y)

    return f


def euler_of_vectors(steps: int) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        y = np.zeros((steps, 4))
        y[0] = x
        for i in range(steps - 1):
            y[i + 1] = y[i] + 0.001 * (-y[i] * x[1] + x[2])
            y[i + 1] *= 0.999
        return np.sum(y)

    return f


def histogram(steps: int) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        b = np.zeros(steps)
        for i in range(steps):
            b[i % 7] += x[i % 4] * i
            b[i] = b[i] * x[0]
        return np.sum(b)

    return f


def view_of_a_buffer(steps: int) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        b = np.zeros((2, steps))
        odd = b[1]
        for i in range(steps):
            odd[i] = x[0] * i
        return np.sum(b)

    return f


@pytest.mark.parametrize("make", [euler, euler_of_vectors, histogram, view_of_a_buffer])
def test_loops_are_linear(make: Callable[[int], Callable[[Any], Any]]) -> None:
    """In equations, and in memory: twice the steps, about twice the bytes."""
    few, many = (len(cr.trace(make(n), X)) for n in (20, 80))
    assert many < 5 * few
    f = make(30)
    numeric = (f(X + 1e-6) - f(X - 1e-6)) / 2e-6
    np.testing.assert_allclose(np.sum(cr.grad(f)(X)), numeric, rtol=1e-6)

    def peak(steps: int) -> int:
        f = make(steps)
        tracemalloc.start()
        cr.grad(f)(X)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    assert peak(800) < 6 * peak(200)


def test_four_thousand_steps_in_little_memory() -> None:
    tracemalloc.start()
    gradient = cr.grad(euler(4000))(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # One copy of the array for each of its writes would be 128 MB.
    assert peak < 80e6
    f = euler(4000)
    h = np.array([1e-6, 0, 0, 0])
    np.testing.assert_allclose(gradient[0], (f(X + h) - f(X - h)) / 2e-6, rtol=1e-6)
