"""Whether what an operation computes lies within the bound that it states."""

from __future__ import annotations

import itertools
import os
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.special  # noqa: F401 - its functions take part once it is imported
from mpmath import mp

from chainrule.ir.bound import Exact, Roundings
from chainrule.ir.primitive import Primitive
from chainrule.ir.types import ArrayType
from chainrule.ops.family import elementwise_batch
from truth import draw, entry, linear, order, program, sums  # noqa: F401 - enter references
from truth.case import more_uses
from truth.move import MOVED, bits, moved
from truth.number import PRECISION, Residual, beyond, excess, lifted
from truth.registry import REFERENCES, truths
from truth.use import Use, cases_of, in_single, run_together, usable

SEED = int(os.environ.get("CHAINRULE_SEED") or 0)


def uses_of(op: Primitive) -> list[Use]:
    """The cases of an operation, in every dtype that it has, and what else is worth a try."""
    rng = np.random.default_rng((SEED, zlib.crc32(op.name.encode())))
    cases = cases_of(op)
    cases += [single for case in op.cases if (single := in_single(case)) is not None]
    uses = [use for case in cases if (use := usable(op, case, rng)) is not None]
    return [use for use in [*uses, *more_uses(op, rng)] if is_real(use[1])]


def is_real(operands: Any) -> bool:
    """Whether there are neither complex numbers nor half precision: those call NumPy."""
    kinds = [np.asarray(a).dtype for a in operands]
    return not any(kind.kind == "c" or kind == np.float16 for kind in kinds)


def floating(operands: Any) -> np.dtype[Any]:
    """The type of the floats among the operands."""
    kinds = [a.dtype for a in operands if isinstance(a, (np.ndarray, np.generic))]
    kinds = [kind for kind in kinds if kind.kind == "f"]
    return np.result_type(*kinds) if kinds else np.dtype(float)


def compiled(uses: list[Use]) -> Iterator[tuple[Use, tuple[Any, ...]]]:
    """Each use that ran natively, with all of its results."""
    rows = run_together(uses)
    for _, group in itertools.groupby(rows, key=lambda row: id(row[0])):
        parts = list(group)
        if all(native for *_, native in parts):
            yield parts[0][0], tuple(found for _, found, _, _ in parts)


def worst(use: Use, found: tuple[Any, ...]) -> float:
    """The largest error of a use beside what its bound allows: at most 1."""
    op, operands, params = use
    if op.name in MOVED:
        assert op.bound == Exact()
        same = np.array_equal(bits(found[0]), moved(op.name, operands, params, found[0].dtype))
        return 0.0 if same else np.inf
    if op.batch is elementwise_batch and found[0].dtype.kind == "f":
        operands, found = with_a_value(use, found[0])
    kinds = tuple(ArrayType(np.shape(part), part.dtype) for part in found)
    dtype = floating(operands)
    numbers = [lifted(a, dtype) for a in operands]
    results = truths(op.name, numbers, params, kinds, found if op.multiple else found[0])
    with mp.workprec(PRECISION):
        found_ratios = [0.0]
        for k, truth in enumerate(results):
            if isinstance(truth, Residual):
                assert isinstance(op.bound, Roundings)
                found_ratios.append(beyond(truth, op.bound, dtype))
            else:
                found_ratios += np.ravel(excess(found[k], truth, op.bound, dtype)).tolist()
    return max(found_ratios)


def with_a_value(use: Use, found: Any) -> tuple[list[Any], tuple[Any]]:
    """The operands where a function has a value, one after the other, and what was found there.

    Elsewhere, at poles and outside of domains, the result is what NumPy says.
    """
    op, operands, params = use
    wanted = np.asarray(op.value(*operands, **params))
    there = np.isfinite(wanted) | np.isfinite(found)
    np.testing.assert_array_equal(np.asarray(found)[~there], wanted[~there])
    spread = [
        np.broadcast_to(a, there.shape)[there] if isinstance(a, (np.ndarray, np.generic)) else a
        for a in operands
    ]
    return spread, (np.asarray(found)[there],)


def check(op: Primitive) -> None:
    """An operation that is lowered: all its uses that run natively are within its bound."""
    assert op.bound is not None, f"{op.name} is lowered, and so must state its bound"
    known = op.name in MOVED or op.name in REFERENCES
    assert known, f"{op.name} is lowered, and so must have a reference"
    seen = set()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for use, found in compiled(uses_of(op)):
            ratio = worst(use, found)
            told = f"{op.name} of {use[1]} with {use[2]}: {found}"
            assert ratio <= 1, f"{ratio:.3f} times what is allowed: {told}"
            seen |= {np.asarray(a).dtype for a in (*use[1], *found)}
    assert seen, f"{op.name}: nothing ran natively"
    if any(kind.kind == "f" for kind in seen):
        assert {np.dtype("f4"), np.dtype("f8")} <= seen, f"{op.name} ran for {seen} only"
