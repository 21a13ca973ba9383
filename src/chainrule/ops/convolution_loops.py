"""Convolutions as loops: sums over the kernel's places and channels, read by fixed steps."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chainrule.ir.types import ArrayType
from chainrule.ops.window_loops import divided, empty

Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]


def _around(b: Any, x: Any, padding: Pairs, apart: Sizes) -> tuple[Any, Sizes]:
    """The input with zeros around and between, and where its first entry lies.

    Where nothing is added it stays where it is; what is cut off is only never read.
    It has no memory of its own yet.
    """
    added = any(low > 0 or high > 0 for low, high in padding)
    if not added and all(a == 1 for a in apart):
        return x, tuple(low for low, _ in padding)
    shape = [
        (n - 1) * a + 1 + max(0, low) + max(0, high)
        for n, a, (low, high) in zip(x.shape[1:-1], apart, padding, strict=True)
    ]

    def entry(*index: Any) -> Any:
        own, inside = [index[0]], b.const(True, "i1")
        for i, n, a, (low, high) in zip(index[1:-1], x.shape[1:-1], apart, padding, strict=True):
            before = max(0, low)
            if before or high > 0:
                inside = inside & b.within(i, before, 1, (n - 1) * a + 1)
                i = b.select(b.within(i, before, 1, (n - 1) * a + 1), i - before, 0)
            if a > 1:
                whole = i / a
                inside = inside & (i - whole * a).eq(0)
                i = whole
            own.append(i)
        return b.select(inside, x(*own, index[-1]), 0)

    whole = b.entry((x.shape[0], *shape, x.shape[-1]), x.dtype, entry)
    return whole, tuple(min(0, low) for low, _ in padding)


def convolution(
    b: Any,
    out: ArrayType,
    x: Any,
    kernel: Any,
    strides: Sizes,
    padding: Pairs,
    dilation: Sizes,
    input_dilation: Sizes,
    groups: int,
) -> Any:
    """Over the kernel's places and the channels of a group."""
    if 0 in out.shape or 0 in x.shape or 0 in kernel.shape:
        return empty(b, out)
    weights = _weights(b, kernel, groups)
    if any(a > 1 for a in input_dilation) and all(s == 1 for s in strides):
        return _by_phases(b, out, x, weights, padding, dilation, input_dilation)
    x, start = _around(b, x, padding, input_dilation)
    x = _kept(b, x)
    spots = tuple(range(k) for k in weights.size)
    return _sum(b, out, x, weights, out.shape[1:-1], spots, strides, start, dilation)


_FEW = 8  # entries along an axis that a vector isn't worth


@dataclass(frozen=True, eq=False)
class _Weights:
    """A kernel laid out as it's read: `at(group, spot, channel, filter)`, within the group.

    Vectors go over filters; over groups, where a group has hardly any filters; over channels, where
    there are hardly any filters at all.
    """

    size: Sizes
    channels: int  # of a group, as filters are
    filters: int
    groups: int
    at: Callable[..., Any]

    @property
    def by_group(self) -> bool:
        """Whether one group is done after the other."""
        return self.groups > 1 and self.filters >= _FEW


def _weights(b: Any, kernel: Any, groups: int) -> _Weights:
    *size, channels, filters = kernel.shape
    each = filters // groups
    about = (tuple(size), channels, each, groups)
    if groups > 1:
        shape = (groups, *size, channels, each)
        apart = b.entry(shape, kernel.dtype, lambda g, *i: kernel(*i[:-1], g * each + i[-1]))
        apart = b.stored(apart)
        return _Weights(*about, lambda group, spot, c, f: apart(group, *spot, c, f))
    if filters < _FEW and channels >= 2 * _FEW:
        rank = len(size)
        turned = b.stored(b.transpose(kernel, (*range(rank), rank + 1, rank)))
        return _Weights(*about, lambda group, spot, c, f: turned(*spot, f, c))
    whole = b.stored(_copied(b, kernel)) if kernel.how == "entry" else kernel
    return _Weights(*about, lambda group, spot, c, f: whole(*spot, c, f))


