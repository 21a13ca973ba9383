"""Functions with a derivative rule of their own, checkpoints, and values without a derivative.

Each becomes one equation (`call`) of a recorded function. A rule is stated once, as JAX spells it;
the other mode follows by transposing it.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from chainrule.base.errors import ArgumentError, TraceError
from chainrule.base.trees import map_tree
from chainrule.ops.boundary import call, call_with_reverse, refuse
from chainrule.ops.boundary import stop_gradient as held
from chainrule.tracing.body import Body
from chainrule.tracing.creation import has_traced
from chainrule.tracing.record import FIELDS
from chainrule.tracing.stage import StageTrace
from chainrule.tracing.swap import swapped
from chainrule.tracing.trace import apply, refresh, resolve
from chainrule.tracing.tracer import Tracer
from chainrule.transform.arguments import check_callable
from chainrule.transform.forward import ForwardTrace
from chainrule.transform.linear import nonlinear_row
from chainrule.transform.reverse import pull
from chainrule.transform.site import (
    LinearMap,
    Site,
    body_leaves,
    cotangent_tree,
    function_of,
    tangent_type,
    zeros,
)


def stop_gradient(x: Any) -> Any:
    """The same value, taken as constant by every derivative.

    Args:
        x: an array, a number or a tree of them.

    Returns:
        x itself, with derivative zero. `float(cr.stop_gradient(x))` gives a plain number.

    Example:
        >>> import chainrule as cr
        >>> float(cr.grad(lambda x: x * cr.stop_gradient(x))(3.0))
        3.0
    """
    return map_tree(_hold, x)


def _hold(leaf: Any) -> Any:
    value = resolve(leaf) if has_traced(leaf) else leaf
    if type(value) is not Tracer or value.dtype.kind not in "fc":
        return value
    return apply(held, value)


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, computed again when its derivative is taken.

    Reverse mode keeps only the arguments and the result of each call instead of everything in
    between: less memory, for one more evaluation of f.

    Args:
        f: a function of arrays, numbers or trees of them. It should depend on its arguments and
            on values from outside that it only reads.

    Returns:
        A function with the same arguments, result and derivatives.

    Raises:
        TraceError: a value computed inside was stored outside.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> layer = cr.checkpoint(lambda x: np.sin(np.exp(x)))
        >>> float(cr.grad(layer)(0.0)) == float(np.cos(1.0))
        True
    """
    check_callable(f, "checkpoint")

    @_like(f)
    def remembered(*args: Any, **kwargs: Any) -> Any:
        site = Site(lambda args: f(*args[0], **args[1]), (args, kwargs), f)
        return site.run(call, lambda body: _pushed_through(function_of(body.program)))

    return remembered


