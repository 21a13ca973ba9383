"""What the user calls an array that a function takes from outside its arguments."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from chainrule.base.trees import flatten, paths

_PLAIN = (np.ndarray, np.generic)
_TREES = (dict, list, tuple)
_MOST_LEAVES = 10_000  # more are data, whose names nobody reads


def names_of_captured(f: Callable[..., Any], copies: bool = True) -> Callable[[Any], str | None]:
    """A function from an array to the name under which `f` knows it, or None.

    With `copies`, an array counts that has the contents of exactly one that f knows.
    """
    known = [(label, array) for label, array in _arrays(f)]
    by_id = {id(array): label for label, array in reversed(known)}

    def name(value: Any) -> str | None:
        if id(value) in by_id or not copies:
            return by_id.get(id(value))
        alike = {id(array): label for label, array in known if _same(array, value)}
        return next(iter(alike.values())) if len(alike) == 1 else None

    return name


def _same(array: Any, value: Any) -> bool:
    if array.shape != value.shape or array.dtype != value.dtype:
        return False
    return bool(array.tobytes() == value.tobytes())


def _arrays(f: Callable[..., Any]) -> Iterator[tuple[str, Any]]:
    """The arrays in the closure and among the globals of f, with their names."""
    function = inspect.unwrap(f)
    yield from _weights(function)
    yield from _weights(getattr(function, "__self__", None))
    function = getattr(function, "__func__", function)
    try:
        outer = inspect.getclosurevars(function)
    except (TypeError, ValueError):  # no function written in Python, or not all is bound yet
        return
    for label, value in (*outer.nonlocals.items(), *outer.globals.items()):
        yield from _weights(value)
        if not isinstance(value, (*_PLAIN, *_TREES)):
            continue
        leaves = flatten(value)[0]
        if len(leaves) > _MOST_LEAVES or not any(isinstance(leaf, _PLAIN) for leaf in leaves):
            continue
        for leaf, tail in zip(leaves, paths(value), strict=True):
            if isinstance(leaf, _PLAIN):
                yield label + tail, leaf


def _weights(value: Any) -> Iterator[tuple[str, Any]]:
    """The weights of a network: it says itself what they are called."""
    by_path = getattr(type(value), "weights_by_path", None)
    if by_path is not None:
        yield from ((path, w.value) for path, w in by_path(value).items() if w.value is not None)
