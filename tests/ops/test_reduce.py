"""Sums, products, means and running totals, against NumPy and by their own edge cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import chainrule as cr

RNG = np.random.default_rng(0)
X = RNG.uniform(0.5, 2.0, (2, 3, 4))
W = RNG.uniform(0.5, 2.0, (2, 3, 4))
MASK = np.arange(24).reshape(2, 3, 4) % 3 > 0
HOLES = np.where(MASK, X, np.nan)

NAMES = "sum prod mean var std max min ptp".split()
AXES: list[Any] = [None, 0, -1, (0, 2), (1, -1), ()]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("name", NAMES)
def test_every_axis(agrees: Any, name: str, axis: Any, keepdims: bool) -> None:
    function = getattr(np, name)
    agrees(lambda x: function(x, axis=axis, keepdims=keepdims), X)


@given(shape=array_shapes(max_dims=4, max_side=3), data=st.data())
def test_any_axes(shape: tuple[int, ...], data: st.DataObject) -> None:
    """Shape, dtype and value are NumPy's, whatever the axes; and Σ gᵢ·∂ᵢ is the tangent."""
    axes = data.draw(st.lists(st.integers(0, len(shape) - 1), unique=True).map(tuple))
    name = data.draw(st.sampled_from(["sum", "prod", "mean", "max", "min"]))
    keepdims = data.draw(st.booleans())
    x = np.random.default_rng(1).uniform(0.5, 2.0, shape)
    t = np.random.default_rng(2).normal(size=shape)
    function = getattr(np, name)
    out, tangent = cr.jvp(lambda x: function(x, axis=axes, keepdims=keepdims), (x,), (t,))
    want = function(x, axis=axes, keepdims=keepdims)
    assert np.shape(out) == np.shape(want)
    np.testing.assert_array_equal(out, want)
    _, pullback = cr.vjp(lambda x: function(x, axis=axes, keepdims=keepdims), x)
    g = np.random.default_rng(3).normal(size=np.shape(want))
    np.testing.assert_allclose(np.sum(g * tangent), np.sum(pullback(g)[0] * t), atol=1e-12)


@pytest.mark.parametrize("dtype", ["i4", "i8", "u1", "?", "f2", "f4", "c8", "c16"])
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "cumsum", "cumprod", "any"])
def test_types_are_numpys(name: str, dtype: str) -> None:
    x = np.array([3, 1, 2]).astype(dtype)
    function = getattr(np, name)
    seen = []

    def f(y: Any) -> Any:
        out = function(x * y.astype(x.dtype))
        seen.append((out.shape, out.dtype))
        return y

    cr.jvp(f, (1.0,), (1.0,))
    want = function(x * np.float64(1.0).astype(x.dtype))
    assert seen == [(np.shape(want), want.dtype)]


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std"])
def test_float32_stays(agrees: Any, name: str) -> None:
    agrees(getattr(np, name), X.astype("f4"), rtol=1e-2)


def test_dtype_and_where_and_initial(agrees: Any) -> None:
    agrees(lambda x: np.sum(x, dtype="f8"), X)
    agrees(lambda x: np.sum(x, axis=1, where=MASK), X)
    agrees(lambda x: np.sum(x, axis=1, initial=2.5, keepdims=True), X)
    agrees(lambda x: np.prod(x, axis=1, where=MASK, initial=2.5), X)
    agrees(lambda x: np.mean(x, axis=(0, 1), where=MASK), X)
    agrees(lambda x: np.var(x, axis=(0, 1), where=MASK, ddof=1), X)
    agrees(lambda x: np.std(x, axis=(0, 1), ddof=1), X)
    agrees(lambda x: np.max(x, axis=1, initial=0.1, where=MASK), X)
    agrees(lambda x: np.min(x, axis=1, initial=9.0, where=MASK), X)


def test_averages(agrees: Any) -> None:
    agrees(np.average, X)
    agrees(lambda x: np.average(x, axis=1, weights=W), X)
    agrees(lambda w: np.average(X, axis=1, weights=w), np.array([1.0, 2.0, 4.0]))
    agrees(lambda x, w: np.average(x, weights=w, returned=True), X, W)


