"""What callbacks are told, and what they do."""

from __future__ import annotations

import csv

import numpy as np
import pytest

import chainrule as cr


def regression(rate=0.1):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3))
    model = cr.nn.Sequential([cr.nn.Dense(1)])
    model.compile(cr.optim.SGD(rate), "mse")
    return model, x, x @ np.array([[1.0], [2.0], [3.0]])


class Scripted(cr.train.Callback):
    """Overwrites a number of each epoch, to steer what watches it."""

    def __init__(self, name, values):
        self.name, self.values = name, values

    def on_epoch_end(self, epoch, logs=None):
        logs[self.name] = self.values[epoch]


def test_early_stopping_waits_and_gives_the_best_weights_back():
    model, x, y = regression()
    kept = []
    values = [5, 4, 3, 3.5, 3.2, 3.1, 0]
    history = model.fit(
        x,
        y,
        epochs=7,
        verbose=0,
        callbacks=[
            Scripted("score", values),
            lambda epoch, logs: kept.append(model.get_weights()),
            cr.train.EarlyStopping(monitor="score", patience=3),
        ],
    )
    assert history.epoch == [0, 1, 2, 3, 4, 5]
    assert history.stopped == "score has not become better for 3 epochs"
    for a, b in zip(model.get_weights(), kept[2], strict=True):
        assert np.array_equal(a, b)


def test_early_stopping_can_leave_the_last_weights():
    model, x, y = regression()
    stop = cr.train.EarlyStopping("score", patience=1, mode="max", restore_best_weights=False)
    kept = []
    model.fit(
        x,
        y,
        epochs=5,
        verbose=0,
        callbacks=[Scripted("score", [1, 2, 1, 3, 4]), stop, lambda *_: kept.append(model.weights)],
    )
    assert len(kept) == 3
    assert np.array_equal(model.get_weights()[0], kept[-1][0])


def test_the_best_weights_survive_ctrl_c():
    model, x, y = regression()
    kept = []

    def interrupt(epoch, logs):
        kept.append(model.get_weights())
        if epoch == 3:
            raise KeyboardInterrupt

    stop = cr.train.EarlyStopping(monitor="score", patience=9)
    watch = [Scripted("score", [3, 1, 2, 2]), stop, interrupt]
    history = model.fit(x, y, epochs=9, verbose=0, callbacks=watch)
    assert history.stopped == "interrupted"
    assert np.array_equal(model.get_weights()[0], kept[1][0])


def test_a_number_that_is_not_there_is_named():
    model, x, y = regression()
    with pytest.raises(cr.ArgumentError) as error:
        model.fit(x, y, verbose=0, callbacks=[cr.train.EarlyStopping()])
    assert "'val_loss'" in str(error.value)
    assert "validation_split" in str(error.value)


def test_the_rate_falls_on_a_plateau_and_recompiles_nothing():
    model, x, y = regression()
    values = [5, 4, 4, 4, 4, 4, 4]
    lower = cr.train.ReduceLROnPlateau("score", factor=0.5, patience=2, cooldown=1, min_lr=0.03)
    watch = [Scripted("score", values), lower]
    history = model.fit(x, y, epochs=7, verbose=0, callbacks=watch)
    assert history.history["learning_rate"] == [0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05]
    assert len([key for key in model.compiled._made if key[0] == "train"]) == 1


def test_a_schedule_of_epochs():
    model, x, y = regression()
    scheduler = cr.train.LearningRateScheduler(lambda epoch, rate: rate / (epoch + 1))
    history = model.fit(x, y, epochs=3, verbose=0, callbacks=[scheduler])
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.05, 0.1 / 6])


def test_a_rate_that_is_a_schedule_cannot_be_set_from_outside():
    model, x, y = regression(cr.optim.ExponentialDecay(0.1, 10, 0.9))
    with pytest.raises(cr.ArgumentError, match="ReduceLROnPlateau changes the learning rate"):
        model.fit(x, y, verbose=0, callbacks=["ReduceLROnPlateau"])


def test_csv_logger_writes_a_line_per_epoch(tmp_path):
    model, x, y = regression()
    file = tmp_path / "log.csv"
    model.fit(x, y, epochs=2, verbose=0, callbacks=[cr.train.CSVLogger(file)])
    logger = cr.train.CSVLogger(file, append=True)
    history = model.fit(x, y, epochs=4, initial_epoch=2, verbose=0, callbacks=[logger])
    with open(file, newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["epoch"] for row in rows] == ["0", "1", "2", "3"]
    assert float(rows[-1]["loss"]) == history.history["loss"][-1]


