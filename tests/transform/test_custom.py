"""Rules of the user's own, checkpoints, and values held constant."""

import functools
import itertools

import numpy as np
import pytest

import chainrule as cr
from chainrule.tracing.record import RecordTrace
from chainrule.tracing.tracer import Tracer

V = np.array([0.3, 0.7, 1.1])


def total(f):
    return lambda *xs: np.sum(f(*xs))


# ---- one rule, every mode ------------------------------------------------------------------------


def with_jvp():
    f = cr.custom_jvp(lambda x, y: np.sin(x) * y)

    @f.defjvp
    def rule(primals, tangents):
        (x, y), (tx, ty) = primals, tangents
        return f(x, y), 2 * np.cos(x) * y * tx + np.sin(x) * ty

    return f


def with_jvps():
    f = cr.custom_jvp(lambda x, y: np.sin(x) * y)
    f.defjvps(lambda t, out, x, y: 2 * np.cos(x) * y * t, lambda t, out, x, y: np.sin(x) * t)
    return f


def with_vjp():
    f = cr.custom_vjp(lambda x, y: np.sin(x) * y)
    f.defvjp(
        lambda x, y: (np.sin(x) * y, (x, y)),
        lambda kept, g: (2 * g * np.cos(kept[0]) * kept[1], g * np.sin(kept[0])),
    )
    return f


@pytest.mark.parametrize("make", [with_jvp, with_jvps, with_vjp])
class TestRuleIsUsed:
    """The rule says twice the true derivative in x, so that using anything else would show."""

    def test_reverse(self, make):
        f = make()
        np.testing.assert_allclose(cr.grad(total(f))(V, V), 2 * np.cos(V) * V)
        np.testing.assert_allclose(cr.grad(total(f), argnums=1)(V, V), np.sin(V))

    def test_forward(self, make):
        out, tangent = cr.jvp(make(), (V, V), (np.ones(3), 3 * np.ones(3)))
        np.testing.assert_allclose(out, np.sin(V) * V)
        np.testing.assert_allclose(tangent, 2 * np.cos(V) * V + 3 * np.sin(V))

    def test_linearize_and_jacobians(self, make):
        f = make()
        _, push = cr.linearize(f, V, V)
        np.testing.assert_allclose(push(np.ones(3), np.zeros(3)), 2 * np.cos(V) * V)
        for jacobian in (cr.jacfwd, cr.jacrev):
            np.testing.assert_allclose(jacobian(f)(V, V), np.diag(2 * np.cos(V) * V))

    def test_batched(self, make):
        f = make()
        np.testing.assert_allclose(cr.vmap(f)(V, V), np.sin(V) * V)
        np.testing.assert_allclose(cr.vmap(cr.grad(f))(V, V), 2 * np.cos(V) * V)
        np.testing.assert_allclose(cr.grad(total(cr.vmap(f)))(V, V), 2 * np.cos(V) * V)
        shared = cr.grad(lambda y: np.sum(cr.vmap(f, in_axes=(0, None))(V, y)))(2.0)
        np.testing.assert_allclose(shared, np.sum(np.sin(V)))
        shared = cr.grad(lambda x: np.sum(cr.vmap(f, in_axes=(None, 0))(x, V)))(0.5)
        np.testing.assert_allclose(shared, np.sum(2 * np.cos(0.5) * V))

    def test_second_derivative_is_that_of_the_rule(self, make):
        f = make()
        # The rule's result, 2·cos(x)·y, is differentiated as it stands.
        expected = -2 * np.sin(0.7) * 0.4
        for outer in (cr.grad, cr.jacfwd, cr.jacrev):
            for inner in (cr.grad, cr.jacfwd, cr.jacrev):
                np.testing.assert_allclose(outer(inner(f))(0.7, 0.4), expected)

    def test_plain_call_and_keywords(self, make):
        f = make()
        np.testing.assert_allclose(f(V, y=V), np.sin(V) * V)
        np.testing.assert_allclose(cr.grad(lambda x: np.sum(f(x, y=V)))(V), 2 * np.cos(V) * V)


