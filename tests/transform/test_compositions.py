"""Every transformation inside every other, three deep, against derivatives in closed form.

Each transformation is written as a map of functions that raises the order of the derivative by a
known number, on scalars and on vectors. So a nest of them has a known answer.
"""

import itertools

import numpy as np
import pytest
import sympy

import chainrule as cr

X = 0.7
DIRECTION = np.array([0.5, -1.0, 2.0])
WEIGHTS = np.array([0.3, 0.7, -0.4])
POINT = np.array([0.2, -0.6, 1.1])


# ---- functions with known derivatives of every order --------------------------------------------


def scalar(x):
    return np.sin(x) * np.exp(0.5 * x)


def scalar_derivatives(orders):
    x = sympy.Symbol("x")
    f = sympy.sin(x) * sympy.exp(x / 2)
    return [float(f.diff(x, k).subs(x, X)) for k in range(orders)]


def vector(x):
    """Its Jacobian is symmetric, in every order, so that rows and columns agree."""
    return WEIGHTS * np.sin(np.sum(WEIGHTS * x))


def vector_derivative(order):
    angle = WEIGHTS @ POINT + order * np.pi / 2
    return WEIGHTS * (WEIGHTS @ DIRECTION) ** order * np.sin(angle)


# ---- transformations of scalar functions: (order raised by, function → function) ----------------


def _own_jvp(f):
    g = cr.custom_jvp(f)

    @g.defjvp
    def rule(primals, tangents):
        return cr.jvp(f, primals, tangents)

    return g


def _own_vjp(f):
    g = cr.custom_vjp(f)

    def fwd(x):
        return f(x), x

    def bwd(x, ct):
        return cr.vjp(f, x)[1](ct)

    g.defvjp(fwd, bwd)
    return g


SCALAR = {
    "grad": (1, lambda f: cr.grad(f)),
    "value_and_grad": (1, lambda f: lambda x: cr.value_and_grad(f)(x)[1]),
    "jvp": (1, lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1]),
    "vjp": (1, lambda f: lambda x: cr.vjp(f, x)[1](1.0)[0]),
    "linearize": (1, lambda f: lambda x: cr.linearize(f, x)[1](1.0)),
    "jacfwd": (1, lambda f: cr.jacfwd(f)),
    "jacrev": (1, lambda f: cr.jacrev(f)),
    "hessian": (2, lambda f: cr.hessian(f)),
    "hvp": (2, lambda f: lambda x: cr.hvp(f, (x,), (1.0,))),
    "vmap": (0, lambda f: lambda x: cr.vmap(f)(np.stack([x * 0.9, x]))[1]),
    "custom_jvp": (0, _own_jvp),
    "custom_vjp": (0, _own_vjp),
    "checkpoint": (0, lambda f: cr.checkpoint(f)),
}

VECTOR = {
    "grad": (1, lambda f: cr.grad(lambda x: np.sum(f(x) * DIRECTION))),
    "value_and_grad": (
        1,
        lambda f: lambda x: cr.value_and_grad(lambda x: np.sum(f(x) * DIRECTION))(x)[1],
    ),
    "jvp": (1, lambda f: lambda x: cr.jvp(f, (x,), (DIRECTION,))[1]),
    "vjp": (1, lambda f: lambda x: cr.vjp(f, x)[1](DIRECTION)[0]),
    "linearize": (1, lambda f: lambda x: cr.linearize(f, x)[1](DIRECTION)),
    "jacfwd": (1, lambda f: lambda x: cr.jacfwd(f)(x) @ DIRECTION),
    "jacrev": (1, lambda f: lambda x: cr.jacrev(f)(x) @ DIRECTION),
    "hessian": (2, lambda f: lambda x: cr.hessian(f)(x) @ DIRECTION @ DIRECTION),
    "hvp": (
        2,
        lambda f: lambda x: cr.hvp(lambda x: np.sum(f(x) * DIRECTION), (x,), (DIRECTION,)),
    ),
    "vmap": (0, lambda f: lambda x: cr.vmap(f)(np.stack([x * 0.9, x]))[1]),
    "custom_jvp": (0, _own_jvp),
    "custom_vjp": (0, _own_vjp),
    "checkpoint": (0, lambda f: cr.checkpoint(f)),
}

PAIRS = list(itertools.product(SCALAR, repeat=2))


def nest(table, names, f):
    order = 0
    for name in reversed(names):
        raised, transform = table[name]
        order += raised
        f = transform(f)
    return order, f


@pytest.mark.parametrize(("outer", "middle"), PAIRS)
def test_scalar_nests(outer, middle):
    exact = scalar_derivatives(7)
    for inner in (None, *SCALAR):
        names = (outer, middle) if inner is None else (outer, middle, inner)
        order, f = nest(SCALAR, names, scalar)
        found = f(X)
        assert np.shape(found) == ()
        np.testing.assert_allclose(found, exact[order], rtol=1e-9, err_msg=" of ".join(names))


@pytest.mark.parametrize(("outer", "middle"), PAIRS)
def test_vector_nests(outer, middle):
    for inner in (None, *VECTOR):
        names = (outer, middle) if inner is None else (outer, middle, inner)
        order, f = nest(VECTOR, names, vector)
        found = f(POINT)
        assert np.shape(found) == (3,)
        np.testing.assert_allclose(
            found, vector_derivative(order), rtol=1e-9, atol=1e-13, err_msg=" of ".join(names)
        )


@pytest.mark.parametrize("name", SCALAR)
def test_each_alone(name):
    order, f = nest(SCALAR, (name,), scalar)
    np.testing.assert_allclose(f(X), scalar_derivatives(3)[order], rtol=1e-12)
    order, f = nest(VECTOR, (name,), vector)
    np.testing.assert_allclose(f(POINT), vector_derivative(order), rtol=1e-12)
