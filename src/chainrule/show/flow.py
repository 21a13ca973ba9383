"""Values forward through a program, and gradients backward with every edge listened to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.ir.primitive import Linear, Primitive
from chainrule.ir.program import Constant, Equation, Operand, Program, Var
from chainrule.ir.types import type_of
from chainrule.tracing.record import RecordTrace
from chainrule.tracing.trace import apply, ground
from chainrule.tracing.tracer import Tracer
from chainrule.transform.forward import ForwardTrace
from chainrule.transform.gradient import conjugated, finish
from chainrule.transform.linear import tangent_dtype
from chainrule.transform.reverse import pull, result_number


class Tap:
    """Where one gradient is written down as it passes."""

    __slots__ = ("g",)

    def __init__(self) -> None:
        self.g: Any = None


def _passed(g: Any, x: Any, tap: Tap) -> Any:
    if tap.g is None:  # asked again, it's for the pattern of what was taken
        tap.g = g
    return g


# The identity, which notes what flows back through it.
listen = Primitive(
    name="listen",
    type_rule=lambda x, tap: x,
    value=lambda x, tap: x,
    derivative=Linear(_passed),
    batch=None,
    symbolic=None,
    lower=None,
    cases=(),
    weak=True,
)


def walk(
    program: Program,
    leaves: Sequence[Any],
    captured: Sequence[Any],
    read_by: Callable[[Equation, int, Any], Any] | None = None,
    made: Callable[[int, Any], Any] | None = None,
) -> dict[int, Any]:
    """Run a program; every variable's value by its number.

    `read_by(equation, slot, value)` and `made(number, value)` may put something else in place of
    an operand, and of a variable.
    """
    env: dict[int, Any] = {}

    def keep(number: int, value: Any) -> None:
        env[number] = value if made is None else made(number, value)

    def read(operand: Operand) -> Any:
        return operand.value if isinstance(operand, Constant) else env[operand.number]

    for var, leaf in zip(program.inputs, leaves, strict=True):
        keep(var.number, leaf)
    for (var, _), value in zip(program.captured, captured, strict=True):
        keep(var.number, value)
    with np.errstate(all="ignore"):  # what the function itself computes, it has warned of
        for equation in program.equations:
            operands = list(map(read, equation.inputs))
            if read_by is not None:
                operands = [read_by(equation, k, a) for k, a in enumerate(operands)]
            result = apply(equation.primitive, *operands, **equation.params)
            parts = result if equation.primitive.multiple else (result,)
            for out, part in zip(equation.outputs, parts, strict=True):
                keep(out.number, _weak(part) if out.type.weak else part)
    return env


def _weak(part: Any) -> Any:
    if type(part) is Tracer:
        return Tracer(part.owner, part.value, part.mark, True)
    return part.item() if hasattr(part, "item") else part


class Flow:
    """What one backward sweep left behind: gradients of variables, and along edges."""

    def __init__(
        self,
        program: Program,
        leaves: Sequence[Any],
        captured: Sequence[Any],
        upstreams: Sequence[Any],
    ) -> None:
        """Walk forward and back; `upstreams` has one gradient, or None, per output."""
        self.trace = RecordTrace()
        self.nodes: dict[int, tuple[Tap, Tracer]] = {}
        self.edges: dict[tuple[int, int], Tap] = {}
        heads = [
            self._head(var.type.weak, leaf)
            for var, leaf in zip(program.inputs, leaves, strict=True)
        ]
        more = [self._head(False, array) for array in captured]
        try:
            env = walk(program, heads, more, self._read_by, self._made)
            seeds = []
            for out, g in zip(program.outputs, upstreams, strict=True):
                value = None if isinstance(out, Constant) else env[out.number]
                number = result_number(self.trace, value)
                if g is not None and number >= 0:
                    seeds.append((number, conjugated(g)))
        finally:
            self.trace.open = False
        pull(self.trace, seeds, [])

    def _head(self, weak: bool, value: Any) -> Any:
        kind = type_of(value)
        if kind.dtype.kind not in "fc":
            return value
        number = weak and type(value) is not Tracer  # one of Python's own
        return self.trace.input(kind.dtype.type(value) if number else value, weak)

    def _varies(self, value: Any) -> bool:
        if type(value) is not Tracer or value.dtype.kind not in "fc":
            return False
        return result_number(self.trace, value) >= 0

    def _read_by(self, equation: Equation, slot: int, value: Any) -> Any:
        if not self._varies(value):
            return value
        tap = self.edges[equation.outputs[0].number, slot] = Tap()
        return apply(listen, value, tap=tap)

    def _made(self, number: int, value: Any) -> Any:
        if not self._varies(value):
            return value
        tap = Tap()
        tapped = apply(listen, value, tap=tap)
        self.nodes[number] = tap, tapped
        return tapped

    def gradient(self, number: int) -> Any:
        """Of a variable: zeros where nothing flows; None where it's no floating-point value."""
        if number not in self.nodes:
            return None
        tap, tracer = self.nodes[number]
        return finish(tap.g, self.trace.type_of_number(tracer.mark), set())

    def contribution(self, number: int, slot: int) -> Any:
        """What flowed back into operand `slot` of the equation that makes variable `number`."""
        tap = self.edges.get((number, slot))
        return None if tap is None else tap.g


def tangents(
    program: Program, leaves: Sequence[Any], captured: Sequence[Any], wrt: Var
) -> dict[int, Any]:
    """The derivative of every variable by one of them: a forward sweep per entry of it.

    By number, of shape `variable.shape + wrt.shape`; what doesn't depend on wrt is left out.
    """
    size = wrt.type.size
    columns: dict[int, list[Any]] = {}
    for k in range(size):
        seed = np.zeros(size, wrt.type.dtype)
        seed[k] = 1
        sweep = _sweep(program, leaves, captured, wrt, seed.reshape(wrt.type.shape)[()])
        for number, (value, tangent) in sweep.items():
            zero = np.zeros(np.shape(value), tangent_dtype(value.dtype))
            known = columns.setdefault(number, [])
            known.append(zero if tangent is None else tangent)
    return {
        number: np.stack(parts, axis=-1).reshape(np.shape(parts[0]) + wrt.type.shape)[()]
        for number, parts in columns.items()
    }


def _sweep(
    program: Program, leaves: Sequence[Any], captured: Sequence[Any], wrt: Var, seed: Any
) -> dict[int, tuple[Any, Any]]:
    """Value and tangent of every variable that wrt reaches."""
    trace = ForwardTrace()

    def made(number: int, value: Any) -> Any:
        if number != wrt.number:
            return value
        kind = wrt.type
        return Tracer(trace, kind.dtype.type(value) if kind.weak else value, seed, kind.weak)

    try:
        env = walk(program, leaves, captured, made=made)
    finally:
        trace.open = False
    return {
        number: (value.value, value.mark)
        for number, value in env.items()
        if type(value) is Tracer and value.owner is trace
    }


def plain(value: Any) -> Any:
    """The number under any number of tracers."""
    found = ground(value)
    return value if found is None else found
