"""Pooling against a plain loop; ties, padding that never counts, and windows themselves."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.ops.pooling import average_pool, max_pool

RNG = np.random.default_rng(0)
Options = dict[str, Any]


def plain(x: Any, size: Any, strides: Any, padding: Any, dilation: Any, how: Any) -> Any:
    """One window after another; padding is NaN, which `how` leaves out."""
    x = np.pad(x, ((0, 0), *padding, (0, 0)), constant_values=np.nan)
    wide = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    counts = [(n - w) // s + 1 for n, w, s in zip(x.shape[1:-1], wide, strides, strict=True)]
    out = np.zeros((x.shape[0], *counts, x.shape[-1]))
    for place in itertools.product(*map(range, counts)):
        window = tuple(
            slice(o * s, o * s + w, d)
            for o, s, w, d in zip(place, strides, wide, dilation, strict=True)
        )
        held = x[(slice(None), *window)]
        out[(slice(None), *place)] = how(held, axis=tuple(range(1, x.ndim - 1)))
    return out


POOLS = {"max": (max_pool, np.nanmax), "average": (average_pool, np.nanmean)}


@st.composite
def uses(draw: Any) -> tuple[Any, Options]:
    """An input and options that go together."""
    rank = draw(st.integers(1, 2))
    size = tuple(draw(st.integers(1, 3)) for _ in range(rank))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(rank))
    wide = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    # Less than the window, and of a dilated one less than a step: else it may hold padding only.
    most = [k - 1 if d == 1 else 0 for k, d in zip(size, dilation, strict=True)]
    pairs = tuple((draw(st.integers(0, m)), draw(st.integers(0, m))) for m in most)
    lengths = [draw(st.integers(w, w + 4)) for w in wide]
    options = {
        "size": size, "strides": tuple(draw(st.integers(1, 3)) for _ in range(rank)),
        "padding": pairs, "dilation": dilation,
    }  # fmt: skip
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # Few different numbers, all below zero: many ties, and padding would win.
    x = rng.integers(-5, 0, (2, *lengths, draw(st.integers(1, 3)))).astype(float)
    return x, options


@pytest.mark.parametrize("name", POOLS)
@given(use=uses())
def test_any_use(name: str, use: tuple[Any, Options]) -> None:
    pool, how = POOLS[name]
    x, options = use
    options = dict(options)
    size = options.pop("size")
    f = lambda x: pool(x, size, **options)
    want = plain(x, size, how=how, **options)
    np.testing.assert_allclose(f(x), want, atol=1e-12)
    rng = np.random.default_rng(1)
    t = rng.normal(size=x.shape)
    out, tangent = cr.jvp(f, (x,), (t,))
    g = rng.normal(size=out.shape)
    (part,) = cr.vjp(f, x)[1](g)
    np.testing.assert_allclose(np.sum(part * t), np.sum(g * tangent), atol=1e-10)
    # Every window hands down all that it is given.
    np.testing.assert_allclose(np.sum(part), np.sum(g), atol=1e-10)


@pytest.mark.parametrize("name", POOLS)
@given(use=uses())
def test_any_use_compiled(name: str, use: tuple[Any, Options]) -> None:
    pool, _ = POOLS[name]
    x, options = use
    options = dict(options)
    size = options.pop("size")

    def f(x: Any) -> Any:
        out, pull = cr.vjp(lambda x: pool(x, size, **options), x)
        return out, pull(np.cos(out))[0]

    for a, b in zip(f(x), cr.jit(f)(x), strict=True):
        np.testing.assert_allclose(b, a, atol=1e-12)


def test_ties_share_equally() -> None:
    x = np.array([1.0, 1.0, 0.0, 0.0, 2.0, 2.0]).reshape(1, 6, 1)
    found = cr.grad(lambda x: np.sum(max_pool(x, 3)))(x)
    np.testing.assert_allclose(found.ravel(), [0.5, 0.5, 0, 0, 0.5, 0.5])
    (tangent,) = cr.jvp(lambda x: max_pool(x, 3), (x,), (np.arange(6.0).reshape(1, 6, 1),))[1:]
    np.testing.assert_allclose(tangent.ravel(), [0.5, 4.5])


def test_overlapping_windows_add_up() -> None:
    x = np.array([1.0, 3.0, 2.0]).reshape(1, 3, 1)
    found = cr.grad(lambda x: np.sum(max_pool(x, 2, strides=1)))(x)
    np.testing.assert_allclose(found.ravel(), [0, 2, 0])


@pytest.mark.parametrize("pool", [max_pool, average_pool])
def test_second_derivatives(pool: Any) -> None:
    x = RNG.normal(size=(1, 4, 1))
    f = lambda x: np.sum(np.sin(pool(x, 2, strides=1, padding="same") ** 2))
    cr.check_grads(f, (x,))


@pytest.mark.parametrize("compiled", [False, True])
def test_padding_never_leaks(compiled: bool) -> None:
    x = np.full((1, 3, 3, 2), -1e30)
    f = cr.value_and_grad(lambda x: np.sum(max_pool(x, 2, strides=1, padding="same")))
    value, grad = (cr.jit(f) if compiled else f)(x)
    np.testing.assert_allclose(value, -1e30 * 18)
    assert np.isfinite(grad).all()
    np.testing.assert_allclose(np.sum(grad), 18)


def test_averages_leave_padding_out() -> None:
    # tf.nn.avg_pool1d([1, 2, 3, 4, 5], 3, 2, "SAME")
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0]).reshape(1, 5, 1)
    found = average_pool(x, 3, strides=2, padding="same")
    np.testing.assert_allclose(found.ravel(), [1.5, 3, 4.5])


def test_a_nan_is_seen() -> None:
    x = np.array([1.0, np.nan, 0.0, 5.0]).reshape(1, 4, 1)
    np.testing.assert_array_equal(max_pool(x, 2).ravel(), [np.nan, 5])
    np.testing.assert_array_equal(cr.jit(lambda x: max_pool(x, 2))(x).ravel(), [np.nan, 5])


def test_types() -> None:
    whole = np.arange(8).reshape(1, 4, 2)
    assert max_pool(whole, 2, padding="same").dtype == int
    np.testing.assert_array_equal(max_pool(-whole, 3, padding="same")[0, :, 0], [0, -4])
    assert average_pool(whole, 2).dtype == float
    assert average_pool(whole.astype("f4"), 3, strides=1, padding="same").dtype == np.float32
    assert max_pool(whole > 3, 2).tolist() == [[[False, False], [True, True]]]


def test_batches() -> None:
    x = RNG.normal(size=(3, 2, 5, 4))
    f = cr.grad(lambda x: np.sum(np.sin(max_pool(x, 2, padding="same"))))
    np.testing.assert_allclose(cr.vmap(f)(x), [f(row) for row in x], atol=1e-12)


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple).flatmap(
        lambda shape: st.tuples(
            st.just(shape),
            st.tuples(*[st.integers(1, n) for n in shape]),
        )
    )
)  # fmt: skip
def test_sliding_windows(use: Any) -> None:
    shape, window = use
    x = RNG.normal(size=shape)
    view = np.lib.stride_tricks.sliding_window_view
    f = lambda x: view(x, window) * 1.0
    np.testing.assert_array_equal(cr.jit(f)(x), f(x))
    t = RNG.normal(size=shape)
    out, tangent = cr.jvp(f, (x,), (t,))
    np.testing.assert_array_equal(tangent, view(t, window))
    g = RNG.normal(size=out.shape)
    np.testing.assert_allclose(np.sum(cr.vjp(f, x)[1](g)[0] * t), np.sum(g * tangent), atol=1e-10)
