"""Factorisations: Cholesky, eigenvalues of Hermitian matrices, singular values, QR."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError, UnsupportedError
from chainrule.ir.bound import Roundings
from chainrule.ir.primitive import Case, Custom, Irregular
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops import factor_loops
from chainrule.ops.family import primitive, real_dtype
from chainrule.ops.matrices import dagger, lapack, matrix, square, stacked
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply

# np.linalg.solve itself, which another function stands for while a trace runs.
_SOLVE = np.linalg.solve


def _mul(*matrices: Any) -> Any:
    product = matrices[0]
    for m in matrices[1:]:
        product = np.matmul(product, m)
    return product


def _lower(count: int, below: bool) -> np.ndarray:
    """Where a matrix's lower triangle is, with its diagonal or only `below` it."""
    return np.tri(count, k=-1 if below else 0, dtype=bool)


def _diagonal(x: Any) -> Any:
    along = np.arange(min(np.shape(x)[-2:]))
    return x[..., along, along]


def _as_read(t: Any, lower: bool) -> Any:
    """The Hermitian matrix that LAPACK reads out of one triangle and the diagonal's real part."""
    count = np.shape(t)[-1]
    mask = _lower(count, below=True)
    half = np.where(mask if lower else mask.T, t, 0)
    middle = np.where(np.eye(count, dtype=bool), t, 0)
    return half + dagger(half) + (np.real(middle) if t.dtype.kind == "c" else middle)


_SPD = np.array([[2.0, 0.5, -0.3], [0.5, 1.5, 0.4], [-0.3, 0.4, 1.0]])
_HERMITIAN = _SPD + 1j * np.array([[0.0, 0.2, -0.1], [-0.2, 0.0, 0.3], [0.1, -0.3, 0.0]])
_TALL = np.array([[2.0, -1.0], [0.3, 1.5], [-0.4, 0.8]])
_WIDE = np.array([[2.0, -1.0, 0.4, 0.1], [0.3, 1.5, -0.6, 0.9]])
_SQUARE = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, -0.7], [-0.4, 0.8, 1.1]])


# ---- Cholesky ------------------------------------------------------------------------------------


def _cholesky_forward(tangents: tuple[Any], y: Any, a: Any) -> Any:
    """L·Φ(L⁻¹ Ȧ L⁻ᴴ), Φ the lower triangle with half the diagonal (Murray 2016, eq. 8)."""
    solve = TABLE[_SOLVE]
    part = solve(y, _as_read(tangents[0], lower=True))
    inner = dagger(solve(y, dagger(part)))
    count = np.shape(a)[-1]
    weights = _lower(count, below=True) + 0.5 * np.eye(count)
    return np.matmul(y, inner * TABLE["astype"](weights, real_dtype(y.dtype)))


cholesky = primitive(
    name="cholesky",
    type_rule=lambda a: a,
    value=lapack(
        np.linalg.cholesky,
        "cholesky",
        "the matrix is not positive definite",
        "check that it is symmetric with positive eigenvalues; np.linalg.eigvalsh shows them",
    ),
    derivative=Custom(_cholesky_forward),
    batch=stacked,
    symbolic=None,
    lower=factor_loops.cholesky,
    bound=Roundings("(n + 1)", "|l|·|lᵀ|"),
    cases=(
        Case((_SPD,)),
        Case((np.stack([_SPD, _SPD + np.eye(3)]),)),
        Case((_SPD.astype("f4"),)),
        Case((_HERMITIAN,)),
    ),
)


@implements(np.linalg.cholesky)
def _cholesky(a: Any, /, *, upper: bool = False) -> Any:
    a = square(a, "cholesky")
    return dagger(apply(cholesky, dagger(a))) if upper else apply(cholesky, a)


# ---- eigenvalues of Hermitian matrices -----------------------------------------------------------


def _eigh_forward(tangents: tuple[Any], y: Any, a: Any, lower: bool) -> tuple[Any, Any]:
    w, v = y
    inner = _mul(dagger(v), _as_read(tangents[0], lower), v)
    rates = _diagonal(inner)
    gaps = w[..., None, :] - w[..., :, None]
    same = np.equal(gaps, 0)
    # Eigenvectors of equal eigenvalues have no derivative: not a number, unless on the diagonal.
    alone = np.eye(np.shape(a)[-1], dtype=bool)
    turn = np.where(alone, 0, np.where(same, np.nan, 1 / np.where(same, 1, gaps)))
    return (np.real(rates) if a.dtype.kind == "c" else rates), np.matmul(v, turn * inner)


