"""One lowered program as the lines of a JavaScript function, value by value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.ir.program import Program, Var
from chainrule.loops.lower import Callback, Lowered
from chainrule.loops.scalar import Node, postorder
from chainrule.loops.value import Value, strides
from chainrule.show.javascript.control import print_control
from chainrule.show.javascript.expression import Expressions, Library, offset
from chainrule.show.javascript.names import Names
from chainrule.show.javascript.routine import print_routine
from chainrule.show.javascript.scalar import (
    ATOM,
    SUM,
    Text,
    Unprintable,
    bracketed,
    needs_wide,
    number,
    spelled,
)

_ARRAYS = {
    "f64": "Float64Array", "f32": "Float32Array", "i64": "Float64Array", "u64": "Float64Array",
    "i32": "Int32Array", "u32": "Uint32Array", "i16": "Int16Array", "u16": "Uint16Array",
    "i8": "Int8Array", "u8": "Uint8Array", "i1": "Uint8Array",
}  # fmt: skip
_LETTERS = "ijklmnopqrs"  # of counters; t is what has no name
_LITERAL = 4096  # entries of an array that may stand in the text


class Printer:
    """One lowered program as the lines of a function."""

    def __init__(
        self,
        lowered: Lowered,
        library: Library,
        names: Names,
        program: Program | None = None,
        wanted: Mapping[int, str] | None = None,
        indent: int = 1,
    ) -> None:
        """`program`: what was lowered, with all its variables as further outputs, for its names."""
        self.lowered = lowered
        self.library = library
        self.names = names
        self.indent = indent
        self.lines: list[str] = []
        self.known: dict[int, str] = {}
        self.wanted: dict[int, str] = {}
        values = [_itself(value) for value in lowered.outputs]
        self.outputs = values
        heads: list[Var] = []
        if program is not None:
            self.outputs = values[: len(program.outputs)]
            every = [var for equation in program.equations for var in equation.outputs]
            heads = [*program.inputs, *(var for var, _ in program.captured)]
            for var, value in zip(every, values[len(program.outputs) :], strict=True):
                self.wanted.setdefault(value.number, (wanted or {}).get(var.number, var.name))
        for k, value in enumerate(lowered.inputs):
            _check_type(value)
            own = heads[k] if heads else None
            name = f"x{k}" if own is None else (wanted or {}).get(own.number, own.name)
            self.known[value.number] = self.names.new(name)
        self.parameters = [self.known[value.number] for value in lowered.inputs]

    def function(self, name: str) -> str:
        """The whole function."""
        self._body()
        results = ", ".join(self.known[value.number] for value in self.outputs)
        self.line(f"return [{results}];")
        pad = "  " * (self.indent - 1)
        head = f"{pad}function {name}({', '.join(self.parameters)}) {{"
        return "\n".join([head, *self.lines, f"{pad}}}"])

    def _body(self) -> None:
        for value in self._needed():
            if value.number not in self.known:
                self._value(value)

    def _needed(self) -> list[Value]:
        """What the outputs are made of, and what may fail, in order."""
        values = self.lowered.builder.values
        todo = [*self.outputs, *(v for v in values if v.how == "check")]
        found: set[int] = set()
        while todo:
            value = todo.pop()
            if value.number not in found:
                found.add(value.number)
                todo += value.operands
                todo += [part for part, _, _ in value.parts]
        return [value for value in values if value.number in found]

    def line(self, text: str, depth: int = 0) -> None:
        self.lines.append("  " * (self.indent + depth) + text)

    def name(self, value: Value) -> str:
        name = self.known[value.number] = self.names.new(self.wanted.get(value.number, "t"))
        return name

    # ---- values --------------------------------------------------------------------------------

    def _value(self, value: Value) -> None:
        _check_type(value)
        make = getattr(self, f"_{value.how}", None)
        if make is None:
            raise Unprintable(f"no JavaScript is known for {value.how}", where=value.place or "")
        make(value)

    def _entry(self, value: Value) -> None:
        assert value.expression is not None
        same = _itself(value)
        if same is not value and same.number in self.known:
            self.known[value.number] = self.known[same.number]
            return
        if not value.shape and value.expression.op == "const":
            self.known[value.number] = spelled(value.expression, [], False, False)[0]
            return
        if not value.shape:
            lines, (text,) = self._texts(value, [value.expression], {})
            for line in lines:
                self.line(line)
            self.line(f"const {self.name(value)} = {text[0]};")
            return
        name = self.array(value)
        counters, depth = self._loops(value.shape)
        lines, (text,) = self._texts(value, [value.expression], counters)
        for line in lines:
            self.line(line, depth)
        self.line(f"{name}[{self._place(value, counters)}] = {_stored(value, text)};", depth)
        self._close(depth)

    def _fold(self, value: Value) -> None:
        assert value.expression is not None
        name = self.array(value) if value.shape else self.name(value)
        counters, outer = self._loops(value.shape)
        total = self.names.new("total") if value.shape else name
        self.line(f"let {total} = {_identity(value)};", outer)
        inner, depth = self._loops(value.extents, len(value.shape), outer)
        counters = {**counters, **inner}
        lines, (text,) = self._texts(value, [value.expression], counters)
        for line in lines:
            self.line(line, depth)
        self.line(f"{_combined(total, text, value)};", depth)
        self._close(depth, outer)
        if value.shape:
            place = self._place(value, counters)
            self.line(f"{name}[{place}] = {_stored(value, (total, ATOM))};", outer)
        self._close(outer)

    def _running(self, value: Value) -> None:
        assert value.expression is not None
        name = self.array(value)
        counters, depth = self._loops(value.shape)
        lines, (text,) = self._texts(value, [value.expression], counters)
        for line in lines:
            self.line(line, depth)
        place, axis = self._place(value, counters), counters[value.call]
        step = strides(value.shape)[value.call]
        before = f"{name}[{place} - {step}]"
        self.line(f"{name}[{place}] = {text[0]};", depth)
        combined = _combined(f"{name}[{place}]", (before, ATOM), value)
        self.line(f"if ({axis} > 0) {combined};", depth)
        self._close(depth)

    def _scatter(self, value: Value) -> None:
        assert value.expression is not None
        start = self.known[value.parts[0][0].number]
        if not value.shape:
            raise Unprintable("writes into a number have no JavaScript form")
        name = self.name(value)
        self.line(f"const {name} = {start}.slice();")
        counters, depth = self._loops(value.extents)
        place, update = value.expression.args
        lines, (where, text) = self._texts(value, [place, update], counters)
        for line in lines:
            self.line(line, depth)
        if value.combine:
            target = self.names.new("at")
            self.line(f"const {target} = {where[0]};", depth)
            self.line(f"{_combined(f'{name}[{target}]', text, value)};", depth)
        else:
            self.line(f"{name}[{where[0]}] = {_stored(value, text)};", depth)
        self._close(depth)

    def _alias(self, value: Value) -> None:
        (source,) = value.operands
        if source.dtype != value.dtype:
            raise Unprintable("numbers read as bits of another type have no JavaScript form")
        own = self.known[source.number]
        if bool(source.shape) == bool(value.shape):
            self.known[value.number] = own
        elif value.shape:
            self.line(f"const {self.name(value)} = {_ARRAYS[_kind(value)]}.of({own});")
        else:
            text = f"{own}[0]" + (" !== 0" if value.kind == "i1" else "")
            self.line(f"const {self.name(value)} = {text};")

    def _assemble(self, value: Value) -> None:
        if not value.shape:
            raise Unprintable("a number put together from pieces has no JavaScript form")
        name = self.array(value)
        for part, first, steps in value.parts:
            own = self.known[part.number]
            if not part.shape:
                self.line(f"{name}[{first}] = {_stored(value, (own, ATOM))};")
                continue
            counters, depth = self._loops(part.shape)
            terms = [str(first)] if first else []
            terms += [
                f"{s} * {counters[k]}" if s != 1 else counters[k] for k, s in enumerate(steps)
            ]
            source = self._place(part, counters)
            self.line(f"{name}[{' + '.join(terms) or '0'}] = {own}[{source}];", depth)
            self._close(depth)

    def _literal(self, value: Value) -> None:
        array = np.asarray(value.call)
        if array.size > _LITERAL or array.dtype.kind not in "biuf":
            raise Unprintable(f"an array of {array.size} numbers is too large to be printed")
        texts = [number(x, "i64" if value.kind == "i1" else _kind(value)) for x in array.ravel()]
        if not value.shape:
            self.line(f"const {self.name(value)} = {texts[0]};")
            return
        inside = ", ".join(texts)
        self.line(f"const {self.name(value)} = {_ARRAYS[_kind(value)]}.of({inside});")

    def _check(self, value: Value) -> None:
        (failing,) = value.operands
        what = "an operation has no value here: a division by zero, or an index beyond the end"
        self.line(f'if ({self.known[failing.number]}) throw new RangeError("{what}");')

    def _external(self, value: Value) -> None:
        call, results = value.call
        if isinstance(call, Callback):
            print_routine(self, value, self.lowered.callbacks[call.number], results)
        else:
            print_control(self, value)

    def _part(self, value: Value) -> None:
        """Named by the value that it is a part of."""

    # ---- pieces --------------------------------------------------------------------------------

    def zeros(self, value: Value) -> str:
        """A value of the same type, all of it 0."""
        if value.shape:
            return f"new {_ARRAYS[_kind(value)]}({value.size})"
        return "false" if value.kind == "i1" else "0"

    def body(self, lowered: Lowered, name: str) -> str:
        """A body as a function of its own inside this one; what it is called."""
        called = self.names.new(name)
        names = Names(self.names.taken)
        inner = Printer(lowered, self.library, names, indent=self.indent + 1)
        self.lines.append(inner.function(called))
        return called

    def _texts(
        self, value: Value, roots: Sequence[Node], counters: Mapping[int, str]
    ) -> tuple[list[str], list[Text]]:
        wide = any(needs_wide(node) for node in postorder(roots))
        names = self.names if not counters else Names(self.names.taken)
        lines, texts = Expressions(self.library, names, wide).texts(roots, counters, self.known)
        if wide:
            texts = [
                (f"Number({text[0]})", ATOM) if root.kind in ("i64", "u64") else text
                for root, text in zip(roots, texts, strict=True)
            ]
        return lines, texts

    def array(self, value: Value) -> str:
        name = self.name(value)
        self.line(f"const {name} = new {_ARRAYS[_kind(value)]}({value.size});")
        return name

    def _loops(
        self, extents: Sequence[int], first: int = 0, depth: int = 0
    ) -> tuple[dict[int, str], int]:
        """Open one loop per axis; the counters' names, and how deep inside one is then."""
        counters = {}
        free = [c for c in _LETTERS if c not in self.names.taken]
        for k, n in enumerate(extents):
            name = free[first + k] if first + k < len(free) else f"n{first + k}_"
            counters[first + k] = name
            self.line(f"for (let {name} = 0; {name} < {n}; {name}++) {{", depth + k)
        return counters, depth + len(extents)

    def _close(self, depth: int, until: int = 0) -> None:
        for k in range(depth - 1, until - 1, -1):
            self.line("}", k)

    def _place(self, value: Value, counters: Mapping[int, str]) -> str:
        return offset([(counters[k], ATOM) for k in range(value.ndim)], value.shape)


