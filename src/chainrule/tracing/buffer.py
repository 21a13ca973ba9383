"""Arrays made inside a traced function: real memory until a traced value is written into them.

`np.zeros(n)` and its kin give, while a trace runs, an ndarray of this subclass. Code that only
wants memory never notices. At the first traced write the memory is filled with NaN, so that C code
that still reads it can't compute something plausible, and from then on the buffer stands for a
traced array, its *cell*. Views are followed by address and strides: real memory is the oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import TraceError
from chainrule.base.trees import register_leaf
from chainrule.tracing.table import KEEPS_BUFFERS, RESOLVERS, TABLE, call
from chainrule.tracing.trace import newest_of, refresh, repoint, resolve
from chainrule.tracing.tracer import Tracer, dispatch_ufunc
from chainrule.tracing.write import check_dtype, logged


class Buffer(np.ndarray):
    """An ndarray that turns traced at the first traced write."""

    _root: Buffer | None = None  # the buffer whose memory this one shares
    _cell: Tracer | None = None  # on a root: the traced array that it stands for
    _stale = False  # C code copied the memory of a traced buffer

    def __array_finalize__(self, source: Any) -> None:
        if isinstance(source, Buffer):
            root = source if source._root is None else source._root
            if self.base is not None:
                self._root = root
            elif root._cell is not None:
                self._stale = True

    # ---- reading -------------------------------------------------------------------------------

    def current(self) -> Any:
        """What this buffer stands for: a tracer, or itself as a plain array."""
        if self._stale:
            raise TraceError(
                "a NumPy routine that can't be traced copied an array of traced values",
                {"array": f"{self.dtype}{list(self.shape)}"},
                "copy it with buffer.copy() or np.array(buffer)",
            )
        root = self if self._root is None else self._root
        cell = root._cell
        if cell is None:
            return self.view(np.ndarray)
        refresh(cell)
        if not cell.owner.open:
            plain = resolve(cell)
            if type(plain) is not Tracer:
                root._settle(plain)
                return self.view(np.ndarray)
            repoint(cell, plain)
        if root is self:
            return cell
        flat = np.reshape(cell, (-1,))  # type: ignore[call-overload]
        return TABLE["getitem"](flat, self._positions(root))

    def _positions(self, root: Buffer) -> np.ndarray:
        start = self.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        steps = [s // root.itemsize * np.dtype(np.intp).itemsize for s in self.strides]
        numbering = np.arange(root.size)[start // root.itemsize :]
        return np.lib.stride_tricks.as_strided(numbering, self.shape, steps)

    def _settle(self, plain: Any) -> None:
        """The trace is over: put the values back into the memory."""
        self._cell = None
        np.ndarray.__setitem__(self.view(np.ndarray), Ellipsis, plain)

    def is_zero(self) -> bool:
        """Still what np.zeros gave: a literal zero, to the convention for ties."""
        root = self if self._root is None else self._root
        return root._cell is None and not self._stale and not self.view(np.ndarray).any()

    def __getitem__(self, index: Any) -> Any:
        root = self if self._root is None else self._root
        key = index if isinstance(index, tuple) else (index,)
        if root._cell is not None and root is self:
            entry = logged(root._cell, key)
            if entry is not None:
                return entry
        if any(type(i) is Tracer or isinstance(i, Buffer) for i in key):
            return TABLE["getitem"](self.current(), index)
        if root._cell is None and not self._stale:
            return np.ndarray.__getitem__(self, index)
        part = np.ndarray.__getitem__(self, index)
        if isinstance(part, Buffer) and part.base is not None and not part._stale:
            return part
        return TABLE["getitem"](self.current(), index)

    # ---- writing -------------------------------------------------------------------------------

    def __setitem__(self, index: Any, value: Any) -> None:
        value = TABLE["operand"](value)
        key = tuple(map(_resolved, index if isinstance(index, tuple) else (index,)))
        root = self if self._root is None else self._root
        traced = type(value) is Tracer or any(type(i) is Tracer for i in key)
        if root._cell is None:
            if not traced:
                np.ndarray.__setitem__(self.view(np.ndarray), index, value)
                return
            root._seed(value, key)
        cell = root._cell
        assert cell is not None
        if root is self:
            TABLE["setitem"](cell, key, value)
            return
        spots = self._positions(root)[tuple(map(_untraced, key))]
        check_dtype(root.dtype, value, f"{root.dtype}{list(root.shape)}")
        flat = np.reshape(cell, (-1,))  # type: ignore[call-overload]
        TABLE["setitem"](flat, spots, value)

    def _seed(self, value: Any, key: tuple[Any, ...]) -> None:
        """The first traced write: from now on this memory stands for a traced array."""
        if type(value) is Tracer:
            check_dtype(self.dtype, value, f"{self.dtype}{list(self.shape)}")
        trace = newest_of((value, *key))
        plain = self.view(np.ndarray)
        if trace is None:
            raise TraceError("a value of a finished trace can't be written here")
        self._cell = trace.lift(plain.copy())
        if plain.dtype.kind in "fc":
            plain.fill(np.nan)

    # ---- protocols -----------------------------------------------------------------------------

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any
    ) -> Any:
        given = inputs
        inputs = tuple(a.current() if isinstance(a, Buffer) else a for a in inputs)
        targets = () if out is None else tuple(out)
        traced = any(type(a) is Tracer for a in inputs)
        traced = traced or any(isinstance(o, Buffer) and o._is_traced() for o in targets)
        if traced:
            if out is not None:
                kwargs["out"] = out
            return dispatch_ufunc(ufunc, method, given if ufunc in KEEPS_BUFFERS else inputs, kwargs)
        if out is not None:
            kwargs["out"] = tuple(o.view(np.ndarray) if isinstance(o, Buffer) else o for o in out)
            getattr(ufunc, method)(*inputs, **kwargs)
            return out[0] if len(out) == 1 else out
        return getattr(ufunc, method)(*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        args = _strip(args)
        kwargs = {name: _strip(value) for name, value in kwargs.items()}
        if _any_traced(args) or _any_traced(tuple(kwargs.values())):
            return call(function, args, kwargs)
        return function(*args, **kwargs)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        value = self.current()
        if type(value) is Tracer:
            return value.__array__(dtype)
        return np.asarray(value, dtype=dtype)

    def _is_traced(self) -> bool:
        return (self if self._root is None else self._root)._cell is not None

    def __reduce__(self) -> Any:
        value = self.current()
        return value.__reduce__()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def __repr__(self) -> str:
        return repr(self.current())

    def __str__(self) -> str:
        return str(self.current())

    def __float__(self) -> float:
        return float(self.current())

    def __int__(self) -> int:
        return int(self.current())

    def __bool__(self) -> bool:
        return bool(self.current())

    def __complex__(self) -> complex:
        return complex(self.current())


def _resolved(index: Any) -> Any:
    """An index entry with lists turned into arrays and buffers into what they stand for."""
    return TABLE["operand"](index) if isinstance(index, (list, np.ndarray)) else index


def _untraced(index: Any) -> Any:
    return index.owner.concrete(index, "an index") if type(index) is Tracer else index


def _strip(value: Any) -> Any:
    if isinstance(value, Buffer):
        return value.current()
    if type(value) in (list, tuple):
        return type(value)(map(_strip, value))
    return value


def _any_traced(value: Any) -> bool:
    if type(value) is Tracer:
        return True
    return type(value) in (list, tuple) and any(map(_any_traced, value))


def _delegate(name: str) -> Callable[..., Any]:
    plain = getattr(np.ndarray, name)

    def method(self: Buffer, *args: Any, **kwargs: Any) -> Any:
        value = self.current()
        if type(value) is Tracer:
            return getattr(value, name)(*args, **kwargs)
        return plain(value, *_strip(args), **kwargs)

    method.__name__ = name
    return method


# Methods that C code runs on the memory itself; views (reshape, transpose) may stay with it.
for _name in (
    "all any argmax argmin argsort astype clip conj conjugate copy cumprod cumsum diagonal dot fill "
    "flatten item max mean min nonzero prod ptp put repeat round searchsorted sort std sum swapaxes "
    "take tolist trace var"
).split():
    if hasattr(np.ndarray, _name):
        setattr(Buffer, _name, _delegate(_name))


def finish(buffer: Any) -> Any:
    """The plain or traced array behind a buffer."""
    return buffer.current()


RESOLVERS[Buffer] = finish
register_leaf(Buffer)
