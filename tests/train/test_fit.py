"""`fit` against loops written by hand, and what holds however an epoch is cut into calls."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.train.data import all_finite


def data(rows=50, features=6, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, features)).astype(np.float32)
    return x, rng.integers(0, classes, rows)


def classifier(optimizer=None, features=6, hidden=8, classes=3, **options):
    model = cr.nn.Sequential([cr.nn.Dense(hidden, activation="tanh"), cr.nn.Dense(classes)])
    model.compile(
        optimizer=optimizer or cr.optim.SGD(0.1),
        loss=cr.nn.SparseCategoricalCrossentropy(from_logits=True),
        **options,
    )
    model.build((features,), seed=1)
    return model


def order_of(seed, epoch, count):
    chance = np.random.SeedSequence([seed, epoch])
    return np.random.Generator(np.random.Philox(chance)).permutation(count)


def by_hand(weights, x, y, order, size, rate):
    """The textbook's loop: all gradients of a batch before any update, in float64."""
    W, b, V, c = (w.astype(np.float64) for w in weights)
    x = x.astype(np.float64)
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        h = np.tanh(x[rows] @ W + b)
        s = h @ V + c
        p = np.exp(s - s.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(rows)), y[rows]] -= 1
        p /= len(rows)
        e = (p @ V.T) * (1 - h**2)
        gradients = x[rows].T @ e, e.sum(axis=0), h.T @ p, p.sum(axis=0)
        W, b, V, c = (w - rate * g for w, g in zip((W, b, V, c), gradients, strict=True))
    return W, b, V, c


def in_order(model):
    paths = ("dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias")
    return [model.variables["parameters"][path] for path in paths]


@pytest.mark.parametrize("size", [1, 7, 10, 32, 50, 64])
def test_an_epoch_is_the_textbook_loop(size):
    x, y = data()
    model = classifier()
    first = in_order(model)
    expected = by_hand(first, x, y, order_of(3, 0, len(x)), size, 0.1)
    model.fit(x, y, batch_size=size, verbose=0, seed=3)
    for found, wanted in zip(in_order(model), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)


def test_no_batch_size_is_full_batch_gradient_descent():
    x, y = data()
    model = classifier(cr.optim.GradientDescent(0.5))
    first = in_order(model)
    expected = first
    for _ in range(4):
        expected = by_hand(expected, x, y, np.arange(len(x)), len(x), 0.5)
    model.fit(x, y, batch_size=None, epochs=4, verbose=0)
    for found, wanted in zip(in_order(model), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6)


def test_the_numbers_of_an_epoch_are_means_over_its_rows():
    x, y = data(rows=23)
    model = classifier(cr.optim.SGD(0.0), metrics=["accuracy"])
    history = model.fit(x, y, batch_size=5, verbose=0)
    found = model.evaluate(x, y, batch_size=4)
    scores = model.predict(x)
    assert history.history["loss"][0] == pytest.approx(found["loss"], rel=1e-6)
    assert history.history["accuracy"] == [found["accuracy"]]
    assert found["accuracy"] == pytest.approx(np.mean(scores.argmax(axis=1) == y))


class Watching(cr.train.Callback):
    """Makes every batch a call of its own."""

    def __init__(self):
        self.losses = []

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append((batch, logs["loss"]))


@pytest.mark.parametrize("blocked", [False, True])
def test_the_same_seed_gives_the_same_bits(blocked):
    x, y = data(rows=70)

    def trained(threads, seed=5):
        with cr.settings(threads=threads):
            model = classifier(blocked=blocked)
            model.fit(x, y, batch_size=1, epochs=2, verbose=0, seed=seed)
        return np.concatenate([w.ravel() for w in model.get_weights()])

    once = trained(1)
    assert np.array_equal(once, trained(1))
    assert np.array_equal(once, trained(2))
    assert not np.array_equal(once, trained(1, seed=6))


