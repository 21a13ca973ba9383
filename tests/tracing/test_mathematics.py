"""The functions of Python's `math`, on traced numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr

CASES = {
    "fsum": lambda x: math.fsum([x, 1e16, x * x, -1e16]),
    "fsum of a generator": lambda x: math.fsum(x * k for k in range(4)),
    "dist": lambda x: math.dist([x, 1.0, x], (0.0, 2.0 * x, 3.0)),
    "dist of one": lambda x: math.dist([x], [3.0]),
    "prod": lambda x: math.prod([x, 2.0, x], start=3.0),
    "remainder": lambda x: math.remainder(5.0 * x, x + 0.7),
    "ldexp": lambda x: math.ldexp(x, 3),
    "modf": lambda x: math.modf(x * 3.0)[0],
    "ulp": lambda x: math.ulp(x) + x,
    "isclose": lambda x: x if math.isclose(x, 1.3, rel_tol=1e-3) else -x,
}
if hasattr(math, "sumprod"):
    CASES["sumprod"] = lambda x: math.sumprod([x, 2.0], [x, x])


@pytest.mark.parametrize("name", CASES)
def test_value_and_derivative(name):
    f, x, h = CASES[name], 1.3, 1e-6
    value, slope = cr.value_and_grad(f)(x)
    assert value == pytest.approx(f(x), rel=1e-14)
    if name != "fsum":  # 1e16 leaves differences nothing to see
        assert slope == pytest.approx((f(x + h) - f(x - h)) / (2 * h), rel=1e-6)


def test_fsum_loses_nothing():
    value, slope = cr.value_and_grad(lambda x: math.fsum([x, 1e16, x, -1e16]))(0.25)
    assert (value, slope) == (0.5, 2.0)


@pytest.mark.parametrize("x", [2.5, 3.5, -2.5, 7.0, 0.4, -7.9])
def test_remainder_rounds_half_to_even(x):
    assert cr.value_and_grad(lambda v: math.remainder(v, 1.0))(x)[0] == math.remainder(x, 1.0)


def test_plain_numbers_are_untouched_inside_a_trace():
    def f(x):
        assert math.fsum(iter([0.1] * 10)) == 1.0
        assert math.isclose(1.0, 1.0 + 1e-3, abs_tol=1e-2)
        return x

    assert cr.grad(f)(1.0) == 1.0


def test_frexp_is_refused():
    with pytest.raises(cr.UnsupportedError) as caught:
        cr.grad(lambda x: math.frexp(x)[0])(1.0)
    assert caught.value.problem == "math.frexp can't be traced"
    assert "np.floor(np.log2(np.abs(x)))" in caught.value.fix


@pytest.mark.parametrize("f", [lambda z: math.sin(z), lambda z: math.fsum([z, 1.0])])
def test_complex_numbers_are_refused(f):
    with pytest.raises(cr.DtypeError, match="complex numbers need NumPy's functions"):
        cr.jvp(f, (1.0 + 1.0j,), (1.0j,))


# ---- arrays from outside -------------------------------------------------------------------------

OUTSIDE = np.zeros(3)


def one_entry(x):
    OUTSIDE[0] = x[0]
    return OUTSIDE.sum()


def all_entries(x):
    OUTSIDE[:] = x
    return OUTSIDE.sum()


@pytest.mark.parametrize(("f", "shown"), [(one_entry, "f64"), (all_entries, "f64[3]")])
def test_writing_into_an_array_from_outside(f, shown):
    with pytest.raises(cr.TraceError) as caught:
        cr.grad(f)(np.ones(3))
    assert str(caught.value) == (
        f"""a traced value can't be written into a plain array
  value: {shown}
  where: test_mathematics.py:{f.__code__.co_firstlineno + 1} in {f.__name__}
  fix:   make the array inside the traced function, and as np.zeros(n): functions called by
         a name of their own (from numpy import zeros) make plain arrays"""
    )
    with pytest.raises(cr.TraceError, match="into a plain array"):
        cr.vmap(f)(np.ones((2, 3)))
    assert not OUTSIDE.any()
