"""The network of the playground is one that `fit` has trained, and its code makes it again."""

import base64
import contextlib
import json
import runpy
from dataclasses import asdict

import numpy as np
import pytest

import chainrule as cr
from chainrule import DivergenceError
from chainrule.cli.play import table_source
from chainrule.cli.predict import run_predict
from chainrule.show.play.controls import Controls, changed
from chainrule.show.play.data import KINDS
from chainrule.show.play.frame import MAP, TILE
from chainrule.show.play.network import network
from chainrule.show.play.trainer import Trainer

SMALL = Controls(hidden=(4,), batch_size=20)

CODE = '''\
"""A network from `chainrule play`: run it, and the same weights come out, bit for bit."""

import chainrule as cr
from chainrule.show.play import dataset, features

points, labels = dataset("circle", noise=0.03, seed=0)
inputs = features(points, ["x", "y"])
(x, y), (x_validation, y_validation), _ = cr.train.split(
    inputs, labels, validation=0.3, test=0.0, seed=0
)

model = cr.nn.Sequential(
    [
        cr.nn.Input((2,)),
        cr.nn.Dense(4, activation="tanh"),
        cr.nn.Dense(2),
    ]
)
model.build(seed=0)
optimizer = cr.optim.Adam(0.01)
model.compile(
    optimizer,
    loss=cr.nn.SparseCategoricalCrossentropy(from_logits=True),
    metrics=["accuracy"],
)

model.fit(x, y, batch_size=20, epochs=2, seed=0, verbose=0)

# After epoch 2: learning rate 0.1.
optimizer.learning_rate = 0.1

print(model.evaluate(x_validation, y_validation))
model.save("network.safetensors")
'''


def train(trainer, epochs):
    """Some epochs, in as many calls of `fit` as it takes."""
    end = trainer.epoch + epochs
    while trainer.epoch < end:
        trainer.train(lambda: trainer.epoch < end)


def set_to(trainer, **values):
    return trainer.apply(changed(trainer.controls, values, trainer.source))


def same(model, other):
    ours, theirs = model.variables["parameters"], other.variables["parameters"]
    assert ours.keys() == theirs.keys()
    return all(np.array_equal(ours[path], theirs[path]) for path in ours)


def replayed(trainer, folder, monkeypatch):
    """The network that the exported code makes."""
    path = folder / "again.py"
    path.write_text(trainer.code(), encoding="utf-8")
    monkeypatch.chdir(folder)
    with contextlib.redirect_stdout(None):
        found = runpy.run_path(str(path))
    assert (folder / "network.safetensors").exists()
    return found["model"]


def test_epochs_in_bursts_are_the_bits_of_one_fit():
    trainer = Trainer(SMALL, None)
    for epochs in (1, 3, 2):
        train(trainer, epochs)
    model = network(SMALL, trainer.problem)
    history = model.fit(*trainer.problem.train, batch_size=20, epochs=6, seed=0, verbose=0)
    assert same(trainer.model, model)
    curves = trainer.curves.data()
    assert curves["epoch"] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(curves["loss"], history.history["loss"], rtol=1e-3)


@pytest.mark.parametrize("name", KINDS)
def test_every_set_is_learned_from(name):
    trainer = Trainer(Controls(data=name, hidden=(4,), batch_size=20), None)
    train(trainer, 12)
    curves = trainer.curves.data()
    assert curves["loss"][-1] < curves["loss"][0]
    assert curves["val_loss"][-1] < curves["val_loss"][0] * 1.2
    picture = trainer.camera.picture(trainer.model)
    assert len(decoded(picture["map"])) == MAP**2 * (2 if KINDS[name].classes else 1)
    assert (curves["accuracy"][-1] is None) == (not KINDS[name].classes)


def test_a_new_structure_draws_new_weights_and_says_so():
    trainer = Trainer(SMALL, None)
    train(trainer, 2)
    note = set_to(trainer, hidden=[5, 3])
    assert note == (
        "New network 2 – 5 – 3 – 2: its weights were drawn anew from seed 0, "
        "and training begins at epoch 0."
    )
    assert trainer.epoch == 0
    assert same(trainer.model, network(trainer.controls, trainer.problem))


@pytest.mark.parametrize(
    ("name", "value"),
    [("activation", "relu"), ("l1", 0.01), ("l2", 0.1), ("dropout", 0.3), ("optimizer", "sgd")],
)
def test_other_changes_keep_the_weights(name, value):
    trainer = Trainer(SMALL, None)
    train(trainer, 2)
    before = {p: v.copy() for p, v in trainer.model.variables["parameters"].items()}
    moments = trainer.model.optimizer_state
    note = set_to(trainer, **{name: value})
    word = {"l1": "L1 penalty", "l2": "L2 penalty", "optimizer": "optimiser"}.get(name, name)
    assert note == f"Changed {word}: the network keeps its weights."
    after = trainer.model.variables["parameters"]
    assert all(np.array_equal(before[path], after[path]) for path in before)
    assert trainer.epoch == 2
    assert (trainer.model.optimizer_state is moments) == (name != "optimizer")
    train(trainer, 1)
    assert any(
        not np.array_equal(before[p], v) for p, v in trainer.model.variables["parameters"].items()
    )


