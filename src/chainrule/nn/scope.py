"""What a network's call reads and leaves behind, so that a model with weights is a pure function.

`Layer.apply` opens a scope that holds the values of the weights, possibly traced ones; a layer that
reads `self.kernel` gets them from there, one that assigns `self.moving_mean` leaves them there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chainrule.base.errors import ArgumentError, ChainruleError
from chainrule.base.keys import key_of
from chainrule.nn.carried import Carried
from chainrule.nn.mask import Masks
from chainrule.nn.weight import Weight
from chainrule.ops.draw_keys import fold_in


class Scope:
    """One call of a network.

    Args:
        values: weight → its value during the call; and of what calls hand on to each other.
        training: what layers such as Dropout are told.
        key: where chance comes from, uint64[2]; None refuses it.
        rows: 1 for each row of the batch that counts and 0 for padding; None if all count.
        make: makes the value of a weight that has none yet; None outside of building.
        watch: told of each layer and its output; what it returns, if anything, stands for that.
    """

    def __init__(
        self,
        values: dict[Any, Any],
        training: bool = False,
        key: Any = None,
        rows: Any = None,
        make: Callable[[Any], Any] | None = None,
        watch: Callable[[Any, Any], Any] | None = None,
    ) -> None:
        self.values = values
        self.training = training
        self.key = key
        self.rows = rows
        self.make = make
        self.watch = watch
        self.updates: dict[Weight | Carried, Any] = {}
        self.losses: list[Any] = []
        self.draws = 0
        self.masks = Masks()
        self.root: Any = None  # the layer that was called from outside: where paths begin
        self.frozen = 0  # how many of the layers whose calls are open are set to trainable=False
        self.given: dict[int, Any] = {}  # id of a layer → what stands for its input times kernel

    def __enter__(self) -> Scope:
        _open().append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _open().pop()

    def read(self, weight: Weight) -> Any:
        """The value of a weight here: the call's own, else the one that the weight keeps.

        Raises:
            ArgumentError: it has none yet.
        """
        if weight in self.updates:
            return self.updates[weight]
        if weight not in self.values:
            if self.make is None:
                return weight.kept()
            self.values[weight] = self.make(weight)
        return self.values[weight]

    def received(self, carried: Carried) -> Any:
        """What the call before has left, within this one or before it; None if there was none."""
        if carried in self.updates:
            return self.updates[carried]
        if carried in self.values:
            return self.values[carried]
        return carried.value if self.make is None else None

    def draw(self, who: str) -> Any:
        """A key that no other draw of this call has.

        Raises:
            ArgumentError: the call was given no seed.
        """
        if self.key is None and self.make is not None:
            self.key = key_of(0)  # only shapes are wanted
        if self.key is None:
            raise ArgumentError(
                f"{who} draws random numbers, and the call was given no seed",
                fix="pass one: model.apply(variables, x, training=True, seed=0)",
            )
        self.draws += 1
        return fold_in(self.key, self.draws)


_local = threading.local()


def _open() -> list[Scope]:
    if not hasattr(_local, "scopes"):
        _local.scopes = []
    scopes: list[Scope] = _local.scopes
    return scopes


def current() -> Scope | None:
    """The innermost open scope of this thread."""
    scopes = _open()
    return scopes[-1] if scopes else None


@contextmanager
def within(layer: Any, scope: Scope) -> Iterator[None]:
    """While a layer computes: the parts of a frozen one are frozen, and errors say where they are.

    The innermost layer names itself; the line stays the user's.
    """
    scope.frozen += not layer.trainable
    try:
        yield
    except ChainruleError as error:
        error.facts.setdefault("layer", _called(layer, scope))
        raise
    except Exception as error:
        if hasattr(error, "add_note") and not getattr(error, "__notes__", ()):
            error.add_note(f"in the layer {_called(layer, scope)}")
            if getattr(error, "name", None) in ("assign", "assign_add", "assign_sub"):
                error.add_note(
                    "weights are arrays here; setting the attribute keeps a new value: "
                    "self.total = self.total + x"
                )
        raise
    finally:
        scope.frozen -= not layer.trainable


def _called(layer: Any, scope: Scope) -> str:
    """A layer's path and class, such as "encoder/dense_1 (Dense)"."""
    parts = () if scope.root is None else scope.root.walk()
    path = next((path for path, part in parts if part is layer), "")
    return f"{path or layer.name} ({type(layer).__name__})"


def read(weight: Weight) -> Any:
    """The value of a weight here and now."""
    scope = current()
    return weight.kept() if scope is None else scope.read(weight)


def received(carried: Carried) -> Any:
    """What the call before has left here; None if there was none."""
    scope = current()
    return carried.value if scope is None else scope.received(carried)


def write(weight: Weight | Carried, value: Any) -> None:
    """Give a weight another value: within a call in its scope alone, else for good."""
    scope = current()
    if scope is None:
        weight.keep(value)
    else:
        weight.check(value)
        scope.updates[weight] = value
