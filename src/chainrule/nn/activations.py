"""Activation functions: Keras's names, stable everywhere, with the derivative at each kink stated.

All work entry by entry, softmax and log_softmax along an axis. They are plain NumPy functions, so
they differentiate, batch and compile like any other.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import register
from chainrule.tracing.table import SCIPY_SPECIAL

# scipy.special itself takes 240 ms to import; its functions are known here by name.
_expit = SCIPY_SPECIAL["expit"]
_log_expit = SCIPY_SPECIAL["log_expit"]
_ndtr = SCIPY_SPECIAL["ndtr"]
_softmax = SCIPY_SPECIAL["softmax"]
_log_softmax = SCIPY_SPECIAL["log_softmax"]

# The fixed point of mean 0 and variance 1 (Klambauer and others 2017, equation 14).
SELU_ALPHA = 1.6732632423543772
SELU_SCALE = 1.0507009873554805


@register("activation", "identity")
def linear(x: Any) -> Any:
    """The input itself: y = x.

    Example:
        >>> linear(3.0)
        3.0
    """
    return x


@register("activation")
def sigmoid(x: Any) -> Any:
    """The logistic function: y = 1 / (1 + e^−x).

    Derivative: y(1 − y).

    Example:
        >>> float(sigmoid(0.0))
        0.5
    """
    return _expit(x)


@register("activation")
def hard_sigmoid(x: Any) -> Any:
    """The sigmoid as three straight pieces: y = relu6(x + 3) / 6.

    Derivative: 1/6 inside (−3, 3), 0 outside and at the kinks.

    Source: Howard and others, Searching for MobileNetV3, 2019, section 5.2.

    Example:
        >>> float(hard_sigmoid(0.0)), float(hard_sigmoid(-4.0))
        (0.5, 0.0)
    """
    return np.clip(x + 3, 0, 6) / 6


@register("activation")
def tanh(x: Any) -> Any:
    """The hyperbolic tangent.

    Derivative: 1 − y².

    Example:
        >>> float(tanh(0.0))
        0.0
    """
    return np.tanh(x)


@register("activation")
def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """The positive part: y = max(x, 0), with Keras's three options.

    Args:
        x: an array of any shape.
        negative_slope: below the threshold, y = negative_slope · (x − threshold).
        max_value: the largest value of y; None sets no bound.
        threshold: where x is not above it, y is what negative_slope says.

    Raises:
        ArgumentError: a negative slope or a negative largest value.

    Derivative: 1 above the threshold and below the bound, negative_slope up to and at the
        threshold, 0 from the bound on.

    Example:
        >>> relu(np.array([-2.0, 0.0, 3.0, 9.0]), max_value=6.0)
        array([0., 0., 3., 6.])
    """
    if negative_slope < 0 or (max_value is not None and max_value < 0):
        raise ArgumentError(
            "relu: negative_slope and max_value can't be negative",
            {"negative_slope": negative_slope, "max_value": max_value},
        )
    if threshold == 0 and negative_slope == 0:
        return np.maximum(x, 0) if max_value is None else np.clip(x, 0, max_value)
    if negative_slope == 0:
        # A maximum, where a choice would have to be remembered by all that comes before it.
        number = np.result_type(x, 0.0).type
        y = np.maximum(x, threshold) - np.where(x <= threshold, number(threshold), number(0))
    else:
        y = np.where(x > threshold, x, negative_slope * (x - threshold))
    return y if max_value is None else np.minimum(y, max_value)


@register("activation")
def relu6(x: Any) -> Any:
    """The positive part, at most 6: y = min(max(x, 0), 6).

    Derivative: 1 inside (0, 6), 0 outside and at the kinks.

    Source: Krizhevsky, Convolutional deep belief networks on CIFAR-10, 2010.

    Example:
        >>> relu6(np.array([-1.0, 3.0, 8.0]))
        array([0., 3., 6.])
    """
    return np.clip(x, 0, 6)


@register("activation")
def leaky_relu(x: Any, negative_slope: float = 0.1) -> Any:
    """x above 0, negative_slope · x below; the slope is 0.1 here and 0.2 in Keras.

    Derivative: 1 above 0; negative_slope below and at 0.

    Source: Maas, Hannun and Ng, Rectifier nonlinearities improve neural network acoustic models,
        2013.

    Example:
        >>> leaky_relu(np.array([-2.0, 3.0]))
        array([-0.2,  3. ])
    """
    return np.where(x > 0, x, negative_slope * x)


@register("activation")
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x above 0, alpha · (e^x − 1) below.

    Derivative: 1 from 0 on; alpha · e^x below.

    Source: Clevert, Unterthiner and Hochreiter, Fast and accurate deep network learning by
        exponential linear units, 2016.

    Example:
        >>> elu(np.array([-1000.0, 3.0]))
        array([-1.,  3.])
    """
    # The minimum keeps e^x finite where x is large.
    return np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0)))


