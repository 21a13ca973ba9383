"""Errors: the problem in the user's words, the facts, the user's line, a remedy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.base.place import Place, user_place


class ChainruleError(Exception):
    """Base of every error this package raises on purpose.

    Args:
        problem: what is wrong, in one line.
        facts: label → text, shown aligned below the problem.
        fix: what to do about it.
        where: the user's place; found from the running stack when not given.
    """

    __module__ = "chainrule"

    def __init__(
        self,
        problem: str,
        facts: Mapping[str, object] | None = None,
        fix: str | None = None,
        where: Place | str | None = None,
    ) -> None:
        self.problem = problem
        self.facts = {label: str(text) for label, text in (facts or {}).items()}
        self.fix = fix
        self.where = user_place(2) if where is None else where
        self._located = False
        super().__init__(problem)

    def locate(self, where: Place | None) -> None:
        """Name the line an equation came from; the first to do so, the innermost, is right."""
        if where is not None and not self._located:
            self.where, self._located = where, True

    def __reduce__(self) -> Any:
        # To another process goes what the place says: the code that it holds can't be sent.
        where = None if self.where is None else str(self.where)
        return _received, (type(self), self.problem), {**self.__dict__, "where": where}

    def __str__(self) -> str:
        rows = dict(self.facts)
        if self.where is not None:
            rows["where"] = str(self.where)
        if self.fix is not None:
            rows["fix"] = self.fix
        width = max((len(label) for label in rows), default=0) + 2
        indent = "\n" + " " * (width + 2)
        lines = [
            f"  {label + ':':<{width}}" + text.replace("\n", indent) for label, text in rows.items()
        ]
        return "\n".join([self.problem, *lines])


def _received(kind: type[ChainruleError], problem: str) -> ChainruleError:
    return kind(problem)


class ShapeError(ChainruleError, ValueError):
    """Shapes that don't fit together, or not what the call needs."""

    __module__ = "chainrule"


class OutOfBoundsError(ShapeError, IndexError):
    """An index outside the array it is used on."""

    __module__ = "chainrule"


class DtypeError(ChainruleError, TypeError):
    """A data type that the call can't work with, such as integers under grad."""

    __module__ = "chainrule"


class ArgumentError(ChainruleError, TypeError, ValueError):
    """An argument of this package's own functions that makes no sense."""

    __module__ = "chainrule"


class TraceError(ChainruleError, TypeError):
    """A traced value was used where its derivative or its value would be lost."""

    __module__ = "chainrule"


class UnsupportedError(ChainruleError, TypeError):
    """A NumPy name, argument or situation that can't be traced."""

    __module__ = "chainrule"


class MissingAttributeError(UnsupportedError, AttributeError):
    """An attribute of NumPy's arrays that a traced array doesn't have."""


class DomainError(ChainruleError, ArithmeticError, ValueError):
    """A point outside the domain of the function, or where no derivative exists."""

    __module__ = "chainrule"


class DivisionError(DomainError, ZeroDivisionError):
    """A whole number of Python's, divided by zero."""

    __module__ = "chainrule"


class LinearAlgebraError(ChainruleError, np.linalg.LinAlgError):
    """A matrix that can't be factorised, inverted or solved with."""

    __module__ = "chainrule"


class AllocationError(ChainruleError, MemoryError):
    """Memory that can't be had; how many bytes."""

    __module__ = "chainrule"


class GradientError(ChainruleError, AssertionError):
    """A derivative disagrees with its numerical check."""

    __module__ = "chainrule"


class DivergenceError(ChainruleError, ArithmeticError):
    """A training whose loss or gradients left the finite numbers."""

    __module__ = "chainrule"


class ModelFileError(ChainruleError, ValueError):
    """A file that isn't a whole, sound model or checkpoint of this package."""

    __module__ = "chainrule"


class StorageError(ChainruleError, OSError):
    """A file that can't be read or written: what the system said, and what is left intact."""

    __module__ = "chainrule"


class ExpressionError(ChainruleError, ValueError):
    """A typed expression that isn't plain arithmetic."""

    __module__ = "chainrule"


class InternalError(ChainruleError, RuntimeError):
    """A fault of this package, never of its user."""

    __module__ = "chainrule"
