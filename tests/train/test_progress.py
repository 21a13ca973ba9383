"""What is seen of a training, and that nobody looks at it more often than it is worth."""

from __future__ import annotations

import io
import os
import re
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.train.training import Training

X = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)
Y = np.arange(400) % 3


def classifier():
    model = cr.nn.Sequential([cr.nn.Dense(4, activation="relu"), cr.nn.Dense(3)])
    loss = cr.nn.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_a_bar_with_numbers_rate_and_time_left(monkeypatch):
    ours, theirs = os.openpty()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr("chainrule.train.training._WATCHED_SECONDS", 1e-9)  # look at each step

    def slowly(epoch, logs):
        model.progress(f"a word after epoch {epoch}")

    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        model = classifier()
        model.fit(X, Y, batch_size=4, epochs=2, validation_split=0.1, callbacks=[slowly])
        model.summary()
        monkeypatch.undo()
        shown = b""
        os.set_blocking(ours, False)
        terminal.flush()
        while True:
            try:
                shown += os.read(ours, 1 << 16)
            except BlockingIOError:
                break
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    assert "━" in text
    assert re.search(r"\d+/90", text)
    assert re.search(r"[\d,]+ steps/s", text)
    assert re.search(r"\d:\d\d|--:--", text)
    assert re.search(r"loss \d\.\d{4}  accuracy \d\.\d{4}", text)
    assert re.search(r"epoch 2/2  loss .* val_loss .* val_accuracy .* s\r", text)
    assert "a word after epoch 1" in text


def test_an_epoch_nobody_watches_is_one_native_call(monkeypatch):
    calls = []
    steps = Training.run_steps

    def counted(self, carry, chunk, start, stop, key):
        calls.append((start, int(stop)))
        return steps(self, carry, chunk, start, stop, key)

    monkeypatch.setattr(Training, "run_steps", counted)
    model = classifier()
    model.fit(X, Y, batch_size=1, epochs=4, verbose=0)
    # The first calls learn how long a step takes.
    assert calls[-2:] == [(0, 400), (0, 400)]
    assert len(calls) <= 6


def test_a_summary_has_shapes_and_numbers_of_weights():
    model = cr.nn.Sequential(
        [
            cr.nn.Input((8, 8, 3)),
            cr.nn.Conv2D(4, 3, name="look"),
            cr.nn.BatchNormalization(),
            cr.nn.Flatten(),
            cr.nn.Dense(10, trainable=False),
        ]
    )
    text = io.StringIO()
    model.build()
    model.summary(print_fn=text.write)
    rows = text.getvalue().splitlines()
    look = next(row for row in rows if "look" in row)
    assert look.split() == ["look", "Conv2D", "(batch,", "6,", "6,", "4)", "112"]
    assert "1,578 weights, 120 of them trained; 6.3 kB" in rows[-1]
