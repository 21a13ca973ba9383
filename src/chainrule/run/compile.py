"""From a program to machine code, and calling it."""

from __future__ import annotations

import ctypes
import functools
import math
import os
import platform
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import AllocationError, InternalError
from chainrule.base.settings import current
from chainrule.emit.denormal import mode_text, run_text
from chainrule.emit.module import Module, module_of
from chainrule.ir.digest import digest
from chainrule.ir.program import Constant, Equation, Program
from chainrule.ir.types import ArrayType, type_of
from chainrule.loops.lower import lower
from chainrule.loops.mathematics import DEFINITIONS
from chainrule.loops.schedule import Target
from chainrule.run import engine
from chainrule.run.cache import kept, machine_code
from chainrule.run.call import Call, Input, Output, may_reuse
from chainrule.run.catching import catching, caught
from chainrule.run.draw import drawing
from chainrule.run.entry import entry
from chainrule.run.lapack import links, table_address
from chainrule.run.numpy_engine import Failed, python_number
from chainrule.run.poll import poll_address
from chainrule.run.results import check_targets
from chainrule.run.threads import pool

_ALIGN = 64
# What is kept with machine code: bytes of scratch; whether it calls back, calls LAPACK, shares
# work, asks Python whether to go on; how many results are written where an input lies; and of each
# of these its number and the input's.
_HEAD, _PAIR = struct.Struct("<Q????I"), struct.Struct("<II")
_SHORT = 4096  # entries; a program of fewer is over before another thread could run
_LOOPS = ("scan", "while", "while_transpose")
_PYTHON: dict[str, type] = {"f": float, "i": int, "c": complex}
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p)
_RUN = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)


@functools.cache
def host_target() -> Target:
    """The vector registers of this machine."""
    _, features = engine.host()
    if "+avx512f" in features.split(","):
        return Target(64, 32)
    return Target(32, 16) if "+avx2" in features.split(",") else Target(16, 16)


@functools.cache
def _recipe() -> bytes:
    """What decides how programs become code: these very sources, as they are now."""
    package = os.path.dirname(os.path.dirname(__file__))
    folders = [os.path.join(package, name) for name in ("ops", "loops", "emit", "run")]
    rows = sorted(row for folder in folders for row in _sources(folder))
    return repr((rows, host_target(), np.__version__)).encode()  # whose functions draw


def _sources(folder: str) -> Iterator[tuple[str, int, int]]:
    """Every source file below a folder, its size, and when it was written."""
    with os.scandir(folder) as found:
        for item in found:
            if item.name.endswith(".py"):
                status = item.stat()
                yield item.path, status.st_size, status.st_mtime_ns
            elif item.is_dir():
                yield from _sources(item.path)


