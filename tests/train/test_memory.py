"""Large models: calls write the weights into memory that is used again, and nobody else's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr
from chainrule.train.memory import Memory
from chainrule.train.training import Training


@pytest.fixture
def large(monkeypatch):
    """Every model counts as large."""
    monkeypatch.setattr("chainrule.train.training._LARGE_BYTES", 0)
    monkeypatch.setattr("chainrule.train.memory._SMALL_BYTES", 0)


def classifier(optimizer=None):
    model = cr.nn.Sequential([cr.nn.Dense(16, activation="tanh"), cr.nn.Dense(3)])
    model.compile(
        optimizer or cr.optim.SGD(0.1, momentum=0.9),
        cr.nn.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.build((6,), seed=1)
    return model


class EveryBatch(cr.train.Callback):
    """Keeps the live weights after every batch, and copies of them."""

    def __init__(self):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append((self.model.weights, self.model.get_weights()))


def data(rows=60):
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 6)).astype(np.float32), rng.integers(0, 3, rows)


def equal(some, others):
    return all(np.array_equal(a, b) for a, b in zip(some, others, strict=True))


def test_memory_is_never_handed_out_while_somebody_has_it():
    memory = Memory()
    first = memory.like(np.zeros((200, 200)))
    row = first[3]
    place = first.ctypes.data
    del first
    assert memory.like(np.zeros((200, 200))).ctypes.data != place
    del row
    kept = [memory.like(np.zeros((200, 200))) for _ in range(3)]
    assert place in [array.ctypes.data for array in kept]
    assert len({array.ctypes.data for array in kept}) == 3


def test_what_outlives_the_memory_is_whole():
    memory = Memory()
    array = memory.like(np.zeros((200, 200)))
    array[...] = 7
    del memory
    assert np.all(array == 7)


@pytest.mark.parametrize("by_batch", [False, True])
def test_a_large_model_gets_the_same_bits(request, by_batch):
    x, y = data()
    told = [EveryBatch()] if by_batch else None
    small = classifier()
    small.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=told)
    request.getfixturevalue("large")
    model = classifier()
    history = model.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=told)
    assert equal(model.weights, small.weights)
    assert history.history["accuracy"] == small.history.history["accuracy"]


def test_weights_that_a_callback_keeps_stay_as_they_were(large):
    x, y = data()
    model, told = classifier(), EveryBatch()
    first, copies = model.weights, model.get_weights()
    model.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=[told])
    assert len(told.seen) == 16
    assert all(equal(live, copied) for live, copied in told.seen)
    assert equal(first, copies)


def test_ctrl_c_in_the_middle_of_a_call_leaves_the_last_whole_one(large, monkeypatch):
    x, y = data(200_000)  # a call of some tenths of a second
    begun = []
    run = Training.run_steps

    def noted(self, carry, *rest):
        begun.append({path: np.array(value) for path, value in carry.parameters.items()})
        if len(begun) == 2:
            signal.setitimer(signal.ITIMER_REAL, 0.03)
        return run(self, carry, *rest)

    def interrupt(number, frame):
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "run_steps", noted)
    monkeypatch.setattr("chainrule.train.training._Pace.stop", lambda self, step, watched: 1 << 62)
    before = signal.signal(signal.SIGALRM, interrupt)
    model = classifier()
    try:
        history = model.fit(x, y, batch_size=1, epochs=9, verbose=0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert history.stopped == "interrupted"
    now = {path: weight.value for path, weight in model.weights_by_path().items()}
    assert all(np.array_equal(now[path], value) for path, value in begun[-1].items())


def test_a_large_model_that_diverges_keeps_the_same_weights(request):
    x, y = data()

    def kept():
        model = classifier()
        model.compile(cr.optim.SGD(1e6), "mse")
        with pytest.raises(cr.DivergenceError) as caught:
            model.fit(x, np.eye(3)[y], batch_size=4, epochs=9, verbose=0)
        return model.weights, str(caught.value)

    small, text = kept()
    request.getfixturevalue("large")
    weights, same = kept()
    assert equal(weights, small)
    assert same == text
    assert all(np.isfinite(w).all() for w in weights)


MAPPED = """
import numpy as np, sys, chainrule as cr
rows, columns = 300_000, 256  # 307 MB, more than what is searched before a training
x = np.memmap(sys.argv[1], np.float32, "r", shape=(rows, columns))
y = np.arange(rows) % 2

def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

model = cr.nn.Sequential([cr.nn.Dense(8), cr.nn.Dense(2)])
model.compile("sgd", cr.nn.SparseCategoricalCrossentropy(from_logits=True))
seen = []
watch = lambda epoch, logs: seen.append(anonymous())
model.fit(x[:1000], y[:1000], batch_size=500, verbose=0)
before = anonymous()
model.fit(x, y, batch_size=500, verbose=0, callbacks=[watch], validation_data=(x[:999], y[:999]))
print(max(seen) - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_mapped_file_is_never_copied_into_memory(tmp_path):
    file = tmp_path / "x.bin"
    with open(file, "wb") as made:
        made.truncate(300_000 * 256 * 4)  # without a byte on the disk
    done = subprocess.run(
        [sys.executable, "-c", MAPPED, str(file)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")},
    )
    assert int(done.stdout) < 60_000  # kB
