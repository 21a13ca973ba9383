"""What the functions of a module are printed with: their lines, and those of the whole module."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.emit.function import Library
from chainrule.loops.cluster import Kernel
from chainrule.loops.memory import Memory
from chainrule.loops.schedule import Target
from chainrule.loops.value import Value

# What a context holds behind scratch memory, by slot.
CALLBACK, POLL, PARALLEL, LINKED, FLUSHED = 1, 2, 3, 4, 5


def before(name: str) -> str:
    """The function that a loop calls once before it calls that of its body at every turn."""
    return f"{name}.before"


class Text:
    """The functions of one module, as they come."""

    def __init__(self, library: Library, target: Target) -> None:
        self.library = library
        self.target = target
        self.parts: list[str] = []
        self.links = False  # whether routines of a library are called
        self.count = 0

    def name(self, what: str) -> str:
        self.count += 1
        return f"@{what}{self.count}"


class Printing:
    """A function `i32 (ptr arguments, ptr scratch, ptr context)` in the making."""

    memory: Memory
    before: Sequence[Kernel] = ()  # what a loop runs once for all turns, as `before(name)`

    def __init__(self, text: Text) -> None:
        self.text = text
        self.head: list[str] = []  # before everything else: addresses, and memory on the stack
        self.lines: list[str] = []
        self.count = 0

    def print(self, name: str, skipped: dict[int, bool]) -> None:
        """Add the function to the text; outputs in `skipped` are left as they are."""
        raise NotImplementedError

    def pointer(self, value: Value) -> str:
        """The address of a value's memory."""
        raise NotImplementedError

    def overwrites(self, given: int, made: int) -> bool:
        """Whether output `made` may be written where input `given` lies."""
        raise NotImplementedError

    def passes_on(self, given: int, made: int) -> bool:
        """Whether an output is nothing but an input."""
        raise NotImplementedError

    def new(self, right: str) -> str:
        """A line that computes something."""
        self.count += 1
        self.lines.append(f"  %r{self.count} = {right}")
        return f"%r{self.count}"

    def table(self, pointers: list[str]) -> str:
        """Memory that holds addresses."""
        self.count += 1
        table = f"%table{self.count}"
        self.head.append(f"  {table} = alloca ptr, i64 {max(1, len(pointers))}")
        for k, pointer in enumerate(pointers):
            self.put(table, k, pointer)
        return table

    def put(self, table: str, place: int, pointer: str) -> None:
        """Enter an address into a table."""
        slot = self.new(f"getelementptr ptr, ptr {table}, i64 {place}")
        self.lines.append(f"  store ptr {pointer}, ptr {slot}")

    def from_context(self, slot: int) -> str:
        """What the caller gave in a slot of the context."""
        at = self.new(f"getelementptr ptr, ptr %context, i64 {slot}")
        return self.new(f"load ptr, ptr {at}")

    def leave_if(self, condition: str, code: str) -> None:
        """End here with a code."""
        test = self.new(condition)
        self.count += 1
        n = self.count
        self.lines += [
            f"  br i1 {test}, label %leave{n}, label %on{n}",
            f"leave{n}:",
            f"  ret i32 {code}",
            f"on{n}:",
        ]

    def copy(self, target: str, source: str, size: int) -> None:
        """Bytes from one place to another, which may be the same."""
        name = "@llvm.memmove.p0.p0.i64"
        self.text.library.declarations.add(f"declare void {name}(ptr, ptr, i64, i1)")
        self.lines.append(f"  call void {name}(ptr {target}, ptr {source}, i64 {size}, i1 false)")
