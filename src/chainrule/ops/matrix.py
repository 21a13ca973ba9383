"""Products of matrices and tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.bound import Roundings
from chainrule.ir.primitive import Case, Draw, Multilinear, Primitive
from chainrule.ir.types import ArrayType, result_dtype, type_of
from chainrule.ops.family import align, normal_axis, primitive, strong, sum_to
from chainrule.tracing.table import TABLE, Handler, implements
from chainrule.tracing.trace import apply

# ---- matmul --------------------------------------------------------------------------------------


def _matmul_type(a: ArrayType, b: ArrayType) -> ArrayType:
    if not a.shape or not b.shape:
        raise ShapeError(
            "matmul: a number is not a matrix", {"left": a, "right": b}, "multiply with * instead"
        )
    inner = b.shape[0] if b.ndim == 1 else b.shape[-2]
    if a.shape[-1] != inner:
        fix = "the last axis of the left must equal the first axis of the right"
        if b.ndim > 2:
            fix = "the last axis of the left must equal the second to last of the right"
        if b.ndim > 1 and a.shape[-1] == b.shape[-1]:
            fix += "; did you mean right.T?" if b.ndim == 2 else "; did you mean right.mT?"
        elif a.ndim == 2 and a.shape[0] == inner:
            fix += "; did you mean left.T?"
        raise ShapeError("matmul: inner sizes differ", {"left": a, "right": b}, fix)
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            "matmul: the axes in front of the matrices don't broadcast",
            {"left": a, "right": b},
            fix="make those axes equal, or of length 1",
        ) from None
    rows = a.shape[-2:-1] if a.ndim > 1 else ()
    columns = b.shape[-1:] if b.ndim > 1 else ()
    return ArrayType((*batch, *rows, *columns), result_dtype(a, b))


def _matmul_value(a: Any, b: Any) -> Any:
    try:
        return np.matmul(a, b)
    except ValueError:
        _matmul_type(type_of(a), type_of(b))
        raise


def _flipped(x: Any) -> Any:
    """The matrices of a stack, transposed; never conjugated."""
    return np.swapaxes(x, -1, -2) if np.ndim(x) > 2 else x.T


def _matmul_left(g: Any, a: ArrayType, b: Any) -> Any:
    rank = np.ndim(b)
    if a.ndim <= 2 and rank <= 2:
        if rank == 1:
            return g * b if a.ndim == 1 else g[:, None] * b
        return np.matmul(g, b.T)
    g = g[..., None] if rank == 1 else g
    g = g[..., None, :] if a.ndim == 1 else g
    part = np.matmul(g, b[None, :] if rank == 1 else _flipped(b))
    return sum_to(part, (1, *a.shape) if a.ndim == 1 else a.shape).reshape(a.shape)


def _matmul_right(g: Any, a: Any, b: ArrayType) -> Any:
    rank = np.ndim(a)
    if b.ndim <= 2 and rank <= 2:
        if rank == 1:
            return g * a if b.ndim == 1 else a[:, None] * g
        return np.matmul(a.T, g)
    g = g[..., None] if b.ndim == 1 else g
    g = g[..., None, :] if rank == 1 else g
    part = np.matmul(a[:, None] if rank == 1 else _flipped(a), g)
    return sum_to(part, (*b.shape, 1) if b.ndim == 1 else b.shape).reshape(b.shape)


def _matmul_batch(op: Primitive, size: int, args: Any, batched: Any) -> Any:
    a, b = args
    left, right = np.ndim(a) - batched[0], np.ndim(b) - batched[1]
    if not batched[1] and right <= 2 and (left > 1 or right == 1 or batched[0]):
        return apply(op, a, b)
    if left == 1:
        a = np.reshape(a, (*np.shape(a)[:-1], 1, np.shape(a)[-1]))
    if right == 1:
        b = np.reshape(b, (*np.shape(b), 1))
    out = apply(op, *align((a, b), batched, max(left, right, 2)))
    if left == 1:
        out = np.reshape(out, (*np.shape(out)[:-2], np.shape(out)[-1]))
    return np.reshape(out, np.shape(out)[:-1]) if right == 1 else out


_MATMUL_SHAPES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)),
    ((3,), (5, 3, 2)),
    ((5, 2, 3), (3,)),
    ((2, 0), (0, 3)),
    ((0, 2), (2,)),
)


_BEYOND_CACHE = 1 << 21  # bytes of a right operand that loops of ours would read again and again
_BROAD = 128


def _is_for_blas(b: Any, out: ArrayType, x: Any, y: Any) -> bool:
    """Whether BLAS is faster than loops that are made for the shapes: where copies pay off."""
    if out.dtype.kind != "f" or not x.dtype == y.dtype == out.dtype or min(x.ndim, y.ndim) < 2:
        return False
    *lead, rows, columns = out.shape
    inner = x.shape[-1]
    large = inner * columns * out.dtype.itemsize >= _BEYOND_CACHE
    if not large or min(rows, inner, columns) < _BROAD:
        return False
    stacks = all(v.ndim == 2 or v.shape[:-2] == tuple(lead) for v in (x, y))
    return stacks and bool(b.links())


def _as_it_lies(b: Any, x: Any) -> tuple[Any, bool]:
    """A matrix, or what it's the transpose of; and whether it is one."""
    axes = [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2]
    if x.how == "entry" and x.expression.op == "read" and not x.stored:
        source, index = x.expression.attr, x.expression.args
        if [i.attr for i in index if i.op == "index"] == axes and source.dtype == x.dtype:
            return source, True
    return x, False


