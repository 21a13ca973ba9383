"""Optimisers and schedules of the learning rate: pure functions on trees of arrays."""

from __future__ import annotations

import importlib
from typing import Any

from chainrule.base.registry import announce

announce("optimizer", "chainrule.optim.names")
announce("schedule", "chainrule.optim.schedule")

# Names whose modules are read when they're first used: public name → module.
_LATER = {
    "Optimizer": "chainrule.optim.optimizer",
    "as_type": "chainrule.optim.optimizer",
    "GradientDescent": "chainrule.optim.descent",
    "SGD": "chainrule.optim.descent",
    "Adadelta": "chainrule.optim.adaptive",
    "Adagrad": "chainrule.optim.adaptive",
    "RMSprop": "chainrule.optim.adaptive",
    "Adam": "chainrule.optim.adam",
    "AdamW": "chainrule.optim.adam",
    "Adamax": "chainrule.optim.adam",
    "Nadam": "chainrule.optim.adam",
    "LBFGS": "chainrule.optim.lbfgs",
    "Schedule": "chainrule.optim.schedule",
    "CosineDecay": "chainrule.optim.schedule",
    "CosineDecayRestarts": "chainrule.optim.schedule",
    "ExponentialDecay": "chainrule.optim.schedule",
    "InverseTimeDecay": "chainrule.optim.schedule",
    "PiecewiseConstantDecay": "chainrule.optim.schedule",
    "PolynomialDecay": "chainrule.optim.schedule",
    "deserialize": "chainrule.optim.names",
    "get": "chainrule.optim.names",
    "serialize": "chainrule.optim.names",
    "register": "chainrule.base.registry",
}

__all__ = sorted(_LATER)  # noqa: PLE0605 - the names of the table above


def __getattr__(name: str) -> Any:
    if name in _LATER:
        value = getattr(importlib.import_module(_LATER[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'chainrule.optim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
