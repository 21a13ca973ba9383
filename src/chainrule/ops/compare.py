"""Comparison, logic and bits: flat wherever they exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.ir.bound import EXACT, Decided
from chainrule.ir.primitive import Case, Draw, Flat, Irregular, Scalar
from chainrule.ir.types import ArrayType
from chainrule.ops import float_loops, whole_loops
from chainrule.ops.family import binary, broadcast, elementwise, elementwise_batch, primitive, unary
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply

# ---- comparisons ---------------------------------------------------------------------------------

_PAIRS = (
    *binary(),
    Case((Draw((3,), dtype="i8"), Draw((3,), dtype="i8"))),
    Case((Draw((3,), dtype="f4"), Draw((3,), dtype="f4"))),
)
_EDGE = (Irregular("jump", lambda z, x, y: np.equal(x, y), "the comparison changes its answer"),)


def _comparison(ufunc: np.ufunc, relation: str) -> Any:
    def lower(s: Any, x: Any, y: Any) -> Any:
        return whole_loops.compared(s, relation.lower(), x, y)

    return elementwise(
        ufunc,
        Flat(),
        symbolic=lambda S, x, y: getattr(S, relation)(x, y),
        lower=Scalar(lower, cast="common"),
        bound=EXACT,
        cases=_PAIRS,
        irregular=_EDGE,
    )


greater = _comparison(np.greater, "Gt")
greater_equal = _comparison(np.greater_equal, "Ge")
less = _comparison(np.less, "Lt")
less_equal = _comparison(np.less_equal, "Le")
equal = _comparison(np.equal, "Eq")
not_equal = _comparison(np.not_equal, "Ne")


# ---- logic ---------------------------------------------------------------------------------------


def _condition(S: Any, x: Any) -> Any:
    """A SymPy condition as it is; a number is true unless it's 0."""
    if isinstance(x, (bool, np.bool_)):
        return S.true if x else S.false
    return x if isinstance(x, S.logic.boolalg.Boolean) else S.Ne(x, 0)


_TRUTHS = (Case((Draw((3,), dtype="?"), Draw((2, 1), dtype="?"))), *binary()[1:3])


def _connective(ufunc: np.ufunc, name: str, lower: Callable[..., Any]) -> Any:
    return elementwise(
        ufunc,
        Flat(),
        symbolic=lambda S, x, y: getattr(S, name)(_condition(S, x), _condition(S, y)),
        lower=Scalar(lower),
        bound=EXACT,
        cases=_TRUTHS,
    )


logical_and = _connective(np.logical_and, "And", lambda s, x, y: x & y)
logical_or = _connective(np.logical_or, "Or", lambda s, x, y: x | y)
logical_xor = _connective(np.logical_xor, "Xor", lambda s, x, y: x ^ y)

logical_not = elementwise(
    np.logical_not,
    Flat(),
    symbolic=lambda S, x: S.Not(_condition(S, x)),
    lower=Scalar(lambda s, x: ~x),
    bound=EXACT,
    cases=(Case((Draw((3,), dtype="?"),)), *unary()[1:3]),
)


# ---- bits ----------------------------------------------------------------------------------------

_BITS = (
    Case((Draw((3,), dtype="?"), Draw((2, 1), dtype="?"))),
    Case((Draw((3,), 0, 9, "i8"), Draw((2, 1), 0, 9, "i8"))),
    Case((Draw((3,), 0, 9, "i4"), Draw((), 0, 9, "i4"))),
)
_SHIFTS = _BITS[1:]


def _bits(ufunc: np.ufunc, lower: Callable[..., Any], cases: tuple[Case, ...] = _BITS) -> Any:
    return elementwise(ufunc, Flat(), symbolic=None, lower=Scalar(lower), bound=EXACT, cases=cases)


bitwise_and = _bits(np.bitwise_and, lambda s, x, y: x & y)
bitwise_or = _bits(np.bitwise_or, lambda s, x, y: x | y)
bitwise_xor = _bits(np.bitwise_xor, lambda s, x, y: x ^ y)
left_shift = _bits(np.left_shift, whole_loops.left, _SHIFTS)
right_shift = _bits(np.right_shift, whole_loops.right, _SHIFTS)

invert = elementwise(
    np.invert,
    Flat(),
    symbolic=None,
    lower=Scalar(lambda s, x: ~x),
    bound=EXACT,
    cases=(Case((Draw((3,), dtype="?"),)), Case((Draw((3,), 0, 9, "i8"),))),
)


# ---- questions about entries ---------------------------------------------------------------------

