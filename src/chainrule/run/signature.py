"""What a call looks like to the compiler: its leaves, their types, and what is fixed in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError
from chainrule.base.trees import are_leaves, flatten, paths, unflatten
from chainrule.run.template import Habit
from chainrule.tracing.operands import is_masked
from chainrule.tracing.table import RESOLVERS
from chainrule.tracing.trace import resolve
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import memory_order

_NUMBERS = (bool, int, float, complex)
_NUMERIC = "biufc"
_SCALARS = {
    kind
    for kind in {*np.sctypeDict.values()}
    if np.dtype(kind).kind in _NUMERIC
}  # fmt: skip
_KINDS = {*_NUMBERS, *_SCALARS}
_DTYPES = {np.dtype(kind) for kind in _SCALARS}
_LEAST, _MOST = -(2**63), 2**63 - 1

_MATRIX = "pass np.asarray(m), and write @ for products of matrices"
_MASKED = "pass x.filled(value) and the mask separately, and choose with np.where"


class Inline(Exception):
    """The function is to run as it is: a traced value is among its arguments."""


class Call(NamedTuple):
    """One call, taken apart.

    Args:
        leaves: arrays and numbers, as they go into the program.
        key: equal for calls that may share a program.
        bare: each argument is one leaf, and there's nothing else.
        turned: number of a leaf → the caller's array, which doesn't lie row by row in memory. The
            leaf is a copy that does, but what NumPy would answer with a view depends on it.
    """

    leaves: list[Any]
    key: tuple[Any, ...]
    bare: bool = False
    turned: Mapping[int, np.ndarray] = MappingProxyType({})


class Static(NamedTuple):
    """Some of the arguments: their positions, and what they are called."""

    positions: tuple[int, ...] = ()
    names: tuple[str, ...] = ()

    def bound(self) -> Static:
        """The same for a method, whose first argument is settled."""
        positions = tuple(n - 1 if n > 0 else n for n in self.positions if n != 0)
        return Static(positions, self.names)

    def of(self, args: Sequence[Any]) -> set[int]:
        return {n % len(args) for n in self.positions if -len(args) <= n < len(args)}


def take_apart(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], static: Static, habit: Habit
) -> Call:
    """Leaves and key of a call; `habit` knows what the arguments looked like before."""
    if not kwargs and not static.positions:
        key = _key(args)
        if key is not None:
            return Call(list(args), key, True)
    whole, fixed = _without_static(args, kwargs, static)
    usual = habit.leaves(whole)
    if usual is not None:
        key = _key(usual[0])
        if key is not None:
            return Call(usual[0], (usual[1], fixed, key))
        if are_leaves(usual[0]):
            return _general(args, kwargs, *usual, fixed)
    leaves, tree = flatten(whole)
    habit.note(tree)
    return _general(args, kwargs, leaves, tree, fixed)


def _key(leaves: Sequence[Any]) -> tuple[Any, ...] | None:
    """The kinds of arrays as the compiler wants them, and of numbers; None of anything else."""
    key: list[Any] = []
    for a in leaves:
        kind = type(a)
        if kind is np.ndarray:
            flags = a.flags
            if not (flags.c_contiguous and flags.aligned and a.dtype in _DTYPES):
                return None
            key.append(a.shape)
            key.append(a.dtype)
        elif kind in _KINDS and (kind is not int or _LEAST <= a <= _MOST):
            key.append(kind)
        else:
            return None
    return tuple(key)


def _general(
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    found: Sequence[Any],
    tree: Any,
    fixed: tuple[Any, ...],
) -> Call:
    leaves: list[Any] = []
    key: list[Any] = []
    turned: dict[int, np.ndarray] = {}
    for leaf in found:
        if not _is_dynamic(leaf):
            key.append(fixed_key(leaf))
            continue
        plain = _plain(leaf)
        if type(plain) is np.ndarray:
            key.append(plain.shape)
            key.append(plain.dtype)
            axes = memory_order(resolve(leaf))
            if axes is not None:
                key.append(axes)
                turned[len(leaves)] = resolve(leaf)
        else:
            key.append(type(plain))
        leaves.append(plain)
    bare = not kwargs and not fixed and len(found) == len(args) == len(leaves)
    if bare and all(leaf is a for leaf, a in zip(found, args, strict=True)):
        return Call(leaves, tuple(key), True, turned)
    return Call(leaves, (tree, fixed, tuple(key)), False, turned)


def _without_static(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], static: Static
) -> tuple[Any, tuple[Any, ...]]:
    """One tree of all arguments but the static ones, and the keys of these."""
    fixed: list[Any] = []
    places = static.of(args)
    if places or static.names:
        full = list(args)
        for k in sorted(places):
            fixed.append((k, _static_key(args[k], f"argument {k}")))
            full[k] = None
        args = tuple(full)
        named = dict(kwargs)
        for name in static.names:
            if name in named:
                fixed.append((name, _static_key(named[name], name)))
                named[name] = None
        kwargs = named
    return (args, dict(kwargs)) if kwargs else args, tuple(fixed)


def rebuilt(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], static: Static, leaves: Sequence[Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call, other leaves in place of its arrays and numbers."""
    found, tree = flatten(_without_static(args, kwargs, static)[0])
    following = iter(leaves)
    renewed = unflatten(tree, [next(following) if _is_dynamic(a) else a for a in found])
    positional, named = renewed if kwargs else (renewed, {})
    places = static.of(args)
    full = tuple(args[k] if k in places else a for k, a in enumerate(positional))
    return full, {name: kwargs[name] if name in static.names else a for name, a in named.items()}


