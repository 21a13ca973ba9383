"""L-BFGS: minima against SciPy's, and what happens where there's nothing to gain."""

import numpy as np
import pytest
import scipy.optimize

import chainrule as cr
from chainrule import optim
from chainrule.optim.line_search import Point, search


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def points():
    random = np.random.default_rng(0)
    x = random.standard_normal((200, 5))
    return x, (x @ random.standard_normal(5) + random.standard_normal(200) > 0) * 1.0


X, Y = points()


def logistic(p):
    z = X @ p["w"] + p["b"]
    return np.mean(np.logaddexp(0, z) - Y * z) + 0.01 * np.sum(p["w"] ** 2)


def by_scipy(f, start):
    options = {"ftol": 0, "gtol": 1e-10, "maxiter": 1000}
    slope = cr.jit(cr.value_and_grad(f))
    return scipy.optimize.minimize(slope, start, jac=True, method="L-BFGS-B", options=options)


@pytest.mark.parametrize("size", [2, 10])
def test_rosenbrock(size):
    start = np.where(np.arange(size) % 2 == 0, -1.2, 1.0)
    found, values = optim.LBFGS().minimize(rosenbrock, start, steps=120)
    theirs = by_scipy(rosenbrock, start)
    np.testing.assert_allclose(found, theirs.x, atol=1e-8)
    assert values[-1] < 1e-16
    assert (np.diff(values) <= 1e-12).all()
    assert np.argmax(values < 1e-12) < 1.5 * theirs.nit  # no more steps than SciPy, about


def test_logistic_regression():
    found, values = optim.LBFGS().minimize(logistic, {"w": np.zeros(5), "b": 0.0}, steps=40)
    theirs = by_scipy(lambda q: logistic({"w": q[:5], "b": q[5]}), np.zeros(6))
    np.testing.assert_allclose([*found["w"], found["b"]], theirs.x, atol=1e-8)
    np.testing.assert_allclose(values[-1], theirs.fun, rtol=1e-14)


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
def test_updates_one_by_one_make_the_same_steps_as_minimize(compiled):
    optimizer = optim.LBFGS(history_size=3)
    start = {"w": np.zeros(5), "b": np.array(0.0)}

    def step(tree, state):
        value, slopes = cr.value_and_grad(logistic)(tree)
        return optimizer.update(slopes, state, tree, value=value, objective=logistic)

    step = cr.jit(step) if compiled else step
    tree, state = start, optimizer.init(start)
    for _ in range(6):
        tree, state = step(tree, state)
    expected, _ = optimizer.minimize(logistic, start, steps=6)
    np.testing.assert_allclose(tree["w"], expected["w"], rtol=1e-9)
    assert state["step"] == 6
    assert state["steps"].shape == (3, 6)


def test_the_value_is_computed_where_it_is_not_given():
    optimizer, x = optim.LBFGS(), np.array([3.0, 1.0])
    f = lambda x: np.sum(x**2)
    given = optimizer.update(2 * x, optimizer.init(x), x, value=f(x), objective=f)
    found = optimizer.update(2 * x, optimizer.init(x), x, objective=f)
    np.testing.assert_array_equal(given[0], found[0])


def test_types_stay():
    x, y = X.astype(np.float32), Y.astype(np.float32)

    def loss(p):
        z = x @ p["w"] + p["b"]
        return np.mean(np.logaddexp(0, z) - y * z)

    start = {"w": np.zeros(5, np.float32), "b": np.float32(0.0)}
    found, values = optim.LBFGS().minimize(loss, start, steps=25)
    assert found["w"].dtype == found["b"].dtype == values.dtype == np.float32
    precise, _ = optim.LBFGS().minimize(loss, {"w": np.zeros(5), "b": 0.0}, steps=25)
    np.testing.assert_allclose(found["w"], precise["w"], rtol=2e-3)
    mixed, _ = optim.LBFGS().minimize(loss, {"w": np.zeros(5, np.float32), "b": 0.0}, steps=25)
    assert mixed["w"].dtype == np.float32
    assert mixed["b"].dtype == np.float64


def test_data_of_another_type_than_the_parameters():
    start = {"w": np.zeros(5, np.float32), "b": np.float32(0.0)}
    found, values = optim.LBFGS().minimize(logistic, start, steps=25)
    assert found["w"].dtype == np.float32
    assert values.dtype == np.float64
    precise, _ = optim.LBFGS().minimize(logistic, {"w": np.zeros(5), "b": 0.0}, steps=25)
    np.testing.assert_allclose(found["w"], precise["w"], rtol=2e-3)


def test_a_batch_that_is_an_argument_of_the_compiled_function():
    optimizer = optim.LBFGS()

    @cr.jit
    def step(w, state, x, y, rate):
        loss = lambda w: np.mean((x @ w - y) ** 2)
        value, slope = cr.value_and_grad(loss)(w)
        return optimizer.update(slope, state, w, rate, value=value, objective=loss)

    w, state = np.zeros(5), optimizer.init(np.zeros(5))
    for _ in range(20):
        w, state = step(w, state, X, Y, 1.0)
    np.testing.assert_allclose(w, np.linalg.lstsq(X, Y)[0], rtol=1e-6)


def test_at_a_minimum_it_stays():
    found, values = optim.LBFGS().minimize(lambda x: np.sum(x**2), np.zeros(3), steps=5)
    np.testing.assert_array_equal(found, 0.0)
    np.testing.assert_array_equal(values, 0.0)


def test_a_slope_without_end_makes_long_steps():
    found, values = optim.LBFGS().minimize(lambda x: x[0], np.zeros(1), steps=2)
    assert np.isfinite(found).all()
    assert values[-1] < -1000


def test_steps_out_of_the_domain_are_taken_back():
    f = lambda x: np.sum(x - 3 * np.log(x))
    found, values = optim.LBFGS().minimize(f, np.array([0.01, 20.0]), steps=30)
    np.testing.assert_allclose(found, 3.0, rtol=1e-7)
    assert np.isfinite(values).all()


def test_a_kink_does_no_harm():
    found, values = optim.LBFGS().minimize(lambda x: np.sum(np.abs(x)), np.array([1.0, -0.7]), 20)
    assert np.isfinite(found).all()
    assert (np.diff(values) <= 1e-12).all()


@pytest.mark.parametrize("first", [1e-6, 0.1, 1.0, 300.0])
@pytest.mark.parametrize(
    "f",
    [
        lambda t: (t - 2.0) ** 2,
        lambda t: -t / (t**2 + 2.0),  # Moré & Thuente (1994), function 5.1
        lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,  # 5.2
        lambda t: np.exp(0.1 * t) - t,
    ],
)
def test_the_length_meets_the_strong_wolfe_conditions(f, first):
    slope = cr.value_and_grad(f)

    def evaluate(length):
        value, derivative = slope(length)
        return Point(length, value, derivative, derivative[None])

    @cr.jit
    def run(first):
        return search(evaluate, evaluate(np.zeros(())), first, 40, 1e-4, 0.1)

    start = evaluate(np.array(0.0))
    point, found = run(np.float64(first))
    assert found
    assert point.value <= start.value + 1e-4 * point.length * start.slope + 1e-14
    assert abs(point.slope) <= 0.1 * abs(start.slope)
    np.testing.assert_allclose(point.value, f(point.length), rtol=1e-12)


def test_uphill_nothing_is_tried():
    evaluate = lambda t: Point(t, t * t + t, 2 * t + 1, np.ones(1))
    start = evaluate(np.array(0.0))
    point, found = search(evaluate, start, np.array(1.0), 10, 1e-4, 0.9)
    assert not found
    assert point.length == 0
