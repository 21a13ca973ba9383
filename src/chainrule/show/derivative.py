"""Derivatives between nodes: local ones of one operation, total ones along every path."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ShapeError
from chainrule.ir.primitive import Flat, Partials
from chainrule.show.node import Node
from chainrule.tracing.trace import apply
from chainrule.transform.gradient import vjp
from chainrule.transform.jacobian import jacobian
from chainrule.transform.linear import tangent_dtype

_MOST_ENTRIES = 2**22


def local_gradient(node: Node, slot: int) -> Any:
    """∂(node)/∂(operand slot), the other operands held fixed; None for what doesn't vary."""
    operand = node.inputs[slot]
    if operand.kind == "constant" or operand.type.dtype.kind not in "fc":
        return None
    assert node.equation is not None
    op, params = node.equation.primitive, node.equation.params
    xs = [source.value for source in node.inputs]
    if isinstance(op.derivative, Partials):
        rule = op.derivative.rules[slot]
        with np.errstate(all="ignore"):
            d = rule(node.value, *xs, **params) if callable(rule) else rule
        return _as(d, node.type.shape, node.type.dtype)
    shape = node.type.shape + operand.type.shape
    if isinstance(op.derivative, Flat) or node.type.dtype.kind not in "fc":
        return np.zeros(shape, tangent_dtype(node.type.dtype))[()]
    _check_size(node, operand)
    return jacobian(_alone(node, slot))(_floating(operand))


def pulled(node: Node, slot: int) -> Any:
    """What flows back through one of several results of an operation into an operand."""
    operand = node.inputs[slot]
    if operand.kind == "constant" or operand.type.dtype.kind not in "fc" or node.gradient is None:
        return None
    with np.errstate(all="ignore"):
        return vjp(_alone(node, slot), _floating(operand))[1](node.gradient)[0]


def _alone(node: Node, slot: int) -> Callable[[Any], Any]:
    """The operation as a function of one operand, the others held fixed."""
    assert node.equation is not None
    op, params = node.equation.primitive, node.equation.params
    xs = [source.value for source in node.inputs]

    def alone(x: Any) -> Any:
        result = apply(op, *xs[:slot], x, *xs[slot + 1 :], **params)
        return result[node.output] if op.multiple else result

    return alone


def partial(of: Node, wrt: Node) -> Any:
    """∂(of)/∂(wrt): of as a function of what it reads itself."""
    shape = of.type.shape + wrt.type.shape
    found: Any = np.zeros(shape, tangent_dtype(of.type.dtype))[()]
    if of is wrt:
        return np.reshape(np.eye(of.type.size, dtype=found.dtype), shape)[()]
    for slot, source in enumerate(of.inputs):
        if source is wrt:
            found = found + full(of, wrt, local_gradient(of, slot))
    return found


def full(node: Node, operand: Node, local: Any) -> Any:
    """A local gradient as a Jacobian, also where it's kept entry by entry."""
    shape = node.type.shape + operand.type.shape
    if local is None:
        return np.zeros(shape, tangent_dtype(node.type.dtype))[()]
    if not node.elementwise or not node.type.shape:
        return np.reshape(local, shape)[()]
    _check_size(node, operand)
    index = np.broadcast_to(
        np.arange(operand.type.size).reshape(operand.type.shape), node.type.shape
    )
    found = np.zeros((node.type.size, operand.type.size), np.asarray(local).dtype)
    found[np.arange(node.type.size), index.ravel()] = np.ravel(local)
    return found.reshape(shape)


def total(nodes: Sequence[Node], of: Node, wrt: Node) -> Any:
    """d(of)/d(wrt): the part of the program between them, differentiated."""
    if of is wrt:
        return partial(of, wrt)
    between = _between(of, wrt)
    if of not in between or not all(node.type.dtype.kind in "fc" for node in (of, wrt)):
        return _none(of, wrt)
    _check_size(of, wrt)

    def along(x: Any) -> Any:
        values: dict[Node, Any] = {wrt: x}
        for node in nodes[wrt.index + 1 : of.index + 1]:
            if node not in between or node in values:
                continue
            equation = node.equation
            assert equation is not None
            operands = [values.get(source, source.value) for source in node.inputs]
            result = apply(equation.primitive, *operands, **equation.params)
            if not equation.primitive.multiple:
                values[node] = result
                continue
            for sibling in node.siblings:
                values[sibling] = result[sibling.output]
        return values[of]

    with np.errstate(all="ignore"):
        return jacobian(along)(_floating(wrt))


def _between(of: Node, wrt: Node) -> set[Node]:
    """The nodes that wrt reaches and that reach `of`, both included."""
    reached, waiting = {wrt}, [wrt]
    while waiting:
        for user in waiting.pop().users:
            if user not in reached and user.index <= of.index:
                reached.add(user)
                waiting.append(user)
    needed, waiting = {of} & reached, [of] if of in reached else []
    while waiting:
        for source in waiting.pop().inputs:
            if source in reached and source not in needed:
                needed.add(source)
                waiting.append(source)
    return needed


def _none(of: Node, wrt: Node) -> Any:
    return np.zeros(of.type.shape + wrt.type.shape, tangent_dtype(of.type.dtype))[()]


def _floating(node: Node) -> Any:
    value = node.value
    return value if type(value) is float else np.asarray(value)[()]


def _as(d: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    return np.broadcast_to(np.asarray(d), shape).astype(dtype)[()]


def _check_size(of: Node, wrt: Node) -> None:
    entries = of.type.size * wrt.type.size
    if entries > _MOST_ENTRIES:
        raise ShapeError(
            f"the Jacobian of {of.name} by {wrt.name} has {entries:,} entries",
            {of.name: of.type, wrt.name: wrt.type, "most": f"{_MOST_ENTRIES:,}"},
            "ask for what flows along the edge (Edge.contribution), or use cr.jvp or cr.vjp",
        )