def test_checkpoints_have_names_made_of_numbers(tmp_path):
    model, x, y = regression()
    pattern = tmp_path / "m-{epoch:02d}-{loss:.1f}.safetensors"
    keep = cr.train.ModelCheckpoint(pattern, monitor="loss", save_best_only=True)
    model.fit(x, y, epochs=3, verbose=0, callbacks=[keep])
    files = sorted(p.name for p in tmp_path.iterdir())
    assert [name[:5] for name in files] == ["m-01-", "m-02-", "m-03-"]
    again = cr.nn.load(tmp_path / files[-1])
    assert np.array_equal(again.predict(x), model.predict(x))
    with pytest.raises(cr.ArgumentError, match="filled in"):
        model.fit(x, y, verbose=0, callbacks=[cr.train.ModelCheckpoint("{nothing}")])


def test_functions_and_the_order_of_calls():
    model, x, y = regression()
    calls = []

    class Everything(cr.train.Callback):
        def on_train_begin(self, logs=None):
            calls.append(("train", self.params["epochs"], self.params["steps"]))

        def on_epoch_begin(self, epoch, logs=None):
            calls.append(("begin", epoch))

        def on_train_batch_begin(self, batch, logs=None):
            calls.append(("batch", batch))

        def on_epoch_end(self, epoch, logs=None):
            calls.append(("end", epoch))

        def on_train_end(self, logs=None):
            calls.append(("done",))

    model.fit(x, y, batch_size=20, epochs=1, verbose=0, callbacks=Everything())
    assert calls == [
        ("train", 1, 2), ("begin", 0), ("batch", 0), ("batch", 1), ("end", 0), ("done",)
    ]  # fmt: skip
    with pytest.raises(cr.ArgumentError, match="callback"):
        model.fit(x, y, verbose=0, callbacks=[3])


def test_a_callback_may_change_the_weights():
    model, x, y = regression(0.0)

    def set_to_one(epoch, logs):
        model.set_weights([np.ones((3, 1)), np.zeros(1)])

    model.fit(x, y, epochs=2, verbose=0, callbacks=[set_to_one])
    assert np.array_equal(model.get_weights()[0], np.ones((3, 1)))


def test_tensorboard_reads_what_is_written(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    model, x, y = regression()
    board = cr.train.TensorBoard(tmp_path, histogram_freq=1)
    history = model.fit(x, y, epochs=3, validation_split=0.2, verbose=0, callbacks=[board])
    for side, name in (("train", "loss"), ("validation", "val_loss")):
        events = EventAccumulator(str(tmp_path / side)).Reload()
        found = [event.value for event in events.Scalars("epoch_loss")]
        assert found == pytest.approx(history.history[name], rel=1e-6)
    assert "dense/kernel" in EventAccumulator(str(tmp_path / "train")).Reload().Tags()["histograms"]


def test_the_curves_are_drawn_and_their_numbers_given(tmp_path):
    model, x, y = regression()
    history = model.fit(x, y, epochs=3, validation_split=0.2, verbose=0)
    figure = history.plot(file=tmp_path / "curves.png")
    assert figure.data["val_loss"] == history.history["val_loss"]
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(cr.ArgumentError, match="no such curve"):
        history.plot("accuracy")


class Traced(cr.nn.Layer):
    """Counts how often it is called: under a compiler, how often it is traced."""

    calls = 0

    def call(self, x):
        self.calls += 1
        return x


def test_a_new_rate_is_no_new_program_and_a_new_momentum_is():
    x = np.linspace(-1, 1, 64)[:, None]

    def losses(change):
        layer = Traced()
        model = cr.nn.Sequential([layer, cr.nn.Dense(1)])
        model.compile(cr.optim.SGD(0.1, momentum=0.9), "mse")

        def callback(epoch, logs):
            counts.append(layer.calls)
            if epoch == 1:
                change(model.compiled.optimizer)

        counts = []
        history = model.fit(x, 2 * x, epochs=4, callbacks=[callback], verbose=0, seed=0)
        return history.history["loss"], counts

    plain, _ = losses(lambda optimizer: None)
    slower, counts = losses(lambda optimizer: setattr(optimizer, "learning_rate", 0.01))
    assert counts[1] == counts[3]
    assert slower[:2] == plain[:2]
    assert slower[2:] != plain[2:]
    other, _ = losses(lambda optimizer: setattr(optimizer, "momentum", 0.5))
    assert other[:2] == plain[:2]
    assert other[2:] != plain[2:]
