"""Indexing as loops: where each entry of x[index] lies in x."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.ir.types import ArrayType
from chainrule.ops.index_plan import Spot, indexed_type


class _Place(NamedTuple):
    """One axis of x: a start, a step along an axis of the result, or an index array."""

    axis: int | None
    start: int
    step: int
    array: int | None = None


class _Plan(NamedTuple):
    """Per axis of x its place; `spread` are the axes of the result that index arrays make."""

    places: tuple[_Place, ...]
    spread: tuple[int, ...]


def _plan(shape: tuple[int, ...], index: tuple[Any, ...], array_rank: int) -> _Plan:
    """NumPy's rules: index arrays, and integers beside them, make axes together."""
    width = sum(entry is not None and entry is not Ellipsis for entry in index)
    entries: list[Any] = []
    for entry in index:
        rest = len(shape) - width if entry is Ellipsis else 0
        # One that stands for no axis still separates the index arrays beside it.
        entries += [slice(None)] * rest or [entry]
    if Ellipsis not in index:
        entries += [slice(None)] * (len(shape) - width)
    advanced = any(type(entry) is Spot for entry in entries)
    picks = [k for k, e in enumerate(entries) if type(e) is Spot or (advanced and type(e) is int)]
    together = picks == list(range(picks[0], picks[-1] + 1)) if picks else True
    places: list[_Place] = []
    spread: tuple[int, ...] = ()
    axis = 0
    if advanced and not together:
        spread, axis = tuple(range(array_rank)), array_rank
    for k, entry in enumerate(entries):
        if k in picks and together and not spread and k == picks[0]:
            spread = tuple(range(axis, axis + array_rank))
            axis += array_rank
        if entry is None or entry is Ellipsis:
            axis += entry is None
            continue
        length = shape[len(places)]
        if type(entry) is Spot:
            places.append(_Place(None, 0, 0, entry.number))
        elif isinstance(entry, slice):
            start, _, step = entry.indices(length)
            places.append(_Place(axis, start, step))
            axis += 1
        else:
            places.append(_Place(None, int(entry) % max(length, 1), 0))
    return _Plan(tuple(places), spread)


class _Known(NamedTuple):
    """An index array whose numbers are known to lie inside: start + Σ stepₖ·iₖ, or a literal."""

    shape: tuple[int, ...]
    start: int
    steps: tuple[int, ...]
    literal: Any

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def _settled(b: Any, plan: _Plan, shape: tuple[int, ...], arrays: Sequence[Any]) -> list[Any]:
    """Index arrays that stand in the program, checked and understood now."""
    lengths = {p.array: n for p, n in zip(plan.places, shape, strict=True) if p.array is not None}
    return [_known(b, array, lengths[k]) for k, array in enumerate(arrays)]


def _known(b: Any, array: Any, length: int) -> Any:
    numbers = array.call if array.how == "literal" else None
    if numbers is None or not numbers.size:
        return array
    numbers = numbers.astype(np.int64)
    numbers = np.where(numbers < 0, numbers + length, numbers)
    if numbers.min() < 0 or numbers.max() >= length:
        return array
    origin = (0,) * numbers.ndim
    start = int(numbers[origin])
    places = [tuple(int(j == k) for j in range(numbers.ndim)) for k in range(numbers.ndim)]
    steps = [
        int(numbers[place]) - start if n > 1 else 0
        for place, n in zip(places, numbers.shape, strict=True)
    ]
    even = start + sum(
        step * i for step, i in zip(steps, np.indices(numbers.shape, sparse=True), strict=True)
    )
    literal = None if np.array_equal(np.broadcast_to(even, numbers.shape), numbers) else numbers
    stored = None if literal is None else b.literal(literal)
    return _Known(numbers.shape, start, tuple(steps), stored)


def _rank(arrays: Sequence[Any]) -> int:
    return max((a.ndim for a in arrays), default=0)


