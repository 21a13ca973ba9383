"""What NumPy doesn't dispatch: creating arrays, lists of traced values, and `math`.

While a trace runs, the functions below are replaced in NumPy's and math's namespaces by versions
that recognise traced values on the tracing thread, and call the original otherwise. Entering is
counted, so that traces may overlap on several threads; the last one out restores everything.
"""

from __future__ import annotations

import functools
import math
import sys
import threading
from collections.abc import Callable
from importlib.machinery import ExtensionFileLoader, ModuleSpec, SourceFileLoader
from types import FunctionType, ModuleType, TracebackType
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError, DtypeError, UnsupportedError
from chainrule.tracing.buffer import Buffer
from chainrule.tracing.operands import not_numbers, numeric, refuse_masked, refuse_other_rules
from chainrule.tracing.table import (
    INSIDE_SCIPY,
    RESOLVERS,
    SCIPY_SPECIAL,
    TABLE,
    TAKES_LISTS,
    TAKES_PARTS,
    call,
)
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
    return numeric(_ORIGINAL["asarray"](value))


def to_array(value: Any, dtype: Any = None) -> Any:
    """np.array(value) where traced values may sit anywhere inside nested lists."""
    if type(value) in RESOLVERS:
        value = resolve(value)
    if type(value) is Tracer:
        return value if dtype is None else TABLE["astype"](value, dtype)
    if isinstance(value, np.ndarray) and value.dtype.hasobject and has_traced(value):
        value = value.tolist()
    if type(value) in (list, tuple) and has_traced(value):
        parts = [to_array(part) for part in value]
        if any(type(part) is Tracer for part in parts):
            parts = [part if type(part) is Tracer else numeric(part) for part in parts]
            stacked = TABLE["stack"](parts)
            if stacked.ndim > 2:  # NumPy's copy of a list lies in C order, whatever its parts do
                stacked = TABLE["copy"](stacked, "C")
            return stacked if dtype is None else TABLE["astype"](stacked, dtype)
        value = parts
    return _ORIGINAL["array"](value, dtype=dtype)


# ---- the replacements ----------------------------------------------------------------------------


def _array(
    value: Any, dtype: Any = None, *, copy: Any = True, ndmin: int = 0, **kwargs: Any
) -> Any:
    # NumPy's own enumeration of copy modes refuses to be a truth value.
    copied = copy not in (None, False, np._CopyMode.IF_NEEDED, np._CopyMode.NEVER)
    if not has_traced(value):
        made = _ORIGINAL["array"](value, dtype=dtype, copy=copy, ndmin=ndmin, **kwargs)
        return _buffer(made) if type(made) is np.ndarray and copied else made
    result = to_array(value, dtype)
    if kwargs.get("subok") and sys._getframe(2).f_globals.get("__name__") == "numpy.ma.core":
        refuse_masked(result)
    if type(result) is not Tracer:
        made = _ORIGINAL["array"](result, copy=copy, ndmin=ndmin, **kwargs)
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
        made = _ORIGINAL[name](value, dtype, *args, **kwargs)
        return _buffer(made) if type(value) in (list, tuple) else made

    return convert


def _made(name: str) -> Callable[..., Any]:
    def make(*args: Any, **kwargs: Any) -> Any:
        try:
            return _buffer(_ORIGINAL[name](*args, **kwargs))
        except TypeError as error:
            if isinstance(error, ChainruleError) or not any(map(has_traced, args)):
                raise
            raise DtypeError(
                f"np.{name}: a traced floating-point value can't be a size",
                {"arguments": ", ".join(map(repr, args))[:80]},
                "convert it first: int(n)",
            ) from None

    return make


def _buffer(array: Any) -> Any:
    if type(array) is np.ndarray and array.dtype.kind in "fciub":
        return array.view(Buffer) if array.base is None else array.copy().view(Buffer)
    return array


def _full(shape: Any, fill_value: Any, dtype: Any = None, **kwargs: Any) -> Any:
    if not has_traced(fill_value):
        return _buffer(_ORIGINAL["full"](shape, fill_value, dtype, **kwargs))
    filled = to_array(fill_value, dtype)
    size = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    return TABLE["copy"](np.broadcast_to(filled, size))