class _Custom:
    """What custom_jvp and custom_vjp share: being the function, and naming the arguments."""

    caller = ""

    def __init__(self, f: Any, nondiff_argnums: Sequence[int] = ()) -> None:
        check_callable(f, self.caller)
        self.f = f
        self.nondiff = _positions(nondiff_argnums, self.caller)
        if hasattr(f, "__name__"):
            functools.update_wrapper(self, f, updated=())  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """As a method, `self` comes first (name it in nondiff_argnums)."""
        function: Any = self
        return self if instance is None else types.MethodType(function, instance)

    def split(self, args: tuple[Any, ...]) -> tuple[list[Any], tuple[Any, ...]]:
        """Arguments that are never differentiated, and the others."""
        fixed = [args[k] for k in self.nondiff if k < len(args)]
        return fixed, tuple(a for k, a in enumerate(args) if k not in self.nondiff)

    def join(self, fixed: Sequence[Any], varying: Sequence[Any]) -> list[Any]:
        full = list(varying)
        for k, value in zip(self.nondiff, fixed, strict=False):
            full.insert(k, value)
        return full

    def positional(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """All arguments by position, as the rules take them."""
        if not kwargs:
            return args
        bound = inspect.signature(self.f).bind(*args, **kwargs)
        bound.apply_defaults()
        if bound.kwargs:
            raise ArgumentError(
                f"{self.caller}: the rule takes its arguments by position",
                {"keyword-only": ", ".join(bound.kwargs)},
                "make them positional parameters, or close over them",
            )
        return bound.args

    def no_rule(self, remedy: str) -> ArgumentError:
        name = getattr(self.f, "__name__", "f")
        return ArgumentError(f"{self.caller}: {name} has no derivative rule yet", fix=remedy)


class custom_jvp(_Custom):
    """A function with its own forward rule, from which reverse mode follows.

    Args:
        f: the function, which computes the value.
        nondiff_argnums: positions of arguments that are never differentiated (functions, flags).
            The rule gets them first.

    Returns:
        A function like f. Give it its rule with `defjvp`, or with `defjvps` one per argument.

    Raises:
        ArgumentError: no rule yet when called, or a rule whose result doesn't fit.
        TraceError: f's derivative would need a traced value that isn't an argument, or the rule
            isn't linear in its tangents.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> @cr.custom_jvp
        ... def log1pexp(x):
        ...     return np.log(1 + np.exp(x))
        >>> @log1pexp.defjvp
        ... def rule(primals, tangents):
        ...     (x,), (t,) = primals, tangents
        ...     return log1pexp(x), (1 - 1 / (1 + np.exp(x))) * t
        >>> float(cr.grad(log1pexp)(0.0))
        0.5
    """

    caller = "custom_jvp"

    def __init__(self, f: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        super().__init__(f, nondiff_argnums)
        self.rule: Callable[..., Any] | None = None

    def defjvp(self, rule: Callable[..., Any]) -> Callable[..., Any]:
        """State the rule: `rule(primals, tangents)` → `(out, tangent_out)`, trees as f has them."""
        check_callable(rule, "custom_jvp(f).defjvp")
        self.rule = rule
        return rule

    def defjvps(self, *rules: Callable[..., Any] | None) -> None:
        """State one rule per argument: `rule(tangent, out, *primals)`, or None for no influence."""

        def combined(*args: Any) -> tuple[Any, Any]:
            fixed, primals, tangents = args[:-2], args[-2], args[-1]
            out = self(*self.join(fixed, primals))
            total = None
            for rule, tangent in zip(rules, tangents, strict=True):
                if rule is None or tangent is None:
                    continue
                part = rule(*fixed, tangent, out, *primals)
                total = part if total is None else map_tree(lambda a, b: a + b, total, part)
            return out, map_tree(zeros, out) if total is None else total

        self.rule = combined
        # A missing tangent stays None, so that its rule isn't asked: 0·∞ can't arise.
        self.sparse = True

    sparse = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.rule is None:
            raise self.no_rule("state it with @f.defjvp")
        fixed, varying = self.split(self.positional(args, kwargs))
        site = Site(lambda args: self.f(*self.join(fixed, args)), varying, self.f)
        return site.run(call, lambda body: self.forward(site, body, fixed))

    def forward(self, site: Site, body: Body, fixed: list[Any]) -> Callable[..., Any]:
        """The rule on flat tangents."""
        rule = self.rule
        assert rule is not None
        count = site.count

        def forward(tangents: Sequence[Any], *xs: Any) -> tuple[Any, ...]:
            if any(t is not None for t in tangents[count:]):
                refuse(rule="custom_jvp", place=site.place)
            stage, rows = _stage_of(tangents, xs)
            primals = site.tree_of(xs[:count])
            along = site.tangents_of(tangents[:count], xs[:count], sparse=self.sparse)
            with swapped():
                result = rule(*fixed, primals, along)
                if not isinstance(result, (tuple, list)) or len(result) != 2:
                    raise ArgumentError(
                        "custom_jvp: the rule must return (out, tangent_out)",
                        {"returned": type(result).__name__},
                        "end the rule with return f(x), slope * t",
                    )
                found = body_leaves(body, result[1], "tangent", "custom_jvp")
            if stage is not None:
                _check_linear(stage, rows, "custom_jvp", "its rule isn't linear in the tangents")
            return found

        return forward


class custom_vjp(_Custom):
    """A function with its own reverse rule, from which forward mode follows.

    Args:
        f: the function, which computes the value.
        nondiff_argnums: positions of arguments that are never differentiated (functions, flags).

    Returns:
        A function like f. Give it its rule with `defvjp(fwd, bwd)`: `fwd(*args)` →
        `(out, residuals)`; `bwd(residuals, g)` → a tuple with one cotangent (or None) per argument,
        the arguments of `nondiff_argnums` given to bwd first.

    Raises:
        ArgumentError: no rule yet when called, or a rule whose result doesn't fit.
        TraceError: f's derivative would need a traced value that isn't an argument; forward mode
            through a rule that isn't linear in g.

    Example:
        >>> import numpy as np
        >>> import chainrule as cr
        >>> @cr.custom_vjp
        ... def clipped(x):
        ...     return x
        >>> clipped.defvjp(lambda x: (x, None), lambda _, g: (np.clip(g, -1.0, 1.0),))
        >>> float(cr.grad(lambda x: 5 * clipped(x))(3.0))
        1.0
    """

    caller = "custom_vjp"

    def __init__(self, f: Callable[..., Any], nondiff_argnums: Sequence[int] = ()) -> None:
        super().__init__(f, nondiff_argnums)
        self.rules: tuple[Callable[..., Any], Callable[..., Any]] | None = None

    def defvjp(self, fwd: Callable[..., Any], bwd: Callable[..., Any]) -> None:
        """State the rule: `fwd(*args)` → `(out, residuals)`, `bwd(residuals, g)` → cotangents."""
        check_callable(fwd, "custom_vjp(f).defvjp")
        check_callable(bwd, "custom_vjp(f).defvjp")
        self.rules = (fwd, bwd)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.rules is None:
            raise self.no_rule("state it with f.defvjp(fwd, bwd)")
        fixed, varying = self.split(self.positional(args, kwargs))
        site = Site(lambda args: self.f(*self.join(fixed, args)), varying, self.f)
        return site.run(
            call_with_reverse, lambda body: self.forward(site, body, fixed),
            lambda body: self.reverse(site, body, fixed), self.caller,
        )  # fmt: skip

    def reverse(self, site: Site, body: Body, fixed: list[Any]) -> Callable[..., Any]:
        """fwd and bwd on flat cotangents."""
        assert self.rules is not None
        fwd, bwd = self.rules

        def reverse(gs: Sequence[Any], *xs: Any) -> list[Any]:
            inner, outer = xs[: site.count], xs[site.count :]
            with swapped():
                result = fwd(*self.join(fixed, site.tree_of(inner)))
                if not isinstance(result, (tuple, list)) or len(result) != 2:
                    raise ArgumentError(
                        "custom_vjp: fwd must return (out, residuals)",
                        {"returned": type(result).__name__},
                        "return (out, None) where bwd needs nothing",
                    )
                given = bwd(*fixed, result[1], cotangent_tree(body, gs))
                found = site.cotangents_from(given, inner)
            # A value that the rule can't see must be reached, for the error it holds.
            return [*found, *map(zeros, outer)]

        return reverse

    def forward(self, site: Site, body: Body, fixed: list[Any]) -> Callable[..., Any]:
        """The transpose of bwd."""
        reverse = self.reverse(site, body, fixed)

        def forward(tangents: Sequence[Any], *xs: Any) -> tuple[Any, ...]:
            stage = LinearMap()
            gs = [stage.abstract(tangent_type(body.leaves[k])) for k in body.places]
            try:
                found = reverse(gs, *xs)
            finally:
                stage.open = False
            _check_linear(
                stage, 0, self.caller, "bwd isn't linear in g, so forward mode can't use it"
            )
            seeds = [
                (g.mark, t)
                for g, t in zip(found, tangents, strict=True)
                if t is not None and type(g) is Tracer and g.owner is stage
            ]
            return tuple(pull(stage, seeds, [g.mark for g in gs]))

        return forward


# ---- rules, checked ----------------------------------------------------------------------------


def _positions(numbers: Any, caller: str) -> tuple[int, ...]:
    given = numbers if isinstance(numbers, (tuple, list)) else (numbers,)
    if not all(isinstance(n, int) and n >= 0 for n in given):
        raise ArgumentError(
            f"{caller}: nondiff_argnums must be positions, counted from 0",
            {"given": repr(numbers)},
            fix="write nondiff_argnums=(1,) for the second argument",
        )
    return tuple(sorted(given))


def _like(f: Callable[..., Any]) -> Any:
    return functools.wraps(f) if hasattr(f, "__name__") else lambda wrapper: wrapper


def _stage_of(tangents: Sequence[Any], xs: Sequence[Any]) -> tuple[StageTrace | None, int]:
    """The staged map that tangents belong to, if they do, and its length so far.

    A trace to which the values belong too (the body of a checkpoint under vmap) is no such map.
    """
    own = set(_stages(xs))
    stage = next((stage for stage in _stages(tangents) if stage not in own), None)
    return stage, 0 if stage is None else len(stage.equations) // FIELDS


def _stages(values: Sequence[Any]) -> Iterator[StageTrace]:
    for value in values:
        while type(value) is Tracer:
            if isinstance(value.owner, StageTrace):
                yield value.owner
                break
            value = value.value


def _check_linear(stage: StageTrace, start: int, caller: str, problem: str) -> None:
    row = nonlinear_row(stage, start)
    if row is not None and "callee" in row.params:
        raise TraceError(
            f"{caller}: the rule gives a tangent or cotangent to a function with a rule of its own",
            {"function": row.params["callee"].name},
            "a rule doesn't tell whether its function is linear: write what it computes instead",
            where=row.place,
        )
    if row is not None:
        raise TraceError(
            f"{caller}: {problem}",
            {"operation": row.op.name},
            "a derivative is a linear map: tangents and cotangents may be added, and multiplied "
            "by what doesn't depend on them",
            where=row.place,
        )


def _pushed_through(function: Callable[..., Any]) -> Callable[..., Any]:
    """The forward rule of running the function again with tangents."""

    def forward(tangents: Sequence[Any], *xs: Any) -> tuple[Any, ...]:
        trace = ForwardTrace()
        tracers = [Tracer(trace, x, t) for x, t in zip(xs, tangents, strict=True)]
        try:
            with swapped():
                outs = function(*tracers)
        finally:
            trace.open = False
        return tuple(_tangent(trace, out) for out in outs)

    return forward


def _tangent(trace: ForwardTrace, out: Any) -> Any:
    if type(out) is not Tracer:
        return None
    refresh(out)
    return out.mark if out.owner is trace else None
