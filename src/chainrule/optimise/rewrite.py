"""What every pass does: walk a program first to last, and put operands in place of results."""

from __future__ import annotations

import dataclasses

import numpy as np

from chainrule.ir.program import Equation, Operand, Program, Var
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops.family import PRIMITIVES

_COPY = PRIMITIVES["copy"]


class Rewrite:
    """A program being rewritten. Variables keep their numbers; new ones come after all others."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.equations: list[Equation] = []
        self.captured = list(program.captured)
        self.stands: dict[int, Operand] = {}  # what stands for a variable that is gone
        self.made: dict[int, Equation] = {}  # the equation a variable comes from
        self.changed = False
        self.next = 1 + max((var.number for var in program.variables()), default=-1)

    def current(self, equation: Equation) -> Equation:
        """The equation, reading what stands for its operands now."""
        stands = self.stands
        if not stands:
            return equation
        for a in equation.inputs:
            if type(a) is Var and a.number in stands:
                inputs = tuple(map(self.read, equation.inputs))
                return dataclasses.replace(equation, inputs=inputs)
        return equation

    def read(self, operand: Operand) -> Operand:
        if type(operand) is Var:
            return self.stands.get(operand.number, operand)
        return operand

    def keep(self, equation: Equation) -> None:
        self.equations.append(equation)
        for var in equation.outputs:
            self.made[var.number] = equation

    def maker(self, operand: Operand, name: str) -> Equation | None:
        """The equation an operand comes from, if it is of this operation."""
        if type(operand) is not Var:
            return None
        equation = self.made.get(operand.number)
        return equation if equation is not None and equation.primitive.name == name else None

    def var(self, kind: ArrayType) -> Var:
        self.next += 1
        return Var(self.next - 1, kind)

    def capture(self, array: np.ndarray) -> Var:
        var = self.var(type_of(array))
        self.captured.append((var, array))
        return var

    def replace(self, var: Var, operand: Operand, equation: Equation) -> bool:
        """Let an operand of the same shape and dtype stand for a variable of this equation.

        A Python number and one of NumPy's mean different things to what reads them: where just
        that differs a copy stays, which costs nothing in compiled code. Returns False if so.
        """
        self.changed = True
        if same_type(var.type, operand_type(operand)):
            self.stands[var.number] = operand
            return True
        copy = Equation(
            _COPY, (operand,), {"order": "K"}, (var,), equation.place, equation.backward
        )
        self.keep(copy)
        return False

    def finish(self) -> Program:
        """The new program; the old one if nothing changed."""
        if not self.changed:
            return self.program
        return dataclasses.replace(
            self.program,
            captured=tuple(self.captured),
            equations=tuple(self.equations),
            outputs=tuple(map(self.read, self.program.outputs)),
        )


def operand_type(operand: Operand) -> ArrayType:
    return operand.type if type(operand) is Var else type_of(operand.value)  # type: ignore[union-attr]


def same_type(left: ArrayType, right: ArrayType) -> bool:
    return left.shape == right.shape and left.dtype == right.dtype and left.weak == right.weak
