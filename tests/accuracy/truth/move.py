"""Operations that move entries or keep them: the very bits, as NumPy moves whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.family import PRIMITIVES

# Which operands are moved; None: all.
MOVED: dict[str, tuple[int, ...] | None] = {
    "positive": (0,),
    "real": (0,),
    "conjugate": (0,),
    "stop_gradient": (0,),
    "unseen": (0,),
    "copy": (0,),
    "reshape": (0,),
    "transpose": (0,),
    "broadcast_to": (0,),
    "diagonal": (0,),
    "strided": (0,),
    "windows": (0,),
    "getitem": (0,),
    "put": (0, 1),
    "select": (1, 2),
    "withhold": (0,),
    "without_nan": (0,),
    "stack": None,
    "concatenate": None,
}


def bits(x: Any) -> np.ndarray:
    """What an array holds, as whole numbers of its width."""
    x = np.asarray(x)
    return np.ascontiguousarray(x).view(f"u{x.dtype.itemsize}").reshape(x.shape)


def moved(name: str, operands: Any, params: Any, dtype: np.dtype[Any]) -> Any:
    """The bits that the result should have."""
    which = MOVED[name]
    taken = [
        bits(np.asarray(x).astype(dtype)) if which is None or k in which else x
        for k, x in enumerate(operands)
    ]
    return np.asarray(PRIMITIVES[name].value(*taken, **params))
