"""What the functions of a module are printed with: their lines, and those of the whole module."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from chainrule.emit.address import MANY, copy_text, fill_text, list_text
from chainrule.emit.function import Library
from chainrule.loops.cluster import Kernel
from chainrule.loops.memory import Memory
from chainrule.loops.schedule import Target
from chainrule.loops.value import Value

# What a context holds behind scratch memory, by slot.
CALLBACK, POLL, PARALLEL, LINKED, FLUSHED = 1, 2, 3, 4, 5
MOVE = "declare void @llvm.memmove.p0.p0.i64(ptr, ptr, i64, i1)"


def before(name: str) -> str:
    """The function that a loop calls once before it calls that of its body at every turn."""
    return f"{name}.before"


@dataclass(eq=False)
class Family:
    """Loop nests that are alike: how many; their function, and how it's called.

    `given`: which of the buffers; `long`: whether it may be stopped.
    """

    members: int = 0
    name: str = ""
    given: Sequence[int] = ()
    long: bool = False


class Text:
    """The functions of one module, as they come."""

    def __init__(self, library: Library, target: Target) -> None:
        self.library = library
        self.target = target
        self.parts: list[str] = []
        self.families: dict[Hashable, Family] = {}
        self.once: set[str] = set()  # functions that are printed when first called
        self.reads: set[int] = set()  # slots of the context
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
        self.words: dict[str, int] = {}  # of addresses: where they're found
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
        self.put_all(table, list(enumerate(pointers)))
        return table

    def put_all(self, table: str, entries: Sequence[tuple[int, str]]) -> None:
        """Enter addresses into a table, each at its place."""
        listed = [(place, self.words[p]) for place, p in entries if p in self.words]
        if len(listed) < MANY:
            listed = []
        for place, pointer in entries:
            if not listed or pointer not in self.words:
                self.put(table, place, pointer)
        if listed:
            self._through("@fill", fill_text, listed, f", ptr {table}")

    def copy_all(self, copies: Sequence[tuple[str, str, int]]) -> None:
        """Copy to each address, from another, so many bytes."""
        listed = [
            (self.words[target], self.words[source], size)
            for target, source, size in copies
            if target in self.words and source in self.words
        ]
        if len(listed) < MANY:
            listed = []
        for target, source, size in copies:
            if not listed or target not in self.words or source not in self.words:
                self.copy(target, source, size)
        if listed:
            self._through("@copy", copy_text, listed)

    def _through(
        self, name: str, text: Callable[[], str], rows: Sequence[Sequence[int]], more: str = ""
    ) -> None:
        """Call a function that goes through a list."""
        if name not in self.text.once:
            self.text.once.add(name)
            self.text.parts.append(text())
            self.text.library.declarations.add(MOVE)
        constant = self.text.name("list")
        self.text.parts.append(list_text(constant, [word for row in rows for word in row]))
        given = f"ptr {constant}, i64 {len(rows)}, ptr %arguments, ptr %scratch{more}"
        self.lines.append(f"  call void {name}({given})")

    def put(self, table: str, place: int, pointer: str) -> None:
        """Enter an address into a table."""
        slot = self.new(f"getelementptr ptr, ptr {table}, i64 {place}")
        self.lines.append(f"  store ptr {pointer}, ptr {slot}")

    def from_context(self, slot: int) -> str:
        """What the caller gave in a slot of the context."""
        self.text.reads.add(slot)
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
        self.text.library.declarations.add(MOVE)
        inside = f"ptr {target}, ptr {source}, i64 {size}, i1 false"
        self.lines.append(f"  call void @llvm.memmove.p0.p0.i64({inside})")
