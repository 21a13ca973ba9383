"""check_nan: a program run operation by operation, stopping where a NaN first appears."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import DomainError
from chainrule.ir.program import Equation, Program
from chainrule.ir.types import type_of
from chainrule.run.numpy_engine import NumpyExecutable, Step
from chainrule.tracing.runner import as_output, output_kind, running_by


class CheckedExecutable(NumpyExecutable):
    """The NumPy engine, looking at every result.

    Args:
        around: of a body the loop or branch that it belongs to.
    """

    def __init__(self, program: Program, around: Equation | None = None) -> None:
        super().__init__(program)
        self.program = program
        self.around = around

    def run(self, leaves: Sequence[Any], captured: Sequence[Any]) -> list[Any]:
        variables = (*self.program.inputs, *(var for var, _ in self.program.captured))
        for var, value in zip(variables, (*leaves, *captured), strict=True):
            if self.around is None and has_nan(value):
                name = f"the argument {var.label}" if var.label else "an array from outside"
                raise DomainError(
                    f"check_nan: {name} holds NaN already",
                    {"value": f"{type_of(value)}, {count(value)} of its entries NaN"},
                    "nothing has been computed yet: look at where it comes from",
                )
        return super().run(leaves, captured)

    def perform(self, step: Step, table: list[Any]) -> None:
        super().perform(step, table)
        for k, place in enumerate(step.results):
            if has_nan(table[place]):
                self._look_inside(step, table)
                raise self._error(step, k, table)

    def _look_inside(self, step: Step, table: list[Any]) -> None:
        """Run a loop or a branch once more, looking at every result on its way."""
        if any(isinstance(part, Program) for p in step.params.values() for part in _parts(p)):
            with running_by(functools.partial(_checked, around=step.equation)):
                step.op.value(*[table[place] for place in step.operands], **step.params)

    def _error(self, step: Step, k: int, table: list[Any]) -> DomainError:
        equation = step.equation
        value = table[step.results[k]]
        backward = equation.backward or (self.around is not None and self.around.backward)
        facts = {
            "operation": equation.primitive.name,
            "direction": "backward" if backward else "forward",
            "result": f"{type_of(value)}, {count(value)} of its entries NaN",
        }
        for number, place in enumerate(step.operands):
            facts[f"operand {number}"] = _shown(table[place])
        if equation.place is not None:
            facts["expression"] = equation.place.text
        if self.around is not None and self.around.place is not None:
            facts["inside"] = f"{self.around.primitive.name}, {self.around.place}"
        problem = "a NaN appears here first"
        if backward:
            problem = "a NaN appears here first, in the derivative of this line taken backwards"
        return DomainError(
            f"check_nan: {problem}",
            facts,
            "keep its operands where it is defined: np.where(x > 0, x, 1) before the operation, "
            "np.maximum(x, tiny)",
            where=equation.place,
        )


def _parts(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _checked(program: Program, around: Equation) -> Callable[..., list[Any]]:
    """What runs a body in the same way."""
    executable = CheckedExecutable(program, around)
    kinds = [output_kind(out) for out in program.outputs]

    def run(*leaves: Any) -> list[Any]:
        with running_by(None):  # a loop within it is looked into when a NaN comes out of it
            results = executable(leaves, [array for _, array in program.captured])
        return list(map(as_output, results, kinds))

    return run


def has_nan(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind in "fc" and bool(np.isnan(array).any())


def count(value: Any) -> int:
    return int(np.isnan(np.asarray(value)).sum())


def _shown(value: Any) -> str:
    array = np.asarray(value)
    if array.size <= 6:
        return " ".join(f"{value!s}".split())
    finite = array[np.isfinite(array)] if array.dtype.kind in "fc" else array
    if array.dtype.kind == "c" or not finite.size:
        return str(type_of(array))
    return f"{type_of(array)}, from {finite.min():.6g} to {finite.max():.6g}"
