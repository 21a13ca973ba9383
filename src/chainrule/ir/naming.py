"""Names for the variables of a program: those that the user's text gives them, else letters."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from chainrule.base.bytecode import RETURNED, destination, unpacked
from chainrule.base.place import Place
from chainrule.ir.program import Equation, Operand, Program, Var


def named(
    program: Program,
    outside: Place | None = None,
    captured: Callable[[Any], str | None] = lambda value: None,
) -> Program:
    """The same program, its variables called as the user's text calls them.

    A name that is assigned again gets a number: l, l_2, l_3. What has no name gets a letter that
    is nobody's name.

    Args:
        program: traced, with or without origins.
        outside: where the user asked for it; what was recorded there is no result of the text's.
        captured: what the user calls an array from outside, where the trace didn't ask.
    """
    wishes = _wishes(program, outside)
    for var, value in program.captured:
        wish = captured(value)
        if wish is not None:
            wishes.setdefault(var.number, (wish, False))
    labels: dict[int, str] = {}
    taken = Taken()
    for var in program.variables():
        if var.label is not None:
            labels[var.number] = taken.take(var.label)
    for var in program.variables():
        if var.number in labels or var.number not in wishes:
            continue
        wish, only_if_free = wishes[var.number]
        if only_if_free and wish in taken:
            continue
        labels[var.number] = taken.take(wish)
    return relabelled(program, labels)


class Taken:
    """The names that are somebody's."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._last: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def take(self, wish: str) -> str:
        """The name itself, or the first of name_2, name_3 … that is nobody's yet."""
        found, number = wish, self._last.get(wish, 1)
        while found in self.names:
            number += 1
            found = f"{wish}_{number}"
        self._last[wish] = number
        self.names.add(found)
        return found


# ---- what the text says --------------------------------------------------------------------------


def _wishes(program: Program, outside: Place | None) -> dict[int, tuple[str, bool]]:
    """Variable → the name that the text gives it, and whether it's to have it only if free."""
    wishes: dict[int, tuple[str, bool]] = {}
    before: Place | None = None
    row = 0
    for group in _visits(program.equations):
        last = group[-1]
        place = last.place
        row = row + 1 if place == before else 0
        before = place
        if place is None or place == outside or last.backward:
            continue
        each = unpacked(place.code, place.lasti)
        if len(each) == len(group):  # parts taken out one by one
            pairs = zip(group, each, strict=True)
            wishes.update((e.outputs[0].number, (name, False)) for e, name in pairs)
            continue
        names, only_if_free = _names(last, place)
        if len(last.outputs) == 1 and row < len(each):
            names = (each[row],)
        if len(names) == len(last.outputs):
            wishes.update(
                (var.number, (name, only_if_free))
                for var, name in zip(last.outputs, names, strict=True)
                if name != "_"
            )
    return wishes


def _visits(equations: Iterable[Equation]) -> Iterable[list[Equation]]:
    """The equations of one call in the user's text at a time, those of derivatives left out."""
    group: list[Equation] = []
    for equation in equations:
        if equation.backward:
            continue
        if group:
            same = equation.place == group[-1].place and equation.visit == group[-1].visit
            if not same:
                yield group
                group = []
        group.append(equation)
    if group:
        yield group


def _names(equation: Equation, place: Place) -> tuple[tuple[str, ...], bool]:
    """The names of its results; of what a function returns those that the caller gives it."""
    names = destination(place.code, place.lasti)
    callers = [scope.place for scope in equation.path if scope.kind != "loop"]
    returned = []
    while names == (RETURNED,):
        returned.append(place.code.co_name)
        caller = callers.pop() if callers else None
        if caller is None:
            break
        place = caller
        names = destination(place.code, place.lasti)
    if names and names != (RETURNED,):
        return names, False
    functions = [name for name in returned if name.isidentifier()]
    return tuple(functions[-1:]), True


# ---- the program under new names -----------------------------------------------------------------


def relabelled(program: Program, labels: Mapping[int, str]) -> Program:
    """The program with these labels, by variable, and compact letters for everything else."""
    taken = set(labels.values())
    variables: dict[int, Var] = {}
    number = 0
    used = {a.number for e in program.equations for a in e.inputs if isinstance(a, Var)}
    used |= {a.number for a in program.outputs if isinstance(a, Var)}
    # What nobody reads has the last letters.
    for var in sorted(program.variables(), key=lambda var: var.number not in used):
        if var.number not in labels:
            fresh = replace(var, number=number)
            while fresh.name in taken:
                number += 1
                fresh = replace(var, number=number)
            variables[var.number] = fresh
            number += 1
    for var in program.variables():
        if var.number in labels:
            variables[var.number] = replace(var, number=number, label=labels[var.number])
            number += 1

    def read(a: Operand) -> Operand:
        return variables[a.number] if isinstance(a, Var) else a

    equations = tuple(
        replace(
            equation,
            inputs=tuple(map(read, equation.inputs)),
            outputs=tuple(variables[var.number] for var in equation.outputs),
            params=_inside(equation, labels),
        )
        for equation in program.equations
    )
    return replace(
        program,
        inputs=tuple(variables[var.number] for var in program.inputs),
        captured=tuple((variables[var.number], value) for var, value in program.captured),
        equations=equations,
        outputs=tuple(map(read, program.outputs)),
    )


def _inside(equation: Equation, labels: Mapping[int, str]) -> dict[str, Any]:
    """The parameters of an equation, the programs in it under their own names."""
    return {
        key: _each(value, functools.partial(_body, equation, key, labels))
        for key, value in equation.params.items()
    }


def _each(value: Any, change: Callable[[Program], Program]) -> Any:
    if isinstance(value, Program):
        return change(value)
    if type(value) is tuple and any(isinstance(part, Program) for part in value):
        return tuple(_each(part, change) for part in value)
    return value


def _body(equation: Equation, key: str, labels: Mapping[int, str], body: Program) -> Program:
    """A program inside an equation; what it sees from outside is called as it is outside."""
    outer = [labels.get(a.number) if isinstance(a, Var) else None for a in _seen(equation, key)]
    inputs = tuple(
        var if label is None else replace(var, label=label)
        for var, label in zip_longest(body.inputs, outer[: len(body.inputs)])
    )
    same = {before.number: after for before, after in zip(body.inputs, inputs, strict=True)}
    return named(reread(replace(body, inputs=inputs), same))


def _seen(equation: Equation, key: str) -> Sequence[Operand]:
    """The operands that a body gets first, and unchanged in every turn."""
    consts = equation.params.get("consts", 0)
    if equation.primitive.name == "scan":
        return equation.inputs[:consts]
    if equation.primitive.name == "while":
        first = equation.params["cond_consts"]
        return equation.inputs[:first] if key == "cond" else equation.inputs[first:][:consts]
    return equation.inputs[1:] if equation.primitive.name == "cond" else ()


def reread(program: Program, names: Mapping[int, Var]) -> Program:
    """The program with some variables read under other names."""

    def read(a: Operand) -> Operand:
        return names.get(a.number, a) if isinstance(a, Var) else a

    equations = tuple(
        replace(equation, inputs=tuple(map(read, equation.inputs)))
        for equation in program.equations
    )
    return replace(program, equations=equations, outputs=tuple(map(read, program.outputs)))
