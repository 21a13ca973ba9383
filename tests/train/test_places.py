"""Files that can't be written: said with the reason, and nothing that was reached is lost."""

from __future__ import annotations

import csv
import os

import numpy as np
import pytest

import chainrule as cr

X = np.random.default_rng(0).normal(size=(64, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def network():
    model = cr.nn.Sequential([cr.nn.Dense(2)])
    model.compile("adam", cr.nn.SparseCategoricalCrossentropy(from_logits=True))
    return model


def fit(*callbacks, model=None, epochs=2):
    model = network() if model is None else model
    model.fit(X, Y, epochs=epochs, callbacks=list(callbacks), verbose=0)
    return model


def test_folders_are_made_before_the_training(tmp_path):
    fit(
        cr.train.ModelCheckpoint(tmp_path / "a" / "b" / "{epoch}.safetensors"),
        cr.train.ModelCheckpoint(tmp_path / "run-{epoch}" / "m.safetensors"),
        cr.train.CSVLogger(tmp_path / "logs" / "log.csv"),
        cr.train.BackupAndRestore(tmp_path / "c" / "d", delete_checkpoint=False),
    )
    found = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert found == [
        "a/b/1.safetensors",
        "a/b/2.safetensors",
        "c/d/training.safetensors",
        "logs/log.csv",
        "run-1/m.safetensors",
        "run-2/m.safetensors",
    ]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda there, folder: cr.train.BackupAndRestore(there), "couldn't be made"),
        (lambda there, folder: cr.train.CSVLogger(there / "log.csv"), "couldn't be made"),
        (lambda there, folder: cr.train.ModelCheckpoint(there / "m.st"), "couldn't be made"),
        (lambda there, folder: cr.train.CSVLogger(folder), "couldn't be written"),
        (lambda there, folder: cr.train.ModelCheckpoint(folder), "a folder of that name"),
    ],
)
def test_what_is_in_the_way_is_said(tmp_path, make, word):
    there = tmp_path / "file"
    there.write_text("mine")
    with pytest.raises(cr.StorageError) as caught:
        fit(make(there, tmp_path))
    assert word in str(caught.value)
    assert "test_places.py" in str(caught.value)
    assert there.read_text() == "mine"


def test_tensorboard_in_the_way_of_a_file(tmp_path):
    pytest.importorskip("tensorboard")
    (tmp_path / "file").write_text("mine")
    model = network()
    with pytest.raises(cr.StorageError, match="couldn't be written"):
        fit(cr.train.TensorBoard(tmp_path / "file"), model=model)
    assert model.has_values


def test_saving_where_no_file_can_be(tmp_path):
    model = fit()
    with pytest.raises(cr.StorageError, match="can't be written") as caught:
        model.save(tmp_path / "nowhere" / "m.safetensors")
    assert "make the folder first" in str(caught.value)
    with pytest.raises(cr.StorageError, match="is a folder"):
        cr.nn.load(tmp_path)


def test_a_picture_of_no_known_kind(tmp_path):
    pytest.importorskip("matplotlib")
    history = fit().history
    with pytest.raises(cr.ArgumentError, match="says its kind"):
        history.plot(file=tmp_path / "curves.xyz")
    with pytest.raises(cr.StorageError, match="couldn't be written"):
        history.plot(file=tmp_path / "nowhere" / "curves.png")


def power_cut(epoch, logs):
    if epoch == 2:
        raise RuntimeError("the lights go out")


def logged(folder, last):
    """Callbacks that go on where a training was cut, in a log that goes on as well."""
    log = cr.train.CSVLogger(folder / "log.csv")
    return cr.train.BackupAndRestore(folder / "b"), log, last


def test_half_a_line_in_a_log_is_dropped(tmp_path):
    """As a full disk leaves it: the epoch it was of comes again."""
    log = tmp_path / "log.csv"
    with pytest.raises(RuntimeError, match="lights"):
        fit(*logged(tmp_path, power_cut), epochs=4)
    with open(log, "a") as file:
        file.write("3,0.5")
    fit(*logged(tmp_path, lambda epoch, logs: None), epochs=4)
    with open(log, newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1", "2", "3"]


def test_another_log_in_its_place_is_left_alone(tmp_path):
    log = tmp_path / "log.csv"
    with pytest.raises(RuntimeError, match="lights"):
        fit(*logged(tmp_path, power_cut), epochs=4)
    log.write_text("name,value\nmine,1\n")
    with pytest.raises(cr.ArgumentError, match="isn't the one that the training has begun"):
        fit(*logged(tmp_path, lambda epoch, logs: None), epochs=4)
    assert log.read_text() == "name,value\nmine,1\n"


def test_what_killed_trainings_left_is_swept_up(tmp_path):
    mine = [".tmp", ".tmpnotes.txt", "training.safetensors.part", ".other.0123456789ab.part"]
    left = [".tmpa1B2c3", ".training.safetensors.0123456789ab.part"]
    for name in (*mine, *left):
        (tmp_path / name).write_text("x")
        os.utime(tmp_path / name, (0, 0))
    (tmp_path / ".tmpd4E5f6").write_text("being written now")
    fit(cr.train.BackupAndRestore(tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*mine, ".tmpd4E5f6"])


@pytest.mark.parametrize("weights", ["one", [1.0, "x"], {"a": None, "b": []}, True, np.nan])
def test_the_weight_of_a_loss_is_a_number(weights):
    with pytest.raises(cr.ArgumentError, match="the weight of a loss is a number"):
        network().compile("adam", "mse", loss_weights=weights)
