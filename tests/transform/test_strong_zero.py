"""Branches not taken leave nothing behind: by what was taken, never by the value of a zero."""

import numpy as np
import pytest

import chainrule as cr

CHAIN = lambda x: np.exp(np.sqrt(x - 1) * 3) / np.sqrt(x - 1)

# name: (function, point, first, second and third derivative; None where it is infinite)
TABLE = {
    "sqrt_out": (lambda x: np.where(x < 1, x, np.sqrt(x - 1)), 0.0, (1.0, 0.0, 0.0)),
    "inner_where": (
        lambda x: np.where(x > 0, np.where(x > 2, np.log(x - 2), x * x), 0.0), 1.0, (2.0, 2.0, 0.0),
    ),
    "log_negative": (lambda x: np.where(x > 0, np.log(x), 0.0), -1.0, (0.0, 0.0, 0.0)),
    "sinc": (
        lambda x: np.where(x == 0, 1.0 - x * x / 6, np.sin(x) / x), 0.0, (0.0, -1 / 3, 0.0),
    ),
    "square_of_where": (
        lambda x: np.where(x < 1, np.sin(x), np.log(x - 1)) ** 2, 0.0, (0.0, 2.0, 0.0),
    ),
    "chain": (lambda x: np.where(x < 1, x * x, CHAIN(x)), 0.5, (1.0, 2.0, 0.0)),
    "norm": (lambda x: np.where(x * x == 0, 0.0 * x, np.sqrt(x * x)), 0.0, (0.0, 0.0, 0.0)),
    "double_where": (
        lambda x: np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0), 0.0, (0.0, 0.0, 0.0),
    ),
    "power": (lambda x: np.where(x > 0, x**0.5, 0.0), 0.0, (0.0, 0.0, 0.0)),
    "checkpointed": (
        lambda x: np.where(x < 1, x, cr.checkpoint(lambda x: np.sqrt(x - 1))(x)),
        0.0,
        (1.0, 0.0, 0.0),
    ),
}  # fmt: skip

along = lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1]

ORDERS = {
    "grad": (1, cr.grad),
    "jvp": (1, along),
    "grad of grad": (2, lambda f: cr.grad(cr.grad(f))),
    "jvp of grad": (2, lambda f: along(cr.grad(f))),
    "grad of jvp": (2, lambda f: cr.grad(along(f))),
    "jvp of jvp": (2, lambda f: along(along(f))),
    "grad of grad of grad": (3, lambda f: cr.grad(cr.grad(cr.grad(f)))),
}


@pytest.mark.parametrize("how", ORDERS)
@pytest.mark.parametrize("name", TABLE)
def test_table(name, how):
    f, x, expected = TABLE[name]
    order, transform = ORDERS[how]
    with np.errstate(all="ignore"):
        assert transform(f)(x) == pytest.approx(expected[order - 1], abs=1e-14)


@pytest.mark.parametrize("how", ORDERS)
@pytest.mark.parametrize("name", TABLE)
def test_table_under_vmap(name, how):
    f, x, expected = TABLE[name]
    order, transform = ORDERS[how]
    with np.errstate(all="ignore"):
        found = cr.vmap(transform(f))(np.array([x, x]))
    np.testing.assert_allclose(found, np.full(2, expected[order - 1]), atol=1e-14)


@pytest.mark.parametrize("name", TABLE)
def test_table_in_a_jacobian(name):
    f, x, (first, second, _) = TABLE[name]
    point = np.array([x, x])
    with np.errstate(all="ignore"):
        for jacobian in (cr.jacfwd, cr.jacrev):
            np.testing.assert_allclose(jacobian(f)(point), np.eye(2) * first, atol=1e-14)
            # Tracing a vector gives the same third-order tensor either way.
            cube = jacobian(jacobian(f))(point)
            expected = np.zeros((2, 2, 2))
            expected[0, 0, 0] = expected[1, 1, 1] = second
            np.testing.assert_allclose(cube, expected, atol=1e-14)


