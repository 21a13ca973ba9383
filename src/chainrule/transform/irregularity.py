"""Kinks, jumps and edges of the domain, noticed while a function runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.base.place import Place
from chainrule.base.trees import flatten
from chainrule.ir.primitive import Primitive, Undefined
from chainrule.ir.program import Equation
from chainrule.tracing.record import FIELDS, ProgramTrace
from chainrule.tracing.stage import evaluate
from chainrule.tracing.trace import apply, ground
from chainrule.tracing.tracer import Tracer
from chainrule.transform.arguments import Inputs, output_leaves, run_traced
from chainrule.transform.gradient import variables, vjp
from chainrule.transform.unroll import UNROLLED

# How many units in the last place still count as meeting a place, for values that were computed.
_NEAR = 4.0


@dataclass(frozen=True)
class Finding:
    """One place where a derivative is special.

    Args:
        kind: kink, jump, infinite, domain, overflow, undefined; flat, position, integer, branch.
        operation: the operation's name, where there is one.
        reason: why, in words.
        place: the user's line.
        index: the first such entry of the operation's result.
        entries: how many entries of it.
        taken: for a kink, the derivative by each varying operand that every mode uses.
        near: met only up to rounding.
        times: how often that line did it.
    """

    kind: str
    operation: str
    reason: str
    place: Place | None = None
    index: tuple[int, ...] = ()
    entries: int = 1
    taken: tuple[float, ...] = ()
    near: bool = False
    times: int = 1

    @property
    def line(self) -> int | None:
        """The line in the user's file."""
        return None if self.place is None else self.place.line

    @property
    def text(self) -> str:
        """The user's own words there."""
        return "" if self.place is None else self.place.text

    def __str__(self) -> str:
        head = f"{self.kind:<9} "
        if self.operation:
            head += f"{self.operation}, "
        head += "" if self.place is None else f"{self.place}: {self.text}"
        facts = [self.reason]
        if self.index or self.entries > 1:
            facts.insert(0, f"entry [{', '.join(map(str, self.index))}]{self._more()}")
        if self.near:
            facts.append("met up to rounding")
        if self.taken:
            facts.append("the derivative taken is " + " and ".join(f"{v:g}" for v in self.taken))
        if self.times > 1:
            facts.append(f"{self.times:,} times")
        body = "; ".join(facts)
        return f"{head}\n{'':<10}{body}" if self.place is not None else f"{head}{body}"

    def _more(self) -> str:
        return f" and {self.entries - 1:,} more" if self.entries > 1 else ""

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain Python values."""
        return {
            "kind": self.kind,
            "operation": self.operation,
            "reason": self.reason,
            "where": None if self.place is None else str(self.place),
            "text": self.text,
            "index": list(self.index),
            "entries": self.entries,
            "taken": list(self.taken),
            "near": self.near,
            "times": self.times,
        }


@dataclass(frozen=True)
class Mark:
    """What was noticed at one equation, with what is needed to explain it."""

    row: int
    kind: str
    reason: str
    index: tuple[int, ...]
    entries: int
    near: bool
    operands: tuple[Any, ...]
    params: dict[str, Any]


class WatchTrace(ProgramTrace):
    """A recording that looks at every value as it goes by."""

    __slots__ = ("marks", "scale")

    def __init__(self, leaves: Sequence[Any]) -> None:
        super().__init__()
        self.marks: list[Mark] = []
        sizes = [float(np.max(np.abs(x), initial=0.0)) for x in leaves]
        self.scale = max((s for s in sizes if np.isfinite(s)), default=0.0)

    def process(self, op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        unrolled = UNROLLED.get(op)
        if unrolled is not None:  # a loop: every step goes by, at its own line
            return unrolled(functools.partial(evaluate, after=self._at), *args, **params)
        result = super().process(op, args, params)
        row = len(self.equations) // FIELDS - 1
        if any(number >= 0 for number in self.equations[-FIELDS:][2]):
            operands = tuple(ground(a) for a in args)
            values = [ground(part) for part in (result if op.multiple else (result,))]
            self._watch(row, op, operands, values, params)
        return result

    def _at(self, equation: Equation) -> None:
        """Put an equation of a loop's body to the line where its user wrote it."""
        if equation.place is not None and self.equations:
            self.equations[-2:] = equation.place

    def _watch(
        self, row: int, op: Primitive, operands: tuple[Any, ...], values: list[Any], params: Any
    ) -> None:
        y = tuple(values) if op.multiple else values[0]
        seen = False
        for irregular in op.irregular:
            mask, near = np.asarray(irregular.where(y, *operands, **params)), False
            if not mask.any() and irregular.kind != "domain":
                rounded = self._rounded(operands)
                mask = np.asarray(irregular.where(op.value(*rounded, **params), *rounded, **params))
                near = True
            if mask.any():
                self._mark(row, irregular.kind, irregular.reason, mask, near, operands, params)
                seen = True
        if isinstance(op.derivative, Undefined):
            self._mark(row, "undefined", op.derivative.reason, np.True_, False, operands, params)
        elif not seen and all(_finite(x) for x in operands):
            for value in values:
                self._not_finite(row, value, operands, params)

    def _not_finite(self, row: int, value: Any, operands: tuple[Any, ...], params: Any) -> None:
        """Infinities and NaN made out of finite numbers."""
        if _finite(value):
            return
        undefined = np.isnan(value)
        if undefined.any():
            reason = "the result is not a real number"
            self._mark(row, "domain", reason, undefined, False, operands, params)
        else:
            reason = "the result is too large, or infinite"
            self._mark(row, "overflow", reason, np.isinf(value), False, operands, params)

    def _mark(
        self, row: int, kind: str, reason: str, mask: Any, near: bool, operands: Any, params: Any
    ) -> None:
        mask = np.asarray(mask)
        index = tuple(map(int, np.unravel_index(int(np.argmax(mask)), mask.shape)))
        count = int(np.count_nonzero(mask))
        self.marks.append(Mark(row, kind, reason, index, count, near, operands, params))

    def _rounded(self, operands: tuple[Any, ...]) -> list[Any]:
        """The operands with what rounding may have spoilt put right: whole numbers, ties."""
        rounded: list[Any] = []
        for x in operands:
            array = np.asarray(x)
            if array.dtype.kind != "f":
                rounded.append(x)
                continue
            slack = _NEAR * float(np.finfo(array.dtype).eps)
            whole = np.round(array)
            hit = np.abs(array - whole) <= slack * np.maximum(np.abs(array), self.scale)
            array = np.where(hit, whole, array)
            for other in rounded:
                if np.shape(other) == array.shape and np.asarray(other).dtype == array.dtype:
                    gap = np.abs(array - other) <= slack * np.abs(other)
                    array = np.where(gap, other, array)
            rounded.append(array[()])
        return rounded

    # ---- what of it matters -------------------------------------------------------------------

    def reports(self, outputs: Iterable[Any]) -> list[Finding]:
        """The marks on the way from the inputs to the outputs, and every branch."""
        rows = list(self.rows())
        varies = self._varying(rows)
        numbers = [out.mark for out in outputs if type(out) is Tracer and out.owner is self]
        reaching = self._reaching(rows, {n for n in numbers if n >= 0})
        branch_lines = {(p.filename, p.line) for p, _ in self.branches if p is not None}
        found = []
        for mark in self.marks:
            op, numbers_in, first = rows[mark.row][0], rows[mark.row][2], rows[mark.row][4]
            place = _place(rows[mark.row])
            deciding = place is not None and (place.filename, place.line) in branch_lines
            if varies.isdisjoint(numbers_in) or not (first in reaching or (op.flat and deciding)):
                continue
            taken = () if op.flat else _taken(op, mark, numbers_in)
            found.append(
                Finding(
                    mark.kind,
                    op.name,
                    mark.reason,
                    place,
                    mark.index,
                    mark.entries,
                    taken,
                    mark.near,
                )
            )
        found += self._flat(rows, varies, reaching)
        for place, answer in self.branches:
            reason = f"Python chose by a value ({answer}); the derivative is that of the path taken"
            found.append(Finding("branch", "", reason, place))
        return found

    def _flat(self, rows: list[Any], varies: set[int], reaching: set[int]) -> list[Finding]:
        """Operations through which no derivative passes."""
        found = []
        for row in rows:
            op, numbers, first = row[0], row[2], row[4]
            kind = self.dtypes[first].kind
            if not op.flat or kind == "b" or varies.isdisjoint(numbers):
                continue
            if kind in "iu":
                reason = "a position or a count: it has no derivative"
                found.append(Finding("position", op.name, reason, _place(row)))
            elif first in reaching:
                reason = "its derivative is zero wherever it exists"
                found.append(Finding("flat", op.name, reason, _place(row)))
        return found

    def _varying(self, rows: list[Any]) -> set[int]:
        """Variables that change smoothly with an input."""
        inputs = len(self.shapes) - sum(_count(row) for row in rows)
        varies = set(range(inputs))
        for row in rows:
            if not row[0].flat and not varies.isdisjoint(row[2]):
                varies.update(range(row[4], row[4] + _count(row)))
        return varies

    def _reaching(self, rows: list[Any], outputs: set[int]) -> set[int]:
        """Variables on which an output depends in any way."""
        reaching = set(outputs)
        for row in reversed(rows):
            if not reaching.isdisjoint(range(row[4], row[4] + _count(row))):
                reaching.update(number for number in row[2] if number >= 0)
        return reaching