def test_the_learning_rate_acts_within_a_fit():
    trainer = Trainer(SMALL, None)

    def go_on():
        if trainer.epoch == 3:
            set_to(trainer, learning_rate=0.05)
        return trainer.epoch < 6

    trainer.train(go_on)
    other = Trainer(SMALL, None)
    train(other, 3)
    set_to(other, learning_rate=0.05)
    train(other, 3)
    assert same(trainer.model, other.model)
    assert trainer.code() == other.code()


def test_noise_and_axes_leave_the_network_alone(table):
    trainer = Trainer(SMALL, None)
    model = trainer.model
    set_to(trainer, noise=0.2)
    assert trainer.model is model
    trainer = Trainer(Controls(data="table"), table_source(str(table), None, "auto"))
    model = trainer.model
    set_to(trainer, axes=["height", "depth"])
    assert trainer.model is model
    assert trainer.problem.plane.axes == ("height", "depth")
    assert len(trainer.segments) == 1


def test_a_restart_gives_the_first_weights_again():
    trainer = Trainer(SMALL, None)
    train(trainer, 2)
    trainer.restart()
    assert trainer.epoch == 0
    assert same(trainer.model, network(SMALL, trainer.problem))


def test_a_diverging_run_leaves_the_last_whole_epoch():
    controls = Controls(data="plane", hidden=(4,), activation="linear", optimizer="sgd")
    trainer = Trainer(controls, None)
    train(trainer, 2)
    before = {p: v.copy() for p, v in trainer.model.variables["parameters"].items()}
    set_to(trainer, learning_rate=50)
    with pytest.raises(DivergenceError):
        train(trainer, 5)
    assert trainer.epoch == 2
    after = trainer.model.variables["parameters"]
    assert all(np.array_equal(before[path], after[path]) for path in before)
    assert trainer.curves.data()["loss"][-1] == "NaN"
    set_to(trainer, learning_rate=0.01)
    train(trainer, 1)
    assert isinstance(trainer.curves.data()["loss"][-1], float)


# --- the picture ----------------------------------------------------------------------------------


def decoded(text):
    return np.frombuffer(base64.b64decode(text), np.uint8)


def test_the_picture_is_what_the_model_predicts():
    trainer = Trainer(Controls(data="four", hidden=(5, 3)), None)
    train(trainer, 3)
    picture = trainer.camera.picture(trainer.model)
    grid = trainer.problem.plane.grid(MAP)
    scores = trainer.model.predict(grid)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    winner, sure = decoded(picture["map"]).reshape(2, -1)
    np.testing.assert_array_equal(winner, scores.argmax(axis=1))
    np.testing.assert_allclose(sure / 255, (chances.max(axis=1) - 0.25) / 0.75, atol=0.003)
    assert [len(decoded(tile)) for tile in picture["tiles"]] == [n * TILE**2 for n in (2, 5, 3, 4)]
    weights = np.array(picture["layers"][0]["weights"])
    np.testing.assert_allclose(weights, trainer.model.layers[0].kernel, rtol=1e-3)


def test_a_tile_is_what_a_unit_gives_over_the_plane():
    trainer = Trainer(Controls(hidden=(3,)), None)
    tile = decoded(trainer.camera.picture(trainer.model)["tiles"][1]).reshape(3, TILE, TILE)
    grid = trainer.problem.plane.grid(MAP).reshape(MAP, MAP, 2)[2::5, 2::5].reshape(-1, 2)
    layer = trainer.model.layers[0]
    unit = np.tanh(grid @ np.asarray(layer.kernel))[:, 1]
    expected = 128 + 127 * unit / np.abs(unit).max()
    np.testing.assert_allclose(tile[1].ravel().astype(float), expected, atol=8)


def test_the_histograms_count_all_rows_and_the_gradients_are_those_of_the_loss():
    trainer = Trainer(Controls(hidden=(4, 3), dropout=0.5, l2=0.1), None)
    layers = trainer.camera.picture(trainer.model)["histograms"]
    assert [sum(layer["activations"]) for layer in layers] == [210 * 4, 210 * 3, 210 * 2]
    # By the output: softmax minus one-hot.
    x, y = trainer.problem.train
    scores = trainer.model.predict(x)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    chances[np.arange(len(y)), y] -= 1
    assert layers[-1]["typical"] == pytest.approx(np.sqrt(np.mean(chances**2)), rel=1e-3)


