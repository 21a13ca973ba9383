"""How arrays lie in memory, asked for where several kinds of traces meet."""

import numpy as np
import pytest

import chainrule as cr

ROWS = np.arange(12.0).reshape(2, 2, 3)


def padded_beside_a_transpose(x):
    y = x.T  # a row of a batch outside of the checkpoint, which knows no values
    return cr.checkpoint(lambda z: np.pad(np.arctan2(z, y.T), 1))(x)


def sums_with_a_transpose(x):
    y = np.sin(x.T)
    return cr.checkpoint(lambda z: np.pad(z + y.T, 1, mode="edge"))(x)


def products_with_a_transpose(x):
    y = x.T
    return cr.checkpoint(lambda z: np.pad(z.T * y, 1))(x)


@pytest.mark.parametrize(
    "f", [padded_beside_a_transpose, sums_with_a_transpose, products_with_a_transpose]
)
def test_the_axis_of_a_batch_is_none_of_its_rows(f):
    wanted = np.stack([f(row) for row in ROWS])
    np.testing.assert_allclose(cr.vmap(f)(ROWS), wanted, rtol=1e-15)
    np.testing.assert_allclose(cr.jit(cr.vmap(f))(ROWS), wanted, rtol=1e-15)
