"""Reverse mode: a tape walked backwards, each equation's tangent map transposed.

Cotangents pair with tangents as Σ g·t without conjugation; conjugation happens once, where
complex cotangents come in and gradients go out, so that the gradient of a real loss is the
direction of steepest ascent.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.ir.primitive import Custom, Flat, Linear, Multilinear, Partials
from chainrule.ir.types import ArrayType
from chainrule.ops.family import sum_to
from chainrule.tracing.record import FIELDS, RecordTrace
from chainrule.tracing.recording import RECORDING, going_back
from chainrule.tracing.trace import refresh
from chainrule.tracing.tracer import Tracer
from chainrule.transform.linear import (
    Row,
    convert,
    transpose_custom,
    transpose_linear,
    transpose_multilinear,
    undefined,
)
from chainrule.transform.mask import Mask, Masked, blank, join
from chainrule.transform.shape import any_to, fill


class _Sum:
    """Several contributions to one variable's cotangent, added when the variable is reached."""

    __slots__ = ("dense", "gathered", "masks")

    def __init__(self) -> None:
        self.dense: Any = None
        self.masks: list[Mask] | None = []  # None: some contribution took every entry
        self.gathered: dict[Any, list[Any]] = {}

    def add(self, g: Any, mask: Mask | None) -> None:
        self.dense = g if self.dense is None else self.dense + g
        if self.masks is not None:
            self.masks = join(self.masks, mask)

    def gather(self, op: Any, piece: tuple[Any, Any, Any, Mask | None]) -> None:
        self.gathered.setdefault(op, []).append(piece)

    def total(self, kind: ArrayType) -> tuple[Any, Mask | None]:
        g = self.dense
        for op, pieces in self.gathered.items():
            part = op.derivative.gather(kind, [piece[:3] for piece in pieces])
            g = part if g is None else g + part
        if self.masks is None:
            return g, None
        if len(self.masks) == 1 and not self.gathered:
            return g, self.masks[0]
        parents = [piece[3] for pieces in self.gathered.values() for piece in pieces]
        return g, Mask(lambda: self._mask(kind), *self.masks, *parents)

    def _mask(self, kind: ArrayType) -> Any:
        pattern = ArrayType(kind.shape, np.dtype(float))
        taken = [mask.value() for mask in self.masks or ()]
        for op, pieces in self.gathered.items():
            ones = [
                (
                    np.ones(np.shape(g)) if mask is None else np.where(mask.value(), 1.0, 0.0),
                    operands,
                    params,
                )
                for g, operands, params, mask in pieces
            ]
            taken.append(op.derivative.gather(pattern, ones) > 0)
        return np.broadcast_to(functools.reduce(np.logical_or, taken), kind.shape)


def pull(
    trace: RecordTrace,
    seeds: Sequence[tuple[int, Any]],
    inputs: Sequence[int],
    masks: Sequence[Mask | None] = (),
) -> list[Any]:
    """Cotangents of the variables `inputs`, given those of some outputs.

    `seeds` are (variable, cotangent) pairs. An input that nothing reaches gets None.
    """
    return [g for g, _ in _masked_pull(trace, seeds, inputs, masks)]


def _masked_pull(
    trace: RecordTrace,
    seeds: Sequence[tuple[int, Any]],
    inputs: Sequence[int],
    masks: Sequence[Mask | None],
) -> list[Masked]:
    """The same, each cotangent with the mask of what was taken."""
    sweep = _Sweep(trace)
    for k, (number, g) in enumerate(seeds):
        sweep.add(number, g, masks[k] if k < len(masks) else None)
    # A derivative may be infinite where the value is fine; that is an answer, not a warning.
    with np.errstate(all="ignore"):
        if RECORDING.live is None:
            sweep.run()
        else:
            with going_back():
                sweep.run(RECORDING)
    return [sweep.take(number) for number in inputs]


