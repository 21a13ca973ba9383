"""Memory that a training writes its results into, call after call."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

_SMALL_BYTES = 1 << 16  # the allocator has such memory at hand anyway


class Memory:
    """Arrays whose memory comes back once nobody has them any more.

    Fresh memory is slow the first time it is written: the system clears it page by page. A call
    of some steps takes turns between two sets of arrays instead; what the model, or a user, has
    been handed is never written again while they hold it.

    Example:
        >>> memory = Memory()
        >>> first = memory.like(np.ones((100, 200)))
        >>> address = first.ctypes.data
        >>> memory.like(first).ctypes.data == address
        False
        >>> del first
        >>> memory.like(np.ones((100, 200))).ctypes.data == address
        True
    """

    def __init__(self) -> None:
        self.spare: dict[tuple[Any, Any], list[np.ndarray]] = {}

    def like(self, like: Any) -> np.ndarray:
        """An array to write, of the shape and dtype of another one."""
        like = np.asarray(like)
        if like.nbytes < _SMALL_BYTES:
            return np.empty(like.shape, like.dtype)
        spare = self.spare.setdefault((like.shape, like.dtype), [])
        block = spare.pop() if spare else np.empty(like.shape, like.dtype)
        return np.asarray(_Block(block, self))


class _Block:
    """Lies under an array and everything that views it, and gives its memory back after them."""

    def __init__(self, block: np.ndarray, home: Memory) -> None:
        self.block = block
        self.home = weakref.ref(home)  # a model outlives its training, and needs no spare memory
        self.__array_interface__ = block.__array_interface__

    def __del__(self) -> None:
        home = self.home()
        if home is not None:
            home.spare[self.block.shape, self.block.dtype].append(self.block)