eigh = primitive(
    name="eigh",
    type_rule=lambda a, lower: (ArrayType(a.shape[:-1], real_dtype(a.dtype)), a),
    value=lapack(
        lambda a, lower: tuple(np.linalg.eigh(a, "L" if lower else "U")),
        "eigh",
        "the eigenvalues did not converge",
        "check the matrix for NaN and infinity",
    ),
    derivative=Custom(_eigh_forward),
    batch=stacked,
    symbolic=None,
    lower=factor_loops.eigh,
    bound=Roundings("n", "‖a‖", 4, 4),
    cases=(
        Case((_SPD,), {"lower": True}),
        Case((_SPD,), {"lower": False}),
        Case((np.stack([_SPD, _SPD @ _SPD]),), {"lower": True}),
    ),
    multiple=True,
)
_EIGH_RESULT = type(np.linalg.eigh(np.eye(1)))


def _eigen(a: Any, uplo: str, what: str) -> Any:
    if uplo not in ("L", "U", "l", "u"):
        raise ShapeError(
            f"{what}: UPLO must be 'L' or 'U'",
            {"UPLO": repr(uplo)},
            fix="write UPLO='L' for the lower triangle, 'U' for the upper one",
        )
    return apply(eigh, square(a, what), lower=uplo in "lL")


@implements(np.linalg.eigh)
def _eigh(a: Any, UPLO: str = "L") -> Any:
    return _EIGH_RESULT(*_eigen(a, UPLO, "eigh"))


@implements(np.linalg.eigvalsh)
def _eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return _eigen(a, UPLO, "eigvalsh")[0]


# ---- singular values -----------------------------------------------------------------------------


def _svd_forward(tangents: tuple[Any], y: Any, a: Any) -> tuple[Any, Any, Any]:
    """As for eigenvalues, of aᴴa and aaᴴ (Townsend 2016, eqs. 16 to 24)."""
    u, s, vh = y
    t = tangents[0]
    uh, v = dagger(u), dagger(vh)
    inner = _mul(uh, t, v)
    rates = _diagonal(inner)
    column, row = s[..., :, None], s[..., None, :]
    gaps = (row - column) * (row + column)
    same = np.equal(gaps, 0)
    alone = np.eye(np.shape(s)[-1], dtype=bool)
    turn = np.where(alone, 0, np.where(same, np.nan, 1 / np.where(same, 1, gaps)))
    left, right = inner * row, column * inner
    du = np.matmul(u, turn * (left + dagger(left)))
    dv = np.matmul(v, turn * (right + dagger(right)))
    if a.dtype.kind == "c":
        phase = np.where(alone, 0.5 * (inner - dagger(inner)) / row, 0)
        du = du + np.matmul(u, phase)
    rows, columns = np.shape(a)[-2:]
    if rows > columns:
        outside = np.matmul(t, v)
        du = du + (outside - _mul(u, uh, outside)) / row
    if columns > rows:
        outside = np.matmul(dagger(t), u)
        dv = dv + (outside - _mul(v, vh, outside)) / row
    return du, (np.real(rates) if a.dtype.kind == "c" else rates), dagger(dv)


def _svd_type(a: ArrayType) -> tuple[ArrayType, ArrayType, ArrayType]:
    *batch, rows, columns = a.shape
    count = min(rows, columns)
    return (
        ArrayType((*batch, rows, count), a.dtype),
        ArrayType((*batch, count), real_dtype(a.dtype)),
        ArrayType((*batch, count, columns), a.dtype),
    )


svd = primitive(
    name="svd",
    type_rule=_svd_type,
    value=lapack(
        lambda a: tuple(np.linalg.svd(a, full_matrices=False)),
        "svd",
        "the singular values did not converge",
        "check the matrix for NaN and infinity",
    ),
    derivative=Custom(_svd_forward),
    batch=stacked,
    symbolic=None,
    lower=factor_loops.svd,
    bound=Roundings("n", "‖a‖", 4, 4),
    cases=(
        Case((_TALL,)),
        Case((_WIDE,)),
        Case((_SQUARE,)),
        Case((np.stack([_TALL, 2 * _TALL[::-1]]),)),
    ),
    multiple=True,
)
_SVD_RESULT = type(np.linalg.svd(np.eye(1)))


