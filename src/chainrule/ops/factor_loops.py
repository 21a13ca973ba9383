"""Factorisations in compiled programs: LAPACK's routines, and loops around them.

They take and give matrices column by column: turned over, as arrays lie row by row. The routines
are those that NumPy calls, on the same triangle and in double precision, as NumPy does for single
precision too; so signs and pivots are NumPy's.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

_WHOLE, _DOUBLE = np.dtype(np.int32), np.dtype(np.float64)
_REGULAR = 1e4  # condition number
_Rule = Callable[..., Any]


def _by_lapack(rule: _Rule) -> _Rule:
    """A rule on doubles for operands of any floating type; None where LAPACK isn't to be had."""

    @functools.wraps(rule)
    def lower(b: Any, out: Any, *operands: Any, **params: Any) -> Any:
        kinds = out if type(out) is tuple else (out,)
        if all(kind.size == 0 for kind in kinds):
            none = tuple(
                b.entry(kind.shape, kind.dtype, lambda *i: b.const(0.0, "f64")) for kind in kinds
            )
            return none if type(out) is tuple else none[0]
        if any(not v.size or v.dtype.kind == "c" for v in operands) or not b.links():
            return None
        doubles = [_converted(b, v, _DOUBLE) for v in operands]
        found = rule(b, *doubles, **params)
        if isinstance(found, tuple):
            pairs = zip(found, kinds, strict=True)
            return tuple(_converted(b, v, kind.dtype) for v, kind in pairs)
        return _converted(b, found, out.dtype)

    return lower


def _converted(b: Any, x: Any, dtype: np.dtype[Any]) -> Any:
    return x if x.dtype == dtype else b.entry(x.shape, dtype, lambda *i: b.at(x, i, dtype))


def _turned(b: Any, x: Any) -> Any:
    """The matrices of a stack turned over."""
    axes = range(x.ndim)
    return b.transpose(x, (*axes[:-2], axes[-1], axes[-2]))


def _run(
    b: Any, name: str, rows: int, columns: int, operands: Any, *shapes: Any, **more: Any
) -> Any:
    """A routine's results, of these shapes."""
    kinds = [(shape, _DOUBLE) for shape in shapes]
    return b.routine(name, rows, columns, operands, kinds, **more)


@_by_lapack
def cholesky(b: Any, a: Any) -> Any:
    """The lower factor."""
    rows = a.shape[-1]
    (y,) = _run(b, "potrf", rows, rows, (_turned(b, a),), a.shape)

    def entry(*index: Any) -> Any:
        *lead, i, j = index
        return b.select(j <= i, y(*lead, j, i), 0.0)

    return b.entry(a.shape, _DOUBLE, entry)


@_by_lapack
def eigh(b: Any, a: Any, lower: bool) -> Any:
    """Eigenvalues, and eigenvectors as columns."""
    rows = a.shape[-1]
    shapes = a.shape[:-1], a.shape
    w, v = _run(b, "syevd", rows, rows, (_turned(b, a),), *shapes, lower=lower)
    return w, _turned(b, v)


@_by_lapack
def svd(b: Any, a: Any) -> Any:
    """u, s and vᵀ, without what only fills up the bases."""
    ut, s, v = _singular(b, a)
    return _turned(b, ut), s, _turned(b, v)


def _singular(b: Any, a: Any) -> Any:
    """uᵀ, s and v."""
    *lead, rows, columns = a.shape
    least = min(rows, columns)
    shapes = (*lead, least, rows), (*lead, least), (*lead, columns, least)
    return _run(b, "gesdd", rows, columns, (_turned(b, a),), *shapes)


@_by_lapack
def qr(b: Any, a: Any) -> Any:
    """q and r of a matrix that isn't wide."""
    *lead, rows, columns = a.shape
    flat = _turned(b, a)
    y, q = _run(b, "geqrf", rows, columns, (flat,), flat.shape, flat.shape)

    def entry(*index: Any) -> Any:
        *own, i, j = index
        return b.select(i <= j, y(*own, j, i), 0.0)

    return _turned(b, q), b.entry((*lead, columns, columns), _DOUBLE, entry)


# ---- systems of equations ------------------------------------------------------------------------


@_by_lapack
def solve(b: Any, a: Any, c: Any) -> Any:
    """a⁻¹·c. One matrix for many right sides is factorised once."""
    rows, columns = c.shape[-2:]
    lead = np.broadcast_shapes(a.shape[:-2], c.shape[:-2])
    if math.prod(a.shape[:-2]) == 1 and len(lead) == c.ndim - 2:
        # All columns lie one behind the other, through the whole stack.
        count = c.size // rows
        flat = b.reshape(_turned(b, c), (count, rows))
        matrix = b.reshape(_turned(b, a), (rows, rows))
        (x,) = _run(b, "gesv", rows, count, (matrix, flat), flat.shape)
        return _turned(b, b.reshape(x, (*lead, columns, rows)))
    pair = [_turned(b, _spread(b, v, (*lead, *v.shape[-2:]))) for v in (a, c)]
    (x,) = _run(b, "gesv", rows, columns, pair, pair[1].shape)
    return _turned(b, x)