class NativeExecutable:
    """A program as machine code, ready to run.

    Args:
        donated: inputs whose arrays the caller gives up.

    Attributes:
        reused: output → the input in whose array it's written, where that can be done.
    """

    def __init__(self, program: Program, donated: Sequence[int] = ()) -> None:
        self.program = program
        self.donated = tuple(donated)
        self.callbacks: list[Equation] = []
        self._module: Module | None = None
        code = self._code()
        self.machine = engine.link(code, given=drawing(code, host_target()))
        self._callback = _CALLBACK(catching(self._call_back))
        self._seen: set[tuple[type, ...]] = set()
        self._entries: dict[Any, Callable[..., tuple[Any, ...]]] = {}
        self._inputs = [var.type for var in (*program.inputs, *(v for v, _ in program.captured))]
        self._outputs = [
            type_of(o.value) if isinstance(o, Constant) else o.type for o in program.outputs
        ]

    def context(self) -> list[int]:
        """What a context holds behind scratch memory, by the settings of this moment.

        What native code calls back for an equation on the NumPy engine, and for signals; the
        threads; a table of LAPACK's routines; the program itself.
        """
        callback = ctypes.cast(self._callback, ctypes.c_void_p).value or 0
        poll = poll_address() if self.polls else 0
        threads = 0
        if self.shares:
            threads = pool().flushing if current().flush_denormals else pool().address
        table = table_address() if self.links else 0
        return [callback, poll, threads, table, self.machine.address("run")]

    def address(self) -> int:
        """Of the function to call with arguments and context, by the settings of this moment."""
        flusher = _flusher() if current().flush_denormals else None
        return self.machine.address("run") if flusher is None else flusher.address("run_flushing")

    def raise_interruption(self) -> None:
        """Raise what a call back raised in this thread, if native code stopped because of it."""
        error = caught()
        if error is not None:
            raise error

    def _code(self) -> bytes:
        """Machine code, and what is to be known about it: from the disk, if it was made before."""
        key = digest(self.program)
        whole = b""
        if key is not None:
            whole = kept(key + repr(self.donated).encode() + _recipe(), self._packed)
        if key is None or (_HEAD.unpack_from(whole)[2] and not links()):
            self.scratch, self.links = self.module.scratch, self.module.links
            self.shares, self.polls = self.module.shares, self.module.polls
            self.reused = dict(self.module.reused)
            return machine_code(self.module.text)
        self.scratch, called_back, *reads, count = _HEAD.unpack_from(whole)
        self.links, self.shares, self.polls = reads
        if called_back:
            _ = self.module  # its equations that are called back aren't in the code
        end = _HEAD.size + count * _PAIR.size
        self.reused = dict(_PAIR.iter_unpack(whole[_HEAD.size : end]))
        return whole[end:]

    def _packed(self) -> bytes:
        module = self.module
        code = engine.compile_text(module.text)
        is_so = bool(self.callbacks), module.links, module.shares, module.polls
        head = _HEAD.pack(module.scratch, *is_so, len(module.reused))
        return b"".join([head, *(_PAIR.pack(*pair) for pair in module.reused), code])

    @property
    def module(self) -> Module:
        """The program as text for LLVM."""
        if self._module is None:
            lowered = lower(self.program, links=links)
            self.callbacks += lowered.callbacks
            self._module = module_of(lowered, DEFINITIONS, host_target(), self.donated)
        return self._module

    @property
    def llvm(self) -> str:
        """The text that was compiled."""
        return self.module.text

    def __call__(
        self, leaves: Sequence[Any], captured: Sequence[Any], out: list[Any] | None = None
    ) -> list[Any]:
        """The outputs, each an array of its own; written into `out` where that is given.

        Raises:
            Failed: an operation met a value that it can't work with.
            ShapeError, DtypeError, ArgumentError: `out` doesn't fit.
        """
        given = (*leaves, *captured)
        if not self._outputs:
            return []
        kinds = tuple(map(type, given))
        if kinds not in self._seen:
            # A way in for these kinds is made the second time, as it takes longer than most calls.
            self._seen.add(kinds)
            return self._by_ctypes(*given, out=out)
        key = kinds, current()
        enter = self._entries.get(key)
        if enter is None:
            enter = self._entries[key] = self._entry(kinds)
        if out is None:
            return list(enter(*given))
        enter(*given, out=tuple(out))
        return out

    def _entry(self, kinds: Sequence[type]) -> Callable[..., tuple[Any, ...]]:
        """A way into the code for leaves of just these classes."""
        inputs = [
            Input(kind, type_.dtype, type_.shape if kind is np.ndarray else ())
            for kind, type_ in zip(kinds, self._inputs, strict=True)
        ]
        outputs = [
            Output(made_as(kind), kind.dtype, kind.shape, self.reused.get(k))
            for k, kind in enumerate(self._outputs)
        ]
        return entry(
            Call(
                self.program.name,
                self.address(),
                inputs,
                outputs,
                self._by_ctypes,
                self._failed,
                many=True,
                context=self.context(),
                scratch=self.scratch,
                release=self.is_long(),
                settled=True,
                keep=(self.machine, self._callback),
            )
        )

    def is_long(self) -> bool:
        """Whether other threads of Python should run meanwhile."""
        return bool(self.callbacks or self.links) or any(
            equation.primitive.name in _LOOPS
            or any(var.type.size > _SHORT for var in equation.outputs)
            for equation in self.program.equations
        )

    def _by_ctypes(self, *given: Any, out: Any = None) -> Any:
        """The same for any arrays and numbers that can be made to fit, some 30 times slower."""
        if out is not None:
            check_targets(out, self._outputs)
        arrays = [
            np.ascontiguousarray(value, kind.dtype)
            for value, kind in zip(given, self._inputs, strict=True)
        ]
        made = []
        for k, kind in enumerate(self._outputs):
            reused = self.reused.get(k)
            if reused is not None and out is None and may_reuse(reused, arrays):
                made.append(arrays[reused])
            elif out is not None and _may_write(out[k], arrays):
                made.append(out[k])
            else:
                made.append(_memory(kind.shape, kind.dtype, "a result"))
        arrays += made
        arguments = (ctypes.c_void_p * len(arrays))(*[a.ctypes.data for a in arrays])
        size = self.scratch + _ALIGN
        scratch = _memory((size,), np.dtype(np.uint8), "what lies between operations")
        start = scratch.ctypes.data
        context = [start + -start % _ALIGN, *self.context()]
        table = (ctypes.c_void_p * len(context))(*context)
        code = _RUN(self.address())(ctypes.addressof(arguments), ctypes.addressof(table))
        if code:
            self._failed(code)
        if out is None:
            return [_as_numpy(a, k) for a, k in zip(made, self._outputs, strict=True)]
        for target, array in zip(out, made, strict=True):
            if target is not array:
                target[...] = array
        return out

    def _failed(self, code: int, *given: Any, **keywords: Any) -> Any:
        if code < 0:
            self.raise_interruption()
            raise InternalError("native code stopped, and nobody knows why", {"code": code})
        raise Failed(self.program.equations[code - 1])

    def out_of_memory(self) -> AllocationError:
        """What to raise where there is no scratch memory for a call."""
        return _too_much(self.scratch, "what lies between operations")

    def _call_back(self, number: int, pointers: int) -> int:
        """Run one equation on the NumPy engine, in the middle of native code."""
        _perform(self.callbacks[number], pointers)
        return 0