def test_rules_on_trees():
    f = cr.custom_jvp(lambda p, k: {"sum": p["a"] * k, "both": (p["b"], p["a"])})

    @f.defjvp
    def rule(primals, tangents):
        (p, k), (t, tk) = primals, tangents
        return f(p, k), {"sum": 10 * t["a"] * k + p["a"] * tk, "both": (t["b"], t["a"])}

    p = {"a": V, "b": 2.0}
    found = cr.grad(lambda p: np.sum(f(p, 3.0)["sum"]) + f(p, 3.0)["both"][0])(p)
    np.testing.assert_allclose(found["a"], np.full(3, 30.0))
    assert found["b"] == 1.0

    g = cr.custom_vjp(lambda p: {"sum": p["a"] * p["b"]})
    g.defvjp(
        lambda p: ({"sum": p["a"] * p["b"]}, p),
        lambda p, ct: ({"a": 10 * ct["sum"] * p["b"], "b": np.sum(ct["sum"] * p["a"])},),
    )
    found = cr.grad(lambda p: np.sum(g(p)["sum"]))(p)
    np.testing.assert_allclose(found["a"], np.full(3, 20.0))
    np.testing.assert_allclose(found["b"], np.sum(V))
    _, tangent = cr.jvp(g, (p,), ({"a": np.ones(3), "b": 0.0},))
    np.testing.assert_allclose(tangent["sum"], np.full(3, 20.0))


def test_arguments_that_are_not_differentiated():
    f = cr.custom_jvp(lambda g, x, n: g(x) * n, nondiff_argnums=(0, 2))

    @f.defjvp
    def rule(g, n, primals, tangents):
        return f(g, primals[0], n), 100 * n * tangents[0]

    assert cr.grad(lambda x: f(np.sin, x, 3))(0.5) == 300.0

    h = cr.custom_vjp(lambda g, x: g(x), nondiff_argnums=(0,))
    h.defvjp(lambda g, x: (g(x), x), lambda g, x, ct: (7 * ct,))
    assert cr.grad(lambda x: h(np.sin, x))(0.5) == 7.0


def test_clipping_a_gradient():
    """A reverse rule needn't be a transpose; only forward mode refuses it."""
    clip = cr.custom_vjp(lambda x: x)
    clip.defvjp(lambda x: (x, None), lambda _, g: (np.clip(g, -1.0, 1.0),))
    assert cr.grad(lambda x: 5 * clip(x))(2.0) == 1.0
    np.testing.assert_allclose(cr.jacrev(lambda x: 5 * clip(x))(V), np.eye(3))
    with pytest.raises(cr.TraceError, match="forward mode can't use it"):
        cr.jvp(clip, (2.0,), (1.0,))


def test_none_stands_for_no_influence():
    f = cr.custom_vjp(lambda x, y: x * y)
    f.defvjp(lambda x, y: (x * y, y), lambda y, g: (g * y, None))
    gx, gy = cr.grad(f, argnums=(0, 1))(2.0, 3.0)
    assert (gx, gy) == (3.0, 0.0)
    h = cr.custom_jvp(lambda x, y: x * y)
    h.defjvps(lambda t, out, x, y: t * y, None)
    assert cr.grad(h, argnums=(0, 1))(2.0, 3.0) == (3.0, 0.0)


def test_complex_cotangents_are_those_of_vjp():
    z = np.array([1 + 2j, 0.5 - 1j])
    plain = lambda z: z * z * 1j
    f = cr.custom_vjp(plain)
    f.defvjp(lambda z: (plain(z), z), lambda z, g: (np.conj(2j * z) * g,))
    loss = lambda f: lambda z: np.sum(np.real(f(z) * np.conj(f(z))))
    np.testing.assert_allclose(cr.grad(loss(f))(z), cr.grad(loss(plain))(z))


# ---- values that a rule can't see ----------------------------------------------------------------


