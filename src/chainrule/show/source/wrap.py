"""Long lines, broken where Python and a reader allow it: after a comma inside brackets."""

from __future__ import annotations

_OPEN, _CLOSE = "([{", ")]}"


def wrapped(line: str, longest: int) -> list[str]:
    """A line in pieces of at most so many columns, where it has places to break."""
    indent = len(line) - len(line.lstrip(" "))
    lines: list[str] = []
    depth = 0
    while len(line) > longest:
        cut = _last_break(line, longest, depth)
        if cut <= indent + 4:
            break
        depth += _depth(line[:cut])
        lines.append(line[:cut].rstrip())
        line = " " * (indent + 4) + line[cut:].lstrip()
    return [*lines, line]


def _depth(line: str) -> int:
    """How many brackets a line leaves open; none stands in the strings that occur."""
    return sum(letter in _OPEN for letter in line) - sum(letter in _CLOSE for letter in line)


def _last_break(line: str, longest: int, depth: int) -> int:
    """Where to end a line: after a comma in brackets, or before an operator in them; or 0.

    The outermost place in the line's later half is best, else the last place of all. `depth`
    brackets are open where the line begins.
    """
    places: list[tuple[int, int]] = []
    quote = ""
    for k, letter in enumerate(line[:longest]):
        if quote:
            quote = "" if letter == quote and line[k - 1] != "\\" else quote
        elif letter in "'\"":
            quote = letter
        elif letter in _OPEN:
            depth += 1
        elif letter in _CLOSE:
            depth -= 1
        elif depth > 0 and letter == "," and line[k + 1 : k + 2] == " ":
            places.append((depth, k + 1))
        elif depth > 0 and letter == " " and line[k + 1 : k + 3] in ("+ ", "- "):
            places.append((depth, k))
    late = [(depth, -k) for depth, k in places if k > longest // 2]
    return -min(late)[1] if late else max((k for _, k in places), default=0)