@functools.cache
def _flusher() -> engine.Machine | None:
    """What runs a program with denormal numbers taken as 0; None where that isn't possible."""
    mode = mode_text(platform.machine().lower())
    return (
        None
        if mode is None
        else engine.link(machine_code(run_text(mode), quick=True), ("run_flushing",))
    )


def _may_write(target: np.ndarray, arrays: Sequence[np.ndarray]) -> bool:
    """Whether native code may write a result right there while it reads the arguments."""
    flags = target.flags
    plain = flags.c_contiguous and flags.aligned
    return plain and not any(np.may_share_memory(target, a) for a in arrays)


def _memory(shape: tuple[int, ...], dtype: np.dtype[Any], purpose: str) -> np.ndarray[Any, Any]:
    try:
        return np.empty(shape, dtype)
    except (MemoryError, ValueError):  # NumPy's for sizes that no machine can have
        raise _too_much(math.prod(shape) * dtype.itemsize, purpose) from None


def _too_much(size: int, purpose: str) -> AllocationError:
    return AllocationError(
        "jit: there isn't enough memory to run this program",
        {"needed": f"{size:,} bytes ({size / 2**30:.3g} GiB) for {purpose}"},
        "compute it in pieces: cr.scan over blocks, or cr.checkpoint around parts of a gradient",
    )


def made_as(kind: ArrayType) -> type:
    """What a result is, to Python: one of its own numbers, NumPy's scalar, or an array."""
    if kind.weak:
        return _PYTHON[kind.dtype.kind]
    return np.ndarray if kind.shape else kind.dtype.type


def _as_numpy(array: np.ndarray, kind: Any) -> Any:
    if kind.weak:
        return python_number(array)
    return array if kind.shape else array[()]


def _perform(equation: Equation, pointers: int) -> None:
    table = ctypes.cast(pointers, ctypes.POINTER(ctypes.c_void_p))
    variables = [o for o in equation.inputs if not isinstance(o, Constant)]
    known: dict[int, Any] = {}
    for k, var in enumerate(variables):
        array = _array_at(table[k], var.type)
        known[id(var)] = python_number(array) if var.type.weak else array[()]
    operands = [o.value if isinstance(o, Constant) else known[id(o)] for o in equation.inputs]
    result = equation.primitive.value(*operands, **equation.params)
    results = result if equation.primitive.multiple else (result,)
    for k, (var, value) in enumerate(zip(equation.outputs, results, strict=True)):
        _array_at(table[len(variables) + k], var.type)[...] = value


def _array_at(address: int | None, kind: Any) -> np.ndarray:
    """The memory at an address as an array."""
    size = kind.size * kind.dtype.itemsize
    if not size or address is None:
        return np.empty(kind.shape, kind.dtype)
    memory = (ctypes.c_char * size).from_address(address)
    return np.frombuffer(memory, kind.dtype).reshape(kind.shape)


def compile_program(program: Program, donated: Sequence[int] = ()) -> NativeExecutable:
    """Machine code for a program, some of whose inputs the caller gives up."""
    return NativeExecutable(program, donated)
