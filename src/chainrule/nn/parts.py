"""The parts of a layer: the layers in its attributes, and the paths of all their weights."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.nn.carried import Carried
from chainrule.nn.derived import CALLS
from chainrule.nn.scope import read
from chainrule.nn.weight import Weight

WEIGHTS = "_weights"  # the attribute that holds a layer's weights by the attribute they are kept in
_STAMP = "_stamp"  # and the one with the number of its last change
_stamps = itertools.count()
_WITHOUT_PARTS = {WEIGHTS, _STAMP, "own_weights", "own_carried", CALLS}


class Parts:
    """A tree of layers, walked by attribute; a layer met twice is one layer."""

    name: str
    named: bool
    trainable: bool
    own_weights: list[Weight]
    own_carried: tuple[Carried, ...] = ()  # what its calls hand on to each other
    # Attributes that no computation depends on, or that `makeup` tells apart by their values.
    _passing: ClassVar[frozenset[str]] = frozenset({"trainable"})

    def children(self) -> Iterator[tuple[str, Parts]]:
        """The layers that are parts of this one, each with its own part of the path."""
        for attribute, value in vars(self).items():
            if _may_hold_layers(type(value)) and attribute not in _WITHOUT_PARTS:
                yield from _layers_in(attribute.strip("_"), value)

    def walk(self) -> Iterator[tuple[str, Parts]]:
        """This layer, with the path "", and all parts of parts, each once."""
        yield from self._walk("", set())

    def _walk(self, path: str, seen: set[int]) -> Iterator[tuple[str, Parts]]:
        seen.add(id(self))
        yield path, self
        taken: dict[str, Parts] = {}
        for key, child in self.children():
            if id(child) in seen:
                continue
            if taken.setdefault(key, child) is not child:
                raise ArgumentError(
                    "two layers side by side have the same name",
                    {"name": key, "in": path or self.name},
                    "give one of them another name=",
                )
            yield from child._walk(f"{path}/{key}" if path else key, seen)

    def weights_by_path(self) -> dict[str, Weight]:
        """All weights, those of the parts included; paths such as "dense/kernel"."""
        return {
            _path(path, weight): weight
            for path, layer in self.walk()
            for weight in layer.own_weights
        }

    def carried_by_path(self) -> dict[str, Carried]:
        """All that calls hand on to each other, that of the parts included."""
        return {
            _path(path, carried): carried
            for path, layer in self.walk()
            for carried in layer.own_carried
        }

    def reset_states(self) -> None:
        """Forget what stateful layers hand on: their next call begins with zeros.

        The batches after that may be of another size.

        Example:
            >>> import numpy as np
            >>> import chainrule as cr
            >>> layer = cr.nn.LSTM(4, stateful=True)
            >>> x = np.ones((2, 5, 3))
            >>> first, second = layer(x), layer(x)
            >>> layer.reset_states()
            >>> bool(np.all(layer(x) == first)), bool(np.all(second == first))
            (True, False)
        """
        for carried in self.carried_by_path().values():
            carried.value = None

    def trainable_paths(self) -> set[str]:
        """The paths that the optimiser changes: none below a layer set to trainable=False."""
        layers = list(self.walk())
        frozen = {
            id(weight)
            for _, layer in layers
            if not layer.trainable
            for _, part in layer.walk()
            for weight in part.own_weights
        }
        return {
            _path(path, weight)
            for path, layer in layers
            for weight in layer.own_weights
            if weight.trainable and id(weight) not in frozen
        }

    # --- its weights ---------------------------------------------------------------------------

    @property
    def weights(self) -> list[np.ndarray]:
        """The values of all weights, in the order in which they are defined."""
        return [read(weight) for weight in self.weights_by_path().values()]

    def weights_of(self, trained: bool) -> list[np.ndarray]:
        """The values of the weights that training changes, or of the others."""
        paths = self.trainable_paths()
        return [
            read(weight)
            for path, weight in self.weights_by_path().items()
            if (path in paths) == trained
        ]

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the values of all weights."""
        return [np.array(value) for value in self.weights]

    def set_weights(self, values: Any) -> None:
        """Give all weights other values.

        Raises:
            ArgumentError, ShapeError: another number of values, or other shapes.
        """
        weights = self.weights_by_path()
        values = list(values)
        if len(values) != len(weights):
            raise ArgumentError(
                "another number of values than weights",
                {"weights": len(weights), "values": len(values)},
            )
        for weight, value in zip(weights.values(), values, strict=True):
            weight.keep(value)

    def count_params(self) -> int:
        """How many numbers its weights hold, the state included."""
        return sum(math.prod(w.shape) for w in self.weights_by_path().values())

    # --- what may have changed ------------------------------------------------------------------

    def _changed(self) -> None:
        """Note that what this layer computes may be something else from now on."""
        self.__dict__[_STAMP] = next(_stamps)

    def __watched__(self, held: bool) -> list[tuple[dict[str, Any], str]]:
        """Where compiled functions look for changes: of what it is made of, of what it holds.

        Args:
            held: whether they read its weights' own values, rather than being given some.
        """
        if not held:
            return []
        found: list[tuple[dict[str, Any], str]] = []
        for _, layer in self.walk():
            found += [(vars(layer), _STAMP), (vars(layer), "trainable")]
            found += [(vars(part), "value") for part in (*layer.own_weights, *layer.own_carried)]
        return found

    def makeup(self) -> tuple[tuple[int, bool], ...]:
        """Changes with what it is made of: layers come and go, attributes are set."""
        return tuple((layer.__dict__[_STAMP], bool(layer.trainable)) for _, layer in self.walk())


def _path(layer: str, weight: Weight | Carried) -> str:
    return f"{layer}/{weight.name}" if layer else weight.name


def _holds_layers(kind: type) -> bool:
    return issubclass(kind, (Parts, list, tuple, Mapping))


# Whether things of a type are looked into: a walk meets many that aren't.
_may_hold_layers: Callable[[type], bool] = functools.lru_cache(1 << 10)(_holds_layers)


def _layers_in(key: str, value: Any) -> Iterator[tuple[str, Parts]]:
    if isinstance(value, Parts):
        yield (value.name if value.named else key), value
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            if _may_hold_layers(type(item)):
                yield from _layers_in(f"{key}_{i}", item)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _layers_in(f"{key}_{name}", item)
