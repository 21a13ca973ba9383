"""init and update: trees of any kind, dtypes, traces, rates, and how updates are compiled."""

import re
from dataclasses import dataclass

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim
from chainrule.base.trees import flatten

EVERY = {
    "GradientDescent": {},
    "SGD": {"momentum": 0.9},
    "Adagrad": {},
    "Adadelta": {},
    "RMSprop": {"momentum": 0.5, "centered": True},
    "Adam": {"amsgrad": True},
    "AdamW": {},
    "Adamax": {},
    "Nadam": {},
}
OPTIONS = [
    {"weight_decay": 0.1},
    {"clipvalue": 0.5},
    {"clipnorm": 0.5},
    {"global_clipnorm": 0.5},
    {"use_ema": True, "ema_overwrite_frequency": 2},
    {"gradient_accumulation_steps": 2},
    {"learning_rate": optim.CosineDecay(0.1, 10, warmup_target=0.2, warmup_steps=2)},
    {"learning_rate": lambda step: 0.1 / (step + 1)},
]


def types(tree):
    return [(leaf.shape, leaf.dtype) for leaf in flatten(tree)[0]]


@pytest.mark.parametrize(
    ("name", "options"),
    [*((name, {}) for name in EVERY), *(("Nadam", options) for options in OPTIONS)],
    ids=lambda value: value if isinstance(value, str) else next(iter(value), "plain"),
)
def test_dtypes_and_structure_stay_and_compiling_changes_nothing(name, options):
    optimizer = getattr(optim, name)(**{**EVERY[name], **options})
    w = {"a": np.ones((2, 3), np.float32), "b": np.arange(4.0), "c": np.float32(2.0)}
    g = {"a": np.full((2, 3), 0.3, np.float32), "b": np.arange(4.0) - 1, "c": np.float32(-1.0)}
    step = cr.jit(lambda g, state, w: optimizer.update(g, state, w))
    plain = compiled = start = w, optimizer.init(w)
    for _ in range(4):
        plain = optimizer.update(g, plain[1], plain[0])
        compiled = step(g, compiled[1], compiled[0])
        assert types(plain) == types(compiled) == types(start)
    for a, b in zip(flatten(plain)[0], flatten(compiled)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@dataclass
class Line:
    slope: float
    offset: np.ndarray


@pytest.mark.parametrize(
    "tree",
    [
        np.array([3.0, 4.0]),
        5.0,
        [np.ones(2), {"x": np.zeros((2, 2))}],
        (1.0, (np.ones(1), np.ones(3))),
        Line(2.0, np.arange(3.0)),
    ],
    ids=["array", "number", "list", "tuple", "dataclass"],
)
def test_any_tree_will_do(tree):
    optimizer = optim.Adam(0.05)
    value = lambda tree: sum(np.sum((leaf - 1.0) ** 2) for leaf in flatten(tree)[0])
    start, state = tree, optimizer.init(tree)
    step = cr.jit(lambda w, state: optimizer.update(cr.grad(value)(w), state, w))
    for _ in range(400):
        tree, state = step(tree, state)
    assert type(tree) is type(start) or isinstance(tree, np.floating)
    assert value(tree) < 1e-6


def test_a_rate_that_is_given_never_compiles_anew():
    optimizer, traced = optim.Adam(0.5), []

    @cr.jit
    def step(g, state, w, rate):
        traced.append(1)
        return optimizer.update(g, state, w, rate)

    w = {"w": np.ones(3, np.float32)}
    state = optimizer.init(w)
    for rate in (0.1, 0.01, 0.001):
        found, _ = step(w, state, w, np.float64(rate))
        assert found["w"].dtype == np.float32
        np.testing.assert_allclose(found["w"], 1 - rate, rtol=1e-5)
    assert len(traced) == 1


@pytest.mark.parametrize("name", [*EVERY, "LBFGS"])
def test_the_second_update_is_compiled_already(name):
    optimizer, traced = getattr(optim, name)(), []
    loss = lambda w: np.sum((w - 1.0) ** 2)

    @cr.jit
    def step(state, w):
        traced.append(1)
        more = {"objective": loss} if optimizer.needs_objective else {}
        return optimizer.update(cr.grad(loss)(w), state, w, **more)

    w = np.zeros(3)
    state = optimizer.init(w)
    for _ in range(3):
        w, state = step(state, w)
    assert len(traced) == 1


def test_a_rate_that_is_set_on_the_optimiser_counts():
    optimizer = optim.SGD(1.0)
    step = cr.jit(lambda w: optimizer.update(w, optimizer.init(w), w)[0])
    assert step(1.0) == 0.0
    optimizer.learning_rate = 0.25
    assert step(1.0) == 0.75


def test_an_attribute_of_a_users_own_optimiser_counts():
    @dataclass(eq=False)
    class Scaled(optim.Optimizer):
        scale: float = 1.0

        def rule(self, rate, count, shared):
            return lambda w, g: (w - self.scale * g,)

    optimizer = Scaled()
    step = cr.jit(lambda w: optimizer.update(w, optimizer.init(w), w)[0])
    assert step(1.0) == 0.0
    optimizer.scale = 0.25
    assert step(1.0) == 0.75


def test_a_schedule_is_called_with_the_traced_step():
    optimizer = optim.SGD(optim.PiecewiseConstantDecay([1, 2], [1.0, 0.1, 0.01]))
    start = np.float32(0.0), optimizer.init(np.float32(0.0))
    body = lambda k, carry: optimizer.update(np.float32(1.0), carry[1], carry[0])
    w, state = cr.jit(lambda start: cr.fori_loop(0, 5, body, start))(start)
    np.testing.assert_allclose(w, -(1.0 + 1.0 + 0.1 + 0.01 + 0.01), rtol=1e-6)
    assert w.dtype == np.float32
    assert state["step"].dtype == np.int64


def test_updates_are_differentiable_in_the_rate():
    def end(rate):
        optimizer = optim.SGD(np.exp(rate), momentum=0.5)
        w, state = np.array(2.0), optimizer.init(np.array(2.0))
        for _ in range(3):
            w, state = optimizer.update(2 * w, state, w)
        return w

    cr.check_grads(end, (-2.0,), order=1)


def test_updates_under_vmap():
    optimizer = optim.Adam(0.1)

    def one(w, g):
        return optimizer.update(g, optimizer.init(w), w)[0]

    w, g = np.arange(6.0).reshape(2, 3), np.array([[1.0, -1, 2], [3, 0.5, -0.1]])
    np.testing.assert_allclose(cr.vmap(one)(w, g), [one(a, b) for a, b in zip(w, g, strict=True)])


@pytest.mark.parametrize("name", EVERY)
def test_an_update_sweeps_each_array_once(name):
    optimizer = getattr(optim, name)(**EVERY[name], use_ema=True, weight_decay=0.1, clipvalue=1.0)
    w = {"w": np.ones(300_000, np.float32)}
    step = cr.jit(lambda g, state, w: optimizer.update(g, state, w))
    text = step.llvm(w, optimizer.init(w), w)
    assert len(set(re.findall(r"define internal void @(kernel\d+\.part\d+)", text))) == 1


def test_accumulated_gradients_make_one_update_of_their_mean():
    optimizer = optim.SGD(1.0, momentum=0.5, gradient_accumulation_steps=3)
    w, state = np.array(0.0), optimizer.init(np.array(0.0))
    seen = []
    for g in (1.0, 2.0, 6.0, 0.0, 0.0, 3.0):
        w, state = optimizer.update(np.array(g), state, w)
        seen.append(float(w))
    # momentum −3 after the first three, −1.5 − 1 after the others
    assert seen == [0.0, 0.0, -3.0, -3.0, -3.0, -5.5]


def test_the_average_begins_with_the_parameters():
    optimizer = optim.SGD(0.1, use_ema=True)
    w = {"w": np.array([3.0])}
    state = optimizer.init(w)
    np.testing.assert_array_equal(optimizer.finalize(w, state)["w"], [3.0])
    assert state["average"]["w"] is not w["w"]
    assert optim.SGD(0.1).finalize(w, {}) is w


def test_names_spare_parameters_from_decay():
    w = {"conv/bias": np.ones(1), "conv/kernel": np.ones(1), "norm/gamma": np.ones(1)}
    still = {name: np.zeros(1) for name in w}
    for spared in (("bias", "gamma"), lambda name: not name.endswith("kernel"), ["bias", "norm"]):
        optimizer = optim.SGD(0.1, weight_decay=0.5, exclude_from_weight_decay=spared)
        found, _ = optimizer.update(still, optimizer.init(w), w)
        assert {name: float(value[0]) for name, value in found.items()} == {
            "conv/bias": 1.0,
            "conv/kernel": 0.95,
            "norm/gamma": 1.0,
        }


def test_minimize_returns_the_values_on_the_way():
    found, values = optim.SGD(0.25).minimize(lambda x: np.sum(x * x), np.array([4.0, 0.0]), steps=2)
    np.testing.assert_array_equal(found, [1.0, 0.0])
    np.testing.assert_array_equal(values, [16.0, 4.0, 1.0])
    found, values = optim.SGD(0.25).minimize(lambda x: x * x, 4.0, steps=0)
    assert found == 4.0
    assert values.tolist() == [16.0]
