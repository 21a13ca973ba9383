"""The lecture's forward mode by hand: numbers that carry their derivatives along."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError, UnsupportedError
from chainrule.ir.types import type_of


class ForwardValue:
    """A number that knows its derivatives by the variables it was computed from.

    `ForwardValue(2.0)` declares a variable. An operation is a subclass with exactly two methods:
    `func(*values)` computes, `grads(*values)` gives a tuple with the local derivative by each
    argument; `Operation(*args)`, with ForwardValues and plain numbers, is its result.

    Attributes:
        parent_values: the arguments, as given.
        value: the number.
        forward_grads: variable → derivative; `{self: 1}` for a declared variable.

    Python's operators and NumPy's functions work on them, and make more of them; and they work in
    functions that are traced, with traced numbers.

    Raises:
        ShapeError: a value that isn't a single number.
        ArgumentError: another number of local derivatives than arguments.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> x, w = cr.ForwardValue(2.0), cr.ForwardValue(1.0)
        >>> b = w * x**2
        >>> b.value, b.forward_grads[x], b.forward_grads[w]
        (4.0, 4.0, 4.0)
        >>> class square(cr.ForwardValue):
        ...     def func(self, x):
        ...         return x * x
        ...
        ...     def grads(self, x):
        ...         return (2 * x,)
        >>> square(x).forward_grads[x]
        4.0
    """

    __slots__ = ("__weakref__", "forward_grads", "parent_values", "value")
    __array_priority__ = 2000.0

    def __init__(self, *args: Any) -> None:
        self.parent_values = args
        self.forward_grads: dict[ForwardValue, Any] = {}
        self.value = self.forward_pass(args)

    def forward_pass(self, args: tuple[Any, ...]) -> Any:
        """The value for these arguments; the derivatives go along."""
        if type(self) is ForwardValue:
            return self._declared(args)
        values = [_number(a.value if isinstance(a, ForwardValue) else a, self) for a in args]
        value = _number(self.func(*values), self)
        slopes = self.grads(*values)
        slopes = tuple(slopes) if isinstance(slopes, (tuple, list)) else (slopes,)
        if len(slopes) != len(args):
            raise ArgumentError(
                f"{type(self).__name__}.grads must give one derivative per argument",
                {"arguments": len(args), "derivatives": len(slopes)},
                "return a tuple: (slope_first, slope_second, …)",
            )
        for parent, slope in zip(args, slopes, strict=True):
            if isinstance(parent, ForwardValue):
                for variable, derivative in parent.forward_grads.items():
                    part = slope * derivative
                    known = self.forward_grads.get(variable)
                    self.forward_grads[variable] = part if known is None else known + part
        return value

    def _declared(self, args: tuple[Any, ...]) -> Any:
        if len(args) != 1 or isinstance(args[0], ForwardValue):
            raise ArgumentError(
                "ForwardValue declares a variable from one plain number",
                {"given": ", ".join(type(a).__name__ for a in args) or "nothing"},
                "write cr.ForwardValue(2.0); operations are subclasses with func and grads",
            )
        self.forward_grads = {self: 1}
        return _number(args[0], self)

    def func(self, *values: Any) -> Any:
        """The value for plain numbers."""
        raise _unwritten(self, "func(self, *values)")

    def grads(self, *values: Any) -> Any:
        """The local derivatives for plain numbers, a tuple with one per argument."""
        raise _unwritten(self, "grads(self, *values)")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(value={self.value})"

    # ---- Python's operators and NumPy's functions -----------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc in _COMPARISONS and method == "__call__" and not kwargs:
            return ufunc(*(a.value if isinstance(a, ForwardValue) else a for a in inputs))
        if ufunc not in _OPERATIONS or method != "__call__" or kwargs:
            raise UnsupportedError(
                f"ForwardValue has no operation np.{ufunc.__name__}"
                + (f".{method}" if method != "__call__" else ""),
                {"operations": textwrap.fill(", ".join(sorted(o.__name__ for o in _OPERATIONS)))},
                "write it as a subclass of cr.ForwardValue, with func and grads",
            )
        return _OPERATIONS[ufunc](*inputs)

    def __add__(self, other: Any) -> Any:
        return _add(self, other)

    def __radd__(self, other: Any) -> Any:
        return _add(other, self)

    def __sub__(self, other: Any) -> Any:
        return _sub(self, other)

    def __rsub__(self, other: Any) -> Any:
        return _sub(other, self)

    def __mul__(self, other: Any) -> Any:
        return _mul(self, other)

    def __rmul__(self, other: Any) -> Any:
        return _mul(other, self)

    def __truediv__(self, other: Any) -> Any:
        return _div(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _div(other, self)

    def __pow__(self, other: Any) -> Any:
        return _pow(self, other)

    def __rpow__(self, other: Any) -> Any:
        return _pow(other, self)

    def __neg__(self) -> Any:
        return _neg(self)

    def __pos__(self) -> ForwardValue:
        return self

    def __abs__(self) -> Any:
        return _abs(self)

    # Variables are keys of dicts, so == asks whether two are the same one; order goes by value.
    def __lt__(self, other: Any) -> bool:
        return bool(self.value < _plain(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= _plain(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > _plain(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= _plain(other))


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, ForwardValue) else value


def _number(value: Any, owner: ForwardValue) -> Any:
    if isinstance(value, (list, tuple)) or np.shape(value):
        raise ShapeError(
            f"{type(owner).__name__}: a ForwardValue is a single number",
            {"given": type_of(np.asarray(value) if isinstance(value, (list, tuple)) else value)},
            "make one per entry, or use cr.jvp, which takes arrays",
        )
    return value


def _unwritten(value: ForwardValue, method: str) -> ArgumentError:
    return ArgumentError(
        f"{type(value).__name__} has no {method.partition('(')[0]}",
        fix=f"define {method} in the class",
    )


# ---- the operations, as users write their own ----------------------------------------------------


class _add(ForwardValue):
    def func(self, x: Any, y: Any) -> Any:
        return x + y

    def grads(self, x: Any, y: Any) -> Any:
        return 1, 1


class _sub(ForwardValue):
    def func(self, x: Any, y: Any) -> Any:
        return x - y

    def grads(self, x: Any, y: Any) -> Any:
        return 1, -1


class _mul(ForwardValue):
    def func(self, x: Any, y: Any) -> Any:
        return x * y

    def grads(self, x: Any, y: Any) -> Any:
        return y, x


class _div(ForwardValue):
    def func(self, x: Any, y: Any) -> Any:
        return x / y

    def grads(self, x: Any, y: Any) -> Any:
        return 1 / y, -x / y**2


class _neg(ForwardValue):
    def func(self, x: Any) -> Any:
        return -x

    def grads(self, x: Any) -> Any:
        return (-1,)


class _pow(ForwardValue):
    def func(self, x: Any, n: Any) -> Any:
        return x**n

    def grads(self, x: Any, n: Any) -> Any:
        # The slope by the exponent exists for a positive base, and counts for a variable exponent.
        varies = isinstance(self.parent_values[1], ForwardValue)
        return n * x ** (n - 1), x**n * np.log(x) if varies else 0


class _abs(ForwardValue):
    def func(self, x: Any) -> Any:
        return abs(x)

    def grads(self, x: Any) -> Any:
        return (np.sign(x),)


class _max(ForwardValue):
    def func(self, x: Any, y: Any) -> Any:
        return np.maximum(x, y)

    def grads(self, x: Any, y: Any) -> Any:
        larger = np.heaviside(x - y, 0.5)
        return larger, 1 - larger


class _min(ForwardValue):
    def func(self, x: Any, y: Any) -> Any:
        return np.minimum(x, y)

    def grads(self, x: Any, y: Any) -> Any:
        smaller = np.heaviside(y - x, 0.5)
        return smaller, 1 - smaller


def _function(ufunc: np.ufunc, slope: Callable[[Any], Any]) -> type[ForwardValue]:
    """The operation of a function of one number, from its derivative."""

    def func(self: Any, x: Any) -> Any:
        return ufunc(x)

    def grads(self: Any, x: Any) -> Any:
        return (slope(x),)

    return type(f"_{ufunc.__name__}", (ForwardValue,), {"func": func, "grads": grads})


_OPERATIONS: dict[Any, type[ForwardValue]] = {
    np.add: _add,
    np.subtract: _sub,
    np.multiply: _mul,
    np.divide: _div,
    np.negative: _neg,
    np.power: _pow,
    np.absolute: _abs,
    np.maximum: _max,
    np.minimum: _min,
    np.exp: _function(np.exp, np.exp),
    np.log: _function(np.log, lambda x: 1 / x),
    np.sin: _function(np.sin, np.cos),
    np.cos: _function(np.cos, lambda x: -np.sin(x)),
    np.tan: _function(np.tan, lambda x: 1 + np.tan(x) ** 2),
    np.tanh: _function(np.tanh, lambda x: 1 - np.tanh(x) ** 2),
    np.sqrt: _function(np.sqrt, lambda x: 0.5 / np.sqrt(x)),
    np.square: _function(np.square, lambda x: 2 * x),
    np.log1p: _function(np.log1p, lambda x: 1 / (1 + x)),
    np.expm1: _function(np.expm1, np.exp),
    np.arctan: _function(np.arctan, lambda x: 1 / (1 + x * x)),
}
_COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal}