def _like(name: str) -> Callable[..., Any]:
    def make(prototype: Any, *args: Any, **kwargs: Any) -> Any:
        if has_traced(prototype) and type(prototype) is not Buffer:
            return call(_ORIGINAL[name], (to_array(prototype), *args), kwargs)
        plain = np.ndarray.view(prototype, np.ndarray) if type(prototype) is Buffer else prototype
        if name == "full_like" and any(map(has_traced, (*args, *kwargs.values()))):
            return _full(kwargs.pop("shape", plain.shape), *args, **kwargs)
        return _buffer(_ORIGINAL[name](plain, *args, **kwargs))

    return make


def _listing(original: Any, parts: bool) -> Callable[..., Any]:
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
                    return call(original, args, kwargs)
                args = (to_array(args[0]), *args[1:])
            elif len(args) > 1 and type(args[1]) in (Tracer, list, tuple) and has_traced(args[1]):
                # np.take(table, positions): NumPy looks at the first argument only.
                return call(original, args, kwargs)
        return original(*args, **kwargs)

    return convert


_CREATORS = ("zeros", "ones", "empty", "eye", "identity", "arange", "linspace", "full")
_CONVERTERS = ("asarray", "asanyarray", "ascontiguousarray", "asfortranarray")
_LIKES = ("zeros_like", "ones_like", "empty_like", "full_like")
_ORIGINAL: dict[str, Any] = {
    name: getattr(np, name) for name in ("array", *_CREATORS, *_CONVERTERS, *_LIKES)
}

_MATH = {
    name: getattr(np, name)
    for name in (
        "sin cos tan sinh cosh tanh exp expm1 exp2 log log1p log2 log10 sqrt cbrt hypot fabs "
        "degrees radians isfinite isinf isnan copysign fmod"
    ).split()
}
_MATH |= {
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh, "atan2": np.arctan2, "pow": np.power,
}  # fmt: skip
_MATH_SPECIAL = {"erf": "erf", "erfc": "erfc", "lgamma": "gammaln", "gamma": "gamma"}


_local = threading.local()
_lock = threading.Lock()
_traces_running = 0


class _Guard:
    """Stands for a function: the replacement on threads that trace, the original on all others."""

    def __init__(self, original: Any, replacement: Callable[..., Any]) -> None:
        functools.update_wrapper(self, original)
        self.original = original
        self.replacement = replacement

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if getattr(_local, "depth", 0):
            return self.replacement(*args, **kwargs)
        return self.original(*args, **kwargs)

    def __repr__(self) -> str:
        return repr(self.original)

    def __reduce__(self) -> Any:
        # A name bound during a trace (`from numpy import zeros`) is kept and pickled as NumPy's.
        return _named, (self.original.__module__, self.original.__name__)


def _named(module: str, name: str) -> Any:
    return getattr(sys.modules[module], name)


class _MathGuard(_Guard):
    """A function of `math`, which takes traced values wherever it is called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        for a in args:
            if type(a) is Tracer or type(a) is Buffer:
                return self.replacement(*args)
        return self.original(*args, **kwargs)


def _hypot(*legs: Any) -> Any:
    return functools.reduce(np.hypot, legs) if len(legs) > 1 else np.absolute(*legs)


def _log(x: Any, *base: Any) -> Any:
    return np.log(x) if not base else np.log(x) / np.log(base[0])


class _Swap:
    """The replaced names of one namespace: what stands there, and what replaces it."""

    def __init__(self, namespace: dict[str, Any], new: dict[str, Any]) -> None:
        self.namespace = namespace
        self.new = new
        self.old = {name: namespace[name] for name in new}

    def enter(self) -> None:
        self.namespace.update(self.new)

    def leave(self) -> None:
        self.namespace.update(self.old)


def _numpy_replacements() -> dict[str, Any]:
    new: dict[str, Any] = {"array": _array, "full": _full}
    new |= {name: _made(name) for name in _CREATORS if name != "full"}
    new |= {name: _as_array(name) for name in _CONVERTERS}
    new |= {name: _like(name) for name in _LIKES}
    return {name: _Guard(_ORIGINAL[name], replacement) for name, replacement in new.items()}


def _list_replacements(prefix: str, namespace: dict[str, Any]) -> dict[str, Any]:
    new = {}
    for full_name in (*TAKES_LISTS, *TAKES_PARTS):
        folder, _, name = full_name.rpartition(".")
        if folder == prefix and name in namespace:
            original = namespace[name]
            new[name] = _Guard(original, _listing(original, full_name in TAKES_PARTS))
    return new


def _math_replacements() -> dict[str, Any]:
    new: dict[str, Any] = {}
    for name, ufunc in _MATH.items():
        original = getattr(math, name, None)
        if original is not None:
            new[name] = _MathGuard(original, ufunc)
    for name, special in _MATH_SPECIAL.items():
        new[name] = _MathGuard(getattr(math, name), _special(special))
    new["log"] = _MathGuard(math.log, _log)
    new["hypot"] = _MathGuard(math.hypot, _hypot)
    return new


def _special(name: str) -> Callable[..., Any]:
    return lambda *args: SCIPY_SPECIAL[name](*args)


def _special_replacements(
    namespace: dict[str, Any], handlers: dict[str, Callable[..., Any]]
) -> dict[str, Any]:
    """SciPy's functions written in Python, which nothing dispatches."""
    new = {}
    for name, handler in handlers.items():
        original = namespace.get(name)
        if isinstance(original, FunctionType):
            TABLE[original] = handler
            new[name] = _Guard(original, _on_traced(original))
    return new