@pytest.mark.parametrize("name", ["nansum", "nanprod", "nanmean", "nanvar", "nanstd"])
def test_nan_is_left_out(name: str) -> None:
    function = getattr(np, name)
    value, gradient = cr.value_and_grad(lambda x: np.sum(function(x, axis=1)))(HOLES)
    np.testing.assert_allclose(value, np.sum(function(HOLES, axis=1)))
    assert np.all(gradient[~MASK] == 0)
    assert np.all(np.isfinite(gradient))


def test_nan_extremes() -> None:
    x = np.array([[1.0, np.nan, 3.0], [np.nan, 2.0, 0.0]])
    gradient = cr.grad(lambda x: np.sum(np.nanmax(x, axis=1)) + np.nanmin(x))(x)
    np.testing.assert_array_equal(gradient, [[0, 0, 1], [0, 1, 1]])


def test_methods(agrees: Any) -> None:
    agrees(lambda x: x.sum(axis=1) + x.mean(axis=1) + x.std(axis=1) + x.prod(axis=1), X)
    agrees(lambda x: x.cumsum(axis=1) * x.max(axis=1, keepdims=True) - x.min(), X)


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum, np.minimum])
def test_reduce_goes_along_the_first_axis(agrees: Any, ufunc: np.ufunc) -> None:
    agrees(ufunc.reduce, X)
    agrees(lambda x: ufunc.reduce(x, axis=-1, keepdims=True), X)
    agrees(lambda x: ufunc.reduce(x, axis=None), X)


def test_accumulate(agrees: Any) -> None:
    agrees(np.add.accumulate, X)
    agrees(lambda x: np.multiply.accumulate(x, axis=2), X)


def test_lists_of_traced_numbers() -> None:
    gradient = cr.grad(lambda x, y: np.mean([x, y]) * np.sum([x, y]) + np.prod([x, y]), (0, 1))
    np.testing.assert_allclose(gradient(2.0, 3.0), (5 + 3, 5 + 2))
    np.testing.assert_allclose(cr.grad(lambda x, y: np.max([x, y, 1.0]), (0, 1))(2.0, 3.0), (0, 1))
    np.testing.assert_allclose(cr.grad(lambda x: np.std([x, 2 * x]))(2.0), 0.5)


def test_product_with_zeros_to_all_orders() -> None:
    np.testing.assert_array_equal(cr.grad(np.prod)(np.array([0.0, 2.0, 3.0])), [6, 0, 0])
    np.testing.assert_array_equal(cr.grad(np.prod)(np.array([0.0, 2.0, 0.0])), [0, 0, 0])
    second = cr.jvp(cr.grad(np.prod), (np.array([0.0, 2.0, 0.0]),), (np.array([1.0, 0, 0]),))[1]
    np.testing.assert_array_equal(second, [0, 0, 2])
    for count in (3, 4, 5):

        def power(x: Any, n: int = count) -> Any:
            return np.prod(x * np.ones(n))

        derivative, want = power, 1.0
        for order in range(count):
            derivative = cr.grad(derivative)
            want *= count - order
            assert derivative(0.0) == (want if order == count - 1 else 0.0)


def test_running_product_with_zeros_to_second_order() -> None:
    x = np.array([2.0, 0.0, 3.0, 0.0, 5.0])
    jacobian = np.array([cr.jvp(np.cumprod, (x,), (row,))[1] for row in np.eye(5)]).T
    want = [[1, 0, 0, 0, 0], [0, 2, 0, 0, 0], [0, 6, 0, 0, 0], [0] * 5, [0] * 5]
    np.testing.assert_array_equal(jacobian, want)
    gradient = cr.grad(lambda x: np.cumprod(x)[-1])
    second = cr.jvp(gradient, (x,), (np.array([0, 1.0, 0, 0, 0]),))[1]
    np.testing.assert_array_equal(second, [0, 0, 0, 30, 0])


def test_mask_of_a_product_behind_a_select() -> None:
    x = np.array([0.0, 2.0])

    def f(x: Any) -> Any:
        return np.sum(np.where(x > 0, np.prod(1 / x[:, None], axis=1), 0))

    with np.errstate(divide="ignore"):
        np.testing.assert_array_equal(cr.grad(f)(x), [0, -0.25])


