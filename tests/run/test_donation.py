"""donate_argnums: results in the memory of arguments that the caller has given up."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.run import compile as compile_
from chainrule.run import engine
from chainrule.run.portable import portable_entry

if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

CALLS = range(3)  # traced, then by Python, then by the shortest way


@pytest.fixture(params=["native", "portable", "settings"])
def way(request, monkeypatch):
    """Each of the ways into machine code."""
    if request.param == "portable":
        monkeypatch.setattr(compile_, "entry", portable_entry)
    with cr.settings(threads=2 if request.param == "settings" else None):
        yield request.param


def test_the_result_is_the_array_that_was_given_up(way):
    step = cr.jit(lambda w, g: w - 0.5 * g, donate_argnums=0)
    for _ in CALLS:
        w, g = np.arange(5.0), np.ones(5)
        assert step(w, g) is w
        np.testing.assert_array_equal(w, np.arange(5.0) - 0.5)
        np.testing.assert_array_equal(g, 1.0)


def test_trees_of_arguments(way):
    def update(state, slopes):
        speeds = {k: 0.9 * state[1][k] + slopes[k] for k in slopes}
        return {k: state[0][k] - 0.1 * v for k, v in speeds.items()}, speeds

    step = cr.jit(update, donate_argnums=(0,))
    for _ in CALLS:
        state = tuple({"a": np.full(4, k), "b": np.full((2, 4), k)} for k in (1.0, 2.0))
        slopes = {"a": np.ones(4), "b": np.zeros((2, 4))}
        wanted = update(state, slopes)
        found = step(state, slopes)
        for k in range(2):
            for name in "ab":
                assert found[k][name] is state[k][name]
                np.testing.assert_array_equal(found[k][name], wanted[k][name])


def test_by_name_and_as_a_method():
    class Model:
        rate = 0.5

        def step(self, w, g):
            return w - self.rate * g

        fast = cr.jit(step, donate_argnums=1)

    w, g = np.ones(3), np.ones(3)
    assert cr.jit(lambda w, g: w - g, donate_argnums=0)(g=g, w=w) is w
    for _ in CALLS:
        w = np.ones(3)
        assert Model().fast(w, g) is w
        assert w[0] == 0.5


def test_a_loop_begins_where_its_state_lies(way):
    def epoch(w, xs):
        return cr.scan(lambda w, x: (w - x * w, np.sum(w)), w, xs)

    compiled = cr.jit(epoch, donate_argnums=0)
    xs = np.full((4, 3), 0.5)
    for _ in CALLS:
        w = np.ones(3)
        last, _ = compiled(w, xs)
        assert last is w
        np.testing.assert_array_equal(w, 1 / 16)


def test_every_entry_is_read_before_it_is_replaced(way):
    for f in (
        lambda w, g: w[::-1] + g,
        lambda w, g: w + np.sum(w) * g,
        lambda w, g: np.cumsum(w) + g,
        lambda w, g: (w + g, np.sum(w * w)),
        lambda w, g: (w + g, w[::-1] * 2.0),
        lambda w, g: (w, w + g),
        lambda w, g: (w + g, g),
        lambda w, g: np.outer(w, w) @ g,
        lambda w, g: cr.scan(lambda c, x: (c + w * x, None), w, g)[0],
    ):
        compiled = cr.jit(f, donate_argnums=0)
        for _ in CALLS:
            w, g = np.arange(40.0) + 1, np.ones(40)
            wanted = f(w, g)
            found = compiled(w.copy(), g)
            pairs = zip(found, wanted, strict=True) if type(wanted) is tuple else [(found, wanted)]
            for one, other in pairs:
                np.testing.assert_allclose(one, other, rtol=1e-13)
            np.testing.assert_array_equal(g, 1.0)


def test_two_results_for_one_array():
    """Of two that would fit only one lies there."""
    compiled = cr.jit(lambda w, g: (w + g, w - g), donate_argnums=0)
    w, g = np.arange(3.0), np.ones(3)
    first, second = compiled(w, g)
    assert (first is w) + (second is w) == 1
    np.testing.assert_array_equal(first - second, 2.0)
    assert not np.shares_memory(first, second)


def test_arrays_that_cannot_be_overwritten_are_left_alone(way):
    step = cr.jit(lambda w, g: w + g, donate_argnums=(0, 1))
    kept = np.arange(4.0)
    fixed = kept.copy()
    fixed.flags.writeable = False
    for _ in CALLS:
        for w, g in [
            (fixed, fixed),  # read-only
            (kept, kept),  # the same array twice
            (np.arange(8.0)[::2], kept[::-1]),  # not one piece of memory
            (np.broadcast_to(1.5, 4), fixed),
        ]:
            before = w.copy(), g.copy()
            np.testing.assert_array_equal(step(w, g), before[0] + before[1])
            np.testing.assert_array_equal(w, before[0])
            np.testing.assert_array_equal(g, before[1])
    memory = np.arange(6.0)
    for start in range(3):
        w, g = memory[:4], memory[start : start + 4]
        np.testing.assert_array_equal(step(w, g), np.arange(4.0) * 2 + start)
    np.testing.assert_array_equal(memory, np.arange(6.0))


def test_results_of_another_kind(way):
    for f in (lambda w: w.astype("f4"), lambda w: w[:2] * 2, lambda w: np.sum(w), lambda w: w > 1):
        compiled = cr.jit(f, donate_argnums=0)
        for _ in CALLS:
            w = np.arange(4.0)
            np.testing.assert_array_equal(compiled(w), f(w))
            np.testing.assert_array_equal(w, np.arange(4.0))


GLOBAL = np.arange(3.0)


def test_an_array_that_the_function_reads_besides(way):
    for f in (lambda w: w + GLOBAL[::-1], lambda w: (w + 1.0, GLOBAL)):
        compiled = cr.jit(f, donate_argnums=0)
        for _ in CALLS:
            GLOBAL[:] = np.arange(3.0)
            wanted = f(GLOBAL.copy())
            np.testing.assert_array_equal(compiled(GLOBAL), wanted)


def test_what_fails_can_still_be_explained(way):
    """The error comes from doing it once more, so the arguments must be whole."""
    first = cr.jit(lambda w, k: (w - 1.0, w[k]), donate_argnums=0)
    second = cr.jit(lambda w, n: (w - 1.0, 7 // n + np.sum(w)), donate_argnums=0)
    inside = cr.jit(
        lambda w, n: cr.scan(lambda c, k: (c - 7 // (k - n), None), w, np.arange(9))[0],
        donate_argnums=0,
    )
    called = cr.jit(lambda w, m: np.fft.ifft(np.fft.fft(w)).real - m, donate_argnums=0)
    for _ in CALLS:
        w = np.ones(4)
        with pytest.raises(cr.OutOfBoundsError):
            first(w, 9)
        np.testing.assert_array_equal(w, 1.0)
        with pytest.raises(cr.DivisionError):
            second(w, 0)
        np.testing.assert_array_equal(w, 1.0)
        with pytest.warns(RuntimeWarning, match="divide by zero"):
            found = inside(w, 8)
        np.testing.assert_array_equal(w, 1.0)
        np.testing.assert_array_equal(found, 1.0 - sum(7 // (k - 8) for k in range(8)))
        np.testing.assert_allclose(called(w, 1.0), 0.0, atol=1e-15)


def test_with_arrays_of_ones_own():
    step = cr.jit(lambda w, g: w - g, donate_argnums=0)
    w, g, out = np.arange(3.0), np.ones(3), np.empty(3)
    for _ in CALLS:
        assert step(w, g, out=out) is out
        np.testing.assert_array_equal(out, w - g)
        np.testing.assert_array_equal(w, np.arange(3.0))


def test_the_numpy_engine_leaves_them_whole():
    with cr.settings(engine="numpy"):
        w = np.arange(3.0)
        found = cr.jit(lambda w: w + 1, donate_argnums=0)(w)
    np.testing.assert_array_equal(found, w + 1)


def test_from_the_disk(run_python, tmp_path):
    """What lies where is kept with the code."""
    text = """
        import numpy as np
        import chainrule as cr
        w = np.arange(3.0)
        print(cr.jit(lambda w, g: (np.sum(g), w - g), donate_argnums=0)(w, np.ones(3))[1] is w)
        w = np.arange(3.0)
        print(cr.jit(lambda w, g: (np.sum(g), w - g))(w, np.ones(3))[1] is w)
        """
    for _ in range(2):
        assert run_python(text, CHAINRULE_CACHE=str(tmp_path)) == "True\nFalse\n"


def test_nothing_is_left_behind():
    step = cr.jit(lambda w, g: w - g, donate_argnums=0)
    w, g = np.zeros(3), np.ones(3)
    for _ in range(1000):
        w = step(w, g)
    np.testing.assert_array_equal(w, -1000.0)
    assert sys.getrefcount(w) == sys.getrefcount(g)


@pytest.mark.parametrize("shape", [(1, 100_000), (100_000, 1), (1, 100_000, 1)])
def test_a_result_of_another_shape_is_another_array(shape):
    flat = cr.jit(lambda x: np.exp(x).reshape(-1), donate_argnums=0)
    same = cr.jit(lambda x: np.exp(x) * 2, donate_argnums=0)
    for _ in range(3):
        assert flat(np.zeros(shape)).shape == (100_000,)
        assert same(np.zeros(shape)).shape == shape


def test_bad_positions():
    with pytest.raises(cr.ArgumentError, match="donate_argnums is a position"):
        cr.jit(lambda x: x, donate_argnums="x")
    with pytest.raises(cr.ArgumentError, match="has no memory that could be given up"):
        cr.jit(lambda x, n: x, static_argnums=1, donate_argnums=-1)
