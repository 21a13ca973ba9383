"""Whole numbers divided by zero in loops and branches: told as outside of them, where it is."""

from __future__ import annotations

import inspect
import os
import warnings

import numpy as np
import pytest

import chainrule as cr
from chainrule.run import engine

ENGINES = ["llvm", "numpy"] if engine.available() else ["numpy"]
ROWS = np.array([1, 0, 2])


def quotient(a, b):
    return a // b


def rest(a, b):
    return a % b


def counted(by):
    return lambda n: cr.fori_loop(0, 5, lambda i, c: c + by(10, i - n), 0)


def carried(by):
    return lambda n: cr.scan(lambda c, _: (by(c, n), None), 7, None, length=3)[0]


def awaited(by):
    def f(n):
        body = lambda s: (s[0] + 1, s[1] + by(10, s[0] - n))
        return cr.while_loop(lambda s: s[0] < 5, body, (0, 0))[1]

    return f


def asked(by):
    return lambda n: cr.while_loop(lambda s: by(s, n) < 1, lambda s: s + 1, 0)


def chosen(by):
    return lambda n: cr.cond(n < 3, lambda: by(7, n), lambda: n)


def nested(by):
    def inner(c, n):
        return cr.fori_loop(0, 2, lambda i, d: d + by(i, n), c)

    return lambda n: cr.fori_loop(0, 3, lambda i, c: cr.cond(i > 1, inner, lambda c, n: c, c, n), 0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("by", [quotient, rest])
@pytest.mark.parametrize(
    ("loop", "good", "bad"),
    [
        (counted, 7, 3),
        (carried, 2, 0),
        (awaited, 7, 3),
        (asked, 2, 0),
        (chosen, 2, 0),
        (nested, 2, 0),
    ],
)
def test_of_pythons_numbers_an_error(engine, by, loop, good, bad):
    f = loop(by)
    line = inspect.getsourcelines(by)[1] + 1
    with cr.settings(engine=engine):
        compiled = cr.jit(f)
        for _ in range(2):
            compiled(good)
            with pytest.raises(ZeroDivisionError) as caught:
                compiled(bad)
            assert isinstance(caught.value, cr.DivisionError)
            said = str(caught.value)
            assert "a whole number is divided by zero" in said
            assert f"where: {os.path.basename(__file__)}:{line} in {by.__name__}" in said


@pytest.mark.parametrize("engine", ENGINES)
def test_of_numpys_a_warning(engine):
    def f(xs):
        return cr.scan(lambda c, x: (c + quotient(6, x), c), xs[0], xs)

    line = inspect.getsourcelines(quotient)[1] + 1
    with cr.settings(engine=engine):
        compiled = cr.jit(f)
        last, _ = compiled(ROWS + 1)
        assert last == 2 + 3 + 6 + 2
        with pytest.warns(RuntimeWarning, match="divide by zero encountered in floor_divide") as w:
            last, steps = compiled(ROWS)
        assert last == 1 + 6 + 0 + 3
        np.testing.assert_array_equal(steps, [1, 7, 7])
        assert {(one.filename, one.lineno) for one in w} == {(__file__, line)}
        with np.errstate(divide="ignore"):
            assert compiled(ROWS)[0] == last
        with np.errstate(divide="raise"), pytest.raises(ArithmeticError):
            compiled(ROWS)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_branch_not_taken_says_nothing(engine):
    f = cr.jit(lambda n: cr.cond(n > 0, lambda: 7 // n, lambda: n))
    rows = cr.jit(cr.vmap(lambda n: cr.cond(n > 0, lambda: 7 // n, lambda: n)))
    with cr.settings(engine=engine), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f(0) == 0
        np.testing.assert_array_equal(rows(ROWS), [7, 0, 3])


def test_a_loop_of_constants_waits_for_its_call():
    def f(x):
        return x + cr.fori_loop(0, 3, lambda i, c: c + 1 // (i - 2), 0)

    compiled = cr.jit(f)
    with pytest.raises(cr.DivisionError):
        compiled(1.0)


def powered(c, n):
    return c**n


@pytest.mark.parametrize("engine", ENGINES)
def test_what_numpy_refuses_has_the_line_within_a_loop(engine):
    line = inspect.getsourcelines(powered)[1] + 1
    compiled = cr.jit(lambda x, n: cr.scan(lambda c, k: (powered(c, k), None), x, n)[0])
    with cr.settings(engine=engine):
        assert compiled(np.int64(3), ROWS) == 1
        with pytest.raises(cr.DomainError, match="negative integer powers") as caught:
            compiled(np.int64(3), -ROWS)
    assert f"{os.path.basename(__file__)}:{line} in powered" in str(caught.value)
