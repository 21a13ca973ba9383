"""Stateful recurrent layers: what a batch leaves for the next one, against Keras."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.train.training import Training

GOLDEN = json.loads((Path(__file__).parent / "golden" / "stateful.json").read_text())
CASES = GOLDEN["cases"]
SIZE = GOLDEN["about"]["size"]


def made(name, arguments):
    arguments = dict(arguments)
    if "layer" in arguments:
        arguments["layer"] = made(*arguments["layer"])
    return getattr(cr.nn, name)(**arguments, dtype="float64")


def network(chain, shape, dtype="float64"):
    layers = [made(*layer) for layer in chain]
    first = cr.nn.Input(batch_shape=(SIZE, *shape), dtype=dtype)
    return cr.nn.Sequential([first, *layers, cr.nn.Dense(1, dtype=dtype)], dtype=dtype)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_as_keras(case):
    x, y = np.array(case["x"]), np.array(case["y"])
    model = network(case["chain"], x.shape[1:])
    model.build(seed=0)
    model.set_weights(map(np.array, case["weights"]))
    model.compile(cr.optim.SGD(GOLDEN["about"]["rate"]), "mse")
    options = {"batch_size": SIZE, "shuffle": False, "verbose": 0}
    losses = model.fit(x, y, epochs=2, **options).history["loss"]
    model.reset_states()
    losses = [*losses, *model.fit(x, y, epochs=1, **options).history["loss"]]
    np.testing.assert_allclose(losses, case["losses"], rtol=1e-7)
    np.testing.assert_allclose(model.evaluate(x, y)["loss"], case["evaluated"], rtol=1e-7)
    found = [model.predict(x), model.predict(x)]
    model.reset_states()
    found.append(model.predict(x))
    np.testing.assert_allclose(found, case["predictions"], rtol=1e-6, atol=1e-8)
    for value, expected in zip(model.get_weights(), case["after"], strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-8)


def data(rows=12, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, 4, 2)).astype(np.float32)
    return x, rng.standard_normal((rows, 1)).astype(np.float32)


def small(**options):
    model = cr.nn.Sequential(
        [cr.nn.Input((4, 2), **options), cr.nn.LSTM(3, stateful=True), cr.nn.Dense(1)]
    )
    model.build(seed=1)
    model.compile(cr.optim.Adam(0.05), "mse")
    return model


def fit(model, x, y, **options):
    return model.fit(x, y, **{"batch_size": 4, "shuffle": False, "verbose": 0, **options})


def test_batches_by_hand_give_what_fit_and_predict_give():
    x, _ = data()
    model = small()
    whole = model.predict(x, batch_size=4)
    model.reset_states()
    parts = np.concatenate([model(x[i : i + 4]) for i in (0, 4, 8)])
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    variables = model.variables
    found = []
    for i in (0, 4, 8):
        part, state = model.apply(variables, x[i : i + 4])
        variables = {**variables, "state": state}
        found.append(part)
    np.testing.assert_allclose(np.concatenate(found), whole, atol=1e-6)


def test_a_long_sequence_in_pieces():
    layer = cr.nn.GRU(3, stateful=True, return_sequences=True)
    x = np.random.default_rng(0).standard_normal((2, 6, 2))
    pieces = np.concatenate([layer(x[:, :2]), layer(x[:, 2:])], axis=1)
    layer.reset_states()
    np.testing.assert_allclose(layer(x), pieces, atol=1e-6)
    layer.reset_states()
    assert layer(x[:1]).shape == (1, 6, 3)  # now the batches may be of another size


def test_shared_and_inside_models():
    class Twice(cr.nn.Model):
        def __init__(self):
            super().__init__()
            self.memory = cr.nn.SimpleRNN(2, stateful=True, return_sequences=True)
            self.head = cr.nn.Dense(1)

        def call(self, x):
            return self.head(self.memory(x)[:, -1] + self.memory(x)[:, -1])

    x, y = data()
    models = [Twice(), Twice()]
    for model in models:
        model.compile("sgd", "mse")
        fit(model, x, y, epochs=2)
    assert list(models[0].carried_by_path()) == ["memory/state_0"]
    assert np.array_equal(models[0].predict(x, batch_size=4), models[1].predict(x, batch_size=4))
    source = cr.nn.Input((4, 2), batch_size=4)
    inner = small()
    outer = cr.nn.Model(source, inner(source) * 2)
    first = outer.predict(x)
    assert not np.array_equal(outer.predict(x), first)
    outer.reset_states()
    assert np.array_equal(outer.predict(x), first)


def test_states_are_no_weights_and_are_not_saved(tmp_path):
    x, y = data()
    model = small(batch_size=4)
    fit(model, x, y)
    assert len(model.get_weights()) == 5
    assert model.count_params() == 76
    model.save(tmp_path / "model.safetensors")
    again = cr.nn.load(tmp_path / "model.safetensors")
    assert again.known_batch_size() == 4
    kept = again.predict(x)
    assert not np.array_equal(model.predict(x), kept)
    model.reset_states()
    assert np.array_equal(model.predict(x), kept)


def test_resetting_between_epochs_and_batches():
    x, y = data()

    def resetting(when):
        def reset(self, *told):
            self.model.reset_states()

        return type("Reset", (cr.train.Callback,), {when: reset})()

    def weights(callbacks, epochs=2):
        model = small()
        fit(model, x, y, epochs=epochs, callbacks=callbacks)
        return np.concatenate([w.ravel() for w in model.get_weights()])

    by_hand = small()
    for _ in range(2):
        by_hand.reset_states()
        fit(by_hand, x, y)
    expected = np.concatenate([w.ravel() for w in by_hand.get_weights()])
    assert np.array_equal(weights([resetting("on_epoch_begin")]), expected)
    assert np.array_equal(weights([resetting("on_epoch_end")]), expected)
    assert not np.array_equal(weights([]), expected)
    stateless = cr.nn.Sequential([cr.nn.Input((4, 2)), cr.nn.LSTM(3), cr.nn.Dense(1)])
    stateless.build(seed=1)
    stateless.compile(cr.optim.Adam(0.05), "mse")
    fit(stateless, x, y, epochs=2)
    fresh = np.concatenate([w.ravel() for w in stateless.get_weights()])
    np.testing.assert_allclose(weights([resetting("on_train_batch_begin")]), fresh, atol=1e-6)
    np.testing.assert_allclose(weights([resetting("on_train_batch_end")]), fresh, atol=1e-6)


def test_an_epoch_is_one_native_call(monkeypatch):
    x, y = data(40)
    model = small()
    fit(model, x, y)
    calls = []
    run = Training.run_steps
    monkeypatch.setattr(
        Training, "run_steps", lambda self, *args: calls.append(args[2:4]) or run(self, *args)
    )
    fit(model, x, y, epochs=2)
    assert calls == [(0, 10), (0, 10)]


@pytest.mark.parametrize("stop", [2, 4, 5])
def test_resumed_equals_uninterrupted(tmp_path, stop):
    x, y = data()

    class Stop(cr.train.Callback):
        def __init__(self, after):
            self.left = after

        def on_train_batch_end(self, batch, logs=None):
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt

    def kept():
        return cr.train.BackupAndRestore(tmp_path, save_freq=1)

    held = {"validation_data": (x[:8], y[:8])}
    whole = small()
    fit(whole, x, y, epochs=2, **held)
    broken = small()
    fit(broken, x, y, epochs=2, callbacks=[kept(), Stop(stop)], **held)
    resumed = small()
    resumed.predict(x, batch_size=4)  # leaves other states, which the kept ones replace
    history = fit(resumed, x, y, epochs=2, callbacks=[kept(), Stop(0)], **held)
    assert history.history["val_loss"] == whole.history.history["val_loss"]
    for value, expected in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        assert np.array_equal(value, expected)
    assert np.array_equal(resumed.predict(x, batch_size=4), whole.predict(x, batch_size=4))


def test_batches_of_a_stream():
    x, y = data()
    arrays, stream = small(), small()
    fit(arrays, x, y, epochs=2)
    batches = [(x[i : i + 4], y[i : i + 4]) for i in (0, 4, 8)]
    stream.fit(batches, epochs=2, verbose=0)
    for value, expected in zip(stream.get_weights(), arrays.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-6)
    assert arrays.evaluate(x, y, batch_size=4) == pytest.approx(stream.evaluate(batches))
    with pytest.raises(cr.ArgumentError, match="all have the same size"):
        small().fit([*batches, (x[:2], y[:2])], verbose=0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x, y: fit(m, x, y, batch_size=5), "rows left over: 2"),
        (lambda m, x, y: m.predict(x[:10], batch_size=4), "pass 8 rows"),
        (lambda m, x, y: m.evaluate(x[:10], y[:10], batch_size=4), "pass 8 rows"),
        (lambda m, x, y: [m.predict(x[:n], batch_size=n) for n in (4, 3)], "rows before: 4"),
        (lambda m, x, y: [m(x[:n]) for n in (4, 3)], "has states for batches of another size"),
        (lambda m, x, y: cr.jit(lambda x: m(x))(x), "called by itself within a trace"),
    ],
)
def test_messages(call, message):
    x, y = data()
    with pytest.raises(cr.ChainruleError) as caught:
        call(small(), x, y)
    assert message in str(caught.value)


def test_an_input_says_the_size():
    x, y = data()
    with pytest.raises(cr.ArgumentError, match="Input says another batch size"):
        fit(small(batch_size=6), x, y)
    assert small(batch_size=6).predict(x).shape == (12, 1)


def test_shuffled_rows_are_warned_of():
    x, y = data()
    with pytest.warns(UserWarning, match="shuffle=False"):
        small().fit(x, y, batch_size=4, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        small().fit(x, y, batch_size=12, verbose=0)
