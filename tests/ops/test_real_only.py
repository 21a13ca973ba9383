"""Complex numbers where NumPy takes real ones only, and other small agreements with NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import chainrule as cr

Z = np.array([1.0, 2.0, 3.0]) + 1j
X = np.array([1.0, 2.0, 4.0])


@pytest.mark.parametrize(
    ("f", "name"),
    [
        (lambda z: np.interp(z, X, X), "interp"),
        (lambda z: np.quantile(z, 0.5), "quantile"),
        (lambda z: np.percentile(z, 50), "percentile"),
        (np.i0, "i0"),
        (lambda z: np.ldexp(z, 2), "ldexp"),
        (scipy.special.digamma, "polygamma"),
    ],
)
def test_refused(f, name):
    with pytest.raises(cr.DtypeError, match=f"^{name}: ") as caught:
        cr.jvp(f, (Z,), (Z,))
    assert caught.value.fix


@pytest.mark.parametrize(
    "cast",
    [lambda z: z.astype(float), lambda z: np.array(z, dtype=float), lambda z: z.astype(int)],
)
def test_the_warning_of_a_cast(cast):
    with pytest.warns(np.exceptions.ComplexWarning, match="discards") as caught:
        cr.grad(lambda x: np.sum(cast(x * 1j)) + np.sum(x))(X)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("name", ["quantile", "percentile", "nanquantile", "nanpercentile"])
def test_one_fraction_gives_a_scalar(name):
    quantile = getattr(np, name)
    value, _ = cr.value_and_grad(lambda x: quantile(x, 0.5))(X)
    assert type(value) is np.float64
    assert value == quantile(X, 0.5)
    assert np.shape(cr.vjp(lambda x: quantile(x, 0.5, axis=0), np.ones((2, 3)))[0]) == (3,)


def test_compress_as_a_method():
    chosen = [True, False, True]
    np.testing.assert_array_equal(cr.grad(lambda x: x.compress(chosen).sum())(X), chosen)
    A = np.arange(6.0).reshape(2, 3)
    found = cr.vjp(lambda x: x.compress([False, True], axis=0), A)[0]
    np.testing.assert_array_equal(found, A[1:])


def test_ufunc_at_is_refused():
    with pytest.raises(cr.UnsupportedError, match=r"np\.multiply\.at can't be traced"):
        cr.grad(lambda x: np.multiply.at(x, [0], 2.0) or x.sum())(X)
