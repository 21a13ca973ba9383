"""Scores and probabilities are told apart before anything is learnt; other first mistakes."""

import warnings

import numpy as np
import pytest

import chainrule as cr

X = np.random.default_rng(0).normal(size=(12, 4)).astype(np.float32)
CLASSES = np.arange(12) % 3
ONE_HOT = np.eye(3)[CLASSES]


def row(activation=None, units=3, last=()):
    return cr.nn.Sequential([cr.nn.Dense(5), cr.nn.Dense(units, activation=activation), *last])


def graph(activation=None):
    x = cr.nn.Input((4,))
    return cr.nn.Model(x, cr.nn.Dense(3, activation=activation, name="top")(cr.nn.Dense(5)(x)))


def fit(model, loss, y=CLASSES):
    model.compile("sgd", loss)
    model.fit(X, y, verbose=0, seed=0)


@pytest.mark.parametrize(
    ("make", "loss", "y", "activation"),
    [
        (row, "sparse_categorical_crossentropy", CLASSES, "softmax"),
        (row, cr.nn.CategoricalCrossentropy(), ONE_HOT, "softmax"),
        (row, "binary_crossentropy", ONE_HOT, "sigmoid"),
        (graph, "sparse_categorical_crossentropy", CLASSES, "softmax"),
        (lambda: row(last=[cr.nn.Activation("linear")]), "bce", ONE_HOT, "sigmoid"),
        (lambda: cr.nn.Sequential([row()]), "scce", CLASSES, "softmax"),
    ],
)
def test_scores_are_no_probabilities(make, loss, y, activation):
    with pytest.raises(cr.ArgumentError) as error:
        fit(make(), loss, y)
    text = str(error.value)
    assert "expects probabilities, and the last layer gives scores" in text
    assert "(from_logits=True) reads scores" in text
    assert f'activation="{activation}"' in text
    with pytest.raises(cr.ArgumentError, match="expects probabilities"):
        model = make()
        model.build((4,))
        model.compile("sgd", loss)
        model.evaluate(X, y)


def test_the_message_word_for_word():
    with pytest.raises(cr.ArgumentError) as error:
        fit(graph(), "sparse_categorical_crossentropy")
    lines = [line for line in str(error.value).splitlines() if "where:" not in line]
    assert lines == [
        "SparseCategoricalCrossentropy expects probabilities, and the last layer gives scores",
        "  last layer: top (Dense), without an activation: any number comes out of it",
        "  fix:        SparseCategoricalCrossentropy(from_logits=True) reads scores; or give the "
        'layer activation="softmax"',
    ]


@pytest.mark.parametrize("make", [row, graph])
def test_probabilities_are_no_scores(make):
    loss = cr.nn.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.warns(UserWarning, match="already makes probabilities of them"):
        fit(make("softmax"), loss)


class Own(cr.nn.Model):
    def __init__(self):
        super().__init__()
        self.top = cr.nn.Dense(3)

    def call(self, inputs):
        scores = self.top(inputs)
        return np.exp(scores) / np.sum(np.exp(scores), axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("make", "loss"),
    [
        (lambda: row("softmax"), "scce"),
        (lambda: row("sigmoid"), "scce"),
        (lambda: row(last=[cr.nn.Softmax()]), "scce"),
        (row, cr.nn.SparseCategoricalCrossentropy(from_logits=True)),
        (lambda: row("relu"), "scce"),  # a user may know what comes out
        (Own, "scce"),
        (row, "multiclass_hinge"),
    ],
)
def test_what_fits_or_is_not_known_is_let_through(make, loss):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(make(), loss)


def test_outputs_of_several_tasks_are_told_apart():
    x = cr.nn.Input((4,))
    heads = {"a": cr.nn.Dense(3, name="a")(x), "b": cr.nn.Dense(1, name="b")(x)}
    model = cr.nn.Model(x, heads)
    model.compile("sgd", {"a": "scce", "b": "mse"})
    with pytest.raises(cr.ArgumentError, match=r"a \(Dense\), without an activation"):
        model.fit(X, {"a": CLASSES, "b": X[:, :1]}, verbose=0)


# ---- first steps that go wrong -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cr.nn.Sequential(cr.nn.Dense(3)), ["takes a list of layers", "Dense"]),
        (lambda: cr.nn.Sequential([cr.nn.Dense]), ["a class of them", "cr.nn.Dense(…)"]),
        (lambda: cr.models.mlp(10), ["are a list", "cr.models.mlp([30, 10])"]),
        (lambda: row()(X[0]), ["at least 2 axes", "x[None]"]),
        (lambda: cr.nn.Conv2D(2, 3)(np.ones((5, 8, 8))), ["4 axes", "x[..., None]"]),
    ],
)
def test_messages(make, words):
    with pytest.raises(cr.ChainruleError) as error:
        make()
    for word in words:
        assert word in str(error.value)
