"""What a traced value takes over from NumPy name by name: Python's operators, and methods.

Each is a line of `Operators`, which the tracer inherits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.base.errors import TraceError
from chainrule.tracing.table import TABLE, call, lookup

_NATIVE = {int, float, complex, bool, np.float64, np.float32, np.int64, np.bool_, np.complex128}
_COMPARISONS = {np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal}


def _binary(ufunc: np.ufunc) -> tuple[Any, Any, Any]:
    """`x + y`, `y + x` and `x += y`, of which x is the traced value."""

    def forward(self: Any, other: Any) -> Any:
        kind = type(other)
        if kind is type(self) or kind in _NATIVE:
            return TABLE[ufunc](self, other)
        return _operate(ufunc, self, other)

    def reflected(self: Any, other: Any) -> Any:
        if type(other) in _NATIVE:
            return TABLE[ufunc](other, self)
        return _operate(ufunc, other, self)

    def in_place(self: Any, other: Any) -> Any:
        result = forward(self, other)
        if result is NotImplemented or not self.owner.mutable(self):
            return result
        TABLE["setitem"](self, Ellipsis, result)
        return self

    return forward, reflected, in_place


def _operate(ufunc: np.ufunc, left: Any, right: Any) -> Any:
    """An operator whose other side is neither traced nor a number."""
    for side in (left, right):
        if isinstance(side, (str, bytes, dict, set, type(None))):
            if ufunc in _COMPARISONS:
                return NotImplemented
            raise TraceError(
                f"{ufunc.__name__}: {side!r} is not an array or a number"[:120],
                fix="is something missing, such as a return? to make text, use an f-string",
            )
        if not isinstance(side, Operators) and getattr(side, "__array_ufunc__", ufunc) is None:
            return NotImplemented
        if _has_own_rules(side):
            return side.__array_ufunc__(ufunc, "__call__", left, right)
    return lookup(ufunc)(TABLE["operand"](left), TABLE["operand"](right))


def _has_own_rules(side: Any) -> bool:
    """Whether it's a number of another kind, which says itself what NumPy's functions do."""
    arrays = (Operators, np.ndarray, np.generic)
    return hasattr(type(side), "__array_ufunc__") and not isinstance(side, arrays)


def _comparison(ufunc: np.ufunc) -> Any:
    return _binary(ufunc)[0]


def _unary(ufunc: np.ufunc) -> Callable[[Any], Any]:
    return lambda self: TABLE[ufunc](self)


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """A method that is NumPy's function of the same name with the array first."""

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return call(function, (self, *args), kwargs)

    method.__name__ = function.__name__
    return method


def _compress(self: Any, condition: Any, axis: Any = None) -> Any:
    return np.compress(condition, self, axis)


class Operators:
    """The operators and the plain methods of a traced value."""

    __slots__ = ()

    __add__, __radd__, __iadd__ = _binary(np.add)
    __sub__, __rsub__, __isub__ = _binary(np.subtract)
    __mul__, __rmul__, __imul__ = _binary(np.multiply)
    __truediv__, __rtruediv__, __itruediv__ = _binary(np.true_divide)
    __floordiv__, __rfloordiv__, __ifloordiv__ = _binary(np.floor_divide)
    __mod__, __rmod__, __imod__ = _binary(np.remainder)
    __matmul__, __rmatmul__, __imatmul__ = _binary(np.matmul)
    __and__, __rand__, __iand__ = _binary(np.bitwise_and)
    __or__, __ror__, __ior__ = _binary(np.bitwise_or)
    __xor__, __rxor__, __ixor__ = _binary(np.bitwise_xor)
    __lshift__, __rlshift__, __ilshift__ = _binary(np.left_shift)
    __rshift__, __rrshift__, __irshift__ = _binary(np.right_shift)
    _power, __rpow__, __ipow__ = _binary(np.power)

    __lt__ = _comparison(np.less)
    __le__ = _comparison(np.less_equal)
    __gt__ = _comparison(np.greater)
    __ge__ = _comparison(np.greater_equal)
    __eq__ = _comparison(np.equal)
    __ne__ = _comparison(np.not_equal)
    __hash__ = object.__hash__  # a name, whatever it stands for

    __neg__ = _unary(np.negative)
    __abs__ = _unary(np.absolute)
    __pos__ = _unary(np.positive)
    __invert__ = _unary(np.invert)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        # NumPy doesn't know pow(x, y, modulus) either.
        return self._power(other) if modulus is None else NotImplemented

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    sum = _method(np.sum)
    prod = _method(np.prod)
    mean = _method(np.mean)
    var = _method(np.var)
    std = _method(np.std)
    max = _method(np.max)
    min = _method(np.min)
    any = _method(np.any)
    all = _method(np.all)
    argmax = _method(np.argmax)
    argmin = _method(np.argmin)
    argsort = _method(np.argsort)
    cumsum = _method(np.cumsum)
    cumprod = _method(np.cumprod)
    trace = _method(np.trace)
    diagonal = _method(np.diagonal)
    ravel = _method(np.ravel)
    squeeze = _method(np.squeeze)
    swapaxes = _method(np.swapaxes)
    repeat = _method(np.repeat)
    take = _method(np.take)
    compress = _compress
    clip = _method(np.clip)
    round = _method(np.round)
    ptp = _method(np.ptp)
    nonzero = _method(np.nonzero)
    searchsorted = _method(np.searchsorted)
    choose = _method(np.choose)
    argpartition = _method(np.argpartition)
