"""A function written as LLVM text line by line, with names of values and blocks thought up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class Code:
    """One function in the making; values are the names that stand for them in the text."""

    def __init__(self, signature: str, inline: bool = False) -> None:
        """Begin one: `i64 @twice(i64 %x)`, with its linkage before and attributes behind."""
        how = " alwaysinline" if inline else ""
        self.lines = [f"define {signature}{how} nounwind {{", "start:"]
        self.block = "start"
        self.count = 0

    def text(self) -> str:
        return "\n".join([*self.lines, "}"])

    def name(self, stem: str = "v") -> str:
        """A name that isn't taken."""
        self.count += 1
        return f"{stem}{self.count}"

    def line(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def value(self, text: str) -> str:
        """Compute something; its name."""
        name = f"%{self.name()}"
        self.line(f"{name} = {text}")
        return name

    # --- memory ---------------------------------------------------------------------------

    def at(self, base: str, offset: int) -> str:
        """The address so many bytes behind another."""
        return self.value(f"getelementptr i8, ptr {base}, i64 {offset}") if offset else base

    def load(self, kind: str, base: str, offset: int = 0) -> str:
        return self.value(f"load {kind}, ptr {self.at(base, offset)}")

    def store(self, value: str, base: str, offset: int = 0) -> None:
        """Store a value, written with its type."""
        self.line(f"store {value}, ptr {self.at(base, offset)}")

    def word(self, base: str, number: int, kind: str = "i64") -> str:
        """The number-th 64-bit word of a table."""
        return self.load(kind, base, 8 * number)

    def place(self, kind: str, base: str, index: str) -> str:
        """The address of an element."""
        return self.value(f"getelementptr {kind}, ptr {base}, i64 {index}")

    def element(self, kind: str, base: str, index: str) -> str:
        return self.load(kind, self.place(kind, base, index))

    # --- flow -----------------------------------------------------------------------------

    def label(self, name: str) -> None:
        """Begin a block; the one before must have ended."""
        self.lines.append(f"{name}:")
        self.block = name

    def need(self, condition: str, otherwise: str) -> None:
        """Go on only where a condition holds."""
        on = self.name("on")
        self.line(f"br i1 {condition}, label %{on}, label %{otherwise}")
        self.label(on)

    def compare(self, how: str, kind: str, left: str, right: str, otherwise: str) -> None:
        """Go on only where two values compare so."""
        self.need(self.value(f"icmp {how} {kind} {left}, {right}"), otherwise)

    def jump(self, target: str) -> None:
        self.line(f"br label %{target}")

    @contextmanager
    def loop(self, count: str) -> Iterator[str]:
        """What follows for 0, 1, … count − 1; gives the number."""
        before = self.block
        head, body, step, after = map(self.name, ("head", "body", "step", "after"))
        index, following = f"%{self.name('k')}", f"%{self.name('k')}"
        self.jump(head)
        self.label(head)
        self.line(f"{index} = phi i64 [0, %{before}], [{following}, %{step}]")
        more = self.value(f"icmp ult i64 {index}, {count}")
        self.line(f"br i1 {more}, label %{body}, label %{after}")
        self.label(body)
        yield index
        self.jump(step)
        self.label(step)
        self.line(f"{following} = add i64 {index}, 1")
        self.jump(head)
        self.label(after)
