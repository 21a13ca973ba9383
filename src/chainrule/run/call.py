"""What calling a compiled program takes, for whoever does the calling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import CellType
from typing import Any

import numpy as np

# In place of an object in `Call.names`: nothing must stand there.
ABSENT: Any = object()


@dataclass(frozen=True)
class Input:
    """What one positional argument must be, exactly, for a program to take it.

    Attributes:
        kind: its type: float, int, complex, bool, a NumPy scalar type, or np.ndarray.
        dtype: of its numbers, native byte order.
        shape: of an array, which must be C-contiguous and aligned; () for everything else.
    """

    kind: type
    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Output:
    """What one result is made as: float, int, complex, a NumPy scalar type, or np.ndarray.

    Attributes:
        reuse: the number of an argument like it, whose array the program may write it into and
            which is then returned, if it's writeable and shares memory with no other.
    """

    kind: type
    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()
    reuse: int | None = None


@dataclass
class Call:
    """A compiled program with all that calling it takes.

    Attributes:
        name: what the function is called where Python shows it.
        run: address of `i32 @run(ptr arguments, ptr context)`.
        inputs, captured, outputs: the arguments of `run`, in this order.
        fallback: called with the very same arguments whenever something isn't as described here.
        failed: called as `failed(state, *args, **keywords)` when `run` returned a nonzero state.
        many: results are a flat tuple rather than a single one.
        nest: how results nest, if they are tuples of tuples: −1 takes the next of them, n makes a
            tuple of the last n; what is left is returned. `out=` goes to the fallback then.
        context: words of the context from slot 1 on: addresses that the program calls.
        scratch: bytes of memory in slot 0, aligned to 64.
        names: rows (dict, key, object): the dict must still have this very object under the key,
            or nothing where the object is ABSENT.
        cells: rows (cell, object): the same of a closure's cells.
        words: rows (address, word): this must still lie there, in an object that `keep` holds.
        release: let other Python threads run meanwhile; costs 0.1 µs, so for long programs.
        never: leave every call to the fallback.
        settled: whoever calls has looked at the settings already.
        keep: what must live as long as the function, such as the Machine.
    """

    name: str
    run: int
    inputs: Sequence[Input]
    outputs: Sequence[Output]
    fallback: Callable[..., Any]
    failed: Callable[..., Any]
    many: bool = False
    nest: Sequence[int] = ()
    captured: Sequence[np.ndarray[Any, Any]] = ()
    context: Sequence[int] = ()
    scratch: int = 0
    names: Sequence[tuple[dict[str, Any], str, Any]] = ()
    cells: Sequence[tuple[CellType, Any]] = ()
    words: Sequence[tuple[int, int]] = ()
    release: bool = False
    never: bool = False
    settled: bool = False
    keep: Sequence[Any] = field(default_factory=tuple)


def may_reuse(number: int, arrays: Sequence[np.ndarray[Any, Any]]) -> bool:
    """Whether one of a call's arrays may be written: it shares memory with no other."""
    given = arrays[number]
    others = (other for k, other in enumerate(arrays) if k != number)
    return given.flags.writeable and not any(np.may_share_memory(given, a) for a in others)