def test_singular_branch_that_is_taken_stays_singular():
    def f(x):
        return np.where(x < 1, np.sqrt(x), 0.0) ** 2

    with np.errstate(all="ignore"):
        assert not np.isfinite(cr.grad(f)(0.0))


V = np.array([0.0, 4.0, -1.0])
ROWS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]])

ARRAYS = {
    "vector": (lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)), [0, 0.25, 0]),
    "getitem and reshape": (
        lambda x: np.sum(np.where(x[1:].reshape(2, 1) > 0, np.log(x[1:].reshape(2, 1)), 0.0)),
        [0, 0.25, 0],
    ),
    "broadcast condition": (
        lambda x: np.sum(
            np.where(np.array([[True], [False]]), x * x, np.log(x - 9.0) * 0 + 1.0)[0]
        ),
        [0, 8, -2],
    ),
    "matmul behind a root": (
        lambda x: np.sum(np.where(x > 0, np.matmul(np.eye(3), np.sqrt(x)), 0.0)),
        [0, 0.25, 0],
    ),
    "matmul that mixes": (
        lambda x: np.sum(np.where(x > 0, np.matmul(ROWS, np.sqrt(x)), 0.0)),
        [0, 0.25, 0],
    ),
    "two ways": (
        lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)) + np.sum(np.sqrt(x)[1]),
        [0, 0.5, 0],
    ),
    "boolean index": (lambda x: np.sum(np.sqrt(x)[np.array([False, True, False])]), [0, 0.25, 0]),
    "one entry": (lambda x: np.sqrt(x)[1], [0, 0.25, 0]),
}


def pulled(f, x):
    """The gradient, also of a function whose value is NaN, as that of a matmul with NaN is."""
    return cr.vjp(f, x)[1](1.0)[0]


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays(name):
    f, expected = ARRAYS[name]
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(pulled(f, V), expected)
        np.testing.assert_allclose(cr.jacfwd(f)(V), expected)
        np.testing.assert_allclose(cr.jacrev(f)(V), expected)
        second = cr.grad(lambda x: np.sum(pulled(f, x)))(V)
        assert np.isfinite(second).all()
        twice = cr.jacfwd(cr.jacrev(f))(V)
        np.testing.assert_allclose(np.diag(twice), second, atol=1e-14)
        if np.isfinite(f(V)):
            np.testing.assert_array_equal(cr.grad(f)(V), pulled(f, V))
            np.testing.assert_array_equal(cr.hessian(f)(V), twice)


def test_weights_behind_an_infinite_factor():
    x = np.array([0.0, 2.0])

    def f(W):
        rows = np.matmul((1 / x).reshape(2, 1) * np.ones((2, 2)), W)
        return np.sum(np.where(x.reshape(2, 1) > 0, rows, 0.0))

    with np.errstate(all="ignore"):
        np.testing.assert_allclose(cr.grad(f)(np.eye(2)), [[0.5, 0.5], [0.5, 0.5]])


def test_a_factor_that_happens_to_be_zero_still_has_a_derivative():
    # By the value of W's entries x[0] would count as not taken, and the mixed derivative be lost.
    W = np.array([[0.0, 1.0], [1.0, 0.0]])
    x = np.array([1.0, 4.0])

    def f(W, x):
        return np.sum(np.where(x > 0, np.matmul(W, np.sqrt(x)), 0.0))

    mixed = cr.jacobian(cr.grad(f, argnums=1), argnums=0)(W, x)
    expected = np.zeros((2, 2, 2))
    for i in range(2):
        expected[0, i, 0] = 0.5
        expected[1, i, 1] = 0.25
    np.testing.assert_allclose(mixed, expected)


# ---- the standard basis carries what it reaches --------------------------------------------------

ROOT = np.array([0.0, 4.0])


