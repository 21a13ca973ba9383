"""cr.jit gives what the function gives: values, types, trees; for every kind of argument."""

import copy
import dataclasses
import functools
import gc
import inspect
import os
import threading
import weakref
from types import FunctionType

import numpy as np
import pytest

import chainrule as cr
from chainrule.ir.verify import verify
from chainrule.tracing.stage import evaluate


@pytest.fixture(params=["numpy", "llvm"], autouse=True)
def engine(request):
    """Both engines; the second as it is without any settings, when calls go straight to it."""
    if request.param == "llvm":
        yield "llvm"
        return
    with cr.settings(engine="numpy"):
        yield "numpy"


def same(left, right, rtol=1e-13):
    """Equal in type, dtype, shape and (but for rounding) value, through trees."""
    assert type(left) is type(right)
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key in left:
            same(left[key], right[key], rtol)
    elif isinstance(left, (tuple, list)):
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            same(a, b, rtol)
    elif isinstance(left, (np.ndarray, np.generic)):
        assert left.dtype == right.dtype
        np.testing.assert_allclose(left, right, rtol=rtol)
    elif isinstance(left, (int, str, type(None))):
        assert left == right
    else:
        assert left == pytest.approx(right, rel=rtol, nan_ok=True)


def agree(f, *args, rtol=1e-13, **kwargs):
    """The compiled function against the function: traced, once more, and by the shortest way."""
    compiled = cr.jit(f)
    for _ in range(3):
        same(compiled(*args, **kwargs), f(*args, **kwargs), rtol)
    return compiled


X = np.array([0.5, -1.5, 2.0])
M = np.arange(6.0).reshape(2, 3)

# ---- results have the function's own types -------------------------------------------------------


@pytest.mark.parametrize(
    "x", [2.0, np.float64(2.0), np.float32(2.0), np.array(2.0), X, 2, np.int8(2), 1j]
)
@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * x + 1,
        lambda x: np.sin(x) * x,
        lambda x: x,
        lambda x: 2 * x,
        lambda x: x / 2,
        lambda x: np.sum(x),
        lambda x: np.reshape(x, (-1,)),
        lambda x: -x,
    ],
)
def test_numbers_keep_their_type(f, x):
    agree(f, x, rtol=1e-6 if x is not X and np.dtype(type(x)) == np.float32 else 1e-13)


def test_booleans():
    agree(lambda x: np.logical_not(x), True)
    agree(lambda x: np.logical_not(x), np.array([True, False]))
    agree(lambda x: x, True)
    agree(lambda x: x > 0, X)
    agree(lambda x: x > 0, 1.0, rtol=0)


def test_python_numbers_stay_weak():
    f32 = np.ones(3, np.float32)
    agree(lambda n, x: n * x, 2.5, f32)
    agree(lambda n, x: (n * n) * x, 2.5, f32)
    agree(lambda n, x: np.float64(n) * x if isinstance(n, float) else n * x, np.float64(2.5), f32)
    agree(lambda n, x: n + x, 2, np.arange(3, dtype=np.int8))
    agree(lambda n: n // 2, 7)
    agree(lambda n: n % 2, 7)
    agree(lambda n: n**2, 7)


def test_arrays_without_axes_and_numbers_are_told_apart():
    agree(lambda x: np.reshape(x, ()), np.ones(1))
    agree(lambda x: x[0], X)
    agree(lambda x: np.squeeze(x), np.ones((1, 1)))
    agree(lambda x: np.where(x > 0, x, 1.0), 2.0)
    agree(lambda x: np.sum(x, axis=0), X)


def test_trees_in_and_out():
    @dataclasses.dataclass
    class Point:
        x: object
        y: object

    tree = {"a": [X, 2.0], "b": (M, {"c": 1.5})}
    agree(lambda t: {"sum": np.sum(t["b"][0]) + t["a"][1], "rest": [t["a"][0] * 2, None]}, tree)
    compiled = cr.jit(lambda p: Point(p.x * 2, p.y + p.x))
    result = compiled(Point(1.0, X))
    assert isinstance(result, Point)
    same(result.y, X + 1.0)
    agree(lambda: X * 2)
    agree(lambda x: (), X)


def test_what_is_no_number_passes_through():
    agree(lambda x, name: (x * 2, name, None), X, "text")
    agree(lambda x, g: g(x) + 1, X, np.sin)
    agree(lambda x, flag: x if flag else 2 * x, X, "yes")


def test_keywords_and_defaults():
    def f(x, y=2.0, *, z=3.0):
        return x * y + z

    agree(f, X)
    agree(f, X, 4.0)
    agree(f, X, y=4.0)
    agree(f, X, z=X)
    agree(f, y=1.5, x=X)


def test_constants_and_arguments_handed_on_are_copies():
    compiled = cr.jit(lambda x: (x, np.ones(3), x))
    a, ones, b = compiled(X)
    assert not np.shares_memory(a, X)
    assert not np.shares_memory(a, b)
    ones[:] = 7
    same(compiled(X)[1], np.ones(3))


# ---- memory --------------------------------------------------------------------------------------


def _misaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)
    view = raw[1:].view(x.dtype)[: x.size].reshape(x.shape)
    view[...] = x
    return view


