"""Numbers of every size to try functions with."""

from __future__ import annotations

import numpy as np

from chainrule.loops.scalar import numpy_type


def everywhere(kind: str, rng: np.random.Generator, count: int) -> np.ndarray:
    """Numbers of every exponent, and more of the usual ones."""
    dtype = numpy_type(kind)
    width = 8 * dtype.itemsize
    patterns = rng.integers(0, 1 << width, count, dtype=f"u{dtype.itemsize}")
    with np.errstate(all="ignore"):
        parts = [
            patterns.view(dtype),
            rng.normal(size=count) * 3,
            rng.normal(size=count) * 60,
            rng.uniform(-2, 2, count),
            rng.choice([-1, 1], count) * np.exp(rng.normal(size=count) * 8),
        ]
        found = np.concatenate([part.astype(dtype) for part in parts])
    return found[np.isfinite(found)]
