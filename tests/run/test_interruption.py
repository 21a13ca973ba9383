"""Long kernels ask whether to go on: what stops them is raised, and nothing else is lost."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.emit import distribution, draw, product, serial, turn
from chainrule.loops import schedule
from chainrule.run import compile as compiling
from chainrule.run import engine
from chainrule.run.catching import catching

if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

V = np.linspace(0.1, 2.0, 20_000)
M = np.cos(np.arange(300.0 * 400)).reshape(300, 400)
PLACES = np.arange(20_000) % 7


def scattered(x):
    sums = np.zeros(7)
    np.add.at(sums, PLACES, np.sin(x))
    return sums


KERNELS = {
    "entries": (lambda x: np.sin(x) * np.exp(x), V),
    "entries of rows": (lambda m: np.sin(m) + m[0], M),
    "a sum": (lambda x: np.sum(np.sin(x), keepdims=True), V),
    "sums of rows": (lambda m: np.sum(np.sin(m), axis=1), M),
    "sums of columns": (lambda m: np.max(m * m, axis=0), M),
    "a copy turned over": (lambda m: m.T.copy(), M),
    "a running total": (np.cumsum, V),
    "running totals": (lambda m: np.cumsum(m, axis=0), M),
    "a scatter": (scattered, V),
    "a product": (lambda m: m @ m.T, M),
    "in a loop": (lambda x: cr.scan(lambda c, k: (np.sin(c) + k, None), x, np.arange(3.0))[0], V),
    "backwards": (cr.grad(lambda x: np.sum(np.sin(x) ** 2)), V),
}


@pytest.fixture
def brief(monkeypatch):
    """Everything counts as taking long, and is asked often; nothing comes from the disk."""
    monkeypatch.setenv("CHAINRULE_CACHE", "off")
    monkeypatch.setattr(schedule, "_LONG", 0)
    monkeypatch.setattr(schedule, "_CHUNK", 16)
    for module in (turn, product):
        monkeypatch.setattr(module, "_LONG", 0)
    monkeypatch.setattr(product, "_DEEP", 0)
    monkeypatch.setattr(serial, "_PATIENCE", 512)


@pytest.fixture
def asked(monkeypatch, brief):
    """Have native code ask us; which call of us raises, and how many there were."""
    state = {"raise at": 0, "calls": 0}

    def answer():
        state["calls"] += 1
        if state["calls"] == state["raise at"]:
            raise KeyboardInterrupt
        return 0

    call_back = ctypes.CFUNCTYPE(ctypes.c_int32)(catching(answer))
    address = ctypes.cast(call_back, ctypes.c_void_p).value
    monkeypatch.setattr(compiling, "poll_address", lambda: address)
    state["keep"] = call_back
    return state


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_is_stopped_on_its_way(name, asked):
    f, x = KERNELS[name]
    given, wanted = x.copy(), f(x)
    with cr.settings(threads=1):
        compiled = cr.jit(f)
        for _ in range(3):  # by ctypes, and by machine code
            asked.update({"calls": 0, "raise at": 0})
            np.testing.assert_allclose(compiled(x), wanted, rtol=1e-11, atol=1e-11)
            whole = asked["calls"]
            assert whole > 5
            asked.update({"calls": 0, "raise at": 3})
            with pytest.raises(KeyboardInterrupt):
                compiled(x)
            assert asked["calls"] == 3
            np.testing.assert_array_equal(x, given)


MANY = 2**21 + 5
DRAWS = {
    "uniform": lambda seed: cr.random.uniform(seed, (MANY,)),
    "normal": lambda seed: cr.random.normal(seed, (MANY,)),
    "normal, float32": lambda seed: cr.random.normal(seed, (MANY,), dtype=np.float32),
    "truncated": lambda seed: cr.random.truncated_normal(seed, (MANY,)),
    "exponential": lambda seed: cr.random.exponential(seed, (MANY,)),
    "integers": lambda seed: cr.random.integers(seed, 0, 1000, (MANY,)),
    "large integers": lambda seed: cr.random.integers(seed, 0, 2**40, (MANY,)),
    "permutation": lambda seed: cr.random.permutation(seed, MANY),
    "for several keys": lambda seed: cr.vmap(lambda k: cr.random.normal(k, (2**18,)))(
        cr.random.split(seed, 6)
    ),
}


@pytest.mark.parametrize("name", DRAWS)
def test_drawing_is_stopped_on_its_way(name, asked, monkeypatch):
    for module in (draw, distribution):
        monkeypatch.setattr(module, "_LONG", 0)
    f = DRAWS[name]
    with cr.settings(engine="numpy"):
        wanted = cr.jit(f)(7)
    with cr.settings(threads=1):
        compiled = cr.jit(f)
        for _ in range(3):
            asked.update({"calls": 0, "raise at": 0})
            np.testing.assert_array_equal(compiled(7), wanted)
            assert asked["calls"] > 5
            asked.update({"calls": 0, "raise at": 3})
            with pytest.raises(KeyboardInterrupt):
                compiled(7)
            assert asked["calls"] == 3


def test_packed_integers_are_drawn_in_one_go(brief):
    """NumPy cuts four of them out of half a word, and forgets what is left when it's done."""

    def f(seed):
        return cr.random.integers(seed, 0, 100, (2**18 + 3,), dtype=np.int8)

    with cr.settings(engine="numpy"):
        wanted = cr.jit(f)(7)
    np.testing.assert_array_equal(cr.jit(f)(7), wanted)


def test_what_was_not_done_is_not_written(asked):
    out = np.full(V.shape, np.nan)
    asked["raise at"] = 3
    with cr.settings(threads=1), pytest.raises(KeyboardInterrupt):
        cr.jit(np.sin)(V, out=out)
    assert np.isnan(out).any()


@pytest.mark.parametrize("name", KERNELS)
def test_the_same_bits_for_any_number_of_threads(name, brief):
    f, x = KERNELS[name]
    found = []
    for threads in (1, 2, 4):
        with cr.settings(threads=threads):
            found.append(np.asarray(cr.jit(f)(x)))
    np.testing.assert_allclose(found[0], f(x), rtol=1e-11, atol=1e-11)
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()


def test_the_library_has_its_threads_back_after_a_product_was_stopped(asked):
    """What keeps it to one thread is left as often as it was entered."""
    f = cr.jit(lambda m: m @ m.T)
    for _ in range(3):
        asked.update({"calls": 0, "raise at": 2})
        with pytest.raises(KeyboardInterrupt), cr.settings(threads=1):
            f(M)
    asked["raise at"] = 0
    np.testing.assert_allclose(f(M), M @ M.T, rtol=1e-11, atol=1e-11)


@pytest.mark.skipif(sys.platform == "win32", reason="needs setitimer")
@pytest.mark.parametrize("threads", ["1", "2"])
def test_ctrl_c_stops_one_kernel(run_python, threads):
    said = run_python(
        """
        import signal
        import numpy as np
        import chainrule as cr
        x = np.linspace(0.1, 1.0, 60_000)
        f = cr.jit(lambda x: np.sum(np.sin(x[:, None] * x), axis=1))
        out = np.full(60_000, np.nan)
        def interrupt(*_):
            raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, interrupt)
        f.llvm(x)  # so that the time is that of the call
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        try:
            f(x, out=out)
        except KeyboardInterrupt:
            print("stopped", np.isnan(out).any(), x.sum() == np.linspace(0.1, 1.0, 60_000).sum())
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(f(np.zeros(3))[0])
        """,
        CHAINRULE_THREADS=threads,
    )
    assert said.split() == ["stopped", "True", "True", "0.0"]
