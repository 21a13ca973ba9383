"""Trees of arguments: dicts, lists, tuples and dataclasses with arrays at the leaves."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError

_NAMESPACE = "chainrule"
# Found without optree, whose import costs a third of NumPy's: a call on bare arrays needs no tree.
_LEAF_TYPES: set[type] = {np.ndarray, float, int, complex, bool, *np.sctypeDict.values()}
_registered: set[type] = set()


class Leaf:
    """The structure of a tree that is a single leaf."""

    num_leaves = 1

    def __repr__(self) -> str:
        return "*"


LEAF = Leaf()


def register_leaf(kind: type) -> None:
    """Declare a class to be a leaf, so that it's recognised without a tree library."""
    _LEAF_TYPES.add(kind)


def flatten(tree: Any) -> tuple[list[Any], Any]:
    """Split a tree into its leaves, left to right, and its structure."""
    if type(tree) in _LEAF_TYPES:
        return [tree], LEAF
    import optree

    leaves, structure = optree.tree_flatten(tree, namespace=_NAMESPACE)
    if are_leaves(leaves):
        return leaves, structure
    unknown = [leaf for leaf in leaves if _is_unknown_dataclass(leaf)]
    for leaf in unknown:
        _register_dataclass(type(leaf))
    return flatten(tree) if unknown else (leaves, structure)


def are_leaves(found: Sequence[Any]) -> bool:
    """Whether these can't be trees, as is plain from their classes."""
    return _LEAF_TYPES.issuperset(map(type, found))


def unflatten(structure: Any, leaves: Sequence[Any]) -> Any:
    """Put leaves back into a structure that `flatten` gave."""
    if structure is LEAF:
        return leaves[0]
    import optree

    return optree.tree_unflatten(structure, leaves)


def same_structure(left: Any, right: Any) -> bool:
    """Whether two trees are put together alike."""
    return left is right or left == right or outline(left) == outline(right)


def outline(structure: Any) -> str:
    """A structure as errors print it: {'a': *, 'b': (*, *)}, a star per leaf."""
    text = str(structure).removeprefix("PyTreeSpec(") if structure is not LEAF else "*)"
    return text.removesuffix(")").removesuffix(f", namespace={_NAMESPACE!r}")


def map_tree(function: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply a function to corresponding leaves of trees of one structure."""
    leaves, structure = flatten(tree)
    columns = [leaves]
    for number, other in enumerate(rest):
        others, other_structure = flatten(other)
        if other_structure != structure:
            raise ArgumentError(
                "two trees have different structures",
                {"first": outline(structure), f"tree {number + 2}": outline(other_structure)},
            )
        columns.append(others)
    return unflatten(structure, [function(*row) for row in zip(*columns, strict=True)])


def paths(tree: Any) -> list[str]:
    """One readable path per leaf, such as `['layers'][0].weight`; '' for a bare leaf."""
    _, structure = flatten(tree)
    if structure is LEAF:
        return [""]
    import optree

    accessors = optree.tree_accessors(tree, namespace=_NAMESPACE)
    return [accessor.codify("") for accessor in accessors]


def is_record(kind: type) -> bool:
    """Whether it's a dataclass whose fields are the children, in their order."""
    return kind in _registered


def _is_unknown_dataclass(leaf: Any) -> bool:
    if type(leaf) in _LEAF_TYPES:
        return False
    return dataclasses.is_dataclass(leaf) and not isinstance(leaf, type)


def _register_dataclass(kind: type) -> None:
    """Make a user's dataclass a node whose children are its fields, in their order."""
    import optree

    if kind in _registered:
        return
    names = tuple(field.name for field in dataclasses.fields(kind))

    def take_apart(value: Any) -> tuple[Any, ...]:
        return tuple(getattr(value, name) for name in names), None, names

    def put_together(_: Any, children: Any) -> Any:
        # Neither __init__ nor __post_init__: they may check or convert what is traced here.
        value: Any = object.__new__(kind)
        for name, child in zip(names, children, strict=True):
            object.__setattr__(value, name, child)
        return value

    optree.register_pytree_node(
        kind,
        take_apart,
        put_together,
        path_entry_type=optree.GetAttrEntry,
        namespace=_NAMESPACE,
    )
    _registered.add(kind)
