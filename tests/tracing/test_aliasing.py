"""Random little programs of views and writes, against plain NumPy.

A program is a list of steps, each a name of an operation and three numbers that choose among what
there is. The same interpreter runs it on plain and on traced arrays, so that every difference in
aliasing shows in the value, and every difference in a derivative rule in the gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr

Step = tuple[str, int, int, int]

SHAPES = [(4,), (2, 3), (3, 2), (2, 2, 2), (6,)]


def part(shape: tuple[int, ...], p: int, q: int) -> tuple[Any, ...]:
    """A basic index for a shape."""
    index: list[Any] = []
    for n in shape:
        kind, p = p % 6, p // 6
        if kind == 0 and n:
            index.append(q % n)
        elif kind == 1:
            index.append(slice(None, None, -1))
        elif kind == 2:
            index.append(slice(1, None))
        elif kind == 3:
            index.append(slice(None, None, 2))
        elif kind == 4:
            index.append(slice(0, max(1, n - 1)))
        else:
            index.append(slice(None))
    return tuple(index)


def factors(size: int) -> list[tuple[int, ...]]:
    pairs = [(a, size // a) for a in range(1, size + 1) if size % a == 0]
    return [(size,), *pairs, (1, size, 1)] if size else [(0,), (1, 0)]


def view(a: Any, p: int, q: int) -> Any:
    choice = p % 7
    if choice == 0:
        return a.T
    if choice == 1:
        shapes = factors(a.size)
        return a.reshape(shapes[q % len(shapes)])
    if choice == 2:
        return np.ravel(a)
    if choice == 3 and a.ndim > 1:
        return np.swapaxes(a, 0, 1)
    if choice == 4:
        return np.flip(a)
    if choice == 5:
        return a[None]
    return a[part(a.shape, p // 7, q)]


def run(a: Any, steps: list[Step], factor: Any = 1.1) -> Any:
    """Run a program on an array that it may change; a scalar that all of it enters."""
    names = [a]
    total = 0.0
    for name, k, p, q in steps:
        x, y = names[k % len(names)], names[q % len(names)]
        if name == "view":
            result = view(x, p, q)
            if result.ndim:
                names.append(result)
        elif name == "copy":
            names.append([x * 1.5, x.copy(), x[[0, -1]] if len(x) else x * 1.0][p % 3])
        elif name == "add":
            x += 0.3 * np.sin(y).sum()
        elif name == "scale":
            x *= factor
        elif name == "same" and x.shape == y.shape:
            x -= 0.2 * y
        elif name == "element" and x.size:
            place = np.unravel_index(p % x.size, x.shape)
            x[tuple(map(int, place))] = 0.7 * np.cos(y).sum()
        elif name == "row" and len(x):
            x[p % len(x)] = 0.4 * y.sum() * factor
        elif name == "grow" and len(x):
            x[p % len(x)] += 0.4 * y.mean() if y.size else 0.1
        elif name == "part":
            x[part(x.shape, p, q)] = 0.6 * y.sum()
        elif name == "mask":
            x[np.arange(x.size).reshape(x.shape) % 3 == p % 3] = 0.5 * y.sum()
        elif name == "read":
            total = total + np.sum(np.sin(x))
        elif name == "entry" and x.size:
            place = np.unravel_index(p % x.size, x.shape)
            total = total + x[tuple(map(int, place))] ** 2
        elif name == "copy over" and len(x) > 1:
            x[1:] = x[:-1]
    return total + sum(np.sum(np.cos(0.5 * x) * (k + 1)) for k, x in enumerate(names))


OPERATIONS = [
    "view", "view", "view", "copy", "add", "scale", "same", "element", "element", "row", "grow",
    "part", "mask", "read", "entry", "copy over",
]  # fmt: skip
STEPS = st.lists(
    st.tuples(
        st.sampled_from(OPERATIONS),
        st.integers(0, 5),
        st.integers(0, 500),
        st.integers(0, 20),
    ),
    min_size=1,
    max_size=9,
)


def arrays(shape: tuple[int, ...], order: str) -> np.ndarray:
    size = int(np.prod(shape))
    return np.asarray(np.linspace(0.2, 1.3, size).reshape(shape) ** 2, order=order)


def on_argument(steps: list[Step]) -> Callable[[Any], Any]:
    return lambda x: run(x, steps)


def on_buffer(steps: list[Step], order: str) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        buffer = np.zeros(x.shape, order=order)
        buffer[...] = x
        return run(buffer, steps)

    return f


def check(f: Callable[[Any], Any], x: np.ndarray) -> None:
    before = x.copy()
    expected = f(x.copy(order="K"))
    value, gradient = cr.value_and_grad(f)(x)
    np.testing.assert_allclose(value, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(x, before)
    direction = np.cos(np.arange(x.size, dtype=float)).reshape(x.shape)
    h = 1e-5

    def at(step: float) -> Any:
        moved = np.asarray(x + step * direction, order="F" if np.isfortran(x) else "C")
        return f(moved)

    numeric = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    size = max(1.0, abs(numeric), abs(value))
    np.testing.assert_allclose(np.sum(gradient * direction), numeric, atol=1e-6 * size, rtol=1e-6)
    out, tangent = cr.jvp(f, (x,), (direction,))
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(tangent, np.sum(gradient * direction), rtol=1e-9, atol=1e-9)


@given(STEPS, st.sampled_from(SHAPES), st.sampled_from("CF"))
def test_argument(steps: list[Step], shape: tuple[int, ...], order: str) -> None:
    check(on_argument(steps), arrays(shape, order))


@given(STEPS, st.sampled_from(SHAPES), st.sampled_from("CF"))
def test_buffer(steps: list[Step], shape: tuple[int, ...], order: str) -> None:
    check(on_buffer(steps, order), arrays(shape, "C"))


@given(STEPS, st.sampled_from(SHAPES), st.booleans())
def test_batch(steps: list[Step], shape: tuple[int, ...], buffer: bool) -> None:
    f = on_buffer(steps, "C") if buffer else on_argument(steps)
    x = arrays(shape, "C")
    batch = np.stack([x, 0.5 * x, x - 0.3])
    expected = [f(row.copy()) for row in batch]
    np.testing.assert_allclose(cr.vmap(f)(batch), expected, rtol=1e-11, atol=1e-11)


@given(STEPS, st.sampled_from(SHAPES))
def test_second_derivative(steps: list[Step], shape: tuple[int, ...]) -> None:
    f = on_argument(steps)
    x = arrays(shape, "C")
    t = np.cos(np.arange(x.size, dtype=float)).reshape(x.shape)
    forward = cr.jvp(cr.grad(f), (x,), (t,))[1]
    reverse = cr.grad(lambda x: np.sum(cr.grad(f)(x) * t))(x)
    np.testing.assert_allclose(forward, reverse, rtol=1e-8, atol=1e-8)


@given(STEPS, st.sampled_from(SHAPES), st.booleans())
def test_inner_derivative_writes_outer_array(
    steps: list[Step], shape: tuple[int, ...], buffer: bool
) -> None:
    """An inner gradient whose function changes an array of the outer one.

    The reference returns that array from the inner function instead of leaving it changed.
    """

    def start(x: Any) -> Any:
        if not buffer:
            return x * 1.0
        made = np.zeros(shape)
        made[...] = x
        return made

    def leaving(x: Any) -> Any:
        y = start(x)
        early = y.reshape(-1)
        slope = cr.grad(lambda factor: run(y, steps, factor))(x[(0,) * x.ndim])
        return slope + np.sum(np.cos(y)) + np.sum(np.sin(early))

    def returning(x: Any) -> Any:
        def inner(factor: Any) -> Any:
            y = start(x)
            return run(y, steps, factor), y

        corner = x[(0,) * x.ndim]
        (_, y), (slope, _) = cr.jvp(inner, (corner,), (1.0,))
        return slope + np.sum(np.cos(y)) + np.sum(np.sin(y))

    x = arrays(shape, "C") + 0.4
    value, gradient = cr.value_and_grad(leaving)(x)
    expected, reference = cr.value_and_grad(returning)(x)
    np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(gradient, reference, rtol=1e-8, atol=1e-8)


def test_column_order_under_vmap_is_refused():
    def f(x):
        y = np.asfortranarray(np.outer(x, x))
        y.reshape(-1)[0] = 0.0
        return np.sum(y)

    with pytest.raises(cr.UnsupportedError, match="column by column under vmap"):
        cr.vmap(f)(np.ones((2, 3)))


# ---- without values, memory can't be asked -------------------------------------------------------


def through_a_reshape(make: Any) -> Any:
    def f(x: Any) -> Any:
        y = make(x)
        flat, matrix = y.ravel(), y.reshape(-1, 1)
        flat[1] = x[0, 0] ** 2
        matrix[2] = 3.0
        return y

    return f


LAYOUTS = {
    "elementwise": lambda x: np.exp(x),
    "of a transpose": lambda x: x.T + 1.0,
    "of both": lambda x: x.T[:2, :2] + x[:2, :2],
    "column by column": lambda x: np.asfortranarray(x * 2.0),
    "zeros like a transpose": lambda x: np.zeros_like(x.T),
    "full like": lambda x: np.full_like(x, x[0, 1]),
    "zeros in another order": lambda x: np.zeros_like(x, order="F"),
    "axes exchanged": lambda x: np.swapaxes(x[None], 0, 2) * 2.0,
    "turned round": lambda x: x[:, ::-1] * 2.0,
    "einsum": lambda x: np.einsum("ij,kj->ki", x, x),
    "matmul of transposes": lambda x: x.T @ x,
    "broadcast": lambda x: np.broadcast_to(x[:, :1], x.shape) + 1.0,
    "sum of a transpose": lambda x: np.sum(np.stack([x.T, x.T]), axis=0),
    "sliced": lambda x: (x * 2.0)[:, ::2],
}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("engine", ["numpy", "llvm"])
@pytest.mark.parametrize("make", LAYOUTS.values(), ids=LAYOUTS)
def test_compiled_reshapes_alias_as_numpys_do(make: Any, engine: str, order: Any) -> None:
    f = through_a_reshape(make)
    x = np.array(np.arange(1.0, 13.0).reshape(3, 4) / 7, order=order)
    with cr.settings(engine=engine):
        np.testing.assert_allclose(cr.jit(f)(x), f(x), rtol=1e-14)
        slope = cr.jit(cr.grad(lambda x: np.sum(f(x) ** 2)))(x)
    np.testing.assert_allclose(slope, cr.grad(lambda x: np.sum(f(x) ** 2))(x), rtol=1e-12)


def test_one_compiled_function_serves_every_order() -> None:
    f = through_a_reshape(lambda x: x * 1.0)
    compiled = cr.jit(f)
    rows = np.arange(12.0).reshape(3, 4)
    for x in (rows, np.asfortranarray(rows), rows, rows[:, ::-1], rows.T):
        np.testing.assert_array_equal(compiled(x), f(x))


def test_array_from_outside_of_another_order() -> None:
    outside = np.arange(12.0).reshape(3, 4)

    def f(x: Any) -> Any:
        y = outside * x
        y.reshape(-1)[1] = 5.0
        return y

    compiled = cr.jit(f)
    np.testing.assert_array_equal(compiled(2.0), f(2.0))
    outside = np.asfortranarray(outside)
    np.testing.assert_array_equal(compiled(2.0), f(2.0))


def test_layout_that_cannot_be_told() -> None:
    def f(x: Any) -> Any:
        y = np.einsum("ij,kj->ik", x, x)
        y.reshape(-1)[1] = 5.0
        return y

    x = np.ones((300, 300))
    with pytest.raises(cr.TraceError, match="can't be told without values"):
        cr.jit(f)(x)
    assert cr.grad(lambda x: np.sum(f(x)))(x).shape == x.shape
