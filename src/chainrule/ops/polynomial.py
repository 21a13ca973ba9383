"""Polynomials by their coefficients, the highest power first."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.family import strong
from chainrule.tracing.table import TABLE, implements


@implements(np.polyval, lists=True)
def _polyval(p: Any, x: Any) -> Any:
    coefficients, x = TABLE["operand"](p), strong(x)
    result = np.zeros_like(x) if np.ndim(x) else x * 0
    for c in coefficients:
        result = result * x + c
    return result


@implements(np.polyder, lists=True)
def _polyder(p: Any, m: int = 1) -> Any:
    p = TABLE["operand"](p)
    for _ in range(int(m)):
        degree = np.shape(p)[0] - 1
        p = p[:-1] * np.arange(degree, 0, -1)
    return p


@implements(np.polymul, lists=True)
def _polymul(a1: Any, a2: Any) -> Any:
    return np.convolve(TABLE["operand"](a1), TABLE["operand"](a2))


def _added(a1: Any, a2: Any, sign: int) -> Any:
    a, b = np.atleast_1d(TABLE["operand"](a1)), np.atleast_1d(TABLE["operand"](a2))
    size = max(np.shape(a)[0], np.shape(b)[0])
    a, b = (np.concatenate([np.zeros(size - np.shape(c)[0]), c]) for c in (a, b))
    return a + sign * b


@implements(np.polyadd, lists=True)
def _polyadd(a1: Any, a2: Any) -> Any:
    return _added(a1, a2, 1)


@implements(np.polysub, lists=True)
def _polysub(a1: Any, a2: Any) -> Any:
    return _added(a1, a2, -1)


@implements(np.polyfit, lists=True)
def _polyfit(x: Any, y: Any, deg: int, rcond: float | None = None) -> Any:
    """Least squares on columns of length one, as NumPy does it."""
    x, y = TABLE["operand"](x) + 0.0, TABLE["operand"](y) + 0.0
    if rcond is None:
        rcond = np.shape(x)[0] * float(np.finfo(x.dtype).eps)
    columns = np.vander(x, int(deg) + 1)
    lengths = np.sqrt(np.sum(columns * columns, axis=0))
    solution = np.linalg.lstsq(columns / lengths, y, rcond)[0]
    return (solution.T / lengths).T
