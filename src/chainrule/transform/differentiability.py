"""What can be differentiated at a point, what can't and why, and which mode costs less."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.trees import flatten, paths, unflatten
from chainrule.ir.types import type_of
from chainrule.transform.arguments import Inputs, check_callable
from chainrule.transform.comparison import seconds_text
from chainrule.transform.forward import jvp
from chainrule.transform.gradient import vjp
from chainrule.transform.irregularity import Finding, watch
from chainrule.transform.sample import copied, refuse_traced

_WEIGHTS = {"undefined": 0, "domain": 1, "infinite": 2, "jump": 3, "kink": 4, "overflow": 5}


def differentiability(f: Callable[..., Any], *args: Any) -> Differentiability:
    """Whether, where and at what cost f can be differentiated at a point.

    Args:
        f: a function of arrays, numbers or trees of them, in plain NumPy.
        args: the point.

    Returns:
        A `Differentiability`. `.findings` lists, with the user's line, the operation and the entry:
        `kink` (left and right slope differ; with the slope that is taken), `jump`, `infinite`
        slopes, `domain` (no real value), `overflow`, `undefined` (no derivative at all), and as
        remarks `flat` (derivative zero: floor), `position` (argmax), `integer` inputs and `branch`
        (Python chose by a value). `.smooth` says whether only remarks were found.
        `.cost` compares the modes. It prints, and has `.to_dict()`.

    Raises:
        UnsupportedError: called on traced values.

    Derivative: a place counts as hit when it's met exactly or up to rounding (marked `near`).

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> report = cr.differentiability(lambda x: np.sum(np.abs(x)), np.array([1.0, 0.0]))
        >>> [(found.kind, found.index, found.taken) for found in report.findings]
        [('kink', (1,), (0.0,))]
    """
    check_callable(f, "differentiability")
    name = getattr(f, "__name__", "f")
    refuse_traced(args, "differentiability")
    argnums, findings = _arguments(args)
    inputs = Inputs(args, argnums, "differentiability")
    outs, found = watch(f, inputs)
    findings += found
    with np.errstate(all="ignore"):
        cost = _cost(f, args, argnums, inputs, outs)
    findings.sort(key=lambda found: _WEIGHTS.get(found.kind, 9))
    return Differentiability(name if name.isidentifier() else "f", tuple(findings), cost)


@dataclass(frozen=True)
class Cost:
    """Both modes for the whole derivative: sweeps, predicted and measured.

    Args:
        inputs, outputs: how many numbers are differentiated, and how many come out.
        forward, reverse: the predicted cost in runs of f: 2 per forward sweep; one recording and
            2 per reverse sweep.
        seconds: one run of f.
        forward_seconds, reverse_seconds: one sweep, measured, times the sweeps needed.
        recommended: `forward`, `reverse`, or `either` when they're within a factor of 2.
    """

    inputs: int
    outputs: int
    forward: float
    reverse: float
    seconds: float
    forward_seconds: float
    reverse_seconds: float
    recommended: str

    def __str__(self) -> str:
        advice = {
            "forward": "forward mode: cr.jacfwd, cr.jvp",
            "reverse": "reverse mode: cr.grad, cr.jacrev, cr.vjp",
            "either": "either mode",
        }
        rows = [
            ("forward", self.inputs, self.forward, self.forward_seconds),
            ("reverse", self.outputs, self.reverse, self.reverse_seconds),
        ]
        size = f"{_many(self.inputs, 'input')} → {_many(self.outputs, 'output')}"
        lines = [f"cost of the derivative, {size} (one run of f: {seconds_text(self.seconds)})"]
        lines += [
            f"  {mode}: {_many(sweeps, 'sweep'):>13}   predicted {runs:>9,.0f} runs of f   "
            f"measured {seconds_text(seconds):>8}"
            for mode, sweeps, runs, seconds in rows
        ]
        return "\n".join([*lines, f"  recommended: {advice[self.recommended]}"])


class Differentiability:
    """What `differentiability` returns."""

    def __init__(self, name: str, findings: tuple[Finding, ...], cost: Cost) -> None:
        self.name, self.findings, self.cost = name, findings, cost

    @property
    def smooth(self) -> bool:
        """Whether the derivative exists at the point and is finite."""
        hits = any(found.kind in _WEIGHTS for found in self.findings)
        return self.cost.inputs > 0 and not hits

    def __str__(self) -> str:
        hits = sum(found.kind in _WEIGHTS for found in self.findings)
        places = f"{hits} place{'s' * (hits != 1)}"
        verdict = "differentiable here" if self.smooth else f"not differentiable here, in {places}"
        if not self.cost.inputs:
            verdict = "nothing to differentiate: no floating-point argument"
        lines = [f"{self.name}: {verdict}"]
        lines += [f"  {line}" for found in self.findings for line in str(found).split("\n")]
        return "\n".join([*lines, str(self.cost)])

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain Python values."""
        return {
            "name": self.name,
            "smooth": self.smooth,
            "findings": [found.to_dict() for found in self.findings],
            "cost": dict(vars(self.cost)),
        }


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _arguments(args: Sequence[Any]) -> tuple[tuple[int, ...], list[Finding]]:
    """The arguments that can vary, and a remark on each integer among the others."""
    argnums, remarks = [], []
    for number, argument in enumerate(args):
        leaves = flatten(argument)[0]
        kinds = [_kind(leaf) for leaf in leaves]
        if leaves and set(kinds) <= set("fc"):
            argnums.append(number)
        for leaf, path, kind in zip(leaves, paths(argument), kinds, strict=True):
            if kind in "iub":
                what = "a truth value" if kind == "b" else "an integer"
                reason = (
                    f"argument {number}{path} is {what} ({type_of(leaf)}), which can't vary "
                    f"continuously; pass a float"
                )
                remarks.append(Finding("integer", "", reason))
    return tuple(argnums), remarks


