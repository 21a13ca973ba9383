"""One program for all that are the same: a body traced anew is known by what it says.

A loop's body is traced at every call, but its derivatives are worked out once, and stay with the
program. Closed programs hold no arrays beyond a few literals, so that keeping some costs little.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from chainrule.ir.program import Constant, Operand, Program

_KEPT = 256
_PYTHON = (bool, int, float, complex)


class _Wording:
    """A program, equal to every other that says the same."""

    __slots__ = ("key", "program", "signature")

    def __init__(self, program: Program, key: Any) -> None:
        self.program = program
        self.key = key
        self.signature = hash(key)

    def __hash__(self) -> int:
        return self.signature

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Wording) and self.key == other.key


@functools.lru_cache(maxsize=_KEPT)
def _first(wording: _Wording) -> Program:
    return wording.program


def canonical(program: Program) -> Program:
    """The first of the programs met lately that say the same, at the same lines of the user's."""
    try:
        return _first(_Wording(program, _key(program)))
    except TypeError:  # a parameter that can't be compared: this one stands for itself
        return program


def _key(program: Program) -> Any:
    names: dict[int, int] = {}

    def read(a: Operand) -> Any:
        if not isinstance(a, Constant):
            return names[a.number]
        value = np.asarray(a.value)
        python = type(a.value) if type(a.value) in _PYTHON else isinstance(a.value, np.ndarray)
        return python, value.dtype, value.shape, value.tobytes()

    for var in program.inputs:
        names[var.number] = len(names)
    rows = []
    for equation in program.equations:
        reads = tuple(map(read, equation.inputs))
        for var in equation.outputs:
            names[var.number] = len(names)
        kinds = tuple(var.type for var in equation.outputs)
        params = tuple((name, _comparable(value)) for name, value in equation.params.items())
        origin = equation.place, equation.path, equation.visit
        rows.append((equation.primitive, reads, params, kinds, origin))
    heads = tuple((var.type, var.label) for var in program.inputs)
    tails = tuple(map(read, program.outputs))
    return program.name, heads, tuple(rows), tails, program.quiet, bool(program.captured)


def _comparable(value: Any) -> Any:
    """A parameter that has a hash, and that differs in type where it differs in meaning."""
    if isinstance(value, slice):
        return slice, value.start, value.stop, value.step
    if isinstance(value, tuple):
        return type(value), tuple(map(_comparable, value))
    if isinstance(value, np.ndarray):
        return value.dtype, value.shape, value.tobytes()
    return type(value), repr(value) if isinstance(value, (float, complex)) else value
