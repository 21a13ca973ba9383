"""Where a function has no value: the first operation that made NaN out of numbers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError, DomainError
from chainrule.base.place import Place
from chainrule.base.trees import flatten, paths
from chainrule.ir.primitive import Primitive
from chainrule.ir.program import Equation
from chainrule.tracing.record import FIELDS, ProgramTrace
from chainrule.tracing.stage import evaluate
from chainrule.tracing.swap import is_tracing
from chainrule.tracing.trace import ground
from chainrule.tracing.tracer import Tracer
from chainrule.transform.arguments import Argnums, Inputs, output_leaves, run_traced
from chainrule.transform.unroll import UNROLLED

_REMEDY = (
    "keep to numbers that {name} has a value for: np.where(x > 0, x, 1.0) and the like;\n"
    "or use cr.jvp or cr.vjp, which return NaN as NumPy does"
)
_SHOWN = 60  # characters of an operand


class _NanTrace(ProgramTrace):
    """A recording that notes where NaN goes in and comes out."""

    __slots__ = ("makers", "spoilt")

    def __init__(self) -> None:
        super().__init__()
        self.spoilt: set[int] = set()  # variables with NaN in them
        self.makers: dict[int, tuple[Any, ...]] = {}  # equation → its operands, all numbers

    def process(self, op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        unrolled = UNROLLED.get(op)
        if unrolled is not None:  # a loop: every step goes by, at its own line
            return unrolled(functools.partial(evaluate, after=self._at), *args, **params)
        result = super().process(op, args, params)
        first = self.equations[-FIELDS:][4]
        for k, part in enumerate(result if op.multiple else (result,)):
            if has_nan(ground(part)):
                self.spoilt.add(first + k)
                operands = tuple(ground(a) for a in args)
                if not any(has_nan(x) for x in operands):
                    self.makers[len(self.equations) // FIELDS - 1] = operands
        return result

    def _at(self, equation: Equation) -> None:
        """Put an equation of a loop's body to the line where its user wrote it."""
        if equation.place is not None and self.equations:
            self.equations[-2:] = equation.place

    def maker(self, outputs: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]] | None:
        """The first equation that made NaN which reached an output, and its operands."""
        wanted = {
            out.mark for out in outputs if type(out) is Tracer and out.owner is self
        } & self.spoilt
        found = None
        rows = list(self.rows())
        for row in reversed(range(len(rows))):
            op, _, numbers, _, first, value = rows[row][:6]
            made = range(first, first + (len(value) if op.multiple else 1))
            if not wanted.isdisjoint(made):
                wanted |= {number for number in numbers if number in self.spoilt}
                found = row if row in self.makers else found
        return None if found is None else (rows[found], self.makers[found])


def require_value(
    value: Any,
    f: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    argnums: Argnums,
    caller: str,
) -> None:
    """Raise where f's result is NaN; inside another transformation NaN goes on as NumPy's does."""
    if has_nan(value) and not is_tracing():
        raise no_value(value, f, args, kwargs, argnums, caller)


def no_value(
    value: Any,
    f: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    argnums: Argnums,
    caller: str,
) -> DomainError:
    """The error; f is run once more to find the operation."""
    problem = f"{caller}: the function has no value at this point"
    facts: dict[str, object] = {
        "returned": value if np.ndim(value) == 0 else "an array with NaN in it"
    }
    found = _searched(f, args, kwargs, argnums, caller)
    if found is not None:
        row, operands = found
        callee = row[3].get("callee")
        name = row[0].name if callee is None else callee.name
        facts["made by"] = f"{name} of {' and '.join(map(_shown, operands))}"
        place = None if row[6] is None else Place(row[6], row[7])
        return DomainError(problem, facts, _REMEDY.format(name=name), where=place)
    for where in _spoilt_arguments(args, kwargs):
        facts["NaN already"] = where
        return DomainError(
            problem, facts, "replace it before the call: np.nan_to_num(x), or x[~np.isnan(x)]"
        )
    return DomainError(
        problem,
        facts,
        "NaN comes from an array outside the function, or from plain numbers inside it;\n"
        "np.errstate(invalid='raise') stops at the line",
    )


def _searched(
    f: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    argnums: Argnums,
    caller: str,
) -> tuple[tuple[Any, ...], tuple[Any, ...]] | None:
    inputs = Inputs(args, argnums, caller)
    trace = _NanTrace()
    tracers = [trace.input(leaf) for leaf in inputs.leaves]
    trace.spoilt.update(t.mark for t in tracers if has_nan(t.value))
    with np.errstate(all="ignore"):
        try:
            outs, _ = output_leaves(run_traced(f, trace, inputs, tracers, kwargs))
        except ChainruleError:  # a function that goes another way the second time
            return None
    return trace.maker(outs)


def _spoilt_arguments(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Iterator[str]:
    named = [(f"argument {k}", a) for k, a in enumerate(args)]
    for name, argument in [*named, *kwargs.items()]:
        for leaf, path in zip(flatten(argument)[0], paths(argument), strict=True):
            if has_nan(leaf):
                yield f"{name}{path}"


def has_nan(value: Any) -> bool:
    """Whether a plain value is NaN, or an array with NaN in it."""
    if value is None or isinstance(value, str):
        return False
    array = np.asarray(value)
    return array.dtype.kind in "fc" and bool(np.isnan(array).any())


def _shown(value: Any) -> str:
    """An operand in few words: the number, or the entries of a short array."""
    if np.ndim(value) == 0:
        return f"{value}"
    text = np.array2string(np.asarray(value), threshold=8, precision=6)
    return text if len(text) <= _SHOWN and "\n" not in text else f"an array {np.shape(value)}"
