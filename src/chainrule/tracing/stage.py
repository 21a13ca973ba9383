"""Tracing without values, and turning what a trace recorded into a program."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError, InternalError, TraceError
from chainrule.base.place import Place, user_place
from chainrule.base.trees import flatten, paths, unflatten
from chainrule.ir.naming import named
from chainrule.ir.primitive import Primitive
from chainrule.ir.program import Constant, Equation, Operand, Program, Var
from chainrule.ir.types import ArrayType, type_of
from chainrule.tracing.closure import names_of_captured
from chainrule.tracing.creation import as_traced_leaf
from chainrule.tracing.layout import Layouts, Order, order_of
from chainrule.tracing.operands import refuse_outer_write
from chainrule.tracing.origin import OriginTrace, begins_at
from chainrule.tracing.record import ProgramTrace, RecordTrace
from chainrule.tracing.recording import RECORDING, is_live, with_origins
from chainrule.tracing.swap import swapped
from chainrule.tracing.trace import apply, ground, refresh, resolve, snapshot
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import link

_INLINE_SIZE = 6


def without_value(tracer: Tracer, what: str) -> str:
    """What to write instead where a value is asked for that isn't known yet."""
    if tracer.dtype.kind in "iu" and what != "bool()":
        return (
            "np.take(a, i, axis=0) reads a plain array there; x[i + np.arange(n)] is a window;\n"
            "cr.fori_loop(0, n, body, init) counts"
        )
    return (
        "choose with np.where(condition, a, b) or cr.cond(condition, f, g);\n"
        "repeat with cr.while_loop"
    )


