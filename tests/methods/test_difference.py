"""Finite differences: shapes, error bounds, costs, and what they refuse."""

import numpy as np
import pytest

import chainrule as cr

METHODS = ("forward", "backward", "central", "complex", "richardson")


def lecture(x, z):
    return np.exp(x * z) + x * z / np.log(x) + np.sin(np.log(x)) / (x * z)


def counted(f):
    def g(*args):
        g.calls += 1
        return f(*args)

    g.calls = 0
    return g


SMOOTH = {
    "sin": (np.sin, np.cos, 0.7),
    "exp": (np.exp, np.exp, 3.0),
    "log near zero": (np.log, lambda x: 1 / x, 1e-6),
    "log far out": (np.log, lambda x: 1 / x, 1e9),
    "a constant added": (lambda x: 1e3 + np.sin(x), np.cos, 1e-3),
    "power": (lambda x: x**7, lambda x: 7 * x**6, -1.3),
    "at zero": (lambda x: x * np.cos(x), lambda x: np.cos(x) - x * np.sin(x), 0.0),
    "steep": (lambda x: np.tanh(50 * x), lambda x: 50 / np.cosh(50 * x) ** 2, 0.01),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SMOOTH)
def test_the_error_stays_within_its_bound(name, method):
    f, exact, x = SMOOTH[name]
    derivative, bound = cr.finite_difference(f, method=method).with_error(x)
    assert abs(derivative - exact(x)) <= bound
    plain = cr.finite_difference(f, method=method)(x)
    assert plain == derivative


@pytest.mark.parametrize(
    ("method", "most"),
    [
        ("forward", 1e-4),
        ("backward", 1e-4),
        ("central", 1e-6),
        ("complex", 1e-11),
        ("richardson", 1e-9),
    ],
)
def test_the_first_worked_case(method, most):
    exact_x = 3 * np.exp(6) + 3 / np.log(2) - 3 / np.log(2) ** 2
    exact_x += (np.cos(np.log(2)) - np.sin(np.log(2))) / 12
    exact_z = 2 * np.exp(6) + 2 / np.log(2) - np.sin(np.log(2)) / 18
    dx, dz = cr.finite_difference(lecture, (0, 1), method)(2.0, 3.0)
    assert abs(dx - exact_x) < most
    assert abs(dz - exact_z) < most