def scaled_jvp(w):
    f = cr.custom_jvp(lambda x: x * w)
    f.defjvp(lambda primals, tangents: (f(*primals), tangents[0]))
    return f


def scaled_vjp(w):
    f = cr.custom_vjp(lambda x: x * w)
    f.defvjp(lambda x: (x * w, None), lambda _, g: (g,))
    return f


@pytest.mark.parametrize("scaled", [scaled_jvp, scaled_vjp])
@pytest.mark.parametrize(
    "differentiate",
    [
        lambda f: cr.grad(f)(2.0),
        lambda f: cr.jvp(f, (2.0,), (1.0,)),
        lambda f: cr.vmap(cr.grad(f))(V),
        lambda f: cr.jacfwd(f)(V),
        lambda f: cr.jacrev(f)(V),
        lambda f: cr.linearize(f, V),
    ],
)
def test_closed_over_value_that_varies_is_an_error(scaled, differentiate):
    with pytest.raises(cr.TraceError, match="a traced value that isn't among its arguments"):
        differentiate(lambda w: scaled(w)(w * 3))


@pytest.mark.parametrize("scaled", [scaled_jvp, scaled_vjp])
def test_closed_over_value_that_does_not_vary_is_fine(scaled):
    assert cr.grad(lambda x: scaled(2.0)(x))(3.0) == 1.0
    held = cr.grad(lambda w: scaled(cr.stop_gradient(w))(w * 3))
    assert held(2.0) == 3.0
    # Under vmap it's different for every example, but nothing is differentiated by it.
    np.testing.assert_allclose(cr.vmap(lambda w: scaled(w)(w * 3))(V), 3 * V * V)
    of_x = cr.vmap(lambda w: cr.grad(lambda x: scaled(w)(x))(1.0))
    np.testing.assert_allclose(of_x(V), np.ones(3))


# ---- checkpoint ----------------------------------------------------------------------------------


def block(x):
    for _ in range(10):
        x = np.sin(x * 1.5) + x
    return x


def kept_entries(f, x):
    """How many numbers lie on the tape after a forward pass."""
    trace = RecordTrace()
    f(trace.input(x))
    trace.open = False
    seen = {}

    def visit(value):
        if type(value) is Tracer:
            visit(value.value)
        elif isinstance(value, np.ndarray):
            seen[id(value)] = value.size
        elif isinstance(value, (tuple, list)):
            for part in value:
                visit(part)

    for row in trace.rows():
        visit(row[1])
        visit(row[5])
    return sum(seen.values())


def test_checkpoint_keeps_only_arguments():
    x = np.linspace(0.0, 1.0, 1000)
    saved = cr.checkpoint(block)

    def deep(layer):
        def f(x):
            for _ in range(5):
                x = layer(x)
            return x

        return f

    assert kept_entries(deep(block), x) >= 50 * 1000
    assert kept_entries(deep(saved), x) <= 6 * 1000
    np.testing.assert_allclose(cr.grad(total(deep(saved)))(x), cr.grad(total(deep(block)))(x))


def test_checkpoint_keeps_little_of_what_closes_over_a_variable():
    x = np.linspace(0.0, 1.0, 1000)

    def f(w):
        def layer(x):
            for _ in range(20):
                x = np.sin(x * w)
            return x

        return cr.checkpoint(layer)(w * 2.0)

    assert kept_entries(f, x) <= 3 * 1000


def test_checkpoint_computes_again():
    calls = []

    def f(x):
        calls.append(1)
        return np.sin(x)

    saved = cr.checkpoint(f)
    assert saved(0.0) == 0.0
    assert len(calls) == 1
    assert cr.grad(saved)(0.0) == 1.0


def test_nested_checkpoints():
    inner = cr.checkpoint(block)
    f = cr.checkpoint(lambda x: inner(inner(x)) * x)
    plain = lambda x: block(block(x)) * x
    np.testing.assert_allclose(cr.grad(f)(0.7), cr.grad(plain)(0.7))
    np.testing.assert_allclose(cr.grad(cr.grad(f))(0.7), cr.grad(cr.grad(plain))(0.7))
    np.testing.assert_allclose(cr.hessian(total(f))(V), cr.hessian(total(plain))(V))


