"""Programs as values: every equation by its primitive's own `lower` rule, or by a call back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.ir.primitive import Scalar
from chainrule.ir.program import Constant, Equation, Operand, Program, Var
from chainrule.ir.types import ArrayType, result_dtype, type_of
from chainrule.loops.scalar import Node, cast, scalar_type
from chainrule.loops.value import Builder, Value


@dataclass(frozen=True, eq=False)
class Callback:
    """An equation that the NumPy engine runs, in the middle of native code."""

    equation: int


@dataclass(eq=False)
class Lowered:
    """A program's values: its inputs (arguments, then captured arrays, then literal arrays)."""

    builder: Builder
    inputs: list[Value]
    literals: list[np.ndarray]
    outputs: list[Value]
    native: list[bool]  # per equation


def lower(program: Program) -> Lowered:
    """The values of a program, in order."""
    b = Builder()
    literals: list[np.ndarray] = []
    env: dict[int, Value] = {}
    inputs = [b.input(var.type.shape, var.type.dtype) for var in program.inputs]
    inputs += [b.input(var.type.shape, var.type.dtype) for var, _ in program.captured]
    heads = [*program.inputs, *[var for var, _ in program.captured]]
    env.update((var.number, value) for var, value in zip(heads, inputs, strict=True))

    def read(operand: Operand) -> Value:
        if isinstance(operand, Constant):
            return _constant(b, operand.value, inputs, literals)
        return env[operand.number]

    native = []
    for number, equation in enumerate(program.equations):
        b.place, b.equation = equation.place, number
        values = [read(operand) for operand in equation.inputs]
        results = _lowered(b, equation, values)
        native.append(results is not None)
        if results is None:
            kinds = [(var.type.shape, var.type.dtype) for var in equation.outputs]
            variables = [v for v, o in zip(values, equation.inputs, strict=True) if isinstance(o, Var)]
            results = b.external(Callback(number), variables, kinds)
        env.update((v.number, r) for v, r in zip(equation.outputs, results, strict=True))
    outputs = [_owned(b, read(operand), inputs) for operand in program.outputs]
    return Lowered(b, inputs, literals, outputs, native)


def _owned(b: Builder, value: Value, inputs: list[Value]) -> Value:
    """An output that has memory of its own, even where it is an input or another's alias."""
    if value.kind is None:
        return value
    return b.entry(value.shape, value.dtype, lambda *i: value(i))


def _constant(b: Builder, value: Any, inputs: list[Value], literals: list[np.ndarray]) -> Value:
    kind = type_of(value)
    array = np.asarray(value, kind.dtype)
    if array.shape or array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        given = b.input(array.shape, array.dtype)
        inputs.append(given)
        literals.append(np.ascontiguousarray(array).reshape(array.shape))
        return given
    literal = b.const(array[()], scalar_type(array.dtype))
    return b.entry((), array.dtype, lambda: literal)


def _lowered(b: Builder, equation: Equation, values: Sequence[Value]) -> tuple[Value, ...] | None:
    """The results of one equation; None where it has no native form."""
    rule = equation.primitive.lower
    out = tuple(var.type for var in equation.outputs)
    if rule is None or any(v.kind is None for v in values):
        return None
    if any(t.dtype.kind not in "biuf" or t.dtype.itemsize > 8 or t.dtype == "f2" for t in out):
        return None
    if isinstance(rule, Scalar):
        types = [_operand_type(operand) for operand in equation.inputs]
        return (elementwise(b, rule, out[0], values, types, dict(equation.params)),)
    types_out: Any = out if equation.primitive.multiple else out[0]
    result = rule(b, types_out, *values, **equation.params)
    if result is None:
        return None
    return result if isinstance(result, tuple) else (result,)


def _operand_type(operand: Operand) -> ArrayType:
    return type_of(operand.value) if isinstance(operand, Constant) else operand.type


def elementwise(
    b: Builder,
    rule: Scalar,
    out: ArrayType,
    values: Sequence[Value],
    types: Sequence[ArrayType],
    params: dict[str, Any],
) -> Value:
    """Entry by entry, operands broadcast, and converted first as NumPy does."""
    result = scalar_type(out.dtype)
    common = scalar_type(result_dtype(*types)) if rule.cast == "common" else result

    def entry(*index: Node) -> Node:
        nodes = [b.at(v, index) for v in values]
        if rule.cast is not None:
            nodes = [cast(node, common) for node in nodes]
        return cast(rule.rule(b, *nodes, **params), result)

    return b.entry(out.shape, out.dtype, entry)
