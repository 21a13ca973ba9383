"""Updates of large arrays at the end of a loop's turn, moved to the beginning of the next one.

A training step ends by changing its weights entry by entry, and the next one begins by reading them
all. Where a change takes little besides the weights themselves (a vector per side: their outer
product), that little is carried over, and one sweep through memory does both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chainrule.ir.program import Constant, Equation, Operand, Program, Var
from chainrule.ir.types import ArrayType
from chainrule.ops.family import PRIMITIVES
from chainrule.optimise.rewrite import Rewrite, same_type

_LARGE = 1 << 16  # bytes that don't stay in the nearest cache
_LITTLE = 8  # how many times smaller than the array is what is carried over for its change
_CHANGES = ("add", "subtract", "multiply", "negative")


@dataclass(frozen=True)
class _Update:
    """How a carried array becomes the next one.

    Attributes:
        place: which of the carried values it is.
        equations: what computes it, entry by entry, and nothing else does so.
        small: what that reads of the same turn.
    """

    place: int
    equations: tuple[Equation, ...]
    small: tuple[Var, ...]


def rotate(program: Program) -> Program:
    """The program with loops whose turns begin with the updates that ended the turns before."""
    if all(equation.primitive.name != "scan" for equation in program.equations):
        return program
    rewrite = Rewrite(program)
    for equation in program.equations:
        updates = _updates(equation) if equation.primitive.name == "scan" else []
        if updates:
            _rotated(rewrite, equation, updates)
            rewrite.changed = True
        else:
            rewrite.keep(equation)
    return rewrite.finish()


# ---- which ---------------------------------------------------------------------------------------


def _updates(loop: Equation) -> list[_Update]:
    """The updates in a loop's body that are worth moving."""
    body: Program = loop.params["body"]
    consts, carry = loop.params["consts"], loop.params["carry"]
    if loop.params["length"] < 2:
        return []
    made = {var.number: e for e in body.equations for var in e.outputs}
    readers: dict[int, list[Equation | None]] = {}
    for equation in body.equations:
        for operand in equation.inputs:
            if isinstance(operand, Var):
                readers.setdefault(operand.number, []).append(equation)
    for operand in body.outputs:
        if isinstance(operand, Var):
            readers.setdefault(operand.number, []).append(None)
    fixed = {var.number for var in body.inputs[:consts]}
    found = []
    for place in range(carry):
        given, result = body.inputs[consts + place], body.outputs[place]
        size = given.type.size * given.type.dtype.itemsize
        if size < _LARGE or not isinstance(result, Var) or result.number not in made:
            continue
        update = _update(place, given, result, made, readers, fixed)
        if update is not None:
            found.append(update)
    return found


def _update(
    place: int,
    given: Var,
    result: Var,
    made: Mapping[int, Equation],
    readers: Mapping[int, list[Equation | None]],
    fixed: set[int],
) -> _Update | None:
    """How one carried array is updated, if that can wait."""
    inside: dict[int, Equation] = {}
    small: dict[int, Var] = {}
    todo = [result]
    while todo:
        var = todo.pop()
        if var.number == given.number or var.number in fixed or var.number in inside:
            continue
        if var.type.size * _LITTLE <= given.type.size:
            small[var.number] = var
            continue
        equation = made.get(var.number)
        if equation is None or equation.primitive.name not in _CHANGES:
            return None
        if not same_type(var.type, given.type):
            return None
        inside[var.number] = equation
        todo += [operand for operand in equation.inputs if isinstance(operand, Var)]
    for number in inside:
        others = [e for e in readers[number] if e is None or e.outputs[0].number not in inside]
        if len(others) != (number == result.number) or any(e is not None for e in others):
            return None
    outside = [e for e in readers[given.number] if e is None or e.outputs[0].number not in inside]
    if not any(_sweeps(e, given) for e in outside) or any(var.type.weak for var in small.values()):
        return None
    order = [equation for number, equation in made.items() if number in inside]
    return _Update(place, tuple(order), tuple(small.values()))


def _sweeps(equation: Equation | None, array: Var) -> bool:
    """Whether an equation is a product of the array with a vector."""
    if equation is None or equation.primitive.name != "matmul":
        return False
    others = [o for o in equation.inputs if o is not array]
    return len(others) == 1 and isinstance(others[0], Var) and len(others[0].type.shape) == 1


