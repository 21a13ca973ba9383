"""All optimisers and schedules by name; reading this enters them."""

from __future__ import annotations

from typing import Any

from chainrule.base import registry
from chainrule.optim import adam, adaptive, descent, lbfgs, schedule  # noqa: F401 - for names


def get(identifier: Any) -> Any:
    """The optimiser that a name, a config, a class or an object stands for.

    Args:
        identifier: "adam" (with its defaults), what `serialize` wrote, `Adam` or `Adam(0.01)`.

    Raises:
        ArgumentError: an unknown name; the message suggests the nearest.

    Example:
        >>> import chainrule as cr
        >>> cr.optim.get("sgd").learning_rate
        0.01
    """
    return registry.get("optimizer", identifier)


def serialize(entry: Any) -> Any:
    """An optimiser or a schedule as plain data: names, numbers, lists and dicts.

    Raises:
        ArgumentError: it holds a function that nothing would know on reading.

    Example:
        >>> import chainrule as cr
        >>> data = cr.optim.serialize(cr.optim.SGD(0.1, momentum=0.9))
        >>> cr.optim.deserialize(data).momentum
        0.9
    """
    return registry.serialize(entry)


def deserialize(config: Any) -> Any:
    """The optimiser or the schedule that `serialize` wrote.

    Raises:
        ArgumentError: an unknown name, or a config that its class doesn't take.
    """
    return registry.deserialize(config)
