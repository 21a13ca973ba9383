"""Trees of arguments and results, as expressions: params["W"], (value, gradient)."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from chainrule.base.errors import UnsupportedError
from chainrule.base.trees import LEAF, flatten, unflatten
from chainrule.show.source.names import Names

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def parameters_of(f: Callable[..., Any], count: int) -> list[str]:
    """The user's names of so many positional arguments."""
    try:
        given = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # nothing that says what its arguments are called
        given = []
    found: list[str] = []
    for parameter in given:
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            found += [f"{parameter.name}_{k}" for k in range(count - len(found))]
        elif parameter.kind in _POSITIONAL:
            found.append(parameter.name)
    found = found[:count]
    return [*found, *(f"x_{k}" if k else "x" for k in range(count - len(found)))]


class Entrance(NamedTuple):
    """One leaf of the arguments: its name in the text, and how it's reached from the argument.

    `path` is "" for an argument that is a leaf itself, else like ["W"][0].bias.
    """

    name: str
    argument: str
    path: str


def entrances(names: Names, parameters: Sequence[str], args: Sequence[Any]) -> list[Entrance]:
    """The leaves of the arguments in order."""
    found = []
    for parameter, arg in zip(parameters, args, strict=True):
        for keys in _leaf_paths(arg):
            if not keys:
                found.append(Entrance(parameter, parameter, ""))
                continue
            words = [str(key) for kind, key in keys if isinstance(key, str)]
            wish = words[-1] if words else f"{parameter}_{keys[-1][1]}"
            path = "".join(f".{key}" if kind == "name" else f"[{_key(key)}]" for kind, key in keys)
            found.append(Entrance(names.new(wish), parameter, path))
    return found


def _leaf_paths(arg: Any) -> list[list[tuple[str, Any]]]:
    """The keys to each leaf: ("item", 0), ("item", "W"), ("name", "bias")."""
    _, structure = flatten(arg)
    if structure is LEAF:
        return [[]]
    found: list[list[tuple[str, Any]]] = []
    for path in structure.accessors():
        keys = []
        for entry in path:
            by_name = type(entry).__name__ in ("GetAttrEntry", "DataclassEntry", "NamedTupleEntry")
            name = getattr(entry, "field", None) or entry.entry
            keys.append(
                ("name", name) if by_name and str(name).isidentifier() else ("item", entry.entry)
            )
        found.append(keys)
    return found


def _key(key: Any) -> str:
    if type(key) is str:
        return quoted(key)
    if type(key) in (int, bool):
        return repr(key)
    raise UnsupportedError(
        "source: a key of a tree that can't be written as text",
        {"key": f"{type(key).__name__} {key!r}"[:80]},
        "use strings or whole numbers as keys",
    )


def quoted(text: str) -> str:
    """A string between double quotes, where that needs no more escapes than single ones."""
    single = ascii(text)
    return f'"{single[1:-1]}"' if single[0] == "'" and '"' not in single else single


class Leaf(NamedTuple):
    """Stands for a leaf of a result while its tree is looked at."""

    number: int


def rebuilt(structure: Any, texts: Sequence[str]) -> str:
    """A result put together from the texts of its leaves.

    Classes aren't known in the text: a named tuple is a tuple there, a dataclass a dict.
    """
    if structure is None or structure is LEAF:
        return texts[0]
    return _tree_text(unflatten(structure, [Leaf(k) for k in range(len(texts))]), texts)


def _tree_text(tree: Any, texts: Sequence[str]) -> str:
    if type(tree) is Leaf:
        return texts[tree.number]
    if tree is None:
        return "None"
    if isinstance(tree, dict):
        pairs = (f"{_key(key)}: {_tree_text(value, texts)}" for key, value in tree.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(tree, (list, tuple)):
        parts = [_tree_text(part, texts) for part in tree]
        if isinstance(tree, list):
            return f"[{', '.join(parts)}]"
        return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
    if dataclasses.is_dataclass(tree):
        pairs = (f"{name!r}: {_tree_text(value, texts)}" for name, value in _fields(tree))
        return f"{{{', '.join(pairs)}}}"
    raise UnsupportedError(
        f"source: a result of class {type(tree).__name__} can't be written as text",
        fix="return a tuple, a list or a dict of arrays",
    )


def _fields(tree: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(tree):
        yield field.name, getattr(tree, field.name)
