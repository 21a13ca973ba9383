"""Gates that users write: under every transformation, several times, and their errors."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr


class Multiply(cr.Gate):
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, dz):
        return [self.y * dz, self.x * dz]


class Polar(cr.Gate):
    """Two inputs, two outputs."""

    def forward(self, r, angle):
        self.r, self.cosine, self.sine = r, np.cos(angle), np.sin(angle)
        return r * self.cosine, r * self.sine

    def backward(self, upstream):
        dx, dy = upstream
        return (
            dx * self.cosine + dy * self.sine,
            self.r * (dy * self.cosine - dx * self.sine),
        )


class Scaled(cr.Gate):
    """A gate with a setting, on arrays."""

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        self.y = np.tanh(self.factor * x)
        return self.y

    def backward(self, g):
        return g * self.factor * (1 - self.y**2)


def polar_product(r, a):
    x, y = Polar()(r, a)
    return x * y


def plain_polar_product(r, a):
    return r * np.cos(a) * (r * np.sin(a))


def two_calls(x):
    gate = Multiply()
    return gate(gate(x, 3.0), gate(x, x))


def plain_two_calls(x):
    return (x * 3.0) * (x * x)


def scaled(x):
    return np.sum(Scaled(0.7)(Scaled(2.0)(x)))


def plain_scaled(x):
    return np.sum(np.tanh(0.7 * np.tanh(2.0 * x)))


SCALAR = [(two_calls, plain_two_calls), (lambda x: polar_product(x, 0.3 * x),
          lambda x: plain_polar_product(x, 0.3 * x))]  # fmt: skip
TRANSFORMS = {
    "value": lambda f: f,
    "grad": cr.grad,
    "jvp": lambda f: lambda x: cr.jvp(f, (x,), (1.5,))[1],
    "linearize": lambda f: lambda x: cr.linearize(f, x)[1](1.5),
    "second": lambda f: cr.grad(cr.grad(f)),
    "forward over reverse": lambda f: cr.jacfwd(cr.grad(f)),
    "reverse over forward": lambda f: cr.grad(cr.jacfwd(f)),
    "jit": cr.jit,
    "jit of grad": lambda f: cr.jit(cr.grad(f)),
    "checkpoint": lambda f: cr.grad(cr.checkpoint(f)),
    "vmap": lambda f: lambda x: cr.vmap(f)(x * np.array([1.0, 2.0])),
    "vmap of grad": lambda f: lambda x: cr.vmap(cr.grad(f))(x * np.array([1.0, 2.0])),
    "grad of vmap": lambda f: cr.grad(lambda x: np.sum(cr.vmap(f)(x * np.array([1.0, 2.0])))),
    "scan": lambda f: cr.grad(lambda x: cr.scan(lambda c, _: (f(c), None), x, None, 2)[0]),
    "jit of scan": lambda f: cr.jit(
        cr.grad(lambda x: cr.scan(lambda c, _: (f(c), None), x, None, 2)[0])
    ),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("pair", SCALAR, ids=["calls", "outputs"])
def test_under_every_transformation(pair, transform):
    gate, plain = pair
    through = TRANSFORMS[transform]
    np.testing.assert_allclose(through(gate)(0.8), through(plain)(0.8), rtol=1e-12)


def test_on_arrays():
    x = np.array([0.1, -0.4, 2.0])
    for through in (cr.grad, cr.hessian, lambda f: cr.jit(cr.grad(f))):
        np.testing.assert_allclose(through(scaled)(x), through(plain_scaled)(x), rtol=1e-12)
    cr.check_grads(scaled, (x,), order=2)


def test_plain_numbers_as_in_the_lecture():
    gate = Multiply()
    assert gate.forward(3.0, 4.0) == 12.0
    assert gate.backward(2.0) == [8.0, 6.0]
    assert gate(5.0, 6.0) == 30.0
    assert gate.backward(1.0) == [6.0, 5.0]


def test_calls_do_not_mix_and_leave_nothing_behind():
    gate = Multiply()

    def f(x, y):
        return gate(gate(x, y), gate(y, y))

    assert cr.grad(f, (0, 1))(2.0, 3.0) == (27.0, 54.0)
    assert vars(gate) == {}


def test_one_node_with_the_name_of_its_class():
    def f(x, y):
        p = Multiply()(x, y)
        return p + x

    g = cr.graph(f, 3.0, 4.0)
    assert [node.operation for node in g.nodes if node.inputs] == ["Multiply", "add"]
    assert g.node("p").local_gradients == (4.0, 3.0)
    assert g.backward() == (5.0, 3.0)
    assert "p = Multiply(x, y)" in str(g.table())
    two = cr.graph(lambda r, a: polar_product(r, a), 2.0, 0.5)
    assert [node.operation for node in two.nodes if node.inputs][:2] == ["Polar", "Polar"]
    np.testing.assert_allclose(two.backward(), cr.grad(plain_polar_product, (0, 1))(2.0, 0.5))


def test_an_input_that_nothing_flows_to():
    class First(cr.Gate):
        def forward(self, x, y):
            return x * 1.0

        def backward(self, g):
            return g, None

    assert cr.grad(First(), (0, 1))(2.0, 3.0) == (1.0, 0.0)


def wrong(backward, forward=lambda self, x, y: x * y):
    return type("Wrong", (cr.Gate,), {"forward": forward, "backward": backward})()


def message(gate, transform=lambda f: cr.grad(f, (0, 1))):
    with pytest.raises(cr.ChainruleError) as caught:
        transform(lambda x, y: gate(x, y))(2.0, 3.0)
    return caught.value


def test_a_backward_that_forgot_to_return():
    error = message(wrong(lambda self, g: None))
    assert error.problem == "Wrong.backward returned nothing"
    assert "test_graph_gate.py" in str(error.where)


def test_the_wrong_number_of_gradients():
    error = message(wrong(lambda self, g: [g]))
    assert error.problem == "Wrong.backward must return one gradient per input"
    assert error.facts == {"inputs": "2", "gradients": "1"}


def test_a_gradient_of_the_wrong_shape():
    error = message(wrong(lambda self, g: [g, np.ones(2)]))
    assert isinstance(error, cr.ShapeError)
    assert error.problem == "Wrong.backward: gradient 1 has another shape than its input"


def test_a_forward_that_forgot_to_return():
    error = message(wrong(lambda self, g: [g, g], forward=lambda self, x, y: None))
    assert error.problem == "Wrong.forward returned nothing"


def test_a_gate_without_methods():
    assert message(cr.Gate()).problem == "Gate has no forward"
    half = type("Half", (cr.Gate,), {"forward": lambda self, x, y: x * y})()
    assert message(half).problem == "Half has no backward"


def test_forward_mode_through_what_is_not_linear():
    gate = wrong(lambda self, g: [g * g, g])
    error = message(gate, lambda f: lambda x, y: cr.jvp(f, (x, y), (1.0, 1.0)))
    assert isinstance(error, cr.TraceError)
    assert error.problem.startswith("Wrong:")


def test_a_traced_value_that_is_no_input():
    def f(w):
        return Scaled(w)(w)

    with pytest.raises(cr.TraceError, match="Scaled: the function uses a traced value"):
        cr.grad(f)(2.0)
