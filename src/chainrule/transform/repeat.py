"""The rules of `while`: the tangent of a loop is a loop, its transpose an operation of its own.

`while_transpose` runs the loop forward with a growing stack of what each step must keep, and back
again. It is the derivative ⟨g, J·⟩ of a loop W, so its own derivatives are those of the loop J that
carries tangents beside values: with u for what comes out of it,

    along dx, dg:   the x part of the transpose of J(x, dx), applied to (dg, g);
    transposed, u:  for g the tangent part of J(x, u), for x the transpose of J(x, u) on (0, g).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from chainrule.ir.primitive import Primitive
from chainrule.ir.program import Program
from chainrule.ir.types import ArrayType
from chainrule.ops.control import RULES, output_types, while_, while_transpose
from chainrule.tracing.body import free
from chainrule.tracing.stage import StageTrace, close, evaluate
from chainrule.tracing.trace import apply
from chainrule.transform.choice import array_type, padded
from chainrule.transform.derive import (
    Flags,
    Freed,
    pulled,
    remembered,
    settled_flags,
    staged_batch,
    strong_type,
    where_true,
    zeros_of,
)
from chainrule.transform.layout import given, joint, settled, spread, tally, wanted_flags


class Loop(NamedTuple):
    """A while loop and what it runs on."""

    cond: Program
    body: Program
    seen: tuple[Any, ...]  # the consts of cond
    fixed: tuple[Any, ...]  # the consts of body
    init: tuple[Any, ...]

    def run(self) -> tuple[Any, ...]:
        return apply(
            while_,
            *self.seen,
            *self.fixed,
            *self.init,
            cond=self.cond,
            body=self.body,
            cond_consts=len(self.seen),
            consts=len(self.fixed),
        )


def _loop(xs: Sequence[Any], cond: Program, body: Program, cond_consts: int, consts: int) -> Loop:
    start = cond_consts + consts
    return Loop(
        cond, body, tuple(xs[:cond_consts]), tuple(xs[cond_consts:start]), tuple(xs[start:])
    )


def _kinds(body: Program) -> list[ArrayType]:
    return [strong_type(var.type) for var in body.inputs]


# ---- forward -------------------------------------------------------------------------------------


def _joint(loop: Loop, tangents: Sequence[Any]) -> tuple[Loop, int, Flags]:
    """The loop with tangents of consts and carries; its first consts that are new; the flags."""
    consts, carry = len(loop.fixed), len(loop.init)
    flags, outs = settled(loop.body, tuple(t is not None for t in tangents), consts, carry)
    program, arrays = joint(loop.body, flags, outs, consts, carry)
    kinds = _kinds(loop.body)
    moving = given(where_true(tangents, flags), where_true(kinds, flags))
    still = tally(flags, consts, carry)[0]
    more = where_true(kinds[consts:], flags[consts:])
    test = padded(loop.cond, len(loop.cond.inputs), more)
    fixed = (*arrays, *loop.fixed, *moving[:still])
    init = (*loop.init, *moving[still:])
    return Loop(test, program, loop.seen, fixed, init), len(arrays), flags


def _together(
    tangents: Sequence[Any], *xs: Any, **params: Any
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    loop = _loop(xs, **params)
    carry = len(loop.init)
    both, _, flags = _joint(loop, tangents[len(loop.seen) :])
    found = both.run()
    return tuple(found[:carry]), tuple(spread(found[carry:], flags[len(flags) - carry :]))


def _forward(tangents: Sequence[Any], y: Any, *xs: Any, **params: Any) -> tuple[Any, ...]:
    return _together(tangents, *xs, **params)[1]


# ---- reverse -------------------------------------------------------------------------------------


def _reverse(gs: Sequence[Any], y: Any, *xs: Any, wanted: Flags, **params: Any) -> list[Any]:
    moving = wanted_flags(xs, wanted)
    start = params["cond_consts"]
    kinds = [*(strong_type(v.type) for v in params["cond"].inputs[:start]), *_kinds(params["body"])]
    # What a linear map is applied to has no value, and nothing it keeps depends on one.
    values = [zeros_of(kind) if x is None else x for x, kind in zip(xs, kinds, strict=True)]
    found = _transpose(_loop(values, **params), gs, moving[start:])
    return [*[None] * start, *found]


def _transpose(loop: Loop, gs: Sequence[Any], moving: Flags) -> list[Any]:
    """Cotangents of the flagged consts and carries, given those of the results."""
    consts, carry = len(loop.fixed), len(loop.init)
    flags, _ = settled(loop.body, moving, consts, carry)
    if not any(flags) or all(g is None for g in gs):
        return [None] * len(moving)
    (program, back), arrays, reached = _there_and_back(loop.body, flags, consts, carry)
    kinds = _kinds(loop.body)[consts:]
    found = apply(
        while_transpose,
        *loop.seen,
        *arrays,
        *loop.fixed,
        *loop.init,
        *given(where_true(gs, flags[consts:]), where_true(kinds, flags[consts:])),
        cond=loop.cond,
        body=program,
        back=back,
        cond_consts=len(loop.seen),
        consts=len(arrays) + consts,
        carry=carry,
        saved=len(program.outputs) - carry,
        moving=(*(False,) * len(arrays), *reached),
    )
    answers = spread(found, reached)
    return [g if flag else None for g, flag in zip(answers, moving, strict=True)]


def _there_and_back(
    body: Program, flags: Flags, consts: int, carry: int
) -> tuple[tuple[Program, Program], tuple[Any, ...], Flags]:
    """The body that saves, and its transpose, with the same consts in front of both."""

    def make() -> tuple[tuple[Program, Program], tuple[Any, ...], Flags]:
        parts = pulled(body, flags, flags[consts:], consts, carry)
        known, here = parts.known
        back, there = _closed_back(body, flags, consts, carry)
        arrays = (*here, *there)
        known = padded(known, len(here), [array_type(a) for a in there])
        back = padded(back, 0, [array_type(a) for a in here])
        return (known, back), arrays, parts.reached

    return remembered(body, ("there and back", flags, consts, carry), make)


def _closed_back(body: Program, flags: Flags, consts: int, carry: int) -> Freed:
    """(*consts, *sums, *g, *saved) → (*sums, *g); what doesn't change is computed at each step."""
    parts = pulled(body, flags, flags[consts:], consts, carry)
    (hoist, more), (back, most) = parts.hoisted, parts.back
    kinds = _kinds(body)
    stage = StageTrace()
    stage.quiet = body.quiet
    fixed = [stage.abstract(kind) for kind in kinds[:consts]]
    states = [stage.abstract(kind) for kind in where_true(kinds, parts.reached)]
    saved = [stage.abstract(kind) for kind in output_types(parts.known[0])[carry:]]
    try:
        hoisted = evaluate(hoist, *more, *fixed)
        used = [fixed[k] for k in parts.used]
        found = evaluate(back, *most, *used, *hoisted, *saved, *states)
    finally:
        stage.open = False
    return free(close(stage, [*fixed, *states, *saved], found, back.name))


