"""What compiled code promises of threads, processes and memory."""

from __future__ import annotations

import gc
import os
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.trees import flatten
from chainrule.run import engine

if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

RNG = np.random.default_rng(5)


def normal(*shape, dtype="f8"):
    return RNG.normal(size=shape).astype(dtype)


# ---- the same bits for any number of threads -----------------------------------------------------


@pytest.fixture
def same_bits(agrees):
    """Two runs each with 1, 2 and 4 threads, all equal to the last bit, and right."""

    def same_bits(f, *args):
        compiled = cr.jit(f)
        runs = []
        for threads in (1, 2, 4):
            with cr.settings(threads=threads):
                runs += [flatten(compiled(*args))[0] for _ in range(2)]
        for run in runs:
            assert [a.tobytes() for a in run] == [a.tobytes() for a in runs[0]]
        agrees(f, *args, found=runs[0])

    return same_bits


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("size", [1, 8191, 65537, 524291, 1200001])
def test_bits_of_entries_and_sums(same_bits, size, dtype):
    def f(x):
        return np.tanh(x) * 2 + x, np.sum(x), np.max(x), np.mean(x * x), x[1:] - x[:-1]

    same_bits(f, normal(size, dtype=dtype))


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("shape", [(700, 1031), (3, 200001), (200001, 3), (64, 64, 130)])
def test_bits_of_partial_sums(same_bits, shape, dtype):
    def f(x):
        rows, columns = np.sum(x, axis=-1), np.sum(x, axis=0)
        return rows, columns, np.sum(np.exp(x), axis=(0, 1)), np.var(x, axis=0), np.max(x, 0), x.T

    same_bits(f, normal(*shape, dtype=dtype))


PRODUCTS = [
    *[(1, 1, 1), (3, 5, 7), (8, 8, 8), (17, 33, 9), (31, 100, 257), (1, 300, 300), (300, 300, 1)],
    *[(129, 300, 257), (300, 64, 512), (512, 512, 40)],  # panels, turned operands, split sums
    *[(32, 784, 256), (200, 1000, 200)],  # columns shared out, a panel that isn't full
]


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("sizes", PRODUCTS, ids=str)
def test_bits_of_products(same_bits, sizes, dtype):
    m, k, n = sizes
    a, b = normal(m, k, dtype=dtype), normal(k, n, dtype=dtype)

    def f(a, b, at, bt):
        return a @ b, a @ bt.T, at.T @ b, at.T @ bt.T, np.sum(np.tanh(a @ b + b[0]), axis=0)

    same_bits(f, a, b, a.T.copy(), b.T.copy())


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("sizes", [(3, 17, 9, 33), (40, 8, 8, 8), (5, 64, 100, 31)], ids=str)
def test_bits_of_batched_products(same_bits, sizes, dtype):
    count, m, k, n = sizes
    a, b = normal(count, m, k, dtype=dtype), normal(count, k, n, dtype=dtype)

    def f(a, b):
        rows = cr.vmap(cr.vmap(np.dot, in_axes=(None, 0)), in_axes=(0, None))
        return (
            a @ b,
            cr.vmap(lambda x: x @ b[0])(a),
            cr.vmap(lambda y: a[0] @ y)(b),
            rows(a[0], b[0].T),
        )

    same_bits(f, a, b)


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.parametrize("size", [1000, 100_000, 1_000_003])
def test_bits_of_a_gradient(same_bits, size):
    same_bits(cr.value_and_grad(rosenbrock), normal(size))


def loss(p, x, y):
    w, b, v, c = p
    return np.mean((np.tanh(x @ w + b) @ v + c - y) ** 2)


def epoch(p, xs, ys):
    def step(p, batch):
        value, slope = cr.value_and_grad(loss)(p, *batch)
        return tuple(a - 0.01 * g for a, g in zip(p, slope, strict=True)), value

    return cr.scan(step, p, (xs, ys))


def test_bits_of_training(same_bits):
    p = normal(32, 128) / 10, normal(128), normal(128, 10) / 10, normal(10)
    same_bits(cr.value_and_grad(loss), p, normal(500, 32), normal(500, 10))
    same_bits(epoch, p, normal(5, 200, 32), normal(5, 200, 10))


def test_bits_inside_a_scan(same_bits):
    rows = normal(4, 200_001)
    same_bits(lambda x: cr.scan(lambda c, r: (np.sin(c) + r, np.sum(c)), x[0], x), rows)


