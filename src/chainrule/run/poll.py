"""What long native code asks now and then: whether Python wants it to stop, as by Ctrl-C."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from chainrule.emit.watch import POLL_NAMES
from chainrule.run.catching import catching
from chainrule.run.engine import Machine
from chainrule.run.glue import glue

_CALL = ctypes.CFUNCTYPE(ctypes.c_int32)


@functools.cache
def _made() -> tuple[Machine, Any]:
    """The machine code, and what it calls back; both live as long as the process."""
    machine = glue()
    call_back = _CALL(catching(lambda: 0))  # whatever a signal's handler raises, it raises there
    table = (ctypes.c_void_p * len(POLL_NAMES)).from_address(machine.address("polling"))
    table[0] = ctypes.cast(call_back, ctypes.c_void_p).value
    for k, name in enumerate(POLL_NAMES[1:], 1):
        table[k] = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
    return machine, call_back


def poll_address() -> int:
    """Of `i32 poll()`: not 0 where native code is to stop; `caught` has the exception then."""
    return _made()[0].address("poll")
