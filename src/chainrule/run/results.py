"""What becomes of a program's outputs: which have to be computed, and what the user gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import byte_bounds

from chainrule.base.errors import ArgumentError, DtypeError, ShapeError
from chainrule.base.trees import flatten, outline, same_structure
from chainrule.ir.program import Constant, Equation, Program, Var
from chainrule.ir.types import ArrayType, type_of
from chainrule.run.template import template_of

_SMALL = 64  # entries of operands on which an equation may be tried


class Leaf(NamedTuple):
    """Where one leaf of the result comes from.

    source: "computed", "input", "captured" or "constant"; number: which of them.
    kind: its type, or None if it's no array or number.
    scalar: one of NumPy's or Python's numbers, rather than an array without axes.
    truth: Python's own True or False, as a comparison of Python's own numbers gives.
    """

    source: str
    number: int
    kind: ArrayType | None
    scalar: bool
    value: Any = None
    truth: bool = False


class Results:
    """How the results of a program are made out of what it computes.

    What isn't computed but handed on, an argument or a constant, is not for the compiler: `program`
    has the outputs that are left, each once.
    """

    def __init__(self, program: Program) -> None:
        inputs = {var.number: k for k, var in enumerate(program.inputs)}
        captured = {var.number: k for k, (var, _) in enumerate(program.captured)}
        made = {var.number: e for e in program.equations for var in e.outputs}
        wanted: dict[int, int] = {}
        self.leaves: list[Leaf] = []
        for out in program.outputs:
            if isinstance(out, Constant):
                self.leaves.append(_constant(out.value))
            elif out.number in inputs:
                self.leaves.append(Leaf("input", inputs[out.number], out.type, False))
            elif out.number in captured:
                self.leaves.append(Leaf("captured", captured[out.number], out.type, False))
            else:
                number = wanted.setdefault(out.number, len(wanted))
                scalar = out.type.weak or (not out.type.shape and _is_scalar(made[out.number], out))
                truth = _is_truth(made[out.number])
                self.leaves.append(Leaf("computed", number, out.type, scalar, truth=truth))
        variables = {var.number: var for e in program.equations for var in e.outputs}
        self.program = dataclasses.replace(
            program, outputs=tuple(variables[number] for number in wanted), out_tree=None
        )
        self.out_tree = program.out_tree
        numbers = [leaf.number for leaf in self.leaves if leaf.source == "computed"]
        self.direct = len(numbers) == len(self.leaves) and numbers == list(range(len(numbers)))
        self._numbers = [(k, leaf) for k, leaf in enumerate(self.leaves) if _is_number(leaf)]
        self._template = template_of(self.out_tree)

    def gather(
        self, computed: Sequence[Any], leaves: Sequence[Any], captured: Sequence[Any]
    ) -> list[Any]:
        """The leaves of the result, each an array of its own."""
        if self.direct and len({*map(id, computed)}) == len(computed):
            results = list(computed)
            for k, leaf in self._numbers:
                results[k] = _number(leaf, results[k])
            return results
        given: set[int] = set()
        results = []
        for leaf in self.leaves:
            if leaf.source == "constant":
                value = leaf.value
            elif leaf.source == "computed":
                value = computed[leaf.number]
                value = _number(leaf, value) if _is_number(leaf) else value
            else:
                value = (leaves if leaf.source == "input" else captured)[leaf.number]
            if isinstance(value, np.ndarray):
                if leaf.source != "computed" or id(value) in given:
                    value = value.copy()
                given.add(id(value))
            results.append(value)
        return results

    def free(self, donated: Sequence[int]) -> tuple[int, ...]:
        """Of the arguments that are given up those that nobody reads once the program has run."""
        if any(leaf.source == "captured" for leaf in self.leaves):
            return ()  # it may be part of one of them
        handed_on = {leaf.number for leaf in self.leaves if leaf.source == "input"}
        return tuple(number for number in donated if number not in handed_on)

    # ---- out= ------------------------------------------------------------------------------------

    def targets(self, out: Any) -> list[Any]:
        """The arrays that a caller wants the results in; whether they fit isn't known yet."""
        found = None if self._template is None else self._template.leaves(out)
        if found is not None and all(type(target) is np.ndarray for target in found):
            return found
        found, tree = flatten(out)
        if not same_structure(tree, self.out_tree):
            raise ArgumentError(
                "jit: out= must have the tree of the result",
                {"result": outline(self.out_tree), "out": outline(tree)},
                "give one array for each array in the result",
            )
        return found

    def check(self, targets: Sequence[Any]) -> None:
        """Refuse what results can't be written into."""
        check_targets(targets, [leaf.kind for leaf in self.leaves])

    def write(self, targets: Sequence[np.ndarray], results: Sequence[Any]) -> None:
        for target, value in zip(targets, results, strict=True):
            target[...] = value


