"""Generators of random numbers that a function draws from: those it names, and how far they are."""

from __future__ import annotations

import functools
import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from chainrule.base.place import INTERNAL, Place
from chainrule.tracing.randomness import frozen, without_randomness

_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
_MOST = 500  # objects that are looked at; a generator behind more of them isn't found
_PLAIN = (str, bytes, int, float, complex, type(None), type, np.ndarray, ModuleType)


@contextmanager
def without_drawing(f: Callable[..., Any], loop: str, where: Place | None) -> Iterator[None]:
    """While a loop's body is recorded, once for all turns: it can't draw from a generator either.

    `where` is where the loop stands.

    Raises:
        TraceError: it has drawn from one.
    """
    found = reachable(f)
    before = states(found)
    with without_randomness(loop):
        yield
    for generator, then, now in zip(found, before, states(found), strict=True):
        if then != now:
            raise frozen(f"a {type(generator).__name__} of random numbers", loop, where)


def reachable(f: Callable[..., Any]) -> list[Any]:
    """The generators that a function names: in cells, defaults, globals, and their attributes."""
    found: dict[int, Any] = {}
    met: set[int] = set()
    todo: deque[Any] = deque([f])  # what is near comes first
    while todo and len(met) < _MOST:
        value = todo.popleft()
        if isinstance(value, _PLAIN) or id(value) in met:
            continue
        met.add(id(value))
        if isinstance(value, _GENERATORS):
            found[id(value)] = value
        else:
            todo += _parts(value)
    return list(found.values())


def _parts(value: Any) -> list[Any]:
    if isinstance(value, FunctionType):
        return _of_function(value)
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, dict):
        return list(value.values())
    if isinstance(value, (list, tuple)):
        return list(value)
    attributes = getattr(value, "__dict__", None)
    return list(attributes.values()) if isinstance(attributes, dict) else []


def _of_function(f: FunctionType) -> list[Any]:
    parts = [*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()]
    for cell in f.__closure__ or ():
        try:
            parts.append(cell.cell_contents)
        except ValueError:  # nothing is in it yet
            continue
    if not INTERNAL[f.__code__.co_filename]:
        parts += [f.__globals__[name] for name in _names(f.__code__) if name in f.__globals__]
    return parts


def _names(code: CodeType) -> set[str]:
    inner = (part for part in code.co_consts if isinstance(part, CodeType))
    return set(code.co_names).union(*map(_names, inner))


def states(generators: Sequence[Any]) -> list[Any]:
    """How far each generator has come."""
    return [_state(generator) for generator in generators]


def _state(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return _plain(generator.bit_generator.state)
    if isinstance(generator, np.random.RandomState):
        return _plain(generator.get_state(legacy=False))
    return generator.getstate()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((key, _plain(part)) for key, part in value.items())
    return value.tobytes() if isinstance(value, np.ndarray) else value
