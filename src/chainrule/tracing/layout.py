"""How arrays would lie in memory, in a trace that knows no values.

NumPy decides by memory whether a reshape is a view, and so whether what is written through it
reaches the array that was reshaped. With values, real memory is asked. Without them its order is
worked out from the operations, only where such a write is made.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from chainrule.ir.primitive import Partials, Primitive
from chainrule.tracing.record import FIELDS
from chainrule.tracing.tracer import Tracer
from chainrule.tracing.view import axes_of, rising

# They may turn axes round although their operands lie row by row.
_TURNING = {"einsum", "cofactor", "windows"}
_MOST_ENTRIES = 2**16  # with which an operation is tried out
# While a trace runs, NumPy's own names make buffers.
_empty, _ones, _asarray = np.empty, np.ones, np.asarray
_walk: Any = np.nditer


class Order(NamedTuple):
    """Axes from the longest step in memory to the shortest, None for rows one after the other."""

    axes: tuple[int, ...] | None = None
    known: bool = True


def order_of(value: Any) -> Order:
    """How a value of any trace, or of none, lies in memory."""
    ndim, inner = np.ndim(value), value
    while type(inner) is Tracer:
        if inner.owner.staged and inner.mark >= 0:
            order = inner.owner.layouts.order(inner.mark)
            more = len(inner.shape) - ndim  # a batch lies in front
            axes = [k - more for k in order.axes or () if k >= more]
            return order._replace(axes=rising(axes, inner.shape[more:]))
        inner = inner.value
    return Order(axes_of(inner, ndim) if isinstance(inner, np.ndarray) and ndim > 1 else None)


class Layouts:
    """The orders of one trace's variables, worked out when they are asked for."""

    def __init__(self, trace: Any) -> None:
        self.trace = trace
        self._rows: dict[int, int] = {}  # number of an equation's result → where its row begins
        self._seen = 0
        self._orders: dict[int, Order] = {}

    def order(self, number: int) -> Order:
        """Of a variable; of those that it's computed from first."""
        self._look()
        waiting = [number]
        while waiting:
            top = waiting[-1]
            if top in self._orders:
                waiting.pop()
                continue
            open_ones = [n for n in self._sources(top) if n not in self._orders]
            if open_ones:
                waiting += open_ones
                continue
            self._orders[top] = self._worked_out(top)
            waiting.pop()
        return self._orders[number]

    def _look(self) -> None:
        rows = self.trace.equations
        for at in range(self._seen, len(rows), FIELDS):
            count = len(rows[at + 5]) if rows[at].multiple else 1
            self._rows.update((n, at) for n in range(rows[at + 4], rows[at + 4] + count))
        self._seen = len(rows)

    def _sources(self, number: int) -> list[int]:
        """The variables on which the order of this one depends."""
        at = self._rows.get(number)
        if at is None or len(self.trace.shapes[number]) < 2:
            return []
        numbers = self.trace.equations[at + 2]
        return [n for n in numbers if n >= 0 and len(self.trace.shapes[n]) > 1]

    def _worked_out(self, number: int) -> Order:
        shape = self.trace.shapes[number]
        if len(shape) < 2:
            return Order()
        at = self._rows.get(number)
        if at is None:
            return self.trace.order_of_input(number)
        op, operands, numbers, params, first = self.trace.equations[at : at + 5]
        orders = [
            self._orders.get(n, Order()) if n >= 0 else order_of(a)
            for a, n in zip(operands, numbers, strict=True)
        ]
        if not all(order.known for order in orders):
            return Order(known=False)
        turning = op.name in _TURNING or op.view is not None or params.get("order") == "F"
        if not turning and all(order.axes is None for order in orders):
            return Order()
        found = self._tried(op, operands, numbers, orders, params, number - first)
        return Order(known=False) if found is None else Order(axes_of(found))

    def _tried(
        self,
        op: Primitive,
        operands: list[Any],
        numbers: list[int],
        orders: list[Order],
        params: dict[str, Any],
        output: int,
    ) -> np.ndarray | None:
        """An array that lies as the result would; None if that can't be said."""
        elementwise = isinstance(op.derivative, Partials)
        looked_at = elementwise or op.view is not None  # they leave the numbers alone
        arrays = [
            self._laid(a, n, order, looked_at)
            for a, n, order in zip(operands, numbers, orders, strict=True)
        ]
        if elementwise:
            flags = [["readonly"]] * len(arrays) + [["writeonly", "allocate"]]
            return _walk([*arrays, None], ["zerosize_ok"], flags).operands[-1]
        if not looked_at and max(a.size for a in arrays) > _MOST_ENTRIES:
            return None
        try:
            result = op.value(*arrays, **params)
        except (ArithmeticError, ValueError, TypeError):
            return None
        return result[output] if op.multiple else result

    def _laid(self, operand: Any, number: int, order: Order, looked_at: bool) -> np.ndarray:
        """An array of an operand's shape that lies as it does."""
        if number >= 0:
            shape, dtype = self.trace.shapes[number], self.trace.dtypes[number]
        elif type(operand) is Tracer:
            shape, dtype = tuple(operand.shape), operand.dtype
        else:
            return _asarray(operand)
        axes = order.axes or tuple(range(len(shape)))
        make = _empty if looked_at and math.prod(shape) > 1 else _ones
        laid = make([shape[k] for k in axes], dtype)
        return laid.transpose([axes.index(k) for k in range(len(axes))])
