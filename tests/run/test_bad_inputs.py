"""The same refusal from wherever: loops, branches, batches, derivatives; any number of threads."""

from __future__ import annotations

import os

import numpy as np
import pytest

import chainrule as cr
from chainrule.run import engine

if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

X = np.arange(5.0)
ONES = np.ones((3, 3))


def at(x, i):
    return x[i] * 2


def solved(m):
    return np.linalg.solve(m, np.ones(3))


def rooted(m):
    return np.linalg.cholesky(-m)


def divided(a, b):
    return a // b


OPERATIONS = {
    "index": (at, (X, 7), cr.OutOfBoundsError),
    "indices": (at, (X, np.array([1, 5])), cr.OutOfBoundsError),
    "solve": (solved, (ONES,), cr.LinearAlgebraError),
    "cholesky": (rooted, (ONES,), cr.LinearAlgebraError),
    "division": (divided, (7, 0), ZeroDivisionError),
}


def scanned(f):
    def loop(*args):
        return cr.scan(lambda c, k: (c + k * np.sum(f(*args)), None), 0.0, X[:3])[0]

    return loop


def repeated(f):
    def loop(*args):
        step = lambda s: (s[0] + 1, s[1] + np.sum(f(*args)))
        return cr.while_loop(lambda s: s[0] < 3, step, (0, 0.0))[1]

    return loop


def chosen(f):
    return lambda *args: cr.cond(np.sum(args[0]) > -9, lambda: 1.0 * np.sum(f(*args)), lambda: 0.0)


def derived(f):
    return lambda x, *rest: cr.grad(lambda x: np.sum(f(x, *rest)))(x)


def pushed(f):
    return lambda x, *rest: cr.jvp(lambda x: f(x, *rest), (x,), (x,))


def batched(f):
    def batch(x, *rest):
        rows = np.stack([x, x]) if np.ndim(x) else np.array([x, x])
        return cr.vmap(lambda x: f(x, *rest))(rows)

    return batch


AROUND = {
    "alone": (),
    "scan": (scanned,),
    "while": (repeated,),
    "cond": (chosen,),
    "vmap": (batched,),
    "vmap of scan": (scanned, batched),
    "scan of cond": (chosen, scanned),
    "grad": (derived,),
    "jvp": (pushed,),
    "grad of scan": (scanned, derived),
    "grad of while": (repeated, derived),
    "vmap of grad": (derived, batched),
    "grad of vmap": (batched, derived),
}
CASES = [
    (name, around)
    for name in OPERATIONS
    for around in AROUND
    if name != "division" or not any(way in around for way in ("grad", "jvp", "vmap"))
]


@pytest.mark.parametrize(("name", "around"), CASES)
def test_an_error_of_its_own_kind_with_its_line(name, around):
    f, args, kind = OPERATIONS[name]
    for wrap in AROUND[around]:
        f = wrap(f)
    said = set()
    for which, threads in (("numpy", 1), ("llvm", 1), ("llvm", 2), ("llvm", 4)):
        with cr.settings(engine=which, threads=threads):
            compiled = cr.jit(f)
            for _ in range(3):  # by ctypes, and by machine code
                with pytest.raises(kind) as caught:
                    compiled(*args)
                assert isinstance(caught.value, cr.ChainruleError)
                said.add(str(caught.value))
    (text,) = said
    assert f"{os.path.basename(__file__)}:" in text


# ---- out= ----------------------------------------------------------------------------------------


LAYOUTS = {
    "column order": lambda s, d: np.full(s, 7, d, order="F"),
    "reversed": lambda s, d: np.full(s, 7, d)[::-1, ::-1],
    "every other": lambda s, d: np.full((2 * s[0], 3 * s[1]), 7, d)[::2, 1::3],
    "turned": lambda s, d: np.full(s[::-1], 7, d).T,
    "misaligned": lambda s, d: misaligned(s, d),
    "a field": lambda s, d: np.zeros(s, [("a", "u1"), ("b", d)])["b"],
    "subclass": lambda s, d: np.full(s, 7, d).view(type("Mine", (np.ndarray,), {})),
    "mapped": lambda s, d: np.full(s, 7, d).view(np.memmap),
}


def misaligned(shape, dtype):
    raw = np.zeros(int(np.prod(shape)) * np.dtype(dtype).itemsize + 1, np.uint8)
    return raw[1:].view(dtype).reshape(shape)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "u1", "c16"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_any_memory_is_written_right(name, dtype, threads):
    x = (np.arange(9 * 33).reshape(9, 33) % 13).astype(dtype)
    compiled = cr.jit(lambda x: x * x + x)
    out = LAYOUTS[name](x.shape, dtype)
    base = out.base if isinstance(out.base, np.ndarray) and out.base.dtype == out.dtype else None
    with cr.settings(threads=threads):
        for _ in range(3):
            assert compiled(x, out=out) is out
            np.testing.assert_array_equal(np.asarray(out), x * x + x)
    if name == "every other":  # nothing beside it
        assert np.count_nonzero(base == 7) >= base.size - out.size


@pytest.mark.parametrize("threads", [1, 2])
def test_memory_that_is_written_is_read_first(threads):
    n = 50_000
    compiled = cr.jit(lambda x: np.cumsum(x[::-1]))
    with cr.settings(threads=threads):
        for off in (0, 1, -3, 50, n - 1, n):
            memory = np.arange(3.0 * n)
            given = memory[n : 2 * n]
            wanted = np.cumsum(given[::-1])
            for _ in range(3):
                memory[:] = np.arange(3.0 * n)
                found = compiled(given, out=memory[n + off : 2 * n + off])
                np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "out",
    [
        np.lib.stride_tricks.as_strided(np.zeros(1), (3, 4), (0, 0)),
        np.lib.stride_tricks.as_strided(np.zeros(8), (3, 4), (8, 8)),
        np.lib.stride_tricks.as_strided(np.zeros(16), (3, 4), (32, 4)),
        np.lib.stride_tricks.sliding_window_view(np.zeros(6), 4, writeable=True),
    ],
)
def test_entries_of_out_in_one_place_are_refused(out, threads):
    compiled = cr.jit(lambda x: x * 2)
    with cr.settings(threads=threads):
        for _ in range(3):
            with pytest.raises(cr.ArgumentError) as caught:
                compiled(np.ones((3, 4)), out=out)
            assert not out.any()
    line = caught.traceback[0].lineno + 1
    assert str(caught.value) == (
        f"""jit: several entries of an array of out= lie in one place
  result: f64[3, 4]
  out:    f64[3, 4]
  where:  {os.path.basename(__file__)}:{line} in test_entries_of_out_in_one_place_are_refused
  fix:    give one whose entries have memory of their own, such as np.empty_like makes"""
    )


@pytest.mark.parametrize("shape", [(1, 4), (0, 4)])
def test_steps_along_axes_that_are_not_walked_do_not_matter(shape):
    out = np.lib.stride_tricks.as_strided(np.zeros(4), shape, (0, 8))
    found = cr.jit(lambda x: x * 2)(np.ones(shape), out=out)
    assert found is out
    assert (out == 2).all()
