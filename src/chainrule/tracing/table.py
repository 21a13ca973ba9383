"""Which NumPy name is what: the one table that every protocol of a traced value looks into.

Operations enter themselves here, one searchable line each. Keys are NumPy's functions and ufuncs,
`(ufunc, "reduce")` for ufunc methods, and plain strings for what Python spells without a name
("getitem", "setitem", "copy").
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Mapping
from inspect import Parameter, signature
from typing import Any, TypeVar

import numpy as np

from chainrule.base.errors import UnsupportedError

Handler = Callable[..., Any]
F = TypeVar("F", bound=Handler)

TABLE: dict[Any, Handler] = {}
# scipy.special takes 240 ms to import, so its functions are known by name until it's there.
SCIPY_SPECIAL: dict[str, Handler] = {}
# Functions inside SciPy's Python code that have a handler: module → name → handler.
INSIDE_SCIPY: dict[str, dict[str, Handler]] = {"scipy.special": SCIPY_SPECIAL}
# NumPy names whose first argument may be a list of traced values, which NumPy does not dispatch.
TAKES_LISTS: dict[str, Handler] = {}
# The same for a list of arrays, each an argument of its own: the handler gets the list as it is.
TAKES_PARTS: dict[str, Handler] = {}
# How a value that isn't a tracer but holds traced values (a buffer) gives them.
RESOLVERS: dict[type, Callable[[Any], Any]] = {}
# Ufuncs whose handlers ask whether an operand is an untouched buffer of zeros.
KEEPS_BUFFERS: set[Any] = set()
# NumPy functions that write into their first argument: they get a buffer itself, not its values.
WRITERS: set[Any] = set()

_accepted: dict[Handler, tuple[int, frozenset[str]]] = {}


def implements(*keys: Any, lists: bool = False, parts: bool = False) -> Callable[[F], F]:
    """Enter a handler under NumPy's names; its signature says which arguments it supports.

    `lists=True`: NumPy accepts a list of numbers here, so a list of traced values is to work too.
    `parts=True`: it takes a list of arrays, which may be lists of traced values themselves.
    """

    def enter(handler: F) -> F:
        for key in keys:
            TABLE[key] = handler
            if lists:
                TAKES_LISTS[numpy_name(key)] = handler
            if parts and not isinstance(key, str):
                TAKES_PARTS[numpy_name(key)] = handler
        return handler

    return enter


def implements_special(*names: str) -> Callable[[F], F]:
    """Enter a handler for functions of scipy.special, without importing it."""

    def enter(handler: F) -> F:
        for name in names:
            SCIPY_SPECIAL[name] = handler
        return handler

    return enter


def lookup(function: Any, key: Any = None) -> Handler:
    """The handler of a NumPy or SciPy function; a clear error when there is none."""
    handler = TABLE.get(function if key is None else key)
    if handler is None:
        special = sys.modules.get("scipy.special")
        name = getattr(function, "__name__", "")
        if special is not None and getattr(special, name, None) is function:
            handler = SCIPY_SPECIAL.get(name)
    if handler is None:
        raise unsupported(function, key)
    return handler


def call(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], key: Any = None) -> Any:
    """Run a function's handler; an argument that the handler doesn't know is refused."""
    handler = lookup(function, key)
    count, names = _accepts(handler)
    if len(args) > count or (kwargs and not kwargs.keys() <= names and _ANY not in names):
        kwargs = _without_defaults(function, kwargs, names)
        if len(args) > count:
            raise UnsupportedError(
                f"{numpy_name(function)}: only the first {count} arguments can be traced",
                fix="leave out the others, or write them with traced operations",
            )
    return handler(*args, **kwargs)


_ANY = "**"


def _accepts(handler: Handler) -> tuple[int, frozenset[str]]:
    known = _accepted.get(handler)
    if known is None:
        parameters = signature(handler).parameters.values()
        count, names = 0, set()
        for p in parameters:
            if p.kind is Parameter.VAR_POSITIONAL:
                count = 1 << 30
            elif p.kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
                count += 1
            if p.kind in (Parameter.KEYWORD_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
                names.add(p.name)
            # By this name a handler says that it hands them on to a function of the user's.
            if p.kind is Parameter.VAR_KEYWORD and p.name == "kwargs":
                names.add(_ANY)
        known = _accepted[handler] = (count, frozenset(names))
    return known


def _without_defaults(
    function: Any, kwargs: Mapping[str, Any], names: frozenset[str]
) -> dict[str, Any]:
    """Drop unknown arguments that were given as nothing; refuse the others."""
    kept = {}
    for name, value in kwargs.items():
        if name in names:
            kept[name] = value
        elif value is not None and value is not np._NoValue and value not in _NOTHING.get(name, ()):
            raise UnsupportedError(
                f"{numpy_name(function)}: the argument {name}= can't be traced",
                {"given": f"{name}={value!r}"[:100]},
                _REMEDY.get(name, f"leave out {name}=, or write it with traced operations"),
            )
    return kept


_NOTHING: dict[str, tuple[Any, ...]] = {
    "casting": ("same_kind",),
    "order": ("K", "C", "A"),
    "subok": (True, False),
    "like": (),
    "where": (),
}
_REMEDY = {
    "out": "use the returned value; or write `buffer[...] = result`",
    "where": "use np.where(condition, result, other)",
    "casting": "convert with .astype(dtype) first",
}


def numpy_name(function: Any) -> str:
    """np.linalg.det, scipy.special.erf …: the name a user would type."""
    if isinstance(function, tuple):
        return f"{numpy_name(function[0])}.{function[1]}"
    name = getattr(function, "__name__", str(function))
    if isinstance(function, np.ufunc):
        return f"np.{name}" if getattr(np, name, None) is function else f"scipy.special.{name}"
    module = getattr(function, "__module__", None) or "numpy"
    if module.startswith("scipy.special."):  # its functions live in files of their own
        module = "scipy.special"
    return f"{module}.{name}".replace("numpy.", "np.", 1)


def supported_names() -> list[str]:
    """Every supported name, as a user types it, sorted."""
    names = {numpy_name(key) for key in TABLE if not isinstance(key, str)}
    return sorted(names | {f"scipy.special.{name}" for name in SCIPY_SPECIAL})


# Names that are no misspelling of anything: what to write instead.
_SHAPES = "its shape depends on values: keep every entry, and choose with np.where(condition, x, 0)"
_SETS = "unique unique_all unique_counts unique_inverse unique_values union1d intersect1d setdiff1d"
_INSTEAD = {
    **{f"np.{name}": _SHAPES for name in _SETS.split()},
    "np.histogram": "counts are flat; smooth them with a sum of np.exp(-((x - c) / h)**2)",
    "np.linalg.eig": "use np.linalg.eigh for symmetric matrices",
    "np.linalg.eigvals": "use np.linalg.eigvalsh for symmetric matrices",
    "np.vectorize": "use cr.vmap(f), or write the function for whole arrays",
}


def unsupported(function: Any, key: Any = None) -> UnsupportedError:
    """The one error for a name that can't be traced, with the nearest one that can."""
    name = numpy_name(function if key is None else key)
    fix = _INSTEAD.get(name)
    if fix is None:
        bare = {full.rpartition(".")[2]: full for full in reversed(supported_names())}
        near = difflib.get_close_matches(name.rpartition(".")[2], bare, n=1, cutoff=0.6)
        fix = "compute it on plain arrays outside the traced function"
        if near:
            fix = f"the nearest supported name is {bare[near[0]]}; or {fix}"
        else:
            fix = f"{fix}; docs/operations.md lists every supported name"
    return UnsupportedError(f"{name} can't be traced yet", fix=fix)
