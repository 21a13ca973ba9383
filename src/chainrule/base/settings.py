"""Settings of the current thread: which engine runs, whether NaNs are looked for, how many threads.

Set by `with cr.settings(…):`, and for a whole process by environment variables.
"""

from __future__ import annotations

import functools
import os
import threading
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError

ENGINES = ("llvm", "numpy")
MOST_THREADS = 256


@dataclass(frozen=True)
class Settings:
    """What is in force; None where nobody has said anything."""

    engine: str = "llvm"
    check_nan: bool = False
    threads: int | None = None
    flush_denormals: bool | None = None


_CURRENT: ContextVar[Settings | None] = ContextVar("chainrule settings", default=None)

# How many `with` blocks are open in the whole process. Compiled functions look at it, without
# Python, and ask for their thread's settings where it isn't zero.
OPEN = np.zeros(1, np.int64)
_OPEN_LOCK = threading.Lock()


def current() -> Settings:
    """The settings of the running thread (of the running task, under asyncio)."""
    return _CURRENT.get() or defaults()


@functools.cache
def defaults() -> Settings:
    """What holds outside of every `with` block, by the environment this process started in.

    Raises:
        ArgumentError: CHAINRULE_ENGINE or CHAINRULE_THREADS makes no sense.
    """
    engine = os.environ.get("CHAINRULE_ENGINE") or "llvm"
    _check_engine(engine, "CHAINRULE_ENGINE")
    text = os.environ.get("CHAINRULE_THREADS") or None
    threads = None
    if text is not None:
        threads = int(text) if text.strip().isdecimal() else 0
        _check_threads(threads, "CHAINRULE_THREADS", text)
    return Settings(engine, threads=threads)


def thread_count() -> int:
    """How many threads one compiled program may use, the calling one included."""
    return current().threads or _processors()


def _processors() -> int:
    """Those this process may run on, which can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), MOST_THREADS)
    return min(os.cpu_count() or 1, MOST_THREADS)


class settings(ContextDecorator):
    """Set how programs run, for what is done inside a `with` block by the current thread.

    Blocks nest; what isn't given stays as it is. Works as a decorator, too. For a whole process,
    set CHAINRULE_ENGINE and CHAINRULE_THREADS before it starts.

    Args:
        engine: "llvm" compiles what `cr.jit` wraps; "numpy" runs it operation by operation, which
            is the reference, and the debugger.
        check_nan: look at each operation's result, and raise where a NaN first appears.
        threads: how many threads one compiled program may use, from 1 to 256. Results have the
            same bits for every number.
        flush_denormals: whether compiled programs take numbers too small for all their digits
            (below 1.2e-38 in float32, 2.2e-308 in float64) as 0, operands and results alike; most
            processors are a hundred times slower with such numbers. Functions don't, by default;
            `fit` does. The NumPy engine can't.

    Raises:
        ArgumentError: a value that makes no sense.

    Example:
        >>> import chainrule as cr
        >>> with cr.settings(engine="numpy", threads=1):
        ...     print(cr.grad(lambda x: x * x)(3.0))
        6.0
    """

    def __init__(
        self,
        *,
        engine: str | None = None,
        check_nan: bool | None = None,
        threads: int | None = None,
        flush_denormals: bool | None = None,
    ) -> None:
        self._changes: dict[str, Any] = {}
        if engine is not None:
            _check_engine(engine, "engine")
            self._changes["engine"] = engine
        if check_nan is not None:
            self._changes["check_nan"] = _truth("check_nan", check_nan)
        if threads is not None:
            _check_threads(threads, "threads", threads)
            self._changes["threads"] = int(threads)
        if flush_denormals is not None:
            self._changes["flush_denormals"] = _truth("flush_denormals", flush_denormals)
        self._tokens: list[Token[Settings | None]] = []

    def __enter__(self) -> None:
        self._tokens.append(_CURRENT.set(replace(current(), **self._changes)))
        _count(1)

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._tokens.pop())
        _count(-1)

    def _recreate_cm(self) -> settings:
        """A fresh one for each call of a decorated function, as calls may run at once."""
        return settings(**self._changes)


def _count(change: int) -> None:
    with _OPEN_LOCK:
        OPEN[0] += change


def _forked() -> None:
    """In a child of fork, the only thread left is the one that called it."""
    global _OPEN_LOCK
    _OPEN_LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _truth(name: str, given: object) -> bool:
    if not isinstance(given, (bool, np.bool_)):
        raise ArgumentError(f"settings: {name} is True or False", {name: repr(given)})
    return bool(given)


def _check_engine(engine: object, name: str) -> None:
    if engine not in ENGINES:
        raise ArgumentError(
            "settings: no such engine",
            {name: repr(engine)},
            'choose "llvm" (compiled) or "numpy" (operation by operation)',
        )


def _check_threads(threads: object, name: str, given: object) -> None:
    whole = isinstance(threads, (int, np.integer)) and not isinstance(threads, bool)
    if not whole or not 1 <= int(threads) <= MOST_THREADS:  # type: ignore[call-overload]
        raise ArgumentError(
            f"settings: the number of threads is an integer from 1 to {MOST_THREADS}",
            {name: repr(given)},
            "leave it out to use every processor this process may run on",
        )
