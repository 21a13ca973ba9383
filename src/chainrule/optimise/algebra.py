"""Equations that say what a shorter one says, to the last bit: NaN and -0.0 included.

Only identities that hold in floating-point arithmetic stand here. `x + 0.0` is not x where x is
-0.0; `x * 0` is not 0 where x is inf. A result keeps its type: `f32 * np.float64(1.0)` stays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.ir.primitive import Primitive
from chainrule.ir.program import Constant, Equation, Operand, Program, Var
from chainrule.ops.family import PRIMITIVES
from chainrule.optimise.rewrite import Rewrite, operand_type, same_type

# A rule looks at one equation and gives what stands for its result: an operand, or an equation of
# another operation with the same result; or None.
Rule = Callable[[Rewrite, Equation], "Operand | Equation | None"]
_RULES: dict[Primitive, Rule] = {}


def simplify(program: Program) -> Program:
    """Every equation replaced by a shorter one that means the same, where there is one."""
    rewrite = Rewrite(program)
    for equation in program.equations:
        equation = rewrite.current(equation)
        rule = _RULES.get(equation.primitive)
        found = None if rule is None else rule(rewrite, equation)
        while isinstance(found, Equation):
            rewrite.changed = True
            equation = found
            rule = _RULES.get(equation.primitive)
            found = None if rule is None else rule(rewrite, equation)
        if found is None:
            rewrite.keep(equation)
        else:
            rewrite.replace(equation.outputs[0], found, equation)
    return rewrite.finish()


def _rule(name: str) -> Callable[[Rule], Rule]:
    def enter(rule: Rule) -> Rule:
        _RULES[PRIMITIVES[name]] = rule
        return rule

    return enter


# ---- arithmetic ----------------------------------------------------------------------------------


def _number(operand: Operand) -> Any:
    """The one number that a constant holds in all its entries, or None."""
    if type(operand) is not Constant:
        return None
    value = operand.value
    if isinstance(value, np.ndarray):
        if not value.size:
            return None
        first = value.flat[0]
        alike = value.dtype.kind in "iuf" and value.tobytes() == first.tobytes() * value.size
        return first if alike else None
    return value if isinstance(value, (int, float, np.integer, np.floating)) else None


def _fits(equation: Equation, operand: Operand, kinds: str) -> bool:
    """Whether an operand may stand for the result: same shape and dtype, of these kinds."""
    kind, wanted = operand_type(operand), equation.outputs[0].type
    return kind.dtype.kind in kinds and kind.shape == wanted.shape and kind.dtype == wanted.dtype


def _becomes(equation: Equation, name: str, *inputs: Operand, **params: Any) -> Equation:
    return Equation(
        PRIMITIVES[name], inputs, params, equation.outputs, equation.place, equation.backward
    )


def _negative(equation: Equation, x: Operand) -> Equation | None:
    """-x, if it has the very type of the result: a Python number gives a Python number."""
    fits = _fits(equation, x, "fi")
    if not fits or operand_type(x).weak != equation.outputs[0].type.weak:
        return None
    return _becomes(equation, "negative", x)


@_rule("multiply")
def _multiply(rewrite: Rewrite, equation: Equation) -> Operand | Equation | None:
    for x, other in (equation.inputs, equation.inputs[::-1]):
        n = _number(other)
        if n is None:
            continue
        if n == 1 and _fits(equation, x, "iuf"):
            return x
        if n == -1 and type(x) is Var:
            return _negative(equation, x)
    return None


@_rule("divide")
def _divide(rewrite: Rewrite, equation: Equation) -> Operand | Equation | None:
    x, n = equation.inputs[0], _number(equation.inputs[1])
    if n == 1 and _fits(equation, x, "f"):
        return x
    return _negative(equation, x) if n == -1 and type(x) is Var else None


@_rule("add")
def _add(rewrite: Rewrite, equation: Equation) -> Operand | None:
    for x, other in (equation.inputs, equation.inputs[::-1]):
        if _is_zero(other, negative=True) and _fits(equation, x, "f"):
            return x
        if _number(other) == 0 and _fits(equation, x, "iu"):
            return x
    return None


@_rule("subtract")
def _subtract(rewrite: Rewrite, equation: Equation) -> Operand | None:
    x, other = equation.inputs
    if _is_zero(other, negative=False) and _fits(equation, x, "f"):
        return x
    return x if _number(other) == 0 and _fits(equation, x, "iu") else None


def _is_zero(operand: Operand, *, negative: bool) -> bool:
    n = _number(operand)
    return n is not None and n == 0 and bool(np.signbit(n)) == negative


@_rule("negative")
def _negated(rewrite: Rewrite, equation: Equation) -> Operand | None:
    inner = rewrite.maker(equation.inputs[0], "negative")
    return inner.inputs[0] if inner is not None else None


@_rule("positive")
def _positive(rewrite: Rewrite, equation: Equation) -> Operand | None:
    return equation.inputs[0] if _fits(equation, equation.inputs[0], "iufc") else None


@_rule("constant_power")
def _power(rewrite: Rewrite, equation: Equation) -> Operand | None:
    one = equation.params["n"] == 1
    return equation.inputs[0] if one and _fits(equation, equation.inputs[0], "iuf") else None


@_rule("conjugate")
def _conjugate(rewrite: Rewrite, equation: Equation) -> Operand | None:
    x = equation.inputs[0]
    inner = rewrite.maker(x, "conjugate")
    if inner is not None and _fits(equation, inner.inputs[0], "c"):
        return inner.inputs[0]
    return x if _fits(equation, x, "iuf") else None


@_rule("real")
def _real(rewrite: Rewrite, equation: Equation) -> Operand | None:
    return equation.inputs[0] if _fits(equation, equation.inputs[0], "biuf") else None


@_rule("select")
def _select(rewrite: Rewrite, equation: Equation) -> Operand | None:
    condition, x, y = equation.inputs
    spread = rewrite.maker(condition, "broadcast_to")
    known = spread.inputs[0] if spread is not None else condition
    if type(known) is Constant and np.size(known.value) == 1:
        x = y = x if np.all(known.value) else y
    same = x is y and _fits(equation, x, "biufc")
    return x if same else None


# ---- arrangement ---------------------------------------------------------------------------------


@_rule("copy")
def _copy(rewrite: Rewrite, equation: Equation) -> Operand | None:
    """A copy is needed only where arrays are written to, and in a program none is."""
    x = equation.inputs[0]
    return x if same_type(operand_type(x), equation.outputs[0].type) else None


@_rule("reshape")
def _reshape(rewrite: Rewrite, equation: Equation) -> Operand | Equation | None:
    x = equation.inputs[0]
    if operand_type(x).shape == equation.outputs[0].type.shape:
        return x
    inner = rewrite.maker(x, "reshape")
    if inner is None:
        return None
    return _becomes(equation, "reshape", inner.inputs[0], **equation.params)


@_rule("transpose")
def _transpose(rewrite: Rewrite, equation: Equation) -> Operand | Equation | None:
    x, axes = equation.inputs[0], equation.params["axes"]
    if axes == tuple(range(len(axes))):
        return x
    inner = rewrite.maker(x, "transpose")
    if inner is None:
        return None
    before = inner.params["axes"]
    return _becomes(equation, "transpose", inner.inputs[0], axes=tuple(before[k] for k in axes))


@_rule("broadcast_to")
def _broadcast_to(rewrite: Rewrite, equation: Equation) -> Operand | Equation | None:
    x = equation.inputs[0]
    if operand_type(x).shape == equation.outputs[0].type.shape:
        return x
    inner = rewrite.maker(x, "broadcast_to")
    if inner is None:
        return None
    return _becomes(equation, "broadcast_to", inner.inputs[0], **equation.params)


@_rule("astype")
def _astype(rewrite: Rewrite, equation: Equation) -> Operand | Equation | None:
    x = equation.inputs[0]
    kind = operand_type(x)
    if kind.dtype == equation.outputs[0].type.dtype:
        return x
    inner = rewrite.maker(x, "astype")
    if inner is None:
        return None
    first = operand_type(inner.inputs[0]).dtype
    # Through a wider number of the same kind nothing is lost.
    if first.kind == kind.dtype.kind and first.itemsize <= kind.dtype.itemsize:
        return _becomes(equation, "astype", inner.inputs[0], **equation.params)
    return None