def test_how_an_epoch_is_cut_changes_nothing():
    x, y = data()
    whole, cut = classifier(), classifier()
    watching = Watching()
    whole.fit(x, y, batch_size=8, epochs=2, verbose=0)
    cut.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[watching])
    assert [batch for batch, _ in watching.losses] == [*range(7), *range(7)]
    for a, b in zip(whole.get_weights(), cut.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_weights_of_samples_and_classes():
    x, y = data(rows=30)
    factors = np.array([1.0, 3.0, 0.5])
    by_class, by_sample, doubled = classifier(), classifier(), classifier()
    by_class.fit(x, y, batch_size=6, verbose=0, class_weight=dict(enumerate(factors)))
    by_sample.fit(x, y, batch_size=6, verbose=0, sample_weight=factors[y])
    doubled.fit(x, y, batch_size=6, verbose=0)
    for a, b, c in zip(
        by_class.get_weights(), by_sample.get_weights(), doubled.get_weights(), strict=True
    ):
        assert np.array_equal(a, b)
        assert not np.array_equal(a, c)


def test_a_sample_of_weight_zero_is_not_there():
    x, y = data(rows=20)
    strange = x.copy()
    strange[7] = 100.0
    weight = np.ones(20)
    weight[7] = 0
    one, other = classifier(), classifier()
    one.fit(x, y, batch_size=4, verbose=0, sample_weight=weight)
    other.fit(strange, y, batch_size=4, verbose=0, sample_weight=weight)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_several_outputs_share_a_trunk():
    x, y = data(rows=40)
    value = x.sum(axis=1, keepdims=True)
    inputs = cr.nn.Input((6,))
    trunk = cr.nn.Dense(16, activation="tanh", name="trunk")(inputs)
    model = cr.nn.Model(
        inputs,
        {"value": cr.nn.Dense(1, name="value")(trunk), "kind": cr.nn.Dense(3, name="kind")(trunk)},
    )
    model.compile(
        optimizer=cr.optim.Adam(0.02),
        loss={"value": "mse", "kind": cr.nn.SparseCategoricalCrossentropy(from_logits=True)},
        loss_weights={"value": 0.5},
        metrics={"kind": ["accuracy"]},
    )
    labels = {"value": value, "kind": y}
    history = model.fit(x, labels, batch_size=8, epochs=30, verbose=0).history
    assert set(history) >= {"loss", "value_loss", "kind_loss", "kind_accuracy"}
    assert history["loss"][-1] == pytest.approx(
        0.5 * history["value_loss"][-1] + history["kind_loss"][-1], rel=1e-5
    )
    assert history["loss"][-1] < history["loss"][0] / 3
    assert set(model.predict(x[:2])) == {"value", "kind"}


def test_several_inputs_by_name():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(30, 2)), rng.normal(size=(30, 3))
    left, right = cr.nn.Input((2,), name="left"), cr.nn.Input((3,), name="right")
    joined = np.concatenate([cr.nn.Dense(4)(left), np.tanh(cr.nn.Dense(4)(right))], axis=1)
    model = cr.nn.Model([left, right], cr.nn.Dense(1)(joined))
    model.compile(optimizer="adam", loss="mse")
    target = a[:, :1] + b[:, 1:2]
    history = model.fit({"left": a, "right": b}, target, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]
    np.testing.assert_array_equal(model.predict([a, b]), model.predict({"left": a, "right": b}))


