"""From controls to a network: as an object to train, and as the Python text of the same object.

Both come from the same `Call`s, so that the exported code can't say anything else than what ran.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from chainrule.show.play.controls import Controls
from chainrule.show.play.problem import Problem

_OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "adam": ("Adam", {}),
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "rmsprop": ("RMSprop", {}),
}
# What isn't one of the library's own names: normal weights that are far too small or too large,
# under which gradients vanish or explode from layer to layer.
_SPREADS = {"small_normal": 0.01, "large_normal": 2.0}


class Call(NamedTuple):
    """The call of a class of this package: where it stands, its name and arguments."""

    room: str  # the module within the package, such as nn or optim
    name: str
    args: tuple[Any, ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012 - never written to

    def made(self) -> Any:
        """What the call gives."""
        kind = getattr(importlib.import_module(f"chainrule.{self.room}"), self.name)
        options = {k: v.made() if isinstance(v, Call) else v for k, v in self.options.items()}
        return kind(*self.args, **options)

    def __str__(self) -> str:
        options = [
            f"{name}={value if isinstance(value, Call) else quoted(value)}"
            for name, value in self.options.items()
        ]
        return f"cr.{self.room}.{self.name}({', '.join([*map(quoted, self.args), *options])})"


def quoted(value: Any) -> str:
    """A value as Python text, with the quotes of this code base."""
    if isinstance(value, str) and repr(value)[1:-1] == value and '"' not in value:
        return f'"{value}"'
    return repr(value)


def layers(controls: Controls, problem: Problem) -> list[Call]:
    """The layers of the network, its input first."""
    weights: dict[str, Any] = {}
    if controls.initializer in _SPREADS:
        spread = _SPREADS[controls.initializer]
        weights["kernel_initializer"] = Call(
            "nn.initializers", "RandomNormal", (), {"stddev": spread}
        )
    elif controls.initializer != "glorot_uniform":
        weights["kernel_initializer"] = controls.initializer
    found = [Call("nn", "Input", ((len(problem.inputs),),))]
    for units in controls.hidden:
        options = {"activation": controls.activation, **weights}
        found.append(Call("nn", "Dense", (units,), options))
        if controls.dropout:
            found.append(Call("nn", "Dropout", (controls.dropout,)))
    found.append(Call("nn", "Dense", (problem.outputs,), weights))
    return found


def optimizer(controls: Controls) -> Call:
    """The optimiser."""
    name, options = _OPTIMIZERS[controls.optimizer]
    return Call("optim", name, (controls.learning_rate,), options)


def training(controls: Controls, problem: Problem) -> dict[str, Call | list[str]]:
    """What `compile` is given besides the optimiser."""
    found: dict[str, Any] = {}
    if problem.classes is None:
        found["loss"] = Call("nn", "MeanSquaredError")
    else:
        found["loss"] = Call("nn", "SparseCategoricalCrossentropy", (), {"from_logits": True})
        found["metrics"] = ["accuracy"]
    penalties = {name: getattr(controls, name) for name in ("l1", "l2") if getattr(controls, name)}
    if penalties:
        found["regularizer"] = Call("nn", "L1L2", (), penalties)
    return found


def network(controls: Controls, problem: Problem) -> Any:
    """The model, compiled, with first values by the seed."""
    model = Call("nn", "Sequential").made()
    for layer in layers(controls, problem):
        model.add(layer.made())
    model.build(seed=controls.seed)
    arguments = {
        name: value.made() if isinstance(value, Call) else value
        for name, value in training(controls, problem).items()
    }
    model.compile(optimizer(controls).made(), **arguments)
    return model


def take_over(model: Any, before: Any, with_optimizer: bool) -> None:
    """Give a network the weights of another of the same shapes, and where its optimiser stands."""
    model.keep(before.variables)
    if with_optimizer:
        model.optimizer_state = before.optimizer_state
