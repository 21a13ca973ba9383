"""From Python's call into machine code where Python's objects may not be looked into: by ctypes."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.settings import OPEN
from chainrule.emit.plan import NO_MEMORY
from chainrule.run.call import ABSENT, Call, Input, Output, may_reuse

Array = np.ndarray[Any, Any]


def portable_entry(call: Call) -> Callable[..., Any]:
    """The same as an entry in machine code, some 30 times slower."""
    program = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(call.run)

    def enter(*args: Any, **keywords: Any) -> Any:
        buffers = _arguments(call, args)
        elsewhere = OPEN[0] and not call.settled
        if call.never or elsewhere or buffers is None or not _unchanged(call):
            return call.fallback(*args, **keywords)
        if keywords and call.nest:
            return call.fallback(*args, **keywords)
        if keywords:
            results = _given(call, keywords, buffers)
            if results is None:
                return call.fallback(*args, **keywords)
        else:
            results = [_result(call, item, args, buffers) for item in call.outputs]
        everything = [*buffers, *call.captured, *results]
        table = (ctypes.c_void_p * len(everything))(*(array.ctypes.data for array in everything))
        try:
            block = np.empty(call.scratch + 64, np.uint8)
        except (MemoryError, ValueError):
            return call.failed(NO_MEMORY, *args, **keywords)
        scratch = (block.ctypes.data + 63) // 64 * 64
        context = (ctypes.c_void_p * (len(call.context) + 1))(scratch, *call.context)
        state = program(ctypes.addressof(table), ctypes.addressof(context))
        if state:
            return call.failed(state, *args, **keywords)
        if keywords:
            return keywords["out"]
        made = [_made(item, result) for item, result in zip(call.outputs, results, strict=True)]
        if call.nest:
            return _nested(call.nest, made)
        return tuple(made) if call.many else made[0]

    enter.__name__ = enter.__qualname__ = call.name
    return enter


def _nested(nest: Sequence[int], made: Sequence[Any]) -> Any:
    """Results put together as tuples of tuples."""
    stack: list[Any] = []
    rest = iter(made)
    for count in nest:
        if count < 0:
            stack.append(next(rest))
        else:
            first = len(stack) - count
            stack[first:] = [tuple(stack[first:])]
    return stack[0]


def _unchanged(call: Call) -> bool:
    """Whether every name and cell that the program was traced with still means the same object."""
    return all(scope.get(key, ABSENT) is value for scope, key, value in call.names) and all(
        _content(cell) is value for cell, value in call.cells
    )


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return ABSENT


def _arguments(call: Call, args: tuple[Any, ...]) -> list[Array] | None:
    """Arrays that hold the arguments' numbers; None unless all are what they should be."""
    if len(args) != len(call.inputs):
        return None
    found = [_argument(item, value) for item, value in zip(call.inputs, args, strict=True)]
    return None if any(array is None for array in found) else found  # type: ignore[return-value]


def _argument(item: Input, value: Any) -> Array | None:
    """An argument as an array; None unless it is what it should be."""
    if item.kind is np.ndarray:
        return value if _fits(item, value) else None
    if type(value) is not item.kind:
        return None
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return None
    return np.array(value, item.dtype)


def _fits(item: Input | Output, value: Any) -> bool:
    return (
        type(value) is np.ndarray
        and value.dtype is item.dtype
        and value.shape == item.shape
        and value.flags.c_contiguous
        and value.flags.aligned
    )


def _given(call: Call, keywords: dict[str, Any], buffers: list[Array]) -> list[Array] | None:
    """The arrays of `out=`, if they can be written."""
    if list(keywords) != ["out"]:
        return None
    out = keywords["out"]
    if call.many and (type(out) is not tuple or len(out) != len(call.outputs)):
        return None
    arrays = list(out) if call.many else [out]
    for item, array in zip(call.outputs, arrays, strict=True):
        if not _fits(item, array) or not array.flags.writeable:
            return None
    pairs = itertools.chain(
        itertools.product(arrays, [*buffers, *call.captured]), itertools.combinations(arrays, 2)
    )
    # Contiguous arrays share memory just when their bounds do.
    return None if any(np.may_share_memory(a, b) for a, b in pairs) else arrays


def _result(call: Call, item: Output, args: tuple[Any, ...], buffers: list[Array]) -> Array:
    """Memory for a result: an argument that was given up for it, where that's possible, or new."""
    if item.reuse is not None and may_reuse(item.reuse, [*buffers, *call.captured]):
        given: Array = args[item.reuse]
        return given
    return np.empty(item.shape, item.dtype)


def _made(item: Output, result: Array) -> Any:
    if item.kind is np.ndarray:
        return result
    return result.item() if item.kind in (float, int, bool, complex) else result[()]
