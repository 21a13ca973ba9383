"""Cotangents and masks brought to a variable's shape: the transposes of broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.family import sum_to


def fill(g: Any, shape: tuple[int, ...]) -> Any:
    """A cotangent of the full shape, from one that may have been kept as a scalar."""
    return g if g.shape == shape else np.broadcast_to(g, shape)


def any_to(mask: Any, shape: tuple[int, ...]) -> Any:
    """The boolean `sum_to`: true where any entry that came from there is true."""
    if np.shape(mask) == shape:
        return mask
    return sum_to(np.where(mask, 1.0, 0.0), shape) > 0
