"""Pieces of text, and how tightly each is bound."""

from __future__ import annotations

from typing import NamedTuple

# Levels of binding, loosest first; a language's own table says what binds how.
LOOSE, COMPARE, OR, XOR, AND, SHIFT, ADD, MULTIPLY, SIGN, POWER, ATOM = range(11)


class Piece(NamedTuple):
    """A piece of an expression.

    Args:
        text: what is written.
        level: how tightly it holds together: ATOM needs no brackets anywhere.
        cheap: it reads well, and costs nothing, wherever it's repeated: a name, an entry of one.
        deferred: the variable that it computes, which may still be given a name; else None.
    """

    text: str
    level: int = ATOM
    cheap: bool = False
    deferred: int | None = None

    def within(self, level: int, brackets: tuple[str, str] = ("(", ")")) -> str:
        """The text where at least this level is needed, in brackets if it doesn't hold so much."""
        return self.text if self.level >= level else f"{brackets[0]}{self.text}{brackets[1]}"
