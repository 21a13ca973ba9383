"""Large products of matrices go to BLAS: the same numbers, for any layout and number of threads."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr
from chainrule.run import engine, lapack

if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)
if not lapack.links():
    pytest.skip("needs SciPy's functions for Cython", allow_module_level=True)

RNG = np.random.default_rng(0)
PRODUCTS = {
    "as they lie": lambda a, b: a @ b,
    "left turned": lambda a, b: a.T @ b,
    "right turned": lambda a, b: a @ b.T,
    "both turned": lambda a, b: a.T @ b.T,
    "a part turned": lambda a, b: a[1:].T @ b[1:],
    "computed before and after": lambda a, b: np.tanh((a + 1.0) @ (b * 0.01)),
}


def uses_blas(f, *args):
    native = cr.jit(f)._unit(args, {}, "test").native()
    return native.links and not native.callbacks


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("shape", [(128, 600, 900), (1100, 513, 1031)])
def test_layouts(name, dtype, shape):
    rows, inner, columns = shape
    a, b = RNG.normal(size=(rows, inner)), RNG.normal(size=(inner, columns))
    a, b = (np.ascontiguousarray(part, dtype) for part in (a, b))
    if name in ("left turned", "both turned", "a part turned"):
        a = a.T.copy()
    if name in ("right turned", "both turned"):
        b = b.T.copy()
    f = PRODUCTS[name]
    assert uses_blas(f, a, b)
    wanted = f(a.astype(float), b.astype(float))
    bound = inner * np.finfo(dtype).eps
    results = []
    for threads in (1, 2, 4):
        with cr.settings(threads=threads):
            results.append(cr.jit(f)(a, b))
    np.testing.assert_allclose(results[0], wanted, rtol=bound, atol=4 * bound)
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_stacks_and_loops(agrees):
    a, b = RNG.normal(size=(3, 130, 600)), RNG.normal(size=(3, 600, 520))
    for left, right in [(a, b), (a[0], b), (a, b[0])]:
        assert uses_blas(np.matmul, left, right)
        agrees(np.matmul, left, right)
    square = RNG.normal(size=(600, 600)) / 30

    def powers(x, m):
        return cr.scan(lambda c, _: (c @ m, np.sum(c)), x, None, length=3)

    assert uses_blas(powers, a[0], square)
    agrees(powers, a[0], square)
    agrees(cr.grad(lambda x, m: np.sum(np.tanh(powers(x, m)[0])), argnums=(0, 1)), a[0], square)


def test_small_ones_stay_in_loops_of_our_own():
    for rows, inner, columns in [
        (32, 784, 256),
        (512, 784, 256),
        (16, 2048, 2048),
        (300, 300, 300),
    ]:
        a, b = np.ones((rows, inner), "f4"), np.ones((inner, columns), "f4")
        assert not uses_blas(np.matmul, a, b)
    a, b = np.ones((200, 1000), int), np.ones((1000, 1000), int)
    assert not uses_blas(np.matmul, a, b)