def _kind(leaf: Any) -> str:
    if isinstance(leaf, (bool, int, float, complex, np.ndarray, np.generic)):
        return np.asarray(leaf).dtype.kind
    return "O"


# ---- cost ------------------------------------------------------------------------------------


def _cost(
    f: Callable[..., Any], args: Sequence[Any], argnums: Sequence[int], inputs: Inputs, outs: Any
) -> Cost:
    n = sum(leaf.size for leaf in inputs.leaves)
    m = sum(math.prod(np.shape(out)) for out in outs)
    forward, reverse = 2.0 * n, 1.0 + 2.0 * m
    recommended = "either"
    if n and (forward * 2 < reverse or reverse * 2 < forward):
        recommended = "forward" if forward < reverse else "reverse"
    chosen = [args[k] for k in argnums]

    def partial(*values: Any) -> Any:
        full = list(args)
        for k, value in zip(argnums, values, strict=True):
            full[k] = value
        return f(*full)

    seconds = _time(lambda: f(*copied(args)))
    once_forward, once_record, once_reverse = 0.0, 0.0, 0.0
    if argnums:
        tangents = inputs.split([np.ones(x.shape, x.dtype)[()] for x in inputs.leaves])
        once_forward = _time(lambda: jvp(partial, chosen, tangents))
        once_record = _time(lambda: vjp(partial, *chosen))
        out, pullback = vjp(partial, *chosen)
        if any(np.asarray(leaf).dtype.kind in "fc" for leaf in flatten(out)[0]):
            ones = _ones(out)
            once_reverse = _time(lambda: pullback(ones))
    return Cost(
        n,
        m,
        forward,
        reverse,
        seconds,
        once_forward * n,
        once_record + once_reverse * m,
        recommended,
    )


def _ones(out: Any) -> Any:
    from_leaves, tree = flatten(out)
    kinds = [type_of(leaf) for leaf in from_leaves]
    ones = [np.ones(k.shape, k.dtype if k.dtype.kind in "fc" else float)[()] for k in kinds]
    return unflatten(tree, ones)


def _time(run: Callable[[], Any]) -> float:
    """The best of three."""
    best = math.inf
    for _ in range(3):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best
