"""Arrays that can never change, as literals: compiled code then knows what stands in them.

Whole numbers mostly say where something lies, and places that are known need no check. An array of
one number all over is made where it's needed, and takes no memory.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.ir.program import Constant, Equation, Operand, Program, Var
from chainrule.ir.types import type_of
from chainrule.ops.family import PRIMITIVES
from chainrule.optimise.cleanup import is_constant
from chainrule.optimise.rewrite import same_type

_MOST = 1 << 22  # entries looked at

_SCAN, _BROADCAST = PRIMITIVES["scan"], PRIMITIVES["broadcast_to"]


def literal(program: Program) -> Program:
    """Captured arrays as literals where that says more, in the bodies of loops too."""
    stands: dict[int, Operand] = {}
    even: dict[int, Equation] = {}
    for var, array in program.captured:
        if not is_constant(array, _MOST) or not array.size:
            continue
        if array.dtype.kind in "iu":
            if is_constant(array):
                stands[var.number] = Constant(array)
        elif array.dtype.kind in "fb" and _is_even(array):
            even[var.number] = _evenly(array.flat[0], var)
    equations = [_reading(equation, stands, even) for equation in program.equations]
    same = zip(equations, program.equations, strict=True)
    if not stands and not even and all(a is b for a, b in same):
        return program
    return dataclasses.replace(
        program,
        captured=tuple(pair for pair in program.captured if pair[0].number not in {*stands, *even}),
        equations=(*even.values(), *equations),
        outputs=tuple(_read(out, stands) for out in program.outputs),
    )


def _is_even(array: np.ndarray) -> bool:
    """Whether all entries are the same to the last bit."""
    bits = array.view(f"u{array.dtype.itemsize}") if array.dtype.itemsize <= 8 else None
    return bits is not None and bool((bits == bits.flat[0]).all())


def _evenly(number: Any, var: Var) -> Equation:
    """A variable as one number all over."""
    return Equation(_BROADCAST, (Constant(number),), {"shape": var.type.shape}, (var,))


def _read(operand: Operand, stands: Mapping[int, Operand]) -> Operand:
    return stands.get(operand.number, operand) if isinstance(operand, Var) else operand


def _reading(
    equation: Equation, stands: Mapping[int, Operand], even: Mapping[int, Equation]
) -> Equation:
    """An equation that reads literals; a loop's body knows those that it is given itself."""
    inputs = tuple(_read(a, stands) for a in equation.inputs)
    if any(a is not b for a, b in zip(inputs, equation.inputs, strict=True)):
        equation = dataclasses.replace(equation, inputs=inputs)
    if equation.primitive is not _SCAN:
        return equation
    body, consts = equation.params["body"], equation.params["consts"]
    inner: dict[int, Operand] = {}
    evenly: dict[int, Equation] = {}
    for var, a in zip(body.inputs[:consts], inputs, strict=False):
        if isinstance(a, Constant) and same_type(type_of(a.value), var.type):
            inner[var.number] = a
        elif isinstance(a, Var) and a.number in even:
            evenly[var.number] = _evenly(even[a.number].inputs[0].value, var)  # type: ignore[union-attr]
    if not inner and not evenly:
        return equation
    gone = {*inner, *evenly}
    left = [k for k, var in enumerate(body.inputs) if var.number not in gone]
    smaller = dataclasses.replace(
        body,
        inputs=tuple(body.inputs[k] for k in left),
        equations=(*evenly.values(), *(_reading(e, inner, evenly) for e in body.equations)),
        outputs=tuple(_read(out, inner) for out in body.outputs),
    )
    params: dict[str, Any] = {**equation.params, "body": smaller, "consts": consts - len(gone)}
    return dataclasses.replace(equation, inputs=tuple(inputs[k] for k in left), params=params)
