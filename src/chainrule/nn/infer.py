"""Shapes and dtypes of what a function would return, without computing anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chainrule.base.trees import flatten, map_tree
from chainrule.ir.types import ArrayType, type_of
from chainrule.tracing.creation import as_traced_leaf
from chainrule.tracing.stage import StageTrace
from chainrule.tracing.swap import swapped
from chainrule.tracing.tracer import Tracer


class Inference:
    """A trace that is made for its types only.

    Example:
        >>> import numpy as np
        >>> inference = Inference()
        >>> x = inference.value(ArrayType((3, 4), np.dtype("float32")))
        >>> inference.types(lambda: x @ x.T)
        ArrayType(shape=(3, 3), dtype=dtype('float32'), weak=False)
    """

    def __init__(self) -> None:
        self.trace = StageTrace()

    def value(self, kind: ArrayType) -> Tracer:
        """Something of this type."""
        return self.trace.abstract(kind)

    def types(self, f: Callable[[], Any]) -> Any:
        """The tree of what `f` returns, with types for leaves."""
        try:
            with swapped():
                out = f()
                flatten(out)
                return map_tree(lambda leaf: _plain(type_of(as_traced_leaf(leaf))), out)
        finally:
            self.trace.open = False


def _plain(kind: ArrayType) -> ArrayType:
    return ArrayType(tuple(kind.shape), kind.dtype)
