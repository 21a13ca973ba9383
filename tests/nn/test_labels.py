"""Labels that don't fit are refused before training: who expects what, where, and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.nn import labels as checks
from chainrule.nn import losses as L

TEN = (None, 10)
ONE = (None, 1)


def text_of(loss: Any, labels: Any, output: Any, error: type[Exception]) -> str:
    with pytest.raises(error) as caught:
        loss.check(labels, output)
    return str(caught.value)


def test_one_hot_where_whole_numbers_belong() -> None:
    text = text_of(L.SparseCategoricalCrossentropy(), np.eye(10)[[3, 4]], TEN, cr.ShapeError)
    assert "SparseCategoricalCrossentropy expects whole-number labels of shape (n,)" in text
    assert "got one-hot (n, 10)" in text
    assert "use CategoricalCrossentropy" in text
    text = text_of(L.MulticlassHinge(), np.eye(10)[[3, 4]], TEN, cr.ShapeError)
    assert "use CategoricalHinge" in text


def test_whole_numbers_where_one_hot_belongs() -> None:
    text = text_of(L.CategoricalCrossentropy(), np.array([3, 4]), TEN, cr.ShapeError)
    assert "expects one-hot labels of shape (n, 10), got whole numbers (n,)" in text
    assert "use SparseCategoricalCrossentropy" in text


def test_first_label_that_is_no_class() -> None:
    labels = np.zeros(200_000, int)
    labels[150_001] = 10
    text = text_of(L.SparseCategoricalCrossentropy(), labels, TEN, cr.ArgumentError)
    assert "10 in row 150001" in text
    assert "whole numbers 0 … 9" in text
    assert "-1 in row 1" in text_of(L.MulticlassHinge(), np.array([0, -1]), TEN, cr.ArgumentError)
    assert "0.5 in row 1" in text_of(
        L.SparseCategoricalCrossentropy(), np.array([0.0, 0.5]), TEN, cr.ArgumentError
    )
    assert "nan in row 0" in text_of(
        L.SparseCategoricalCrossentropy(), np.array([np.nan, 0]), TEN, cr.ArgumentError
    )


def test_classes_that_start_at_one() -> None:
    labels = np.arange(1, 11)
    text = text_of(L.SparseCategoricalCrossentropy(), labels, TEN, cr.ArgumentError)
    assert "they seem to start at 1: subtract 1" in text


def test_ignored_class_is_allowed() -> None:
    L.SparseCategoricalCrossentropy(ignore_class=255).check(np.array([0, 255]), TEN)
    L.SparseCategoricalCrossentropy(axis=1).check(np.zeros((2, 5, 5), int), (None, 3, 5, 5))


def test_one_unit_for_several_classes() -> None:
    text = text_of(L.SparseCategoricalCrossentropy(), np.array([0, 1]), ONE, cr.ShapeError)
    assert "needs one unit per class in the last layer" in text
    assert "BinaryCrossentropy" in text


def test_binary_labels() -> None:
    L.BinaryCrossentropy().check(np.array([0, 1, 0.25]), ONE)
    text = text_of(L.BinaryCrossentropy(), np.array([0, 2]), ONE, cr.ArgumentError)
    assert "expects labels in [0, 1]" in text
    assert "2 in row 1" in text
    text = text_of(L.BinaryCrossentropy(), np.array([1, -1]), ONE, cr.ArgumentError)
    assert "NegativeLogLikelihood(labels=(-1, 1))" in text
    text = text_of(L.NegativeLogLikelihood(), np.array([[0], [-1]]), ONE, cr.ArgumentError)
    assert "expects labels 0 or 1" in text
    assert "-1 in row 1, column 0" in text
    assert "NegativeLogLikelihood(labels=(-1, 1))" in text
    text = text_of(L.Hinge(), np.array([0, 3]), ONE, cr.ArgumentError)
    assert "expects labels -1 or 0 or 1" in text
    assert "MulticlassHinge" in text


def test_shape_against_the_output() -> None:
    text = text_of(L.BinaryCrossentropy(), np.array([0, 1]), (None, 2), cr.ShapeError)
    assert "expects labels of the output's shape (n, 2), got (n,)" in text
    assert "SparseCategoricalCrossentropy" in text
    text = text_of(L.MeanSquaredError(), np.zeros((4, 3)), (None, 2), cr.ShapeError)
    assert "the last layer needs 3 units, or the labels 2 columns" in text
    for labels in (np.zeros(4), np.zeros((4, 1))):
        for output in ((None,), (None, 1)):
            L.MeanSquaredError().check(labels, output)


def test_nan_and_infinity_are_placed() -> None:
    labels = np.zeros((5, 3))
    labels[2, 1] = np.nan
    text = text_of(L.MeanSquaredError(), labels, (None, 3), cr.ArgumentError)
    assert "the labels hold nan" in text
    assert "row 2, column 1" in text
    labels[2, 1] = np.inf
    assert "hold inf" in text_of(L.Huber(), labels, (None, 3), cr.ArgumentError)
    image = np.zeros((2, 3, 3, 1))
    image[1, 2, 0, 0] = np.nan
    text = text_of(L.MeanSquaredError(), image, (None, 3, 3, 1), cr.ArgumentError)
    assert "row 1, entry (2, 0, 0)" in text


def test_probabilities_and_counts() -> None:
    hot = np.array([[0.5, 0.6], [1.5, 0.0]])
    assert "1.5 in row 1, column 0" in text_of(
        L.CategoricalCrossentropy(), hot, (None, 2), cr.ArgumentError
    )
    assert "1.5" in text_of(L.KLDivergence(), hot, (None, 2), cr.ArgumentError)
    for loss in (L.Poisson(), L.MeanSquaredLogarithmicError()):
        assert "expects labels ≥ 0" in text_of(loss, np.array([1.0, -1.0]), ONE, cr.ArgumentError)


def test_text_labels() -> None:
    labels = np.array(["cat", "dog"])
    for loss, output in ((L.SparseCategoricalCrossentropy(), TEN), (L.MeanSquaredError(), ONE)):
        text = text_of(loss, labels, output, cr.DtypeError)
        assert "the labels have to be numbers" in text
        assert "np.unique(labels, return_inverse=True)" in text


def test_known_labels_are_checked_where_a_loss_is_called() -> None:
    loss = L.SparseCategoricalCrossentropy(from_logits=True)
    with pytest.raises(cr.ArgumentError, match="isn't a class"):
        loss(np.array([0, 3]), np.zeros((2, 3)))
    with pytest.raises(cr.ArgumentError, match="isn't a class"):
        cr.grad(lambda p: loss([0, 3], p))(np.zeros((2, 3)))


def test_memory_mapped_labels_are_read_in_parts(tmp_path: Path) -> None:
    path = tmp_path / "labels.npy"
    np.save(path, np.arange(300_000) % 10)
    mapped = np.load(path, mmap_mode="r")
    L.SparseCategoricalCrossentropy().check(mapped, TEN)
    assert checks.first_place(mapped, lambda part: part == 7) == (7,)


def test_no_labels_at_all() -> None:
    for loss in (L.SparseCategoricalCrossentropy(), L.MulticlassHinge()):
        loss.check(np.zeros(0, int), TEN)
    L.MeanSquaredError().check(np.zeros((0, 10)), TEN)
