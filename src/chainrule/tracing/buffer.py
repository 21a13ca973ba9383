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

from chainrule.base.errors import ArgumentError, TraceError
from chainrule.base.trees import register_leaf
from chainrule.tracing.flat import Flat
from chainrule.tracing.table import KEEPS_BUFFERS, RESOLVERS, TABLE, WRITERS, call
from chainrule.tracing.trace import newest_of, refresh, repoint, resolve
from chainrule.tracing.tracer import Tracer, dispatch_ufunc
from chainrule.tracing.write import check_dtype, logged

_Ints = tuple[int, ...]


class Buffer(np.ndarray):
    """An ndarray that turns traced at the first traced write."""

    _root: Buffer | None = None  # the buffer whose memory this one shares
    _cell: Tracer | None = None  # on a root: the traced array that it stands for
    _stale = False  # C code copied the memory of a traced buffer
    _computed = False  # not made by np.zeros or its kin, so never a literal
    _lent = False  # the memory of an array of another class (np.ma), which would stay plain

    def __array_finalize__(self, source: Any) -> None:
        if isinstance(source, Buffer):
            root = source if source._root is None else source._root
            if _lies_in(self, root):
                self._root = root
                self._computed, self._stale = root._computed, root._stale
            else:
                self._computed = True
                self._stale = root._cell is not None
            self._lent = source._lent
        elif source is not None and type(source) is not np.ndarray:
            self._lent = True

    # ---- reading -------------------------------------------------------------------------------

    def current(self) -> Any:
        """What this buffer stands for: a tracer that shares its memory, or itself, plain."""
        if self._stale:
            raise TraceError(
                "a NumPy routine that can't be traced copied an array of traced values",
                {"array": f"{self.dtype}{list(self.shape)}"},
                "copy it with buffer.copy() or np.array(buffer)",
            )
        root = self if self._root is None else self._root
        cell = root._live()
        if cell is None:
            return self.view(np.ndarray)
        if root is self and cell.shape == self.shape:
            return cell
        return TABLE["strided"](cell, *self._layout(root))

    def _live(self) -> Tracer | None:
        """The cell of a root, or None; once its trace is over the values go back into memory."""
        cell = self._cell
        if cell is None or cell.owner.open:
            return cell
        refresh(cell)
        plain = resolve(cell)
        if type(plain) is not Tracer:
            self._cell = None
            memory = self._memory() if cell.shape != self.shape else self.view(np.ndarray)
            memory[...] = plain
            return None
        repoint(cell, plain)
        return cell

    def _memory(self) -> np.ndarray:
        """The entries of a root in the order in which they lie in memory."""
        plain = self.view(np.ndarray)
        order = sorted(range(plain.ndim), key=lambda k: -plain.strides[k])
        return plain.transpose(order).reshape(-1)

    def _layout(self, root: Buffer) -> tuple[int, _Ints, _Ints]:
        """Start, shape and steps of this view, counted in entries of its root."""
        if self.dtype != root.dtype:
            raise TraceError(
                "an array of traced values can't be viewed as another dtype",
                {"array": f"{root.dtype}{list(root.shape)}", "view": self.dtype},
                "convert it with .astype(dtype), or take np.real(x), np.imag(x)",
            )
        offset = self.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        steps = tuple(step // root.itemsize for step in self.strides)
        return offset // root.itemsize, self.shape, steps

    def is_zero(self) -> bool:
        """Still what np.zeros gave: a literal zero, to the convention for ties."""
        if self._stale or self._computed or self._is_traced():
            return False
        return not self.view(np.ndarray).any()

    def _is_traced(self) -> bool:
        return (self if self._root is None else self._root)._cell is not None

    def __getitem__(self, index: Any) -> Any:
        root = self if self._root is None else self._root
        key = index if isinstance(index, tuple) else (index,)
        cell = root._cell
        if cell is not None and root is self and cell.shape == self.shape:
            entry = logged(cell, key)
            if entry is not None:
                return entry
        if any(isinstance(i, Buffer) for i in key):
            key = index = tuple(map(_resolved, key))
        if any(type(i) is Tracer for i in key):
            return _renewed(TABLE["getitem"](self.current(), index))
        if cell is None and not self._stale:
            return np.ndarray.__getitem__(self, index)
        part = np.ndarray.__getitem__(self, index)
        if isinstance(part, Buffer) and part._root is not None:
            return part
        return TABLE["getitem"](self.current(), index)

    # ---- writing -------------------------------------------------------------------------------

    def __setitem__(self, index: Any, value: Any) -> None:
        value = TABLE["operand"](value)
        key = tuple(map(_resolved, index if isinstance(index, tuple) else (index,)))
        root = self if self._root is None else self._root
        if root._live() is None:
            if type(value) is not Tracer and not any(type(i) is Tracer for i in key):
                np.ndarray.__setitem__(self.view(np.ndarray), key, value)
                return
            root._seed(value, key)
        if not self.flags.writeable:
            raise ArgumentError(
                "this array is read-only",
                {"shape": self.shape},
                fix="write to a copy: x = x.copy()",
            )
        cell = root._cell
        assert cell is not None
        whole = root is self and cell.shape == self.shape
        if not whole and (place := self._element(root, key)) is not None:
            TABLE["setitem"](cell, np.unravel_index(place, cell.shape), value)
        else:
            TABLE["setitem"](self.current(), key, value)

    def _element(self, root: Buffer, key: tuple[Any, ...]) -> int | None:
        """Where in the root's memory an index of integers alone leads."""
        if len(key) != self.ndim or not all(isinstance(i, (int, np.integer)) for i in key):
            return None
        if any(
            isinstance(i, bool) or not -n <= i < n for i, n in zip(key, self.shape, strict=True)
        ):
            return None
        start, shape, steps = self._layout(root)
        return start + sum(int(i) % n * s for i, n, s in zip(key, shape, steps, strict=True))

    def _seed(self, value: Any, key: tuple[Any, ...]) -> None:
        """The first traced write: from now on this memory stands for a traced array."""
        if type(value) is Tracer:
            check_dtype(self, value)
        trace = newest_of((value, *key))
        plain = self.view(np.ndarray)
        if trace is None:
            raise TraceError(
                "a value of a finished trace can't be written here",
                fix="return it from its function, and use what the transformation returns",
            )
        if self._lent:
            raise TraceError(
                "a masked array, or one of another class, can't hold a traced value",
                {"array": f"{self.dtype}{list(self.shape)}"},
                "keep the values in a plain array, and choose with np.where(mask, 0, values)",
            )
        # Without an axis it would be a scalar, and have no views.
        ordered = plain.flags.c_contiguous and plain.ndim > 0
        self._cell = trace.lift(plain.copy() if ordered else self._memory().copy())
        if plain.dtype.kind in "fc":
            plain.fill(np.nan)

    # ---- protocols -----------------------------------------------------------------------------

    def __array_ufunc__(
        self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **kwargs: Any
    ) -> Any:
        given = inputs
        inputs = tuple(a.current() if isinstance(a, Buffer) else a for a in inputs)
        kwargs = {name: _strip(value) for name, value in kwargs.items()}  # where=, indices
        targets = () if out is None else tuple(out)
        traced = any(type(a) is Tracer for a in (*inputs, *kwargs.values()))
        traced = traced or any(isinstance(o, Buffer) and o._is_traced() for o in targets)
        if traced:
            if out is not None:
                kwargs["out"] = out
            keep = ufunc in KEEPS_BUFFERS or method == "at"
            return dispatch_ufunc(ufunc, method, given if keep else inputs, kwargs)
        if out is not None:
            kwargs["out"] = tuple(o.view(np.ndarray) if isinstance(o, Buffer) else o for o in out)
            getattr(ufunc, method)(*inputs, **kwargs)
            return out[0] if len(out) == 1 else out
        return _renewed(getattr(ufunc, method)(*inputs, **kwargs))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        plain_args = _strip(args)
        plain_kwargs = {name: _strip(value) for name, value in kwargs.items()}
        if _any_traced(plain_args) or _any_traced(tuple(plain_kwargs.values())):
            if function in WRITERS:
                return call(function, args, kwargs)
            return call(function, plain_args, plain_kwargs)
        result = function(*plain_args, **plain_kwargs)
        return rewrapped(result, (args, tuple(kwargs.values())))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        value = self.current()
        if type(value) is Tracer:
            return value.__array__(dtype)
        return np.asarray(value, dtype=dtype)

    def __reduce__(self) -> Any:
        return self.current().__reduce__()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.current().__reduce_ex__(protocol)

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def __repr__(self) -> str:
        return repr(self.current())

    def __str__(self) -> str:
        return str(self.current())

    def __format__(self, spec: str) -> str:
        return format(self.current(), spec)

    def __float__(self) -> float:
        return float(self.current())

    def __int__(self) -> int:
        return int(self.current())

    def __index__(self) -> int:
        return self.current().__index__()

    def __bool__(self) -> bool:
        return bool(self.current())

    def __complex__(self) -> complex:
        return complex(self.current())

    # ---- methods that C code would run on the memory itself ------------------------------------

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        result: Any = np.ndarray.reshape(self, *shape, **kwargs)
        # Where NumPy would copy, the memory has nothing to copy any more.
        return self.current().reshape(*shape, **kwargs) if result._stale else result

    def ravel(self, order: Any = "C") -> Any:
        result: Any = np.ndarray.ravel(self, order)
        return self.current().ravel(order) if result._stale else result

    def fill(self, value: Any) -> None:
        self[...] = value

    def put(self, indices: Any, values: Any, mode: Any = "raise") -> None:
        np.put(self, indices, values, mode)

    def sort(self, axis: Any = -1, **kwargs: Any) -> None:  # type: ignore[override]
        if not self._is_traced():
            np.ndarray.sort(self.view(np.ndarray), axis, **kwargs)
        else:
            self[...] = np.sort(self.current(), axis)

    def partition(  # type: ignore[override]
        self, kth: Any, axis: Any = -1, **kwargs: Any
    ) -> None:
        if not self._is_traced():
            np.ndarray.partition(self.view(np.ndarray), kth, axis, **kwargs)
        else:
            self[...] = np.partition(self.current(), kth, axis)


def _resolved(index: Any) -> Any:
    """An index entry with lists turned into arrays and buffers into what they stand for."""
    return TABLE["operand"](index) if isinstance(index, (list, np.ndarray)) else index


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


def _arrays(value: Any) -> list[np.ndarray]:
    """The arrays that some arguments hold."""
    if isinstance(value, np.ndarray):
        return [value]
    if type(value) in (list, tuple):
        return [array for part in value for array in _arrays(part)]
    return []


def rewrapped(result: Any, arguments: Any) -> Any:
    """What a function made of plain memory, so that traced values may be written into it too."""
    if type(result) not in (np.ndarray, list, tuple):
        return result
    arrays = _arrays(arguments)
    roots = [a if a._root is None else a._root for a in arrays if isinstance(a, Buffer)]
    return _rewrapped(result, roots, arrays) if roots else result


def _rewrapped(result: Any, roots: list[Buffer], arrays: list[np.ndarray]) -> Any:
    if type(result) in (list, tuple):
        return type(result)(_rewrapped(part, roots, arrays) for part in result)
    if type(result) is not np.ndarray:
        return result
    for root in roots:
        if _lies_in(result, root):
            view = result.view(Buffer)
            view._root, view._computed = root, root._computed
            return view
    if result.base is not None and not any(np.may_share_memory(result, a) for a in arrays):
        result = result.copy(order="K")  # a view of memory that the function made for itself
    return _renewed(result)


def _lies_in(array: np.ndarray, root: Buffer) -> bool:
    """Whether an array is a view of a root's memory, perhaps by way of other views."""
    base: Any = array.base
    while base is not None:
        if base is root or base is root.base:
            return True
        base = getattr(base, "base", None)
    return False


def _renewed(result: Any) -> Any:
    """An array computed from buffers alone is one itself."""
    if type(result) is np.ndarray and result.base is None and result.dtype.kind in "fciub":
        result = result.view(Buffer)
        result._computed = True
    return result


def _delegate(name: str) -> Callable[..., Any]:
    plain = getattr(np.ndarray, name)

    def method(self: Buffer, *args: Any, **kwargs: Any) -> Any:
        value = self.current()
        if type(value) is not Tracer:
            return _renewed(plain(value, *_strip(args), **kwargs))
        if not hasattr(value, name):
            raise TraceError(
                f"{name}() can't be called on an array of traced values",
                fix="it has no memory of its own: call it outside the function, on the result",
            )
        return getattr(value, name)(*args, **kwargs)

    method.__name__ = name
    return method


# Views (swapaxes, transpose, squeeze, diagonal) may stay with the memory.
for _name in (
    "all any argmax argmin argsort astype clip conj conjugate copy cumprod cumsum dot flatten item "
    "max mean min nonzero prod repeat round searchsorted std sum take tolist trace var compress "
    "choose argpartition tobytes tofile dump dumps"
).split():
    setattr(Buffer, _name, _delegate(_name))


def _part(name: str) -> property:
    """`real` and `imag`, which of traced values are copies."""
    plain: Any = getattr(np.ndarray, name)

    def read(self: Buffer) -> Any:
        if self._is_traced() and self.dtype.kind == "c":
            return getattr(np, name)(self.current())
        return plain.__get__(self)

    def write(self: Buffer, value: Any) -> None:
        if self.dtype.kind != "c":
            self[...] = value
        elif name == "real":
            self[...] = value + 1j * np.imag(self)
        else:
            self[...] = np.real(self) + 1j * value

    return property(read, write)


def _write_flat(self: Buffer, value: Any) -> None:
    Flat(self)[:] = value


setattr(Buffer, "flat", property(Flat, _write_flat))
setattr(Buffer, "real", _part("real"))
setattr(Buffer, "imag", _part("imag"))


def finish(buffer: Any) -> Any:
    """The plain or traced array behind a buffer."""
    return buffer.current()


RESOLVERS[Buffer] = finish
register_leaf(Buffer)