def test_checkpoint_closes_over_traced_values():
    f = lambda w: cr.checkpoint(lambda x: np.sin(x * w) * w)(w * 2.0)
    plain = lambda w: np.sin(w * w * 2.0) * w
    for transform in (cr.grad, lambda f: cr.grad(cr.grad(f)), cr.jacfwd, cr.hessian):
        np.testing.assert_allclose(transform(f)(0.7), transform(plain)(0.7))
        np.testing.assert_allclose(cr.vmap(transform(f))(V), cr.vmap(transform(plain))(V))
    mixed = lambda w: np.sum(cr.vmap(lambda x: cr.checkpoint(lambda x: np.sin(x * w))(x))(V))
    np.testing.assert_allclose(cr.grad(mixed)(0.7), np.sum(np.cos(V * 0.7) * V))


def test_checkpoint_with_control_flow_trees_and_buffers():
    @cr.checkpoint
    def f(p, n, *, power=2):
        out = np.zeros(n)
        for k in range(n):
            out[k] = p["x"] ** power * k if p["x"] > 0 else p["x"]
        return {"out": out, "n": n, "none": None}

    result = f({"x": 2.0}, 3)
    np.testing.assert_allclose(result["out"], [0.0, 4.0, 8.0])
    for sign, expected in ((1.0, 4.0 * 3), (-1.0, 3.0)):
        slope = cr.grad(lambda x: np.sum(f({"x": x}, 3)["out"]))(sign * 2.0)
        assert slope == expected
    assert cr.grad(lambda x: np.sum(f({"x": x}, 3, power=3)["out"]))(2.0) == 36.0
    assert cr.grad(lambda x: x * f({"x": x}, 3)["n"])(2.0) == 3.0


def test_checkpoint_does_not_change_types():
    x32 = np.ones(3, np.float32)
    f = lambda a: a * a * x32
    value, _ = cr.value_and_grad(lambda a: np.sum(cr.checkpoint(f)(a)))(2.1)
    plain, _ = cr.value_and_grad(lambda a: np.sum(f(a)))(2.1)
    assert value.dtype == plain.dtype == np.float32
    assert value == plain
    # A literal stays a literal: the tie of a relu gives 0, as it does outside.
    relu = cr.checkpoint(np.maximum)
    assert cr.grad(lambda x: relu(x, 0.0))(0.0) == 0.0
    assert cr.grad(lambda x: cr.checkpoint(np.power)(x, 2))(0.0) == 0.0


def test_checkpoint_of_nothing_traced_is_the_function():
    f = cr.checkpoint(lambda x: x + 1)
    assert f(1) == 2
    assert f.__name__ == "<lambda>"
    np.testing.assert_array_equal(f(V), V + 1)


def test_what_is_computed_inside_must_be_returned():
    kept = []

    def f(x):
        kept.append(x * 2)
        return x

    with pytest.raises(cr.TraceError, match="was used outside"):
        cr.grad(lambda x: cr.checkpoint(f)(x) * kept[0])(1.0)


@pytest.mark.parametrize("write", ["array", "buffer"])
def test_what_is_written_outside_is_an_error(write):
    def f(x):
        target = x * 1.0 if write == "array" else np.zeros(3)

        def inside(z):
            target[0] = z[1] * 2
            return z

        return np.sum(cr.checkpoint(inside)(x)) + np.sum(target)

    with pytest.raises(cr.TraceError, match="was used outside"):
        cr.grad(f)(V)


