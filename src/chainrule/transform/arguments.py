"""Arguments of a differentiated function: which ones vary, their leaves, their checks."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError, ShapeError
from chainrule.base.trees import LEAF, flatten, paths, unflatten
from chainrule.ir.types import ArrayType, type_of
from chainrule.tracing.creation import as_traced_leaf
from chainrule.tracing.operands import is_masked
from chainrule.tracing.recording import apart
from chainrule.tracing.swap import swapped
from chainrule.tracing.trace import PassiveTrace, Trace, resolve, snapshot
from chainrule.tracing.tracer import Tracer

Argnums = int | Sequence[int]
_SCALARS = (float, complex, np.floating, np.complexfloating)


def check_callable(f: Any, caller: str) -> None:
    if not callable(f):
        raise ArgumentError(
            f"{caller}: the first argument must be a function",
            {"given": f"{type(f).__name__} {f!r}"[:100]},
            f"write cr.{caller}(f)(x), not cr.{caller}(f(x))",
        )


def chosen(argnums: Argnums, count: int, caller: str) -> tuple[int, ...]:
    """The positions that `argnums` names, counted from 0."""
    wanted = argnums if isinstance(argnums, (tuple, list)) else (argnums,)
    positions = []
    for n in wanted:
        try:
            number = operator.index(n)
        except TypeError:
            raise ArgumentError(
                f"{caller}: argnums must be an integer or a tuple of integers",
                {"given": repr(argnums)},
                "write argnums=0 for the first argument, argnums=(0, 1) for the first two",
            ) from None
        if not -count <= number < count:
            raise ArgumentError(
                f"{caller}: argnums={argnums!r} names an argument that was not given",
                {"given": f"{count} positional argument{'s' * (count != 1)}"},
                "arguments that are differentiated must be passed by position",
            )
        positions.append(number % count)
    if len(set(positions)) < len(positions):
        raise ArgumentError(
            f"{caller}: argnums={argnums!r} names an argument twice",
            {"given": f"{count} positional argument{'s' * (count != 1)}"},
            "name each argument once",
        )
    return tuple(positions)


class Inputs:
    """The leaves that vary, and how to rebuild a full argument list around them."""

    __slots__ = ("args", "leaves", "positions", "spans", "trees")

    def __init__(self, args: Sequence[Any], argnums: Argnums, caller: str) -> None:
        self.args = args
        if argnums == 0 and len(args) == 1 and type(args[0]) is np.ndarray:
            # By far the commonest call: one array.
            self.positions: tuple[int, ...] = (0,)
            self.trees: list[Any] = [LEAF]
            self.spans: list[int] = [1]
            self.leaves: list[Any] = [checked_leaf(args[0], caller, 0, 0, args[0])]
            return
        self.positions = chosen(argnums, len(args), caller)
        self.trees = []
        self.leaves = []
        self.spans = []
        for position in self.positions:
            if type(args[position]) is np.ndarray:
                leaves, tree = [args[position]], LEAF
            else:
                leaves, tree = flatten(args[position])
            self.trees.append(tree)
            self.spans.append(len(leaves))
            self.leaves += [
                checked_leaf(leaf, caller, position, k, args[position])
                for k, leaf in enumerate(leaves)
            ]

    def rebuild(self, leaves: Sequence[Any], passive: PassiveTrace | None = None) -> list[Any]:
        """The arguments with these leaves in place of the varying ones."""
        full = list(self.args)
        if passive is not None and len(full) > len(self.positions):
            for k in range(len(full)):
                if k not in self.positions:
                    full[k] = passive_argument(passive, full[k])
        for position, tree in zip(self.positions, self.split(leaves), strict=True):
            full[position] = tree
        return full

    def split(self, leaves: Sequence[Any]) -> list[Any]:
        """One tree per varying argument."""
        if len(self.trees) == 1:
            return [unflatten(self.trees[0], leaves)]
        trees, start = [], 0
        for tree, span in zip(self.trees, self.spans, strict=True):
            trees.append(unflatten(tree, leaves[start : start + span]))
            start += span
        return trees

    def gather(self, leaves: Sequence[Any], argnums: Argnums) -> Any:
        """The result as the caller asked: one tree, or a tuple of trees."""
        trees = self.split(leaves)
        return tuple(trees) if isinstance(argnums, (tuple, list)) else trees[0]


def checked_leaf(leaf: Any, caller: str, position: int, index: int, argument: Any) -> Any:
    """A leaf that can vary: a tracer, or an array of our own that nobody else writes to."""
    kind = type(leaf)
    if kind is np.ndarray and leaf.dtype.char in "dfFDe" and leaf.dtype.isnative:
        return apart(leaf) if leaf.shape else leaf[()]
    if kind is float:
        return np.float64(leaf)
    value = resolve(leaf)
    if type(value) is Tracer:
        if value.dtype.kind not in "fc":
            raise _not_real(value, caller, position, index, argument)
        return snapshot(value)
    if is_masked(value):
        raise DtypeError(
            f"{caller}: masked arrays can't be differentiated",
            fix="pass x.filled(value) and the mask separately, and choose with np.where",
        )
    if isinstance(value, np.matrix):
        raise DtypeError(
            f"{caller}: np.matrix can't be differentiated, as its * isn't an array's",
            fix="pass np.asarray(m), and write @ for products of matrices",
        )
    if kind is complex:
        return np.complex128(value)
    try:
        array = np.array(value, order="K")
    except (TypeError, ValueError):
        raise _not_real(value, caller, position, index, argument) from None
    if array.dtype.kind not in "fc":
        raise _not_real(value, caller, position, index, argument)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.itemsize > (32 if array.dtype.kind == "c" else 16):
        raise _not_real(value, caller, position, index, argument)
    return array if array.shape else array[()]


def _not_real(leaf: Any, caller: str, position: int, index: int, argument: Any) -> DtypeError:
    where = f"argument {position}{paths(argument)[index]}"
    dtype = getattr(leaf, "dtype", None)
    typed = isinstance(leaf, (int, bool)) or (dtype is not None and hasattr(leaf, "shape"))
    shown = str(type_of(leaf)) if typed else ""
    shown = shown or f"{type(leaf).__name__} {leaf!r}"[:80]
    if isinstance(leaf, (bool, int)) or (dtype is not None and dtype.kind in "iub"):
        fix = "pass a float: 2.0 instead of 2, or x.astype(float)"
    else:
        fix = "choose the arguments to differentiate with argnums=…"
    return DtypeError(
        f"{caller}: only floating-point arguments can be differentiated", {where: shown}, fix
    )


def passive_argument(trace: PassiveTrace, argument: Any) -> Any:
    """An argument that isn't differentiated: its numbers must not look like literals."""
    if isinstance(argument, _SCALARS):
        return Tracer(trace, np.asarray(argument)[()], None, type(argument) in (float, complex))
    if type(argument) in (dict, list, tuple):
        leaves, tree = flatten(argument)
        if any(isinstance(leaf, _SCALARS) for leaf in leaves):
            return unflatten(tree, [passive_argument(trace, leaf) for leaf in leaves])
    return argument


