"""Choosing between values: where, select, piecewise, nan_to_num."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.bound import EXACT
from chainrule.ir.primitive import Case, Draw, Linear
from chainrule.ir.types import ArrayType, result_dtype
from chainrule.ops.family import broadcast, each, elementwise_batch, primitive, sum_to
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply
from chainrule.tracing.tracer import Tracer


def _select_value(c: Any, x: Any, y: Any) -> Any:
    chosen: Any = np.where(c, x, y)
    return chosen[()]


def _select_transpose(g: Any, c: Any, x: ArrayType, y: ArrayType) -> Any:
    zero = np.zeros((), g.dtype)
    return sum_to(np.where(c, g, zero), x.shape), sum_to(np.where(c, zero, g), y.shape)


def _select_symbolic(S: Any, c: Any, x: Any, y: Any) -> Any:
    if isinstance(c, (bool, np.bool_)):
        return x if c else y
    return S.Piecewise((x, c if isinstance(c, S.logic.boolalg.Boolean) else S.Ne(c, 0)), (y, True))


def _select_loops(b: Any, out: ArrayType, c: Any, x: Any, y: Any) -> Any:
    def entry(*index: Any) -> Any:
        return b.select(
            b.truth(b.at(c, index)), b.at(x, index, out.dtype), b.at(y, index, out.dtype)
        )

    return b.entry(out.shape, out.dtype, entry)


select = primitive(
    name="select",
    type_rule=lambda c, x, y: ArrayType(broadcast(c, x, y), result_dtype(x, y)),
    value=_select_value,
    derivative=Linear(_select_transpose, args=(1, 2), selects=True, parts=True),
    batch=elementwise_batch,
    symbolic=each(_select_symbolic),
    lower=_select_loops,
    bound=EXACT,
    cases=(
        Case((Draw((), dtype="?"), Draw(()), Draw(()))),
        Case((Draw((3,), dtype="?"), Draw((3,)), Draw((3,)))),
        Case((Draw((2, 1), dtype="?"), Draw((3,)), Draw(()))),
        Case((Draw((), dtype="?"), Draw((2, 1)), Draw((3,)))),
        Case((Draw((3,), dtype="?"), Draw((3,), dtype="f4"), Draw((3,), dtype="f4"))),
        Case((Draw((3,), dtype="?"), Draw((3,), dtype="c16"), Draw((3,), dtype="c16"))),
        Case((Draw((3,), dtype="?"), Draw((3,)), 0.0), note="literal"),
        Case((Draw((0,), dtype="?"), Draw((0,)), Draw(()))),
    ),
)


@implements(np.where)
def _where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    condition = TABLE["operand"](condition)
    if x is None and y is None:
        return TABLE[np.nonzero](condition)
    return apply(select, condition, TABLE["operand"](x), TABLE["operand"](y))


@implements(np.select)
def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ShapeError(
            "select: one choice per condition",
            {"conditions": len(condlist), "choices": len(choicelist)},
            fix="give both lists the same length; what is left over belongs in default=",
        )
    chosen = TABLE["operand"](default)
    pairs = list(zip(condlist, choicelist, strict=True))
    for condition, choice in reversed(pairs):
        chosen = np.where(condition, choice, chosen)
    return chosen


@implements(np.piecewise)
def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any) -> Any:
    x = TABLE["operand"](x)
    conditions = _conditions(x, condlist)
    functions = list(funclist)
    if len(functions) == len(conditions) + 1:
        result = _piece(functions.pop(), x, args)
    elif len(functions) == len(conditions):
        result = np.zeros((), x.dtype)[()]
    else:
        raise ShapeError(
            "piecewise: one function per condition, and one more for all the rest",
            {"conditions": len(conditions), "functions": len(functions)},
            fix="give a function for every condition, and at most one more",
        )
    # The last condition that holds decides, as in NumPy.
    for condition, function in zip(conditions, functions, strict=True):
        result = np.where(condition, _piece(function, x, args), result)
    return TABLE["astype"](result, x.dtype)


def _conditions(x: Any, condlist: Any) -> list[Any]:
    """The conditions of piecewise: a list of them, or a single one."""
    if isinstance(condlist, (Tracer, np.ndarray)):
        alone = condlist.ndim == x.ndim
        return [condlist] if alone else [condlist[k] for k in range(condlist.shape[0])]
    alone = not isinstance(condlist, (list, tuple)) or (
        np.ndim(x) != 0 and isinstance(condlist[0], (bool, np.bool_))
    )
    return [condlist] if alone else list(condlist)


def _piece(function: Any, x: Any, args: tuple[Any, ...]) -> Any:
    if not callable(function):
        return function
    # Every piece sees all of x; what comes from outside its own part is thrown away.
    with np.errstate(all="ignore"):
        return function(x, *args)


@implements(np.nan_to_num)
def _nan_to_num(
    x: Any, copy: Any = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:  # fmt: skip
    x = TABLE["operand"](x)
    if x.dtype.kind not in "fc":
        return np.positive(x)
    if x.dtype.kind == "c":
        parts = [_nan_to_num(part, copy, nan, posinf, neginf) for part in (np.real(x), np.imag(x))]
        return parts[0] + 1j * parts[1]
    largest = float(np.finfo(x.dtype).max)
    high = largest if posinf is None else posinf
    low = -largest if neginf is None else neginf
    x = np.where(np.equal(x, np.inf), high, np.where(np.equal(x, -np.inf), low, x))
    return np.where(np.isnan(x), nan, x)


@implements(np.choose)
def _choose(a: Any, choices: Any, *, mode: str = "raise") -> Any:
    if mode not in ("raise", "clip"):
        raise ShapeError("choose: mode='wrap' can't be traced", fix="take a % len(choices) first")
    chosen = TABLE["operand"](choices[-1])
    for k in range(operator.index(len(choices)) - 2, -1, -1):
        chosen = np.where(np.less_equal(a, k), choices[k], chosen)
    return chosen


@implements(np.nonzero)
def _nonzero(a: Any) -> tuple[np.ndarray, ...]:
    """Positions, which need the values and are plain arrays."""
    a = TABLE["operand"](a)
    return np.nonzero(a.owner.concrete(a, "np.nonzero()") if type(a) is Tracer else a)
