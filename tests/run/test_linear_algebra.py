"""Linear algebra in compiled programs: LAPACK called natively, as NumPy calls it."""

from __future__ import annotations

import os

import numpy as np
import pytest

import chainrule as cr
from chainrule.run import engine, lapack

if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)
if not lapack.links():
    pytest.skip("needs SciPy's functions for Cython", allow_module_level=True)

RNG = np.random.default_rng(0)


def factors(x):
    return tuple(np.linalg.svd(x, full_matrices=False))


SQUARE = {
    "inv": np.linalg.inv,
    "det": np.linalg.det,
    "slogdet": lambda x: tuple(np.linalg.slogdet(x)),
    "eigh": lambda x: tuple(np.linalg.eigh(x)),
    "eigh of the upper half": lambda x: tuple(np.linalg.eigh(x, "U")),
    "eigvalsh": np.linalg.eigvalsh,
    "svd": factors,
    "qr": lambda x: tuple(np.linalg.qr(x)),
    "pinv": np.linalg.pinv,
    "solve": lambda x: np.linalg.solve(x, x[..., :2] + 1),
    "solve a vector": lambda x: np.linalg.solve(x, np.arange(float(x.shape[-1]))),
    "cholesky": lambda x: np.linalg.cholesky(
        x @ np.swapaxes(x, -1, -2) + 2 * np.eye(x.shape[-1], dtype=x.dtype)
    ),
    "gradient of det": cr.grad(lambda x: np.sum(np.linalg.det(x))),
    "gradient of solve": cr.grad(lambda x: np.sum(np.linalg.solve(x, x[..., :1] ** 2))),
    "gradient of slogdet": cr.grad(lambda x: np.sum(np.linalg.slogdet(x)[1])),
    "gradient of eigh": cr.grad(lambda x: np.sum(np.linalg.eigvalsh(x) ** 3)),
}
TALL = {
    "svd": factors,
    "svd of a wide one": lambda x: factors(np.swapaxes(x, -1, -2)),
    "qr": lambda x: tuple(np.linalg.qr(x)),
    "r": lambda x: np.linalg.qr(x, mode="r"),
    "pinv": np.linalg.pinv,
    "pinv of a wide one": lambda x: np.linalg.pinv(np.swapaxes(x, -1, -2), 0.1),
    "rank": lambda x: np.linalg.matrix_rank(x),
}


def matrices(shape, dtype):
    """Matrices that are far from singular, and not symmetric."""
    rng = np.random.default_rng(list(shape))
    return (rng.normal(size=shape) + 3 * np.eye(*shape[-2:])).astype(dtype)


def called_back(f, *args):
    """What a compiled program leaves to NumPy; that it needn't be run once more."""
    unit = cr.jit(f)._unit(args, {}, "test")
    native = unit.native()
    native(list(args), [array for _, array in unit.program.captured])
    return {equation.primitive.name for equation in native.callbacks}


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", SQUARE)
def test_square_matrices(agrees, name, dtype):
    f = SQUARE[name]
    for shape in [(1, 1), (2, 2), (5, 5), (45, 45), (3, 4, 4), (2, 2, 6, 6)]:
        if "det" in name and shape == (45, 45):
            continue  # beyond single precision
        x = matrices(shape, dtype)
        assert not called_back(f, x)
        agrees(f, x)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", TALL)
def test_tall_and_wide_matrices(agrees, name, dtype):
    for shape in [(2, 1), (5, 3), (60, 33), (300, 4), (3, 4, 2), (2, 2, 40, 3)]:
        x = matrices(shape, dtype)
        assert not called_back(TALL[name], x)
        agrees(TALL[name], x)


