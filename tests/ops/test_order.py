"""Largest, smallest, positions, sorting and quantiles: NumPy's values, shared ties."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.tracing.stage import evaluate, trace_program

RNG = np.random.default_rng(0)
# Far enough from each other that small steps change no order.
X = RNG.permutation(60).reshape(3, 4, 5) / 10 - 3


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2)])
@pytest.mark.parametrize("name", ["max", "min", "amax", "amin"])
def test_extremes(agrees: Any, name: str, axis: Any) -> None:
    agrees(lambda x: getattr(np, name)(x, axis=axis), X)
    agrees(lambda x: getattr(np, name)(x, axis=axis, keepdims=True), X.astype("f4"), rtol=1e-2)


def test_ties_share_equally() -> None:
    x = np.array([2.0, 1.0, 2.0, 2.0])
    np.testing.assert_allclose(cr.grad(np.max)(x), [1 / 3, 0, 1 / 3, 1 / 3])
    np.testing.assert_allclose(cr.grad(np.min)(-x), [1 / 3, 0, 1 / 3, 1 / 3])
    tangent = cr.jvp(np.max, (x,), (np.array([3.0, 100.0, 6.0, 9.0]),))[1]
    np.testing.assert_allclose(tangent, 6.0)
    rows = np.array([[1.0, 1.0], [0.0, 1.0]])
    gradient = cr.grad(lambda x: np.sum(np.max(x, axis=1)))(rows)
    np.testing.assert_array_equal(gradient, [[0.5, 0.5], [0, 1]])
    np.testing.assert_array_equal(cr.grad(np.ptp)(np.array([1.0, 1.0])), [0, 0])


def test_infinite_slope_behind_what_is_not_taken() -> None:
    x = np.array([0.0, 2.0])
    with np.errstate(divide="ignore"):
        for f in (np.min, lambda y: np.sort(y)[0]):
            np.testing.assert_array_equal(cr.grad(lambda x, f=f: f(1 / x))(x), [0, -0.25])
        three = np.array([0.0, 2.0, 4.0])
        np.testing.assert_array_equal(cr.grad(lambda x: np.median(1 / x))(three), [0, -0.25, 0])


@pytest.mark.parametrize("axis", [-1, 0, 1, None])
def test_sort(agrees: Any, axis: Any) -> None:
    agrees(lambda x: np.sort(x, axis=axis), X)
    agrees(lambda x: np.partition(x, (0, 2), axis=axis) ** 2, X)


def test_sort_shares_among_equals() -> None:
    weights = np.array([1.0, 2.0, 3.0, 4.0])
    x = np.array([5.0, 1.0, 5.0, 5.0])
    np.testing.assert_allclose(cr.grad(lambda x: np.sort(x) @ weights)(x), [3, 1, 3, 3])
    np.testing.assert_allclose(cr.jvp(np.sort, (x,), (weights,))[1], [2, 8 / 3, 8 / 3, 8 / 3])
    hessian = cr.jvp(cr.grad(lambda x: np.sort(x) @ weights), (x,), (weights,))[1]
    np.testing.assert_array_equal(hessian, np.zeros(4))


def test_sort_in_place(agrees: Any) -> None:
    def f(x: Any) -> Any:
        y = x * 1.0
        y.sort()
        return y[::-1] * np.arange(5.0)

    agrees(f, X[0, 0])


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=8))
def test_sort_with_ties_passes_the_dot_test(values: list[int]) -> None:
    x = np.array(values, float)
    rng = np.random.default_rng(1)
    t, g = rng.normal(size=x.shape), rng.normal(size=x.shape)
    out, tangent = cr.jvp(np.sort, (x,), (t,))
    np.testing.assert_array_equal(out, np.sort(x))
    gradient = cr.vjp(np.sort, x)[1](g)[0]
    np.testing.assert_allclose(g @ tangent, gradient @ t, atol=1e-12)
    np.testing.assert_allclose(np.sum(gradient), np.sum(g), atol=1e-12)


@pytest.mark.parametrize("axis", [None, 0, 1, (0, 2)])
def test_median(agrees: Any, axis: Any) -> None:
    agrees(lambda x: np.median(x, axis=axis), X)
    agrees(lambda x: np.median(x, axis=axis, keepdims=True), X[:2])


@pytest.mark.parametrize("q", [0.0, 0.3, 1.0, [0.25, 0.5], [[0.1], [0.9]]])
@pytest.mark.parametrize("axis", [None, 0, (1, 2)])
def test_quantiles(agrees: Any, q: Any, axis: Any) -> None:
    agrees(lambda x: np.quantile(x, q, axis=axis), X)
    agrees(lambda x: np.percentile(x, np.multiply(q, 100), axis=axis, keepdims=True), X)


def test_quantile_moves_with_its_fraction(agrees: Any) -> None:
    agrees(lambda x, q: np.quantile(x, q), X[0, 0], 0.3)


@pytest.mark.parametrize("axis", [None, 0, (1, 2)])
def test_quantiles_that_leave_out_nan(axis: Any) -> None:
    holes = np.where(np.arange(60).reshape(3, 4, 5) % 7 == 1, np.nan, X)
    for function in (
        lambda x: np.nanmedian(x, axis=axis, keepdims=True),
        lambda x: np.nanquantile(x, [[0.2], [0.9]], axis=axis),
        lambda x: np.nanpercentile(x, 35, axis=axis),
    ):
        seen, gradient = cr.value_and_grad(lambda x, f=function: np.sum(np.sin(f(x))))(holes)
        np.testing.assert_allclose(seen, np.sum(np.sin(function(holes))))
        assert np.isfinite(gradient).all()
        assert (gradient[np.isnan(holes)] == 0).all()
        t = np.cos(holes)
        h = 1e-4
        ahead, behind = (np.sum(np.sin(function(holes + s * h * t))) for s in (1, -1))
        np.testing.assert_allclose(np.nansum(gradient * t), (ahead - behind) / (2 * h), rtol=1e-5)


def test_fractions_out_of_range() -> None:
    with pytest.raises(cr.DomainError, match="quantile: q must lie between 0 and 1"):
        cr.grad(lambda x: np.quantile(x, 1.5))(X)
    with pytest.raises(cr.DomainError, match="percentile: q must lie between 0 and 100"):
        cr.grad(lambda x: np.percentile(x, -1))(X)


def test_other_methods_are_refused() -> None:
    with pytest.raises(cr.UnsupportedError, match="method='nearest'"):
        cr.grad(lambda x: np.quantile(x, 0.5, method="nearest"))(X)


@pytest.mark.parametrize("axis", [None, 0, 2])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions(name: str, axis: Any) -> None:
    function = getattr(np, name)

    def f(x: Any) -> Any:
        np.testing.assert_array_equal(np.array(function(x, axis=axis)), function(X, axis=axis))
        found = function(x, axis=axis, keepdims=True)
        assert found.shape == function(X, axis=axis, keepdims=True).shape
        return np.sum(x)

    cr.grad(f)(X)
    np.testing.assert_array_equal(cr.vmap(lambda x: function(x))(X), [function(x) for x in X])


def test_sorting_positions() -> None:
    keys = np.array([[3.0, 1.0, 3.0, 0.0], [1.0, 0.0, 0.0, 1.0]])
    np.testing.assert_array_equal(cr.vmap(np.argsort)(X), np.argsort(X))
    got = cr.vmap(lambda k: np.lexsort(k))(np.stack([keys, -keys]))
    np.testing.assert_array_equal(got, [np.lexsort(keys), np.lexsort(-keys)])
    got = cr.vmap(lambda row, v: np.searchsorted(row, v))(np.sort(keys), keys[::-1])
    want = [np.searchsorted(a, b) for a, b in zip(np.sort(keys), keys[::-1], strict=True)]
    np.testing.assert_array_equal(got, want)


def test_taking_along_a_position_is_differentiated() -> None:
    def f(x: Any) -> Any:
        return x[np.argmax(x)] ** 2

    np.testing.assert_array_equal(cr.grad(f)(np.array([1.0, 3.0, 2.0])), [0, 6, 0])


def test_nan_goes_through() -> None:
    x = np.array([1.0, np.nan, 3.0])
    for f in (np.max, np.median, lambda x: np.quantile(x, 0.5)):
        assert np.isnan(cr.vjp(f, x)[0])
        with pytest.raises(cr.DomainError, match="has no value"):
            cr.grad(f)(x)


def test_empty_arrays() -> None:
    with pytest.raises(cr.ShapeError, match="max: an empty array"):
        cr.grad(lambda x: np.max(x[:0]))(np.ones(3))
    with pytest.raises(cr.ShapeError, match="argmin: an empty array"):
        cr.grad(lambda x: x[np.argmin(x[:0])])(np.ones(3))


def test_plain_arrays_in_a_traced_order() -> None:
    """Under vmap the order differs from example to example, what is ordered need not."""
    x, t = np.array([0.3, -1.0, 2.0, 0.1]), np.arange(4.0)
    both = np.stack([x, -x])
    got = cr.vmap(lambda x: cr.jvp(np.sort, (x,), (t,))[1])(both)
    np.testing.assert_array_equal(got, [t[np.argsort(row)] for row in both])
    got = cr.vmap(lambda x: cr.vjp(np.sort, x)[1](t)[0])(both)
    np.testing.assert_array_equal(got, [t[np.argsort(np.argsort(row))] for row in both])
    got = cr.vmap(lambda x: cr.vjp(np.max, x)[1](2.0)[0])(both)
    np.testing.assert_array_equal(got, [[0, 0, 2, 0], [0, 2, 0, 0]])
    got = cr.vmap(lambda q: np.quantile(x, q))(np.array([0.1, 0.5]))
    np.testing.assert_allclose(got, np.quantile(x, [0.1, 0.5]))


def test_without_values() -> None:
    """Shapes and dtypes alone are enough to trace; the values come later."""

    def f(x: Any) -> Any:
        y = np.sort(x, axis=0)[::-1] + np.max(x, axis=1, keepdims=True) + np.median(x)
        return y * np.argsort(x) + np.ptp(x, axis=0) + np.quantile(x, 0.3)

    program = trace_program(f, X[0], values=False)
    np.testing.assert_allclose(evaluate(program, X[1])[0], f(X[1]))
