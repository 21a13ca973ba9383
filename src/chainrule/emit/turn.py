"""Copies that turn memory over: squares of it are read row by row, and turned in registers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

from chainrule.emit.function import Library
from chainrule.emit.kernel import end
from chainrule.emit.lanes import Places
from chainrule.emit.section import Section
from chainrule.emit.sharing import call_parts, part_text
from chainrule.emit.text import kernel_text, memory_kind, scalar_name, type_name
from chainrule.loops.nest import Nest, Store, affine
from chainrule.loops.scalar import Node, bits_of
from chainrule.loops.schedule import Target
from chainrule.loops.value import Value

_LEAST = 4096  # entries; for fewer, plain loops do
_SHARED = 65536  # entries that are worth sharing out
_MOST_CHUNKS = 64
_LONG = 2**22  # entries, from which on somebody may want to stop it
_CHUNK = 2**17  # entries of a chunk of those, at most where there are many rounds


@dataclass(frozen=True)
class Turn:
    """A copy: neighbours along `down` lie side by side where it's read, along `across` after it."""

    load: Node
    store: Store
    source: tuple[int, dict[int, int]]
    target: tuple[int, dict[int, int]]
    down: int
    across: int
    lanes: int


def turn_of(nest: Nest, target: Target) -> Turn | None:
    """What a nest turns over, if that is all it does."""
    stores = [*nest.inner, *nest.outer]
    if nest.folds or len(stores) != 1 or math.prod(nest.domain) < _LEAST:
        return None
    (store,) = stores
    load = store.node
    if load.op != "load" or any(limit != nest.domain[-1] for limit in (store.limit,)):
        return None
    source, goal = affine(load.args[0]), affine(store.offset)
    if source is None or goal is None:
        return None
    down = [k for k, step in source[1].items() if step == 1]
    across = [k for k, step in goal[1].items() if step == 1]
    lanes = min(target.vector_bytes * 8 // bits_of(memory_kind(load.kind)), 16)
    if len(down) != 1 or len(across) != 1 or down == across:
        return None
    if min(nest.domain[down[0]], nest.domain[across[0]]) < lanes or lanes < 2:
        return None
    return Turn(load, store, source, goal, down[0], across[0], lanes)


class TurnPrinter:
    """Prints such a copy as a kernel's function is printed."""

    def __init__(self, name: str, nest: Nest, turn: Turn, library: Library, places: Places) -> None:
        self.name = name
        self.library = library
        self.nest = nest
        self.turn = turn
        self.places = places
        self.buffers: list[Value] = list(dict.fromkeys([turn.load.attr, turn.store.target]))
        self.entry = Section()
        self.lines: list[str] = []
        self.count: Iterator[int] = itertools.count()
        self.block = "entry"
        self.shared = False  # whether threads run parts of it
        self.long = math.prod(nest.domain) >= _LONG

    @property
    def arguments(self) -> list[Value]:
        """The buffers whose addresses the function is given."""
        return [v for v in self.buffers if self._place(v)[0] != "scratch"]

    def _place(self, value: Value) -> tuple[str, int]:
        return self.places.get(value.number, ("literal", 0))

    def text(self, room: int) -> str:
        """The function, after the one that its threads run; put in place if it has room there."""
        others = [k for k in range(len(self.nest.domain)) if k not in self._square()]
        axes = [*others, self.turn.across, self.turn.down]
        rounds = -(-self.nest.domain[axes[0]] // self._step_of(axes[0]))
        shared = math.prod(self.nest.domain) >= _SHARED and rounds > 1
        chunks = max(_MOST_CHUNKS, math.prod(self.nest.domain) // _CHUNK)
        each = -(-rounds // chunks)
        part = self._part(axes, each) if shared else ""
        if part:
            call_parts(self, f"{self.name}.part0", "null", -(-rounds // each))
        else:
            self._loops(axes, {})
        head = ["entry:", *([] if part else self._scratch_lines())]
        lines = [*head, *[f"  {line}" for line in self.entry.lines()], *self.lines]
        lines += end(self.long)
        buffers = [value.number for value in self.arguments]
        return "\n".join([part, kernel_text(self.name, buffers, lines, room, self.long)])

    def _part(self, axes: list[int], each: int) -> str:
        """The function of one chunk: so many rounds of the outermost loop."""
        axis, *inner = axes
        step, extent = self._step_of(axis), self.nest.domain[axis]
        begin = self._new(f"mul i64 %chunk, {each * step}")
        end = self._new(f"add i64 {begin}, {each * step}")
        late = self._new(f"icmp ugt i64 {end}, {extent}")
        end = self._new(f"select i1 {late}, i64 {extent}, i64 {end}")
        self._loop(axis, begin, end, inner, {})
        text = part_text(
            f"{self.name}.part0", self.arguments, [*self._scratch_lines(), *self.lines]
        )
        self.lines, self.block = [], "entry"
        return text

    def _scratch_lines(self) -> list[str]:
        """The addresses of the buffers in scratch memory."""
        return [
            f"  %b{v.number} = getelementptr i8, ptr %scratch, i64 {self._place(v)[1]}"
            for v in self.buffers
            if self._place(v)[0] == "scratch"
        ]

    def _step_of(self, axis: int) -> int:
        return self.turn.lanes if axis in self._square() else 1

    def _square(self) -> tuple[int, int]:
        return self.turn.down, self.turn.across

    def _new(self, right: str) -> str:
        name = f"%t{next(self.count)}"
        self._line(f"{name} = {right}")
        return name

    def _line(self, line: str) -> None:
        self.lines.append(f"  {line}")

    def _loops(self, axes: list[int], counters: dict[int, str]) -> None:
        if not axes:
            self._square_at(counters)
            return
        axis, *inner = axes
        self._loop(axis, "0", str(self.nest.domain[axis]), inner, counters)

    def _loop(
        self, axis: int, low: str, high: str, inner: list[int], counters: dict[int, str]
    ) -> None:
        """Rounds from low to high, and the loops inside."""
        extent, step = self.nest.domain[axis], self._step_of(axis)
        n = next(self.count)
        before = self.block
        self.lines += [f"  br label %loop{n}", f"loop{n}:"]
        place = len(self.lines)
        self.lines.append("")
        self.block = f"loop{n}"
        counters[axis] = f"%i{n}"
        if step > 1:
            # The last square overlaps the one before it rather than end outside.
            last = extent - step
            late = self._new(f"icmp ugt i64 %i{n}, {last}")
            counters[axis] = self._new(f"select i1 {late}, i64 {last}, i64 %i{n}")
        self._loops(inner, counters)
        self.lines[place] = f"  %i{n} = phi i64 [ {low}, %{before} ], [ %i{n}.next, %{self.block} ]"
        self.lines.append(f"  %i{n}.next = add nuw nsw i64 %i{n}, {step}")
        more = self._new(f"icmp ult i64 %i{n}.next, {high}")
        self.lines += [f"  br i1 {more}, label %loop{n}, label %done{n}", f"done{n}:"]
        self.block = f"done{n}"

    def _offset(self, form: tuple[int, dict[int, int]], counters: dict[int, str]) -> str:
        total = str(form[0])
        for axis, slope in form[1].items():
            product = self._new(f"mul i64 {counters[axis]}, {slope}")
            total = self._new(f"add i64 {total}, {product}")
        return total

    def _square_at(self, counters: dict[int, str]) -> None:
        """Read the rows of a square, turn it over in registers, and write it."""
        turn = self.turn
        kind, lanes = memory_kind(turn.load.kind), turn.lanes
        here, size = type_name(kind, lanes), bits_of(kind) // 8
        start = self._offset(turn.source, counters)
        goal = self._offset(turn.target, counters)
        step = turn.source[1].get(turn.across, 0)
        rows = []
        for k in range(lanes):
            at = self._pointer(turn.load.attr, kind, start, k * step)
            rows.append(self._new(f"load {here}, ptr {at}, align {size}"))
        half = 1
        while half < lanes:
            rows = self._exchanged(rows, half, here)
            half *= 2
        step = turn.target[1].get(turn.down, 0)
        for k, row in enumerate(rows):
            at = self._pointer(turn.store.target, kind, goal, k * step)
            self.lines.append(f"  store {here} {row}, ptr {at}, align {size}")

    def _pointer(self, buffer: Value, kind: str, offset: str, further: int) -> str:
        place = self._new(f"add i64 {offset}, {further}")
        element = scalar_name(kind)
        return self._new(f"getelementptr inbounds {element}, ptr %b{buffer.number}, i64 {place}")

    def _exchanged(self, rows: list[str], half: int, here: str) -> list[str]:
        """Swap the blocks of this size that lie across the diagonal."""
        lanes = len(rows)
        new = list(rows)
        for k in range(lanes):
            if k & half:
                continue
            first, second = rows[k], rows[k + half]
            low = [j if not j & half else lanes + j - half for j in range(lanes)]
            high = [j + half if not j & half else lanes + j for j in range(lanes)]
            for place, picks in ((k, low), (k + half, high)):
                inside = ", ".join(f"i32 {p}" for p in picks)
                new[place] = self._new(
                    f"shufflevector {here} {first}, {here} {second}, <{lanes} x i32> <{inside}>"
                )
        return new
