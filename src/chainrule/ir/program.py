"""Programs: what one trace gives. A flat list of equations that keep the user's line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.base.place import Place, Scope
from chainrule.ir.primitive import Primitive
from chainrule.ir.types import ArrayType


@dataclass(frozen=True, eq=False, slots=True)
class Var:
    """One value of a program: its number, its type, and the user's name for it if known."""

    number: int
    type: ArrayType
    label: str | None = None

    @property
    def name(self) -> str:
        """The user's own name, or a … z, aa, ab …"""
        if self.label is not None:
            return self.label
        letters, n = "", self.number
        while True:
            letters = chr(ord("a") + n % 26) + letters
            n = n // 26 - 1
            if n < 0:
                return letters

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False, slots=True)
class Constant:
    """A literal of the user's text: a Python or NumPy scalar, or a small array made in place."""

    value: Any

    def __repr__(self) -> str:
        return _literal(self.value)


Operand = Var | Constant


@dataclass(frozen=True, eq=False, slots=True)
class Equation:
    """outputs = primitive(*inputs, **params), and where the user wrote it.

    `backward` says that it belongs to the derivative, taken backwards, of what stands there; where
    origins were asked for, to a derivative of any kind.
    Where it was asked for, `path` holds the calls, layers and loops around it, outermost first, and
    `visit` is the same number for all equations of one call in the user's text.
    """

    primitive: Primitive
    inputs: tuple[Operand, ...]
    params: Mapping[str, Any]
    outputs: tuple[Var, ...]
    place: Place | None = None
    backward: bool = False
    path: tuple[Scope, ...] = ()
    visit: int = -1


@dataclass(frozen=True, eq=False)
class Program:
    """A traced function.

    Args:
        name: the user's function.
        inputs: the leaves of the arguments, in order.
        captured: arrays of the function's closure, each a variable with the value it had.
        equations: in the order they ran.
        outputs: the leaves of the result.
        in_tree, out_tree: how arguments and results are put together from their leaves.
        branches: places where Python asked a traced value for its truth.
        quiet: some of what it computes is not used, so NumPy's warnings don't count.
    """

    name: str
    inputs: tuple[Var, ...]
    captured: tuple[tuple[Var, Any], ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Operand, ...]
    in_tree: Any = None
    out_tree: Any = None
    branches: tuple[tuple[Place | None, bool], ...] = field(default=())
    quiet: bool = False

    def __len__(self) -> int:
        return len(self.equations)

    def variables(self) -> Iterator[Var]:
        """Every variable: inputs, captured arrays, then results in order."""
        yield from self.inputs
        for var, _ in self.captured:
            yield var
        for equation in self.equations:
            yield from equation.outputs

    def __str__(self) -> str:
        return program_text(self)

    __repr__ = __str__


def program_text(program: Program) -> str:
    """One equation per line, with the type of its result and the user's line."""
    rows = [_row(equation) for equation in program.equations]
    left = min(max((len(text) for text, _ in rows), default=0), 72)
    head = ", ".join(f"{var.name}: {var.type}" for var in program.inputs)
    lines = [f"{program.name}({head}):"]
    lines += [
        f"  {var.name}: {var.type} = captured {_literal(value)}" for var, value in program.captured
    ]
    for (text, place), equation in zip(rows, program.equations, strict=True):
        lines.append(f"  {text:<{left}}  # {place}" if place else f"  {text}")
        lines += _inside(equation)
    lines.append(f"  return {', '.join(map(repr, program.outputs))}")
    return "\n".join(lines)


def _row(equation: Equation) -> tuple[str, str]:
    outputs = ", ".join(f"{var.name}: {var.type}" for var in equation.outputs)
    params = [f"{key}={_param(value)}" for key, value in equation.params.items()]
    arguments = ", ".join([*map(repr, equation.inputs), *params])
    place = "" if equation.place is None else str(equation.place)
    return f"{outputs} = {equation.primitive.name}({arguments})", place


def _inside(equation: Equation) -> list[str]:
    """The programs that an equation runs, indented under it."""
    lines = []
    for key, value in equation.params.items():
        programs = value if type(value) is tuple else (value,)
        for program in programs:
            if isinstance(program, Program):
                head, *rest = program_text(program).split("\n")
                lines += [f"    {key} {head}", *(f"    {line}" for line in rest)]
    return lines


def _literal(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if value.size <= 6:
            return " ".join(np.array2string(value, precision=6, separator=", ").split())
        return f"<{value.dtype} array of shape {value.shape}>"
    if isinstance(value, np.generic):
        return repr(value.item())
    return repr(value)


def _param(value: Any) -> str:
    if isinstance(value, slice):
        parts = ["" if p is None else str(p) for p in (value.start, value.stop)]
        return ":".join(parts + ([str(value.step)] if value.step is not None else []))
    if type(value) is tuple:
        return f"({', '.join(map(_param, value))}{',' * (len(value) == 1)})"
    if value is Ellipsis:
        return "..."
    if isinstance(value, Program):
        return value.name
    if isinstance(value, np.ndarray):
        return _literal(value)
    return getattr(value, "__name__", None) or repr(value)
