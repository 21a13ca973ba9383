"""The penalty on what a layer puts out: a mean over the samples, whatever the batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.base.trees import flatten


def activity_penalty(regularizer: Any, output: Any, rows: Any) -> Any:
    """The penalty on the output of a batch, divided by its samples.

    Args:
        regularizer: the penalty, as a function of an array.
        output: of the layer, an array or a tree of them.
        rows: 1 for each row of the batch that counts and 0 for padding; None if all count.
    """
    total: Any = 0.0
    for leaf in flatten(output)[0]:
        count: Any = len(leaf)
        if rows is not None:
            weights = rows.astype(leaf.dtype)
            leaf = leaf * np.reshape(weights, (-1, *(1,) * (leaf.ndim - 1)))
            count = np.sum(weights)
        total = total + regularizer(leaf) / count
    return total