def _matmul_loops(b: Any, out: ArrayType, x: Any, y: Any) -> Any:
    """Rows times columns; leading axes broadcast."""
    if _is_for_blas(b, out, x, y):
        (x, first), (y, second) = _as_it_lies(b, x), _as_it_lies(b, y)
        return b.product(x, y, out.shape, (first, second))
    inner = x.shape[-1]

    def entry(*index: Any) -> Any:
        *lead, k = index
        row = [lead.pop(-2 if y.ndim > 1 else -1)] if x.ndim > 1 else []
        column = [lead.pop()] if y.ndim > 1 else []
        left = b.broadcast_index(x.shape[:-2], lead)
        right = b.broadcast_index(y.shape[:-2], lead)
        first = b.at(x, (*left, *row, k), out.dtype)
        second = b.at(y, (*right, k, *column), out.dtype)
        return first * second

    combine = "or" if out.dtype.kind == "b" else "add"
    return b.fold(combine, out.shape, (inner,), out.dtype, entry)


def _matmul_unit(k: int, x: Any, y: Any) -> Any:
    """A matrix times every unit vector: its columns, or on the other side its rows."""
    if k == 0:
        return y if np.ndim(y) == 2 else None
    return np.transpose(x) if np.ndim(x) == 2 else None


matmul = primitive(
    name="matmul",
    type_rule=_matmul_type,
    value=_matmul_value,
    derivative=Multilinear(_matmul_left, _matmul_right, unit=_matmul_unit),
    batch=_matmul_batch,
    symbolic=lambda S, a, b: np.matmul(a, b),
    lower=_matmul_loops,
    bound=Roundings("n", "Σ|a·b|"),
    cases=(
        *(Case((Draw(a), Draw(b))) for a, b in _MATMUL_SHAPES),
        Case((Draw((2, 3), dtype="f4"), Draw((3, 2), dtype="f4"))),
        Case((Draw((2, 3), dtype="c16"), Draw((3,), dtype="c16"))),
        Case((Draw((2, 3)), Draw((3, 2), dtype="c16"))),
    ),
)


@implements(np.matmul, np.linalg.matmul)
def _matmul(a: Any, b: Any, /) -> Any:
    return apply(matmul, TABLE["operand"](a), TABLE["operand"](b))


@implements(np.dot, lists=True)
def _dot(a: Any, b: Any) -> Any:
    a, b = strong(a), strong(b)
    left, right = np.ndim(a), np.ndim(b)
    if not left or not right:
        return np.multiply(a, b)
    if right == 1 or (left <= 2 and right == 2):
        return apply(matmul, a, b)
    return _tensordot(a, b, (left - 1, right - 2))


