"""What every layer does: weights by path, first values, pure application, names, mistakes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import chainrule as cr


class Nested(cr.nn.Layer):
    """Layers in an attribute, a list and a dict, one of them twice."""

    def __init__(self, **options):
        super().__init__(**options)
        self.first = cr.nn.Dense(4)
        self.rest = [cr.nn.Dense(4), cr.nn.Dense(4, name="named")]
        self.heads = {"a": cr.nn.Dense(1), "b": self.first}

    def call(self, x):
        x = self.first(x)
        for layer in self.rest:
            x = layer(x)
        return {"a": self.heads["a"](x), "b": self.heads["b"](x)}


def test_paths_follow_the_attributes():
    layer = Nested()
    variables = layer.init(seed=0, input_shape=(4,))
    kernels = [path for path in variables["parameters"] if path.endswith("kernel")]
    assert sorted(kernels) == ["first/kernel", "heads_a/kernel", "named/kernel", "rest_0/kernel"]
    y, state = layer.apply(variables, np.ones((2, 4)))
    assert {name: value.shape for name, value in y.items()} == {"a": (2, 1), "b": (2, 4)}
    assert state == {}


def test_values_depend_on_the_seed_and_the_path_alone():
    one = Nested().init(seed=1, input_shape=(4,))["parameters"]
    again = Nested().init(seed=1, input_shape=(None, 4))["parameters"]
    other = Nested().init(seed=2, input_shape=(4,))["parameters"]
    assert all(np.array_equal(one[path], again[path]) for path in one)
    assert not np.array_equal(one["first/kernel"], other["first/kernel"])
    assert not np.array_equal(one["first/kernel"], one["rest_0/kernel"])


def test_apply_is_a_pure_function_under_every_transformation():
    layer = cr.nn.Dense(2, activation="tanh", dtype="float64")
    variables = layer.init(seed=0, input_shape=(3,))
    x = np.random.default_rng(0).normal(size=(4, 3))

    def loss(parameters, x):
        y, _ = layer.apply({"parameters": parameters, "state": {}}, x)
        return np.sum(y**2)

    parameters = variables["parameters"]
    cr.check_grads(lambda w: loss({"kernel": w, "bias": parameters["bias"]}, x),
                   (parameters["kernel"],))  # fmt: skip
    slopes = cr.grad(loss)(parameters, x)
    compiled = cr.jit(cr.grad(loss))(parameters, x)
    each = cr.vmap(cr.grad(loss), in_axes=(None, 0))(parameters, x[:, None, :])
    for path, slope in slopes.items():
        np.testing.assert_allclose(compiled[path], slope, rtol=1e-12)
        np.testing.assert_allclose(each[path].sum(axis=0), slope, rtol=1e-12)
    assert cr.hessian(lambda b: loss({**parameters, "bias": b}, x))(parameters["bias"]).shape == (
        2, 2
    )  # fmt: skip


class Counter(cr.nn.Layer):
    """Keeps a state that every training call changes."""

    def build(self, input_shape):
        self.count = self.add_weight(name="count", initializer="zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.count = self.count + 1
        return x * self.count


def test_state_is_returned_by_apply_and_kept_by_a_call():
    layer = Counter()
    variables = layer.init(seed=0, input_shape=(1,))
    assert set(variables["state"]) == {"count"}
    _, state = layer.apply(variables, np.ones((1, 1)), training=True)
    assert state["count"] == 1
    assert variables["state"]["count"] == 0
    eager = Counter()
    eager(np.ones((1, 1)), training=True)
    eager(np.ones((1, 1)), training=True)
    eager(np.ones((1, 1)))
    assert eager.get_weights() == [2]


def test_chance_needs_a_seed_and_follows_it():
    layer = cr.nn.Dropout(0.5)
    variables = layer.init(input_shape=(100,))
    x = np.ones((1, 100), np.float32)
    with pytest.raises(cr.ArgumentError, match="given no seed"):
        layer.apply(variables, x, training=True)
    one, _ = layer.apply(variables, x, training=True, seed=1)
    again, _ = layer.apply(variables, x, training=True, seed=cr.random.key(1))
    other, _ = layer.apply(variables, x, training=True, seed=2)
    still, _ = layer.apply(variables, x)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert np.array_equal(still, x)


def message(call, kind=cr.ChainruleError):
    with pytest.raises(kind) as error:
        call()
    return str(error.value)


def test_mistakes_are_named():
    layer = cr.nn.Dense(2)
    assert "depend on its input" in message(lambda: layer.init(seed=0))
    variables = layer.init(seed=0, input_shape=(3,))
    text = message(lambda: layer.apply({"parameters": {"kernle": 0}, "state": {}}, np.ones((1, 3))))
    assert "did you mean 'kernel'" in text
    text = message(lambda: layer.apply(variables, np.ones((1, 5))), cr.ShapeError)
    assert "'dense' expects 3 entries along axis -1, its input has 5" in text
    text = message(lambda: layer.apply(variables, np.ones(3)), cr.ShapeError)
    assert "at least 2 axes" in text
    assert "units has to be a whole number" in message(lambda: cr.nn.Dense(0))
    assert "float32 or float64" in message(lambda: cr.nn.Dense(1, dtype="int8"))
    assert "call(self, inputs)" in message(lambda: cr.nn.Layer()(np.ones((1, 1))))


def test_a_layer_that_forgets_its_base_is_told():
    class Forgetful(cr.nn.Layer):
        def __init__(self):
            self.units = 3

    assert "super().__init__()" in message(Forgetful)


def test_two_layers_of_one_name_are_refused():
    class Twins(cr.nn.Layer):
        def __init__(self):
            super().__init__()
            self.pair = [cr.nn.Dense(1, name="same"), cr.nn.Dense(1, name="same")]

        def call(self, x):
            return self.pair[1](self.pair[0](x))

    assert "same name" in message(lambda: Twins().init(0, (1,)))


def test_set_weights_checks_number_and_shapes():
    layer = cr.nn.Dense(2)
    layer(np.ones((1, 3)))
    with pytest.raises(cr.ArgumentError, match="another number"):
        layer.set_weights([np.zeros((3, 2))])
    with pytest.raises(cr.ShapeError, match="another shape"):
        layer.set_weights([np.zeros((2, 2)), np.zeros(2)])
    layer.set_weights([np.ones((3, 2)), np.zeros(2)])
    assert np.array_equal(layer(np.ones((1, 3))), [[3, 3]])


def test_a_config_makes_the_same_layer():
    layer = cr.nn.Dense(
        3, activation="relu", kernel_regularizer=cr.nn.L2(0.1), bias_constraint="non_neg", name="d"
    )
    again = cr.nn.deserialize(cr.nn.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert again.name == "d"
    assert again.activation is layer.activation


class TestSymbolic:
    def test_numpy_and_operators_build_a_graph(self):
        x = cr.nn.Input((3,))
        y = np.maximum(x[:, :2] * 2 + 1, 0) / 4
        assert y.shape == (None, 2)
        model = cr.nn.Model(x, y)
        model.build()
        found = model.predict(np.array([[1.0, -5.0, 2.0]]))
        np.testing.assert_allclose(found, [[0.75, 0.0]])

    def test_the_batch_stays_in_front(self):
        x = cr.nn.Input((3,))
        assert "has lost it" in message(lambda: np.sum(x), cr.ShapeError)

    def test_there_are_no_numbers_yet(self):
        x = cr.nn.Input((3,))
        assert "no numbers" in message(lambda: np.asarray(x), cr.TraceError)
        assert "no numbers" in message(lambda: bool(x), cr.TraceError)

    def test_a_forgotten_input_is_named(self):
        x, z = cr.nn.Input((3,)), cr.nn.Input((3,), name="z")
        assert "z" in message(lambda: cr.nn.Model(x, x + z))

    def test_layers_are_checked_as_they_are_joined(self):
        x = cr.nn.Input((3,))
        dense = cr.nn.Dense(2)
        dense(x)
        assert "expects 3 entries" in message(lambda: dense(cr.nn.Input((4,))), cr.ShapeError)


class Mismatched(cr.nn.Layer):
    def call(self, x):
        return x @ np.ones((7, 2), np.float32)  # the line at fault


class Careless(cr.nn.Layer):
    def call(self, x):
        return {}["missing"]


def test_an_error_within_a_layer_names_it_by_its_path_and_the_users_line():
    encoder = cr.nn.Sequential([cr.nn.Dense(4), Mismatched()], name="encoder")
    model = cr.nn.Sequential([encoder, cr.nn.Dense(1)])
    with pytest.raises(cr.ShapeError, match="inner sizes differ") as caught:
        model.build((5,))
    text = str(caught.value)
    assert "layer: encoder/mismatched (Mismatched)" in text
    assert "test_layer.py" in text.partition("where:")[2]
    assert "in call" in text
    x = cr.nn.Input((3,))
    with pytest.raises(cr.ShapeError) as caught:
        Mismatched()(x)
    assert "layer: mismatched (Mismatched)" in str(caught.value)


def test_the_layer_in_front_of_which_an_input_fails_is_named():
    trunk = cr.nn.Sequential([cr.nn.Dense(4), cr.nn.LSTM(3)], name="trunk")
    with pytest.raises(cr.ShapeError, match="expects 3 axes") as caught:
        cr.nn.Sequential([trunk, cr.nn.Dense(2)]).build((5,))
    assert "layer: trunk/lstm (LSTM)" in str(caught.value)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="errors take no notes yet")
def test_errors_of_python_and_numpy_are_noted():
    with pytest.raises(KeyError) as caught:
        cr.nn.Sequential([Careless()]).build((3,))
    assert caught.value.__notes__ == ["in the layer careless (Careless)"]
    with pytest.raises(ValueError, match="mismatch") as wrong:
        Mismatched()(np.ones((2, 3)))  # plain arrays: NumPy's own error
    assert wrong.value.__notes__ == ["in the layer mismatched (Mismatched)"]


def test_parts_of_a_frozen_layer_run_as_they_do_outside_of_training():
    x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    trunk = cr.nn.Sequential([cr.nn.Dense(4), cr.nn.BatchNormalization()], name="trunk")
    model = cr.nn.Sequential([trunk, cr.nn.Dense(1)])
    variables = model.init(seed=0, input_shape=(3,))
    moving = {path: value for path, value in variables["state"].items() if "moving" in path}

    def moved(state):
        return any(not np.array_equal(state[path], value) for path, value in moving.items())

    assert moved(model.apply(variables, x, training=True)[1])
    trunk.trainable = False
    frozen = {
        "parameters": {p: v for p, v in variables["parameters"].items() if "trunk" not in p},
        "state": {
            **variables["state"],
            **{p: v for p, v in variables["parameters"].items() if "trunk" in p},
        },
    }
    y, state = model.apply(frozen, x, training=True)
    assert not moved(state)
    assert np.array_equal(y, model.apply(frozen, x)[0])


def test_a_makeup_tells_what_is_computed_and_not_what_passes():
    model = cr.nn.Sequential([cr.nn.Dense(3), cr.nn.Dropout(0.5)])
    model.build((2,))
    before = model.makeup()
    model.compile("sgd", "mse")
    model.stop_training = True
    model(np.ones((1, 2), np.float32), training=False)
    model.set_weights([np.ones((2, 3)), np.ones(3)])
    assert model.makeup() == before
    model.layers[1].rate = 0.9
    assert model.makeup() != before
    before = model.makeup()
    model.layers[1] = cr.nn.Dropout(0.9)
    assert model.makeup() != before
    before = model.makeup()
    model.trainable = False
    assert model.makeup() != before
    model.trainable = True
    assert model.makeup() == before
    model.pop()
    assert model.makeup() != before
