"""Errors of compiled code are those of the NumPy engine, with the user's line."""

from __future__ import annotations

import gc
import os
import threading

import numpy as np
import pytest

import chainrule as cr
from chainrule.run import engine
from chainrule.run.catching import catching, caught

if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

X = np.arange(5.0)
ONES = np.ones((3, 3))


def put(x, i):
    y = np.array(x)
    y[i] = 1.0
    return y


FAILING = {
    "index": (lambda x, i: x[i] * 2, (X, 7), cr.OutOfBoundsError),
    "indices": (lambda x, i: (x * 2)[i], (X, np.array([0, -6])), cr.OutOfBoundsError),
    "fixed index": (lambda x: x[9], (X,), cr.OutOfBoundsError),
    "take": (lambda x, i: np.take(x, i), (X, np.array([1, 5])), cr.OutOfBoundsError),
    "put": (put, (X, 5), cr.OutOfBoundsError),
    "index in scan": (
        lambda x, i: cr.scan(lambda c, k: (c + x[k], x[k]), 0.0, i),
        (X, np.array([1, 7])),
        cr.OutOfBoundsError,
    ),
    "index in while": (
        lambda x, n: cr.while_loop(
            lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] + x[s[0]]), (0, 0.0)
        ),
        (X, 9),
        cr.OutOfBoundsError,
    ),
    "index in cond": (
        lambda x, i: cr.cond(i > 3, lambda: x[i], lambda: 0.0),
        (X, 7),
        cr.OutOfBoundsError,
    ),
    "solve": (lambda m: np.linalg.solve(m, np.ones(3)), (ONES,), cr.LinearAlgebraError),
    "inverse": (lambda m: np.linalg.inv(m * 2), (ONES,), cr.LinearAlgebraError),
    "cholesky": (lambda m: np.linalg.cholesky(-m), (ONES,), cr.LinearAlgebraError),
    "gradient of solve": (
        cr.grad(lambda m: np.sum(np.linalg.solve(m, np.ones(3)))),
        (ONES,),
        cr.LinearAlgebraError,
    ),
    "solve in scan": (
        lambda m: cr.scan(lambda c, k: (np.linalg.solve(m * k, c), None), np.ones(3), X),
        (ONES,),
        cr.LinearAlgebraError,
    ),
    "quotient of ints": (lambda a, b: a // b, (7, 0), ZeroDivisionError),
    "rest of ints": (lambda a, b: a % b, (7, 0), ZeroDivisionError),
    "mask": (lambda x: x[x > 2], (X,), cr.TraceError),
    "unique": (lambda x: np.unique(x), (X,), cr.UnsupportedError),
    "nonzero": (lambda x: np.nonzero(x), (X,), cr.TraceError),
    "random": (lambda x: x + np.random.normal(size=5), (X,), cr.TraceError),  # noqa: NPY002
}
NAMED = {
    **dict.fromkeys(("mask", "unique", "nonzero"), "np.where"),
    "random": "cr.random",
}


@pytest.mark.parametrize("name", FAILING)
def test_the_error_is_that_of_the_numpy_engine(name):
    f, args, kind = FAILING[name]
    with cr.settings(engine="numpy"), pytest.raises(kind) as wanted:
        cr.jit(f)(*args)
    compiled = cr.jit(f)
    for _ in range(3):
        with pytest.raises(kind) as found:
            compiled(*args)
        assert str(found.value) == str(wanted.value)
        assert f"{os.path.basename(__file__)}:" in str(found.value)
    assert NAMED.get(name, "") in str(wanted.value)


def test_an_error_by_the_shortest_way():
    compiled = cr.jit(lambda x, i: x[i] * 2)
    for _ in range(3):
        np.testing.assert_array_equal(compiled(X, np.array([1, 2])), [2.0, 4.0])
        with pytest.raises(cr.OutOfBoundsError, match="index 5 is out of bounds"):
            compiled(X, np.array([1, 5]))


def test_whole_numbers_divided_by_zero():
    zeros = np.array([3, 0])
    for name, f in {"floor_divide": lambda a: 7 // a, "remainder": lambda a: 7 % a}.items():
        compiled = cr.jit(f)
        for _ in range(3):
            with pytest.warns(RuntimeWarning, match=f"divide by zero encountered in {name}") as w:
                np.testing.assert_array_equal(compiled(zeros), [7 // 3 if "f" in name else 1, 0])
            assert w[0].filename == __file__


def test_results_that_do_not_fit():
    compiled = cr.jit(lambda x: x[::-1] + x)
    compiled(X)
    for wrong, kind in [(np.zeros(4), cr.ShapeError), (np.zeros(5, "f4"), cr.DtypeError)]:
        with pytest.raises(kind):
            compiled(X, out=wrong)
        assert not wrong.any()
    for start in range(4):  # each overlaps what it's made of
        memory = np.arange(12.0)
        wanted = memory[2:7][::-1] + memory[2:7]
        found = compiled(memory[2:7], out=memory[start : start + 5])
        np.testing.assert_array_equal(found, wanted)


def test_memory_that_cannot_be_had():
    def f(x):
        rows = np.repeat(x, 10**6)
        return np.cumsum(rows[:, None] * rows)[-1]

    for name, said in {"llvm": "400,000,0", "numpy": "200,000,000,000,000 bytes"}.items():
        with cr.settings(engine=name), pytest.raises(cr.AllocationError, match=said) as found:
            cr.jit(f)(X)
        assert isinstance(found.value, MemoryError)
    with pytest.raises(MemoryError):
        cr.jit(lambda x: np.outer(np.repeat(x, 10**6), np.repeat(x, 10**6)))(X)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs a folder that can't be written")
def test_a_cache_folder_that_cannot_be_written_warns_once(run_python, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    said = run_python(
        """
        import warnings
        import numpy as np
        import chainrule as cr
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for k in (1.5, 2.5, 3.5):
                print(cr.jit(lambda x: x * k)(np.ones(1))[0])
        print(len(told), told[0].message)
        """,
        CHAINRULE_CACHE=str(blocked / "below"),
    )
    assert said.startswith("1.5\n2.5\n3.5\n1 ")
    assert "below" in said


def test_what_is_raised_in_a_call_back_is_kept_for_its_thread():
    def fails(text):
        raise ValueError(text)

    guarded = catching(fails)
    seen = []

    def elsewhere():
        assert caught() is None
        assert guarded("there") == 1
        seen.append(caught())

    assert guarded("here") == 1
    worker = threading.Thread(target=elsewhere)
    worker.start()
    worker.join()
    error = caught()
    assert (type(error), str(error), str(seen[0])) == (ValueError, "here", "there")
    assert error.__traceback__.tb_frame.f_code is fails.__code__
    assert caught() is None
    assert catching(lambda: 7)() == 7
    assert gc.is_tracked(guarded)  # so that cycles through it are found
