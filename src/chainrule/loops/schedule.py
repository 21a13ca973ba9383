"""How a loop nest runs: which counter goes by vectors, and how much is done in registers."""

from __future__ import annotations

import math
from dataclasses import dataclass

from chainrule.loops.nest import Nest, step_along
from chainrule.loops.scalar import Node, bits_of, postorder

_GRAIN = 8192  # vector operations that are worth a thread's while
_MOST_CHUNKS = 64
# Vector operations that take so long that somebody may want to stop them; of a chunk of those; and
# how many chunks there may be, and where each has sums of its own.
_LONG, _CHUNK, _MANY, _MANY_SUMS = 2**24, 2**18, 4096, 2048
_EVEN = 8  # pieces, from which on they come out about even for a few threads
_BRIEF, _FAR = 32, 2**20  # terms of a short sum; entries of a result that no cache holds
_SOON_DONE = 2**22  # terms of a product that takes no longer than some microseconds
_FETCH = 0.25  # cycles for a vector to come from there, beside what else goes on
_WORK = {"call": 20, "div": 4, "sqrt": 4, "const": 0, "index": 0}


@dataclass(frozen=True)
class Target:
    """What a machine offers: bytes in a vector register, and how many of them."""

    vector_bytes: int = 32
    registers: int = 16


@dataclass(frozen=True)
class Schedule:
    """Per counter how many steps (of vectors, along `vector`) one round does in registers.

    `chunks`: into how many pieces the outermost loop may be cut for threads; `outermost` is the
    counter of that loop, the others follow in order.
    """

    vector: int | None
    lanes: int
    unroll: tuple[int, ...]
    chunks: int = 1
    outermost: int = 0

    @property
    def is_long(self) -> bool:
        """Whether somebody may want to stop it: then chunks are short, and many."""
        return self.chunks > _MOST_CHUNKS


