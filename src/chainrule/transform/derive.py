"""Programs made from programs: the tangent, the transpose and the batch of a body.

A body runs many times, so its derivative is worked out once, without values. For reverse mode the
body is recorded on a tape whose values belong to a stage of their own, `known`; pulling cotangents
through that tape records a second stage, `back`. What `back` reads of `known` are the residuals.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from chainrule.ir.primitive import Custom
from chainrule.ir.program import Equation, Program, Var
from chainrule.ir.types import ArrayType
from chainrule.ops.control import output_types
from chainrule.tracing.body import StagedBody, free
from chainrule.tracing.record import FIELDS, RecordTrace
from chainrule.tracing.recording import RECORDING, going_again
from chainrule.tracing.stage import StageTrace, close, evaluate
from chainrule.tracing.trace import Trace
from chainrule.tracing.tracer import Tracer
from chainrule.transform.batch import BatchTrace
from chainrule.transform.forward import ForwardTrace
from chainrule.transform.linear import convert, tangent_dtype
from chainrule.transform.mask import Mask
from chainrule.transform.pushforward import Tangents, masked_push
from chainrule.transform.reverse import pull
from chainrule.transform.shape import fill

Flags = tuple[bool, ...]

_DERIVED: WeakKeyDictionary[Program, dict[Any, Any]] = WeakKeyDictionary()


def remembered(program: Program, key: Any, make: Callable[[], Any]) -> Any:
    """What was derived from a program once already."""
    known = _DERIVED.setdefault(program, {})
    key = key, RECORDING.finite
    if key not in known:
        known[key] = make()
    return known[key]


def is_float(kind: ArrayType) -> bool:
    return kind.dtype.kind in "fc"


def varying(program: Program, flags: Flags) -> Flags:
    """Which outputs may vary when these inputs do."""
    moving = {
        var.number
        for var, flag in zip(program.inputs, flags, strict=True)
        if flag and is_float(var.type)
    }
    for equation in program.equations:
        if equation.primitive.flat:
            continue
        if any(isinstance(a, Var) and a.number in moving for a in equation.inputs):
            moving |= {out.number for out in equation.outputs if is_float(out.type)}
    return tuple(isinstance(out, Var) and out.number in moving for out in program.outputs)


def settled_flags(
    flags: Flags, consts: int, carry: int, outputs: Callable[[Flags], Flags]
) -> tuple[Flags, Flags]:
    """Flags of a body's inputs and outputs, where a carry is flagged if either side of it is."""
    while True:
        outs = outputs(flags)
        grown = list(flags)
        for k in range(carry):
            grown[consts + k] = grown[consts + k] or outs[k]
        if tuple(grown) == flags:
            return flags, outs
        flags = tuple(grown)


