"""A training that is killed, at any moment, and started again ends with the same bits."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

SOURCE = Path(__file__).parents[2] / "src"

SCRIPT = """
import sys
import numpy as np, chainrule as cr
folder, result = sys.argv[1:]
rng = np.random.default_rng(0)
x, y = rng.normal(size=(2000, 20)).astype(np.float32), rng.integers(0, 4, 2000)
model = cr.nn.Sequential([cr.nn.Dense(64, activation="relu"), cr.nn.Dropout(0.3), cr.nn.Dense(4)])
model.compile(
    cr.optim.Adam(1e-3), cr.nn.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
)
callbacks = [
    cr.train.EarlyStopping(patience=50),
    cr.train.ReduceLROnPlateau(patience=2),
    cr.train.BackupAndRestore(folder, save_freq=37),
]
print("ready", flush=True)
history = model.fit(
    x, y, batch_size=16, epochs=12, validation_split=0.2, callbacks=callbacks, seed=4, verbose=0
)
numbers = {k: np.array(v) for k, v in history.history.items() if k != "seconds"}
weights = {f"w{i}": w for i, w in enumerate(model.get_weights())}
np.savez(result, **numbers, **weights)
"""


def start(script, folder, result):
    return subprocess.Popen(
        [sys.executable, script, folder, result],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )


def end(process):
    """Its exit code, its pipe closed."""
    process.communicate()
    return process.returncode


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_ten_kills(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(SCRIPT)
    whole = start(script, tmp_path / "whole", tmp_path / "whole.npz")
    whole.stdout.readline()
    began = time.perf_counter()
    assert end(whole) == 0
    lasted = time.perf_counter() - began
    chance = random.Random(0)
    kills = 0
    while kills < 10:
        process = start(script, tmp_path / "killed", tmp_path / "killed.npz")
        process.stdout.readline()
        time.sleep(chance.uniform(0, lasted * 0.7))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        end(process)
        kills += 1
        if (tmp_path / "killed.npz").exists():
            (tmp_path / "killed.npz").unlink()
    last = start(script, tmp_path / "killed", tmp_path / "killed.npz")
    assert end(last) == 0
    expected, found = np.load(tmp_path / "whole.npz"), np.load(tmp_path / "killed.npz")
    assert set(expected) == set(found)
    for name in expected:
        assert np.array_equal(expected[name], found[name]), name