@implements(np.inner, lists=True)
def _inner(a: Any, b: Any, /) -> Any:
    a, b = strong(a), strong(b)
    if not np.ndim(a) or not np.ndim(b):
        return np.multiply(a, b)
    if np.ndim(a) == np.ndim(b) == 1:
        return apply(matmul, a, b)
    return _tensordot(a, b, (-1, -1))


@implements(np.vdot)
def _vdot(a: Any, b: Any, /) -> Any:
    a, b = np.reshape(TABLE["operand"](a), (-1,)), np.reshape(TABLE["operand"](b), (-1,))
    return apply(matmul, np.conj(a) if a.dtype.kind == "c" else a, b)


@implements(np.linalg.vecdot)
def _vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    a, b = TABLE["operand"](x1), TABLE["operand"](x2)
    a, b = np.moveaxis(a, axis, -1), np.moveaxis(b, axis, -1)
    a = np.conj(a) if a.dtype.kind == "c" else a
    return np.matmul(a[..., None, :], b[..., :, None])[..., 0, 0]


TABLE[np.vecdot] = _vecdot

# NumPy has these ufuncs from 2.2 on.
if hasattr(np, "matvec"):

    @implements(np.matvec)
    def _matvec(x1: Any, x2: Any, /) -> Any:
        return np.matmul(TABLE["operand"](x1), TABLE["operand"](x2)[..., None])[..., 0]

    @implements(np.vecmat)
    def _vecmat(x1: Any, x2: Any, /) -> Any:
        a = TABLE["operand"](x1)
        a = np.conj(a) if a.dtype.kind == "c" else a
        return np.matmul(a[..., None, :], TABLE["operand"](x2))[..., 0, :]


@implements(np.linalg.outer)
@implements(np.outer, lists=True)
def _outer(a: Any, b: Any, /) -> Any:
    a, b = np.reshape(TABLE["operand"](a), (-1,)), np.reshape(TABLE["operand"](b), (-1,))
    return np.multiply(a[:, None], b[None, :])


def _outer_method(ufunc: np.ufunc) -> Handler:
    def outer(a: Any, b: Any, /) -> Any:
        a, b = TABLE["operand"](a), TABLE["operand"](b)
        return ufunc(np.reshape(a, (*np.shape(a), *(1,) * np.ndim(b))), b)

    return outer


for _ufunc in (
    np.add, np.subtract, np.multiply, np.true_divide, np.power, np.maximum, np.minimum, np.hypot,
    np.arctan2, np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
):  # fmt: skip
    TABLE[_ufunc, "outer"] = _outer_method(_ufunc)


@implements(np.kron)
def _kron(a: Any, b: Any) -> Any:
    a, b = strong(a), strong(b)
    rank = max(np.ndim(a), np.ndim(b))
    if not np.ndim(a) or not np.ndim(b):
        return np.multiply(a, b)
    left = (1,) * (rank - np.ndim(a)) + tuple(np.shape(a))
    right = (1,) * (rank - np.ndim(b)) + tuple(np.shape(b))
    a = np.reshape(a, tuple(n for pair in zip(left, (1,) * rank, strict=True) for n in pair))
    b = np.reshape(b, tuple(n for pair in zip((1,) * rank, right, strict=True) for n in pair))
    return np.reshape(a * b, tuple(m * n for m, n in zip(left, right, strict=True)))


@implements(np.linalg.cross)
@implements(np.cross, lists=True)
def _cross(
    a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: Any = None
) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a = np.moveaxis(TABLE["operand"](a), axisa, -1)
    b = np.moveaxis(TABLE["operand"](b), axisb, -1)
    if np.shape(a)[-1] != 3 or np.shape(b)[-1] != 3:
        raise ShapeError(
            "cross: both vectors need three components",
            {"left": type_of(a), "right": type_of(b)},
            "for two components write a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]",
        )
    a0, a1, a2 = (a[..., k] for k in range(3))
    b0, b1, b2 = (b[..., k] for k in range(3))
    parts = [a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0]
    return np.stack(parts, axis=normal_axis(axisc, np.ndim(parts[0]) + 1))


