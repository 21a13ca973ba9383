"""Schedules between and beyond what Keras was asked; plain, traced, and as data."""

import numpy as np
import pytest

import chainrule as cr
from chainrule import optim

ALL = [
    optim.ExponentialDecay(0.1, 10, 0.5),
    optim.ExponentialDecay(0.1, 10, 0.5, staircase=True),
    optim.InverseTimeDecay(0.1, 10, 0.5),
    optim.PolynomialDecay(0.1, 10, power=2.0),
    optim.PolynomialDecay(0.1, 10, cycle=True),
    optim.CosineDecay(0.1, 10),
    optim.CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=3),
    optim.CosineDecay(0.0, 10, warmup_target=0.1, warmup_steps=0),
    optim.CosineDecayRestarts(0.1, 4),
    optim.CosineDecayRestarts(0.1, 4, t_mul=1.0, m_mul=0.5),
    optim.PiecewiseConstantDecay([3, 9], [0.1, 0.05, 0.01]),
]


@pytest.mark.parametrize("schedule", ALL, ids=lambda s: type(s).__name__)
def test_traced_it_is_the_same_as_plain(schedule):
    traced = cr.jit(schedule)
    for step in (0, 1, 3, 4, 5, 10, 12, 28, 1000):
        rate = schedule(step)
        np.testing.assert_allclose(traced(np.int64(step)), rate, rtol=1e-12)
        np.testing.assert_allclose(schedule(np.array(step)), rate, rtol=1e-12)
        assert np.shape(rate) == ()
        assert rate >= 0


@pytest.mark.parametrize("schedule", ALL, ids=lambda s: type(s).__name__)
def test_it_comes_back_from_its_data(schedule):
    data = optim.serialize(optim.SGD(schedule))
    again = optim.deserialize(data).learning_rate
    assert again == schedule
    assert again is not schedule


def test_a_restart_is_never_missed_by_rounding():
    for factor in (1.1, 1.5, 2.0, 3.0, 10.0):
        schedule = optim.CosineDecayRestarts(1.0, 1000, t_mul=factor)
        begin = 0.0
        for period in range(6):
            assert schedule(np.ceil(begin)) > 0.999
            begin += 1000 * factor**period


def test_a_warm_up_rises_to_its_target_and_falls_from_there():
    schedule = optim.CosineDecay(0.02, 100, alpha=0.1, warmup_target=0.2, warmup_steps=10)
    rates = [float(schedule(step)) for step in range(130)]
    np.testing.assert_allclose(rates[:11], np.linspace(0.02, 0.2, 11))
    assert (np.diff(rates[10:111]) < 0).all()
    np.testing.assert_allclose(rates[110:], 0.02)


def test_a_whole_training_run_follows_its_schedule():
    schedule = optim.PolynomialDecay(0.1, 10, end_learning_rate=0.0)
    optimizer = optim.SGD(schedule)
    start = np.array(0.0), optimizer.init(np.array(0.0))
    body = lambda k, carry: optimizer.update(1.0, carry[1], carry[0])
    end, _ = cr.jit(lambda start: cr.fori_loop(0, 20, body, start))(start)
    np.testing.assert_allclose(end, -sum(schedule(step) for step in range(20)), rtol=1e-12)
    assert optimizer.rate_at(5) == schedule(5)
