"""The rules of `scan`: tangents, cotangents and batches of a loop are loops again.

Reverse mode runs the body once more with residuals: a scan that also stacks, step by step, what the
transposed body will read, and later a scan of that body the other way round, in which cotangents of
the carry take the place of the carry and those of the consts are added up.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from chainrule.ir.primitive import Custom, Primitive
from chainrule.ir.program import Program
from chainrule.ir.types import ArrayType
from chainrule.ops.control import RULES, output_types, scan
from chainrule.tracing.stage import StageTrace, evaluate
from chainrule.tracing.trace import apply
from chainrule.tracing.tracer import Tracer
from chainrule.transform.derive import (
    Flags,
    Freed,
    Pulled,
    chooses,
    masked_linear,
    pruned,
    pulled,
    remembered,
    settled_flags,
    staged_batch,
    strong_type,
    where_true,
    zeros_of,
)
from chainrule.transform.layout import (
    given,
    joint,
    operand_types,
    result_types,
    settled,
    split,
    spread,
    tally,
    wanted_flags,
)
from chainrule.transform.linear import apart
from chainrule.transform.reverse import pull

# ---- forward -------------------------------------------------------------------------------------


def _together(
    tangents: Sequence[Any],
    *xs: Any,
    body: Program,
    length: int,
    consts: int,
    carry: int,
    reverse: bool,
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    flags, outs = settled(body, tuple(t is not None for t in tangents), consts, carry)
    program, arrays = joint(body, flags, outs, consts, carry)
    kinds = operand_types(body, length, consts + carry)
    parts = split(xs, consts, carry)
    moving = split(
        given(where_true(tangents, flags), where_true(kinds, flags)), *tally(flags, consts, carry)
    )
    operands = [x for pair in zip(parts, moving, strict=True) for part in pair for x in part]
    more = [len(part) for part in moving]
    found = apply(
        scan,
        *arrays,
        *operands,
        body=program,
        length=length,
        consts=len(arrays) + consts + more[0],
        carry=carry + more[1],
        reverse=reverse,
    )
    ts = sum(outs[:carry])
    ys = len(found) - ts - carry - sum(outs[carry:])
    value = (*found[:carry], *found[carry + ts : carry + ts + ys])
    tangent = (*found[carry : carry + ts], *found[carry + ts + ys :])
    return value, tuple(spread(tangent, outs))


def _forward(tangents: Sequence[Any], y: Any, *xs: Any, **params: Any) -> tuple[Any, ...]:
    if not apart(tangents, xs):
        return _together(tangents, *xs, **params)[1]
    moving = tuple(t is not None for t in tangents)
    _, _, residuals, more = _linearise(moving, *xs, **params, valued=False)
    inner = [*where_true(tangents, moving), *[None] * len(residuals)]
    return _map_forward(inner, None, *[None] * sum(moving), *residuals, **more)


# ---- reverse -------------------------------------------------------------------------------------


class Way(NamedTuple):
    """What the tangent map of one scan needs to know beside its residuals.

    `moving`: the operands that vary; `flags`, `outs` are those of the body.
    """

    body: Program
    pulled: Pulled
    moving: Flags
    flags: Flags
    outs: Flags
    length: int
    consts: int
    carry: int
    reverse: bool

    def __repr__(self) -> str:
        return f"{self.body.name} × {self.length}"


def _linearise(
    moving: Flags,
    *xs: Any,
    body: Program,
    length: int,
    consts: int,
    carry: int,
    reverse: bool,
    valued: bool = True,
) -> tuple[tuple[Any, ...], Primitive, list[Any], dict[str, Any]]:
    """The scan that keeps residuals. Its results proper count only if `valued`."""
    flags, outs = settled(body, moving, consts, carry)
    parts = pulled(body, flags, outs, consts, carry)
    program, arrays = parts.known
    found: Sequence[Any] = (None,) * len(outs)
    if valued or parts.saved:
        wanted = (*(valued,) * len(outs), *(True,) * parts.saved)
        fixed = len(arrays) + consts
        needed = pruned(program, fixed, carry, wanted)
        left = split(needed.inputs, fixed, carry)
        made = apply(
            scan,
            *where_true((*arrays, *xs), needed.inputs),
            body=needed.program,
            length=length,
            consts=sum(left[0]),
            carry=sum(left[1]),
            reverse=reverse,
        )
        found = spread(made, needed.outputs)
    hoist, more = parts.hoisted
    hoisted = evaluate(hoist, *more, *xs[:consts])
    residuals = [*(xs[k] for k in parts.used), *hoisted, *found[len(outs) :]]
    way = Way(body, parts, moving, flags, outs, length, consts, carry, reverse)
    return tuple(found[: len(outs)]), scan_map, residuals, {"way": way}


def _map_reverse(gs: Sequence[Any], y: Any, *xs: Any, way: Way) -> list[Any]:
    """The scan of the transposed body, from the other end."""
    found, residuals = _way_back(gs, None, xs, way)
    return [*where_true(spread(found, way.pulled.reached), way.moving), *[None] * residuals]


def _map_masked(
    gs: Sequence[Any], masks: Sequence[Any], y: Any, *xs: Any, way: Way
) -> list[tuple[Any, Any]]:
    """The same with masks, which the loop carries and stacks beside the cotangents."""
    found, residuals = _way_back(gs, masks, xs, way)
    reached, carry = way.pulled.reached, sum(way.pulled.reached[: way.consts + way.carry])
    rows = sum(reached) - carry
    values = [*found[:carry], *found[2 * carry : 2 * carry + rows]]
    taken = [*found[carry : 2 * carry], *found[2 * carry + rows :]]
    parts = spread(list(zip(values, taken, strict=True)), reached)
    answers = [(None, None) if part is None else part for part in parts]
    return [*where_true(answers, way.moving), *[(None, None)] * residuals]


def _way_back(
    gs: Sequence[Any], masks: Sequence[Any] | None, xs: Sequence[Any], way: Way
) -> tuple[Sequence[Any], int]:
    """What the transposed loop gives, and the number of residuals."""
    body, length, consts, carry = way.body, way.length, way.consts, way.carry
    residuals = list(xs[sum(way.moving) :])
    if not any(way.outs) or not any(way.pulled.reached):
        nothing = sum(way.pulled.reached) * (1 if masks is None else 2)
        return [None] * nothing, len(residuals)
    kinds = result_types(body, length, carry)
    seeds = given(where_true(gs, way.outs), where_true(kinds, way.outs))
    carried = sum(way.outs[:carry])
    types = [strong_type(var.type) for var in body.inputs]
    sums = [zeros_of(kind) for kind in where_true(types[:consts], way.pulled.reached[:consts])]
    states, rows = [*sums, *seeds[:carried]], seeds[carried:]
    if masks is not None:
        taken = [
            np.broadcast_to(g is not None if mask is None else mask, kind.shape)
            for g, mask, kind in zip(gs, masks, kinds, strict=True)
        ]
        taken = where_true(taken, way.outs)
        unmarked = [np.zeros(np.shape(total), bool)[()] for total in sums]
        states, rows = [*states, *unmarked, *taken[:carried]], [*rows, *taken[carried:]]
    program, arrays, held = _transposed(
        way.pulled, way.outs, consts, carry, masked=masks is not None
    )
    found = apply(
        scan,
        *arrays,
        *(residuals[k] for k in held),
        *states,
        *(residual for k, residual in enumerate(residuals) if k not in held),
        *rows,
        body=program,
        length=length,
        consts=len(arrays) + len(held),
        carry=len(states),
        reverse=not way.reverse,
    )
    return found, len(residuals)


def _transposed(
    parts: Pulled, outs: Flags, consts: int, carry: int, masked: bool
) -> tuple[Program, tuple[Any, ...], tuple[int, ...]]:
    """The transposed body in a scan's order, and which residuals are its consts."""
    steady = len(parts.used) + len(parts.hoisted[0].outputs)
    count = steady + parts.saved
    held = tuple(k for k in range(steady) if k >= len(parts.used) or parts.used[k] < consts)
    states = sum(parts.reached[:consts]) + sum(outs[:carry])
    moving = len(parts.back[0].inputs) - len(parts.back[1]) - count
    made = parts.back
    if masked:
        made = masked_linear(made, (*(False,) * count, *(True,) * moving))
    program, arrays = made
    heads, inputs = program.inputs[: len(arrays)], program.inputs[len(arrays) :]

    def make() -> Program:
        linear = [inputs[count : count + moving], inputs[count + moving :]]
        ordered = (
            *(inputs[k] for k in held),
            *(var for part in linear for var in part[:states]),
            *(inputs[k] for k in range(count) if k not in held),
            *(var for part in linear for var in part[states:]),
        )
        results = sum(parts.reached)
        halves = [program.outputs[:results], program.outputs[results:]]
        tail = (
            *(out for half in halves for out in half[:states]),
            *(out for half in halves for out in half[states:]),
        )
        return replace(program, inputs=(*heads, *ordered), outputs=tail)

    return remembered(program, ("transposed", outs, consts, carry), make), arrays, held


