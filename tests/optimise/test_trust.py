"""Gradients behind choices, taken on trust: as few products, and the same where it isn't finite."""

import collections
import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import chainrule as cr
from chainrule.base.trees import flatten
from chainrule.ir.program import Program
from chainrule.ir.verify import verify
from chainrule.optimise.inline import inline
from chainrule.optimise.pipeline import optimise
from chainrule.optimise.trust import on_trust
from chainrule.tracing.recording import recording
from chainrule.tracing.stage import evaluate, trace_program

PRODUCTS = ("matmul", "convolution", "convolution_kernel", "einsum")


def programs(program):
    yield program
    for equation in program.equations:
        for value in equation.params.values():
            for part in value if type(value) is tuple else (value,):
                if isinstance(part, Program):
                    yield from programs(part)


def count(program, *names):
    found = collections.Counter(e.primitive.name for p in programs(program) for e in p.equations)
    return sum(found[name] for name in names)


def recorded(f, *args):
    """As for the compiler: what belongs to a derivative says so."""
    with recording(lambda array: False):
        return trace_program(f, *args, values=False)


def truth(f, *args):
    """What the program gives that withholds, equation by equation."""
    leaves = [leaf for arg in args for leaf in flatten(arg)[0]]
    with np.errstate(all="ignore"):
        return evaluate(recorded(f, *args), *leaves)


def check(f, *args, rtol=1e-8):
    """The compiled function against that, called every way there is; and on the NumPy engine."""
    expected = truth(f, *args)
    compiled = cr.jit(f)
    found = [compiled(*args) for _ in range(3)]  # by ctypes, the first entry, the aimed one
    with cr.settings(engine="numpy"):
        found.append(compiled(*args))
    for result in found:
        for got, value in zip(flatten(result)[0], expected, strict=True):
            scale = np.max(np.abs(value), initial=0.0, where=np.isfinite(value))
            np.testing.assert_allclose(got, value, rtol=rtol, atol=1e-10 * (1 + scale))
    return expected


# ---- programs ------------------------------------------------------------------------------------

RELU = {
    "maximum": lambda z: np.maximum(z, 0),
    "where": lambda z: np.where(z > 0, z, 0),
    "root": lambda z: np.where(z > 0, np.sqrt(z), 0),
    "reciprocal": lambda z: np.where(z != 0, 1 / z, 0),
    "index": lambda z: np.stack([z[:, 0], np.log(z)[:, -1], z[:, 1]], axis=1),
    "nested": lambda z: np.where(z > 1, z, np.where(z > -1, z * z, np.sqrt(z))),
}


def dense(activation):
    def loss(weights, x):
        for w in weights[:-1]:
            x = activation(x @ w)
        return np.sum((x @ weights[-1]) ** 2)

    return loss


def layers(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in itertools.pairwise(sizes)]


def convolutional(activation):
    model = cr.nn.Sequential(
        [
            cr.nn.Conv2D(3, 3, activation=activation),
            cr.nn.Conv2D(3, 3, strides=2, activation=activation),
            cr.nn.Flatten(),
            cr.nn.Dense(2),
        ]
    )
    return lambda weights, x: np.sum(model.apply(weights, x)[0] ** 2), model.init(0, (8, 8, 2))


def test_as_many_convolutions_as_with_maximum():
    x, counts = np.ones((2, 8, 8, 2), np.float32), {}
    for name in ("maximum", "where"):
        loss, weights = convolutional(RELU[name])
        counts[name] = count(cr.jit(cr.grad(loss)).program(weights, x), *PRODUCTS)
    assert counts["where"] == counts["maximum"] > 4


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_as_many_products_as_with_maximum(depth):
    weights, x = layers(6, *[8] * (depth - 1), 3), np.ones((4, 6))
    counts = {
        name: count(cr.jit(cr.grad(dense(RELU[name]))).program(weights, x), *PRODUCTS)
        for name in ("maximum", "where", "root")
    }
    assert counts["where"] == counts["root"] == counts["maximum"] == 3 * depth - 1


def test_nothing_is_left_of_what_was_for_masks():
    weights, x = layers(6, 8, 8, 3), np.ones((4, 6))
    text = str(cr.jit(cr.grad(dense(RELU["where"]))).program(weights, x))
    assert "captured" not in text
    assert "not_equal" not in text
    assert "withhold" not in text
    assert text.count("without_nan") <= 2


