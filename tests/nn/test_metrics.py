"""Metrics: pure and compiled, exact over long epochs, blind to rows that don't count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.registry import deserialize, register, serialize
from chainrule.nn import losses as L
from chainrule.nn import metrics as M

ROWS, CLASSES = 8, 3
_random = np.random.default_rng(4)
LOGITS = _random.standard_normal((ROWS, CLASSES)).astype("f4")
CHANCES = _random.random((ROWS, CLASSES)).astype("f4")
PROBABILITIES = (CHANCES / CHANCES.sum(axis=1, keepdims=True)).astype("f4")
NUMBERS = _random.standard_normal((ROWS, CLASSES)).astype("f4")
CLASS = _random.integers(0, CLASSES, ROWS)
HOT = np.eye(CLASSES, dtype="f4")[CLASS]
BITS = _random.integers(0, 2, (ROWS, CLASSES))

CASES = [
    (M.Accuracy(), BITS, np.round(CHANCES)),
    (M.BinaryAccuracy(), BITS, CHANCES),
    (M.CategoricalAccuracy(), HOT, LOGITS),
    (M.SparseCategoricalAccuracy(), CLASS, LOGITS),
    (M.TopKCategoricalAccuracy(2), HOT, LOGITS),
    (M.SparseTopKCategoricalAccuracy(2), CLASS, LOGITS),
    (M.MeanSquaredError(), NUMBERS, LOGITS),
    (M.RootMeanSquaredError(), NUMBERS, LOGITS),
    (M.MeanAbsoluteError(), NUMBERS, LOGITS),
    (M.CosineSimilarity(), NUMBERS, LOGITS),
    (M.LogCosh(), NUMBERS, LOGITS),
    (M.KLDivergence(), PROBABILITIES, PROBABILITIES[::-1].copy()),
    (M.R2Score(), NUMBERS, LOGITS),
    (M.R2Score(None, 1), NUMBERS, LOGITS),
    (M.Precision(), BITS, CHANCES),
    (M.Precision([0.2, 0.6]), BITS, CHANCES),
    (M.Recall(top_k=2), BITS, CHANCES),
    (M.Recall(class_id=1), BITS, CHANCES),
    (M.F1Score(), HOT, PROBABILITIES),
    (M.FBetaScore("micro", 2.0, 0.4), BITS, CHANCES),
    (M.AUC(20), BITS, CHANCES),
    (M.AUC(20, "PR"), BITS, CHANCES),
    (M.AUC(20, multi_label=True, from_logits=True), BITS, LOGITS),
    (M.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1), CLASS, LOGITS),
    (M.LossMetric(L.MulticlassHinge()), CLASS, LOGITS),
]


def name_of(value: Any) -> str | None:
    return value.name if isinstance(value, M.Metric) else None


@pytest.mark.parametrize(("metric", "labels", "predictions"), CASES, ids=name_of)
def test_batches_with_rows_that_do_not_count(
    metric: M.Metric, labels: np.ndarray, predictions: np.ndarray
) -> None:
    """In one go, in batches, and in compiled batches filled up with NaN: the same."""
    metric.build(predictions.shape)
    whole = metric.result(metric.update(metric.init(), labels, predictions))

    filled = np.concatenate([predictions, np.full_like(predictions[:2], np.nan)])
    more = np.concatenate([labels, labels[:2]])
    counts = (np.arange(ROWS + 2) < ROWS).astype("f4")
    for update in (metric.update, cr.jit(metric.update)):
        state = metric.init()
        for part in (slice(0, 5), slice(5, 10)):
            with np.errstate(invalid="ignore"):
                state = update(state, more[part], filled[part], counts[part])
            assert all(array.dtype == np.float64 for array in state.values())
        np.testing.assert_allclose(metric.result(state), whole, rtol=2e-6)
        np.testing.assert_allclose(cr.jit(metric.result)(state), metric.result(state))


@pytest.mark.parametrize(("metric", "labels", "predictions"), CASES, ids=name_of)
def test_whole_weights_are_repetitions(
    metric: M.Metric, labels: np.ndarray, predictions: np.ndarray
) -> None:
    if isinstance(metric, M.R2Score) and metric.num_regressors:
        metric = M.R2Score(None)  # the adjustment counts samples, not weights
    metric.build(predictions.shape)
    weights = np.arange(ROWS) % 3
    again = np.repeat(np.arange(ROWS), weights)
    weighted = metric.update(metric.init(), labels, predictions, weights)
    repeated = metric.update(metric.init(), labels[again], predictions[again])
    np.testing.assert_allclose(metric.result(weighted), metric.result(repeated), rtol=1e-6)


@pytest.mark.parametrize(("metric", "labels", "predictions"), CASES, ids=name_of)
def test_configs_come_back(metric: M.Metric, labels: np.ndarray, predictions: np.ndarray) -> None:
    again = deserialize(serialize(metric), "metric")
    assert type(again) is type(metric)
    assert again.get_config() == metric.get_config()
    assert again.name == metric.name
    np.testing.assert_array_equal(again(labels, predictions), metric(labels, predictions))
    metric.reset_state()


def test_nothing_seen_yet_is_zero() -> None:
    for metric, _, predictions in CASES:
        metric.build(predictions.shape)
        assert not np.any(metric.result(metric.init()))


def test_long_epochs_count_every_sample() -> None:
    """In float32 a count stops at 2²⁴."""
    metric = M.BinaryAccuracy()
    state = {"total": np.array(2.0**24), "count": np.array(2.0**24)}
    state = cr.jit(metric.update)(state, np.ones((1, 1), "f4"), np.ones((1, 1), "f4"))
    assert state["total"] == state["count"] == 2.0**24 + 1


def test_stateful_shell() -> None:
    metric = M.Mean(name="loss")
    metric.update_state([1.0, 3.0])
    metric.update_state(8.0, sample_weight=2.0)
    assert metric.result() == 5.0
    metric.reset_state()
    assert metric.result() == 0.0
    assert M.Mean(dtype="float32")([1.0]).dtype == np.float32


def test_ties_and_infinities_in_top_k() -> None:
    scores = np.array([[1.0, 1.0, 0.0], [np.nan, 1.0, 0.0]])
    assert M.SparseTopKCategoricalAccuracy(1)(np.array([1, 0]), scores) == 0.5


def test_r2_of_constant_labels() -> None:
    assert M.R2Score()(np.ones((3, 1)), np.zeros((3, 1))) == 0.0


def test_signs_are_understood() -> None:
    """Labels −1 and 1 are told apart like 0 and 1."""
    signs, scores = np.array([[-1], [1], [1], [-1]]), np.array([[-2.0], [3.0], [-1.0], [0.5]])
    assert M.BinaryAccuracy(threshold=0)(signs, scores) == 0.5
    chances = 1 / (1 + np.exp(-scores))
    assert M.Precision()(signs, chances) == 0.5
    assert M.Recall()(signs, chances) == 0.5


# ---- metrics= ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "labels", "output", "kind"),
    [
        (None, (9,), (None, 1), M.BinaryAccuracy),
        (None, (9, 1), (None, 1), M.BinaryAccuracy),
        (None, (9,), (None, 4), M.SparseCategoricalAccuracy),
        (None, (9, 1), (None, 4), M.SparseCategoricalAccuracy),
        (None, (9, 4), (None, 4), M.CategoricalAccuracy),
        (None, None, (None, 4), M.SparseCategoricalAccuracy),
        (L.MeanSquaredError(), (9, 4), (None, 4), M.CategoricalAccuracy),
        (L.BinaryCrossentropy(), (9, 4), (None, 4), M.BinaryAccuracy),
        (L.SparseCategoricalCrossentropy(), (9,), (None, 4), M.SparseCategoricalAccuracy),
        (L.CategoricalCrossentropy(), (9, 4), (None, 4), M.CategoricalAccuracy),
        (L.MulticlassHinge(), (9,), (None, 4), M.SparseCategoricalAccuracy),
    ],
)
def test_accuracy_suits_loss_and_shapes(loss: Any, labels: Any, output: Any, kind: Any) -> None:
    for name in ("accuracy", "acc"):
        metric = M.resolve(name, loss, labels, output)
        assert type(metric) is kind
        assert metric.name == name


def test_threshold_of_accuracy_suits_the_loss() -> None:
    def threshold(loss: Any) -> float:
        metric = M.resolve("accuracy", loss, (9,), (None, 1))
        assert isinstance(metric, M.BinaryAccuracy)
        return metric.threshold

    assert threshold(L.BinaryCrossentropy()) == 0.5
    assert threshold(L.BinaryCrossentropy(from_logits=True)) == 0.0
    assert threshold(L.NegativeLogLikelihood()) == 0.0
    assert threshold(L.Hinge()) == 0.0
    assert threshold(L.MeanSquaredError()) == 0.5


@register("metric")
def fifth_power(y_true: Any, y_pred: Any) -> Any:
    return np.mean(np.abs(y_true - y_pred) ** 5, axis=-1)


def test_what_metrics_may_hold() -> None:
    def largest(y_true: Any, y_pred: Any) -> Any:
        return np.max(np.abs(y_true - y_pred), axis=-1)

    assert type(M.resolve("mse")) is M.MeanSquaredError
    assert M.resolve("mse").name == "mse"
    assert M.resolve("huber").name == "huber"
    assert M.resolve(lambda y_true, y_pred: y_pred).name == "lambda"
    assert type(M.resolve(M.AUC)) is M.AUC
    auc = M.AUC()
    assert M.resolve(auc) is auc
    assert type(M.resolve({"class_name": "Recall", "config": {"top_k": 2}})) is M.Recall
    assert M.resolve(L.Huber()).name == "huber_loss"
    metric = M.resolve(largest)
    assert metric.name == "largest"
    assert metric(np.zeros((2, 2)), np.array([[1.0, 2.0], [0.0, 4.0]])) == 3.0
    assert metric.output_shape is not None
    assert isinstance(M.resolve("multiclass_hinge"), M.LossMetric)
    again = deserialize(serialize(M.resolve(fifth_power)))
    assert again.function is fifth_power
    whole = M.resolve(lambda y_true, y_pred: np.mean(y_pred))
    whole.update_state(np.zeros((1, 1)), np.array([[3.0]]))
    whole.update_state(np.zeros((3, 1)), np.ones((3, 1)))
    assert whole.result() == 1.5
    sparse = M.resolve("ce", L.SparseCategoricalCrossentropy(True), (9,), (None, 4))
    assert sparse.get_config()["from_logits"] is True


def test_messages() -> None:
    with pytest.raises(cr.ArgumentError, match="did you mean 'precision'"):
        M.resolve("precison")
    with pytest.raises(cr.ArgumentError, match="needs to know the shape"):
        M.R2Score().init()
    with pytest.raises(cr.ArgumentError, match=r"F1Score\(threshold=0.5\)"):
        M.F1Score()(np.array([0, 1]), np.array([0.1, 0.9]))
    with pytest.raises(cr.ShapeError, match="predictions of shape"):
        M.F1Score()(np.zeros((2, 3, 4)), np.zeros((2, 3, 4)))
    with pytest.raises(cr.ShapeError, match="labels and predictions differ in shape"):
        M.Precision()(np.array([0, 1]), np.zeros((2, 3)))
    for make in (
        lambda: M.AUC(curve="DET"),
        lambda: M.AUC(num_thresholds=1),
        lambda: M.AUC(num_labels=3),
        lambda: M.Precision(1.5),
        lambda: M.R2Score("median"),
        lambda: M.F1Score("mean"),
        lambda: M.FBetaScore(beta=0.0),
    ):
        with pytest.raises(cr.ArgumentError):
            make()


@pytest.mark.parametrize("name", ["crossentropy", "sparse_categorical_crossentropy"])
def test_a_metric_by_name_reads_logits_where_the_loss_does(name):
    random = np.random.default_rng(0)
    scores, labels = random.normal(size=(6, 4)), np.arange(6) % 4
    loss = L.SparseCategoricalCrossentropy(from_logits=True)
    metric = M.resolve(name, loss, (None,), (None, 4))
    metric.update_state(labels, scores)
    assert metric.name == name
    np.testing.assert_allclose(metric.result(), loss(labels, scores), rtol=1e-6)


def test_the_binary_accuracy_by_name_reads_logits_where_the_loss_does():
    loss = L.BinaryCrossentropy(from_logits=True)
    for given, right in ((loss, 1.0), (L.BinaryCrossentropy(), 0.5)):
        metric = M.resolve("binary_accuracy", given, (None, 1), (None, 1))
        metric.update_state(np.array([[1], [0]]), np.array([[0.2], [-0.2]]))
        assert metric.result() == right
