"""Order: the largest, the smallest, and their positions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.bound import EXACT
from chainrule.ir.primitive import Case, Custom, Draw, Flat, Irregular, Primitive, Rule
from chainrule.ir.types import ArrayType
from chainrule.ops import order_loops
from chainrule.ops.family import kept, normal_axes, normal_axis, ones_at, primitive
from chainrule.tracing.table import TABLE, Handler, implements
from chainrule.tracing.trace import apply

_NONE = np._NoValue
Axes = tuple[int, ...]


# ---- largest and smallest ------------------------------------------------------------------------


def _extreme(name: str, ufunc: np.ufunc, worse: np.ufunc) -> Primitive:
    """The largest or the smallest entry; what comes `worse` than it has no share in it.

    Ties share the derivative equally. The entries that aren't the extreme are not taken, so an
    infinite derivative behind one of them doesn't count.
    """

    def left_out(y: Any, x: Any, axis: Axes) -> Any:
        return worse(x, np.reshape(y, ones_at(np.shape(x), axis)))

    def shares(y: Any, x: Any, axis: Axes) -> Any:
        return np.sum(np.where(left_out(y, x, axis), 0, 1), axis=axis)

    def forward(tangents: tuple[Any], y: Any, x: Any, axis: Axes) -> Any:
        taken = np.where(left_out(y, x, axis), 0, tangents[0])
        count = TABLE["astype"](shares(y, x, axis), y.dtype)
        return np.sum(taken, axis=axis) / count

    def reverse(g: Any, y: Any, x: Any, axis: Axes) -> tuple[Any]:
        out = left_out(y, x, axis)
        count = np.sum(np.where(out, 0, 1), axis=axis)
        share = np.true_divide(g, TABLE["astype"](count, x.dtype))
        return (np.where(out, 0, np.reshape(share, ones_at(np.shape(x), axis))),)

    def symbolic(sympy: Any, x: Any, axis: Axes) -> Any:
        x = np.array(x, object)
        others = tuple(k for k in range(x.ndim) if k not in axis)
        rows = np.transpose(x, others + axis).reshape(*kept(x.shape, axis), -1)
        result = np.empty(rows.shape[:-1], object)
        for place in np.ndindex(result.shape):
            result[place] = _symbolic_extreme(sympy, rows[place], name == "max")
        return result[()]

    return primitive(
        name=name,
        type_rule=lambda x, axis: ArrayType(kept(x.shape, axis), x.dtype),
        value=lambda x, axis: ufunc.reduce(x, axis=axis),
        derivative=Custom(forward, reverse, selects=True),
        batch=lambda op, size, args, batched, axis: apply(
            op, args[0], axis=tuple(a + 1 for a in axis)
        ),
        symbolic=symbolic,
        lower=lambda b, out, x, axis: b.reduce(name, out, x, axis),
        bound=EXACT,
        cases=(
            Case((Draw((3,)),), {"axis": (0,)}),
            Case((Draw((2, 3, 4)),), {"axis": (0, 2)}),
            Case((Draw((2, 3)),), {"axis": (1,)}),
            Case((Draw((2, 3)),), {"axis": (0, 1)}),
            Case((Draw((0, 3)),), {"axis": (1,)}),
            Case((Draw(()),), {"axis": ()}),
            Case((Draw((3,), dtype="f4"),), {"axis": (0,)}),
        ),
        irregular=(
            Irregular(
                "kink",
                lambda y, x, axis: np.greater(shares(y, x, axis), 1),
                f"several entries share the {'largest' if name == 'max' else 'smallest'} value",
            ),
        ),
    )


def _symbolic_extreme(sympy: Any, entries: Any, largest: bool) -> Any:
    """The mean of the extreme entries: its derivative is shared equally where several tie."""
    if len(entries) == 1:
        return entries[0]
    total, count = 0, 0
    for k, a in enumerate(entries):
        others = [b for j, b in enumerate(entries) if j != k]
        best = sympy.And(*[sympy.Ge(a, b) if largest else sympy.Le(a, b) for b in others])
        here = sympy.Piecewise((1, best), (0, True))
        total, count = total + a * here, count + here
    return total / count


max_ = _extreme("max", np.maximum, np.less)
min_ = _extreme("min", np.minimum, np.greater)


def _reduce_extreme(
    op: Primitive, a: Any, axis: Any, keepdims: Any, initial: Any, where: Any
) -> Any:
    a = TABLE["operand"](a)
    pairwise: Any = np.maximum if op is max_ else np.minimum
    if where is not True and where is not _NONE:
        if initial is _NONE:
            raise ShapeError(
                f"{op.name}: where= needs initial=, for rows where nothing is chosen",
                fix="give initial=-np.inf to a maximum, np.inf to a minimum",
            )
        a = np.where(where, a, initial)
    axes = normal_axes(axis, np.ndim(a))
    if initial is _NONE and any(np.shape(a)[k] == 0 for k in axes):
        raise ShapeError(
            f"{op.name}: an empty array has no such entry",
            {"shape": np.shape(a), "axis": axes},
            "give initial=",
        )
    if any(np.shape(a)[k] == 0 for k in axes):
        return np.full(kept(np.shape(a), axes), initial, np.result_type(a))
    result = apply(op, a, axis=axes)
    if initial is not _NONE:
        result = pairwise(result, initial)
    if keepdims is False or keepdims is _NONE or not keepdims:
        return result
    return np.reshape(result, ones_at(np.shape(a), axes))


@implements(np.amax)
@implements(np.max, lists=True)
def _max(
    a: Any, axis: Any = None, *, keepdims: Any = False, initial: Any = _NONE, where: Any = True
) -> Any:
    return _reduce_extreme(max_, a, axis, keepdims, initial, where)


@implements(np.amin)
@implements(np.min, lists=True)
def _min(
    a: Any, axis: Any = None, *, keepdims: Any = False, initial: Any = _NONE, where: Any = True
) -> Any:
    return _reduce_extreme(min_, a, axis, keepdims, initial, where)


def _method(op: Primitive) -> Handler:
    def reduce(
        array: Any, axis: Any = 0, *, keepdims: Any = False, initial: Any = _NONE,
        where: Any = True,
    ) -> Any:  # fmt: skip
        return _reduce_extreme(op, array, axis, keepdims, initial, where)

    return reduce


TABLE[np.maximum, "reduce"] = _method(max_)
TABLE[np.minimum, "reduce"] = _method(min_)


@implements(np.ptp, lists=True)
def _ptp(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    a = TABLE["operand"](a)
    return _max(a, axis, keepdims=keepdims) - _min(a, axis, keepdims=keepdims)


@implements(np.nanmax)
def _nanmax(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    """NaN only where nothing else is there."""
    return _without_nan(max_, a, axis, keepdims, -math.inf)


@implements(np.nanmin)
def _nanmin(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _without_nan(min_, a, axis, keepdims, math.inf)


def _without_nan(op: Primitive, a: Any, axis: Any, keepdims: Any, worst: float) -> Any:
    a = TABLE["operand"](a)
    missing = np.isnan(a)
    best = _reduce_extreme(op, np.where(missing, worst, a), axis, keepdims, _NONE, True)
    return np.where(np.all(missing, axis=axis, keepdims=keepdims), math.nan, best)


# ---- positions -----------------------------------------------------------------------------------


def _position(function: Any, lower: Rule) -> Primitive:
    return primitive(
        name=function.__name__,
        type_rule=lambda x, axis: ArrayType(kept(x.shape, (axis,)), np.dtype(np.intp)),
        value=lambda x, axis: function(x, axis=axis),
        derivative=Flat(),
        batch=lambda op, size, args, batched, axis: apply(op, args[0], axis=axis + 1),
        symbolic=None,
        lower=lower,
        bound=EXACT,
        cases=(
            Case((Draw((3,)),), {"axis": 0}),
            Case((Draw((2, 3)),), {"axis": 1}),
            Case((Draw((2, 3, 2)),), {"axis": 0}),
        ),
    )


argmax = _position(np.argmax, order_loops.position(True))
argmin = _position(np.argmin, order_loops.position(False))


def _find(op: Primitive, a: Any, axis: Any, keepdims: Any) -> Any:
    a = TABLE["operand"](a)
    shape = np.shape(a)
    flat = np.reshape(a, (-1,)) if axis is None else a
    along = 0 if axis is None else normal_axis(axis, len(shape))
    if np.shape(flat)[along] == 0:
        raise ShapeError(
            f"{op.name}: an empty array has no such entry",
            {"shape": shape},
            fix="give it an entry, or ask x.size first",
        )
    found = apply(op, flat, axis=along)
    if keepdims is _NONE or not keepdims:
        return found
    return np.reshape(found, ones_at(shape, normal_axes(axis, len(shape))))


@implements(np.argmax, lists=True)
def _argmax(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _find(argmax, a, axis, keepdims)


@implements(np.argmin, lists=True)
def _argmin(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    return _find(argmin, a, axis, keepdims)


@implements(np.nanargmax)
def _nanargmax(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    a = TABLE["operand"](a)
    return _find(argmax, np.where(np.isnan(a), -math.inf, a), axis, keepdims)


@implements(np.nanargmin)
def _nanargmin(a: Any, axis: Any = None, *, keepdims: Any = False) -> Any:
    a = TABLE["operand"](a)
    return _find(argmin, np.where(np.isnan(a), math.inf, a), axis, keepdims)


argsort = primitive(
    name="argsort",
    type_rule=lambda x, axis, kind: ArrayType(x.shape, np.dtype(np.intp)),
    value=lambda x, axis, kind: np.argsort(x, axis=axis, kind=kind),
    derivative=Flat(),
    batch=lambda op, size, args, batched, axis, kind: apply(op, args[0], axis=axis + 1, kind=kind),
    symbolic=None,
    lower=order_loops.argsort,
    bound=EXACT,
    cases=(
        Case((Draw((5,)),), {"axis": 0, "kind": None}),
        Case((Draw((2, 3)),), {"axis": 0, "kind": "stable"}),
    ),
)


@implements(np.argsort, lists=True)
def _argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: None = None, *, stable: Any = None
) -> Any:
    a = TABLE["operand"](a)
    if axis is None or np.ndim(a) == 0:
        a, axis = np.reshape(a, (-1,)), 0
    kind = "stable" if stable else kind
    return apply(argsort, a, axis=normal_axis(axis, np.ndim(a)), kind=kind)


def _searchsorted_batch(op: Primitive, size: int, args: Any, batched: Any, side: str) -> Any:
    rows, wanted = args
    if not batched[0]:
        return apply(op, rows, wanted, side=side)
    # Positions counted by comparison: one sorted row per example.
    if batched[1]:
        column = np.reshape(wanted, (*np.shape(wanted), 1))
        rows = np.reshape(rows, (size, *(1,) * (np.ndim(wanted) - 1), np.shape(rows)[-1]))
    else:
        column = np.reshape(wanted, (1, *np.shape(wanted), 1))
        rows = np.reshape(rows, (size, *(1,) * np.ndim(wanted), np.shape(rows)[-1]))
    before = np.less(rows, column) if side == "left" else np.less_equal(rows, column)
    return np.sum(before, axis=-1)


searchsorted = primitive(
    name="searchsorted",
    type_rule=lambda a, v, side: ArrayType(v.shape, np.dtype(np.intp)),
    value=lambda a, v, side: np.searchsorted(a, v, side=side),
    derivative=Flat(),
    batch=_searchsorted_batch,
    symbolic=None,
    lower=order_loops.searchsorted,
    bound=EXACT,
    cases=(
        Case((np.array([-1.0, 0.0, 1.0]), Draw((4,))), {"side": "left"}),
        Case((np.array([-1.0, 0.0, 1.0]), Draw(())), {"side": "right"}),
    ),
)


@implements(np.searchsorted)
def _searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    a, v = TABLE["operand"](a), TABLE["operand"](v)
    if sorter is not None:
        a = TABLE["getitem"](a, sorter)
    return apply(searchsorted, a, v, side=side)
