"""Digits: five lines of training, five seeds, each in a fresh process that has compiled nothing."""

from __future__ import annotations

import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.effort import QUICK
from benchmarks.report import duration

ROOT = Path(__file__).parents[1]
SEEDS = (0,) if QUICK else (0, 1, 2, 3, 4)
TITLE = (
    "Digits · Dense(30, sigmoid), Dense(10), SGD(0.2), one sample per step, at most 10 epochs, "
    "a random fifth held out for the test"
)
DATA = """
import time
import numpy as np
from sklearn.datasets import load_digits

pixels, digits = load_digits(return_X_y=True)
pixels = pixels / 16
order = np.random.default_rng({seed}).permutation(len(digits))
test, rest = order[: len(order) // 5], order[len(order) // 5 :]
x, y, x_test, y_test = pixels[rest], digits[rest], pixels[test], digits[test]
"""
# What is loaded at its first use is loaded before the clock starts; the compiler isn't warm.
OURS = """
import llvmlite.binding, optree, chainrule as cr
cr.nn.Sequential, cr.nn.Dense, cr.nn.SparseCategoricalCrossentropy, cr.optim.SGD
cr.train.EarlyStopping

began = time.perf_counter()
model = cr.nn.Sequential([cr.nn.Dense(30, activation="sigmoid"), cr.nn.Dense(10)])
loss = cr.nn.SparseCategoricalCrossentropy(from_logits=True)
model.compile(optimizer=cr.optim.SGD(0.2), loss=loss, metrics=["accuracy"])
stop = cr.train.EarlyStopping(patience=3)
model.fit(
    x, y, batch_size=1, epochs=10, verbose=0, callbacks=[stop], validation_split=0.1, seed={seed}
)
accuracy = model.evaluate(x_test, y_test)["accuracy"]
print(time.perf_counter() - began, accuracy)
"""
SCIKIT_LEARN = """
import warnings
from sklearn.neural_network import MLPClassifier

warnings.simplefilter("ignore")  # that it ends after ten epochs
began = time.perf_counter()
model = MLPClassifier(
    (30,), activation="logistic", solver="sgd", alpha=0, batch_size=1, learning_rate_init=0.2,
    momentum=0, max_iter=10, early_stopping=True, validation_fraction=0.1, n_iter_no_change=3,
    random_state={seed},
)
model.fit(x, y)
accuracy = model.score(x_test, y_test)
print(time.perf_counter() - began, accuracy)
"""


def trained(code, seed):
    """Seconds and test accuracy of a fresh process with an empty cache.

    Raises:
        RuntimeError: it failed.
    """
    paths = os.pathsep.join((str(ROOT), str(ROOT / "src")))
    with tempfile.TemporaryDirectory(prefix="chainrule-bench-") as empty:
        done = subprocess.run(
            [sys.executable, "-c", (DATA + code).format(seed=seed)],
            env=os.environ | {"PYTHONPATH": paths, "CHAINRULE_CACHE": empty},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(f"training on the digits fails\n{done.stderr}")
    seconds, accuracy = done.stdout.split()
    return float(seconds), float(accuracy)


def tables():
    if importlib.util.find_spec("sklearn") is None:
        return [f"{TITLE}\n\nnot here: the digits come with scikit-learn"]
    found = {"chainrule": [], "scikit-learn, MLPClassifier": []}
    for seed in SEEDS:
        for samples, code in zip(found.values(), (OURS, SCIKIT_LEARN), strict=True):
            samples.append(trained(code, seed))
    lines = [f"{'':<30}{'accuracy, median':>18}{'slowest':>10}   each seed"]
    for name, samples in found.items():
        times, shares = zip(*samples, strict=True)
        each = ", ".join(f"{share:.1%} in {duration(time)}" for time, share in samples)
        middle = f"{statistics.median(shares):.1%}"
        lines.append(f"{name:<30}{middle:>18}{duration(max(times)):>10}   {each}")
    return ["\n".join([TITLE, "", *lines])]
