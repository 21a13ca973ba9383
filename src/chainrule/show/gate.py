"""Gates: a user's own operation, stated by what it computes and what it sends back."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError
from chainrule.base.place import Place
from chainrule.base.trees import flatten
from chainrule.ir.types import type_of
from chainrule.tracing.creation import has_traced
from chainrule.tracing.trace import resolve
from chainrule.tracing.tracer import Tracer
from chainrule.transform.custom import custom_vjp


class Gate:
    """A user's own operation: `forward` computes, `backward` sends gradients back.

    Subclass it, and call an instance like a function, as often as you like, in any traced code and
    under any transformation. What `forward` keeps on self belongs to that call alone; `backward`
    finds it there. In a graph a gate is one node, called as its class is.

    `forward(self, *inputs)` gives the value, or a tuple of values. `backward(self, upstream)` gives
    upstream × local for each input, as a list or a tuple; None where nothing flows. With several
    values, upstream is a tuple as well.

    Raises:
        ArgumentError: forward or backward returns nothing, or another number of gradients than
            inputs.
        ShapeError: a gradient of another shape than its input.
        TraceError: forward reads a traced value that isn't an input; forward mode through a
            backward that isn't linear in upstream.

    Derivative: that of `backward`, differentiated again for higher orders; forward mode transposes
    it.

    Example:
        >>> import chainrule as cr
        >>> class Multiply(cr.Gate):
        ...     def forward(self, x, y):
        ...         self.x, self.y = x, y
        ...         return x * y
        ...
        ...     def backward(self, dz):
        ...         return [self.y * dz, self.x * dz]
        >>> multiply = Multiply()
        >>> [float(g) for g in cr.grad(lambda x, y: multiply(x, multiply(x, y)), (0, 1))(3.0, 4.0)]
        [24.0, 9.0]
    """

    def forward(self, *inputs: Any) -> Any:
        """The value for these inputs; what backward needs may be kept on self."""
        raise _unwritten(self, "forward(self, *inputs)")

    def backward(self, upstream: Any) -> Any:
        """upstream × local, one per input of the last forward."""
        raise _unwritten(self, "backward(self, upstream)")

    def __call__(self, *inputs: Any) -> Any:
        leaves = [resolve(leaf) if has_traced(leaf) else leaf for leaf in flatten(inputs)[0]]
        if not any(type(leaf) is Tracer for leaf in leaves):
            return self._run(self, inputs)
        rule = _Rule(self)
        return rule(*inputs)

    def _run(self, keeper: Gate, inputs: Sequence[Any]) -> Any:
        value = keeper.forward(*inputs)
        if value is None:
            raise ArgumentError(
                f"{type(self).__name__}.forward returned nothing",
                fix="end it with return and the value",
                where=_place(type(self).forward),
            )
        return value


class _Rule(custom_vjp):
    """One call of a gate, as a function with its own reverse rule."""

    def __init__(self, gate: Gate) -> None:
        self.caller = type(gate).__name__

        def value(*inputs: Any) -> Any:
            return gate._run(copy.copy(gate), inputs)

        def remember(*inputs: Any) -> tuple[Any, tuple[Gate, tuple[Any, ...]]]:
            keeper = copy.copy(gate)
            return gate._run(keeper, inputs), (keeper, inputs)

        def back(kept: tuple[Gate, tuple[Any, ...]], upstream: Any) -> tuple[Any, ...]:
            keeper, inputs = kept
            return _gradients(gate, keeper.backward(upstream), inputs)

        value.__name__ = value.__qualname__ = self.caller
        super().__init__(value)
        self.defvjp(remember, back)


def _gradients(gate: Gate, given: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """What backward returned, checked: one gradient per input, of its shape."""
    name, where = type(gate).__name__, _place(type(gate).backward)
    if given is None:
        raise ArgumentError(
            f"{name}.backward returned nothing",
            {"inputs": len(inputs)},
            "end it with return [upstream × local, …], one per input",
            where,
        )
    parts = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    if len(parts) != len(inputs):
        raise ArgumentError(
            f"{name}.backward must return one gradient per input",
            {"inputs": len(inputs), "gradients": len(parts)},
            "return [g_first, g_second, …]; None for an input that nothing flows to",
            where,
        )
    for k, (part, x) in enumerate(zip(parts, inputs, strict=True)):
        array = not isinstance(x, (dict, list, tuple))
        if part is not None and array and np.shape(part) != np.shape(x):
            raise ShapeError(
                f"{name}.backward: gradient {k} has another shape than its input",
                {"input": type_of(x), "gradient": type_of(part)},
                f"give it the shape {np.shape(x)}: sum over what forward has spread out",
                where,
            )
    return parts


def _place(method: Any) -> Place | None:
    code = getattr(method, "__code__", None)
    return None if code is None else Place(code, 0)


def _unwritten(gate: Gate, method: str) -> ArgumentError:
    return ArgumentError(
        f"{type(gate).__name__} has no {method.partition('(')[0]}",
        fix=f"define {method} in the class",
    )
