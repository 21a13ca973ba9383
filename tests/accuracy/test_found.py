"""What the bounds have found, so that it stays mended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf
from truth import entry  # noqa: F401 - enters references
from truth.number import exact
from truth.registry import truths

import chainrule as cr

ENGINES = ["numpy"]
if pytest.importorskip("chainrule.run.engine").available():
    ENGINES.append("llvm")


def sinc_derivative(order: int) -> Any:
    f: Any = np.sinc
    for _ in range(order):
        f = cr.grad(f)
    return cr.vmap(f)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("order", [2, 3, 4, 6])
def test_high_derivatives_of_sinc(engine: str, order: int) -> None:
    """In float32 powers overflowed to NaN; compiled, the series broke off too early."""
    for dtype, room in (("f8", 1e-14), ("f4", 1e-5)):
        x = np.linspace(-3, 3, 61).astype(dtype)
        with cr.settings(engine=engine):
            found = cr.jit(sinc_derivative(order))(x)
        (truth,) = truths("sinc", [exact(x)], {"order": order}, ())
        wanted = truth.value.astype(float)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=room * np.pi**order)


@pytest.mark.skipif("llvm" not in ENGINES, reason="needs llvmlite")
@pytest.mark.parametrize("n", [-1.5, -2.5, -7, -8])
def test_negative_powers(n: float) -> None:
    """1/x^2.5 lost its digits where x^2.5 is below the smallest normal number; 1/x⁸ by steps."""
    x = np.array([5e-206, 6e-124, 7e-39, 1.2345, 1.9, 1.7e38, 1e125, 1e207])
    found = cr.jit(lambda x: x**n)(x)
    with mp.workdps(60):
        wanted = np.array([float(mpf(v) ** mpf(n)) for v in x.tolist()])
    usual = np.isfinite(wanted)
    np.testing.assert_array_equal(found[~usual], wanted[~usual])
    found, wanted = found[usual], wanted[usual]
    assert np.all(abs(found - wanted) <= 4 * np.spacing(wanted))
