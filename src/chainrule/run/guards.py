"""What a function depends on besides its arguments, and whether that is still as it was.

A traced function is the function at one moment: globals, closures, defaults, attributes and items
that it reads had certain values. They're found by walking its code, never by running it. At every
call the same objects must still stand in the same places; where one doesn't, everything is looked
at again, by value.
"""

from __future__ import annotations

import functools
import inspect
import operator
import random
import sys
import types
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from chainrule.run.reach import Territory, reads
from chainrule.run.signature import typed_key
from chainrule.tracing.table import RESOLVERS
from chainrule.tracing.tracer import Tracer

_F = TypeVar("_F", bound=Callable[..., Any])
_MISSING: Any = object()
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), np.generic, np.dtype)
_WRAPPERS = (staticmethod, classmethod, property, functools.cached_property)
_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
_MAKING = ("__init__", "__new__", "__post_init__", "__init_subclass__", "__set_name__")
_MOST_OBJECTS = 100_000
_DEEPEST = 60
_ROUNDS = 12


class State:
    """A function's surroundings at one moment.

    Attributes:
        pairs: (dictionary, key, object): quick to check, also by address.
        cells: (cell, object), the same for closures.
        attributes: (object, name, value), of functions and of classes with slots.
        members: (dictionary of a class or an object, name, value or nothing).
        items: (container, its items).
        facts: (label, what is known of it): equal facts mean an equal function.
        arrays: (label, array): whose numbers are not in the facts.
        generators: random generators.
        traced: whether a value of a trace that is still open is among all this.
    """

    def __init__(self) -> None:
        self.pairs: list[tuple[dict[str, Any], str, Any]] = []
        self.cells: list[tuple[types.CellType, Any]] = []
        self.attributes: list[tuple[Any, str, Any]] = []
        self.members: list[tuple[Any, str, Any]] = []
        self.items: list[tuple[Any, tuple[Any, ...]]] = []
        self.facts: list[tuple[str, Any]] = []
        self.arrays: list[tuple[str, np.ndarray]] = []
        self.generators: list[Any] = []
        self.traced = False

    def holds(self) -> bool:
        """Whether every object is where it was."""
        for holder, key, value in self.pairs:
            if holder.get(key, _MISSING) is not value:
                return False
        for cell, value in self.cells:
            if _content(cell) is not value:
                return False
        for owner, name, value in self.attributes:
            if getattr(owner, name, _MISSING) is not value:
                return False
        for members, name, value in self.members:
            if members.get(name, _MISSING) is not value:
                return False
        return all(_unchanged(container, held) for container, held in self.items)

    def difference(self, other: State) -> str:
        """The label of the first fact in which two states differ."""
        for mine, theirs in zip(self.facts, other.facts, strict=False):
            if mine != theirs:
                return mine[0]
        return ""


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # nothing has been assigned yet
        return _MISSING


def _unchanged(container: Any, held: tuple[Any, ...]) -> bool:
    try:
        return len(container) == len(held) and all(map(operator.is_, container, held))
    except RuntimeError:  # another thread adds to it
        return False


def survey(f: Callable[..., Any], roots: Sequence[tuple[str, Any]] = ()) -> State:
    """The surroundings of a function, as they are now.

    Args:
        roots: (label, object): what else it reads, such as objects among its arguments.
    """
    territory = Territory(getattr(inspect.unwrap(f), "__module__", None))
    watching = not getattr(inspect.unwrap(f), "__settled__", False)
    names: set[str] = set()
    everything = False
    for _ in range(_ROUNDS):
        walk = _Walk(territory, frozenset(names), everything, watching)
        walk.visit(f, getattr(f, "__name__", "f"))
        for label, root in roots:
            walk.visit(root, label)
        if walk.names_met <= names and walk.everything_met <= everything:
            break
        # Code that was met names attributes, behind which there may be more code.
        names |= walk.names_met
        everything = everything or walk.everything_met
    return walk.state


def settled(f: _F) -> _F:
    """Mark a function that is given what its layers hold: it doesn't follow changes of theirs."""
    f.__settled__ = True  # type: ignore[attr-defined]
    return f


