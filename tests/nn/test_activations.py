"""Activations: exact at kinks, finite where exponentials overflow, one loop when compiled."""

from __future__ import annotations

import math
import re
from typing import Any

import mpmath
import numpy as np
import pytest

import chainrule as cr
from chainrule.base.registry import deserialize, get, serialize
from chainrule.nn import activations as A

ENTRYWISE = """linear sigmoid hard_sigmoid tanh relu relu6 leaky_relu elu selu gelu softplus
    softsign silu exponential mish""".split()

AT_ZERO = {
    "linear": 1.0,
    "sigmoid": 0.25,
    "hard_sigmoid": 1 / 6,
    "tanh": 1.0,
    "relu": 0.0,
    "relu6": 0.0,
    "leaky_relu": 0.1,
    "elu": 1.0,
    "selu": A.SELU_SCALE,
    "gelu": 0.5,
    "softplus": 0.5,
    "softsign": 1.0,
    "silu": 0.5,
    "exponential": 1.0,
    "mish": 0.6,
}


@pytest.mark.parametrize("name", ENTRYWISE)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_slope_at_zero_in_every_mode(name: str, dtype: str) -> None:
    function, zero = getattr(A, name), np.zeros(2, dtype)

    def slopes(x: Any) -> Any:
        return cr.grad(lambda x: np.sum(function(x)))(x)

    forward = cr.jvp(function, (zero,), (np.ones_like(zero),))[1]
    for found in (slopes(zero), cr.jit(slopes)(zero), forward):
        assert found.dtype == zero.dtype
        np.testing.assert_allclose(found, AT_ZERO[name], rtol=1e-6)


@pytest.mark.parametrize(
    ("function", "at", "slope"),
    [
        (lambda x: A.relu(x, negative_slope=0.3), 0.0, 0.3),
        (lambda x: A.relu(x, max_value=2.0), 2.0, 0.0),
        (lambda x: A.relu(x, threshold=1.0), 1.0, 0.0),
        (lambda x: A.relu(x, negative_slope=0.3, threshold=1.0), 1.0, 0.3),
        (A.relu6, 6.0, 0.0),
        (A.hard_sigmoid, 3.0, 0.0),
        (A.hard_sigmoid, -3.0, 0.0),
        (lambda x: A.leaky_relu(x, 0.5), 0.0, 0.5),
        (lambda x: A.elu(x, 0.5), 0.0, 1.0),
    ],
)
def test_stated_kinks(function: Any, at: float, slope: float) -> None:
    assert cr.grad(function)(at) == pytest.approx(slope, rel=1e-15)


@pytest.mark.parametrize("name", [name for name in ENTRYWISE if name != "exponential"])
def test_finite_far_out(name: str) -> None:
    function = getattr(A, name)
    x = np.array([-1e4, 1e4], np.float32)
    assert np.all(np.isfinite(function(x)))
    for gradient in (cr.grad, lambda f: cr.jit(cr.grad(f))):
        assert np.all(np.isfinite(gradient(lambda x: np.sum(function(x)))(x)))


@pytest.mark.parametrize("name", ENTRYWISE)
def test_nan_stays(name: str) -> None:
    x = np.array([np.nan, 1.0])
    assert list(np.isnan(getattr(A, name)(x))) == [True, False]
    assert list(np.isnan(cr.jit(getattr(A, name))(x))) == [True, False]


EXACT = {
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "gelu": lambda x: x * mpmath.ncdf(x),
    "elu": lambda x: x if x > 0 else mpmath.expm1(x),
    "silu": lambda x: x / (1 + mpmath.exp(-x)),
    "mish": lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_to_rounding(name: str) -> None:
    points = np.concatenate([np.linspace(-12, 12, 49), [-1e-9, 1e-9]])
    with mpmath.workdps(40):
        exact = np.array([float(EXACT[name](mpmath.mpf(float(x)))) for x in points])
        slopes = [float(mpmath.diff(EXACT[name], mpmath.mpf(float(x)))) for x in points]
    function = getattr(A, name)
    np.testing.assert_allclose(function(points), exact, rtol=1e-13)
    np.testing.assert_allclose(cr.jit(function)(points), exact, rtol=1e-13)
    gradient = cr.grad(lambda x: np.sum(function(x)))(points)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("name", ENTRYWISE)
def test_compiles_to_native_loops(name: str) -> None:
    x = np.linspace(-3, 3, 64, dtype=np.float32).reshape(8, 8)
    text = cr.jit(getattr(A, name)).llvm(x)
    kernels = len(set(re.findall(r"define internal void @(kernel\d+)\(", text)))
    assert kernels <= (2 if name == "mish" else 1)


def test_softmax_sums_to_one_and_never_overflows() -> None:
    x = np.array([[1e4, -1e4, 1e4], [3.0, 1.0, 2.0]], np.float32)
    for axis in (-1, 0):
        y = A.softmax(x, axis)
        np.testing.assert_allclose(y.sum(axis=axis), 1, rtol=1e-6)
        np.testing.assert_allclose(np.exp(A.log_softmax(x, axis)), y, rtol=1e-6)
    jacobian = cr.jacobian(A.softmax)(x[1])
    y = A.softmax(x[1])
    np.testing.assert_allclose(jacobian, np.diag(y) - np.outer(y, y), atol=1e-7)


def test_relu_refuses_what_makes_no_sense() -> None:
    with pytest.raises(cr.ArgumentError, match="can't be negative"):
        A.relu(np.ones(2), negative_slope=-1.0)


def test_names() -> None:
    assert get("activation", "swish") is A.silu
    assert deserialize(serialize(A.leaky_relu)) is A.leaky_relu
    assert get("activation", "linear")(3.0) == 3.0
    with pytest.raises(cr.ArgumentError, match="did you mean 'sigmoid'"):
        get("activation", "sigmiod")


def test_gelu_tail_is_not_lost() -> None:
    """x·Φ(x), where ½x(1 + erf) would have rounded to 0."""
    assert A.gelu(np.float64(-9.0)) == pytest.approx(-9 * 0.5 * math.erfc(9 / math.sqrt(2)))


@pytest.mark.parametrize("name", ENTRYWISE)
def test_layers_before_an_activation_are_not_masked(name: str) -> None:
    """A choice that has to be remembered would cost the products of a whole network twice over."""
    x, w = np.ones((4, 5), np.float32), np.ones((5, 3), np.float32)

    def step(w: Any, x: Any) -> Any:
        return cr.grad(lambda w: np.sum(np.square(getattr(A, name)(x @ w))))(w)

    text = str(cr.jit(step).program(w, x))
    assert text.count("matmul") == 2
    assert "logical_or" not in text
