"""Elementwise operations on random shapes and dtypes: types, batches, and NumPy's own answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import chainrule as cr
from chainrule.ir.primitive import Primitive
from chainrule.ir.types import type_of
from chainrule.ops import family
from chainrule.tracing.trace import apply

ELEMENTWISE = [op for op in family.PRIMITIVES.values() if op.batch is family.elementwise_batch]
# A few examples for each of the many operations.
FEW = settings(max_examples=settings.default.max_examples // 5)
DTYPES = st.sampled_from("?bhilBHfdFD")
SHAPES = hnp.mutually_broadcastable_shapes


def operands(draw: st.DrawFn, op: Primitive) -> list[Any]:
    """Arrays, NumPy scalars and Python numbers that broadcast."""
    count = len(op.cases[0].args)
    shapes = draw(SHAPES(num_shapes=count, max_dims=3, max_side=3)).input_shapes
    return [_operand(draw, shape) for shape in shapes]


def _operand(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    if shape == () and draw(st.booleans()):
        return draw(st.sampled_from([1, 2, 0.5, 1.5]))
    dtype = np.dtype(draw(DTYPES))
    seed = draw(st.integers(0, 99))
    return np.random.default_rng(seed).integers(1, 4, shape).astype(dtype)[()]


@pytest.mark.parametrize("op", ELEMENTWISE, ids=str)
@FEW
@given(data=st.data())
def test_type_is_numpys(op: Primitive, data: st.DataObject) -> None:
    args = operands(data.draw, op)
    params = op.cases[0].params
    with np.errstate(all="ignore"):
        try:
            value = op.value(*args, **params)
        except (TypeError, ValueError):
            return  # not for these dtypes
        expected = value if op.multiple else (value,)
        kinds = op.type_rule(*map(type_of, args), **params)
        found = kinds if op.multiple else (kinds,)
        for one, kind in zip(expected, found, strict=True):
            assert (kind.shape, kind.dtype) == type_of(one)[:2], [*map(type_of, args)]


@pytest.mark.parametrize("op", ELEMENTWISE, ids=str)
@FEW
@given(data=st.data())
def test_batch_is_a_loop(op: Primitive, data: st.DataObject) -> None:
    args = operands(data.draw, op)
    params = op.cases[0].params
    carrying = [k for k, a in enumerate(args) if isinstance(a, np.ndarray) and a.ndim]
    if not carrying:
        return
    batched = data.draw(st.sets(st.sampled_from(carrying), min_size=1))
    size = 2
    rows = [[np.roll(a, i) if k in batched else a for k, a in enumerate(args)] for i in range(size)]
    stacked = [
        np.stack([row[k] for row in rows]) if k in batched else args[k] for k in range(len(args))
    ]
    axes = tuple(0 if k in batched else None for k in range(len(args)))
    f = lambda *xs: apply(op, *xs, **params)
    with np.errstate(all="ignore"):
        try:
            expected = np.stack([f(*row) for row in rows])
        except (TypeError, ValueError):
            return
        found = cr.vmap(f, in_axes=axes)(*stacked)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)
