"""Threads for compiled programs: a pool for each number of them that somebody asks for."""

from __future__ import annotations

import atexit
import ctypes
import os
import platform
import sys
import threading

from chainrule.base.settings import thread_count
from chainrule.emit.denormal import mode_text
from chainrule.emit.pool import pool_text, serial_text, system
from chainrule.run.cache import machine_code
from chainrule.run.engine import link

_POOLS: dict[int, Pool] = {}
_LOCK = threading.Lock()
_EXPORTS = ("parallel", "configure", "stop", "workers")


class Pool:
    """So many threads, the caller's included. The others start with the first work for them.

    Attributes:
        flushing: the same, for chunks that take denormal numbers as 0.
        address: of `void parallel(ptr function, ptr data, i64 chunks)`, where
            `void function(ptr data, i64 chunk)` is called for every chunk below chunks. Anybody
            may call it, from any thread, and chunks may call it again.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        # Windows has no POSIX threads.
        self._alone = threads == 1 or sys.platform == "win32"
        if self._alone:
            self._machine = link(machine_code(serial_text(), quick=True), ("serial",))
            self.address = self.flushing = self._machine.address("serial")
        else:
            # A copy for each pool, as the text has its state inside it.
            machine = platform.machine().lower()
            mode = mode_text(machine)
            names = _EXPORTS if mode is None else (*_EXPORTS, "parallel_flushing")
            text = pool_text(system(machine, sys.platform), mode)
            self._machine = link(machine_code(text), names)
            self.address = self.flushing = self._machine.address("parallel")
            if mode is not None:
                self.flushing = self._machine.address("parallel_flushing")
            self.begin()

    def begin(self) -> None:
        """Have no workers until they are needed; in a child of fork, where none came along, too."""
        if not self._alone:
            prototype = ctypes.CFUNCTYPE(None, ctypes.c_int64)
            prototype(self._machine.address("configure"))(self.threads - 1)

    def workers(self) -> int:
        """How many threads have been created so far."""
        if self._alone:
            return 0
        return int(ctypes.CFUNCTYPE(ctypes.c_int64)(self._machine.address("workers"))())

    def stop(self) -> None:
        """Send the workers home."""
        if not self._alone:
            ctypes.CFUNCTYPE(None)(self._machine.address("stop"))()


def pool(threads: int | None = None) -> Pool:
    """The pool of so many threads; by default as many as the settings of this thread say."""
    number = thread_count() if threads is None else threads
    with _LOCK:
        if number not in _POOLS:
            _POOLS[number] = Pool(number)
        return _POOLS[number]


def _forked() -> None:
    """In a child of fork: no worker is there, and locks may be held by who isn't either."""
    global _LOCK
    _LOCK = threading.Lock()
    for each in _POOLS.values():
        each.begin()


@atexit.register
def _stop_all() -> None:
    for each in _POOLS.values():
        each.stop()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
