"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.bound import EXACT
from chainrule.ir.primitive import Case, Draw, Linear
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops import move_loops
from chainrule.ops.family import normal_axis, primitive, structural
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply

_arange, _zeros = np.arange, np.zeros  # while a trace runs, NumPy's own names make buffers


def _places(rows: int, columns: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of every entry of a diagonal."""
    count = max(0, min(rows + min(k, 0), columns - max(k, 0)))
    along = _arange(count)
    return along + max(0, -k), along + max(0, k)


def _diagonal_transpose(g: Any, x: ArrayType, offset: int) -> Any:
    rows, columns = x.shape[-2:]
    index = (..., *_places(rows, columns, offset))
    return TABLE["put_add"](g, index, x.shape)


def _diagonal_type(x: ArrayType, offset: int) -> ArrayType:
    rows, columns = x.shape[-2:]
    return ArrayType((*x.shape[:-2], len(_places(rows, columns, offset)[0])), x.dtype)


# Of the last two axes; a view, as NumPy's own result is.
diagonal = primitive(
    name="diagonal",
    type_rule=_diagonal_type,
    value=lambda x, offset: np.diagonal(x, offset, -2, -1),
    derivative=Linear(_diagonal_transpose, selects=True),
    batch=lambda op, size, args, batched, offset: apply(op, args[0], offset=offset),
    symbolic=structural(lambda x, offset: np.diagonal(x, offset, -2, -1)),
    lower=move_loops.diagonal,
    bound=EXACT,
    cases=(
        Case((Draw((3, 3)),), {"offset": 0}),
        Case((Draw((2, 4)),), {"offset": 1}),
        Case((Draw((2, 3, 2)),), {"offset": -1}),
        Case((Draw((2, 2)),), {"offset": 5}),
    ),
    view=lambda out, offset: True,
)


@implements(np.diagonal, lists=True)
def _diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    a = TABLE["operand"](a)
    ndim = np.ndim(a)
    if ndim < 2:
        raise ShapeError(
            "diagonal: needs an array of two or more axes",
            {"array": type_of(a)},
            fix="np.diag(v) makes a matrix of a vector",
        )
    first, second = normal_axis(axis1, ndim), normal_axis(axis2, ndim)
    if first == second:
        raise ShapeError(
            "diagonal: the two axes must differ",
            {"axes": (axis1, axis2)},
            fix="name two axes, such as axis1=0, axis2=1",
        )
    if (first, second) != (ndim - 2, ndim - 1):
        a = np.moveaxis(a, (first, second), (-2, -1))
    return apply(diagonal, a, offset=int(offset))


@implements(np.linalg.diagonal, lists=True)
def _linalg_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return _diagonal(x, offset, -2, -1)


@implements(np.diag, lists=True)
def _diag(v: Any, k: int = 0) -> Any:
    v = TABLE["operand"](v)
    if np.ndim(v) == 2:
        return _diagonal(v, k)
    if np.ndim(v) != 1:
        raise ShapeError(
            "diag: needs a vector or a matrix",
            {"array": type_of(v)},
            fix="use np.diagonal(a, axis1=…, axis2=…) for more axes, x.reshape(1) for a number",
        )
    size = np.shape(v)[0] + abs(k)
    return TABLE["put"](_zeros((size, size), v.dtype), _places(size, size, k), v)


@implements(np.diagflat, lists=True)
def _diagflat(v: Any, k: int = 0) -> Any:
    return _diag(np.reshape(TABLE["operand"](v), (-1,)), k)


def _triangle(m: Any, k: int, lower: bool) -> Any:
    m = TABLE["operand"](m)
    if np.ndim(m) == 0:
        raise ShapeError(
            "tril and triu need at least one axis",
            fix="use a matrix, or x.reshape(1, 1) for a number",
        )
    # Of a vector NumPy makes the matrix with that vector in every row.
    shape = np.shape(m)[-2:] if np.ndim(m) > 1 else (np.shape(m)[0],) * 2
    rows, columns = _arange(shape[0])[:, None], _arange(shape[1])
    taken = columns <= rows + k if lower else columns >= rows + k
    return np.where(taken, m, _zeros((), m.dtype)[()])


@implements(np.tril, lists=True)
def _tril(m: Any, k: int = 0) -> Any:
    return _triangle(m, int(k), True)


@implements(np.triu, lists=True)
def _triu(m: Any, k: int = 0) -> Any:
    return _triangle(m, int(k), False)


@implements(np.vander, lists=True)
def _vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    x = TABLE["operand"](x)
    if np.ndim(x) != 1:
        raise ShapeError(
            "vander: needs a vector", {"array": type_of(x)}, fix="flatten it first: np.ravel(x)"
        )
    count = np.shape(x)[0] if N is None else int(N)
    kind = np.promote_types(x.dtype, int)  # NumPy's own, wider than a float32
    x = x if x.dtype == kind else TABLE["astype"](x, kind)
    powers = [np.ones_like(x)]
    for _ in range(count - 1):
        powers.append(powers[-1] * x)
    powers = powers[:count]
    return np.stack(powers if increasing else powers[::-1], axis=1)