def run_traced(
    f: Callable[..., Any],
    trace: Trace,
    inputs: Inputs,
    tracers: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    """Call the user's function on tracers, NumPy prepared for them, and close the trace."""
    passive = None
    if len(inputs.args) > len(inputs.positions) or kwargs:
        passive = PassiveTrace()
    try:
        args = inputs.rebuild(tracers, passive)
        if passive is not None and kwargs:
            kwargs = {name: passive_argument(passive, value) for name, value in kwargs.items()}
        with swapped():
            return settled(f(*args, **kwargs))
    finally:
        trace.open = False
        if passive is not None:
            passive.open = False


def settled(result: Any) -> Any:
    """The result with its buffers turned into traced values, while their trace is still open."""
    if type(result) is Tracer:
        return as_traced_leaf(result)
    leaves, tree = flatten(result)
    return unflatten(tree, [as_traced_leaf(leaf) for leaf in leaves])


def output_leaves(result: Any) -> tuple[list[Any], Any]:
    """The leaves of a traced function's result, buffers turned into what they stand for."""
    leaves, tree = flatten(result)
    return [as_traced_leaf(leaf) for leaf in leaves], tree


def split_aux(result: Any, caller: str) -> tuple[Any, Any]:
    if not isinstance(result, tuple) or len(result) != 2:
        shown = type_of(result) if hasattr(result, "dtype") else type(result).__name__
        raise ArgumentError(
            f"{caller}: with has_aux=True the function must return (value, auxiliary)",
            {"returned": shown},
            fix="end it with return value, auxiliary",
        )
    return result


def release(value: Any) -> Any:
    """A result handed to the user: nothing that a later write of theirs could spoil."""
    value = resolve(value)
    if type(value) is Tracer:
        return snapshot(value)
    return value.copy() if type(value) is np.ndarray else value


def release_tree(tree: Any) -> Any:
    leaves, structure = output_leaves(tree)
    return unflatten(structure, [release(leaf) for leaf in leaves])


def same_shape(value: Any, kind: ArrayType, what: str, caller: str) -> Any:
    """A tangent or cotangent that fits its variable, in the variable's dtype."""
    array = resolve(value)
    array = array if type(array) is Tracer else np.asarray(array)
    if tuple(array.shape) != kind.shape:
        raise ShapeError(
            f"{caller}: a {what} has another shape than its value",
            {"value": kind, what: type_of(array)},
            f"give a {what} of shape {kind.shape}",
        )
    if array.dtype.kind not in "fciub":
        raise DtypeError(
            f"{caller}: a {what} must be numeric",
            {what: array.dtype},
            fix="give floating-point numbers",
        )
    dtype = kind.dtype if kind.dtype.kind in "fc" else np.dtype(float)
    if array.dtype.kind == "c" and dtype.kind != "c":
        raise DtypeError(
            f"{caller}: a {what} is complex but its value is real",
            {"value": kind, what: type_of(array)},
            f"give its real part: np.real({what})",
        )
    if type(array) is Tracer:
        return array if array.dtype == dtype else array.astype(dtype)
    return array.astype(dtype)[()]
