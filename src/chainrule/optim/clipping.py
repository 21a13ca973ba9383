"""Gradients cut to size: by entry, by array, or all together."""

from __future__ import annotations

from typing import Any

import numpy as np


def clipped(options: Any, gradients: list[Any]) -> list[Any]:
    """The gradients as an optimiser's clipvalue, clipnorm or global_clipnorm wants them.

    Where a norm is infinite or not a number, gradients that are clipped by it become NaN: cut to
    size they'd look harmless, and whoever watches the training would see nothing.

    Source: Pascanu, Mikolov & Bengio (2013), "On the difficulty of training recurrent neural
    networks", algorithm 1.
    """
    if options.clipvalue is not None:
        bound = options.clipvalue
        return [np.clip(g, -bound, bound) for g in gradients]
    if options.clipnorm is not None:
        return [g * _factor(np.sum(g * g), options.clipnorm) for g in gradients]
    if options.global_clipnorm is not None:
        total: Any = sum(np.sum(g * g) for g in gradients)
        factor = _factor(total, options.global_clipnorm)
        return [g * factor.astype(g.dtype) for g in gradients]
    return gradients


def _factor(squares: Any, longest: float) -> Any:
    """What shortens gradients to a norm, given the sum of their squares."""
    norm = np.sqrt(squares)
    return np.where(np.isfinite(norm), longest / np.maximum(norm, longest), np.nan)