def test_the_lectures_forward_difference_table():
    losses = iter([1.25347, 1.25322, 1.25353, 1.25347])
    gradient = cr.finite_difference(lambda w: next(losses), method="forward", step=1e-4)
    np.testing.assert_allclose(gradient(np.array([0.34, -1.11, 0.78])), [-2.5, 0.6, 0.0], atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_cost_is_the_documented_one(method, n):
    f = counted(lambda x: np.sum(x**2))
    difference = cr.finite_difference(f, method=method)
    documented = {"central": 2 * n, "complex": n + 2, "richardson": 16 * n}.get(method, n + 1)
    x = np.arange(1.0, n + 1)
    assert difference.evaluations(x) == documented
    difference(x)
    assert f.calls == documented


def test_bounds_cost_one_more_step_per_entry():
    f = counted(lambda x: np.sum(x**2))
    cr.finite_difference(f).with_error(np.ones(3))
    assert f.calls == 12
    f.calls = 0
    cr.finite_difference(f, method="forward").with_error(np.ones(3))
    assert f.calls == 7


@pytest.mark.parametrize("method", METHODS)
def test_shapes_are_output_then_input(method):
    W, x = np.arange(6.0).reshape(2, 3), np.ones(3)
    difference = cr.finite_difference(lambda W, x: W @ x, (0, 1), method)
    dW, dx = difference(W, x)
    assert dW.shape == (2, 2, 3)
    assert dx.shape == (2, 3)
    np.testing.assert_allclose(dx, W, atol=1e-6)
    gradient = cr.finite_difference(lambda W: np.sum(W**2), method=method)(W)
    assert gradient.shape == (2, 3)
    np.testing.assert_allclose(gradient, 2 * W, atol=1e-5)


def test_trees_in_and_out():
    def f(p):
        return {"double": 2 * p["w"], "sum": np.sum(p["w"]) * p["b"]}

    point = {"w": np.array([1.0, 2.0]), "b": 3.0}
    derivative, bound = cr.finite_difference(f).with_error(point)
    np.testing.assert_allclose(derivative["double"]["w"], 2 * np.eye(2), atol=1e-9)
    np.testing.assert_allclose(derivative["double"]["b"], [0, 0], atol=1e-9)
    np.testing.assert_allclose(derivative["sum"]["w"], [3, 3], atol=1e-9)
    assert abs(derivative["sum"]["b"] - 3) <= bound["sum"]["b"]


def test_one_argument_in_a_tuple_gives_a_tuple():
    (gradient,) = cr.finite_difference(np.sin, (0,))(0.0)
    assert gradient == pytest.approx(1)


def test_the_callers_arrays_are_never_written_to():
    def f(x, data):
        x[0] = 0
        data += 1
        return np.sum(x * data)

    x, data = np.array([5.0, 1.0]), np.array([1.0, 2.0])
    gradient = cr.finite_difference(f)(x, data)
    np.testing.assert_allclose(gradient, [0, 3], atol=1e-9)
    assert x.tolist() == [5, 1]
    assert data.tolist() == [1, 2]


def test_float32_steps_suit_float32():
    x = np.float32([1.0, 2.0])
    derivative, bound = cr.finite_difference(lambda x: np.sum(np.sin(x))).with_error(x)
    assert derivative.dtype == np.float32
    assert np.all(np.abs(derivative - np.cos(x)) <= bound)
    assert np.all(bound < 1e-2)


def test_complex_arguments_follow_the_conventions_of_grad():
    assert cr.finite_difference(lambda z: np.abs(z) ** 2)(1 + 2j) == pytest.approx(2 + 4j)
    assert cr.finite_difference(lambda z: z**2)(1 + 2j) == pytest.approx(2 + 4j)
    with pytest.raises(cr.DtypeError, match="not holomorphic"):
        cr.finite_difference(np.conj)(1 + 2j)


@pytest.mark.parametrize(
    "f",
    [
        np.abs,
        lambda x: x * np.abs(x),
        lambda x: np.real(x) + x,
        lambda x: x * np.conj(x),
        np.floor,
        lambda x: np.sum(np.heaviside(x, 0.5)),
    ],
)
def test_the_complex_step_refuses_what_is_not_analytic(f):
    with pytest.raises(cr.UnsupportedError, match="complex step"):
        cr.finite_difference(f, method="complex")(np.array([-1.0, 1.5]))


def test_the_complex_step_takes_maximum_away_from_ties():
    found = cr.finite_difference(lambda x: np.maximum(x, 0), method="complex")(
        np.array([-1.0, 1.5])
    )
    assert found.tolist() == [[0, 0], [0, 1]]


def test_a_step_shows_truncation_against_rounding():
    rows = cr.finite_difference(np.sin).curve(1.0, exact=np.cos(1.0))
    errors = [error for _, error in rows]
    best = int(np.argmin(errors))
    assert rows[0][0] == 0.1
    assert errors[0] > 1e-4
    assert errors[best] < 1e-10
    assert 0 < best < len(rows) - 1
    assert errors[-1] > 1e-3


def test_a_step_can_be_given():
    forward = cr.finite_difference(lambda x: x**2, method="forward", step=0.5)
    backward = cr.finite_difference(lambda x: x**2, method="backward", step=0.5)
    central = cr.finite_difference(lambda x: x**2, step=0.5)
    assert (forward(1.0), backward(1.0), central(1.0)) == (2.5, 1.5, 2.0)


def test_an_undefined_point_gives_nan_and_no_bound():
    derivative, bound = cr.finite_difference(np.sqrt).with_error(0.0)
    assert np.isnan(derivative)
    assert not bound < np.inf


def test_empty_arrays():
    assert cr.finite_difference(lambda x: np.sum(x))(np.zeros(0)).shape == (0,)
    assert cr.finite_difference(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
