"""Functions as one equation: `call`, for custom derivative rules and for checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.base.errors import TraceError
from chainrule.base.place import Place
from chainrule.ir.bound import EXACT
from chainrule.ir.primitive import Case, Custom, Draw, Flat, Primitive, Scalar
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops.family import primitive, unary
from chainrule.tracing.recording import RECORDING
from chainrule.tracing.stage import StageTrace
from chainrule.tracing.trace import apply
from chainrule.tracing.tracer import Tracer

# ---- a function with its rules -------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Callee:
    """What a `call` runs: functions of flat operands, each of which may be traced again.

    Args:
        name: the user's function.
        function: `(*xs)` → tuple of outputs.
        forward: `(tangents, *xs)` → tuple of tangents, None for one that does not vary.
        reverse: `(gs, *xs)` → tuple of cotangents, one or None per operand; None: by transposing.
        batched: `(size, flags)` → the callee whose operands carry a batch where flagged.
        symbolic: the symbolic rule of the function, where it has one.
    """

    name: str
    function: Callable[..., Sequence[Any]]
    forward: Callable[..., Sequence[Any]]
    reverse: Callable[..., Sequence[Any]] | None
    batched: Callable[[int, tuple[bool, ...]], Callee]
    symbolic: Callable[..., Any] | None = None
    known_types: dict[Any, tuple[ArrayType, ...]] = field(default_factory=dict)

    def __repr__(self) -> str:
        return self.name


def _call_type(*types: ArrayType, callee: Callee) -> tuple[ArrayType, ...]:
    key = tuple((t.shape, t.dtype) for t in types)
    # Who records for the compiler wants to see what the function does with arrays from outside.
    if key not in callee.known_types or RECORDING.meets is not None:
        trace = StageTrace()
        try:
            outs = callee.function(*map(trace.abstract, types))
            kinds = [
                ArrayType(tuple(o.shape), o.dtype) if type(o) is Tracer else type_of(np.asarray(o))
                for o in outs
            ]
        finally:
            trace.open = False
        callee.known_types[key] = tuple(kinds)
    return callee.known_types[key]


def _call_value(*xs: Any, callee: Callee) -> tuple[Any, ...]:
    return tuple(np.asarray(out)[()] for out in callee.function(*xs))


def _call_forward(tangents: Any, y: Any, *xs: Any, callee: Callee) -> Any:
    return tuple(callee.forward(tangents, *xs))


def _call_reverse(gs: Any, y: Any, *xs: Any, callee: Callee) -> Any:
    assert callee.reverse is not None
    return callee.reverse(gs, *xs)


def _call_batch(op: Primitive, size: int, args: Any, batched: Any, callee: Callee) -> Any:
    return apply(op, *args, callee=callee.batched(size, tuple(batched)))


def _call_symbolic(sympy: Any, *arrays: Any, callee: Callee) -> Any:
    return None if callee.symbolic is None else callee.symbolic(sympy, *arrays)


# Their case is a callee written out by hand: x → (x², sin x).
def _example(*, reverse: bool) -> Callee:
    def function(x: Any) -> tuple[Any, Any]:
        return x * x, np.sin(x)

    def forward(tangents: Any, x: Any) -> tuple[Any, Any]:
        (t,) = tangents
        return 2 * x * t, np.cos(x) * t

    def backward(gs: Any, x: Any) -> tuple[Any]:
        g, h = (np.zeros(np.shape(x)) if part is None else part for part in gs)
        return (2 * g * x + h * np.cos(x),)

    def symbolic(sympy: Any, x: Any) -> tuple[Any, Any]:
        return x * x, np.frompyfunc(sympy.sin, 1, 1)(x)

    def batched(size: int, flags: tuple[bool, ...]) -> Callee:
        return example  # entry by entry: a batch is just another axis

    rule = backward if reverse else None
    example = Callee("square_and_sine", function, forward, rule, batched, symbolic)
    return example


def _cases(*, reverse: bool) -> tuple[Case, ...]:
    return (Case((Draw((3,)),), {"callee": _example(reverse=reverse)}),)


# Its derivative is the callee's forward map; reverse mode transposes it, and so runs it again.
call = primitive(
    name="call",
    type_rule=_call_type,
    value=_call_value,
    derivative=Custom(_call_forward, output=False, late=True),
    batch=_call_batch,
    symbolic=_call_symbolic,
    lower=None,
    cases=_cases(reverse=False),
    multiple=True,
)

# The same for a callee that states its reverse map.
call_with_reverse = primitive(
    name="call_with_reverse",
    type_rule=_call_type,
    value=_call_value,
    derivative=Custom(_call_forward, _call_reverse, output=False, late=True),
    batch=_call_batch,
    symbolic=_call_symbolic,
    lower=None,
    cases=_cases(reverse=True),
    multiple=True,
)


# ---- what a rule can't see -----------------------------------------------------------------------


def refuse(*args: Any, rule: str, place: Place | None) -> Any:
    """A derivative was asked for that a rule can't give."""
    raise TraceError(
        f"{rule}: the function uses a traced value that isn't among its arguments",
        fix="pass it as an argument, so that the rule can give its derivative; "
        "or hold it constant with cr.stop_gradient",
        where=place,
    )


# Between such a value and the call: passing it on is fine, differentiating it is not.
unseen = primitive(
    name="unseen",
    type_rule=lambda x, rule, place: ArrayType(x.shape, x.dtype),
    value=lambda x, rule, place: x,
    derivative=Custom(refuse, refuse, output=False),
    batch=lambda op, size, args, batched, rule, place: apply(op, *args, rule=rule, place=place),
    symbolic=lambda S, x, rule, place: x,
    lower=Scalar(lambda s, x, rule, place: x),
    bound=EXACT,
    cases=(),
)


# ---- stop_gradient -------------------------------------------------------------------------------

stop_gradient = primitive(
    name="stop_gradient",
    type_rule=lambda x: ArrayType(x.shape, x.dtype),
    value=lambda x: x,
    derivative=Flat(),
    batch=lambda op, size, args, batched: apply(op, *args),
    symbolic=lambda S, x: x,
    lower=Scalar(lambda s, x: x),
    bound=EXACT,
    cases=unary(dtypes="dfD"),
    weak=True,
)
