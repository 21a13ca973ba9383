"""One use of a function with rules: its arguments taken apart, recorded, put back together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, ShapeError, UnsupportedError
from chainrule.base.place import Place, user_place
from chainrule.base.trees import flatten, outline, paths, same_structure, unflatten
from chainrule.ir.primitive import Primitive
from chainrule.ir.program import Constant, Operand, Program
from chainrule.ir.types import ArrayType, type_of
from chainrule.ops.boundary import Callee, unseen
from chainrule.tracing.body import Body, Run, trace_body
from chainrule.tracing.creation import has_traced, operand
from chainrule.tracing.record import RecordTrace
from chainrule.tracing.stage import StageTrace, evaluate
from chainrule.tracing.trace import apply, resolve
from chainrule.tracing.tracer import Tracer
from chainrule.transform.batch import vmap
from chainrule.transform.gradient import conjugated
from chainrule.transform.linear import convert, tangent_dtype
from chainrule.transform.unroll import UNROLLED


class LinearMap(StageTrace):
    """A map that is recorded to be transposed: its values decide, no rule of a function in it."""


class Site:
    """One call: its arguments taken apart into operands, and what stays as it is."""

    def __init__(self, f: Callable[[Any], Any], args: Any, user: Callable[..., Any]) -> None:
        self.f = f
        self.user = user
        self.args = args
        self.place: Place | None = None
        self.leaves, self.tree = flatten(args)
        self.leaves = [resolve(a) if has_traced(a) else a for a in self.leaves]
        self.leaves = [operand(a) if has_traced(a) else a for a in self.leaves]
        # Python's and NumPy's plain numbers stay literals, as they are without the wrapper.
        self.places = [k for k, a in enumerate(self.leaves) if type(a) in (Tracer, np.ndarray)]
        self.count = len(self.places)

    def run(
        self,
        op: Primitive,
        forward: Callable[[Body], Callable[..., Any]],
        reverse: Callable[[Body], Callable[..., Any]] | None = None,
        rule: str = "custom_vjp",
    ) -> Any:
        """The result of the call, as one equation where anything is traced.

        `rule` is what errors call a `reverse`.
        """
        operands = [self.leaves[k] for k in self.places]
        traces = [a.owner for a in operands if type(a) is Tracer]
        if not traces or any(isinstance(trace, LinearMap) for trace in traces):
            return self.f(self.args)
        self.place = user_place(1)

        def flat(*xs: Any) -> Any:
            return self.f(self.tree_of(xs))

        flat.__name__ = getattr(self.user, "__name__", type(self.user).__name__)
        body, ran = trace_body(flat, operands)
        captured: list[Any] = [_strong(a) for a in body.captured]
        if reverse is not None:
            captured = [_guard(a, rule, self.place) for a in captured]
        callee = _callee(
            flat.__name__,
            _Recorded(body.program, ran),
            forward(body),
            None if reverse is None else reverse(body),
            _formula(body.program),
        )
        results = list(body.leaves)
        if body.places:
            outs = apply(op, *map(_strong, operands), *captured, callee=callee)
            for k, out in zip(body.places, outs, strict=True):
                results[k] = _as_weak(out) if body.leaves[k].weak else out
        return unflatten(body.tree, results)

    def tree_of(self, xs: Sequence[Any]) -> Any:
        """The arguments with these operands."""
        leaves = list(self.leaves)
        for k, x in zip(self.places, xs, strict=True):
            leaves[k] = x
        return unflatten(self.tree, leaves)

    def tangents_of(self, tangents: Sequence[Any], xs: Sequence[Any], *, sparse: bool) -> Any:
        """Tangents in the tree of the arguments; an argument without any is None if `sparse`."""
        leaves: list[Any] = [zeros(leaf) for leaf in self.leaves]
        for k, t, x in zip(self.places, tangents, xs, strict=True):
            leaves[k] = zeros(x) if t is None else t
        tree = unflatten(self.tree, leaves)
        if not sparse:
            return tree
        moving = {k for k, t in zip(self.places, tangents, strict=True) if t is not None}
        parts, start = [], 0
        for argument, part in zip(self.args, tree, strict=True):
            size = len(flatten(argument)[0])
            parts.append(part if moving & set(range(start, start + size)) else None)
            start += size
        return tuple(parts)

    def cotangents_from(self, given: Any, xs: Sequence[Any]) -> list[Any]:
        """One cotangent or None per operand, out of what bwd returned."""
        if not isinstance(given, (tuple, list)) or len(given) != len(self.args):
            shown = len(given) if isinstance(given, (tuple, list)) else type(given).__name__
            raise ArgumentError(
                "custom_vjp: bwd must return a tuple with one cotangent per argument",
                {"arguments": len(self.args), "returned": shown},
                "end bwd with return (g_first, g_second, …); None where nothing flows",
            )
        leaves: list[Any] = []
        for number, (argument, part) in enumerate(zip(self.args, given, strict=True)):
            expected, tree = flatten(argument)
            if part is None:
                leaves += [None] * len(expected)
                continue
            found, structure = flatten(part)
            if not same_structure(structure, tree):
                raise ArgumentError(
                    f"custom_vjp: bwd's cotangent {number} has another tree than its argument",
                    {"argument": outline(tree), "cotangent": outline(structure)},
                    fix="put it together as the argument is; None means no derivative",
                )
            leaves += found
        answers: list[Any] = []
        for k, x in zip(self.places, xs, strict=True):
            kind = type_of(x)
            if leaves[k] is None or kind.dtype.kind not in "fc":
                answers.append(None)
                continue
            place, _, path = paths(self.args)[k][1:].partition("]")
            label = f"bwd's cotangent for argument {place}{path}"
            answers.append(conjugated(_fitting(leaves[k], kind, label, "custom_vjp")))
        return answers


def _guard(value: Any, rule: str, place: Place | None) -> Any:
    if value.dtype.kind not in "fc":
        return value
    return apply(unseen, value, rule=rule, place=place)


def function_of(program: Program) -> Callable[..., list[Any]]:
    """The program as a function of flat operands."""
    return lambda *xs: evaluate(program, *xs)


class _Recorded:
    """The program as a function, which has been run once already to record it."""

    __slots__ = ("program", "ran")

    def __init__(self, program: Program, ran: Run | None) -> None:
        self.program = program
        self.ran = ran

    def __call__(self, *xs: Any) -> list[Any]:
        ran, self.ran = self.ran, None
        if ran is not None and all(a is b for a, b in zip(xs, ran[0], strict=True)):
            return ran[1]
        return evaluate(self.program, *xs)


def _formula(program: Program) -> Callable[..., list[Any] | None]:
    """The program's symbolic rule: those of its equations, one after the other.

    None where one of them has to be read with values, as a loop has.
    """

    def rule(sympy: Any, *arrays: Any) -> list[Any] | None:
        env: dict[int, Any] = {
            var.number: array for var, array in zip(program.inputs, arrays, strict=True)
        }
        env.update((var.number, value) for var, value in program.captured)

        def read(a: Operand) -> Any:
            return a.value if isinstance(a, Constant) else env[a.number]

        for equation in program.equations:
            op = equation.primitive
            if op in UNROLLED:
                return None
            if op.symbolic is None:
                raise UnsupportedError(
                    f"symbolic: {op.name} has no formula in SymPy",
                    fix="differentiate with cr.grad or cr.jvp instead",
                    where=equation.place,
                )
            found = op.symbolic(sympy, *map(read, equation.inputs), **equation.params)
            if found is None:
                return None
            for var, part in zip(equation.outputs, found if op.multiple else (found,), strict=True):
                env[var.number] = part
        return [np.asarray(read(out)) for out in program.outputs]

    return rule


def _callee(
    name: str,
    function: Callable[..., Any],
    forward: Callable[..., Any],
    reverse: Callable[..., Any] | None,
    formula: Callable[..., Any] | None = None,
) -> Callee:
    def batched(size: int, flags: tuple[bool, ...]) -> Callee:
        return _batched(name, function, forward, reverse, size, flags)

    return Callee(name, function, forward, reverse, batched, formula)


def _batched(
    name: str,
    function: Callable[..., Any],
    forward: Callable[..., Any],
    reverse: Callable[..., Any] | None,
    size: int,
    flags: tuple[bool, ...],
) -> Callee:
    """The callee of a whole batch, whose operands carry it on axis 0 where flagged."""
    axes = tuple(0 if flag else None for flag in flags)

    def many(*xs: Any) -> Any:
        return vmap(function, in_axes=axes)(*xs)

    def push(tangents: Sequence[Any], *xs: Any) -> Any:
        rule = lambda ts, xs: tuple(forward(ts, *xs))  # noqa: E731 - vmap takes two trees
        return vmap(rule, in_axes=(axes, axes))(tuple(tangents), xs)

    def pull_back(gs: Sequence[Any], *xs: Any) -> Any:
        assert reverse is not None
        rule = lambda gs, xs: tuple(reverse(gs, *xs))  # noqa: E731
        found = vmap(rule, in_axes=((0,) * len(gs), axes))(tuple(gs), xs)
        return tuple(
            g if g is None or flag else np.sum(g, axis=0)
            for g, flag in zip(found, flags, strict=True)
        )

    return _callee(name, many, push, None if reverse is None else pull_back)


def body_leaves(body: Body, tree: Any, what: str, caller: str) -> tuple[Any, ...]:
    """The leaves of a rule's result that belong to the call's outputs, checked against them."""
    leaves, structure = flatten(tree)
    if not same_structure(structure, body.tree):
        raise ArgumentError(
            f"{caller}: the rule's {what} has another tree than the function's result",
            {"result": outline(body.tree), what: outline(structure)},
            fix="return it put together as the function's result is",
        )
    return tuple(
        _fitting(leaves[k], tangent_type(body.leaves[k]), f"the rule's {what}", caller)
        for k in body.places
    )


def cotangent_tree(body: Body, gs: Sequence[Any]) -> Any:
    """Cotangents as bwd takes them: the tree of the result, zeros where nothing flows."""
    leaves = [zeros(leaf) for leaf in body.leaves]
    for k, g in zip(body.places, gs, strict=True):
        if g is not None:
            leaves[k] = conjugated(g)
    return unflatten(body.tree, leaves)


def tangent_type(value: Any) -> ArrayType:
    kind = type_of(value)
    return ArrayType(kind.shape, tangent_dtype(kind.dtype))


def _fitting(value: Any, kind: ArrayType, what: str, caller: str) -> Any:
    value = operand(value)
    value = value if type(value) is Tracer else np.asarray(value)[()]
    if tuple(value.shape) != kind.shape:
        raise ShapeError(
            f"{caller}: {what} has the wrong shape",
            {"expected": kind, "given": type_of(value)},
            f"give it the shape {kind.shape}: that of what it belongs to",
        )
    dtype = tangent_dtype(kind.dtype)
    return value if value.dtype == dtype else convert(value, dtype)


def zeros(value: Any) -> Any:
    """A zero tangent or cotangent of a value; anything that isn't a number is left out."""
    if isinstance(value, (bool, int, float, complex)) or hasattr(value, "dtype"):
        kind = tangent_type(value)
        return np.zeros(kind.shape, kind.dtype)[()]
    return None


def _strong(value: Any) -> Any:
    """An operand of the call; that a number is Python's own is remembered by the program."""
    if type(value) is Tracer and value.weak:
        return Tracer(value.owner, value.value, value.mark)
    return value


def _as_weak(value: Any) -> Any:
    if type(value) is Tracer:
        if isinstance(value.owner, RecordTrace):
            value.owner.weakened.add(value.mark)
        return Tracer(value.owner, value.value, value.mark, True)
    return value
