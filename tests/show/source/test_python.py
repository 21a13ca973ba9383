"""Source in Python: the lectures' cases and everything a program may hold, run and compared."""

from __future__ import annotations

import builtins
import dataclasses
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import special

import chainrule as cr
from chainrule.base.trees import flatten

rng = np.random.default_rng(0)
W, B = rng.normal(size=(3, 4)), rng.normal(size=3)
LARGE = rng.normal(size=(20, 4))


def run(text: Any, *args: Any) -> Any:
    namespace: dict[str, Any] = {"__builtins__": builtins}
    exec(str(text), namespace)
    return namespace[text.name](*args, **text.arrays)


def agree(f: Any, *args: Any, exact: bool = True) -> Any:
    """The text of f runs and gives what f gives, to the bit; the text itself."""
    text = cr.source(f, *args)
    compile(str(text), "text", "exec")
    assert all(len(line) <= 100 for line in text.splitlines()), text
    wanted, found = flatten(f(*args))[0], flatten(run(text, *args))[0]
    assert len(wanted) == len(found)
    for w, g in zip(wanted, found, strict=True):
        assert np.shape(w) == np.shape(g)
        assert np.asarray(w).dtype == np.asarray(g).dtype
        if exact:
            np.testing.assert_array_equal(w, g)
        else:
            np.testing.assert_allclose(w, g, rtol=1e-13)
    return text


# ---- the lectures' cases -------------------------------------------------------------------------


def logistic(x):
    return cr.fori_loop(1, 4, lambda n, l: 4 * l * (1 - l), x)


def by_python(x):
    l = x
    for _ in range(3):
        l = 4 * l * (1 - l)
    return l


def d_a(x, z):
    a = x * z
    b = np.log(x)
    c = np.sin(b)
    d = np.exp(a)
    e = a / b
    f = c / a
    return d + e + f


def g_c(x1, x2, x3, x4, x5, x6):
    return 1 / (1 + np.exp(-np.log(5 * (np.maximum(x1, x2) * x3 / x4 - (x5 + x6))))) + 0.5


def b_c(W, x):
    q = W @ x
    return np.sum(q**2)


LABELS = np.array([0, 2, 1, 1])


def softmax_regression(W, b, x):
    scores = x @ W.T + b
    scores = scores - np.max(scores, axis=1, keepdims=True)
    logs = scores - np.log(np.sum(np.exp(scores), axis=1, keepdims=True))
    return -np.mean(logs[np.arange(4), LABELS])


def lstm(weights, xs):
    def step(state, x):
        h, c = state
        gates = weights["W"] @ np.concatenate([x, h]) + weights["b"]
        i, f, o, g = np.split(gates, 4)
        c = special.expit(f) * c + special.expit(i) * np.tanh(g)
        h = special.expit(o) * np.tanh(c)
        return (h, c), h

    zero = np.zeros(2)
    _, outputs = cr.scan(step, (zero, zero), xs)
    return np.sum(outputs**2)


def test_the_loop_stays_a_loop_and_keeps_the_users_names():
    assert agree(logistic, 0.25) == (
        "def logistic(x):\n"
        '    """logistic, written by chainrule for x: f64."""\n'
        "    l = x\n"
        "    for _ in range(3):\n"
        "        l = 4 * l * (1 - l)\n"
        "    return l\n"
    )
    assert run(cr.source(logistic, 0.25), 0.25) == 0.75


def test_d11_the_gradient_of_the_loop_is_two_loops():
    text = agree(cr.grad(logistic), 0.25)
    assert text.name == "dlogistic"
    assert text.count("for ") == 3  # two loops, and the docstring's
    assert "for k in reversed(range(3)):\n        dl = " in text
    assert run(text, 0.25) == 8.0


def test_a_loop_of_pythons_is_written_out():
    assert "for" not in agree(by_python, 0.25).partition('"""\n')[2]
    assert run(agree(cr.grad(by_python), 0.25), 0.25) == 8.0


