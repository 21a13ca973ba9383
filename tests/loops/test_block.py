"""Where loops over sums of products are cut, and which register tiles they get."""

from __future__ import annotations

import math

import numpy as np
import pytest

from chainrule.ir.types import ArrayType
from chainrule.loops.block import NEAR, blocked
from chainrule.loops.cluster import Kernel, cluster
from chainrule.loops.nest import Nest, nest_of
from chainrule.loops.schedule import Target, schedule, tile_of
from chainrule.loops.units import without_units
from chainrule.loops.value import Builder, strides
from chainrule.ops.convolution_loops import convolution, kernel_gradient

TARGET = Target(64, 32)


def largest_nest(build, *shapes):
    """The nest of the fold that works most, of a rule applied to inputs of these shapes."""
    b = Builder()
    values = [b.input(shape, np.float32) for shape in shapes]
    out = build(b, *values)
    without_units(b.values)
    clusters = cluster(b.values, [out])
    kernels = [step for step in clusters.steps if isinstance(step, Kernel)]
    kernel = max(kernels, key=lambda k: math.prod(k.domain))
    targets = {root.number: [(root, 0, strides(root.shape))] for root in kernel.roots}
    return nest_of(kernel, clusters.expressions, targets)


def convolved(n, length, channels, size, filters):
    x, kernel = (n, length, length, channels), (size, size, channels, filters)
    out = ArrayType((n, length - size + 1, length - size + 1, filters), np.dtype("f4"))
    ones, none = (1, 1), ((0, 0), (0, 0))
    return largest_nest(
        lambda b, x, k: convolution(b, out, x, k, ones, none, ones, ones, 1), x, kernel
    )


def test_a_kernel_that_stays_near_is_left_alone() -> None:
    nest = convolved(8, 15, 32, 3, 64)
    assert blocked(nest, TARGET) is nest


def test_a_far_kernel_is_cut_inside_an_image() -> None:
    nest = blocked(convolved(8, 15, 384, 3, 256), TARGET)
    n, blocks, _, _, width = nest.shape
    assert (n, blocks * width) == (8, 256)
    assert 9 * 384 * width * 4 <= NEAR
    assert schedule(nest, TARGET).vector == 4


def test_of_one_image_the_cut_comes_first() -> None:
    nest = blocked(convolved(1, 15, 384, 3, 256), TARGET)
    assert nest.shape[0] * nest.shape[-1] == 256
    assert math.prod(nest.shape) == 13 * 13 * 256


@pytest.mark.parametrize("filters", [250, 100])
def test_what_vectors_do_not_fill_stays_whole(filters: int) -> None:
    nest = convolved(8, 15, 384, 3, filters)
    assert blocked(nest, TARGET) is nest


def test_a_gradient_reads_small_tiles() -> None:
    out = ArrayType((3, 3, 96, 64), np.dtype("f4"))
    ones, none = (1, 1), ((0, 0), (0, 0))
    nest: Nest = largest_nest(
        lambda b, x, g: kernel_gradient(b, out, x, g, (3, 3), ones, none, ones, ones, 1),
        (8, 15, 15, 96), (8, 13, 13, 64),
    )  # fmt: skip
    # Neighbours in the kernel and of twelve channels lie side by side: one counter.
    assert nest.shape == (8, 3, 36, 64)
    assert schedule(nest, TARGET).unroll[2:4] == (12, 2)


@pytest.mark.parametrize(("columns", "rows", "tile"), [
    (24, 13, (2, 13)),  # not 3 × 9 and 4 left over
    (2, 27, (2, 9)),  # not 11, 11 and 5
    (4, 32, (2, 13)),
    (1, 14, (1, 14)),
])  # fmt: skip
def test_tiles(columns: int, rows: int, tile: tuple[int, int]) -> None:
    assert tile_of(columns, rows, 2, 1, TARGET) == tile


def test_short_loops_take_even_tiles() -> None:
    # What is left over needs code of its own.
    assert tile_of(8, 64, 2, 1, TARGET) == (2, 13)
    assert tile_of(8, 64, 2, 1, TARGET, brief=True) == (2, 8)
