"""logsumexp, softmax and log_softmax, as compositions that never overflow.

The shift by the largest entry cancels, so it counts as a constant: any other shift would give the
same result.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ir.bound import EXACT
from chainrule.ir.primitive import Case, Draw, Flat, Primitive
from chainrule.ir.types import ArrayType
from chainrule.ops import sum_loops
from chainrule.ops.family import normal_axes, primitive
from chainrule.tracing.table import INSIDE_SCIPY, TABLE, implements, implements_special
from chainrule.tracing.trace import apply


def _shift_type(x: ArrayType, axis: tuple[int, ...]) -> ArrayType:
    dtype = np.zeros((), x.dtype).real.dtype
    return ArrayType(tuple(1 if k in axis else n for k, n in enumerate(x.shape)), dtype)


def _shift_value(x: Any, axis: tuple[int, ...]) -> Any:
    largest = np.max(np.real(x), axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(largest), largest, np.zeros((), largest.dtype))[()]


def _shift_batch(
    op: Primitive, size: int, args: tuple[Any, ...], batched: Any, axis: tuple[int, ...]
) -> Any:
    return apply(op, args[0], axis=tuple(k + 1 for k in axis))


shift = primitive(
    name="shift",
    type_rule=_shift_type,
    value=_shift_value,
    derivative=Flat(),
    batch=_shift_batch,
    symbolic=None,
    lower=sum_loops.shift,
    bound=EXACT,
    cases=(
        Case((Draw((3,)),), {"axis": (0,)}),
        Case((Draw((2, 3)),), {"axis": (0, 1)}),
        Case((Draw((2, 3), dtype="f4"),), {"axis": (1,)}),
        Case((Draw((2, 3), dtype="c16"),), {"axis": (1,)}),
        Case((np.array([-np.inf, -np.inf]),), {"axis": (0,)}, "nothing finite"),
        Case((Draw((0,)),), {"axis": (0,)}),
    ),
)


def _prepared(a: Any, axis: Any) -> tuple[Any, tuple[int, ...]]:
    """A floating-point operand of one axis at least, and its axes."""
    a = TABLE["operand"](a)
    if a.dtype.kind not in "fc":
        a = TABLE["astype"](a, float)
    return a, normal_axes(axis, np.ndim(a))


@implements_special("logsumexp")
def logsumexp(
    a: Any, axis: Any = None, b: Any = None, keepdims: Any = False, return_sign: Any = False
) -> Any:
    """log Σ b·exp(a) over the axes."""
    a, axes = _prepared(a, axis)
    if b is not None:
        b = TABLE["operand"](b)
        # A weight of 0 silences its entry, even an infinite one.
        a = np.where(np.equal(b, 0), -np.inf, a)
        axes = normal_axes(axis, np.ndim(a))
    most = apply(shift, a, axis=axes)
    terms = np.exp(a - most)
    total = np.sum(terms if b is None else b * terms, axis=axes, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        sign: Any = np.sign(total) if return_sign else None
        result = np.log(np.absolute(total) if return_sign else total) + most
    if not keepdims:
        shape = tuple(n for k, n in enumerate(np.shape(a)) if k not in axes)
        # [()] makes a NumPy scalar of a single number, as SciPy does.
        result = np.reshape(result, shape)[()]
        sign = np.reshape(sign, shape)[()] if return_sign else None
    return (result, sign) if return_sign else result


def _inside(a: Any, b: Any, axis: Any, return_sign: Any, xp: Any) -> Any:
    """The middle of SciPy's own logsumexp, for those who bound that name before the trace."""
    if return_sign:
        return logsumexp(a, axis, b, True, True)
    return logsumexp(a, axis, b, True), None


# SciPy ≥ 1.15 takes the largest entries out of the sum, all of them where several tie. The value
# is right, but differentiated as it stands its second derivative is wrong at every tie.
INSIDE_SCIPY["scipy.special._logsumexp"] = {"_logsumexp": _inside}


@implements((np.logaddexp, "reduce"))
def _logaddexp_reduce(array: Any, axis: Any = 0, dtype: Any = None, keepdims: Any = False) -> Any:
    total = logsumexp(array, axis, keepdims=keepdims)
    return total if dtype is None else TABLE["astype"](total, dtype)


@implements_special("softmax")
def softmax(x: Any, axis: Any = None) -> Any:
    """exp(x) over its sum."""
    x, axes = _prepared(x, axis)
    terms = np.exp(x - apply(shift, x, axis=axes))
    return terms / np.sum(terms, axis=axes, keepdims=True)


@implements_special("log_softmax")
def log_softmax(x: Any, axis: Any = None) -> Any:
    """x − logsumexp(x)."""
    x, axes = _prepared(x, axis)
    lowered = x - apply(shift, x, axis=axes)
    return lowered - np.log(np.sum(np.exp(lowered), axis=axes, keepdims=True))