def test_d_a_reads_like_the_lecture():
    text = agree(d_a, 2.0, 3.0)
    assert text.partition('"""\n')[2] == (
        "    a = x * z\n    b = np.log(x)\n    c = np.sin(b)\n    d = np.exp(a)\n"
        "    e = a / b\n    f = c / a\n    return d + e + f\n"
    )
    gradient = agree(cr.grad(d_a, argnums=(0, 1)), 2.0, 3.0)
    assert "    dc = 1.0 / a\n" in gradient
    assert "    return (dx, dz)\n" in gradient
    namespace: dict[str, Any] = {}
    exec(
        gradient.replace(
            "    return (", "    global dc_, da_, db_\n    dc_, da_, db_ = dc, da, db\n    return ("
        ),
        namespace,
    )
    namespace[gradient.name](2.0, 3.0)
    np.testing.assert_allclose(
        [namespace["dc_"], namespace["db_"], namespace["da_"]],
        [1 / 6, -12.360007402472986, 404.853739609282],
        rtol=1e-14,
    )


def test_the_other_worked_cases():
    agree(g_c, 1.0, 2.0, 6.0, 3.0, 1.0, 1.0)
    gradient = agree(cr.grad(g_c, argnums=tuple(range(6))), 1.0, 2.0, 6.0, 3.0, 1.0, 1.0)
    found = run(gradient, 1.0, 2.0, 6.0, 3.0, 1.0, 1.0)
    np.testing.assert_allclose(found, [0, 10 / 121, 10 / 363, -20 / 363, -5 / 121, -5 / 121])
    w, x = np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4])
    assert "    q = W @ x\n" in agree(b_c, w, x)
    assert "    dq = 2 * q\n" in agree(cr.grad(b_c, argnums=(0, 1)), w, x)


def test_softmax_regression():
    x = rng.normal(size=(4, 4))
    agree(softmax_regression, W, B, x)
    text = agree(cr.value_and_grad(softmax_regression, argnums=(0, 1)), W, B, x)
    assert text.name == "softmax_regression_and_gradient"
    assert "keepdims=True" in text
    assert "dscores" in text


def test_a_step_of_an_lstm_by_scan():
    weights = {"W": rng.normal(size=(8, 5)), "b": rng.normal(size=8)}
    xs = rng.normal(size=(6, 3))
    text = agree(lstm, weights, xs)
    assert "from scipy import special\n" in text
    assert text.count("    for k in range(6):") == 1
    gradient = agree(cr.grad(lstm), weights, xs, exact=False)
    assert gradient.count("    for k in") == 2
    assert "    for k in reversed(range(6)):\n" in gradient


# ---- control flow --------------------------------------------------------------------------------


def root(a):
    return cr.while_loop(lambda x: abs(x * x - a) > 1e-12, lambda x: (x + a / x) / 2, 1.0)


def counted(x, n):
    return cr.fori_loop(0, n, lambda i, y: y * x + i, 1.0)


def chosen(x):
    return cr.cond(np.sum(x) > 0, lambda x: np.sum(np.sin(x)), lambda x: x[0] ** 2, x)


def test_while_and_its_gradient():
    text = agree(root, 2.0)
    assert "    while np.abs(x * x - a) > 1e-12:\n        x = (x + a / x) / 2\n" in text
    gradient = agree(cr.grad(root), 2.0)
    assert "reversed(steps)" in gradient
    assert run(gradient, 9.0) == cr.grad(root)(9.0)


def test_a_while_loop_that_counts_is_a_for_loop():
    text = agree(counted, 1.5, 4)
    assert "    for i in range(n):\n" in text
    assert run(text, 1.5, 7) == counted(1.5, 7)


@pytest.mark.parametrize("x", [np.array([1.0, 2.0]), np.array([-1.0, -2.0])])
def test_cond_is_an_if_on_both_sides(x):
    text = cr.source(chosen, np.ones(2))
    assert "    if np.sum(x) > 0:\n" in text
    assert "    else:\n" in text
    assert run(text, x) == chosen(x)
    np.testing.assert_array_equal(
        run(cr.source(cr.grad(chosen), np.ones(2)), x), cr.grad(chosen)(x)
    )


def test_carries_that_read_each_other_change_at_once():
    def fibonacci(x):
        return cr.fori_loop(0, 5, lambda i, s: (s[1], s[0] + s[1]), (x, x))[0]

    assert ", " in agree(fibonacci, 1.0).split("range(5):\n")[1]
    agree(cr.grad(fibonacci), 1.0)