def test_gradients_vanish_in_a_deep_sigmoid_network_and_not_with_relu():
    def typical(activation, initializer):
        controls = Controls(hidden=(8,) * 6, activation=activation, initializer=initializer)
        trainer = Trainer(controls, None)
        return [one["typical"] for one in trainer.camera.picture(trainer.model)["histograms"]]

    sigmoid = typical("sigmoid", "glorot_uniform")
    relu = typical("relu", "he_normal")
    assert sigmoid[0] < 1e-3 * sigmoid[-1]
    assert relu[0] > 0.05 * relu[-1]


def test_a_network_without_hidden_layers_and_one_wider_than_shown():
    for hidden in ((), (32,)):
        picture = Trainer(Controls(hidden=hidden), None).camera.picture(
            Trainer(Controls(hidden=hidden), None).model
        )
        assert len(picture["layers"]) == len(hidden) + 1
        assert len(picture["layers"][0]["weights"][0]) == (8 if hidden else 2)


def test_a_network_of_nan_is_shown_as_such():
    trainer = Trainer(SMALL, None)
    kernel = trainer.model.layers[0].kernel.copy()
    kernel[0, 1] = np.nan
    trainer.model.keep({"parameters": {"dense/kernel": kernel}})
    picture = trainer.camera.picture(trainer.model)
    json.dumps(picture, allow_nan=False)
    assert picture["layers"][0]["weights"][0][1] == "NaN"
    tiles = decoded(picture["tiles"][1]).reshape(4, -1)
    assert np.all(tiles[1] == 0)
    assert np.all(tiles[0] > 0)
    winner, sure = decoded(picture["map"]).reshape(2, -1)
    assert np.all(winner == 255)
    assert not sure.any()
    assert picture["histograms"][-1]["strange"] == 1
    assert picture["histograms"][-1]["typical"] == "NaN"
    assert 0 < picture["histograms"][0]["strange"] < 1


# --- what can be taken away -----------------------------------------------------------------------


def test_the_code_makes_the_same_network(tmp_path, monkeypatch):
    trainer = Trainer(Controls(data="spiral", hidden=(4, 3), initializer="large_normal"), None)
    train(trainer, 2)
    for change in (
        {"learning_rate": 0.03},
        {"activation": "relu", "l2": 0.001},
        {"optimizer": "momentum"},
        {"noise": 0.1, "batch_size": 0},
        {"dropout": 0.2},
    ):
        set_to(trainer, **change)
        train(trainer, 2)
    assert same(replayed(trainer, tmp_path, monkeypatch), trainer.model)


@pytest.mark.parametrize("seed", range(2))
def test_any_changes_on_the_way_are_in_the_code(seed, tmp_path, monkeypatch):
    chance = np.random.default_rng(seed)
    trainer = Trainer(Controls(hidden=(3,), batch_size=50, seed=seed), None)
    choices = {
        "learning_rate": [0.01, 0.03],
        "activation": ["tanh", "relu"],
        "optimizer": ["adam", "sgd"],
        "l1": [0.0, 0.01],
        "noise": [0.0, 0.05],
        "batch_size": [50, 70],
        "hidden": [[3], [2]],
        "speed": [1, 5],
    }
    for _ in range(8):
        name = str(chance.choice(list(choices)))
        set_to(trainer, **{name: choices[name][int(chance.integers(2))]})
        train(trainer, int(chance.integers(3)))
    assert same(replayed(trainer, tmp_path, monkeypatch), trainer.model), asdict(trainer.controls)


def test_the_code_of_a_table_makes_the_same_network(table, tmp_path, monkeypatch):
    trainer = Trainer(Controls(data="table", hidden=(3,)), table_source(str(table), None, "auto"))
    train(trainer, 3)
    assert same(replayed(trainer, tmp_path, monkeypatch), trainer.model)


def test_the_code_is_short_and_readable():
    trainer = Trainer(SMALL, None)
    train(trainer, 2)
    set_to(trainer, learning_rate=0.1)
    assert trainer.code() == CODE


def test_names_in_a_table_cannot_leave_their_quotes(tmp_path, monkeypatch):
    target = 'kind"; raise SystemExit #'
    path = tmp_path / 'a"b\\c.csv'
    rows = "".join(f"{i},{'ab'[i % 2]}\n" for i in range(40))
    path.write_text('x,"' + target.replace('"', '""') + '"\n' + rows)
    trainer = Trainer(Controls(data="table", hidden=(2,)), table_source(str(path), None, "auto"))
    train(trainer, 1)
    assert same(replayed(trainer, tmp_path, monkeypatch), trainer.model)


def test_the_model_file_is_the_network_and_predict_reads_it(table, tmp_path, capsys):
    trainer = Trainer(Controls(data="table", hidden=(3,)), table_source(str(table), None, "auto"))
    train(trainer, 3)
    file = tmp_path / "network.safetensors"
    file.write_bytes(trainer.model_file())
    x = trainer.problem.validation[0]
    np.testing.assert_array_equal(cr.nn.load(file).predict(x), trainer.model.predict(x))
    run_predict(str(file), str(table), None)
    assert len(capsys.readouterr().out.splitlines()) == 91