class _Walk:
    def __init__(
        self, territory: Territory, names: frozenset[str], everything: bool, watching: bool
    ) -> None:
        self.territory = territory
        self.watching = watching
        self.names = names
        self.everything = everything
        self.names_met: set[str] = set()
        self.everything_met = False
        self.state = State()
        self.seen: dict[int, str] = {}
        self.classes: set[tuple[type, bool]] = set()
        self.watched: set[tuple[int, str]] = set()
        self.kept: list[Any] = []  # so that no id is used twice meanwhile

    def visit(self, value: Any, label: str, depth: int = 0) -> None:
        if isinstance(value, _PLAIN):
            self._fact(label, typed_key(value))
            return
        known = self.seen.get(id(value))
        if known is not None:
            self._fact(label, ("as", known))
            return
        self.seen[id(value)] = label
        self.kept.append(value)
        if depth > _DEEPEST or len(self.kept) > _MOST_OBJECTS:
            self._fact(label, Same(value))
            return
        self._object(value, label, depth + 1)

    def _fact(self, label: str, fact: Any) -> None:
        self.state.facts.append((label, fact))

    def _object(self, value: Any, label: str, depth: int) -> None:
        kind = type(value)
        if kind is Tracer or kind in RESOLVERS:
            self._traced(value, label)
        elif isinstance(value, np.ndarray):
            self._fact(label, (kind, value.shape, value.dtype))
            self.state.arrays.append((label, value))
        elif isinstance(value, types.FunctionType):
            self._function(value, label, depth)
        elif isinstance(value, types.MethodType):
            self._fact(label, kind)
            self.visit(value.__func__, label, depth)
            self.visit(value.__self__, "self", depth)
        elif isinstance(value, types.BuiltinFunctionType):
            self._fact(label, Same(value))
            self._generator(value.__self__)
        elif isinstance(value, types.ModuleType):
            self._module(value, label, depth)
        elif isinstance(value, type):
            self._class(value, label, depth)
        elif isinstance(value, (list, tuple, dict, set, frozenset)):
            self._container(value, label, depth)
        elif isinstance(value, functools.partial):
            self._fact(label, kind)
            for name in ("func", "args", "keywords"):
                self.visit(getattr(value, name), label, depth)
        elif isinstance(value, _WRAPPERS):
            self._fact(label, kind)
            for name in ("__func__", "fget", "func"):
                self.visit(getattr(value, name, None), label, depth)
        else:
            self._instance(value, label, depth)

    def _traced(self, value: Any, label: str) -> None:
        """A traced value; one kept from a trace that is over is an error where it's used."""
        cell = value if type(value) is Tracer else value._cell
        self.state.traced = self.state.traced or (cell is not None and cell.owner.open)
        if cell is None:
            self._fact(label, (type(value), value.shape, value.dtype))
            self.state.arrays.append((label, value))
        else:
            self._fact(label, Same(value))

    def _generator(self, value: Any) -> None:
        if isinstance(value, _GENERATORS):
            self.state.generators.append(value)

    def _container(self, value: Any, label: str, depth: int) -> None:
        kind, items = type(value), self.state.items
        if isinstance(value, (set, frozenset)):
            held = tuple(value)
            if isinstance(value, set):
                items.append((value, held))
            self._fact(label, (kind, frozenset(map(_hashable_fact, held))))
        elif isinstance(value, dict):
            keys = tuple(value)
            items.append((value.keys(), keys))
            items.append((value.values(), tuple(value.values())))
            self._fact(label, (kind, tuple(map(_hashable_fact, keys))))
            for key in keys:
                self.visit(value.get(key), f"{label}[{key!r}]", depth)
        else:
            held = tuple(value)
            if isinstance(value, list):
                items.append((value, held))
            self._fact(label, (kind, len(held)))
            for k, item in enumerate(held):
                self.visit(item, f"{label}[{k}]", depth)

    # ---- code ------------------------------------------------------------------------------------

    def _function(self, f: types.FunctionType, label: str, depth: int) -> None:
        """Its code, and what that reads: cells, defaults, and for the user's own code globals."""
        state, code = self.state, f.__code__
        self._fact(label, code)
        state.attributes.append((f, "__code__", code))
        mine = self.territory.holds_code(code, f.__module__)
        for name, cell in zip(code.co_freevars, f.__closure__ or (), strict=True):
            value = _content(cell)
            if value is not _MISSING:
                state.cells.append((cell, value))
                self.visit(value, name, depth)
        self._defaults(f, depth)
        wrapped = f.__dict__.get("__wrapped__")
        if wrapped is not None:
            self.visit(wrapped, label, depth)
        if not mine:
            return
        read = reads(code)
        self.names_met |= read.names
        self.everything_met = self.everything_met or read.any_attribute
        for name in read.globals:
            self._entry(f.__globals__, name, name, depth)
        for name in read.imports:
            if name in sys.modules:
                self._entry(sys.modules, name, name, depth)

    def _defaults(self, f: types.FunctionType, depth: int) -> None:
        defaults, code = f.__defaults__, f.__code__
        if defaults:
            self.state.attributes.append((f, "__defaults__", defaults))
            names = code.co_varnames[: code.co_argcount][-len(defaults) :]
            for name, value in zip(names, defaults, strict=True):
                self.visit(value, name, depth)
        if f.__kwdefaults__:
            for name in f.__kwdefaults__:
                self._entry(f.__kwdefaults__, name, name, depth)

    def _entry(self, holder: dict[str, Any], key: str, label: str, depth: int) -> None:
        value = holder.get(key, _MISSING)
        if value is not _MISSING:
            self.state.pairs.append((holder, key, value))
            self.visit(value, label, depth)

    def _module(self, module: types.ModuleType, label: str, depth: int) -> None:
        self._fact(label, Same(module))
        if self.territory.holds_module(module):
            for name in sorted(self.names):
                if not name.startswith("__"):
                    self._entry(vars(module), name, f"{label}.{name}", depth)

    def _class(self, kind: type, label: str, depth: int) -> None:
        self._fact(label, Same(kind))
        self._members(kind, depth, made=True)

    def _members(self, kind: type, depth: int, *, made: bool) -> None:
        """What a class of the user's says; how objects are made, only where one may be `made`."""
        if (kind, made) in self.classes or not self.territory.holds_class(kind):
            return
        self.classes.add((kind, made))
        for base in kind.__mro__:
            if not self.territory.holds_class(base):
                continue
            for name, value in list(vars(base).items()):
                if name.startswith("__"):
                    met = isinstance(value, types.FunctionType) and (made or name not in _MAKING)
                else:
                    met = name in self.names
                if met:
                    self.state.members.append((vars(base), name, value))
                    self.visit(value, f"{base.__name__}.{name}", depth)

    def _instance(self, value: Any, label: str, depth: int) -> None:
        """Any other object: the attributes that code names, and what its class does."""
        kind = type(value)
        self._fact(label, Same(value))
        self._generator(value)
        own = getattr(value, "__dict__", None)
        if hasattr(kind, "__watched__"):
            # An optimiser, a layer: this package's code, which isn't walked, reads its attributes.
            for holder, name in value.__watched__(self.watching):
                if (id(holder), name) not in self.watched:  # layers tell of those inside them
                    self.watched.add((id(holder), name))
                    self._entry(holder, name, f"{label}.{name}", depth)
        if kind.__module__.partition(".")[0] == "chainrule":
            # A function wrapped by this package: what it wraps and its rules, not what it caches.
            for name, part in sorted(vars(value).items() if own else ()):
                if callable(part) and not isinstance(part, type):
                    self._entry(vars(value), name, label, depth)
            return
        wrapped = getattr(value, "__wrapped__", None)  # functools.lru_cache and the like
        if callable(wrapped):
            self.visit(wrapped, label, depth)
        self._members(kind, depth, made=False)
        if type(own) is dict:
            for name in sorted(own if self.everything else self.names & own.keys()):
                self._entry(own, name, f"{label}.{name}", depth)
            if self.everything:
                self.state.items.append((own.keys(), tuple(own)))
            for name in sorted(self.names - own.keys()):
                default = inspect.getattr_static(kind, name, None)
                if default is not None and not hasattr(default, "__get__"):
                    self.state.members.append((own, name, _MISSING))
        for name in [name for base in kind.__mro__ for name in _slots(base)]:
            if name in self.names or self.everything:
                found = getattr(value, name, _MISSING)
                self.state.attributes.append((value, name, found))
                if found is not _MISSING:
                    self.visit(found, f"{label}.{name}", depth)


def _slots(kind: type) -> tuple[str, ...]:
    found = vars(kind).get("__slots__", ())
    return (found,) if isinstance(found, str) else tuple(found)


class Same:
    """Equal only for one and the same object; doesn't keep it alive where that can be helped."""

    __slots__ = ("number", "reference")

    def __init__(self, value: Any) -> None:
        self.number = id(value)
        try:
            self.reference: Callable[[], Any] = weakref.ref(value)
        except TypeError:
            self.reference = lambda: value

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, Same) or self.number != other.number:
            return False
        return self.reference() is not None and self.reference() is other.reference()

    def __hash__(self) -> int:
        return self.number


def _hashable_fact(value: Any) -> Any:
    return typed_key(value) if isinstance(value, (*_PLAIN, tuple)) else Same(value)
