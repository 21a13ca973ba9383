"""The parts of a layer: the layers in its attributes, and the paths of all their weights."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np

from chainrule.base.errors import ArgumentError
from chainrule.nn.weight import Weight

WEIGHTS = "_weights"  # the attribute that holds a layer's weights by the attribute they are kept in
_STAMP = "_stamp"  # and the one with the number of its last change
_stamps = itertools.count()
_WITHOUT_PARTS = {WEIGHTS, _STAMP, "own_weights"}
# Most attributes are such, and a walk meets all of them.
_PLAIN = frozenset({type(None), bool, int, float, str, np.ndarray, *map(type, map(np.dtype, "df"))})


class Parts:
    """A tree of layers, walked by attribute; a layer met twice is one layer."""

    name: str
    named: bool
    trainable: bool
    own_weights: list[Weight]
    # Attributes that no computation depends on, or that `makeup` tells apart by their values.
    _passing: ClassVar[frozenset[str]] = frozenset({"trainable"})

    def children(self) -> Iterator[tuple[str, Parts]]:
        """The layers that are parts of this one, each with its own part of the path."""
        for attribute, value in vars(self).items():
            if type(value) not in _PLAIN and attribute not in _WITHOUT_PARTS:
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

    def _changed(self) -> None:
        """Note that what this layer computes may be something else from now on."""
        self.__dict__[_STAMP] = next(_stamps)

    def makeup(self) -> tuple[tuple[int, bool], ...]:
        """Changes with what it is made of: layers come and go, attributes are set."""
        return tuple((layer.__dict__[_STAMP], bool(layer.trainable)) for _, layer in self.walk())


def _path(layer: str, weight: Weight) -> str:
    return f"{layer}/{weight.name}" if layer else weight.name


def _layers_in(key: str, value: Any) -> Iterator[tuple[str, Parts]]:
    if isinstance(value, Parts):
        yield (value.name if value.named else key), value
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            if type(item) not in _PLAIN:
                yield from _layers_in(f"{key}_{i}", item)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _layers_in(f"{key}_{name}", item)