def test_arguments_of_every_kind():
    grad = lambda f: cr.grad(lambda x: np.sum(f(x)))(V)
    pick = cr.checkpoint(lambda x, i: x[i] * 2)
    np.testing.assert_allclose(grad(lambda x: pick(x, np.array([0, 0, 2]))), [4.0, 0.0, 2.0])
    np.testing.assert_allclose(grad(lambda x: pick(x, np.argmax(x))), [0.0, 0.0, 2.0])
    np.testing.assert_allclose(grad(lambda x: pick(x, x > 0.5)), [0.0, 2.0, 2.0])
    np.testing.assert_allclose(grad(lambda x: cr.checkpoint(sum)([x[0], x[1] * 2])), [1, 2, 0])
    np.testing.assert_allclose(grad(lambda x: cr.checkpoint(lambda x: x)(x * 2)), np.full(3, 2.0))

    def from_buffer(x):
        b = np.zeros(3)
        b[1] = x[0] * 3
        return cr.checkpoint(lambda b: b * b)(b)

    np.testing.assert_allclose(grad(from_buffer), [18 * V[0], 0.0, 0.0])

    def writes_its_argument(x):
        def inside(z):
            z[0] = 5.0
            z *= 2
            return z

        return cr.checkpoint(inside)(x) * x

    np.testing.assert_allclose(grad(writes_its_argument), [10.0, 4 * V[1], 4 * V[2]])


def test_methods():
    class Layer:
        @cr.checkpoint
        def apply(self, x):
            return x * x

    np.testing.assert_allclose(cr.grad(lambda x: np.sum(Layer().apply(x)))(V), 2 * V)


# Three variables, three derivatives, each variable handed in or closed over.
STEPS = {
    "grad": cr.grad,
    "jvp": lambda f: lambda x: cr.jvp(f, (x,), (1.0,))[1],
    "linearize": lambda f: lambda x: cr.linearize(f, x)[1](1.0),
}


@pytest.mark.parametrize("names", ["", "a", "b", "c", "ab", "ac", "bc", "abc", "cab"])
@pytest.mark.parametrize("order", ["abc", "cab"])
def test_checkpoint_wherever_its_values_come_from(names, order):
    point = {"a": 0.7, "b": 0.4, "c": 0.3}
    a, b, c = point.values()
    abc = a * b * c
    # ∂³ of sin(abc) + a·b·c² by a, b and c.
    exact = (1 - abc**2) * np.cos(abc) - 3 * abc * np.sin(abc) + 2 * c

    def f(values):
        def inside(*given):
            v = dict(values) | dict(zip(names, given, strict=True))
            return np.sin(v["a"] * v["b"] * v["c"]) + v["a"] * v["b"] * v["c"] ** 2

        return cr.checkpoint(inside)(*[values[name] for name in names])

    def nest(values, left, steps):
        if not left:
            return f(values)
        name = left[0]
        step = STEPS[steps[0]]
        return step(lambda x: nest(values | {name: x}, left[1:], steps[1:]))(point[name])

    for steps in itertools.product(STEPS, repeat=3):
        np.testing.assert_allclose(nest({}, order, steps), exact, err_msg=" of ".join(steps))


# ---- stop_gradient -------------------------------------------------------------------------------


def test_stop_gradient_passes_the_value_only():
    f = lambda x: x * cr.stop_gradient(x * x)
    assert cr.grad(f)(3.0) == 9.0
    assert cr.jvp(f, (3.0,), (1.0,)) == (27.0, 9.0)
    assert cr.grad(cr.grad(f))(3.0) == 0.0
    np.testing.assert_allclose(cr.jacfwd(f)(V), np.diag(V * V))
    np.testing.assert_allclose(cr.vmap(cr.grad(f))(V), V * V)
    assert cr.linearize(f, 3.0)[1](1.0) == 9.0


def test_stop_gradient_on_trees():
    held = cr.grad(lambda p: p["a"] * cr.stop_gradient(p)["b"] + p["b"])({"a": 2.0, "b": 3.0})
    assert held == {"a": 3.0, "b": 1.0}
    assert cr.stop_gradient({"a": 1, "b": (None, "text")}) == {"a": 1, "b": (None, "text")}
    assert cr.stop_gradient(2.5) == 2.5


