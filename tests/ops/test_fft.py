"""Fourier transforms: lengths, axes and norms as NumPy's, transposes without conjugation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4, 5))
Z = X + 1j * RNG.normal(size=X.shape)

ONE = "fft ifft rfft irfft hfft ihfft".split()
MANY = "fft2 ifft2 fftn ifftn rfft2 irfft2 rfftn irfftn".split()
REAL_ONLY = {"rfft", "ihfft", "rfft2", "rfftn"}


@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
@pytest.mark.parametrize("name", ONE)
def test_along_one_axis(agrees: Any, name: str, norm: Any) -> None:
    function = getattr(np.fft, name)
    for x in (X, Z):
        if x is Z and name in REAL_ONLY:
            continue
        for axis in (-1, 0, 1):
            agrees(lambda x, axis=axis: function(x, axis=axis, norm=norm), x)
        for n in (1, 2, 4, 5, 7, 8):
            agrees(lambda x, n=n: function(x, n, norm=norm), x)


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize("name", MANY)
def test_along_several_axes(agrees: Any, name: str, norm: Any) -> None:
    function = getattr(np.fft, name)
    for x in (X, Z):
        if x is Z and name in REAL_ONLY:
            continue
        agrees(lambda x: function(x, norm=norm), x)
        agrees(lambda x: function(x, s=(3, 6), axes=(0, 2), norm=norm), x)
        agrees(lambda x: function(x, axes=(1, 0), norm=norm), x)


@given(
    name=st.sampled_from(ONE),
    length=st.integers(1, 6),
    n=st.none() | st.integers(1, 8),
    norm=st.sampled_from([None, "ortho", "forward"]),
)
def test_any_length(name: str, length: int, n: int | None, norm: str | None) -> None:
    function = getattr(np.fft, name)
    if n is None and length == 1 and name in ("irfft", "hfft"):
        return
    rng = np.random.default_rng(1)
    x, t = rng.normal(size=length), rng.normal(size=length)
    out, tangent = cr.jvp(lambda x: function(x, n, norm=norm), (x,), (t,))
    want = function(x, n, norm=norm)
    assert (out.shape, out.dtype) == (want.shape, want.dtype)
    np.testing.assert_allclose(out, want, atol=1e-12)
    np.testing.assert_allclose(tangent, function(t, n, norm=norm), atol=1e-12)
    g = rng.normal(size=want.shape) + (1j * rng.normal(size=want.shape)) * (want.dtype.kind == "c")
    g = g if want.dtype.kind == "c" else g.real
    (found,) = cr.vjp(lambda x: function(x, n, norm=norm), x)[1](g)
    np.testing.assert_allclose(np.vdot(found, t).real, np.vdot(g, tangent).real, atol=1e-10)


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft"])
def test_single_precision_stays(agrees: Any, name: str) -> None:
    agrees(getattr(np.fft, name), X.astype("f4"), rtol=1e-2)


def test_shifts(agrees: Any) -> None:
    for function in (np.fft.fftshift, np.fft.ifftshift):
        agrees(function, X)
        agrees(lambda x, f=function: f(x, axes=1), Z)
        agrees(lambda x, f=function: f(x, axes=(0, 2)), X)


def test_power_spectrum_and_its_second_derivative() -> None:
    x, t = X[0, 0], X[1, 1]

    def energy(x: Any) -> Any:
        return np.sum(np.abs(np.fft.fft(x)) ** 2)

    # Parseval: 5·Σx², so the gradient is 10·x and the Hessian 10.
    np.testing.assert_allclose(cr.grad(energy)(x), 10 * x)
    np.testing.assert_allclose(cr.jvp(cr.grad(energy), (x,), (t,))[1], 10 * t)


def test_convolution_theorem(agrees: Any) -> None:
    agrees(lambda a, b: np.fft.irfft(np.fft.rfft(a) * np.fft.rfft(b), 5), X[0, 0], X[0, 1])


def test_in_batches() -> None:
    np.testing.assert_allclose(cr.vmap(np.fft.fft)(Z), np.fft.fft(Z, axis=-1))
    np.testing.assert_allclose(cr.vmap(np.fft.rfft, 1)(X), np.fft.rfft(X.transpose(1, 0, 2)))


def test_mistakes() -> None:
    with pytest.raises(cr.ArgumentError, match="norm must be"):
        cr.jvp(lambda x: np.fft.fft(x, norm="orthogonal"), (X,), (X,))
    with pytest.raises(cr.ArgumentError, match="the array must be real"):
        cr.jvp(np.fft.rfft, (Z,), (Z,))
    with pytest.raises(cr.ShapeError, match="at least one point"):
        cr.jvp(lambda x: np.fft.fft(x, 0), (X,), (X,))
    with pytest.raises(cr.ShapeError, match="axis 3 is out of range"):
        cr.jvp(lambda x: np.fft.fft(x, axis=3), (X,), (X,))
