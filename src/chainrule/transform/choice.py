"""The rules of `cond`: the tangent, the transpose and the batch of both branches.

In reverse mode the branch that was taken is computed again, so that nothing is kept but the
operands. Under `vmap` with a condition of its own for each example both branches run, and a select
picks; its derivative never counts what wasn't picked.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.ir.primitive import Primitive
from chainrule.ir.program import Program, Var
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops.control import RULES, cond, output_types
from chainrule.tracing.body import free
from chainrule.tracing.stage import StageTrace, close, evaluate
from chainrule.tracing.trace import apply
from chainrule.tracing.tracer import Tracer
from chainrule.transform.batch import BatchTrace
from chainrule.transform.derive import (
    Flags,
    Freed,
    chooses,
    masked_linear,
    pulled,
    pushed,
    remembered,
    spread_out,
    staged_batch,
    strong_type,
    varying,
    where_true,
    zeros_of,
)
from chainrule.transform.layout import given, spread, wanted_flags

Branches = tuple[Program, Program]


def _types(branch: Program) -> list[ArrayType]:
    return [strong_type(var.type) for var in branch.inputs]


def _choose(p: Any, made: Sequence[Freed], *xs: Any) -> Any:
    """One cond of two programs, whose own arrays become operands of both."""
    seen, branches = shared(made)
    return apply(cond, p, *seen, *xs, branches=branches)


def shared(made: Sequence[Freed]) -> tuple[list[Any], Branches]:
    """Programs whose first inputs are values of their own, as programs of all these values."""
    seen: list[Any] = []
    for _, values in made:
        seen += [x for x in values if not any(_same(x, y) for y in seen)]
    first, second = (_reading(program, values, seen) for program, values in made)
    return seen, (first, second)


def _same(left: Any, right: Any) -> bool:
    if type(left) is Tracer and type(right) is Tracer:
        alike = left.value is right.value and left.mark is right.mark and left.weak == right.weak
        return alike and left.owner is right.owner
    return left is right


def _reading(program: Program, values: Sequence[Any], seen: Sequence[Any]) -> Program:
    """The program with one input for each of the values seen, most of which it may not read."""
    places = tuple(next((k for k, y in enumerate(values) if _same(x, y)), None) for x in seen)
    kinds = tuple(type_of(x) for x in seen)

    def make() -> Program:
        start = 1 + max((var.number for var in program.variables()), default=-1)
        heads = tuple(
            Var(start + k, kind) if place is None else program.inputs[place]
            for k, (place, kind) in enumerate(zip(places, kinds, strict=True))
        )
        return replace(program, inputs=(*heads, *program.inputs[len(values) :]))

    return remembered(program, ("reading", places, kinds), make)


def array_type(array: Any) -> ArrayType:
    return ArrayType(array.shape, array.dtype)


def padded(program: Program, place: int, kinds: Sequence[ArrayType]) -> Program:
    """The program with more inputs from `place` on, which it doesn't read."""
    if not kinds:
        return program

    def make() -> Program:
        start = 1 + max((var.number for var in program.variables()), default=-1)
        idle = tuple(Var(start + k, kind) for k, kind in enumerate(kinds))
        inputs = (*program.inputs[:place], *idle, *program.inputs[place:])
        return replace(program, inputs=inputs)

    return remembered(program, ("padded", place, tuple(kinds)), make)


# ---- forward -------------------------------------------------------------------------------------


