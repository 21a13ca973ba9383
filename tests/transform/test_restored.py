"""After a trace, however it ended, NumPy and math are as they were; other threads never notice."""

import math
import subprocess
import sys
import threading

import numpy as np
import pytest

import chainrule as cr

V = np.array([0.3, 0.7, 1.1])


def names():
    """Everything public in the namespaces that a trace touches."""
    return {
        (module.__name__, name): id(getattr(module, name))
        for module in (np, np.linalg, math)
        for name in dir(module)
        if not name.startswith("__")
    }


def fail(x):
    np.zeros(3)[0] = x
    raise RuntimeError("on purpose")


class Own(Exception):
    """Raised by a test."""


TRANSFORMS = {
    "grad": lambda f: cr.grad(f)(1.0),
    "vjp": lambda f: cr.vjp(f, 1.0),
    "jvp": lambda f: cr.jvp(f, (1.0,), (1.0,)),
    "linearize": lambda f: cr.linearize(f, 1.0),
    "vmap": lambda f: cr.vmap(f)(V),
    "jacfwd": lambda f: cr.jacfwd(f)(1.0),
    "hessian": lambda f: cr.hessian(f)(1.0),
    "trace": lambda f: cr.trace(f, 1.0),
    "checkpoint": lambda f: cr.grad(cr.checkpoint(f))(1.0),
    "nested": lambda f: cr.grad(lambda x: cr.grad(lambda y: cr.vmap(f)(V * y)[0])(x))(1.0),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_restored_after_an_error(name):
    before = names()
    for kind in (Own, KeyboardInterrupt, SystemExit):

        def f(x, kind=kind):
            raise kind

        with pytest.raises(kind):
            TRANSFORMS[name](f)
        assert names() == before


@pytest.mark.parametrize("name", TRANSFORMS)
def test_restored_after_success(name):
    before = names()
    TRANSFORMS[name](lambda x: math.sin(x) * np.sum(np.array([x, x])))
    assert names() == before


def test_an_error_inside_a_rule():
    before = names()
    f = cr.custom_jvp(lambda x: x)

    @f.defjvp
    def rule(primals, tangents):
        raise Own

    for transform in ("grad", "jvp", "linearize", "jacfwd"):
        with pytest.raises(Own):
            TRANSFORMS[transform](f)
        assert names() == before


def test_an_error_that_is_caught_inside():
    before = names()

    def f(x):
        try:
            cr.grad(fail)(x)
        except RuntimeError:
            return np.sum(np.array([x, x * x]))

    assert cr.grad(f)(3.0) == 7.0
    assert names() == before


def test_overlapping_traces_on_two_threads():
    before = names()
    inside, leave = threading.Event(), threading.Event()
    found = []

    def first(x):
        inside.set()
        assert leave.wait(10)
        return np.sum(np.array([x, x]))

    thread = threading.Thread(target=lambda: found.append(cr.grad(first)(1.0)))
    thread.start()
    assert inside.wait(10)
    # The other trace is still open while this one begins and ends.
    assert cr.grad(lambda x: np.sum(np.array([x, x, x])))(1.0) == 3.0
    plain = np.zeros(3)
    assert type(plain) is np.ndarray
    assert type(np.array([1.0, 2.0])) is np.ndarray
    leave.set()
    thread.join()
    assert found == [2.0]
    assert names() == before


def test_a_thread_that_never_traces():
    stop = threading.Event()
    wrong = []

    def work():
        while not stop.is_set():
            made = np.zeros(3)
            if type(made) is not np.ndarray or math.sin(0.0) != 0.0 or np.array([1]).sum() != 1:
                wrong.append(made)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(200):
        cr.grad(lambda x: np.sum(np.array([x, math.sin(x)]) * np.ones(2)))(0.5)
    stop.set()
    thread.join()
    assert not wrong


FIRST_IMPORT = """
import sys
import numpy as np
import chainrule as cr

def f(x):
    assert NAME not in sys.modules
    import MODULE
    return USE

assert cr.grad(f)(0.5) == 1.0
assert cr.grad(lambda x: np.array([x, 2 * x]).sum())(0.5) == 3.0
"""


@pytest.mark.parametrize(
    ("module", "use"),
    [
        ("numpy.ma", "x + float(numpy.ma.masked_array([1.0, 2.0], [0, 1]).sum())"),
        ("numpy.ma", "x * numpy.zeros(3).size / 3"),
        ("scipy.signal", "x + scipy.signal.get_window('hann', 4)[0]"),
        ("statistics", "x + statistics.fmean([1.0, 2.0])"),
    ],
)
def test_modules_first_imported_by_a_traced_function(module, use):
    source = FIRST_IMPORT.replace("NAME", repr(module)).replace("MODULE", module)
    source = source.replace("USE", use)
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert not done.returncode, done.stderr


def test_masked_arrays_are_asked_about_without_importing_them():
    source = """
import sys
import numpy as np
import chainrule as cr
assert cr.hessian(cr.checkpoint(lambda x: (x**3).sum()))(np.array([1.0])) == 6.0
assert "numpy.ma" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert not done.returncode, done.stderr
