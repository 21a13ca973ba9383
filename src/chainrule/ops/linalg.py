"""Linear algebra: norms, determinants, inverses, systems of equations."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError, LinearAlgebraError, ShapeError
from chainrule.ir.primitive import Case, Custom, Draw, Primitive
from chainrule.ir.types import ArrayType, result_dtype, type_of
from chainrule.ops.family import align, normal_axes, primitive
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply

Axes = tuple[int, ...]


# ---- what these operations share -----------------------------------------------------------------


def _inexact(a: Any, what: str) -> Any:
    """The array in floating point: LAPACK knows single and double precision, real and complex."""
    a = TABLE["operand"](a)
    kind = np.result_type(a)
    if kind.kind in "iub":
        return TABLE["astype"](a, np.dtype(float))
    if kind.kind not in "fc" or kind.char not in "fdFD":
        raise DtypeError(
            f"{what}: no such operation for this dtype",
            {"array": type_of(a)},
            "convert it with .astype(float)",
        )
    return a


def _square(a: Any, what: str) -> Any:
    a = _inexact(a, what)
    shape = np.shape(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(
            f"{what}: needs a square matrix",
            {"array": type_of(a)},
            "the last two axes must have the same length",
        )
    return a


def _lapack(function: Callable[..., Any], what: str, problem: str, fix: str) -> Callable[..., Any]:
    """A function of np.linalg, whose failure becomes an error with the user's line."""

    def value(*xs: Any, **params: Any) -> Any:
        try:
            return function(*xs, **params)
        except np.linalg.LinAlgError:
            facts = {"matrix": type_of(xs[0])}
            raise LinearAlgebraError(f"{what}: {problem}", facts, fix) from None

    return value


def _turned(x: Any) -> Any:
    """The matrices of a stack transposed; never conjugated."""
    return np.swapaxes(x, -1, -2)


def _same(op: Primitive, size: int, args: Any, batched: Any, **params: Any) -> Any:
    """These work on stacks of matrices, so a batch is one more axis in front."""
    return apply(op, *args, **params)


def _sum_to(g: Any, shape: tuple[int, ...]) -> Any:
    """Add up what broadcasting of the axes in front made of one matrix."""
    have = np.shape(g)
    if have == shape:
        return g
    extra = len(have) - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + k for k, n in enumerate(shape) if n == 1 and have[extra + k] != 1
    )
    return np.reshape(np.sum(g, axis=axes), shape)


def _real(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.zeros((), dtype).real.dtype


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
    value=_lapack(np.linalg.inv, "inv", "the matrix is singular", "use np.linalg.pinv"),
    derivative=Custom(lambda tangents, y, a: -np.matmul(np.matmul(y, tangents[0]), y)),
    batch=_same,
    symbolic=lambda S, a: np.array(S.Matrix(a).inv(method="ADJ"), object).reshape(a.shape),
    lower=None,
    cases=_MATRICES,
)


@implements(np.linalg.inv, lists=True)
def _inv(a: Any) -> Any:
    return apply(inv, _square(a, "inv"))


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


def _cofactor_value(a: np.ndarray) -> np.ndarray:
    """From the singular values, each left out once: nothing is divided, any rank will do."""
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
    turned = np.matmul(np.matmul(_turned(inverse), _turned(tangents[0])), y)
    trace = np.sum(_turned(inverse) * tangents[0], axis=(-2, -1))
    return np.reshape(trace, (*np.shape(trace), 1, 1)) * y - turned


cofactor = primitive(
    name="cofactor",
    type_rule=lambda a: a,
    value=_cofactor_value,
    derivative=Custom(_cofactor_forward),
    batch=_same,
    symbolic=lambda S, a: np.array(S.Matrix(a).cofactor_matrix(), object).reshape(a.shape),
    lower=None,
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
    batch=_same,
    symbolic=lambda S, a: np.array(S.Matrix(a).det(method="berkowitz"), object)[()],
    lower=None,
    cases=(
        *_MATRICES,
        Case((np.array([[1.0, 2.0], [2.0, 4.0]]),), note="singular"),
        Case((np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]),), note="singular"),
    ),
)


@implements(np.linalg.det, lists=True)
def _det(a: Any) -> Any:
    return apply(det, _square(a, "det"))


def _slogdet_forward(tangents: tuple[Any], y: Any, a: Any) -> tuple[Any, Any]:
    rate = np.sum(_turned(apply(inv, a)) * tangents[0], axis=(-2, -1))
    if a.dtype.kind != "c":
        return None, rate
    return y[0] * (1j * np.imag(rate)), np.real(rate)


slogdet = primitive(
    name="slogdet",
    type_rule=lambda a: (
        ArrayType(a.shape[:-2], a.dtype),
        ArrayType(a.shape[:-2], _real(a.dtype)),
    ),
    value=lambda a: tuple(np.linalg.slogdet(a)),
    derivative=Custom(_slogdet_forward),
    batch=_same,
    symbolic=None,
    lower=None,
    cases=_MATRICES,
    multiple=True,
)
# NumPy doesn't export the named tuple that it answers with.
_SLOGDET_RESULT = type(np.linalg.slogdet(np.eye(1)))


@implements(np.linalg.slogdet, lists=True)
def _slogdet(a: Any) -> Any:
    return _SLOGDET_RESULT(*apply(slogdet, _square(a, "slogdet")))


# ---- systems of equations ------------------------------------------------------------------------


