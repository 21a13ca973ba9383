"""Recording a function that is to become one equation: all that it depends on becomes an input.

A value of another trace that the function merely sees (through its closure) is turned into an
input on first use, and computing goes on with the plain number below it, so that nothing of the
function's inside lands on the tapes around it. Such a value may not leave but as a result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import TraceError
from chainrule.base.place import user_place
from chainrule.base.trees import flatten
from chainrule.ir.canonical import canonical
from chainrule.ir.naming import reread
from chainrule.ir.primitive import Primitive
from chainrule.ir.program import Program, Var
from chainrule.ir.types import ArrayType, type_of
from chainrule.tracing.creation import as_traced_leaf, operand
from chainrule.tracing.generators import without_drawing
from chainrule.tracing.origin import Origins, begins_at
from chainrule.tracing.record import ProgramTrace
from chainrule.tracing.recording import RECORDING
from chainrule.tracing.stage import StageTrace, close
from chainrule.tracing.swap import swapped
from chainrule.tracing.trace import ground, inside, resolve, snapshot
from chainrule.tracing.tracer import Tracer

_SMALL = 4096
_LOOPS = ("scan", "while_loop", "fori_loop")


class _Entrance:
    """The inputs that a body has met so far, each known by the variable that it names."""

    def __init__(self, trace: BodyTrace | StagedBody) -> None:
        self.trace = trace
        self.met: dict[tuple[int, int, int], tuple[Tracer, Tracer]] = {}

    def inside(self, value: Any) -> Any:
        """What stands in the body for a value: itself, or an input."""
        if type(value) is not Tracer or value.owner is self.trace:
            return value
        outer = snapshot(value)
        key = (id(outer.owner), id(outer.value), id(outer.mark))
        if key not in self.met:
            self.met[key] = (outer, self.trace.enter(outer))
        return self.met[key][1]


class BodyTrace(ProgramTrace):
    """A body recorded with values."""

    __slots__ = ("entrance", "origins")

    def __init__(self) -> None:
        super().__init__()
        self.entrance = _Entrance(self)
        self.origins = Origins() if RECORDING.origins else None

    def enter(self, outer: Any) -> Tracer:
        """An input with the number that stands below the derivatives of `outer`."""
        value = outer
        while type(value) is Tracer and value.owner.has_value(value):
            value = value.value
        tracer = self.input(value, getattr(outer, "weak", False))
        if type(outer) is Tracer and outer.owner.passive:
            self.still.add(tracer.mark)
        return tracer

    def process(self, op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return _noted(self, op, super().process(op, tuple(map(self.entrance.inside, args)), params))

    def finished(self, tracer: Tracer) -> Any:
        raise _escaped()


class StagedBody(StageTrace):
    """A body recorded without values."""

    __slots__ = ("caller", "entrance", "origins")

    def __init__(self, caller: str = "") -> None:
        super().__init__()
        self.caller = caller  # cond, while_loop, scan: what the body is traced for
        self.entrance = _Entrance(self)
        self.origins = Origins() if RECORDING.origins else None

    def enter(self, outer: Any) -> Tracer:
        """An input of the type of `outer`."""
        kind = ArrayType(tuple(outer.shape), outer.dtype, getattr(outer, "weak", False))
        return self.abstract(kind, outer if len(kind.shape) > 1 else None)

    def process(self, op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        return _noted(self, op, super().process(op, tuple(map(self.entrance.inside, args)), params))

    def finished(self, tracer: Tracer) -> Any:
        if tracer.mark < 0:
            return super().finished(tracer)
        if not self.caller:
            raise _escaped()
        raise TraceError(
            f"{self.caller}: a value computed inside was used outside",
            {"value": self.describe(tracer)},
            "return it, as part of the carry or beside it; a body can't store results elsewhere",
        )


def _noted(trace: BodyTrace | StagedBody, op: Primitive, result: Any) -> Any:
    """The result; where its equation comes from is written down, if that is asked for."""
    if trace.origins is not None:
        trace.origins.note(len(trace.shapes) - (len(result) if op.multiple else 1))
    return result


def _close(trace: BodyTrace | StagedBody) -> None:
    """Let nothing more be recorded."""
    trace.open = False
    if trace.origins is not None:
        trace.origins.forget_frames()


def _escaped() -> TraceError:
    return TraceError(
        "a value computed inside a checkpoint, or a function with its own rule, was used outside",
        fix="return it from that function instead of storing it",
    )


class Body(NamedTuple):
    """A recorded function.

    Its program's inputs are the operands, then what was captured. `leaves` are those of the
    result; at `places` stand the outputs of the program, of which the type is left.
    """

    program: Program
    captured: tuple[Tracer, ...]
    leaves: tuple[Any, ...]
    places: tuple[int, ...]
    tree: Any


Run = tuple[list[Any], list[Any]]


def trace_body(f: Callable[..., Any], operands: Sequence[Any]) -> tuple[Body, Run | None]:
    """Record f(*operands): with values where every operand has one, else without.

    Returns the plain inputs and outputs of this one run too, if it had any.
    """
    known = all(ground(operand) is not None for operand in operands)
    trace: BodyTrace | StagedBody = BodyTrace() if known else StagedBody()
    inputs = [trace.enter(operand) for operand in operands]
    try:
        with swapped():
            # Under other names: a write to an argument re-points the name that f was given.
            leaves, tree = flatten(f(*map(snapshot, inputs)))
            leaves = [resolve(as_traced_leaf(leaf)) for leaf in leaves]
            leaves = [trace.entrance.inside(leaf) for leaf in leaves]
    finally:
        _close(trace)
    places = tuple(k for k, leaf in enumerate(leaves) if type(leaf) is Tracer)
    met = list(trace.entrance.met.values())
    name = getattr(f, "__name__", type(f).__name__)
    outputs = [leaves[k] for k in places]
    inner_inputs = [*inputs, *(inner for _, inner in met)]
    ran: Run | None = None
    if known and not any(type(t.value) is Tracer for t in (*inner_inputs, *outputs)):
        ran = [t.value for t in inner_inputs], [t.value for t in outputs]
    program = close(trace, inner_inputs, outputs, name)
    for k in places:
        leaves[k] = ArrayType(tuple(leaves[k].shape), leaves[k].dtype, leaves[k].weak)
    return Body(program, tuple(outer for outer, _ in met), tuple(leaves), places, tree), ran


begins_at(trace_body)


class Staged(NamedTuple):
    """A function as a program without values.

    The program is closed: its inputs are what the function saw from outside (`captured`, arrays and
    values of other traces), then its arguments. `leaves` are the types of its outputs.
    """

    program: Program
    captured: tuple[Any, ...]
    leaves: tuple[ArrayType, ...]
    tree: Any


def _drawing(f: Callable[..., Any], caller: str) -> AbstractContextManager[None]:
    """Where a body is recorded once for many turns, it can't draw numbers."""
    return without_drawing(f, caller, user_place()) if caller in _LOOPS else nullcontext()


