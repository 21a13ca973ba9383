"""Names for the parts of a network: get by name, write as data, read back.

Layers, losses, metrics, optimisers, initialisers and the rest are entered by their definitions.
What is read back is looked up here and nowhere else, so a file can name nothing but these.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from chainrule.base.errors import ArgumentError

Entry = TypeVar("Entry", bound=Callable[..., Any])

_ANNOUNCED: dict[str, list[str]] = {}  # kind → modules with definitions that aren't read yet
_BASES: dict[str, Any] = {}  # kind → the class that all its objects extend
_ENTRIES: dict[tuple[str, str], Any] = {}  # (kind, name) → class or function
_KINDS: dict[Any, tuple[str, str]] = {}  # class or function → (kind, its first name)


def register(kind: str, *names: str) -> Callable[[Entry], Entry]:
    """Enter a class or function under its own name, its snake_case name and the names given.

    Args:
        kind: "layer", "loss", "metric", "optimizer", "schedule", "initializer", "regularizer",
            "activation", "constraint" or "callback".
        names: further names that `get` understands, such as "mse".

    Returns:
        A decorator that leaves the definition as it is.
    """

    def enter(entry: Entry) -> Entry:
        own = entry.__name__
        for name in dict.fromkeys((own, snake_case(own), *names)):
            if _ENTRIES.get((kind, name), entry) is not entry:
                raise ArgumentError(
                    f"two definitions of a {kind} have the same name",
                    {"name": name},
                    "rename one of them",
                )
            _ENTRIES[kind, name] = entry
        _KINDS[entry] = (kind, own)
        return entry

    return enter


def announce(kind: str, *modules: str) -> None:
    """Say which modules define entries of a kind; they are read when a name is first looked up."""
    _ANNOUNCED.setdefault(kind, []).extend(modules)


def _read_announced(kind: str) -> None:
    for module in _ANNOUNCED.pop(kind, ()):
        importlib.import_module(module)


def snake_case(name: str) -> str:
    """`Conv2DTranspose` → `conv2d_transpose`, as Keras writes names."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=\dD)(?=[A-Z])", "_", name).lower()


def look_up(kind: str, name: str) -> Any:
    """The class or function of this kind that a name stands for.

    Raises:
        ArgumentError: there is none; the message suggests the nearest names.
    """
    if (kind, name) not in _ENTRIES:
        _read_announced(kind)
    if (kind, name) in _ENTRIES:
        return _ENTRIES[kind, name]
    known = sorted({n for k, n in _ENTRIES if k == kind})
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    article = "an" if kind[0] in "aeiou" else "a"
    raise ArgumentError(
        f"no {kind} is called {name!r}",
        {"nearest": ", ".join(near) or "none", "known": str(len(known))},
        f"did you mean {near[0]!r}?"
        if near
        else f"pass {article} {kind} object or a function instead",
    )


