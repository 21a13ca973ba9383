"""What a loop carries from step to step: leaves whose types settle while the body is traced."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError, ShapeError
from chainrule.base.trees import flatten, outline, paths, same_structure, unflatten
from chainrule.ir.types import ArrayType, result_dtype, type_of
from chainrule.tracing.body import Staged, stage_body
from chainrule.tracing.creation import as_traced_leaf, operand
from chainrule.tracing.table import TABLE
from chainrule.tracing.trace import resolve, snapshot
from chainrule.tracing.tracer import Tracer


class _Widened(Exception):
    """The first carry holds Python's numbers; the body gives them another dtype."""


class Carry:
    """What a loop carries: its types settle while the body is traced."""

    def __init__(self, caller: str, leaves: list[Any], tree: Any) -> None:
        self.caller = caller
        self.tree = tree
        self.kinds = [type_of(leaf) for leaf in leaves]
        self.tails = paths(unflatten(tree, leaves))
        # Of fori_loop the user sees the value alone, not the counter beside it.
        self.counted = caller == "fori_loop"
        if self.counted:
            self.tails = [tail.removeprefix("[1]") for tail in self.tails]

    def stage(
        self,
        flat: Callable[..., Any],
        more: list[ArrayType],
        labels: Sequence[str | None] = (),
    ) -> Staged:
        """The body, which returns (carry, y), as a program."""
        while True:  # types only ever widen
            try:
                kinds = [*self.kinds, *more]
                return stage_body(flat, kinds, self.caller, self._settle, labels)
            except _Widened:
                continue

    def labels(self, body: Callable[..., Any], rows: Sequence[str] = ()) -> list[str | None]:
        """The user's names for what the body is given: the leaves of the carry, then of the rows.

        Args:
            body: the user's function.
            rows: the places of the leaves of its second argument.
        """
        try:
            names = list(inspect.signature(body).parameters)
        except (TypeError, ValueError):  # nothing that says what its arguments are called
            names = []
        tails = [[""], self.tails[1:]] if self.counted else [self.tails, list(rows)]
        pairs = zip(names, tails, strict=False)
        found: list[str | None] = [name + tail for name, each in pairs for tail in each]
        return found if len(found) == sum(map(len, tails)) else []

    def _settle(self, leaves: list[Any], tree: Any) -> list[Any]:
        returned = _child(tree, 0)
        if not same_structure(returned, self.tree):
            pair = (self.tree, returned)
            gets, returns = (_child(t, 1) for t in pair) if self.counted else pair
            raise ShapeError(
                f"{self.caller}: the body returns a carry of another tree than it gets",
                {"gets": outline(gets), "returns": outline(returns)},
                "return the carry put together as init is",
            )
        count = len(self.kinds)
        kinds = [type_of(leaf) for leaf in leaves[:count]]
        for tail, kind, found in zip(self.tails, self.kinds, kinds, strict=True):
            self._check(tail, kind, found)
        wider = [
            ArrayType(kind.shape, found.dtype)
            if kind.weak and found.dtype != kind.dtype and result_dtype(kind, found) == found.dtype
            else kind
            for kind, found in zip(self.kinds, kinds, strict=True)
        ]
        if wider != self.kinds:
            self.kinds = wider
            raise _Widened
        return [*map(cast, leaves[:count], self.kinds), *leaves[count:]]

    def _check(self, tail: str, kind: ArrayType, found: ArrayType) -> None:
        facts = {f"gets{tail}": kind, f"returns{tail}": found}
        if found.shape != kind.shape:
            raise ShapeError(
                f"{self.caller}: the body returns a carry of another shape than it gets",
                facts,
                f"let init have the shape {found.shape}, or the body keep the shape {kind.shape}",
            )
        if result_dtype(kind, found) != kind.dtype and not kind.weak:
            raise DtypeError(
                f"{self.caller}: the body returns a carry of another dtype than it gets",
                facts,
                f"let init have dtype {found.dtype}, or convert: x.astype({kind.dtype})",
            )


def _child(tree: Any, place: int) -> Any:
    """The structure of one part of a pair."""
    return flatten(unflatten(tree, range(tree.num_leaves))[place])[1]


def start_of(leaves: Sequence[Any], kinds: Sequence[ArrayType]) -> list[Any]:
    return [cast(leaf, ArrayType(k.shape, k.dtype)) for leaf, k in zip(leaves, kinds, strict=True)]


# ---- leaves --------------------------------------------------------------------------------------


def leaves_of(tree: Any) -> tuple[list[Any], Any]:
    leaves, structure = flatten(tree)
    return [_leaf(leaf) for leaf in leaves], structure


def _leaf(leaf: Any) -> Any:
    value = resolve(operand(as_traced_leaf(leaf)))
    return snapshot(value) if type(value) is Tracer else value


def strong(value: Any) -> Any:
    if type(value) is Tracer:
        return Tracer(value.owner, value.value, value.mark)
    return np.asarray(value)[()] if type(value) in (bool, int, float, complex) else value


def cast(value: Any, kind: ArrayType) -> Any:
    """A value in this dtype; Python's own numbers as NumPy's."""
    if type(value) in (bool, int, float, complex):
        return kind.dtype.type(value)
    value = strong(value)
    return value if value.dtype == kind.dtype else TABLE["astype"](value, kind.dtype)


def owned(found: Sequence[Any]) -> list[Any]:
    """Results that share no memory with the operands."""
    return [np.array(x) if type(x) is np.ndarray and x.base is not None else x for x in found]
