"""Whether a function does the same at other inputs: one path, one graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.base.errors import ArgumentError, DtypeError, ShapeError
from chainrule.base.place import Place
from chainrule.base.trees import flatten, outline, same_structure
from chainrule.ir.program import Constant, Operand, Program
from chainrule.ir.types import ArrayType, type_of
from chainrule.tracing.trace import resolve


def fitting(program: Program, inputs: Sequence[Any]) -> list[Any]:
    """The leaves of other inputs, of the program's types.

    Raises:
        ShapeError: they have another tree, or other shapes.
        DtypeError: they'd lose digits.
    """
    leaves, tree = flatten(tuple(inputs))
    known = program.in_tree
    if known is not None and not same_structure(tree, known):
        raise ShapeError(
            "forward: the inputs must be put together as those of the graph are",
            {"graph": outline(known), "given": outline(tree)},
            "call cr.graph(f, *args) with the new ones",
        )
    return [_as(leaf, var.type, var.name) for leaf, var in zip(leaves, program.inputs, strict=True)]


def _as(leaf: Any, kind: ArrayType, name: str) -> Any:
    leaf = resolve(leaf)
    array = np.asarray(leaf)
    if array.shape != kind.shape:
        raise ShapeError(
            "forward: an input of another shape than the graph was made for",
            {name: kind, "given": type_of(array)},
            "call cr.graph(f, *args) with the new ones",
        )
    if not np.can_cast(array.dtype, kind.dtype, "safe"):
        raise DtypeError(
            "forward: an input of another dtype than the graph was made for",
            {name: kind, "given": type_of(array)},
            "convert it, or call cr.graph(f, *args) with the new ones",
        )
    array = array.astype(kind.dtype)
    return array.item() if kind.weak else array[()]


def followed(before: Program, after: Program) -> Program:
    """What `after` does, in the variables of `before`.

    Raises:
        ArgumentError: they aren't the same path through the function.
    """
    _same_branches(before, after)
    variables = list(before.variables())
    others = list(after.variables())
    number = {var.number: k for k, var in enumerate(variables)}
    place_of = {var.number: k for k, var in enumerate(others)}
    rows = zip(before.equations, after.equations, strict=False)
    for one, other in rows:
        reads = [_spot(a, number) for a in one.inputs] == [_spot(a, place_of) for a in other.inputs]
        if one.primitive is not other.primitive or not reads:
            raise _another(other.place, one.primitive.name, other.primitive.name)
    if len(before.equations) != len(after.equations) or [
        (var.type.shape, var.type.dtype) for var in variables
    ] != [(var.type.shape, var.type.dtype) for var in others]:
        raise _another(None, f"{len(before)} operations", f"{len(after)} operations")
    if [_spot(a, number) for a in before.outputs] != [_spot(a, place_of) for a in after.outputs]:
        raise _another(None, "its result", "another value")

    def read(old: Operand, new: Operand) -> Operand:
        return new if isinstance(new, Constant) else old

    equations = tuple(
        replace(
            one,
            params=other.params,
            inputs=tuple(map(read, one.inputs, other.inputs)),
        )
        for one, other in zip(before.equations, after.equations, strict=True)
    )
    return replace(
        before,
        equations=equations,
        captured=tuple(
            (var, value)
            for (var, _), (_, value) in zip(before.captured, after.captured, strict=True)
        ),
        outputs=tuple(map(read, before.outputs, after.outputs)),
    )


def _spot(operand: Operand, number: dict[int, int]) -> int:
    return -1 if isinstance(operand, Constant) else number[operand.number]


def _same_branches(before: Program, after: Program) -> None:
    for one, other in zip(before.branches, after.branches, strict=False):
        if one != other:
            raise _another(other[0], f"the condition was {one[1]}", f"it is {other[1]}")


def _another(place: Place | None, before: str, now: str) -> ArgumentError:
    return ArgumentError(
        "forward: at these inputs the function takes another path, so its graph is another one",
        {"graph": before, "here": now},
        "call cr.graph(f, *args) with the new inputs",
        where=place,
    )