def fixed_values(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], static: Static
) -> list[tuple[str, Any]]:
    """What of the arguments belongs to the function: it may be read from, and change."""
    found, _ = flatten(_without_static(args, kwargs, static)[0])
    values = [(f"argument {k}", args[k]) for k in sorted(static.of(args))]
    values += [(name, kwargs[name]) for name in static.names if name in kwargs]
    return values + [("an argument", a) for a in found if not _is_dynamic(a)]


def donated(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], static: Static, given_up: Static
) -> list[int]:
    """Which leaves belong to arguments that are given up."""
    skipped, chosen = static.of(args), given_up.of(args)
    parts = [(k in chosen, a) for k, a in enumerate(args) if k not in skipped]
    parts += [
        (name in given_up.names, a)
        for name, a in sorted(kwargs.items())
        if name not in static.names
    ]
    found: list[int] = []
    first = 0
    for wanted, a in parts:
        count = sum(map(_is_dynamic, flatten(a)[0]))
        found += range(first, first + count) if wanted else ()
        first += count
    return found


def leaf_names(
    args: tuple[Any, ...], kwargs: Mapping[str, Any], static: Static, parameters: Sequence[str]
) -> list[str]:
    """The user's name for each leaf: x, x.weight, x['a'], or argument 2."""
    places = static.of(args)
    named = [
        (parameters[k] if k < len(parameters) else f"argument {k}", a)
        for k, a in enumerate(args)
        if k not in places
    ]
    named += [(name, a) for name, a in sorted(kwargs.items()) if name not in static.names]
    names = []
    for name, a in named:
        leaves, _ = flatten(a)
        tails = paths(a) if len(leaves) != 1 or leaves[0] is not a else [""]
        names += [name + t for leaf, t in zip(leaves, tails, strict=True) if _is_dynamic(leaf)]
    return names


# ---- leaves --------------------------------------------------------------------------------------


def _is_dynamic(leaf: Any) -> bool:
    """Whether a leaf is an input of the program; everything but numbers and arrays is not."""
    kind = type(leaf)
    return kind in _KINDS or kind is Tracer or isinstance(leaf, np.ndarray)


def _plain(leaf: Any) -> Any:
    """A number, or an array that lies in memory as the compiler has it."""
    kind = type(leaf)
    if kind is int and not _LEAST <= leaf <= _MOST:
        raise Inline
    if kind in _KINDS:
        return leaf
    if kind in RESOLVERS or kind is Tracer:
        leaf = resolve(leaf)
        if type(leaf) is Tracer:
            raise Inline
        if not isinstance(leaf, np.ndarray):
            return leaf
    if kind is not np.ndarray:
        if is_masked(leaf):
            raise DtypeError("jit: masked arrays can't be compiled", fix=_MASKED)
        if isinstance(leaf, np.matrix):
            raise DtypeError("jit: np.matrix can't be compiled", fix=_MATRIX)
    return normal(leaf)


def normal(array: np.ndarray) -> np.ndarray:
    """An array as native code reads it: C order, aligned, this machine's byte order."""
    dtype = array.dtype
    if dtype.kind not in _NUMERIC:
        raise DtypeError(
            "jit: only arrays of numbers can be compiled",
            {"given": f"{dtype} array of shape {array.shape}"},
            "compute it outside, or name the argument in static_argnums",
        )
    if type(array) is not np.ndarray:
        array = array.view(np.ndarray)
    flags = array.flags
    if dtype.isnative and flags.c_contiguous and flags.aligned:
        return array
    return np.require(array, dtype.newbyteorder("="), ("C", "A"))


def fixed_key(value: Any) -> Any:
    """A key for a leaf that is no number: text and functions by value, objects by identity."""
    try:
        return typed_key(value)
    except TypeError:
        return _Same(value)


class _Same:
    """Equal only to itself: what can't be hashed."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def _static_key(value: Any, name: str) -> Any:
    try:
        return typed_key(value)
    except TypeError:
        raise ArgumentError(
            "jit: a static argument must be hashable, so that calls can be told apart",
            {name: f"{type(value).__name__} {value!r}"[:100]},
            "pass a tuple instead of a list or an array; or don't make it static",
        ) from None


def typed_key(value: Any) -> Any:
    """A key under which 1, 1.0 and True, or 0.0 and -0.0, are told apart."""
    kind = type(value)
    if kind is tuple:
        return tuple(map(typed_key, value))
    if kind in (float, complex):
        return kind, repr(value)
    if isinstance(value, np.generic):
        return kind, value.dtype, value.tobytes()
    hash(value)
    return kind, value
