"""Convolutions against a plain loop, against SciPy, and against what their definition says."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.ops.convolution import convolution, transposed_convolution

RNG = np.random.default_rng(0)
Options = dict[str, Any]


def draw(*shape: int, dtype: str = "f8") -> Any:
    return RNG.normal(size=shape).astype(dtype)


def spread(x: Any, apart: tuple[int, ...], pairs: Any) -> Any:
    """Zeros between the entries and around them; what negative padding cuts off."""
    for axis, (step, (low, high)) in enumerate(zip(apart, pairs, strict=True), start=1):
        wide = [slice(None)] * x.ndim
        shape = list(x.shape)
        shape[axis] = (shape[axis] - 1) * step + 1
        wide[axis] = slice(None, None, step)
        out = np.zeros(shape, x.dtype)
        out[tuple(wide)] = x
        widths = [(0, 0)] * x.ndim
        widths[axis] = max(low, 0), max(high, 0)
        cut = [slice(None)] * x.ndim
        cut[axis] = slice(max(-low, 0), out.shape[axis] + max(low, 0) + min(high, 0) + max(high, 0))
        x = np.pad(out, widths)[tuple(cut)]
    return x


def plain(
    x: Any, kernel: Any, strides: Any, padding: Any, dilation: Any, input_dilation: Any, groups: int
) -> Any:
    """The definition, one place after another."""
    x = spread(x, input_dilation, padding)
    *size, per_group, filters = kernel.shape
    wide = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
    counts = [(n - w) // s + 1 for n, w, s in zip(x.shape[1:-1], wide, strides, strict=True)]
    out = np.zeros((x.shape[0], *counts, filters), np.result_type(x, kernel))
    each = filters // groups
    for place in itertools.product(*map(range, counts)):
        for spot in itertools.product(*map(range, size)):
            at = tuple(
                o * s + k * d for o, s, k, d in zip(place, strides, spot, dilation, strict=True)
            )
            for group in range(groups):
                channels = slice(group * per_group, (group + 1) * per_group)
                own = slice(group * each, (group + 1) * each)
                out[(slice(None), *place, own)] += (
                    x[(slice(None), *at, channels)] @ kernel[(*spot, slice(None), own)]
                )
    return out


@st.composite
def uses(draw: Any, most: int = 5) -> tuple[Any, Any, Options]:
    """An input, a kernel and options that go together."""
    rank = draw(st.integers(1, 2))

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    groups = draw(st.integers(1, 2))
    size, dilation, apart = each(1, 3), each(1, 2), each(1, 2)
    pairs = tuple((draw(st.integers(-1, 2)), draw(st.integers(-1, 2))) for _ in range(rank))
    lengths = []
    for k, d, a, (low, high) in zip(size, dilation, apart, pairs, strict=True):
        room = (k - 1) * d + 1 - low - high  # that the dilated input needs
        least = max(1, -(-(room - 1) // a) + 1)
        lengths.append(draw(st.integers(least, least + most)))
    channels, filters = (groups * draw(st.integers(1, 3)) for _ in range(2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=(draw(st.integers(1, 3)), *lengths, channels))
    kernel = rng.normal(size=(*size, channels // groups, filters))
    options = {
        "strides": each(1, 3), "padding": pairs, "dilation": dilation, "input_dilation": apart,
        "groups": groups,
    }  # fmt: skip
    return x, kernel, options


@given(uses())
def test_any_use(use: tuple[Any, Any, Options]) -> None:
    x, kernel, options = use
    f = lambda x, k: convolution(x, k, **options)
    rng = np.random.default_rng(1)
    ts = [rng.normal(size=a.shape) for a in (x, kernel)]
    out, tangent = cr.jvp(f, (x, kernel), tuple(ts))
    np.testing.assert_allclose(out, plain(x, kernel, **options), atol=1e-12)
    product = plain(ts[0], kernel, **options) + plain(x, ts[1], **options)
    np.testing.assert_allclose(tangent, product, atol=1e-12)
    g = rng.normal(size=out.shape)
    parts = cr.vjp(f, x, kernel)[1](g)
    assert [p.shape for p in parts] == [x.shape, kernel.shape]
    back = sum(np.sum(p * t) for p, t in zip(parts, ts, strict=True))
    np.testing.assert_allclose(back, np.sum(g * tangent), atol=1e-10)


@given(uses(most=3), st.sampled_from(["f4", "f8"]))
def test_any_use_compiled(use: tuple[Any, Any, Options], dtype: str) -> None:
    x, kernel, options = use
    x, kernel = x.astype(dtype), kernel.astype(dtype)

    def f(x: Any, k: Any) -> Any:
        out, pull = cr.vjp(lambda x, k: convolution(x, k, **options), x, k)
        return out, pull(np.sin(out))

    tolerance = 1e-4 if dtype == "f4" else 1e-10
    want, found = f(x, kernel), cr.jit(f)(x, kernel)
    for a, b in zip((want[0], *want[1]), (found[0], *found[1]), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)


# Input, kernel and options for which compiled code cuts loops, packs operands, splits sums.
LARGE: dict[str, tuple[tuple[int, ...], tuple[int, ...], Options]] = {
    "channels in parts": ((2, 9, 9, 24), (3, 3, 24, 32), {"padding": "same"}),
    "places in pieces": ((9, 28, 28, 2), (3, 3, 2, 5), {"padding": "same"}),
    "rows of one image": ((1, 90, 80, 3), (5, 5, 3, 16), {"strides": 1}),
    "a kernel that is far": ((5, 7, 7, 128), (3, 3, 128, 192), {"padding": "same"}),
    "a kernel that is far, one image": ((1, 9, 9, 128), (3, 3, 128, 192), {"padding": "same"}),
    "strides": ((2, 23, 23, 3), (11, 11, 3, 32), {"strides": 4, "padding": 2}),
    "depthwise": ((2, 12, 12, 40), (3, 3, 1, 40), {"groups": 40, "padding": "same"}),
    "two groups": ((2, 8, 8, 32), (3, 3, 16, 64), {"groups": 2, "strides": 2, "padding": 1}),
    "one by one": ((2, 8, 8, 48), (1, 1, 48, 96), {}),
    "one axis": ((4, 300, 8), (9, 8, 33), {"padding": "causal", "dilation": 4}),
    "three axes": ((2, 6, 7, 8, 5), (2, 3, 3, 5, 17), {"strides": (1, 2, 1)}),
    "pulled apart": ((2, 8, 9, 16), (4, 3, 16, 20), {"input_dilation": (2, 3), "padding": 2}),
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("threads", [1, 2])
def test_large_ones_compiled(name: str, threads: int) -> None:
    shape, size, options = LARGE[name]
    x, kernel = draw(*shape, dtype="f4"), draw(*size, dtype="f4")

    def f(x: Any, k: Any) -> Any:
        out, pull = cr.vjp(lambda x, k: convolution(x, k, **options), x, k)
        return out, *pull(np.tanh(out))

    want = f(x.astype("f8"), kernel.astype("f8"))
    with cr.settings(threads=threads):
        found = cr.jit(f)(x, kernel)
    for a, b in zip(want, found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5 * np.abs(a).max())


@pytest.mark.parametrize("name", ["channels in parts", "places in pieces", "a kernel that is far"])
def test_bits_do_not_depend_on_threads(name: str) -> None:
    shape, size, options = LARGE[name]
    x, kernel = draw(*shape, dtype="f4"), draw(*size, dtype="f4")
    f = cr.jit(cr.grad(lambda x, k: np.sum(np.sin(convolution(x, k, **options))), (0, 1)))
    found = []
    for threads in (1, 2):
        with cr.settings(threads=threads):
            found.append(f(x, kernel))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


# ---- what others say -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["valid", "same", "full"])
def test_scipy_correlates_alike(mode: str) -> None:
    x, k = draw(9, 8), draw(3, 3)
    padding: Any = 2 if mode == "full" else mode
    found = convolution(x[None, ..., None], k[..., None, None], padding=padding)
    np.testing.assert_allclose(found[0, ..., 0], scipy.signal.correlate(x, k, mode), atol=1e-12)


def test_same_puts_the_odd_zero_behind() -> None:
    # TensorFlow's tf.nn.conv1d(x, ones(2), 1, "SAME") and, of five entries, with stride 2.
    x = np.array([1.0, 2.0, 3.0, 4.0, 5.0]).reshape(1, 5, 1)
    ones = np.ones((2, 1, 1))
    np.testing.assert_array_equal(convolution(x, ones, padding="same").ravel(), [3, 5, 7, 9, 5])
    found = convolution(x[:, :4], np.ones((3, 1, 1)), strides=2, padding="same")
    np.testing.assert_array_equal(found.ravel(), [6, 7])


def test_causal_never_looks_ahead() -> None:
    x, k = draw(1, 7, 2), draw(3, 2, 4)
    whole = convolution(x, k, padding="causal", dilation=2)
    assert whole.shape == (1, 7, 4)
    for n in range(1, 7):
        np.testing.assert_allclose(
            convolution(x[:, :n], k, padding="causal", dilation=2), whole[:, :n], atol=1e-12
        )


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("size", "stride", "dilation"), [
    (3, 1, 1), (3, 2, 1), (2, 2, 1), (4, 2, 1), (2, 3, 1), (1, 2, 1), (3, 2, 2),
])  # fmt: skip
def test_transposed(padding: str, size: int, stride: int, dilation: int) -> None:
    wide = (size - 1) * dilation + 1
    x, kernel = draw(2, 4, 3), draw(size, 5, 3)
    out = transposed_convolution(x, kernel, strides=stride, padding=padding, dilation=dilation)
    length = 4 * stride if padding == "same" else 3 * stride + max(wide, stride)
    assert out.shape == (2, length, 5)
    # It is the transpose of the convolution that goes the other way.
    g = draw(*out.shape)
    there = convolution(g, kernel, strides=stride, padding=padding, dilation=dilation)
    if there.shape == x.shape:
        np.testing.assert_allclose(np.sum(there * x), np.sum(g * out), atol=1e-12)


@pytest.mark.parametrize(("padding", "more", "length"), [
    ("valid", 0, 9), ("valid", 1, 10), ("same", 0, 7), ("same", 1, 8),
])  # fmt: skip
def test_output_padding(padding: str, more: int, length: int) -> None:
    out = transposed_convolution(
        draw(1, 4, 2), draw(3, 1, 2), strides=2, padding=padding, output_padding=more
    )
    assert out.shape == (1, length, 1)


# ---- derivatives of derivatives, batches, types --------------------------------------------------


def test_second_derivatives() -> None:
    x, k = draw(1, 4, 1), draw(2, 1, 2)
    f = lambda x, k: np.sum(np.sin(convolution(x, k, strides=2, padding=1)))
    cr.check_grads(f, (x, k))


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)])
@pytest.mark.parametrize("groups", [1, 2])
def test_batches(axes: tuple[int | None, int | None], groups: int) -> None:
    x = draw(*(3,) * (axes[0] == 0), 2, 5, 4)
    k = draw(*(3,) * (axes[1] == 0), 3, 4 // groups, 6)
    f = cr.value_and_grad(
        lambda x, k: np.sum(np.sin(convolution(x, k, padding="same", groups=groups))), (0, 1)
    )
    found = cr.vmap(f, axes)(x, k)
    for n in range(3):
        value, grads = f(x[n] if axes[0] == 0 else x, k[n] if axes[1] == 0 else k)
        np.testing.assert_allclose(found[0][n], value, atol=1e-12)
        for many, one in zip(found[1], grads, strict=True):
            np.testing.assert_allclose(many[n], one, atol=1e-12)


def test_types() -> None:
    x, k = np.ones((1, 4, 2), "f4"), np.ones((2, 2, 3), "f8")
    assert convolution(x, k.astype("f4")).dtype == "f4"
    assert convolution(x, k).dtype == "f8"
    whole = convolution(np.arange(8).reshape(1, 4, 2), np.ones((2, 2, 3), int))
    assert whole.dtype == int
    np.testing.assert_array_equal(whole[0, :, 0], [6, 14, 22])
    np.testing.assert_array_equal(convolution(x > 0, k)[0, :, 0], [4, 4, 4])


def test_memory_stays_bounded() -> None:
    # All windows at once would be 900 MB.
    x, k = np.zeros((2, 300, 300, 8), "f4"), np.zeros((13, 13, 8, 1), "f4")
    assert convolution(x, k, padding="same").shape == (2, 300, 300, 1)


def test_nothing_at_all() -> None:
    assert convolution(np.zeros((0, 4, 2)), np.zeros((2, 2, 3))).shape == (0, 3, 3)
    assert convolution(np.zeros((2, 4, 0)), np.zeros((2, 0, 3))).tolist() == [[[0.0] * 3] * 3] * 2
    assert convolution(np.zeros((2, 4, 2)), np.zeros((2, 2, 0))).shape == (2, 3, 0)
