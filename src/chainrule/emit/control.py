"""Loops and branches around bodies: `scan`, `while` and `cond` as LLVM text.

A loop's state lies in the memory of its results. A body writes the next state in place where every
entry that it replaces has been read before, else beside it, and it is copied over after each turn.
Large values aren't copied there to begin with: the first turn reads them where they are given.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from chainrule.emit.linear import linked_scratch
from chainrule.emit.region import POLL, Printing, before
from chainrule.loops.call import Branch, Linked, Scan, While, WhileBack
from chainrule.loops.lower import Lowered
from chainrule.loops.value import Value

ALIGN = 64
_LARGE = 1 << 16  # bytes of a carried value whose copy takes longer than asking which turn it is
_PATIENCE = 10_000_000  # operations between two looks at whether the user wants to stop


def bytes_of(value: Value) -> int:
    """The room that a value takes, with what keeps the next one aligned."""
    return -(-max(1, value.size * value.dtype.itemsize) // ALIGN) * ALIGN


def own_scratch(step: Value, bodies: Sequence[Printing]) -> int:
    """Bytes for the next state of a loop, beside what its body needs, or for a routine's work."""
    call = step.call[0]
    if isinstance(call, Scan):
        return _beside(bodies[0], call.body.outputs[: call.carry], call.consts)
    if isinstance(call, While):
        return _beside(bodies[1], call.body.outputs, call.consts) + ALIGN
    if isinstance(call, WhileBack):
        carried = sum(bytes_of(v) for v in call.body.outputs[: call.carry])
        return 2 * carried + ALIGN + sum(bytes_of(v) for v in call.back.outputs)
    return linked_scratch(call) if isinstance(call, Linked) else 0


def _beside(body: Printing, outputs: Sequence[Value], first: int) -> int:
    """Bytes for what a body can't write where the state lies; as `State` asks for them."""
    return sum(
        bytes_of(value)
        for k, value in enumerate(outputs)
        if not body.passes_on(first + k, k) and not body.overwrites(first + k, k)
    )


def print_loop(region: Printing, step: Value, bodies: Sequence[Printing], results: Any) -> None:
    """The lines that run a loop, with its bodies' functions."""
    call = step.call[0]
    if isinstance(call, Scan):
        _scan(region, step, call, bodies[0], results)
    elif isinstance(call, While):
        _while(region, step, call, bodies, results)
    else:
        assert isinstance(call, Branch)
        _branch(region, step, bodies, results)


