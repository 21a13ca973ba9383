"""Programs with many equal parts: loops that are alike are printed once, and long code in parts."""

from __future__ import annotations

import re

import numpy as np
import pytest

import chainrule as cr
from chainrule.emit import module


def layered(depth, size=2000):
    """`depth` layers that each take two passes over memory, all alike."""

    def f(x):
        for _ in range(depth):
            x = np.tanh(x - np.mean(x)) * 1.5
        return x

    return f, np.linspace(-1.0, 1.2, size)


def by_numpy(f, *args):
    with cr.settings(engine="numpy"):
        return cr.jit(f)(*args)


def functions(text):
    return len(re.findall(r"^define ", text, re.MULTILINE))


def test_layers_that_are_alike_share_their_loops():
    counts, sizes = [], []
    for depth in (10, 20, 40):
        f, x = layered(depth)
        compiled = cr.jit(f)
        np.testing.assert_allclose(compiled(x), f(x), rtol=1e-11, atol=1e-12)
        text = compiled.llvm(x)
        counts.append(functions(text))
        sizes.append(len(text))
    assert counts[2] <= counts[0] + 2
    assert sizes[2] - sizes[1] < 2.2 * (sizes[1] - sizes[0])


def test_loops_over_other_sizes_are_others():
    def f(x, y):
        return np.tanh(x - np.mean(x)), np.tanh(y - np.mean(y))

    x, y = np.linspace(-1, 1.5, 3000), np.linspace(-2, 1, 3001)
    for found, expected in zip(cr.jit(f)(x, y), f(x, y), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def test_loops_with_other_numbers_are_others():
    def f(x):
        parts = [np.tanh(x * (k + 1)) - k for k in range(12)]
        return [np.cumsum(part) for part in parts]

    x = np.linspace(-1, 1, 2000)
    for found, expected in zip(cr.jit(f)(x), f(x), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_loop_that_reads_one_array_twice_is_not_one_that_reads_two():
    def f(x, y):
        a = np.cumsum(x) * np.cumsum(y)
        b = np.cumsum(x) * np.cumsum(x)
        return np.cumsum(a), np.cumsum(b)

    x, y = np.random.default_rng(0).standard_normal((2, 4000))
    for found, expected in zip(cr.jit(f)(x, y), f(x, y), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-9)


@pytest.fixture
def short(monkeypatch):
    """Functions are cut early."""
    monkeypatch.setattr(module, "_LONG", 10)


def test_a_function_in_parts_is_the_whole(short):
    f, x = layered(30, size=71)
    compiled = cr.jit(f)
    np.testing.assert_allclose(compiled(x), f(x), rtol=1e-11, atol=1e-12)
    assert "@program.part1(" in compiled.llvm(x)


@pytest.mark.parametrize("late", [1, 17])
def test_what_fails_in_a_part_says_so(short, late):
    def f(x, index):
        for k in range(20):
            x = np.cumsum(np.tanh(x))
            if k == late:
                x = x + x[index]
        return x

    x = np.linspace(0.0, 1.0, 73)
    compiled = cr.jit(f)
    np.testing.assert_allclose(compiled(x, 72), f(x, 72), rtol=1e-10)
    assert "@program.part1(" in compiled.llvm(x, 72)
    with pytest.raises(IndexError, match="out of"):
        compiled(x, 73)


def test_gradients_of_many_layers():
    f, x = layered(30)
    slope = cr.grad(lambda x: np.sum(f(x) ** 2))
    np.testing.assert_allclose(cr.jit(slope)(x), slope(x), rtol=1e-8, atol=1e-10)


def mixed(arrays):
    """Each takes what its neighbour was: some can't be written in place."""
    return [0.5 * a + b for a, b in zip(arrays, arrays[1:] + arrays[:1], strict=True)]


@pytest.mark.parametrize("size", [3, 20_000])  # small ones are copied first, large ones when late
@pytest.mark.parametrize("turns", [0, 1, 4])
def test_a_loop_that_carries_hundreds_of_arrays(size, turns):
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(size) for _ in range(60)]

    def f(arrays, turns):
        def body(state):
            k, arrays = state
            return k + 1, mixed(arrays)

        return cr.while_loop(lambda state: state[0] < turns, body, (0, arrays))

    expected = arrays
    for _ in range(turns):
        expected = [0.5 * a + b for a, b in zip(expected, expected[1:] + expected[:1], strict=True)]
    kept = [a.copy() for a in arrays]
    count, found = cr.jit(f)(arrays, turns)
    assert count == turns
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    np.testing.assert_array_equal(arrays, kept)


def test_a_scan_that_carries_hundreds_of_arrays():
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(5) for _ in range(60)]
    xs = rng.standard_normal((6, 5))

    def f(arrays, xs):
        def body(state, x):
            return [a * 0.9 + x for a in state], sum(state)

        return cr.scan(body, arrays, xs)

    found, rows = cr.jit(f)(arrays, xs)
    expected, sums = by_numpy(f, arrays, xs)
    np.testing.assert_allclose(found, expected, rtol=1e-13)
    np.testing.assert_allclose(rows, sums, rtol=1e-12)

    def loss(arrays):
        state, rows = f(arrays, xs)
        return sum(np.sum(a**2) for a in state) + np.sum(rows**2)

    for one, other in zip(cr.jit(cr.grad(loss))(arrays), cr.grad(loss)(arrays), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)
