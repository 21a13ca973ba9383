"""What users of Keras write, in their idioms: it works, or says what to write instead."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 8)).astype(np.float32)
Y = RNG.integers(0, 3, 40)
SCORES = cr.nn.losses.SparseCategoricalCrossentropy(from_logits=True)


def two_headed(outputs, **names):
    x = cr.nn.Input((8,))
    trunk = cr.nn.Dense(4, activation="tanh")(x)
    made = {name: cr.nn.Dense(1, name=name)(trunk) for name in ("price", "size")}
    model = cr.nn.Model(x, made if outputs == "dict" else list(made.values()))
    model.build(seed=0)
    model.compile("sgd", {"size": "mae", "price": "mse"})
    return model


# ---- transfer ------------------------------------------------------------------------------------


def test_a_trained_base_keeps_its_weights_under_a_new_head():
    base = cr.nn.Sequential(
        [cr.nn.Input((8,)), cr.nn.Dense(4, activation="relu"), cr.nn.BatchNormalization()]
    )
    base.compile("sgd", "mse")
    base.fit(X, X[:, :4], epochs=2, verbose=0)
    trained = base.get_weights()
    base.trainable = False
    x = cr.nn.Input((8,))
    model = cr.nn.Model(x, cr.nn.Dense(3)(base(x, training=False)))
    assert model.layers[0] is base
    model.compile("adam", SCORES)
    model.fit(X, Y, epochs=2, verbose=0, seed=5)
    for value, expected in zip(base.get_weights(), trained, strict=True):
        assert np.array_equal(value, expected)
    assert [w.shape for w in model.trainable_weights] == [(4, 3), (3,)]
    assert len(model.non_trainable_weights) == 6
    base.trainable = True
    model.compile(cr.optim.Adam(1e-3), SCORES)
    model.fit(X, Y, epochs=1, verbose=0)
    assert not np.array_equal(base.get_weights()[0], trained[0])


@pytest.mark.parametrize("how", ["predict", "evaluate", "save", "build", "summary"])
def test_whatever_comes_first_keeps_values_that_are_there(how, tmp_path):
    base = cr.nn.Sequential([cr.nn.Input((8,)), cr.nn.Dense(4)])
    base.build(seed=7)
    trained = base.get_weights()
    model = cr.nn.Sequential([cr.nn.Input((8,)), base, cr.nn.Dense(3)])
    model.compile("sgd", SCORES)
    calls = {
        "predict": lambda: model.predict(X),
        "evaluate": lambda: model.evaluate(X, Y),
        "save": lambda: model.save(tmp_path / "model.safetensors"),
        "build": lambda: model.build(seed=1),
        "summary": lambda: model.summary(print_fn=lambda text: None),
    }
    calls[how]()
    for value, expected in zip(base.get_weights(), trained, strict=True):
        assert np.array_equal(value, expected)


def test_build_of_a_whole_model_begins_anew():
    model = cr.nn.Sequential([cr.nn.Input((8,)), cr.nn.Dense(4)])
    model.build(seed=1)
    first = model.get_weights()[0]
    model.build(seed=2)
    assert not np.array_equal(model.get_weights()[0], first)
    model.build(seed=1)
    assert np.array_equal(model.get_weights()[0], first)


def test_the_head_is_taken_off():
    model = cr.nn.Sequential([cr.nn.Input((8,)), cr.nn.Dense(4), cr.nn.Dense(3)])
    model.build(seed=0)
    kept = model.get_weights()[:2]
    model.pop()
    model.add(cr.nn.Dense(2))
    model.compile("sgd", "mse")
    model.layers[0].trainable = False
    model.fit(X, X[:, :2], verbose=0)
    for value, expected in zip(model.get_weights()[:2], kept, strict=True):
        assert np.array_equal(value, expected)


def test_inner_outputs():
    model = cr.nn.Sequential(
        [cr.nn.Input((8,)), cr.nn.Dense(4, activation="relu", name="hidden"), cr.nn.Dense(3)]
    )
    model.build(seed=0)
    every = cr.nn.Model(model.inputs, [layer.output for layer in model.layers])
    hidden, scores = every.predict(X)
    assert np.array_equal(scores, model.predict(X))
    one = cr.nn.Model(model.input, model.get_layer("hidden").output)
    assert np.array_equal(one.predict(X), hidden)
    assert model.output_shape == (None, 3)
    x = cr.nn.Input((8,))
    value = cr.nn.Dense(4, name="hidden")(x)
    graph = cr.nn.Model(x, cr.nn.Dense(2)(value))
    assert graph.get_layer("hidden").output is value
    assert graph.get_layer(index=0).input is x
    assert [layer.name for layer in graph.layers] == ["hidden", "dense"]
    assert graph.inputs == [x]


def test_names_of_ones_own_come_before_those_of_keras():
    class Mine(cr.nn.Model):
        def __init__(self):
            super().__init__()
            self.layers = [cr.nn.Dense(4), cr.nn.Dense(2)]
            self.output = cr.nn.Dense(1)

        def call(self, x):
            for layer in self.layers:
                x = layer(x)
            return self.output(x)

    model = Mine()
    model.compile("sgd", "mse")
    model.fit(X, X[:, :1], verbose=0)
    assert len(model.get_weights()) == 6
    assert not hasattr(cr.nn.Dense(2), "output")


# ---- several outputs -----------------------------------------------------------------------------


@pytest.mark.parametrize("outputs", ["dict", "list"])
def test_labels_and_weights_go_to_the_outputs_they_name(outputs):
    price, size = X[:, :1], X[:, 1:2]
    counts = {"price": RNG.random(40), "size": RNG.random(40)}
    found = []
    for names in (("price", "size"), ("size", "price")):
        labels = {name: {"price": price, "size": size}[name] for name in names}
        weights = {name: counts[name] for name in names}
        model = two_headed(outputs)
        before = model.evaluate(X, labels, sample_weight=weights)
        history = model.fit(X, labels, sample_weight=weights, verbose=0).history
        found.append((before, {k: v for k, v in history.items() if k != "seconds"}))
    assert found[0] == found[1]
    model = two_headed(outputs)
    if outputs == "list":
        listed = model.evaluate(X, [price, size], sample_weight=list(counts.values()))
        assert listed == found[0][0]
    assert {"loss", "price_loss", "size_loss"} <= set(found[0][0])
    error = model.predict(X)["price" if outputs == "dict" else 0] - price
    expected = np.mean(counts["price"] * np.mean(error**2, axis=-1))
    assert found[0][0]["price_loss"] == pytest.approx(expected, rel=1e-5)


def test_labels_that_name_another_output():
    model = two_headed("dict")
    with pytest.raises(cr.ArgumentError, match="named:   price, weight"):
        model.fit(X, {"price": X[:, :1], "weight": X[:, :1]}, verbose=0)


def test_an_output_without_a_loss_needs_no_labels():
    model = two_headed("list")
    model.compile("sgd", {"size": "mae"})
    found = model.fit(X, {"size": X[:, :1]}, verbose=0).history
    assert found["loss"] == found["size_loss"]
    assert "price_loss" not in found
    model.compile("sgd", {"size": "mae", "price": "mse"})
    with pytest.raises(cr.ArgumentError, match="needs labels for the loss of price"):
        model.fit(X, {"size": X[:, :1]}, verbose=0)


def test_losses_of_a_class_are_named_in_its_order():
    class Mine(cr.nn.Model):
        def __init__(self):
            super().__init__()
            self.price, self.size = cr.nn.Dense(1), cr.nn.Dense(1)

        def call(self, x):
            return {"price": self.price(x), "size": self.size(x)}

    labels = {"size": X[:, 1:2], "price": X[:, :1]}
    model = Mine()
    model.compile("sgd", {"price": "mse", "size": "mae"})
    model.fit(X, labels, verbose=0)
    model = Mine()
    model.compile("sgd", {"size": "mae", "price": "mse"})
    with pytest.raises(cr.ArgumentError, match="in another order"):
        model.fit(X, labels, verbose=0)


# ---- layers of one's own -------------------------------------------------------------------------


def test_chance_outside_of_training():
    class Sampling(cr.nn.Layer):
        def call(self, inputs):
            mean, spread = inputs
            return mean + np.exp(0.5 * spread) * cr.random.normal(self.random_key(), mean.shape)

    class Autoencoder(cr.nn.Model):
        def __init__(self):
            super().__init__()
            self.mean, self.spread = cr.nn.Dense(2), cr.nn.Dense(2)
            self.sampling, self.decoder = Sampling(), cr.nn.Dense(8)

        def call(self, x):
            mean, spread = self.mean(x), self.spread(x)
            self.add_loss(-0.5 * np.mean(spread - mean**2 - np.exp(spread) + 1))
            return self.decoder(self.sampling([mean, spread]))

    model = Autoencoder()
    model.compile("adam", "mse")
    losses = model.fit(X, X, epochs=3, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    twice = model.predict(np.repeat(X[:1], 8, axis=0), batch_size=4)
    assert len(np.unique(twice[:, 0])) == 8  # other numbers for every row and batch
    assert np.array_equal(model.predict(X), model.predict(X))
    assert model.evaluate(X, X) == model.evaluate(X, X)


def test_a_model_with_weights_of_its_own():
    class Scaled(cr.nn.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [cr.nn.Dense(4) for _ in range(2)]

        def build(self, input_shape):
            self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

        def call(self, x, training=None, mask=None):
            for block in self.blocks:
                x = block(x)
            return x * self.scale

    model = Scaled()
    model.compile("sgd", "mse")
    model.fit(X, X[:, :4], verbose=0)
    assert float(model.scale) != 1.0
    assert len(model.get_weights()) == 5


def test_a_build_that_calls_that_of_its_parts():
    class Head(cr.nn.Layer):
        def __init__(self):
            super().__init__()
            self.parts = {"first": cr.nn.Dense(4), "second": cr.nn.Dense(2)}

        def build(self, input_shape):
            self.parts["first"].build(input_shape)
            self.parts["second"].build((*input_shape[:-1], 4))
            self.built = True

        def call(self, x):
            return self.parts["second"](self.parts["first"](x))

    assert Head()(X).shape == (40, 2)
    x = cr.nn.Input((8,))
    model = cr.nn.Model(x, Head()(x))
    model.compile("sgd", "mse")
    model.fit(X, X[:, :2], verbose=0)
    assert model.count_params() == 46


def test_activity_counts_per_row_however_batches_are_cut():
    dense = cr.nn.Dense(2, activity_regularizer=cr.nn.regularizers.L2(0.1))
    model = cr.nn.Sequential([cr.nn.Input((8,)), dense])
    model.build(seed=0)
    model.compile("sgd", "mse")
    y = np.zeros((5, 2), np.float32)
    square = model.predict(X[:5]) ** 2
    for size in (2, 5):  # 5 rows in batches of 2: the last one is padded
        found = model.evaluate(X[:5], y, batch_size=size)["loss"]
        assert found == pytest.approx(np.mean(square) + 0.1 * np.sum(square) / 5, rel=1e-5)


def test_arguments_of_first_layers_and_inputs():
    model = cr.nn.Sequential([cr.nn.Dense(4, input_shape=(8,)), cr.nn.Dense(3)])
    assert model.predict(X).shape == (40, 3)
    ids = cr.nn.Input(shape=(5,), dtype="int32")
    words = cr.nn.Model(ids, cr.nn.LSTM(2)(cr.nn.Embedding(10, 3)(ids)))
    assert words.predict(np.ones((2, 5), int)).shape == (2, 2)
    assert cr.nn.Input(batch_shape=(4, 3)).shape == (4, 3)
    kernel = cr.nn.Dense(2, kernel_initializer=lambda shape, dtype: np.full(shape, 0.5, dtype))
    kernel(np.ones((1, 3)))
    assert np.all(kernel.kernel == 0.5)


def test_layers_of_several_inputs_as_functions():
    x, y = np.float32([[1, 5]]), np.float32([[3, 2]])
    found = {
        name: getattr(cr.nn, name)([x, y]).tolist()
        for name in ("add", "average", "concatenate", "maximum", "minimum", "multiply", "subtract")
    }
    assert found == {
        "add": [[4, 7]],
        "average": [[2, 3.5]],
        "concatenate": [[1, 5, 3, 2]],
        "maximum": [[3, 5]],
        "minimum": [[1, 2]],
        "multiply": [[3, 10]],
        "subtract": [[-2, 3]],
    }
    assert cr.nn.dot([x, y], axes=1).tolist() == [[13]]


def test_callbacks_change_weights_before_an_epoch():
    class Zero(cr.train.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.set_weights([np.zeros_like(w) for w in self.model.get_weights()])

    model = cr.nn.Sequential([cr.nn.Input((8,)), cr.nn.Dense(1)])
    model.compile(cr.optim.SGD(0.1), "mse")
    once = model.fit(X, X[:, :1], epochs=1, verbose=0, callbacks=[Zero()]).history["loss"]
    again = model.fit(X, X[:, :1], epochs=2, verbose=0, callbacks=[Zero()], shuffle=False)
    assert again.history["loss"][0] == again.history["loss"][1]
    assert once[0] == pytest.approx(again.history["loss"][0], rel=0.2)


# ---- messages ------------------------------------------------------------------------------------


def built():
    model = cr.nn.Sequential([cr.nn.Input((8,)), cr.nn.Dense(3)], name="net")
    model.build(seed=0)
    return model


class OwnStep(cr.nn.Model):
    def train_step(self, data):
        return {}


class Counting(cr.nn.Layer):
    def build(self, input_shape):
        self.total = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.total.assign_add(np.sum(x))
        return x


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: cr.nn.Dense(3, activaton="relu"), ["'activaton'", "did you mean 'activation'"]),
        (lambda: cr.nn.LSTM(3, units_=2), ["LSTM has no argument", "did you mean 'units'"]),
        (lambda: cr.nn.Dense(3, input_dim=2), ["cr.nn.Input(shape)"]),
        (lambda: OwnStep().compile("sgd", "mse"), ["train_step", "self.add_loss"]),
        (lambda: built().get_layer("dens"), ["did you mean 'dense'"]),
        (lambda: built().get_layer(index=4), ["index: 4", "has:   1"]),
        (lambda: built().train_on_batch(X, Y), ["model.fit(x, y, batch_size=len(x)"]),
        (lambda: built().save_weights("w"), ["model.save(path)"]),
        (lambda: built().optimizer, ["before model.compile"]),
        (lambda: cr.nn.Dense(3).output, ["wasn't called on a cr.nn.Input"]),
        (lambda: cr.nn.Sequential([cr.nn.Dense(2)]).inputs, ["begin it with cr.nn.Input(shape)"]),
        (lambda: cr.nn.Lambda(np.abs), ["NumPy functions and operators work"]),
        (lambda: cr.nn.Dens(2), ["did you mean 'Dense'"]),
        (lambda: cr.nn.Input((3,), batch_shape=(2, 3)), ["leave shape and batch_size out"]),
        (
            lambda: cr.jit(lambda x: cr.nn.BatchNormalization()(x, training=True))(X),
            ["called by itself within a trace", "moving_mean", "layer.apply"],
        ),
    ],
)
def test_messages(call, words):
    with pytest.raises((cr.ArgumentError, AttributeError)) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_assigning_in_place():
    with pytest.raises(AttributeError) as caught:
        Counting()(X)
    assert "self.total = self.total + x" in " ".join(caught.value.__notes__)
