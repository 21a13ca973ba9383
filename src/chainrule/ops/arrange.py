"""Arranging: the same numbers in another shape, order or dtype."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.primitive import Case, Draw, Flat, Linear, Primitive
from chainrule.ir.types import ArrayType, result_dtype, type_of
from chainrule.ops.family import broadcast, normal_axis, primitive, structural
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply
from chainrule.tracing.tracer import Tracer

# ---- reshape ---------------------------------------------------------------------------------------

reshape = primitive(
    name="reshape",
    type_rule=lambda x, shape: ArrayType(shape, x.dtype),
    value=lambda x, shape: np.reshape(x, shape),
    derivative=Linear(lambda g, x, shape: np.reshape(g, x.shape)),
    batch=lambda op, size, args, batched, shape: apply(op, args[0], shape=(size, *shape)),
    symbolic=structural(lambda x, shape: np.reshape(x, shape)),
    lower=None,
    cases=(
        Case((Draw((2, 3)),), {"shape": (6,)}),
        Case((Draw((2, 3)),), {"shape": (3, 1, 2)}),
        Case((Draw(()),), {"shape": (1, 1)}),
        Case((Draw((0, 3)),), {"shape": (0,)}),
    ),
    view=lambda out, shape: True,
)


@implements(np.reshape, lists=True)
def _reshape(a: Any, /, shape: Any = None, order: str = "C", *, copy: Any = None) -> Any:
    a = TABLE["operand"](a)
    if order not in ("C", "A", "K"):
        if order != "F":
            raise ShapeError(f"reshape: order must be 'C' or 'F', not {order!r}")
        wanted = _fitting_shape(type_of(a), shape)
        return np.transpose(apply(reshape, np.transpose(a), shape=wanted[::-1]))
    return apply(reshape, a, shape=_fitting_shape(type_of(a), shape))


def _fitting_shape(x: ArrayType, shape: Any) -> tuple[int, ...]:
    """The wanted shape with its −1 filled in."""
    try:
        wanted = tuple(map(operator.index, shape if isinstance(shape, (tuple, list)) else (shape,)))
    except TypeError:
        raise ShapeError("reshape: a shape is made of integers", {"shape": repr(shape)}) from None
    known = int(np.prod([n for n in wanted if n != -1]))
    if wanted.count(-1) == 1 and known and x.size % known == 0:
        wanted = tuple(x.size // known if n == -1 else n for n in wanted)
    if min(wanted, default=0) < 0 or int(np.prod(wanted)) != x.size:
        raise ShapeError(
            "reshape: the number of elements must stay the same",
            {"array": f"{x} ({x.size} elements)", "shape": wanted},
        )
    return wanted


# ---- transpose -------------------------------------------------------------------------------------


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(axes.index(k) for k in range(len(axes)))


def _transpose_batch(op: Primitive, size: int, args: Any, batched: Any, axes: Any) -> Any:
    return apply(op, args[0], axes=(0, *(a + 1 for a in axes)))


transpose = primitive(
    name="transpose",
    type_rule=lambda x, axes: ArrayType(tuple(x.shape[a] for a in axes), x.dtype),
    value=lambda x, axes: np.transpose(x, axes),
    derivative=Linear(lambda g, x, axes: np.transpose(g, _inverse(axes))),
    batch=_transpose_batch,
    symbolic=structural(lambda x, axes: np.transpose(x, axes)),
    lower=None,
    cases=(
        Case((Draw((2, 3)),), {"axes": (1, 0)}),
        Case((Draw((2, 3, 4)),), {"axes": (2, 0, 1)}),
        Case((Draw((3,)),), {"axes": (0,)}),
    ),
    view=lambda out, axes: True,
)


@implements(np.transpose, np.permute_dims, lists=True)
def _transpose(a: Any, axes: Any = None) -> Any:
    a = TABLE["operand"](a)
    ndim = np.ndim(a)
    order = tuple(reversed(range(ndim))) if axes is None else tuple(
        normal_axis(k, ndim) for k in axes
    )  # fmt: skip
    if sorted(order) != list(range(ndim)):
        raise ShapeError("transpose: axes must name every axis once", {"axes": axes, "array": type_of(a)})
    return a if ndim < 2 else apply(transpose, a, axes=order)


# ---- broadcast_to ----------------------------------------------------------------------------------


def _broadcast_transpose(g: Any, x: ArrayType, shape: tuple[int, ...]) -> Any:
    extra = len(shape) - x.ndim
    axes = tuple(range(extra)) + tuple(
        extra + k for k, n in enumerate(x.shape) if n == 1 and shape[extra + k] != 1
    )
    return np.reshape(np.sum(g, axis=axes), x.shape)


def _broadcast_batch(op: Primitive, size: int, args: Any, batched: Any, shape: Any) -> Any:
    (x,) = args
    rank = len(shape) - np.ndim(x) + 1
    x = np.reshape(x, (size, *(1,) * rank, *np.shape(x)[1:]))
    return apply(op, x, shape=(size, *shape))


broadcast_to = primitive(
    name="broadcast_to",
    type_rule=lambda x, shape: ArrayType(shape, x.dtype),
    value=lambda x, shape: np.broadcast_to(x, shape),
    derivative=Linear(_broadcast_transpose),
    batch=_broadcast_batch,
    symbolic=structural(lambda x, shape: np.broadcast_to(x, shape)),
    lower=None,
    cases=(
        Case((Draw(()),), {"shape": (2, 3)}),
        Case((Draw((3, 1)),), {"shape": (2, 3, 4)}),
        Case((Draw((3,)),), {"shape": (3,)}),
    ),
)


@implements(np.broadcast_to, lists=True)
def _broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    array = TABLE["operand"](array)
    wanted = tuple(shape) if isinstance(shape, (tuple, list)) else (operator.index(shape),)
    if np.shape(array) == wanted:
        return array
    if broadcast(type_of(array), ArrayType(wanted, np.dtype(float))) != wanted:
        raise ShapeError(
            "broadcast_to: the array doesn't fit the shape", {"array": type_of(array), "shape": wanted}
        )
    return apply(broadcast_to, array, shape=wanted)


# ---- joining ---------------------------------------------------------------------------------------


def _stack_type(*xs: ArrayType, axis: int) -> ArrayType:
    shape = xs[0].shape
    return ArrayType((*shape[:axis], len(xs), *shape[axis:]), result_dtype(*xs))


def _stack_transpose(g: Any, *xs: ArrayType, axis: int) -> Any:
    front = (slice(None),) * axis
    parts = tuple(g[(*front, k)] for k in range(len(xs)))
    return parts if len(parts) != 1 else parts[0]


def _stack_batch(op: Primitive, size: int, args: Any, batched: Any, axis: int) -> Any:
    rows = [
        x if b else np.broadcast_to(x, (size, *np.shape(x)))
        for x, b in zip(args, batched, strict=True)
    ]
    return apply(op, *rows, axis=axis + 1)


stack = primitive(
    name="stack",
    type_rule=_stack_type,
    value=lambda *xs, axis: np.stack(xs, axis),
    derivative=Linear(_stack_transpose, args=None),
    batch=_stack_batch,
    symbolic=structural(lambda *xs, axis: np.stack(xs, axis)),
    lower=None,
    cases=(
        Case((Draw(()), Draw(()), Draw(())), {"axis": 0}),
        Case((Draw((2, 3)), Draw((2, 3))), {"axis": 1}),
        Case((Draw((2,)),), {"axis": 1}),
    ),
)


@implements("stack", np.stack)
def _stack(arrays: Any, axis: int = 0) -> Any:
    parts = [TABLE["operand"](a) for a in arrays]
    if not parts:
        raise ShapeError("stack: needs at least one array")
    shapes = {np.shape(p) for p in parts}
    if len(shapes) > 1:
        raise ShapeError(
            "stack: all arrays must have the same shape",
            {"shapes": ", ".join(map(str, sorted(shapes)[:5]))},
        )
    return apply(stack, *parts, axis=normal_axis(axis, np.ndim(parts[0]) + 1))


# ---- dtype -----------------------------------------------------------------------------------------

astype = primitive(
    name="astype",
    type_rule=lambda x, dtype: ArrayType(x.shape, dtype),
    value=lambda x, dtype: np.asarray(x).astype(dtype)[()],
    derivative=Linear(lambda g, x, dtype: g),
    batch=lambda op, size, args, batched, dtype: apply(op, *args, dtype=dtype),
    symbolic=lambda S, x, dtype: x,
    lower=None,
    cases=(
        Case((Draw((3,)),), {"dtype": np.dtype("f4")}),
        Case((Draw((3,)),), {"dtype": np.dtype("c16")}),
        Case((Draw((3,), dtype="f4"),), {"dtype": np.dtype("f8")}),
    ),
)

# Cutting a number short is flat, like floor.
truncate = primitive(
    name="truncate",
    type_rule=lambda x, dtype: ArrayType(x.shape, dtype),
    value=lambda x, dtype: np.asarray(x).astype(dtype)[()],
    derivative=Flat(),
    batch=lambda op, size, args, batched, dtype: apply(op, *args, dtype=dtype),
    symbolic=None,
    lower=None,
    cases=(Case((Draw((3,)),), {"dtype": np.dtype("i8")}),),
)


@implements("astype", np.astype)
def _astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    wanted = np.dtype(dtype)
    if wanted.kind not in "fciub":
        raise ShapeError(f"a traced array can't be converted to {wanted}")
    if type(x) is not Tracer:
        return np.asarray(x).astype(wanted)
    if wanted.kind in "iub" and x.dtype.kind in "fc":
        return apply(truncate, x, dtype=wanted)
    if wanted.kind != "c" and x.dtype.kind == "c":
        x = np.real(x)
    return apply(astype, x, dtype=wanted)


copy = primitive(
    name="copy",
    type_rule=lambda x: ArrayType(x.shape, x.dtype),
    value=lambda x: np.array(x)[()],
    derivative=Linear(lambda g, x: g),
    batch=lambda op, size, args, batched: apply(op, *args),
    symbolic=lambda S, x: x,
    lower=None,
    cases=(Case((Draw((3,)),)),),
)


@implements("copy", np.copy)
def _copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return apply(copy, TABLE["operand"](a))
