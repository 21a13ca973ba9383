"""check_nan looks into loops and branches: the first operation there, and its line."""

import inspect

import numpy as np
import pytest

import chainrule as cr


def scanned(x):
    def body(c, k):
        d = c - k
        return np.log(d), d * 2

    return cr.scan(body, x, np.arange(4.0))


def repeated(x):
    def body(s):
        return s[0] + 1, np.sqrt(s[1] - 2.0)

    return cr.while_loop(lambda s: s[0] < 4, body, (0, x))


def chosen(x):
    return cr.cond(
        x > 0,
        lambda x: np.arccos(x),
        lambda x: x * 1.0,
        x,
    )


def nested(x):
    return cr.fori_loop(0, 3, lambda i, c: repeated(c)[1] + 1.0, x)


def backwards(x):
    def body(c, k):
        return np.sum(np.sqrt(c)) * 0.0 + c, None

    return np.sum(cr.scan(body, x, np.arange(2.0))[0])


def found(f, *args):
    with (
        cr.settings(check_nan=True),
        pytest.raises(cr.DomainError) as caught,
        np.errstate(all="ignore"),
    ):
        cr.jit(f)(*args)
    return str(caught.value)


@pytest.mark.parametrize(
    ("f", "operation", "loop", "code"),
    [
        (scanned, "log", "scan", "np.log(d)"),
        (repeated, "sqrt", "while", "np.sqrt(s[1] - 2.0)"),
        (chosen, "arccos", "cond", "np.arccos(x)"),
        (nested, "sqrt", "while", "np.sqrt(s[1] - 2.0)"),
    ],
)
def test_the_operation_in_the_body_is_named(f, operation, loop, code):
    said = found(f, 2.0)
    source = repeated if f is nested else f
    lines, first = inspect.getsourcelines(source)
    line = first + next(k for k, text in enumerate(lines) if code in text)
    assert f"operation:  {operation}\n" in said
    assert f"where:      test_nan_in_loops.py:{line} in " in said
    assert f"inside:     {loop}, test_nan_in_loops.py:" in said
    assert "direction:  forward" in said


def test_of_a_batch():
    assert "operation:  log\n" in found(cr.vmap(scanned), np.array([9.0, 2.0]))


def test_on_the_way_back():
    said = found(cr.grad(backwards), np.array([1.0, 0.0]))
    assert "direction:  backward" in said
    assert "test_nan_in_loops.py:" in said
    assert "expression: np.sqrt(c)" in said


def test_a_loop_without_any_is_left_alone():
    with cr.settings(check_nan=True):
        assert cr.jit(backwards)(np.ones(3)) == 3.0
        assert cr.jit(chosen)(-2.0) == -2.0
