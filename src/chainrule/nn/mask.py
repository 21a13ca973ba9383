"""Masks: which entries of a value count, known beside the value while a network is computed.

`Embedding(mask_zero=True)` and `Masking` make them; layers that support masking hand them on; those
that can leave entries out, such as recurrent ones, are given them, and so are losses and metrics.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np


class Masks:
    """The masks of the values of one call, by the values themselves."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Any, Any]] = {}  # the value too, so that its id stays its own

    def of(self, tree: Any) -> Any:
        """The mask of a value, None if all of it counts; of a list or dict, theirs."""
        if isinstance(tree, (list, tuple)):
            return [self.of(entry) for entry in tree]
        if isinstance(tree, Mapping):
            return {key: self.of(entry) for key, entry in tree.items()}
        return self._known.get(id(tree), (None, None))[1]

    def note(self, tree: Any, masks: Any) -> None:
        """Keep the masks of values that have none yet; a single mask is the first value's."""
        values = list(tree) if isinstance(tree, (list, tuple)) else [tree]
        given = list(masks) if isinstance(masks, (list, tuple)) else [masks]
        for value, mask in zip(values, given, strict=False):
            if mask is not None and id(value) not in self._known:
                self._known[id(value)] = value, mask

    def cast(self, before: Any, after: Any) -> None:
        """What was turned into another type has the mask that it had."""
        if isinstance(before, (list, tuple)):
            for one, other in zip(before, after, strict=True):
                self.cast(one, other)
        elif isinstance(before, Mapping):
            for key in before:
                self.cast(before[key], after[key])
        else:
            self.note(after, self.of(before))

    def passed_on(self, layer: Any, inputs: tuple[Any, ...], masks: list[Any], output: Any) -> None:
        """After a call: the output's mask, if the layer hands masks on.

        Args:
            masks: the one that the call was given, then those of its inputs.
        """
        given = next(filter(is_there, masks[:2]), None)
        if layer.supports_masking:
            self.note(output, layer.compute_mask(inputs[0] if inputs else None, given))
        elif is_there(given):
            warnings.warn(
                f"the layer {layer.name!r} ({type(layer).__name__}) doesn't hand masks on: what "
                "comes after it counts all entries of its output. If that is right, take the mask "
                "away before it; a layer of your own hands masks on with "
                "self.supports_masking = True",
                stacklevel=2,
            )


def is_there(masks: Any) -> bool:
    """Whether there is any mask in a tree of them."""
    if isinstance(masks, (list, tuple)):
        return any(map(is_there, masks))
    if isinstance(masks, Mapping):
        return any(map(is_there, masks.values()))
    return masks is not None


@functools.lru_cache(maxsize=1024)
def _names(call: Any) -> tuple[str, ...]:
    return tuple(inspect.signature(call).parameters)[1:]  # without self


def takes_mask(layer: Any) -> bool:
    """Whether a layer's call can be given a mask."""
    return "mask" in _names(type(layer).call)


def with_masks(call: Any, options: dict[str, Any], masks: list[Any]) -> dict[str, Any]:
    """The options of a call with the masks of its inputs, where it takes them and has none.

    One input's is `mask`; of several, each has its own, such as `query_mask`.
    """
    if not any(map(is_there, masks)):
        return options
    names = _names(call)
    if len(masks) == 1:
        wanted = {"mask": masks[0]}
    else:
        wanted = {f"{name}_mask": mask for name, mask in zip(names, masks, strict=False)}
    found = {
        name: mask
        for name, mask in wanted.items()
        if name in names and is_there(mask) and options.get(name) is None
    }
    return {**options, **found}


def counted(rows: Any, mask: Any) -> Any:
    """1 for what counts and 0 for the rest, of the samples and their mask; None if all counts."""
    if mask is None:
        return rows
    counts = mask.astype(np.float32)
    if rows is None:
        return counts
    return counts * np.reshape(rows, (-1, *(1,) * (np.ndim(counts) - 1)))
