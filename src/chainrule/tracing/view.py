"""How a tracer shares memory with another: views, and writes that wait in a log.

Nothing here runs an operation; `refresh` in trace.py brings a view up to date after a write.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from chainrule.ir.primitive import Primitive
from chainrule.tracing.tracer import Tracer

_arange = np.arange  # while a trace runs, NumPy's own name makes a buffer


class View:
    """How a tracer came from its parent: the operation that NumPy would answer with a view."""

    __slots__ = ("op", "params", "parent", "ravelled", "seen")

    def __init__(self, parent: Tracer, op: Primitive, params: dict[str, Any], seen: int) -> None:
        self.parent = parent
        self.op = op
        self.params = params
        self.seen = seen
        # np.ravel, unlike reshape, copies what doesn't lie in one piece: of what, in which order.
        self.ravelled: tuple[Tracer, str] | None = None

    @property
    def merges(self) -> bool:
        """Whether it's a reshape that NumPy can answer with a view only as memory allows."""
        return self.op.name == "reshape" and len([n for n in self.parent.shape if n > 1]) > 1


class Log:
    """Writes to rows of a root that no equation holds yet: leading indices → value.

    All rows have the same number of leading indices, `depth`; of single elements it's all of them.
    """

    __slots__ = ("depth", "entries", "flush")

    def __init__(self, flush: Any, depth: int) -> None:
        self.entries: dict[tuple[int, ...], Any] = {}
        self.flush = flush
        self.depth = depth


def root_of(tracer: Tracer) -> Tracer:
    """The array that owns the memory a tracer would share."""
    while type(tracer.alias) is View:
        tracer = tracer.alias.parent
    return tracer


def link(result: Tracer, parent: Any, op: Primitive, params: dict[str, Any]) -> None:
    """Remember that `result` shares `parent`'s memory."""
    assert op.view is not None
    if type(parent) is not Tracer or not op.view(tuple(result.shape), **params):
        return
    if parent.shape or not _is_scalar(parent):
        result.alias = View(parent, op, params, root_of(parent).version)


def _is_scalar(tracer: Tracer) -> bool:
    """Whether a tracer without axes is one of NumPy's scalars, of which a reshape is a copy."""
    if tracer.alias is not None:
        return False
    value: Any = tracer
    while type(value) is Tracer:
        value = value.value
    return not (isinstance(value, np.ndarray) and value.ndim == 0)


@lru_cache(maxsize=16)
def numbering(
    shape: tuple[int, ...], order: tuple[int, ...] | None = None, pairs: bool = False
) -> np.ndarray:
    """Where each element lies in memory that is laid out as `order` says, from axis to axis.

    Of complex numbers both parts hold the position, so that views of either part can be followed.
    """
    if order is None:
        positions = _arange(math.prod(shape)).reshape(shape)
    else:
        laid = _arange(math.prod(shape)).reshape([shape[k] for k in order])
        positions = laid.transpose([order.index(k) for k in range(len(order))])
    if pairs:
        positions = positions + 1j * positions
    positions.flags.writeable = False
    return positions


def memory_order(value: Any, binding: bool = False) -> tuple[int, ...] | None:
    """The axes of an array from the longest step in memory to the shortest; None for C order.

    NumPy copies where a reshape would have to change it. `binding`: a result depends on it, so
    that it must be known; otherwise what isn't known without values is taken to be C order.
    """
    ndim = len(value.shape)
    while type(value) is Tracer:
        if value.owner.staged and value.mark >= 0:
            axes = value.owner.memory_order(value, binding)
            # A batch, if there is one, lies in front.
            more = len(value.shape) - ndim
            return axes and rising([k - more for k in axes if k >= more], value.shape[more:])
        value = value.value
    if ndim < 2 or not isinstance(value, np.ndarray) or value.flags.c_contiguous:
        return None
    return axes_of(value, ndim)


def axes_of(array: np.ndarray, ndim: int | None = None) -> tuple[int, ...] | None:
    """The last `ndim` axes from the longest step to the shortest; None for C order."""
    ndim = array.ndim if ndim is None else ndim
    steps, lengths = array.strides[array.ndim - ndim :], array.shape[array.ndim - ndim :]
    order = sorted(range(ndim), key=lambda k: -abs(steps[k]) if lengths[k] > 1 else -math.inf)
    return rising(order, lengths)


def rising(order: list[int], lengths: tuple[int, ...]) -> tuple[int, ...] | None:
    wide = [k for k in order if lengths[k] > 1]
    return None if wide == sorted(wide) else tuple(order)


def positions_of(tracer: Tracer, binding: bool = False) -> np.ndarray:
    """Where each element of a view lies in its root, counted along the root's memory."""
    view = tracer.alias
    if type(view) is not View:
        pairs = tracer.dtype.kind == "c"
        return numbering(tuple(tracer.shape), memory_order(tracer, binding), pairs)
    return view.op.value(positions_of(view.parent, binding or view.merges), **view.params)


def settle_aliasing(tracer: Tracer) -> None:
    """Drop the links of what NumPy would have copied (a reshape of a transpose, say)."""
    view = tracer.alias
    if type(view) is not View:
        return
    settle_aliasing(view.parent)
    shared = view.ravelled is None or _in_one_piece(*view.ravelled)
    parent = positions_of(view.parent, view.merges)
    if not (shared and np.may_share_memory(positions_of(tracer), parent)):
        tracer.alias = None


def _in_one_piece(tracer: Tracer, order: str) -> bool:
    flags = positions_of(tracer, binding=True).flags
    return flags.c_contiguous if order == "C" else flags.f_contiguous