def steps_of_training(activation):
    def loss(weights, x):
        return dense(activation)(weights, x)

    def train(weights, x, count):
        def turn(k, now):
            weights, moments = now
            slopes = cr.grad(loss)(weights, x)
            moments = [0.9 * m + 0.1 * g for m, g in zip(moments, slopes, strict=True)]
            changed = [
                w - 0.01 * m / (np.sqrt(m * m) + 1.0) for w, m in zip(weights, moments, strict=True)
            ]
            return changed, moments

        start = weights, [0.0 * w for w in weights]
        return cr.fori_loop(0, count, turn, start)

    return train


def test_a_loop_that_trains_looks_once_at_the_end():
    weights, x = layers(6, 8, 8, 3), np.ones((4, 6))
    made = {
        name: cr.jit(steps_of_training(RELU[name])).program(weights, x, 5)
        for name in ("maximum", "where")
    }
    assert count(made["where"], "matmul") == count(made["maximum"], "matmul")
    (loop,) = (e for e in made["where"].equations if e.primitive.name in ("scan", "while"))
    assert not count(loop.params["body"], "without_nan", "withhold", "not_equal")
    assert 1 <= count(made["where"], "without_nan") <= 3


# ---- the same, whatever the values ---------------------------------------------------------------


def second(f):
    def total(*args):
        return sum(np.sum(g * g) for g in flatten(cr.grad(f, argnums=(0, 1))(*args))[0])

    return cr.grad(total, argnums=(0, 1))


def along(f):
    def moved(weights, x):
        ones = [np.ones(np.shape(w)) for w in weights], np.ones(np.shape(x))
        return cr.jvp(cr.grad(f, argnums=(0, 1)), (weights, x), ones)[1]

    return moved


def each_row(f):
    def rows(weights, x):
        return cr.vmap(lambda row: cr.grad(f)(weights, row[None]))(x)

    return rows


