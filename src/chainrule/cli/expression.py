"""A typed expression as a function of plain or traced numbers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ChainruleError, DomainError, ExpressionError
from chainrule.cli.reader import Reader, checked_text, pointer


class Expression:
    """A checked expression: call it with one value per name, plain or traced.

    Example:
        >>> f = Expression("x**2 + sin(y)", ["x", "y"])
        >>> float(f(3.0, 0.0))
        9.0
    """

    def __init__(self, text: str, names: Sequence[str]) -> None:
        self.text = checked_text(text)
        self.names = tuple(names)
        self.steps = Reader(self.text, names).read()
        # So that tables and formulas use the names that were typed.
        self.__name__ = "f"
        position = inspect.Parameter.POSITIONAL_ONLY
        self.__signature__ = inspect.Signature([inspect.Parameter(n, position) for n in names])
        used = {step.name for step in self.steps}
        for name in names:
            if name not in used:
                raise ExpressionError(
                    f"{name} has a value but does not occur in the expression",
                    {"expression": self.text},
                    f"leave out --at {name}=…, or use {name} in the expression",
                )

    def __call__(self, *values: Any) -> Any:
        given = dict(zip(self.names, values, strict=True))
        return self.run(given)[-1]

    def run(self, given: Mapping[str, Any]) -> list[Any]:
        """The result of every step."""
        results: list[Any] = []
        for step in self.steps:
            if step.run is None:
                results.append(step.value if step.name is None else given[step.name])
                continue
            try:
                results.append(step.run(*[results[k] for k in step.operands]))
            except ChainruleError as error:
                error.facts = {**pointer(self.text, *step.text), **error.facts}
                raise
        return results

    def check_domain(self, *values: float) -> None:
        """Raise where the expression has no finite value at a point, and point at the cause."""
        given = {name: np.float64(v) for name, v in zip(self.names, values, strict=True)}
        with np.errstate(all="ignore"):
            results = self.run(given)
        if not np.isfinite(results[-1]):
            raise self._outside(results, given)

    def _outside(self, results: list[Any], given: Mapping[str, Any]) -> DomainError:
        """From the result down to the first operation that wasn't given anything infinite."""
        at = len(results) - 1
        while True:
            step = self.steps[at]
            operands = step.operands
            if step.run is np.where:
                operands = (operands[1] if results[operands[0]] else operands[2],)
            worse = [k for k in operands if not np.isfinite(results[k])]
            if not worse:
                break
            at = worse[0]
        step = self.steps[at]
        piece = self.text[slice(*step.text)]
        value = float(results[at])
        kind = "is not a real number" if math.isnan(value) else "is infinite"
        if step.run is not None and not math.isnan(value) and abs(value) == math.inf:
            finite_cause = step.run in (np.exp, np.power, np.multiply, np.add, np.subtract)
            kind = "is too large for a floating-point number" if finite_cause else kind
        facts = pointer(self.text, *step.text)
        computed = [k for k in operands if self.steps[k].run is not None]
        if computed:
            facts["operands"] = ", ".join(
                f"{self.text[slice(*self.steps[k].text)]} = {float(results[k]):.12g}"
                for k in computed
            )
        facts["point"] = ", ".join(f"{name} = {float(v):.12g}" for name, v in given.items())
        return DomainError(
            f"{piece} {kind} at this point", facts, "choose a point inside the domain with --at"
        )
