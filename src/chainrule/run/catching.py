"""Functions for native code to call back, out of which no exception can get lost."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

from chainrule.emit.catching import CATCHING_NAMES
from chainrule.run.builtin import VARARGS, Method, builtin, method
from chainrule.run.engine import Machine
from chainrule.run.glue import glue

_KEY = "chainrule: raised in a function that native code called"


@functools.cache
def _made() -> tuple[Machine, Method]:
    """The machine code, and what describes it to Python."""
    machine = glue()
    table = (ctypes.c_void_p * len(CATCHING_NAMES)).from_address(machine.address("table"))
    for k, name in enumerate(CATCHING_NAMES[:-1]):
        table[k] = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
    table[len(CATCHING_NAMES) - 1] = id(_KEY)
    described = method(b"catching", machine.address("catching"), VARARGS)
    # For ever: when Python ends, functions may be taken down after this module.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(described))
    return machine, described


def catching(function: Callable[..., int]) -> Callable[..., int]:
    """The same function, but where it would raise it returns 1, and `caught` has the exception.

    A `try` inside a Python function can't do that: Ctrl-C may be raised before its first line.
    """
    return builtin(_made()[1], function)


def caught() -> BaseException | None:
    """What was raised last in this thread, once."""
    address = ctypes.PYFUNCTYPE(ctypes.c_void_p)(("PyThreadState_GetDict", ctypes.pythonapi))()
    if address is None:
        return None
    kept: dict[Any, Any] = ctypes.cast(address, ctypes.py_object).value
    error: BaseException | None = kept.pop(_KEY, None)
    return error