def watch(f: Callable[..., Any], inputs: Inputs) -> tuple[list[Any], list[Finding]]:
    """Run f on these inputs: its output leaves, and what was noticed on the way."""
    trace = WatchTrace(inputs.leaves)
    tracers = variables(trace, inputs.leaves, tuple(inputs.args), inputs.positions)
    with np.errstate(all="ignore"):
        outs, _ = output_leaves(run_traced(f, trace, inputs, tracers, {}))
        return outs, merge(trace.reports(outs))


def assumptions(f: Callable[..., Any], args: Sequence[Any]) -> list[str]:
    """What a formula read off one run takes for granted: branches taken, positions found."""
    kinds = [{np.asarray(leaf).dtype.kind for leaf in flatten(a)[0]} for a in args]
    argnums = tuple(k for k, found in enumerate(kinds) if found and found <= set("fc"))
    _, findings = watch(f, Inputs(args, argnums, "symbolic"))
    said = []
    for found in findings:
        if found.kind == "branch":
            said.append(f"for the branch taken ({found.place}: {found.text})")
        elif found.kind == "position":
            said.append(f"where {found.operation} finds the same ({found.place}: {found.text})")
    return said


def merge(findings: Iterable[Finding]) -> list[Finding]:
    """One finding per line and reason, counting how often it came up."""
    merged: dict[Any, Finding] = {}
    for found in findings:
        key = (found.kind, found.operation, found.reason, found.place, found.near)
        known = merged.get(key)
        merged[key] = found if known is None else replace(known, times=known.times + 1)
    return list(merged.values())


