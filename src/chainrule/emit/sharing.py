"""A loop whose turns several threads share: a function of one chunk, and the call of the pool.

The turns are cut by their number alone, and sums of chunks are added in order, so that results are
the same bit for bit however many threads there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from chainrule.emit.function import Library
from chainrule.emit.kernel import KernelPrinter
from chainrule.emit.region import PARALLEL
from chainrule.emit.section import Level, Section
from chainrule.emit.text import type_name
from chainrule.emit.watch import watched
from chainrule.loops.scalar import bits_of
from chainrule.loops.value import Value

_FIRST_BUFFER = 3  # in a chunk's data: scratch, context, partial sums, buffers
_LINE = 64  # bytes of a cache line: threads don't write into the same one


class SharedPrinter(KernelPrinter):
    """Prints a nest of which threads share the outermost loop, if the schedule says so."""

    def _stretch(self, depth: int, axis: int, low: int, high: int) -> None:
        pieces = -(-(high - low) // self._step_of(axis))
        chunks = min(self.plan.chunks, pieces)
        if depth or chunks < 2:
            super()._stretch(depth, axis, low, high)
        else:
            self._shared_out(axis, low, high, -(-pieces // chunks))

    def _shared_out(self, axis: int, low: int, high: int, each: int) -> None:
        """Run a stretch of the outermost loop in chunks of so many rounds each."""
        step = self._step_of(axis)
        whole = high - (high - low) % step
        chunks = -(-(high - low) // (each * step))
        outside = dict(self.sums)
        saved = self.levels, self.entry, self.block
        body, self.entry, self.block = Section(), Section(), "entry"
        self.levels, self.known_depth = [Level(body)], {}
        self.sums = {key: self.new_sum(*key) for key in outside}
        alone = low + (chunks - 1) * each * step == whole  # the last has nothing but the rest
        with self._where("ult" if alone else "", chunks - 1):
            start = self._new(f"mul i64 %chunk, {each * step}")
            begin = self._new(f"add i64 {start}, {low}")
            end = self._new(f"add i64 {begin}, {each * step}")
            least = "@llvm.umin.i64"
            self.library.declarations.add(f"declare i64 {least}(i64, i64)")
            end = self._new(f"call i64 {least}(i64 {end}, i64 {whole})")
            self.tile[axis] = self.plan.unroll[axis]
            self._loop(0, axis, begin, end, step)
        if whole < high:
            with self._where("eq", chunks - 1):
                self._remainder(0, axis, whole, high)
        for k, (key, name) in enumerate(self.sums.items()):
            here = _sum_type(self, key[0])
            place = _place(self, "%chunk", k, len(outside))
            self._line(
                f"store {here} {self._new(f'load {here}, ptr {name}')}, ptr {place}, align 8"
            )
        name = f"{self.name}.part{len(self.parts)}"
        inside = [*self.scratch_lines(), *self._body_lines(body)]
        self.parts.append(part_text(name, self.arguments, inside))
        self.levels, self.entry, self.block = saved
        self.known_depth, self.sums = {}, outside
        self.partial = f"%partial{next(self.count)}"
        room = max(1, chunks * len(self.sums) * _room(self))
        self.entry.add(f"{self.partial} = alloca i8, i64 {room}, align 64")
        call_parts(self, name, self.partial, chunks)
        if outside:
            _add_up(self, chunks)

    @contextmanager
    def _where(self, relation: str, chunk: int) -> Iterator[None]:
        """What follows is for some of the chunks only, and what it computes too."""
        if not relation:
            yield
            return
        level = self.levels[-1]
        names = dict(level.names)
        on, off = f"some{next(self.count)}", f"all{next(self.count)}"
        holds = self._new(f"icmp {relation} i64 %chunk, {chunk}")
        self._line(f"br i1 {holds}, label %{on}, label %{off}")
        self._line(f"{on}:")
        self.block = on
        yield
        self._line(f"br label %{off}")
        self._line(f"{off}:")
        self.block = off
        level.names = names


class Sharing(Protocol):
    """A printer of a kernel whose parts threads run."""

    count: Iterator[int]
    entry: Section
    block: str
    library: Library
    shared: bool
    long: bool

    @property
    def arguments(self) -> list[Value]: ...

    def _new(self, right: str) -> str: ...

    def _line(self, line: str) -> None: ...


def part_text(name: str, arguments: list[Value], inside: list[str]) -> str:
    """The function of one chunk, `void (ptr data, i64 chunk)`; its lines, and what they need."""
    lines = [f"define internal void {name}(ptr %data, i64 %chunk) nounwind {{", "entry:"]
    lines += _from_data(0, "%scratch") + _from_data(1, "%context") + _from_data(2, "%partial")
    for k, value in enumerate(arguments):
        lines += _from_data(_FIRST_BUFFER + k, f"%b{value.number}")
    return "\n".join([*lines, *inside, "  ret void", "}"])


def _from_data(place: int, name: str) -> list[str]:
    return [
        f"  {name}.at = getelementptr ptr, ptr %data, i64 {place}",
        f"  {name} = load ptr, ptr {name}.at",
    ]


def call_parts(p: Sharing, name: str, partial: str, chunks: int) -> None:
    """Have all chunks done by such a function."""
    p.shared = True
    given = ["%scratch", "%context", partial, *[f"%b{value.number}" for value in p.arguments]]
    table = f"%table{next(p.count)}"
    p.entry.add(f"{table} = alloca ptr, i64 {len(given)}")
    for k, pointer in enumerate(given):
        slot = p._new(f"getelementptr ptr, ptr {table}, i64 {k}")
        p._line(f"store ptr {pointer}, ptr {slot}")
    if p.long:
        leave(p, p._new(watched(p.library, name, table, chunks)))
        return
    slot = p._new(f"getelementptr ptr, ptr %context, i64 {PARALLEL}")
    function = p._new(f"load ptr, ptr {slot}")
    p._line(f"call void {function}(ptr {name}, ptr {table}, i64 {chunks})")


def leave(p: Sharing, stopped: str) -> None:
    """End here where Python wants to stop."""
    on = f"on{next(p.count)}"
    p._line(f"br i1 {stopped}, label %stopped, label %{on}")
    p._line(f"{on}:")
    p.block = on


def _place(p: KernelPrinter, chunk: str, k: int, count: int, base: str = "%partial") -> str:
    """Where a chunk's partial sum lies."""
    first = p._new(f"mul i64 {chunk}, {count}")
    place = p._new(f"add i64 {first}, {k}")
    offset = p._new(f"mul i64 {place}, {_room(p)}")
    return p._new(f"getelementptr i8, ptr {base}, i64 {offset}")