@implements(np.linalg.svd)
def _svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    if hermitian:
        raise UnsupportedError(
            "np.linalg.svd: hermitian=True can't be traced",
            fix="leave it out: the result is the same",
        )
    a = matrix(a, "svd")
    u, s, vh = apply(svd, a)
    if not compute_uv:
        return s
    rows, columns = np.shape(a)[-2:]
    if full_matrices and rows != columns:
        raise UnsupportedError(
            "np.linalg.svd: the full matrices of one that isn't square have no derivative",
            {"matrix": type_of(a)},
            "use full_matrices=False",
        )
    return _SVD_RESULT(u, s, vh)


@implements(np.linalg.svdvals)
def _svdvals(x: Any, /) -> Any:
    return apply(svd, matrix(x, "svdvals"))[1]


@implements(np.linalg.matrix_rank)
def _matrix_rank(A: Any, tol: Any = None, *, rtol: Any = None) -> Any:
    """How many singular values count; a number of steps, so flat."""
    a = TABLE["operand"](A)
    if np.ndim(a) < 2:
        return TABLE["astype"](np.any(np.not_equal(a, 0)), np.dtype(int))
    s = _svdvals(a)
    if tol is None:
        cut = max(np.shape(a)[-2:]) * np.finfo(s.dtype).eps if rtol is None else rtol
        tol = np.max(s, axis=-1, keepdims=True) * cut
    return np.count_nonzero(s > tol, axis=-1)


# ---- QR ------------------------------------------------------------------------------------------


def _qr_forward(tangents: tuple[Any], y: Any, a: Any) -> tuple[Any, Any]:
    """Q moves by a skew part and by what lies outside its span (Walter and Lehmann 2012)."""
    q, r = y
    t = tangents[0]
    # t·R⁻¹ without an inverse.
    scaled = dagger(TABLE[_SOLVE](dagger(r), dagger(t)))
    inner = np.matmul(dagger(q), scaled)
    below = np.where(_lower(np.shape(r)[-1], below=True), inner, 0)
    skew = below - dagger(below)
    if a.dtype.kind == "c":
        # LAPACK keeps the diagonal of R real, so a phase goes to Q.
        alone = np.eye(np.shape(r)[-1], dtype=bool)
        skew = skew + np.where(alone, 1j * np.imag(inner), 0)
    upper = inner - skew
    return scaled - np.matmul(q, upper), np.matmul(upper, r)


def _qr_type(a: ArrayType) -> tuple[ArrayType, ArrayType]:
    *batch, _, columns = a.shape
    return a, ArrayType((*batch, columns, columns), a.dtype)


qr = primitive(
    name="qr",
    type_rule=_qr_type,
    value=lambda a: tuple(np.linalg.qr(a)),
    derivative=Custom(_qr_forward),
    batch=stacked,
    symbolic=None,
    lower=factor_loops.qr,
    bound=Roundings("n", "‖a‖", 4, 4),
    cases=(
        Case((_TALL,)),
        Case((_SQUARE,)),
        Case((np.stack([_TALL, _TALL[::-1]]),)),
        Case((_TALL + 1j * _TALL[::-1],)),
    ),
    multiple=True,
    irregular=(
        Irregular(
            "domain",
            lambda y, a: np.any(np.equal(_diagonal(y[1]), 0), axis=-1),
            "the columns are linearly dependent",
        ),
    ),
)
_QR_RESULT = type(np.linalg.qr(np.eye(1)))


@implements(np.linalg.qr)
def _qr(a: Any, mode: str = "reduced") -> Any:
    a = matrix(a, "qr")
    rows, columns = np.shape(a)[-2:]
    if columns > rows or mode not in ("reduced", "r", "complete"):
        raise UnsupportedError(
            "np.linalg.qr: only matrices with at least as many rows as columns can be traced",
            {"matrix": type_of(a), "mode": mode},
            "use mode='reduced'; of a wide matrix factor the first columns",
        )
    if mode == "complete" and rows != columns:
        raise UnsupportedError(
            "np.linalg.qr: the complete Q of a tall matrix has no derivative",
            {"matrix": type_of(a)},
            "use mode='reduced'",
        )
    q, r = apply(qr, a)
    return r if mode == "r" else _QR_RESULT(q, r)
