"""Matrix calculus: nine shapes of derivatives in two layouts; the quadratic form."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr

SCALAR, VECTOR, MATRIX = (), (3,), (2, 4)
IN = {"scalar": SCALAR, "vector": VECTOR, "matrix": MATRIX}
OUT = {"scalar": SCALAR, "vector": (5,), "matrix": (6, 7)}


def between(in_shape, out_shape):
    """A smooth function from one shape to another, with its derivative as out.shape + in.shape."""
    rng = np.random.default_rng(len(in_shape) + 10 * len(out_shape))
    weights = rng.normal(size=out_shape + in_shape)
    axes = tuple(range(-len(in_shape), 0))

    def f(x):
        return np.sum(weights * np.sin(x), axis=axes) if in_shape else weights * np.sin(x)

    return f, lambda x: weights * np.cos(x)


@pytest.mark.parametrize("mode", ["finite", "symbolic", "forward", "reverse"])
@pytest.mark.parametrize("layout", ["numerator", "denominator"])
@pytest.mark.parametrize("of", OUT)
@pytest.mark.parametrize("by", IN)
def test_nine_shapes(of, by, layout, mode):
    f, exact = between(IN[by], OUT[of])
    x = np.random.default_rng(1).normal(size=IN[by])[()]
    found = cr.jacobian(f, mode=mode, layout=layout)(x)
    numerator = exact(x)
    if layout == "numerator":
        assert np.shape(found) == OUT[of] + IN[by]
        np.testing.assert_allclose(found, numerator, rtol=1e-7, atol=1e-9)
    else:
        assert np.shape(found) == IN[by] + OUT[of]
        rank = len(OUT[of])
        axes = (*range(rank, np.ndim(numerator)), *range(rank))
        np.testing.assert_allclose(found, np.transpose(numerator, axes), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("layout", ["numerator", "denominator"])
@pytest.mark.parametrize("shape", [SCALAR, VECTOR, MATRIX])
def test_the_gradient_of_a_scalar_has_the_shape_of_its_variable(shape, layout):
    x = np.ones(shape)[()]
    assert np.shape(cr.grad(lambda x: np.sum(np.sin(x)))(x)) == shape
    assert np.shape(cr.jacobian(lambda x: np.sum(np.sin(x)), layout=layout)(x)) == shape


@pytest.mark.parametrize("layout", ["numerator", "denominator"])
@pytest.mark.parametrize("mode", ["finite", "symbolic", "forward", "reverse"])
def test_the_quadratic_form(layout, mode):
    A = np.array([[1.0, 2.0, -1.0], [0.5, 3.0, 0.0], [4.0, -2.0, 1.0]])
    w = np.array([1.0, -1.0, 2.0])
    general = cr.jacobian(lambda w: w @ A @ w, mode=mode, layout=layout)(w)
    np.testing.assert_allclose(general, (A + A.T) @ w, rtol=1e-7)
    assert not np.allclose(general, 2 * A @ w)
    S = A + A.T
    symmetric = cr.jacobian(lambda w: w @ S @ w, mode=mode, layout=layout)(w)
    np.testing.assert_allclose(symmetric, 2 * S @ w, rtol=1e-7)


def test_a_linear_map_is_its_own_jacobian():
    A = np.arange(6.0).reshape(2, 3)
    x = np.ones(3)
    np.testing.assert_array_equal(cr.jacobian(lambda x: A @ x)(x), A)
    np.testing.assert_array_equal(cr.jacobian(lambda x: A @ x, layout="denominator")(x), A.T)
