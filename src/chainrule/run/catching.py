"""Functions for native code to call back, out of which no exception can get lost."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

from chainrule.emit.catching import CATCHING_NAMES, catching_text
from chainrule.run.cache import machine_code
from chainrule.run.engine import Machine, link

_METH_VARARGS = 0x1
_KEY = "chainrule: raised in a function that native code called"


class _PyMethodDef(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


@functools.cache
def _made() -> tuple[Machine, _PyMethodDef, Any]:
    """The machine code, what describes it to Python, and what makes functions of both."""
    machine = link(machine_code(catching_text()), ("catching", "table"))
    table = (ctypes.c_void_p * len(CATCHING_NAMES)).from_address(machine.address("table"))
    for k, name in enumerate(CATCHING_NAMES[:-1]):
        table[k] = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
    table[len(CATCHING_NAMES) - 1] = id(_KEY)
    method = _PyMethodDef(b"catching", machine.address("catching"), _METH_VARARGS, None)
    prototype = ctypes.PYFUNCTYPE(
        ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p
    )
    make = ctypes.cast(ctypes.pythonapi.PyCFunction_NewEx, ctypes.c_void_p).value or 0
    return machine, method, prototype(make)


def catching(function: Callable[..., int]) -> Callable[..., int]:
    """The same function, but where it would raise it returns 1, and `caught` has the exception.

    A `try` inside a Python function can't do that: Ctrl-C may be raised before its first line.
    """
    _, method, make = _made()
    result: Callable[..., int] = make(ctypes.addressof(method), function, None)
    return result


def caught() -> BaseException | None:
    """What was raised last in this thread, once."""
    address = ctypes.PYFUNCTYPE(ctypes.c_void_p)(("PyThreadState_GetDict", ctypes.pythonapi))()
    if address is None:
        return None
    kept: dict[Any, Any] = ctypes.cast(address, ctypes.py_object).value
    error: BaseException | None = kept.pop(_KEY, None)
    return error
