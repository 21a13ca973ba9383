"""The neural Turing machine: its addressing by hand, its derivative, the copy task."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.models.turing import NeuralTuringMachine, address


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    return np.exp(x) / np.sum(np.exp(x))


def address_by_the_book(memory, before, head):
    """Equations 5 to 9 of Graves et al. for one row, in loops."""
    slots, width = memory.shape
    key = np.tanh(head[:width])
    strength = np.log1p(np.exp(head[width]))
    gate = sigmoid(head[width + 1])
    shift = dict(zip((-1, 0, 1), softmax(head[width + 2 : width + 5]), strict=True))
    sharpness = 1 + np.log1p(np.exp(head[width + 5]))
    alike = [key @ row / np.sqrt((key @ key) * (row @ row) + 1e-8) for row in memory]
    gated = gate * softmax(strength * np.array(alike)) + (1 - gate) * before
    shifted = np.zeros(slots)
    for i in range(slots):
        for step, share in shift.items():
            shifted[(i + step) % slots] += share * gated[i]
    sharp = (shifted + 1e-8) ** sharpness
    return sharp / sharp.sum()


@pytest.fixture
def chance():
    return np.random.default_rng(5)


def test_addresses_by_the_book(chance):
    memory = chance.standard_normal((3, 6, 4))
    before = np.stack([softmax(row) for row in chance.standard_normal((3, 6))])
    head = 2 * chance.standard_normal((3, 10))
    found = address(memory, before, head)
    expected = [address_by_the_book(*row) for row in zip(memory, before, head, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def head_for(width, key=0.0, strength=-50.0, gate=-50.0, shift=(0.0, 50.0, 0.0), sharpness=-50.0):
    return np.array([[*np.broadcast_to(key, width), strength, gate, *shift, sharpness]])


def test_a_closed_gate_moves_by_location_alone():
    before = np.eye(5)[[2]]
    memory = np.ones((1, 5, 3))
    stay = address(memory, before, head_for(3))
    back = address(memory, before, head_for(3, shift=(50.0, 0.0, 0.0)))
    on = address(memory, before, head_for(3, shift=(0.0, 0.0, 50.0)))
    np.testing.assert_allclose([stay[0], back[0], on[0]], np.eye(5)[[2, 1, 3]], atol=1e-6)


def test_an_open_gate_finds_the_slot_that_holds_the_key():
    memory = np.eye(4)[None]
    key = np.array([0.0, 0.0, 20.0, 0.0])
    found = address(memory, np.full((1, 4), 0.25), head_for(4, key, strength=60.0, gate=50.0))
    np.testing.assert_allclose(found[0], np.eye(4)[2], atol=1e-6)


def test_sharpness_brings_a_weighting_to_a_point():
    before = np.array([[0.2, 0.5, 0.3]])
    memory = np.ones((1, 3, 2))
    blunt, sharp = (address(memory, before, head_for(2, sharpness=s))[0] for s in (-50.0, 40.0))
    np.testing.assert_allclose(blunt, before[0], atol=1e-6)
    assert sharp[1] > 0.99


def test_one_step_writes_then_reads(chance):
    machine = NeuralTuringMachine(2, 3, slots=4, width=2, dtype="float64")
    variables = machine.init(0, (5, 3))
    x = chance.standard_normal((1, 1, 3))
    y, _ = machine.apply(variables, x)

    p = variables["parameters"]
    memory = np.tanh(p["first_memory"])
    seen = np.concatenate([x[0, 0], np.tanh(p["first_reading"])])
    h = np.tanh(seen @ p["controller_kernel"] + p["controller_bias"])
    head = h @ p["write_head_kernel"] + p["write_head_bias"]
    w = address_by_the_book(memory, softmax(p["first_writing"]), head[:-4])
    memory = memory * (1 - np.outer(w, sigmoid(head[-4:-2]))) + np.outer(w, np.tanh(head[-2:]))
    head = h @ p["read_head_kernel"] + p["read_head_bias"]
    w = address_by_the_book(memory, softmax(p["first_looking"]), head)
    expected = np.concatenate([h, w @ memory]) @ p["output_kernel"] + p["output_bias"]
    np.testing.assert_allclose(y[0, 0], expected, rtol=1e-12)


def test_gradients_against_differences(chance):
    machine = NeuralTuringMachine(2, 3, slots=4, width=2, dtype="float64")
    variables = machine.init(1, (4, 2))
    x, goal = chance.standard_normal((2, 4, 2)), chance.standard_normal((2, 4, 2))

    def loss(values):
        parameters = {path: value for path, value in values.items() if path != "input"}
        y, _ = machine.apply({"parameters": parameters}, values["input"])
        return np.sum((y - goal) ** 2)

    values = {**variables["parameters"], "input": x}
    slopes = cr.grad(loss)(values)
    for path, value in values.items():
        way = chance.standard_normal(value.shape)
        ahead, behind = (loss({**values, path: value + h * way}) for h in (1e-6, -1e-6))
        np.testing.assert_allclose(
            np.sum(slopes[path] * way), (ahead - behind) / 2e-6, rtol=1e-6, atol=1e-8, err_msg=path
        )


def copies(count, length, bits, seed):
    """The copy task: patterns, a mark, then silence in which the patterns are to be repeated."""
    patterns = np.random.default_rng(seed).integers(0, 2, (count, length, bits))
    x = np.zeros((count, 2 * length + 1, bits + 1), np.float32)
    y = np.zeros((count, 2 * length + 1, bits), np.float32)
    x[:, :length, :bits] = patterns
    x[:, length, bits] = 1
    y[:, length + 1 :] = patterns
    return x, y


def test_it_learns_to_copy():
    x, y = copies(1000, 3, 3, seed=0)
    model = cr.models.neural_turing_machine(3, 24, slots=8, width=6)
    model.compile(
        cr.optim.Adam(0.02, global_clipnorm=1.0), cr.nn.BinaryCrossentropy(from_logits=True)
    )
    history = model.fit(x, y, batch_size=20, epochs=12, verbose=0, seed=0)
    losses = history.history["loss"]
    assert losses[-1] < 0.3 * losses[0]
    seen = copies(100, 3, 3, seed=1)
    right = (model.predict(seen[0]) > 0) == seen[1]
    assert right.mean() > 0.9


def test_a_saved_machine_is_known_to_a_fresh_python(tmp_path):
    model = cr.models.neural_turing_machine(2, 4, slots=3, width=2)
    model.build((None, 5, 3))
    model.save(tmp_path / "machine.safetensors")
    told = "import chainrule as cr; print(cr.nn.load('machine.safetensors').count_params())"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=tmp_path, env=os.environ, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(model.count_params()), done.stderr
