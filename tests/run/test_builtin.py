"""What describes a built-in function outlives it, also when all of it is taken down at once."""

from __future__ import annotations

import gc

import numpy as np

import chainrule as cr
from chainrule.run.builtin import VARARGS, method


def test_the_collector_empties_no_description():
    record, name = method(b"f", 0, VARARGS)
    assert name == b"f"
    assert not gc.is_tracked(record)


def test_programs_in_circles_are_taken_down():
    """A compiled function that holds itself goes with the collector alone."""
    for k in range(20):
        compiled = cr.jit(lambda x, k=k: np.sum(x * x) + k)
        for _ in range(3):
            assert compiled(np.ones(3)) == 3 + k
        circle = [compiled]
        circle.append(circle)
        del compiled, circle
        gc.collect()
