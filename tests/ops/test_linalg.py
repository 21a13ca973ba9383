"""Determinants, inverses, systems, norms and factorisations; singular and degenerate ones too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.tracing.stage import evaluate, trace_program

RNG = np.random.default_rng(0)
A = RNG.normal(size=(3, 3)) + 2 * np.eye(3)
STACK = RNG.normal(size=(2, 3, 3)) + 2 * np.eye(3)
C = A + 1j * RNG.normal(size=(3, 3))
SPD = A @ A.T + np.eye(3)
HERMITIAN = C @ np.conj(C.T) + np.eye(3)
TALL = RNG.normal(size=(4, 2))


# ---- determinants --------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6])
def test_determinant(agrees: Any, count: int) -> None:
    a = np.random.default_rng(count).normal(size=(count, count))
    agrees(np.linalg.det, a)
    agrees(np.linalg.det, np.stack([a, 2 * a.T]))
    agrees(np.linalg.det, a * (1 + 0.5j) + 0.3j)


def test_determinant_of_a_matrix_of_traced_numbers() -> None:
    """First and second derivatives, at a singular matrix as anywhere."""

    def f(x: Any, y: Any) -> Any:
        return np.linalg.det(np.array([[x, y], [y * y, x * y]]))

    for x, y in [(2.0, 3.0), (0.0, 0.0), (1.0, 1.0)]:
        np.testing.assert_allclose(
            cr.grad(f, (0, 1))(x, y), (2 * x * y, x**2 - 3 * y**2), atol=1e-12
        )
        second = cr.grad(lambda x, y: cr.grad(f)(x, y), (0, 1))(x, y)
        np.testing.assert_allclose(second, (2 * y, 2 * x), atol=1e-12)


@pytest.mark.parametrize("count", [2, 3, 4, 5])
@pytest.mark.parametrize("missing", [1, 2])
def test_determinant_of_a_singular_matrix(count: int, missing: int) -> None:
    """The gradient is the matrix of cofactors, whatever the rank."""
    rng = np.random.default_rng(count)
    a = rng.normal(size=(count, count - missing)) @ rng.normal(size=(count - missing, count))
    keep = [[j for j in range(count) if j != k] for k in range(count)]
    minors = [[np.linalg.det(a[np.ix_(r, c)]) * (-1) ** (i + j) for j, c in enumerate(keep)]
              for i, r in enumerate(keep)]  # fmt: skip
    np.testing.assert_allclose(cr.grad(np.linalg.det)(a), minors, atol=1e-10)


def test_second_derivative_of_the_determinant_of_zero() -> None:
    t = RNG.normal(size=(2, 2))
    second = cr.jvp(cr.grad(np.linalg.det), (np.zeros((2, 2)),), (t,))[1]
    np.testing.assert_allclose(second, [[t[1, 1], -t[1, 0]], [-t[0, 1], t[0, 0]]])


def test_logarithm_of_the_determinant(agrees: Any) -> None:
    for a in (A, STACK, SPD, C):
        agrees(np.linalg.slogdet, a)
    np.testing.assert_allclose(cr.grad(lambda a: np.linalg.slogdet(a)[1])(A), np.linalg.inv(A).T)
    np.testing.assert_allclose(
        cr.grad(lambda a: np.linalg.slogdet(a).logabsdet)(A), np.linalg.inv(A).T
    )
    with pytest.raises(cr.LinearAlgebraError, match="singular"):
        cr.grad(lambda a: np.linalg.slogdet(a)[1])(np.zeros((2, 2)))


# ---- inverses and systems ------------------------------------------------------------------------


def test_inverse(agrees: Any) -> None:
    for a in (A, STACK, C):
        agrees(np.linalg.inv, a)
        agrees(np.linalg.pinv, a)
    agrees(np.linalg.pinv, TALL)
    agrees(lambda a: np.linalg.pinv(a, rtol=1e-10), TALL.T)
    agrees(lambda a: np.linalg.tensorinv(a.reshape(1, 3, 3), ind=2), A)


@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 2), (2, 3, 2), (5, 1, 3, 2)])
def test_solve(agrees: Any, shape: tuple[int, ...]) -> None:
    b = RNG.normal(size=shape)
    agrees(np.linalg.solve, A, b)
    agrees(np.linalg.solve, STACK, b)
    agrees(np.linalg.solve, C, b)


def test_solve_to_second_order() -> None:
    b, t = RNG.normal(size=3), RNG.normal(size=(3, 3))

    def gradient(a: Any) -> Any:
        return cr.grad(lambda a, b: np.sum(np.linalg.solve(a, b) ** 2), (0, 1))(a, b)

    second = cr.jvp(gradient, (A,), (t,))[1]
    h = 1e-5
    for s, p, m in zip(second, gradient(A + h * t), gradient(A - h * t), strict=True):
        np.testing.assert_allclose(s, (p - m) / (2 * h), rtol=1e-5, atol=1e-7)


def test_solve_in_batches() -> None:
    b = RNG.normal(size=(2, 3))
    for axes in ((0, 0), (0, None), (None, 0)):
        a_, b_ = (STACK if axes[0] == 0 else A), (b if axes[1] == 0 else b[0])
        got = cr.vmap(np.linalg.solve, axes)(a_, b_)
        rows = [
            np.linalg.solve(STACK[k] if axes[0] == 0 else A, b[k] if axes[1] == 0 else b[0])
            for k in range(2)
        ]
        np.testing.assert_allclose(got, rows, atol=1e-12)


def test_solve_with_a_matrix_of_traced_numbers() -> None:
    def f(x: Any) -> Any:
        return np.linalg.solve([[x, 1.0], [1.0, 3.0]], np.array([x, 2.0]))[0]

    # (3x − 2)/(3x − 1)
    np.testing.assert_allclose(cr.grad(f)(2.0), 3 / 25)
    np.testing.assert_allclose(cr.grad(cr.grad(f))(2.0), -18 / 125)


def test_tensorsolve(agrees: Any) -> None:
    a, b = RNG.normal(size=(2, 3, 6)), RNG.normal(size=(2, 3))
    agrees(np.linalg.tensorsolve, a, b)


def test_least_squares(agrees: Any) -> None:
    b = RNG.normal(size=4)
    agrees(lambda a, b: np.linalg.lstsq(a, b)[0], TALL, b)
    agrees(lambda a, b: np.linalg.lstsq(a, b)[1], TALL, b)
    agrees(lambda a, b: np.linalg.lstsq(a, b)[0], TALL.T, b[:2])


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, -1, -3])
def test_powers(agrees: Any, n: int) -> None:
    agrees(lambda a: np.linalg.matrix_power(a, n), A)


# ---- norms ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [A[0], A, STACK, C, A.astype("f4")], ids=str)
def test_euclidean_norm(agrees: Any, x: Any) -> None:
    agrees(np.linalg.norm, x, rtol=1e-4)
    agrees(lambda x: np.linalg.norm(x, axis=-1, keepdims=True), x, rtol=1e-4)
    agrees(lambda x: np.linalg.vector_norm(x, axis=0), x, rtol=1e-4)


@pytest.mark.parametrize("order", [None, 2, 1, 3, 0.5, 2.5, np.inf, -np.inf, 0, -1])
def test_norms_of_vectors(agrees: Any, order: Any) -> None:
    agrees(lambda x: np.linalg.norm(x, order), A[0])
    agrees(lambda x: np.linalg.norm(x, order, axis=1, keepdims=True), STACK)
    agrees(lambda x: np.linalg.norm(x, order, axis=0), C)


@pytest.mark.parametrize("order", [None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_norms_of_matrices(agrees: Any, order: Any) -> None:
    agrees(lambda x: np.linalg.norm(x, order), A)
    agrees(lambda x: np.linalg.norm(x, order), TALL)
    agrees(lambda x: np.linalg.norm(x, order, axis=(2, 0), keepdims=True), STACK)
    agrees(lambda x: np.linalg.norm(x, order), C)
    if order is not None:
        agrees(lambda x: np.linalg.matrix_norm(x, ord=order), STACK)


def test_condition_number(agrees: Any) -> None:
    for p in (None, 1, "fro", -2):
        agrees(lambda x, p=p: np.linalg.cond(x, p), A)


def test_norm_at_zero() -> None:
    """The kink at 0: the subgradient of least norm."""
    zero = np.zeros(3)
    np.testing.assert_array_equal(cr.grad(np.linalg.norm)(zero), zero)
    np.testing.assert_array_equal(cr.grad(lambda x: np.linalg.norm(x, 3))(zero), zero)
    np.testing.assert_array_equal(cr.jvp(np.linalg.norm, (zero,), (np.ones(3),))[1], 0)
    rows = np.array([[0.0, 0.0], [3.0, 4.0]])
    gradient = cr.grad(lambda x: np.sum(np.linalg.norm(x, axis=1)))(rows)
    np.testing.assert_allclose(gradient, [[0, 0], [0.6, 0.8]])


# ---- factorisations ------------------------------------------------------------------------------


def test_cholesky(agrees: Any) -> None:
    for a in (SPD, np.stack([SPD, SPD + np.eye(3)]), HERMITIAN):
        agrees(np.linalg.cholesky, a)
    agrees(lambda a: np.linalg.cholesky(a, upper=True), SPD)
    agrees(lambda b: np.linalg.cholesky(b @ b.T + np.eye(3)), A)


def test_eigenvalues(agrees: Any) -> None:
    agrees(np.linalg.eigvalsh, SPD)
    agrees(np.linalg.eigvalsh, HERMITIAN)
    agrees(np.linalg.eigh, SPD)
    agrees(lambda a: np.linalg.eigh(a, "U"), SPD)
    agrees(lambda a: np.linalg.eigh(a).eigenvalues, np.stack([SPD, 2 * SPD]))

    def root(a: Any) -> Any:
        w, v = np.linalg.eigh(a)
        return (v * np.sqrt(w)) @ np.conj(v.T)

    agrees(root, SPD)
    agrees(root, HERMITIAN)


def test_equal_eigenvalues() -> None:
    """The eigenvalues alone have a derivative, their vectors have none."""
    gradient = cr.grad(lambda a: np.sum(np.linalg.eigvalsh(a) ** 2))(2 * np.eye(2))
    np.testing.assert_allclose(gradient, 4 * np.eye(2))
    vectors = cr.grad(lambda a: np.sum(np.linalg.eigh(a)[1][:, 0]))(2 * np.eye(2))
    assert np.isnan(vectors).any()


def test_singular_values(agrees: Any) -> None:
    for a in (A, TALL, TALL.T, C, TALL * (1 + 0.5j) + 0.2j, STACK):
        agrees(lambda a: np.linalg.svd(a, compute_uv=False), a)
        agrees(np.linalg.svdvals, a)

        def polar(a: Any) -> Any:
            u, _, vh = np.linalg.svd(a, full_matrices=False)
            return u @ vh

        agrees(polar, a)
    agrees(lambda a: np.linalg.svd(a, full_matrices=False), TALL)
    agrees(np.linalg.svd, A)
    assert cr.grad(lambda a: np.sum(a) * np.linalg.matrix_rank(a))(A)[0, 0] == 3


def test_qr(agrees: Any) -> None:
    for a in (A, TALL, C, STACK, TALL * (1 + 0.5j) + 0.2j):
        agrees(np.linalg.qr, a)
        agrees(lambda a: np.linalg.qr(a, mode="r"), a)


# ---- mistakes ------------------------------------------------------------------------------------


def test_singular_matrices_are_told_with_the_users_line() -> None:
    def f(a: Any) -> Any:
        return np.sum(np.linalg.inv(a))

    with pytest.raises(np.linalg.LinAlgError) as caught:
        cr.grad(f)(np.zeros((2, 2)))
    assert isinstance(caught.value, cr.LinearAlgebraError)
    text = str(caught.value)
    assert text.startswith("inv: the matrix is singular\n  matrix:")
    assert "test_linalg.py" in text
    assert "in f\n" in text
    assert "fix:    use np.linalg.pinv" in text
    with pytest.raises(cr.LinearAlgebraError, match="solve: the matrix is singular"):
        cr.grad(lambda a: np.sum(np.linalg.solve(a, np.ones(2))))(np.zeros((2, 2)))
    with pytest.raises(cr.LinearAlgebraError, match="not positive definite"):
        cr.grad(lambda a: np.sum(np.linalg.cholesky(a)))(-np.eye(2))


def test_an_except_clause_of_the_user_still_works() -> None:
    def f(a: Any) -> Any:
        try:
            return np.sum(np.linalg.inv(a))
        except np.linalg.LinAlgError:
            return np.sum(a)

    np.testing.assert_array_equal(cr.grad(f)(np.zeros((2, 2))), np.ones((2, 2)))


def test_shapes_that_do_not_fit() -> None:
    for function in (np.linalg.inv, np.linalg.det, np.linalg.cholesky, np.linalg.eigh):
        with pytest.raises(cr.ShapeError, match="needs a square matrix"):
            cr.jvp(function, (TALL,), (TALL,))
    with pytest.raises(cr.ShapeError, match="another number of rows"):
        cr.grad(lambda a: np.sum(np.linalg.solve(a, np.ones(4))))(A)
    with pytest.raises(cr.UnsupportedError, match="full matrices"):
        cr.jvp(np.linalg.svd, (TALL,), (TALL,))
    with pytest.raises(cr.UnsupportedError, match="qr"):
        cr.jvp(np.linalg.qr, (TALL.T,), (TALL.T,))


def test_integers_become_floating_point() -> None:
    def f(x: Any) -> Any:
        whole = np.array([[2, 1], [1, 3]])
        return x * np.linalg.det(whole * np.sign(x).astype(int))

    np.testing.assert_allclose(cr.grad(f)(2.0), 5)


@pytest.mark.parametrize("name", ["solve", "inv", "det", "expm", "cholesky"])
def test_scipys_own_functions_say_that_they_cannot_be_traced(name: str) -> None:
    linalg = pytest.importorskip("scipy.linalg")
    function = getattr(linalg, name)
    more = (np.ones(3),) if name == "solve" else ()
    with pytest.raises(cr.ChainruleError, match=r"lose its derivative|can't be traced"):
        cr.grad(lambda a: np.sum(function(a, *more)))(SPD)


def test_without_values() -> None:
    """Shapes and dtypes alone are enough to trace; the values come later."""

    def f(a: Any) -> Any:
        w, v = np.linalg.eigh(a @ a.T)
        q, r = np.linalg.qr(a)
        u, s, vh = np.linalg.svd(a)
        x = np.linalg.solve(a, a[0]) + np.linalg.inv(a)[0] + np.linalg.pinv(a)[1] + w + s
        y = np.linalg.cholesky(a @ a.T + np.eye(3)) + v * v + (u @ vh) + q @ r
        return x * np.linalg.det(a) + y * np.linalg.slogdet(a)[1] + np.linalg.norm(a, axis=0)

    program = trace_program(f, STACK[0], values=False)
    np.testing.assert_allclose(evaluate(program, STACK[1])[0], f(STACK[1]))


def test_not_a_number_stays_one() -> None:
    a = np.full((4, 4), np.nan)
    with np.errstate(invalid="ignore"):
        assert np.isnan(cr.vjp(np.linalg.det, a)[1](1.0)[0]).all()
    with pytest.raises(cr.LinearAlgebraError, match="NaN and infinity"):
        cr.grad(lambda a: np.sum(np.linalg.pinv(a)))(a)
