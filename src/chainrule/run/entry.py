"""From Python's call into machine code and back: a built-in function for one compiled program."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.settings import OPEN
from chainrule.emit import plan as words
from chainrule.emit.entry import entry_text
from chainrule.run.builtin import FASTCALL, KEYWORDS, builtin, method
from chainrule.run.cache import machine_code
from chainrule.run.call import ABSENT, Call, Input, Output
from chainrule.run.engine import Machine, link
from chainrule.run.glue import glue
from chainrule.run.layout import api, layout, maker, number_offset
from chainrule.run.portable import portable_entry

_ENTRY = object()  # marks tuples of entries
_SETTLED = np.zeros(1, np.int64)  # in place of the number of open settings, where they don't matter
_SPARES = 2  # results kept to be used again: one may still have a name while the next is made


def entry(call: Call) -> Callable[..., Any]:
    """A function that runs a program when its arguments are exactly right, else its fallback.

    It takes `out=` too: an array, or a tuple of arrays where there are many results, that are
    written and returned, unless they overlap an argument.
    """
    kinds = [item.kind for item in call.inputs] + [item.kind for item in call.outputs]
    if layout() is None or not all(map(_is_native, kinds)):
        return portable_entry(call)
    return _native_entry(call)


def _is_native(kind: type) -> bool:
    """Whether machine code can read and make such an object."""
    return kind in (np.ndarray, int) or number_offset(kind) is not None


@functools.cache
def _caller() -> Machine:
    """The code that all entries share."""
    found = layout()
    assert found is not None
    return link(machine_code(entry_text(found)), ("call", "vector"))


def parts_of(function: Callable[..., Any]) -> tuple[Any, ...] | None:
    """The tuple that an entry in machine code owns, its plan first; None for other functions."""
    parts = getattr(function, "__self__", None)
    return parts if type(parts) is tuple and parts and parts[-1] is _ENTRY else None


def vector_address() -> int:
    """The function of PEP 590 for objects whose target is an entry's `__self__`."""
    return _caller().address("vector")


def detour(function: Callable[..., Any]) -> tuple[Any, ...]:
    """What an entry would own that leaves every call to something else."""
    plan, kept = _plan(Call("call", 0, (), (), function, function, never=True))
    return (plan, function, *kept, _ENTRY)


def detour_address() -> int:
    """The function of PEP 590 for objects whose target is from `detour`."""
    return glue().address("detour")


def _native_entry(call: Call) -> Callable[..., Any]:
    plan, kept = _plan(call)
    machine = _caller()
    described = method(call.name.encode(), machine.address("call"), FASTCALL | KEYWORDS)
    # The function owns this tuple, and with it everything that its plan points to. The collector
    # sees through it, so a program that its own fallback refers to can go.
    owned = (plan, call.fallback, call.failed, described, machine, *kept, *call.keep, _ENTRY)
    return builtin(described, owned)


def _plan(call: Call) -> tuple[np.ndarray[Any, Any], list[Any]]:
    """The plan of a call, and the objects that it points to."""
    kept: list[Any] = [api(), OPEN, _SETTLED]
    records = [
        [_input_record(item, kept) for item in call.inputs],
        [_captured_record(array, kept) for array in call.captured],
        [_output_record(item, kept) for item in call.outputs],
    ]
    names = [
        [id(scope), id(key), 0 if value is ABSENT else id(value)]
        for scope, key, value in call.names
    ]
    versions = [[scope, -1] for scope in dict.fromkeys(row[0] for row in names)]
    cells = [[id(cell), id(value)] for cell, value in call.cells]
    at = layout()
    assert at is not None
    cells += [[address - at.cell_content, word] for address, word in call.words]
    spares = [_spare(call) for _ in range(_SPARES)] if _may_be_spared(call) else []
    kept += [*call.names, *call.cells, *(objects[0] for objects, _ in spares)]
    plan = np.zeros(words.PLAN_WORDS, np.int64)
    plan[words.FALLBACK] = id(call.fallback)
    plan[words.FAILED] = id(call.failed)
    plan[words.RUN] = call.run
    plan[words.API] = api().ctypes.data
    plan[words.SWITCH] = (_SETTLED if call.settled else OPEN).ctypes.data
    plan[words.SCRATCH] = call.scratch
    plan[words.FLAGS] = words.RETURN_TUPLE * call.many + words.RELEASE_GIL * call.release
    tables: list[tuple[int, list[Any]]] = [
        (words.INPUTS, records[0]),
        (words.CAPTURED, records[1]),
        (words.OUTPUTS, records[2]),
        (words.CONTEXT, [0, *call.context]),
        (words.NAMES, names),
        (words.CELLS, cells),
        (words.NEST, list(call.nest)),
        (words.VERSIONS, versions),
        (words.SPARES, [[*map(id, objects), *places] for objects, places in spares]),
    ]
    for word, rows in tables:
        table = np.array(rows, np.int64)
        kept.append(table)
        plan[word], plan[word + 1] = len(rows), table.ctypes.data
    plan[words.SPARE_OBJECTS] = len(spares[0][0]) if spares else 0
    if call.never:
        plan[words.INPUTS] = -1  # no call has so many
    return plan, kept