def _together(
    tangents: Sequence[Any], p: Any, *xs: Any, branches: Branches
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    flags = tuple(t is not None for t in tangents[1:])
    outs = _varying(branches, flags)
    kinds = _types(branches[0])
    moving = given(where_true(tangents[1:], flags), where_true(kinds, flags))
    found = _choose(p, [pushed(branch, flags, outs) for branch in branches], *xs, *moving)
    return tuple(found[: len(outs)]), tuple(spread(found[len(outs) :], outs))


def _varying(branches: Branches, flags: Flags) -> Flags:
    pairs = zip(*(varying(branch, flags) for branch in branches), strict=True)
    return tuple(a or b for a, b in pairs)


def _forward(tangents: Sequence[Any], y: Any, *xs: Any, **params: Any) -> tuple[Any, ...]:
    return _together(tangents, *xs, **params)[1]


# ---- reverse -------------------------------------------------------------------------------------


def _reverse(
    gs: Sequence[Any], y: Any, p: Any, *xs: Any, branches: Branches, wanted: Flags
) -> list[Any]:
    flags, outs, operands = _linear_operands(gs, xs, branches, wanted[1:])
    if not any(outs):
        return [None] * (1 + len(xs))
    made = [_transposed(branch, flags, outs) for branch in branches]
    return [None, *spread(_choose(p, made, *operands), flags)]


def _masked(
    gs: Sequence[Any],
    masks: Sequence[Any],
    y: Any,
    p: Any,
    *xs: Any,
    branches: Branches,
    wanted: Flags,
) -> list[tuple[Any, Any]]:
    """The same, with what was taken of each result and of each operand."""
    flags, outs, operands = _linear_operands(gs, xs, branches, wanted[1:])
    if not any(outs):
        return [(None, None)] * (1 + len(xs))
    moving = (*(False,) * len(xs), *(True,) * sum(outs))
    made = [masked_linear(_transposed(branch, flags, outs), moving) for branch in branches]
    taken = [
        np.broadcast_to(g is not None if mask is None else mask, kind.shape)
        for g, mask, kind in zip(gs, masks, output_types(branches[0]), strict=True)
    ]
    found = _choose(p, made, *operands, *where_true(taken, outs))
    pairs = zip(found[: sum(flags)], found[sum(flags) :], strict=True)
    answers = spread(list(pairs), flags)
    return [(None, None), *((None, None) if part is None else part for part in answers)]


def _chooses(branches: Branches) -> bool:
    return any(map(chooses, branches))


def _linear_operands(
    gs: Sequence[Any], xs: Sequence[Any], branches: Branches, wanted: Flags
) -> tuple[Flags, Flags, list[Any]]:
    """Which operands and results move, and what the transposed branches run on."""
    flags = wanted_flags(xs, wanted)
    outs = _varying(branches, flags)
    # What a linear map is applied to has no value, and nothing depends on one.
    kinds = _types(branches[0])
    values = [zeros_of(kind) if x is None else x for x, kind in zip(xs, kinds, strict=True)]
    results = output_types(branches[0])
    return flags, outs, [*values, *given(where_true(gs, outs), where_true(results, outs))]


def _transposed(branch: Program, flags: Flags, outs: Flags) -> Freed:
    """(*xs, *g) → (*g of the flagged xs), computing again what it needs."""

    def make() -> Freed:
        parts = pulled(branch, flags, outs, 0, 0)
        stage = StageTrace()
        stage.quiet = branch.quiet
        kinds = _types(branch)
        xs = [stage.abstract(kind) for kind in kinds]
        gs = [stage.abstract(kind) for kind in where_true(output_types(branch), outs)]
        try:
            (known, arrays), (hoist, more), (back, most) = parts.known, parts.hoisted, parts.back
            saved = evaluate(known, *arrays, *xs)[len(outs) :]
            used = [xs[k] for k in parts.used]
            found = evaluate(back, *most, *used, *evaluate(hoist, *more), *saved, *gs)
        finally:
            stage.open = False
        answers = given(spread(found, parts.reached), kinds)
        return free(close(stage, [*xs, *gs], where_true(answers, flags), branch.name))

    return remembered(branch, ("transposed branch", flags, outs), make)


# ---- batch ---------------------------------------------------------------------------------------


def _batch(
    op: Primitive, size: int, args: tuple[Any, ...], batched: Flags, branches: Branches
) -> tuple[Any, ...]:
    p, *xs = args
    if batched[0]:
        return _select(size, p, xs, batched, branches)
    flags = tuple(batched[1:])
    outs = (True,) * len(branches[0].outputs)
    made = [_batched(branch, flags, outs, size) for branch in branches]
    return _choose(p, made, *xs)


def _batched(branch: Program, flags: Flags, outs: Flags, size: int) -> Freed:
    def make() -> Freed:
        kinds, results = [var.type for var in branch.inputs], output_types(branch)
        function = functools.partial(evaluate, branch)
        return staged_batch(function, kinds, flags, size, results, outs, branch)[0]

    return remembered(branch, ("batched branch", flags, outs, size), make)


def _select(
    size: int, p: Any, xs: Sequence[Any], batched: Flags, branches: Branches
) -> tuple[Any, ...]:
    trace = BatchTrace(size)
    inner = [Tracer(trace, x, int(flag)) for x, flag in zip((p, *xs), batched, strict=True)]
    try:
        # What isn't picked may be anything, and isn't worth a warning, now or later.
        quieten(p)
        with np.errstate(all="ignore"):
            left, right = (evaluate(branch, *inner[1:]) for branch in branches)
        found = [np.where(inner[0], a, b) for a, b in zip(left, right, strict=True)]
    finally:
        trace.open = False
    return tuple(
        spread_out(out.value, bool(out.mark), True, kind, size)
        for out, kind in zip(found, output_types(branches[0]), strict=True)
    )


def quieten(value: Any) -> None:
    """Let the programs that are being recorded on the way to a value compute without warnings."""
    while type(value) is Tracer:
        if isinstance(value.owner, StageTrace):
            value.owner.quiet = True
        value = value.value


RULES.update(
    {
        ("cond", "forward"): _forward,
        ("cond", "reverse"): _reverse,
        ("cond", "masked"): _masked,
        ("cond", "chooses"): _chooses,
        ("cond", "together"): _together,
        ("cond", "batch"): _batch,
    }
)
