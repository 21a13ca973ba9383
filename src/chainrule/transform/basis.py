"""The standard basis of some arrays, and where the blocks of a Jacobian go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.ir.types import ArrayType


class Basis:
    """The standard basis of several arrays at once, as boolean patterns in blocks."""

    def __init__(self, kinds: Sequence[ArrayType], block: int) -> None:
        self.kinds = kinds
        self.block = block
        self.starts = [0]
        for kind in kinds:
            self.starts.append(self.starts[-1] + kind.size)
        self.size = self.starts[-1]

    def blocks(self) -> Iterator[list[np.ndarray]]:
        """Per block and array a pattern of shape (seeds, *shape) with one true entry per seed."""
        for first in range(0, self.size, self.block):
            seeds = np.arange(first, min(first + self.block, self.size))
            patterns = []
            for kind, start in zip(self.kinds, self.starts[:-1], strict=True):
                flat = np.zeros((len(seeds), kind.size), bool)
                mine = np.flatnonzero((seeds >= start) & (seeds < start + kind.size))
                flat[mine, seeds[mine] - start] = True
                patterns.append(flat.reshape(len(seeds), *kind.shape))
            yield patterns


def in_layout(block: Any, out_rank: int, layout: str) -> Any:
    """A block of shape out.shape + in.shape as it is, or with the input's axes in front."""
    rank = np.ndim(block)
    if layout == "numerator" or out_rank in (0, rank):
        return block
    return np.transpose(block, (*range(out_rank, rank), *range(out_rank)))


def columns_of(
    tangents: Any, basis: Basis, k: int, out: tuple[int, ...], shape: tuple[int, ...]
) -> Any:
    """Tangents along the entries of input k, with the seeds' axis last and unfolded."""
    mine = tangents[basis.starts[k] : basis.starts[k + 1]]
    return np.reshape(np.transpose(mine, (*range(1, len(out) + 1), 0)), (*out, *shape))[()]


def rows_of(
    cotangents: Any, basis: Basis, k: int, out: tuple[int, ...], shape: tuple[int, ...]
) -> Any:
    """Cotangents for the entries of output k, with the seeds' axis unfolded."""
    mine = cotangents[basis.starts[k] : basis.starts[k + 1]]
    return np.reshape(mine, (*out, *shape))[()]
