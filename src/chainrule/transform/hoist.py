"""What every step of a loop would compute alike, computed once before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from chainrule.ir.program import Equation, Program, Var
from chainrule.tracing.recording import RECORDING
from chainrule.tracing.stage import evaluate
from chainrule.transform.derive import Flags, in_place, remembered, where_true


class _Parts(NamedTuple):
    """A body in two: (*consts) → values, and (*values, *consts left, *inputs) → outputs."""

    before: Program
    inside: Program
    left: Flags


def hoisted(body: Program, consts: Sequence[Any]) -> tuple[Program, tuple[Any, ...]]:
    """A body without what doesn't change from step to step, and what its consts are then.

    Its derivative gains most: the cotangent of one row of a table is added up as a row, not as a
    table that is zero elsewhere.

    Args:
        body: closed; its first inputs are the consts.
        consts: their values.
    """
    count = len(consts)
    parts = remembered(body, ("hoisted", count), lambda: _parted(body, count))
    if parts is None:
        return body, tuple(consts)
    return parts.inside, (*_evaluated(parts.before, consts), *where_true(consts, parts.left))


def _evaluated(program: Program, leaves: Sequence[Any]) -> list[Any]:
    """What a program computes, each equation recorded at the user's line that it came from."""
    if RECORDING.origin is not None:  # a derivative's own loop: all of it belongs to one line
        return evaluate(program, *leaves)
    return in_place(program, leaves)


def _parted(body: Program, count: int) -> _Parts | None:
    fixed = {var.number: var for var in body.inputs[:count]}
    first: list[Equation] = []
    rest: list[Equation] = []
    for equation in body.equations:
        if _steady(equation, fixed):
            fixed.update((var.number, var) for var in equation.outputs)
            first.append(equation)
        else:
            rest.append(equation)
    if not first:
        return None
    read = {a.number for equation in rest for a in equation.inputs if isinstance(a, Var)}
    read |= {out.number for out in body.outputs if isinstance(out, Var)}
    left = tuple(var.number in read for var in body.inputs[:count])
    made = tuple(var for e in first for var in e.outputs if var.number in read)
    before = replace(
        body, inputs=body.inputs[:count], equations=tuple(first), outputs=made, quiet=body.quiet
    )
    heads = (*made, *where_true(body.inputs[:count], left))
    inside = replace(body, inputs=(*heads, *body.inputs[count:]), equations=tuple(rest))
    return _Parts(before, inside, left)


def _steady(equation: Equation, fixed: dict[int, Var]) -> bool:
    """Whether an equation gives the same at each step, in no more memory than it reads."""
    reads = [a for a in equation.inputs if isinstance(a, Var)]
    if not reads or any(a.number not in fixed for a in reads):
        return False
    if any(var.type.weak for var in equation.outputs):
        return False
    made = sum(var.type.size for var in equation.outputs)
    return made <= sum(var.type.size for var in {a.number: a for a in reads}.values())
