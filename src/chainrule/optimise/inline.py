"""Functions with rules of their own, and marks for derivatives, dissolved into their equations.

Derivatives have been taken by now, so that what hid or cut them has done its work.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.trees import flatten
from chainrule.ir.program import Constant, Equation, Operand, Program, Var
from chainrule.ir.types import ArrayType
from chainrule.ops.family import PRIMITIVES
from chainrule.optimise.rewrite import Rewrite, operand_type, same_type
from chainrule.tracing.creation import as_traced_leaf
from chainrule.tracing.stage import StageTrace, close
from chainrule.tracing.swap import swapped
from chainrule.tracing.trace import resolve, snapshot

_CALLS = ("call", "call_with_reverse")
_MARKS = ("stop_gradient", "unseen")


def inline(program: Program) -> Program:
    """The program without calls and marks; what is withheld becomes a choice."""
    names = {equation.primitive.name for equation in program.equations}
    if names.isdisjoint((*_CALLS, *_MARKS, "withhold")):
        return program
    rewrite = Rewrite(program)
    for equation in program.equations:
        _walk(rewrite, equation)
    return rewrite.finish()


def _walk(rewrite: Rewrite, equation: Equation) -> None:
    equation = rewrite.current(equation)
    name = equation.primitive.name
    if name in _MARKS:
        rewrite.replace(equation.outputs[0], equation.inputs[0], equation)
    elif name in _CALLS:
        _splice(rewrite, equation)
    elif name == "withhold":
        rewrite.changed = True
        rewrite.keep(_as_choice(equation))
    else:
        rewrite.keep(equation)


def _as_choice(equation: Equation) -> Equation:
    """What is withheld, as any other choice."""
    x, used = equation.inputs
    zero = Constant(np.zeros((), equation.outputs[0].type.dtype)[()])
    return dataclasses.replace(
        equation, primitive=PRIMITIVES["select"], inputs=(used, x, zero), params={}
    )


def _splice(rewrite: Rewrite, site: Equation) -> None:
    """The equations of a callee, under new variables."""
    kinds = [operand_type(a) for a in site.inputs]
    inner = _program_of(site.params["callee"], kinds)
    names: dict[int, Operand] = {
        var.number: _as(rewrite, operand, var.type, site)
        for var, operand in zip(inner.inputs, site.inputs, strict=True)
    }
    for var, array in inner.captured:
        names[var.number] = rewrite.capture(array)

    def read(a: Operand) -> Operand:
        return rewrite.read(names[a.number]) if type(a) is Var else a

    for equation in inner.equations:
        inputs = tuple(map(read, equation.inputs))
        outputs = tuple(rewrite.var(var.type) for var in equation.outputs)
        for var, new in zip(equation.outputs, outputs, strict=True):
            names[var.number] = new
        place = equation.place or site.place
        backward = equation.backward or site.backward
        _walk(
            rewrite,
            Equation(equation.primitive, inputs, equation.params, outputs, place, backward),
        )
    for var, out in zip(site.outputs, inner.outputs, strict=True):
        operand = read(out)
        if type(operand) is Constant:
            operand = Constant(np.asarray(operand.value)[()])
        rewrite.replace(var, operand, site)
    rewrite.changed = True


def _as(rewrite: Rewrite, operand: Operand, kind: ArrayType, site: Equation) -> Operand:
    """An operand as the callee's program takes it: a Python number where it is one in there."""
    if same_type(operand_type(operand), kind):
        return operand
    var = rewrite.var(kind)
    rewrite.replace(var, operand, site)
    return var


def _program_of(callee: Any, kinds: Sequence[ArrayType]) -> Program:
    """What a callee runs: the program it was recorded as, or a recording for these types."""
    recorded = getattr(callee.function, "program", None)
    if isinstance(recorded, Program) and all(
        var.type.shape == kind.shape and var.type.dtype == kind.dtype
        for var, kind in zip(recorded.inputs, kinds, strict=True)
    ):
        return recorded
    return _recording(callee.function, kinds, callee.name)


def _recording(f: Callable[..., Any], kinds: Sequence[ArrayType], name: str) -> Program:
    trace = StageTrace()
    inputs = [trace.abstract(kind) for kind in kinds]
    heads = [snapshot(t) for t in inputs]
    try:
        with swapped():
            outs, _ = flatten(tuple(f(*inputs)))
            outs = [resolve(as_traced_leaf(out)) for out in outs]
    finally:
        trace.open = False
    program = close(trace, heads, outs, name)
    # Where it was recorded says nothing to the user: the place of the call does.
    bare = tuple(dataclasses.replace(equation, place=None) for equation in program.equations)
    return dataclasses.replace(program, equations=bare)
