"""`cr.name`: the user's own name for a value."""

from __future__ import annotations

from typing import Any

from chainrule.base.errors import ArgumentError
from chainrule.base.trees import flatten, paths
from chainrule.tracing.record import RecordTrace
from chainrule.tracing.table import RESOLVERS
from chainrule.tracing.trace import refresh, resolve
from chainrule.tracing.tracer import Tracer


def name(x: Any, label: str) -> Any:
    """The same value, called `label` in graphs, programs and errors.

    Values that are stored in a variable have its name already; this is for all others, and for
    names that no variable can have. It computes nothing, in compiled code neither.

    Args:
        x: an array, a number or a tree of them; a leaf's path is added to its name.
        label: any text.

    Returns:
        x itself.

    Raises:
        ArgumentError: the label isn't text, or empty.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> g = cr.graph(lambda x: np.sum(cr.name(x * x, "squares")), np.array([3.0, 4.0]))
        >>> g.node("squares").value
        array([ 9., 16.])
    """
    if not isinstance(label, str) or not label.strip():
        raise ArgumentError(
            "name: a name must be text that isn't empty", {"given": repr(label)}, 'cr.name(x, "a")'
        )
    for leaf, tail in zip(flatten(x)[0], paths(x), strict=True):
        _name(leaf, label + tail)
    return x


def _name(value: Any, label: str) -> None:
    if type(value) in RESOLVERS:
        value = resolve(value)
    while type(value) is Tracer:
        if value.alias is not None:
            refresh(value)
        trace = value.owner
        if isinstance(trace, RecordTrace) and value.mark >= 0:
            trace.labels[value.mark] = label
        value = value.value
