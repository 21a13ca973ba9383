"""The sets of points, and the features computed of them."""

import numpy as np
import pytest

from chainrule import ArgumentError
from chainrule.show.play import dataset, features
from chainrule.show.play.data import FEATURES, KINDS, POINTS


@pytest.mark.parametrize("name", KINDS)
def test_a_set_has_points_and_labels_of_its_kind(name):
    points, labels = dataset(name)
    assert points.shape == (POINTS, 2)
    assert points.dtype == np.float32
    assert np.all(np.abs(points) <= 3.3)
    if KINDS[name].classes:
        counts = np.bincount(labels, minlength=KINDS[name].classes)
        assert len(counts) == KINDS[name].classes
        assert counts.min() > POINTS / KINDS[name].classes / 2
    else:
        assert labels.shape == (POINTS, 1)
        assert np.all(np.abs(labels) <= 1)


def test_the_seed_decides_and_noise_moves_the_same_points():
    points, labels = dataset("spiral", 0.0, seed=3)
    again, _ = dataset("spiral", 0.0, seed=3)
    noisy, noisy_labels = dataset("spiral", 0.1, seed=3)
    other, _ = dataset("spiral", 0.0, seed=4)
    assert np.array_equal(points, again)
    assert not np.array_equal(points, other)
    assert np.array_equal(labels, noisy_labels)
    spread = np.std(noisy - points)
    assert 0.25 < spread < 0.35  # 0.1 of a half width of 3


def test_a_circle_can_be_told_apart_by_its_radius_and_xor_by_its_signs():
    points, labels = dataset("circle")
    assert np.array_equal(np.hypot(*points.T) > 1.5, labels == 1)
    points, labels = dataset("xor")
    assert np.array_equal(points[:, 0] * points[:, 1] < 0, labels == 1)


def test_features_are_what_their_names_say():
    x, y = np.float32(0.5), np.float32(-2)
    row = features(np.array([[x, y]]), FEATURES)[0]
    expected = [x, y, x * x, y * y, 2**0.5 * x * y, np.sin(x), np.sin(y)]
    np.testing.assert_allclose(row, expected, rtol=1e-6)
    assert row.dtype == np.float32


def test_unknown_names_are_refused():
    with pytest.raises(ArgumentError, match="no such set of points"):
        dataset("sprial")
    with pytest.raises(ArgumentError, match="no such feature"):
        features(np.zeros((1, 2)), ["z"])
    with pytest.raises(ArgumentError, match="needs an input"):
        features(np.zeros((1, 2)), [])
