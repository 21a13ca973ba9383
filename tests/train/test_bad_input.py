"""What can be wrong with data, labels and models is said before or while it goes wrong."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr


def model(loss="mse", units=3, optimizer="sgd", **options):
    made = cr.nn.Sequential([cr.nn.Dense(units)])
    made.compile(optimizer, loss, **options)
    return made


X = np.random.default_rng(0).normal(size=(20, 4))
ONE_HOT = np.eye(3)[np.arange(20) % 3]


def message(call):
    with pytest.raises(cr.ChainruleError) as error:
        call()
    return type(error.value).__name__, str(error.value)


@pytest.mark.parametrize(
    ("loss", "y", "words"),
    [
        ("sparse_categorical_crossentropy", ONE_HOT, ["SparseCategorical", "one-hot"]),
        ("sparse_categorical_crossentropy", np.arange(20), ["0", "2"]),
        ("categorical_crossentropy", np.arange(20) % 3, ["Categorical"]),
        ("mse", ONE_HOT[:, :2], ["(n, 2)", "units"]),
    ],
)
def test_labels_that_do_not_fit_the_loss(loss, y, words):
    _, text = message(lambda: model(loss).fit(X, y, verbose=0))
    for word in words:
        assert word in text
    assert "fix:" in text


def test_rows_that_do_not_match():
    kind, text = message(lambda: model().fit(X, ONE_HOT[:19], verbose=0))
    assert kind == "ShapeError"
    assert "20" in text
    assert "19" in text


def test_nothing_to_learn_from():
    assert "no rows" in message(lambda: model().fit(X[:0], ONE_HOT[:0], verbose=0))[1]
    assert "empty" in message(
        lambda: model().fit(X, ONE_HOT, validation_split=0.99, verbose=0)
    )[1]  # fmt: skip


def test_text_is_no_data():
    kind, text = message(lambda: model().fit(np.array([["a"]]), [[1.0]], verbose=0))
    assert kind == "DtypeError"
    assert "categories" in text


def test_nan_names_row_and_column():
    x = X.copy()
    x[13, 2] = np.nan
    kind, text = message(lambda: model().fit(x, ONE_HOT, verbose=0))
    assert kind == "DomainError"
    assert "row:    13" in text
    assert "column: 2" in text


@pytest.fixture
def nothing_is_searched(monkeypatch):
    """As for large data: NaN is found by the step that meets it."""
    monkeypatch.setattr("chainrule.train.data._SCANNED_BYTES", 0)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("size", [1, 4, 8, None])
def test_nan_in_large_data_is_found_when_it_is_met(nothing_is_searched, size, value):
    x = X.copy()
    x[13, 2] = value
    kind, text = message(lambda: model().fit(x, ONE_HOT, batch_size=size, verbose=0, seed=3))
    assert kind == "DomainError"
    assert "row:    13" in text
    assert "column: 2" in text


def hides_nan(blocked):
    """NaN in its input is lost in a mask, so the loss stays a number."""
    made = cr.nn.Sequential(
        [cr.nn.Dense(4), cr.nn.Activation(lambda z: np.where(z > 0, z, 0)), cr.nn.Dense(3)]
    )
    made.compile(cr.optim.SGD(0.1), "mse", blocked=blocked)
    return made


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("blocked", [True, False])
def test_nan_that_a_mask_hides_from_the_loss_is_found(nothing_is_searched, blocked, size):
    x = np.tile(X, (4, 1))
    x[61, 1] = np.nan
    made, good = hides_nan(blocked), hides_nan(blocked)
    kind, text = message(
        lambda: made.fit(x, np.tile(ONE_HOT, (4, 1)), batch_size=size, shuffle=False, verbose=0)
    )
    assert kind == "DomainError"
    assert "row:    61" in text
    assert "keeps the weights" in text
    before = 61 // size * size
    good.fit(
        x[:before], np.tile(ONE_HOT, (4, 1))[:before], batch_size=size, shuffle=False, verbose=0
    )
    for mine, wanted in zip(made.get_weights(), good.get_weights(), strict=True):
        np.testing.assert_allclose(mine, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [1, 4])
def test_nan_in_weights_of_samples_is_found_when_it_is_met(nothing_is_searched, size):
    weights = np.ones(20)
    weights[13] = np.nan
    kind, text = message(lambda: model().fit(X, ONE_HOT, size, sample_weight=weights, verbose=0))
    assert kind == "DomainError"
    assert "array: sample_weight" in text
    assert "row:   13" in text


@pytest.mark.parametrize("given", ["validation_split", "validation_data"])
def test_nan_in_what_is_held_out_is_found_before_training(nothing_is_searched, given):
    x = X.copy()
    x[18, 2] = np.nan
    made = model()
    made.build((4,))
    before = made.get_weights()
    count, held = (20, 0.2) if given == "validation_split" else (18, (x, ONE_HOT))
    kind, text = message(lambda: made.fit(x[:count], ONE_HOT[:count], verbose=0, **{given: held}))
    assert kind == "DomainError"
    assert f"fit: {given}" in text
    assert "row:    18" in text
    assert np.array_equal(before[0], made.get_weights()[0])


def test_nan_in_a_stream_names_batch_and_row():
    batches = [(X[i : i + 4].copy(), ONE_HOT[i : i + 4]) for i in range(0, 20, 4)]
    batches[3][0][2, 1] = np.nan
    kind, text = message(lambda: model().fit(batches, verbose=0))
    assert kind == "DomainError"
    assert "batch:  3" in text
    assert "row:    2" in text
    assert "column: 1" in text


@pytest.mark.parametrize("size", [1, 4])
def test_a_diverging_training_names_the_layer_and_keeps_finite_weights(size):
    made = cr.nn.Sequential([cr.nn.Dense(8), cr.nn.Dense(8, name="second"), cr.nn.Dense(3)])
    made.compile(cr.optim.SGD(1e6), "mse")
    kind, text = message(lambda: made.fit(X, ONE_HOT, batch_size=size, epochs=9, verbose=0))
    assert kind == "DivergenceError"
    assert "layer:" in text
    assert "learning rate" in text
    assert all(np.isfinite(w).all() for w in made.get_weights())


def test_the_first_layer_to_overflow_is_the_one_that_is_named():
    made = cr.nn.Sequential(
        [
            cr.nn.Dense(4, name="fine"),
            cr.nn.Activation(lambda x: np.exp(200 * np.abs(x)), name="bad"),
            cr.nn.Dense(3, name="after"),
        ]
    )
    made.compile("sgd", "mse")
    _, text = message(lambda: made.fit(100 * X, ONE_HOT, verbose=0))
    assert "layer: bad" in text


def test_unknown_names_suggest_the_nearest():
    assert "did you mean 'adam'" in message(lambda: model(optimizer="adan"))[1]
    assert "relu" in message(lambda: cr.nn.Dense(3, activation="rellu"))[1]
    assert "dense" in message(lambda: cr.nn.Sequential(["dens"]))[1]


def test_a_model_without_loss_or_values():
    bare = cr.nn.Sequential([cr.nn.Dense(3)])
    assert "compile" in message(lambda: bare.fit(X, ONE_HOT))[1]
    assert "no weights yet" in message(lambda: bare.predict(X))[1]
    assert "no weights yet" in message(lambda: bare.save("never.safetensors"))[1]


def test_inputs_of_another_shape_than_before():
    made = model()
    made.fit(X, ONE_HOT, verbose=0)
    kind, text = message(lambda: made.predict(X[:, :2]))
    assert kind == "ShapeError"
    assert "'dense' expects 4 entries along axis -1, its input has 2" in text


@pytest.mark.parametrize(
    "given",
    [
        {"seed": -1},
        {"seed": 1.5},
        {"epochs": 0},
        {"batch_size": 2.5},
        {"initial_epoch": -1},
        {"validation_freq": 0},
        {"validation_batch_size": -1},
        {"validation_split": "a"},
        {"validation_data": (X,)},
        {"validation_data": (X[:0], ONE_HOT[:0])},
    ],
)
def test_arguments_that_make_no_sense(given):
    _, text = message(lambda: model().fit(X, ONE_HOT, verbose=0, **given))
    assert next(iter(given)) in text or "no rows" in text
    assert "fix:" in text


def test_batches_of_no_rows():
    made = model()
    made.fit(X, ONE_HOT, verbose=0)
    assert "batch_size" in message(lambda: made.predict(X, batch_size=-1))[1]
    assert "batch_size" in message(lambda: made.evaluate(X, ONE_HOT, batch_size=0))[1]
    assert "no rows" in message(lambda: made.evaluate(X[:0], ONE_HOT[:0]))[1]
    assert made.predict(X[:0]).shape == (0, 3)


def test_validation_data_and_streams_are_held_to_the_same():
    x = X.copy()
    x[4, 1] = np.inf
    kind, text = message(lambda: model().fit(X, ONE_HOT, verbose=0, validation_data=(x, ONE_HOT)))
    assert kind == "DomainError"
    for word in ("validation_data", "infinite", "row:    4", "column: 1"):
        assert word in text
    batches = [(X[:10], ONE_HOT[:10]), (x[:10], ONE_HOT[:10])]
    kind, text = message(lambda: model().fit(batches, verbose=0))
    assert kind == "DomainError"
    assert "column: 1" in text


def test_an_unknown_metric_suggests_the_nearest():
    made = model(metrics=["acuracy"])
    assert "did you mean 'accuracy'" in message(lambda: made.fit(X, ONE_HOT, verbose=0))[1]
