"""Forward mode: tangents pushed along while the function runs, nothing kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.trees import flatten, outline, same_structure, unflatten
from chainrule.ir.primitive import Primitive, Undefined
from chainrule.ir.program import Program
from chainrule.ir.types import ArrayType, type_of
from chainrule.tracing.record import settle_weak
from chainrule.tracing.recording import RECORDING
from chainrule.tracing.stage import StageTrace, close, evaluate
from chainrule.tracing.trace import Trace, apply, describe_type, refresh, resolve, snapshot
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import link
from chainrule.transform.arguments import (
    Inputs,
    check_callable,
    output_leaves,
    release,
    run_traced,
    same_shape,
)
from chainrule.transform.linear import apart, push, tangent_dtype, undefined


class ForwardTrace(Trace):
    """Tracers carry (value, tangent); a tangent of None does not vary."""

    __slots__ = ()

    def lift(self, value: Any) -> Tracer:
        return Tracer(self, value, None)

    def active(self, tracer: Tracer) -> bool:
        return tracer.mark is not None

    def describe(self, tracer: Tracer) -> str:
        refresh(tracer)
        return f"Traced<{describe_type(tracer)}>({tracer.value!s})"

    def process(self, op: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        primals: list[Any] = []
        tangents: list[Any] = []
        weak = False
        for a in args:
            tangent = None
            if type(a) is Tracer:
                if a.alias is not None:
                    refresh(a)
                weak = weak or a.weak
                if a.owner is self:
                    a, tangent = a.value, a.mark
                elif a.owner.passive:
                    a = a.value
            primals.append(a)
            tangents.append(tangent)
        if weak:
            weak = settle_weak(op, args, primals)
        together = getattr(op.derivative, "together", None) if op.multiple else None
        moving = any(t is not None for t in tangents)
        if together is not None and moving and not apart(tangents, primals):
            with np.errstate(all="ignore"):
                pairs = together(tuple(tangents), *primals, **params)
            return tuple(Tracer(self, *pair) for pair in zip(*pairs, strict=True))
        y = apply(op, *primals, **params)
        if isinstance(op.derivative, Undefined) and any(t is not None for t in tangents):
            raise undefined(op, None)
        before, RECORDING.tangents = RECORDING.tangents, True
        try:
            with np.errstate(all="ignore"):
                t = push(op, y, primals, tangents, params)
        finally:
            RECORDING.tangents = before
        if op.multiple:
            return tuple(Tracer(self, *pair) for pair in zip(y, t, strict=True))
        result = Tracer(self, y, t, weak)
        if op.view is not None:
            link(result, args[0], op, params)
        return result


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of f and its derivative along a direction: forward mode, one sweep.

    Args:
        f: any function of floating-point arrays or trees of them.
        primals: a list or tuple with one value per argument of f.
        tangents: the direction, of the same trees and shapes.

    Returns:
        `(out, tangent_out)`, both of out's tree and shapes.

    Raises:
        ArgumentError: primals and tangents that don't match.
        ShapeError, DtypeError: a tangent that doesn't fit its primal.

    Example:
        >>> import chainrule as cr
        >>> out, tangent = cr.jvp(lambda x, y: x * y, (3.0, 4.0), (1.0, 0.0))
        >>> float(out), float(tangent)
        (12.0, 4.0)
    """
    check_callable(f, "jvp")
    inputs, directions = matched(primals, tangents)
    trace = ForwardTrace()
    weak = [type(p) in (float, complex) for p in primals]
    weak = weak if len(weak) == len(inputs.leaves) else [False] * len(inputs.leaves)
    tracers = [
        Tracer(trace, x, t, w or getattr(x, "weak", False))
        for x, t, w in zip(inputs.leaves, directions, weak, strict=True)
    ]
    outs, tree = output_leaves(run_traced(f, trace, inputs, tracers, {}))
    pairs = [split(trace, out) for out in outs]
    return (
        unflatten(tree, [release(value) for value, _ in pairs]),
        unflatten(tree, [release(tangent) for _, tangent in pairs]),
    )


def matched(primals: Any, tangents: Any, caller: str = "jvp") -> tuple[Inputs, list[Any]]:
    """Inputs, and a tangent that fits each of their leaves."""
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise ArgumentError(
            f"{caller}: primals and tangents must each be a tuple or a list",
            fix=f"write cr.{caller}(f, (x,), (t,))",
        )
    inputs = Inputs(tuple(primals), tuple(range(len(primals))), caller)
    directions, tree = flatten(tuple(tangents))
    wanted = flatten(tuple(primals))[1]
    if not same_structure(tree, wanted):
        raise ArgumentError(
            f"{caller}: primals and tangents must have the same tree",
            {"primals": outline(wanted), "tangents": outline(tree)},
            "give one tangent per primal, put together in the same way",
        )
    return inputs, [
        same_shape(snapshot(t) if type(t) is Tracer else t, type_of(x), "tangent", caller)
        for x, t in zip(inputs.leaves, directions, strict=True)
    ]


def split(trace: Trace, out: Any) -> tuple[Any, Any]:
    """Value and tangent of one output leaf."""
    if type(out) is Tracer:
        refresh(out)
        if out.owner is trace:
            value, tangent = out.value, out.mark
            if tangent is not None:
                return value, tangent
            out = value
    value = resolve(out)
    if not hasattr(value, "dtype"):
        value = np.asarray(value)[()]
    return value, np.zeros(np.shape(value), tangent_dtype(value.dtype))[()]


def linearize(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of f, and its derivative there as a linear function of tangents.

    Args:
        f: any function of floating-point arrays or trees of them.
        primals: where to linearise.

    Returns:
        `(out, tangent_map)`; `tangent_map(*tangents)` equals `jvp(f, primals, tangents)[1]`
        without computing f again.

    Example:
        >>> import chainrule as cr
        >>> out, tangent_map = cr.linearize(lambda x: x**2, 3.0)
        >>> float(tangent_map(1.0)), float(tangent_map(0.5))
        (6.0, 3.0)
    """
    check_callable(f, "linearize")
    inputs = Inputs(primals, tuple(range(len(primals))), "linearize")
    out, program, tree = linear_program(f, inputs)

    def tangent_map(*tangents: Any) -> Any:
        """The derivative of the output along these tangents."""
        _, directions = matched(primals, tangents, "linearize")
        return unflatten(tree, [release(t) for t in evaluate(program, *directions)])

    return out, tangent_map


def linear_program(f: Callable[..., Any], inputs: Inputs) -> tuple[Any, Program, Any]:
    """The value of f, and the tangent part of it as a program without values."""
    trace, stage = ForwardTrace(), StageTrace()
    directions = [
        stage.abstract(ArrayType(tuple(x.shape), tangent_dtype(x.dtype))) for x in inputs.leaves
    ]
    tracers = [Tracer(trace, x, t) for x, t in zip(inputs.leaves, directions, strict=True)]
    try:
        outs, tree = output_leaves(run_traced(f, trace, inputs, tracers, {}))
        pairs = [split(trace, out) for out in outs]
    finally:
        stage.open = False
    name = getattr(f, "__name__", "f")
    program = close(stage, directions, [t for _, t in pairs], f"tangent of {name}")
    return unflatten(tree, [release(value) for value, _ in pairs]), program, tree
