"""Indexing: reading and writing parts of an array."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.bound import EXACT, Roundings
from chainrule.ir.primitive import Case, Draw, Linear, Primitive
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops import index_loops
from chainrule.ops.family import primitive, structural, sum_to
from chainrule.ops.index_plan import (
    Spot,
    batched_layout,
    full_index,
    indexed_type,
    inverse,
    out_of_bounds,
    split_index,
)
from chainrule.ops.tile import tiled
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.trace import apply, refresh
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import link, memory_order
from chainrule.tracing.write import logged, write

# While a trace runs, NumPy's own names make buffers.
_zeros, _arange = np.zeros, np.arange


# ---- reading -------------------------------------------------------------------------------------


def _getitem_value(x: Any, *arrays: Any, index: tuple[Any, ...]) -> Any:
    try:
        return x[full_index(index, arrays)]
    except IndexError as error:
        raise out_of_bounds(x, index, error) from None


def _getitem_transpose(g: Any, x: ArrayType, *arrays: Any, index: tuple[Any, ...]) -> Any:
    return apply(put_add, g, *arrays, index=index, shape=x.shape)


def _gather(x: ArrayType, pieces: list[tuple[Any, tuple[Any, ...], dict[str, Any]]]) -> Any:
    """Many transposes of one array at once: linear in their number, not in number × size."""
    plain = all(type(g) is not Tracer for g, _, _ in pieces)
    if plain and not any(type(a) is Tracer for _, arrays, _ in pieces for a in arrays):
        total = _zeros(x.shape, x.dtype)
        for g, arrays, params in pieces:
            if arrays:
                np.add.at(total, full_index(params["index"], arrays), g)
            else:
                total[params["index"]] += g
        return total
    if not any(arrays for _, arrays, _ in pieces):
        joined = tiled(x.shape, [(g, params["index"]) for g, _, params in pieces])
        if joined is not None:
            return joined
    few = sum(math.prod(np.shape(g)) for g, _, _ in pieces) * 2 >= len(pieces) * x.size
    if few or any(type(a) is Tracer for _, arrays, _ in pieces for a in arrays):
        parts = [apply(put_add, g, *arrays, shape=x.shape, **more) for g, arrays, more in pieces]
        return functools.reduce(operator.add, parts)
    numbering = _arange(x.size).reshape(x.shape)
    spots = [np.ravel(numbering[full_index(p["index"], a)]) for _, a, p in pieces]
    if all(np.shape(g) == () for g, _, _ in pieces):
        values = TABLE["stack"]([g for g, _, _ in pieces])
    else:
        values = np.concatenate([np.reshape(g, (-1,)) for g, _, _ in pieces])
    flat = apply(put_add, values, np.concatenate(spots), index=(Spot(0),), shape=(x.size,))
    return np.reshape(flat, x.shape)


def _reads_all(*arrays: Any, index: tuple[Any, ...]) -> bool:
    """Whether as many entries as there are must be all of them: slices read none twice."""
    return not arrays


def _getitem_batch(
    op: Primitive,
    size: int,
    args: tuple[Any, ...],
    batched: tuple[bool, ...],
    index: tuple[Any, ...],
) -> Any:
    x, *arrays = args
    shape = np.shape(x)[batched[0] :]
    plan = batched_layout(shape, index, arrays, batched[0], batched[1:], size)
    raw = apply(op, x, *plan.arrays, index=plan.entries)
    return raw if plan.order == tuple(range(np.ndim(raw))) else np.transpose(raw, plan.order)


def _is_view(shape: tuple[int, ...], index: tuple[Any, ...]) -> bool:
    """Basic indices give views; scalars and index arrays give copies."""
    if not shape and Ellipsis not in index:
        return False
    return not any(type(i) is Spot for i in index)


_INDEX_CASES: tuple[tuple[tuple[int, ...], tuple[Any, ...], tuple[Any, ...]], ...] = (
    ((4,), (1,), ()),
    ((4,), (-1,), ()),
    ((4,), (slice(1, 3),), ()),
    ((4,), (slice(None, None, -2),), ()),
    ((3, 4), (1,), ()),
    ((3, 4), (slice(None), 2), ()),
    ((3, 4), (Ellipsis, slice(0, 2)), ()),
    ((3, 4), (None, slice(None), None, 1), ()),
    ((4,), (Spot(0),), (np.array([0, 2, 2]),)),
    ((3, 4), (Spot(0), Spot(1)), (np.array([0, 2]), np.array([1, 1]))),
    ((3, 4), (slice(None), Spot(0)), (np.array([[0, 1], [3, 3]]),)),
    ((2, 3, 4), (Spot(0), slice(None), Spot(1)), (np.array([0, 1, 1]), np.array([3, 0, 2]))),
    ((2, 3, 4), (0, slice(None), Spot(0)), (np.array([3, 0]),)),
    ((2, 3, 4), (slice(None), Spot(0), Spot(1)), (np.array([0, 2]), np.array([[3], [0]]))),
)

getitem = primitive(
    name="getitem",
    type_rule=indexed_type,
    value=_getitem_value,
    derivative=Linear(_getitem_transpose, selects=True, gather=_gather, whole=_reads_all),
    batch=_getitem_batch,
    symbolic=structural(_getitem_value),
    lower=index_loops.read,
    bound=EXACT,
    cases=tuple(Case((Draw(s), *arrays), {"index": i}) for s, i, arrays in _INDEX_CASES),
    view=_is_view,
)


# ---- its transpose -------------------------------------------------------------------------------


def _put_add_value(g: Any, *arrays: Any, index: tuple[Any, ...], shape: tuple[int, ...]) -> Any:
    total = _zeros(shape, g.dtype)
    try:
        if arrays:
            np.add.at(total, full_index(index, arrays), g)
        else:
            total[index] += g
    except IndexError as error:
        raise out_of_bounds(total, index, error) from None
    return total


def _put_add_batch(
    op: Primitive,
    size: int,
    args: tuple[Any, ...],
    batched: tuple[bool, ...],
    index: tuple[Any, ...],
    shape: tuple[int, ...],
) -> Any:
    g, *arrays = args
    plan = batched_layout(shape, index, arrays, True, batched[1:], size)
    if not batched[0]:
        g = np.broadcast_to(g, (size, *np.shape(g)))
    raw = np.transpose(g, inverse(plan.order))
    return apply(op, raw, *plan.arrays, index=plan.entries, shape=(size, *shape))


put_add = primitive(
    name="put_add",
    type_rule=lambda g, *arrays, index, shape: ArrayType(shape, g.dtype),
    value=_put_add_value,
    derivative=Linear(lambda t, g, *arrays, index, shape: apply(getitem, t, *arrays, index=index)),
    batch=_put_add_batch,
    symbolic=None,
    lower=index_loops.add_up,
    bound=Roundings("n", "Σ|g|"),
    cases=tuple(
        Case(
            (Draw(np.zeros(s)[full_index(i, arrays)].shape), *arrays),
            {"index": i, "shape": s},
        )
        for s, i, arrays in _INDEX_CASES
    ),
)


# ---- writing -------------------------------------------------------------------------------------


def _put_value(x: Any, v: Any, *arrays: Any, index: tuple[Any, ...]) -> Any:
    result = np.array(x)
    if result.dtype.kind in "iub" and np.asarray(v).dtype.kind in "fc":
        v = np.asarray(v).astype(result.dtype)
    try:
        result[full_index(index, arrays)] = v
    except IndexError as error:
        raise out_of_bounds(x, index, error) from None
    except ValueError:
        place = type_of(result[full_index(index, arrays)])
        _check_fit(place, type_of(v))
        raise _misfit(place, type_of(v)) from None
    return result


def _put_transpose(g: Any, x: ArrayType, v: ArrayType, *arrays: Any, index: Any) -> Any:
    gx = apply(put, g, np.zeros((), g.dtype)[()], *arrays, index=index)
    gv = apply(getitem, g, *arrays, index=index)
    if arrays:
        # Of several writes to one place the last one counts.
        count = int(np.prod(np.shape(gv)))
        order = np.arange(count, dtype=float).reshape(np.shape(gv))
        winner = apply(put, np.full(x.shape, -1.0), order, *arrays, index=index)
        kept = np.equal(apply(getitem, winner, *arrays, index=index), order)
        gv = np.where(kept, gv, np.zeros((), g.dtype))
    return gx, _sum_to_value(gv, v.shape)


def _sum_to_value(g: Any, shape: tuple[int, ...]) -> Any:
    """`sum_to`, where assignment ignored leading axes of length 1."""
    have = np.shape(g)
    if len(shape) > len(have):
        return np.reshape(sum_to(g, shape[len(shape) - len(have) :]), shape)
    return sum_to(g, shape)


def _put_batch(
    op: Primitive,
    size: int,
    args: tuple[Any, ...],
    batched: tuple[bool, ...],
    index: tuple[Any, ...],
) -> Any:
    x, v, *arrays = args
    if not batched[0]:
        x = np.broadcast_to(x, (size, *np.shape(x)))
    shape = np.shape(x)[1:]
    plan = batched_layout(shape, index, arrays, True, batched[2:], size)
    kinds = [
        ArrayType(np.shape(a)[b:], np.dtype(int)) for a, b in zip(arrays, batched[2:], strict=True)
    ]
    place = indexed_type(ArrayType(shape, np.dtype(float)), *kinds, index=index).shape
    kind = np.shape(v)[batched[1] :]
    _check_fit(ArrayType(place, x.dtype), ArrayType(kind, x.dtype))
    kind = (1,) * (len(place) - len(kind)) + kind[max(0, len(kind) - len(place)) :]
    v = np.reshape(v, (size, *kind) if batched[1] else kind)
    v = np.transpose(np.broadcast_to(v, (size, *place)), inverse(plan.order))
    return apply(op, x, v, *plan.arrays, index=plan.entries)


def _put_type(x: ArrayType, v: ArrayType, *arrays: ArrayType, index: Any) -> ArrayType:
    _check_fit(indexed_type(x, *arrays, index=index), v)
    return ArrayType(x.shape, x.dtype)


def _check_fit(place: ArrayType, v: ArrayType) -> None:
    """Whether an assignment broadcasts; leading axes of length 1 are ignored."""
    extra = max(0, v.ndim - place.ndim)
    aligned = (1,) * (place.ndim - v.ndim) + v.shape[extra:]
    fits = all(n in (1, m) for n, m in zip(aligned, place.shape, strict=True))
    if not fits or any(n != 1 for n in v.shape[:extra]):
        raise _misfit(place, v)


def _misfit(place: ArrayType, v: ArrayType) -> ShapeError:
    return ShapeError(
        "a value doesn't fit the place that it is written to",
        {"place": place, "value": v},
        "write a value of the place's shape, or one that broadcasts to it",
    )


put = primitive(
    name="put",
    type_rule=_put_type,
    value=_put_value,
    derivative=Linear(_put_transpose, args=(0, 1), selects=True),
    batch=_put_batch,
    symbolic=structural(_put_value),
    lower=index_loops.write,
    bound=EXACT,
    cases=tuple(
        Case((Draw(s), Draw(v), *arrays), {"index": i})
        for s, i, arrays in _INDEX_CASES
        for v in {np.zeros(s)[full_index(i, arrays)].shape, ()}
    ),
)


# ---- entries -------------------------------------------------------------------------------------

_BASIC = {int, slice, type(None), type(Ellipsis)}


def _is_basic(entry: Any) -> bool:
    kind = type(entry)
    if kind is slice:
        return {type(entry.start), type(entry.stop), type(entry.step)} <= {int, type(None)}
    return kind in _BASIC


@implements("getitem")
def _getitem(x: Any, index: Any) -> Any:
    key = index if type(index) is tuple else (index,)
    if type(x) is Tracer and x.alias is not None:
        entry = logged(x, key)
        if entry is not None:
            return entry
        refresh(x)
    if type(index) is int or all(map(_is_basic, key)):
        return apply(getitem, x, index=key)
    if len(key) == 1 and (truth := _truth(key[0])) is not None:
        grown = apply(getitem, x, index=(None,))
        return TABLE["copy"](grown if truth else apply(getitem, grown, index=(slice(0),)))
    static, arrays = split_index(x, key)
    return apply(getitem, x, *arrays, index=static)


def _truth(entry: Any) -> bool | None:
    """The value of a single boolean used as an index."""
    if not isinstance(entry, (bool, np.bool_, np.ndarray, Tracer)) or np.shape(entry) != ():
        return None
    if not isinstance(entry, bool) and entry.dtype.kind != "b":
        return None
    return bool(entry)


@implements("put")
def _put(x: Any, index: tuple[Any, ...], value: Any) -> Any:
    """x with x[index] = value, as a new array."""
    if len(index) == 1 and isinstance(index[0], (np.ndarray, Tracer)):
        mask = index[0]
        simple = mask.dtype.kind == "b" and np.shape(value) == () and np.shape(mask) == np.shape(x)
        # The result must lie in memory as x did, for views of x to stay what they were.
        if simple and memory_order(mask) is None and memory_order(x) is None:
            return np.where(mask, value, x)
    if len(index) == 1 and (truth := _truth(index[0])) is not None:
        return apply(put, x, value, index=(None,)) if truth else x
    static, arrays = split_index(x, index)
    return apply(put, x, value, *arrays, index=static)


@implements("put_add")
def _put_add(g: Any, index: Any, shape: tuple[int, ...]) -> Any:
    """Zeros of a shape with g added at an index, once for every time it names a place."""
    static, arrays = split_index(ArrayType(shape, g.dtype), index)
    return apply(put_add, g, *arrays, index=static, shape=shape)


@implements("setitem")
def _setitem(x: Any, index: Any, value: Any) -> None:
    value = TABLE["operand"](value)
    key = index if type(index) is tuple else (index,)
    write(x, tuple(TABLE["operand"](i) if isinstance(i, list) else i for i in key), value)


@implements("assemble")
def _assemble(base: Any, places: tuple[np.ndarray, ...], values: list[Any]) -> Any:
    """Many rows written at once, each at its leading indices."""
    index = tuple(Spot(k) for k in range(len(places)))
    return apply(put, base, TABLE["stack"](values), *places, index=index)


@implements("link")
def _link(part: Tracer, x: Tracer, index: tuple[int, ...]) -> None:
    """Remember that `part` is x[index]."""
    link(part, x, getitem, {"index": index})