def _sum(
    b: Any,
    out: ArrayType,
    x: Any,
    weights: _Weights,
    places: Sizes,
    spots: tuple[range, ...],
    strides: Sizes,
    start: Sizes,
    dilation: Sizes,
) -> Any:
    """Read at o·stride + turn·dilation − start, for some spots of the kernel, evenly spaced."""
    rank = len(places)
    channels, filters, groups = weights.channels, weights.filters, weights.groups
    lead = (groups if weights.by_group else 1,)
    wide = (groups, filters) if groups > 1 and not weights.by_group else (filters,)

    def entry(*index: Any) -> Any:
        group, n, *place = index[: 2 + rank]
        *own, f = index[2 + rank : 2 + rank + len(wide)]
        *turns, c = index[2 + rank + len(wide) :]
        there = [
            o * s + turn * d - low
            for o, s, turn, d, low in zip(place, strides, turns, dilation, start, strict=True)
        ]
        spot = [turn * r.step + r.start for turn, r in zip(turns, spots, strict=True)]
        group = own[0] if own else group
        channel = group * channels + c if groups > 1 else c
        weight = weights.at(group, spot, c, f)
        return b.cast(x(n, *there, channel), _kind(out)) * b.cast(weight, _kind(out))

    shape = (x.shape[0], *places, filters * groups)
    extents = (*map(len, spots), channels)
    total = b.fold("add", (*lead, *shape[:-1], *wide), extents, out.dtype, entry)
    if weights.by_group:
        steps = (filters, *_steps(shape)[:-1], 1)
        return b.assemble(shape, out.dtype, [(_copied(b, total), 0, steps)])
    return b.reshape(total, shape)


def _steps(shape: Sizes) -> Sizes:
    """Entries between neighbours along each axis, in C order."""
    return tuple(math.prod(shape[k + 1 :]) for k in range(len(shape)))


def _kind(out: ArrayType) -> str:
    return f"{out.dtype.kind}{out.dtype.itemsize * 8}"


@dataclass(frozen=True)
class _Phase:
    """Places first, first + apart, … along an axis: they all meet the same spots of a kernel."""

    first: int
    count: int
    spots: range
    start: int  # what the first place reads for the first of the spots; neighbours follow
    turn: int  # how much further it reads for the next spot

    @property
    def last(self) -> int:
        """The farthest that is read."""
        return self.start + self.count - 1 + (len(self.spots) - 1) * self.turn


