"""What a compiled call costs whose arguments and results are trees: dicts of small arrays."""

from __future__ import annotations

import numpy as np

from benchmarks.effort import rounds
from benchmarks.measure import Contestant, compete
from benchmarks.peers import in_jax
from benchmarks.report import table

COUNT = 10
TITLE = f"Trees · a compiled call that takes and gives two dicts of {COUNT} arrays of 4x4, float64"


def problem():
    names = [f"layer_{k}/kernel" for k in range(COUNT)]
    return tuple({name: np.full((4, 4), k + 1.0) for k, name in enumerate(names)} for _ in "ab")


def moved(weights, speeds, rate):
    speeds = {name: 0.5 * speed - rate for name, speed in speeds.items()}
    return {name: weight + speeds[name] for name, weight in weights.items()}, speeds


def reference(pair):
    return leaves(moved(*pair, 0.25))


def leaves(pair):
    return tuple(np.asarray(part[name]) for part in pair for name in sorted(part))


def ours(pair):
    import chainrule as cr

    compiled = cr.jit(moved)
    return lambda: compiled(*pair, 0.25), leaves


def ours_in_place(pair):
    import chainrule as cr

    compiled = cr.jit(moved)
    out = tuple({name: np.empty_like(a) for name, a in part.items()} for part in pair)
    return lambda: compiled(*pair, 0.25, out=out), leaves


CONTESTANTS = (
    Contestant("NumPy by hand", lambda pair: (lambda: moved(*pair, 0.25), leaves), "limit"),
    Contestant("chainrule", ours, "ours"),
    Contestant("chainrule, out=", ours_in_place, "also ours"),
    Contestant("jax", lambda pair: (in_jax(moved, *pair, 0.25), leaves)),
)


def tables():
    these = problem()
    return [table(TITLE, *compete(CONTESTANTS, these, reference(these), *rounds(15, 0.05)))]
