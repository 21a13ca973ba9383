"""Native loops: right however their state is carried and wherever it lies; Ctrl-C stops them."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.run import engine

if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

# ---- what is carried, and where it lies ---------------------------------------------------

T5 = np.arange(5.0)


def of_reals(f):
    """Its results that have slopes, added up."""
    kept = lambda a: getattr(a, "dtype", np.dtype(bool)).kind == "f" or type(a) is float

    def parts(tree):
        if isinstance(tree, (tuple, list)):
            return sum(parts(t) for t in tree)
        return np.sum(np.sin(tree)) if kept(tree) else 0.0

    return lambda *args: parts(f(*args))


def normed(s, x):
    size = np.sqrt(np.sum(s * s))
    unit = s / size
    return unit + x * np.max(unit), (size, unit, s)


def written(s, x):
    s = np.array(s)
    s[x % 5] = s[(x + 1) % 5] * 2
    return s, s[0]


def many_kinds(s, x):
    a, b, c, d, e = s
    return (a + 1, a % 2 == 0, c ^ b, d * np.int8(3), e * 0.5 + a), (a, b, e)


def kinds(a):
    n = np.arange(len(a), dtype=np.int32)
    return n, n > 99, n >= 0, n.astype(np.int8), a


def in_three_floors(a):
    def inner(v):
        return cr.scan(lambda c, x: (c * 0.9 + x * 0.01, None), v, np.arange(3.0))[0]

    def body(s):
        n, v = s
        return n + 1, cr.cond(np.sum(v) > 3, inner, lambda v: v * 1.3 + 1, v)

    return cr.while_loop(lambda s: s[0] < 7, body, (0, a * 0.1))


def nested(x):
    def outer(c, row):
        last, ys = cr.scan(lambda d, v: (d[::-1] * 0.9 + v * c, d), c, row)
        return last + c, (ys, c)

    return cr.scan(outer, x[0] / 9, x[:, :4] / 9)


LOOPS = {
    "swapped": lambda a, b: cr.scan(lambda c, x: (c[::-1], c[0]), (a, b), T5),
    "swapped and changed": lambda a, b: cr.scan(
        lambda c, x: ((c[1] * 0.2, c[0] * 0.3), None), (a, b), T5
    ),
    "rotated": lambda a, b: cr.scan(lambda s, x: ((s[1], s[2], s[0]), s[1] + x), (a, b, a * b), T5),
    "rotated and changed": lambda a, b: cr.scan(
        lambda s, x: ((s[1] * 0.5, s[2] + x, s[0] - 1), s[1] + x), (a, b, a * b), T5
    ),
    "passed on": lambda a, b: cr.scan(lambda s, x: ((s[0], s[1] + s[0]), s[0]), (a, b), T5),
    "all passed on": lambda a, b: cr.scan(lambda s, x: (s, s[0] + x), (a, b), T5),
    "read after it is replaced": lambda a, b: cr.scan(
        lambda s, x: (s * 2 + x, s + np.sum(s * 2 + x)), a, T5
    ),
    "crossed": lambda a, b: cr.scan(lambda s, x: ((s[0] + s[1][::-1], s[1] * 2), s), (a, b), T5),
    "crossed late": lambda a, b: cr.scan(
        lambda s, x: ((s[0] * 0.5, s[1] + s[0][::-1]), s[0] * 0.5), (a, b), T5
    ),
    "crossed sums": lambda a, b: cr.scan(
        lambda s, x: ((s[0] * np.mean(s[1]), s[1] + np.mean(s[0])), None), (a, b), T5[:2]
    ),
    "reversed": lambda a, b: cr.scan(lambda s, x: (s[::-1] + x, s), a, T5),
    "rolled": lambda a, b: cr.scan(lambda s, x: (np.roll(s, 1) * 1.1 + x, s[0]), a, T5),
    "by a matrix": lambda a, b: cr.scan(
        lambda s, x: (np.tanh(np.outer(a, b) @ s / 99) + x, np.sum(s)), a, T5
    ),
    "normed": lambda a, b: cr.scan(normed, a, T5),
    "a result too": lambda a, b: cr.scan(lambda s, x: (s * 0.5 + x,) * 2, a, T5),
    "one value thrice": lambda a, b: cr.scan(
        lambda s, x: ((s[0] + 1, s[0] + 1, s[1]), (s[0], s[0], s[2])), (a, a, a), T5
    ),
    "constant as carry": lambda a, b: cr.scan(lambda s, x: (s * 0.5 + a, a * s), a, T5),
    "rows as carry": lambda a, b: cr.scan(lambda s, x: (s * 0.5 + x + a, a * s + x), a, a),
    "becomes constant": lambda a, b: cr.scan(
        lambda s, x: ((np.zeros(len(a)), s[0] + 1), s[0]), (a, a), T5
    ),
    "constant results": lambda a, b: cr.scan(lambda s, x: (s + 1, (np.ones(3), a, 2.0)), a, T5),
    "other shapes": lambda a, b: cr.scan(
        lambda s, x: ((s[1].reshape(-1), s[0].reshape(1, -1)), s[0]), (a, b.reshape(1, -1)), T5
    ),
    "transposed": lambda a, b: cr.scan(lambda s, x: (s.T * 0.9 + x, s), np.outer(a, b), T5),
    "last to first": lambda a, b: cr.scan(lambda s, x: (s * 0.5 + x, s), a, T5, reverse=True),
    "no turns": lambda a, b: cr.scan(lambda s, x: (s * 0.5 + x, s), a, T5[:0]),
    "one turn": lambda a, b: cr.scan(lambda s, x: (s * 0.5 + x, s), a, T5[1:2]),
    "many kinds": lambda a, b: cr.scan(many_kinds, kinds(a), T5),
    "written into": lambda a, b: cr.scan(written, a, np.arange(9)),
    "read by place": lambda a, b: cr.scan(lambda s, x: (s + a[x], s[x]), a, np.arange(5)),
    "sorted": lambda a, b: cr.scan(lambda s, x: (np.cumsum(s[::-1]) / 9, np.sort(s)), a, T5),
    "solved": lambda a, b: cr.scan(
        lambda s, x: (np.linalg.solve(np.eye(len(a)) * 9 + np.outer(b, b), s) + x, s), a, T5
    ),
    "in turns of cond": lambda a, b: cr.scan(
        lambda s, x: (cr.cond(x % 2 == 0, lambda s: s * 2, lambda s: s[::-1], s), s),
        a,
        np.arange(5),
    ),
    "cond": lambda a, b: [
        cr.cond(p, lambda a: (a, a * 2), lambda a: (a + 1, a), a) for p in (a[0] > 5, a[0] < 5)
    ],
    "while swapped": lambda a, b: cr.while_loop(
        lambda s: s[0] < 5, lambda s: (s[0] + 1, s[2], s[1] + s[2]), (0, a, b)
    ),
    "never": lambda a, b: cr.while_loop(lambda s: np.sum(s) < -99, lambda s: s - 1, a),
    "counted": lambda a, b: cr.fori_loop(2, 9, lambda i, c: c * 0.5 + i * a, b),
    "three floors": lambda a, b: in_three_floors(a),
    "two scans": lambda a, b: nested(np.outer(a, b)),
}


@pytest.mark.parametrize("size", [5, 20])
@pytest.mark.parametrize("name", LOOPS)
def test_what_loops_carry(agrees, name, size):
    a = np.arange(float(size)) / 4 + 1
    f, args = LOOPS[name], (a, np.cos(a))
    agrees(lambda a, b: (f(a, b), cr.grad(of_reals(f), argnums=(0, 1))(a, b)), *args, rtol=1e-9)
    agrees(cr.vmap(f), *[np.stack([x, x + 0.5, x / 2]) for x in args], rtol=1e-9)


# ---- Ctrl-C --------------------------------------------------------------------------------------

ENDLESS = {
    "while": "cr.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, np.sin(s[1])), (0, x))[1]",
    "scan": "cr.scan(lambda c, k: (np.sin(c) + k, None), x, np.arange(10**8))[0]",
    "inner": "cr.scan(lambda c, k: (cr.fori_loop(0, n, lambda i, c: np.sin(c) + k, c), None), x,"
    " np.arange(3))[0]",
    "calls NumPy": "cr.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1,"
    " np.real(np.fft.ifft(np.fft.fft(s[1])))), (0, x))[1]",
}


@pytest.mark.skipif(sys.platform == "win32", reason="needs setitimer")
@pytest.mark.parametrize(
    ("name", "compiled"), [*[(name, "now") for name in ENDLESS], ("while", "before")]
)
def test_ctrl_c_stops_native_loops(run_python, name, compiled):
    said = run_python(
        f"""
        import signal, sys, time
        import numpy as np
        import chainrule as cr
        x = np.ones(1000)
        f = cr.jit(lambda x, n: {ENDLESS[name]})
        if sys.argv[1] == "before":
            f(x, 3)  # from now on, calls go to machine code at once
        sent = []
        def interrupt(*_):
            sent.append(time.perf_counter())
            raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 1.2)
        try:
            f(x, 10**13)
        except KeyboardInterrupt:
            late = time.perf_counter() - sent[0]
            print((x == 1).all() and late < 10)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(cr.jit(lambda x: x + 1)(x)[0])
        """,
        compiled,
    )
    assert said.split() == ["True", "2.0"]


# ---- while loops backwards -----------------------------------------------------------------------


def halved(n, x):
    """As many turns as n says."""
    return cr.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, np.sin(s[1]) * 1.1), (0, x))[1]


def mixed(m, x):
    """Carries of several types, consts that vary, and a branch."""

    def step(s):
        n, c, v = s
        v = cr.cond(n % 2 == 0, lambda v: np.tanh(m @ v), lambda v: v * c, v)
        return n + 1, np.float32(0.5) * c + np.float32(0.1), v

    return cr.while_loop(lambda s: np.sum(s[2] ** 2) > 0.01, step, (0, np.float32(0.9), x))[2]


def looped(x):
    def outer(s):
        square = s[1] ** 2
        step = lambda t: t * 1.5 + 0.1 * square
        return s[0] + 1, np.cos(cr.while_loop(lambda t: np.sum(t) < 9, step, square + 0.1))

    return cr.while_loop(lambda s: s[0] < 3, outer, (0, x))[1]


def moved(x):
    """The next state is made of the whole one before."""
    step = lambda s: (s[0] + 1, s[2], np.cumsum(s[1][::-1]) * 0.5)
    return cr.while_loop(lambda s: s[0] < 4, step, (0, x, x * 2))[1:]


@pytest.mark.parametrize("turns", [0, 1, 2, 7, 5000])
def test_a_while_loop_backwards(agrees, turns):
    f = cr.grad(lambda n, x: np.sum(halved(n, x)), argnums=1)
    agrees(f, turns, 0.7)
    agrees(f, turns, np.linspace(0.1, 2.0, 40))
    native = cr.jit(f)._unit((turns, 0.7), {}, "test").native()
    assert not native.callbacks


@pytest.mark.parametrize("name", ["mixed", "nested", "moved", "in a scan", "batched", "twice"])
def test_while_loops_of_all_kinds_backwards(agrees, name):
    x, m = np.array([1.0, -0.5, 0.3]), np.full((3, 3), 0.4) - np.eye(3)
    cases = {
        "mixed": (cr.grad(lambda m, x: np.sum(mixed(m, x)), argnums=(0, 1)), m, x),
        "nested": (cr.grad(lambda x: np.sum(looped(x))), x),
        "moved": (cr.grad(of_reals(moved)), x),
        "in a scan": (
            cr.grad(lambda x: np.sum(cr.scan(lambda c, k: (halved(k, c), None), x, N5)[0])),
            x,
        ),
        "batched": (cr.vmap(cr.grad(lambda n, x: halved(n, x), argnums=1)), N5, T5 / 5),
        "twice": (cr.grad(cr.grad(lambda x: halved(3, x))), 0.7),
    }
    f, *args = cases[name]
    agrees(f, *args)


N5 = np.array([3, 0, 5, 1, 2])


def test_an_error_on_the_way_of_a_while_loop_backwards():
    def f(x, i):
        step = lambda s: (s[0] + 1, s[1] * np.sum(np.take(x, s[0] + i)))
        return cr.while_loop(lambda s: s[0] < 3, step, (0, 1.0))[1]

    compiled = cr.jit(cr.grad(f))
    for _ in range(3):
        assert np.isfinite(compiled(T5, 1)).all()
        with pytest.raises(cr.OutOfBoundsError, match="index 5 is out of bounds"):
            compiled(T5, 3)


@pytest.mark.skipif(sys.platform == "win32", reason="needs setitimer")
def test_ctrl_c_stops_a_while_loop_backwards(run_python):
    said = run_python(
        """
        import signal, time
        import numpy as np
        import chainrule as cr
        def f(n, x):
            step = lambda s: (s[0] + 1, np.sin(s[1]) * 1.01)
            return np.sum(cr.while_loop(lambda s: s[0] < n, step, (0, x))[1])
        g = cr.jit(cr.grad(f, argnums=1))
        g(3, np.ones(1))
        def interrupt(*_):
            raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            g(10**13, np.ones(1))
        except KeyboardInterrupt:
            print("stopped")
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(g(0, np.ones(1))[0])
        """
    )
    assert said.split() == ["stopped", "1.0"]


def test_a_large_state_is_read_where_it_is_given_on_the_first_turn():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200, 150))
    kept = a.copy(), b.copy()

    def turns(a, b, count):
        def body(state):
            a, b, k = state
            return b, np.tanh(a) + b[::-1], k + 1

        return cr.while_loop(lambda state: state[2] < count, body, (a, b, 0))

    def same(a, count):
        """Both values begin with one array, which every turn reads besides."""

        def body(state):
            x, y, k = state
            return x + 0.5 * a, y[:, ::-1] * 0.5 + x, k + 1

        return cr.while_loop(lambda state: state[2] < count, body, (a, a, 0))

    compiled, twin = cr.jit(turns), cr.jit(same)
    for count in (0, 1, 2, 5, 0):
        for made, wanted in (
            (compiled(a, b, count), turns(a, b, count)),
            (twin(a, count), same(a, count)),
        ):
            for one, other in zip(made, wanted, strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)
    assert np.array_equal(a, kept[0])
    assert np.array_equal(b, kept[1])


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_a_large_state_of_a_counted_loop(length):
    a, b = np.random.default_rng(0).normal(size=(2, 200, 150))

    def turns(a, b):
        def body(k, state):
            x, y, z = state
            return y, np.tanh(x) + y[::-1] * k, z + 0.25 * x

        return cr.fori_loop(0, length, body, (a, b, a))

    for made in (cr.jit(turns)(a, b), cr.jit(turns, donate_argnums=(0, 1))(a.copy(), b.copy())):
        for one, other in zip(made, turns(a, b), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)


def test_a_large_state_within_a_loop_that_has_it_too():
    a, b = np.random.default_rng(0).normal(size=(2, 200, 150))

    def nested(a, b, outer, inner):
        def body(state):
            x, y, k = state
            x, y, _ = cr.while_loop(
                lambda now: now[2] < inner,
                lambda now: (now[1], now[0] * 0.5, now[2] + 1),
                (x, y, 0),
            )
            return x + 1.0, y, k + 1

        return cr.while_loop(lambda state: state[2] < outer, body, (a, b, 0))

    compiled = cr.jit(nested)
    for outer, inner in ((0, 1), (1, 0), (1, 1), (3, 2), (2, 3)):
        for one, other in zip(
            compiled(a, b, outer, inner), nested(a, b, outer, inner), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-13, atol=1e-13)
