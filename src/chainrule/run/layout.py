"""How this interpreter and this NumPy lay out their objects: measured, so as not to be believed."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys
from typing import Any

import numpy as np

from chainrule.base.errors import InternalError
from chainrule.emit.plan import API_NAMES, Layout

_POINTER = ctypes.sizeof(ctypes.c_void_p)
_HEAD = object.__basicsize__  # the reference count and the type
_OUT = sys.intern("out")
_TP_ALLOC = 47  # Py_tp_alloc, a slot's number in the stable ABI
_ARRAY_NEW_FROM_DESCR, _ARRAY_TYPE = 94, 2  # entries of NumPy's C API, fixed since 1.0


@functools.cache
def layout() -> Layout | None:
    """Where things lie in Python's and NumPy's objects; None where machine code may not look.

    `CHAINRULE_CALL=ctypes` says so for trials.
    """
    if os.environ.get("CHAINRULE_CALL") == "ctypes":
        return None
    if platform.python_implementation() != "CPython" or _POINTER != 8:
        return None
    if _HEAD != 2 * _POINTER:
        return None  # free-threaded and tracing builds count references in their own way
    items = tuple.__basicsize__
    supposed = Layout(
        type=_HEAD - _POINTER,
        vector=_HEAD,
        target=_HEAD + _POINTER,
        tuple_items=items,
        cell_content=_HEAD,
        array_data=_HEAD,
        array_ndim=_HEAD + _POINTER,
        array_shape=_HEAD + 2 * _POINTER,
        array_descr=_HEAD + 5 * _POINTER,
        array_flags=_HEAD + 6 * _POINTER,
        dict_version=_HEAD + _POINTER if _is_version(_HEAD + _POINTER) else 0,
    )
    return supposed if _complete() and _holds(supposed) else None


def _word(item: Any, offset: int) -> int:
    return ctypes.c_ssize_t.from_address(id(item) + offset).value


def _half(item: Any, offset: int) -> int:
    return ctypes.c_int32.from_address(id(item) + offset).value


def _holds(at: Layout) -> bool:
    """Compare what lies there with what Python says, on objects of several kinds."""
    first, second = object(), object()
    pair = (first, second)
    cell = (lambda: pair).__closure__[0]  # type: ignore[index]
    good = (
        all(_word(x, at.type) == id(type(x)) for x in (first, pair, 1.0, 1, cell))
        and [_word(pair, at.size), *(_word(pair, at.tuple_items + 8 * k) for k in (0, 1))]
        == [2, id(first), id(second)]
        and _word(cell, at.cell_content) == id(pair)
    )
    frozen = np.ones((4, 2), order="F")
    frozen.flags.writeable = False
    bytes_ = np.zeros(17, np.uint8)
    arrays = [
        np.zeros((2, 3)),
        np.array(1.0),
        frozen,
        np.arange(24, dtype=np.float32).reshape(2, 3, 4)[:, ::2],
        bytes_[1:].view(np.float64),
        np.zeros((3, 0), ">i4"),
    ]
    return good and all(_array_holds(at, array) for array in arrays)


def _is_version(offset: int) -> bool:
    """Whether a word of dicts changes with every change of what they hold (PEP 509)."""
    some: dict[Any, Any] = {"a": 1}
    changes = (
        lambda: some.update(a=2),
        lambda: some.__setitem__("b", 3),
        lambda: some.setdefault("c", 4),
        lambda: some.__delitem__("a"),
        lambda: some.pop("b"),
        lambda: some.__setitem__("a", 2),
        some.popitem,
        some.clear,
    )
    seen = {_word(some, offset)}
    for change in changes:
        change()
        word = _word(some, offset)
        some.get("a")
        if word in seen or _word(some, offset) != word:
            return False
        seen.add(word)
    return True


def _array_holds(at: Layout, array: np.ndarray[Any, Any]) -> bool:
    ndim = _half(array, at.array_ndim)
    if ndim != array.ndim or _word(array, at.array_data) != array.ctypes.data:
        return False
    shape = _word(array, at.array_shape)
    flags = _half(array, at.array_flags)
    sizes = tuple(ctypes.c_ssize_t.from_address(shape + 8 * k).value for k in range(ndim))
    said = (
        (array.flags.c_contiguous, 0x1),
        (array.flags.aligned, 0x100),
        (array.flags.writeable, 0x400),
    )
    return (
        sizes == array.shape
        and _word(array, at.array_descr) == id(array.dtype)
        and all(bool(flags & bit) == is_set for is_set, bit in said)
    )


@functools.cache
def number_offset(kind: type[Any]) -> int | None:
    """Where a scalar object of this type keeps its number; None when it can't be found."""
    if issubclass(kind, int):
        return None
    value = kind(1) if kind is not complex else 1 + 2j
    raw = np.asarray(value).tobytes()
    found = ctypes.string_at(id(value) + _HEAD, kind.__basicsize__ - _HEAD)
    return _HEAD if found.startswith(raw) else None


@functools.cache
def maker(kind: type) -> int:
    """The address of a type's `tp_alloc`."""
    get = ctypes.pythonapi.PyType_GetSlot
    function = ctypes.cast(get, ctypes.c_void_p).value
    call = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_int)(function or 0)
    address = call(kind, _TP_ALLOC)
    if address is None:
        raise InternalError(f"the type {kind.__name__} has no tp_alloc")
    return int(address)


def _function(name: str) -> int:
    if not hasattr(ctypes.pythonapi, name):
        return 0
    return ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0


def _new_array() -> int:
    """The address of NumPy's PyArray_NewFromDescr; 0 if its table has changed."""
    capsule = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
    get = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        _function("PyCapsule_GetPointer")
    )
    table = ctypes.cast(get(capsule, None), ctypes.POINTER(ctypes.c_void_p))
    return table[_ARRAY_NEW_FROM_DESCR] or 0 if table[_ARRAY_TYPE] == id(np.ndarray) else 0


def _complete() -> bool:
    """Whether every function is there that a call may need."""
    table = dict(zip(API_NAMES, api().tolist(), strict=True))
    calls = ("PyObject_Vectorcall", "_PyObject_MakeTpCall")
    some = any(table[name] for name in calls)
    return some and all(word for name, word in table.items() if name not in (*calls, "spare"))


@functools.cache
def api() -> np.ndarray[Any, np.dtype[np.int64]]:
    """The table of functions and objects that every plan points to."""
    known = {
        "PyArray_NewFromDescr": _new_array(),
        "PyArray_Type": id(np.ndarray),
        "PyLong_Type": id(int),
        "PyTuple_Type": id(tuple),
        "True": id(np.True_),
        "False": id(np.False_),
        "out": id(_OUT),
        "spare": 0,
    }
    words = [known[name] if name in known else _function(name) for name in API_NAMES]
    return np.array(words, np.int64)
