"""Scalar expressions as JavaScript text, and the functions of `mathematics` that they call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from chainrule.loops.mathematics import DEFINITIONS
from chainrule.loops.scalar import Graph, Node, postorder
from chainrule.loops.value import Value, strides
from chainrule.show.javascript.names import Names
from chainrule.show.javascript.scalar import (
    ATOM,
    CHOICE,
    EQUALITY,
    NATIVE,
    SUM,
    Text,
    bracketed,
    called,
    needs_wide,
    number,
    spelled,
)

_WIDTH = 72  # a text that is longer than this is taken apart


class Library:
    """Functions of `mathematics` that no browser has, printed as far as they are called."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}

    def name(self, function: str, arity: int) -> str:
        """What to call one of `mathematics`."""
        if function in NATIVE:
            return NATIVE[function]
        if function not in self.texts:
            self.texts[function] = ""  # it may call others, never itself
            self.texts[function] = self._text(function, arity)
        return f"cr_{function}"

    def _text(self, function: str, arity: int) -> str:
        graph = Graph()
        result = DEFINITIONS[function](*[graph.parameter(k, "f64") for k in range(arity)])
        head = ", ".join(f"x{k}" for k in range(arity))
        wide = any(needs_wide(node) for node in postorder([result]))
        lines, (text,) = Expressions(self, Names(f"x{k}" for k in range(arity)), wide).texts(
            [result], {}
        )
        inside = "".join(f"  {line}\n" for line in [*lines, f"return {text[0]};"])
        return f"function cr_{function}({head}) {{\n{inside}}}"


class Expressions:
    """Scalar expressions as text; what is used twice, or long, gets a line of its own."""

    def __init__(self, library: Library, names: Names, wide: bool) -> None:
        self.library = library
        self.names = names
        self.wide = wide

    def texts(
        self,
        roots: Sequence[Node],
        counters: Mapping[int, str],
        known: Mapping[int, str] | None = None,
    ) -> tuple[list[str], list[Text]]:
        """Lines, and the text of each root. `known`: values → their JavaScript names."""
        order = postorder(roots)
        uses = Counter(a.number for node in order for a in node.args)
        counting = _counting(order)
        lines: list[str] = []
        made: dict[int, Text] = {}
        for node in order:
            if node.op == "const":
                continue  # spelled as its reader needs it
            places = node.number in counting
            args = [self._operand(a, node, made, counting) for a in node.args]
            text = self._text(node, args, counters, known or {}, places)
            again = uses[node.number] > 1 and (text[1] < ATOM or node.op in ("call", "read"))
            if (again and node.op != "index") or len(text[0]) > _WIDTH:
                name = self.names.new("t")
                lines.append(f"const {name} = {text[0]};")
                text = name, ATOM
            made[node.number] = text
        return lines, [
            spelled(root, [], self.wide, False) if root.op == "const" else made[root.number]
            for root in roots
        ]

    def _operand(
        self, node: Node, reader: Node, made: Mapping[int, Text], counting: set[int]
    ) -> Text:
        """A node as its reader needs it: places in arrays are plain numbers, never wide ones."""
        place = reader.number in counting or reader.op == "read"
        if node.op == "const":
            return spelled(node, [], self.wide and not place, place)
        text = made[node.number]
        if self.wide and node.kind in ("i64", "u64"):
            if place and node.number not in counting:
                return f"Number({text[0]})", ATOM
            if not place and node.number in counting:
                return f"BigInt({text[0]})", ATOM
        return text

    def _text(
        self,
        node: Node,
        args: list[Text],
        counters: Mapping[int, str],
        known: Mapping[int, str],
        counting: bool,
    ) -> Text:
        if node.op == "index":
            return counters[node.attr], ATOM
        if node.op == "parameter":
            return f"x{node.attr}", ATOM
        if node.op == "read":
            text = entry(node.attr, known[node.attr.number], args)
            if self.wide and node.kind in ("i64", "u64"):
                return f"BigInt({text[0]})", ATOM
            return text
        if node.op == "call":
            return called(self.library.name(node.attr, len(args)), args, node.kind)
        if node.op == "rare":
            condition, otherwise, *rest = args
            inside = called(self.library.name(node.attr, len(rest)), rest, node.kind)
            return (
                f"{bracketed(condition, SUM)} ? {inside[0]} : {bracketed(otherwise, SUM)}",
                CHOICE,
            )
        if node.op == "table":
            entries = ", ".join(number(v, node.kind, self.wide) for v in node.attr)
            place = f"Number({args[0][0]})" if self.wide else args[0][0]
            return f"[{entries}][{place}]", ATOM
        return spelled(node, args, self.wide and not counting, counting)


def _counting(order: Sequence[Node]) -> set[int]:
    """The nodes that are made of counters and constants alone: places, never large."""
    found: set[int] = set()
    for node in order:
        known = node.op == "index" or (node.op == "const" and node.kind == "i64")
        made = bool(node.args) and all(a.number in found for a in node.args)
        if known or (made and node.kind in ("i64", "i1")):
            found.add(node.number)
    return found


def entry(value: Value, name: str, index: Sequence[Text]) -> Text:
    """One entry of a value, at a place per axis."""
    if not value.shape:
        return name, ATOM
    text = f"{name}[{offset(index, value.shape)}]"
    return (f"{text} !== 0", EQUALITY) if value.kind == "i1" else (text, ATOM)


def offset(index: Sequence[Text], shape: Sequence[int]) -> str:
    """Where the entry at an index lies, counted in entries."""
    terms = []
    for i, step, extent in zip(index, strides(tuple(shape)), shape, strict=True):
        if i[0] == "0" or (extent == 1 and i[0].isidentifier()):
            continue
        terms.append(i if step == 1 else (f"{step} * {bracketed(i, ATOM)}", SUM + 1))
    return " + ".join(bracketed(t, SUM) for t in terms) or "0"
