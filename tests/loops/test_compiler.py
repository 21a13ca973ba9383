"""Random larger programs against the NumPy engine; and no byte outside any buffer is touched."""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.random import default_rng

import chainrule as cr
from chainrule.base.trees import flatten
from chainrule.ops.convolution import convolution
from chainrule.ops.pooling import average_pool, max_pool
from chainrule.optimise.pipeline import optimise
from chainrule.tracing.stage import evaluate, trace_program

engine = pytest.importorskip("chainrule.run.engine")
if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

compile_module = pytest.importorskip("chainrule.run.compile")

# ---- random programs on arrays around the lengths of vectors -------------------------------------

SIZES = (0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 100, 257)
DTYPES = ("f8", "f8", "f4", "i4", "i8", "u1", "?")
MOST = 40_000  # entries
Steps = dict[str, Callable[[np.random.Generator, Any, list[Any]], Any]]
STEPS: Steps = {}


def step(f: Any) -> Any:
    STEPS[f.__name__] = f
    return f


def real(x: Any) -> Any:
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    if dtype == "?":
        return rng.random(shape) < 0.5
    if dtype[0] == "f":
        return rng.uniform(-2, 2, shape).astype(dtype)
    return rng.integers(0 if dtype[0] == "u" else -9, 9, shape).astype(dtype)