def _on_traced(original: Callable[..., Any]) -> Callable[..., Any]:
    def convert(*args: Any, **kwargs: Any) -> Any:
        if any(map(has_traced, (*args, *kwargs.values()))):
            return call(original, args, kwargs)
        return original(*args, **kwargs)

    return convert


def _swaps() -> tuple[_Swap, ...]:
    """What is replaced; scipy.special only once somebody has imported it."""
    if "scipy.special" not in sys.modules:
        return _numpy_swaps()
    return (*_numpy_swaps(), *_special_swaps())


@functools.lru_cache(maxsize=1)
def _special_swaps() -> tuple[_Swap, ...]:
    namespaces = {name: vars(sys.modules[name]) for name in INSIDE_SCIPY if name in sys.modules}
    return tuple(
        _Swap(namespace, _special_replacements(namespace, INSIDE_SCIPY[name]))
        for name, namespace in namespaces.items()
    )


@functools.lru_cache(maxsize=1)
def _numpy_swaps() -> tuple[_Swap, ...]:
    numpy_names = _numpy_replacements() | _list_replacements("np", np.__dict__)
    numpy_names |= TABLE["index_tricks"]()
    return (
        _Swap(np.__dict__, numpy_names),
        _Swap(np.linalg.__dict__, _list_replacements("np.linalg", np.linalg.__dict__)),
        _Swap(math.__dict__, _math_replacements()),
    )


class swapped:
    """For its duration, creation functions on this thread recognise traced values."""

    def __enter__(self) -> None:
        depth = getattr(_local, "depth", 0)
        if depth == 0:
            _enter()
        _local.depth = depth + 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _local.depth -= 1
        if _local.depth == 0:
            _leave()
        if isinstance(error, ValueError) and isinstance(error.__cause__, ChainruleError):
            # NumPy hides what a traced value says about itself behind "setting an array element".
            raise error.__cause__ from None


def _enter() -> None:
    global _traces_running
    swaps = _swaps()
    with _lock:
        _traces_running += 1
        if _traces_running == 1:
            for swap in swaps:
                swap.enter()


def _leave() -> None:
    global _traces_running
    with _lock:
        _traces_running -= 1
        if _traces_running == 0:
            for swap in _swaps():
                swap.leave()


class _Imports:
    """Modules that a traced function is the first to import find NumPy as it is.

    They bind the names they see and run code of their own, and both outlast the trace: np.ma makes
    its constants when it's first named.
    """

    def find_spec(
        self, name: str, path: Any = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not getattr(_local, "depth", 0):
            return None
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    # These loaders are made for one module each.
                    if isinstance(spec.loader, (SourceFileLoader, ExtensionFileLoader)):
                        run = spec.loader.exec_module
                        setattr(spec.loader, "exec_module", functools.partial(_untraced, run))
                    return spec
        return None


def _untraced(run: Callable[[ModuleType], None], module: ModuleType) -> None:
    """Run a module's code as if this thread weren't tracing."""
    depth, _local.depth = getattr(_local, "depth", 0), 0
    if depth:
        _leave()
    try:
        run(module)
    finally:
        if depth:
            _enter()
        _local.depth = depth


sys.meta_path.insert(0, _Imports())


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
