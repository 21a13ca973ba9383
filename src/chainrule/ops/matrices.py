"""What operations on stacks of matrices share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError, LinearAlgebraError, ShapeError, UnsupportedError
from chainrule.ir.primitive import Primitive
from chainrule.ir.types import type_of
from chainrule.tracing.table import TABLE
from chainrule.tracing.trace import apply


def inexact(a: Any, what: str) -> Any:
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


def matrix(a: Any, what: str) -> Any:
    """A matrix, or a stack of them, in floating point."""
    a = inexact(a, what)
    if np.ndim(a) < 2:
        raise ShapeError(
            f"{what}: needs a matrix",
            {"array": type_of(a)},
            fix="make a vector a row with x[None, :], or a column with x[:, None]",
        )
    return a


def square(a: Any, what: str) -> Any:
    """A square matrix, or a stack of them, in floating point."""
    a = inexact(a, what)
    shape = np.shape(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(
            f"{what}: needs a square matrix",
            {"array": type_of(a)},
            "the last two axes must have the same length",
        )
    return a


def lapack(function: Callable[..., Any], what: str, problem: str, fix: str) -> Callable[..., Any]:
    """A function of np.linalg, whose failure becomes an error with the user's line."""

    def value(*xs: Any, **params: Any) -> Any:
        try:
            return function(*xs, **params)
        except np.linalg.LinAlgError:
            facts = {"matrix": type_of(xs[0])}
            raise LinearAlgebraError(f"{what}: {problem}", facts, fix) from None

    return value


def written_out(
    what: str, most: int, rule: Callable[[Any, Any], Any]
) -> Callable[[Any, Any], np.ndarray]:
    """A symbolic rule for small matrices, used on every matrix of a stack.

    Formulas of matrices grow by more than a factor n from n-1 to n rows.
    """

    def formula(sympy: Any, a: Any) -> np.ndarray:
        refuse_large(what, a, most)
        stack = a.shape[:-2]
        parts = [np.array(rule(sympy, sympy.Matrix(a[k])), object) for k in np.ndindex(stack)]
        inner = parts[0].shape if parts else ()
        return np.array(parts, object).reshape(stack + inner)[()]

    return formula


def refuse_large(what: str, a: Any, most: int) -> None:
    """Raise where the formula of a matrix would fill pages, and take minutes."""
    rows = a.shape[-1]
    if rows > most:
        raise UnsupportedError(
            f"symbolic: the formula of {what} is too large to write out",
            {"matrix": f"{rows}×{rows}", "most": f"{most}×{most}"},
            "use a smaller matrix; or cr.grad and cr.jacobian, which have no such limit",
        )


def turned(x: Any) -> Any:
    """The matrices of a stack transposed; never conjugated."""
    return np.swapaxes(x, -1, -2)


def dagger(x: Any) -> Any:
    """The matrices of a stack transposed and conjugated."""
    return np.conj(turned(x)) if x.dtype.kind == "c" else turned(x)


def stacked(op: Primitive, size: int, args: Any, batched: Any, **params: Any) -> Any:
    """These work on stacks of matrices, so a batch is one more axis in front."""
    return apply(op, *args, **params)
