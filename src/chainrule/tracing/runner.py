"""A program made ready to run many times on plain values, as the body of a loop does.

`evaluate` in stage.py asks of every operand whether it's traced; here that is settled beforehand.
"""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from chainrule.base.errors import ChainruleError, DomainError
from chainrule.ir.program import Constant, Equation, Operand, Program
from chainrule.tracing.division import divided, divides_whole, hearing
from chainrule.tracing.table import RESOLVERS
from chainrule.tracing.trace import explained, resolve

# What to call, how to fetch its operands (one, or all in a tuple), where its results go.
_Step = tuple[Callable[..., Any], Callable[[Any], Any], bool, tuple[int, ...], bool, bool]


class Runner:
    """The equations of a program as calls on numbered places."""

    __slots__ = ("equations", "inputs", "outputs", "places", "quiet", "steps")

    def __init__(self, program: Program) -> None:
        self.equations = program.equations  # not the program, which knows its runner
        self.quiet = program.quiet
        number = {var.number: k for k, var in enumerate(program.variables())}
        self.places: list[Any] = [None] * len(number)

        def place(a: Operand) -> int:
            if not isinstance(a, Constant):
                return number[a.number]
            self.places.append(a.value)
            return len(self.places) - 1

        for var, value in program.captured:
            self.places[number[var.number]] = value
        self.inputs = [(number[var.number], var.type.weak) for var in program.inputs]
        self.steps: list[_Step] = []
        for equation in program.equations:
            op, params = equation.primitive, equation.params
            call = functools.partial(op.value, **params) if params else op.value
            if divides_whole(equation):
                call = functools.partial(_divided, equation, call)
            reads = list(map(place, equation.inputs))
            fetch = operator.itemgetter(*reads) if reads else _nothing
            writes = tuple(number[var.number] for var in equation.outputs)
            weak = not op.multiple and equation.outputs[0].type.weak
            self.steps.append((call, fetch, len(reads) == 1, writes, op.multiple, weak))
        self.outputs = [(place(out), output_kind(out)) for out in program.outputs]

    def __call__(self, *leaves: Any) -> list[Any]:
        """The outputs for plain inputs, each with a dtype of its own."""
        if self.quiet:
            with np.errstate(all="ignore"), hearing(""):
                return self._run(leaves)
        return self._run(leaves)

    def _run(self, leaves: tuple[Any, ...]) -> list[Any]:
        env = self.places.copy()
        for (k, weak), leaf in zip(self.inputs, leaves, strict=True):
            env[k] = leaf.item() if weak and hasattr(leaf, "item") else leaf
        count = 0
        try:
            for call, fetch, alone, writes, multiple, weak in self.steps:
                value = call(fetch(env)) if alone else call(*fetch(env))
                if multiple:
                    for k, part in zip(writes, value, strict=True):
                        env[k] = part
                else:
                    if type(value) in RESOLVERS:
                        value = resolve(value)
                    if weak and hasattr(value, "item"):
                        value = value.item()
                    env[writes[0]] = value
                count += 1
        except (ChainruleError, TypeError, ValueError) as error:
            raise self._located(error, count, env) from None
        return [as_output(env[k], dtype) for k, dtype in self.outputs]

    def _located(self, error: Exception, count: int, env: list[Any]) -> Exception:
        """The error, at the line of the user's that the failing equation came from."""
        equation = self.equations[count]
        _, fetch, alone, *_ = self.steps[count]
        operands = [fetch(env)] if alone else list(fetch(env))
        ours = explained(equation.primitive, operands, dict(equation.params), error)
        if isinstance(ours, ValueError) and not isinstance(ours, ChainruleError):
            ours = DomainError(str(ours))
        if isinstance(ours, ChainruleError):
            ours.locate(equation.place)
        return ours


def _divided(equation: Equation, call: Callable[..., Any], *operands: Any) -> Any:
    return divided(equation, lambda: call(*operands), operands[-1])


def _nothing(env: Any) -> tuple[()]:
    return ()


def as_output(value: Any, dtype: np.dtype[Any] | None) -> Any:
    """A result, which is never one of Python's own numbers."""
    return value if dtype is None else dtype.type(value)


def output_kind(out: Operand) -> np.dtype[Any] | None:
    """The dtype that an output is to be given, where it may be one of Python's numbers."""
    if isinstance(out, Constant):
        python = type(out.value) in (bool, int, float, complex)
        return np.asarray(out.value).dtype if python else None
    return out.type.dtype if out.type.weak else None


_local = threading.local()
_RUNNERS: WeakKeyDictionary[Program, Runner] = WeakKeyDictionary()


def runner(program: Program) -> Callable[..., list[Any]]:
    """The runner of a program, made once; or what `running_by` has put in its place."""
    other = getattr(_local, "other", None)
    if other is not None:
        made: Callable[..., list[Any]] = other(program)
        return made
    known = _RUNNERS.get(program)
    if known is None:
        known = _RUNNERS[program] = Runner(program)
    return known


@contextmanager
def running_by(other: Callable[[Program], Callable[..., list[Any]]] | None) -> Iterator[None]:
    """Have this thread run bodies in another way for a while; None for the usual way."""
    before = getattr(_local, "other", None)
    _local.other = other
    try:
        yield
    finally:
        _local.other = before
