"""Points without a value: a gradient there is an error, not a number."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr

pytestmark = pytest.mark.filterwarnings("ignore:invalid value")

V = np.array([1.0, -2.0, 3.0])


def model(x, scale=1.0):
    chosen = np.where(x > 0, 1.0, np.sqrt(x))  # its NaN reaches nothing
    return np.sum(np.log(x * scale)) + 0.0 * np.nansum(chosen)


def text(call):
    with pytest.raises(cr.DomainError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("grad", lambda: cr.grad(model)(V)),
        ("grad", lambda: cr.value_and_grad(model)(V)),
        ("grad", lambda: cr.grad(lambda x: (model(x), x), has_aux=True)(V)),
        ("hessian", lambda: cr.hessian(model)(V)),
        ("hvp", lambda: cr.hvp(model, (V,), (np.ones(3),))),
        ("check_grads", lambda: cr.check_grads(model, (V,))),
    ],
)
def test_the_operation_and_its_line_are_named(name, call):
    assert text(call) == (
        f"""{name}: the function has no value at this point
  returned: nan
  made by:  log of [ 1. -2.  3.]
  where:    test_domain.py:{model.__code__.co_firstlineno + 2} in model
  fix:      keep to numbers that log has a value for: np.where(x > 0, x, 1.0) and the like;
            or use cr.jvp or cr.vjp, which return NaN as NumPy does"""
    )


def test_inside_loops():
    def unrolled(x):
        for _ in range(3):
            x = np.sqrt(x - 1)
        return x

    assert "sqrt of -1.0" in text(lambda: cr.grad(unrolled)(2.0))

    def scanned(x):
        return cr.scan(lambda c, _: (np.sqrt(c - 1), c), x, np.arange(3))[0]

    assert "sqrt of -1.0" in text(lambda: cr.grad(scanned)(2.0))


def test_an_argument_that_is_nan_already():
    assert "NaN already: argument 0\n" in text(lambda: cr.grad(model)(np.array([1.0, np.nan])))
    assert "NaN already: scale\n" in text(lambda: cr.grad(model)(np.ones(2), scale=np.nan))
    assert "NaN already: argument 0['a']\n" in text(
        lambda: cr.grad(lambda p: p["a"] + p["b"])({"a": np.nan, "b": 1.0})
    )


def test_nan_from_outside_the_trace():
    assert "NaN comes from an array outside" in text(lambda: cr.grad(lambda x: x * np.nan)(1.0))


def test_check_grads_of_arrays():
    shown = text(lambda: cr.check_grads(np.log, (np.array([1.0, -1.0]),)))
    assert "returned: an array with NaN in it" in shown


def test_nan_goes_on_inside_other_transformations():
    two = np.array([-1.0, 2.0])
    np.testing.assert_array_equal(cr.vmap(cr.grad(np.log))(two), 1 / two)
    assert cr.jit(cr.grad(np.log))(-1.0) == -1.0
    assert cr.grad(cr.grad(np.log))(-1.0) == -1.0
    assert np.isnan(cr.jvp(np.log, (-1.0,), (1.0,))[0])
    assert np.isnan(cr.vjp(np.log, -1.0)[0])


def test_auxiliary_nan_is_no_concern():
    gradient, aux = cr.grad(lambda x: (x**2, np.log(x)), has_aux=True)(-1.0)
    assert gradient == -2.0
    assert np.isnan(aux)


def test_nan_that_is_left_out():
    np.testing.assert_array_equal(cr.grad(np.nansum)(np.array([1.0, np.nan])), [1.0, 0.0])
    np.testing.assert_array_equal(cr.hessian(lambda x: np.log(x))(np.array([-1.0]))[0, 0, 0], -1.0)
