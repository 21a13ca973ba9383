"""A whole program as LLVM text: its kernels, its loops, and the function that runs it all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from chainrule.emit import control
from chainrule.emit.function import Definition, Library
from chainrule.emit.kernel import KernelPrinter
from chainrule.emit.region import CALLBACK, Printing, Text
from chainrule.emit.serial import SerialPrinter
from chainrule.emit.sharing import SharedPrinter
from chainrule.emit.turn import TurnPrinter, turn_of
from chainrule.loops.cluster import Clusters, Kernel, cluster, memory_of
from chainrule.loops.lower import Callback, Lowered
from chainrule.loops.memory import Memory, may_overwrite, plan_memory
from chainrule.loops.nest import nest_of
from chainrule.loops.pack import packed
from chainrule.loops.schedule import Target, schedule
from chainrule.loops.serial import serial_nest, serial_schedule
from chainrule.loops.value import Branch, Scan, Value, While


@dataclass(frozen=True)
class Module:
    """LLVM text that exports `i32 @run(ptr arguments, ptr context)`; how much scratch it needs."""

    text: str
    scratch: int


def module_of(lowered: Lowered, definitions: dict[str, Definition], target: Target) -> Module:
    """Group, place, schedule and print a lowered program."""
    text = Text(Library(definitions), target)
    region = Region(lowered, text)
    region.print("@program", {})
    lines = [
        "define i32 @run(ptr %arguments, ptr %context) nounwind {",
        "  %scratch = load ptr, ptr %context",
        "  %code = call i32 @program(ptr %arguments, ptr %scratch, ptr %context)",
        "  ret i32 %code",
        "}",
    ]
    return Module("\n".join([text.library.text(), *text.parts, *lines, ""]), region.memory.scratch)


class Region(Printing):
    """A program, or the body of a loop: `i32 (ptr arguments, ptr scratch, ptr context)`."""

    def __init__(self, lowered: Lowered, text: Text) -> None:
        super().__init__(text)
        self.lowered = lowered
        self.clusters: Clusters = cluster(packed(lowered.builder, text.target), lowered.outputs)
        self.inside: dict[int, list[Region]] = {}
        for step in self.clusters.steps:
            if isinstance(step, Value) and step.how == "external":
                self.inside[step.number] = [Region(body, text) for body in _bodies(step.call[0])]
        needs = {
            number: sum(-(-r.memory.scratch // 64) * 64 for r in regions)
            + control.own_scratch(self._step(number))
            for number, regions in self.inside.items()
        }
        self.memory: Memory = plan_memory(self.clusters, lowered.inputs, lowered.outputs, needs)
        self.named: set[int] = set()
        self.elsewhere: dict[int, str] = {}

    def _step(self, number: int) -> Value:
        return self.lowered.builder.values[number]

    def overwrites(self, given: int, made: int) -> bool:
        """Whether output `made` may be written where input `given` lies."""
        inputs, outputs = self.lowered.inputs, self.lowered.outputs
        return may_overwrite(self.clusters, inputs[given], outputs[made], outputs)

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
        for step in self.clusters.steps:
            if isinstance(step, Kernel):
                self._kernel(step)
            else:
                printers[step.how](step)
        for value, argument in self.memory.copies:
            self._copy(value, argument)
        self.text.parts.append(
            "\n".join(
                [
                    f"define internal i32 {name}(ptr %arguments, ptr %scratch, ptr %context) "
                    "nounwind {",
                    *self.head,
                    *self.lines,
                    "  ret i32 0",
                    "}",
                ]
            )
        )

    def pointer(self, value: Value) -> str:
        """The address of a value's memory, worked out once at the beginning."""
        owner = memory_of(value)
        name = f"%m{owner.number}"
        if owner.number in self.named:
            return name
        self.named.add(owner.number)
        place, where = self.memory.places.get(owner.number, ("literal", owner.number))
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
        nest = nest_of(kernel, self.clusters.expressions, self.memory.targets)
        if not nest.inner and not nest.outer:
            return
        name = self.text.name("kernel")
        turn = turn_of(nest, self.text.target)
        if turn is not None:
            self._run(TurnPrinter(name, nest, turn, self.memory.places))
            return
        plan = schedule(nest, self.text.target)
        self._run(SharedPrinter(name, nest, plan, self.text.library, self.memory.places))

    def _serial(self, value: Value) -> None:
        nest = serial_nest(value, self.clusters.expressions[value.number])
        name = self.text.name("serial")
        plan = serial_schedule(value, nest, self.text.target)
        self._run(SerialPrinter(name, nest, plan, self.text.library, self.memory.places, value))

    def _run(self, printer: KernelPrinter | TurnPrinter) -> None:
        """Print a kernel, and call it."""
        self.text.parts.append(printer.text())
        given = ["%scratch", "%context", *map(self.pointer, printer.arguments)]
        inside = ", ".join(f"ptr {pointer}" for pointer in given)
        self.lines.append(f"  call void {printer.name}({inside})")

    def _external(self, value: Value) -> None:
        call, results = value.call
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
    return list(call.branches) if isinstance(call, Branch) else []


def _bytes(array: np.ndarray) -> str:
    data = array.tobytes() or b"\0"
    return f'[{len(data)} x i8] c"' + "".join(f"\\{byte:02X}" for byte in data) + '"'
