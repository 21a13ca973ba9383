"""Sizes at which other code runs, for threads or by BLAS, checked at some of their entries."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import mp
from truth import sums  # noqa: F401 - enters references
from truth.number import PRECISION, exact, excess
from truth.registry import truths
from truth.use import run_together

from chainrule.ir.types import type_of
from chainrule.ops.family import PRIMITIVES

engine = pytest.importorskip("chainrule.run.engine")
if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)


def mixed(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers of different sizes and signs."""
    rng = np.random.default_rng(shape)
    return (rng.normal(size=shape) * np.exp(rng.normal(size=shape))).astype(dtype)


def native(name: str, *operands: Any, **params: Any) -> Any:
    ((_, found, _, ran),) = run_together([(PRIMITIVES[name], operands, params)])
    assert ran
    return found


def check(name: str, found: Any, *operands: Any, **params: Any) -> None:
    """A part of a result against the true one of the part of the operands that it depends on."""
    (truth,) = truths(name, [exact(x) for x in operands], params, (type_of(np.asarray(found)),))
    with mp.workprec(PRECISION):
        ratios = excess(np.asarray(found), truth, PRIMITIVES[name].bound)
    assert ratios.max() <= 1


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((300, 200), (200, 260)),
        ((130, 2100), (2100, 130)),
        ((1, 9000), (9000, 3)),
        ((4000, 6), (6,)),
    ],
)
def test_products_of_matrices(left: Any, right: Any, dtype: str) -> None:
    a, b = mixed(left, dtype), mixed(right, dtype)
    found = native("matmul", a, b)
    for i in {0, left[0] // 2, left[0] - 1}:
        if b.ndim == 1:
            check("matmul", found[i : i + 1], a[i : i + 1], b)
            continue
        for j in (0, right[1] - 1):
            check("matmul", found[i : i + 1, j : j + 1], a[i : i + 1], b[:, j : j + 1])


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_sums_cut_for_threads(dtype: str) -> None:
    x = mixed((50_000,), dtype)
    check("sum", native("sum", x, axis=(0,)), x, axis=(0,))
    rows = x.reshape(250, 200)
    found = native("sum", rows, axis=(1,))
    check("sum", found[::97], rows[::97], axis=(1,))
    found = native("sum", rows, axis=(0,))
    check("sum", found[::41], rows[:, ::41], axis=(0,))


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_convolutions_of_images(dtype: str) -> None:
    image, kernel = mixed((4, 20, 20, 16), dtype), mixed((3, 3, 16, 32), dtype)
    params = dict(PRIMITIVES["convolution"].cases[8].params)
    found = native("convolution", image, kernel, **params)
    window = image[1:2, 5:8, 9:12]
    check("convolution", found[1:2, 5:6, 9:10, ::7], window, kernel[..., ::7], **params)
    more = {**params, "window": (3, 3)}
    found = native("convolution_kernel", image, mixed((4, 18, 18, 32), dtype), **more)
    assert found.shape == kernel.shape
    g = mixed((4, 18, 18, 32), dtype)
    small = native("convolution_kernel", image, g, **more)[:1, :1, 3:4, 5:6]
    one = {**params, "window": (1, 1)}
    part = image[:, :18, :18, 3:4], g[..., 5:6]
    check("convolution_kernel", small, *part, **one)
