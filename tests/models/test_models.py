"""The ready networks: their sizes as published, their names, forward, backward, and in files."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError
from chainrule.nn.pure import ensure_built, forward

# As published, at full size: model, input, trained weights, moving averages.
FULL = {
    "mlp": (lambda: cr.models.mlp([30, 10]), (64,), 2_260, 0),
    "lenet": (cr.models.lenet, (28, 28, 1), 61_706, 0),
    "alexnet": (cr.models.alexnet, (224, 224, 3), 60_965_224, 0),
    "vgg16": (cr.models.vgg16, (224, 224, 3), 138_357_544, 0),
    "resnet18": (cr.models.resnet18, (224, 224, 3), 11_689_512, 9_600),
    "resnet50": (cr.models.resnet50, (224, 224, 3), 25_557_032, 53_120),
    "inception_v1": (cr.models.inception_v1, (224, 224, 3), 6_998_552, 0),
    "inception_v1 with both others": (
        lambda: cr.models.inception_v1(auxiliary=True), (224, 224, 3), 13_378_280, 0
    ),
    # 4 gates · (3 inputs + 64 units + bias) · 64 units, and 64 · 8 + 8.
    "lstm": (lambda: cr.models.lstm(8), (20, 3), 4 * 68 * 64 + 520, 0),
    "neural_turing_machine": (lambda: cr.models.neural_turing_machine(8), (20, 9), 16_096, 0),
}  # fmt: skip

# The same, small enough to run: model, input, output.
SMALL = {
    "mlp": (lambda: cr.models.mlp([5, 4, 3], "tanh"), (6,), (3,)),
    "mlp with all": (
        lambda: cr.models.mlp([5, 3], dropout=0.5, batch_normalization=True), (6,), (3,)
    ),
    "lenet": (cr.models.lenet, (28, 28, 1), (10,)),
    "alexnet": (lambda: cr.models.alexnet(5, width=0.05), (224, 224, 3), (5,)),
    "vgg16": (lambda: cr.models.vgg16(5, width=0.05), (32, 32, 3), (5,)),
    "resnet18": (
        lambda: cr.models.resnet18(5, input_shape=(32, 32, 3), width=0.05), (32, 32, 3), (5,)
    ),
    "resnet50": (
        lambda: cr.models.resnet50(5, input_shape=(32, 32, 3), width=0.05), (32, 32, 3), (5,)
    ),
    "inception_v1": (
        lambda: cr.models.inception_v1(5, input_shape=(64, 64, 3), width=0.05), (64, 64, 3), (5,)
    ),
    "lstm": (lambda: cr.models.lstm(2, (4, 3)), (7, 3), (2,)),
    "lstm at every step": (lambda: cr.models.lstm(2, 4, every_step=True), (7, 3), (7, 2)),
    "neural_turing_machine": (
        lambda: cr.models.neural_turing_machine(2, 5, slots=4, width=3), (6, 3), (6, 2)
    ),
}  # fmt: skip

NAMES = {
    "lenet": "C1 S2 C3 S4 C5 flatten F6 output",
    "alexnet": (
        "padding conv1 norm1 pool1 conv2 norm2 pool2 conv3 conv4 conv5 pool5 flatten "
        "fc6 drop6 fc7 drop7 fc8"
    ),
    "vgg16": (
        "conv1_1 conv1_2 pool1 conv2_1 conv2_2 pool2 conv3_1 conv3_2 conv3_3 pool3 "
        "conv4_1 conv4_2 conv4_3 pool4 conv5_1 conv5_2 conv5_3 pool5 flatten "
        "fc6 drop6 fc7 drop7 fc8"
    ),
    "mlp": "hidden1 activation1 output",
    "lstm": "lstm1 output",
    "neural_turing_machine": "machine",
}


def inputs_of(shape, rows=2):
    return np.random.default_rng(0).standard_normal((rows, *shape)).astype(np.float32)


@pytest.mark.parametrize("name", FULL)
def test_numbers_of_weights_at_full_size(name):
    make, shape, trained, averages = FULL[name]
    model = make()
    ensure_built(model, shape)
    weights = model.weights_by_path()
    assert sum(math.prod(weights[path].shape) for path in model.trainable_paths()) == trained
    assert model.count_params() == trained + averages


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_called_as_in_the_papers(name):
    model = FULL[name][0]()
    assert " ".join(layer for layer, _ in model.children()) == NAMES[name]


def test_names_of_blocks():
    found = {
        layer.partition("_")[2]
        for layer, _ in cr.models.inception_v1().children()
        if layer.startswith("inception_3a")
    }
    parts = "1x1 3x3_reduce 3x3 5x5_reduce 5x5 pool pool_proj output"
    assert found == {f"3a_{part}" for part in parts.split()}
    blocks = [layer for layer, _ in cr.models.resnet50().children() if layer.endswith("_add")]
    counts = {2: 3, 3: 4, 4: 6, 5: 3}
    expected = [f"conv{s}_{b + 1}_add" for s, count in counts.items() for b in range(count)]
    assert blocks == expected


@pytest.mark.parametrize("name", SMALL)
def test_forward_and_backward(name):
    make, shape, output = SMALL[name]
    model = make()
    variables = model.init(0, shape)
    x = inputs_of(shape)

    def loss(parameters):
        y, _ = model.apply({**variables, "parameters": parameters}, x, training=True, seed=1)
        return np.mean((y - 1.0) ** 2), y

    slopes, y = cr.grad(loss, has_aux=True)(variables["parameters"])
    assert y.shape == (2, *output)
    assert y.dtype == np.float32
    assert slopes.keys() == variables["parameters"].keys()
    for path, slope in slopes.items():
        assert slope.shape == variables["parameters"][path].shape
        assert np.all(np.isfinite(slope)), path
    assert sum(bool(np.any(slope)) for slope in slopes.values()) > 0.7 * len(slopes)


@pytest.mark.parametrize("name", SMALL)
def test_in_a_file_and_back(name, tmp_path):
    make, shape, output = SMALL[name]
    model = make()
    model.build((None, *shape), seed=3)
    x = inputs_of(shape)
    before = model(x)
    assert before.shape == (2, *output)
    model.save(tmp_path / "model.safetensors")
    again = cr.nn.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again(x), before)
    assert list(again.weights_by_path()) == list(model.weights_by_path())


def test_alexnet_on_a_whole_image():
    model = cr.models.alexnet()
    ensure_built(model, (224, 224, 3))
    rng = np.random.default_rng(0)
    parameters = {}
    for path, weight in model.weights_by_path().items():
        value = rng.random(weight.shape, np.float32)
        parameters[path] = (value - 0.5) * np.float32(2 / math.sqrt(max(1, value[..., 0].size)))
    y, _ = model.apply({"parameters": parameters}, inputs_of((224, 224, 3), rows=1))
    assert y.shape == (1, 1000)
    assert np.all(np.isfinite(y))
    assert y.std() > 1e-6


def test_the_two_groups_of_alexnet_see_half_the_channels():
    model = cr.models.alexnet()
    ensure_built(model, (224, 224, 3))
    shapes = {path: w.shape for path, w in model.weights_by_path().items()}
    assert shapes["conv2/kernel"] == (5, 5, 48, 256)
    assert shapes["conv3/kernel"] == (3, 3, 256, 384)
    assert shapes["conv4/kernel"] == (3, 3, 192, 384)
    assert shapes["conv5/kernel"] == (3, 3, 192, 256)
    assert shapes["fc6/kernel"] == (9216, 4096)


def outputs_of(model, x):
    """What each layer gives, by its name."""
    found = {}
    forward(model, model.variables, (x,), watch=lambda layer, y: found.update({layer.name: y}))
    return found


@pytest.mark.parametrize("make", [cr.models.resnet18, cr.models.resnet50])
def test_blocks_of_resnet_add_to_their_input(make):
    model = make(2, input_shape=(32, 32, 3), width=0.1)
    model.build(seed=0)
    found = outputs_of(model, inputs_of((32, 32, 3)))
    last = "b" if make is cr.models.resnet18 else "c"
    for block, before in (
        ("conv2_2", found["conv2_1_relu"]),
        ("conv3_1", found["conv3_1_shortcut_normalization"]),
        ("conv5_2", found["conv5_1_relu"]),
    ):
        added = found[f"{block}_{last}_normalization"]
        np.testing.assert_array_equal(found[f"{block}_relu"], np.maximum(before + added, 0))
    assert found["pool1"].shape[1:3] == (8, 8)
    assert found["conv5_1_relu"].shape[1:3] == (1, 1)


def test_sizes_within_googlenet():
    model = cr.models.inception_v1(5, width=0.05)
    model.build(seed=0)
    found = outputs_of(model, inputs_of((224, 224, 3), rows=1))
    sizes = {
        "conv1_7x7": 112, "pool1": 56, "conv2_3x3": 56, "pool2": 28, "inception_3b_output": 28,
        "pool3": 14, "inception_4e_output": 14, "pool4": 7, "inception_5b_output": 7,
    }  # fmt: skip
    assert {name: found[name].shape[1] for name in sizes} == sizes


def test_inception_gives_three_outputs_on_request():
    model = cr.models.inception_v1(4, input_shape=(96, 96, 3), width=0.05, auxiliary=True)
    shapes = model.compute_output_shape((None, 96, 96, 3))
    assert shapes == [(None, 4)] * 3


def test_an_lstm_reads_symbols():
    model = cr.models.lstm(3, 4, vocabulary=11, embedding=5)
    model.build((None, 6))
    symbols = np.random.default_rng(0).integers(0, 11, (2, 6))
    assert model.predict(symbols).shape == (2, 3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: cr.models.mlp([]), "at least its output"),
        (lambda: cr.models.lstm(1, []), "needs units"),
        (lambda: cr.models.vgg16(width=0), "above 0"),
        (lambda: cr.models.alexnet(width=-1.0), "above 0"),
    ],
)
def test_refusals(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()


@pytest.mark.parametrize("name", ["lenet", "mlp with all"])
def test_trained_by_machine_code_as_by_numpy(name):
    make, shape, (classes,) = SMALL[name]
    x, y = inputs_of(shape, rows=10), np.arange(10) % classes
    found = []
    for engine in ("llvm", "numpy"):
        with cr.settings(engine=engine):
            model = make()
            model.compile(cr.optim.SGD(0.05), cr.nn.SparseCategoricalCrossentropy(from_logits=True))
            model.fit(x, y, batch_size=4, epochs=2, verbose=0, seed=0)
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
