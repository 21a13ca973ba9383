"""A whole program as LLVM text: its kernels, its loops, and the function that runs it all."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from chainrule.emit import control
from chainrule.emit.address import word_of
from chainrule.emit.distribution import print_distribution
from chainrule.emit.draw import print_draw
from chainrule.emit.function import Definition, Library
from chainrule.emit.kernel import KernelPrinter
from chainrule.emit.lanes import Places
from chainrule.emit.linear import print_linked
from chainrule.emit.product import print_product
from chainrule.emit.region import CALLBACK, LINKED, PARALLEL, POLL, Family, Printing, Text, before
from chainrule.emit.reverse import print_back
from chainrule.emit.serial import SerialPrinter
from chainrule.emit.sharing import SharedPrinter
from chainrule.emit.turn import TurnPrinter, turn_of
from chainrule.loops.alike import Likeness, likeness
from chainrule.loops.block import blocked
from chainrule.loops.call import Branch, Linked, Product, Scan, While, WhileBack
from chainrule.loops.cluster import Clusters, Kernel, cluster, memory_of
from chainrule.loops.draw import Distribution, Philox
from chainrule.loops.layout import laid_out
from chainrule.loops.lower import Callback, Lowered
from chainrule.loops.memory import Memory, plan_memory
from chainrule.loops.nest import Nest, nest_of
from chainrule.loops.overwrite import Overwriting
from chainrule.loops.pack import packed
from chainrule.loops.schedule import Target, schedule
from chainrule.loops.serial import serial_nest, serial_schedule
from chainrule.loops.steady import steady
from chainrule.loops.units import without_units
from chainrule.loops.value import Value

_ROOM = 1000  # lines of a function's kernels that are put where they're called; LLVM isn't linear
_LONG = 400  # lines of a function, from which on it's cut; without its kernels
_SMALL, _FEW = 1024, 8  # points of a loop that a call makes slower; copies of it that don't matter


@dataclass(frozen=True)
class Module:
    """LLVM text that exports `i32 @run(ptr arguments, ptr context)`; how much scratch it needs.

    `reused` are pairs of an output and the input that it may be written in place of; `links` says
    whether routines of a library are called, `shares` whether threads share any work, `polls`
    whether Python is asked whether to go on.
    """

    text: str
    scratch: int
    reused: tuple[tuple[int, int], ...] = ()
    links: bool = False
    shares: bool = False
    polls: bool = False


def module_of(
    lowered: Lowered,
    definitions: dict[str, Definition],
    target: Target,
    donated: Sequence[int] = (),
) -> Module:
    """Group, place, schedule and print a lowered program; `donated` inputs are given up.

    The program's values are changed by that: it can be printed once.
    """
    text = Text(Library(definitions), target)
    given_as = [value.shape for value in lowered.inputs]
    made_as = [value.shape for value in lowered.outputs]
    region = Region(lowered, text)
    region.print("@program", {})
    lines = [
        "define i32 @run(ptr %arguments, ptr %context) nounwind {",
        "  %scratch = load ptr, ptr %context",
        "  %code = call i32 @program(ptr %arguments, ptr %scratch, ptr %context)",
        "  ret i32 %code",
        "}",
    ]
    whole = "\n".join([text.library.text(), *text.parts, *lines, ""])
    reused = tuple(region.overwriting.pairs(donated, given_as, made_as))
    reads = (slot in text.reads for slot in (LINKED, PARALLEL, POLL))
    return Module(whole, region.memory.scratch, reused, *reads)


class Region(Printing):
    """A program, or the body of a loop: `i32 (ptr arguments, ptr scratch, ptr context)`."""

    def __init__(self, lowered: Lowered, text: Text, fixed: int = 0) -> None:
        """`fixed`: of a loop's body, how many inputs are the same at every turn."""
        super().__init__(text)
        self.lowered = lowered
        without_units(lowered.builder.values)
        values = packed(lowered.builder, laid_out(lowered.builder, lowered.outputs), text.target)
        self.clusters: Clusters = cluster(values, lowered.outputs)
        self.inside: dict[int, list[Region]] = {}
        for step in self.clusters.steps:
            if isinstance(step, Value) and step.how == "external":
                call = step.call[0]
                consts = call.consts if isinstance(call, Scan) else 0
                self.inside[step.number] = [Region(body, text, consts) for body in _bodies(call)]
        needs = {
            number: sum(-(-r.memory.scratch // 64) * 64 for r in regions)
            + control.own_scratch(self._step(number), regions)
            for number, regions in self.inside.items()
        }
        self.before, lasting = steady(self.clusters, lowered.inputs[:fixed], lowered.outputs)
        self.memory: Memory = plan_memory(
            self.clusters, lowered.inputs, lowered.outputs, needs, lasting
        )
        self.overwriting = Overwriting(self.clusters, lowered)
        self.nests = {k: self._nest(k) for k in self.clusters.steps if isinstance(k, Kernel)}
        self.named: set[int] = set()
        self.room = _ROOM
        self.elsewhere: dict[int, str] = {}

    def _step(self, number: int) -> Value:
        return self.lowered.builder.values[number]

    def _nest(self, kernel: Kernel) -> tuple[Nest, Likeness]:
        """A kernel's loops, counted among those that are alike."""
        nest = nest_of(kernel, self.clusters.expressions, self.memory.targets)
        alike = likeness(nest)
        self.text.families.setdefault(alike.key, Family()).members += 1
        return nest, alike

    def overwrites(self, given: int, made: int) -> bool:
        """Whether output `made` may be written where input `given` lies."""
        return self.overwriting.may(given, made)

    def passes_on(self, given: int, made: int) -> bool:
        """Whether an output is nothing but an input."""
        return self.lowered.outputs[made] is self.lowered.inputs[given]

    def print(self, name: str, skipped: dict[int, bool]) -> None:
        """Add the function to the text; outputs in `skipped` are left as they are."""
        self.memory.copies = [
            (value, argument)
            for value, argument in self.memory.copies
            if argument - len(self.lowered.inputs) not in skipped
        ]
        printers: dict[str, Callable[[Value], None]] = {
            "external": self._external,
            "check": self._check,
            "assemble": lambda value: None,
            "scatter": self._serial,
            "running": self._serial,
        }
        if self.before:
            self._function(before(name), [partial(self._kernel, k) for k in self.before])
        steps = [
            partial(self._kernel, step)
            if isinstance(step, Kernel)
            else partial(printers[step.how], step)
            for step in self.clusters.steps
            if step not in self.before
        ]
        self._function(name, [*steps, *[partial(self._copy, *copy) for copy in self.memory.copies]])

    def _function(self, name: str, steps: Sequence[Callable[[], None]]) -> None:
        """Print steps as a function; one that grows long in parts, which it calls."""
        parts: list[str] = []
        for step in steps:
            step()
            if len(self.lines) > _LONG:
                parts.append(f"{name}.part{len(parts)}")
                self._finish(parts[-1])
        rest, self.lines = self.lines, []
        for part in parts:
            control.call_body(self, part, "%arguments", "%scratch")
        self.lines += rest
        self._finish(name)

    def _finish(self, name: str) -> None:
        """Add what has been printed as a function, and begin another."""
        start = (
            f"define internal i32 {name}(ptr %arguments, ptr %scratch, ptr %context) nounwind {{"
        )
        self.text.parts.append("\n".join([start, *self.head, *self.lines, "  ret i32 0", "}"]))
        self.head, self.lines, self.words, self.named, self.room = [], [], {}, set(), _ROOM

    def pointer(self, value: Value) -> str:
        """The address of a value's memory, worked out once at the beginning."""
        owner = memory_of(value)
        name = f"%m{owner.number}"
        if owner.number in self.named:
            return name
        self.named.add(owner.number)
        place, where = self.memory.places.get(owner.number, ("literal", owner.number))
        word = word_of(place, where)
        if word is not None:
            self.words[name] = word
        if place == "argument":
            self.head.append(f"  {name}.at = getelementptr ptr, ptr %arguments, i64 {where}")
            self.head.append(f"  {name} = load ptr, ptr {name}.at")
        elif place == "scratch":
            self.head.append(f"  {name} = getelementptr i8, ptr %scratch, i64 {where}")
        else:
            glob = self.text.name("literal")
            self.text.parts.append(f"{glob} = internal constant {_bytes(owner.call)}, align 64")
            self.head.append(f"  {name} = getelementptr i8, ptr {glob}, i64 0")
        return name

    def _kernel(self, kernel: Kernel) -> None:
        nest, alike = self.nests[kernel]
        if not nest.inner and not nest.outer:
            return
        family = self.text.families[alike.key]
        if family.members == 1 or (family.members <= _FEW and math.prod(nest.domain) < _SMALL):
            self._run(self._printer(nest, self.memory.places))
            return
        if not family.name:
            # Its arrays lie elsewhere in each call, so it's given the addresses of all of them.
            printer = self._printer(nest, {})
            self._add(printer, room=0)
            places = {value.number: place for place, value in enumerate(alike.buffers)}
            family.name, family.long = printer.name, printer.long
            family.given = [places[value.number] for value in printer.arguments]
        self._call(family.name, [alike.buffers[place] for place in family.given], family.long)

    def _printer(self, nest: Nest, places: Places) -> KernelPrinter | TurnPrinter:
        name = self.text.name("kernel")
        turn = turn_of(nest, self.text.target)
        if turn is not None:
            return TurnPrinter(name, nest, turn, self.text.library, places)
        nest = blocked(nest, self.text.target)
        plan = schedule(nest, self.text.target)
        return SharedPrinter(name, nest, plan, self.text.library, places)

    def _serial(self, value: Value) -> None:
        nest = serial_nest(value, self.clusters.expressions[value.number])
        name = self.text.name("serial")
        plan = serial_schedule(value, nest, self.text.target)
        self._run(SerialPrinter(name, nest, plan, self.text.library, self.memory.places, value))

    def _run(self, printer: KernelPrinter | TurnPrinter) -> None:
        """Print a kernel, and call it."""
        self.room -= self._add(printer, self.room)
        self._call(printer.name, printer.arguments, printer.long)

    def _add(self, printer: KernelPrinter | TurnPrinter, room: int) -> int:
        """Print a kernel; how many lines it has."""
        text = printer.text(room)
        self.text.parts.append(text)
        if printer.shared:
            self.text.reads.add(PARALLEL)
        if printer.long:
            self.text.reads.add(POLL)
        return text.count("\n")

    def _call(self, name: str, buffers: Sequence[Value], long: bool) -> None:
        given = ["%scratch", "%context", *map(self.pointer, buffers)]
        inside = ", ".join(f"ptr {pointer}" for pointer in given)
        if long:
            stopped = self.new(f"call i1 {name}({inside})")
            self.leave_if(f"icmp eq i1 {stopped}, true", "-1")
        else:
            self.lines.append(f"  call void {name}({inside})")

    def _external(self, value: Value) -> None:
        call, results = value.call
        if isinstance(call, Philox):
            print_draw(self, value, call)
            return
        if isinstance(call, Distribution):
            print_distribution(self, value, call)
            return
        if isinstance(call, Linked):
            print_linked(self, value, call, results)
            return
        if isinstance(call, Product):
            print_product(self, value, call)
            return
        if isinstance(call, WhileBack):
            print_back(self, value, call, self.inside[value.number], results)
            return
        if not isinstance(call, Callback):
            control.print_loop(self, value, self.inside[value.number], results)
            return
        table = self.table([self.pointer(v) for v in (*value.operands, *results)])
        function = self.from_context(CALLBACK)
        code = self.new(f"call i32 {function}(i64 {call.number}, ptr {table})")
        self.leave_if(f"icmp ne i32 {code}, 0", "-1")

    def _check(self, value: Value) -> None:
        flag = self.new(f"load i8, ptr {self.pointer(value.operands[0])}")
        self.leave_if(f"icmp ne i8 {flag}, 0", str(value.call + 1))

    def _copy(self, value: Value, argument: int) -> None:
        at = self.new(f"getelementptr ptr, ptr %arguments, i64 {argument}")
        target = self.new(f"load ptr, ptr {at}")
        self.copy(target, self.pointer(value), value.size * value.dtype.itemsize)


def _bodies(call: object) -> list[Lowered]:
    """The lowered programs inside a loop."""
    if isinstance(call, Scan):
        return [call.body]
    if isinstance(call, While):
        return [call.condition, call.body]
    if isinstance(call, WhileBack):
        return [call.condition, call.body, call.back]
    return list(call.branches) if isinstance(call, Branch) else []


def _bytes(array: np.ndarray) -> str:
    data = array.tobytes() or b"\0"
    return f'[{len(data)} x i8] c"' + "".join(f"\\{byte:02X}" for byte in data) + '"'