def _may_be_spared(call: Call) -> bool:
    """Whether results may be objects that were handed out before: numbers, in tuples perhaps.

    These tuples hold nothing but their items: later versions of Python keep a hash in them.
    """
    numbers = all(number_offset(item.kind) is not None for item in call.outputs)
    plain = tuple.__basicsize__ == object.__basicsize__ + 8
    return bool(call.outputs) and numbers and plain


def _spare(call: Call) -> tuple[list[Any], list[int]]:
    """Objects of a result, the whole first; and the addresses of its numbers."""
    numbers = [item.kind(0) for item in call.outputs]
    tuples: list[Any] = []
    stack: list[Any] = []
    waiting = iter(numbers)
    for count in call.nest or [*[-1] * len(numbers), *[len(numbers)] * call.many]:
        if count < 0:
            stack.append(next(waiting))
            continue
        parts = tuple(stack[len(stack) - count :])
        del stack[len(stack) - count :]
        tuples.append(parts)
        stack.append(parts)
    offsets = [number_offset(item.kind) or 0 for item in call.outputs]
    places = [id(number) + offset for number, offset in zip(numbers, offsets, strict=True)]
    return [*reversed(tuples), *numbers], places


def _record(dtype: np.dtype[Any], shape: tuple[int, ...], kept: list[Any]) -> list[int]:
    """What the records of all kinds say: an array's type, dtype and shape."""
    sizes = np.array(shape, np.int64)
    kept += [sizes, dtype]
    row = [0] * words.RECORD_WORDS
    row[words.KIND] = words.ARRAY
    row[words.TYPE] = id(np.ndarray)
    row[words.DESCR] = id(dtype)
    row[words.NDIM] = len(shape)
    row[words.SHAPE] = sizes.ctypes.data
    row[words.BYTES] = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    return row


def _input_record(item: Input, kept: list[Any]) -> list[int]:
    row = _record(item.dtype, item.shape, kept)
    if item.kind is int:
        row[words.KIND], row[words.BYTES] = words.INTEGER, 0
    elif item.kind is not np.ndarray:
        row[words.KIND], row[words.BYTES] = words.NUMBER, 0
        row[words.TYPE] = id(item.kind)
        row[words.OFFSET] = number_offset(item.kind) or 0
    return row


def _captured_record(array: np.ndarray[Any, Any], kept: list[Any]) -> list[int]:
    row = _record(array.dtype, array.shape, kept)
    row[words.ADDRESS] = array.ctypes.data
    kept.append(array)
    return row


def _output_record(item: Output, kept: list[Any]) -> list[int]:
    row = _record(item.dtype, item.shape, kept)
    row[words.REUSE] = 0 if item.reuse is None else item.reuse + 1
    if item.kind is int:
        row[words.KIND] = words.INTEGER
    elif item.kind is np.bool_:
        row[words.KIND] = words.TRUTH
    elif item.kind is not np.ndarray:
        row[words.KIND] = words.NUMBER
        row[words.MAKE], row[words.MADE] = maker(item.kind), id(item.kind)
        row[words.OFFSET] = number_offset(item.kind) or 0
    return row
