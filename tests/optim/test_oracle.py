"""Updates against the papers' formulas, written out in plain NumPy, one array at a time."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim

STEPS = 20
RATE = 0.05


def plain(w, slope, **_):
    for t in range(1, STEPS + 1):
        w = w - RATE * slope(w, t)
    return w


def heavy_ball(w, slope, momentum, nesterov=False):
    v = np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = slope(w, t)
        v = momentum * v - RATE * g
        w = w + (momentum * v - RATE * g if nesterov else v)
    return w


def adagrad(w, slope, begin=0.1, epsilon=1e-7):
    total = np.full_like(w, begin)
    for t in range(1, STEPS + 1):
        g = slope(w, t)
        total = total + g**2
        w = w - RATE * g / np.sqrt(total + epsilon)
    return w


def adadelta(w, slope, rho=0.95, epsilon=1e-7):
    squares, moves = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = slope(w, t)
        squares = rho * squares + (1 - rho) * g**2
        move = np.sqrt(moves + epsilon) / np.sqrt(squares + epsilon) * g
        moves = rho * moves + (1 - rho) * move**2
        w = w - RATE * move
    return w


def rmsprop(w, slope, rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    squares, mean, pace = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = slope(w, t)
        squares = rho * squares + (1 - rho) * g**2
        mean = rho * mean + (1 - rho) * g
        size = np.sqrt(squares - mean**2 * centered + epsilon)
        pace = momentum * pace + RATE * g / size
        w = w - pace
    return w


def adam(w, slope, b1=0.9, b2=0.999, epsilon=1e-7, amsgrad=False, decay=0.0):
    """The paper's algorithm 1 with the epsilon hat of its section 2."""
    m, v, highest = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = slope(w, t)
        w = w - RATE * decay * w
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        highest = np.maximum(highest, v)
        divisor = np.sqrt(highest if amsgrad else v) + epsilon
        w = w - RATE * np.sqrt(1 - b2**t) / (1 - b1**t) * m / divisor
    return w


def adamax(w, slope, b1=0.9, b2=0.999, epsilon=1e-7):
    m, u = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, STEPS + 1):
        g = slope(w, t)
        m = b1 * m + (1 - b1) * g
        u = np.maximum(b2 * u, abs(g))
        w = w - RATE / (1 - b1**t) * m / (u + epsilon)
    return w


def nadam(w, slope, b1=0.9, b2=0.999, epsilon=1e-7):
    m, v = np.zeros_like(w), np.zeros_like(w)
    weights = [b1 * (1 - 0.5 * 0.96**t) for t in range(1, STEPS + 2)]
    for t in range(1, STEPS + 1):
        g = slope(w, t)
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        now, following = weights[t - 1], weights[t]
        ahead = following * m / (1 - np.prod(weights[: t + 1]))
        ahead = ahead + (1 - now) * g / (1 - np.prod(weights[:t]))
        w = w - RATE * ahead / (np.sqrt(v / (1 - b2**t)) + epsilon)
    return w


def clipped_each(w, slope, longest):
    def short(w, t):
        g = slope(w, t)
        return g * min(1.0, longest / np.linalg.norm(g))

    return plain(w, short)


CASES = {
    "descent": (optim.GradientDescent(RATE), plain, {}),
    "sgd": (optim.SGD(RATE), plain, {}),
    "momentum": (optim.SGD(RATE, 0.9), heavy_ball, {"momentum": 0.9}),
    "nesterov": (
        optim.SGD(RATE, 0.8, nesterov=True),
        heavy_ball,
        {"momentum": 0.8, "nesterov": True},
    ),
    "adagrad": (optim.Adagrad(RATE), adagrad, {}),
    "adadelta": (optim.Adadelta(RATE), adadelta, {}),
    "rmsprop": (optim.RMSprop(RATE), rmsprop, {}),
    "rmsprop centred": (
        optim.RMSprop(RATE, 0.8, 0.7, 1e-4, True),
        rmsprop,
        {"rho": 0.8, "momentum": 0.7, "epsilon": 1e-4, "centered": True},
    ),
    "adam": (optim.Adam(RATE), adam, {}),
    "adam small": (optim.Adam(RATE, 0.7, 0.8, 1e-3), adam, {"b1": 0.7, "b2": 0.8, "epsilon": 1e-3}),
    "amsgrad": (optim.Adam(RATE, beta_2=0.5, amsgrad=True), adam, {"b2": 0.5, "amsgrad": True}),
    "adamw": (optim.AdamW(RATE, 0.1), adam, {"decay": 0.1}),
    "adamax": (optim.Adamax(RATE), adamax, {}),
    "nadam": (optim.Nadam(RATE), nadam, {}),
    "clipnorm": (optim.SGD(RATE, clipnorm=0.7), clipped_each, {"longest": 0.7}),
}


def slope_of(name):
    phase = float(len(name))
    return lambda w, t: np.sin(3.0 * w) + 0.3 * np.cos(t + phase + w)


def parameters():
    return {"a": np.cos(np.arange(6.0)).reshape(2, 3), "much/longer": np.array([0.5, -1.0, 2.0])}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("way", ["plain", "compiled", "loop"])
def test_the_formula(name, way):
    optimizer, formula, options = CASES[name]

    def step(k, carry):
        w, state = carry
        return optimizer.update({n: slope_of(n)(x, k + 1.0) for n, x in w.items()}, state, w)

    found = parameters(), optimizer.init(parameters())
    if way == "loop":
        found = cr.jit(lambda start: cr.fori_loop(0, STEPS, step, start))(found)
    else:
        step = cr.jit(step) if way == "compiled" else step
        for k in range(STEPS):
            found = step(float(k), found)
    assert found[1]["step"] == STEPS
    for key, value in parameters().items():
        expected = formula(value, slope_of(key), **options)
        np.testing.assert_allclose(found[0][key], expected, rtol=1e-12, atol=1e-13)


def test_all_gradients_together_are_shortened_by_one_factor():
    slopes = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]])}
    start = {"a": np.zeros(2), "b": np.zeros((1, 1))}
    optimizer = optim.SGD(1.0, global_clipnorm=2.5)
    found, _ = optimizer.update(slopes, optimizer.init(start), start)
    np.testing.assert_allclose(found["a"], [-1.5, 0.0])
    np.testing.assert_allclose(found["b"], [[-2.0]])


@pytest.mark.parametrize("option", ["clipnorm", "global_clipnorm"])
def test_short_gradients_stay_and_zero_is_no_trouble(option):
    optimizer = optim.SGD(1.0, **{option: 10.0})
    start = {"a": np.zeros(2), "b": np.zeros(1)}
    found, _ = optimizer.update({"a": np.ones(2), "b": np.zeros(1)}, optimizer.init(start), start)
    np.testing.assert_array_equal(found["a"], -1.0)
    np.testing.assert_array_equal(found["b"], 0.0)


@pytest.mark.parametrize("option", ["clipnorm", "global_clipnorm"])
def test_an_infinite_gradient_is_not_covered_up(option):
    optimizer = optim.SGD(1.0, **{option: 10.0})
    start = {"a": np.zeros(2)}
    with np.errstate(invalid="ignore"):
        found, _ = optimizer.update({"a": np.array([np.inf, 1.0])}, optimizer.init(start), start)
    assert np.isnan(found["a"]).all()
