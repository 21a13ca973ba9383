"""Whole programs in long numbers, and how much all roundings inside may move their results.

Every operation of a program may be off by what its own bound allows. To first order these errors
add up, each carried to the result by the operations behind it; how far is found by doing it: the
program is run again with one entry of one intermediate result moved by as much as is allowed.

Source: N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition (2002), section 1.4
and 3.3 (running error analysis), with differences in place of derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from mpmath import mp, mpf

from chainrule.ir.primitive import Primitive
from chainrule.ir.program import Constant, Program
from chainrule.ir.types import ArrayType
from truth.move import MOVED
from truth.number import PRECISION, Truth, allowed, entrywise, exact, lifted, whole
from truth.registry import reference, truths

Values = list[Any]
CONTROL: dict[str, Callable[..., Values]] = {}


class _Spot(NamedTuple):
    """One entry of one result of the operation that ran as number `step`."""

    step: int
    output: int
    place: tuple[int, ...]


class Run:
    """One run of a program; `moved` says which entry is off, and by how much."""

    def __init__(self, moved: tuple[_Spot, mpf] | None = None) -> None:
        self.moved = moved
        self.step = 0
        self.room: list[tuple[_Spot, mpf]] = []

    def program(self, program: Program, leaves: Sequence[Any]) -> Values:
        """The outputs, from arrays of exact numbers."""
        env = dict(zip((var.number for var in program.inputs), leaves, strict=True))
        env.update((var.number, exact(value)) for var, value in program.captured)

        def read(operand: Any, dtype: Any) -> Any:
            if isinstance(operand, Constant):
                return lifted(operand.value, dtype)
            return env[operand.number]

        for equation in program.equations:
            kinds = tuple(var.type for var in equation.outputs)
            operands = [read(operand, kinds[0].dtype) for operand in equation.inputs]
            results = self.operation(equation.primitive, operands, equation.params, kinds)
            env.update(zip((var.number for var in equation.outputs), results, strict=True))
        return [read(out, np.dtype(float)) for out in program.outputs]

    def operation(
        self, op: Primitive, operands: Values, params: Any, kinds: tuple[ArrayType, ...]
    ) -> Values:
        """The results of one operation, moved if it's its turn."""
        if op.name in CONTROL:
            return CONTROL[op.name](self, *operands, **params)
        step, self.step = self.step, self.step + 1
        if op.name in MOVED:
            return [_moved(op, operands, params)]
        results = []
        for k, truth in enumerate(truths(op.name, operands, params, kinds)):
            assert op.bound is not None, op.name
            dtype = kinds[k].dtype
            value = truth.value if dtype.kind == "f" else whole(truth.value, dtype)
            if self.moved is None:
                room = allowed(op.bound, truth, dtype, np.dtype(float))
                self.room += [
                    (_Spot(step, k, place), room[place])
                    for place in np.ndindex(*room.shape)
                    if room[place]
                ]
            elif self.moved[0][:2] == (step, k):
                value = value.copy()
                value[self.moved[0].place] += self.moved[1]
            results.append(value)
        return results


def _moved(op: Primitive, operands: Values, params: Any) -> Any:
    which = MOVED[op.name]
    taken = [
        x if which is None or k in which else x.astype(bool if op.name == "select" else np.intp)
        for k, x in enumerate(operands)
    ]
    result = np.empty(np.shape(found := op.value(*taken, **params)), object)
    result[...] = found
    return result


def carried(compute: Callable[[Run], Values]) -> tuple[Truth, ...]:
    """The true results of a computation, and as their size what its roundings may add up to."""
    with mp.workprec(PRECISION):
        first = Run()
        values = compute(first)
        totals = [entrywise(lambda _: mpf(0), value) for value in values]
        for moved in first.room:
            for total, value, other in zip(totals, values, compute(Run(moved)), strict=True):
                total[...] += entrywise(lambda a, b: abs(a - b), other, value)
        return tuple(Truth(value, total) for value, total in zip(values, totals, strict=True))


# ---- control flow --------------------------------------------------------------------------------


def _control(name: str) -> Callable[..., Any]:
    """Enter `rule(run, *operands, **params)`, as the primitive and as part of other programs."""

    def enter(rule: Callable[..., Values]) -> Callable[..., Values]:
        CONTROL[name] = rule
        reference(name)(lambda *xs, **params: carried(lambda run: rule(run, *xs, **params)))
        return rule

    return enter


@_control("scan")
def _scan(
    run: Run, *xs: Any, body: Program, length: int, consts: int, carry: int, reverse: bool
) -> Values:
    fixed, state, rows = xs[:consts], list(xs[consts : consts + carry]), xs[consts + carry :]
    kept: list[Values] = []
    for k in reversed(range(length)) if reverse else range(length):
        outs = run.program(body, [*fixed, *state, *(np.asarray(row[k], object) for row in rows)])
        state = outs[:carry]
        kept.append(outs[carry:])
    if reverse:
        kept.reverse()
    kinds = [out.type for out in body.outputs[carry:]]
    stacked = [
        np.stack([outs[n] for outs in kept]) if kept else np.empty((0, *kind.shape), object)
        for n, kind in enumerate(kinds)
    ]
    return [*state, *stacked]


@_control("while")
def _while(
    run: Run, *xs: Any, cond: Program, body: Program, cond_consts: int, consts: int
) -> Values:
    seen, fixed = xs[:cond_consts], xs[cond_consts : cond_consts + consts]
    state = list(xs[cond_consts + consts :])
    while run.program(cond, [*seen, *state])[0]:
        state = run.program(body, [*fixed, *state])
    return state


@_control("while_transpose")
def _while_transpose(
    run: Run, *xs: Any, cond: Program, body: Program, back: Program, cond_consts: int,
    consts: int, carry: int, saved: int, moving: Any,
) -> Values:  # fmt: skip
    seen, fixed = xs[:cond_consts], xs[cond_consts : cond_consts + consts]
    start = cond_consts + consts
    state, gs = list(xs[start : start + carry]), xs[start + carry :]
    stack = []
    while run.program(cond, [*seen, *state])[0]:
        outs = run.program(body, [*fixed, *state])
        state = outs[:carry]
        stack.append(outs[carry:])
    totals = [
        exact(np.zeros(out.type.shape)) for out in back.outputs[: len(back.outputs) - len(gs)]
    ]
    pulled = [*totals, *gs]
    while stack:
        pulled = run.program(back, [*fixed, *pulled, *stack.pop()])
    return pulled


@_control("cond")
def _cond(run: Run, p: Any, *xs: Any, branches: tuple[Program, Program]) -> Values:
    return run.program(branches[0] if p else branches[1], xs)