def test_systems_whose_stacks_broadcast(agrees):
    for left, right in [
        ((3, 3), (5, 3, 2)),
        ((4, 3, 3), (3, 2)),
        ((4, 1, 3, 3), (5, 3, 2)),
        ((1, 3, 3), (5, 3, 1)),
        ((1, 1, 3, 3), (5, 3, 1)),
    ]:
        agrees(np.linalg.solve, matrices(left, "f8"), RNG.normal(size=right))
    agrees(np.linalg.solve, matrices((3, 3), "f4"), RNG.normal(size=(3, 2)))
    agrees(np.linalg.solve, matrices((3, 3), "f8"), RNG.normal(size=(3, 2)).astype("f4"))
    agrees(np.linalg.solve, matrices((3, 3), "f8"), np.zeros((3, 0)))
    agrees(np.linalg.inv, np.zeros((0, 2, 2)))
    agrees(np.linalg.det, np.zeros((2, 0, 0)))


def test_batches(agrees):
    x, b = matrices((6, 3, 3), "f8"), RNG.normal(size=(6, 3))
    agrees(cr.vmap(np.linalg.solve), x, b)
    agrees(cr.vmap(lambda b: np.linalg.solve(x[0], b)), b)
    agrees(cr.vmap(cr.grad(lambda x: np.linalg.slogdet(x)[1])), x)
    agrees(cr.jacobian(np.linalg.inv), x[0])
    agrees(cr.hessian(np.linalg.det), matrices((4, 4), "f8"), rtol=1e-9)


def test_special_values(agrees):
    """Singular determinants are no errors, and signs of eigenvectors are LAPACK's."""
    singular = np.array([[1.0, 2.0], [2.0, 4.0]])
    for f in (np.linalg.det, lambda x: tuple(np.linalg.slogdet(x)), np.linalg.pinv):
        agrees(f, singular)
    agrees(np.linalg.det, np.diag([1e200, 1e200, 1e-300]))
    agrees(np.linalg.det, np.eye(4)[[1, 0, 2, 3]])
    agrees(np.linalg.det, np.eye(4)[[1, 2, 3, 0]])
    agrees(lambda x: tuple(np.linalg.eigh(x)), np.diag([3.0, 1.0, 2.0]))
    agrees(lambda x: tuple(np.linalg.qr(x)), -np.eye(3))
    agrees(cr.grad(np.linalg.det), np.ones((4, 4)))
    agrees(cr.grad(np.linalg.det), np.diag([1.0, 1.0, 1.0, 0.0]))
    agrees(np.linalg.cholesky, np.array([[2.0, np.nan], [0.5, 1.0]]))  # the other half isn't read


def loop(m, xs):
    def step(c, x):
        c = np.linalg.solve(m + x * np.eye(4), c)
        return c / np.sqrt(c @ c), np.linalg.det(m * x)

    return cr.scan(step, np.ones(4), xs)


def awaited(m):
    """Newton's iteration for the square root of a matrix."""

    def step(s):
        return s[0] + 1, 0.5 * (s[1] + np.linalg.inv(s[1]) @ m)

    return cr.while_loop(lambda s: s[0] < 9, step, (0, np.eye(4)))[1]


def test_inside_of_loops(agrees):
    m, xs = matrices((4, 4), "f8"), np.linspace(0.5, 1.0, 7)
    spd = m @ m.T
    assert not called_back(loop, m, xs)
    agrees(loop, m, xs)
    agrees(cr.grad(lambda m, xs: np.sum(loop(m, xs)[0])), m, xs)
    agrees(awaited, spd, rtol=1e-9)
    root = cr.jit(awaited)(spd)
    np.testing.assert_allclose(root @ root, spd, rtol=1e-6, atol=1e-6)
    chosen = lambda m, p: cr.cond(p > 0, np.linalg.inv, np.linalg.pinv, m)
    for p in (1, -1):
        agrees(chosen, m, p)


