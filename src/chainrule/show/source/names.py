"""Names that may stand in a program's text: the user's own where they can, letters else."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterator

# What the text itself needs, besides Python's own words.
_RESERVED = frozenset(
    "np special range reversed slice bool int float complex tuple list zip len abs".split()
)
_LONGEST = 40
# l, O and I look like figures, and i, j, k count.
_LETTERS = "abcdefghmnopqrstuvwxyz"
_COUNTERS = ("k", "i", "j")


def identifier(text: str | None) -> str | None:
    """A name as Python can have it, made from any text; None where nothing of it is left."""
    if not text:
        return None
    # Python reads names in this very form: two that differ only so would be one.
    name = unicodedata.normalize("NFKC", text)
    name = re.sub(r"\W+", "_", name).strip("_")[:_LONGEST].rstrip("_")
    if not name:
        return None
    if not name.isidentifier():
        name = f"v_{name}"
    if not name.isidentifier():
        return None
    return f"{name}_" if keyword.iskeyword(name) or name in _RESERVED else name


class Gradient(str):
    """A wish: d and the name of what it is the gradient of."""

    __slots__ = ()


class Names:
    """The names in use in one text; `gradients` are those given to gradients."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.gradients: set[str] = set()
        self.wished: set[str] = set()  # which no letter may take from those who will ask for them

    def new(self, wish: str | None) -> str:
        """A name nobody has yet: the wish if it's free, else with a number; a letter without."""
        name = identifier(wish)
        if name is None:
            return self.letter()
        found, k = name, 1
        while found in self.taken:
            k += 1
            found = f"{name}_{k}"
        if isinstance(wish, Gradient):
            self.gradients.add(found)
        return self._take(found)

    def letter(self) -> str:
        """The next letter that is free."""
        return self._take(next(name for name in _letters() if name not in self.taken | self.wished))

    def counter(self) -> str:
        """The next name of a loop's counter."""
        free = (name for name in _COUNTERS if name not in self.taken)
        return self._take(name) if (name := next(free, None)) else self.new("k")

    def release(self, name: str) -> None:
        """Let a name be used again."""
        self.taken.discard(name)

    def _take(self, name: str) -> str:
        self.taken.add(name)
        return name


def _letters() -> Iterator[str]:
    yield from _LETTERS
    k = 1
    while True:
        yield from (f"{letter}{k}" for letter in _LETTERS)
        k += 1
