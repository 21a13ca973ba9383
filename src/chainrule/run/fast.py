"""The entry in machine code for a compiled function's commonest calls, where one is possible."""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.base.trees import LEAF, unflatten
from chainrule.ir.types import type_of
from chainrule.run.call import Call, Input, Output
from chainrule.run.entry import entry
from chainrule.run.layout import layout
from chainrule.run.results import Leaf
from chainrule.run.variant import Variant

_HERE = object()  # a leaf, to see how leaves nest
_FEW_BYTES = 4096  # of an array whose numbers are compared at every call
_PYTHON = {"f": float, "i": int, "c": complex}


def fast_entry(
    variant: Variant,
    name: str,
    leaves: Sequence[Any],
    fallback: Callable[..., Any],
    failed: Callable[..., Any],
) -> Callable[..., Any] | None:
    """A built-in function for calls with arguments like these, each a bare array or number.

    None where more has to be looked at than it can: attributes, items, trees of results.
    """
    native = variant.unit.native()
    nest = nesting(variant.unit.results.out_tree)
    if native is None or nest is None or not variant.is_simple():
        return None
    outputs = _outputs(variant, native.reused)
    if outputs is None:
        return None
    words = _words(variant)
    if words is None:
        return None
    inputs = [
        Input(type(leaf), type_of(leaf).dtype, np.shape(leaf) if type(leaf) is np.ndarray else ())
        for leaf in leaves
    ]
    return entry(
        Call(
            name,
            native.machine.address("run"),
            inputs,
            outputs,
            fallback,
            failed,
            many=nest[-1] >= 0,
            nest=nest if nest.count(-1) + 1 < len(nest) else (),
            captured=variant.captured,
            context=native.context(),
            scratch=native.scratch,
            names=variant.state.pairs,
            cells=variant.state.cells,
            words=words,
            release=native.is_long(),
            keep=(native, variant),
        )
    )


def _words(variant: Variant) -> list[tuple[int, int]] | None:
    """What else must stay as it is: the code of functions, the memory and shape of arrays."""
    at = layout()
    if at is None:
        return None
    rows = []
    for function, name, value in variant.state.attributes:
        offset = _place_in_functions(name)
        if offset is None:
            return None
        rows.append((id(function) + offset, id(value)))
    for array in (*variant.captured, *(array for array, _ in variant.contents)):
        shape = _word(id(array) + at.array_shape)
        places = [id(array) + k for k in (at.array_data, at.array_descr, at.array_ndim)]
        places += [id(array) + at.array_shape, *(shape + 8 * k for k in range(array.ndim))]
        rows += [(place, _word(place)) for place in places]
    for array, held in variant.contents:
        if not array.flags.c_contiguous or not 8 <= array.nbytes <= _FEW_BYTES:
            return None
        # The last word may overlap the one before it, so as not to go over the end.
        for k in (*range(0, array.nbytes - 8, 8), array.nbytes - 8):
            rows.append(
                (array.ctypes.data + k, int.from_bytes(held[k : k + 8], sys.byteorder, signed=True))
            )
    return rows


def _word(address: int) -> int:
    return ctypes.c_int64.from_address(address).value


@functools.cache
def _place_in_functions(name: str) -> int | None:
    """Where functions keep their code, or their defaults; None when it can't be found."""

    def one(x: int = 1) -> None: ...

    def two(x: int = 2, y: int = 3) -> None: ...

    found = [
        {k for k in range(0, type(f).__basicsize__, 8) if _word(id(f) + k) == id(getattr(f, name))}
        for f in (one, two)
    ]
    return found[0].pop() if len(found[0]) == 1 and found[0] == found[1] else None


def _outputs(variant: Variant, reused: dict[int, int]) -> list[Output] | None:
    """What the results are made as; None where that takes Python."""
    results = variant.unit.results
    if not results.direct:
        return None
    kinds = [_kind(leaf) for leaf in results.leaves]
    if any(kind is None for kind in kinds):
        return None
    return [
        Output(kind, leaf.kind.dtype, leaf.kind.shape, reused.get(leaf.number))
        for kind, leaf in zip(kinds, results.leaves, strict=True)
        if kind is not None and leaf.kind is not None
    ]


def nesting(tree: Any) -> list[int] | None:
    """How leaves become tuples of tuples: −1 takes the next, n makes a tuple of the last n.

    None for trees with anything else in them.
    """
    rows: list[int] = []

    def visit(part: Any) -> bool:
        if part is _HERE:
            rows.append(-1)
            return True
        known = type(part) is tuple and all(map(visit, part))
        rows.append(len(part) if known else 0)
        return known

    whole = unflatten(tree, [_HERE] * (1 if tree is LEAF else tree.num_leaves))
    return rows if visit(whole) else None


def _kind(leaf: Leaf) -> type | None:
    if leaf.kind is None or leaf.truth:
        return None
    if leaf.kind.weak:
        return _PYTHON.get(leaf.kind.dtype.kind)
    return leaf.kind.dtype.type if leaf.scalar and not leaf.kind.shape else np.ndarray
