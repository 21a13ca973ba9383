"""What a program computes, in 32 bytes: equal for equal programs, whoever traced them and where."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.ir.primitive import Primitive
from chainrule.ir.program import Constant, Program, Var


class _Nameless(Exception):
    """A parameter that can't be told from others by its contents."""


def digest(program: Program) -> bytes | None:
    """A SHA-256 of operations, parameters, types and constants; None where it can't be told.

    Names and places of the user's source don't count, nor do the values of captured arrays.
    """
    total = hashlib.sha256()
    try:
        for part in _program(program):
            total.update(part)
            total.update(b"\0")
    except _Nameless:
        return None
    return total.digest()


def _program(program: Program) -> Iterator[bytes]:
    yield b"quiet program" if program.quiet else b"program"
    for var in (*program.inputs, *(var for var, _ in program.captured)):
        yield from _operand(var)
    yield b"does"
    for equation in program.equations:
        yield equation.primitive.name.encode()
        for operand in equation.inputs:
            yield from _operand(operand)
        yield b"with"
        yield from _value(dict(equation.params))
        for var in equation.outputs:
            yield from _operand(var)
    yield b"gives"
    for operand in program.outputs:
        yield from _operand(operand)


def _operand(operand: Any) -> Iterator[bytes]:
    if isinstance(operand, Var):
        kind = operand.type
        yield f"{operand.number}:{kind.shape}{kind.dtype.str}{kind.weak}".encode()
    else:
        assert isinstance(operand, Constant)
        yield from _value(operand.value)


def _value(value: Any) -> Iterator[bytes]:
    """Contents with their types: 1, 1.0 and True are different, and so are 0.0 and −0.0."""
    kind = type(value)
    yield kind.__name__.encode()
    if kind is float:
        yield value.hex().encode()
    elif kind is complex:
        yield f"{value.real.hex()},{value.imag.hex()}".encode()
    elif kind in (int, bool, str) or value is None or value is Ellipsis:
        yield repr(value).encode()
    elif isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        yield f"{value.dtype.str}{value.shape}".encode()
        yield value.tobytes()
    elif isinstance(value, np.dtype):
        yield value.str.encode()
    elif isinstance(value, slice):
        yield repr((value.start, value.stop, value.step)).encode()
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield str(key).encode()
            yield from _value(part)
        yield b"end"
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _value(part)
        yield b"end"
    elif isinstance(value, Program):
        yield from _program(value)
    elif isinstance(value, Primitive):
        yield value.name.encode()
    elif isinstance(value, type):
        yield value.__qualname__.encode()
    else:
        raise _Nameless