def _phases_along(length: int, size: int, low: int, dilation: int, apart: int) -> list[_Phase]:
    """Place o meets spot k where o + k·dilation − low is a multiple of `apart`."""
    phases = []
    for first in range(min(apart, length)):
        meeting = [k for k in range(size) if (first + k * dilation - low) % apart == 0]
        spots = range(meeting[0], size, apart // math.gcd(apart, dilation)) if meeting else range(0)
        phases.append(
            _Phase(
                first,
                count=-(-(length - first) // apart),
                spots=spots,
                start=(first + spots.start * dilation - low) // apart,
                turn=spots.step * dilation // apart,
            )
        )
    return phases


def _by_phases(
    b: Any,
    out: ArrayType,
    x: Any,
    weights: _Weights,
    padding: Pairs,
    dilation: Sizes,
    apart: Sizes,
) -> Any:
    """Of an input with zeros between its entries, without multiplying any of them."""
    rank = len(apart)
    choices = [
        _phases_along(out.shape[k + 1], weights.size[k], padding[k][0], dilation[k], apart[k])
        for k in range(rank)
    ]
    room = []  # for what is read beyond the edges
    for phases, n in zip(choices, x.shape[1:-1], strict=True):
        met = [phase for phase in phases if phase.spots]
        before = max([0, *[-phase.start for phase in met]])
        room.append((before, max([0, *[phase.last - n + 1 for phase in met]])))
    x = _kept(b, _around(b, x, tuple(room), (1,) * rank)[0])
    steps = _steps(out.shape)
    own_steps = (steps[0], *(steps[k + 1] * apart[k] for k in range(rank)), steps[-1])
    parts = []
    for phase in itertools.product(*choices):
        places = tuple(p.count for p in phase)
        shape = (out.shape[0], *places, out.shape[-1])
        if all(p.spots for p in phase):
            low = tuple(-p.start - before for p, (before, _) in zip(phase, room, strict=True))
            spots, turns = tuple(p.spots for p in phase), tuple(p.turn for p in phase)
            total = _sum(b, out, x, weights, places, spots, (1,) * rank, low, turns)
            part = _copied(b, total)
        else:
            part = empty(b, out._replace(shape=shape))
        parts.append((part, sum(p.first * steps[k + 1] for k, p in enumerate(phase)), own_steps))
    return parts[0][0] if len(parts) == 1 else b.assemble(out.shape, out.dtype, parts)


def _kept(b: Any, x: Any) -> Any:
    """A value that is read again and again, in memory."""
    return b.stored(x) if x.how == "entry" else x


def _copied(b: Any, value: Any) -> Any:
    """A value's entries, read where they're wanted."""
    return b.entry(value.shape, value.dtype, lambda *i: value(*i))


def kernel_gradient(
    b: Any,
    out: ArrayType,
    x: Any,
    g: Any,
    window: Sizes,
    strides: Sizes,
    padding: Pairs,
    dilation: Sizes,
    input_dilation: Sizes,
    groups: int,
) -> Any:
    """Over the batch and all places, some of them at a time: what they hold stays near."""
    if 0 in out.shape or 0 in x.shape or 0 in g.shape:
        return empty(b, out)
    x, start = _around(b, x, padding, input_dilation)
    channels, filters = out.shape[-2], out.shape[-1] // groups
    by_group = groups > 1 and filters >= _FEW
    part = _tile(channels) if groups == 1 or by_group else channels
    blocks = channels // part
    in_parts = blocks > 1 or by_group
    x = _in_parts(b, x, part) if in_parts else _kept(b, x)
    images, rows = _piece(g)
    pieces = (g.shape[0] // images, g.shape[1] // rows)
    rank = len(window)
    apart = b.reshape(g, (pieces[0], images, pieces[1], rows, *g.shape[2:-1], groups, filters))
    lead = (groups if by_group else 1, blocks)
    wide = (groups, filters) if groups > 1 and not by_group else (filters,)

    def entry(*index: Any) -> Any:
        turn, across, group, block, *spot = index[: rank + 4]
        c, *own, f = index[rank + 4 : rank + 5 + len(wide)]
        image, row, *place = index[rank + 5 + len(wide) :]
        n = image if pieces[0] == 1 else turn * images + image
        first = row if pieces[1] == 1 else across * rows + row
        there = [
            o * s + k * d - low
            for o, s, k, d, low in zip((first, *place), strides, spot, dilation, start, strict=True)
        ]
        where = [n, *there, c]
        if in_parts:
            where = [group * blocks + block if by_group else block, *where]
        elif own:
            where[-1] = own[0] * channels + c
        weight = apart(turn, image, across, row, *place, own[0] if own else group, f)
        return b.cast(x(*where), _kind(out)) * b.cast(weight, _kind(out))

    shape = (*lead, *window, part, *wide)
    extents = (images, rows, *g.shape[2:-1])
    total = b.fold("add", (*pieces, *shape), extents, out.dtype, entry)
    whole = b.fold("add", shape, pieces, out.dtype, lambda *i: total(*i[-2:], *i[:-2]))
    if by_group:
        steps = _steps(out.shape)
        own_steps = (filters, part * steps[-2], *steps[:-1], 1)
        return b.assemble(out.shape, out.dtype, [(_copied(b, whole), 0, own_steps)])

    def put_back(*index: Any) -> Any:
        block, within = divided(b, index[rank], part)
        return whole(b.const(0, "i64"), block, *index[:rank], within, *index[rank + 1 :])

    return b.reshape(b.entry((*window, channels, *wide), out.dtype, put_back), out.shape)


def _in_parts(b: Any, x: Any, part: int) -> Any:
    """The channels some at a time, in front: what one register tile reads lies side by side."""
    shape = (x.shape[-1] // part, *x.shape[:-1], part)
    return b.stored(b.entry(shape, x.dtype, lambda i, *own: x(*own[:-1], i * part + own[-1])))


def _tile(channels: int) -> int:
    """How many channels a register tile takes; all of them where they don't divide well."""
    if channels <= 14:
        return channels
    return next((n for n in range(14, 5, -1) if channels % n == 0), channels)


_SOME = 3000  # places whose entries of two small tiles stay in the second nearest cache


def _piece(g: Any) -> tuple[int, int]:
    """How many images, and rows of one, are added up before others are begun."""
    spots = math.prod(g.shape[1:-1])
    if spots < 2 * _SOME:
        return _divisor(g.shape[0], _SOME // spots), g.shape[1]
    return 1, _divisor(g.shape[1], g.shape[1] * _SOME // spots)


def _divisor(number: int, most: int) -> int:
    """The largest divisor that isn't larger."""
    return next(n for n in range(max(1, min(number, most)), 0, -1) if number % n == 0)
