"""Losses: stable, exact gradients, weights and rows that don't count, compiled as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.base.registry import deserialize, get, register, serialize
from chainrule.nn import losses as L
from chainrule.nn.loss import REDUCTIONS, Loss, WrappedFunction, reduce_loss

HUGE = np.array([[1e4, -1e4, 0.0], [-3e4, -3e4, -3e4], [88.0, 89.0, -1e-3]], np.float32)


def both_ways(function: Any, *args: Any) -> list[Any]:
    """The result with values, and compiled without."""
    return [function(*args), cr.jit(function)(*args)]


# ---- from logits ---------------------------------------------------------------------------------


def softmax(x: np.ndarray) -> np.ndarray:
    terms = np.exp(x.astype("f8") - x.max(axis=-1, keepdims=True))
    return terms / terms.sum(axis=-1, keepdims=True)


def test_gradient_from_logits_is_softmax_minus_one_hot() -> None:
    labels = np.array([1, 2, 0])
    hot = np.eye(3)[labels]
    total = L.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    dense = L.CategoricalCrossentropy(from_logits=True, reduction="sum")
    for loss, y in ((total, labels), (dense, hot)):
        for value, gradient in both_ways(
            lambda p, f=loss, y=y: cr.value_and_grad(f, 1)(y, p), HUGE
        ):
            assert np.isfinite(value)
            np.testing.assert_allclose(gradient, softmax(HUGE) - hot, rtol=1e-6, atol=1e-12)


def test_gradient_from_logits_is_sigmoid_minus_label() -> None:
    logits = np.array([[0.0, -0.0, 1e4, -1e4, 2.0, -2.0, 30.0, -30.0]], np.float32)
    sigmoid = 1 / (1 + np.exp(np.clip(-logits.astype("f8"), -700, 700)))
    total = L.BinaryCrossentropy(from_logits=True, reduction="sum")
    for label in (0.0, 0.25, 1.0):
        y = np.full(logits.shape, label)
        for value, gradient in both_ways(lambda p, y=y: cr.value_and_grad(total, 1)(y, p), logits):
            assert np.isfinite(value)
            np.testing.assert_allclose(gradient * 8, sigmoid - label, rtol=1e-6, atol=1e-12)


def test_small_losses_are_not_rounded_to_zero() -> None:
    sure = np.array([[25.0]], np.float32)
    for loss, label in ((L.BinaryCrossentropy(True), 1), (L.NegativeLogLikelihood(), 1)):
        assert loss([[label]], sure) == pytest.approx(np.exp(-25.0), rel=1e-5)
    assert L.BinaryCrossentropy(True)([[0]], -sure) == pytest.approx(np.exp(-25.0), rel=1e-5)


def test_second_derivative_of_cross_entropy() -> None:
    f = np.array([0.5, -1.0, 2.0])
    hessian = cr.hessian(
        lambda f: L.SparseCategoricalCrossentropy(from_logits=True)(np.array([2]), f[None])
    )(f)
    p = softmax(f)
    np.testing.assert_allclose(hessian, np.diag(p) - np.outer(p, p), atol=1e-14)
    at_zero = cr.hessian(lambda f: L.BinaryCrossentropy(True)(np.array([1.0]), f))(np.zeros(1))
    np.testing.assert_allclose(at_zero, [[0.25]], rtol=1e-14)


# ---- the lectures --------------------------------------------------------------------------------


def test_logistic_loss_of_the_lectures() -> None:
    """½‖w‖² − λ log p(y|x) with labels ±1, and −log σ(w·x) of labels 0 and 1."""
    x, rate = np.array([2.0, 1.0]), 0.5
    signs = L.NegativeLogLikelihood(labels=(-1, 1))

    def cost(w: Any) -> Any:
        return 0.5 * np.sum(w * w) + rate * signs(np.array([-1]), np.reshape(w @ x, (1,)))

    value, gradient = cr.value_and_grad(cost)(np.array([1.0, -1.0]))
    assert value == pytest.approx(1.6566308437591113, rel=1e-15)
    np.testing.assert_allclose(gradient, [1.73105858, -0.63447071], atol=5e-9)

    w, x = np.array([1.0, -2.0, 3.0]), np.array([0.5, 1.0, -1.0])
    likelihood = L.NegativeLogLikelihood()
    value, gradient = cr.value_and_grad(
        lambda x: likelihood(np.array([1]), np.reshape(w @ x, (1,)))
    )(x)
    assert value == pytest.approx(4.511047744848594, rel=1e-15)
    np.testing.assert_allclose(gradient, [-0.98901306, 1.97802611, -2.96703917], atol=5e-9)


def test_multiclass_hinge_is_summed_over_the_wrong_classes() -> None:
    scores = np.array([[3.2, 5.1, -1.7], [1.3, 4.9, 2.0], [2.2, 2.5, -3.1]])
    labels = np.array([0, 1, 2])
    hinge = L.MulticlassHinge(reduction="none")
    np.testing.assert_allclose(hinge(labels, scores), [2.9, 0.0, 12.9])
    gradient = cr.grad(L.MulticlassHinge(reduction="sum"), argnums=1)(labels, scores)
    np.testing.assert_array_equal(gradient, [[-1, 1, 0], [0, 0, 0], [1, 1, -2]])


def test_hinges_are_flat_at_their_kink() -> None:
    for loss, label, at in (
        (L.Hinge(), [1], [1.0]),
        (L.SquaredHinge(), [1], [1.0]),
        (L.MulticlassHinge(), [0], [[2.0, 1.0]]),
        (L.MeanAbsoluteError(), [1.0], [1.0]),
        (L.LogCosh(), [1.0], [1.0]),
    ):
        y, p = np.array(label), np.array(at)
        for gradient in both_ways(lambda p, f=loss, y=y: cr.grad(f, 1)(y, p), p):
            assert not np.any(gradient)


# ---- weights, rows, reductions -------------------------------------------------------------------


def test_reductions() -> None:
    values, weights = np.array([1.0, 2.0, 4.0]), np.array([1.0, 0.5, 2.0])
    rows = np.array([1, 1, 0])
    expected = {
        "none": ([1.0, 1.0, 8.0], [1.0, 1.0, 0.0]),
        "sum": (10.0, 2.0),
        "mean": (10 / 3, 1.0),
        "sum_over_batch_size": (10 / 3, 1.0),
        "mean_with_sample_weight": (10 / 3.5, 2 / 1.5),
    }
    for name in REDUCTIONS:
        for found in both_ways(lambda v, w, r, n=name: reduce_loss(v, w, n), values, weights, rows):
            np.testing.assert_allclose(found, expected[name][0])
        for found in both_ways(
            lambda v, w, r, n=name: reduce_loss(v, w, n, r), values, weights, rows
        ):
            np.testing.assert_allclose(found, expected[name][1])


def test_rows_that_do_not_count() -> None:
    labels = np.array([0, 1, 0, 0])
    logits = np.array([[1.0, 2.0], [0.5, -1.0], [0.5, 0.5], [9.0, -9.0]])
    rows = np.array([1.0, 1.0, 0.0, 0.0])
    loss = L.SparseCategoricalCrossentropy(from_logits=True)
    whole = cr.value_and_grad(loss, 1)(labels[:2], logits[:2])

    def padded(logits: Any, rows: Any) -> Any:
        return cr.value_and_grad(lambda p: loss(labels, p, rows=rows))(logits)

    for value, gradient in both_ways(padded, logits, rows):
        np.testing.assert_allclose(value, whole[0])
        np.testing.assert_allclose(gradient[:2], whole[1])
        assert not np.any(gradient[2:])


def test_nothing_counts_gives_zero() -> None:
    none = np.zeros(3)
    for name in ("mean", "mean_with_sample_weight"):
        for found in both_ways(lambda v, n=name: reduce_loss(v, none, n, none), np.ones(3)):
            assert found == 0
    assert reduce_loss(np.ones(0)) == 0


def test_a_weight_belongs_to_its_sample() -> None:
    """Predictions (n,) and (n, 1) mean the same, weighted or not; Keras averages (n,) first."""
    y, p, w = np.array([0.0, 0.0]), np.array([1.0, 3.0]), np.array([1.0, 0.0])
    loss = L.MeanSquaredError()
    for labels in (y, y[:, None]):
        for predictions in (p, p[:, None]):
            for weights in (w, w[:, None]):
                assert loss(labels, predictions, weights) == 0.5
            assert loss(labels, predictions) == 5.0


def test_weights_of_samples_with_several_values() -> None:
    y, p = np.zeros((2, 3, 1)), np.ones((2, 3, 1))
    loss = L.MeanSquaredError(reduction="mean_with_sample_weight")
    assert loss(y, p, np.array([1.0, 3.0])) == 1.0
    assert L.MeanSquaredError("sum")(y, p, np.array([1.0, 3.0])) == 12.0
    assert L.MeanSquaredError()(y, p, rows=np.array([1, 0])) == 1.0


def test_ignored_class_counts_nowhere() -> None:
    labels, logits = np.array([0, 255, 1]), np.array([[2.0, 1.0], [9.0, 9.0], [0.0, 1.0]])
    ignoring = L.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)
    plain = L.SparseCategoricalCrossentropy(from_logits=True)
    expected = cr.value_and_grad(plain, 1)(labels[[0, 2]], logits[[0, 2]])
    for value, gradient in both_ways(lambda p: cr.value_and_grad(ignoring, 1)(labels, p), logits):
        np.testing.assert_allclose(value, expected[0])
        np.testing.assert_allclose(gradient[[0, 2]], expected[1])
        assert not np.any(gradient[1])


@given(st.integers(1, 9), st.integers(0, 2**32))
def test_padding_never_changes_a_loss(count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    y, p, w = random.normal(size=(count, 2)), random.normal(size=(count, 2)), random.random(count)

    def fill(a: np.ndarray) -> np.ndarray:
        return np.concatenate([a, np.zeros((9 - count, *a.shape[1:]))])

    rows = (np.arange(9) < count).astype(float)
    for name in ("mean", "sum", "mean_with_sample_weight"):
        loss = L.Huber(reduction=name)
        np.testing.assert_allclose(loss(fill(y), fill(p), fill(w), rows=rows), loss(y, p, w))


# ---- shapes and kinds ----------------------------------------------------------------------------


def test_shapes_never_broadcast_silently() -> None:
    for function in (L.mean_squared_error, L.binary_crossentropy, L.hinge, L.kl_divergence):
        with pytest.raises(cr.ShapeError, match="labels and predictions differ in shape"):
            function(np.zeros((3, 2)), np.zeros((3, 3)))
    with pytest.raises(cr.ShapeError, match="one-hot labels have the shape of the predictions"):
        L.categorical_crossentropy(np.array([0, 1]), np.zeros((2, 2)))
    with pytest.raises(cr.ShapeError, match="one whole number is expected for each row"):
        L.sparse_categorical_crossentropy(np.eye(2), np.zeros((2, 2)))
    with pytest.raises(cr.ShapeError, match="sample_weight don't fit"):
        L.MeanSquaredError()(np.zeros((3, 2)), np.zeros((3, 2)), np.zeros(2))


def test_types() -> None:
    for dtype in ("f4", "f8"):
        p = np.array([[0.25, 0.75]], dtype)
        for loss, y in (
            (L.SparseCategoricalCrossentropy(), np.array([1])),
            (L.CategoricalCrossentropy(label_smoothing=0.1), np.array([[0, 1]])),
            (L.BinaryCrossentropy(), np.array([[0.0, 1.0]])),
            (L.MeanSquaredError(), np.array([[0.0, 1.0]])),
        ):
            assert loss(y, p, np.array([2.0])).dtype == p.dtype
            assert cr.jit(loss)(y, p).dtype == p.dtype
    assert (
        L.MeanSquaredError(dtype="float64")(np.zeros((1, 1)), np.ones((1, 1), "f4")).dtype == "f8"
    )


def test_labels_that_are_no_class_give_nan_in_a_trace() -> None:
    logits = np.zeros((3, 2))
    for loss in (L.SparseCategoricalCrossentropy(from_logits=True), L.MulticlassHinge()):
        for labels in ([0, 2, 1], [0, -1, 1]):
            assert np.isnan(cr.jit(loss)(np.array(labels), logits))
        assert np.isfinite(cr.jit(loss)(np.array([0, 1, 1]), logits))


def test_classes_on_another_axis() -> None:
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(2, 4, 3, 5)), random.integers(0, 4, (2, 3, 5))
    first = L.SparseCategoricalCrossentropy(from_logits=True, axis=1)(labels, logits)
    last = L.SparseCategoricalCrossentropy(True)(labels, np.moveaxis(logits, 1, -1))
    assert first == last
    hot = np.moveaxis(np.eye(4)[labels], -1, 1)
    assert L.CategoricalCrossentropy(True, axis=1)(hot, logits) == pytest.approx(last, rel=1e-14)


def test_losses_batch() -> None:
    """vmap over samples gives the values of the samples."""
    random = np.random.default_rng(0)
    logits, labels = random.normal(size=(5, 3)), random.integers(0, 3, 5)
    one = cr.vmap(lambda y, p: L.sparse_categorical_crossentropy(y, p, from_logits=True))
    whole = L.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    np.testing.assert_allclose(one(labels, logits), whole)


# ---- by name, as data, from functions ------------------------------------------------------------

EVERY = [getattr(L, name) for name in L.__all__ if isinstance(getattr(L, name), type)]


@pytest.mark.parametrize("kind", [kind for kind in EVERY if kind is not Loss])
def test_configs_come_back(kind: type[Loss]) -> None:
    loss = kind(reduction="sum", dtype="float64")
    again = deserialize(serialize(loss), "loss")
    assert type(again) is kind
    assert again.get_config() == loss.get_config()
    assert type(get("loss", loss.name)) is kind


def test_options_come_back() -> None:
    for loss in (
        L.Huber(0.3),
        L.BinaryFocalCrossentropy(True, 0.5, 3.0, True, 0.1, name="focal"),
        L.SparseCategoricalCrossentropy(True, 255, axis=1),
        L.NegativeLogLikelihood((-1, 1)),
        L.SquaredError(half=False),
    ):
        assert deserialize(serialize(loss)).get_config() == loss.get_config()


def test_functions_as_losses() -> None:
    def quartic(y_true: Any, y_pred: Any) -> Any:
        return np.mean((y_true - y_pred) ** 4, axis=-1)

    loss = L.as_loss(quartic)
    assert isinstance(loss, WrappedFunction)
    assert loss.name == "quartic"
    assert loss(np.zeros((2, 1)), np.array([[1.0], [2.0]])) == 8.5
    mean = L.as_loss(lambda y_true, y_pred: np.mean((y_true - y_pred) ** 2))
    assert mean(np.zeros((2, 1)), np.ones((2, 1))) == 1.0
    with pytest.raises(cr.ShapeError, match="one number for the whole batch"):
        mean(np.zeros((2, 1)), np.ones((2, 1)), np.ones(2))


def test_unknown_arguments() -> None:
    with pytest.raises(cr.ArgumentError, match="no such reduction"):
        L.MeanSquaredError(reduction="average")
    with pytest.raises(cr.ArgumentError, match=r"are \(0, 1\) or \(-1, 1\)"):
        L.NegativeLogLikelihood(labels=(1, 2))
    with pytest.raises(cr.ArgumentError, match="a loss is needed"):
        L.as_loss(None)
    with pytest.raises(NotImplementedError, match="doesn't define call"):
        Loss()(np.zeros(2), np.zeros(2))


@register("loss")
def fourth_power(y_true: Any, y_pred: Any) -> Any:
    return np.mean((y_true - y_pred) ** 4, axis=-1)


def test_registered_functions_come_back() -> None:
    loss = L.as_loss("fourth_power")
    again = deserialize(serialize(loss))
    assert again.function is fourth_power
    assert again.get_config() == loss.get_config()
    with pytest.raises(cr.ArgumentError, match="can't be written as data") as caught:
        serialize(L.as_loss(lambda y_true, y_pred: y_pred))
    assert '@cr.nn.register("loss")' in str(caught.value)


NUMBERS = np.linspace(-2, 2, 12, dtype=np.float32).reshape(4, 3)
CLASSES = np.array([0, 2, 1, 2])


@pytest.mark.parametrize(
    ("loss", "labels"),
    [
        (L.SquaredError(), NUMBERS),
        (L.Huber(), NUMBERS),
        (L.LogCosh(), NUMBERS),
        (L.BinaryCrossentropy(from_logits=True), np.eye(3)[CLASSES]),
        (L.BinaryFocalCrossentropy(from_logits=True), np.eye(3)[CLASSES]),
        (L.CategoricalCrossentropy(from_logits=True), np.eye(3)[CLASSES]),
        (L.SparseCategoricalCrossentropy(from_logits=True), CLASSES),
        (L.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1), CLASSES),
        (L.NegativeLogLikelihood(), np.eye(3)[CLASSES]),
        (L.Hinge(), np.eye(3)[CLASSES]),
        (L.CategoricalHinge(), np.eye(3)[CLASSES]),
        (L.MulticlassHinge(), CLASSES),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Loss) else "",
)
def test_layers_before_a_loss_are_not_masked(loss: Loss, labels: np.ndarray) -> None:
    """A choice that has to be remembered would cost the products of a whole network twice over."""
    x = np.linspace(-1, 1, 20, dtype=np.float32).reshape(4, 5)
    w = np.linspace(1, -1, 15, dtype=np.float32).reshape(5, 3)

    def step(w: Any, x: Any, labels: Any, rows: Any) -> Any:
        return cr.grad(lambda w: loss(labels, np.tanh(x) @ w, rows=rows))(w)

    text = str(cr.jit(step).program(w, x, labels, np.ones(4, np.float32)))
    assert text.count("matmul") == 2
    assert "logical_or" not in text
