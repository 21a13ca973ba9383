"""cr.jit: a function is traced once per kind of arguments, compiled, and then called."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.base.trees import unflatten
from chainrule.ir.program import Program
from chainrule.ir.types import type_of
from chainrule.run.capture import record
from chainrule.run.numpy_engine import NumpyExecutable
from chainrule.run.signature import Call, Inline, Static, leaf_names, rebuilt, take_apart
from chainrule.transform.arguments import check_callable


class Entry:
    """One compiled program."""

    def __init__(self, program: Program, executable: Any) -> None:
        self.program = program
        self.executable = executable
        self.captured = [value for _, value in program.captured]
        self.out_tree = program.out_tree

    def call(self, leaves: list[Any], out: Any) -> Any:
        results = self.executable(leaves, self.captured, None)
        return unflatten(self.out_tree, results)


class Compiled:
    """What `cr.jit` returns: call it like the function."""

    def __init__(self, f: Callable[..., Any], static: Static) -> None:
        self._f = f
        self._static = static
        self._entries: dict[Any, list[Entry]] = {}
        self._lock = threading.RLock()
        functools.update_wrapper(self, f)

    def __call__(self, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        try:
            call = take_apart(args, kwargs, self._static)
        except Inline:
            return self._f(*args, **kwargs)
        entry = self._entry(call, args, kwargs)
        return entry.call(call.leaves, out)

    def _entry(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Entry:
        for entry in self._entries.get(call.key, ()):
            return entry
        with self._lock:
            program = self._trace(call, args, kwargs)
            entry = Entry(program, NumpyExecutable(program))
            self._entries[call.key] = [entry]
            return entry

    def _trace(self, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
        def flat(leaves: Sequence[Any]) -> Any:
            positional, named = rebuilt(args, kwargs, self._static, leaves)
            return self._f(*positional, **named)

        names = leaf_names(args, kwargs, self._static, list(inspect.signature(self._f).parameters))
        name = getattr(self._f, "__name__", type(self._f).__name__)
        return record(flat, [type_of(leaf) for leaf in call.leaves], names, name)

    def program(self, *args: Any, **kwargs: Any) -> Program:
        call = take_apart(args, kwargs, self._static)
        return self._entry(call, args, kwargs).program


def jit(f: Callable[..., Any], static_argnums: Any = (), donate_argnums: Any = ()) -> Compiled:
    check_callable(f, "jit")
    return Compiled(f, Static())
