"""Folding what is constant, sharing what is equal, dropping what nobody needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.ir.program import Constant, Equation, Operand, Program, Var
from chainrule.ir.types import type_of
from chainrule.ops.family import PRIMITIVES
from chainrule.optimise.rewrite import Rewrite, same_type
from chainrule.tracing.division import hearing
from chainrule.transform.derive import pruned, where_true

_SCAN = PRIMITIVES["scan"]
_INLINE_SIZE = 6  # entries of an array that may stand in the program's text
_FOLD_SIZE = 4096  # entries of an operand or a result that may be computed ahead


# ---- fold ----------------------------------------------------------------------------------------


def fold(program: Program, *, closed: bool = False) -> Program:
    """Equations of nothing but constants, computed now.

    A result must not be larger than what it's computed from: a million zeros are cheaper to make
    than to keep. In a `closed` program they must be few enough to stand in the text.
    """
    rewrite = Rewrite(program)
    known = {var.number: value for var, value in program.captured if is_constant(value)}
    for equation in program.equations:
        equation = rewrite.current(equation)
        values = _values(equation, known)
        results = None if values is None else _computed(equation, values)
        if results is None or (closed and any(np.size(part) > _INLINE_SIZE for part in results)):
            rewrite.keep(equation)
            continue
        for var, value in zip(equation.outputs, results, strict=True):
            if isinstance(value, np.ndarray) and value.size > _INLINE_SIZE:
                value.setflags(write=False)
                operand: Operand = rewrite.capture(value)
                known[operand.number] = value  # type: ignore[union-attr]
            else:
                operand = Constant(value)
            rewrite.replace(var, operand, equation)
    return rewrite.finish()


def is_constant(value: Any, size: int = _FOLD_SIZE) -> bool:
    """Whether a captured array is nobody's to change: read-only all the way down, not large."""
    if type(value) is not np.ndarray or value.size > size:
        return False
    while type(value) is np.ndarray and not value.flags.writeable:
        value = value.base
    return value is None


def _values(equation: Equation, known: Mapping[int, Any]) -> list[Any] | None:
    """The operands, if all of them are constant; not of a copy that keeps a type apart."""
    values = []
    for a in equation.inputs:
        if type(a) is Constant:
            values.append(a.value)
        elif a.number in known:  # type: ignore[union-attr]
            values.append(known[a.number])  # type: ignore[union-attr]
        else:
            return None
    return values


def _computed(equation: Equation, values: list[Any]) -> list[Any] | None:
    """The results as the equation's types have them; None where they're better left for later."""
    limit = max([_INLINE_SIZE, *map(np.size, values)])
    if any(var.type.size > limit for var in equation.outputs):
        return None
    try:
        with np.errstate(all="ignore"), hearing("raise"):
            outcome = equation.primitive.value(*values, **equation.params)
    except (ArithmeticError, LookupError, TypeError, ValueError, np.linalg.LinAlgError):
        return None  # it is to fail when it's the user's turn to see it, with their line
    results = []
    for var, value in zip(
        equation.outputs, outcome if equation.primitive.multiple else (outcome,), strict=True
    ):
        if var.type.weak:
            value = value.item() if isinstance(value, (np.generic, np.ndarray)) else value
        elif type(value) is np.ndarray:
            value = value.copy() if value.base is not None else value
        else:
            value = np.asarray(value)[()]
        if not same_type(type_of(value), var.type):
            return None
        results.append(value)
    return results


# ---- share ---------------------------------------------------------------------------------------


def share(program: Program) -> Program:
    """Equal operations on equal operands, done once."""
    rewrite = Rewrite(program)
    seen: dict[Any, Equation] = {}
    for equation in program.equations:
        equation = rewrite.current(equation)
        key = _key(equation)
        first = seen.setdefault(key, equation)
        if first is not equation and all(
            same_type(a.type, b.type) for a, b in zip(first.outputs, equation.outputs, strict=True)
        ):
            for var, same in zip(equation.outputs, first.outputs, strict=True):
                rewrite.replace(var, same, equation)
        else:
            rewrite.keep(equation)
    return rewrite.finish()


def _key(equation: Equation) -> Any:
    params = equation.params
    operands = tuple([
        a.number if type(a) is Var else _literal_key(a.value)  # type: ignore[union-attr]
        for a in equation.inputs
    ])  # fmt: skip
    if not params:
        return id(equation.primitive), operands
    return id(equation.primitive), operands, _frozen(params)


def _literal_key(value: Any) -> Any:
    """Equal only for values of one type and the same bits, so that -0.0 isn't 0.0."""
    if isinstance(value, (np.ndarray, np.generic)):
        return value.dtype, value.shape, value.tobytes(), isinstance(value, np.generic)
    if isinstance(value, (float, complex)):
        return type(value), repr(value)
    return type(value), value


def _frozen(value: Any) -> Any:
    """A parameter as something that can be hashed, 1 and 1.0 and True told apart."""
    kind = type(value)
    if kind is int or kind is str or value is None:
        return value, kind
    if isinstance(value, Mapping):
        return tuple((name, _frozen(part)) for name, part in value.items())
    if kind is tuple or kind is list:
        return kind, tuple(map(_frozen, value))
    if kind is slice:
        return kind, _frozen((value.start, value.stop, value.step))
    if isinstance(value, (np.ndarray, np.generic, float, complex)):
        return _literal_key(value)
    try:
        hash(value)
    except TypeError:
        return kind, id(value)
    return kind, value


# ---- prune ---------------------------------------------------------------------------------------


def prune(program: Program) -> Program:
    """The equations and captured arrays that the outputs depend on."""
    needed = {out.number for out in program.outputs if type(out) is Var}
    alive = []
    changed = False
    for equation in reversed(program.equations):
        if any(var.number in needed for var in equation.outputs):
            smaller = _for_some(equation, needed) if equation.primitive is _SCAN else equation
            changed = changed or smaller is not equation
            needed.update([a.number for a in smaller.inputs if type(a) is Var])
            alive.append(smaller)
    captured = tuple(pair for pair in program.captured if pair[0].number in needed)
    same = len(alive) == len(program.equations) and len(captured) == len(program.captured)
    if same and not changed:
        return program
    return dataclasses.replace(program, equations=tuple(reversed(alive)), captured=captured)


def _for_some(scan: Equation, needed: set[int]) -> Equation:
    """A loop for those of its results that somebody reads."""
    wanted = tuple(var.number in needed for var in scan.outputs)
    if all(wanted):
        return scan
    params = scan.params
    consts, carry = params["consts"], params["carry"]
    left = pruned(params["body"], consts, carry, wanted)
    if all(left.outputs):
        return scan
    more = {
        "body": left.program,
        "consts": sum(left.inputs[:consts]),
        "carry": sum(left.inputs[consts : consts + carry]),
    }
    return dataclasses.replace(
        scan,
        inputs=tuple(where_true(scan.inputs, left.inputs)),
        params={**params, **more},
        outputs=tuple(where_true(scan.outputs, left.outputs)),
    )
