"""Whether a loop ends, whatever became of some of the values in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chainrule.ir.program import Equation, Operand, Program, Var


def ends_anyway(loop: Equation, flags: Sequence[bool]) -> bool:
    """Whether a `while` has an end that doesn't depend on the operands flagged.

    Its condition asks nothing of what depends on them, or it is an `and` with such a part, which
    depends on something that changes from turn to turn, as a count of turns does.
    """
    params = loop.params
    cond, body = params["cond"], params["body"]
    asked, consts = params["cond_consts"], params["consts"]
    fixed, state = flags[asked : asked + consts], list(flags[asked + consts :])
    while True:
        touched = _depending(body, _flagged(body, [*fixed, *state]))
        grown = [a or _is_in(out, touched) for a, out in zip(state, body.outputs, strict=True)]
        if grown == state:
            break
        state = grown
    touched = _depending(cond, _flagged(cond, [*flags[:asked], *state]))
    changing = [new is not old for new, old in zip(body.outputs, body.inputs[consts:], strict=True)]
    counted = _depending(cond, _flagged(cond, [*[False] * asked, *changing]), False)
    (answer,) = cond.outputs
    if not _is_in(answer, touched):
        return True
    parts = list(_conjuncts(cond, answer))
    return any(_is_in(part, counted) and not _is_in(part, touched) for part in parts)


def _is_in(operand: Operand, numbers: set[int]) -> bool:
    return type(operand) is Var and operand.number in numbers


def _flagged(program: Program, flags: Sequence[bool]) -> set[int]:
    pairs = zip(program.inputs, flags, strict=True)
    return {var.number for var, flag in pairs if flag}


def _depending(program: Program, numbers: set[int], withheld: bool = True) -> set[int]:
    """The variables that depend on these, or on something withheld."""
    found = set(numbers)
    for equation in program.equations:
        starts = withheld and mentions(equation, "withhold")
        if starts or any(_is_in(a, found) for a in equation.inputs):
            found.update(var.number for var in equation.outputs)
    return found


def mentions(equation: Equation, name: str) -> bool:
    """Whether an equation is of this operation, or runs a program with one."""
    if equation.primitive.name == name:
        return True
    values = [v for p in equation.params.values() for v in (p if type(p) is tuple else (p,))]
    programs = [value for value in values if isinstance(value, Program)]
    return any(mentions(inner, name) for program in programs for inner in program.equations)


def _conjuncts(program: Program, operand: Operand) -> Iterator[Operand]:
    """What all has to hold for this to hold."""
    makers = {var.number: e for e in program.equations for var in e.outputs}
    waiting = [operand]
    while waiting:
        part = waiting.pop()
        maker = makers.get(part.number) if type(part) is Var else None
        if maker is not None and maker.primitive.name in ("logical_and", "bitwise_and"):
            waiting += maker.inputs
        else:
            yield part
