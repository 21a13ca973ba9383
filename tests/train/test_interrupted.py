"""Ctrl-C and a full disk, as they really happen: nothing that was reached is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and limits")

BEGIN = """
import resource, signal, sys
import numpy as np, chainrule as cr
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it
rng = np.random.default_rng(0)
x, y = rng.normal(size=(600, 20)).astype(np.float32), rng.integers(0, 4, 600)

def model():
    made = cr.nn.Sequential([cr.nn.Dense(16, activation="relu"), cr.nn.Dense(4)])
    made.compile(cr.optim.Adam(0.02), cr.nn.SparseCategoricalCrossentropy(from_logits=True))
    return made
"""

CTRL_C = f"""{BEGIN}
network, seen = model(), {{}}

def watch(epoch, logs):
    seen[epoch] = logs["val_loss"], network.get_weights()
    if epoch == 8:
        print("going", flush=True)

history = network.fit(
    x, y, batch_size=2, epochs=1_000_000, validation_split=0.3, verbose=0,
    callbacks=[cr.train.EarlyStopping(patience=1_000_000), watch],
)
assert history.stopped == "interrupted", history.stopped
best = min(seen, key=lambda epoch: seen[epoch][0])
assert best < len(seen) - 1
assert all(map(np.array_equal, network.get_weights(), seen[best][1]))
network.save(sys.argv[1])
print("whole", flush=True)
"""


def test_ctrl_c_gives_the_best_weights_back(tmp_path):
    file = tmp_path / "best.safetensors"
    child = subprocess.Popen(
        [sys.executable, "-c", CTRL_C, str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert child.stdout.readline() == "going\n"
    child.send_signal(signal.SIGINT)
    out, err = child.communicate()
    assert (out, err, child.returncode) == ("whole\n", "", 0)
    assert file.exists()


FULL_DISK = f"""{BEGIN}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder = sys.argv[1]

def train(folder, epochs, *callbacks):
    network = model()
    kept = cr.train.BackupAndRestore(folder, save_freq=5, delete_checkpoint=False)
    network.fit(x, y, epochs=epochs, verbose=0, seed=7, callbacks=[kept, *callbacks])
    return network

class Fill(cr.train.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == full_from:
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, unlimited))

unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
full_from = 2
try:
    train(folder + "/a", 5, Fill())
except cr.StorageError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
full_from = -1
resumed, whole = train(folder + "/a", 5, Fill()), train(folder + "/b", 5, Fill())
assert all(map(np.array_equal, resumed.get_weights(), whole.get_weights()))
"""


def test_a_disk_that_fills_up_leaves_the_last_checkpoint_to_go_on_from(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "training.safetensors couldn't be written" in done.stdout
    assert "make room on the disk" in done.stdout
    assert "unchanged" in done.stdout
    assert os.listdir(tmp_path / "a") == ["training.safetensors"]
