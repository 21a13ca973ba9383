"""Choices made plainer: those that are known, that ask for a condition, that a gradient repeats."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from chainrule.ir.program import Constant, Equation, Operand, Var
from chainrule.optimise.rewrite import Rewrite, operand_type, same_type


def plainer_choice(rewrite: Rewrite, equation: Equation) -> Operand | None:
    """What stands for an equation that needn't choose, or needn't ask what was chosen."""
    if equation.primitive.name == "select":
        return _known_choice(rewrite, equation) or _itself(equation)
    return _condition(rewrite, equation) if equation.primitive.name == "not_equal" else None


def _known_choice(rewrite: Rewrite, equation: Equation) -> Operand | None:
    """What np.where gives where it's known to take the same side everywhere."""
    condition, x, y = equation.inputs
    spread = rewrite.maker(condition, "broadcast_to")
    taken = _known(rewrite, condition if spread is None else spread.inputs[0])
    if taken is None:
        return None
    side = x if taken.all() else y if not taken.any() else None
    fits = side is not None and same_type(operand_type(side), equation.outputs[0].type)
    return side if fits else None


def _known(rewrite: Rewrite, operand: Operand) -> Any:
    if isinstance(operand, Constant):
        return np.asarray(operand.value)
    values = (value for var, value in rewrite.captured if var is operand)
    return next(map(np.asarray, values), None)


def _itself(equation: Equation) -> Operand | None:
    """c, where np.where(c, True, False) stands."""
    condition, x, y = equation.inputs
    sides = [a.value if isinstance(a, Constant) else None for a in (x, y)]
    plain = all(a is not None and np.asarray(a).dtype == bool for a in sides)
    fits = plain and np.all(sides[0]) and not np.any(sides[1])
    return condition if fits and _same_outcome(condition, equation) else None


def _condition(rewrite: Rewrite, equation: Equation) -> Operand | None:
    """c, where an equation asks whether np.where(c, numbers that aren't 0, 0) is 0."""
    if not _all_zero(equation.inputs[1]):
        return None
    choice = rewrite.maker(equation.inputs[0], "select")
    if choice is None or not _all_zero(choice.inputs[2]):
        return None
    condition, taken, _ = choice.inputs
    numbers = isinstance(taken, Constant) and bool(np.all(np.not_equal(taken.value, 0)))
    return condition if numbers and _same_outcome(condition, equation) else None


def _same_outcome(condition: Operand, equation: Equation) -> bool:
    return same_type(operand_type(condition), equation.outputs[0].type)


def one_choice(rewrite: Rewrite, equation: Equation) -> Equation:
    """np.where(c, a * b, 0) for np.where(c, a, 0) * np.where(c, b, 0) of a gradient."""
    if equation.primitive.name != "multiply" or not equation.backward:
        return equation
    left, right = (rewrite.maker(a, "select") for a in equation.inputs)
    if left is None or right is None or not _same(left.inputs[0], right.inputs[0]):
        return equation
    condition, x, zero = left.inputs
    y, other = right.inputs[1:]
    if not (_all_zero(zero) and _all_zero(other)):
        return equation
    product = equation.primitive.type_rule(operand_type(x), operand_type(y))
    kinds = (operand_type(condition), product, operand_type(zero))
    if not same_type(left.primitive.type_rule(*kinds), equation.outputs[0].type):
        return equation
    rewrite.changed = True
    made = rewrite.var(product)
    rewrite.keep(dataclasses.replace(equation, inputs=(x, y), outputs=(made,)))
    return dataclasses.replace(equation, primitive=left.primitive, inputs=(condition, made, zero))


def _same(a: Operand, b: Operand) -> bool:
    return isinstance(a, Var) and isinstance(b, Var) and a.number == b.number


def _all_zero(operand: Operand) -> bool:
    return isinstance(operand, Constant) and bool(np.all(np.equal(operand.value, 0)))
