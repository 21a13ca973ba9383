"""What NumPy doesn't dispatch: creating arrays, and lists that hold traced values.

Here are the functions that stand for NumPy's own while a trace runs: they recognise traced values
and call the original otherwise. See swap.py for how they come into NumPy's namespace.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError, DtypeError, UnsupportedError
from chainrule.tracing.buffer import Buffer, rewrapped
from chainrule.tracing.operands import not_numbers, numeric, refuse_masked, refuse_other_rules
from chainrule.tracing.table import RESOLVERS, TABLE, call
from chainrule.tracing.trace import describe_type, refresh, resolve
from chainrule.tracing.tracer import Tracer

_PLAIN = {int, float, bool, complex, str, np.float64, np.float32, np.int64, np.bool_}


def has_traced(value: Any) -> bool:
    """Whether traced values sit anywhere in (nested lists of) a value."""
    kind = type(value)
    if kind is Tracer or kind is Buffer:
        return True
    if kind is list or kind is tuple:
        return bool(set(map(type, value)) - _PLAIN) and any(map(has_traced, value))
    return kind is np.ndarray and value.dtype.hasobject and any(map(has_traced, value.flat))


def operand(value: Any) -> Any:
    """What an operation can take: a tracer, an array or a number, out of whatever was given."""
    kind = type(value)
    if kind is Tracer or (kind in _PLAIN and kind is not str):
        return value
    if kind in RESOLVERS:
        return resolve(value)
    if kind is list or kind is tuple or (kind is np.ndarray and value.dtype.hasobject):
        made = to_array(value)
        return made if type(made) is Tracer else numeric(made)
    if isinstance(value, (np.ndarray, np.generic)):
        if kind is not np.ndarray and kind is not Buffer and isinstance(value, np.ndarray):
            refuse_other_rules(value)
        return value.view(np.ndarray) if kind is not np.ndarray and value.shape else value
    if value is None or isinstance(value, (str, bytes, dict, set)):
        raise not_numbers(value)
    return numeric(ORIGINAL["asarray"](value))


def to_array(value: Any, dtype: Any = None) -> Any:
    """np.array(value) where traced values may sit anywhere inside nested lists."""
    if type(value) in RESOLVERS:
        value = resolve(value)
    if type(value) is Tracer:
        return value if dtype is None else TABLE["astype"](value, dtype)
    if isinstance(value, np.ndarray) and value.dtype.hasobject and has_traced(value):
        value = value.tolist()
    if type(value) in (list, tuple) and has_traced(value):
        parts: list[Any] = [part if type(part) is Tracer else to_array(part) for part in value]
        if any(type(part) is Tracer for part in parts):
            parts = [part if type(part) is Tracer else numeric(part) for part in parts]
            stacked = TABLE["stack"](parts)
            if stacked.ndim > 2:  # NumPy's copy of a list lies in C order, whatever its parts do
                stacked = TABLE["copy"](stacked, "C")
            return stacked if dtype is None else TABLE["astype"](stacked, dtype)
        value = parts
    return ORIGINAL["array"](value, dtype=dtype)


def as_traced_leaf(leaf: Any) -> Any:
    """A leaf of a traced function's result: a tracer or an array, never a buffer.

    Writes that still stand in a log become an equation, as they can only while the trace is open.
    """
    if isinstance(leaf, (np.ndarray, list)):
        leaf = operand(leaf)
    if type(leaf) is Tracer and leaf.alias is not None:
        refresh(leaf)
    return leaf


TABLE["operand"] = operand


# ---- the replacements ----------------------------------------------------------------------------


def _array(
    value: Any, dtype: Any = None, *, copy: Any = True, ndmin: int = 0, **kwargs: Any
) -> Any:
    # NumPy's own enumeration of copy modes refuses to be a truth value.
    copied = copy not in (None, False, np._CopyMode.IF_NEEDED, np._CopyMode.NEVER)
    if not has_traced(value):
        made = ORIGINAL["array"](value, dtype=dtype, copy=copy, ndmin=ndmin, **kwargs)
        return _buffer(made) if type(made) is np.ndarray and copied else made
    result = to_array(value, dtype)
    if kwargs.get("subok") and sys._getframe(2).f_globals.get("__name__") == "numpy.ma.core":
        refuse_masked(result)
    if type(result) is not Tracer:
        made = ORIGINAL["array"](result, copy=copy, ndmin=ndmin, **kwargs)
        return _buffer(made) if copied else made
    order = kwargs.get("order") or "K"
    if copied and (type(value) is Tracer or type(value) in RESOLVERS):
        result = TABLE["copy"](result, order)
    else:
        result = laid(result, order)
    if result.ndim < ndmin:
        result = np.reshape(result, (1,) * (ndmin - result.ndim) + tuple(result.shape))
    return result


_ORDERS = {"ascontiguousarray": "C", "asfortranarray": "F"}


def laid(result: Any, order: str) -> Any:
    """The array itself if it lies in memory as `order` says, otherwise a copy that does."""
    value, batched = result, False
    while type(value) is Tracer:
        batched = batched or value.owner.batching
        value = value.value
    if batched and order == "F" and result.ndim > 1:
        # The batch would lie in between, and views of the copy would not be what NumPy's are.
        raise UnsupportedError(
            "an array can't be laid out column by column under vmap",
            {"array": describe_type(result)},
            "leave out the order; it changes where numbers lie, not what they are",
        )
    if order not in ("C", "F") or not result.ndim or type(result) is not Tracer:
        return result
    if isinstance(value, np.ndarray):
        flags = value[(0,) * (value.ndim - result.ndim)].flags if value.size else value.flags
        as_it_is = flags.c_contiguous if order == "C" else flags.f_contiguous
    else:  # without values all that isn't a view is taken to lie in C order
        as_it_is = result.alias is None and (order == "C" or result.ndim == 1)
    return result if as_it_is else TABLE["copy"](result, order)


def _as_array(name: str) -> Callable[..., Any]:
    def convert(value: Any, dtype: Any = None, *args: Any, **kwargs: Any) -> Any:
        if type(value) is Buffer and not value._is_traced():
            return value if dtype in (None, value.dtype) else value.astype(dtype)
        if has_traced(value):
            order = _ORDERS.get(name) or kwargs.get("order") or (args[0] if args else "K")
            return laid(to_array(value, dtype), order)
        made = ORIGINAL[name](value, dtype, *args, **kwargs)
        return _buffer(made) if type(value) in (list, tuple) else made

    return convert


def _made(name: str) -> Callable[..., Any]:
    def make(*args: Any, **kwargs: Any) -> Any:
        try:
            return _buffer(ORIGINAL[name](*args, **kwargs))
        except TypeError as error:
            if isinstance(error, ChainruleError) or not any(map(has_traced, args)):
                raise
            refuse_unknown(args)
            raise DtypeError(
                f"np.{name}: a traced floating-point value can't be a size",
                {"arguments": ", ".join(map(repr, args))[:80]},
                "convert it first: int(n)",
            ) from None

    return make


def refuse_unknown(*sizes: Any) -> None:
    """Traced integers that have no value: the error that says so, which NumPy hides."""
    for size in sizes:
        if type(size) in (tuple, list):
            refuse_unknown(*size)
        elif type(size) is Tracer and size.dtype.kind in "iu":
            operator.index(size)


def _buffer(array: Any) -> Any:
    if type(array) is np.ndarray and array.dtype.kind in "fciub":
        return array.view(Buffer) if array.base is None else array.copy().view(Buffer)
    return array


def _full(shape: Any, fill_value: Any, dtype: Any = None, **kwargs: Any) -> Any:
    if not has_traced(fill_value):
        return _buffer(ORIGINAL["full"](shape, fill_value, dtype, **kwargs))
    filled = to_array(fill_value, dtype)
    size = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    return TABLE["copy"](np.broadcast_to(filled, size))


def _like(name: str) -> Callable[..., Any]:
    def make(prototype: Any, *args: Any, **kwargs: Any) -> Any:
        if has_traced(prototype) and type(prototype) is not Buffer:
            return call(ORIGINAL[name], (to_array(prototype), *args), kwargs)
        plain = np.ndarray.view(prototype, np.ndarray) if type(prototype) is Buffer else prototype
        if name == "full_like" and any(map(has_traced, (*args, *kwargs.values()))):
            return _full(kwargs.pop("shape", plain.shape), *args, **kwargs)
        return _buffer(ORIGINAL[name](plain, *args, **kwargs))

    return make


def listing(original: Any, parts: bool) -> Callable[..., Any]:
    """A NumPy function that dispatches on its arguments, but not on what lists hold."""

    def convert(*args: Any, **kwargs: Any) -> Any:
        if args:
            kind = type(args[0])
            if kind is Tracer:  # NumPy would come to the same handler by a longer way
                if len(args) == 1 and not kwargs:
                    return TABLE[original](args[0])
                return call(original, args, kwargs)
            if kind in (list, tuple, np.ndarray) and has_traced(args[0]):
                if parts:
                    return rewrapped(call(original, args, kwargs), args[0])
                args = (to_array(args[0]), *args[1:])
            elif len(args) > 1 and type(args[1]) in (Tracer, list, tuple) and has_traced(args[1]):
                # np.take(table, positions): NumPy looks at the first argument only.
                return call(original, args, kwargs)
        return original(*args, **kwargs)

    return convert


def on_traced(original: Callable[..., Any]) -> Callable[..., Any]:
    """A function that nothing dispatches, with its handler for traced arguments."""

    def convert(*args: Any, **kwargs: Any) -> Any:
        if any(map(has_traced, (*args, *kwargs.values()))):
            return call(original, args, kwargs)
        return original(*args, **kwargs)

    return convert


_CREATORS = ("zeros", "ones", "empty", "eye", "identity", "arange", "linspace", "full")
_CONVERTERS = ("asarray", "asanyarray", "ascontiguousarray", "asfortranarray")
_LIKES = ("zeros_like", "ones_like", "empty_like", "full_like")
ORIGINAL: dict[str, Any] = {
    name: getattr(np, name) for name in ("array", *_CREATORS, *_CONVERTERS, *_LIKES)
}
# What stands for NumPy's functions of these names while a trace runs.
REPLACEMENTS: dict[str, Callable[..., Any]] = {
    "array": _array,
    "full": _full,
    **{name: _made(name) for name in _CREATORS if name != "full"},
    **{name: _as_array(name) for name in _CONVERTERS},
    **{name: _like(name) for name in _LIKES},
}