def some_shape(rng: np.random.Generator) -> tuple[int, ...]:
    ndim = int(rng.choice(4, p=[0.1, 0.35, 0.4, 0.15]))
    # An empty axis is rare enough to leave something to compute with.
    shape = [int(rng.choice(SIZES[rng.random() > 0.1 :])) for _ in range(ndim)]
    while np.prod(shape) > MOST:
        shape = [max(1, n // 3) for n in shape]
    return tuple(shape)


def some_slice(rng: np.random.Generator, n: int) -> slice:
    by = int(rng.choice([1, 1, 2, 3, -1, -2, -3]))
    low, high = sorted(int(k) for k in rng.integers(0, n + 1, 2))
    if rng.random() < 0.4:
        return slice(None, None, by)
    if by > 0:
        return slice(low, high, by)
    return slice(high - 1, low - 1 if low else None, by) if high > low else slice(0, 0)


def pick(rng: np.random.Generator, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


UNARY: list[Callable[[Any], Any]] = [
    lambda x: np.sin(real(x)), lambda x: np.exp(-np.abs(real(x))), lambda x: np.tanh(real(x)),
    lambda x: x * x, lambda x: x + x, lambda x: np.sqrt(np.abs(real(x)) + 1),
    lambda x: np.floor(real(x) * 3) / 2, lambda x: np.where(x > 0, x, x + x),
    lambda x: np.sign(real(x)), lambda x: x.astype(np.float32), lambda x: x != 0,
    lambda x: (np.clip(real(x), -9, 9) * 3).astype(np.int32), lambda x: np.clip(real(x), -1, 1),
]  # fmt: skip
BINARY: list[Callable[[Any, Any], Any]] = [
    np.add, np.multiply, np.maximum, np.minimum, lambda a, b: a > b, lambda a, b: a == b,
    lambda a, b: np.where(a > b, a, b), lambda a, b: real(a) / (1 + real(b) ** 2),
    lambda a, b: np.logical_and(a > 0, b <= 1), lambda a, b: real(a) - real(b),
]  # fmt: skip


@step
def unary(rng: Any, x: Any, values: list[Any]) -> Any:
    return pick(rng, UNARY)(x)


@step
def binary(rng: Any, x: Any, values: list[Any]) -> Any:
    y, f = pick(rng, values), pick(rng, BINARY)
    try:
        fits = np.prod(np.broadcast_shapes(x.shape, y.shape)) <= MOST
    except ValueError:
        fits = False
    return f(x, y) if fits else f(x, y[(0,) * y.ndim]) if y.size else x


@step
def reduced(rng: Any, x: Any, values: list[Any]) -> Any:
    axis = pick(rng, [None, *range(x.ndim), *([(0, x.ndim - 1)] if x.ndim > 1 else [])])
    given = {"axis": axis, "keepdims": bool(rng.integers(2))}
    if not x.size:
        return np.sum(x, **given)
    kinds: list[Callable[[], Any]] = [
        lambda: np.sum(real(x), **given), lambda: np.sum(x, **given), lambda: np.max(x, **given),
        lambda: np.mean(real(x), **given), lambda: np.min(x, **given),
        lambda: np.any(x > 0, **given), lambda: np.all(x > -1, **given),
    ]  # fmt: skip
    return pick(rng, kinds)()


@step
def turned(rng: Any, x: Any, values: list[Any]) -> Any:
    return np.transpose(x, [int(k) for k in rng.permutation(x.ndim)])


@step
def sliced(rng: Any, x: Any, values: list[Any]) -> Any:
    return x[tuple(some_slice(rng, n) for n in x.shape)]


@step
def padded(rng: Any, x: Any, values: list[Any]) -> Any:
    widths = [(int(a), int(b)) for a, b in rng.integers(0, 4, (x.ndim, 2))]
    return np.pad(x, widths) if widths and x.size < MOST // 4 else x


@step
def joined(rng: Any, x: Any, values: list[Any]) -> Any:
    if not x.ndim or x.size > MOST // 4:
        return np.stack([x, x * x], axis=int(rng.integers(x.ndim + 1)))
    axis = int(rng.integers(x.ndim))
    return np.concatenate([x, np.flip(x, axis), x], axis=axis)


@step
def reshaped(rng: Any, x: Any, values: list[Any]) -> Any:
    return np.reshape(pick(rng, [x, x.T]), pick(rng, [(-1,), (1, x.size), (x.size, 1)]))


@step
def running(rng: Any, x: Any, values: list[Any]) -> Any:
    return np.cumsum(real(x), axis=int(rng.integers(x.ndim))) if x.ndim else x


@step
def gathered(rng: Any, x: Any, values: list[Any]) -> Any:
    if not x.ndim or not len(x):
        return x
    rows = rng.integers(-len(x), len(x), int(rng.choice([1, 5, 8, 17])))
    return x[rows] if x.size // len(x) * len(rows) < MOST else x[rows[:1]]


@step
def rolled(rng: Any, x: Any, values: list[Any]) -> Any:
    return np.roll(x, int(rng.integers(5)), axis=-1) if x.ndim else x


@step
def chained(rng: Any, x: Any, values: list[Any]) -> Any:
    """A chain that is longer than what is written out in one place."""
    for k in range(int(rng.choice([3, 45, 90]))):
        x = real(x) * 0.9 + 0.1 * k if k % 3 else np.sin(real(x))
    return x


@step
def written(rng: Any, x: Any, values: list[Any]) -> Any:
    if not x.size or not x.ndim:
        return x
    x = np.array(x)
    x[tuple(some_slice(rng, n) for n in x.shape)] = 1
    x[0] = x[-1]
    return x


@step
def product(rng: Any, x: Any, values: list[Any]) -> Any:
    if x.ndim != 2 or not x.size:
        return x
    y = real(x) @ real(x).T if len(x) <= 100 else real(x).T @ real(x)
    return y / (1 + np.max(np.abs(y)))


def program(seed: int) -> tuple[Callable[..., Any], list[np.ndarray]]:
    """A function that takes the same steps whenever it's called, and arrays for it."""
    rng = np.random.default_rng(seed)
    arrays = [draw(rng, some_shape(rng), pick(rng, DTYPES)) for _ in range(rng.integers(1, 4))]
    if rng.random() < 0.3:
        arrays = [np.asarray(a, order="F") for a in arrays]
    count, own = int(rng.integers(2, 14)), int(rng.integers(2**31))

    def f(*given: Any) -> Any:
        rng = default_rng(own)  # under a name of its own: NumPy's is refused in compiled functions
        values = list(given)
        for _ in range(count):
            new = STEPS[pick(rng, list(STEPS))](rng, pick(rng, values), values)
            if new.size <= MOST:
                values.append(new)
        # Outputs that are inputs, twice the same, views of each other, constants.
        outs = [values[-1]]
        for _ in range(int(rng.integers(5))):
            v = pick(rng, values)
            outs.append(pick(rng, [v, v, v.T, v[::-1] if v.ndim else v, np.arange(9.0)]))
        return tuple(outs)

    return f, arrays


def check(found: Any, wanted: Any, single: bool) -> None:
    for one, other in zip(found, wanted, strict=True):
        one, other = np.asarray(one), np.asarray(other)
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        if one.dtype.kind != "f":
            # Where float32 rounds otherwise, it may fall on the other side.
            assert np.mean(one != other) < (0.01 if single else 1e-9) if one.size else True
            continue
        bound = 1e-3 if single else 1e-9
        scale = float(np.max(np.abs(other[np.isfinite(other)]), initial=0))
        np.testing.assert_allclose(one, other, rtol=bound, atol=bound * scale)


@pytest.mark.parametrize("seed", range(90))
def test_random_programs(seed: int) -> None:
    f, arrays = program(seed)
    with np.errstate(all="ignore"):
        found = cr.jit(f)(*arrays)
        with cr.settings(engine="numpy"):
            wanted = cr.jit(f)(*arrays)
    check(found, wanted, any(a.dtype == np.float32 for a in arrays))


# ---- buffers between pages that can't be touched -------------------------------------------------

PAGE = mmap.PAGESIZE


class Fenced:
    """Memory with forbidden pages around it: just before it, or just behind its last byte."""

    def __init__(self, size: int, at_end: bool, align: int = 1) -> None:
        c = ctypes.CDLL(None)
        c.mmap.restype = ctypes.c_void_p
        c.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
        c.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        c.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
        self.size = (-(-max(1, size) // PAGE) + 2) * PAGE
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self.start = c.mmap(None, self.size, mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
        last = self.start + self.size - PAGE
        assert c.mprotect(self.start, PAGE, 0) == 0
        assert c.mprotect(last, PAGE, 0) == 0
        self.address = (last - size) // align * align if at_end else self.start + PAGE
        self.unmap = c.munmap

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        size = int(np.prod(shape)) * dtype.itemsize
        if not size:
            return np.empty(shape, dtype)
        memory = (ctypes.c_char * size).from_address(self.address)
        return np.frombuffer(memory, dtype).reshape(shape)

    def close(self) -> None:
        self.unmap(self.start, self.size)


def run_fenced(f: Callable[..., Any], *args: Any, single: bool = False) -> None:
    """Run a program with every buffer in fences; a byte too far ends the process."""
    given, _ = flatten(args)
    with np.errstate(all="ignore"):
        traced = optimise(trace_program(f, *args, values=False))
        wanted = evaluate(traced, *[a if np.ndim(a) else a[()] for a in given])
    executable = compile_module.NativeExecutable(traced)
    inputs = [np.ascontiguousarray(a) for a in (*given, *(a for _, a in traced.captured))]
    for at_end in (True, False):
        for number in (1, 2):
            fences = [Fenced(a.nbytes, at_end) for a in (*inputs, *map(np.asarray, wanted))]
            arrays = [
                fence.array(np.shape(a), np.asarray(a).dtype)
                for fence, a in zip(fences, (*inputs, *wanted), strict=True)
            ]
            for array, value in zip(arrays, inputs, strict=False):
                array[...] = value
            scratch = Fenced(executable.scratch, at_end, 64)
            table = (ctypes.c_void_p * len(fences))(*[fence.address for fence in fences])
            with cr.settings(threads=number):
                words = (scratch.address, *executable.context())
            context = (ctypes.c_void_p * len(words))(*words)
            run = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p)(
                executable.machine.address("run")
            )
            assert run(ctypes.addressof(table), ctypes.addressof(context)) == 0
            for array, value in zip(arrays, inputs, strict=False):
                assert array.tobytes() == value.tobytes()
            check(arrays[len(inputs) :], wanted, single)
            del array, arrays
            for fence in (*fences, scratch):
                fence.close()


fenced = pytest.mark.skipif(sys.platform == "win32", reason="needs mmap")


def accesses(x: Any, y: Any, i: Any) -> Any:
    """Every way to walk through memory: masked tails, steps back, gathers, sums, copies."""
    return (
        x + x * 2, x[:, ::-1] * 1, x[::-2, ::-3] * 2, x[:, 1:] + x[:, :-1], x.T * 1, y[::-1].T + x,
        x[:, i] * 2, x[i % len(x)], np.sum(x, 0), np.sum(x, 1), np.max(x), x @ y, y @ x, x @ x.T,
        np.concatenate([x, x[:, ::-1], x], 1), np.pad(x, 2), np.cumsum(x, 1), np.roll(x, 1, 1),
        np.repeat(x, 2, 1), x > y.T,
    )  # fmt: skip


@fenced
@pytest.mark.parametrize("rows", [1, 3, 8, 17])
@pytest.mark.parametrize("columns", [1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 65, 100])
def test_nothing_outside_is_touched(rows: int, columns: int) -> None:
    rng = np.random.default_rng(columns)
    dtype = pick(rng, ("f8", "f8", "f4", "i4", "u1"))
    x, y = draw(rng, (rows, columns), dtype), draw(rng, (columns, rows), dtype)
    run_fenced(accesses, x, y, rng.integers(-columns, columns, 11), single=dtype == "f4")


LARGE = [
    *[(64, 512, 96), (129, 300, 257), (100, 64, 512), (72, 333, 72), (40, 2048, 64)],
    *[(32, 784, 256), (200, 1000, 203)],
]


@fenced
@pytest.mark.parametrize("sizes", LARGE, ids=str)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_panels_and_turned_copies_stay_inside(sizes: tuple[int, ...], dtype: str) -> None:
    m, k, n = sizes
    rng = np.random.default_rng(3)
    a, b = draw(rng, (m, k), dtype), draw(rng, (k, n), dtype)

    def f(a: Any, b: Any, at: Any, bt: Any) -> Any:
        return a @ b, a @ bt.T, at.T @ b, np.ascontiguousarray(bt.T), np.exp(a) + at.T

    run_fenced(f, a, b, a.T.copy(), b.T.copy(), single=dtype == "f4")


WINDOWS: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 9, 10, 24), (3, 3, 24, 20), {"padding": "same"}),
    ((3, 11, 9, 5), (4, 2, 5, 7), {"strides": (3, 2), "padding": ((2, 1), (0, 3))}),
    ((2, 7, 8, 6), (3, 3, 6, 33), {"padding": ((-1, 0), (2, -2)), "dilation": (1, 2)}),
    ((2, 5, 6, 16), (3, 4, 16, 3), {"input_dilation": (2, 3), "padding": 2}),
    ((2, 8, 9, 32), (3, 3, 16, 18), {"groups": 2, "strides": 2, "padding": 1}),
    ((2, 8, 9, 13), (3, 3, 1, 26), {"groups": 13, "padding": "same"}),
    ((2, 5, 6, 128), (3, 3, 128, 192), {"padding": "same"}),
]


@fenced
@pytest.mark.parametrize("use", WINDOWS, ids=str)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_windows_stay_inside(use: Any, dtype: str) -> None:
    shape, size, options = use
    rng = np.random.default_rng(4)

    def f(x: Any, k: Any) -> Any:
        out, pull = cr.vjp(lambda x, k: convolution(x, k, **options), x, k)
        pooled, back = cr.vjp(lambda x: max_pool(x, (3, 2), strides=2, padding="same"), x)
        return out, *pull(out * 0.01), pooled, *back(pooled), average_pool(x, 2, strides=1)

    run_fenced(f, draw(rng, shape, dtype), draw(rng, size, dtype), single=dtype == "f4")


@fenced
@pytest.mark.parametrize("seed", range(1000, 1025))
def test_random_programs_stay_inside(seed: int) -> None:
    f, arrays = program(seed)
    run_fenced(f, *arrays, single=any(a.dtype == np.float32 for a in arrays))


@fenced
def test_loops_stay_inside() -> None:
    x = np.arange(6.0 * 17).reshape(6, 17) / 99

    def f(x: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            c = cr.fori_loop(0, 3, lambda i, c: c[::-1] * 0.5 + row[i], c)
            return c, (c, np.sum(c), c[::-2])

        return cr.scan(body, x[0], x)

    run_fenced(f, x)