_NUMBERS = (
    *unary(dtypes="dfD"),
    Case((np.array([1.0, np.inf, -np.inf, np.nan]),), note="specials"),
)
_REALS = (*unary(dtypes="df"), _NUMBERS[-1])


def _special(ufunc: np.ufunc, lower: Callable[..., Any], cases: tuple[Case, ...]) -> Any:
    return elementwise(
        ufunc, Flat(), symbolic=None, lower=Scalar(lower, cast=None), bound=EXACT, cases=cases
    )


isfinite = _special(np.isfinite, float_loops.is_finite, _NUMBERS)
isinf = _special(np.isinf, float_loops.is_infinite, _NUMBERS)
isnan = _special(np.isnan, float_loops.is_nan, _NUMBERS)
signbit = _special(np.signbit, float_loops.is_negative, _REALS)


def _question(
    function: Callable[..., Any], lower: Callable[..., Any], cases: tuple[Case, ...]
) -> Any:
    """A NumPy function, not a ufunc, that answers true or false for every entry."""
    op = primitive(
        name=function.__name__,
        type_rule=lambda x: ArrayType(x.shape, np.dtype(bool)),
        value=lambda x: np.asarray(function(x))[()],
        derivative=Flat(),
        batch=elementwise_batch,
        symbolic=None,
        lower=Scalar(lower, cast=None),
        bound=EXACT,
        cases=cases,
    )

    def ask(x: Any) -> Any:
        return apply(op, TABLE["operand"](x))

    implements(function)(ask)
    return op


isposinf = _question(np.isposinf, float_loops.equals(np.inf), _REALS)
isneginf = _question(np.isneginf, float_loops.equals(-np.inf), _REALS)
iscomplex = _question(np.iscomplex, lambda s, x: s.const(False, "i1"), unary(dtypes="D"))
isreal = _question(np.isreal, lambda s, x: s.const(True, "i1"), unary(dtypes="D"))


def _close(
    b: Any, out: ArrayType, x: Any, y: Any, rtol: float, atol: float, equal_nan: bool
) -> Any:
    """NumPy's formula: the second operand is the measure."""
    measure = np.result_type(y.dtype, 1.0)
    common = np.result_type(x.dtype, measure)

    def entry(*index: Any) -> Any:
        first, second = b.at(x, index, common), b.at(y, index, common)
        own = b.at(y, index, measure)
        bound = b.cast(b.unary("abs", own) * rtol + atol, second.kind)
        close = b.unary("abs", first - second) <= bound
        close = (close & float_loops.is_finite(b, own)) | first.eq(second)
        return close | (b.is_nan(first) & b.is_nan(second)) if equal_nan else close

    return b.entry(out.shape, out.dtype, entry)


isclose = primitive(
    name="isclose",
    type_rule=lambda a, b, **tolerances: ArrayType(broadcast(a, b), np.dtype(bool)),
    value=lambda a, b, **tolerances: np.asarray(np.isclose(a, b, **tolerances))[()],
    derivative=Flat(),
    batch=elementwise_batch,
    symbolic=None,
    lower=_close,
    bound=Decided(4, "(|x| + |y| + atol)"),
    cases=binary(params={"rtol": 0.3, "atol": 0.1, "equal_nan": False}, dtypes="dfD"),
)


@implements(np.isclose, lists=True)
def _isclose(
    a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: Any = False
) -> Any:  # fmt: skip
    a, b = TABLE["operand"](a), TABLE["operand"](b)
    return apply(isclose, a, b, rtol=float(rtol), atol=float(atol), equal_nan=bool(equal_nan))


@implements(np.allclose, lists=True)
def _allclose(
    a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: Any = False
) -> Any:  # fmt: skip
    return np.all(_isclose(a, b, rtol, atol, equal_nan))


@implements(np.array_equal, lists=True)
def _array_equal(a1: Any, a2: Any, equal_nan: Any = False) -> Any:
    a1, a2 = TABLE["operand"](a1), TABLE["operand"](a2)
    if np.shape(a1) != np.shape(a2):
        return False
    same = np.equal(a1, a2)
    if equal_nan:
        same = np.logical_or(same, np.logical_and(np.isnan(a1), np.isnan(a2)))
    return np.all(same)


@implements(np.array_equiv, lists=True)
def _array_equiv(a1: Any, a2: Any) -> Any:
    a1, a2 = TABLE["operand"](a1), TABLE["operand"](a2)
    try:
        np.broadcast_shapes(np.shape(a1), np.shape(a2))
    except ValueError:
        return False
    return np.all(np.equal(a1, a2))
