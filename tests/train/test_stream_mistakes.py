"""Streams that change, end, wait or fail midway."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import chainrule as cr

_RNG = np.random.default_rng(0)
X = _RNG.normal(size=(320, 6)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)
ROWS = 32


class Stream:
    """Ten batches, anew for every epoch; one of them may be changed."""

    def __init__(self, change=None, at=5, count=10):
        self.change, self.at, self.count = change, at, count

    def __iter__(self):
        for i in range(self.count):
            batch = X[i * ROWS : (i + 1) * ROWS], Y[i * ROWS : (i + 1) * ROWS]
            yield self.change(*batch) if self.change is not None and i == self.at else batch


def network(rate="adam"):
    model = cr.nn.Sequential([cr.nn.Dense(8, activation="relu"), cr.nn.Dense(2)])
    model.compile(rate, cr.nn.SparseCategoricalCrossentropy(from_logits=True))
    return model


def weights_after(stream, **options):
    model = network()
    model.fit(stream, epochs=2, verbose=0, **options)
    return model.get_weights()


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (lambda x, y: (x[:, :5], y), cr.ShapeError, ["another shape", "float32[32, 5]"]),
        (lambda x, y: (x, y + 0.5), cr.DtypeError, ["can't hold", "y[0]", "float64[32]"]),
        (lambda x, y: (x, y, np.ones(ROWS)), cr.ArgumentError, ["x, y, sample_weight"]),
        (lambda x, y: ({"a": x}, y), cr.ArgumentError, ["other arrays", "x['a'], y"]),
        (lambda x, y: (x, y[:31]), cr.ShapeError, ["different numbers of rows"]),
        (lambda x, y: (x, y + 5), cr.ArgumentError, ["isn't a class of the output"]),
        (lambda x, y: (x[:0], y[:0]), cr.ShapeError, ["no rows"]),
        (lambda x, y: x, cr.ArgumentError, ["a batch is (x, y)"]),
    ],
)
def test_a_batch_of_another_kind_is_named(change, kind, words):
    with pytest.raises(kind) as caught:
        network().fit(Stream(change), epochs=2, verbose=0)
    message = str(caught.value)
    for word in ("batch:", " 5\n", "test_stream_mistakes.py", *words):
        assert word in message


@pytest.mark.parametrize(
    "change",
    [
        lambda x, y: (x.astype(np.float64), y),
        lambda x, y: (x, y.astype(np.float64)),
        lambda x, y: (x, y.astype(np.int8)),
        lambda x, y: [x.tolist(), y.tolist()],
    ],
)
def test_the_same_numbers_in_another_type_are_the_same_batch(change):
    for one, other in zip(weights_after(Stream(change)), weights_after(Stream()), strict=True):
        assert np.array_equal(one, other)


def test_an_epoch_that_has_fewer_batches_than_it_should():
    with pytest.raises(cr.ArgumentError, match="came to an end within an epoch"):
        network().fit(Stream(count=5), steps_per_epoch=10, verbose=0)

    class Spent(Stream):
        left = 3  # the first look at it, and two epochs

        def __iter__(self):
            self.left -= 1
            return super().__iter__() if self.left >= 0 else iter(())

    with pytest.raises(cr.ArgumentError) as caught:
        network().fit(Spent(), epochs=3, verbose=0)
    assert "an epoch has no batches" in str(caught.value)
    assert "epoch:   2" in str(caught.value)


def test_training_goes_on_while_a_slow_stream_makes_the_next_batch():
    """The second batch is made only once the first one has been trained on."""
    trained = threading.Event()

    def slow():
        yield X[:ROWS], Y[:ROWS]
        assert trained.wait(60), "the first batch waits for the second"
        yield X[ROWS : 2 * ROWS], Y[ROWS : 2 * ROWS]

    class Tell(cr.train.Callback):
        def on_train_batch_end(self, batch, logs=None):
            trained.set()

    history = network().fit(slow(), steps_per_epoch=2, callbacks=[Tell()], verbose=0)
    assert history.epoch == [0]


def test_ctrl_c_waits_for_a_batch_and_not_for_all_of_them():
    made = []

    def endless():
        while True:
            made.append(len(made))
            yield X[:ROWS], Y[:ROWS]

    class Stop(cr.train.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model = network()
    model.fit(endless(), steps_per_epoch=10**6, callbacks=[Stop()], verbose=0)
    assert model.history.stopped == "interrupted"
    assert len(made) < 10**4


@pytest.mark.parametrize("cut", [40, 100, 160])
def test_single_samples_in_blocks_resume_to_the_same_bits(tmp_path, cut):
    """Where the chunks of a stream end depends on time; what is computed doesn't."""
    wide = np.random.default_rng(1).normal(size=(200, 1024)).astype(np.float32)
    sign = (wide[:, 0] > 0).astype(np.int64)

    class Samples:
        def __iter__(self):
            return ((wide[i : i + 1], sign[i : i + 1]) for i in range(len(wide)))

    class Cut(cr.train.Callback):
        def __init__(self, at):
            self.at = at

        def every_steps(self):
            return 20

        def on_steps(self, epoch, step, training):
            if (epoch, step) == (1, self.at):
                raise RuntimeError("the lights go out")

    def model():
        made = cr.models.mlp([64, 2], activation="sigmoid")
        made.compile(cr.optim.SGD(0.05), cr.nn.SparseCategoricalCrossentropy(from_logits=True))
        return made

    def fit(made, folder, at):
        keep = cr.train.BackupAndRestore(tmp_path / folder, save_freq=20)
        made.fit(Samples(), epochs=2, callbacks=[keep, Cut(at)], verbose=0, seed=3)

    whole, resumed = model(), model()
    fit(whole, "whole", None)
    with pytest.raises(RuntimeError, match="lights"):
        fit(model(), "cut", cut)
    fit(resumed, "cut", None)
    for one, other in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        assert np.array_equal(one, other)