def _map_forward(tangents: Sequence[Any], y: Any, *xs: Any, way: Way) -> tuple[Any, ...]:
    """The transpose of the transpose."""
    stage = StageTrace()
    kinds = output_types(way.body)
    rows = [ArrayType((way.length, *k.shape), k.dtype) for k in kinds[way.carry :]]
    gs = [
        stage.abstract(kind) if flag else None
        for kind, flag in zip((*kinds[: way.carry], *rows), way.outs, strict=True)
    ]
    try:
        found = _map_reverse(gs, y, *xs, way=way)
    finally:
        stage.open = False
    seeds = [
        (g.mark, t)
        for g, t in zip(found, tangents, strict=True)
        if t is not None and type(g) is Tracer and g.owner is stage
    ]
    back = pull(stage, seeds, [g.mark for g in gs if g is not None])
    return tuple(spread(back, way.outs))


def _map_chooses(way: Way) -> bool:
    return chooses(way.body)


def _chooses(body: Program, **more: Any) -> bool:
    return chooses(body)


# On a tape alone: the tangent map of a scan that has run, by what it kept.
scan_map = Primitive(
    name="scan",
    type_rule=lambda *types, way: (),
    value=lambda *xs, way: (),
    derivative=Custom(
        _map_forward, _map_reverse, output=False, masked=_map_masked, chooses=_map_chooses
    ),
    batch=None,
    symbolic=None,
    lower=None,
    cases=(),
    multiple=True,
)


