"""Reading and writing by any index that NumPy takes, against NumPy and the dense linear map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.base.errors import (
    ChainruleError,
    DtypeError,
    OutOfBoundsError,
    ShapeError,
    TraceError,
    UnsupportedError,
)

ENTRIES = "integer slice slice array array list mask none ellipsis".split()
SHAPES = st.lists(st.integers(0, 4), min_size=1, max_size=4).map(tuple)


@st.composite
def entries(draw: st.DrawFn, shape: tuple[int, ...], spread: tuple[int, ...]) -> Any:
    """One index: some entries for some of the axes, basic, advanced and boolean ones mixed."""
    index: list[Any] = []
    axis = 0
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(ENTRIES))
        if kind == "none":
            index.append(None)
        elif kind == "ellipsis":
            if not any(entry is Ellipsis for entry in index):
                index.append(Ellipsis)
        elif axis < len(shape):
            n = shape[axis]
            axis += 1
            if kind == "integer":
                index.append(draw(st.integers(-n - 1, n)))
            elif kind == "slice":
                ends = st.none() | st.integers(-n - 1, n + 1)
                step = draw(st.sampled_from([None, 1, 2, -1, -2]))
                index.append(slice(draw(ends), draw(ends), step))
            elif kind == "mask":
                width = draw(st.integers(1, 2))
                axes = shape[axis - 1 : axis - 1 + width]
                axis += len(axes) - 1
                bits = draw(st.lists(st.booleans(), min_size=16, max_size=16))
                index.append(np.resize(np.array(bits), axes))
            else:
                sizes = tuple(draw(st.sampled_from([1, m])) for m in spread)
                count = int(np.prod(sizes))
                numbers = st.integers(-n, max(0, n - 1))
                flat = draw(st.lists(numbers, min_size=count, max_size=count))
                array = np.array(flat, int).reshape(sizes)
                index.append(array.tolist() if kind == "list" and array.size else array)
    return tuple(index)


@st.composite
def places(draw: st.DrawFn) -> tuple[tuple[int, ...], Any]:
    shape = draw(SHAPES)
    spread = draw(st.lists(st.integers(0, 3), min_size=1, max_size=2).map(tuple))
    index = draw(entries(shape, spread))
    # On an array without entries NumPy lets masks of a wrong length pass.
    masks = [entry for entry in index if isinstance(entry, np.ndarray) and entry.dtype.kind == "b"]
    assume(0 not in shape or not masks)
    return shape, index


def example(shape: tuple[int, ...]) -> np.ndarray:
    return np.sin(np.arange(1.0, np.prod(shape) + 1)).reshape(shape)


def numpy_error(x: np.ndarray, index: Any) -> type[Exception] | None:
    try:
        x[index]
    except (IndexError, ValueError) as error:
        return type(error)
    return None


def same_error(f: Any, x: np.ndarray, index: Any) -> bool:
    """Whether NumPy refuses the index; then so must we, by the same class."""
    error = numpy_error(x, index)
    if error is None:
        return False
    with pytest.raises(error) as caught:
        cr.vjp(f, x)
    assert isinstance(caught.value, ChainruleError)
    return True


@given(places())
def test_read(place: Any) -> None:
    shape, index = place
    x = example(shape)

    def f(x: Any) -> Any:
        return x[index]

    if same_error(f, x, index):
        return
    value, pullback = cr.vjp(f, x)
    expected = x[index]
    np.testing.assert_array_equal(value, expected)
    assert np.shape(value) == np.shape(expected)
    g = np.cos(np.arange(1.0, np.size(expected) + 1)).reshape(np.shape(expected))
    dense = np.zeros(x.size)
    np.add.at(dense, np.arange(x.size).reshape(shape)[index], g)
    np.testing.assert_allclose(pullback(g)[0].ravel(), dense, atol=1e-14)
    t = np.cos(x)
    np.testing.assert_array_equal(cr.jvp(f, (x,), (t,))[1], t[index])


@given(places())
def test_read_in_a_batch(place: Any) -> None:
    shape, index = place
    batch = np.stack([example(shape), 2 * example(shape)])
    if numpy_error(batch[0], index):
        return
    found = cr.vmap(lambda x: x[index])(batch)
    np.testing.assert_array_equal(found, np.stack([x[index] for x in batch]))
    # The gradient of the batch: scattered, for every example by itself.
    loss = cr.grad(lambda x: np.sum(x[index] ** 2))
    np.testing.assert_allclose(cr.vmap(loss)(batch), np.stack([loss(x) for x in batch]))


def value_for(place: tuple[int, ...], kind: str) -> np.ndarray:
    shape = {
        "whole": place,
        "scalar": (),
        "leading": (1, *place),
        "trailing": place[1:],
        "ones": tuple(1 for _ in place),
    }[kind]
    return example(shape) + 3.0


KINDS = st.sampled_from(["whole", "scalar", "leading", "trailing", "ones"])


def written(x: np.ndarray, index: Any, v: np.ndarray) -> np.ndarray:
    """What NumPy makes of the assignment, if it takes it."""
    result = x.copy()
    try:
        result[index] = v
    except (ValueError, TypeError):
        assume(False)
    return result


@given(places(), KINDS)
def test_write(place: Any, kind: str) -> None:
    shape, index = place
    x = example(shape)

    def f(x: Any, v: Any) -> Any:
        x[index] = v
        return x * 1.0

    error = numpy_error(x, index)
    if error is not None:
        with pytest.raises(error):
            cr.vjp(f, x, np.array(1.0))
        return
    v = value_for(np.shape(x[index]), kind)
    expected = written(x, index, v)
    value, pullback = cr.vjp(f, x, v)
    np.testing.assert_array_equal(value, expected)
    g = np.cos(np.arange(1.0, x.size + 1)).reshape(shape)
    # Which write is the one that stays; -1 where nothing was written.
    numbers = np.arange(v.size).reshape(v.shape)
    winner = np.full(shape, -1)
    winner[index] = numbers
    gv = np.zeros(v.size)
    np.add.at(gv, winner[winner >= 0], g[winner >= 0])
    gx, found = pullback(g)
    np.testing.assert_allclose(gx, np.where(winner < 0, g, 0), atol=1e-14)
    np.testing.assert_allclose(found.ravel(), gv, atol=1e-14)


@given(places(), KINDS, st.booleans())
def test_write_in_a_batch(place: Any, kind: str, shared: bool) -> None:
    shape, index = place
    batch = np.stack([example(shape), 2 * example(shape)])
    if numpy_error(batch[0], index):
        return
    v = value_for(np.shape(batch[0][index]), kind)
    written(batch[0], index, v)
    vs = np.stack([v, v * v])

    def f(x: Any, v: Any) -> Any:
        x = x.copy()
        x[index] = v
        return x

    if shared:
        found = cr.vmap(f, in_axes=(0, None))(batch, v)
        np.testing.assert_array_equal(found, np.stack([f(x, v) for x in batch]))
    else:
        found = cr.vmap(f)(batch, vs)
        np.testing.assert_array_equal(
            found, np.stack([f(*row) for row in zip(batch, vs, strict=True)])
        )


@given(places())
def test_add_at(place: Any) -> None:
    """np.add.at adds for every time that a place is named; the transpose of reading."""
    shape, index = place
    x = example(shape)
    if same_error(lambda x: x[index], x, index):
        return
    v = value_for(np.shape(x[index]), "whole")

    def f(x: Any, v: Any) -> Any:
        np.add.at(x, index, v)
        return x * 1.0

    expected = x.copy()
    np.add.at(expected, index, v)
    value, pullback = cr.vjp(f, x, v)
    np.testing.assert_allclose(value, expected)
    g = np.cos(np.arange(1.0, x.size + 1)).reshape(shape)
    gx, gv = pullback(g)
    np.testing.assert_array_equal(gx, g)
    np.testing.assert_array_equal(gv, g[index])


# ---- indices that are traced ---------------------------------------------------------------------


def test_positions_of_the_argument() -> None:
    x = np.array([[0.3, 0.1, 0.2], [0.7, 0.9, 0.8]])

    def f(x: Any) -> Any:
        return x[np.argsort(x)] * np.arange(1.0, 4.0)

    value = cr.vmap(f)(x)
    np.testing.assert_allclose(value, np.sort(x) * np.arange(1.0, 4.0))
    np.testing.assert_array_equal(cr.grad(lambda x: np.sum(f(x)))(x[0]), [3.0, 1.0, 2.0])
    gradients = cr.vmap(cr.grad(lambda x: np.sum(f(x))))(x)
    np.testing.assert_array_equal(gradients, [[3.0, 1.0, 2.0], [1.0, 3.0, 2.0]])


def test_positions_as_an_argument() -> None:
    x = np.arange(12.0).reshape(3, 4)
    rows = np.array([[0, 2], [1, 1]])

    def f(x: Any, rows: Any) -> Any:
        return np.take(x, rows, axis=0)[:, 1:] * x.T[0, 0]

    found = cr.vmap(f, in_axes=(None, 0))(x, rows)
    np.testing.assert_array_equal(found, np.stack([f(x, row) for row in rows]))

    with pytest.raises(TraceError):  # a plain array that is asked for positions doesn't dispatch
        cr.vmap(lambda rows: x[rows])(rows)

    def separated(shift: Any, row: Any) -> Any:
        return (x + shift)[None][[0, 0], :, row]

    shifts = np.array([0.5, 1.5])
    found = cr.vmap(separated)(shifts, rows)
    expected = np.stack([separated(*example) for example in zip(shifts, rows, strict=True)])
    np.testing.assert_array_equal(found, expected)


def test_a_write_at_batched_positions() -> None:
    x = np.arange(8.0).reshape(2, 4)

    def f(x: Any) -> Any:
        y = x.copy()
        y[np.argmax(x)] = 0.5 * x[0]
        z = y[1:]
        z[np.argmin(z)] = 9.0
        return y

    np.testing.assert_array_equal(cr.vmap(f)(x), np.stack([f(row) for row in x]))


def test_a_batched_mask() -> None:
    x = np.array([[1.0, -2.0, 3.0], [-1.0, 2.0, -3.0]])

    def clipped(x: Any) -> Any:
        y = x.copy()
        y[y < 0] = 0.1 * x[0]
        return y

    np.testing.assert_allclose(cr.vmap(clipped)(x), np.stack([clipped(row) for row in x]))
    with pytest.raises(TraceError, match="mask"):
        cr.vmap(lambda x: x[x > 0])(x)


def test_the_largest_of_a_table() -> None:
    x = np.array([[0.3, 0.1], [0.2, 0.9]])
    gradient = cr.grad(lambda x: x[np.unravel_index(np.argmax(x), x.shape)] ** 2)(x)
    np.testing.assert_array_equal(gradient, [[0, 0], [0, 1.8]])


# ---- single truth values -------------------------------------------------------------------------


@pytest.mark.parametrize("truth", [True, False, np.True_, np.array(False)])
def test_a_single_truth_value(truth: Any) -> None:
    x = np.arange(3.0)
    value, pullback = cr.vjp(lambda x: x[truth], x)
    np.testing.assert_array_equal(value, x[truth])
    np.testing.assert_array_equal(pullback(np.ones(value.shape))[0], np.full(3, float(truth)))
    with pytest.raises(UnsupportedError):
        cr.grad(lambda x: np.sum(x[None, truth]))(x)

    def write(x: Any) -> Any:
        x[truth] = 5.0
        return np.sum(x * x)

    np.testing.assert_array_equal(cr.grad(write)(x), [0, 0, 0] if truth else 2 * x)


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("index", "error"),
    [
        (4, OutOfBoundsError),
        ((0, 0), OutOfBoundsError),
        ((Ellipsis, 0, Ellipsis), OutOfBoundsError),
        (np.array([5]), OutOfBoundsError),
        (np.array([True, False]), OutOfBoundsError),
        (1.0, DtypeError),
        ([0.5, 1.0], DtypeError),
        ("a", DtypeError),
    ],
)
def test_refused(index: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        cr.grad(lambda x: np.sum(x[index]))(np.arange(3.0))
    with pytest.raises(error):
        cr.vmap(lambda x: x[index])(np.ones((2, 3)))


def test_a_value_that_does_not_fit() -> None:
    def f(x: Any) -> Any:
        x[:2] = np.ones(3)
        return x

    with pytest.raises(ShapeError, match="fit"):
        cr.vjp(f, np.ones(4))
    with pytest.raises(ShapeError, match="fit"):
        cr.vmap(f)(np.ones((2, 4)))


# ---- many reads ----------------------------------------------------------------------------------


def count(f: Any, x: np.ndarray) -> int:
    return len(cr.trace(f, x))


@pytest.mark.parametrize("order", [1, 2])
def test_reads_in_a_loop_are_linear(order: int) -> None:
    """Equations of the gradient itself, recorded: none but in proportion to the reads."""

    def f(x: Any) -> Any:
        return sum(x[i] * x[i] * x[i] for i in range(x.shape[0]))

    g: Any = f
    for _ in range(order):
        g = cr.grad(lambda x, g=g: np.sum(g(x)))
    few, many = (count(g, np.linspace(0, 1, n)) for n in (10, 40))
    assert many < 5 * few
    x = np.linspace(0, 1, 7)
    np.testing.assert_allclose(g(x), 3 * x**2 if order == 1 else 6 * x)


@pytest.mark.parametrize(
    "join",
    [
        lambda parts: np.array(parts),
        lambda parts: np.stack(parts),
        lambda parts: np.concatenate([p[None] for p in parts]),
    ],
)
def test_pieces_are_joined_in_one_equation(join: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(np.sin(join([x[i] for i in range(x.shape[0])])))

    gradient = cr.grad(f)
    few, many = (count(gradient, np.linspace(0, 1, n)) for n in (10, 40))
    assert many < 5 * few
    x = np.linspace(0, 1, 7)
    np.testing.assert_allclose(gradient(x), np.cos(x))
