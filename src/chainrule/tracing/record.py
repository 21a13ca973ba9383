"""The trace with values: a flat tape of what ran, holding only what a derivative will read."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.base.place import INTERNAL, Place, user_place
from chainrule.ir.primitive import Custom, Linear, Partials, Primitive
from chainrule.ir.types import ArrayType, type_of
from chainrule.tracing.recording import RECORDING, is_live
from chainrule.tracing.table import RESOLVERS, TABLE
from chainrule.tracing.trace import (
    Trace,
    apply,
    describe_type,
    explained,
    refresh,
    resolve,
    settle_weak,
    snapshot,
)
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import link

FIELDS = 8
_CHEAP_TO_COPY = 4096  # bytes: comparing with the last copy takes longer
_array_equal = np.array_equal  # while a trace runs, NumPy's own name looks for traced values


class RecordTrace(Trace):
    """Equations in flat lists: (op, operands, numbers, params, first output, value, code, lasti).

    Per variable its shape and dtype are kept, so that a dropped value still has a type. A plain
    array that a derivative rule will read later is copied, because the user may write to it
    meanwhile; one that was marked read-only is not.
    """

    __slots__ = ("_labels", "branches", "copies", "dtypes", "equations", "shapes", "weakened")
    keeps = False  # every equation, flat and constant ones too, but no values
    origins: Any = None  # where its equations come from, in more detail than their lines

    def __init__(self) -> None:
        super().__init__()
        self.equations: list[Any] = []
        self.shapes: list[tuple[int, ...]] = []
        self.dtypes: list[np.dtype[Any]] = []
        self.copies: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self.branches: list[tuple[Place | None, bool]] = []
        self.weakened: set[int] = set()  # results of calls that are Python's own numbers

    def input(self, value: Any, weak: bool = False) -> Tracer:
        """A variable that derivatives are taken with respect to."""
        return Tracer(self, value, self.new_number(value), weak)

    def new_number(self, value: Any) -> int:
        number = len(self.shapes)
        self.shapes.append(value.shape)
        self.dtypes.append(value.dtype)
        return number

    def lift(self, value: Any) -> Tracer:
        return Tracer(self, value, -1)

    def active(self, tracer: Tracer) -> bool:
        return tracer.mark != -1 and tracer.dtype.kind in "fc"

    def truth(self, tracer: Tracer) -> bool:
        answer = super().truth(tracer)
        self.branches.append((user_place(2), answer))
        return answer

    def process(self, op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        # The hot path of everything that runs uncompiled: no helper calls that could be spared.
        operands: list[Any] = []
        numbers: list[int] = []
        nested = weak = varies = False
        for a in args:
            number = -1
            if type(a) is Tracer:
                if a.alias is not None:
                    refresh(a)
                weak = weak or a.weak
                if a.owner is self:
                    number = a.mark
                    varies = varies or number >= 0
                    a = a.value
                    nested = nested or type(a) is Tracer
                elif a.owner.passive:
                    a = a.value
                else:
                    nested = True
                    a = snapshot(a)
            operands.append(a)
            numbers.append(number)
        if weak:
            weak = settle_weak(op, args, operands)
        if op.multiple and varies and not self.keeps and _linearises(op):
            return self._linearised(op, operands, numbers, params)
        try:
            value = apply(op, *operands, **params) if nested else op.value(*operands, **params)
        except (TypeError, ValueError) as error:
            raise explained(op, operands, params, error) from None
        if type(value) in RESOLVERS:  # made by NumPy's creation functions, which are ours just now
            value = resolve(value)
        if not self.keeps and (not varies or op.flat):
            return self._constant(op, value, args, params, weak)
        kept = self._drop(op, args, operands, numbers, value)
        shapes = self.shapes
        first = len(shapes)
        if op.multiple:
            result: Any = tuple(Tracer(self, part, self.new_number(part)) for part in value)
        else:
            shapes.append(value.shape)
            self.dtypes.append(value.dtype)
            result = Tracer(self, value, first, weak)
            if op.view is not None:
                link(result, args[0], op, params)
        if RECORDING.origin is not None:
            self.equations += (op, operands, numbers, params, first, kept, *RECORDING.origin)
            return result
        frame: Any = sys._getframe(2)
        while INTERNAL[frame.f_code.co_filename] and frame.f_back is not None:
            frame = frame.f_back
        self.equations += (op, operands, numbers, params, first, kept, frame.f_code, frame.f_lasti)
        return result

    def _linearised(
        self, op: Primitive, operands: list[Any], numbers: list[int], params: dict[str, Any]
    ) -> Any:
        """An equation whose tangent map is found while it runs, and stands on the tape alone."""
        varies = tuple(n >= 0 and self.dtypes[n].kind in "fc" for n in numbers)
        if not any(varies):
            return self._constant(op, apply(op, *operands, **params), (), params, False)
        rule: Any = op.derivative
        with np.errstate(all="ignore"):  # partial derivatives are computed on the way
            value, linear, residuals, more = rule.linearise(varies, *operands, **params)
        moving = [n for n, flag in zip(numbers, varies, strict=True) if flag]
        first = len(self.shapes)
        result = tuple(Tracer(self, part, self.new_number(part)) for part in value)
        kept = (None,) * len(value)
        rows = [None] * len(moving) + list(residuals)
        numbers = moving + [-1] * len(residuals)
        place = user_place(3) or (None, None)
        self.equations += (linear, rows, numbers, more, first, kept, *place)
        return result

    def _constant(
        self, op: Primitive, value: Any, args: tuple[Any, ...], params: dict[str, Any], weak: bool
    ) -> Any:
        """A result on which nothing that is differentiated has any influence."""
        if op.multiple:
            return tuple(Tracer(self, part, -1) for part in value)
        result = Tracer(self, value, -1, weak)
        if op.view is not None:
            link(result, args[0], op, params)
        return result

    def _drop(
        self,
        op: Primitive,
        args: tuple[Any, ...],
        operands: list[Any],
        numbers: list[int],
        value: Any,
    ) -> Any:
        """Forget what no rule will read; own what one will. Returns the value, if it is read."""
        derivative = op.derivative
        if type(derivative) is Partials:
            traced, bit = 0, 1
            for number in numbers:
                if number >= 0:
                    traced |= bit
                bit += bit
            keeps_value, unread, read = op.plans.get(traced) or op.plan(traced)
            for k in unread:
                operands[k] = None
            for k in read:
                if type(args[k]) is np.ndarray:
                    operands[k] = self.own(operands[k])
            return value if keeps_value else None
        if type(derivative) is Linear:
            linear = derivative.args
            for k, a in enumerate(operands):
                if linear is None or k in linear:
                    operands[k] = None if numbers[k] >= 0 else type_of(a)
                elif type(args[k]) is np.ndarray:
                    operands[k] = self.own(a)
            return (None,) * len(value) if op.multiple else None
        self._own(args, operands)
        if type(derivative) is Custom and not derivative.output:
            return (None,) * len(value) if op.multiple else None
        return value

    def _own(self, args: tuple[Any, ...], operands: list[Any]) -> None:
        for k, a in enumerate(args):
            if type(a) is np.ndarray:
                operands[k] = self.own(operands[k])

    def own(self, array: np.ndarray) -> Any:
        """A captured array as it is now, whatever is written to it later."""
        if array.dtype.hasobject:
            return TABLE["operand"](array)
        if not array.flags.writeable or is_live(array):
            return array
        if array.nbytes <= _CHEAP_TO_COPY:
            return array.copy()
        known = self.copies.get(id(array))
        if known is None or not _array_equal(known[1], array, equal_nan=array.dtype.kind in "fc"):
            known = self.copies[id(array)] = (array, array.copy())
        return known[1]

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The equations, first to last."""
        equations = self.equations
        for k in range(0, len(equations), FIELDS):
            yield tuple(equations[k : k + FIELDS])

    def type_of_number(self, number: int) -> ArrayType:
        return ArrayType(self.shapes[number], self.dtypes[number])

    @property
    def labels(self) -> dict[int, str]:
        """Names that the user gave to variables; few traces have any."""
        if not hasattr(self, "_labels"):
            self._labels: dict[int, str] = {}
        return self._labels

    def describe(self, tracer: Tracer) -> str:
        refresh(tracer)
        return f"{self.called(tracer)}Traced<{describe_type(tracer)}>({tracer.value!s})"

    def called(self, tracer: Tracer) -> str:
        """The user's name for a value, as errors begin with it."""
        label = self.labels.get(tracer.mark)
        return "" if label is None else f"{label}: "


def _linearises(op: Primitive) -> bool:
    return type(op.derivative) is Custom and op.derivative.linearise is not None


class ProgramTrace(RecordTrace):
    """A trace with values that forgets nothing about the equations: it becomes a program."""

    __slots__ = ("still",)
    keeps = True

    def __init__(self) -> None:
        super().__init__()
        self.still: set[int] = set()  # variables that no derivative flows through

    def active(self, tracer: Tracer) -> bool:
        return tracer.mark not in self.still and super().active(tracer)

    def _drop(
        self,
        op: Primitive,
        args: tuple[Any, ...],
        operands: list[Any],
        numbers: list[int],
        value: Any,
    ) -> Any:
        """A program needs its constants, and no values of variables."""
        self._own(args, operands)
        if op.flat or all(number < 0 or number in self.still for number in numbers):
            first = len(self.shapes)
            self.still.update(range(first, first + (len(value) if op.multiple else 1)))
        for k, number in enumerate(numbers):
            if number >= 0:
                operands[k] = None
        return (None,) * len(value) if op.multiple else None
