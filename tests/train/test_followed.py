"""Compiled functions that read a model of the user's follow it: its weights, what it's made of."""

import numpy as np
import pytest

import chainrule as cr

X = np.random.default_rng(0).normal(size=(2, 4)).astype(np.float32)


class Scaled(cr.nn.Model):
    def __init__(self):
        super().__init__()
        self.inner = cr.nn.Dense(3)
        self.scale = 2.0

    def call(self, inputs):
        return self.inner(inputs) * self.scale


def in_a_row():
    return cr.nn.Sequential([cr.nn.Dense(5, activation="tanh"), cr.nn.Dense(3)])


def put_together():
    x = cr.nn.Input((4,))
    h = cr.nn.Dense(4)(x)
    return cr.nn.Model(x, cr.nn.Dense(3)(x + h))


MODELS = [in_a_row, put_together, Scaled, lambda: cr.nn.Sequential([in_a_row()])]


@pytest.fixture(params=MODELS, ids=["row", "graph", "class", "nested"])
def model(request):
    made = request.param()
    made.build((4,), seed=0)
    return made


def assert_follows(model, f, *args):
    """That f(*args) is the model's output, before and after its weights change in every way."""

    def same():
        np.testing.assert_allclose(f(*args), model(X), rtol=1e-5, atol=1e-6)

    same()
    model.set_weights([2 * w for w in model.get_weights()])
    same()
    model.compile("sgd", "mse")
    model.fit(X, np.ones((2, 3)), epochs=2, verbose=0, seed=0)
    same()
    weight = next(iter(model.weights_by_path().values()))
    weight.value *= 0.5
    same()


def test_a_model_in_a_closure(model):
    assert_follows(model, cr.jit(lambda x: model(x)), X)


def test_a_model_as_an_argument(model):
    assert_follows(model, cr.jit(lambda model, x: model(x)), model, X)


def test_a_model_itself_and_its_method(model):
    assert_follows(model, cr.jit(model), X)
    assert_follows(model, cr.jit(model.call), X)


def test_a_transformed_model(model):
    assert_follows(model, cr.jit(cr.vmap(lambda row: model(row[None])[0])), X)


def test_other_values_need_no_new_trace(model):
    traced = []

    def f(x):
        traced.append(None)
        return model(x)

    compiled = cr.jit(f)
    for k in range(4):
        model.set_weights([w + k for w in model.get_weights()])
        compiled(X)
    assert len(traced) == 1


def test_what_a_model_is_made_of():
    model = Scaled()
    model.build((4,), seed=0)
    f = cr.jit(lambda x: model(x))
    before = f(X)
    model.scale = 6.0
    np.testing.assert_allclose(f(X), 3 * before, rtol=1e-6)
    model.inner.activation = np.square
    np.testing.assert_allclose(f(X), model(X), rtol=1e-5)


def test_what_fit_compiles_is_given_the_weights():
    traced = []

    class Told(cr.nn.Dense):
        def call(self, inputs):
            traced.append(None)
            return super().call(inputs)

    model = cr.nn.Sequential([Told(3)])
    model.compile("sgd", "mse")
    model.fit(X, np.ones((2, 3)), epochs=1, verbose=0, seed=0)
    model.predict(X)
    model.evaluate(X, np.ones((2, 3)))
    count = len(traced)
    model.fit(X, np.ones((2, 3)), epochs=5, verbose=0, seed=0)
    model.predict(X)
    model.evaluate(X, np.ones((2, 3)))
    assert len(traced) == count
