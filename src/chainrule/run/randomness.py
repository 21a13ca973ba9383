"""Random numbers drawn while a function is compiled would be the same at every call: refused."""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from chainrule.base.errors import TraceError
from chainrule.base.place import Place

_local = threading.local()
_lock = threading.Lock()
_running = 0

_FIX = (
    "draw them with cr.random, whose numbers follow from a seed: cr.random.normal(seed, shape);\n"
    "or pass them as an argument"
)


class _Refused:
    """Stands for a function that draws numbers: an error on threads that compile just now."""

    def __init__(self, original: Callable[..., Any], name: str) -> None:
        functools.update_wrapper(self, original)
        self.original = original
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if getattr(_local, "depth", 0) and not self._seeded(args, kwargs):
            raise frozen(self.name)
        return self.original(*args, **kwargs)

    def _seeded(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """A generator with a seed of its own gives the same numbers at every call anyway."""
        seeds = (*args, *kwargs.values())
        return self.name == "np.random.default_rng" and bool(seeds) and seeds[0] is not None

    def __repr__(self) -> str:
        return repr(self.original)

    def __reduce__(self) -> Any:
        return self.original.__reduce__()


def frozen(name: str, where: Place | str | None = None) -> TraceError:
    """The error for numbers that would be drawn only once."""
    return TraceError(
        f"{name} inside a function compiled by cr.jit would give the same numbers at every call",
        fix=_FIX,
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
            and (getattr(value, "__self__", None) is owner or name == "default_rng")
        }
        new = {name: _Refused(value, f"{prefix}.{name}") for name, value in old.items()}
        found.append((namespace, new, old))
    return tuple(found)


@contextmanager
def without_randomness() -> Iterator[None]:
    """For its duration, drawing numbers on this thread is an error."""
    global _running
    with _lock:
        _running += 1
        if _running == 1:
            for namespace, new, _ in _replaced():
                namespace.update(new)
    _local.depth = getattr(_local, "depth", 0) + 1
    try:
        yield
    finally:
        _local.depth -= 1
        with _lock:
            _running -= 1
            if _running == 0:
                for namespace, _, old in _replaced():
                    namespace.update(old)


# ---- generators of the user's --------------------------------------------------------------------


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
