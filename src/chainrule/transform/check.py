"""Gradient checks: both modes against finite differences, and the operation that is to blame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError, GradientError
from chainrule.base.trees import flatten, unflatten
from chainrule.ir.program import Constant, Equation, Var
from chainrule.tracing.stage import trace_program
from chainrule.tracing.trace import apply, ground
from chainrule.transform.arguments import Inputs, check_callable
from chainrule.transform.domain import has_nan, no_value
from chainrule.transform.examination import Check, Entry, Settings, examine, random_like
from chainrule.transform.forward import jvp
from chainrule.transform.gradient import vjp
from chainrule.transform.irregularity import Finding, watch
from chainrule.transform.sample import copied, refuse_endless, refuse_traced

_MODES = ("forward", "reverse")


def check_grads(
    f: Callable[..., Any],
    args: Sequence[Any],
    order: int = 2,
    modes: Sequence[str] = _MODES,
    rtol: float | None = None,
    atol: float | None = None,
) -> GradientReport:
    """Check f's derivatives against finite differences; raise where they disagree.

    Args:
        f: a function of arrays, numbers or trees of them.
        args: a tuple with the point; its floating-point arguments are differentiated.
        order: how many derivatives to check: 2 also checks the derivative of the derivative.
        modes: `forward`, `reverse` or both; of a higher order every combination.
        rtol, atol: allowed error relative to each entry and absolute, beyond the error bound of
            the differences. By default 10·√eps of the coarsest dtype (1.5e-7 for float64), and as
            much of the largest entry.

    Returns:
        A `GradientReport`: per check the worst entry with its path, index, analytic and numeric
        value and error bound; kinks at the point; entries that no difference could settle.

    Raises:
        GradientError: a derivative is wrong. It names the first operation whose rule disagrees
            with differences of the operation itself, and the user's line.
        DomainError: the function returns NaN at this point.

    Derivative: at a kink, any value between the slopes on both sides is accepted.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> report = cr.check_grads(lambda x: np.sum(np.sin(x)), (np.array([1.0, 2.0]),))
        >>> report.worst.error < 1e-7
        True
    """
    check_callable(f, "check_grads")
    if not isinstance(args, (tuple, list)):
        args = (args,)
    refuse_traced(list(args), "check_grads")
    if isinstance(modes, str):
        modes = (modes,)
    if not modes or set(modes) - set(_MODES):
        raise ArgumentError(
            "check_grads: modes must be 'forward', 'reverse' or both",
            {"given": repr(modes)},
            "write modes=('forward', 'reverse')",
        )
    if not isinstance(order, int) or order < 1:
        raise ArgumentError(
            "check_grads: the order must be 1 or more", {"order": repr(order)}, "write order=2"
        )
    function, values, names = _floating(f, args)
    settings = Settings(tuple(modes), rtol, atol)
    inputs = Inputs(values, tuple(range(len(values))), "check_grads")
    refuse_endless(inputs, "check_grads")
    outs, kinks = watch(function, inputs)
    for out in map(ground, outs):
        if has_nan(out):
            raise no_value(out, function, values, {}, inputs.positions, "check_grads")
    name = getattr(f, "__name__", "f")
    checks: list[Check] = []
    for chain, derived in _derived(function, values, order, settings.modes):
        found = examine(derived, values, settings, names)
        for check in found:
            named = check.of(chain)
            if not check.passed:
                raise _failure(name, derived, values, settings, named)
            checks.append(named)
    special = [found for found in kinks if found.kind not in ("branch", "position", "flat")]
    return GradientReport(name, order, tuple(checks), tuple(special))


@dataclass(frozen=True)
class GradientReport:
    """What `check_grads` returns."""

    name: str
    order: int
    checks: tuple[Check, ...]
    kinks: tuple[Finding, ...] = ()

    @property
    def worst(self) -> Entry | None:
        """The entry of all checks that came nearest to its limit."""
        entries = [check.worst for check in self.checks if check.worst is not None]
        return max(entries, key=lambda e: e.error / (e.allowed or 1.0), default=None)

    def __str__(self) -> str:
        settled = any(check.worst is not None for check in self.checks)
        verdict = "agree with" if settled else "could not be settled by"
        lines = [f"{self.name}: derivatives {verdict} finite differences to order {self.order}"]
        for check in self.checks:
            text = f"  {' over '.join(reversed(check.modes)):<21} {check.entries:>5,} checked"
            if check.worst is not None:
                worst = check.worst
                text += (
                    f"   worst {worst.path}: error {worst.error:.1e}, allowed {worst.allowed:.1e} "
                    f"(bound {worst.bound:.1e}, steps from {check.step:.2g})"
                )
            lines.append(text)
            if check.kinks:
                lines.append(f"{'':<24}{check.kinks} at a kink, between the slopes on both sides")
            if check.unsettled:
                lines.append(f"{'':<24}{check.unsettled} that no difference could settle")
        lines += [f"  {line}" for found in self.kinks for line in str(found).split("\n")]
        return "\n".join(lines)


def _floating(
    f: Callable[..., Any], args: Sequence[Any]
) -> tuple[Callable[..., Any], list[Any], list[str]]:
    """f of its floating-point arguments alone, those, and what to call them."""
    kinds = [{np.asarray(leaf).dtype.kind for leaf in flatten(a)[0]} for a in args]
    chosen = [k for k, found in enumerate(kinds) if found and found <= set("fc")]
    if not chosen:
        raise DtypeError(
            "check_grads: no floating-point argument to differentiate",
            fix="pass floats: 2.0 instead of 2, or x.astype(float)",
        )

    def function(*values: Any) -> Any:
        full = list(args)
        for k, value in zip(chosen, values, strict=True):
            full[k] = value
        return f(*full)

    return function, [args[k] for k in chosen], [f"argument {k}" for k in chosen]


def _derived(
    function: Callable[..., Any], values: Sequence[Any], order: int, modes: Sequence[str]
) -> Iterator[tuple[tuple[str, ...], Callable[..., Any]]]:
    """The function, its derivatives along a fixed random direction, theirs, and so on."""
    level: list[tuple[tuple[str, ...], Callable[..., Any]]] = [((), function)]
    for depth in range(order):
        yield from level
        if depth + 1 < order:
            level = [
                ((*chain, mode), _along(inner, values, mode))
                for chain, inner in level
                for mode in modes
            ]


def _along(function: Callable[..., Any], values: Sequence[Any], mode: str) -> Callable[..., Any]:
    rng = np.random.default_rng(0)
    if mode == "forward":
        leaves, tree = flatten(tuple(values))
        direction = unflatten(tree, [random_like(rng, leaf) for leaf in leaves])
        return lambda *xs: jvp(function, xs, direction)[1]
    outs, tree = flatten(function(*copied(values)))
    cotangent = unflatten(tree, [random_like(rng, out) for out in outs])
    return lambda *xs: vjp(function, *xs)[1](cotangent)


# ---- whose fault it is ---------------------------------------------------------------------------


def _failure(
    name: str,
    derived: Callable[..., Any],
    values: Sequence[Any],
    settings: Settings,
    check: Check,
) -> GradientError:
    """The error: the worst entry, and the first operation that is wrong by itself."""
    assert check.worst is not None
    worst = check.worst
    facts = {
        "check": " over ".join(reversed(check.modes)) + " mode",
        "entry": worst.path,
        "by rule": _number(worst.analytic),
        "numerical": f"{_number(worst.numeric)} ± {worst.bound:.1e}",
    }
    fix = (
        "no single operation disagrees: look for cr.stop_gradient on the way, or for a function "
        "that isn't the same at every call"
    )
    blamed = _first_wrong(derived, values, settings)
    place: Any = None
    if blamed is not None:
        equation, entry = blamed
        facts["operation"] = _equation_text(equation)
        facts["its rule"] = f"{_number(entry.analytic)}, numerically {_number(entry.numeric)}"
        fix = "correct the derivative rule of that operation"
        place = equation.place
    return GradientError(
        f"check_grads: the derivative of {name} disagrees with finite differences",
        facts,
        fix,
        where=place,
    )


def _first_wrong(
    f: Callable[..., Any], values: Sequence[Any], settings: Settings
) -> tuple[Equation, Entry] | None:
    """The first equation whose own derivative disagrees with differences of that operation."""
    program = trace_program(f, *values)
    leaves, _ = flatten(tuple(values))
    known: dict[int, Any] = {v.number: x for v, x in zip(program.inputs, leaves, strict=True)}
    known.update((var.number, value) for var, value in program.captured)
    varies = {var.number for var in program.inputs}
    for equation in program.equations:
        op = equation.primitive
        xs = [i.value if isinstance(i, Constant) else known[i.number] for i in equation.inputs]
        result = apply(op, *xs, **equation.params)
        for var, value in zip(equation.outputs, result if op.multiple else (result,), strict=True):
            known[var.number] = value
        places = [
            k
            for k, i in enumerate(equation.inputs)
            if isinstance(i, Var) and i.number in varies and i.type.dtype.kind in "fc"
        ]
        if op.flat or not places or any(v.type.dtype.kind not in "fc" for v in equation.outputs):
            continue
        varies.update(var.number for var in equation.outputs)
        entry = _wrong_entry(equation, xs, places, settings)
        if entry is not None:
            return equation, entry
    return None


def _wrong_entry(
    equation: Equation, xs: list[Any], places: list[int], settings: Settings
) -> Entry | None:
    def only(*chosen: Any) -> Any:
        full = list(xs)
        for k, value in zip(places, chosen, strict=True):
            full[k] = value
        return apply(equation.primitive, *full, **equation.params)

    names = [f"operand {k}" for k in places]
    for check in examine(only, [xs[k] for k in places], settings, names):
        if not check.passed:
            return check.worst
    return None


def _equation_text(equation: Equation) -> str:
    callee = equation.params.get("callee")
    name = equation.primitive.name if callee is None else callee.name
    kinds = [str(i.type) if isinstance(i, Var) else repr(i) for i in equation.inputs]
    return f"{name}({', '.join(kinds)})"


def _number(value: Any) -> str:
    return f"{value:.10g}"