# ---- moved ---------------------------------------------------------------------------------------


def _rotated(rewrite: Rewrite, loop: Equation, updates: Sequence[_Update]) -> None:
    """The loop, carrying what the updates need, and the last updates after it."""
    loop = rewrite.current(loop)
    consts, carry = loop.params["consts"], loop.params["carry"]
    small = list({var.number: var for update in updates for var in update.small}.values())
    started = Constant(np.False_)
    zeros = [_zeros(rewrite, var, loop) for var in small]
    body = _body(loop.params["body"], consts, carry, updates, small)
    outputs = list(loop.outputs)
    for update in updates:
        outputs[update.place] = rewrite.var(outputs[update.place].type)
    kept = [rewrite.var(var.type) for var in small]
    flag = rewrite.var(body.inputs[consts + carry + len(small)].type)
    first = consts + carry
    rewrite.keep(
        dataclasses.replace(
            loop,
            inputs=(*loop.inputs[:first], *zeros, started, *loop.inputs[first:]),
            outputs=(*outputs[:carry], *kept, flag, *outputs[carry:]),
            params={**loop.params, "body": body, "carry": carry + len(small) + 1},
        )
    )
    inner: Program = loop.params["body"]
    names: dict[int, Operand] = dict(
        zip((var.number for var in inner.inputs[:consts]), loop.inputs[:consts], strict=True)
    )
    names.update((var.number, new) for var, new in zip(small, kept, strict=True))
    for update in updates:
        names[inner.inputs[consts + update.place].number] = outputs[update.place]
        last = update.equations[-1].outputs[0]
        for equation in update.equations:
            var = equation.outputs[0]
            new = loop.outputs[update.place] if var is last else rewrite.var(var.type)
            rewrite.keep(_renamed(equation, names, new))
            names[var.number] = new


def _zeros(rewrite: Rewrite, var: Var, loop: Equation) -> Operand:
    """Anything to begin with: it isn't used."""
    zero = Constant(var.type.dtype.type(0))
    if not var.type.shape:
        return zero
    new = rewrite.var(var.type)
    rewrite.keep(
        Equation(PRIMITIVES["broadcast_to"], (zero,), {"shape": var.type.shape}, (new,), loop.place)
    )
    return new


def _body(
    body: Program, consts: int, carry: int, updates: Sequence[_Update], small: Sequence[Var]
) -> Program:
    """One turn: the updates of the one before, unless this is the first; then all the rest."""
    rewrite = Rewrite(body)
    before = [rewrite.var(var.type) for var in small]
    started = rewrite.var(ArrayType((), np.dtype(bool)))
    names: dict[int, Operand] = {var.number: new for var, new in zip(small, before, strict=True)}
    outputs: list[Operand] = list(body.outputs)
    moved = {id(equation) for update in updates for equation in update.equations}
    for update in updates:
        given = body.inputs[consts + update.place]
        for equation in update.equations:
            new = rewrite.var(equation.outputs[0].type)
            rewrite.keep(_renamed(equation, names, new))
            names[equation.outputs[0].number] = new
        now, last = rewrite.var(given.type), update.equations[-1]
        choice = (started, names[last.outputs[0].number], given)
        rewrite.keep(Equation(PRIMITIVES["select"], choice, {}, (now,), last.place, last.backward))
        rewrite.stands[given.number] = now
        outputs[update.place] = now
    for equation in body.equations:
        if id(equation) not in moved:
            rewrite.keep(rewrite.current(equation))
    first = consts + carry
    ends: tuple[Operand, ...] = (*small, Constant(np.True_))
    return dataclasses.replace(
        body,
        inputs=(*body.inputs[:first], *before, started, *body.inputs[first:]),
        equations=tuple(rewrite.equations),
        outputs=tuple(map(rewrite.read, (*outputs[:carry], *ends, *outputs[carry:]))),
    )


def _renamed(equation: Equation, names: Mapping[int, Operand], output: Var) -> Equation:
    inputs = tuple(names.get(o.number, o) if isinstance(o, Var) else o for o in equation.inputs)
    return dataclasses.replace(equation, inputs=inputs, outputs=(output,))
