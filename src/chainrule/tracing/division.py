"""Whole numbers divided by zero: an error for Python's own, for NumPy's a warning, at any depth."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from chainrule.base.errors import DivisionError
from chainrule.ir.program import Equation

_DIVISIONS = ("floor_divide", "remainder", "fmod", "reciprocal")

# What np.errstate said of divisions where the program around a loop began, as it is silenced
# within; "" where nobody wants to know, as what is computed isn't all used.
_SAID: ContextVar[str | None] = ContextVar("said", default=None)
# What Python remembers to warn once per line, by file.
_WARNED: dict[str, dict[Any, Any]] = {}


def divides_whole(equation: Equation) -> bool:
    """Whether an equation may divide a whole number by zero."""
    name, kind = equation.primitive.name, equation.outputs[0].type.dtype.kind
    return name in _DIVISIONS and kind in "iu"


@contextlib.contextmanager
def hearing(said: str | None) -> Iterator[None]:
    """Divisions in here are told as np.errstate(divide=said) has it; not at all where it's ""."""
    token = _SAID.set(said)
    try:
        yield
    finally:
        _SAID.reset(token)


def divided(equation: Equation, compute: Callable[[], Any], divisor: Any) -> Any:
    """What computing such an equation gives, told as Python or NumPy would tell it.

    Raises:
        DivisionError: one of Python's own numbers is divided by zero.
    """
    said = _SAID.get()
    if said == "":
        return compute()
    name, where = equation.primitive.name, equation.place
    if equation.outputs[0].type.weak and divisor == 0:
        error = DivisionError(f"{name}: a whole number is divided by zero")
        error.locate(where)
        raise error
    loud: Any = np.geterr()["divide"] if said is None else said
    told: list[str] = []
    with np.errstate(divide="call" if loud == "warn" else loud, call=lambda *a: told.append(a[0])):
        result = compute()
    if told:
        message = f"{told[0]} encountered in {name}"
        if where is None:
            warnings.warn(message, RuntimeWarning, stacklevel=2)
        else:
            known = _WARNED.setdefault(where.filename, {})
            warnings.warn_explicit(
                message, RuntimeWarning, where.filename, where.line, registry=known
            )
    return result
