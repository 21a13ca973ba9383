"""Errors say which layer expects what, in the user's words, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr

nn = cr.nn
ARGUMENT, SHAPE = cr.ArgumentError, cr.ShapeError


def z(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


CASES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: nn.Conv2D(3, 3, name="stem").init(0, (8, 8)), SHAPE, "'stem' expects 4 axes"),
    (lambda: nn.Conv2D(3, 9).init(0, (8, 8, 1)), SHAPE, "kernel is longer than the padded input"),
    (lambda: nn.Conv2D(3, 3, groups=2), ARGUMENT, "filters don't fall into so many groups"),
    (lambda: nn.Conv2D(4, 3, groups=2).init(0, (8, 8, 3)), SHAPE, "channels of the input"),
    (lambda: nn.Conv2D(4, (3, 3, 3)), ARGUMENT, "kernel_size has to be one whole number, or 2"),
    (lambda: nn.Conv2D(4, 3, padding="causal"), ARGUMENT, "padding can't be 'causal'"),
    (lambda: nn.Conv2D(4, 3, strides=2, dilation_rate=2), ARGUMENT, "can't both be more than 1"),
    (lambda: nn.Conv2D(4, 3, data_format="NCHW"), ARGUMENT, "data_format can't be 'NCHW'"),
    (lambda: nn.Conv2DTranspose(4, 3, 2, output_padding=2), ARGUMENT, "less than the strides"),
    (lambda: nn.MaxPooling2D(9).init(0, (8, 8, 1)), SHAPE, "window is longer than the padded"),
    (lambda: nn.MaxPooling2D(0), ARGUMENT, "pool_size has to be a whole number from 1 on"),
    (lambda: nn.LSTM(4).init(0, (8,)), SHAPE, "'lstm' expects 3 axes, its input has 2"),
    (lambda: nn.LSTM(4, dropout=2), ARGUMENT, "dropout has to be a number from 0 to 1"),
    (lambda: nn.LSTM(4)(z(2, 3, 5), initial_state=[z(2, 4)]), SHAPE, "initial_state doesn't fit"),
    (lambda: nn.LSTM(4)(z(2, 3, 5), mask=z(2, 4)), SHAPE, "mask of 'lstm' doesn't fit"),
    (lambda: nn.RNN(nn.Dense(3)), ARGUMENT, "says the size of its states"),
    (lambda: nn.Bidirectional(nn.Dense(3)), ARGUMENT, "is a recurrent layer"),
    (
        lambda: nn.Bidirectional(nn.LSTM(3), backward_layer=nn.LSTM(3)),
        ARGUMENT,
        "don't go together",
    ),
    (lambda: nn.MultiHeadAttention(2, 3)(z(2, 3)), SHAPE, "takes arrays of shape"),
    (
        lambda: nn.MultiHeadAttention(2, 3)(z(2, 3, 4), z(2, 4, 4), z(2, 5, 4)),
        SHAPE,
        "don't go together",
    ),
    (lambda: nn.Attention()(z(2, 3, 4)), SHAPE, r"is called on \[query, value\]"),
    (lambda: nn.Add()(z(2, 3)), ARGUMENT, "takes a list"),
    (lambda: nn.Add()([z(2, 3), z(2, 4)]), SHAPE, "inputs of the layer 'add' don't go together"),
    (lambda: nn.Add()([z(2, 3), z(3, 3)]), SHAPE, "don't go together"),
    (lambda: nn.Subtract()([z(2, 3)]), ARGUMENT, "takes a list of 2 arrays"),
    (lambda: nn.Concatenate()([z(2, 3, 4), z(2, 4, 4)]), SHAPE, "don't go together"),
    (lambda: nn.Concatenate(0)([z(2, 3), z(2, 3)]), ARGUMENT, "other than the batch"),
    (lambda: nn.Dot(1)([z(2, 3, 4), z(2, 4, 4)]), SHAPE, "don't go together"),
    (lambda: nn.Reshape((4, 5))(z(2, 3)), SHAPE, "can't give its input this shape"),
    (lambda: nn.Reshape((-1, -1)), ARGUMENT, "at most one of them -1"),
    (lambda: nn.Permute((1, 3)), ARGUMENT, "name each axis once"),
    (lambda: nn.Dropout(1.5), ARGUMENT, "rate has to be a number from 0 to 1"),
    (lambda: nn.StochasticDepth(nn.Dense(3), 0.5)(z(2, 4)), SHAPE, "block of 'stochastic_depth'"),
    (lambda: nn.BatchNormalization(3)(z(2, 4)), ARGUMENT, "axis has to be an axis of the input"),
    (
        lambda: nn.BatchNormalization()(z(2, 3, 4), mask=z(2, 4), training=True),
        SHAPE,
        "mask of 'batch_normalization' doesn't fit",
    ),
    (lambda: nn.GroupNormalization(3)(z(2, 4)), ARGUMENT, "don't fall into so many groups"),
    (lambda: nn.LocalResponseNormalization(4), ARGUMENT, "size has to be odd"),
    (lambda: nn.Embedding(3, 2)(np.array([[7]])), cr.OutOfBoundsError, "no row for an id"),
    (lambda: nn.Embedding(3, 2)(np.array([["a"]])), cr.DtypeError, "looks up whole numbers"),
    (lambda: nn.ZeroPadding2D((1, 2, 3)), ARGUMENT, "padding has to be one whole number, 2, or 2"),
    (lambda: nn.Cropping2D(5)(z(1, 4, 4, 1)), SHAPE, "cuts off more than there is"),
    (lambda: nn.UpSampling2D(interpolation="cubic"), ARGUMENT, "interpolation can't be 'cubic'"),
    (lambda: nn.Activation("rellu"), ARGUMENT, "no activation is called 'rellu'"),
    (lambda: nn.ReLU(negative_slope=-1), ARGUMENT, "negative_slope has to be a number from 0"),
    (lambda: nn.Maxout(3, 0), ARGUMENT, "pieces has to be a whole number from 1 on"),
]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_message(number: int) -> None:
    call, kind, words = CASES[number]
    with pytest.raises(kind, match=words) as caught:
        call()
    assert "where: " in str(caught.value)
    assert "fix: " in str(caught.value)
    assert "test_layers_messages.py" in str(caught.value)


def test_other_channels_than_at_first() -> None:
    layer = nn.Conv2D(3, 3, data_format="channels_first")
    variables = layer.init(0, (2, 8, 8))
    with pytest.raises(SHAPE) as caught:
        layer.apply(variables, z(1, 3, 8, 8))
    assert str(caught.value).startswith(
        "the layer 'conv2d' expects 2 entries along axis 1, its input has 3\n"
        "  input: [1, 3, 8, 8], the batch first\n"
    )


@pytest.mark.parametrize("variables", [{}, {"dense/kernel": np.ones((4, 3))}, np.ones((2, 4))])
def test_apply_without_variables(variables):
    layer = cr.nn.Dense(3)
    layer.build((None, 4))
    with pytest.raises(cr.ArgumentError, match="takes the values of all weights first"):
        layer.apply(variables, np.ones((2, 4)))


def test_a_model_is_no_array_to_differentiate_by():
    layer = cr.nn.Dense(3)
    with pytest.raises(cr.DtypeError, match="only floating-point arguments"):
        cr.grad(lambda layer: np.sum(layer(np.ones((2, 4)))))(layer)