def _taken(op: Primitive, mark: Mark, numbers: Sequence[int]) -> tuple[float, ...]:
    """The derivative of the marked entry by each varying operand, by the rule of every mode."""
    places = [
        k
        for k, number in enumerate(numbers)
        if number >= 0 and np.asarray(mark.operands[k]).dtype.kind in "fc"
    ]
    if op.multiple or not places or mark.kind not in ("kink", "jump", "infinite"):
        return ()

    def only(*values: Any) -> Any:
        full = list(mark.operands)
        for k, value in zip(places, values, strict=True):
            full[k] = value
        return apply(op, *full, **mark.params)

    out, pullback = vjp(only, *[mark.operands[k] for k in places])
    seed = np.zeros(np.shape(out), np.asarray(out).dtype)
    if len(mark.index) != seed.ndim:
        return ()
    seed[mark.index] = 1
    slopes = []
    for g in pullback(seed[()]):
        if np.shape(g) == np.shape(out):
            slopes.append(_real(np.asarray(g)[mark.index]))
        else:
            # A reduction shares its slope among the entries that tie.
            some = np.asarray(g)[np.asarray(g) != 0]
            slopes.append(_real(some.flat[0]) if some.size else 0.0)
    return tuple(slopes)


def _real(value: Any) -> float:
    return float(np.real(value))


def _finite(value: Any) -> bool:
    array = np.asarray(value)
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def _count(row: Any) -> int:
    return len(row[5]) if row[0].multiple else 1


def _place(row: Any) -> Place | None:
    return None if row[6] is None else Place(row[6], row[7])