def _room(p: KernelPrinter) -> int:
    """Bytes for one partial sum."""
    widest = max((bits_of(fold.node.kind) for fold in p.nest.folds), default=8)
    return -(-p._lanes() * max(8, widest) // (8 * _LINE)) * _LINE


def _sum_type(p: KernelPrinter, number: int) -> str:
    fold = next(f for f in p.nest.folds if f.value.number == number)
    return type_name(fold.node.kind, p._lanes())


def _add_up(p: KernelPrinter, chunks: int) -> None:
    """The chunks' sums onto those of the whole, first to last."""
    label, done = f"loop{next(p.count)}", f"done{next(p.count)}"
    chunk = f"%i{next(p.count)}"
    before = p.block
    p._line(f"br label %{label}")
    p._line(f"{label}:")
    p._line(f"{chunk} = phi i64 [ 0, %{before} ], [ {chunk}.next, %{label} ]")
    for k, (key, name) in enumerate(p.sums.items()):
        fold = next(f for f in p.nest.folds if f.value.number == key[0])
        here = _sum_type(p, key[0])
        place = _place(p, chunk, k, len(p.sums), p.partial)
        whole = p._new(f"load {here}, ptr {name}")
        part = p._new(f"load {here}, ptr {place}, align 8")
        total = p._combined(fold.value.combine, fold.node.kind, p._lanes(), whole, part)
        p._line(f"store {here} {total}, ptr {name}")
    p._line(f"{chunk}.next = add nuw nsw i64 {chunk}, 1")
    more = p._new(f"icmp ult i64 {chunk}.next, {chunks}")
    p._line(f"br i1 {more}, label %{label}, label %{done}")
    p._line(f"{done}:")
    p.block = done
