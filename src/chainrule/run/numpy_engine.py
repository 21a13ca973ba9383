"""The NumPy engine: a program run equation by equation. What it gives is the truth."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import AllocationError, ChainruleError, DomainError
from chainrule.ir.primitive import Primitive
from chainrule.ir.program import Constant, Equation, Operand, Program
from chainrule.tracing.division import divided, divides_whole, hearing
from chainrule.tracing.trace import apply


class Failed(Exception):
    """Native code met a value that an operation can't work with.

    What the user is to see follows from running the program again on the NumPy engine.
    """


class Step(NamedTuple):
    """An equation, its operands and results by their place in the table of values."""

    op: Primitive
    operands: tuple[int, ...]
    params: dict[str, Any]
    results: tuple[int, ...]
    weak: tuple[bool, ...]
    dead: tuple[int, ...]  # whose values nobody reads afterwards
    equation: Equation
    whole_division: bool


class NumpyExecutable:
    """A program, ready to run with NumPy."""

    llvm: str | None = None

    def __init__(self, program: Program) -> None:
        self.quiet = program.quiet
        self.places: dict[int, int] = {}
        self.constants: list[Any] = []
        self.inputs = tuple(self._variable(var.number) for var in program.inputs)
        self.weak = tuple(var.type.weak for var in program.inputs)
        self.captured = tuple(self._variable(var.number) for var, _ in program.captured)
        rows = []
        for equation in program.equations:
            operands = tuple(map(self._place, equation.inputs))
            results = tuple(self._variable(var.number) for var in equation.outputs)
            rows.append((equation, operands, results))
        self.outputs = tuple(map(self._place, program.outputs))
        self.steps = self._steps(rows)

    def _variable(self, number: int) -> int:
        place = self.places[number] = len(self.constants)
        self.constants.append(None)
        return place

    def _place(self, operand: Operand) -> int:
        if not isinstance(operand, Constant):
            return self.places[operand.number]
        self.constants.append(operand.value)
        return len(self.constants) - 1

    def _steps(self, rows: list[tuple[Equation, tuple[int, ...], tuple[int, ...]]]) -> list[Step]:
        """Last to first, so that it's known which reading of a value is the last."""
        alive = {*self.outputs, *self.inputs, *self.captured}
        steps = []
        for equation, operands, results in reversed(rows):
            dead = tuple({*operands, *results} - alive)
            alive.update(operands)
            weak = tuple(var.type.weak for var in equation.outputs)
            params = dict(equation.params)
            op = equation.primitive
            whole = divides_whole(equation)
            steps.append(Step(op, operands, params, results, weak, dead, equation, whole))
        steps.reverse()
        return steps

    def __call__(
        self, leaves: Sequence[Any], captured: Sequence[Any], out: list[Any] | None = None
    ) -> list[Any]:
        """The outputs, each an array of its own; written into `out` where that is given."""
        table = self.run(leaves, captured)
        given = [*leaves, *captured]
        results = []
        for place in self.outputs:
            value = table[place]
            if type(value) is np.ndarray and _shared(value, given):
                value = value.copy()
            given.append(value)
            results.append(value)
        if out is None:
            return results
        for target, value in zip(out, results, strict=True):
            target[...] = value
        return out

    def run(self, leaves: Sequence[Any], captured: Sequence[Any]) -> list[Any]:
        """The table of values after the last equation."""
        table = list(self.constants)
        for place, leaf, weak in zip(self.inputs, leaves, self.weak, strict=True):
            table[place] = python_number(leaf) if weak else leaf
        for place, array in zip(self.captured, captured, strict=True):
            table[place] = array
        # Compiled code doesn't warn of infinities and NaNs; of whole numbers only NumPy can tell.
        said = "" if self.quiet else np.geterr()["divide"]
        with hearing(said), np.errstate(all="ignore"):
            for step in self.steps:
                if step.whole_division:
                    divisor = table[step.operands[-1]]
                    divided(step.equation, functools.partial(self.perform, step, table), divisor)
                else:
                    self.perform(step, table)
                for place in step.dead:
                    table[place] = None
        return table

    def perform(self, step: Step, table: list[Any]) -> None:
        """One equation; what goes wrong is told with the line where the user wrote it."""
        try:
            result = apply(step.op, *[table[place] for place in step.operands], **step.params)
        except ChainruleError as error:
            error.locate(step.equation.place)
            raise
        except ValueError as error:
            raise DomainError(str(error), where=step.equation.place) from None
        except MemoryError as error:
            size = sum(var.type.size * var.type.dtype.itemsize for var in step.equation.outputs)
            raise AllocationError(
                "jit: there isn't enough memory to run this program",
                {"NumPy": error, "result": f"{size:,} bytes"},
                where=step.equation.place,
            ) from None
        parts = result if step.op.multiple else (result,)
        for place, part, weak in zip(step.results, parts, step.weak, strict=True):
            table[place] = python_number(part) if weak else part


def python_number(value: Any) -> Any:
    """One of Python's own numbers, out of NumPy's."""
    return value.item() if isinstance(value, (np.generic, np.ndarray)) else value


def _shared(value: np.ndarray, others: Sequence[Any]) -> bool:
    """Whether an array may lie in the memory of another, or of somebody else's."""
    if value.base is None and not any(value is other for other in others):
        return False
    return any(type(other) is np.ndarray and np.may_share_memory(value, other) for other in others)
