"""Is a program well formed? Every value defined once, before its use, with the type it claims."""

from __future__ import annotations

from chainrule.base.errors import InternalError
from chainrule.ir.program import Constant, Equation, Operand, Program, Var
from chainrule.ir.types import ArrayType, type_of


def verify(program: Program) -> Program:
    """Return the program unchanged, or raise InternalError naming the first faulty equation."""
    defined: set[int] = set()
    for var in (*program.inputs, *(var for var, _ in program.captured)):
        _define(program, var, defined)
    for equation in program.equations:
        for operand in equation.inputs:
            _check_use(program, operand, defined)
        _check_types(program, equation)
        for var in equation.outputs:
            _define(program, var, defined)
    for operand in program.outputs:
        _check_use(program, operand, defined)
    return program


def _define(program: Program, var: Var, defined: set[int]) -> None:
    if var.number in defined:
        raise _fault(program, f"{var.name} is defined twice")
    defined.add(var.number)


def _check_use(program: Program, operand: Operand, defined: set[int]) -> None:
    if isinstance(operand, Var) and operand.number not in defined:
        raise _fault(program, f"{operand.name} is used before it is defined")


def _check_types(program: Program, equation: Equation) -> None:
    op = equation.primitive
    kinds = [_operand_type(operand) for operand in equation.inputs]
    outcome = op.type_rule(*kinds, **equation.params)
    wanted = outcome if op.multiple else (outcome,)
    claimed = tuple(var.type for var in equation.outputs)
    if [(t.shape, t.dtype) for t in wanted] != [(t.shape, t.dtype) for t in claimed]:
        shown = ", ".join(map(str, wanted))
        raise _fault(program, f"{op.name} gives {shown}, not {', '.join(map(str, claimed))}")


def _operand_type(operand: Operand) -> ArrayType:
    return type_of(operand.value) if isinstance(operand, Constant) else operand.type


def _fault(program: Program, problem: str) -> InternalError:
    return InternalError(f"an ill-formed program: {problem}", {"program": f"\n{program}"})