def get(kind: str, identifier: Any) -> Any:
    """What an argument such as `activation=` or `loss=` means.

    Args:
        kind: as for `register`.
        identifier: None (stays None), a name, a config as `serialize` writes it, a class (made
            with its defaults), or an object or function, which is handed back.

    Returns:
        An object of the class that the name stands for, or the function.

    Raises:
        ArgumentError: an unknown name, or a config that doesn't fit.

    Example:
        >>> from chainrule.base.registry import get, register
        >>> @register("schedule")
        ... class Steady:
        ...     rate = 0.5
        >>> get("schedule", "steady").rate
        0.5
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        entry = look_up(kind, identifier)
        return entry() if inspect.isclass(entry) else entry
    if isinstance(identifier, Mapping):
        return deserialize(identifier, kind)
    if inspect.isclass(identifier):
        return identifier()
    if callable(identifier) or _is_of(kind, identifier):
        return identifier
    raise ArgumentError(
        f"{type(identifier).__name__} is no {kind}",
        {"given": repr(identifier)[:80]},
        f"pass a name, an object of a class of this kind ({kind}), or a function",
    )


def base_of(kind: str) -> Callable[[Entry], Entry]:
    """Say that objects of this class and of all that extend it are of a kind."""

    def enter(base: Entry) -> Entry:
        _BASES[kind] = base
        return base

    return enter


def _is_of(kind: str, thing: Any) -> bool:
    return kind in _BASES and isinstance(thing, _BASES[kind])


def serialize(entry: Any, kind: str | None = None) -> Any:
    """A registered object or function as plain data: names, numbers, lists and dicts.

    Args:
        entry: the object or function.
        kind: what it is, where an error has to say how to register it.

    Raises:
        ArgumentError: its class or the function is nowhere registered, so that it couldn't be
            read back.

    Example:
        >>> from chainrule.base.registry import register, serialize
        >>> @register("schedule")
        ... class Halving:
        ...     def get_config(self):
        ...         return {"every": 10}
        >>> serialize(Halving())
        {'kind': 'schedule', 'class_name': 'Halving', 'config': {'every': 10}}
    """
    if entry is None:
        return None
    function = inspect.isfunction(entry)
    definition = entry if function else type(entry)
    if definition not in _KINDS:
        named = getattr(definition, "__name__", repr(definition))
        raise ArgumentError(
            f"{named} can't be written as data, because nothing would know it on reading",
            {"known": "what @cr.nn.register enters"},
            f'enter it where it is defined: @cr.nn.register("{kind or _guess(definition)}")',
        )
    kind, name = _KINDS[definition]
    if function:
        return {"kind": kind, "class_name": name}
    return {"kind": kind, "class_name": name, "config": dict(_config(entry))}


def deserialize(config: Any, kind: str | None = None) -> Any:
    """The object or function that `serialize` wrote.

    Args:
        config: what `serialize` returned; None stays None.
        kind: what it has to be; without it, what it says it is.

    Raises:
        ArgumentError: an unknown name, another kind, or a config that its class doesn't take.
    """
    if config is None:
        return None
    if not (isinstance(config, Mapping) and isinstance(config.get("class_name"), str)):
        raise ArgumentError(
            "a config has to say which class it is of",
            {"given": repr(config)[:80]},
            "give what serialize wrote: {'class_name': …, 'config': {…}}",
        )
    said = config.get("kind", kind)
    if not isinstance(said, str) or (kind is not None and said != kind):
        raise ArgumentError(
            f"a {kind or 'part'} was expected, and the config is of a {said}",
            {"class": config["class_name"]},
        )
    entry = look_up(said, config["class_name"])
    if not inspect.isclass(entry):
        return entry
    details = config.get("config", {})
    if not (isinstance(details, Mapping) and all(isinstance(key, str) for key in details)):
        raise ArgumentError(
            "the details of a config have to be a dict with names as its keys",
            {"class": config["class_name"], "given": repr(details)[:80]},
        )
    build: Any = getattr(entry, "from_config", None)
    try:
        return build(dict(details)) if build is not None else entry(**details)
    except ArgumentError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ArgumentError(
            f"the config doesn't fit {config['class_name']}",
            {"config": repr(dict(details))[:120], "reason": str(error)},
        ) from error


def as_data(value: Any) -> Any:
    """A value of a config as JSON knows it; registered objects by `serialize`."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.bool_, np.integer, np.floating)):
        return value.item()
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, (list, tuple)):
        return [as_data(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): as_data(item) for key, item in value.items()}
    return serialize(value)


def from_data(value: Any) -> Any:
    """The value that `as_data` wrote; lists where tuples were."""
    if isinstance(value, list):
        return [from_data(item) for item in value]
    if isinstance(value, Mapping):
        if "class_name" in value and "kind" in value:
            return deserialize(value)
        return {key: from_data(item) for key, item in value.items()}
    return value


def _config(entry: Any) -> Mapping[str, Any]:
    read = getattr(entry, "get_config", None)
    return read() if read is not None else {}


def _guess(definition: Any) -> str:
    """The kind that a user's class most likely is of, for the remedy."""
    bases = getattr(definition, "__mro__", ())
    return next((kind for kind, base in _BASES.items() if base in bases), "layer")
