"""Batches from iterables: the same training as from arrays, never more of it in memory."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule.train import source


def data(rows=53):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 5)), rng.integers(0, 3, rows)


def network():
    model = cr.nn.Sequential([cr.nn.Dense(7, activation="tanh"), cr.nn.Dense(3)])
    model.compile(
        "adam", cr.nn.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    return model


class Batches:
    """Can be gone through again and again."""

    def __init__(self, x, y, size):
        self.x, self.y, self.size = x, y, size
        self.threads = set()

    def __iter__(self):
        for start in range(0, len(self.x), self.size):
            self.threads.add(threading.current_thread().name)
            yield self.x[start : start + self.size], self.y[start : start + self.size]


@pytest.mark.parametrize("length", [1, 3, 256])
def test_a_stream_trains_as_arrays_do(monkeypatch, length):
    monkeypatch.setattr(source, "_CHUNK_BATCHES", length)
    x, y = data()
    arrays, stream = network(), network()
    first = arrays.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    batches = Batches(x, y, 8)
    second = stream.fit(batches, epochs=3, verbose=0, validation_data=Batches(x, y, 8))
    for a, b in zip(arrays.get_weights(), stream.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert first.history["loss"] == second.history["loss"]
    found = stream.evaluate(x, y)
    assert second.history["val_loss"][-1] == pytest.approx(found["loss"], rel=1e-6)
    assert stream.evaluate(batches)["accuracy"] == found["accuracy"]
    assert any(name.startswith("chainrule-prefetch") for name in batches.threads)


class Counting(cr.nn.Layer):
    """Counts how often it is called, which under a compiler is how often it is traced."""

    def __init__(self):
        super().__init__()
        self.calls = 0

    def call(self, x):
        self.calls += 1
        return x


def test_all_lengths_of_the_last_batch_share_one_program():
    counting = Counting()
    model = cr.nn.Sequential([counting, cr.nn.Dense(3)])
    model.compile("sgd", cr.nn.SparseCategoricalCrossentropy(from_logits=True))
    x, y = data(31)
    model.fit(Batches(x, y, 8), verbose=0)
    traced = counting.calls
    for rows in (16, 17, 23):
        model.fit(Batches(x[:rows], y[:rows], 8), verbose=0)
        model.predict(x[:rows])
    # One more call for the shapes at each fit, and the one program of predict.
    assert counting.calls <= traced + 2 * 3 + 2


def test_a_list_of_batches_and_weights():
    x, y = data(16)
    weights = np.linspace(0, 2, 16)
    one, other = network(), network()
    one.fit([(x[:8], y[:8], weights[:8]), (x[8:], y[8:], weights[8:])], verbose=0)
    other.fit(x, y, sample_weight=weights, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_an_iterator_goes_on_from_epoch_to_epoch():
    x, y = data(48)
    one, other = network(), network()
    one.fit(iter(Batches(x, y, 8)), epochs=3, steps_per_epoch=2, verbose=0)
    other.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def message(call, kind=cr.ChainruleError):
    with pytest.raises(kind) as error:
        call()
    return str(error.value)


def test_what_can_be_wrong_with_a_stream():
    x, y = data(20)
    fit = network().fit
    assert "steps_per_epoch" in message(lambda: fit(iter(Batches(x, y, 8)), verbose=0))
    assert "no batches" in message(lambda: fit(Batches(x[:0], y[:0], 8), verbose=0))
    assert "larger" in message(lambda: fit([(x[:4], y[:4]), (x[4:], y[4:])], verbose=0))
    assert "came to an end" in message(
        lambda: fit(iter(Batches(x, y, 8)), epochs=2, steps_per_epoch=3, verbose=0)
    )
    assert "validation_data" in message(
        lambda: fit(Batches(x, y, 8), validation_split=0.1, verbose=0)
    )
    assert "a batch is" in message(lambda: fit((x for _ in range(3)), steps_per_epoch=1, verbose=0))


def test_an_error_of_the_users_comes_through():
    x, y = data(40)

    def broken():
        yield x[:8], y[:8]
        raise OSError("the disk is gone")

    assert "disk is gone" in message(
        lambda: network().fit(broken(), steps_per_epoch=4, verbose=0), OSError
    )


def test_a_wrong_label_in_a_later_batch_is_found():
    x, y = data(40)
    y[33] = 7
    assert "7" in message(lambda: network().fit(Batches(x, y, 8), verbose=0))
