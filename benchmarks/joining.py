"""Gradients through joins: two long arrays, and a list of 20,000 single numbers."""

from __future__ import annotations

import numpy as np

from benchmarks.effort import rounds
from benchmarks.measure import Contestant, compete
from benchmarks.report import table

SIZE = 20_000


def problem():
    return np.random.default_rng(0).uniform(-1, 1, SIZE)


# ---- two long arrays ----------------------------------------------------------------------------

ARRAYS_TITLE = "Joins · gradient of np.sum(np.concatenate([x, 2 * x]) ** 2), 20,000 entries"


def arrays_reference(x):
    return (10 * x,)


def ours_on_arrays(x):
    import chainrule as cr

    gradient = cr.grad(lambda x: np.sum(np.concatenate([x, 2 * x]) ** 2))
    return lambda: gradient(x), lambda g: (g,)


def arrays_by_hand(x):
    def run():
        joined = 2 * np.concatenate([x, 2 * x])
        return joined[: x.size] + 2 * joined[x.size :]

    return run, lambda g: (g,)


def autograd_on_arrays(x):
    import autograd
    import autograd.numpy as anp

    gradient = autograd.grad(lambda x: anp.sum(anp.concatenate([x, 2 * x]) ** 2))
    return lambda: gradient(x), lambda g: (g,)


ARRAYS = (
    Contestant("NumPy by hand", arrays_by_hand, "limit"),
    Contestant("chainrule", ours_on_arrays, "ours"),
    Contestant("autograd", autograd_on_arrays),
)


# ---- many pieces --------------------------------------------------------------------------------

PIECES_TITLE = "Joins · gradient of np.sum(np.array(pieces) ** 2), a list of 20,000 traced numbers"


def pieces_reference(x):
    return (2 * x,)


def ours_on_pieces(x):
    import chainrule as cr

    gradient = cr.grad(lambda x: np.sum(np.array([x[i] for i in range(SIZE)]) ** 2))
    return lambda: gradient(x), lambda g: (g,)


def pieces_by_hand(x):
    return lambda: 2 * np.array([x[i] for i in range(SIZE)]), lambda g: (g,)


PIECES = (
    Contestant("NumPy by hand", pieces_by_hand, "limit"),
    Contestant("chainrule", ours_on_pieces, "ours"),
)


def tables():
    x = problem()
    return [
        table(title, *compete(contestants, x, reference(x), *rounds(15, 0.05)))
        for title, contestants, reference in (
            (ARRAYS_TITLE, ARRAYS, arrays_reference),
            (PIECES_TITLE, PIECES, pieces_reference),
        )
    ]