@pytest.mark.parametrize(
    "change",
    [
        np.asfortranarray,
        lambda x: x[::-1],
        lambda x: x[:, ::2],
        lambda x: x.astype(">f8"),
        lambda x: np.broadcast_to(x[:1], (4, 5)),
        _misaligned,
        lambda x: x[:0],
        lambda x: x.T,
        lambda x: x.view(type("Mine", (np.ndarray,), {})),
    ],
)
def test_any_memory_is_read_right(change):
    x = change(np.arange(20.0).reshape(4, 5))
    f = lambda x: (np.exp(-x) + 2 * x, np.sum(x, axis=0), x.T)
    plain = np.array(x, dtype=float)
    compiled = cr.jit(f)
    for left, right in zip(compiled(x), f(plain), strict=True):
        same(left, np.array(right))
    read_only = np.array(plain)
    read_only.flags.writeable = False
    same(compiled(read_only)[0], f(plain)[0])


@pytest.mark.parametrize("dtype", ["e", "g", "G", "f", "d", "F", "D", "b", "H", "q", "?"])
def test_any_dtype(dtype):
    x = np.array([1, 0, 2], dtype)
    rtol = {"e": 1e-3, "f": 1e-6, "F": 1e-6}.get(dtype, 1e-13)
    agree(lambda x: x + x, x, rtol=rtol)
    agree(lambda x: np.sum(x), x, rtol=rtol)


def test_what_is_no_number_is_refused():
    compiled = cr.jit(lambda x: x)
    for x in (np.array(["a"]), np.array([None]), np.array(["2020"], "M8[Y]")):
        with pytest.raises(cr.DtypeError, match="only arrays of numbers can be compiled"):
            compiled(x)
    with pytest.raises(cr.DtypeError, match="masked"):
        compiled(np.ma.masked_array([1.0], [True]))
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.matrix([[1.0]])
    with pytest.raises(cr.DtypeError, match=r"np\.matrix"):
        compiled(matrix)


def test_integers_too_large_for_numpy_run_uncompiled():
    agree(lambda n: n * 2, 10**30)


# ---- one program per kind of call ----------------------------------------------------------------


def counted(f):
    """The compiled function, and a list that grows whenever it's traced."""
    traces = []

    @functools.wraps(f)
    def noted(*args, **kwargs):
        traces.append(1)
        return f(*args, **kwargs)

    return cr.jit(noted), traces


def test_a_function_is_traced_once_per_kind_of_arguments():
    f, traces = counted(lambda x: x * 2)
    for x in (X, X + 1, X[::-1], X.astype(">f8")):
        f(x)
    assert len(traces) == 1
    for x in (np.ones(4), X.astype(np.float32), 1.0, np.float64(1.0), [1.0], (1.0,)):
        f(x) if not isinstance(x, (list, tuple)) else None
    assert len(traces) == 5
    f.clear()
    f(X)
    assert len(traces) == 6


def test_static_arguments_are_part_of_the_function():
    def power(x, n):
        for _ in range(n - 1):
            x = x * x
        return x

    f = cr.jit(power, static_argnums=1)
    for n in (1, 2, 3, 2):
        same(f(X, n), power(X, n))
        same(f(X, n=n), power(X, n))
    assert f.program(X, 3).name == "power"
    g = cr.jit(lambda x, n: x * n, static_argnums=-1)
    same(g(X, 2), X * 2)
    same(g(X.astype(np.float32), 2.0), X.astype(np.float32) * 2.0)
    same(g(X.astype(np.float32), np.float64(2.0)), X.astype(np.float32) * np.float64(2.0))


def test_static_arguments_that_are_equal_but_not_the_same():
    g = cr.jit(lambda x, n: (x, n), static_argnums=(1,))
    for n in (1, 1.0, True, 0.0, -0.0, (1, 2), (1.0, 2)):
        result = g(X, n)[1]
        assert repr(result) == repr(n)


def test_an_argument_that_cannot_be_hashed_is_no_static_one():
    f = cr.jit(lambda x, n: x, static_argnums=1)
    with pytest.raises(cr.ArgumentError, match="a static argument must be hashable"):
        f(X, [1, 2])
    with pytest.raises(cr.ArgumentError, match="static_argnums is a position"):
        cr.jit(lambda x: x, static_argnums="x")