def _itself(value: Value) -> Value:
    """The value that another one merely repeats."""
    node = value.expression
    while value.how == "entry" and node is not None and node.op == "read":
        source: Value = node.attr
        straight = all(i.op == "index" and i.attr == k for k, i in enumerate(node.args))
        if source.shape != value.shape or source.dtype != value.dtype or not straight:
            break
        value, node = source, source.expression
    return value


def _check_type(value: Value) -> None:
    if value.kind is None:
        raise Unprintable(
            f"numbers of type {value.dtype} have no JavaScript form", where=value.place or ""
        )


def _kind(value: Value) -> str:
    assert value.kind is not None
    return value.kind


def _stored(value: Value, text: Text) -> str:
    return f"{bracketed(text, SUM)} ? 1 : 0" if value.kind == "i1" else text[0]


def _identity(value: Value) -> str:
    """What leaves every number as it is."""
    if value.kind == "i1":
        return "true" if value.combine in ("and", "min") else "false"
    known = {"add": "0", "mul": "1", "min": "Infinity", "max": "-Infinity"}
    return known[value.combine]


def _combined(target: str, text: Text, value: Value) -> str:
    """A statement: a target takes one more number in."""
    combine = value.combine
    if value.kind == "i1":
        spelling = "&&" if combine in ("and", "min") else "||"
        joined = f"{target} {spelling} {bracketed(text, SUM)}"
        return f"{target} = {joined}" if "[" not in target else f"{target} = {joined} ? 1 : 0"
    if combine in ("min", "max"):
        return f"{target} = Math.{combine}({target}, {text[0]})"
    sign = {"add": "+", "mul": "*"}[combine]
    if value.kind == "f64":
        return f"{target} {sign}= {text[0]}"
    joined = f"{target} {sign} {bracketed(text, SUM + 1)}"
    if value.kind == "f32":
        return f"{target} = Math.fround({joined})"
    return f"{target} = {'natural' if _kind(value)[0] == 'u' else 'whole'}({joined})"
