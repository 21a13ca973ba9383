"""The calls between a model's inputs and outputs: computed, named, and written as data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import as_data, deserialize, from_data, serialize
from chainrule.nn.layer import Layer
from chainrule.nn.symbolic import Input, Symbolic, item, nodes_between, replaced, replay

_SYMBOL, _SLICE, _TUPLE, _DTYPE = "$value", "$slice", "$tuple", "$dtype"


class Graph:
    """What a model computes, from its inputs to its outputs.

    Args:
        inputs: a symbolic value, or a list, tuple or dict of them.
        outputs: likewise.

    Raises:
        ArgumentError: they aren't symbolic, or the outputs need something else as well.
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.inputs = inputs
        self.outputs = outputs
        self.sources = _flat(inputs)
        for what, tree in (("inputs", inputs), ("outputs", outputs)):
            strange = [leaf for leaf in _flat(tree) if not isinstance(leaf, Symbolic)]
            if strange or not _flat(tree):
                raise ArgumentError(
                    f"the {what} of a model are what cr.nn.Input and calls of layers on it give",
                    {what: repr(strange[0])[:80] if strange else repr(tree)},
                    "x = cr.nn.Input((4,)); model = cr.nn.Model(x, cr.nn.Dense(2)(x))",
                )
        self.nodes = nodes_between(self.sources, outputs)

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """Its layers in the order of their calls, each once, named dense, dense_1 …"""
        yield from named_in_order(n.function for n in self.nodes if isinstance(n.function, Layer))

    def last_layers(self) -> list[Layer | None]:
        """The layer that each output comes out of, None where it is none."""
        made = [output.node and output.node.function for output in _flat(self.outputs)]
        return [function if isinstance(function, Layer) else None for function in made]

    def input_shapes(self) -> Any:
        """The shapes of the inputs without the batch, in their tree."""
        return replaced(self.inputs, lambda value: value.shape[1:])

    def output_names(self) -> list[str]:
        """What the outputs are called: keys of a dict, or in a list the names of named layers."""
        if not isinstance(self.outputs, (list, tuple)):
            return [str(k) for k in self.outputs] if isinstance(self.outputs, Mapping) else [""]
        makers = [value.node and value.node.function for value in _flat(self.outputs)]
        names = [m.name if isinstance(m, Layer) and m.named else "" for m in makers]
        return [
            name if name and names.count(name) == 1 else f"output_{i}"
            for i, name in enumerate(names)
        ]

    def compute(self, given: Any) -> Any:
        """The outputs for these inputs, which come in the tree of `inputs`, or a dict by name."""
        values = {id(s): v for s, v in zip(self.sources, self._matched(given), strict=True)}
        return replay(self.nodes, values, self.outputs)

    def _matched(self, given: Any) -> list[Any]:
        names = [source.name for source in self.sources]
        if isinstance(given, Mapping) and not isinstance(self.inputs, Mapping):
            if set(given) == set(names):
                return [given[name] for name in names]
        elif isinstance(given, Mapping) and isinstance(self.inputs, Mapping):
            if set(given) == set(self.inputs):
                return [given[name] for name in self.inputs]
        elif len(parts := _flat(given)) == len(names):
            return parts
        raise ArgumentError(
            "the model was given other inputs than it has",
            {
                "it has": ", ".join(self.inputs if isinstance(self.inputs, Mapping) else names),
                "given": ", ".join(given) if isinstance(given, Mapping) else len(_flat(given)),
            },
            "pass one array per input, in a list in this order or in a dict by these names",
        )

    # --- as data -------------------------------------------------------------------------------

    def config(self) -> dict[str, Any]:
        """The graph as plain data: its layers, its inputs, its calls.

        Raises:
            ArgumentError: it calls a function that isn't NumPy's.
        """
        layers = dict(self.layers())
        names = {id(layer): name for name, layer in layers.items()}
        places = {id(source): [-1, i] for i, source in enumerate(self.sources)}
        calls = []
        for k, node in enumerate(self.nodes):
            calls.append(
                {
                    "call": _function_name(node.function, names),
                    "args": _written(node.args, places),
                    "options": _written(node.options, places),
                }
            )
            places.update({id(value): [k, i] for i, value in enumerate(node.outputs)})
        return {
            "layers": {name: serialize(layer) for name, layer in layers.items()},
            "inputs": [
                {
                    "shape": list(s.shape[1:]),
                    "dtype": s.dtype.name,
                    "name": s.name,
                    "batch_size": s.shape[0],
                }
                for s in self.sources
            ],
            "input_tree": _written(self.inputs, places),
            "calls": calls,
            "outputs": _written(self.outputs, places),
        }

    @classmethod
    def from_config(cls, config: Any) -> Graph:
        """The graph that `config` wrote.

        Raises:
            ArgumentError: the data doesn't describe a graph.
        """
        layers = {name: deserialize(c, "layer") for name, c in config["layers"].items()}
        values: dict[tuple[int, int], Any] = {}
        for i, c in enumerate(config["inputs"]):
            values[-1, i] = Input(
                tuple(c["shape"]), c.get("batch_size"), c["dtype"], name=c["name"]
            )
        for k, call in enumerate(config["calls"]):
            function = _function_of(call["call"], layers)
            result = function(*_read(call["args"], values), **_read(call["options"], values))
            for i, value in enumerate(_flat(result)):
                values[k, i] = value
        return cls(_read(config["input_tree"], values), _read(config["outputs"], values))


