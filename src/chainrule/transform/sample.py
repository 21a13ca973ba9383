"""A function sampled around one point, and the derivative that its samples give."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import DomainError, DtypeError, ShapeError, UnsupportedError
from chainrule.base.trees import flatten, map_tree, paths
from chainrule.ir.types import type_of
from chainrule.tracing.trace import resolve
from chainrule.tracing.tracer import Tracer
from chainrule.transform.arguments import Inputs

LEVELS = 8  # of Richardson's table: steps h, h/2, …, h/2⁷

Outs = list[Any]
# The displacement that was really made (x + t is rounded), and the outputs there.
Sample = Callable[[float], tuple[float, Outs]]
Estimate = tuple[Outs, Outs]  # derivatives and error bounds, one per output leaf


class Point:
    """f around one point: every call gets fresh copies, and is counted."""

    def __init__(
        self,
        f: Callable[..., Any],
        inputs: Inputs,
        kwargs: Mapping[str, Any],
        caller: str = "finite_difference",
    ) -> None:
        self.caller = caller
        self.f, self.inputs, self.kwargs = f, inputs, kwargs
        self.count = 0
        self.tree: Any = None
        self.kinds: list[Any] = []
        self._base: Outs | None = None
        refuse_traced((inputs.leaves, list(inputs.args)), caller)

    def call(self, leaves: Sequence[Any]) -> Outs:
        """The output leaves of f at these input leaves."""
        args = copied(self.inputs.rebuild(leaves))
        self.count += 1
        # Steps may leave the domain; that shows in the result and is dealt with there.
        with np.errstate(all="ignore"):
            result = self.f(*args, **self.kwargs)
        outs, tree = flatten(result)
        arrays = [np.asarray(resolve(out)) for out in outs]
        kinds = [type_of(a) for a in arrays]
        if self.tree is None:
            for path, kind in zip(paths(result), kinds, strict=True):
                if kind.dtype.kind not in "fc":
                    raise DtypeError(
                        f"{self.caller}: the function must return floating-point numbers",
                        {f"output{path}": kind},
                        "an integer or a truth value has no derivative; return a float",
                    )
            self.tree, self.kinds = tree, kinds
        elif [kind.shape for kind in kinds] != [kind.shape for kind in self.kinds]:
            raise ShapeError(
                f"{self.caller}: the shape of the result changes with the argument",
                {"first": ", ".join(map(str, self.kinds)), "then": ", ".join(map(str, kinds))},
                "differentiate within one shape: the number of entries can't vary continuously",
            )
        return arrays

    def base(self) -> Outs:
        """The outputs at the point itself, computed once."""
        if self._base is None:
            self._base = self.call(self.inputs.leaves)
        return self._base

    def at(self, k: int, i: int, unit: complex, t: float) -> tuple[float, Outs]:
        """The outputs with entry i of leaf k moved by t along `unit`, and the true move."""
        leaves = list(self.inputs.leaves)
        moved = np.array(leaves[k], copy=True)
        moved.flat[i] += moved.dtype.type(unit * t)
        change = complex((moved.flat[i] - leaves[k].flat[i]) / unit)
        leaves[k] = moved if moved.shape else moved[()]
        return change.real, self.call(leaves)

    def along(self, directions: Sequence[Any], t: float) -> tuple[float, Outs]:
        """The outputs with every leaf moved by t times its direction."""
        leaves = [
            (x + v * t).astype(x.dtype)[()]
            for x, v in zip(self.inputs.leaves, directions, strict=True)
        ]
        return t, self.call(leaves)

    def complexified(self, k: int, i: int, h: float) -> Outs:
        """The outputs with entry i of leaf k moved by ih."""
        leaves = list(self.inputs.leaves)
        kind = np.result_type(leaves[k].dtype, np.complex64)
        moved = np.array(leaves[k], kind)
        moved.flat[i] += moved.dtype.type(1j * h)
        leaves[k] = moved if moved.shape else moved[()]
        args = copied(self.inputs.rebuild(leaves))
        self.count += 1
        try:
            with np.errstate(all="ignore"):
                result = self.f(*args, **self.kwargs)
        except (TypeError, ValueError) as error:
            raise UnsupportedError(
                "finite_difference: the function refuses the complex step",
                {"raised": type(error).__name__},
                "use method='central'",
            ) from error
        return [np.asarray(out) for out in flatten(result)[0]]


def default_step(method: str, scale: float, eps: float) -> float:
    """A power of two near the step where truncation and rounding balance."""
    if method == "complex":
        return eps * scale  # its square is below rounding, and its product is far from underflow
    if method == "richardson":
        # Far out, a function's own scale is seldom that of x: √x is a compromise.
        return 2.0 ** round(math.log2(min(scale, math.sqrt(scale)) / 8))
    return 2.0 ** round(math.log2(scale * eps ** (1 / 3 if method == "central" else 1 / 2)))


def central_slope(sample: Sample, h: float) -> tuple[Outs, Outs, float]:
    """The central difference quotient, the outputs on its right, and h."""
    ahead, right = sample(h)
    behind, left = sample(-h)
    width = ahead - behind
    return [(b - a) / width for a, b in zip(left, right, strict=True)], right, width / 2


def richardson(sample: Sample, h: float, eps: float, levels: int = LEVELS) -> Estimate:
    """Central differences at h, h/2, … extrapolated to 0; per entry the best of the table."""
    best: Outs = []
    errors: Outs = []
    previous: list[Outs] = []
    for level in range(levels):
        slopes, outs, width = central_slope(sample, h / 2**level)
        row = [slopes]
        floor = [
            4 * eps * np.abs(y) / width + 2 * eps * np.abs(d)
            for y, d in zip(outs, slopes, strict=True)
        ]
        if not best:
            best, errors = list(slopes), [np.full(np.shape(d), np.inf) for d in slopes]
        for order, coarse in enumerate(previous, 1):
            weight = 4.0**order
            finer = [(weight * a - b) / (weight - 1) for a, b in zip(row[-1], coarse, strict=True)]
            for n, d in enumerate(finer):
                # Ridders' estimate: how far the entry is from the two it was made of.
                with np.errstate(invalid="ignore"):
                    error = 2 * np.maximum(np.abs(d - row[-1][n]), np.abs(d - coarse[n])) + floor[n]
                better = error < errors[n]
                best[n] = np.where(better | ~np.isfinite(best[n]), d, best[n])
                errors[n] = np.where(better, error, errors[n])
            row.append(finer)
        previous = row
    return best, errors


def refuse_traced(args: Any, caller: str) -> None:
    """Raise where a traced value stands among arguments that must be plain numbers."""
    if any(type(resolve(leaf)) is Tracer for leaf in flatten(args)[0]):
        raise UnsupportedError(
            f"{caller}: this needs plain numbers, not traced values",
            fix="call it outside of grad, jvp, vmap and the like",
        )


def refuse_endless(inputs: Inputs, caller: str) -> None:
    """Raise where an argument holds NaN or an infinity: no difference can be taken there."""
    for position in inputs.positions:
        argument = inputs.args[position]
        for leaf, path in zip(flatten(argument)[0], paths(argument), strict=True):
            if not np.isfinite(leaf).all():
                shown = leaf if np.ndim(leaf) == 0 else "an array with NaN or an infinity"
                raise DomainError(
                    f"{caller}: the arguments must be finite",
                    {f"argument {position}{path}": shown},
                    "choose a point with finite entries",
                )


def copied(args: Sequence[Any]) -> list[Any]:
    """The same arguments in arrays of their own, for a function that may write to them."""
    return [map_tree(_fresh, argument) for argument in args]


def _fresh(leaf: Any) -> Any:
    """A copy, so that nothing f writes reaches the caller or the next evaluation."""
    return leaf.copy(order="K") if isinstance(leaf, np.ndarray) else leaf