# ---- threads of Python, fork, and what is left behind --------------------------------------------


def test_four_python_threads_at_once():
    f = cr.value_and_grad(rosenbrock)
    compiled, again = cr.jit(f), cr.jit(f)
    data = [normal(50_000 + k) for k in range(4)]  # four programs, compiled at once
    wanted = [[a.tobytes() for a in again(x)] for x in data]
    faults = []

    def work(k):
        try:
            for _ in range(50):
                for j in (k, 0):
                    assert [a.tobytes() for a in compiled(data[j])] == wanted[j]
        except BaseException as error:  # told by the test's own thread
            faults.append(error)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert faults == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("way", ["fork", "multiprocessing"])
def test_after_fork(run_python, way):
    said = run_python(
        """
        import multiprocessing, os, sys, warnings
        import numpy as np
        import chainrule as cr
        warnings.simplefilter("ignore")  # Python's own, of threads beside fork
        f = cr.jit(lambda x: (np.sum(np.tanh(x) * x), np.sin(x)))
        x = np.linspace(-1, 1, 2_000_001)
        before = [a.tobytes() for a in f(x)]

        def same(_=0):
            new = cr.jit(lambda x: np.sum(x * x) + 1)(x)
            return [a.tobytes() for a in f(x)] == before and abs(new - 666668.333) < 1

        if sys.argv[1] == "fork":
            child = os.fork()
            if not child:
                os._exit(7 if same() else 8)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7 and same())
        else:
            with multiprocessing.get_context("fork").Pool(2) as processes:
                print(all(processes.map(same, range(4))) and same())
        """,
        way,
        CHAINRULE_THREADS="4",
    )
    assert said.split() == ["True"]


def resident():
    """Bytes of this process that lie in memory."""
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_10000_calls_leave_nothing_behind():
    compiled = cr.jit(lambda x, n: (np.tanh(x) * n, cr.scan(lambda c, v: (c + v, c), n, x)))
    x, out = normal(300), None
    pairs = [(x, 2.0), (x[::-1], 2.0), (np.asfortranarray(x.reshape(-1, 1)).ravel(), 3.0)]
    with cr.settings(threads=2):
        for given in pairs * 50:
            out = compiled(*given)
        gc.collect()
        before = resident()
        tracemalloc.start()
        for k in range(10_000):
            out = compiled(*pairs[k % 3])
        del out
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert grown < 50_000
    assert resident() - before < 8_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_500_compilations_leave_little_behind():
    x = normal(20)

    def compiled(k):
        return cr.jit(lambda x: np.sum(np.tanh(x) * (k + 0.5)))(x)

    before = 0
    for k in range(550):
        if k == 50:
            gc.collect()
            before = resident()
        compiled(k)
    gc.collect()
    # LLVM keeps 5 kB of each for ever.
    assert resident() - before < 500 * 40_000


# ---- any memory ----------------------------------------------------------------------------------


def misaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)
    view = raw[1:].view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


LAYOUTS = {
    "column order": np.asfortranarray,
    "reversed": lambda x: x[::-1, ::-1],
    "every other": lambda x: np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3],
    "misaligned": misaligned,
    "read-only": read_only,
    "big-endian": lambda x: x.astype(x.dtype.newbyteorder(">")),
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "turned": lambda x: x.T,
    "a field": lambda x: np.rec.fromarrays([x, x], names="a,b").a.view(np.ndarray),
    "no rows": lambda x: x[:0],
    "no columns": lambda x: x[:, :0],
}


@pytest.mark.parametrize("dtype", ["f8", "f4", "i4", "u1", "?", "f2", "g", "c16"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_any_memory(name, dtype):
    x = LAYOUTS[name]((RNG.normal(size=(9, 33)) * 5).astype(dtype))

    def f(x):
        return x * x, np.sum(x, axis=0), np.sum(x, axis=1), x.T, x[:, ::-2], np.concatenate([x, x])

    held, bound = x.tobytes(), 1e-2 if dtype == "f2" else 1e-5
    compiled = cr.jit(f)
    for _ in range(3):  # traced; once more; and by the shortest way
        for one, other in zip(compiled(x), f(x), strict=True):
            assert one.dtype == other.dtype.newbyteorder("=")
            np.testing.assert_allclose(
                one.astype("D"), other.astype("D"), rtol=bound, atol=5 * bound
            )
    assert x.tobytes() == held
