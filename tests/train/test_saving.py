"""Models as files: the same model back, and a clear error for every file that isn't one."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import chainrule as cr

SOURCE = Path(__file__).parents[2] / "src"


def trained():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(30, 4)), rng.integers(0, 2, 30)
    model = cr.nn.Sequential(
        [
            cr.nn.Dense(5, activation="tanh", kernel_regularizer=cr.nn.L2(1e-3)),
            cr.nn.Dropout(0.2),
            cr.nn.BatchNormalization(),
            cr.nn.Dense(2),
        ]
    )
    model.compile(
        cr.optim.Adam(0.01),
        cr.nn.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(x, y, epochs=2, verbose=0)
    return model, x, y


def test_a_model_comes_back_and_goes_on(tmp_path):
    model, x, y = trained()
    model.save(tmp_path / "m.safetensors")
    again = cr.nn.load(tmp_path / "m.safetensors")
    assert np.array_equal(again.predict(x), model.predict(x))
    assert again.evaluate(x, y) == model.evaluate(x, y)
    for one in (model, again):
        one.fit(x, y, epochs=3, initial_epoch=2, verbose=0)
    for a, b in zip(model.get_weights(), again.get_weights(), strict=True):
        assert np.array_equal(a, b)


def test_a_graph_comes_back(tmp_path):
    a, b = cr.nn.Input((3,), name="a"), cr.nn.Input((2, 2), name="b")
    shared = cr.nn.Dense(4)
    joined = np.concatenate([shared(a), cr.nn.Flatten()(b)[:, :3]], axis=-1)
    model = cr.nn.Model({"a": a, "b": b}, [np.tanh(joined) * 2 - 1, shared(a)])
    model.build(seed=1)
    model.save(tmp_path / "g.safetensors")
    again = cr.nn.load(tmp_path / "g.safetensors")
    given_inputs = {"a": np.ones((2, 3)), "b": np.full((2, 2, 2), 0.5)}
    for one, other in zip(model.predict(given_inputs), again.predict(given_inputs), strict=True):
        assert np.array_equal(one, other)


def test_a_layer_of_ones_own_comes_back_once_it_is_registered(tmp_path):
    class Shift(cr.nn.Layer):
        def __init__(self, by, **options):
            super().__init__(**options)
            self.by = by

        def call(self, x):
            return x + self.by

    model = cr.nn.Sequential([cr.nn.Input((2,)), Shift(3.0)])
    model.build()
    with pytest.raises(cr.ArgumentError, match="Shift can't be written as data"):
        model.save(tmp_path / "s.safetensors")
    cr.nn.register("layer")(Shift)
    model.save(tmp_path / "s.safetensors")
    again = cr.nn.load(tmp_path / "s.safetensors")
    assert np.array_equal(again.predict(np.zeros((1, 2))), [[3.0, 3.0]])


def test_arrays_of_any_layout_are_written_right(tmp_path):
    model = cr.nn.Sequential([cr.nn.Input((3,)), cr.nn.Dense(4)])
    model.build()
    kernel = np.asfortranarray(np.arange(12, dtype=np.float32).reshape(3, 4))
    model.set_weights([kernel, np.zeros(8, np.float32)[::2]])
    model.save(tmp_path / "m.safetensors")
    assert np.array_equal(cr.nn.load(tmp_path / "m.safetensors").get_weights()[0], kernel)


def test_every_cut_is_an_error(tmp_path):
    model, _, _ = trained()
    file = tmp_path / "m.safetensors"
    model.save(file)
    whole = file.read_bytes()
    for size in (0, 1, 7, 8, 9, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(cr.ModelFileError):
            cr.nn.load(file)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    model = cr.nn.Sequential([cr.nn.Input((2,)), cr.nn.Dense(2, activation="relu")])
    model.compile("sgd", "mse")
    model.build()
    file = tmp_path_factory.mktemp("model") / "m.safetensors"
    model.save(file)
    return file


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_damaged_bytes_never_crash(small, tmp_path, data):
    whole = bytearray(small.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(whole) - 1))
        whole[place] = data.draw(st.integers(0, 255))
    file = tmp_path / "damaged.safetensors"
    file.write_bytes(bytes(whole))
    load_or_refuse(file)


def load_or_refuse(file):
    """A model that works, or an error that names the file; nothing else."""
    try:
        model = cr.nn.load(file)
    except cr.ModelFileError as error:
        message = str(error)
    else:
        assert model.predict(np.zeros((1, 2))).shape[0] == 1
        return
    assert file.name in message


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["class_name", "kind", "config", "layers", "graph", "units", "name"]),
            inner | st.sampled_from(["Dense", "Sequential", "Model", "layer", "loss", "CSVLogger"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_hostile_descriptions_never_run_or_crash(small, tmp_path, data):
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    with safe_open(small, framework="np") as opened:
        meaning = json.loads(opened.metadata()["chainrule"])
    part = meaning
    for _ in range(data.draw(st.integers(0, 4))):
        keys = list(part) if isinstance(part, dict) else range(len(part))
        inner = [k for k in keys if isinstance(part[k], (dict, list)) and part[k]]
        if not inner:
            break
        part = part[data.draw(st.sampled_from(inner))]
    keys = list(part) if isinstance(part, dict) else list(range(len(part)))
    part[data.draw(st.sampled_from(keys))] = data.draw(JUNK)
    file = tmp_path / "hostile.safetensors"
    save_file(load_file(small), file, metadata={"chainrule": json.dumps(meaning)})
    load_or_refuse(file)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"format": 1, "kind": "model"}', "5", ""])
def test_odd_headers(tmp_path, text):
    from safetensors.numpy import save_file

    file = tmp_path / "odd.safetensors"
    save_file({"a": np.zeros(1)}, file, metadata={"chainrule": text})
    with pytest.raises(cr.ModelFileError):
        cr.nn.load(file)


def test_other_files(tmp_path):
    with pytest.raises(cr.StorageError, match="no file"):
        cr.nn.load(tmp_path / "nothing.safetensors")
    (tmp_path / "text.safetensors").write_text("hello " * 100)
    with pytest.raises(cr.ModelFileError, match="isn't a whole file"):
        cr.nn.load(tmp_path / "text.safetensors")


FULL_DISK = """
import resource, signal, sys
import numpy as np, chainrule as cr
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
model = cr.nn.Sequential([cr.nn.Input((300,)), cr.nn.Dense(300)])
model.build()
model.save(sys.argv[1])
first = open(sys.argv[1], "rb").read()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    model.save(sys.argv[1])
except cr.StorageError as error:
    print(error)
