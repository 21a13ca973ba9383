"""The batches of an epoch, in chunks that a native call can work through."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ArgumentError, ChainruleError, DtypeError, ShapeError
from chainrule.base.place import user_place
from chainrule.base.trees import flatten, map_tree, paths, same_structure
from chainrule.train.blocked import BLOCK
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

    def place(self, chunk: Chunk, step: int, row: int) -> dict[str, int]:
        """Where a row of a step's batch stands in the user's arrays."""
        return {"row": int(chunk.order[step * self.plan.size + row])}


class StreamSource:
    """Batches from an iterable, a chunk of them at a time, the next one fetched meanwhile.

    A chunk ends when it is full, or as soon as the training waits for it: so that a slow iterable
    and the training work side by side from the first batch on.

    Args:
        batches: gives (x, y) or (x, y, sample_weight). One that can be gone through again and again
            is an epoch each time; an iterator goes on where it was, and needs `steps`.
        outputs: what the model's outputs are called.
        steps: the batches of an epoch; None for all there are.
    """

    def __init__(self, batches: Iterable[Any], outputs: Sequence[str], steps: int | None) -> None:
        self.batches = batches
        self.outputs = outputs
        self.steps = steps
        self.check: Callable[[Rows], None] = lambda rows: None
        self.ahead = iter(batches)
        self.once = self.ahead is batches
        if self.once and steps is None:
            raise ArgumentError(
                "an iterator can be gone through once, so an epoch needs a length",
                {"given": type(batches).__name__},
                "pass steps_per_epoch=, or something that can be iterated anew for every epoch",
            )
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
        # Chunks begin where blocks of single samples may, so that no result depends on time.
        self.multiple = min(BLOCK, self.length) if size == 1 else 1
        self.wanted = threading.Event()
        self.plan = Plan(size, padded=True)

    def sample(self) -> Rows:
        """Rows to see types by."""
        return self.first

    def place(self, chunk: Chunk, step: int, row: int) -> dict[str, int]:
        """Where a row of a step's batch stands in the user's batches, from the epoch's first."""
        return {"batch": step, "row": row}

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
        found = start
        with ThreadPoolExecutor(1, thread_name_prefix="chainrule-prefetch") as pool:
            self.wanted.set()
            coming = pool.submit(next, made, None)
            try:
                while (chunk := self._arrived(coming)) is not None:
                    coming = pool.submit(next, made, None)
                    found += chunk.steps
                    yield chunk
            finally:
                self.wanted.set()  # who leaves early waits for a batch, not for a chunk
        if found == 0 or (self.steps is not None and found < self.steps):
            raise ArgumentError(
                "the batches came to an end within an epoch"
                if self.steps
                else "an epoch has no batches",
                {"epoch": epoch, "batches": found, "wanted": self.steps or "at least one"},
                "pass a smaller steps_per_epoch=, or something that can be iterated anew",
            )

    def _arrived(self, coming: Future[Any]) -> Any:
        """The next chunk, asked for; an error of the other thread tells the place of `fit`."""
        self.wanted.set()
        try:
            return coming.result()
        except ChainruleError as error:
            error.where = user_place(1)
            raise
        finally:
            self.wanted.clear()

    def _chunks(self, batches: Iterator[Any], start: int) -> Iterator[Chunk]:
        first, kept = start, []
        for number, batch in enumerate(batches, start):
            rows = self._checked(batch, number)
            kept.append(rows)
            complete = (number + 1) % self.multiple == 0 and (
                self.wanted.is_set() or len(kept) + self.multiple > self.length
            )
            # A short batch ends its chunk: only the end of a chunk can be padded.
            if complete or rows.length < self.plan.size:
                yield self._chunk(kept, first)
                first, kept = first + len(kept), []
        if kept:
            yield self._chunk(kept, first)

    def _checked(self, batch: Any, number: int) -> Rows:
        """The rows of a batch, of the types of the first one.

        Raises:
            ShapeError, DtypeError, ArgumentError: it is another kind of batch.
        """
        try:
            rows = _like(self._rows(batch), self.first)
            if rows.length > self.plan.size:
                raise ShapeError(
                    "a batch is larger than the first one was",
                    {"rows": rows.length, "rows of the first": self.plan.size},
                    "give all batches one size; only the last may be smaller",
                )
            self.check(rows)
        except ChainruleError as error:
            error.facts = {"batch": str(number), **error.facts}
            raise
        return rows

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


def _like(rows: Rows, first: Rows) -> Rows:
    """A batch in the dtypes of the first one, as far as no value changes but by rounding.

    Raises:
        ArgumentError, ShapeError, DtypeError: it has other arrays, or doesn't fit into them.
    """
    (given, form), (leaves, wanted) = flatten(tuple(rows)), flatten(tuple(first))
    if form == wanted and all(map(_alike, given, leaves)):
        return rows  # as nearly all are
    if not same_structure(form, wanted):
        raise ArgumentError(
            "a batch has other arrays than the first one",
            {"here": _described(rows), "first": _described(first)},
            "give all batches one form, with weights or without",
        )
    names = (
        f"{name}{tail}"
        for name, tree in zip(("x", "y", "sample_weight"), first, strict=True)
        for tail in paths(tree)
    )

    def converted(array: np.ndarray, like: np.ndarray) -> np.ndarray:
        name = next(names)
        facts = {
            "array": name,
            "here": f"{array.dtype}{list(array.shape)}",
            "first": f"{like.dtype}{list(like.shape)}",
        }
        if array.shape[1:] != like.shape[1:]:
            raise ShapeError(
                "a batch has another shape than the first one", facts, "give all batches one form"
            )
        if array.dtype == like.dtype:
            return array
        with np.errstate(invalid="ignore"):
            found = array.astype(like.dtype)
        both_real = array.dtype.kind == like.dtype.kind == "f"
        if not both_real and not np.array_equal(found, array):
            raise DtypeError(
                "a batch has values that the first one's type can't hold",
                facts,
                "give all batches one dtype",
            )
        return found

    return Rows(*map_tree(converted, tuple(rows), tuple(first)))


def _alike(array: np.ndarray, like: np.ndarray) -> bool:
    return array.dtype == like.dtype and array.shape[1:] == like.shape[1:]


def _described(rows: Rows) -> str:
    """Which arrays a batch has."""
    weighted = any(w is not None for w in rows.weights)
    names = [f"x{tail}" for tail in paths(rows.x)] + ["y"] * any(y is not None for y in rows.y)
    return ", ".join([*names, *["sample_weight"] * weighted])
