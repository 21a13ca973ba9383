"""Forward mode along a recorded tape: tangents pushed through equations that have already run.

The Jacobian uses it: the function runs once, and the tape is then swept forwards or backwards.
Beside each tangent goes the pattern of the entries that any seed reaches at all, so that an
infinite derivative times a tangent that is zero by construction is zero, and not NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.ir.primitive import Custom, Linear, Multilinear, Partials
from chainrule.ir.types import ArrayType
from chainrule.ops.doubt import withhold
from chainrule.tracing.record import RecordTrace
from chainrule.tracing.stage import StageTrace
from chainrule.tracing.trace import apply
from chainrule.tracing.tracer import Tracer
from chainrule.transform.linear import Row, convert, tangent_dtype, undefined
from chainrule.transform.mask import (
    Mask,
    Masked,
    blank,
    factor_pattern,
    generic,
    generic_pattern,
    plainly_finite,
    plainly_true,
)
from chainrule.transform.shape import fill

Tangents = dict[int, Masked]


def push_tape(trace: RecordTrace, seeds: Tangents, outputs: Sequence[int]) -> list[Any]:
    """Tangents of the variables `outputs`, given some of the inputs; None where nothing arrives.

    A seed's mask says which of its entries may be anything but zero.
    """
    return [None if part is None else part[0] for part in masked_push(trace, seeds, outputs)]


def masked_push(trace: RecordTrace, seeds: Tangents, outputs: Sequence[int]) -> list[Masked | None]:
    """The same, each tangent with the mask of what was reached."""
    last = _last_uses(trace, outputs)
    tangents = dict(seeds)
    with np.errstate(all="ignore"):
        for position, fields in enumerate(trace.rows()):
            row = Row(fields, trace)
            if any(number in tangents for number in row.numbers) and not row.op.flat:
                tangents.update(_push_row(row, fields[4], tangents))
            for number in last.get(position, ()):
                tangents.pop(number, None)
    return [tangents.get(number) for number in outputs]


def _last_uses(trace: RecordTrace, outputs: Sequence[int]) -> dict[int, list[int]]:
    """Position of an equation → the variables whose tangents nobody needs after it."""
    seen = set(outputs)
    last: dict[int, list[int]] = {}
    rows = [row[2] for row in trace.rows()]
    for position in range(len(rows) - 1, -1, -1):
        for number in rows[position]:
            if number not in seen:
                seen.add(number)
                last.setdefault(position, []).append(number)
    return last


def _push_row(row: Row, first: int, tangents: Tangents) -> Tangents:
    """The tangents of one equation's outputs."""
    parts = [tangents.get(number) for number in row.numbers]
    derivative = row.op.derivative
    if isinstance(derivative, Custom):
        staged = isinstance(row.trace, StageTrace)
        return _push_itself(row, first, parts) if staged else _push_custom(row, first, parts)
    if isinstance(derivative, Partials):
        t, mask = _push_partials(row, derivative, parts)
    elif isinstance(derivative, Linear):
        t, mask = _push_linear(row, parts)
    elif isinstance(derivative, Multilinear):
        t, mask = _push_multilinear(row, parts)
    else:
        raise undefined(row.op, row.place)
    return {} if t is None else {first: (_as(t, row.kind), mask)}


def _as(t: Any, kind: ArrayType) -> Any:
    """A tangent has the shape and dtype of its value."""
    t = fill(t, kind.shape)
    return t if t.dtype == kind.dtype else convert(t, kind.dtype)


def _push_partials(row: Row, derivative: Partials, parts: Sequence[Masked | None]) -> Masked:
    shape = row.kind.shape
    total: Any = None
    masks: list[Mask | None] = []
    for rule, part in zip(derivative.rules, parts, strict=True):
        if part is None:
            continue
        t, mask = part
        d = rule(row.y, *row.xs, **row.params) if callable(rule) else rule
        if not (type(d) is float and d == 1.0):
            t = blank(d, mask, shape) * t
        total = t if total is None else total + t
        masks.append(mask)
    return total, _either(masks, shape)


def _either(masks: Sequence[Mask | None], shape: tuple[int, ...]) -> Mask | None:
    """Where one of several tangents of a common shape may be other than zero."""
    known = [mask for mask in masks if mask is not None]
    if len(known) < len(masks):
        return None

    def make() -> Any:
        total = fill(known[0].value(), shape)
        for mask in known[1:]:
            total = np.logical_or(total, mask.value())
        return total

    return Mask(make, *known)


def _push_linear(row: Row, parts: Sequence[Masked | None]) -> Masked:
    op, linear = row.op, row.op.linear_args(len(row.xs))
    if all(parts[k] is None for k in linear):
        return None, None
    kinds = {k: row.type(k) for k in linear}
    zeros = {k: np.zeros(kind.shape, tangent_dtype(kind.dtype)) for k, kind in kinds.items()}
    operands = list(row.xs)
    for k in linear:
        part = parts[k]
        operands[k] = zeros[k] if part is None else part[0]
    masks = {k: part[1] for k in linear if (part := parts[k]) is not None}

    def make() -> Any:
        patterns = list(operands)
        for k in linear:
            known = k in masks
            patterns[k] = generic_pattern(masks[k], *kinds[k][:2]) if known else zeros[k]
        return np.not_equal(apply(op, *patterns, **row.params), 0)

    dense = any(mask is None for mask in masks.values())
    return apply(op, *operands, **row.params), None if dense else Mask(make, *masks.values())


