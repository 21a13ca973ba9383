"""compute_output_shape says what comes out, for every layer and its options; configs return."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import chainrule as cr

WINDOW = st.integers(1, 3)
FORMAT = st.sampled_from(["channels_last", "channels_first"])
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def real_shape(layer: Any, shapes: Any, batch: int) -> Any:
    """The shape of what the layer gives for a batch of this size."""
    several = isinstance(shapes, list)
    xs = [np.zeros((batch, *s[1:]), np.float32) for s in (shapes if several else [shapes])]
    variables = layer.init(0, shapes)
    y, _ = layer.apply(variables, xs if several else xs[0])
    shape = [v.shape for v in y] if isinstance(y, tuple) else y.shape
    return [s[1:] for s in shape] if isinstance(shape, list) else shape[1:]


def said_shape(layer: Any, shapes: Any) -> Any:
    said = layer.compute_output_shape(shapes)
    if said and isinstance(said[0], tuple):
        assert all(shape[0] is None for shape in said)
        return [shape[1:] for shape in said]
    assert said[0] is None
    return said[1:]


def holds(layer: Any, shapes: Any) -> None:
    """The shape is as said, for 0, 1 and 2 rows, also of a layer made from the config."""
    said = said_shape(layer, shapes)
    for batch in (0, 1, 2):
        assert real_shape(layer, shapes, batch) == said
    data = cr.nn.serialize(layer)
    again = cr.nn.deserialize(json.loads(json.dumps(data)))
    assert cr.nn.serialize(again) == data
    assert said_shape(again, shapes) == said
    assert {k: v.shape for k, v in again.init(1, shapes)["parameters"].items()} == {
        k: v.shape for k, v in layer.init(1, shapes)["parameters"].items()
    }


@st.composite
def spatial(draw: Any, rank: int, least: int = 5) -> tuple[tuple[int | None, ...], str]:
    """A shape of an input, and where its channels are."""
    lengths = [draw(st.integers(least, 8)) for _ in range(rank)]
    where = draw(FORMAT)
    channels = draw(st.integers(1, 2)) * 2
    if where == "channels_last":
        return (None, *lengths, channels), where
    return (None, channels, *lengths), where


@FEW
@given(data=st.data(), rank=st.sampled_from([1, 2, 3]))
def test_convolution(data: Any, rank: int) -> None:
    shape, where = data.draw(spatial(rank))
    strides = data.draw(WINDOW)
    layer = getattr(cr.nn, f"Conv{rank}D")(
        4,
        tuple(data.draw(WINDOW) for _ in range(rank)),
        strides,
        padding=data.draw(st.sampled_from(["valid", "same"])),
        dilation_rate=1 if strides > 1 else data.draw(st.integers(1, 2)),
        groups=data.draw(st.sampled_from([1, 2])),
        data_format=where,
    )
    holds(layer, shape)


@FEW
@given(data=st.data(), rank=st.sampled_from([1, 2, 3]))
def test_transposed_convolution(data: Any, rank: int) -> None:
    shape, where = data.draw(spatial(rank, 3))
    strides = data.draw(WINDOW)
    layer = getattr(cr.nn, f"Conv{rank}DTranspose")(
        3,
        data.draw(WINDOW),
        strides,
        padding=data.draw(st.sampled_from(["valid", "same"])),
        output_padding=data.draw(st.sampled_from([None, strides - 1])),
        data_format=where,
    )
    holds(layer, shape)


@FEW
@given(
    data=st.data(), rank=st.sampled_from([1, 2]), name=st.sampled_from(["Depthwise", "Separable"])
)
def test_channels_apart(data: Any, rank: int, name: str) -> None:
    shape, where = data.draw(spatial(rank))
    first = [] if name == "Depthwise" else [3]
    layer = getattr(cr.nn, f"{name}Conv{rank}D")(
        *first,
        data.draw(WINDOW),
        data.draw(WINDOW),
        padding=data.draw(st.sampled_from(["valid", "same"])),
        depth_multiplier=data.draw(st.integers(1, 2)),
        data_format=where,
    )
    holds(layer, shape)


@FEW
@given(data=st.data(), rank=st.sampled_from([1, 2, 3]), kind=st.sampled_from(["Max", "Average"]))
def test_pooling(data: Any, rank: int, kind: str) -> None:
    shape, where = data.draw(spatial(rank))
    layer = getattr(cr.nn, f"{kind}Pooling{rank}D")(
        data.draw(WINDOW),
        data.draw(st.none() | WINDOW),
        padding=data.draw(st.sampled_from(["valid", "same"])),
        data_format=where,
    )
    holds(layer, shape)
    if kind == "Average":
        keepdims = data.draw(st.booleans())
        holds(getattr(cr.nn, f"GlobalAveragePooling{rank}D")(where, keepdims=keepdims), shape)


@FEW
@given(data=st.data(), name=st.sampled_from(["SimpleRNN", "LSTM", "GRU"]))
def test_recurrent(data: Any, name: str) -> None:
    flags = {
        flag: data.draw(st.booleans())
        for flag in ("return_sequences", "return_state", "go_backwards", "use_bias")
    }
    layer = getattr(cr.nn, name)(data.draw(WINDOW), **flags)
    shape = (None, data.draw(WINDOW), data.draw(WINDOW))
    holds(layer, shape)
    mode = data.draw(st.sampled_from(["concat", "sum", "mul", "ave", None]))
    holds(cr.nn.Bidirectional(layer, mode), shape)


@FEW
@given(
    heads=WINDOW,
    key_dim=WINDOW,
    value_dim=st.none() | WINDOW,
    width=st.none() | WINDOW,
    steps=st.tuples(WINDOW, WINDOW),
    sizes=st.tuples(WINDOW, WINDOW, WINDOW),
)
def test_attention(
    heads: int, key_dim: int, value_dim: Any, width: Any, steps: Any, sizes: Any
) -> None:
    layer = cr.nn.MultiHeadAttention(heads, key_dim, value_dim, output_shape=width)
    shapes = [
        (None, steps[0], sizes[0]),
        (None, steps[1], sizes[1]),
        (None, steps[1], sizes[2]),
    ]
    holds(layer, shapes)


OTHERS: list[tuple[Any, Any]] = [
    (lambda: cr.nn.Dense(3, activation="relu", kernel_regularizer="l2"), (None, 4)),
    (lambda: cr.nn.Maxout(3, 2), (None, 5, 4)),
    (lambda: cr.nn.Embedding(5, 3), (None, 7)),
    (lambda: cr.nn.Flatten(), (None, 2, 3, 4)),
    (lambda: cr.nn.Flatten("channels_first"), (None, 2, 3, 4)),
    (lambda: cr.nn.Reshape((-1, 2)), (None, 2, 3)),
    (lambda: cr.nn.Permute((2, 1)), (None, 2, 3)),
    (lambda: cr.nn.RepeatVector(3), (None, 2)),
    (lambda: cr.nn.Identity(), (None, 2)),
    (lambda: cr.nn.Activation("softmax"), (None, 2)),
    (lambda: cr.nn.ReLU(6.0), (None, 2)),
    (lambda: cr.nn.LeakyReLU(), (None, 2)),
    (lambda: cr.nn.ELU(), (None, 2)),
    (lambda: cr.nn.Softmax((1, 2)), (None, 2, 3)),
    (lambda: cr.nn.Dropout(0.5, (None, 1)), (None, 2)),
    (lambda: cr.nn.SpatialDropout1D(0.5), (None, 2, 3)),
    (lambda: cr.nn.SpatialDropout2D(0.5), (None, 2, 3, 4)),
    (lambda: cr.nn.GaussianNoise(0.5), (None, 2)),
    (lambda: cr.nn.GaussianDropout(0.5), (None, 2)),
    (lambda: cr.nn.StochasticDepth(cr.nn.Dense(2), 0.5, mode="row"), (None, 2)),
    (lambda: cr.nn.Add(), [(None, 2, 3), (None, 3)]),
    (lambda: cr.nn.Subtract(), [(None, 2, 3), (None, 1, 3)]),
    (lambda: cr.nn.Multiply(), [(None, 2), (None, 2)]),
    (lambda: cr.nn.Average(), [(None, 2), (None, 2)]),
    (lambda: cr.nn.Maximum(), [(None, 2), (None, 2)]),
    (lambda: cr.nn.Minimum(), [(None, 2), (None, 2)]),
    (lambda: cr.nn.Concatenate(1), [(None, 2, 3), (None, 1, 3)]),
    (lambda: cr.nn.Dot((1, 2)), [(None, 2, 3), (None, 5, 2)]),
    (lambda: cr.nn.ZeroPadding1D((1, 2)), (None, 4, 2)),
    (lambda: cr.nn.ZeroPadding2D(1), (None, 4, 2, 3)),
    (lambda: cr.nn.ZeroPadding3D((1, 2, 3)), (None, 4, 2, 3, 1)),
    (lambda: cr.nn.Cropping2D(1, data_format="channels_first"), (None, 1, 4, 5)),
    (lambda: cr.nn.UpSampling2D((2, 3)), (None, 4, 2, 3)),
    (lambda: cr.nn.UpSampling2D(2, interpolation="bilinear"), (None, 4, 2, 3)),
    (lambda: cr.nn.BatchNormalization(1), (None, 4, 2)),
    (lambda: cr.nn.LayerNormalization((1, -1)), (None, 4, 2)),
    (lambda: cr.nn.GroupNormalization(2), (None, 3, 4)),
    (lambda: cr.nn.RMSNormalization(), (None, 4)),
    (lambda: cr.nn.LocalResponseNormalization(3), (None, 4, 4, 6)),
    (lambda: cr.nn.RNN(cr.nn.GRUCell(3, reset_after=False)), (None, 4, 2)),
    (lambda: cr.nn.TimeDistributed(cr.nn.Dense(3)), (None, 4, 2)),
    (lambda: cr.nn.Attention(True, "concat"), [(None, 4, 2), (None, 3, 2)]),
    (lambda: cr.nn.Conv1D(2, 3, padding="causal"), (None, 4, 2)),
]


@pytest.mark.parametrize("number", range(len(OTHERS)))
def test_others(number: int) -> None:
    make, shapes = OTHERS[number]
    holds(make(), shapes)


def test_global_maximum() -> None:
    for rank in (1, 2, 3):
        layer = getattr(cr.nn, f"GlobalMaxPooling{rank}D")()
        shape = (None, *(3,) * rank, 4)
        assert real_shape(layer, shape, 2) == said_shape(layer, shape)