# ---- the derivative of the reverse ---------------------------------------------------------------


class _Transposed(NamedTuple):
    """A while_transpose taken apart: the loop, the cotangents, and which inputs it answers for."""

    loop: Loop
    gs: list[Any]  # one per carry, None where none
    moving: Flags  # consts, then carries
    start: int  # where the operands of the loop's body begin


def _taken_apart(
    xs: Sequence[Any],
    cond: Program,
    body: Program,
    back: Program,
    cond_consts: int,
    consts: int,
    carry: int,
    saved: int,
    moving: Flags,
) -> _Transposed:
    plain = remembered(body, ("plain", carry), lambda: replace(body, outputs=body.outputs[:carry]))
    loop = _loop(xs[: cond_consts + consts + carry], cond, plain, cond_consts, consts)
    gs = spread(xs[cond_consts + consts + carry :], moving[consts:])
    return _Transposed(loop, gs, moving, cond_consts)


def _transpose_forward(tangents: Sequence[Any], y: Any, *xs: Any, **params: Any) -> tuple[Any, ...]:
    parts = _taken_apart(xs, **params)
    loop, count = parts.loop, len(parts.moving)
    along = tangents[parts.start : parts.start + count]
    carry = len(loop.init)
    dgs = spread(tangents[parts.start + count :], parts.moving[count - carry :])
    if all(t is None for t in along):
        return tuple(where_true(_transpose(loop, dgs, parts.moving), parts.moving))
    both, heads, flags = _joint(loop, along)
    gs = [*dgs, *where_true(parts.gs, flags[count - carry :])]
    found = _transpose(both, gs, _first(parts.moving, both, heads, carry))
    return tuple(where_true(_chosen(found, heads, count - carry, carry, both), parts.moving))


