"""Embedding: a learnt vector for each whole number."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.errors import DtypeError, OutOfBoundsError
from chainrule.base.registry import get, register
from chainrule.nn.arguments import whole_number
from chainrule.nn.layer import Layer
from chainrule.tracing.tracer import Tracer


@register("layer")
class Embedding(Layer):
    """A row of a table for each whole number of the input: y = embeddings[ids].

    Args:
        input_dim: how many numbers there are; ids are 0 … input_dim - 1.
        output_dim: the length of a row.
        embeddings_initializer: first values.
        embeddings_regularizer: a penalty on the whole table.
        embeddings_constraint: applied after each update.
        mask_zero: whether 0 stands for no entry: the layers that follow leave such steps out.

    Shapes: (batch, …) → (batch, …, output_dim); embeddings (input_dim, output_dim).

    Raises:
        DtypeError: the input isn't of numbers.
        OutOfBoundsError: an id below 0, or input_dim or more; also when compiled.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> layer = cr.nn.Embedding(3, 2, embeddings_initializer="ones")
        >>> layer(np.array([[0, 2]])).shape
        (1, 2, 2)
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        *,
        autocast: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(autocast=autocast, **options)
        self.input_dim = whole_number("input_dim", input_dim)
        self.output_dim = whole_number("output_dim", output_dim)
        self.embeddings_initializer = get("initializer", embeddings_initializer)
        self.embeddings_regularizer = get("regularizer", embeddings_regularizer)
        self.embeddings_constraint = get("constraint", embeddings_constraint)
        self.mask_zero = bool(mask_zero)
        self.supports_masking = self.mask_zero

    def build(self, input_shape: Any) -> None:
        self.embeddings = self.add_weight(
            name="embeddings",
            shape=(self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def call(self, inputs: Any) -> Any:
        ids = inputs if hasattr(inputs, "dtype") else np.asarray(inputs)
        if ids.dtype.kind not in "iuf":
            raise DtypeError(
                f"the layer {self.name!r} looks up whole numbers",
                {"input": f"{ids.dtype}{list(ids.shape)}"},
                "number the words or categories first: np.unique(x, return_inverse=True)",
            )
        if ids.dtype.kind == "f":
            ids = ids.astype(np.int32)
        if not isinstance(ids, Tracer):
            self._check(ids)
        elif ids.dtype.kind == "i":
            # A negative id would count from the end; one that is too large is an error.
            ids = np.where(ids < 0, np.iinfo(ids.dtype).max, ids)
        return np.take(self.embeddings, ids, axis=0)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return np.not_equal(inputs, 0) if self.mask_zero else None

    def _check(self, ids: np.ndarray) -> None:
        wrong = (ids < 0) | (ids >= self.input_dim)
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise OutOfBoundsError(
                f"the layer {self.name!r} has no row for an id of its input",
                {"id": int(ids[place]), "at": list(place), "ids": f"0 … {self.input_dim - 1}"},
                "number the entries from 0 on, or make input_dim larger",
            )
