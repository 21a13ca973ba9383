"""Linear algebra: norms, determinants, inverses, systems of equations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.bound import Roundings
from chainrule.ir.primitive import Case, Custom, Draw, Primitive
from chainrule.ir.types import ArrayType, result_dtype, type_of
from chainrule.ops import factor_loops
from chainrule.ops.family import align, normal_axes, primitive, real_dtype, sum_to
from chainrule.ops.matrices import (
    inexact,
    lapack,
    refuse_large,
    square,
    stacked,
    turned,
    written_out,
)
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply

Axes = tuple[int, ...]


_REGULAR = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, -0.7], [-0.4, 0.8, 1.1]])
_STACK = np.stack([_REGULAR, _REGULAR.T + np.eye(3)])
_COMPLEX = _REGULAR + 1j * np.array([[0.2, 0.4, -0.3], [0.1, -0.5, 0.6], [0.7, 0.1, 0.3]])
_LARGE = np.array(
    [[2.0, 1.0, 0.0, 0.5], [0.3, 1.5, -0.7, 0.2], [-0.4, 0.8, 1.1, 0.0], [0.1, 0.6, -0.9, 1.7]]
)
_MATRICES = (
    Case((_REGULAR,)),
    Case((_REGULAR[:2, :2],)),
    Case((_REGULAR[:1, :1],)),
    Case((_STACK,)),
    Case((_LARGE,)),
    Case((_REGULAR.astype("f4"),)),
    Case((_COMPLEX,)),
)


# ---- inverse -------------------------------------------------------------------------------------

inv = primitive(
    name="inv",
    type_rule=lambda a: a,
    value=lapack(np.linalg.inv, "inv", "the matrix is singular", "use np.linalg.pinv"),
    derivative=Custom(lambda tangents, y, a: -np.matmul(np.matmul(y, tangents[0]), y)),
    batch=stacked,
    symbolic=written_out("inv", 4, lambda S, a: a.inv(method="ADJ")),
    lower=factor_loops.inverse,
    bound=Roundings("n", "‖a‖·‖result‖"),
    cases=_MATRICES,
)


@implements(np.linalg.inv, lists=True)
def _inv(a: Any) -> Any:
    return apply(inv, square(a, "inv"))


# ---- determinant ---------------------------------------------------------------------------------


def _cofactors(a: Any) -> Any:
    """∂det/∂a. Up to 3×3 a polynomial, so that singular matrices are nothing special."""
    count = np.shape(a)[-1]
    if count <= 1:
        return np.ones(np.shape(a), a.dtype)
    if count == 2:
        flipped = a[..., ::-1, ::-1]
        return np.where(np.eye(2, dtype=bool), flipped, -flipped)
    if count == 3:
        first, second, third = (a[..., k, :] for k in range(3))
        rows = [np.cross(second, third), np.cross(third, first), np.cross(first, second)]
        return np.stack(rows, axis=-2)
    return apply(cofactor, a)


def _cofactor_value(a: Any) -> Any:
    """det(a)·a⁻ᵀ; of matrices that are nearly singular, from their singular values."""
    if not np.isfinite(a).all():
        return np.full_like(a, np.nan)
    try:
        with np.errstate(all="ignore"):
            inverse = np.linalg.inv(a)
            size = np.linalg.norm(a, axis=(-2, -1)) * np.linalg.norm(inverse, axis=(-2, -1))
            found = np.linalg.det(a)[..., None, None] * np.swapaxes(inverse, -1, -2)
        if np.all(size < 1e4) and np.isfinite(found).all():
            return found
    except np.linalg.LinAlgError:
        pass  # exactly singular: the way below divides by nothing
    # Each singular value is left out once: nothing is divided, so any rank will do.
    u, s, vh = np.linalg.svd(a)
    one = np.ones((*s.shape[:-1], 1), s.dtype)
    before = np.cumprod(np.concatenate([one, s[..., :-1]], axis=-1), axis=-1)
    behind = np.cumprod(np.concatenate([one, s[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    phase = np.linalg.det(u) * np.linalg.det(vh)
    others = (before * behind * phase[..., None])[..., None, :]
    return np.matmul(np.conj(u) * others, np.conj(vh))


def _cofactor_forward(tangents: tuple[Any], y: Any, a: Any) -> Any:
    """Of det(a)·a⁻ᵀ; a second derivative of the determinant, which needs the inverse."""
    inverse = apply(inv, a)
    moved = np.matmul(np.matmul(turned(inverse), turned(tangents[0])), y)
    trace = np.sum(turned(inverse) * tangents[0], axis=(-2, -1))
    return np.reshape(trace, (*np.shape(trace), 1, 1)) * y - moved


cofactor = primitive(
    name="cofactor",
    type_rule=lambda a: a,
    value=_cofactor_value,
    derivative=Custom(_cofactor_forward),
    batch=stacked,
    symbolic=written_out("cofactor", 4, lambda S, a: a.cofactor_matrix()),
    lower=factor_loops.cofactor,
    bound=Roundings("n", "κ(a)·‖result‖"),
    cases=(Case((_LARGE,)), Case((np.stack([_LARGE, _LARGE.T]),)), Case((_LARGE + 0.5j,))),
)


det = primitive(
    name="det",
    type_rule=lambda a: ArrayType(a.shape[:-2], a.dtype),
    value=np.linalg.det,
    derivative=Custom(
        lambda tangents, y, a: np.sum(_cofactors(a) * tangents[0], axis=(-2, -1)),
        lambda g, y, a: (_cofactors(a) * np.reshape(g, (*np.shape(g), 1, 1)),),
    ),
    batch=stacked,
    symbolic=written_out("det", 5, lambda S, a: a.det(method="berkowitz")),
    lower=factor_loops.determinant,
    bound=Roundings("n", "(Σ|a·∂det/∂a| + |det·log|det||)"),
    cases=(
        *_MATRICES,
        Case((np.array([[1.0, 2.0], [2.0, 4.0]]),), note="singular"),
        Case((np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]),), note="singular"),
    ),
)


@implements(np.linalg.det, lists=True)
def _det(a: Any) -> Any:
    return apply(det, square(a, "det"))


def _slogdet_forward(tangents: tuple[Any], y: Any, a: Any) -> tuple[Any, Any]:
    rate = np.sum(turned(apply(inv, a)) * tangents[0], axis=(-2, -1))
    if a.dtype.kind != "c":
        return None, rate
    return y[0] * (1j * np.imag(rate)), np.real(rate)


slogdet = primitive(
    name="slogdet",
    type_rule=lambda a: (
        ArrayType(a.shape[:-2], a.dtype),
        ArrayType(a.shape[:-2], real_dtype(a.dtype)),
    ),
    value=lambda a: tuple(np.linalg.slogdet(a)),
    derivative=Custom(_slogdet_forward),
    batch=stacked,
    symbolic=None,
    lower=factor_loops.slogdet,
    bound=Roundings("n", "(Σ|a·∂det/∂a|/|det| + |log|det||)"),
    cases=_MATRICES,
    multiple=True,
)
# NumPy doesn't export the named tuple that it answers with.
_SLOGDET_RESULT = type(np.linalg.slogdet(np.eye(1)))


@implements(np.linalg.slogdet)
def _slogdet(a: Any) -> Any:
    return _SLOGDET_RESULT(*apply(slogdet, square(a, "slogdet")))


# ---- systems of equations ------------------------------------------------------------------------


def _solve_type(a: ArrayType, b: ArrayType) -> ArrayType:
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            "solve: the axes in front of the matrices don't broadcast",
            {"a": a, "b": b},
            fix="make those axes equal, or of length 1",
        ) from None
    return ArrayType((*batch, *b.shape[-2:]), result_dtype(a, b))


def _solve_forward(tangents: tuple[Any, Any], y: Any, a: Any, b: Any) -> Any:
    ta, tb = tangents
    if ta is None:
        return apply(solve, a, tb)
    moved = -np.matmul(ta, y)
    return apply(solve, a, moved if tb is None else tb + moved)


def _solve_reverse(g: Any, y: Any, a: Any, b: Any) -> tuple[Any, Any]:
    gb = apply(solve, turned(a), g)
    if y is None:  # only b varies, in a tangent map, where it has the shape of the result
        return None, gb
    ga = -np.matmul(gb, turned(y))
    return sum_to(ga, np.shape(a)), sum_to(gb, np.shape(b))


def _aligned(op: Primitive, size: int, args: Any, batched: Any) -> Any:
    rank = max(np.ndim(a) - b for a, b in zip(args, batched, strict=True))
    return apply(op, *align(args, batched, rank))


def _solve_formula(sympy: Any, a: Any, b: Any) -> Any:
    if a.ndim > 2 or b.ndim > 2:
        raise NotImplementedError
    refuse_large("solve", a, 4)
    return np.array(sympy.Matrix(a).LUsolve(sympy.Matrix(b)), object).reshape(b.shape)


solve = primitive(
    name="solve",
    type_rule=_solve_type,
    value=lapack(
        np.linalg.solve,
        "solve",
        "the matrix is singular",
        "use np.linalg.lstsq, or np.linalg.pinv(a) @ b",
    ),
    derivative=Custom(_solve_forward, _solve_reverse),
    batch=_aligned,
    symbolic=_solve_formula,
    lower=factor_loops.solve,
    bound=Roundings("n", "‖a‖·‖result‖"),
    cases=(
        Case((_REGULAR, Draw((3, 1)))),
        Case((_REGULAR, Draw((3, 2)))),
        Case((_STACK, Draw((2, 3, 2)))),
        Case((_STACK, Draw((3, 2)))),
        Case((_REGULAR, Draw((2, 3, 1)))),
        Case((_REGULAR.astype("f4"), Draw((3, 1), dtype="f4"))),
        Case((_COMPLEX, Draw((3, 2), dtype="c16"))),
        Case((_REGULAR, Draw((3, 0)))),
    ),
)


@implements(np.linalg.solve, lists=True)
def _solve(a: Any, b: Any) -> Any:
    """As in NumPy 2, b is a vector only if it has one axis."""
    a, b = square(a, "solve"), inexact(b, "solve")
    vector = np.ndim(b) == 1
    rows = np.shape(b)[0] if vector else np.shape(b)[-2] if np.ndim(b) else None
    if rows != np.shape(a)[-1]:
        raise ShapeError(
            "solve: the right side has another number of rows than the matrix",
            {"a": type_of(a), "b": type_of(b)},
            "the last axis but one of b must be as long as a's rows; a vector's only axis",
        )
    if vector:
        return apply(solve, a, b[:, None])[..., 0]
    return apply(solve, a, b)


@implements(np.linalg.tensorsolve)
def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = TABLE["operand"](a), TABLE["operand"](b)
    if axes is not None:
        moved = normal_axes(axes, np.ndim(a))
        a = np.transpose(a, (*(k for k in range(np.ndim(a)) if k not in moved), *axes))
    shape = np.shape(a)[np.ndim(b) :]
    flat = _solve(np.reshape(a, (-1, math.prod(shape))), np.reshape(b, (-1,)))
    return np.reshape(flat, shape)


@implements(np.linalg.tensorinv)
def _tensorinv(a: Any, ind: int = 2) -> Any:
    a = TABLE["operand"](a)
    shape = np.shape(a)
    flat = np.reshape(a, (math.prod(shape[:ind]), -1))
    return np.reshape(_inv(flat), (*shape[ind:], *shape[:ind]))


# ---- powers --------------------------------------------------------------------------------------


@implements(np.linalg.matrix_power)
def _matrix_power(a: Any, n: int) -> Any:
    a = TABLE["operand"](a)
    if np.ndim(a) < 2 or np.shape(a)[-1] != np.shape(a)[-2]:
        raise ShapeError(
            "matrix_power: needs a square matrix",
            {"array": type_of(a)},
            fix="the last two axes must have the same length; x**n is the power of every entry",
        )
    if n == 0:
        return np.broadcast_to(np.eye(np.shape(a)[-1], dtype=a.dtype), np.shape(a))
    if n < 0:
        a, n = _inv(a), -n
    result = None
    while n:
        n, odd = divmod(n, 2)
        if odd:
            result = a if result is None else np.matmul(result, a)
        a = np.matmul(a, a) if n else a
    return result