def _picked(b: Any, plan: _Plan, index: tuple[Any, ...], array: Any, length: int) -> Any:
    """What an index array says, negative numbers counted from the end; and whether it's outside."""
    place = [index[k] for k in plan.spread]
    if isinstance(array, _Known):
        number = b.const(array.start, "i64")
        if array.literal is not None:
            return b.at(array.literal, place), b.const(False, "i1")
        for i, step in zip(place[len(place) - array.ndim :], array.steps, strict=True):
            number = number + i * step
        return number, b.const(False, "i1")
    number = b.at(array, place, "i8")
    wrapped = b.select(number < 0, number + length, number)
    return wrapped, (wrapped < 0) | (wrapped >= length)


def _check(b: Any, plan: _Plan, shape: tuple[int, ...], arrays: tuple[Any, ...]) -> None:
    """The program fails where an index array points outside."""
    spread = np.broadcast_shapes(*[array.shape for array in arrays])
    for place, length in zip(plan.places, shape, strict=True):
        if place.array is None:
            continue
        array = arrays[place.array]
        if isinstance(array, _Known):
            continue

        def outside(*index: Any, array: Any = array, length: int = length) -> Any:
            own = _Plan(plan.places, tuple(range(len(index))))
            return _picked(b, own, index, array, length)[1]

        b.check(spread, outside)


def _entry_at(
    b: Any, plan: _Plan, index: tuple[Any, ...], shape: tuple[int, ...], arrays: tuple[Any, ...]
) -> tuple[Any, ...]:
    """Where in x the entry at an index of the result lies; never outside memory."""
    where = []
    for place, length in zip(plan.places, shape, strict=True):
        if place.array is not None:
            number, outside = _picked(b, plan, index, arrays[place.array], length)
            where.append(b.select(outside, 0, number))
        elif place.axis is None:
            where.append(b.const(place.start, "i64"))
        else:
            where.append(index[place.axis] * place.step + place.start)
    return tuple(where)


def read(b: Any, out: ArrayType, x: Any, *arrays: Any, index: tuple[Any, ...]) -> Any:
    """x[index]."""
    plan = _plan(x.shape, index, _rank(arrays))
    arrays = tuple(_settled(b, plan, x.shape, arrays))
    _check(b, plan, x.shape, arrays)
    if not x.size:
        return b.entry(out.shape, x.dtype, lambda *i: b.cast(b.const(False, "i1"), x.kind))
    return b.entry(out.shape, x.dtype, lambda *i: x(*_entry_at(b, plan, i, x.shape, arrays)))


def _covered(arrays: Sequence[Any]) -> dict[int, int] | None:
    """For every axis that index arrays make: the one that counts along it, and along nothing else.

    Then each place is named at most once, and it's known when. None if an axis has no such array.
    """
    shape = np.broadcast_shapes(*[array.shape for array in arrays])
    found: dict[int, int] = {}
    for axis, length in enumerate(shape):
        for k, array in enumerate(arrays if length != 1 else ()):
            if isinstance(array, _Known) and array.literal is None:
                steps = (0,) * (len(shape) - array.ndim) + array.steps
                if abs(steps[axis]) == 1 and steps.count(0) == len(steps) - 1:
                    found[axis] = k
        if length != 1 and axis not in found:
            return None
    return found