@implements(np.trace)
def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None) -> Any:
    a = TABLE["operand"](a)
    first, second = normal_axis(axis1, np.ndim(a)), normal_axis(axis2, np.ndim(a))
    if first == second:
        raise ShapeError(
            "trace: needs two different axes",
            {"axis1": axis1, "axis2": axis2},
            fix="name two axes, such as axis1=0, axis2=1",
        )
    rest = tuple(k for k in range(np.ndim(a)) if k not in (first, second))
    matrix = np.transpose(a, (*rest, first, second))
    rows, columns = np.shape(matrix)[-2:]
    start = np.arange(max(-offset, 0), max(-offset, 0) + max(rows, columns))
    start = start[(start < rows) & (start + offset >= 0) & (start + offset < columns)]
    return np.sum(matrix[..., start, start + offset], axis=-1, dtype=dtype)


@implements(np.linalg.trace)
def _linalg_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return _trace(x, offset, -2, -1, dtype)


@implements(np.tensordot, np.linalg.tensordot)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    a, b = TABLE["operand"](a), TABLE["operand"](b)
    left, right = _contracted(axes, np.ndim(a), np.ndim(b))
    shape_a, shape_b = np.shape(a), np.shape(b)
    if [shape_a[k] for k in left] != [shape_b[k] for k in right]:
        raise ShapeError(
            "tensordot: the axes to be summed have different lengths",
            {"left": type_of(a), "right": type_of(b), "axes": (left, right)},
            fix="name axes of equal length; a matrix product has axes=(-1, 0)",
        )
    rows = tuple(k for k in range(len(shape_a)) if k not in left)
    columns = tuple(k for k in range(len(shape_b)) if k not in right)
    count = math.prod(shape_a[k] for k in left)
    out = (*(shape_a[k] for k in rows), *(shape_b[k] for k in columns))
    a2 = np.reshape(np.transpose(a, (*rows, *left)), (math.prod(shape_a[k] for k in rows), count))
    b2 = np.reshape(
        np.transpose(b, (*right, *columns)), (count, math.prod(shape_b[k] for k in columns))
    )
    return np.reshape(apply(matmul, a2, b2), out)


def _contracted(axes: Any, left: int, right: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """tensordot's `axes` as axes of the left and of the right."""
    if isinstance(axes, (tuple, list)):
        pair = [k if isinstance(k, (tuple, list)) else (k,) for k in axes]
        if len(pair) != 2 or len(pair[0]) != len(pair[1]):
            raise ShapeError(
                "tensordot: axes must name as many left as right",
                {"axes": axes},
                fix="write axes=([1, 0], [0, 1]), two lists of the same length",
            )
        first = tuple(normal_axis(k, left) for k in pair[0])
        second = tuple(normal_axis(k, right) for k in pair[1])
        return first, second
    count = int(axes)
    if not 0 <= count <= min(left, right):
        raise ShapeError(
            "tensordot: more axes than the arrays have",
            {"axes": count, "left": f"{left} axes", "right": f"{right} axes"},
            fix="give a smaller number; axes=0 is the outer product",
        )
    return tuple(range(left - count, left)), tuple(range(count))


@implements(np.linalg.multi_dot)
def _multi_dot(arrays: Any) -> Any:
    """A chain of matrices, multiplied in the order that costs least."""
    chain = [TABLE["operand"](a) for a in arrays]
    if len(chain) < 2:
        raise ShapeError(
            "multi_dot: needs at least two arrays", fix="give a list of two or more arrays"
        )
    shapes = [np.shape(a) for a in chain]
    sizes = [1 if len(shapes[0]) == 1 else shapes[0][0], *(s[0] for s in shapes[1:])]
    sizes.append(1 if len(shapes[-1]) == 1 else shapes[-1][-1])
    best: dict[tuple[int, int], tuple[float, int]] = {(k, k): (0.0, k) for k in range(len(chain))}
    for width in range(1, len(chain)):
        for i in range(len(chain) - width):
            j = i + width
            best[i, j] = min(
                (
                    best[i, k][0] + best[k + 1, j][0] + sizes[i] * sizes[k + 1] * sizes[j + 1],
                    k,
                )
                for k in range(i, j)
            )

    def product(i: int, j: int) -> Any:
        if i == j:
            return chain[i]
        split = best[i, j][1]
        return _dot(product(i, split), product(split + 1, j))

    return product(0, len(chain) - 1)