def where_true(items: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    return [item for item, flag in zip(items, flags, strict=True) if flag]


def zeros_of(kind: ArrayType) -> Any:
    """A zero tangent or cotangent of a variable."""
    return np.zeros(kind.shape, tangent_dtype(kind.dtype))[()]


def typed(g: Any, kind: ArrayType) -> Any:
    """A tangent or cotangent in the shape and dtype of its variable."""
    g = fill(g, kind.shape)
    dtype = tangent_dtype(kind.dtype)
    return g if g.dtype == dtype else convert(g, dtype)


def strong_type(kind: ArrayType) -> ArrayType:
    return ArrayType(kind.shape, kind.dtype)


def _read(trace: Trace, out: Any) -> tuple[Any, Any]:
    """Value and mark of a result, as far as it belongs to a trace."""
    if type(out) is Tracer and out.owner is trace:
        return out.value, out.mark
    return out, None


# ---- tangents ------------------------------------------------------------------------------------


Freed = tuple[Program, tuple[Any, ...]]  # a program and the arrays that are its first inputs


def pushed(body: Program, flags: Flags, outs: Flags) -> Freed:
    """The body with tangents: (*inputs, *tangents) → (*outputs, *tangents), of those flagged."""
    return remembered(body, ("pushed", flags, outs), lambda: _pushed(body, flags, outs))


def _pushed(body: Program, flags: Flags, outs: Flags) -> Freed:
    stage, trace = StageTrace(), ForwardTrace()
    stage.quiet = body.quiet
    xs = [stage.abstract(var.type) for var in body.inputs]
    ts = [
        stage.abstract(strong_type(var.type)) if flag else None
        for var, flag in zip(body.inputs, flags, strict=True)
    ]
    try:
        results = evaluate(body, *[Tracer(trace, x, t) for x, t in zip(xs, ts, strict=True)])
        pairs = [_read(trace, result) for result in results]
        kinds = output_types(body)
        tangents = [
            zeros_of(kind) if t is None else typed(t, kind)
            for (_, t), kind in zip(pairs, kinds, strict=True)
        ]
    finally:
        trace.open = stage.open = False
    values = [value for value, _ in pairs]
    inputs = [*xs, *(t for t in ts if t is not None)]
    labels = [var.label for var in body.inputs]
    results = [*values, *where_true(tangents, outs)]
    return free(close(stage, inputs, results, body.name, labels=labels))


def in_place(program: Program, leaves: Sequence[Any]) -> list[Any]:
    """What a program computes, each equation recorded at the user's line that it came from."""
    places = iter([*(equation.place for equation in program.equations), None])

    def onward(_: Equation | None = None) -> None:
        RECORDING.origin = next(places)

    with going_again():
        onward()
        return evaluate(program, *leaves, after=onward)


# ---- cotangents ----------------------------------------------------------------------------------


class Pulled(NamedTuple):
    """How cotangents go back through a body, whose inputs are consts, carries and the rest.

    Each program is given with the arrays that are its first inputs.

    known: (*inputs) → (*outputs, *saved): the body, with what must be kept of each step.
    hoisted: (*consts) → values that don't change from step to step.
    back: (*used, *hoisted, *saved, *sums, *g) → (*sums, *g of inputs). `used` are inputs of the
        body, by number. The g are those of the outputs that vary; sums belong to the consts that
        cotangents reach, the g that come out to the other inputs in `reached`.
    """

    known: Freed
    hoisted: Freed
    back: Freed
    used: tuple[int, ...]
    reached: Flags
    saved: int


def pulled(body: Program, flags: Flags, outs: Flags, consts: int, carry: int) -> Pulled:
    """The transpose of a body in the flagged inputs, for the flagged outputs."""
    key = ("pulled", flags, outs, consts, carry)
    return remembered(body, key, lambda: _pulled(body, flags, outs, consts, carry))


def _pulled(body: Program, flags: Flags, outs: Flags, consts: int, carry: int) -> Pulled:
    known, tape = StageTrace(), RecordTrace()
    kinds = [strong_type(var.type) for var in body.inputs]
    xs = [known.abstract(var.type) for var in body.inputs]
    variables = [tape.input(x) if flag else x for x, flag in zip(xs, flags, strict=True)]
    back = StagedBody()
    known.quiet = back.quiet = body.quiet
    try:
        results = [_read(tape, out) for out in in_place(body, variables)]
        tape.open = False
        _compute_again(tape, back)
        gs = [back.abstract(kind) for kind in where_true(output_types(body), outs)]
        seeds = [
            (number, g)
            for (_, number), g in zip(where_true(results, outs), gs, strict=True)
            if number is not None and number >= 0
        ]
        marks = [v.mark for v in where_true(variables, flags)]
        found = iter(pull(tape, seeds, marks))
        sums, answers, reached = [], [], []
        for k, (flag, kind) in enumerate(zip(flags, kinds, strict=True)):
            g = next(found) if flag else None
            # What a carry receives goes on to the step before, even if that is nothing.
            carried = consts <= k < consts + carry
            reached.append(g is not None or (flag and carried))
            if reached[k]:
                g = zeros_of(kind) if g is None else typed(g, kind)
                if k < consts:
                    sums.append(back.abstract(kind))
                    g = sums[-1] + g
                answers.append(back.entrance.inside(g))
    finally:
        tape.open = back.open = known.open = False
    residuals = list(back.entrance.met.values())
    places = {x.mark: k for k, x in enumerate(xs) if not consts <= k < consts + carry}
    constant = _constant_numbers(known, [x.mark for x in xs[:consts]])
    used = [(places[o.mark], inner) for o, inner in residuals if o.mark in places]
    rest = [pair for pair in residuals if pair[0].mark not in places]
    hoisted = [pair for pair in rest if pair[0].mark in constant]
    saved = [pair for pair in rest if pair[0].mark not in constant]
    heads = [inner for _, inner in (*used, *hoisted, *saved)]
    values = [value for value, _ in results]
    labels = [var.label for var in body.inputs]
    summed = [label for label, found in zip(labels[:consts], reached, strict=False) if found]
    of = [*labels[consts : consts + carry], *[None] * (len(outs) - carry)]
    gradients = [label and f"d{label}" for label in (*summed, *where_true(of, outs))]
    names = [*(labels[k] for k, _ in used), *[None] * len((*hoisted, *saved)), *gradients]
    return Pulled(
        free(close(known, xs, [*values, *(outer for outer, _ in saved)], body.name, labels=labels)),
        free(close(known, xs[:consts], [outer for outer, _ in hoisted], f"{body.name}, hoisted")),
        free(close(back, [*heads, *sums, *gs], answers, f"{body.name}, transposed", labels=names)),
        tuple(k for k, _ in used),
        tuple(reached),
        len(saved),
    )


def _compute_again(tape: RecordTrace, back: StagedBody) -> None:
    """Checkpoints keep their arguments only: what is computed again is computed going back."""
    equations = tape.equations
    for k in range(0, len(equations), FIELDS):
        derivative = equations[k].derivative
        if type(derivative) is Custom and derivative.late:
            equations[k + 1] = [back.entrance.inside(a) for a in equations[k + 1]]


def _constant_numbers(trace: StageTrace, marks: Sequence[int]) -> set[int]:
    """The variables of a stage that depend on these alone."""
    constant = {-1, *marks}
    for row in trace.rows():
        if constant.issuperset(row[2]):
            constant.update(range(row[4], row[4] + (len(row[5]) if row[0].multiple else 1)))
    return constant


def masked_linear(made: Freed, moving: Flags) -> Freed:
    """A program that is linear in some inputs, with what was taken of each beside it.

    (*inputs, *masks of those that move) → (*outputs, *masks of all). What multiplies an entry that
    wasn't taken doesn't count, even if it's infinite.
    """
    program, arrays = made
    fixed = (*(False,) * len(arrays), *moving)
    wider, more = remembered(program, ("masked", fixed), lambda: _masked_linear(program, fixed))
    return wider, (*more, *arrays)


def _masked_linear(program: Program, moving: Flags) -> Freed:
    stage, tape = StageTrace(), RecordTrace()
    stage.quiet = True
    xs = [stage.abstract(var.type) for var in program.inputs]
    variables = [tape.input(x) if flag else x for x, flag in zip(xs, moving, strict=True)]
    masks = [
        stage.abstract(ArrayType(var.type.shape, np.dtype(bool)))
        for var in where_true(program.inputs, moving)
    ]
    try:
        numbers = [_read(tape, out)[1] for out in evaluate(program, *variables)]
        tape.open = False
        pairs = zip(where_true(variables, moving), where_true(xs, moving), masks, strict=True)
        seeds: Tangents = {v.mark: (x, Mask(functools.partial(_itself, m))) for v, x, m in pairs}
        found = masked_push(tape, seeds, [-1 if n is None else n for n in numbers])
        values, taken = [], []
        for part, kind in zip(found, output_types(program), strict=True):
            t, mask = (zeros_of(kind), None) if part is None else part
            values.append(typed(t, kind))
            known = part is not None if mask is None else mask.value()
            taken.append(np.broadcast_to(known, kind.shape))
    finally:
        tape.open = stage.open = False
    return free(close(stage, [*xs, *masks], [*values, *taken], program.name))


def _itself(value: Any) -> Any:
    return value


def chooses(program: Program) -> bool:
    """Whether a program selects entries by a condition, so that others don't count."""
    return remembered(program, "chooses", lambda: any(map(_choosing, program.equations)))


def _choosing(equation: Equation) -> bool:
    if equation.primitive.name in ("select", "withhold"):
        return True
    values = [v for p in equation.params.values() for v in (p if type(p) is tuple else (p,))]
    return any(chooses(value) for value in values if isinstance(value, Program))


class Pruned(NamedTuple):
    """A body without what its wanted outputs don't need, and which inputs and outputs are left."""

    program: Program
    inputs: Flags
    outputs: Flags


def pruned(body: Program, consts: int, carry: int, wanted: Flags) -> Pruned:
    """A loop's body for some of its outputs; a carry stays while a later step may need it."""
    return remembered(
        body, ("pruned", consts, carry, wanted), lambda: _pruned(body, consts, carry, wanted)
    )


def _pruned(body: Program, consts: int, carry: int, wanted: Flags) -> Pruned:
    while True:
        needed = {out.number for out in where_true(body.outputs, wanted) if isinstance(out, Var)}
        equations = []
        for equation in reversed(body.equations):
            if any(var.number in needed for var in equation.outputs):
                needed |= {a.number for a in equation.inputs if isinstance(a, Var)}
                equations.append(equation)
        inputs = tuple(var.number in needed for var in body.inputs)
        carried = inputs[consts : consts + carry]
        grown = (*(a or b for a, b in zip(carried, wanted, strict=False)), *wanted[carry:])
        if grown == wanted:
            break
        wanted = grown
    # A carry that is asked for but never read stays on both sides.
    inputs = (*inputs[:consts], *wanted[:carry], *inputs[consts + carry :])
    program = replace(
        body,
        inputs=tuple(where_true(body.inputs, inputs)),
        equations=tuple(reversed(equations)),
        outputs=tuple(where_true(body.outputs, wanted)),
    )
    return Pruned(program, inputs, wanted)


# ---- batches -------------------------------------------------------------------------------------


def staged_batch(
    function: Callable[..., Sequence[Any]],
    kinds: Sequence[ArrayType],
    flags: Flags,
    size: int,
    results: Sequence[ArrayType],
    outs: Flags | None = None,
    body: Program | None = None,
    quiet: bool = False,
) -> tuple[Freed, Flags]:
    """A function of one example as a program for a batch, and the outputs that differ within it.

    Args:
        kinds, results: the types of one example's arguments and results.
        flags: which arguments carry the batch, on axis 0.
        outs: the results that shall carry it, even if all examples share their value.
        body: the program that the function runs.
        quiet: what it computes isn't all used.
    """
    stage, trace = StageTrace(), BatchTrace(size)
    stage.quiet = quiet or (body is not None and body.quiet)
    xs = [
        stage.abstract(ArrayType((size, *kind.shape), kind.dtype) if flag else kind)
        for kind, flag in zip(kinds, flags, strict=True)
    ]
    try:
        made = function(*[Tracer(trace, x, int(f)) for x, f in zip(xs, flags, strict=True)])
        pairs = [_read(trace, result) for result in made]
        found = tuple(bool(mark) for _, mark in pairs)
        values = [
            spread_out(value, bool(mark), want, kind, size)
            for (value, mark), want, kind in zip(pairs, outs or found, results, strict=True)
        ]
    finally:
        trace.open = stage.open = False
    return free(close(stage, xs, values, "batch" if body is None else body.name)), found


def spread_out(value: Any, batched: bool, wanted: bool, kind: ArrayType, size: int) -> Any:
    """A result in its type, for every example where that is wanted."""
    if wanted and not batched:
        value = np.broadcast_to(value, (size, *kind.shape))
    # A Python number that differs between examples is an array, and promotes like one.
    same = not hasattr(value, "dtype") or value.dtype == kind.dtype
    return value if same else value.astype(kind.dtype)
