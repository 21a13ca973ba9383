"""`Sequential`: one layer after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.base.registry import deserialize, get, register, serialize
from chainrule.nn.derived import CALLS
from chainrule.nn.layer import Layer
from chainrule.nn.symbolic import Input, Symbolic
from chainrule.train.graph import named_in_order
from chainrule.train.model import Model


@register("layer")
class Sequential(Model):
    """Layers one after the other, each fed with the output of the one before.

    Args:
        layers: layers, or their names; the first may be `cr.nn.Input(shape)`, so that the weights
            are made at once.

    Example:
        >>> import chainrule as cr
        >>> model = cr.nn.Sequential([cr.nn.Dense(30, activation="sigmoid"), cr.nn.Dense(10)])
        >>> model.build((64,), seed=0)
        >>> model.count_params()
        2260
    """

    def __init__(self, layers: Sequence[Any] = (), **options: Any) -> None:
        super().__init__(**options)
        self.layers: list[Layer] = []
        self.input_shape: tuple[int, ...] | None = None
        self.batch_size: int | None = None
        self._chain: Any = None
        if isinstance(layers, Layer):
            raise ArgumentError(
                "a Sequential takes a list of layers, and was given a single one",
                {"given": type(layers).__name__},
                "Sequential([layer, …])",
            )
        for layer in layers:
            self.add(layer)

    def add(self, layer: Any) -> None:
        """Append a layer.

        Raises:
            ArgumentError: it isn't a layer; the message suggests names.
        """
        if isinstance(layer, Symbolic):
            if self.layers or layer.node is not None:
                raise ArgumentError(
                    "an Input can only come first", fix="Sequential([cr.nn.Input(shape), …])"
                )
            self.batch_size, *rest = layer.shape
            self.input_shape = tuple(rest)
            return
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise ArgumentError(
                "a Sequential is made of layers, and was given a class of them",
                {"given": layer.__name__},
                f"call it with its arguments: cr.nn.{layer.__name__}(…)",
            )
        layer = get("layer", layer)
        if not isinstance(layer, Layer):
            raise ArgumentError(
                "a Sequential is made of layers",
                {"given": repr(layer)[:80]},
                "wrap a function in cr.nn.Activation, or subclass cr.nn.Layer",
            )
        if not self.layers and self.input_shape is None and layer.first_shape is not None:
            self.input_shape = Input(layer.first_shape).shape[1:]
        self.layers.append(layer)
        self.built = False

    def pop(self) -> Layer:
        """Take the last layer away, and return it."""
        if not self.layers:
            raise ArgumentError("there is no layer to take away")
        return self.layers.pop()

    def children(self) -> Iterator[tuple[str, Layer]]:
        yield from named_in_order(self.layers)

    def chain(self) -> list[Any]:
        """What its `Input` gives, and each layer after it, as `cr.nn.Input` and calls give them."""
        if self.input_shape is None:
            raise AttributeError(
                f"{self.name!r} doesn't know its inputs: begin it with cr.nn.Input(shape)"
            )
        makeup = tuple(map(id, self.layers))
        if self._chain is None or self._chain[0] != makeup:
            values = [Input(self.input_shape, self.batch_size, self.dtype)]
            for layer in self.layers:
                values.append(layer(values[-1]))
                calls = vars(layer)[CALLS]
                calls.insert(0, calls.pop())
            self._chain = makeup, values
        return self._chain[1]

    def known_input_shapes(self) -> Any:
        return self.input_shape

    def last_layers(self) -> list[Layer | None]:
        last = self.layers[-1] if self.layers else None
        return last.last_layers() if isinstance(last, Model) else [last]

    def known_batch_size(self) -> int | None:
        return self.batch_size

    def call(self, inputs: Any) -> Any:
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs

    def get_config(self) -> dict[str, Any]:
        shape = None if self.input_shape is None else list(self.input_shape)
        layers = [serialize(layer) for layer in self.layers]
        config = {"layers": layers, "input_shape": shape} | self.base_config()
        return config if self.batch_size is None else {**config, "batch_size": self.batch_size}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        config = dict(config)
        shape = config.pop("input_shape", None)
        size = config.pop("batch_size", None)
        layers = [deserialize(layer, "layer") for layer in config.pop("layers", ())]
        model = cls(layers, **config)
        model.input_shape = None if shape is None else tuple(shape)
        model.batch_size = None if size is None else int(size)
        return model