class _Sweep:
    def __init__(self, trace: RecordTrace) -> None:
        self.trace = trace
        self.shapes = trace.shapes
        self.dtypes = trace.dtypes
        self.cotangents: dict[int, Any] = {}

    def add(self, number: int, g: Any, mask: Mask | None) -> None:
        """Add one contribution; a lone one without a mask is kept bare."""
        known = self.cotangents.get(number)
        if known is None:
            if mask is None:
                self.cotangents[number] = g
                return
            known = self.cotangents[number] = _Sum()
        elif type(known) is not _Sum:
            if mask is None:
                self.cotangents[number] = known + g
                return
            known = self._upgrade(number, known)
        known.add(g, mask)

    def gather(self, number: int, op: Any, piece: tuple[Any, Any, Any, Mask | None]) -> None:
        known = self.cotangents.get(number)
        if known is None:
            known = self.cotangents[number] = _Sum()
        elif type(known) is not _Sum:
            known = self._upgrade(number, known)
        known.gather(op, piece)

    def _upgrade(self, number: int, bare: Any) -> _Sum:
        known = self.cotangents[number] = _Sum()
        known.add(bare, None)
        return known

    def take(self, number: int) -> tuple[Any, Mask | None]:
        known = self.cotangents.pop(number, None)
        if type(known) is _Sum:
            return known.total(ArrayType(self.shapes[number], self.dtypes[number]))
        return known, None

    def run(self, recording: Any = None) -> None:
        """Visit the equations last to first; only those that something flows back to do work."""
        equations, cotangents = self.trace.equations, self.cotangents
        shapes, dtypes = self.shapes, self.dtypes
        for k in range(len(equations) - FIELDS, -1, -FIELDS):
            op = equations[k]
            first = equations[k + 4]
            if recording is not None and equations[k + 6] is not None:
                recording.origin = equations[k + 6], equations[k + 7]
            if op.multiple:
                self._multiple(equations[k : k + FIELDS])
                continue
            g = cotangents.pop(first, None)
            if g is None:
                continue
            mask = None
            if type(g) is _Sum:
                g, mask = g.total(ArrayType(shapes[first], dtypes[first]))
            derivative = op.derivative
            if type(derivative) is not Partials:
                if type(derivative) is Linear and derivative.gather is not None:
                    xs, numbers = equations[k + 1], equations[k + 2]
                    if numbers[0] >= 0 and mask is None and shapes[first] == shapes[numbers[0]]:
                        self._general(Row(equations[k : k + FIELDS], self.trace), g, mask)
                    elif numbers[0] >= 0:
                        g = g if g.shape == shapes[first] else fill(g, shapes[first])
                        piece = (g, tuple(xs[1:]), equations[k + 3], mask)
                        self.gather(numbers[0], op, piece)
                elif not op.flat:
                    self._general(Row(equations[k : k + FIELDS], self.trace), g, mask)
                continue
            # The hot path: one elementwise equation.
            xs, numbers, params, y = (
                equations[k + 1], equations[k + 2], equations[k + 3], equations[k + 5],
            )  # fmt: skip
            shape = shapes[first]
            for j, rule in enumerate(derivative.rules):
                number = numbers[j]
                if number < 0:
                    continue
                if type(rule) is float:
                    part = g if rule == 1.0 else g * rule
                else:
                    d = rule(y, *xs, **params)  # type: ignore[operator]
                    part = g * (d if mask is None else blank(d, mask, shape))
                to = shapes[number]
                down = mask
                if to != shape:
                    part = sum_to(fill(part, shape), to)
                    if mask is not None:
                        down = Mask(functools.partial(_narrowed, mask, shape, to), mask)
                        down.near = mask.near
                dtype = dtypes[number]
                if part.dtype is not dtype and part.dtype != dtype:
                    part = convert(part, dtype)
                if down is None and number not in cotangents:
                    cotangents[number] = part
                else:
                    self.add(number, part, down)

    def _general(self, row: Row, g: Any, mask: Mask | None) -> None:
        derivative = row.op.derivative
        g = fill(g, row.kind.shape)
        if isinstance(derivative, Linear):
            answers = transpose_linear(row, g, mask)
        elif isinstance(derivative, Multilinear):
            answers = transpose_multilinear(row, g, mask)
        elif isinstance(derivative, Custom):
            parts = transpose_custom(row, g, _inner_pull((mask,)), (mask,))
            answers = [(k, *part) for k, part in enumerate(parts)]
        else:
            raise undefined(row.op, row.place)
        for k, part, down in answers:
            self._add_to_operand(row, k, part, down)

    def _multiple(self, fields: list[Any]) -> None:
        op, first, kept = fields[0], fields[4], fields[5]
        numbers = range(first, first + len(kept))
        gs, masks = zip(*map(self.take, numbers), strict=True)
        if isinstance(op.derivative, Flat) or all(g is None for g in gs):
            return
        row = Row(tuple(fields), self.trace)
        if not isinstance(op.derivative, Custom):
            raise undefined(op, row.place)
        gs = tuple(
            None if g is None else fill(g, self.shapes[n]) for g, n in zip(gs, numbers, strict=True)
        )
        flowing = [mask for g, mask in zip(gs, masks, strict=True) if g is not None]
        parts = transpose_custom(row, gs, _inner_pull(masks), flowing)
        for k, (part, mask) in enumerate(parts):
            self._add_to_operand(row, k, part, mask)

    def _add_to_operand(self, row: Row, k: int, part: Any, mask: Mask | None) -> None:
        number = row.numbers[k]
        if number < 0 or part is None:
            return
        dtype = self.dtypes[number]
        if part.dtype != dtype:
            if dtype.kind not in "fc":
                return
            part = convert(part, dtype)
        self.add(number, part, mask)


def _narrowed(mask: Mask, shape: tuple[int, ...], to: tuple[int, ...]) -> Any:
    """The mask of an operand that was broadcast."""
    return any_to(fill(mask.value(), shape), to)


def _inner_pull(masks: Sequence[Mask | None]) -> Any:
    """Reverse mode for the tangent map of one equation, whose outputs were taken so."""

    def inner(
        trace: RecordTrace, seeds: Sequence[tuple[int, int, Any]], inputs: Sequence[int]
    ) -> list[Masked]:
        pairs = [(number, g) for _, number, g in seeds]
        return _masked_pull(trace, pairs, inputs, [masks[k] for k, _, _ in seeds])

    return inner


def result_number(trace: RecordTrace, result: Any) -> int:
    """The variable that a traced function's result names, or -1 when it's a constant."""
    if type(result) is not Tracer:
        return -1
    refresh(result)
    return result.mark if result.owner is trace else -1
