"""LAPACK and BLAS for compiled code: SciPy's own, found through what SciPy offers to Cython."""

from __future__ import annotations

import ctypes
import functools
import importlib
import os
import re
from typing import Any

from chainrule.emit.linear import BLAS, ENTER, FIRST, LAPACK, LEAVE, gate_text, place_of
from chainrule.run.cache import machine_code
from chainrule.run.engine import Machine, link

_LAPACK, _BLAS = "scipy.linalg.cython_lapack", "scipy.linalg.cython_blas"
_SIGNATURE = rb"void \(((char|int|\w+_[sd]) \*(, )?)+\)"
# OpenBLAS as SciPy's wheels name it, and as distributions do.
_PREFIXES = ("scipy_openblas", "openblas")


@functools.cache
def links() -> bool:
    """Whether compiled code can call the routines: all are there, with integers of 32 bits."""
    return all(_table()[place_of(name)] for name in (*LAPACK, *BLAS))


@functools.cache
def table_address() -> int:
    """The table of addresses that a context holds."""
    return ctypes.addressof(_table())


@functools.cache
def _table() -> Any:
    """What `emit/linear.py` expects where; nulls for what isn't there."""
    table = (ctypes.c_void_p * (FIRST + len(LAPACK) + len(BLAS)))()
    table[ENTER], table[LEAVE] = (_gate().address(name) for name in ("enter", "leave"))
    for module, names in ((_LAPACK, LAPACK), (_BLAS, BLAS)):
        try:
            capsules: dict[str, Any] = importlib.import_module(module).__pyx_capi__
        except (ImportError, AttributeError):  # an incomplete SciPy: NumPy does the work then
            continue
        for name in names:
            table[place_of(name)] = _address(capsules.get(name))
    return table


def _address(capsule: Any) -> int | None:
    """The function in a capsule, whose name is its signature."""
    if capsule is None:
        return None
    api = ctypes.pythonapi
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, ctypes.py_object)(("PyCapsule_GetName", api))
    signature = name_of(capsule)
    if signature is None or not re.fullmatch(_SIGNATURE, signature):
        return None
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    found: int = prototype(("PyCapsule_GetPointer", api))(capsule, signature)
    return found


@functools.cache
def _gate() -> Machine:
    """The functions that keep the library to one thread."""
    machine = link(machine_code(gate_text(), quick=True), ("enter", "leave", "forget", "table"))
    functions = _thread_functions()
    if functions is not None:
        table = (ctypes.c_void_p * len(functions)).from_address(machine.address("table"))
        table[:] = [*functions]
    if hasattr(os, "register_at_fork"):
        forget = ctypes.CFUNCTYPE(None)(machine.address("forget"))
        os.register_at_fork(after_in_child=forget)
    return machine


def _thread_functions() -> tuple[int, int] | None:
    """OpenBLAS's functions that say how many threads it uses, and set it; None without OpenBLAS."""
    try:
        library = ctypes.CDLL(importlib.import_module(_LAPACK).__file__)
    except (ImportError, OSError):
        return None
    for prefix in _PREFIXES:
        names = f"{prefix}_get_num_threads", f"{prefix}_set_num_threads"
        if all(hasattr(library, name) for name in names):
            first, second = (getattr(library, name) for name in names)
            return _place(first), _place(second)
    return None


def _place(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0
