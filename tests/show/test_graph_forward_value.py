"""ForwardValue: the lecture's forward mode by operator overloading."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr

Value = cr.ForwardValue


class square(Value):
    def func(self, x):
        return x * x

    def grads(self, x):
        return (2 * x,)


def test_a_declared_variable():
    x = Value(2.0)
    assert x.value == 2.0
    assert x.forward_grads == {x: 1}
    assert x.parent_values == (2.0,)


def test_the_lectures_loss():
    w, x = Value(1.0), Value(2.0)
    a = x**2
    b = w * a
    c = 1 / (1 + np.exp(-b))
    L = -np.log(c)
    assert math.isclose(L.value, 0.01814992791780974)
    assert math.isclose(L.forward_grads[w], -0.07194483984836623)
    assert math.isclose(L.forward_grads[x], -0.07194483984836623)
    assert b.parent_values == (w, a)
    assert b.forward_grads == {w: 4.0, x: 4.0}


def test_an_operation_of_the_users_own():
    x = Value(3.0)
    y = square(square(x))
    assert y.value == 81.0
    assert y.forward_grads[x] == 108.0
    assert square(4.0).value == 16.0
    assert square(4.0).forward_grads == {}


def test_static_methods_will_do():
    class multiply(Value):
        @staticmethod
        def func(x, y):
            return x * y

        @staticmethod
        def grads(x, y):
            return y, x

    x = Value(3.0)
    assert multiply(x, x).forward_grads[x] == 6.0


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x + 2, lambda x: 2 + x, lambda x: x - 2, lambda x: 2 - x, lambda x: 3 * x * x,
        lambda x: x / 3 + 3 / x, lambda x: x**3, lambda x: 2**x, lambda x: x**x, lambda x: -x,
        lambda x: +x, lambda x: abs(-x), np.exp, np.log, np.sin, np.cos, np.tan, np.tanh, np.sqrt,
        np.square, np.log1p, np.expm1, np.arctan, lambda x: np.maximum(x, 1.0) * np.minimum(x, 9.0),
        lambda x: np.float64(2.0) * x, lambda x: np.multiply(x, x), lambda x: np.power(x, 2.0),
    ],
)  # fmt: skip
def test_operations_agree_with_grad(f):
    x = Value(1.3)
    y = f(x)
    assert math.isclose(y.value, f(1.3))
    assert math.isclose(y.forward_grads[x], cr.grad(f)(1.3), rel_tol=1e-12)


def by_hand(t):
    v = Value(t)
    return (np.sin(v) * v * t + t * v).forward_grads[v]


def in_text(t):
    return np.cos(t) * t * t + np.sin(t) * t + t


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: f,
        cr.grad,
        lambda f: cr.grad(cr.grad(f)),
        cr.jit,
        lambda f: cr.jit(cr.grad(f)),
        lambda f: lambda x: cr.vmap(f)(np.array([x, 2 * x])),
        lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1],
    ],
)
def test_inside_every_transformation(transform):
    np.testing.assert_allclose(transform(by_hand)(1.3), transform(in_text)(1.3), rtol=1e-12)


def test_in_a_graph():
    g = cr.graph(by_hand, 1.3)
    np.testing.assert_allclose(g.backward(), cr.grad(in_text)(1.3))


def test_order_goes_by_value_and_sameness_by_identity():
    x, y = Value(1.0), Value(1.0)
    assert x != y
    assert x == x
    assert len({x, y}) == 2
    assert x <= y
    assert not x < y
    assert x < 2
    assert x > 0
    assert (x if x > 0 else -x) is x


def test_errors():
    with pytest.raises(cr.ShapeError, match="a single number"):
        Value([1.0, 2.0])
    with pytest.raises(cr.ArgumentError, match="declares a variable from one plain number"):
        Value(1.0, 2.0)
    with pytest.raises(cr.ArgumentError, match="declares a variable"):
        Value(Value(1.0))
    with pytest.raises(cr.UnsupportedError, match=r"no operation np\.arcsinh"):
        np.arcsinh(Value(1.0))
    with pytest.raises(cr.UnsupportedError, match=r"no operation np\.add\.reduce"):
        np.add.reduce(Value(1.0))

    class short(Value):
        def func(self, x, y):
            return x * y

        def grads(self, x, y):
            return (y,)

    with pytest.raises(cr.ArgumentError, match=r"short\.grads must give one derivative"):
        short(Value(1.0), 2.0)

    class empty(Value):
        pass

    with pytest.raises(cr.ArgumentError, match="empty has no func"):
        empty(Value(1.0))