def _solve_type(a: ArrayType, b: ArrayType) -> ArrayType:
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ShapeError(
            "solve: the axes in front of the matrices don't broadcast", {"a": a, "b": b}
        ) from None
    return ArrayType((*batch, *b.shape[-2:]), result_dtype(a, b))


def _solve_forward(tangents: tuple[Any, Any], y: Any, a: Any, b: Any) -> Any:
    ta, tb = tangents
    if ta is None:
        return apply(solve, a, np.broadcast_to(tb, np.shape(y)))
    moved = -np.matmul(ta, y)
    return apply(solve, a, moved if tb is None else tb + moved)


def _solve_reverse(g: Any, y: Any, a: Any, b: Any) -> tuple[Any, Any]:
    gb = apply(solve, _turned(a), g)
    if y is None:  # only b varies, in a tangent map, where it has the shape of the result
        return None, gb
    ga = -np.matmul(gb, _turned(y))
    return _sum_to(ga, np.shape(a)), _sum_to(gb, np.shape(b))


def _aligned(op: Primitive, size: int, args: Any, batched: Any) -> Any:
    rank = max(np.ndim(a) - b for a, b in zip(args, batched, strict=True))
    return apply(op, *align(args, batched, rank))


solve = primitive(
    name="solve",
    type_rule=_solve_type,
    value=_lapack(
        np.linalg.solve,
        "solve",
        "the matrix is singular",
        "use np.linalg.lstsq, or np.linalg.pinv(a) @ b",
    ),
    derivative=Custom(_solve_forward, _solve_reverse),
    batch=_aligned,
    symbolic=lambda S, a, b: np.array(S.Matrix(a).LUsolve(S.Matrix(b)), object).reshape(b.shape),
    lower=None,
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
    a, b = _square(a, "solve"), _inexact(b, "solve")
    vector = np.ndim(b) == 1
    rows = np.shape(b)[0] if vector else np.shape(b)[-2] if np.ndim(b) else None
    if rows != np.shape(a)[-1]:
        raise ShapeError(
            "solve: the right side has another number of rows than the matrix",
            {"a": type_of(a), "b": type_of(b)},
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


# ---- pseudo-inverse and least squares ------------------------------------------------------------


def _dagger(x: Any) -> Any:
    return np.conj(_turned(x)) if x.dtype.kind == "c" else _turned(x)


def _pinv_forward(tangents: tuple[Any], y: Any, a: Any, rcond: Any) -> Any:
    """At constant rank (Golub and Pereyra 1973, eq. 4.12)."""
    t, th, yh = tangents[0], _dagger(tangents[0]), _dagger(y)
    rest_left = np.eye(np.shape(a)[-2], dtype=a.dtype) - np.matmul(a, y)
    rest_right = np.eye(np.shape(a)[-1], dtype=a.dtype) - np.matmul(y, a)
    return (
        -np.matmul(np.matmul(y, t), y)
        + np.matmul(np.matmul(np.matmul(y, yh), th), rest_left)
        + np.matmul(np.matmul(np.matmul(rest_right, th), yh), y)
    )


pinv = primitive(
    name="pinv",
    type_rule=lambda a, rcond: ArrayType((*a.shape[:-2], *a.shape[:-3:-1]), a.dtype),
    value=lambda a, rcond: np.linalg.pinv(a) if rcond is None else np.linalg.pinv(a, rcond),
    derivative=Custom(_pinv_forward),
    batch=_same,
    symbolic=None,
    lower=None,
    cases=(
        Case((_REGULAR[:, :2],), {"rcond": None}),
        Case((_REGULAR[:2],), {"rcond": None}),
        Case((_STACK,), {"rcond": None}),
        Case((_REGULAR.astype("f4"),), {"rcond": 1e-6}),
        Case((_COMPLEX[:, :2],), {"rcond": None}),
    ),
)


@implements(np.linalg.pinv, lists=True)
def _pinv(a: Any, rcond: Any = None, *, rtol: Any = np._NoValue) -> Any:
    a = _inexact(a, "pinv")
    if np.ndim(a) < 2:
        raise ShapeError("pinv: needs a matrix", {"array": type_of(a)})
    cut = rcond if rtol is np._NoValue else rtol
    if rtol is None:
        cut = max(np.shape(a)[-2:]) * float(np.finfo(a.dtype).eps)
    return apply(pinv, a, rcond=None if cut is None else float(cut))


@implements(np.linalg.lstsq)
def _lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """Through the pseudo-inverse, so that the derivative holds at constant rank."""
    a, b = _inexact(a, "lstsq"), _inexact(b, "lstsq")
    rows, columns = np.shape(a)
    cut = float(np.finfo(a.dtype).eps) * max(rows, columns) if rcond is None else float(rcond)
    s = np.linalg.svdvals(a)
    rank = int(np.sum(s > cut * s[0])) if min(rows, columns) else 0
    x = np.matmul(apply(pinv, a, rcond=cut), b)
    if rank < columns or rows <= columns:
        return x, np.zeros((0,), _real(np.result_type(x))), rank, s
    away = b - np.matmul(a, x)
    squares = np.real(away * np.conj(away)) if away.dtype.kind == "c" else away * away
    residuals = np.sum(squares, axis=0)
    return x, np.reshape(residuals, (-1,)), rank, s


# ---- powers --------------------------------------------------------------------------------------


@implements(np.linalg.matrix_power)
def _matrix_power(a: Any, n: int) -> Any:
    a = TABLE["operand"](a)
    if np.ndim(a) < 2 or np.shape(a)[-1] != np.shape(a)[-2]:
        raise ShapeError("matrix_power: needs a square matrix", {"array": type_of(a)})
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
