"""Recording a function for the compiler: arrays from outside stay the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from chainrule.base.trees import flatten
from chainrule.ir.program import Program
from chainrule.ir.types import ArrayType
from chainrule.tracing.creation import as_traced_leaf
from chainrule.tracing.stage import StageTrace, close
from chainrule.tracing.swap import swapped
from chainrule.tracing.trace import resolve, snapshot


class LiveTrace(StageTrace):
    """A trace without values in which arrays from outside aren't copied.

    The compiled function reads them anew at every call, as the function itself would.
    """

    __slots__ = ("live",)
    kind = "function compiled by cr.jit"

    def __init__(self, live: Iterable[np.ndarray] = ()) -> None:
        super().__init__()
        self.live = {id(array): array for array in live}

    def is_live(self, array: Any) -> bool:
        """Whether an array is one from outside, or a view of one."""
        while isinstance(array, np.ndarray):
            if id(array) in self.live:
                return True
            array = array.base
        return False

    def own(self, array: np.ndarray) -> Any:
        return array if self.is_live(array) else super().own(array)


def record(
    f: Callable[[Sequence[Any]], Any],
    kinds: Sequence[ArrayType],
    names: Sequence[str],
    name: str,
    live: Iterable[np.ndarray] = (),
) -> Program:
    """The program of `f(leaves)` for leaves of these types."""
    trace = LiveTrace(live)
    inputs = [trace.abstract(kind) for kind in kinds]
    heads = [snapshot(t) for t in inputs]
    try:
        with swapped():
            outs, out_tree = flatten(f(inputs))
            outs = [resolve(as_traced_leaf(out)) for out in outs]
    finally:
        trace.open = False
    return close(trace, heads, outs, name, None, out_tree, names)