assert open(sys.argv[1], "rb").read() == first
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the size of files")
def test_a_full_disk_leaves_the_last_good_file(tmp_path):
    file = tmp_path / "m.safetensors"
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(file)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert "couldn't be written" in done.stdout
    assert "unchanged" in done.stdout
    assert os.listdir(tmp_path) == ["m.safetensors"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    _resume(folder)
    return (folder / "training.safetensors").read_bytes()


def _resume(folder, model=None, epochs=2):
    model = model or cr.nn.Sequential([cr.nn.Input((6,)), cr.nn.Dense(3)])
    model.compile("adam", "mse")
    x = np.linspace(-1, 1, 48, dtype=np.float32).reshape(8, 6)
    callbacks = [
        cr.train.EarlyStopping(monitor="loss", patience=3),
        cr.train.ReduceLROnPlateau(monitor="loss"),
        cr.train.BackupAndRestore(folder, delete_checkpoint=False),
    ]
    return model.fit(x, x[:, :3], epochs=epochs, verbose=0, callbacks=callbacks)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_hostile_checkpoints_are_refused_and_leave_the_model_alone(checkpoint, tmp_path, data):
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    file = tmp_path / "training.safetensors"
    file.write_bytes(checkpoint)
    with safe_open(file, framework="np") as opened:
        meaning = json.loads(opened.metadata()["chainrule"])
    inner = meaning["training"]
    places = [(inner, k) for k in inner] + [(inner["history"], k) for k in inner["history"]]
    places += [(inner["history"]["numbers"], "loss"), (inner["history"]["numbers"], "evil")]
    places += [(c, "state") for c in inner["callbacks"]]
    places += [(c["state"], k) for c in inner["callbacks"] for k in c["state"]]
    holder, key = data.draw(st.sampled_from(places))
    holder[key] = data.draw(
        st.sampled_from(
            [None, -1, 10**30, float("nan"), "", "os.system", [], {}, [["x"]], {"a": 1}, [-1], 2.5]
        )
    )
    arrays = load_file(file)
    save_file(arrays, file, metadata={"chainrule": json.dumps(meaning)})
    model = cr.nn.Sequential([cr.nn.Input((6,)), cr.nn.Dense(3)])
    model.build()
    before = model.get_weights()
    refused = None
    try:
        _resume(tmp_path, model, epochs=3)
    except cr.ChainruleError as error:
        refused = error
    if refused is not None:
        assert "fix:" in str(refused)
        assert all(map(np.array_equal, before, model.get_weights()))


def test_nothing_that_runs_code_reads_a_file():
    banned = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    for file in (SOURCE / "chainrule").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not banned & {name.split(".")[0] for name in names}, file
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.load", "numpy.load"):
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert given.get("allow_pickle") == "False", file
