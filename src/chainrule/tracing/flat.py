"""`x.flat`: an array seen as one row in C order, to read from and to write into."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.tracing.table import TABLE

_arange = np.arange  # while a trace runs, NumPy's own name makes a buffer


class Flat:
    """What NumPy's flatiter is to an array: reading copies, writing changes the array."""

    def __init__(self, array: Any) -> None:
        self.base = array
        self.index = 0  # how far next() has come: np.ndenumerate asks for it

    def __next__(self) -> Any:
        if self.index >= len(self):
            raise StopIteration
        self.index += 1
        return self[self.index - 1]

    @property
    def coords(self) -> tuple[int, ...]:
        """The place of the next entry, one position per axis; asked for at the end as well."""
        if self.index >= len(self):
            return (0,) * len(self.base.shape)
        return tuple(int(k) for k in np.unravel_index(self.index, self.base.shape))

    def __len__(self) -> int:
        return math.prod(self.base.shape)

    def __iter__(self) -> Iterator[Any]:
        return iter(np.reshape(self.base, (-1,)))

    def __getitem__(self, index: Any) -> Any:
        part = np.reshape(self.base, (-1,))[index]
        return TABLE["copy"](part) if np.ndim(part) else part

    def __setitem__(self, index: Any, value: Any) -> None:
        places = _arange(len(self))[index]
        row = np.reshape(TABLE["operand"](value), (-1,))
        # Values are used over and over, as often as there are places.
        chosen = row[0] if np.ndim(places) == 0 else row[_arange(places.size) % row.size]
        self.base[np.unravel_index(places, self.base.shape)] = chosen

    def copy(self) -> Any:
        return TABLE["copy"](np.reshape(self.base, (-1,)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self.copy(), dtype=dtype)
