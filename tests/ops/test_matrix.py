"""Products of matrices and tensors, in every rank that NumPy takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import chainrule as cr

RNG = np.random.default_rng(0)


def draw(*shape: int, dtype: str = "f8") -> Any:
    x = RNG.normal(size=shape)
    return (x + 1j * RNG.normal(size=shape) if dtype.startswith("c") else x).astype(dtype)


PAIRS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4)),
    ((5, 1, 2, 3), (4, 3, 2)), ((3,), (5, 3, 2)), ((5, 2, 3), (3,)), ((0, 3), (3, 2)),
    ((2, 0), (0,)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["f8", "f4", "c16"])
@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_matmul(agrees: Any, left: tuple[int, ...], right: tuple[int, ...], dtype: str) -> None:
    agrees(lambda a, b: a @ b, draw(*left, dtype=dtype), draw(*right, dtype=dtype), rtol=1e-4)


@given(
    shapes=mutually_broadcastable_shapes(signature="(m?,n),(n,p?)->(m?,p?)", max_dims=2, max_side=3)
)
def test_matmul_of_any_shapes(shapes: Any) -> None:
    rng = np.random.default_rng(1)
    a, b = (rng.normal(size=shape) for shape in shapes.input_shapes)
    ta, tb = (rng.normal(size=shape) for shape in shapes.input_shapes)
    out, tangent = cr.jvp(np.matmul, (a, b), (ta, tb))
    np.testing.assert_array_equal(out, a @ b)
    np.testing.assert_allclose(tangent, ta @ b + a @ tb, atol=1e-12)
    g = rng.normal(size=np.shape(out))
    ga, gb = cr.vjp(np.matmul, a, b)[1](g)
    assert (ga.shape, gb.shape) == (a.shape, b.shape)
    np.testing.assert_allclose(np.sum(ga * ta) + np.sum(gb * tb), np.sum(g * tangent), atol=1e-10)


@pytest.mark.parametrize("examples", [(0, None), (None, 0), (0, 0)])
@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_matmul_in_batches(
    left: tuple[int, ...], right: tuple[int, ...], examples: tuple[int | None, int | None]
) -> None:
    a = draw(*(3,) * (examples[0] == 0), *left)
    b = draw(*(3,) * (examples[1] == 0), *right)
    got = cr.vmap(np.matmul, examples)(a, b)
    rows = [
        np.matmul(a[k] if examples[0] == 0 else a, b[k] if examples[1] == 0 else b)
        for k in range(3)
    ]
    np.testing.assert_allclose(got, rows, atol=1e-12)


def test_dot_in_every_rank(agrees: Any) -> None:
    for left, right in [
        *PAIRS,
        ((2, 3), (4, 3, 2)),
        ((5, 2, 3), (4, 3, 2)),
        ((), (2, 3)),
        ((2,), ()),
    ]:
        try:
            np.dot(np.zeros(left), np.zeros(right))
        except ValueError:
            continue
        agrees(np.dot, draw(*left), draw(*right))
    agrees(lambda a, b: a.dot(b), draw(2, 3), draw(3))


def test_other_products(agrees: Any) -> None:
    agrees(np.inner, draw(2, 3), draw(4, 3))
    agrees(np.inner, draw(3), draw(3))
    agrees(np.inner, draw(), draw(3))
    agrees(np.vdot, draw(2, 3), draw(3, 2))
    agrees(np.vdot, draw(4, dtype="c16"), draw(4, dtype="c16"))
    agrees(np.outer, draw(2, 2), draw(3))
    agrees(np.kron, draw(2, 3), draw(3, 2))
    agrees(np.kron, draw(2), draw(2, 3, 2))
    agrees(np.cross, draw(4, 3), draw(3))
    agrees(lambda a, b: np.cross(a, b, axis=0), draw(3, 2), draw(3, 2))
    agrees(np.linalg.vecdot, draw(2, 3, dtype="c16"), draw(3, dtype="c16"))
    agrees(np.vecdot, draw(2, 3), draw(2, 3))
    agrees(np.linalg.outer, draw(2), draw(3))
    agrees(lambda a, b: np.multiply.outer(a, b), draw(2, 2), draw(3))
    agrees(lambda a, b: np.subtract.outer(a, b), draw(2), draw(3))


@pytest.mark.skipif(not hasattr(np, "matvec"), reason="NumPy 2.2 and later")
def test_matvec(agrees: Any) -> None:
    agrees(np.matvec, draw(5, 2, 3), draw(3))
    agrees(np.vecmat, draw(2, dtype="c16"), draw(5, 2, 3, dtype="c16"))


def test_trace(agrees: Any) -> None:
    for offset in (-3, -1, 0, 1, 2):
        agrees(lambda a, k=offset: np.trace(a, k), draw(3, 4))
        agrees(lambda a, k=offset: np.trace(a, k, 1, 2), draw(2, 3, 4))
    agrees(np.linalg.trace, draw(2, 3, 3))
    agrees(lambda a: a.trace(), draw(3, 3))


def test_tensordot(agrees: Any) -> None:
    agrees(np.tensordot, draw(2, 3, 4), draw(3, 4, 5))
    agrees(lambda a, b: np.tensordot(a, b, 0), draw(2), draw(3))
    agrees(lambda a, b: np.tensordot(a, b, ([0, 2], [1, 0])), draw(2, 3, 4), draw(4, 2))
    agrees(lambda a, b: np.tensordot(a, b, (1, -1)), draw(2, 3), draw(4, 3))


def test_multi_dot(agrees: Any) -> None:
    agrees(lambda a, b, c: np.linalg.multi_dot([a, b, c]), draw(2, 5), draw(5, 3), draw(3, 4))
    agrees(lambda a, b, c: np.linalg.multi_dot([a, b, c]), draw(5), draw(5, 3), draw(3))


EINSUMS: list[tuple[str, tuple[tuple[int, ...], ...]]] = [
    ("ij->ji", ((2, 3),)),
    ("ji", ((2, 3),)),
    ("ij->", ((2, 3),)),
    ("ii", ((3, 3),)),
    ("ii->i", ((3, 3),)),
    ("iij->j", ((3, 3, 2),)),
    ("iji->ij", ((3, 2, 3),)),
    ("iii", ((2, 2, 2),)),
    ("ij,jk", ((2, 3), (3, 4))),
    ("ij,jk->ki", ((2, 3), (3, 4))),
    ("i,i", ((3,), (3,))),
    ("i,j->ij", ((3,), (2,))),
    ("ij,kl->l", ((2, 3), (2, 4))),
    ("...ij,...jk->...ik", ((5, 2, 3), (3, 4))),
    ("...ij,...j", ((5, 2, 3), (5, 3))),
    ("...,...", ((5, 2, 3), (2, 3))),
    ("i...->...", ((2, 3, 4),)),
    ("b...i,b...i->b...", ((2, 3, 4), (2, 1, 4))),
    ("ij,ij->ij", ((2, 3), (1, 3))),
    ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))),
    ("ii,ij,j->", ((3, 3), (3, 2), (2,))),
    (",i->i", ((), (3,))),
    ("i,->", ((3,), ())),
    ("aa,bb->ab", ((2, 2), (3, 3))),
]


@pytest.mark.parametrize("optimize", [False, True])
@pytest.mark.parametrize(("subscripts", "shapes"), EINSUMS)
def test_einsum(agrees: Any, subscripts: str, shapes: Any, optimize: bool) -> None:
    operands = [draw(*shape) for shape in shapes]
    agrees(lambda *xs: np.einsum(subscripts, *xs, optimize=optimize), *operands)


def test_einsum_of_lists_of_numbers(agrees: Any) -> None:
    agrees(lambda a, b: np.einsum(a, [0, 1], b, [1, 2], [2, 0]), draw(2, 3), draw(3, 4))
    agrees(lambda a, b: np.einsum(a, [..., 1], b, [1]), draw(2, 3), draw(3))


@st.composite
def einsums(draw_: Any) -> tuple[str, list[tuple[int, ...]]]:
    letters = "ijkl"
    terms = draw_(st.lists(st.text(letters, max_size=3), min_size=1, max_size=3))
    used = sorted(set("".join(terms)))
    out = "".join(draw_(st.lists(st.sampled_from(used), unique=True))) if used else ""
    sizes = dict(zip(letters, (2, 3, 1, 2), strict=True))
    return f"{','.join(terms)}->{out}", [tuple(sizes[c] for c in term) for term in terms]


@given(einsums())
def test_any_einsum(case: tuple[str, list[tuple[int, ...]]]) -> None:
    subscripts, shapes = case
    rng = np.random.default_rng(1)
    xs, ts = ([rng.normal(size=shape)[()] for shape in shapes] for _ in range(2))

    def f(*xs: Any) -> Any:
        return np.einsum(subscripts, *xs)

    out, tangent = cr.jvp(f, xs, ts)
    np.testing.assert_allclose(out, f(*xs), atol=1e-12)
    assert np.shape(out) == np.shape(f(*xs))
    g = rng.normal(size=np.shape(out))[()]
    found = cr.vjp(f, *xs)[1](g)
    total = sum(np.sum(a * t) for a, t in zip(found, ts, strict=True))
    np.testing.assert_allclose(total, np.sum(g * tangent), atol=1e-10)


def test_einsum_mistakes() -> None:
    for subscripts, words in [
        ("ij,jk", "one group of letters per operand"),
        ("ijk->i", "one letter per axis"),
        ("ij->ii", "each letter of the result"),
        ("ij->k", "each letter of the result"),
        ("i!->i", "subscripts are letters"),
    ]:
        with pytest.raises(cr.ShapeError, match=words):
            cr.grad(lambda x, s=subscripts: np.sum(np.einsum(s, x)))(np.ones((2, 3)))
    with pytest.raises(cr.ShapeError, match="the letter j stands for two lengths"):
        cr.grad(lambda x: np.einsum("ij,j->", x, np.ones(2)))(np.ones((2, 3)))


def test_quadratic_form() -> None:
    a, w = draw(3, 3), draw(3)
    np.testing.assert_allclose(cr.grad(lambda w: w.T @ a @ w)(w), (a + a.T) @ w)
    second = [cr.jvp(cr.grad(lambda w: w @ a @ w), (w,), (row,))[1] for row in np.eye(3)]
    np.testing.assert_allclose(second, a + a.T)


def test_lists_of_traced_numbers() -> None:
    def f(x: Any, y: Any) -> Any:
        return np.dot([x, y], [y, y * 1.0])

    np.testing.assert_allclose(cr.grad(f, (0, 1))(2.0, 3.0), (3, 2 + 6))
    np.testing.assert_allclose(cr.grad(lambda x: np.dot(np.ones(2), [x, 2 * x]))(2.0), 3)
    np.testing.assert_allclose(cr.grad(lambda x: np.outer([x, 1.0], [x, x])[0, 0])(2.0), 4)


def test_infinite_rows_that_were_not_taken() -> None:
    """The gradient with respect to W of a product of which only some rows count."""
    x, w = np.array([0.0, 2.0]), np.array([[1.0, 2.0], [3.0, 4.0]])

    def f(w: Any, x: Any) -> Any:
        rows = (1 / x).reshape(2, 1) * np.ones((2, 2))
        return np.sum(np.where(x.reshape(2, 1) > 0, rows @ w, 0))

    def g(w: Any, x: Any) -> Any:
        rows = (1 / x).reshape(2, 1) * np.ones((2, 2))
        return np.sum(np.where(x.reshape(2, 1) > 0, np.einsum("ij,jk->ik", rows, w), 0))

    for loss in (f, g):
        with np.errstate(all="ignore"):
            by_w, by_x = cr.grad(loss, (0, 1))(w, x)
        np.testing.assert_array_equal(by_w, [[0.5, 0.5], [0.5, 0.5]])
        np.testing.assert_array_equal(by_x, [0, -2.5])


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(cr.ShapeError) as caught:
        cr.grad(lambda w: np.sum(w @ np.ones((5, 4))))(np.ones((3, 4)))
    assert str(caught.value).splitlines()[0] == "matmul: inner sizes differ"
    assert "did you mean right.T?" in str(caught.value)
    with pytest.raises(cr.ShapeError, match="a number is not a matrix"):
        cr.grad(lambda w: np.matmul(w, np.ones(3)))(1.0)
    with pytest.raises(cr.ShapeError, match="three components"):
        cr.grad(lambda w: np.cross(w, w))(np.ones(2))
    with pytest.raises(cr.ShapeError, match="different lengths"):
        cr.grad(lambda w: np.tensordot(w, w, 1))(np.ones((2, 3)))


def test_first_and_second_order_through_a_product() -> None:
    a, b = draw(2, 3), draw(3, 2)

    def f(a: Any, b: Any) -> Any:
        return np.sum(np.sin(a @ b))

    h = 1e-5
    ta = draw(2, 3)
    _, second = cr.jvp(lambda a: cr.grad(f, (0, 1))(a, b), (a,), (ta,))
    ahead, behind = (cr.grad(f, (0, 1))(a + s * h * ta, b) for s in (1, -1))
    for s, p, m in zip(second, ahead, behind, strict=True):
        np.testing.assert_allclose(s, (p - m) / (2 * h), atol=1e-8)


def test_an_einsum_that_adds_nothing_is_a_view():
    def f(x):
        x = x * 1.0
        diagonal = np.einsum("ii->i", x)
        diagonal[:] = diagonal * 3
        turned = np.einsum("ij->ji", x)
        turned[0, 1] = 7 * x[0, 0]
        return np.sum(x**2)

    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    value, gradient = cr.value_and_grad(f)(x)
    assert value == f(x.copy())
    np.testing.assert_allclose(gradient, cr.finite_difference(f)(x), rtol=1e-6)
