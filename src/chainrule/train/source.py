"""The batches of an epoch, in chunks that a native call can work through."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.trees import flatten, map_tree
from chainrule.train.data import Rows, as_rows
from chainrule.train.epoch import Data, Plan

_CHUNK_BYTES = 1 << 25  # how much of a stream is in memory at once; twice, since one is prefetched
_CHUNK_BATCHES = 256


class Chunk(NamedTuple):
    """Rows in memory, and the steps that go through them.

    Fields: data; order, the row of each place; filled, how many places hold a row; first, the
    number of its first step in the epoch; steps, how many it has.
    """

    data: Data
    order: np.ndarray
    filled: int
    first: int
    steps: int


class ArraySource:
    """Rows of arrays, also of memory-mapped ones: an epoch is one chunk, in an order of its own.

    Args:
        rows: the arrays.
        size: the rows of a batch; None for one batch of all rows.
        shuffle: whether each epoch has another order.
    """

    def __init__(self, rows: Rows, size: int | None, shuffle: bool) -> None:
        self.rows = rows
        self.size = size
        count = rows.length
        self.plan = (
            Plan(count, padded=False, whole=True)
            if size is None
            else Plan(min(size, count), padded=count % min(size, count) != 0)
        )
        self.shuffle = shuffle
        self.steps: int | None = -(-count // self.plan.size)

    def sample(self) -> Rows:
        """Rows to see types by."""
        return self.rows

    def chunks(self, seed: int, epoch: int, start: int = 0) -> Iterator[Chunk]:
        """The chunks of an epoch from a step on; the order depends on seed and epoch alone."""
        count = self.rows.length
        if self.shuffle and not self.plan.whole:
            chance = np.random.SeedSequence([seed, epoch])
            order = np.random.Generator(np.random.Philox(chance)).permutation(count)
        else:
            order = np.arange(count)
        yield Chunk(Data(*self.rows), order, count, 0, self.steps or 0)


class StreamSource:
    """Batches from an iterable, a chunk of them at a time, the next one fetched meanwhile.

    Args:
        batches: gives (x, y) or (x, y, sample_weight). One that can be gone through again and again
            is an epoch each time; an iterator goes on where it was, and needs `steps`.
        outputs: how many outputs the model has.
        steps: the batches of an epoch; None for all there are.
    """

    def __init__(self, batches: Iterable[Any], outputs: int, steps: int | None) -> None:
        self.batches = batches
        self.outputs = outputs
        self.steps = steps
        self.check: Callable[[Rows], None] = lambda rows: None
        self.once = iter(batches) is batches
        if self.once and steps is None:
            raise ArgumentError(
                "an iterator can be gone through once, so an epoch needs a length",
                {"given": type(batches).__name__},
                "pass steps_per_epoch=, or something that can be iterated anew for every epoch",
            )
        self.ahead = iter(batches)
        first = next(self.ahead, None)
        if first is None:
            raise ArgumentError(
                "there are no batches", {"given": type(batches).__name__}, "is it used up already?"
            )
        self.first = self._rows(first)
        if self.once:
            self.ahead = itertools.chain([first], self.ahead)
        size = self.first.length
        each = sum(leaf.nbytes for leaf in flatten(tuple(self.first))[0])
        self.length = max(1, min(_CHUNK_BATCHES, _CHUNK_BYTES // max(each, 1)))
        self.plan = Plan(size, padded=True)

    def sample(self) -> Rows:
        """Rows to see types by."""
        return self.first

    def all_rows(self) -> Iterator[Rows]:
        """The rows of all batches, one batch at a time."""
        for batch in self.ahead if self.once else self.batches:
            rows = self._rows(batch)
            self.check(rows)
            yield rows

    def _rows(self, batch: Any) -> Rows:
        if not isinstance(batch, (tuple, list)) or len(batch) not in (2, 3):
            raise ArgumentError(
                "a batch is (x, y) or (x, y, sample_weight)",
                {"given": type(batch).__name__},
                "yield the inputs and the labels together",
            )
        weights = batch[2] if len(batch) == 3 else None
        return as_rows(batch[0], batch[1], weights, None, self.outputs)

    def chunks(self, seed: int, epoch: int, start: int = 0) -> Iterator[Chunk]:
        """The chunks of an epoch from a step on, in the order of the stream."""
        stream = self.ahead if self.once else iter(self.batches)
        left = itertools.islice(stream, self.steps)
        if not self.once:
            left = itertools.islice(left, start, None)
        made = self._chunks(left, start)
        with ThreadPoolExecutor(1, thread_name_prefix="chainrule-prefetch") as pool:
            coming = pool.submit(next, made, None)
            found = 0
            while (chunk := coming.result()) is not None:
                coming = pool.submit(next, made, None)
                found += chunk.steps
                yield chunk
        if self.once and self.steps is not None and start + found < self.steps:
            raise ArgumentError(
                "the batches came to an end within an epoch",
                {"epoch": epoch, "batches": found, "wanted": self.steps},
                "pass a smaller steps_per_epoch=, or something that can be iterated anew",
            )

    def _chunks(self, batches: Iterator[Any], start: int) -> Iterator[Chunk]:
        first, kept = start, []
        for batch in batches:
            rows = self._rows(batch)
            if rows.length > self.plan.size:
                raise ShapeError(
                    "a batch is larger than the first one was",
                    {"rows": rows.length, "rows of the first": self.plan.size},
                    "give all batches one size; only the last may be smaller",
                )
            self.check(rows)
            kept.append(rows)
            # A short batch ends its chunk: only the end of a chunk can be padded.
            if len(kept) == self.length or rows.length < self.plan.size:
                yield self._chunk(kept, first)
                first, kept = first + len(kept), []
        if kept:
            yield self._chunk(kept, first)

    def _chunk(self, kept: list[Rows], first: int) -> Chunk:
        """Batches in arrays of always the same size, so that nothing is compiled anew."""
        places = self.length * self.plan.size
        count = sum(rows.length for rows in kept)

        def joined(*parts: np.ndarray) -> np.ndarray:
            whole = np.zeros((places, *parts[0].shape[1:]), parts[0].dtype)
            np.concatenate(parts, out=whole[:count])
            return whole

        data = map_tree(joined, *(tuple(rows) for rows in kept))
        return Chunk(Data(*data), np.arange(places), count, first, len(kept))