class Room:
    """Scratch memory, handed out piece by piece."""

    def __init__(self, region: Printing, at: int) -> None:
        self.region = region
        self.at = at

    def take(self, size: int) -> str:
        """So many bytes; their address."""
        place = self.region.new(f"getelementptr i8, ptr %scratch, i64 {self.at}")
        self.region.words[place] = -1 - self.at
        self.at += -(-size // ALIGN) * ALIGN
        return place


class State:
    """The carried values of a loop: where they lie, and where a body puts the next ones."""

    def __init__(
        self,
        body: Printing,
        now: Sequence[str],
        values: Sequence[Value],
        first: int,
        room: Room,
        given: Sequence[str] = (),
    ) -> None:
        """`first` is the number of the body's input that is the first of them.

        `given` is where they lie before the first turn, if that isn't in `now`.
        """
        self.region = room.region
        self.now = [*now]
        self.begin = [*(given or now)]
        self.next: list[str] = []
        self.copies: list[tuple[str, str, int]] = []
        self.skipped: dict[int, bool] = {}
        for k, (place, value) in enumerate(zip(now, values, strict=True)):
            if body.passes_on(first + k, k):
                self.skipped[k] = True
            if k in self.skipped or body.overwrites(first + k, k):
                self.next.append(place)
                continue
            self.next.append(room.take(bytes_of(value)))
            self.copies.append((place, self.next[-1], value.size * value.dtype.itemsize))
        self.late: list[tuple[int, int]] = []  # which are read where they are given, and bytes
        early: list[tuple[str, str, int]] = []
        for k, value in enumerate(values):
            size = value.size * value.dtype.itemsize
            if given and size >= _LARGE and k not in self.skipped:
                self.late.append((k, size))
            elif given:
                early.append((self.now[k], self.begin[k], size))
                self.begin[k] = self.now[k]
        self.region.copy_all(early)

    def settle(self, turn: str, tables: Sequence[tuple[str, int]]) -> None:
        """After the first turn the state lies where it belongs; tables hold it from a place on."""
        if self.late:
            with only_if(self.region, f"icmp eq i64 {turn}, 0"):
                for table, first in tables:
                    self.region.put_all(table, [(first + k, self.now[k]) for k, _ in self.late])

    def arrive(self, turn: str) -> None:
        """Where a loop ends without any turn, the state becomes what was given."""
        if self.late:
            with only_if(self.region, f"icmp eq i64 {turn}, 0"):
                self.region.copy_all([(self.now[k], self.begin[k], n) for k, n in self.late])

    def advance(self) -> None:
        """What was put beside the state becomes the state."""
        self.region.copy_all(self.copies)


@contextmanager
def only_if(region: Printing, condition: str) -> Iterator[None]:
    """The lines that are printed meanwhile run where the condition holds."""
    test = region.new(condition)
    region.count += 1
    n = region.count
    region.lines += [f"  br i1 {test}, label %some{n}, label %all{n}", f"some{n}:"]
    yield
    region.lines += [f"  br label %all{n}", f"all{n}:"]


def _started(
    region: Printing, step: Value, body: Printing, results: Any, first: int, init: Any
) -> tuple[State, Room]:
    """The state of a loop in the memory of its results, begun with what is given."""
    room = Room(region, region.memory.inside.get(step.number, 0))
    now, given = ([region.pointer(value) for value in values] for values in (results, init))
    return State(body, now, results, first, room, given), room


def turns_between_polls(body: Lowered) -> int:
    """How many turns take about as long as a user should wait for an answer to Ctrl-C."""
    return max(1, _PATIENCE // max(1, 4 * _work(body)))


def _work(body: Lowered) -> int:
    """Operations of one turn, roughly."""
    total = 0
    for value in body.builder.values:
        call = value.call[0] if value.how == "external" else None
        if isinstance(call, Scan):
            total += call.length * _work(call.body)
        elif isinstance(call, Branch):
            total += max(map(_work, call.branches))
        elif value.how != "input":
            total += math.prod(value.domain) + 10
    return min(total, 10**18)


def poll(region: Printing, turn: str, every: int) -> None:
    """Ask every so many turns whether to stop."""
    rest = region.new(f"urem i64 {turn}, {every}")
    due = region.new(f"icmp eq i64 {rest}, {every - 1}")
    region.count += 1
    n = region.count
    region.lines += [f"  br i1 {due}, label %poll{n}, label %polled{n}", f"poll{n}:"]
    function = region.from_context(POLL)
    code = region.new(f"call i32 {function}()")
    region.leave_if(f"icmp ne i32 {code}, 0", "-1")
    region.lines += [f"  br label %polled{n}", f"polled{n}:"]


def call_body(region: Printing, name: str, table: str, scratch: str) -> None:
    """Run a body's function; end where it ends before its time."""
    code = region.new(f"call i32 {name}(ptr {table}, ptr {scratch}, ptr %context)")
    region.leave_if(f"icmp ne i32 {code}, 0", code)


def _scan(region: Printing, step: Value, call: Scan, body: Printing, results: Any) -> None:
    operands = step.operands
    consts, carry = call.consts, call.carry
    init, xs = operands[consts : consts + carry], operands[consts + carry :]
    state, room = _started(region, step, body, results[:carry], consts, init)
    if call.length == 0:
        for target, given, value in zip(state.now, state.begin, results, strict=False):
            region.copy(target, given, value.size * value.dtype.itemsize)
        return
    name = region.text.name("body")
    body.print(name, state.skipped)
    scratch = room.take(0)
    fixed = [region.pointer(v) for v in operands[:consts]]
    rows = [*xs, *results[carry:]]
    # Rows are entered anew on every turn; their first addresses hold the places.
    starts = [region.pointer(v) for v in rows]
    pointers = [*fixed, *state.begin, *starts[: len(xs)], *state.next, *starts[len(xs) :]]
    table = region.table(pointers)
    first_x = consts + carry
    first_y = first_x + len(xs) + carry
    places = [first_x + k for k in range(len(xs))]
    places += [first_y + k for k in range(len(rows) - len(xs))]
    if body.before:
        call_body(region, before(name), table, scratch)
    turn = open_loop(region, call.length)
    number = turn
    if call.reverse:
        number = region.new(f"sub i64 {call.length - 1}, {turn}")
    for place, start, value in zip(places, starts, rows, strict=True):
        size = value.size // max(1, call.length) * value.dtype.itemsize
        offset = region.new(f"mul i64 {number}, {size}")
        region.put(table, place, region.new(f"getelementptr i8, ptr {start}, i64 {offset}"))
    call_body(region, name, table, scratch)
    state.advance()
    state.settle(turn, [(table, consts)])
    every = turns_between_polls(call.body)
    if every < call.length:
        poll(region, turn, every)
    _close(region, turn, call.length)


def open_loop(region: Printing, length: int) -> str:
    """Begin a counted loop; its counter lies in memory until LLVM finds it a register."""
    region.count += 1
    n = region.count
    region.head.append(f"  %turns{n} = alloca i64")
    region.lines += [f"  store i64 0, ptr %turns{n}", f"  br label %turn{n}", f"turn{n}:"]
    region.lines.append(f"  %now{n} = load i64, ptr %turns{n}")
    return f"%now{n}"


def _close(region: Printing, turn: str, length: int) -> None:
    n = turn.removeprefix("%now")
    after = region.new(f"add nuw nsw i64 {turn}, 1")
    region.lines.append(f"  store i64 {after}, ptr %turns{n}")
    more = region.new(f"icmp ult i64 {after}, {length}")
    region.lines += [f"  br i1 {more}, label %turn{n}, label %over{n}", f"over{n}:"]


def _while(
    region: Printing, step: Value, call: While, bodies: Sequence[Printing], results: Any
) -> None:
    operands = step.operands
    condition, body = bodies
    init = operands[call.seen + call.consts :]
    state, room = _started(region, step, body, results, call.consts, init)
    test, name = region.text.name("condition"), region.text.name("body")
    condition.print(test, {})
    body.print(name, state.skipped)
    answer, inner = room.take(1), room.take(condition.memory.scratch)
    outer = room.take(body.memory.scratch)
    seen = [region.pointer(v) for v in operands[: call.seen]]
    fixed = [region.pointer(v) for v in operands[call.seen : call.seen + call.consts]]
    asked = region.table([*seen, *state.begin, answer])
    table = region.table([*fixed, *state.begin, *state.next])
    turn = open_loop(region, 0)
    call_body(region, test, asked, inner)
    byte = region.new(f"load i8, ptr {answer}")
    more = region.new(f"icmp ne i8 {byte}, 0")
    n = turn.removeprefix("%now")
    region.lines += [f"  br i1 {more}, label %again{n}, label %over{n}", f"again{n}:"]
    call_body(region, name, table, outer)
    state.advance()
    state.settle(turn, [(asked, call.seen), (table, call.consts)])
    poll(region, turn, turns_between_polls(call.body))
    after = region.new(f"add i64 {turn}, 1")
    region.lines += [f"  store i64 {after}, ptr %turns{n}", f"  br label %turn{n}", f"over{n}:"]
    state.arrive(turn)


def _branch(region: Printing, step: Value, bodies: Sequence[Printing], results: Any) -> None:
    predicate, *operands = step.operands
    byte = region.new(f"load i8, ptr {region.pointer(predicate)}")
    holds = region.new(f"icmp ne i8 {byte}, 0")
    at = region.memory.inside.get(step.number, 0)
    scratch = region.new(f"getelementptr i8, ptr %scratch, i64 {at}")
    table = region.table([region.pointer(v) for v in (*operands, *results)])
    region.count += 1
    n = region.count
    region.lines.append(f"  br i1 {holds}, label %yes{n}, label %no{n}")
    for label, body in zip((f"yes{n}", f"no{n}"), bodies, strict=True):
        name = region.text.name("branch")
        body.print(name, {})
        region.lines.append(f"{label}:")
        call_body(region, name, table, scratch)
        region.lines.append(f"  br label %joined{n}")
    region.lines.append(f"joined{n}:")