def named_in_order(layers: Iterator[Layer] | Any) -> Iterator[tuple[str, Layer]]:
    """Layers with names that are all different: a user's own, else dense, dense_1 …"""
    seen: set[int] = set()
    each = [layer for layer in layers if not (id(layer) in seen or seen.add(id(layer)))]  # type: ignore[func-returns-value]
    taken = {layer.name for layer in each if layer.named}
    counts: dict[str, int] = {}
    for layer in each:
        key = layer.name
        while not layer.named:
            count = counts.get(layer.name, 0)
            counts[layer.name] = count + 1
            key = f"{layer.name}_{count}" if count else layer.name
            if key not in taken:
                break
        yield key, layer


def _flat(tree: Any) -> list[Any]:
    if isinstance(tree, (list, tuple)):
        return [leaf for entry in tree for leaf in _flat(entry)]
    if isinstance(tree, Mapping):
        return [leaf for entry in tree.values() for leaf in _flat(entry)]
    return [tree]


def _function_name(function: Any, layers: Mapping[int, str]) -> str:
    if id(function) in layers:
        return f"layer:{layers[id(function)]}"
    if function is item:
        return "item"
    name: str = getattr(function, "__name__", "")
    home = np.linalg if (getattr(function, "__module__", "") or "").endswith("linalg") else np
    if getattr(home, name, None) is function:
        return f"numpy:{'linalg.' * (home is np.linalg)}{name}"
    raise ArgumentError(
        "the model calls a function that can't be written as data",
        {"function": repr(function)[:80]},
        "put it into the call of a layer of your own, entered with @cr.nn.register",
    )


def _function_of(name: Any, layers: Mapping[str, Any]) -> Any:
    kind, _, rest = str(name).partition(":")
    if kind == "layer" and rest in layers:
        return layers[rest]
    if name == "item":
        return item
    home: Any = np
    if kind == "numpy" and rest.startswith("linalg."):
        home, rest = np.linalg, rest.removeprefix("linalg.")
    function = getattr(home, rest, None) if kind == "numpy" and rest.isidentifier() else None
    # Only what answers for symbolic values: a file can't name np.load or np.save.
    if isinstance(function, np.ufunc) or hasattr(function, "_implementation"):
        return function
    raise ArgumentError("the file calls a function that models don't use", {"function": str(name)})


def _written(tree: Any, places: Mapping[int, list[int]]) -> Any:
    if isinstance(tree, Symbolic):
        return {_SYMBOL: places[id(tree)]}
    if isinstance(tree, slice):
        return {_SLICE: [tree.start, tree.stop, tree.step]}
    if tree is Ellipsis:
        return {_SLICE: "..."}
    if isinstance(tree, tuple):
        return {_TUPLE: [_written(entry, places) for entry in tree]}
    if isinstance(tree, list):
        return [_written(entry, places) for entry in tree]
    if isinstance(tree, Mapping):
        return {str(key): _written(entry, places) for key, entry in tree.items()}
    if isinstance(tree, np.ndarray):
        return {_DTYPE: tree.dtype.name, "entries": tree.tolist()}
    return as_data(tree)


def _read(tree: Any, values: Mapping[tuple[int, int], Any]) -> Any:
    if isinstance(tree, list):
        return [_read(entry, values) for entry in tree]
    if not isinstance(tree, Mapping):
        return tree
    if _SYMBOL in tree:
        return values[tuple(tree[_SYMBOL])]
    if _SLICE in tree:
        return Ellipsis if tree[_SLICE] == "..." else slice(*tree[_SLICE])
    if _TUPLE in tree:
        return tuple(_read(entry, values) for entry in tree[_TUPLE])
    if _DTYPE in tree:
        return np.array(tree["entries"], dtype=tree[_DTYPE])
    if "class_name" in tree:
        return from_data(tree)
    return {key: _read(entry, values) for key, entry in tree.items()}