def _source(
    b: Any,
    plan: _Plan,
    index: tuple[Any, ...],
    shape: tuple[int, ...],
    lengths: tuple[int, ...],
    arrays: tuple[Any, ...],
    covered: dict[int, int],
) -> tuple[Any, list[Any]]:
    """Does x[index] hold this entry of x, and where on its own axes."""
    inside = b.const(True, "i1")
    own = [b.const(0, "i64")] * len(lengths)
    spots = [b.const(0, "i64")] * _rank(arrays)
    at = {place.array: i for place, i in zip(plan.places, index, strict=True)}
    for axis, k in covered.items():
        step = arrays[k].steps[axis - len(spots)]
        count = lengths[plan.spread[axis]]
        moved = (at[k] - arrays[k].start) * step
        within = b.within(at[k], arrays[k].start, step, count)
        inside = inside & within
        spots[axis] = own[plan.spread[axis]] = b.select(within, moved, 0)
    for place, i, length in zip(plan.places, index, shape, strict=True):
        if place.array is not None:
            if place.array not in covered.values():
                alone = _Plan(plan.places, tuple(range(len(spots))))
                number, _ = _picked(b, alone, tuple(spots), arrays[place.array], length)
                inside = inside & b.compare("eq", i, number)
            continue
        if place.axis is None:
            inside = inside & b.compare("eq", i, b.const(place.start, "i64"))
            continue
        count = lengths[place.axis]
        if place.step == 1 or place.step == -1:
            moved = (i - place.start) if place.step == 1 else (-i + place.start)
            within = b.within(i, place.start, place.step, count)
        else:
            gap = (i - place.start) if place.step > 0 else (-i + place.start)
            size = b.const(abs(place.step), "i64")
            moved = gap / size
            whole = b.compare("eq", moved * size, gap)
            within = whole & (gap >= 0) & (moved < count)
        inside = inside & within
        own[place.axis] = b.select(within, moved, 0)
    return inside, own


def add_up(
    b: Any, out: ArrayType, g: Any, *arrays: Any, index: tuple[Any, ...], shape: tuple[int, ...]
) -> Any:
    """Zeros with g added at an index."""
    plan = _plan(shape, index, _rank(arrays))
    arrays = tuple(_settled(b, plan, shape, arrays))
    _check(b, plan, shape, arrays)
    zero = b.cast(b.const(False, "i1"), g.kind)
    covered = _covered(arrays)
    if covered is None:
        zeros = b.entry(shape, g.dtype, lambda *i: zero)
        combine = "or" if g.kind == "i1" else "add"
        return _scattered(b, plan, zeros, combine, g.shape, g, arrays)

    def entry(*i: Any) -> Any:
        inside, own = _source(b, plan, i, shape, g.shape, arrays, covered)
        return b.select(inside, g(*own), zero) if g.size else zero

    return b.entry(shape, g.dtype, entry)


def write(b: Any, out: ArrayType, x: Any, v: Any, *arrays: Any, index: tuple[Any, ...]) -> Any:
    """x with x[index] = v."""
    plan = _plan(x.shape, index, _rank(arrays))
    kinds = [ArrayType(array.shape, array.dtype) for array in arrays]
    place = indexed_type(ArrayType(x.shape, x.dtype), *kinds, index=index).shape
    arrays = tuple(_settled(b, plan, x.shape, arrays))
    _check(b, plan, x.shape, arrays)
    covered = _covered(arrays)
    if covered is None:
        return _scattered(b, plan, x, "", place, v, arrays)

    def entry(*i: Any) -> Any:
        inside, own = _source(b, plan, i, x.shape, place, arrays, covered)
        return b.select(inside, _broadcast(b, v, own, x.dtype), x(*i)) if v.size else x(*i)

    return b.entry(x.shape, x.dtype, entry)


def _scattered(
    b: Any, plan: _Plan, base: Any, combine: str, extents: Any, v: Any, arrays: Any
) -> Any:
    """A copy of base, written to at an index entry by entry: what comes last counts."""
    if 0 in base.shape:
        return base
    return b.scatter(
        base,
        combine,
        extents,
        lambda *i: _entry_at(b, plan, i, base.shape, arrays),
        lambda *i: _broadcast(b, v, i, base.dtype),
    )


def _broadcast(b: Any, v: Any, index: Sequence[Any], dtype: Any) -> Any:
    """The entry of v that assignment puts at a place; it ignores leading axes of length 1."""
    extra = max(0, v.ndim - len(index))
    return b.at(v, (*[b.const(0, "i64")] * extra, *index), dtype)
