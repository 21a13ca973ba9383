"""Text that isn't written in the order in which it reads: loops, and what is put before them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Section:
    """Lines of text, some of which are written later than what follows them."""

    def __init__(self) -> None:
        self.parts: list[Any] = []

    def add(self, line: str) -> None:
        self.parts.append(line)

    def section(self) -> Section:
        inner = Section()
        self.parts.append(inner)
        return inner

    def lines(self) -> Iterator[str]:
        for part in self.parts:
            if isinstance(part, Section):
                yield from part.lines()
            else:
                yield part


class Level:
    """One open loop: what was computed in it, and where more may be put before the next loop."""

    def __init__(self, body: Section) -> None:
        self.body = body
        self.hoist = body
        self.names: dict[tuple[int, bool], str] = {}
