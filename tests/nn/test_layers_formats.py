"""Channels first and channels last are the same layer; Maxout and InputSpec by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr

LAYERS = [
    lambda **o: cr.nn.Conv1D(4, 3, strides=2, padding="same", **o),
    lambda **o: cr.nn.Conv1D(4, 3, dilation_rate=2, groups=2, **o),
    lambda **o: cr.nn.Conv2D(4, (3, 2), strides=(2, 1), groups=2, **o),
    lambda **o: cr.nn.Conv3D(4, 2, padding="same", groups=2, **o),
    lambda **o: cr.nn.Conv3D(3, 2, dilation_rate=2, **o),
    lambda **o: cr.nn.Conv1DTranspose(3, 3, strides=2, **o),
    lambda **o: cr.nn.Conv2DTranspose(3, 3, strides=2, padding="same", **o),
    lambda **o: cr.nn.Conv3DTranspose(3, 2, strides=2, **o),
    lambda **o: cr.nn.SeparableConv1D(3, 3, depth_multiplier=2, **o),
    lambda **o: cr.nn.SeparableConv2D(3, 3, padding="same", **o),
    lambda **o: cr.nn.DepthwiseConv2D(3, strides=2, depth_multiplier=2, **o),
    lambda **o: cr.nn.MaxPooling1D(2, **o),
    lambda **o: cr.nn.MaxPooling3D(2, strides=1, padding="same", **o),
    lambda **o: cr.nn.AveragePooling1D(3, strides=2, padding="same", **o),
    lambda **o: cr.nn.AveragePooling3D(2, **o),
    lambda **o: cr.nn.GlobalAveragePooling1D(**o),
    lambda **o: cr.nn.GlobalMaxPooling3D(**o),
]


def rank_of(layer: Any) -> int:
    return int(type(layer).__name__.removesuffix("Transpose")[-2])


@pytest.mark.parametrize("make", LAYERS, ids=lambda make: type(make()).__name__)
def test_the_order_of_axes_changes_nothing(make: Any) -> None:
    last, first = make(dtype="float64"), make(dtype="float64", data_format="channels_first")
    rank = rank_of(last)
    x = np.random.default_rng(0).standard_normal((2, *range(5, 5 + rank), 4))
    variables = last.init(0, x.shape[1:])
    turned = np.moveaxis(x, -1, 1)
    first.init(0, turned.shape[1:])
    y = last.apply(variables, x)[0]
    g = np.random.default_rng(1).standard_normal(y.shape)

    def back(y: Any) -> Any:
        return np.moveaxis(y, 1, -1) if y.ndim > 2 else y

    def loss(layer: Any, turn: Any) -> Any:
        def value(parameters: Any, x: Any) -> Any:
            return np.sum(turn(layer.apply({"parameters": parameters}, x)[0]) * g)

        return cr.value_and_grad(value, (0, 1))

    parameters = variables["parameters"]
    here, (by_weights, by_x) = loss(last, lambda y: y)(parameters, x)
    names = dict(zip(parameters, first.init(0, turned.shape[1:])["parameters"], strict=True))
    renamed = {names[path]: value for path, value in parameters.items()}
    there, (other_weights, other_x) = loss(first, back)(renamed, turned)
    np.testing.assert_allclose(there, here, rtol=1e-12)
    np.testing.assert_allclose(np.moveaxis(other_x, 1, -1), by_x, rtol=1e-11, atol=1e-12)
    for path, value in by_weights.items():
        np.testing.assert_allclose(other_weights[names[path]], value, rtol=1e-11, atol=1e-12)


def test_maxout_takes_the_largest_piece() -> None:
    layer = cr.nn.Maxout(3, 2, dtype="float64")
    variables = layer.init(0, (4,))
    x = np.random.default_rng(0).standard_normal((5, 4))
    parameters = variables["parameters"]
    parameters = {**parameters, "bias": np.arange(6.0)}
    affine = x @ parameters["kernel"] + parameters["bias"]
    found = layer.apply({"parameters": parameters}, x)[0]
    np.testing.assert_allclose(found, np.max(affine.reshape(5, 3, 2), axis=2), rtol=1e-12)


def test_an_input_spec_says_what_a_layer_takes() -> None:
    class Picky(cr.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.input_spec = cr.nn.InputSpec(ndim=2, axes={-1: 4})

        def call(self, inputs: Any) -> Any:
            return inputs * 2

    assert Picky()(np.ones((3, 4))).shape == (3, 4)
    for x in (np.ones((3, 5)), np.ones((3, 4, 4))):
        with pytest.raises(cr.ShapeError):
            Picky()(x)