def test_it_stays_the_function_it_was():
    def f(x, y=1.0):
        """What it does."""
        return x * y

    compiled = cr.jit(f)
    assert compiled.__name__ == "f"
    assert compiled.__doc__ == "What it does."
    assert compiled.__wrapped__ is f
    assert str(inspect.signature(compiled)) == "(x, y=1.0)"
    assert weakref.ref(compiled)() is compiled
    assert callable(cr.jit(functools.partial(f, y=2.0)))
    same(cr.jit(functools.partial(f, y=2.0))(X), X * 2)


@cr.jit
def module_level(x):
    return x * 2


def test_copies_and_pickles_as_functions_do():
    assert copy.copy(module_level) is module_level
    assert copy.deepcopy([module_level])[0] is module_level
    name = module_level.__reduce__()
    assert name == "module_level"
    model = Model(2.0)
    model.apply(X)
    other = copy.deepcopy(model)
    other.rate = 5.0
    same(other.apply(X), 10 * X)
    same(model.apply(X), 4 * X)


def test_programs_run_by_themselves():
    f = cr.jit(lambda x, p: {"a": x * p["b"], "c": x, "d": 1})
    program = f.program(X, {"b": 2.0})
    assert [var.label for var in program.inputs] == ["x", "p['b']"]
    assert verify(program) is program
    same(evaluate(program, X, 2.0)[0], X * 2.0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_child_goes_on():
    f = cr.jit(lambda x: np.sum(np.sin(x) * x))
    expected = [np.sum(np.sin(x) * x) for x in (X, M)]
    assert np.isclose(f(X), expected[0])
    child = os.fork()
    if not child:
        fine = np.isclose(f(X), expected[0]) and np.isclose(f(M), expected[1])
        os._exit(0 if fine else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_programs_and_their_text():
    f = cr.jit(lambda x: np.sin(x) + np.sin(x))
    assert [e.primitive.name for e in f.program(X).equations] == ["sin", "add"]
    assert "sin" in str(f.program(X))


def test_llvm_text(engine):
    f = cr.jit(lambda x: x + 1.0)
    assert "define" in f.llvm(X)
    with pytest.raises(cr.UnsupportedError, match="NumPy engine"):
        f.llvm(X.astype(np.float16))


# ---- methods -------------------------------------------------------------------------------------


class Model:
    scale = 2.0

    def __init__(self, rate):
        self.rate = rate
        self.weights = np.ones(3)

    @cr.jit
    def apply(self, x):
        return self.rate * x * self.weights * self.scale

    @functools.partial(cr.jit, static_argnums=2)
    def repeated(self, x, n):
        return sum(x * self.rate for _ in range(n))

    @staticmethod
    @cr.jit
    def plain(x):
        return x * 3


def test_methods():
    slow, fast = Model(1.0), Model(10.0)
    same(slow.apply(X), 2 * X)
    same(fast.apply(X), 20 * X)
    same(slow.apply(X), 2 * X)
    same(slow.repeated(X, 3), 3 * X)
    same(fast.repeated(X, 2), 20 * X)
    same(Model.plain(X), 3 * X)
    same(Model.apply(slow, X), 2 * X)


def test_methods_follow_what_they_read_of_self():
    model = Model(1.0)
    model.apply(X)
    model.rate = 3.0
    same(model.apply(X), 6 * X)
    model.weights[0] = 0.0
    same(model.apply(X), 6 * X * [0, 1, 1])
    model.weights = np.full(3, 2.0)
    same(model.apply(X), 12 * X)
    model.scale = 1.0
    same(model.apply(X), 6 * X)


def test_instances_are_not_kept_alive():
    model = Model(1.0)
    model.apply(X)
    alive = weakref.ref(model)
    del model
    gc.collect()
    assert alive() is None


# ---- out= ----------------------------------------------------------------------------------------


def test_results_are_written_into_given_arrays():
    f = cr.jit(lambda x: x * 2)
    out = np.empty(3)
    assert f(X, out=out) is out
    same(out, X * 2)
    backwards = np.empty(3)[::-1]
    same(np.array(f(X, out=backwards)), X * 2)
    swapped = np.empty(3, ">f8")
    with pytest.raises(cr.DtypeError, match="another dtype"):
        f(X, out=swapped)


def test_trees_of_results_are_written():
    f = cr.jit(lambda x: {"a": x * 2, "b": (np.sum(x), x)})
    out = {"a": np.empty(3), "b": (np.empty(()), np.empty(3))}
    assert f(X, out=out) is out
    same(out["a"], X * 2)
    same(out["b"], (np.array(np.sum(X)), X))


def test_an_array_that_overlaps_an_argument_is_written_last():
    f = cr.jit(lambda x: x[::-1] + np.sum(x))
    x = X.copy()
    expected = f(X)
    assert f(x, out=x) is x
    same(x, expected)
    row = np.arange(6.0)
    expected = row[:-1][::-1] + np.sum(row[:-1])
    f(row[:-1], out=row[1:])
    same(row[1:], expected)


W = np.arange(3.0)


def test_an_array_that_overlaps_a_captured_one_is_written_last():
    f = cr.jit(lambda x: W[::-1] * x)
    expected = W[::-1] * X
    f(X, out=W)
    same(W, expected)


def test_two_results_in_one_memory_are_refused():
    f = cr.jit(lambda x: (x * 2, x * 3))
    memory = np.empty(4)
    with pytest.raises(cr.ArgumentError, match="share memory"):
        f(X, out=(memory[:3], memory[1:]))


def test_out_that_does_not_fit_is_refused():
    f = cr.jit(lambda x: x * 2)
    with pytest.raises(cr.ShapeError, match="another shape"):
        f(X, out=np.empty(4))
    with pytest.raises(cr.DtypeError, match="another dtype"):
        f(X, out=np.empty(3, np.float32))
    with pytest.raises(cr.ArgumentError, match="tree"):
        f(X, out=(np.empty(3),))
    with pytest.raises(cr.ArgumentError, match="takes arrays"):
        f(X, out=1.0)
    read_only = np.empty(3)
    read_only.flags.writeable = False
    with pytest.raises(cr.ArgumentError, match="read-only"):
        f(X, out=read_only)
    with pytest.raises(cr.ArgumentError, match="another transformation"):
        cr.grad(lambda x: np.sum(f(x, out=np.empty(3))))(X)


def test_donated_arguments():
    f = cr.jit(lambda w, g: w - g, donate_argnums=0)
    same(f(X.copy(), X), X - X)


# ---- threads and memory --------------------------------------------------------------------------


def test_several_threads_compile_and_call_at_once(engine):
    f = cr.jit(lambda x: np.sum(np.sin(x) * x))
    wrong = []

    def work(k):
        for n in range(1, 6):
            x = np.full(n, 0.1 * k)
            if not np.isclose(f(x), n * np.sin(0.1 * k) * 0.1 * k):
                wrong.append((k, n))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_the_collector_rests_while_compiling_only():
    seen = []

    def f(x):
        seen.append(gc.isenabled())
        if len(seen) > 1:
            raise ValueError("a fault of the function")
        return x + 1.0

    assert gc.isenabled()
    cr.jit(f)(1.0)
    assert gc.isenabled()
    with pytest.raises(ValueError, match="a fault"):
        cr.jit(f)(2)
    assert gc.isenabled()
    gc.disable()
    try:
        cr.jit(lambda x: x + 2.0)(1.0)
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert seen == [False, False]


def test_a_name_that_changes_between_calls():
    scope = {"np": np, "rate": 2.0, "other": 0}
    function = (lambda x: np.sin(x) * rate).__code__  # noqa: F821
    compiled = cr.jit(FunctionType(function, scope))
    for value in (2.0, 2.0, 2.0, 3.0, 3.0, 2.0, 2.0):
        scope["rate"] = value
        assert compiled(1.0) == pytest.approx(np.sin(1.0) * value)
        scope["other"] += 1  # what isn't read may change
        assert compiled(1.0) == pytest.approx(np.sin(1.0) * value)


def test_calls_leave_nothing_behind():
    f = cr.jit(lambda x, y: {"a": x * y, "b": np.sum(x)})
    f(X, 2.0)
    gc.collect()
    before = len(gc.get_objects())
    for k in range(10_000):
        f(X, float(k))
    gc.collect()
    assert len(gc.get_objects()) < before + 100


def test_traces_leave_nothing_behind():
    def once(k):
        weight = np.ones(3)
        return cr.jit(lambda x: x * weight + k)(X)

    with cr.settings(engine="numpy"):
        for k in range(20):
            once(k)
        gc.collect()
        before = len(gc.get_objects())
        for k in range(500):
            once(k)
        gc.collect()
        assert len(gc.get_objects()) < before + 2000


def test_a_value_that_keeps_changing_does_not_fill_memory():
    rate = 0.0
    f = cr.jit(lambda x: x * rate)
    with cr.settings(engine="numpy"):
        for k in range(40):
            rate = float(k)
            same(f(X), X * rate)
    assert sum(map(len, f._cache.variants.values())) <= 8
