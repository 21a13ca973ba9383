"""Random numbers drawn where a function is recorded once, for all calls or turns: refused."""

from __future__ import annotations

import functools
import random
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule.base.errors import TraceError
from chainrule.base.place import Place
from chainrule.base.standin import StandIn

_local = threading.local()
_lock = threading.Lock()
_running = 0

_NORMAL = "cr.random.normal(seed, shape)"
_UNIFORM = "cr.random.uniform(seed, shape)"
_PERMUTATION = "cr.random.permutation(seed, x)"
_CHOICE = "cr.random.choice(seed, a, shape)"
_KEY = "cr.random.key(seed)"
_BEFORE = "or draw them all before the loop, and read some of them at every turn"

# What draws the same with a seed: a name of np.random or random → a call of cr.random.
_INSTEAD = {
    "choice": _CHOICE,
    "choices": _CHOICE,
    "default_rng": _KEY,
    "expovariate": "cr.random.exponential(seed, shape, 1 / lambd)",
    "exponential": "cr.random.exponential(seed, shape, scale)",
    "gauss": "cr.random.normal(seed, shape, mu, sigma)",
    "Generator": _KEY,
    "getrandbits": "cr.random.bits(seed, shape)",
    "gumbel": "cr.random.gumbel(seed, shape, loc, scale)",
    "normal": "cr.random.normal(seed, shape, loc, scale)",
    "normalvariate": "cr.random.normal(seed, shape, mu, sigma)",
    "permutation": _PERMUTATION,
    "rand": _UNIFORM,
    "randint": "cr.random.integers(seed, low, high, shape)",
    "randn": _NORMAL,
    "random": _UNIFORM,
    "Random": _KEY,
    "random_integers": "cr.random.integers(seed, low, high + 1, shape)",
    "random_sample": _UNIFORM,
    "RandomState": _KEY,
    "randrange": "cr.random.integers(seed, low, high, shape)",
    "ranf": _UNIFORM,
    "sample": _UNIFORM,
    "seed": _KEY,
    "shuffle": _PERMUTATION,
    "standard_exponential": "cr.random.exponential(seed, shape)",
    "standard_normal": _NORMAL,
    "uniform": "cr.random.uniform(seed, shape, low, high)",
}
_MAKERS = tuple(name for name, instead in _INSTEAD.items() if instead == _KEY and name != "seed")


def _refuse(name: str, given: Iterable[Any]) -> None:
    """Raise, if this thread records for later, unless it's this package that asks.

    A generator that a loop's body makes from a seed is the same at every turn anyhow.
    """
    recorded = getattr(_local, "recorded", None)
    if not recorded:
        return
    if all(recorded) and name.rpartition(".")[2] in _MAKERS and any(a is not None for a in given):
        return
    caller = sys._getframe(2).f_globals.get("__name__", "")
    if caller.partition(".")[0] != __name__.partition(".")[0]:
        raise frozen(name, recorded[-1])


class _Refused(StandIn):
    """Stands for a function that draws numbers: an error on threads that record just now."""

    def __init__(self, original: Callable[..., Any], name: str) -> None:
        super().__init__(original)
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        _refuse(self.name, (*args, *kwargs.values()))
        return self.original(*args, **kwargs)

    def __reduce__(self) -> Any:
        return self.original.__reduce__()


class _RefusedClass(type):
    """Stands for a class of generators in the same way; its instances are the class's own."""

    original: type
    name: str

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        _refuse(cls.name, (*args, *kwargs.values()))
        return cls.original(*args, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.original)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.original)

    def __repr__(cls) -> str:
        return repr(cls.original)


def _stand_in(value: Any, name: str) -> Any:
    if isinstance(value, type):
        return _RefusedClass(value.__name__, (), {"original": value, "name": name})
    return _Refused(value, name)


def frozen(name: str, loop: str = "", where: Place | str | None = None) -> TraceError:
    """The error for numbers that would be drawn only once, for a whole loop or for all calls."""
    plain = name.rpartition(".")[2]
    instead = _INSTEAD.get(plain)
    if instead == _KEY:
        fix = f"make a key with {_KEY} and draw with {_NORMAL.replace('seed', 'key')};\n"
    elif instead is not None:
        fix = f"use {instead}, whose numbers follow from a seed;\n"
    else:
        fix = f"draw them with cr.random, whose numbers follow from a seed: {_NORMAL};\n"
    place, time = (f"cr.{loop}", "turn") if loop else ("a function compiled by cr.jit", "call")
    return TraceError(
        f"{name} inside {place} would give the same numbers at every {time}",
        fix=fix + (_BEFORE if loop else "or pass the numbers as an argument"),
        where=where,
    )


@functools.lru_cache(maxsize=1)
def _replaced() -> tuple[tuple[dict[str, Any], dict[str, Any], dict[str, Any]], ...]:
    """(namespace, replacements, originals) of NumPy's and Python's own functions."""
    found = []
    for namespace, prefix, owner in (
        (np.random.__dict__, "np.random", np.random.mtrand._rand),
        (random.__dict__, "random", random.random.__self__),  # type: ignore[attr-defined]
    ):
        old = {
            name: value
            for name, value in namespace.items()
            if not name.startswith("_")
            and (getattr(value, "__self__", None) is owner or name in _MAKERS)
        }
        new = {name: _stand_in(value, f"{prefix}.{name}") for name, value in old.items()}
        found.append((namespace, new, old))
    return tuple(found)


@contextmanager
def without_randomness(loop: str = "") -> Iterator[None]:
    """While a loop's body or a whole function is recorded: drawing on this thread is an error."""
    global _running
    with _lock:
        _running += 1
        if _running == 1:
            for namespace, new, _ in _replaced():
                namespace.update(new)
    _local.recorded = (*getattr(_local, "recorded", ()), loop)
    try:
        yield
    finally:
        _local.recorded = _local.recorded[:-1]
        with _lock:
            _running -= 1
            if _running == 0:
                for namespace, _, old in _replaced():
                    namespace.update(old)