def _push_multilinear(row: Row, parts: Sequence[Masked | None]) -> Masked:
    """One term per tangent; what only zero entries would multiply is blanked."""
    total: Any = None
    masks: list[Mask | None] = []
    for k, part in enumerate(parts):
        if part is None:
            continue
        t, mask = part
        term = None if mask is None else _of_units(row, k, t)
        if term is None:
            operands = list(row.xs)
            if mask is not None:
                operands = [
                    x if j == k else _blank_factor(row, j, k, mask) for j, x in enumerate(row.xs)
                ]
            operands[k] = t
            term = apply(row.op, *operands, **row.params)
        reached = None if mask is None else _reached(row, k, mask)
        term = blank(term, reached, row.kind.shape)
        total = term if total is None else total + term
        masks.append(reached)
    return total, _either(masks, row.kind.shape)


def _of_units(row: Row, k: int, t: Any) -> Any:
    """What comes out where the tangents are all unit vectors, as at the start of a Jacobian.

    Nothing is multiplied, so nothing infinite meets a zero.
    """
    unit = row.op.derivative.unit
    if unit is None or type(t) is not Tracer or not t.owner.batching or not t.mark:
        return None
    seeds = t.value
    if type(seeds) is not np.ndarray or seeds.ndim != 2 or seeds.shape[0] != seeds.shape[1]:
        return None
    if not np.array_equal(seeds, np.eye(len(seeds), dtype=seeds.dtype)):
        return None
    others = [x for j, x in enumerate(row.xs) if j != k]
    if any(type(x) is Tracer and x.owner is t.owner for x in others):
        return None
    columns = unit(k, *row.xs, **row.params)
    return None if columns is None else Tracer(t.owner, np.multiply(columns, seeds[0, 0]), 1)


def _blank_factor(row: Row, j: int, k: int, mask: Mask) -> Any:
    """Operand j, with zeros where it would only meet zero entries of the tangent of operand k."""
    x = row.xs[j]
    if plainly_finite(x):
        return x
    numbers: list[Any] = [generic(row.type(i).shape) for i in range(len(row.xs))]
    numbers[k] = generic_pattern(mask, row.type(k).shape)
    numbers[j] = ArrayType(np.shape(x), np.dtype(float))
    transpose = row.op.derivative.transposes[j]
    used = np.not_equal(transpose(np.ones(row.kind.shape), *numbers, **row.params), 0)
    if plainly_true(used):
        return x
    return withhold(x, used)


def _reached(row: Row, k: int, mask: Mask) -> Mask:
    """Where a tangent of operand k arrives in the output."""

    def make() -> Any:
        numbers = [
            generic_pattern(mask, row.type(k).shape) if i == k else factor_pattern(x)
            for i, x in enumerate(row.xs)
        ]
        return np.not_equal(apply(row.op, *numbers, **row.params), 0)

    return Mask(make, mask)


def _push_custom(row: Row, first: int, parts: Sequence[Masked | None]) -> Tangents:
    """The rule's own map, staged, so that the patterns can follow it step by step."""
    if all(part is None or part[1] is None for part in parts):
        bare = tuple(None if part is None else part[0] for part in parts)
        out = row.op.derivative.forward(bare, row.y, *row.xs, **row.params)
        return _results(row, first, [(t, None) for t in (out if row.op.multiple else (out,))])
    stage = StageTrace()
    staged = [
        None if part is None else stage.abstract(ArrayType(row.type(k).shape, part[0].dtype))
        for k, part in enumerate(parts)
    ]
    try:
        out = row.op.derivative.forward(tuple(staged), row.y, *row.xs, **row.params)
    finally:
        stage.open = False
    outs = out if row.op.multiple else (out,)
    tangents = {
        s.mark: part for s, part in zip(staged, parts, strict=True) if s is not None and part
    }
    numbers = [t.mark if type(t) is Tracer and t.owner is stage else -1 for t in outs]
    for fields in stage.rows():
        inner = Row(fields, stage)
        if any(number in tangents for number in inner.numbers) and not inner.op.flat:
            tangents.update(_push_row(inner, fields[4], tangents))
    found = [
        tangents.get(number, (None, None)) if number >= 0 else (t, None)
        for number, t in zip(numbers, outs, strict=True)
    ]
    return _results(row, first, found)


def _push_itself(row: Row, first: int, parts: Sequence[Masked | None]) -> Tangents:
    """A rule's own map is linear: a custom operation in it (solve) is its own tangent map."""
    op, operands = row.op, list(row.xs)
    arriving = {k: part for k, part in enumerate(parts) if part is not None}
    for k, number in enumerate(row.numbers):
        if number >= 0:
            operands[k] = np.zeros(*row.type(k)[:2])
    zeros = tuple(operands)
    for k, (t, _) in arriving.items():
        operands[k] = t

    def make() -> Any:
        patterns = list(zeros)
        for k, (_, mask) in arriving.items():
            patterns[k] = generic_pattern(mask, *row.type(k)[:2])
        return np.not_equal(apply(op, *patterns, **row.params), 0)

    out = apply(op, *operands, **row.params)
    masks = [mask for _, mask in arriving.values()]
    if op.multiple or any(mask is None for mask in masks):
        outs = out if op.multiple else (out,)
        return _results(row, first, [(t, None) for t in outs])
    return _results(row, first, [(out, Mask(make, *masks))])


def _results(row: Row, first: int, found: Sequence[Masked]) -> Tangents:
    kinds = [row.trace.type_of_number(first + k) for k in range(len(found))]
    return {
        first + k: (_as(t, kind), mask)
        for k, ((t, mask), kind) in enumerate(zip(found, kinds, strict=True))
        if t is not None
    }
