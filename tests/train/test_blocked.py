"""Per-sample SGD in blocks is the same algorithm up to rounding, and is chosen where it's exact."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.train.blocked import BLOCK, first_layer
from chainrule.train.epoch import Plan
from chainrule.train.objective import Objective


def network(blocked, optimizer=None, layers=(), **options):
    model = cr.nn.Sequential([*layers, cr.nn.Dense(12, activation="sigmoid"), cr.nn.Dense(3)])
    model.compile(
        optimizer=optimizer or cr.optim.SGD(0.5),
        loss=cr.nn.SparseCategoricalCrossentropy(from_logits=True),
        blocked=blocked,
        **options,
    )
    return model


def data(rows, shape=(9,)):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, *shape)), rng.integers(0, 3, rows)


@pytest.mark.parametrize("rows", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_weights_up_to_rounding(rows, dtype):
    x, y = data(rows)
    cr.nn.set_dtype(dtype)
    try:
        models = [network(blocked, metrics=["accuracy"]) for blocked in (False, True)]
        histories = [m.fit(x, y, batch_size=1, epochs=3, verbose=0).history for m in models]
    finally:
        cr.nn.set_dtype("float32")
    tolerance = 1e-12 if dtype == "float64" else 2e-5
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-4)
    assert histories[0]["accuracy"] == histories[1]["accuracy"]


def test_images_are_flattened_on_the_way():
    x, y = data(40, (3, 3))
    flat = [cr.nn.Flatten()]
    one, other = network(False, layers=flat), network(True, layers=[cr.nn.Flatten()])
    for model in (one, other):
        model.fit(x, y, batch_size=1, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_a_schedule_moves_on_within_a_block():
    x, y = data(50)
    rate = cr.optim.ExponentialDecay(0.5, decay_steps=10, decay_rate=0.5)
    one, other = network(False, cr.optim.SGD(rate)), network(True, cr.optim.SGD(rate))
    for model in (one, other):
        model.fit(x, y, batch_size=1, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def chosen(model, size=1, wanted=None, shape=(784,)):
    model.build(shape)
    objective = Objective(model, (), model.compiled.regularizer)
    plan = Plan(size, padded=False)
    return first_layer(model, objective, model.compiled.optimizer, plan, wanted)


def wide(*layers, optimizer="sgd", **options):
    model = cr.nn.Sequential([*layers, cr.nn.Dense(128), cr.nn.Dense(10)])
    model.compile(optimizer, "mse", **options)
    return model


def test_it_is_chosen_where_it_pays_and_is_exact():
    assert chosen(wide()).path == "dense/kernel"
    assert chosen(wide(cr.nn.Flatten()), shape=(28, 28)).path == "dense/kernel"
    assert chosen(wide(), wanted=False) is None
    assert chosen(wide(), size=32) is None
    assert chosen(wide(), shape=(16,)) is None  # a small kernel stays in the nearest cache
    assert chosen(wide(), shape=(16,), wanted=True) is not None


@pytest.mark.parametrize(
    "model",
    [
        wide(optimizer=cr.optim.SGD(0.1, momentum=0.9)),
        wide(optimizer=cr.optim.SGD(0.1, clipnorm=1.0)),
        wide(optimizer=cr.optim.SGD(0.1, weight_decay=0.1)),
        wide(optimizer="adam"),
        wide(cr.nn.Dropout(0.5)),
        wide(cr.nn.Dense(128, kernel_regularizer="l2")),
        wide(cr.nn.Dense(128, kernel_constraint="non_neg")),
        wide(regularizer="l2"),
    ],
)
def test_it_is_not_chosen_where_it_would_be_another_algorithm(model):
    assert chosen(model, wanted=True) is None
