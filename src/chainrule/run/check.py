"""check_nan: a program run operation by operation, stopping where a NaN first appears."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import DomainError
from chainrule.ir.program import Program
from chainrule.ir.types import type_of
from chainrule.run.numpy_engine import NumpyExecutable, Step


class CheckedExecutable(NumpyExecutable):
    """The NumPy engine, looking at every result."""

    def __init__(self, program: Program) -> None:
        super().__init__(program)
        self.program = program

    def run(self, leaves: Sequence[Any], captured: Sequence[Any]) -> list[Any]:
        variables = (*self.program.inputs, *(var for var, _ in self.program.captured))
        for var, value in zip(variables, (*leaves, *captured), strict=True):
            if has_nan(value):
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
                raise self._error(step, k, table)

    def _error(self, step: Step, k: int, table: list[Any]) -> DomainError:
        equation = step.equation
        value = table[step.results[k]]
        facts = {
            "operation": equation.primitive.name,
            "direction": "backward" if equation.backward else "forward",
            "result": f"{type_of(value)}, {count(value)} of its entries NaN",
        }
        for number, place in enumerate(step.operands):
            facts[f"operand {number}"] = _shown(table[place])
        if equation.place is not None:
            facts["expression"] = equation.place.text
        problem = "a NaN appears here first"
        if equation.backward:
            problem = "a NaN appears here first, in the derivative of this line taken backwards"
        return DomainError(
            f"check_nan: {problem}",
            facts,
            "keep its operands where it is defined: np.where(x > 0, x, 1) before the operation, "
            "np.maximum(x, tiny)",
            where=equation.place,
        )


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
