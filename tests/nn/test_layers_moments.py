"""The derivative of a variance that leaves out its mean's share is exact, in every order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.nn.moments import moments, weighted_moments

X = np.random.default_rng(0).standard_normal((4, 3))
ROWS = np.array([1.0, 1.0, 0.0, 1.0])[:, None]


def plain(x: Any) -> Any:
    mean, variance = moments(x, (0,))
    return np.sum(np.sin((x - mean) / np.sqrt(variance + 0.1)))


def weighted(x: Any) -> Any:
    mean, variance = weighted_moments(x, ROWS, (0,))
    return np.sum(np.sin((x - mean) / np.sqrt(variance + 0.1)))


@pytest.mark.parametrize("f", [plain, weighted])
def test_derivatives(f: Any) -> None:
    cr.check_grads(f, (X,), order=2)
    np.testing.assert_allclose(cr.jit(cr.grad(f))(X), cr.grad(f)(X), rtol=1e-12)


def test_weighted_is_the_same_without_the_rows_left_out() -> None:
    kept = X[[0, 1, 3]]
    for found, expected in zip(weighted_moments(X, ROWS, (0,)), moments(kept, (0,)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_no_weight_at_all() -> None:
    mean, variance = weighted_moments(X, np.zeros((4, 1)), (0,))
    assert not mean.any()
    assert not variance.any()


@pytest.mark.parametrize("where", ["channels_last", "channels_first"])
def test_neighbours(where: str) -> None:
    layer = cr.nn.LocalResponseNormalization(3, 0.5, data_format=where, dtype="float64")
    cr.check_grads(lambda x: np.sum(np.sin(layer(x))), (X[None],), order=2)