def test_loops_in_loops_and_a_scan_from_the_end():
    def f(x):
        def outer(c, row):
            inner = cr.fori_loop(0, 2, lambda i, y: y * c + row[0], c)
            return inner, inner * row

        last, ys = cr.scan(outer, x[0, 0], x, reverse=True)
        return last + np.sum(ys)

    text = agree(f, rng.normal(size=(3, 2)))
    assert "in reversed(range(3)):" in text
    agree(cr.grad(f), rng.normal(size=(3, 2)), exact=False)


def test_where_python_decides_it_is_the_path_taken_and_says_so():
    def f(x):
        if x > 0:
            return np.log(x)
        return x

    text = agree(f, 2.0)
    assert "the path taken" in text
    assert "log" not in cr.source(f, -2.0)
    agree(cr.grad(f), 2.0)
    assert "the path taken" not in cr.source(d_a, 2.0, 3.0)


# ---- arrays --------------------------------------------------------------------------------------


def test_writes_are_writes():
    def f(x):
        buffer = np.zeros(4)
        for k in range(3):
            buffer[k] = x[k] ** 2
        buffer[1:3] += x[0]
        y = buffer * 2
        buffer[0] = 7.0
        return np.sum(y) + np.sum(buffer)

    agree(f, np.array([1.0, 2.0, 3.0]))
    agree(cr.grad(f), np.array([1.0, 2.0, 3.0]))


def test_what_is_written_to_belongs_to_the_text():
    def f(x):
        x[0] = 5.0
        return x * 2

    given = np.array([1.0, 2.0])
    text = cr.source(f, given)
    np.testing.assert_array_equal(run(text, given), [10.0, 4.0])
    assert given[0] == 1.0


def test_indices_and_einsum():
    def f(a, b):
        rows = a[[0, 2], 1:]
        return np.einsum("ij,jk->ik", rows, b)[..., None, ::-1] + a[-1, 0]

    a, b = rng.normal(size=(3, 4)), rng.normal(size=(3, 2))
    agree(f, a, b)
    agree(cr.grad(lambda a, b: np.sum(f(a, b) ** 2), argnums=(0, 1)), a, b, exact=False)


def test_arrays_from_outside_by_their_names():
    def f(x):
        return W @ x + B

    text = agree(f, np.ones(4))
    assert text.index("W = np.array([[") < text.index("def f(x):")
    assert "    return W @ x + B\n" in text
    assert text.arrays == {}


def test_large_arrays_from_outside_are_arguments():
    text = agree(lambda x: LARGE @ x, np.ones(4))
    assert "def f(x, *, LARGE):\n" in text
    assert "LARGE: float64[20, 4], an array from outside the function" in text
    assert text.arrays["LARGE"].shape == (20, 4)
    zeros = np.zeros((50, 50))
    assert "np.zeros((50, 50))" in agree(lambda x: zeros + x, 1.0)


@pytest.mark.parametrize("dtype", ["f4", "c16", "i8"])
def test_other_numbers_keep_their_types(dtype):
    x = (np.arange(6).reshape(2, 3) + 1).astype(dtype)

    def f(x):
        return np.sum(x * 2.5 + x**2, axis=0) / np.float32(3)

    agree(f, x, exact=False)
    if dtype == "f4":
        agree(cr.grad(lambda x: np.sum(f(x) ** 2)), x, exact=False)


def test_special_numbers():
    def f(x):
        return np.array([np.nan, np.inf, -np.inf, -0.0]) * x, x + complex(1.0, -0.0), x * 1e-300

    found = run(cr.source(f, 2.0), 2.0)
    np.testing.assert_array_equal(found[0], [np.nan, np.inf, -np.inf, -0.0])
    assert np.signbit(found[0][3])
    assert np.signbit(found[1].imag) == np.signbit((2.0 + complex(1.0, -0.0)).imag)


# ---- trees and transformations -------------------------------------------------------------------


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclasses.dataclass
class Point:
    x: Any
    y: Any


