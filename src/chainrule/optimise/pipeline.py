"""The passes in their order."""

from __future__ import annotations

from chainrule.ir.program import Program
from chainrule.optimise.algebra import simplify
from chainrule.optimise.cleanup import fold, prune, share
from chainrule.optimise.inline import inline

# One round finds nearly everything, as each pass sees what the equations before it became.
_ROUNDS = 4


def optimise(program: Program) -> Program:
    """A program that computes the same with fewer equations.

    Derivatives must have been taken before: it keeps values, not what they depend on.
    """
    program = inline(program)
    for _ in range(_ROUNDS):
        before = program
        program = prune(share(fold(simplify(program))))
        if program is before:
            break
    return program