@pytest.mark.parametrize(
    "differentiate",
    [
        lambda f: cr.grad(f)(3.0),
        lambda f: cr.jvp(f, (3.0,), (1.0,))[1],
        lambda f: cr.grad(cr.checkpoint(f))(3.0),
        lambda f: cr.jacfwd(f)(3.0),
        lambda f: cr.grad(lambda x: cr.grad(lambda y: y * f(x))(1.0))(3.0),
    ],
)
def test_float_of_a_held_value(differentiate):
    def f(x):
        factor = float(cr.stop_gradient(x))
        assert type(factor) is float
        return x * factor

    assert differentiate(f) == 3.0


def test_float_of_a_held_value_in_a_program():
    program = cr.trace(lambda x: x * float(cr.stop_gradient(x)), 3.0)
    assert [equation.primitive.name for equation in program.equations] == ["multiply"]


def test_symbolic_sees_through_a_checkpoint():
    formula = cr.symbolic(lambda x: cr.checkpoint(lambda x: np.sin(x) * x)(x) * x, 2.0)
    slope = formula.function(0)(2.0)
    np.testing.assert_allclose(slope, 4 * np.cos(2.0) + 4 * np.sin(2.0))


def test_a_custom_rule_on_a_method():
    class Scaled:
        factor = 3.0

        @functools.partial(cr.custom_jvp, nondiff_argnums=(0,))
        def value(self, x):
            return self.factor * x

        @value.defjvp
        def rule(self, primals, tangents):
            return self.factor * primals[0], 10.0 * tangents[0]

    assert cr.grad(Scaled().value)(2.0) == 10.0


def doubled_by_itself():
    """A linear function whose bwd gives the cotangent to the function again."""

    @cr.custom_vjp
    def double(x):
        return x * 2.0

    double.defvjp(lambda x: (x * 2.0, None), lambda _, g: (double(g),))
    return double


def test_forward_mode_through_a_bwd_that_calls_its_own_function():
    double, x, t = doubled_by_itself(), np.array([0.3, 1.0]), np.array([1.0, -4.0])
    assert np.array_equal(cr.jvp(double, (x,), (t,))[1], 2 * t)
    assert np.array_equal(cr.jit(lambda x, t: cr.jvp(double, (x,), (t,))[1])(x, t), 2 * t)
    assert np.array_equal(cr.linearize(double, x)[1](t), 2 * t)
    assert np.array_equal(cr.jacobian(double, mode="forward")(x), 2 * np.eye(2))
    assert np.allclose(cr.hessian(lambda x: np.sum(double(x) ** 2))(x), 8 * np.eye(2))


def test_forward_mode_through_a_bwd_that_calls_a_checkpoint():
    triple = cr.checkpoint(lambda g: 3.0 * g)

    @cr.custom_vjp
    def f(x):
        return 3.0 * x

    f.defvjp(lambda x: (3.0 * x, None), lambda _, g: (triple(g),))
    assert float(cr.jvp(f, (2.0,), (5.0,))[1]) == 15.0


def test_a_rule_within_a_batch_of_cotangents_is_refused():
    double = doubled_by_itself()

    @cr.custom_vjp
    def f(x):
        return x * 2.0

    f.defvjp(lambda x: (x * 2.0, None), lambda _, g: (cr.vmap(double)(g),))
    x = np.array([0.3, 1.0])
    assert np.array_equal(cr.grad(lambda x: np.sum(f(x)))(x), [2.0, 2.0])
    with pytest.raises(cr.TraceError, match="a function with a rule of its own") as caught:
        cr.jvp(f, (x,), (x,))
    assert "function: double" in str(caught.value)


def test_a_forward_rule_that_gives_its_tangent_to_its_own_function_is_refused():
    @cr.custom_jvp
    def triple(x):
        return 3.0 * x

    triple.defjvp(lambda primals, tangents: (triple(*primals), triple(*tangents)))
    assert float(cr.jvp(triple, (2.0,), (5.0,))[1]) == 15.0
    with pytest.raises(cr.TraceError, match="a function with a rule of its own"):
        cr.grad(triple)(2.0)