def check_targets(targets: Sequence[Any], kinds: Sequence[ArrayType | None]) -> None:
    """Refuse arrays of `out=` that results of these kinds can't be written into."""
    for number, (target, kind) in enumerate(zip(targets, kinds, strict=True)):
        if not _fits(target, kind):
            _check_target(target, kind, "out" if len(targets) == 1 else f"out, leaf {number}")
    ranges = sorted((*byte_bounds(target), k) for k, target in enumerate(targets))
    if any(high > low for (_, high, _), (low, _, _) in pairwise(ranges)):
        _refuse_shared(targets)


def _refuse_shared(targets: Sequence[np.ndarray]) -> None:
    for k, target in enumerate(targets):
        for other in targets[:k]:
            if np.may_share_memory(target, other) and np.shares_memory(target, other):
                raise ArgumentError(
                    "jit: two arrays of out= share memory",
                    {"arrays": f"{type_of(other)} and {type_of(target)}"},
                    "give each result memory of its own",
                )


def _fits(target: Any, kind: ArrayType | None) -> bool:
    """The usual case, told at a glance."""
    if type(target) is not np.ndarray or kind is None:
        return False
    flags = target.flags
    fits = target.shape == kind.shape and target.dtype == kind.dtype
    return fits and flags.writeable and flags.c_contiguous


def _check_target(target: Any, kind: ArrayType | None, name: str) -> None:
    if not isinstance(target, np.ndarray):
        raise ArgumentError(
            "jit: out= takes arrays, to write results into",
            {name: f"{type(target).__name__} {target!r}"[:80]},
            "make one with np.empty(shape, dtype); a number needs an array of shape ()",
        )
    if kind is None:
        raise ArgumentError(
            "jit: out= is for results that are arrays or numbers, and this one isn't",
            {name: type_of(target)},
            "leave out= away, and use what the function returns",
        )
    facts = {"result": kind._replace(weak=False), name: type_of(target)}
    if target.shape != kind.shape:
        raise ShapeError(
            "jit: an array of out= has another shape than its result",
            facts,
            f"make it with np.empty({kind.shape}, {str(kind.dtype)!r})",
        )
    if target.dtype != kind.dtype:
        raise DtypeError(
            "jit: an array of out= has another dtype than its result",
            facts,
            f"make it with np.empty({kind.shape}, {str(kind.dtype)!r})",
        )
    if not target.flags.writeable:
        raise ArgumentError(
            "jit: an array of out= is read-only", facts, "give one that may be written to"
        )
    if not target.flags.c_contiguous and _overlaps_itself(target):
        raise ArgumentError(
            "jit: several entries of an array of out= lie in one place",
            facts,
            "give one whose entries have memory of their own, such as np.empty_like makes",
        )


def _overlaps_itself(array: np.ndarray) -> bool:
    """Whether two entries may share bytes: a step doesn't reach beyond all that is within it."""
    reach = array.itemsize
    for step, length in sorted(
        (abs(s), n) for s, n in zip(array.strides, array.shape, strict=True)
    ):
        if length > 1 and step < reach:
            return bool(array.size)
        reach += step * max(0, length - 1)
    return False


def _is_number(leaf: Leaf) -> bool:
    """Whether it has no axes, and NumPy decides what becomes of it."""
    kind = leaf.kind
    return leaf.source == "computed" and kind is not None and not kind.shape and not kind.weak


def _number(leaf: Leaf, value: Any) -> Any:
    """What NumPy would give: an array without axes, one of its numbers, or a truth value."""
    value = np.asarray(value)
    value = value[()] if leaf.scalar else value
    return bool(value) if leaf.truth else value


def _constant(value: Any) -> Leaf:
    numeric = isinstance(value, (bool, int, float, complex, np.generic, np.ndarray))
    kind = type_of(value) if numeric and np.asarray(value).dtype.kind in "biufc" else None
    return Leaf("constant", 0, kind, True, value)


_COMPARISONS = ("equal", "not_equal", "less", "less_equal", "greater", "greater_equal")


def _is_truth(equation: Equation) -> bool:
    kinds = [type_of(a.value) if isinstance(a, Constant) else a.type for a in equation.inputs]
    return equation.primitive.name in _COMPARISONS and all(kind.weak for kind in kinds)


def _is_scalar(equation: Equation, out: Var) -> bool:
    """Whether NumPy gives a number here and not an array without axes; tried, where that's cheap.

    Reshaping and choosing give arrays, arithmetic gives numbers.
    """
    op = equation.primitive
    kinds = [type_of(a.value) if isinstance(a, Constant) else a.type for a in equation.inputs]
    if op.name == "select":
        return False
    if op.multiple or any(kind.size > _SMALL for kind in kinds):
        return True
    attempt: Callable[..., Any] = op.value
    ones = [np.ones(kind.shape, kind.dtype)[()] for kind in kinds]
    try:
        with np.errstate(all="ignore"):
            return not isinstance(attempt(*ones, **equation.params), np.ndarray)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        return True