def _first(moving: Flags, both: Loop, heads: int, carry: int) -> Flags:
    """Flags of a joint loop: what is flagged of the loop itself, no tangents."""
    consts = len(moving) - carry
    rest = len(both.fixed) - heads - consts
    idle = len(both.init) - carry
    return (
        *(False,) * heads,
        *moving[:consts],
        *(False,) * rest,
        *moving[consts:],
        *(False,) * idle,
    )


def _chosen(found: Sequence[Any], heads: int, consts: int, carry: int, both: Loop) -> list[Any]:
    """Of a joint loop's cotangents those of the loop itself."""
    start = len(both.fixed)
    return [*found[heads : heads + consts], *found[start : start + carry]]


def _transpose_reverse(
    us: Sequence[Any], y: Any, *xs: Any, wanted: Flags, **params: Any
) -> list[Any]:
    asked = wanted_flags(xs, wanted)
    # What a linear map is applied to has no value, and no answer below depends on one.
    kinds = _operand_types(len(xs), **params)
    values = [zeros_of(kind) if x is None else x for x, kind in zip(xs, kinds, strict=True)]
    parts, moving = _taken_apart(values, **params), params["moving"]
    loop, start, count = parts.loop, parts.start, len(moving)
    carry = len(loop.init)
    both, heads, flags = _joint(loop, spread(us, moving))
    tail = flags[count - carry :]
    ends = spread(both.run()[carry:], tail)
    gs = [*[None] * carry, *where_true(parts.gs, tail)]
    found = _transpose(both, gs, _first(asked[start : start + count], both, heads, carry))
    return [
        *[None] * start,
        *_chosen(found, heads, count - carry, carry, both),
        *where_true(ends, moving[count - carry :]),
    ]


def _operand_types(
    count: int, cond: Program, body: Program, back: Program, cond_consts: int, **more: Any
) -> list[ArrayType]:
    kinds = [*(strong_type(var.type) for var in cond.inputs[:cond_consts]), *_kinds(body)]
    return [*kinds, *output_types(back)[len(kinds) - count :]] if len(kinds) < count else kinds


# ---- batch ---------------------------------------------------------------------------------------


def _batched_loop(loop: Loop, size: int, seen: Flags, moving: Flags) -> tuple[Loop, Flags]:
    """The loop for a whole batch, and which of its results carry it.

    `seen`, `moving`: which consts of cond, and which consts and carries of the body, do.
    """
    consts, carry = len(loop.fixed), len(loop.init)
    body, cond = loop.body, loop.cond

    def outputs(flags: Flags) -> Flags:
        return _batched_body(body, flags, None, size)[1]

    flags, _ = settled_flags(moving, consts, carry, outputs)
    asked = (*seen, *flags[consts:])
    if not _batched_cond(cond, asked, size)[1][0]:
        program, arrays = _batched_body(body, flags, flags[consts:], size)[0]
        test, more = _batched_cond(cond, asked, size)[0]
        init = _spread_init(loop.init, moving[consts:], flags[consts:], size)
        done = Loop(test, program, (*more, *loop.seen), (*arrays, *loop.fixed), init)
        return done, flags[consts:]
    # Every example has an end of its own: it goes on until all are done.
    flags = (*flags[:consts], *(True,) * carry)
    key = ("lanes", body, seen, flags, size)
    (test, more), (program, arrays) = remembered(
        cond, key, lambda: _lanes(loop.cond, loop.body, seen, flags, size)
    )
    init = _spread_init(loop.init, moving[consts:], flags[consts:], size)
    fixed = (*arrays, *loop.seen, *loop.fixed)
    return Loop(test, program, (*more, *loop.seen), fixed, init), (True,) * carry


def _spread_init(init: Sequence[Any], have: Flags, want: Flags, size: int) -> tuple[Any, ...]:
    return tuple(
        np.broadcast_to(x, (size, *np.shape(x))) if wanted and not batched else x
        for x, batched, wanted in zip(init, have, want, strict=True)
    )