def test_standard_deviation_where_nothing_varies() -> None:
    np.testing.assert_array_equal(cr.grad(np.std)(np.ones(3)), [0, 0, 0])
    np.testing.assert_array_equal(cr.jvp(np.std, (np.ones(3),), (np.arange(3.0),))[1], 0)
    assert np.isfinite(cr.jvp(cr.grad(np.std), (np.ones(3),), (np.arange(3.0),))[1]).all()


def test_questions_are_flat() -> None:
    def f(x: Any) -> Any:
        assert np.any(x > 1)
        assert not np.all(x > 1)
        assert int(np.count_nonzero(x > 1)) == 1
        return np.sum(x)

    np.testing.assert_array_equal(cr.grad(f)(np.array([0.5, 2.0])), [1, 1])


def test_out_is_refused() -> None:
    with pytest.raises(cr.UnsupportedError, match="out="):
        cr.grad(lambda x: np.sum(x, out=np.zeros(()))[()])(X)


def test_axis_out_of_range() -> None:
    with pytest.raises(cr.ShapeError, match="axis 3 is out of range"):
        cr.grad(lambda x: np.sum(x, axis=3))(X)
    with pytest.raises(cr.ShapeError, match="named twice"):
        cr.grad(lambda x: np.sum(x, axis=(0, -3)))(X)


# ---- running totals and what is made of them -----------------------------------------------------


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_running_totals(agrees: Any, axis: Any) -> None:
    agrees(lambda x: np.cumsum(x, axis=axis), X)
    agrees(lambda x: np.cumprod(x, axis=axis), X)
    agrees(lambda x: np.nancumsum(x, axis=axis), X)


@pytest.mark.skipif(not hasattr(np, "cumulative_sum"), reason="NumPy 2.1 and later")
def test_cumulative(agrees: Any) -> None:
    agrees(lambda x: np.cumulative_sum(x, axis=1, include_initial=True), X)
    agrees(lambda x: np.cumulative_prod(x), X[0, 0])


def test_trapezoid(agrees: Any) -> None:
    grid = np.array([0.0, 0.5, 2.0, 2.5])
    agrees(np.trapezoid, X)
    agrees(lambda y, x: np.trapezoid(y, x), X, grid)
    agrees(lambda y, x: np.trapezoid(y, x, axis=1), X, grid[:3])
    agrees(lambda y: np.trapezoid(y, dx=0.1, axis=0), X)


@pytest.mark.parametrize("edge_order", [1, 2])
def test_gradient_of_samples(agrees: Any, edge_order: int) -> None:
    grid = np.array([0.0, 0.5, 2.0, 2.5])
    agrees(lambda f: np.gradient(f, edge_order=edge_order), X[0, 0])
    agrees(lambda f, x: np.gradient(f, x, edge_order=edge_order), X[0, 0], grid)
    agrees(lambda f: np.gradient(f, 0.1, grid, axis=(1, 2), edge_order=edge_order), X)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(("m", "n"), [(5, 3), (3, 5), (4, 4), (6, 2), (2, 5), (1, 3)])
def test_convolution(agrees: Any, m: int, n: int, mode: str) -> None:
    a, v = RNG.normal(size=m), RNG.normal(size=n)
    agrees(lambda a, v: np.convolve(a, v, mode), a, v)
    agrees(lambda a, v: np.correlate(a, v, mode), a, v)
    agrees(lambda a, v: np.correlate(a, v, mode), a * (1 + 0.5j), v * (1 - 2j))


def test_interpolation(agrees: Any) -> None:
    points, grid = np.array([0.1, 0.7, 1.4, 3.0, -2.0]), np.array([0.0, 0.5, 1.0, 2.0])
    values = np.array([1.0, -1.0, 0.5, 2.0])
    agrees(lambda x, xp, fp: np.interp(x, xp, fp), points, grid, values)
    agrees(lambda x, fp: np.interp(x, grid, fp, left=-5.0, right=0.0), points, values)
