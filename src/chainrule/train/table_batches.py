"""Tables larger than memory, as batches that `fit` can go through again and again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.nn.arguments import whole_number
from chainrule.train.table import Encoder
from chainrule.train.table_file import table_chunks


class TableBatches:
    """Batches (x, y) of a CSV or Parquet file, read anew for every epoch.

    Args:
        path: the file; see `read_table`.
        target: the column to predict.
        batch_size: rows of a batch; only the last one is shorter.
        encoder: how columns become numbers; fitted on the first chunk of the file if not given.
        task: for that fitting, as for `Encoder.fitted`.
        chunk: how many rows are read at a time.
        encoding: of a text file; see `read_table`.

    Raises:
        ArgumentError, StorageError: as `read_table` and `Encoder.fitted`.

    The rows come in the order of the file: shuffle a sorted one before.

    Example:
        >>> import os, tempfile
        >>> import chainrule as cr
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "squares.csv")
        ...     with open(path, "w") as file:
        ...         rows = [f"{i / 50},{i**2 / 2500}" for i in range(50)]
        ...         print("x,y", *rows, sep="\\n", file=file)
        ...     batches = cr.train.TableBatches(path, "y", batch_size=20)
        ...     [len(y) for _, y in batches]
        [20, 20, 10]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        target: str,
        batch_size: int = 32,
        encoder: Encoder | None = None,
        task: str = "auto",
        chunk: int = 65_536,
        encoding: str | None = None,
    ) -> None:
        self.path = os.fspath(path)
        self.batch_size = whole_number("batch_size", batch_size)
        self.chunk = whole_number("chunk", chunk)
        self.encoding = encoding
        first = next(table_chunks(self.path, self.chunk, encoding=encoding), None)
        if first is None:
            raise ArgumentError("the file has no rows", {"file": self.path})
        self.encoder = Encoder.fitted(first, target, task) if encoder is None else encoder

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        left: tuple[np.ndarray, np.ndarray] | None = None
        texts = self.encoder.texts
        for columns in table_chunks(self.path, self.chunk, texts=texts, encoding=self.encoding):
            x, y = self.encoder.inputs(columns), self.encoder.labels(columns)
            if left is not None:
                x, y = np.concatenate([left[0], x]), np.concatenate([left[1], y])
            whole = len(x) // self.batch_size * self.batch_size
            for start in range(0, whole, self.batch_size):
                yield x[start : start + self.batch_size], y[start : start + self.batch_size]
            left = x[whole:], y[whole:]
        if left is not None and len(left[0]):
            yield left
