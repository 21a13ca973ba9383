"""vmap: a function of one example becomes a function of a batch, operation by operation.

Inside, every batched value carries its batch along axis 0; other axes are moved only where the
function begins and ends, so that each operation's batch rule has one layout to think of.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError, TraceError
from chainrule.base.trees import flatten, outline, unflatten
from chainrule.ir.primitive import Primitive
from chainrule.ir.types import ArrayType
from chainrule.tracing.creation import as_traced_leaf, operand
from chainrule.tracing.operands import refuse_outer_write
from chainrule.tracing.recording import apart
from chainrule.tracing.stage import without_value
from chainrule.tracing.swap import swapped
from chainrule.tracing.trace import Trace, apply, refresh, snapshot
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import link
from chainrule.transform.arguments import check_callable


class BatchTrace(Trace):
    """Tracers hold a whole batch along axis 0 (mark 1), or one value for all (mark 0)."""

    __slots__ = ("size",)
    batching = True
    kind = "function under vmap"

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def lift(self, value: Any) -> Tracer:
        return Tracer(self, value, 0)

    def shape(self, tracer: Tracer) -> tuple[int, ...]:
        return tuple(tracer.value.shape[tracer.mark :])

    def has_value(self, tracer: Tracer) -> bool:
        return not tracer.mark

    def finished(self, tracer: Tracer) -> Any:
        if not tracer.mark:
            return tracer.value
        raise TraceError(
            "a value of one example was kept beyond the function under vmap",
            fix="return it from that function instead of storing it outside",
        )

    def concrete(self, tracer: Tracer, what: str) -> Any:
        refresh(tracer)
        if not tracer.mark or tracer.owner is not self:
            return super().concrete(tracer, what)
        refuse_outer_write(self.describe(tracer))
        raise TraceError(
            f"{what} needs one value, but under vmap there is one per example",
            {"value": self.describe(tracer)},
            without_value(tracer, what),
        )

    def number(self, tracer: Tracer, what: str) -> Any:
        return self.concrete(tracer, f"{what}()")

    def to_array(self, tracer: Tracer, dtype: Any) -> Any:
        return self.concrete(tracer, "a plain array")

    def describe(self, tracer: Tracer) -> str:
        kind = ArrayType(tuple(tracer.shape), tracer.dtype)
        return f"Traced<{kind}, one of a batch of {self.size}>"

    def process(self, op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        operands: list[Any] = []
        batched: list[bool] = []
        weak = op.weak
        for a in args:
            mark = 0
            if type(a) is Tracer:
                if a.alias is not None:
                    refresh(a)
                weak = weak and a.weak
                if a.owner is self:
                    a, mark = a.value, a.mark
                elif a.owner.passive:
                    a = a.value
            else:
                weak = weak and type(a) in (int, float, complex)
            operands.append(a)
            batched.append(bool(mark))
        if not any(batched):
            result = apply(op, *operands, **params)
            mark = 0
        else:
            rule = op.batch or one_by_one
            result = rule(op, self.size, tuple(operands), tuple(batched), **params)
            mark = 1
        if op.multiple:
            return tuple(Tracer(self, part, mark) for part in result)
        tracer = Tracer(self, result, mark, weak)
        if op.view is not None:
            link(tracer, args[0], op, params)
        return tracer


def one_by_one(
    op: Primitive, size: int, args: tuple[Any, ...], batched: tuple[bool, ...], **params: Any
) -> Any:
    """The batch rule of an operation that has none: a loop over the examples."""
    rows = [
        apply(op, *[a[i] if b else a for a, b in zip(args, batched, strict=True)], **params)
        for i in range(size)
    ]
    if op.multiple:
        return tuple(np.stack(column) for column in zip(*rows, strict=True))
    return np.stack(rows)


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """A function of whole batches, from a function of one example.

    Args:
        f: a function of arrays or trees of them, for one example.
        in_axes: which axis of each argument runs over the examples; None for an argument that all
            share. One entry for all arguments, or a tuple with an entry (or a tree) per argument.
        out_axes: where the batch axis goes in the result; None for a result that all share.

    Returns:
        A function of the same arguments with one more axis each.

    Raises:
        ShapeError: batch axes of different lengths, or an axis that isn't there.
        TraceError: Python control flow that would need the value of one example.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> cr.vmap(np.dot, in_axes=(0, None))(np.eye(2), np.array([3.0, 4.0]))
        array([3., 4.])
    """
    check_callable(f, "vmap")

    def batched(*args: Any, **kwargs: Any) -> Any:
        leaves, tree = flatten((args, kwargs))
        axes = _axes(in_axes, args) + [0] * len(flatten(kwargs)[0])
        size = _batch_size(leaves, axes)
        trace = BatchTrace(size)
        tracers = [
            leaf if axis is None else Tracer(trace, _to_front(leaf, axis), 1)
            for leaf, axis in zip(leaves, axes, strict=True)
        ]
        try:
            positional, named = unflatten(tree, tracers)
            with swapped():
                outs, out_tree = flatten(f(*positional, **named))
                outs = [as_traced_leaf(out) for out in outs]
            destinations = _broadcast(out_axes, unflatten(out_tree, outs), "out_axes")
            results = [
                _to_user(trace, out, axis) for out, axis in zip(outs, destinations, strict=True)
            ]
        finally:
            trace.open = False
        return unflatten(out_tree, results)

    return batched


def _axes(in_axes: Any, args: tuple[Any, ...]) -> list[int | None]:
    """One axis (or None) per leaf of the positional arguments."""
    if not isinstance(in_axes, (tuple, list)):
        return _broadcast(in_axes, args, "in_axes")
    if len(in_axes) != len(args):
        raise ArgumentError(
            "vmap: in_axes must have one entry per argument",
            {"in_axes": in_axes, "arguments": len(args)},
            "write None for an argument that all examples share",
        )
    return [
        n for axis, arg in zip(in_axes, args, strict=True) for n in _broadcast(axis, arg, "in_axes")
    ]


def _broadcast(axes: Any, tree: Any, what: str) -> list[int | None]:
    """Axes for every leaf of a tree: one for all, or a tree of them."""
    leaves, structure = flatten(tree)
    if axes is None:
        return [None] * len(leaves)
    if isinstance(axes, dict) or (isinstance(axes, (tuple, list)) and type(tree) is type(axes)):
        keys: Any = axes.keys() if isinstance(axes, dict) else range(len(axes))
        if len(axes) != len(tree):
            raise ArgumentError(
                f"vmap: {what} doesn't fit the tree",
                {what: axes, "tree": outline(structure)},
                fix="write one integer for all, or a tree of integers and None",
            )
        ordered = sorted(keys) if isinstance(axes, dict) else keys
        return [n for key in ordered for n in _broadcast(axes[key], tree[key], what)]
    try:
        return [operator.index(axes)] * len(leaves)
    except TypeError:
        raise ArgumentError(
            f"vmap: {what} must be an integer, None, or a tree of them",
            {what: repr(axes)},
            fix="write one integer for all, or a tree of integers and None",
        ) from None


def _batch_size(leaves: list[Any], axes: list[int | None]) -> int:
    sizes: dict[int, str] = {}
    for k, (leaf, axis) in enumerate(zip(leaves, axes, strict=True)):
        if axis is None:
            continue
        shape = np.shape(leaf)
        if not -len(shape) <= axis < len(shape):
            raise ShapeError(
                "vmap: an argument has no such axis",
                {"argument leaf": k, "shape": shape, "axis": axis},
                "use in_axes=None for an argument that all examples share",
            )
        sizes.setdefault(shape[axis], f"argument leaf {k}, axis {axis} of shape {shape}")
    if not sizes:
        raise ArgumentError(
            "vmap: nothing to batch over", fix="in_axes must name an axis of one argument at least"
        )
    if len(sizes) > 1:
        raise ShapeError(
            "vmap: batch axes of different lengths",
            {str(size): text for size, text in sizes.items()},
            "give them as many examples each; or in_axes=None to what all examples share",
        )
    return next(iter(sizes))


def _to_front(leaf: Any, axis: int) -> Any:
    value = operand(leaf)
    if type(value) is Tracer:
        value = snapshot(value)
    elif type(value) is np.ndarray:
        value = apart(value)
    return value if axis == 0 else np.moveaxis(value, axis, 0)


def _to_user(trace: BatchTrace, out: Any, axis: int | None) -> Any:
    """A result with its batch axis where the user wants it; a shared one repeated."""
    if type(out) is Tracer:
        refresh(out)
    mine = type(out) is Tracer and out.owner is trace
    value, mark = (out.value, out.mark) if mine else (operand(out), 0)
    if axis is None:
        if mark:
            raise ArgumentError(
                "vmap: out_axes=None for a result that differs between examples",
                {"result": trace.describe(out)},
                "give the axis that the batch is to have in the result",
            )
        return value
    if not mark:
        value = np.array(np.broadcast_to(value, (trace.size, *np.shape(value))))
    if not -np.ndim(value) <= axis < np.ndim(value):
        raise ShapeError(
            "vmap: a result has no such axis",
            {"axis": axis, "result": np.shape(value)},
            f"out_axes counts the axes of the batched result: 0 to {np.ndim(value) - 1}",
        )
    return value if axis == 0 else np.moveaxis(value, 0, axis)
