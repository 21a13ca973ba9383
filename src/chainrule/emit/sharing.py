"""A loop whose turns several threads share: a function of one chunk, and the call of the pool.

The turns are cut by their number alone, and sums of chunks are added in order, so that results are
the same bit for bit however many threads there are.
"""

from __future__ import annotations

from chainrule.emit.kernel import KernelPrinter
from chainrule.emit.region import PARALLEL
from chainrule.emit.section import Level, Section
from chainrule.emit.text import type_name
from chainrule.loops.scalar import bits_of

_FIRST_BUFFER = 3  # in a chunk's data: scratch, context, partial sums, buffers
_LINE = 64  # bytes of a cache line: threads don't write into the same one


class SharedPrinter(KernelPrinter):
    """Prints a nest of which threads share the outermost loop, if the schedule says so."""

    def _outermost(self, axis: int, low: int, high: int, step: int) -> None:
        rounds = (high - low) // step
        chunks = min(self.plan.chunks, rounds)
        if chunks > 1:
            self._shared_out(axis, low, high, step, chunks)
        else:
            super()._outermost(axis, low, high, step)

    def _shared_out(self, axis: int, low: int, high: int, step: int, chunks: int) -> None:
        """Run the outermost loop in chunks."""
        rounds = (high - low) // step
        each = -(-rounds // chunks) * step
        chunks = -(-(high - low) // each)
        outside = dict(self.sums)
        saved = self.levels, self.entry, self.block
        body, self.entry, self.block = Section(), Section(), "entry"
        self.levels, self.known_depth = [Level(body)], {}
        self.sums = {key: self.new_sum(*key) for key in outside}
        start = self._new(f"mul i64 %chunk, {each}")
        begin = self._new(f"add i64 {start}, {low}")
        stop = self._new(f"add i64 {begin}, {each}")
        least = "@llvm.umin.i64"
        self.library.declarations.add(f"declare i64 {least}(i64, i64)")
        stop = self._new(f"call i64 {least}(i64 {stop}, i64 {high})")
        self._loop(0, axis, begin, stop, step)
        for k, (key, name) in enumerate(self.sums.items()):
            here = _sum_type(self, key[0])
            place = _place(self, "%chunk", k, len(outside))
            self._line(
                f"store {here} {self._new(f'load {here}, ptr {name}')}, ptr {place}, align 8"
            )
        self._line("ret void")
        name = f"{self.name}.part{len(self.parts)}"
        lines = [f"define internal void {name}(ptr %data, i64 %chunk) nounwind {{", "entry:"]
        lines += _from_data(0, "%scratch") + _from_data(1, "%context") + _from_data(2, "%partial")
        for k, value in enumerate(self.arguments):
            lines += _from_data(_FIRST_BUFFER + k, f"%b{value.number}")
        self.parts.append("\n".join([*lines, *self.scratch_lines(), *self._body_lines(body), "}"]))
        given = [f"%b{value.number}" for value in self.arguments]
        self.levels, self.entry, self.block = saved
        self.known_depth, self.sums = {}, outside
        _call(self, name, given, chunks)
        if outside:
            _add_up(self, chunks)


def _from_data(place: int, name: str) -> list[str]:
    return [
        f"  {name}.at = getelementptr ptr, ptr %data, i64 {place}",
        f"  {name} = load ptr, ptr {name}.at",
    ]


def _call(p: KernelPrinter, name: str, given: list[str], chunks: int) -> None:
    table, partial = f"%table{next(p.count)}", f"%partial{next(p.count)}"
    p.entry.add(f"{table} = alloca ptr, i64 {_FIRST_BUFFER + len(given)}")
    room = max(1, chunks * len(p.sums) * _room(p))
    p.entry.add(f"{partial} = alloca i8, i64 {room}, align 64")
    p.partial = partial
    for k, pointer in enumerate(["%scratch", "%context", partial, *given]):
        slot = p._new(f"getelementptr ptr, ptr {table}, i64 {k}")
        p._line(f"store ptr {pointer}, ptr {slot}")
    slot = p._new(f"getelementptr ptr, ptr %context, i64 {PARALLEL}")
    function = p._new(f"load ptr, ptr {slot}")
    p._line(f"call void {function}(ptr {name}, ptr {table}, i64 {chunks})")


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
