"""Pieces of an array put together again: gradients of what was taken apart by basic indices."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.ops.tile import tiled
from chainrule.tracing.stage import trace_program

X = np.arange(24.0).reshape(4, 6) / 10 + 0.3


def names(f, *args):
    program = trace_program(cr.grad(f), *args, values=False)
    return [e.primitive.name for e in program.equations]


def rows(x):
    a, b, c, d = x
    return np.sum(a * b * c * np.sin(d))


def entries(x):
    return x[0, 0] * x[1, 2] * x[2, 1] + np.sum(np.sin(x[3])) * x[0, 1] * x[0, 2] * x[1, 0]


def columns(x):
    return np.sum(np.sin(x[:, :2]) * x[:, 2:4] * np.exp(x[:, 4:]))


def with_gaps(x):
    return np.sum(x[0] * x[2] * np.cos(x[-1]))


def twice(x):
    return np.sum(x[0] * x[1]) + np.sum(x[0] ** 2 * x[2]) + np.sum(x[3, 2:4] * x[1, 2:4])


def blocks(x):
    return np.sum(np.sin(x[:2]) * x[2:])


def overlapping(x):
    return np.sum(x[1:] * x[:-1] ** 2)


def strided(x):
    return np.sum(np.sin(x[::2]) * x[1::2])


@pytest.mark.parametrize(
    "f", [rows, entries, columns, with_gaps, twice, blocks, overlapping, strided]
)
def test_gradients(f):
    expected = cr.grad(f)(X)
    np.testing.assert_allclose(cr.jit(cr.grad(f))(X), expected, rtol=1e-13)
    cr.check_grads(f, (X,), order=2)
    # As a body, whose gradient is taken without values.
    looped = cr.grad(lambda x: np.sum(cr.scan(lambda c, _: (c + f(x), None), 0.0, length=2)[0]))
    np.testing.assert_allclose(looped(X), 2 * expected, rtol=1e-12)


@pytest.mark.parametrize("f", [rows, columns, blocks])
def test_pieces_are_joined_and_not_added_up(f):
    assert "put_add" not in names(f, X)


def test_what_it_leaves_to_others():
    g = np.ones(6)
    assert tiled((4, 6), [(g, (0,))]) is None  # most of it would be zeros
    assert (
        tiled((4, 6), [(np.ones((3, 6)), (slice(1, None),)), (np.ones((3, 6)), (slice(3),))])
        is None
    )
    assert tiled((4, 6), [(np.ones((2, 6)), (slice(None, None, 2),)), (g, (1,))]) is None
    assert tiled((4, 6), [(np.ones((1, 4, 6)), (None,))]) is None


def test_where_pieces_go():
    a, b = np.full(6, 2.0), np.full((2, 6), 3.0)
    np.testing.assert_array_equal(
        tiled((4, 6), [(b, (slice(2, 4),)), (a, (-4,)), (a, (0,))])[:, 0], [4.0, 0.0, 3.0, 3.0]
    )
    c = np.full((4, 3), 1.0)
    np.testing.assert_array_equal(
        tiled((4, 6), [(c, (slice(None), slice(3, 6))), (2 * c, (slice(None), slice(3)))])[0],
        [2.0, 2.0, 2.0, 1.0, 1.0, 1.0],
    )
