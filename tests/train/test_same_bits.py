"""The same seed gives the same weights: run to run, on one thread and on several."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import chainrule as cr

SOURCE = Path(__file__).parents[2] / "src"

# Wide enough that products, convolutions and sums over the batch are shared out among threads.
SCRIPT = """
import hashlib
import numpy as np, chainrule as cr
rng = np.random.default_rng(0)
images, labels = rng.random((96, 16, 16, 8), np.float32), rng.integers(0, 10, 96)
model = cr.nn.Sequential([
    cr.nn.Conv2D(32, 3, activation="relu"), cr.nn.BatchNormalization(), cr.nn.MaxPooling2D(),
    cr.nn.Flatten(), cr.nn.Dense(300, activation="relu"), cr.nn.Dropout(0.4), cr.nn.Dense(10),
])
model.compile(cr.optim.Adam(1e-3), cr.nn.SparseCategoricalCrossentropy(from_logits=True))
model.fit(images, labels, batch_size=40, epochs=2, verbose=0, seed=11)
print(hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest())
"""


def test_in_other_processes_and_on_other_numbers_of_threads():
    found = [
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE), "CHAINRULE_THREADS": str(threads)},
        ).stdout
        for threads in (1, 2, 3, 1)
    ]
    assert len(found[0]) == 65
    assert len(set(found)) == 1


@pytest.mark.parametrize("rows", [1, 33, 4000])
def test_batches_of_a_wide_network(rows):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(rows + 7, 300)), rng.normal(size=(rows + 7, 40))

    def trained(threads):
        model = cr.nn.Sequential([cr.nn.Dense(256, activation="tanh"), cr.nn.Dense(40)])
        model.compile(cr.optim.SGD(0.01, momentum=0.9), "mse")
        with cr.settings(threads=threads):
            model.fit(x, y, batch_size=rows, verbose=0, seed=2)
        return b"".join(w.tobytes() for w in model.get_weights())

    assert trained(1) == trained(2)
