"""What a program computes, in 32 bytes: equal for equal programs, whoever traced them and where."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
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
    parts: list[bytes] = []
    try:
        _program(program, parts)
    except _Nameless:
        return None
    return hashlib.sha256(b"\0".join(parts)).digest()


def _program(program: Program, parts: list[bytes]) -> None:
    parts.append(b"quiet program" if program.quiet else b"program")
    for var in (*program.inputs, *(var for var, _ in program.captured)):
        _operand(var, parts)
    parts.append(b"does")
    for equation in program.equations:
        parts.append(equation.primitive.name.encode())
        for operand in equation.inputs:
            _operand(operand, parts)
        parts.append(b"with")
        _value(equation.params, parts)
        for var in equation.outputs:
            _operand(var, parts)
    parts.append(b"gives")
    for operand in program.outputs:
        _operand(operand, parts)


def _operand(operand: Any, parts: list[bytes]) -> None:
    if isinstance(operand, Var):
        kind = operand.type
        parts.append(f"{operand.number}:{kind.shape}{kind.dtype.str}{kind.weak}".encode())
    else:
        assert isinstance(operand, Constant)
        _value(operand.value, parts)


def _value(value: Any, parts: list[bytes]) -> None:
    """Contents with their types: 1, 1.0 and True are different, and so are 0.0 and −0.0."""
    kind = type(value)
    if isinstance(value, Mapping):
        parts.append(b"mapping")
        for key, part in value.items():
            parts.append(str(key).encode())
            _value(part, parts)
        parts.append(b"end")
        return
    parts.append(kind.__name__.encode())
    if kind is float:
        parts.append(value.hex().encode())
    elif kind is complex:
        parts.append(f"{value.real.hex()},{value.imag.hex()}".encode())
    elif kind in (int, bool, str) or value is None or value is Ellipsis:
        parts.append(repr(value).encode())
    elif isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject:
        parts.append(f"{value.dtype.str}{value.shape}".encode())
        parts.append(hashlib.sha256(value.tobytes()).digest())
    elif isinstance(value, np.dtype):
        parts.append(value.str.encode())
    elif isinstance(value, slice):
        parts.append(repr((value.start, value.stop, value.step)).encode())
    elif isinstance(value, (tuple, list)):
        for part in value:
            _value(part, parts)
        parts.append(b"end")
    elif isinstance(value, Program):
        _program(value, parts)
    elif isinstance(value, Primitive):
        parts.append(value.name.encode())
    elif isinstance(value, type):
        parts.append(value.__qualname__.encode())
    else:
        raise _Nameless