ORDERS = {
    "first": lambda f: cr.grad(f, argnums=(0, 1)),
    "second": second,
    "along": along,
    "rows": each_row,
    "jacobian": lambda f: lambda w, x: cr.jacfwd(cr.grad(f, argnums=1), argnums=1)(w, x),
}
STRANGE = [np.inf, -np.inf, np.nan, 1e308, 0.0, -1e-320]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("activation", RELU)
def test_planted(activation, order):
    f = ORDERS[order](dense(RELU[activation]))
    rng = np.random.default_rng(5)
    compiled = cr.jit(f)
    for number in range(12):
        weights, x = layers(3, 3, 3, 2, seed=number), rng.standard_normal((4, 3))
        for target in (*weights, x)[number % 4 : number % 4 + 1 + number // 6]:
            target.flat[rng.integers(target.size)] = STRANGE[number % len(STRANGE)]
        expected = truth(f, weights, x)
        for got, value in zip(flatten(compiled(weights, x))[0], expected, strict=True):
            np.testing.assert_allclose(got, value, rtol=1e-7, atol=1e-9)


def test_it_does_matter():
    """Where an infinite weight meets nothing that was taken, trust alone would give NaN."""
    weights = [np.array([[1.0, -1.0], [1.0, -1.0]]), np.array([[1.0], [np.inf]])]
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    chosen = lambda w, x: np.sum(np.where(x[:, :1] > 2, x @ w[0] @ w[1], x[:, :1]))
    check(cr.grad(chosen, argnums=(0, 1)), weights, x)

    f = lambda w, x: np.sum(np.where(x > 0, np.where(x > 1, x, 0) @ w, 0.0))
    x, w = np.array([[2.0, 3.0], [-1.0, -np.inf]]), np.array([[1.0, 2.0], [3.0, 4.0]])
    (slope,) = check(cr.grad(f), w, x)
    assert np.isfinite(slope).all()
    f = lambda w, x: np.sum(np.where(x[:, :1] > 0, (x @ w) * 2.0, 0.0))
    (slope,) = check(cr.grad(f), w, x)
    np.testing.assert_array_equal(slope, [[4.0, 4.0], [6.0, 6.0]])
    short = on_trust(recorded(cr.grad(f), w, x))
    assert count(short, "without_nan") == 1
    with np.errstate(all="ignore"), pytest.raises(ArithmeticError):
        evaluate(short, w, x)


# ---- random programs -----------------------------------------------------------------------------

STEPS = {
    "product": lambda z, w, k: z @ w[k % 2],
    "product with itself": lambda z, w, k: z @ z.T @ z,
    "where": lambda z, w, k: np.where(z > 0, z, 0.0),
    "where of rows": lambda z, w, k: np.where(z[:, :1] > k - 1, z, 0.5),
    "root": lambda z, w, k: np.sqrt(z),
    "log": lambda z, w, k: np.log(z),
    "reciprocal": lambda z, w, k: 1 / z,
    "tanh": lambda z, w, k: np.tanh(z),
    "square": lambda z, w, k: z * z,
    "turn": lambda z, w, k: z[::-1, ::-1],
    "scale": lambda z, w, k: z * w[0][k % 3],
    "sum": lambda z, w, k: z + np.sum(z, axis=k % 2, keepdims=True),
    "choice of two": lambda z, w, k: np.where(z > 1, np.sqrt(z - 1), z @ w[1]),
    "index": lambda z, w, k: z[np.array([k % 3, 0, 2])],
    "scan": lambda z, w, k: cr.scan(
        lambda c, r: (np.where(c > 0, c, 0.0) @ w[0] + r, np.where(r > 0, np.sqrt(r) * c, 0.0)),
        z[0],
        z,
    )[1],
    "scan of parts": lambda z, w, k: (
        cr.scan(
            lambda c, r: (c + np.sum(np.sqrt(r * 2.0)[k % 2 : 2] * w[0][0, 0]), np.log(r)[1:] * c),
            0.5,
            z,
        )[1]
        @ w[1][1:]
    ),
    "cond": lambda z, w, k: cr.cond(
        np.sum(z) > 0, lambda: np.where(z > 0, z, 0.0) @ w[0], lambda: z * 0.5
    ),
    "loop": lambda z, w, k: cr.fori_loop(0, 2, lambda i, c: np.where(c > 0, c @ w[1], c), z),
    "checkpoint": lambda z, w, k: cr.checkpoint(lambda z: np.where(z > 0, z @ w[0], 0.0))(z),
}
VALUES = st.sampled_from([0.0, 1.0, -1.0, 2.0, -2.0, 0.5, np.inf, -np.inf, np.nan, 1e200])


def composed(steps):
    def f(w, z):
        for name, k in steps:
            z = STEPS[name](z, w, k)
        return np.sum(z)

    return f


@hypothesis.settings(max_examples=60, deadline=None)
@hypothesis.given(
    steps=st.lists(
        st.tuples(st.sampled_from(list(STEPS)), st.integers(0, 5)), min_size=2, max_size=5
    ),
    planted=st.lists(st.tuples(st.integers(0, 26), VALUES), max_size=4),
    order=st.sampled_from(["first", "second", "along"]),
    seed=st.integers(0, 9),
)
def test_random(steps, planted, order, seed):
    rng = np.random.default_rng(seed)
    numbers = rng.standard_normal(27)
    for place, value in planted:
        numbers[place] = value
    w, z = [numbers[:9].reshape(3, 3), numbers[9:18].reshape(3, 3)], numbers[18:].reshape(3, 3)
    f = ORDERS[order](composed(steps))
    program = recorded(f, w, z)
    short = verify(on_trust(program))
    with np.errstate(all="ignore"):
        expected = evaluate(program, *w, z)
        try:
            found = evaluate(optimise(short), *w, z)
        except ArithmeticError:
            return
    for got, value in zip(found, expected, strict=True):
        known = np.isfinite(value)
        scale = np.max(np.abs(value), initial=0.0, where=known)
        if scale < 1e100:
            np.testing.assert_array_equal(np.isfinite(got), known)
            np.testing.assert_array_equal(got[~known], value[~known])
            np.testing.assert_allclose(got[known], value[known], rtol=1e-6, atol=1e-9 * (1 + scale))


# ---- loops ---------------------------------------------------------------------------------------


def test_an_end_that_a_nan_could_keep_from_coming():
    """Newton's steps until it's good enough: as it was, since NaN is never good enough."""

    def solve(w, x):
        def going_on(now):
            return np.logical_not(now[1] < 1e-3)

        def turn(now):
            w, _ = now
            slope = cr.grad(lambda w: np.sum(np.where(x[:, :1] > 0, x @ w, 0.0) ** 2))(w)
            return w - 0.05 * slope, np.sum(slope * slope)

        return cr.while_loop(going_on, turn, (w, np.inf))

    w, x = np.ones((2, 2)), np.array([[1.0, 2.0], [-1.0, np.inf], [2.0, 1.0]])
    found, _ = check(solve, w, x)
    assert np.isfinite(found).all()
    program = inline(on_trust(recorded(solve, w, x)))
    assert not count(program, "without_nan")


def test_an_end_that_is_counted_comes_anyway():
    def solve(w, x):
        def going_on(now):
            return np.logical_and(now[2] < 7, np.logical_not(now[1] < 1e-3))

        def turn(now):
            w, _, k = now
            slope = cr.grad(lambda w: np.sum(np.where(x[:, :1] > 0, x @ w, 0.0) ** 2))(w)
            return w - 0.05 * slope, np.sum(slope * slope), k + 1

        return cr.while_loop(going_on, turn, (w, np.inf, 0))

    w = np.ones((2, 2))
    for x in ([[1.0, 2.0], [-1.0, np.inf]], [[1.0, 2.0], [-1.0, 3.0]]):
        check(solve, w, np.array(x))
    assert count(on_trust(recorded(solve, w, np.array(x))), "without_nan")


def test_training_in_a_loop_with_rows_that_are_masked():
    x = np.array([[1.0, 2.0], [-1.0, np.inf], [2.0, -1.0]])

    def loss(weights, x):
        rows = np.where(x[:, :1] > 0, np.where(x @ weights[0] > 0, x @ weights[0], 0.0), 0.0)
        return np.sum((np.where(x[:, :1] > 0, rows, 0.0) @ weights[1]) ** 2)

    def train(weights, count):
        def turn(k, weights):
            slopes = cr.grad(loss)(weights, x)
            return [w - 0.01 * g for w, g in zip(weights, slopes, strict=True)]

        return cr.fori_loop(0, count, turn, weights)

    found = check(train, layers(2, 3, 1), 4)
    assert all(np.isfinite(w).all() for w in found)


def test_what_a_loop_keeps_for_the_way_back():
    def f(x):
        def body(c, row):
            return c + np.sum(np.sqrt(row * np.array([1.0, 2.0]))[0:1] @ np.ones(1)), None

        return cr.scan(body, 0.0, x)[0]

    (slope,) = check(cr.grad(f), np.array([[4.0, 0.0], [9.0, 0.0]]))
    np.testing.assert_allclose(slope, [[0.25, 0.0], [1 / 6, 0.0]])


# ---- where a NaN would get lost ------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        np.nan_to_num,
        lambda g: np.where(np.isfinite(g), g, 0.0),
        lambda g: np.argmax(g, axis=0),
        lambda g: (g > 0) * 1.0,
        lambda g: np.sort(g, axis=0),
        lambda g: np.fmax(g, 1.0),
        lambda g: g.astype(int),
        lambda g: cr.cond(np.sum(g) > 3, lambda: g, lambda: 2 * g),
        lambda g: np.sign(g) * 0.1,
        lambda g: np.max(g),
    ],
)
def test_uses_of_a_gradient(use):
    def f(w, x):
        return use(cr.grad(lambda w: np.sum(np.where(x[:, :1] > 0, (x @ w) * 2.0, 0.0)))(w))

    w = np.array([[1.0, 2.0], [3.0, 4.0]])
    check(f, w, np.array([[2.0, 3.0], [-1.0, -np.inf]]))
    check(f, w, np.array([[2.0, 3.0], [-1.0, 4.0]]))


