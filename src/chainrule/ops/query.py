"""Questions about an array that are answered at once and record nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.ops.family import column_order
from chainrule.tracing.table import TABLE, implements
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import memory_order


@implements(np.shape, lists=True)
def _shape(a: Any) -> tuple[int, ...]:
    return tuple(TABLE["operand"](a).shape)


@implements(np.ndim, lists=True)
def _ndim(a: Any) -> int:
    return len(TABLE["operand"](a).shape)


@implements(np.size, lists=True)
def _size(a: Any, axis: Any = None) -> int:
    a = TABLE["operand"](a)
    return a.size if axis is None else a.shape[axis]


def _stand_in(value: Any) -> Any:
    """What stands for a value in NumPy's questions about types."""
    if type(value) is not Tracer:
        return value
    if value.weak:
        return value.dtype.type(0).item()
    return value.dtype


@implements(np.result_type)
def _result_type(*arrays_and_dtypes: Any) -> np.dtype[Any]:
    return np.result_type(*map(_stand_in, arrays_and_dtypes))


@implements(np.can_cast)
def _can_cast(from_: Any, to: Any, casting: Any = "safe") -> bool:
    return np.can_cast(_stand_in(from_), to, casting)


@implements(np.common_type)
def _common_type(*arrays: Any) -> Any:
    return np.common_type(*[np.zeros((), a.dtype) for a in arrays])


@implements(np.min_scalar_type)
def _min_scalar_type(a: Any, /) -> np.dtype[Any]:
    return a.dtype


@implements(np.iscomplexobj)
def _iscomplexobj(x: Any) -> bool:
    return x.dtype.kind == "c"


@implements(np.isrealobj)
def _isrealobj(x: Any) -> bool:
    return x.dtype.kind != "c"


@implements(np.may_share_memory, np.shares_memory)
def _shares_memory(a: Any, b: Any, /, max_work: Any = None) -> bool:
    return a is b


def _filled(value: float) -> Any:
    def like(
        a: Any, /, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None,
        *, device: Any = None,
    ) -> Any:  # fmt: skip
        kind = a.dtype if dtype is None else np.dtype(dtype)
        return _new_like(a, shape, value, kind, order)

    return like


# np.full is itself replaced while a trace runs, so these are arrays that can be filled.
TABLE[np.zeros_like] = _filled(0)
TABLE[np.ones_like] = _filled(1)
TABLE[np.empty_like] = _filled(0)


@implements(np.full_like)
def _full_like(
    a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True,
    shape: Any = None, *, device: Any = None,
) -> Any:  # fmt: skip
    a = TABLE["operand"](a)
    return _new_like(a, shape, fill_value, a.dtype if dtype is None else np.dtype(dtype), order)


def _new_like(a: Any, shape: Any, value: Any, kind: Any, order: str) -> Any:
    """A new array that lies in memory as `a` does, unless it's to have another number of axes."""
    lengths = np.shape(a) if shape is None else tuple(np.atleast_1d(shape).tolist())
    axes: tuple[int, ...] | None = None
    if order == "F":
        axes = tuple(reversed(range(len(lengths))))
    elif order in ("K", "A") and len(lengths) == np.ndim(a):
        axes = memory_order(a) if order == "K" else column_order(a)
    if axes is None:
        return np.full(lengths, value, kind)
    made = np.full([lengths[k] for k in axes], value, kind)
    return np.transpose(made, [axes.index(k) for k in range(len(axes))])