def test_a_class_of_ones_own_learns():
    class Residual(cr.nn.Model):
        def __init__(self):
            super().__init__()
            self.inner = [cr.nn.Dense(6, activation="relu") for _ in range(2)]
            self.out = cr.nn.Dense(3)

        def call(self, x, training=False):
            for layer in self.inner:
                x = x + layer(x)
            return self.out(x)

    x, y = data(rows=60)
    model = Residual()
    model.compile("adam", cr.nn.SparseCategoricalCrossentropy(from_logits=True), metrics=["acc"])
    history = model.fit(x, y, epochs=60, batch_size=20, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 2
    assert sorted(model.variables["parameters"])[:2] == ["inner_0/bias", "inner_0/kernel"]


def test_regularisers_of_a_layer_and_of_all_kernels():
    x, y = data()
    plain, own, everywhere = (
        cr.nn.Sequential([cr.nn.Dense(4, kernel_regularizer=penalty), cr.nn.Dense(3)])
        for penalty in (None, cr.nn.L2(0.1), None)
    )
    loss = cr.nn.SparseCategoricalCrossentropy(from_logits=True)
    plain.compile("sgd", loss)
    own.compile("sgd", loss)
    everywhere.compile("sgd", loss, regularizer=cr.nn.L2(0.1))
    numbers = []
    for model in (plain, own, everywhere):
        model.build((6,), seed=0)
        numbers.append(model.evaluate(x, y)["loss"])
    kernels = [
        np.sum(v**2) for path, v in plain.variables["parameters"].items() if "kernel" in path
    ]
    assert numbers[1] - numbers[0] == pytest.approx(0.1 * kernels[0], rel=1e-4)
    assert numbers[2] - numbers[0] == pytest.approx(0.1 * sum(kernels), rel=1e-4)


def test_a_frozen_layer_stays_as_it_is():
    x, y = data()
    model = classifier()
    model.layers[0].trainable = False
    before = model.get_weights()
    model.fit(x, y, epochs=2, verbose=0)
    after = model.get_weights()
    assert np.array_equal(before[0], after[0])
    assert not np.array_equal(before[2], after[2])


def test_a_memory_mapped_file_is_trained_on_as_an_array(tmp_path):
    x, y = data(rows=64)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    one, other = classifier(), classifier()
    one.fit(x, y, epochs=2, verbose=0)
    other.fit(mapped, y, epochs=2, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_whole_numbers_and_doubles_are_cast_by_the_batch():
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (40, 6)).astype(np.uint8)
    y = rng.integers(0, 3, 40)
    one, other = classifier(), classifier()
    one.fit(pixels, y, verbose=0)
    other.fit(pixels.astype(np.float64), y, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_lines_where_there_is_no_terminal(capsys):
    x, y = data()
    classifier().fit(x, y, epochs=2, validation_split=0.2)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2  loss ")
    assert "val_loss" in lines[0]


def test_a_second_fit_goes_on_from_the_first():
    x, y = data()
    two, once = classifier(cr.optim.Adam(0.01)), classifier(cr.optim.Adam(0.01))
    two.fit(x, y, epochs=1, verbose=0)
    two.fit(x, y, epochs=2, initial_epoch=1, verbose=0)
    once.fit(x, y, epochs=2, verbose=0)
    for a, b in zip(two.get_weights(), once.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_ctrl_c_ends_the_training_and_keeps_the_weights(capsys):
    x, y = data()

    def interrupt(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    model = classifier()
    history = model.fit(x, y, epochs=9, verbose=2, callbacks=[interrupt])
    assert history.stopped == "interrupted"
    assert history.epoch == [0, 1]
    assert "interrupted" in capsys.readouterr().out
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_lbfgs_takes_all_rows_at_once_and_finds_the_bottom():
    x, y = data(rows=60, classes=2)
    model = cr.nn.Sequential([cr.nn.Dense(2, kernel_regularizer=cr.nn.L2(0.01))])
    model.compile(cr.optim.LBFGS(), cr.nn.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, epochs=40, verbose=0)
    model.compile(cr.optim.GradientDescent(0.5), model.compiled.loss)
    before = model.evaluate(x, y)["loss"]
    model.fit(x, y, epochs=200, verbose=0)
    assert model.evaluate(x, y)["loss"] == pytest.approx(before, abs=1e-6)


def test_the_moving_average_is_what_is_kept():
    x, y = data()
    plain, averaged = classifier(), classifier(cr.optim.SGD(0.1, use_ema=True, ema_momentum=0.5))
    seen = []
    plain.fit(x, y, batch_size=50, epochs=3, verbose=0, shuffle=False,
              callbacks=[lambda *_: seen.append(plain.get_weights()[0])])  # fmt: skip
    averaged.fit(x, y, batch_size=50, epochs=3, verbose=0, shuffle=False)
    expected = seen[0]
    for weights in seen[1:]:
        expected = 0.5 * expected + 0.5 * weights
    np.testing.assert_allclose(averaged.get_weights()[0], expected, rtol=1e-5)


def test_an_attribute_that_changes_between_two_calls_counts():
    x, y = data()
    model = cr.nn.Sequential([cr.nn.Dense(3, use_bias=False), cr.nn.Activation("linear")])
    model.compile(cr.optim.SGD(0.1), cr.nn.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, verbose=0)
    assert model.predict(x).min() < 0
    model.layers[1].activation = np.zeros_like
    assert not model.predict(x).any()
    before = model.get_weights()
    history = model.fit(x, y, verbose=0)
    assert history.history["loss"] == [pytest.approx(np.log(3), rel=1e-6)]
    assert np.array_equal(before[0], model.get_weights()[0])


@pytest.mark.parametrize("value", [1e30, -3e38, 0.0])
def test_numbers_whose_squares_overflow_are_finite(value):
    assert all_finite(np.full((3, 5), value, np.float32))
    for strange in (np.nan, np.inf, -np.inf):
        array = np.full((3, 5), value, np.float32)
        array[1, 2] = strange
        assert not all_finite(array)


def test_models_that_change_and_change_keep_few_programs(monkeypatch):
    monkeypatch.setattr("chainrule.train.compiled._MOST_KEPT", 4)
    x, y = data()
    model = classifier()
    for _ in range(3):
        model.layers[0].activation = cr.nn.get("activation", "tanh")
        model.fit(x, y, verbose=0)
        model.predict(x)
    assert len(model.compiled._made) == 4
    model.evaluate(x, y)
    assert len(model._programs._made) == 3


def test_freezing_and_thawing_in_turn_compiles_each_once():
    x, y = data()
    model = classifier()
    for _ in range(3):
        model.layers[0].trainable = not model.layers[0].trainable
        model.fit(x, y, verbose=0)
        model.optimizer_state = None
    assert sum(key[0] == "setting" for key in model.compiled._made) == 2
