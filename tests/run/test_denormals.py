"""Numbers too small for all their digits: kept by default, 0 where the settings say so."""

from __future__ import annotations

import platform

import numpy as np
import pytest

import chainrule as cr

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64"),
    reason="the mode isn't known here",
)
TINY = np.float32(1e-39)
FLUSHED = {"flush_denormals": True}


def half(x):
    return x * np.float32(0.5)


def many():
    """Enough for several threads, on each of which there are tiny numbers and others."""
    x = np.full(400_000, TINY)
    x[::3] = 3.0
    return x


def test_functions_keep_them_unless_told_otherwise():
    f, x = cr.jit(half), many()
    for _ in range(3):  # every way into the code, one after the other
        assert np.array_equal(f(x), half(x))
        with cr.settings(**FLUSHED):
            assert np.array_equal(f(x), np.where(x == 3, np.float32(1.5), 0))
            with cr.settings(flush_denormals=False):
                assert np.array_equal(f(x), half(x))
    assert np.array_equal(f(x), half(x))


def test_results_as_well_as_operands():
    with cr.settings(**FLUSHED):
        assert cr.jit(half)(np.float32(1.5e-38)) == 0  # an ordinary number whose half is too small
        assert cr.jit(lambda x: x * np.float32(1e30))(TINY) == 0
    assert cr.jit(lambda x: x * np.float32(1e30))(TINY) > 0


@pytest.mark.parametrize("threads", [1, 2])
def test_the_mode_is_put_back_on_every_thread(threads):
    x = many()
    with cr.settings(threads=threads):
        f = cr.jit(half)
        for _ in range(5):
            with cr.settings(**FLUSHED):
                assert not np.any((f(x) > 0) & (f(x) < 1))
            assert half(TINY) > 0  # this thread's
            assert np.array_equal(f(x), half(x))  # and the others'


def test_the_same_bits_on_any_number_of_threads():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(300, 300)) * 10.0 ** rng.integers(-40, 0, (300, 300))).astype(np.float32)
    f = cr.jit(lambda x: (np.tanh(x) @ (x * x).T, np.sum(x * x, axis=0)))
    found = []
    for threads in (1, 2, 3):
        with cr.settings(threads=threads, **FLUSHED):
            found.append(f(x))
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_after_an_error_the_mode_is_as_it_was():
    f = cr.jit(lambda x, k: x[k] * np.float32(0.5))
    with cr.settings(**FLUSHED), pytest.raises(IndexError):
        f(np.full(3, TINY), 7)
    assert half(TINY) > 0


def test_the_numpy_engine_keeps_them():
    with cr.settings(engine="numpy", **FLUSHED):
        assert cr.jit(half)(TINY) > 0


def test_a_setting_that_is_no_truth_value():
    with pytest.raises(cr.ArgumentError, match="flush_denormals is True or False"):
        cr.settings(flush_denormals="yes")


def test_fit_takes_them_as_zero_unless_told_otherwise():
    def trained():
        model = cr.nn.Sequential([cr.nn.Dense(1, use_bias=False)])
        model.compile(cr.optim.SGD(0.0), "mse")
        model.build((2,))
        model.set_weights([np.array([[1e-39], [1.0]], np.float32)])
        model.fit(np.ones((4, 2), np.float32), np.zeros((4, 1)), verbose=0)
        return model.weights[0][0, 0]

    assert trained() == 0
    with cr.settings(flush_denormals=False):
        assert trained() == TINY
    assert half(TINY) > 0
