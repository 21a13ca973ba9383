"""Masks from where they are made to losses and metrics, against Keras."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

GOLDEN = json.loads((Path(__file__).parent / "golden" / "masks.json").read_text())
CASES = GOLDEN["cases"]


def made(name, arguments):
    arguments = dict(arguments)
    if "layer" in arguments:
        arguments["layer"] = made(*arguments["layer"])
    return getattr(cr.nn, name)(**arguments, dtype="float64")


def network(chain, shape):
    x = value = cr.nn.Input(shape, dtype="float64")
    for name, arguments in chain:
        if isinstance(name, list):
            value = [made(*one)(x) for one in name]
        elif name == "MultiHeadAttention":
            value = made(name, arguments)(value, value)
        else:
            value = made(name, arguments)(value)
    return cr.nn.Model(x, value, dtype="float64")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_as_keras(case):
    x, y = np.array(case["x"]), np.array(case["y"])
    counts = np.array(case["sample_weight"])
    model = network(case["chain"], x.shape[1:])
    model.build(seed=0)
    model.set_weights(map(np.array, case["weights"]))
    model.compile(
        cr.optim.SGD(GOLDEN["about"]["rate"]), "mse", metrics=["mae"], weighted_metrics=["mse"]
    )
    np.testing.assert_allclose(model.predict(x), case["outputs"], rtol=1e-6, atol=1e-7)
    for given, expected in ((None, case["plain"]), (counts, case["weighted"])):
        found = model.evaluate(x, y, sample_weight=given, batch_size=3)
        by_name = dict(zip(case["numbers"], expected, strict=True))
        for name in ("loss", "mae", "mse"):
            np.testing.assert_allclose(found[name], by_name[name], rtol=1e-6, err_msg=name)
    model.fit(x, y, sample_weight=counts, batch_size=3, shuffle=False, verbose=0)
    for (path, weight), value in zip(model.weights_by_path().items(), case["after"], strict=True):
        np.testing.assert_allclose(weight.value, value, rtol=1e-5, atol=1e-7, err_msg=path)


def words(rows=10, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 6, (rows, 5))
    x[np.arange(5) >= rng.integers(1, 6, (rows, 1))] = 0
    return x, rng.normal(size=(rows, 5, 2)).astype(np.float32)


def tagger():
    model = cr.nn.Sequential(
        [
            cr.nn.Input((5,)),
            cr.nn.Embedding(6, 3, mask_zero=True),
            cr.nn.LSTM(4, return_sequences=True),
            cr.nn.Dense(2),
        ]
    )
    model.build(seed=1)
    model.compile(cr.optim.SGD(0.1), "mse", metrics=["mae"])
    return model


def test_padded_rows_and_masked_steps_together():
    x, y = words()
    model = tagger()
    whole, cut = model.evaluate(x, y, batch_size=10), model.evaluate(x, y, batch_size=5)
    uneven = model.evaluate(x, y, batch_size=4)  # whose last batch is filled up
    counts = (x != 0)[..., None]
    errors = np.abs(model.predict(x) - y) * counts
    assert whole["mae"] == pytest.approx(np.sum(errors) / (2 * np.sum(counts)), rel=1e-5)
    assert whole["mae"] == pytest.approx(cut["mae"], rel=1e-6)
    assert whole["mae"] == pytest.approx(uneven["mae"], rel=1e-6)


def test_what_is_masked_out_changes_nothing():
    x, y = words()
    other = np.where((x != 0)[..., None], y, 1e6).astype(np.float32)
    one, two = tagger(), tagger()
    one.fit(x, y, batch_size=4, epochs=2, verbose=0)
    two.fit(x, other, batch_size=4, epochs=2, verbose=0)
    for a, b in zip(one.weights, two.weights, strict=True):
        assert np.array_equal(a, b)


def test_weights_of_samples_and_a_mask_of_steps():
    x, y = words()
    weights = np.linspace(0.0, 1.0, len(x))
    by_sample = tagger().evaluate(x, y, sample_weight=weights)
    by_step = tagger().evaluate(x, y, sample_weight=np.repeat(weights[:, None], 5, axis=1))
    assert by_sample == pytest.approx(by_step)


def test_masks_go_through_models_within_models_and_through_files(tmp_path):
    x, _ = words()
    inner = cr.nn.Sequential([cr.nn.Dropout(0.0), cr.nn.LSTM(3)], name="inner")
    model = cr.nn.Sequential([cr.nn.Input((5,)), cr.nn.Embedding(6, 3, mask_zero=True), inner])
    model.build(seed=0)
    longer = np.concatenate([x, np.zeros((len(x), 4), x.dtype)], axis=1)
    assert np.array_equal(model.predict(x), model.predict(longer))
    model.compile("sgd", "mse")
    model.save(tmp_path / "model.safetensors")
    again = cr.nn.load(tmp_path / "model.safetensors")
    assert np.array_equal(model.predict(x), again.predict(longer))


def test_a_layer_of_ones_own_is_given_the_mask_and_hands_it_on():
    seen = []

    class Last(cr.nn.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.supports_masking = True

        def call(self, inputs, mask=None):
            seen.append(mask is not None)
            return inputs

        def compute_mask(self, inputs, previous_mask):
            return previous_mask

    x, _ = words()
    model = cr.nn.Sequential(
        [cr.nn.Input((5,)), cr.nn.Embedding(6, 3, mask_zero=True), Last(), Last()]
    )
    model.build(seed=0)
    seen.clear()
    model.predict(x)
    assert seen == [True, True]


def test_a_mask_that_would_be_lost_is_told_of():
    model = cr.nn.Sequential(
        [cr.nn.Input((5,)), cr.nn.Embedding(6, 3, mask_zero=True), cr.nn.Flatten()]
    )
    with pytest.warns(UserWarning, match="'flatten' .Flatten. doesn't hand masks on"):
        model.build(seed=0)


def test_steps_written_out_give_what_the_loop_gives():
    x = np.random.default_rng(0).normal(size=(3, 4, 2)).astype(np.float32)
    mask = np.array([[1, 1, 0, 1], [1, 0, 0, 0], [1, 1, 1, 1]], bool)
    for options in ({}, {"return_sequences": True}, {"go_backwards": True}):
        looped = cr.nn.GRU(3, **options)
        variables = looped.init(seed=0, input_shape=(4, 2))
        written = cr.nn.GRU(3, unroll=True, **options)
        written.init(seed=0, input_shape=(4, 2))
        for given in (None, mask):
            expected = _called(looped, variables, x, given)
            assert np.allclose(_called(written, variables, x, given), expected, atol=1e-6)


def _called(layer, variables, x, mask):
    layer.set_weights([variables["parameters"][path] for path in layer.weights_by_path()])
    return layer(x, mask=mask)


def test_states_between_calls_are_handed_on_by_hand():
    layer = cr.nn.GRU(3, return_state=True)
    x = np.random.default_rng(0).normal(size=(2, 6, 2))
    whole, _ = layer(x)
    _, state = layer(x[:, :4])
    rest, _ = layer(x[:, 4:], initial_state=[state])
    assert np.allclose(whole, rest, atol=1e-6)


def test_a_layer_for_each_step_needs_no_mask_of_its_own():
    x, _ = words()
    each = cr.nn.TimeDistributed(cr.nn.Reshape((3, 1)))
    model = cr.nn.Sequential([cr.nn.Input((5,)), cr.nn.Embedding(6, 3, mask_zero=True), each])
    model.build(seed=0)  # without a warning
    assert model.predict(x).shape == (10, 5, 3, 1)
