"""Built-in functions of Python made from machine code."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

VARARGS, KEYWORDS, FASTCALL = 0x1, 0x2, 0x80  # Python's METH_ flags: how the code is called


class _Record(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_void_p),
    )


Method = tuple[bytes, bytes]


def method(name: bytes, function: int, flags: int) -> Method:
    """What describes a built-in function to Python; it must live as long as the function.

    These are bytes because the collector leaves them alone: of what it takes down it empties
    structures first, and a function still looks at its description when it goes.
    """
    return bytes(_Record(_address(name), function, flags, None)), name


def _address(data: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0


@functools.cache
def _make() -> Callable[..., Any]:
    prototype = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p
    )
    return prototype(ctypes.cast(ctypes.pythonapi.PyCFunction_NewEx, ctypes.c_void_p).value or 0)


def builtin(described: Method, owner: Any) -> Callable[..., Any]:
    """A function of this code, which is handed `owner` first and keeps it alive."""
    function: Callable[..., Any] = _make()(_address(described[0]), owner, None)
    return function
