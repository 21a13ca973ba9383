"""What all traces on a thread know while a function is recorded to be compiled.

Arrays from outside stay the user's own, to be read anew at every call; and what a derivative adds,
taken backwards, belongs to the line of the operation that it is the derivative of.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType
from typing import Any

import numpy as np


class _Recording(threading.local):
    """Of this thread: which arrays stay as they are, and where what is recorded now belongs.

    `again`: to where it was recorded before; else a backward sweep has got there. `tangents`: what
    is recorded belongs to a derivative that is computed along with the values. `finite`: no slope
    is infinite, so that what was left out needs no care, except right behind a choice, entry by
    entry, where the choice's own condition says what it left out. `origins`: equations are to know
    the calls, layers and loops around them. `meets` is shown the operands of every operation.
    """

    live: Callable[[np.ndarray], bool] | None = None
    meets: Callable[[str, Sequence[Any]], None] | None = None
    origin: tuple[CodeType | None, int | None] | None = None
    again = False
    tangents = False
    finite = False
    origins = False


RECORDING = _Recording()


def is_live(array: np.ndarray) -> bool:
    """Whether an array is one from outside a function that is being compiled."""
    live = RECORDING.live
    return live is not None and live(array)


def apart(array: np.ndarray) -> np.ndarray:
    """A copy that nobody else writes to; of what is read anew at every call, the array itself."""
    return array if is_live(array) else array.copy(order="K")


@contextmanager
def recording(
    live: Callable[[np.ndarray], bool],
    finite: bool = False,
    meets: Callable[[str, Sequence[Any]], None] | None = None,
) -> Iterator[None]:
    """While a function is recorded on this thread: `live` says which arrays aren't copied.

    With `finite`, slopes are taken to be finite, except right behind a choice. `meets` is shown
    the name and the operands of every operation on traced values, wherever it's recorded.
    """
    before = RECORDING.live, RECORDING.origin, RECORDING.finite, RECORDING.meets
    RECORDING.live, RECORDING.origin, RECORDING.finite, RECORDING.meets = live, None, finite, meets
    try:
        yield
    finally:
        RECORDING.live, RECORDING.origin, RECORDING.finite, RECORDING.meets = before


@contextmanager
def going_back() -> Iterator[None]:
    """Around a backward sweep, which sets `origin` as it goes."""
    before = RECORDING.origin
    try:
        yield
    finally:
        RECORDING.origin = before


@contextmanager
def going_again() -> Iterator[None]:
    """Around equations that were recorded before: `origin` is set to the place of each."""
    before = RECORDING.origin, RECORDING.again
    RECORDING.again = True
    try:
        yield
    finally:
        RECORDING.origin, RECORDING.again = before


@contextmanager
def with_origins(wanted: bool) -> Iterator[None]:
    """While a function is recorded whose equations are to know their origins, in loops too."""
    before = RECORDING.origins
    RECORDING.origins = wanted
    try:
        yield
    finally:
        RECORDING.origins = before
