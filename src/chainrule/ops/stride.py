"""Views by address: how an array made inside a function finds again what its views show."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ir.bound import EXACT
from chainrule.ir.primitive import Case, Draw, Linear, Primitive
from chainrule.ir.types import ArrayType
from chainrule.ops import move_loops
from chainrule.ops.family import PRIMITIVES, primitive, structural
from chainrule.ops.index_plan import Spot
from chainrule.tracing.table import implements
from chainrule.tracing.trace import apply

_arange = np.arange  # while a trace runs, NumPy's own name makes a buffer


def _value(x: Any, start: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Any:
    memory = np.reshape(x, (-1,))[start:]
    return np.lib.stride_tricks.as_strided(memory, shape, [s * memory.itemsize for s in steps])


def _places(size: int, start: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> np.ndarray:
    """Which entries of the memory the view shows."""
    return np.array(_value(_arange(size), start, shape, steps)).view(np.ndarray)


def _gather(x: ArrayType, pieces: list[tuple[Any, tuple[Any, ...], dict[str, Any]]]) -> Any:
    flat = x._replace(shape=(x.size,))
    picks = [(g, (_places(x.size, **p),), {"index": (Spot(0),)}) for g, _, p in pieces]
    reading = PRIMITIVES["getitem"].derivative
    assert isinstance(reading, Linear)
    assert reading.gather is not None
    return np.reshape(reading.gather(flat, picks), x.shape)


def _batch(
    op: Primitive,
    size: int,
    args: tuple[Any, ...],
    batched: Any,
    start: int,
    shape: Any,
    steps: Any,
) -> Any:
    length = int(np.prod(np.shape(args[0])[1:]))
    return apply(op, args[0], start=start, shape=(size, *shape), steps=(length, *steps))


# How buffers find their views again: entries of x's memory from `start` on, at regular steps.
strided = primitive(
    name="strided",
    type_rule=lambda x, start, shape, steps: ArrayType(shape, x.dtype),
    value=_value,
    derivative=Linear(
        lambda g, x, **view: _gather(x, [(g, (), view)]),
        selects=True,
        gather=_gather,
    ),
    batch=_batch,
    symbolic=structural(_value),
    lower=move_loops.strided,
    bound=EXACT,
    cases=(
        Case((Draw((6,)),), {"start": 1, "shape": (3,), "steps": (2,)}),
        Case((Draw((2, 3)),), {"start": 5, "shape": (3, 2), "steps": (-1, -3)}),
        Case((Draw((4,)),), {"start": 0, "shape": (3, 2), "steps": (1, 1)}),
        Case((Draw((4,)),), {"start": 2, "shape": (), "steps": ()}),
    ),
    view=lambda out, start, shape, steps: True,
)


@implements("strided")
def _strided(x: Any, start: int, shape: tuple[int, ...], steps: tuple[int, ...]) -> Any:
    return apply(strided, x, start=start, shape=shape, steps=steps)
