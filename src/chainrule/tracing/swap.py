"""While a trace runs, names in NumPy, `math` and SciPy stand for functions that know tracers.

A name is replaced for every thread at once, so what stands there asks which thread calls: one that
traces gets the replacement, all others get the original. Entering is counted, so that traces may
overlap on several threads; the last one out restores everything.
"""

from __future__ import annotations

import functools
import math
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader
from types import FunctionType, ModuleType, TracebackType
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError
from chainrule.base.standin import StandIn
from chainrule.tracing.buffer import Buffer
from chainrule.tracing.creation import ORIGINAL, REPLACEMENTS, listing, on_traced
from chainrule.tracing.mathematics import OF_NUMBERS, OF_SEQUENCES, real_only
from chainrule.tracing.table import INSIDE_SCIPY, TABLE, TAKES_LISTS, TAKES_PARTS
from chainrule.tracing.tracer import Tracer

_local = threading.local()
_lock = threading.Lock()
_traces_running = 0


class _Guard(StandIn):
    """Stands for a function: the replacement on threads that trace, the original on all others."""

    def __init__(self, original: Any, replacement: Callable[..., Any]) -> None:
        super().__init__(original)
        self.replacement = replacement

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if getattr(_local, "depth", 0):
            return self.replacement(*args, **kwargs)
        return self.original(*args, **kwargs)

    def __reduce__(self) -> Any:
        # A name bound during a trace (`from numpy import zeros`) is kept and pickled as NumPy's.
        return _named, (self.original.__module__, self.original.__name__)


def _named(module: str, name: str) -> Any:
    return getattr(sys.modules[module], name)


class _MathGuard(_Guard):
    """A function of `math`, which takes traced values wherever it is called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for a in args:
            if type(a) is Tracer or type(a) is Buffer:
                real_only(self.original.__name__, args)
                return self.replacement(*args, **kwargs)
        return self.original(*args, **kwargs)


class _SequenceGuard(_Guard):
    """One that takes sequences, or whatever can be iterated."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not getattr(_local, "depth", 0):
            return self.original(*args, **kwargs)
        lists = [list(a) for a in args]  # an iterator can be asked for its values only once
        for values in lists:
            if any(type(a) is Tracer or type(a) is Buffer for a in values):
                real_only(self.original.__name__, values)
                return self.replacement(*lists, **kwargs)
        return self.original(*lists, **kwargs)


# ---- what is replaced ----------------------------------------------------------------------------


class _Swap:
    """The replaced names of one namespace: what stands there, and what replaces it."""

    def __init__(self, namespace: dict[str, Any], new: dict[str, Any]) -> None:
        self.namespace = namespace
        self.new = new
        self.old = {name: namespace[name] for name in new}

    def enter(self) -> None:
        self.namespace.update(self.new)

    def leave(self) -> None:
        self.namespace.update(self.old)


def swaps() -> tuple[_Swap, ...]:
    """What is replaced; scipy.special only once somebody has imported it."""
    if "scipy.special" not in sys.modules:
        return _numpy_swaps()
    return (*_numpy_swaps(), *_special_swaps())


@functools.lru_cache(maxsize=1)
def _special_swaps() -> tuple[_Swap, ...]:
    namespaces = {name: vars(sys.modules[name]) for name in INSIDE_SCIPY if name in sys.modules}
    return tuple(
        _Swap(namespace, _special_replacements(namespace, INSIDE_SCIPY[name]))
        for name, namespace in namespaces.items()
    )


@functools.lru_cache(maxsize=1)
def _numpy_swaps() -> tuple[_Swap, ...]:
    numpy_names = _numpy_replacements() | _list_replacements("np", np.__dict__)
    numpy_names |= TABLE["index_tricks"]()
    return (
        _Swap(np.__dict__, numpy_names),
        _Swap(np.linalg.__dict__, _list_replacements("np.linalg", np.linalg.__dict__)),
        _Swap(math.__dict__, _math_replacements()),
    )


def _numpy_replacements() -> dict[str, Any]:
    return {name: _Guard(ORIGINAL[name], new) for name, new in REPLACEMENTS.items()}


def _list_replacements(prefix: str, namespace: dict[str, Any]) -> dict[str, Any]:
    new = {}
    for full_name in (*TAKES_LISTS, *TAKES_PARTS):
        folder, _, name = full_name.rpartition(".")
        if folder == prefix and name in namespace:
            original = namespace[name]
            new[name] = _Guard(original, listing(original, full_name in TAKES_PARTS))
    return new


def _special_replacements(
    namespace: dict[str, Any], handlers: dict[str, Callable[..., Any]]
) -> dict[str, Any]:
    """SciPy's functions written in Python, which nothing dispatches."""
    new = {}
    for name, handler in handlers.items():
        original = namespace.get(name)
        if isinstance(original, FunctionType):
            TABLE[original] = handler
            new[name] = _Guard(original, on_traced(original))
    return new


# ---- math ----------------------------------------------------------------------------------------


def _math_replacements() -> dict[str, Any]:
    new: dict[str, Any] = {}
    for name, replacement in OF_NUMBERS.items():
        new[name] = _MathGuard(getattr(math, name), replacement)
    for name, replacement in OF_SEQUENCES.items():
        new[name] = _SequenceGuard(getattr(math, name), replacement)
    return new


# ---- entering and leaving ------------------------------------------------------------------------


def is_tracing() -> bool:
    """Whether this thread is inside a traced function."""
    return bool(getattr(_local, "depth", 0))


class swapped:
    """For its duration, creation functions on this thread recognise traced values."""

    def __enter__(self) -> None:
        depth = getattr(_local, "depth", 0)
        if depth == 0:
            _enter()
        _local.depth = depth + 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _local.depth -= 1
        if _local.depth == 0:
            _leave()
        if isinstance(error, ValueError) and isinstance(error.__cause__, ChainruleError):
            # NumPy hides what a traced value says about itself behind "setting an array element".
            raise error.__cause__ from None


def _enter() -> None:
    global _traces_running
    found = swaps()
    with _lock:
        _traces_running += 1
        if _traces_running == 1:
            for swap in found:
                swap.enter()


def _leave() -> None:
    global _traces_running
    with _lock:
        _traces_running -= 1
        if _traces_running == 0:
            for swap in swaps():
                swap.leave()


class _Imports:
    """Modules that a traced function is the first to import find NumPy as it is.

    They bind the names they see and run code of their own, and both outlast the trace: np.ma makes
    its constants when it's first named.
    """

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not getattr(_local, "depth", 0):
            return None
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    # These loaders are made for one module each.
                    if isinstance(spec.loader, (SourceFileLoader, ExtensionFileLoader)):
                        run = spec.loader.exec_module
                        setattr(spec.loader, "exec_module", functools.partial(_untraced, run))
                    return spec
        return None


def _untraced(run: Callable[[ModuleType], None], module: ModuleType) -> None:
    """Run a module's code as if this thread weren't tracing."""
    depth, _local.depth = getattr(_local, "depth", 0), 0
    if depth:
        _leave()
    try:
        run(module)
    finally:
        if depth:
            _enter()
        _local.depth = depth


sys.meta_path.insert(0, _Imports())