ONES = np.ones((4, 4))
BAD = {
    "solve": (lambda m: np.linalg.solve(m, np.ones(4)), ONES),
    "inv": (lambda m: np.linalg.inv(m), np.stack([np.eye(4), ONES])),
    "cholesky": (lambda m: np.linalg.cholesky(m), np.stack([np.eye(4), -np.eye(4)])),
    "slogdet backwards": (cr.grad(lambda m: np.linalg.slogdet(m)[1]), ONES),
    "eigh": (lambda m: tuple(np.linalg.eigh(m)), np.full((3, 3), np.nan)),
    "svd": (lambda m: factors(m), np.full((3, 2), np.nan)),
    "in a loop": (lambda m: cr.fori_loop(0, 3, lambda i, c: np.linalg.inv(c), m), ONES),
    "in a branch": (lambda m: cr.cond(m[0, 0] > 0, np.linalg.inv, lambda m: m, m), ONES),
    "on the way": (lambda m: np.linalg.solve(m - 1 + np.eye(4)[0], np.ones(4)) * 2, ONES),
}


@pytest.mark.parametrize("name", BAD)
def test_failures_are_those_of_numpy(name):
    f, bad = BAD[name]
    with cr.settings(engine="numpy"), pytest.raises(cr.LinearAlgebraError) as wanted:
        cr.jit(f)(bad)
    compiled = cr.jit(f)
    for _ in range(3):
        with pytest.raises(cr.LinearAlgebraError) as found:
            compiled(bad)
        assert str(found.value) == str(wanted.value)
        assert f"{os.path.basename(__file__)}:" in str(found.value)
    good = np.broadcast_to(np.eye(*bad.shape[-2:]), bad.shape)
    found = compiled(good)
    assert all(np.isfinite(leaf).all() for leaf in (found if type(found) is tuple else [found]))


def test_the_same_bits_for_any_number_of_threads():
    x = matrices((20, 20, 20), "f8")
    f = cr.jit(lambda x: (np.linalg.inv(x), np.linalg.pinv(x), *factors(x), np.linalg.det(x)))
    results = []
    for threads in (1, 2, 4):
        with cr.settings(threads=threads):
            results.append(f(x))
    for others in results[1:]:
        for one, other in zip(results[0], others, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_library_gets_its_threads_back():
    functions = lapack._thread_functions()
    if functions is None:
        pytest.skip("not OpenBLAS")
    import ctypes

    threads = ctypes.CFUNCTYPE(ctypes.c_int)(functions[0])
    set_threads = ctypes.CFUNCTYPE(None, ctypes.c_int)(functions[1])
    before = threads()
    try:
        set_threads(2)
        f = cr.jit(np.linalg.inv)
        f(np.eye(3))
        assert threads() == 2
        with pytest.raises(cr.LinearAlgebraError):
            f(np.ones((3, 3)))
        assert threads() == 2
    finally:
        set_threads(before)


def test_without_the_library_numpy_does_it(monkeypatch, agrees):
    monkeypatch.setattr("chainrule.run.compile.links", lambda: False)
    x = matrices((3, 3), "f8") * 1.25
    assert called_back(np.linalg.inv, x) == {"inv"}
    agrees(np.linalg.inv, x)


def test_from_the_disk(run_python, tmp_path):
    """Code that was kept by another process finds the routines where they lie in this one."""
    text = """
        import numpy as np
        import chainrule as cr
        x = np.diag([1.0, 2.0, 4.0])
        print(np.round(cr.jit(lambda x: np.linalg.inv(x) @ np.linalg.cholesky(x) ** 2)(x)))
        """
    for _ in range(2):
        said = run_python(text, CHAINRULE_CACHE=str(tmp_path))
        assert said == f"{np.eye(3)}\n"


def test_complex_matrices_are_numpys(agrees):
    x = matrices((3, 3), "f8") + 1j
    assert called_back(np.linalg.det, x) == {"det"}
    np.testing.assert_allclose(cr.jit(np.linalg.det)(x), np.linalg.det(x), rtol=1e-12)
