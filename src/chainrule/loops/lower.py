"""Programs as values: every equation by its primitive's own `lower` rule, or by a call back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.ir.primitive import Scalar
from chainrule.ir.program import Constant, Equation, Operand, Program, Var
from chainrule.ir.types import ArrayType, result_dtype, type_of
from chainrule.loops.scalar import Node, convert, numpy_type, scalar_type
from chainrule.loops.value import Builder, Value

_LARGE = 1 << 16  # bytes that don't stay in the nearest cache


@dataclass(frozen=True, eq=False)
class Callback:
    """An equation that the NumPy engine runs in the middle of native code: its number in a list."""

    number: int


@dataclass(eq=False)
class Lowered:
    """A program's values: its inputs (arguments, then captured arrays), and what it gives.

    `callbacks` are the equations that native code hands back, of bodies too; `native` says of each
    of the program's own equations whether it has a native form.
    """

    builder: Builder
    inputs: list[Value]
    outputs: list[Value]
    callbacks: list[Equation]
    native: list[bool]


def lower(
    program: Program,
    callbacks: list[Equation] | None = None,
    equation: int | None = None,
    links: Callable[[], bool] = lambda: False,
) -> Lowered:
    """The values of a program, in order.

    Args:
        callbacks: of a body: the list of the program around it.
        equation: of a body: which equation of that program it belongs to.
        links: whether LAPACK's routines can be called; asked where one would be.
    """
    callbacks = [] if callbacks is None else callbacks
    b = Builder()
    b.quiet = program.quiet
    b.body = lambda inner: lower(inner, callbacks, b.equation, links)
    b.links = links
    heads = [*program.inputs, *[var for var, _ in program.captured]]
    inputs = [b.input(var.type.shape, var.type.dtype) for var in heads]
    env = {var.number: value for var, value in zip(heads, inputs, strict=True)}

    def read(operand: Operand) -> Value:
        return _constant(b, operand.value) if isinstance(operand, Constant) else env[operand.number]

    native = []
    for number, own in enumerate(program.equations):
        b.place, b.equation = own.place, number if equation is None else equation
        values = [read(operand) for operand in own.inputs]
        results = _lowered(b, own, values)
        native.append(results is not None)
        if results is None:
            kinds = [(var.type.shape, var.type.dtype) for var in own.outputs]
            pairs = zip(values, own.inputs, strict=True)
            variables = [value for value, operand in pairs if isinstance(operand, Var)]
            results = b.external(Callback(len(callbacks)), variables, kinds)
            callbacks.append(own)
        env.update((v.number, r) for v, r in zip(own.outputs, results, strict=True))
    readers = _readers(b)
    outputs = [_owned(b, read(operand), readers) for operand in program.outputs]
    return Lowered(b, inputs, outputs, callbacks, native)


def _owned(b: Builder, value: Value, readers: dict[int, set[int]]) -> Value:
    """An output with memory of its own.

    It's made as late as can be, as it may replace what came in; at once, where nothing else reads
    that.
    """
    if value.how not in ("entry", "fold") or _replaces(value, readers):
        return value
    return b.entry(value.shape, value.dtype, lambda *i: value(*i))


def _readers(b: Builder) -> dict[int, set[int]]:
    """Which values read each value."""
    readers: dict[int, set[int]] = {}
    for value in b.values:
        for operand in value.operands:
            readers.setdefault(operand.number, set()).add(value.number)
    return readers


def _replaces(value: Value, readers: dict[int, set[int]]) -> bool:
    """Whether a large value is made from an input like it that nothing else reads."""
    if value.how != "entry" or value.size * value.dtype.itemsize < _LARGE:
        return False
    inside, todo, given = {value.number}, [value], set()
    while todo:
        for operand in todo.pop().operands:
            if operand.how == "input" and operand.shape == value.shape:
                given.add(operand.number)
            elif operand.how == "entry" and readers[operand.number] <= inside:
                inside.add(operand.number)
                todo.append(operand)
    return len(given) == 1 and readers[given.pop()] <= inside


def _constant(b: Builder, value: Any) -> Value:
    kind = type_of(value)
    huge = type(value) is int and not fits(value, "i64")
    array = np.asarray(value, object if huge else kind.dtype)
    if array.shape or array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        return b.literal(array)
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
    if not all(_representable(operand, out[0], rule) for operand in equation.inputs):
        return None
    if isinstance(rule, Scalar):
        types = [_operand_type(operand) for operand in equation.inputs]
        return (elementwise(b, rule, out[0], values, types, dict(equation.params)),)
    types_out: Any = out if equation.primitive.multiple else out[0]
    result = rule(b, types_out, *values, **equation.params)
    if result is None:
        return None
    return result if isinstance(result, tuple) else (result,)


def _representable(operand: Operand, out: ArrayType, rule: Any) -> bool:
    """False where NumPy says that a Python number is too large for the integers of a result."""
    if not isinstance(operand, Constant) or type(operand.value) is not int:
        return True
    exact = isinstance(rule, Scalar) and rule.cast == "common"
    return exact or out.dtype.kind not in "iu" or fits(operand.value, scalar_type(out.dtype))


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
        if rule.cast == "common":
            nodes = _compared(nodes, common)
        elif rule.cast is not None:
            nodes = [convert(node, common) for node in nodes]
        return convert(rule.rule(b, *nodes, **params), result)

    return b.entry(out.shape, out.dtype, entry)


def _compared(nodes: Sequence[Node], common: str) -> list[Node]:
    """As NumPy compares: whole numbers exactly, so that u64 beside a signed type stays itself."""
    kinds = {node.kind for node in nodes if node.op != "const"} or {nodes[0].kind}
    if common == "i1" or any(node.kind[0] == "f" for node in nodes):
        return [convert(node, common) for node in nodes]
    kind = kinds.pop() if len(kinds) == 1 else "i64"
    if all(node.op != "const" or fits(node.attr, kind) for node in nodes) and not kinds:
        return [convert(node, kind) for node in nodes]
    return [node if node.kind == "u64" else convert(node, "i64") for node in nodes]


def fits(number: int, kind: str) -> bool:
    """Whether a type of whole numbers, or of truth values, holds a number."""
    if kind == "i1":
        return number in (0, 1)
    info = np.iinfo(numpy_type(kind))
    return bool(info.min <= number <= info.max)