def schedule(nest: Nest, target: Target) -> Schedule:
    """A good way to run a nest on a machine."""
    domain, count = nest.domain, len(nest.shape)
    if not domain or math.prod(domain) == 0:
        return Schedule(None, 1, (1,) * len(domain))
    lanes = _lanes(nest, target)
    vector = _vector_axis(nest)
    if domain[vector] == 1 or lanes == 1:
        return Schedule(None, 1, (1,) * len(domain))
    while lanes > 2 and lanes >= 2 * domain[vector]:
        lanes //= 2
    unroll = [1] * len(domain)
    nodes = postorder(nest.nodes())
    work = sum(_WORK.get(n.op, 1) for n in nodes if n.kind != "i64")
    vectors = math.prod(domain) * (work + 1) // lanes
    chunks = max(1, min(_MOST_CHUNKS, vectors // _GRAIN))
    if vectors > _LONG:
        chunks = min(_MANY if nest.shape else _MANY_SUMS, -(-vectors // _CHUNK))
    elif chunks > 1 and nest.shape:
        chunks = min(_MOST_CHUNKS, 4 * chunks)  # smaller ones, that come out even
    calls = sum(n.op == "call" for n in (_folded(nest) if nest.folds else nodes))
    if calls and (not nest.folds or vector >= count) and domain[vector] >= 2 * lanes:
        lanes *= 2  # two chains of operations side by side, as each waits for itself
        work *= 2
    if not nest.folds:
        room = 4 if work <= 16 else 2 if work <= 60 else 1
        unroll[vector] = max(1, min(room, domain[vector] // lanes))
        return Schedule(vector, lanes, tuple(unroll), chunks, _slowest(nest, vector))
    sums = len(nest.folds)
    within = sum(_WORK.get(n.op, 1) for n in _folded(nest) if n.kind != "i64")
    work = work * within // max(1, sum(_WORK.get(n.op, 1) for n in nodes if n.kind != "i64"))
    if vector >= count:  # lanes add up different terms of one entry
        rows = count - 1 if count and _shared(nest, count - 1) else None
        if rows and sums == 1 and _shared(nest, rows - 1) and work <= 40:
            # What both rows and columns of a product read is worth most in the tallest tile.
            unroll[rows - 1] = tall = min(8, nest.shape[rows - 1])
            unroll[rows] = min(max(1, (target.registers - 5) // tall), 4, nest.shape[rows])
            outermost = 0 if nest.shape[0] >= _EVEN * unroll[0] else rows
            return Schedule(vector, lanes, tuple(unroll), chunks, outermost)
        if rows is not None:
            unroll[rows] = max(1, min(4 // sums, nest.shape[rows]))
        vectors = max(1, domain[vector] // lanes)
        wanted = 4 if work <= 40 else 2 if work <= 100 else 1
        unroll[vector] = max(1, min(wanted // max(1, unroll[rows] // 2 if rows else 1), vectors))
        return Schedule(vector, lanes, tuple(unroll), chunks)
    columns = -(-domain[vector] // lanes)
    rows = vector - 1 if vector > 0 and _shared(nest, vector - 1) else None
    brief = math.prod(domain) < _SOON_DONE
    wide, tall = tile_of(columns, 1 if rows is None else domain[rows], work, sums, target, brief)
    if math.prod(nest.extents) <= _BRIEF and math.prod(nest.shape) >= _FAR:
        wide, tall = min(columns, 8 // sums), 1  # memory is what takes time: row by row
    unroll[vector] = wide
    if rows is not None:
        unroll[rows] = tall
    last = len(domain) - 1
    if tall * wide < 8 and work <= 40:
        unroll[last] = max(1, min(8 // (tall * wide), domain[last]))
    steps = [u * (lanes if k == vector else 1) for k, u in enumerate(unroll)]
    pieces = [-(-n // step) for n, step in zip(nest.shape, steps[:count], strict=True)]
    outermost = 0 if pieces[0] >= _EVEN or chunks < 2 else pieces.index(max(pieces))
    return Schedule(vector, lanes, tuple(unroll), chunks, outermost)


def tile_of(
    columns: int, rows: int, work: int, sums: int, target: Target, brief: bool = False
) -> tuple[int, int]:
    """Vectors and rows of the register tile with which a product takes the fewest cycles.

    Per step a tile loads a vector per column and a number per row, and combines every pair; two
    of each fit into a cycle, and a sum is ready for its next term after four. Vectors come from a
    farther cache than the numbers, which neighbouring tiles read again. What is left over needs
    code of its own, which isn't worth compiling for a `brief` loop.
    """
    room = max(1, (target.registers - 5) // sums)
    if work > 60:
        return min(2, columns), 1
    if rows == 1:
        return min(columns, 8, room), 1
    best = (math.inf, 0, 0, 1, 1)
    for wide in range(1, min(4, columns) + 1):
        for tall in range(1, min(14, rows, room // wide) + 1):
            cycles = 0.0
            for w, many in ((wide, columns // wide), (columns % wide, 1)):
                for t, often in ((tall, rows // tall), (rows % tall, 1)):
                    if w * t:
                        cycles += many * often * (max(w * t / 2, (w + t) / 2, 4.0) + w * _FETCH)
            uneven = (columns % wide > 0) + (rows % tall > 0)
            if brief:
                cycles *= 1 + uneven / 10
            best = min(best, (cycles, uneven, -wide * tall, wide, tall))
    return best[3], best[4]


def _lanes(nest: Nest, target: Target) -> int:
    """Lanes of the widest number that is computed with, places in memory aside.

    What is the same for all entries, such as a learning rate, is computed once and has no lanes;
    so is what becomes of the sums, where each is a single number.
    """
    stores = (*nest.inner, *nest.outer) if nest.shape else nest.inner
    kinds = {f.node.kind for f in nest.folds} | {s.node.kind for s in stores}
    places = {n.number for load in nest.loads() for n in postorder(load.args)}
    varying: set[int] = set()
    for node in postorder(nest.nodes()):
        if node.op == "index" or any(part.number in varying for part in node.args):
            varying.add(node.number)
        if node.number not in varying:
            continue
        if node.kind[0] == "f" or (node.number not in places and node.op != "index"):
            kinds.add(node.kind)
    floats = {k for k in kinds if k[0] == "f"} or kinds
    return max(1, target.vector_bytes * 8 // max(bits_of(k) if k != "i1" else 8 for k in floats))


def _vector_axis(nest: Nest) -> int:
    """The counter along which most accesses go from neighbour to neighbour."""
    domain, count = nest.domain, len(nest.shape)
    candidates = [len(domain) - 1]
    if nest.folds and count:
        candidates.append(count - 1)
    # What isn't folded is read and written once for all the terms of a sum.
    once = 1 / max(1, math.prod(nest.extents)) if nest.folds else 1.0
    often = {n.number for n in _folded(nest)}
    loads = [(load.args[0], 1.0 if load.number in often else once) for load in nest.loads()]
    stores = [(s.offset, 1.0) for s in nest.inner] + [(s.offset, once) for s in nest.outer]

    def cost(axis: int) -> tuple[float, int]:
        total = 0.0
        for offset, weight in loads:
            step = step_along(offset, axis)
            total += weight * (0 if step == 0 else 1 if step == 1 else 8)
        for offset, weight in stores:
            if axis < count or weight == 1.0:
                total += weight * (1 if step_along(offset, axis) == 1 else 8)
        short = 4 if domain[axis] < 8 else 0
        across = 2 if axis >= count else 0  # adding up the lanes at the end
        return total + short + across, -axis

    return min(candidates, key=cost)


def _folded(nest: Nest) -> list[Node]:
    """What is computed for every term of a sum."""
    return postorder([*(f.node for f in nest.folds), *(s.node for s in nest.inner)])


def _slowest(nest: Nest, vector: int) -> int:
    """The counter with which reading goes farthest: outermost, memory is read in its own order."""
    offsets = [load.args[0] for load in nest.loads()]
    strides = [sum(abs(step_along(o, k) or 0) for o in offsets) for k in range(vector)]
    return max(range(vector), key=lambda k: (strides[k], -k), default=0)


def _shared(nest: Nest, axis: int) -> bool:
    """Whether something that is loaded doesn't depend on a counter: worth doing several at once."""
    return any(step_along(load.args[0], axis) == 0 for load in nest.loads() if _varies(load))


def _varies(load: Node) -> bool:
    return any(n.op == "index" for n in postorder(load.args))
