"""What a native call costs a large model: `fit` with few steps a call, beside many."""

from __future__ import annotations

import statistics
import time

import numpy as np

from benchmarks.effort import QUICK, THREADS
from benchmarks.report import duration

INPUTS, HIDDEN, BATCH, STEPS = (64, 128, 4, 4) if QUICK else (1024, 4096, 16, 8)
ROUNDS = 1 if QUICK else 7


def network():
    """Two dense layers of 21 million weights, 84 MB; as much again is the momentum's."""
    import chainrule as cr

    relu = {"activation": "relu"}
    model = cr.nn.Sequential(
        [cr.nn.Dense(HIDDEN, **relu), cr.nn.Dense(HIDDEN, **relu), cr.nn.Dense(10)]
    )
    loss = cr.nn.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(cr.optim.SGD(0.01, momentum=0.9), loss)
    model.build((INPUTS,))
    return model


def watcher(every):
    """A callback that is called after so many steps, and does nothing."""
    import chainrule as cr

    class Watcher(cr.train.Callback):
        def every_steps(self):
            return every

    return Watcher()


def tables():
    random = np.random.default_rng(0)
    x = random.standard_normal((STEPS * BATCH, INPUTS), np.float32)
    labels = random.integers(0, 10, len(x))
    parts = [every for every in (1, 2, 4, 8) if every <= STEPS]
    models = {every: network() for every in parts}
    seconds = {every: [] for every in parts}
    for _ in range(ROUNDS + 1):
        for every, model in models.items():
            began = time.perf_counter()
            model.fit(x, labels, batch_size=BATCH, callbacks=[watcher(every)], verbose=0)
            seconds[every].append((time.perf_counter() - began) / STEPS)
    first, *others = (model.get_weights() for model in models.values())
    if any(not np.array_equal(a, b) for other in others for a, b in zip(first, other, strict=True)):
        raise AssertionError("the weights depend on how the steps are cut into calls")
    lines = [f"{'':<30}{'a step':>10}{'more a call':>14}"]
    least = statistics.median(seconds[parts[-1]][1:])
    for every in parts:
        step = statistics.median(seconds[every][1:])  # the first fit compiles
        more = duration(max(0.0, step - least) * every) if every < parts[-1] else ""
        name = f"chainrule, fit, {every} step{'s' * (every > 1)} a call"
        lines.append(f"{name:<30}{duration(step):>10}{more:>14}")
    megabytes = 2 * sum(w.nbytes for w in first) / 1e6
    title = (
        f"Calls · fit of a network {INPUTS}-{HIDDEN}-{HIDDEN}-10, batch {BATCH}, momentum, "
        f"float32: {megabytes:.0f} MB change at every step, threads: {THREADS}"
    )
    return ["\n".join([title, "", *lines])]
