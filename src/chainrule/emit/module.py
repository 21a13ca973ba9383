"""A whole program as LLVM text: its kernels, and the function that runs them in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chainrule.emit.function import Definition, Library
from chainrule.emit.kernel import KernelPrinter
from chainrule.loops.cluster import Clusters, Kernel, cluster, memory_of
from chainrule.loops.lower import Callback, Lowered
from chainrule.loops.memory import Memory, plan_memory
from chainrule.loops.nest import nest_of
from chainrule.loops.schedule import Target, schedule
from chainrule.loops.value import Value


@dataclass(frozen=True)
class Module:
    """LLVM text that exports `i32 @run(ptr arguments, ptr context)`; how much scratch it needs."""

    text: str
    scratch: int
    clusters: Clusters


def module_of(
    lowered: Lowered, definitions: dict[str, Definition], target: Target
) -> Module:
    """Group, place, schedule and print a lowered program."""
    clusters = cluster(lowered.builder.values, lowered.outputs)
    memory = plan_memory(clusters, lowered.inputs, lowered.outputs)
    printer = _ModulePrinter(clusters, memory, Library(definitions), target)
    return Module(printer.text(), memory.scratch, clusters)


class _ModulePrinter:
    def __init__(
        self, clusters: Clusters, memory: Memory, library: Library, target: Target
    ) -> None:
        self.clusters = clusters
        self.memory = memory
        self.library = library
        self.target = target
        self.kernels: list[str] = []
        self.lines: list[str] = []
        self.named: set[int] = set()
        self.head: list[str] = []
        self.count = 0

    def text(self) -> str:
        print_step: dict[str, Callable[[Value], None]] = {
            "external": self._external,
            "check": self._check,
            "assemble": lambda value: None,
        }
        for step in self.clusters.steps:
            if isinstance(step, Kernel):
                self._kernel(step)
            else:
                print_step[step.how](step)
        for value, argument in self.memory.copies:
            self._copy(value, argument)
        run = [
            "define i32 @run(ptr %arguments, ptr %context) nounwind {",
            *self.head,
            *self.lines,
            "  ret i32 0",
            "}",
        ]
        return "\n".join([self.library.text(), *self.kernels, *run, ""])

    def pointer(self, value: Value) -> str:
        """The address of a value's memory, worked out once at the beginning."""
        owner = memory_of(value)
        name = f"%m{owner.number}"
        if owner.number in self.named:
            return name
        self.named.add(owner.number)
        place, where = self.memory.places[owner.number]
        if place == "argument":
            self.head.append(f"  {name}.at = getelementptr ptr, ptr %arguments, i64 {where}")
            self.head.append(f"  {name} = load ptr, ptr {name}.at")
        else:
            if not any("%scratch =" in line for line in self.head[:1]):
                self.head.insert(0, "  %scratch = load ptr, ptr %context")
            self.head.append(f"  {name} = getelementptr i8, ptr %scratch, i64 {where}")
        return name

    def _new(self) -> str:
        self.count += 1
        return f"%r{self.count}"

    def _kernel(self, kernel: Kernel) -> None:
        nest = nest_of(kernel, self.clusters.expressions, self.memory.targets)
        if not nest.inner and not nest.outer:
            return
        name = f"@kernel{len(self.kernels)}"
        printer = KernelPrinter(name, nest, schedule(nest, self.target), self.library)
        self.kernels.append(printer.text())
        inside = ", ".join(f"ptr {self.pointer(buffer)}" for buffer in printer.buffers.values())
        self.lines.append(f"  call void {name}({inside})")

    def _external(self, value: Value) -> None:
        call, results = value.call
        assert isinstance(call, Callback)
        pointers = [self.pointer(v) for v in (*value.operands, *results)]
        table = self._new()
        self.head.append(f"  {table} = alloca ptr, i64 {len(pointers)}")
        for k, pointer in enumerate(pointers):
            slot = self._new()
            self.lines.append(f"  {slot} = getelementptr ptr, ptr {table}, i64 {k}")
            self.lines.append(f"  store ptr {pointer}, ptr {slot}")
        at, function, failed = self._new(), self._new(), self._new()
        self.lines.append(f"  {at} = getelementptr ptr, ptr %context, i64 1")
        self.lines.append(f"  {function} = load ptr, ptr {at}")
        self.lines.append(f"  {failed} = call i32 {function}(i64 {call.equation}, ptr {table})")
        self._leave_if(f"icmp ne i32 {failed}, 0", "-1")

    def _check(self, value: Value) -> None:
        flag = self._new()
        self.lines.append(f"  {flag} = load i8, ptr {self.pointer(value.operands[0])}")
        self._leave_if(f"icmp ne i8 {flag}, 0", str(value.call + 1))

    def _leave_if(self, condition: str, code: str) -> None:
        self.count += 1
        n = self.count
        self.lines += [
            f"  %c{n} = {condition}",
            f"  br i1 %c{n}, label %leave{n}, label %on{n}",
            f"leave{n}:",
            f"  ret i32 {code}",
            f"on{n}:",
        ]

    def _copy(self, value: Value, argument: int) -> None:
        at, target = self._new(), self._new()
        size = value.size * value.dtype.itemsize
        source = self.pointer(value)
        self.library.declarations.add("declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        self.lines += [
            f"  {at} = getelementptr ptr, ptr %arguments, i64 {argument}",
            f"  {target} = load ptr, ptr {at}",
            f"  call void @llvm.memcpy.p0.p0.i64(ptr {target}, ptr {source}, i64 {size}, i1 false)",
        ]
