"""The reverse of `while` as LLVM text: a loop forward that keeps what is needed, and one back.

What the turns keep lies on a stack of its own, which is made larger as they go on: nobody knows how
many there will be. Both loops are a function of their own, so that wherever it ends, in the middle
of a body too, the stack is given back behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.emit.control import (
    Room,
    State,
    bytes_of,
    call_body,
    open_loop,
    poll,
    turns_between_polls,
)
from chainrule.emit.region import Printing
from chainrule.loops.call import WhileBack
from chainrule.loops.value import Value

_FIRST = 1 << 16  # bytes of the stack to begin with
_WORD = 8  # what lies on it begins at a multiple of this


def print_back(
    region: Printing, step: Value, call: WhileBack, bodies: Sequence[Printing], results: Any
) -> None:
    """The lines that run both loops, and free what they took."""
    name = region.text.name("reverse")
    _Both(region, name, step, call, bodies, results).print(name, {})
    library = region.text.library
    library.declarations |= {"declare ptr @realloc(ptr, i64)", "declare void @free(ptr)"}
    table = region.table([region.pointer(v) for v in (*step.operands, *results)])
    at = region.memory.inside.get(step.number, 0)
    scratch = region.new(f"getelementptr i8, ptr %scratch, i64 {at}")
    region.count += 1
    stack = f"%stack{region.count}"
    region.head.append(f"  {stack} = alloca ptr")
    region.lines.append(f"  store ptr null, ptr {stack}")
    inside = f"ptr {table}, ptr {scratch}, ptr %context, ptr {stack}"
    code = region.new(f"call i32 {name}({inside})")
    region.lines.append(f"  call void @free(ptr {region.new(f'load ptr, ptr {stack}')})")
    region.leave_if(f"icmp ne i32 {code}, 0", code)


class _Both(Printing):
    """`i32 (ptr arguments, ptr scratch, ptr context, ptr stack)`: arguments, then results."""

    def __init__(
        self,
        region: Printing,
        name: str,
        step: Value,
        call: WhileBack,
        bodies: Sequence[Printing],
        results: Sequence[Value],
    ) -> None:
        super().__init__(region.text)
        self.memory = region.memory
        self.call = call
        self.bodies = bodies
        self.arguments = [self._argument(k) for k in range(len(step.operands) + len(results))]
        self.results = results
        self.step = step

    def _argument(self, number: int) -> str:
        at = self.new(f"getelementptr ptr, ptr %arguments, i64 {number}")
        return self.new(f"load ptr, ptr {at}")

    def print(self, name: str, skipped: dict[int, bool]) -> None:
        """Add the function to the text."""
        call, given = self.call, self.arguments
        condition, body, back = self.bodies
        seen = given[: call.seen]
        fixed = given[call.seen : call.seen + call.consts]
        first = call.seen + call.consts
        init = given[first : first + call.carry]
        gs = given[first + call.carry : len(self.step.operands)]
        pulled = given[len(self.step.operands) :]

        carried, saved = call.body.outputs[: call.carry], call.body.outputs[call.carry :]
        room = Room(self, 0)
        now = [room.take(bytes_of(v)) for v in carried]
        for place, source, value in zip(now, init, carried, strict=True):
            self.copy(place, source, value.size * value.dtype.itemsize)
        state = State(body, now, carried, call.consts, room)
        self._start(pulled, gs)
        total = State(back, pulled, call.back.outputs, call.consts, room)

        names = [self.text.name(what) for what in ("condition", "body", "back")]
        condition.print(names[0], {})
        body.print(names[1], state.skipped)
        back.print(names[2], total.skipped)
        answer = room.take(1)
        scratch = [room.take(printing.memory.scratch) for printing in self.bodies]

        sizes = [-(-v.size * v.dtype.itemsize // _WORD) * _WORD for v in saved]
        asked = self.table([*seen, *state.now, answer])
        table = self.table([*fixed, *state.now, *state.next, *[answer for _ in saved]])
        turns = self._forward(names, scratch, (asked, table, answer), state, sizes)
        table = self.table([*fixed, *total.now, *[answer for _ in saved], *total.next])
        self._backward(names[2], scratch[2], table, total, sizes, turns)
        head = f"define internal i32 {name}(ptr %arguments, ptr %scratch, ptr %context, ptr %stack)"
        lines = [f"{head} nounwind {{", *self.head, *self.lines, "  ret i32 0", "}"]
        self.text.parts.append("\n".join(lines))

    def _start(self, pulled: Sequence[str], gs: Sequence[str]) -> None:
        """Sums begin with zero, cotangents with what is given."""
        name = "@llvm.memset.p0.i64"
        self.text.library.declarations.add(f"declare void {name}(ptr, i8, i64, i1)")
        sums = len(pulled) - len(gs)
        for k, (place, value) in enumerate(zip(pulled, self.results, strict=True)):
            size = value.size * value.dtype.itemsize
            if k < sums:
                self.lines.append(f"  call void {name}(ptr {place}, i8 0, i64 {size}, i1 false)")
            else:
                self.copy(place, gs[k - sums], size)

    def _forward(
        self,
        names: Sequence[str],
        scratch: Sequence[str],
        tables: tuple[str, str, str],
        state: State,
        sizes: Sequence[int],
    ) -> str:
        """The loop itself; where the number of its turns lies."""
        asked, table, answer = tables
        row = max(1, sum(sizes))
        self.head += ["  %room = alloca i64", "  store i64 0, ptr %room"]
        turn = open_loop(self, 0)
        n = turn.removeprefix("%now")
        call_body(self, names[0], asked, scratch[0])
        byte = self.new(f"load i8, ptr {answer}")
        more = self.new(f"icmp ne i8 {byte}, 0")
        self.lines += [f"  br i1 {more}, label %again{n}, label %over{n}", f"again{n}:"]
        if sizes:
            self._make_room(turn, row)
            places = len(self.call.body.inputs) + self.call.carry
            self._enter_saved(table, places, turn, row, sizes)
        call_body(self, names[1], table, scratch[1])
        state.advance()
        poll(self, turn, turns_between_polls(self.call.body))
        after = self.new(f"add i64 {turn}, 1")
        self.lines += [f"  store i64 {after}, ptr %turns{n}", f"  br label %turn{n}", f"over{n}:"]
        return turn

    def _make_room(self, turn: str, row: int) -> None:
        """Have the stack hold one turn more; where it can't, NumPy is to say so."""
        room = self.new("load i64, ptr %room")
        full = self.new(f"icmp eq i64 {room}, {turn}")
        self.count += 1
        n = self.count
        self.lines += [f"  br i1 {full}, label %grow{n}, label %fits{n}", f"grow{n}:"]
        twice = self.new(f"shl i64 {room}, 1")
        first = self.new(f"icmp eq i64 {room}, 0")
        wanted = self.new(f"select i1 {first}, i64 {max(1, _FIRST // row)}, i64 {twice}")
        size = self.new(f"mul i64 {wanted}, {row}")
        before = self.new("load ptr, ptr %stack")
        larger = self.new(f"call ptr @realloc(ptr {before}, i64 {size})")
        self.leave_if(f"icmp eq ptr {larger}, null", str(self.call.equation + 1))
        self.lines += [
            f"  store ptr {larger}, ptr %stack",
            f"  store i64 {wanted}, ptr %room",
            f"  br label %fits{n}",
            f"fits{n}:",
        ]

    def _enter_saved(
        self, table: str, first: int, turn: str, row: int, sizes: Sequence[int]
    ) -> None:
        """The places on the stack of what one turn keeps, into a body's table."""
        bottom = self.new("load ptr, ptr %stack")
        offset = self.new(f"mul i64 {turn}, {row}")
        for size in sizes:
            self.put(table, first, self.new(f"getelementptr i8, ptr {bottom}, i64 {offset}"))
            offset = self.new(f"add i64 {offset}, {size}")
            first += 1

    def _backward(
        self, name: str, scratch: str, table: str, total: State, sizes: Sequence[int], turn: str
    ) -> None:
        """From the last turn to the first."""
        self.head.append("  %left = alloca i64")
        turns = self.new(f"load i64, ptr %turns{turn.removeprefix('%now')}")
        self.lines += [f"  store i64 {turns}, ptr %left", "  br label %back", "back:"]
        left = self.new("load i64, ptr %left")
        more = self.new(f"icmp ne i64 {left}, 0")
        self.lines += [f"  br i1 {more}, label %behind, label %done", "behind:"]
        number = self.new(f"sub i64 {left}, 1")
        self.lines.append(f"  store i64 {number}, ptr %left")
        if sizes:
            first = self.call.consts + len(total.now)
            self._enter_saved(table, first, number, max(1, sum(sizes)), sizes)
        call_body(self, name, table, scratch)
        total.advance()
        poll(self, number, turns_between_polls(self.call.back))
        self.lines += ["  br label %back", "done:"]
