"""The type of a value in a program: shape, dtype, and whether it is a weak Python scalar."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

_PYTHON_SCALARS: dict[type, np.dtype[Any]] = {
    kind: np.dtype(kind) for kind in (bool, int, float, complex)
}
_WEAK_CLASS = {"i": int, "f": float, "c": complex}


class ArrayType(NamedTuple):
    """Shape and dtype; `weak` as NumPy treats Python's own numbers (NEP 50)."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    weak: bool = False

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def promotion(self) -> Any:
        """What stands for this type in NumPy's promotion: a Python class when weak."""
        return _WEAK_CLASS.get(self.dtype.kind, self.dtype) if self.weak else self.dtype

    def __str__(self) -> str:
        return dtype_name(self.dtype) + (f"[{', '.join(map(str, self.shape))}]" * bool(self.shape))


def dtype_name(dtype: np.dtype[Any]) -> str:
    """f64, f32, i64, u8, c128, bool."""
    if dtype.kind in "fciu":
        return f"{dtype.kind}{dtype.itemsize * 8}"
    return dtype.name


def type_of(value: Any) -> ArrayType:
    """The type of an array, a NumPy scalar, a Python number or anything with shape and dtype."""
    dtype = _PYTHON_SCALARS.get(type(value))
    if dtype is not None:
        return ArrayType((), dtype, weak=dtype.kind != "b")
    return ArrayType(tuple(value.shape), value.dtype, getattr(value, "weak", False))


def result_dtype(*types: ArrayType) -> np.dtype[Any]:
    """The dtype NumPy promotes these to, Python scalars staying weak."""
    strong = [t.promotion for t in types]
    if all(isinstance(item, type) for item in strong):
        return np.result_type(*[t.dtype for t in types])
    return np.result_type(*[item(0) if isinstance(item, type) else item for item in strong])
