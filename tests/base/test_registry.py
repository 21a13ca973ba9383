"""Names for the parts of a network, and parts as data."""

from __future__ import annotations

import json

import pytest

import chainrule as cr
import chainrule.train
from chainrule.base.registry import announce, get, look_up, register, snake_case


@pytest.mark.parametrize(
    ("name", "snake"),
    [
        ("Dense", "dense"),
        ("Conv2DTranspose", "conv2d_transpose"),
        ("LSTM", "lstm"),
        ("AdamW", "adamw"),
        ("GlobalAveragePooling1D", "global_average_pooling1d"),
    ],
)
def test_snake_case(name, snake):
    assert snake_case(name) == snake


def test_get_takes_names_objects_classes_functions_and_configs():
    loss = cr.nn.MeanSquaredError()
    assert get("loss", None) is None
    assert type(get("loss", "mse")) is type(loss)
    assert get("loss", loss) is loss
    assert type(get("loss", cr.nn.MeanSquaredError)) is type(loss)
    assert get("loss", test_snake_case) is test_snake_case
    assert type(get("loss", cr.nn.serialize(loss))) is type(loss)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("layer", "Dense"),
        ("loss", "huber"),
        ("metric", "auc"),
        ("optimizer", "adam"),
        ("schedule", "CosineDecay"),
        ("initializer", "he_normal"),
        ("regularizer", "l2"),
        ("constraint", "max_norm"),
        ("activation", "gelu"),
        ("callback", "EarlyStopping"),
    ],
)
def test_every_kind_is_found_by_name(kind, name):
    assert callable(look_up(kind, name))


@pytest.mark.parametrize(
    "entry",
    [
        cr.nn.Dense(3, activation="relu"),
        cr.nn.L1L2(0.1, 0.2),
        cr.nn.Huber(2.0),
        cr.optim.Adam(cr.optim.ExponentialDecay(0.1, 10, 0.9)),
        cr.nn.activations.softmax,
    ],
)
def test_data_is_plain_and_comes_back(entry):
    data = json.loads(json.dumps(cr.nn.serialize(entry)))
    again = cr.nn.deserialize(data)
    assert cr.nn.serialize(again) == cr.nn.serialize(entry)


def message(call):
    with pytest.raises(cr.ArgumentError) as error:
        call()
    return str(error.value)


def test_mistakes():
    assert "did you mean 'sgd'" in message(lambda: get("optimizer", "sdg"))
    assert "is no loss" in message(lambda: get("loss", 3))
    assert "which class" in message(lambda: cr.nn.deserialize({"config": {}}))
    dense = {"kind": "layer", "class_name": "Dense"}
    assert "is of a layer" in message(lambda: get("loss", {**dense, "config": {"units": 2}}))
    assert "doesn't fit Dense" in message(lambda: cr.nn.deserialize({**dense, "config": {"u": 1}}))
    assert "dict" in message(lambda: cr.nn.deserialize({**dense, "config": [1]}))

    class Unknown:
        pass

    assert "can't be written as data" in message(lambda: cr.nn.serialize(Unknown()))

    def again():
        @register("loss", "mse")
        class Another:
            pass

    assert "same name" in message(again)


def test_modules_are_read_when_a_name_is_looked_up(tmp_path, monkeypatch):
    (tmp_path / "late_part.py").write_text(
        "from chainrule.base.registry import register\n"
        "@register('late_kind')\n"
        "class Late:\n"
        "    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    announce("late_kind", "late_part")
    assert type(get("late_kind", "late")).__name__ == "Late"
