"""Memory: `fit` on a memory-mapped file that is larger than what it may keep in memory."""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from benchmarks.effort import QUICK
from benchmarks.report import duration

COLUMNS, BATCH, CLASSES = 1024, 256, 10
BLOCK = 4096  # rows that are written at a time
ROWS = 8 * BLOCK if QUICK else 256 * BLOCK
MARK = 400  # MB


def anonymous():
    """The memory of this process, in MB, that no file stands behind.

    Raises:
        ImportError: this system doesn't say.
    """
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            found = next(line for line in lines if line.startswith("RssAnon"))
    except (OSError, StopIteration):
        raise ImportError("only Linux tells anonymous memory apart") from None
    return int(found.split()[1]) / 1024


class Peak(threading.Thread):
    """The largest anonymous memory while it runs, looked at every few milliseconds."""

    def __init__(self):
        super().__init__(daemon=True)
        self.most = anonymous()
        self.over = threading.Event()

    def run(self):
        while not self.over.wait(0.005):
            self.most = max(self.most, anonymous())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.over.set()
        self.join()
        self.most = max(self.most, anonymous())


def write(path):
    """Rows of float32, without ever holding more than a block of them; the labels.

    What a row is stands out in one of its first columns, so that an epoch is enough to learn it.
    """
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, ROWS)
    with path.open("wb") as file:
        for start in range(0, ROWS, BLOCK):
            rows = random.random((BLOCK, COLUMNS), np.float32) - np.float32(0.5)
            rows[np.arange(BLOCK), labels[start : start + BLOCK]] += 3
            rows.tofile(file)
    return labels


def trained(path, labels, shuffle):
    """Seconds of an epoch, and the anonymous memory before and at most, in MB."""
    import chainrule as cr

    rows = np.memmap(path, np.float32, mode="r", shape=(ROWS, COLUMNS))
    model = cr.nn.Sequential([cr.nn.Dense(64, activation="relu"), cr.nn.Dense(CLASSES)])
    loss = cr.nn.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(cr.optim.SGD(0.05), loss, metrics=["accuracy"])
    before = anonymous()
    began = time.perf_counter()
    with Peak() as peak:
        history = model.fit(rows, labels, batch_size=BATCH, shuffle=shuffle, verbose=0)
    seconds = time.perf_counter() - began
    # That it read the file is seen from what it learned.
    accuracy = history.history["accuracy"][-1]
    if accuracy < 2 / CLASSES:
        raise AssertionError(f"fit learned nothing from the file: accuracy {accuracy:.2f}")
    return seconds, before, peak.most


def tables():
    with tempfile.TemporaryDirectory(prefix="chainrule-bench-") as folder:
        path = Path(folder) / "rows.f32"
        labels = write(path)
        size = path.stat().st_size / 1e9
        lines = [f"{'':<32}{'an epoch':>10}{'before':>10}{'peak':>10}{'growth':>10}"]
        for name, shuffle in (("chainrule, fit, in file order", False), ("chainrule, fit", True)):
            seconds, before, most = trained(path, labels, shuffle)
            memory = f"{before:>7.0f} MB{most:>7.0f} MB{most - before:>7.0f} MB"
            lines.append(f"{name:<32}{duration(seconds):>10}{memory}")
    title = (
        f"Files · fit on {size:.3g} GB of memory-mapped float32, a network {COLUMNS}-64-{CLASSES}, "
        f"batch {BATCH}: anonymous memory, at most {MARK} MB"
    )
    return ["\n".join([title, "", *lines])]
