"""What layers do while training, with masks, padded rows and ids; in chains, compiled or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.nn import pure


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


class Chain(cr.nn.Layer):
    """Layers one after the other."""

    def __init__(self, parts: list[Any], **options: Any) -> None:
        super().__init__(**options)
        self.parts = parts

    def call(self, x: Any) -> Any:
        for part in self.parts:
            x = part(x)
        return x


NOISE = [
    lambda: cr.nn.Dropout(0.4),
    lambda: cr.nn.GaussianNoise(0.5),
    lambda: cr.nn.GaussianDropout(0.4),
    lambda: cr.nn.StochasticDepth(cr.nn.Activation("tanh"), 0.6, mode="row"),
]


# ---- chains --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("training", [False, True])
def test_a_chain_compiles(dtype: str, training: bool) -> None:
    options = {"dtype": dtype}
    chain = Chain(
        [
            cr.nn.Conv2D(4, 3, padding="same", activation="relu", **options),
            cr.nn.BatchNormalization(**options),
            cr.nn.MaxPooling2D(**options),
            cr.nn.SpatialDropout2D(0.5, **options),
            cr.nn.Reshape((4, 16), **options),
            cr.nn.LayerNormalization(**options),
            cr.nn.GRU(5, return_sequences=True, **options),
            cr.nn.MultiHeadAttention(2, 3, **options),
            cr.nn.Flatten(**options),
            cr.nn.Dropout(0.2, **options),
            cr.nn.Maxout(3, 2, **options),
            cr.nn.Softmax(**options),
        ],
        **options,
    )
    variables = chain.init(0, (8, 8, 2))
    x = normal(3, 8, 8, 2).astype(dtype)

    def loss(parameters: Any, x: Any) -> Any:
        given = {**variables, "parameters": parameters}
        y, state = chain.apply(given, x, training=training, seed=7)
        return np.sum(y[:, 0] ** 2), state

    step = cr.value_and_grad(loss, has_aux=True)
    (plain, state), slopes = step(variables["parameters"], x)
    (fast, fast_state), fast_slopes = cr.jit(step)(variables["parameters"], x)
    close = {"rtol": 2e-4, "atol": 2e-5} if dtype == "float32" else {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(plain, fast, **close)
    assert slopes.keys() == variables["parameters"].keys()
    for name in slopes:
        assert slopes[name].dtype == dtype
        np.testing.assert_allclose(slopes[name], fast_slopes[name], err_msg=name, **close)
    for name in state:
        np.testing.assert_allclose(state[name], fast_state[name], err_msg=name, **close)


@pytest.mark.parametrize("batch", [0, 1])
@pytest.mark.parametrize("training", [False, True])
def test_small_batches(batch: int, training: bool) -> None:
    chain = Chain([cr.nn.BatchNormalization(), cr.nn.LSTM(3), cr.nn.Dropout(0.5), cr.nn.Dense(2)])
    variables = chain.init(0, (4, 2))

    def loss(parameters: Any, x: Any) -> Any:
        given = {**variables, "parameters": parameters}
        y, state = chain.apply(given, x, training=training, seed=1)
        return np.sum(y**2), state

    x = normal(batch, 4, 2)
    for step in (cr.grad(loss, has_aux=True), cr.jit(cr.grad(loss, has_aux=True))):
        slopes, state = step(variables["parameters"], x)
        assert all(np.isfinite(v).all() for v in (*slopes.values(), *state.values()))


def test_layers_called_on_values_to_come() -> None:
    a, b = cr.nn.Input((5, 8)), cr.nn.Input((5, 8))
    seen = cr.nn.MultiHeadAttention(2, 4)(a, b)
    y, h, c = cr.nn.LSTM(6, return_sequences=True, return_state=True)(seen)
    z = cr.nn.LSTM(6)(cr.nn.Add()([a, b]), initial_state=[h, c])
    model = cr.nn.Model([a, b], cr.nn.Concatenate()([z, cr.nn.Flatten()(y)]))
    variables = model.init(0, [(5, 8), (5, 8)])
    assert len(variables["parameters"]) == 8 + 3 + 3
    found, _ = model.apply(variables, [normal(3, 5, 8), normal(3, 5, 8, seed=1)])
    assert found.shape == (3, 36)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: cr.nn.Conv2D(4, 3, groups=2), (6, 6, 2)),
        (lambda: cr.nn.SeparableConv2D(4, 3), (6, 6, 2)),
        (lambda: cr.nn.Conv2DTranspose(4, 3, 2), (3, 3, 2)),
        (lambda: cr.nn.MaxPooling2D(), (6, 6, 2)),
        (lambda: cr.nn.LSTM(3), (5, 2)),
        (lambda: cr.nn.MultiHeadAttention(2, 3), (5, 4)),
        (lambda: cr.nn.LayerNormalization(), (5, 4)),
        (lambda: cr.nn.Maxout(3, 2), (4,)),
    ],
)
def test_gradients_of_each_example(make: Any, shape: tuple[int, ...]) -> None:
    layer = make()
    variables = layer.init(0, shape)
    xs = normal(4, *shape)

    def loss(parameters: Any, x: Any) -> Any:
        return np.sum(layer.apply({"parameters": parameters}, x[None])[0] ** 2)

    slopes = cr.vmap(cr.grad(loss, argnums=(0, 1)), in_axes=(None, 0))(variables["parameters"], xs)
    for i in range(4):
        alone, alone_x = cr.grad(loss, argnums=(0, 1))(variables["parameters"], xs[i])
        np.testing.assert_allclose(slopes[1][i], alone_x, rtol=1e-4, atol=1e-5)
        for name, value in alone.items():
            np.testing.assert_allclose(slopes[0][name][i], value, rtol=1e-4, atol=1e-4)


# ---- noise ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", NOISE)
def test_noise_follows_from_the_seed(make: Any) -> None:
    layer, x = make(), np.ones((50, 40), np.float32)
    variables = layer.init(0, (40,))

    def run(seed: int) -> Any:
        return layer.apply(variables, x, training=True, seed=seed)[0]

    np.testing.assert_array_equal(run(3), run(3))
    assert not np.array_equal(run(3), run(4))
    fast = cr.jit(run, static_argnums=0)(3)
    np.testing.assert_allclose(run(3), fast, rtol=1e-6)


@pytest.mark.parametrize("make", NOISE[:3])
def test_noise_has_the_mean_of_its_input(make: Any) -> None:
    x = np.full((400, 500), 2.0, np.float32)
    y, _ = make().apply({"parameters": {}}, x, training=True, seed=0)
    assert abs(float(y.mean()) - 2.0) < 0.02


def test_dropout_drops_its_share() -> None:
    x = np.ones((400, 500), np.float32)
    y, _ = cr.nn.Dropout(0.3).apply({"parameters": {}}, x, training=True, seed=0)
    assert abs(float((y == 0).mean()) - 0.3) < 0.01
    np.testing.assert_allclose(y[y != 0], 1 / 0.7, rtol=1e-6)
    gone, _ = cr.nn.Dropout(1.0).apply({"parameters": {}}, x, training=True, seed=0)
    assert not gone.any()


def test_dropout_of_whole_channels() -> None:
    x = np.ones((6, 5, 4, 20), np.float32)
    for layer in (cr.nn.SpatialDropout2D(0.5), cr.nn.Dropout(0.5, (None, 1, 1, None))):
        y, _ = layer.apply({"parameters": {}}, x, training=True, seed=0)
        assert (np.ptp(y, axis=(1, 2)) == 0).all()
        assert 0.3 < (y == 0).mean() < 0.7
    first = cr.nn.SpatialDropout2D(0.5, "channels_first")
    y, _ = first.apply({"parameters": {}}, x, training=True, seed=0)
    assert (np.ptp(y, axis=(2, 3)) == 0).all()


def test_a_layers_own_seed_is_mixed_in() -> None:
    x = np.ones((3, 30), np.float32)
    outputs = [
        cr.nn.Dropout(0.5, seed=seed).apply({"parameters": {}}, x, training=True, seed=0)[0]
        for seed in (None, 1, 2)
    ]
    assert not np.array_equal(outputs[0], outputs[1])
    assert not np.array_equal(outputs[1], outputs[2])


def test_stochastic_depth() -> None:
    layer = cr.nn.StochasticDepth(cr.nn.Activation("exponential"), 0.7)
    x = np.zeros((4, 3), np.float32)
    np.testing.assert_allclose(layer(x), 0.7, rtol=1e-6)
    seen = {
        float(layer.apply({"parameters": {}}, x, training=True, seed=s)[0][0, 0]) for s in range(30)
    }
    assert seen == {0.0, 1.0}


def test_noise_needs_a_seed() -> None:
    with pytest.raises(cr.ArgumentError, match="Dropout draws random numbers"):
        cr.nn.Dropout(0.5).apply({"parameters": {}}, np.ones((1, 2)), training=True)


# ---- batch normalisation -------------------------------------------------------------------------


def test_padded_rows_count_nowhere() -> None:
    layer = cr.nn.BatchNormalization(momentum=0.5)
    variables = layer.init(0, (3, 2))
    x = normal(4, 3, 2)
    padded = np.concatenate([x, np.full((3, 3, 2), 100.0, np.float32)])
    rows = np.array([1, 1, 1, 1, 0, 0, 0], np.float32)
    y, state = layer.apply(variables, x, training=True)
    done = pure.forward(layer, variables, (padded,), training=True, rows=rows)
    np.testing.assert_allclose(done.output[:4], y, rtol=1e-5, atol=1e-6)
    for name in state:
        np.testing.assert_allclose(done.state[name], state[name], rtol=1e-5)

    def loss(x: Any, rows: Any) -> Any:
        found = pure.forward(layer, variables, (x,), training=True, rows=rows).output
        return np.sum(np.sin(found[:4]))

    slope = cr.grad(loss)(padded, rows)
    np.testing.assert_allclose(slope[:4], cr.grad(loss)(x, None), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(slope[4:], 0)


def test_padded_rows_within_time_distributed() -> None:
    layer = cr.nn.TimeDistributed(cr.nn.BatchNormalization())
    variables = layer.init(0, (3, 2))
    x = normal(4, 3, 2)
    padded = np.concatenate([x, np.full((1, 3, 2), 50.0, np.float32)])
    rows = np.array([1, 1, 1, 1, 0], np.float32)
    done = pure.forward(layer, variables, (padded,), training=True, rows=rows)
    y, state = layer.apply(variables, x, training=True)
    np.testing.assert_allclose(done.output[:4], y, rtol=1e-5, atol=1e-6)
    for name in state:
        np.testing.assert_allclose(done.state[name], state[name], rtol=1e-5)


def test_a_frozen_batch_normalisation_keeps_its_statistics() -> None:
    layer = cr.nn.BatchNormalization(trainable=False)
    variables = layer.init(0, (2,))
    _, state = layer.apply(variables, normal(5, 2), training=True)
    for name, value in state.items():
        np.testing.assert_array_equal(value, variables["state"][name])


# ---- embedding -----------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-1, 5])
def test_ids_out_of_range(bad: int) -> None:
    layer = cr.nn.Embedding(5, 2)
    variables = layer.init(0, (3,))
    ids = np.array([[0, 4, bad]])
    with pytest.raises(cr.OutOfBoundsError) as caught:
        layer.apply(variables, ids)
    assert f"id:    {bad}\n" in str(caught.value)
    with pytest.raises(cr.OutOfBoundsError):
        cr.jit(lambda ids: layer.apply(variables, ids)[0])(ids)


def test_an_embedding_adds_up_the_slopes_of_equal_ids() -> None:
    layer = cr.nn.Embedding(4, 2)
    variables = layer.init(0, (3,))
    ids = np.array([[1, 1, 3]])

    def loss(parameters: Any) -> Any:
        return np.sum(layer.apply({"parameters": parameters}, ids)[0])

    slope = cr.grad(loss)(variables["parameters"])["embeddings"]
    np.testing.assert_array_equal(slope, [[0, 0], [2, 2], [0, 0], [1, 1]])


# ---- recurrent layers ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_a_layer_is_its_cell_step_by_step(name: str) -> None:
    layer = getattr(cr.nn, name)(3, return_sequences=True)
    x = normal(2, 5, 2)
    whole = layer(x[:, :1])
    cell = layer.cell
    states = [np.zeros((2, 3), np.float32) for _ in cell.state_size]
    outputs = []
    for t in range(5):
        y, states = cell(x[:, t], states)
        outputs.append(y)
    np.testing.assert_allclose(layer(x), np.stack(outputs, axis=1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(whole[:, 0], outputs[0], rtol=1e-5, atol=1e-6)


def test_masked_steps_don_t_count() -> None:
    layer = cr.nn.LSTM(3)
    variables = layer.init(0, (6, 2))
    x = normal(2, 6, 2)
    mask = np.array([[True] * 4 + [False] * 2] * 2)

    class Call(cr.nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.part = layer

        def call(self, x: Any) -> Any:
            return self.part(x, mask=mask)

    given = {"parameters": {f"part/{k}": v for k, v in variables["parameters"].items()}}
    masked, _ = Call().apply(given, x)
    short, _ = layer.apply(variables, x[:, :4])
    np.testing.assert_allclose(masked, short, rtol=1e-6)


def test_dropout_is_one_pattern_for_all_steps() -> None:
    layer = cr.nn.SimpleRNN(
        1, activation="linear", recurrent_initializer="zeros", kernel_initializer="ones",
        dropout=0.5, return_sequences=True,
    )  # fmt: skip
    variables = layer.init(0, (7, 8))
    y, _ = layer.apply(variables, np.ones((30, 7, 8), np.float32), training=True, seed=0)
    assert (np.ptp(y, axis=1) == 0).all()
    assert np.ptp(y) > 0
    still, _ = layer.apply(variables, np.ones((3, 7, 8), np.float32))
    np.testing.assert_array_equal(still, 8)


def test_recurrent_dropout_drops_the_state() -> None:
    layer = cr.nn.GRU(4, recurrent_dropout=0.5)
    variables = layer.init(0, (5, 2))
    x = normal(3, 5, 2)
    runs = [layer.apply(variables, x, training=True, seed=s)[0] for s in (0, 0, 1)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.allclose(runs[0], runs[2])


def test_cells_show_their_arguments_through_the_layer() -> None:
    layer = cr.nn.LSTM(3, activation="relu", dropout=0.25)
    assert (layer.units, layer.dropout, layer.unit_forget_bias) == (3, 0.25, True)
    variables = layer.init(0, (5, 2))
    np.testing.assert_array_equal(variables["parameters"]["cell/bias"], [0] * 3 + [1] * 3 + [0] * 6)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        layer.nothing


# ---- attention -----------------------------------------------------------------------------------


def test_causal_attention_doesn_t_look_ahead() -> None:
    layer = cr.nn.MultiHeadAttention(2, 3)
    variables = layer.init(0, (5, 4))
    x = normal(1, 5, 4)

    def run(x: Any) -> Any:
        return layer.apply(variables, x)[0]

    class Causal(cr.nn.MultiHeadAttention):
        def call(self, query: Any, value: Any, use_causal_mask: bool = True) -> Any:
            return super().call(query, value, use_causal_mask=use_causal_mask)

    causal = Causal(2, 3)
    causal.init(0, (5, 4))

    def first(x: Any) -> Any:
        return causal.apply(variables, x)[0][0, :2]

    changed = x.copy()
    changed[0, 2:] += 1
    np.testing.assert_allclose(first(x), first(changed), rtol=1e-6)
    assert not np.allclose(run(x)[0, :2], run(changed)[0, :2])


# ---- registered names ----------------------------------------------------------------------------


def test_names() -> None:
    for name, kind in (
        ("dense", cr.nn.Dense),
        ("Conv2DTranspose", cr.nn.Conv2DTranspose),
        ("conv2d_transpose", cr.nn.Conv2DTranspose),
        ("MaxPool2D", cr.nn.MaxPooling2D),
        ("batch_normalization", cr.nn.BatchNormalization),
    ):
        assert cr.nn.deserialize({"kind": "layer", "class_name": name, "config": MINIMAL[kind]})


MINIMAL: dict[Any, dict[str, Any]] = {
    cr.nn.Dense: {"units": 2},
    cr.nn.Conv2DTranspose: {"filters": 2, "kernel_size": 2},
    cr.nn.MaxPooling2D: {},
    cr.nn.BatchNormalization: {},
}