def stage_body(
    f: Callable[..., Any],
    kinds: Sequence[ArrayType],
    caller: str,
    settle: Callable[[list[Any], Any], list[Any]] | None = None,
    labels: Sequence[str | None] = (),
) -> Staged:
    """Record f, a function of flat leaves of these types, for one equation of control flow.

    `settle(leaves, tree)` may convert the leaves of the result while they're still recorded.
    `labels` are the user's names for the leaves.
    """
    trace = StagedBody(caller)
    inputs = [trace.abstract(kind) for kind in kinds]
    try:
        with inside(trace), swapped(), _drawing(f, caller):
            # Under other names: a write to an argument re-points the name that f was given.
            leaves, tree = flatten(f(*map(snapshot, inputs)))
            leaves = [resolve(operand(as_traced_leaf(leaf))) for leaf in leaves]
            if settle is not None:
                leaves = settle(leaves, tree)
            leaves = [trace.entrance.inside(leaf) for leaf in leaves]
    finally:
        _close(trace)
    met = list(trace.entrance.met.values())
    name = getattr(f, "__name__", type(f).__name__)
    heads = [*(inner for _, inner in met), *inputs]
    program = close(trace, heads, leaves, name, labels=[*(None for _ in met), *labels])
    program, arrays = free(program)
    outer = tuple(value for value, _ in met)
    types = tuple(type_of(leaf) for leaf in leaves)
    return Staged(canonical(program), (*arrays, *outer), types, tree)


begins_at(stage_body)


def free(program: Program) -> tuple[Program, tuple[Any, ...]]:
    """A program whose captured arrays are its first inputs, and those arrays."""
    if not program.captured:
        return program, ()
    heads: list[Var] = []
    arrays: list[Any] = []
    same: dict[int, Var] = {}
    for var, value in program.captured:
        twin = next((k for k, array in enumerate(arrays) if _same(array, value)), None)
        if twin is None:
            heads.append(var)
            arrays.append(value)
        else:
            same[var.number] = heads[twin]
    program = replace(program, inputs=(*heads, *program.inputs), captured=())
    return (reread(program, same) if same else program), tuple(arrays)


def _same(left: np.ndarray, right: np.ndarray) -> bool:
    if left is right:
        return True
    if left.shape != right.shape or left.dtype != right.dtype or left.nbytes > _SMALL:
        return False  # of large arrays a trace makes one copy alone
    return left.tobytes() == right.tobytes()