def test_results_into_arrays_and_errors_after_trust_has_failed():
    def f(w, x, k):
        slope = cr.grad(lambda w: np.sum(np.where(x[:, :1] > 0, (x @ w) * 2.0, 0.0)))(w)
        return slope[k]

    w, x = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[2.0, 3.0], [-1.0, -np.inf]])
    compiled, out = cr.jit(f), np.zeros(2)
    for _ in range(3):
        assert compiled(w, x, 1, out=out) is out
        np.testing.assert_array_equal(out, [6.0, 6.0])
    with pytest.raises(IndexError, match=r"test_trust\.py"):
        compiled(w, x, 5)


def test_arrays_given_up():
    def step(w, x):
        slope = cr.grad(lambda w: np.sum(np.where(x[:, :1] > 0, (x @ w) * 2.0, 0.0)))(w)
        return w - 0.1 * slope

    compiled = cr.jit(step, donate_argnums=0)
    for x in (np.array([[2.0, 3.0], [-1.0, -np.inf]]), np.array([[2.0, 3.0], [-1.0, 1.0]])):
        for _ in range(3):
            w = np.array([[1.0, 2.0], [3.0, 4.0]])
            (expected,) = truth(step, w, x)
            np.testing.assert_allclose(compiled(w, x), expected)


def test_complex_numbers():
    def f(w, x):
        rows = np.where(x[:, :1] > 0, (x @ w) * (1.0 + 2.0j), 0.0)
        return np.sum(np.real(rows * np.conj(rows)))

    w = np.array([[1.0 + 1j, 2.0], [3.0, 4.0 - 2j]])
    for last in (-np.inf, 5.0):
        # NumPy itself multiplies complex matrices, and says so where they aren't finite.
        with np.errstate(all="ignore"):
            check(cr.grad(f), w, np.array([[2.0, 3.0], [-1.0, last]]))
