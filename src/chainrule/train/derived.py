"""What Keras's users ask a model for, answered from its graph, its layers and `compile`."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.base.trees import map_tree
from chainrule.nn.derived import DERIVED
from chainrule.nn.symbolic import Symbolic


def layers_of(model: Any) -> list[Any]:
    """The layers of a model, in the order of their calls or of its attributes."""
    return [layer for _, layer in model.children()]


def find_layer(model: Any, name: str | None, index: int | None) -> Any:
    """One of them; see `Model.get_layer`."""
    named = dict(model.children())
    layers = list(named.values())
    if (name is None) == (index is None):
        raise ArgumentError("get_layer takes a name or an index", fix='model.get_layer("dense")')
    if index is not None:
        if not -len(layers) <= index < len(layers):
            raise ArgumentError(
                f"{model.name!r} has no layer of this index", {"index": index, "has": len(layers)}
            )
        return layers[index]
    by_name = {layer.name: layer for layer in reversed(layers)} | named
    if name not in by_name:
        near = difflib.get_close_matches(str(name), by_name, n=1)
        raise ArgumentError(
            f"{model.name!r} has no layer of this name",
            {"name": repr(name), "has": ", ".join(named)},
            f"did you mean {near[0]!r}?" if near else None,
        )
    return by_name[name]


def _ends(model: Any) -> tuple[Any, Any]:
    """The trees of symbolic inputs and outputs."""
    if model.graph is not None:
        return model.graph.inputs, model.graph.outputs
    chain = getattr(model, "chain", None)
    if chain is None:
        raise AttributeError(
            f"{type(model).__name__} says what it computes in call, so that its inputs and outputs "
            "aren't known; put a model together from cr.nn.Input(shape) to look into it"
        )
    values = chain()
    return values[0], values[-1]


def _listed(tree: Any) -> list[Any]:
    if isinstance(tree, Symbolic):
        return [tree]
    entries = tree.values() if isinstance(tree, Mapping) else tree
    return [leaf for entry in entries for leaf in _listed(entry)]


def _compiled(model: Any, name: str) -> Any:
    if model.compiled is None:
        raise AttributeError(f"{model.name!r} has no {name} before model.compile(…)")
    return getattr(model.compiled, name)


MODEL_DERIVED: Mapping[str, Callable[[Any], Any]] = {
    **DERIVED,
    "layers": layers_of,
    "input": lambda model: _ends(model)[0],
    "output": lambda model: _ends(model)[1],
    "inputs": lambda model: _listed(_ends(model)[0]),
    "outputs": lambda model: _listed(_ends(model)[1]),
    "input_shape": lambda model: map_tree(lambda value: value.shape, _ends(model)[0]),
    "output_shape": lambda model: map_tree(lambda value: value.shape, _ends(model)[1]),
    "optimizer": lambda model: _compiled(model, "optimizer"),
    "loss": lambda model: _compiled(model, "loss"),
}
