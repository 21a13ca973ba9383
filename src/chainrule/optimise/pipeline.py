"""The passes in their order."""

from __future__ import annotations

import dataclasses
from typing import Any

from chainrule.ir.program import Program
from chainrule.optimise.algebra import simplify
from chainrule.optimise.cleanup import fold, prune, share
from chainrule.optimise.inline import inline
from chainrule.optimise.lift import lifted
from chainrule.optimise.literal import literal
from chainrule.optimise.product import distribute
from chainrule.optimise.recompute import recompute
from chainrule.optimise.rotate import rotate

# One round finds nearly everything, as each pass sees what the equations before it became.
_ROUNDS = 4


def optimise(program: Program, *, closed: bool = False) -> Program:
    """A program that computes the same with fewer equations.

    Derivatives must have been taken before: it keeps values, not what they depend on.

    Args:
        closed: as the body of a loop, it may not come to have captured arrays, but for those that
            dissolved calls bring along, which `lifted` hands in.
    """
    program = _rounds(inside(inline(program)), closed)
    leaner = recompute(distribute(literal(program)))
    # What is computed again in a loop may be there already.
    return rotate(program if leaner is program else _rounds(inside(leaner), closed))


def _rounds(program: Program, closed: bool) -> Program:
    for _ in range(_ROUNDS):
        before = program
        program = prune(share(fold(simplify(program), closed=closed)))
        if program is before:
            break
    return program


def inside(program: Program) -> Program:
    """The same for the programs that equations hold: bodies of loops and branches."""
    equations = []
    for equation in program.equations:
        params = {name: _optimised(value) for name, value in equation.params.items()}
        if any(params[name] is not value for name, value in equation.params.items()):
            equation = dataclasses.replace(equation, params=params)
        equations.append(equation)
    if all(new is old for new, old in zip(equations, program.equations, strict=True)):
        return program
    return lifted(dataclasses.replace(program, equations=tuple(equations)))


def _optimised(value: Any) -> Any:
    if isinstance(value, Program):
        return optimise(value, closed=True)
    if type(value) is tuple and any(isinstance(part, Program) for part in value):
        parts = tuple(map(_optimised, value))
        return value if all(a is b for a, b in zip(parts, value, strict=True)) else parts
    return value