class StageTrace(RecordTrace):
    """A trace without values: types only. Truth and conversion to numbers raise."""

    __slots__ = ("backward", "layouts", "like", "quiet", "types")
    keeps = True
    staged = True
    kind = "function traced without values"

    def __init__(self) -> None:
        super().__init__()
        self.types: list[ArrayType] = []
        self.like: dict[int, Any] = {}  # inputs that lie in memory as some values do
        self.layouts = Layouts(self)
        self.quiet = False  # what it records computes things that aren't used
        self.backward: set[int] = set()  # results of what a derivative adds, going backwards

    def abstract(self, kind: ArrayType, like: Any = None) -> Tracer:
        """An input of which only the type is known, or also that it lies in memory as `like`."""
        number = self._new(kind)
        if like is not None:
            self.like[number] = like
        return Tracer(self, None, number, kind.weak)

    def _new(self, kind: ArrayType) -> int:
        self.types.append(kind)
        self.shapes.append(kind.shape)
        self.dtypes.append(kind.dtype)
        return len(self.types) - 1

    def order_of_input(self, number: int) -> Order:
        """How an input lies in memory: as is known; else it counts as lying row by row."""
        return order_of(self.like[number]) if number in self.like else Order()

    def memory_order(self, tracer: Tracer, binding: bool) -> tuple[int, ...] | None:
        """See `view.memory_order`: here it's worked out from the operations."""
        order = self.layouts.order(tracer.mark)
        if binding and not order.known:
            raise TraceError(
                "whether a reshape shares memory with its array can't be told without values",
                {"array": self.describe(tracer)},
                "copy where you write: np.ascontiguousarray(x) before the reshape, or x.copy()",
            )
        return order.axes

    def shape(self, tracer: Tracer) -> tuple[int, ...]:
        return self.shapes[tracer.mark] if tracer.mark >= 0 else tracer.value.shape

    def dtype(self, tracer: Tracer) -> np.dtype[Any]:
        return self.dtypes[tracer.mark] if tracer.mark >= 0 else tracer.value.dtype

    def active(self, tracer: Tracer) -> bool:
        return True

    def has_value(self, tracer: Tracer) -> bool:
        return tracer.mark < 0

    def finished(self, tracer: Tracer) -> Any:
        if tracer.mark < 0:
            return tracer.value
        raise TraceError(
            "a value was kept beyond the function that was being traced without values",
            fix="return it from that function instead of storing it outside",
        )

    def concrete(self, tracer: Tracer, what: str) -> Any:
        if tracer.mark < 0:
            return super().concrete(tracer, what)
        refuse_outer_write(self.describe(tracer))
        raise TraceError(
            f"{what} needs the value, but here only shapes and dtypes are known",
            {"value": self.describe(tracer)},
            without_value(tracer, what),
        )

    def truth(self, tracer: Tracer) -> bool:
        return bool(self.concrete(tracer, "bool()"))

    def number(self, tracer: Tracer, what: str) -> Any:
        return self.concrete(tracer, f"{what}()")

    def to_array(self, tracer: Tracer, dtype: Any) -> Any:
        return self.concrete(tracer, "a plain array")

    def describe(self, tracer: Tracer) -> str:
        return f"{self.called(tracer)}Traced<{ArrayType(tracer.shape, tracer.dtype)}>"

    def process(self, op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        operands: list[Any] = []
        numbers: list[int] = []
        types: list[ArrayType] = []
        for a in args:
            number = -1
            if type(a) is Tracer:
                if a.alias is not None:
                    refresh(a)
                kind = ArrayType(tuple(a.shape), a.dtype, a.weak)
                if a.owner is self:
                    number, a = a.mark, a.value
                else:
                    a = snapshot(a)
            else:
                a = self.own(a) if type(a) is np.ndarray else a
                kind = type_of(a)
            operands.append(a)
            numbers.append(number)
            types.append(kind)
        outcome = op.type_rule(*types, **params)
        if op.weak and all(kind.weak for kind in types):
            outcome = outcome._replace(weak=True)
        from_here = [self._new(kind) for kind in (outcome if op.multiple else (outcome,))]
        results = tuple(Tracer(self, None, n, self.types[n].weak) for n in from_here)
        kept = (None,) * len(results) if op.multiple else None
        place: tuple[Any, Any] = RECORDING.origin or user_place(2) or (None, None)
        if RECORDING.origin is not None and not RECORDING.again:
            self.backward.add(from_here[0])
        self.equations += (op, operands, numbers, params, from_here[0], kept, *place)
        if op.multiple:
            return results
        if op.view is not None:
            link(results[0], args[0], op, params)
        return results[0]


def trace_program(
    f: Callable[..., Any], *args: Any, values: bool = True, origins: bool = False
) -> Program:
    """Trace `f` at these arguments into a program.

    With values, Python control flow follows the values and the program is the path taken; with
    `origins` too, its equations know what calls, layers and loops they come from.
    """
    leaves, in_tree = flatten(args)
    trace = _open(f, origins) if values else StageTrace()
    inputs = [_input(trace, resolve(leaf)) for leaf in leaves]
    heads = [snapshot(t) for t in inputs]  # a write to an argument re-points the name f was given
    try:
        with swapped(), with_origins(origins):
            out, out_tree = flatten(f(*unflatten(in_tree, inputs)))
            out = [as_traced_leaf(leaf) for leaf in out]
    finally:
        trace.open = False
        if trace.origins is not None:
            trace.origins.forget_frames()
    name = getattr(f, "__name__", type(f).__name__)
    return close(trace, heads, out, name, in_tree, out_tree, argument_names(f, args))


begins_at(trace_program)


def _open(f: Callable[..., Any], origins: bool) -> ProgramTrace:
    return OriginTrace(names_of_captured(f, copies=False)) if origins else ProgramTrace()


def argument_names(f: Callable[..., Any], args: Sequence[Any]) -> list[str | None]:
    """The user's name for each leaf of the arguments: x, x.weight, x['a'], or None."""
    try:
        parameters = [str(p) for p in inspect.signature(f).parameters]
    except (TypeError, ValueError):
        parameters = []
    names: list[str | None] = []
    for k, arg in enumerate(args):
        tails = paths(arg)
        known = k < len(parameters)
        names += [parameters[k] + tail if known else None for tail in tails]
    return names


def trace(f: Callable[..., Any], *args: Any) -> Program:
    """The program of a function here: what every derivative is made from.

    Args:
        f: a function of arrays, numbers or trees of them, written in plain NumPy.
        args: where to trace it. Python control flow follows these values, and the program is the
            path taken.

    Returns:
        A `Program`. Printed, it shows one equation per line with its type and the user's line.

    Raises:
        TraceError, UnsupportedError: the function does something that can't be traced.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> program = cr.trace(lambda x: np.sin(x) * x, 2.0)
        >>> [equation.primitive.name for equation in program.equations]
        ['sin', 'multiply']
    """
    return named(trace_program(f, *args, origins=True), user_place(1))


def _input(trace: RecordTrace, leaf: Any) -> Tracer:
    numeric = isinstance(leaf, (bool, int, float, complex)) or hasattr(leaf, "dtype")
    kind = type_of(leaf if numeric else np.asarray(leaf))
    if kind.dtype.kind not in "biufc":
        raise DtypeError(
            "trace: an argument isn't a number or an array of numbers",
            {"argument": repr(leaf)},
            "keep it out of the arguments: close over it, or use functools.partial",
        )
    if isinstance(trace, StageTrace):
        return trace.abstract(kind, leaf if len(kind.shape) > 1 else None)
    value = ground(leaf)
    if value is None:
        raise InternalError("a trace with values was given an argument without one")
    array = kind.dtype.type(value) if kind.weak else np.array(value, copy=True)
    return trace.input(array[()] if not array.shape else array, weak=kind.weak)


def close(
    trace: RecordTrace,
    inputs: Sequence[Tracer],
    outputs: Sequence[Any],
    name: str,
    in_tree: Any = None,
    out_tree: Any = None,
    labels: Sequence[str | None] = (),
) -> Program:
    """The program of a finished trace, equations that no output needs left out."""
    rows = list(trace.rows())
    wanted = [t.mark if type(t) is Tracer and t.owner is trace else -1 for t in outputs]
    needed = {number for number in wanted if number >= 0}
    alive = []
    for row in reversed(rows):
        first, kept = row[4], row[5]
        count = len(kept) if row[0].multiple else 1
        if not needed.isdisjoint(range(first, first + count)):
            needed.update(number for number in row[2] if number >= 0)
            alive.append(row)
    named = {t.mark: label for t, label in zip(inputs, labels, strict=False)}
    builder = _Builder(trace, {**named, **trace.labels})
    return builder.build(inputs, list(reversed(alive)), wanted, outputs, name, in_tree, out_tree)


class _Builder:
    """Renumbers the variables that are left, and makes closure arrays into captured inputs."""

    def __init__(self, trace: RecordTrace, labels: dict[int, str | None]) -> None:
        self.trace = trace
        self.labels = labels
        self.taken = set(labels.values())
        self.variables: dict[int, Var] = {}
        self.captured: dict[int, tuple[Var, Any]] = {}
        self.captions = trace.captions if isinstance(trace, OriginTrace) else {}
        self.weak: set[int] = set()
        self.count = 0

    def build(
        self,
        inputs: Sequence[Tracer],
        rows: list[tuple[Any, ...]],
        wanted: list[int],
        outputs: Sequence[Any],
        name: str,
        in_tree: Any,
        out_tree: Any,
    ) -> Program:
        self.weak = {t.mark for t in inputs if t.weak} | self.trace.weakened
        head = tuple(self.variable(t.mark) for t in inputs)
        for row in rows:
            for a, number in zip(row[1], row[2], strict=True):
                self.operand(a, number)
        equations = tuple(self.equation(*row) for row in rows)
        tail = tuple(
            self.operand(_constant_of(t), number) for t, number in zip(outputs, wanted, strict=True)
        )
        return Program(
            name=name,
            inputs=head,
            captured=tuple(self.captured.values()),
            equations=equations,
            outputs=tail,
            in_tree=in_tree,
            out_tree=out_tree,
            branches=tuple(self.trace.branches),
            quiet=getattr(self.trace, "quiet", False),
        )

    def new(self, kind: ArrayType, label: str | None = None) -> Var:
        var = Var(self.count, kind, label)
        self.count += 1
        # A letter that is also the name of an argument would read as that argument.
        return var if label is not None or var.name not in self.taken else self.new(kind)

    def variable(self, number: int) -> Var:
        if number not in self.variables:
            kind = self.trace.type_of_number(number)._replace(weak=number in self.weak)
            self.variables[number] = self.new(kind, self.labels.get(number))
        return self.variables[number]

    def operand(self, value: Any, number: int) -> Operand:
        if number >= 0:
            return self.variables.get(number) or Constant(None)
        label = self.captions.get(id(value))
        array = isinstance(value, np.ndarray)
        if type(value) is Tracer or (array and (label is not None or not _is_literal(value))):
            if id(value) not in self.captured:
                self.captured[id(value)] = (self.new(type_of(value), label), value)
            return self.captured[id(value)][0]
        return Constant(value)

    def equation(
        self,
        op: Primitive,
        operands: list[Any],
        numbers: list[int],
        params: dict[str, Any],
        first: int,
        kept: Any,
        code: Any,
        lasti: Any,
    ) -> Equation:
        inputs = tuple(self.operand(a, n) for a, n in zip(operands, numbers, strict=True))
        count = len(kept) if op.multiple else 1
        if op.weak and all(map(self.is_weak, operands, numbers)):
            self.weak.add(first)
        outputs = tuple(self.variable(n) for n in range(first, first + count))
        place = None if code is None else Place(code, lasti)
        backward = isinstance(self.trace, StageTrace) and first in self.trace.backward
        origins = self.trace.origins
        if origins is None:
            return Equation(op, inputs, params, outputs, place, backward)
        path, visit = origins.rows[first]
        backward = backward or first in origins.derived
        return Equation(op, inputs, params, outputs, place, backward, path, visit)

    def is_weak(self, value: Any, number: int) -> bool:
        """Whether NumPy treats this operand as one of Python's own numbers."""
        if number >= 0:
            return number in self.weak
        return type(value) in (int, float, complex) or (type(value) is Tracer and value.weak)


def _is_literal(array: np.ndarray) -> bool:
    """Whether an array is small enough to stand in the text, and nobody's to change."""
    return array.size <= _INLINE_SIZE and not is_live(array)


def _constant_of(value: Any) -> Any:
    return value.value if type(value) is Tracer and value.mark == -1 else value


def evaluate(
    program: Program, *leaves: Any, after: Callable[[Equation], None] | None = None
) -> list[Any]:
    """Run a program on leaves, plain or traced: the NumPy engine, and every way to retrace.

    `after` is told of each equation that has run.
    """
    env: dict[int, Any] = {
        var.number: _weakened(leaf) if var.type.weak else leaf
        for var, leaf in zip(program.inputs, leaves, strict=True)
    }
    env.update((var.number, value) for var, value in program.captured)

    def read(operand: Operand) -> Any:
        return operand.value if isinstance(operand, Constant) else env[operand.number]

    for equation in program.equations:
        result = apply(equation.primitive, *map(read, equation.inputs), **equation.params)
        parts = result if equation.primitive.multiple else (result,)
        for out, part in zip(equation.outputs, parts, strict=True):
            env[out.number] = _weakened(part) if out.type.weak else part
        if after is not None:
            after(equation)
    return [read(out) for out in program.outputs]


def _weakened(value: Any) -> Any:
    """One of Python's own numbers again, to NumPy's promotion."""
    if type(value) is Tracer:
        return value if value.weak else Tracer(value.owner, value.value, value.mark, True)
    return value.item() if isinstance(value, (np.generic, np.ndarray)) else value


def run(program: Program, *args: Any) -> Any:
    """Run a program on arguments of the trees it was traced with."""
    leaves, _ = flatten(args)
    return unflatten(program.out_tree, evaluate(program, *leaves))