@pytest.mark.parametrize("jacobian", [cr.jacfwd, cr.jacrev])
class TestJacobianAtASingularPoint:
    def test_diagonal(self, jacobian):
        np.testing.assert_array_equal(jacobian(np.sqrt)(ROOT), np.diag([np.inf, 0.25]))

    def test_second_derivative(self, jacobian):
        expected = np.zeros((2, 2, 2))
        expected[0, 0, 0], expected[1, 1, 1] = -np.inf, -1 / 32
        np.testing.assert_array_equal(jacobian(jacobian(np.sqrt))(ROOT), expected)

    def test_one_entry(self, jacobian):
        np.testing.assert_array_equal(jacobian(lambda x: np.sqrt(x)[1])(ROOT), [0.0, 0.25])

    def test_through_a_rearrangement(self, jacobian):
        found = jacobian(lambda x: np.sqrt(x)[::-1].reshape(1, 2))(ROOT)
        np.testing.assert_array_equal(found, [[[0.0, 0.25], [np.inf, 0.0]]])

    def test_through_a_sum(self, jacobian):
        np.testing.assert_array_equal(jacobian(lambda x: np.sum(np.sqrt(x)))(ROOT), [np.inf, 0.25])

    def test_through_a_matrix(self, jacobian):
        found = jacobian(lambda x: np.matmul(np.diag([1.0, 2.0]), np.sqrt(x)))(ROOT)
        np.testing.assert_array_equal(found, np.diag([np.inf, 0.5]))

    def test_through_a_checkpoint(self, jacobian):
        found = jacobian(cr.checkpoint(np.sqrt))(ROOT)
        np.testing.assert_array_equal(found, np.diag([np.inf, 0.25]))

    def test_through_a_rule(self, jacobian):
        root = cr.custom_jvp(lambda x: np.sqrt(x))
        root.defjvp(
            lambda primals, tangents: (root(*primals), 0.5 / np.sqrt(primals[0]) * tangents[0])
        )
        np.testing.assert_array_equal(jacobian(root)(ROOT), np.diag([np.inf, 0.25]))

    def test_two_arguments(self, jacobian):
        found = jacobian(lambda x, y: np.sqrt(x) * y, argnums=(0, 1))(ROOT, np.ones(2))
        np.testing.assert_array_equal(found[0], np.diag([np.inf, 0.25]))
        np.testing.assert_array_equal(found[1], np.diag([0.0, 2.0]))


@pytest.mark.parametrize("jacobian", [cr.jacfwd, cr.jacrev])
def test_cancelling_weights_do_not_hide_an_entry(jacobian):
    # A transform of a constant is zero but for one entry; a zero there isn't "not reached".
    x = np.array([1.0, 1.0, 1.0, 1.0])
    found = jacobian(lambda x: np.real(np.fft.fft(np.sqrt(x))))(x)
    k = np.arange(4)
    expected = 0.5 * np.cos(2 * np.pi * np.outer(k, k) / 4)
    np.testing.assert_allclose(found, expected, atol=1e-14)


@pytest.mark.parametrize(
    "choice",
    [
        lambda z: np.where(z > 0, z, 0.1 * z),
        lambda z: np.where(z > 0, z * z, np.expm1(np.minimum(z, 0))),
        lambda z: np.where(z > 1, z, np.where(z > 0, 2 * z, 3 * z)),
    ],
    ids=["leaky", "elu", "nested"],
)
def test_choices_between_forms_of_one_variable_ask_nothing_of_what_comes_before(choice):
    """Both sides together take every entry: nothing is masked in the product before them."""
    gradient = lambda w, x: cr.grad(lambda w: np.sum(choice(x @ w)))(w)
    w, x = np.array([[1.0, -1.0], [0.5, 2.0]]), np.array([[1.0, 2.0], [-3.0, 0.5]])
    text = str(cr.jit(gradient).program(w, x))
    assert text.count("matmul") == 2
    assert "captured" not in text
    assert "logical_or" not in text
    numeric = cr.jacobian(lambda w: np.sum(choice(x @ w)), mode="finite")(w)
    np.testing.assert_allclose(cr.jit(gradient)(w, x), numeric, rtol=1e-6)


def test_what_both_sides_take_keeps_its_infinity():
    def f(x):
        root = np.sqrt(x)
        return np.where(x > 1, root, 2 * root)

    with np.errstate(divide="ignore"):
        assert cr.grad(f)(0.0) == np.inf
        assert cr.grad(lambda x: np.where(x > 1, np.sqrt(x), x))(0.0) == 1.0