def _reverse(gs: Sequence[Any], y: Any, *xs: Any, wanted: Flags, **params: Any) -> list[Any]:
    moving, kept, more = _relinearised(xs, wanted, params)
    found = _map_reverse(gs, None, *kept, **more)
    return spread(found[: sum(moving)], moving)


def _masked(
    gs: Sequence[Any], masks: Sequence[Any], y: Any, *xs: Any, wanted: Flags, **params: Any
) -> list[tuple[Any, Any]]:
    moving, kept, more = _relinearised(xs, wanted, params)
    found = iter(_map_masked(gs, masks, None, *kept, **more))
    return [next(found) if flag else (None, None) for flag in moving]


def _relinearised(
    xs: Sequence[Any], wanted: Flags, params: dict[str, Any]
) -> tuple[Flags, list[Any], dict[str, Any]]:
    """Which operands move, and the tangent map of a scan: its operands and parameters."""
    moving = wanted_flags(xs, wanted)
    kinds = operand_types(params["body"], params["length"], params["consts"] + params["carry"])
    # What a linear map is applied to has no value, and nothing it keeps depends on one.
    values = [zeros_of(kind) if x is None else x for x, kind in zip(xs, kinds, strict=True)]
    _, _, residuals, more = _linearise(moving, *values, **params, valued=False)
    return moving, [*[None] * sum(moving), *residuals], more


# ---- batch ---------------------------------------------------------------------------------------


def _batch(
    op: Primitive,
    size: int,
    args: tuple[Any, ...],
    batched: Flags,
    body: Program,
    length: int,
    consts: int,
    carry: int,
    reverse: bool,
) -> tuple[Any, ...]:
    flags, outs = settled_flags(
        batched, consts, carry, lambda flags: _batched(body, flags, None, size)[1]
    )
    outs = (*flags[consts : consts + carry], *outs[carry:])
    (program, arrays), _ = _batched(body, flags, outs, size)
    operands = []
    for k, x in enumerate(args):
        if k >= consts + carry and batched[k]:
            x = np.moveaxis(x, 0, 1)
        elif flags[k] and not batched[k]:
            x = np.broadcast_to(x, (size, *np.shape(x)))
        operands.append(x)
    found = apply(
        op,
        *arrays,
        *operands,
        body=program,
        length=length,
        consts=len(arrays) + consts,
        carry=carry,
        reverse=reverse,
    )
    results = []
    for k, (out, flag) in enumerate(zip(found, outs, strict=True)):
        if not flag:
            out = np.broadcast_to(out, (size, *np.shape(out)))
        results.append(np.moveaxis(out, 1, 0) if flag and k >= carry else out)
    return tuple(results)


def _batched(body: Program, flags: Flags, outs: Flags | None, size: int) -> tuple[Freed, Flags]:
    def make() -> tuple[Freed, Flags]:
        kinds, results = [var.type for var in body.inputs], output_types(body)
        function = functools.partial(evaluate, body)
        return staged_batch(function, kinds, flags, size, results, outs, body)

    return remembered(body, ("batched", flags, outs, size), make)


RULES.update(
    {
        ("scan", "forward"): _forward,
        ("scan", "reverse"): _reverse,
        ("scan", "together"): _together,
        ("scan", "linearise"): _linearise,
        ("scan", "masked"): _masked,
        ("scan", "chooses"): _chooses,
        ("scan", "batch"): _batch,
    }
)
