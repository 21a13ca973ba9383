"""The pseudo-inverse, and least squares through it."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ir.bound import Roundings
from chainrule.ir.primitive import Case, Custom
from chainrule.ir.types import ArrayType
from chainrule.ops import factor_loops
from chainrule.ops.family import primitive, real_dtype
from chainrule.ops.matrices import dagger, inexact, lapack, matrix, stacked
from chainrule.tracing.table import implements
from chainrule.tracing.trace import apply, ground

_REGULAR = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, -0.7], [-0.4, 0.8, 1.1]])
_STACK = np.stack([_REGULAR, _REGULAR.T + np.eye(3)])
_COMPLEX = _REGULAR + 1j * np.array([[0.2, 0.4, -0.3], [0.1, -0.5, 0.6], [0.7, 0.1, 0.3]])


def _pinv_forward(tangents: tuple[Any], y: Any, a: Any, rcond: Any) -> Any:
    """At constant rank (Golub and Pereyra 1973, eq. 4.12)."""
    t, th, yh = tangents[0], dagger(tangents[0]), dagger(y)
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
    value=lapack(
        lambda a, rcond: np.linalg.pinv(a) if rcond is None else np.linalg.pinv(a, rcond),
        "pinv",
        "the singular values did not converge",
        "check the matrix for NaN and infinity",
    ),
    derivative=Custom(_pinv_forward),
    batch=stacked,
    symbolic=None,
    lower=factor_loops.pseudoinverse,
    bound=Roundings("n", "κ(a)·‖result‖", 4, 4),
    cases=(
        Case((_REGULAR[:, :2],), {"rcond": None}),
        Case((_REGULAR[:2],), {"rcond": None}),
        Case((_STACK,), {"rcond": None}),
        Case((_REGULAR.astype("f4"),), {"rcond": 1e-6}),
        Case((_COMPLEX[:, :2],), {"rcond": None}),
    ),
)


@implements(np.linalg.pinv)
def _pinv(a: Any, rcond: Any = None, *, rtol: Any = np._NoValue) -> Any:
    a = matrix(a, "pinv")
    cut = rcond if rtol is np._NoValue else rtol
    if rtol is None:
        cut = max(np.shape(a)[-2:]) * float(np.finfo(a.dtype).eps)
    return apply(pinv, a, rcond=None if cut is None else float(cut))


@implements(np.linalg.lstsq)
def _lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """Through the pseudo-inverse, so that the derivative holds at constant rank.

    Without values the rank is taken to be full where the shape of the residuals depends on it.
    """
    a, b = inexact(a, "lstsq"), inexact(b, "lstsq")
    rows, columns = np.shape(a)
    cut = float(np.finfo(a.dtype).eps) * max(rows, columns) if rcond is None else float(rcond)
    s = np.linalg.svdvals(a)
    rank: Any = np.sum(s > cut * s[0]) if min(rows, columns) else 0
    known = ground(rank)
    rank = rank if known is None else int(known)
    x = np.matmul(apply(pinv, a, rcond=cut), b)
    if rows <= columns or (known is not None and rank < columns):
        return x, np.zeros((0,), real_dtype(np.result_type(x))), rank, s
    away = b - np.matmul(a, x)
    squares = np.real(away * np.conj(away)) if away.dtype.kind == "c" else away * away
    residuals = np.sum(squares, axis=0)
    return x, np.reshape(residuals, (-1,)), rank, s