def test_trees_go_in_and_come_out():
    def f(params, pair, point):
        total = params["layers"][0]["W"] @ pair.first + point.x * pair.second
        return {"total": total, "both": [params["bias"], (point.y,)], "nothing": None}

    params = {"layers": [{"W": W}], "bias": 2.0}
    text = agree(f, params, Pair(np.ones(4), 3.0), Point(np.ones(3), 0.5))
    assert 'params["layers"][0]["W"]' in text
    assert "pair.first" in text
    assert "point.x" in text


def test_results_of_classes_are_tuples_and_dicts():
    found = run(cr.source(lambda x: (Pair(x, x + 1), Point(x, 2 * x)), 1.0), 1.0)
    assert found == ((1.0, 2.0), {"x": 1.0, "y": 2.0})


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: cr.grad(d_a), "dd_a"),
        (lambda: cr.grad(cr.grad(d_a)), "ddd_a"),
        (lambda: cr.value_and_grad(d_a), "d_a_and_gradient"),
        (lambda: cr.hessian(d_a), "hessian_d_a"),
        (lambda: cr.jacfwd(d_a), "jacobian_d_a"),
        (lambda: cr.jit(cr.grad(d_a)), "dd_a"),
    ],
)
def test_transformations(make, name):
    text = agree(make(), 2.0, 3.0, exact=False)
    assert text.name == name


def test_more_transformations():
    x = np.array([0.5, 1.5, 2.5])
    assert agree(cr.vmap(cr.grad(d_a)), x, x + 1).name == "batched_dd_a"
    agree(lambda x, t: cr.jvp(logistic, (x,), (t,)), 0.3, 1.0)
    agree(cr.grad(cr.checkpoint(lambda x: np.sum(np.sin(np.exp(x))))), x)
    agree(cr.vmap(cr.grad(chosen)), np.array([[1.0, 2.0], [-3.0, 1.0]]))


def test_rules_of_the_users_own():
    @cr.custom_vjp
    def clipped(x):
        return x

    clipped.defvjp(lambda x: (x, None), lambda _, g: (np.clip(g, -1.0, 1.0),))
    agree(cr.grad(lambda x: 5 * clipped(x)), 3.0)


def test_random_numbers_are_the_same():
    def f(x):
        noise = cr.random.normal(3, (2, 3))
        kept = cr.random.uniform(4, (2, 3)) < 0.5
        return np.where(kept, x + noise, 0.0)

    agree(f, np.ones((2, 3)))
    agree(lambda key: cr.random.integers(key, 0, 100, (5,)), cr.random.key(1))


def test_a_network_and_its_gradient():
    model = cr.nn.Sequential([cr.nn.Dense(4, activation="tanh"), cr.nn.Dense(2)])
    x = rng.normal(size=(3, 5)).astype(np.float32)
    variables = model.init(0, (5,))

    def loss(variables, x):
        y, _ = model.apply(variables, x)
        return np.mean(y**2)

    agree(loss, variables, x, exact=False)
    agree(cr.grad(loss), variables, x, exact=False)


def test_an_infinite_slope_behind_a_choice():
    def f(x):
        return np.sum(np.where(x > 0, np.log(x), 0.0))

    x = np.array([2.0, 0.0, -1.0])
    with np.errstate(all="ignore"):
        found = run(cr.source(cr.grad(f), x), x)
    np.testing.assert_array_equal(found, [0.5, 0.0, 0.0])


def test_the_compiler_is_not_disturbed():
    """Slopes taken to be finite are of the text alone, not of what is worked out for later."""

    def f(x):
        def body(c, row):
            return c + np.sum(np.sqrt(row * np.array([1.0, 2.0]))[0:1] @ np.ones(1)), None

        return cr.scan(body, 0.0, x)[0]

    x = np.array([[4.0, 0.0], [9.0, 0.0]])
    with np.errstate(all="ignore"):
        cr.source(cr.grad(f), x)
        np.testing.assert_array_equal(cr.grad(f)(x), [[0.25, 0.0], [1 / 6, 0.0]])
        np.testing.assert_array_equal(cr.jit(cr.grad(f))(x), [[0.25, 0.0], [1 / 6, 0.0]])
