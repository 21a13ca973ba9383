"""The traced value: it answers NumPy's protocols, Python's operators and the ndarray methods.

A tracer is a *name for a current variable* of a trace. A write re-points it; a view remembers
where it came from (see view.py). What the methods do stands in the table; here is only the
surface that makes a tracer feel like an ndarray, and in operators.py what needs just a line each.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.base.errors import (
    DtypeError,
    MissingAttributeError,
    ShapeError,
    TraceError,
    UnsupportedError,
)
from chainrule.base.trees import register_leaf
from chainrule.tracing.flat import Flat
from chainrule.tracing.operators import Operators
from chainrule.tracing.table import KEEPS_BUFFERS, RESOLVERS, TABLE, call, lookup

# np.reshape itself, which another function stands for while a trace runs.
_RESHAPE = np.reshape


class Tracer(Operators):
    """A value under trace. Use it like an array; it records what is done to it."""

    __slots__ = ("__weakref__", "alias", "mark", "owner", "value", "version", "weak")
    __array_priority__ = 1000.0

    def __init__(self, owner: Any, value: Any, mark: Any, weak: bool = False) -> None:
        self.owner = owner  # the trace that it belongs to
        self.value = value
        self.mark = mark  # what its trace knows it by: a variable number, a tangent
        self.weak = weak  # a Python number, to NumPy's promotion
        self.alias: Any = None  # how it shares memory with another tracer: a View, a Log
        self.version = 0

    # ---- what it is ----------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.owner.shape(self)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.owner.dtype(self)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.itemsize

    @property
    def device(self) -> str:
        return "cpu"

    def __len__(self) -> int:
        if not self.shape:
            raise UnsupportedError(
                "len() of a single number",
                {"value": f"{self.dtype}[]"},
                "np.size(x) counts entries",
            )
        return self.shape[0]

    def __repr__(self) -> str:
        return self.owner.describe(self)

    def __str__(self) -> str:
        return str(self.owner.text(self))

    def __format__(self, spec: str) -> str:
        return str(self.owner.text(self, spec))

    # ---- NumPy's protocols ---------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs and len(inputs) == 1 and ufunc in TABLE:
            return TABLE[ufunc](self)
        return dispatch_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return call(function, args, kwargs)

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return np

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        # A finished trace has no more derivative to lose; a running one would lose it silently.
        return self.owner.to_array(self, dtype)

    def __getattr__(self, name: str) -> Any:
        # Only for names that are found nowhere else; protocols are asked for by name, often.
        if name.startswith("__"):
            raise AttributeError(name)
        raise MissingAttributeError(
            f"a traced array has no .{name}",
            fix="functions that read an array's memory (most of scipy.linalg) can't be traced; "
            "use NumPy's function of that name, if there is one",
        )

    # ---- Python's conversions ------------------------------------------------------------------

    def __bool__(self) -> bool:
        return self.owner.truth(self)

    def __float__(self) -> float:
        return float(self.owner.number(self, "float"))

    def __complex__(self) -> complex:
        return complex(self.owner.number(self, "complex"))

    def __int__(self) -> int:
        return int(self.owner.concrete(self, "int()"))

    def __index__(self) -> int:
        if self.dtype.kind not in "iu":
            raise DtypeError(
                "a traced floating-point value can't be an index",
                {"type": f"{self.dtype}{list(self.shape)}"},
                "convert it first: int(x)",
            )
        return operator.index(self.owner.concrete(self, "an index"))

    def __floor__(self) -> int:
        return math.floor(self.owner.concrete(self, "math.floor()"))

    def __ceil__(self) -> int:
        return math.ceil(self.owner.concrete(self, "math.ceil()"))

    def __trunc__(self) -> int:
        return math.trunc(self.owner.concrete(self, "math.trunc()"))

    def __round__(self, digits: int | None = None) -> Any:
        return np.round(self, digits or 0)

    def item(self, *index: int) -> Any:
        """The single element, still traced, so that its derivative is kept."""
        if index:
            flat = np.reshape(self, (-1,))
            place = index if len(index) > 1 else (int(index[0]),)
            return self[place] if len(index) > 1 else flat[place[0]]
        if self.size != 1:
            raise ShapeError(
                "item() needs an array with exactly one element",
                {"shape": self.shape},
                "index it first, for example x[0].item()",
            )
        return self if not self.shape else np.reshape(self, ())

    def tolist(self) -> Any:
        """Nested lists of traced scalars."""
        return [row.tolist() for row in self] if self.shape else self

    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise UnsupportedError(
                "a single number can't be iterated over",
                {"value": f"{self.dtype}[]"},
                "np.atleast_1d(x) makes an array of it",
            )
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, value: Any) -> bool:
        return bool(np.any(self == value))

    def __reduce__(self) -> Any:
        raise TraceError(
            "a traced value can't be pickled or copied to another process",
            fix="return it from the traced function, or pass cr.stop_gradient(x)",
        )

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    # ---- indexing ------------------------------------------------------------------------------

    def __getitem__(self, index: Any) -> Any:
        return TABLE["getitem"](self, index)

    def __setitem__(self, index: Any, value: Any) -> None:
        TABLE["setitem"](self, index, value)

    def copy(self, order: str = "C") -> Any:
        return TABLE["copy"](self, order)

    # ---- the ndarray methods -------------------------------------------------------------------

    @property
    def T(self) -> Any:
        return np.transpose(self)

    @property
    def mT(self) -> Any:
        return np.matrix_transpose(self)

    @property
    def real(self) -> Any:
        return np.real(self)

    @real.setter
    def real(self, value: Any) -> None:
        self[...] = value + 1j * np.imag(self)

    @property
    def imag(self) -> Any:
        return np.imag(self)

    @imag.setter
    def imag(self, value: Any) -> None:
        self[...] = np.real(self) + 1j * value

    @property
    def flat(self) -> Flat:
        return Flat(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        Flat(self)[:] = value

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        target = shape[0] if len(shape) == 1 else shape
        return TABLE[_RESHAPE](self, target, order=order)

    def flatten(self, order: str = "C") -> Any:
        """A copy, collapsed to one dimension."""
        return TABLE["copy"](TABLE[_RESHAPE](self, (-1,), order=order))

    def transpose(self, *axes: Any) -> Any:
        order = axes[0] if len(axes) == 1 else (axes or None)
        return np.transpose(self, order)

    def fill(self, value: Any) -> None:
        self[...] = value

    def sort(self, axis: int = -1, kind: Any = None, order: Any = None) -> None:
        """Sort in place."""
        self[...] = np.sort(self, axis=axis)

    def conj(self) -> Any:
        # Of a real array the method, unlike the function, is that array itself.
        return np.conjugate(self) if self.dtype.kind == "c" else self

    conjugate = conj

    def dot(self, other: Any) -> Any:
        return np.dot(self, other)

    def astype(
        self, dtype: Any, order: str = "K", casting: str = "unsafe", copy: bool = True
    ) -> Any:
        return TABLE["astype"](self, dtype)

    def view(self, *args: Any) -> Any:
        if not args:
            return self[...]
        raise TraceError(
            "a traced array can't be viewed as another dtype or class",
            fix="convert it with .astype(dtype)",
        )


register_leaf(Tracer)


def dispatch_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: Any) -> Any:
    """Run a ufunc, or one of its methods, on operands of which one at least is traced."""
    out = kwargs.pop("out", None) if kwargs else None
    if out is not None:
        out = out if isinstance(out, tuple) else (out,)
    operand = TABLE["operand"]
    if method == "__call__":
        handler = TABLE.get(ufunc) or lookup(ufunc)
        keep = RESOLVERS if ufunc in KEEPS_BUFFERS else ()
        args = [a if type(a) is Tracer or type(a) in keep else operand(a) for a in inputs]
        dtype = kwargs.pop("dtype", None) if kwargs else None
        result = call(ufunc, tuple(args), kwargs) if kwargs else handler(*args)
        if dtype is not None:
            result = TABLE["astype"](result, dtype)
    else:
        result = call(ufunc, inputs, kwargs, (ufunc, method))
    if out is None or all(target is None for target in out):
        return result
    return _write_out(ufunc, out, result)


def _write_out(ufunc: np.ufunc, out: tuple[Any, ...], result: Any) -> Any:
    """`out=` is honoured where the target can hold a traced value, and refused elsewhere."""
    target = out[0]
    if len(out) == 1 and (type(target) is Tracer or type(target) in RESOLVERS):
        target[...] = result
        return target
    if len(out) == 1 and type(result) is not Tracer:
        target[...] = result
        return target
    raise TraceError(
        f"np.{ufunc.__name__}: out= names a plain array, which can't hold a traced value",
        fix="use the returned value; or make the array with np.zeros(...) inside the function",
    )