def _batched_body(
    body: Program, flags: Flags, outs: Flags | None, size: int
) -> tuple[Freed, Flags]:
    def make() -> tuple[Freed, Flags]:
        kinds, results = [var.type for var in body.inputs], output_types(body)
        function = functools.partial(evaluate, body)
        return staged_batch(function, kinds, flags, size, results, outs, body)

    return remembered(body, ("batched", flags, outs, size), make)


def _batched_cond(cond: Program, flags: Flags, size: int) -> tuple[Freed, Flags]:
    return _batched_body(cond, flags, None, size)


def _lanes(
    cond: Program, body: Program, seen: Flags, flags: Flags, size: int
) -> tuple[Freed, Freed]:
    """cond: whether any example goes on. body: a step for those that do."""
    count, carry = len(seen), len(cond.inputs) - len(seen)

    def step(*xs: Any) -> list[Any]:
        state = xs[len(xs) - carry :]
        goes_on = evaluate(cond, *xs[:count], *state)[0]
        ahead = evaluate(body, *xs[count:])
        return [np.where(goes_on, new, old) for new, old in zip(ahead, state, strict=True)]

    def test(*xs: Any) -> Any:
        return evaluate(cond, *xs)

    kinds = [var.type for var in (*cond.inputs[:count], *body.inputs)]
    results = output_types(body)
    outs = (True,) * carry
    program, _ = staged_batch(step, kinds, (*seen, *flags), size, results, outs, body, quiet=True)
    asked = (*seen, *flags[len(flags) - carry :])
    (each, arrays), _ = staged_batch(
        test, [var.type for var in cond.inputs], asked, size, output_types(cond), (True,), cond
    )
    return _any(each, arrays), program


def _any(each: Program, arrays: Sequence[Any]) -> Freed:
    stage = StageTrace()
    xs = [stage.abstract(var.type) for var in each.inputs]
    try:
        out = np.any(evaluate(each, *xs)[0])
    finally:
        stage.open = False
    program, more = free(close(stage, xs, [out], each.name))
    return program, (*more, *arrays)


def _batch(
    op: Primitive, size: int, args: tuple[Any, ...], batched: Flags, **params: Any
) -> tuple[Any, ...]:
    loop = _loop(args, **params)
    start = len(loop.seen)
    many, flags = _batched_loop(loop, size, tuple(batched[:start]), tuple(batched[start:]))
    found = many.run()
    return tuple(
        out if flag else np.broadcast_to(out, (size, *np.shape(out)))
        for out, flag in zip(found, flags, strict=True)
    )


def _transpose_batch(
    op: Primitive, size: int, args: tuple[Any, ...], batched: Flags, **params: Any
) -> tuple[Any, ...]:
    """The transpose of the batched loop, in which nothing that it answers for is shared."""
    moving = params["moving"]
    start, count = params["cond_consts"], len(moving)
    flags = [*batched[:start], *(a or b for a, b in zip(batched[start:], moving, strict=False))]
    operands = [
        np.broadcast_to(x, (size, *np.shape(x))) if want and not have else x
        for x, have, want in zip(args, batched, flags, strict=False)
    ]
    gs = args[start + count :]
    carry = params["carry"]
    parts = _taken_apart([*operands, *gs], **params)
    many, _ = _batched_loop(parts.loop, size, tuple(flags[:start]), tuple(flags[start:]))
    have = spread(batched[start + count :], moving[count - carry :])
    kinds = output_types(parts.loop.body)
    seeds = [
        g if g is None or had else np.broadcast_to(g, (size, *kind.shape))
        for g, had, kind in zip(parts.gs, have, kinds, strict=True)
    ]
    heads = len(many.fixed) - (count - carry)
    wanted = (*(False,) * heads, *moving)
    found = _transpose(many, seeds, wanted)[heads:]
    return tuple(
        np.zeros((size, *kind.shape), kind.dtype) if g is None else g
        for g, kind in zip(
            where_true(found, moving), where_true(_kinds(parts.loop.body), moving), strict=True
        )
    )


RULES.update(
    {
        ("while", "forward"): _forward,
        ("while", "reverse"): _reverse,
        ("while", "together"): _together,
        ("while", "batch"): _batch,
        ("while_transpose", "forward"): _transpose_forward,
        ("while_transpose", "reverse"): _transpose_reverse,
        ("while_transpose", "batch"): _transpose_batch,
    }
)
