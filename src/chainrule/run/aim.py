"""Objects that are called as fast as built-in functions, whatever else they are.

A class whose `__call__` is a built-in function costs 65 ns more per call than the function itself,
as Python packs the arguments into a tuple first; one written in Python costs 170 ns more. So calls
go by PEP 590: the object holds the address of machine code, and that finds the plan in a slot.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from chainrule.run.engine import available
from chainrule.run.entry import detour, detour_address, parts_of, vector_address
from chainrule.run.layout import layout

_DEFAULT, _BASE_TYPE, _HAVE_VECTORCALL = 1 << 18, 1 << 10, 1 << 11
_TP_CALL, _TP_MEMBERS = 50, 72  # slots' numbers in the stable ABI
_T_PYSSIZET, _READONLY = 19, 1
_TP_FLAGS = 168  # where a type keeps its flags; compared with what Python says before use

T = TypeVar("T")


class _Member(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("type", ctypes.c_int),
        ("offset", ctypes.c_ssize_t),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


class _Slot(ctypes.Structure):
    _fields_ = (("slot", ctypes.c_int), ("function", ctypes.c_void_p))


class _Spec(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("basicsize", ctypes.c_int),
        ("itemsize", ctypes.c_int),
        ("flags", ctypes.c_uint),
        ("slots", ctypes.c_void_p),
    )


# What types made here point to, for ever, as types do.
_MEMORY: list[Any] = []


@functools.cache
def _vector_class() -> type | None:
    """A class with a place for a function of PEP 590, and a slot; None where there is none."""
    at = layout()
    if at is None or not available():
        return None
    members = (_Member * 2)(
        _Member(b"__vectorcalloffset__", _T_PYSSIZET, at.vector, _READONLY, None)
    )
    call = ctypes.cast(ctypes.pythonapi.PyVectorcall_Call, ctypes.c_void_p).value
    slots = (_Slot * 3)(
        _Slot(_TP_CALL, call), _Slot(_TP_MEMBERS, ctypes.addressof(members)), _Slot(0, None)
    )
    flags = _DEFAULT | _BASE_TYPE | _HAVE_VECTORCALL
    name = b"chainrule.run.aim.Vector"
    spec = _Spec(name, at.vector + 8, 0, flags, ctypes.addressof(slots))
    _MEMORY.extend((members, slots, name, spec))
    make = ctypes.cast(ctypes.pythonapi.PyType_FromSpec, ctypes.c_void_p).value or 0
    base = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p)(make)(ctypes.addressof(spec))
    found: type = type("Target", (base,), {"__slots__": ("_target",)})
    probe, something = found(), object()
    probe._target = something
    there = ctypes.c_ssize_t.from_address(id(probe) + at.target).value
    return found if there == id(something) else None


def aimed(kind: type[T]) -> type[T]:
    """A subclass of a class whose objects, when called, call what `aim` gave them last."""
    base = _vector_class()
    if base is None:
        return type(kind.__name__, (_Portable, kind), {"__module__": kind.__module__})
    made = type(kind.__name__, (base, kind), {"__module__": kind.__module__, "__slots__": ()})
    if sys.version_info < (3, 12):
        _set_flag(made)  # later versions of Python do it themselves
    return made


def _set_flag(kind: type) -> None:
    """Have Python use the machine code's address; without, it packs arguments as ever."""
    flags = ctypes.c_ulong.from_address(id(kind) + _TP_FLAGS)
    if flags.value == kind.__flags__:
        flags.value |= _HAVE_VECTORCALL
        ctypes.pythonapi.PyType_Modified(ctypes.py_object(kind))


class _Portable:
    """The same in Python."""

    _target: Callable[..., Any]

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        return self._target(*args, **keywords)


def aim(item: Any, function: Callable[..., Any]) -> None:
    """Have an object of a class from `aimed` call this from now on: an entry, or a fallback."""
    at = layout()
    if at is None or _vector_class() is None:
        item._target = function
        return
    # Another thread may call meanwhile: the code for either target can do with the other one.
    parts = parts_of(function)
    item._target = parts or detour(function)
    address = vector_address() if parts else detour_address()
    ctypes.c_void_p.from_address(id(item) + at.vector).value = address