@register("activation")
def selu(x: Any) -> Any:
    """The self-normalising elu: λx above 0, λα(e^x − 1) below.

    Derivative: λ = 1.0507… from 0 on; λα · e^x below 0.

    Source: Klambauer, Unterthiner, Mayr and Hochreiter, Self-normalizing neural networks, 2017,
        equation 2.

    Example:
        >>> selu(np.array([-1000.0, 1.0])).round(4)
        array([-1.7581,  1.0507])
    """
    return SELU_SCALE * elu(x, SELU_ALPHA)


@register("activation")
def gelu(x: Any, approximate: bool = False) -> Any:
    """x times the chance that a standard normal number is below x: y = x · Φ(x).

    Args:
        x: an array of any shape.
        approximate: y = ½x(1 + tanh(√(2/π)(x + 0.044715x³))) instead.

    Derivative: Φ(x) + x · φ(x).

    Source: Hendrycks and Gimpel, Gaussian error linear units, 2016, section 2.

    Example:
        >>> gelu(np.array([-1.0, 0.0, 1.0])).round(4)
        array([-0.1587,  0.    ,  0.8413])
    """
    if not approximate:
        return x * _ndtr(x)
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
    return 0.5 * x * (1 + np.tanh(inner))


@register("activation")
def softplus(x: Any) -> Any:
    """The smooth positive part: y = log(1 + e^x), which never overflows.

    Derivative: sigmoid(x).

    Example:
        >>> softplus(np.array([-1000.0, 0.0, 50.0])).round(4)
        array([ 0.    ,  0.6931, 50.    ])
    """
    return -_log_expit(-x)


@register("activation")
def softsign(x: Any) -> Any:
    """y = x / (1 + |x|).

    Derivative: 1 / (1 + |x|)², 1 at 0.

    Example:
        >>> softsign(np.array([-1.0, 0.0, 3.0]))
        array([-0.5 ,  0.  ,  0.75])
    """
    return x / (1 + np.abs(x))


@register("activation", "swish")
def silu(x: Any) -> Any:
    """y = x · sigmoid(x), also called swish.

    Derivative: s + y(1 − s) with s = sigmoid(x).

    Source: Ramachandran, Zoph and Le, Searching for activation functions, 2017.

    Example:
        >>> float(silu(0.0))
        0.0
    """
    return x * _expit(x)


@register("activation")
def exponential(x: Any) -> Any:
    """y = e^x.

    Example:
        >>> float(exponential(0.0))
        1.0
    """
    return np.exp(x)


@register("activation")
def mish(x: Any) -> Any:
    """y = x · tanh(softplus(x)).

    Source: Misra, Mish: a self regularized non-monotonic activation function, 2020.

    Example:
        >>> mish(np.array([0.0, 1.0])).round(4)
        array([0.    , 0.8651])
    """
    return x * np.tanh(softplus(x))


@register("activation")
def softmax(x: Any, axis: Any = -1) -> Any:
    """Numbers ≥ 0 that sum to 1 along the axis: y = e^x / Σ e^x, which never overflows.

    Derivative: ∂yᵢ/∂xⱼ = yᵢ(δᵢⱼ − yⱼ).

    Example:
        >>> softmax(np.array([1000.0, 1000.0]))
        array([0.5, 0.5])
    """
    return _softmax(x, axis=axis)


@register("activation")
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """The logarithm of softmax: y = x − log Σ e^x, which never overflows.

    Derivative: ∂yᵢ/∂xⱼ = δᵢⱼ − softmax(x)ⱼ.

    Example:
        >>> log_softmax(np.array([0.0, -1000.0]))
        array([    0., -1000.])
    """
    return _log_softmax(x, axis=axis)