def _spread(b: Any, x: Any, shape: Any) -> Any:
    """Matrices repeated as broadcasting does."""
    return x if x.shape == shape else b.entry(shape, x.dtype, lambda *i: b.at(x, i))


def _inverse(b: Any, a: Any) -> Any:
    """a⁻ᵀ: the solution for each unit vector."""
    rows = a.shape[-1]
    one = b.const(1.0, "f64")
    unit = b.entry(a.shape, _DOUBLE, lambda *i: b.select(i[-1].eq(i[-2]), one, 0.0))
    (x,) = _run(b, "gesv", rows, rows, (_turned(b, a), unit), a.shape)
    return x


@_by_lapack
def inverse(b: Any, a: Any) -> Any:
    """a⁻¹."""
    return _turned(b, _inverse(b, a))


# ---- determinants --------------------------------------------------------------------------------


def _sign_and_log(b: Any, a: Any) -> tuple[Any, Any]:
    """Of the determinant, from the diagonal and the exchanges of LU."""
    *lead, rows, _ = a.shape
    kinds = [(a.shape, _DOUBLE), ((*lead, rows), _WHOLE)]
    y, pivots = b.routine("getrf", rows, rows, (_turned(b, a),), kinds)

    def sign(*index: Any) -> Any:
        *own, i = index
        d = y(*own, i, i)
        kept = pivots(*own, i).eq(b.cast(i + 1, "i32"))
        one = b.select(kept, b.const(1.0, "f64"), -1.0)
        return b.select(d < 0.0, -one, b.select(d.eq(0.0), 0.0, one))

    def log(*index: Any) -> Any:
        *own, i = index
        return b.call("log", b.unary("abs", y(*own, i, i)))

    stack = tuple(lead)
    first = b.fold("mul", stack, (rows,), _DOUBLE, sign)
    return first, b.fold("add", stack, (rows,), _DOUBLE, log)


@_by_lapack
def slogdet(b: Any, a: Any) -> Any:
    """Sign and logarithm of the determinant."""
    return _sign_and_log(b, a)


def _determinant(b: Any, a: Any) -> Any:
    sign, log = _sign_and_log(b, a)
    return b.entry(a.shape[:-2], _DOUBLE, lambda *i: sign(*i) * b.call("exp", log(*i)))


@_by_lapack
def determinant(b: Any, a: Any) -> Any:
    """The determinant, which NumPy takes from its logarithm too."""
    return _determinant(b, a)


@_by_lapack
def cofactor(b: Any, a: Any) -> Any:
    """det(a)·a⁻ᵀ; what is nearly singular is left to NumPy."""
    lead, square = a.shape[:-2], a.shape[-2:]
    flipped, det = _inverse(b, a), b.stored(_determinant(b, a))
    sizes = [
        b.fold("add", lead, square, _DOUBLE, lambda *i, x=x: x(*i) * x(*i)) for x in (a, flipped)
    ]
    # Not a number fails too.
    b.check(lead, lambda *i: (sizes[0](*i) * sizes[1](*i) < _REGULAR**2) ^ True)
    result = b.entry(a.shape, _DOUBLE, lambda *i: det(*i[:-2]) * flipped(*i))
    b.check(a.shape, lambda *i: (b.unary("abs", result(*i)) < math.inf) ^ True)
    return result


@_by_lapack
def pseudoinverse(b: Any, a: Any, rcond: Any) -> Any:
    """v·s⁻¹·uᵀ, without small singular values."""
    ut, s, v = _singular(b, a)
    *lead, rows, columns = a.shape
    stack, least = tuple(lead), s.shape[-1]
    largest = b.fold("max", stack, (least,), _DOUBLE, lambda *i: s(*i))
    limit = 1e-15 if rcond is None else rcond

    def inverted(*index: Any) -> Any:
        own = s(*index)
        counts = own > largest(*index[:-1]) * limit
        return b.select(counts, 1.0 / b.select(counts, own, 1.0), 0.0)

    weights = b.stored(b.entry(s.shape, _DOUBLE, inverted))

    def entry(*index: Any) -> Any:
        *own, i, j, k = index
        return v(*own, i, k) * (weights(*own, k) * ut(*own, k, j))

    return b.fold("add", (*lead, columns, rows), (least,), _DOUBLE, entry)
