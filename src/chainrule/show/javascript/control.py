"""Loops and branches around bodies, as JavaScript: each body a function inside the function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chainrule.loops.call import Branch, Scan, While, WhileBack
from chainrule.loops.lower import Lowered
from chainrule.loops.value import Value
from chainrule.show.javascript.names import Names
from chainrule.show.javascript.scalar import Unprintable


class Printing(Protocol):
    """What a loop needs of the printer of the function that it stands in."""

    names: Names
    known: dict[int, str]

    def line(self, text: str, depth: int = 0) -> None:
        """One more line of the function."""

    def name(self, value: Value) -> str:
        """A new name for a value."""

    def array(self, value: Value) -> str:
        """A new typed array for a value."""

    def zeros(self, value: Value) -> str:
        """A value of the same type, all of it 0."""

    def body(self, lowered: Lowered, name: str) -> str:
        """A body as a function of its own; what it is called."""


def print_control(printer: Printing, step: Value) -> None:
    """The lines that run a loop or a branch."""
    call, results = step.call
    operands = [printer.known[value.number] for value in step.operands]
    if isinstance(call, Scan):
        _scan(printer, call, operands, step.operands, results)
    elif isinstance(call, While):
        _while(printer, call, operands, results)
    elif isinstance(call, WhileBack):
        _while_back(printer, call, operands, results)
    elif isinstance(call, Branch):
        _branch(printer, call, operands, results)
    else:
        what = type(call).__name__
        raise Unprintable(f"{what} has no JavaScript form", where=step.place or "")


def _scan(
    printer: Printing,
    call: Scan,
    operands: Sequence[str],
    values: Sequence[Value],
    results: Sequence[Value],
) -> None:
    body = printer.body(call.body, "turn")
    fixed, rest = operands[: call.consts], operands[call.consts :]
    state = _started(printer, rest[: call.carry])
    stacked = [printer.array(value) for value in results[call.carry :]]
    k, outs = printer.names.new("k"), printer.names.new("outs")
    turns = f"let {k} = 0; {k} < {call.length}; {k}++"
    if call.reverse:
        turns = f"let {k} = {call.length - 1}; {k} >= 0; {k}--"
    sources = zip(rest[call.carry :], values[call.consts + call.carry :], strict=True)
    rows = [_row(own, value, k) for own, value in sources]
    printer.line(f"for ({turns}) {{")
    printer.line(f"const {outs} = {_called(body, *fixed, f'...{state}', *rows)};", 1)
    printer.line(f"{state} = {outs}.slice(0, {call.carry});", 1)
    for place, (name, value) in enumerate(zip(stacked, results[call.carry :], strict=True)):
        out, size = f"{outs}[{call.carry + place}]", value.size // max(1, value.shape[0])
        single = len(value.shape) == 1
        store = f"{name}[{k}] = {out};" if single else f"{name}.set({out}, {size} * {k});"
        printer.line(store, 1)
    printer.line("}")
    _unpack(printer, results[: call.carry], state)


def _while(
    printer: Printing, call: While, operands: Sequence[str], results: Sequence[Value]
) -> None:
    test, body = printer.body(call.condition, "goesOn"), printer.body(call.body, "turn")
    seen, rest = operands[: call.seen], operands[call.seen :]
    fixed, init = rest[: call.consts], rest[call.consts :]
    state = _started(printer, init)
    printer.line(f"while ({_called(test, *seen, f'...{state}')}[0]) {{")
    printer.line(f"{state} = {_called(body, *fixed, f'...{state}')};", 1)
    printer.line("}")
    _unpack(printer, results, state)


def _while_back(
    printer: Printing, call: WhileBack, operands: Sequence[str], results: Sequence[Value]
) -> None:
    test, body = printer.body(call.condition, "goesOn"), printer.body(call.body, "turn")
    back = printer.body(call.back, "turnBack")
    seen, rest = operands[: call.seen], operands[call.seen :]
    fixed, rest = rest[: call.consts], rest[call.consts :]
    state = _started(printer, rest[: call.carry])
    saved, outs = printer.names.new("saved"), printer.names.new("outs")
    printer.line(f"const {saved} = [];")
    printer.line(f"while ({_called(test, *seen, f'...{state}')}[0]) {{")
    printer.line(f"const {outs} = {_called(body, *fixed, f'...{state}')};", 1)
    printer.line(f"{state} = {outs}.slice(0, {call.carry});", 1)
    printer.line(f"{saved}.push({outs}.slice({call.carry}));", 1)
    printer.line("}")
    gs = rest[call.carry :]
    sums = [printer.zeros(value) for value in results[: len(results) - len(gs)]]
    pulled = printer.names.new("pulled")
    printer.line(f"let {pulled} = [{', '.join([*sums, *gs])}];")
    printer.line(f"while ({saved}.length > 0) {{")
    again = _called(back, *fixed, f"...{pulled}", f"...{saved}.pop()")
    printer.line(f"{pulled} = {again};", 1)
    printer.line("}")
    _unpack(printer, results, pulled)


def _branch(
    printer: Printing, call: Branch, operands: Sequence[str], results: Sequence[Value]
) -> None:
    yes = printer.body(call.branches[0], "yes")
    no = printer.body(call.branches[1], "no")
    outs = printer.names.new("outs")
    condition, *rest = operands
    printer.line(f"const {outs} = {condition} ? {_called(yes, *rest)} : {_called(no, *rest)};")
    _unpack(printer, results, outs)


def _started(printer: Printing, init: Sequence[str]) -> str:
    state = printer.names.new("state")
    printer.line(f"let {state} = [{', '.join(init)}];")
    return state


def _unpack(printer: Printing, results: Sequence[Value], source: str) -> None:
    for k, value in enumerate(results):
        printer.line(f"const {printer.name(value)} = {source}[{k}];")


def _called(function: str, *arguments: str) -> str:
    return f"{function}({', '.join(arguments)})"


def _row(name: str, value: Value, k: str) -> str:
    """Row k of an array: a number of a list of them."""
    if len(value.shape) == 1:
        return f"{name}[{k}]" + (" !== 0" if value.kind == "i1" else "")
    size = value.size // max(1, value.shape[0])
    return f"{name}.subarray({size} * {k}, {size} * ({k} + 1))"
