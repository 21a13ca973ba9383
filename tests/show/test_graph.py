"""Computation graphs: the worked cases of the lectures, by value, and what a graph can be asked."""

from __future__ import annotations

import math

import numpy as np
import pytest

import chainrule as cr
from chainrule.show.node import Node


def six_steps(x, z):
    a = x * z
    b = np.log(x)
    c = np.sin(b)
    d = np.exp(a)
    e = a / b
    f = c / a
    y = d + e + f
    return y


def close(value, wanted, rtol=1e-12):
    np.testing.assert_allclose(np.asarray(value, float), wanted, rtol=rtol, atol=1e-13)


# ---- the lectures' cases -------------------------------------------------------------------------


def test_six_steps_forward_and_backward():
    g = cr.graph(six_steps, 2.0, 3.0)
    names = [node.name for node in g.nodes]
    assert names == ["x", "z", "a", "b", "c", "d", "e", "f", "g", "y"]
    dx, dz = g.backward()
    ln2 = math.log(2)
    close(dx, 3 * math.e**6 + 3 / ln2 - 3 / ln2**2 + math.cos(ln2) / 12 - math.sin(ln2) / 12)
    close(dz, 2 * math.e**6 + 2 / ln2 - math.sin(ln2) / 18)
    gradients = {node.name: node.gradient for node in g.nodes}
    assert gradients["y"] == gradients["d"] == gradients["e"] == gradients["f"] == 1.0
    close(gradients["c"], 1 / 6)
    close(gradients["b"], -12.360007402472986)
    close(gradients["a"], 404.853739609282)
    assert g.node("a").value == 6.0
    close(g.node("d").value, math.e**6)


def test_sum_times_z():
    def f(x, y, z):
        q = x + y
        return q * z

    g = cr.graph(f, -2.0, 5.0, -4.0)
    assert g.value == -12.0
    assert g.backward() == (-4.0, -4.0, 3.0)
    assert g.node("q").gradient == -4.0
    assert [node.name for node in g.nodes] == ["x", "y", "z", "q", "f"]


def test_one_neuron():
    def neuron(w, x):
        return 1 / (1 + np.exp(-(w[0] * x[0] + w[1] * x[1] + w[2])))

    g = cr.graph(neuron, np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0]))
    close(g.value, 0.7310585786, 1e-9)
    dw, dx = g.backward()
    close(dw, [-0.1966119332, -0.3932238665, 0.1966119332], 1e-9)
    close(dx, [0.3932238665, -0.5898357998], 1e-9)


def test_norm_of_a_product():
    def f(W, x):
        q = W @ x
        return np.sum(q**2)

    g = cr.graph(f, np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4]))
    close(g.value, 0.116)
    dW, dx = g.backward()
    close(g.node("q").value, [0.22, 0.26])
    close(g.node("q").gradient, [0.44, 0.52])
    close(dW, [[0.088, 0.176], [0.104, 0.208]])
    close(dx, [-0.112, 0.636])


def test_gates_distribute_route_switch_and_add():
    added = cr.graph(lambda x, y: x + y, 2.0, 3.0)
    added.backward(7.0)
    assert [edge.contribution for edge in added.edges] == [7.0, 7.0]
    routed = cr.graph(np.maximum, 2.0, 3.0)
    assert routed.backward(7.0) == (0.0, 7.0)
    switched = cr.graph(lambda x, y: x * y, 2.0, 3.0)
    assert switched.backward(7.0) == (21.0, 14.0)
    copied = cr.graph(lambda x: x * 2.0 + x * 5.0, 1.0)
    assert copied.backward() == 7.0
    assert [e.contribution for e in copied.edges if e.source.name == "x"] == [2.0, 5.0]


def test_log_of_a_product_both_modes():
    g = cr.graph(lambda a, b: np.log(a * b), 2.0, 3.0)
    close(g.value, 1.791759469, 1e-9)
    close(g.backward(), [1 / 2, 1 / 3])
    close([g.outputs[0].tangent("a"), g.outputs[0].tangent("b")], [1 / 2, 1 / 3])
    close([g.node("c").tangent("a"), g.node("c").tangent("b")], [3.0, 2.0])


def test_logistic_loss_step_by_step():
    def loss(w, x):
        a = x**2
        b = w * a
        c = 1 / (1 + np.exp(-b))
        g = np.log(c)
        return -g

    graph = cr.graph(loss, 1.0, 2.0)
    close(graph.value, 0.01814992791780974)
    close(graph.backward(), [-0.07194483984836623] * 2)
    close(graph.outputs[0].tangent("x"), -0.07194483984836623)
    close(graph.node("b").tangent("x"), 4.0)


def test_logistic_loss_of_three_inputs():
    def loss(w, x):
        return -np.log(1 / (1 + np.exp(-(w @ x))))

    w, x = np.array([1.0, -2.0, 3.0]), np.array([0.5, 1.0, -1.0])
    g = cr.graph(loss, w, x)
    close(g.value, 4.511047744848594)
    wanted = [-0.98901306, 1.97802611, -2.96703917]
    close(g.backward()[1], wanted, 1e-8)
    close(g.outputs[0].tangent("x"), wanted, 1e-8)


def reused(x):
    a = x**2
    b = 5 * a
    c = np.log(a)
    g = b * c
    L = -g
    return L


def test_reused_values():
    g = cr.graph(reused, 2.0)
    close(g.value, -27.725887222397812)
    close(g.backward(), -47.725887222397816)
    assert len(g.node("a").users) == 2


def test_local_and_total_derivative():
    def f(x):
        a = x**2
        b = 5 * a
        c = a * b
        return c

    g = cr.graph(f, 3.0)
    assert g.derivative("c", "a", kind="partial") == g.node("b").value == 45.0
    assert g.derivative("c", "a") == 10 * g.node("a").value == 90.0
    assert g.derivative("c", "x", kind="partial") == 0.0
    assert g.derivative("c", "x") == 10 * 9.0 * 6.0
    assert g.derivative("a", "c") == 0.0
    assert g.derivative("c", "c") == 1.0


def test_product_plus_sine():
    def f(x1, x2):
        a = x1 * x2
        b = np.sin(x1)
        return a + b

    g = cr.graph(f, np.pi / 2, 2.0)
    close(g.value, np.pi + 1)
    close(g.backward(), [2.0, np.pi / 2])
    dots = {name: g.node(name).tangent("x1") for name in ("x1", "x2", "a", "b", "f")}
    close(list(dots.values()), [1.0, 0.0, 2.0, 0.0, 2.0])
    bars = {node.name: node.gradient for node in g.nodes}
    assert bars["f"] == bars["a"] == bars["b"] == 1.0


def six_inputs(x1, x2, x3, x4, x5, x6):
    h = np.log(5 * (np.maximum(x1, x2) * x3 / x4 - (x5 + x6)))
    return 1 / (1 + np.exp(-h)) + 0.5


def test_six_inputs():
    g = cr.graph(six_inputs, 1.0, 2.0, 6.0, 3.0, 1.0, 1.0)
    close(g.value, 31 / 22)
    close(g.backward(), [0, 10 / 121, 10 / 363, -20 / 363, -5 / 121, -5 / 121])


def test_logistic_map_by_loop():
    def l4(x):
        l = x  # noqa: E741 - the lecture's name
        for _ in range(3):
            l = 4 * l * (1 - l)  # noqa: E741
        return l

    g = cr.graph(l4, 0.25)
    assert g.value == 0.75
    assert g.backward() == 8.0
    assert [node.name for node in g.nodes if node.name.startswith("l")] == ["l", "l_2", "l_3"]


# ---- what a graph is -----------------------------------------------------------------------------


def test_order_and_adjacency():
    g = cr.graph(six_steps, 2.0, 3.0)
    assert g.nodes_topologically_sorted() == g.nodes
    for node in g.nodes:
        assert g.nodes[node.index] is node
        assert all(source.index < node.index for source in node.inputs)
        assert all(node in user.inputs for user in node.users)
    matrix = g.adjacency_matrix()
    assert matrix.sum() == len(g.edges)
    np.testing.assert_array_equal(matrix, np.triu(matrix, 1))
    squared = cr.graph(lambda x: x * x, 3.0)
    np.testing.assert_array_equal(squared.adjacency_matrix(), [[0, 2], [0, 0]])


def test_a_square_reads_its_operand_twice():
    g = cr.graph(lambda x: x * x, 3.0)
    assert g.backward() == 6.0
    assert [(e.slot, e.upstream, e.local, e.contribution) for e in g.edges] == [
        (0, 1.0, 3.0, 3.0),
        (1, 1.0, 3.0, 3.0),
    ]
    assert g.outputs[0].users == ()
    assert g.inputs[0].users == (g.outputs[0],)


def test_local_gradients_of_arrays():
    g = cr.graph(lambda W, x: np.sum(np.tanh(W @ x)), np.ones((2, 3)), np.ones(3))
    product, tanh, total = (node for node in g.nodes if node.kind == "operation")
    assert [part.shape for part in product.local_gradients] == [(2, 2, 3), (2, 3)]
    assert [part.shape for part in tanh.local_gradients] == [(2,)]
    assert tanh.elementwise
    assert not product.elementwise
    np.testing.assert_array_equal(total.local_gradients[0], [1.0, 1.0])


def test_broadcasting_sums_contributions():
    g = cr.graph(lambda x, b: np.sum(x * b), np.arange(6.0).reshape(2, 3), np.ones(3))
    dx, db = g.backward()
    np.testing.assert_array_equal(db, [3.0, 5.0, 7.0])
    np.testing.assert_array_equal(dx, np.ones((2, 3)))
    (edge,) = (edge for edge in g.edges if edge.source.name == "b")
    assert edge.local.shape == (2, 3)
    np.testing.assert_array_equal(edge.contribution, db)
    product = edge.target
    np.testing.assert_array_equal(
        g.derivative(product, "b", kind="partial"), g.derivative(product, "b")
    )


def test_literals_integers_and_captured_arrays():
    W, n = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 2])
    g = cr.graph(lambda x, k: np.sum(W @ x * 2.0 * n) + k * 0, np.ones(2), 3)
    kinds = {node.name: node.kind for node in g.nodes if node.kind != "operation"}
    assert kinds == {
        "x": "input", "k": "input", "W": "captured", "n": "captured", "2.0": "constant",
        "0": "constant",
    }  # fmt: skip
    g.backward()
    assert g.node("n").gradient is None
    assert g.node("k").gradient is None
    np.testing.assert_array_equal(g.node("W").gradient, [[2.0, 2.0], [4.0, 4.0]])


def test_equal_arrays_of_two_names_stay_apart():
    first, second = np.zeros(2), np.zeros(2)

    def f(x):
        return np.sum(np.exp(x + first) + second)

    g = cr.graph(f, np.ones(2))
    g.backward()
    close(g.node("first").gradient, [math.e, math.e])
    close(g.node("second").gradient, [1.0, 1.0])


def test_trees_and_several_outputs():
    def f(p):
        y = p["w"] * p["x"]
        return {"sum": np.sum(y), "y": y}

    g = cr.graph(f, {"w": np.array([1.0, 2.0]), "x": np.array([3.0, 4.0])})
    assert [node.name for node in g.outputs] == ["a", "y"]
    found = g.backward({"sum": 1.0, "y": np.array([10.0, 0.0])})
    np.testing.assert_array_equal(found["w"], [33.0, 4.0])
    assert sorted(g.value) == ["sum", "y"]


def test_a_select_hides_what_was_not_taken():
    with np.errstate(divide="ignore"):
        g = cr.graph(lambda x: np.sum(np.where(x > 0, np.log(x), 0)), np.zeros(2))
    np.testing.assert_array_equal(g.backward(), [0.0, 0.0])


def test_loops_hold_graphs():
    def f(x):
        last, sums = cr.scan(lambda c, v: (c * v, c + v), x[0], x)
        return last + np.sum(sums)

    x = np.array([2.0, 1.0])
    g = cr.graph(f, x)
    np.testing.assert_array_equal(g.backward(), cr.grad(f)(x))
    last, sums = g.node("last"), g.node("sums")
    assert last.operation == sums.operation == "scan"
    assert last.siblings == (last, sums)
    (body,) = last.bodies
    assert [node.operation for node in body.nodes if node.inputs] == ["multiply", "add"]
    assert body.nodes[0].value is None
    # What both results send back to x makes up its gradient.
    parts = [e.contribution for e in g.edges if e.source.name == "x"]
    close(sum(parts), cr.grad(f)(x))


def test_a_body_takes_values():
    g = cr.graph(lambda x: cr.scan(lambda c, v: (c * v, None), x[0], x)[0], np.array([2.0, 3.0]))
    scan = next(node for node in g.nodes if node.operation == "scan")
    (body,) = scan.bodies
    for ask in (body.backward, body.table, lambda: body.nodes[-1].local_gradients):
        with pytest.raises(cr.ArgumentError, match="has no values yet"):
            ask()
    assert body.forward(4.0, 5.0) == (20.0,)
    assert body.backward() == (5.0, 4.0)


def test_while_and_cond_hold_graphs():
    def halved(x):
        big = cr.while_loop(lambda v: v > 1.0, lambda v: v * 0.5, x)
        return cr.scan(lambda c, _: (cr.cond(c > 0, np.sin, np.cos, c), None), big, None, 2)[0]

    g = cr.graph(halved, 5.0)
    close(g.backward(), cr.grad(halved)(5.0))
    loop = next(node for node in g.nodes if node.operation == "while")
    assert len(loop.bodies) == 2
    scan = next(node for node in g.nodes if node.operation == "scan")
    inner = next(node for node in scan.bodies[0].nodes if node.operation == "cond")
    assert [b.nodes[-1].operation for b in inner.bodies] == ["sin", "cos"]


def test_decompositions_give_several_nodes():
    def f(A):
        u, s, _vt = np.linalg.svd(A)
        return s[0] * u[0, 0]

    A = np.array([[2.0, 1.0], [0.0, 1.0]])
    g = cr.graph(f, A)
    assert [node.name for node in g.nodes if node.operation == "svd"] == ["u", "s"]
    close(g.backward(), cr.grad(f)(A))
    close(sum(e.contribution for e in g.edges if e.source.name == "A"), cr.grad(f)(A))


def test_a_whole_network():
    model = cr.nn.Sequential([cr.nn.Dense(3, activation="tanh"), cr.nn.Dense(1)])
    variables = model.init(seed=0, input_shape=(2,))
    x = np.ones((4, 2), np.float32)

    def loss(parameters, x):
        y, _ = model.apply({**variables, "parameters": parameters}, x)
        return np.mean(y**2)

    g = cr.graph(loss, variables["parameters"], x)
    wanted = cr.grad(loss)(variables["parameters"], x)
    found, _ = g.backward()
    for path, slope in wanted.items():
        np.testing.assert_allclose(found[path], slope, rtol=1e-5)
    assert {"dense/kernel", "dense_1/bias"} <= {node.name for node in g.inputs}
    layers = [[s.name for s in node.path if s.kind == "layer"] for node in g.nodes if node.inputs]
    assert ["sequential", "dense"] in layers
    assert ["sequential", "dense_1"] in layers
    scope = next(s for node in g.nodes for s in node.path if s.name == "dense_1")
    assert scope.class_name == "Dense"


def test_a_model_is_a_function_too():
    model = cr.nn.Sequential([cr.nn.Dense(2, activation="tanh")])
    x = np.ones((1, 3), np.float32)
    model(x)
    g = cr.graph(model, x)
    captured = [node.name for node in g.nodes if node.kind == "captured"]
    assert captured == ["dense/kernel", "dense/bias"]
    g.backward(np.ones((1, 2), np.float32))
    assert g.node("dense/kernel").gradient.shape == (3, 2)


def test_transformed_functions_have_graphs():
    def f(x):
        return np.sum(np.sin(x) * x)

    x = np.array([0.5, 2.0])
    for h in (cr.jit(f), cr.checkpoint(f), lambda x: np.sum(cr.grad(f)(x))):
        close(cr.graph(h, x).backward(), cr.grad(h)(x))
    checkpointed = cr.graph(cr.checkpoint(f), x).outputs[0]
    assert checkpointed.operation == "f"
    assert [n.operation for n in checkpointed.bodies[0].nodes if n.inputs] == [
        "sin", "multiply", "sum",
    ]  # fmt: skip


def test_complex_numbers_as_grad():
    def f(z):
        return np.real(z * np.conj(z) + z)

    z = 1.0 + 2.0j
    close(np.abs(cr.graph(f, z).backward() - cr.grad(f)(z)), 0.0)


def test_later_writes_to_an_argument_change_nothing():
    x, w = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    g = cr.graph(lambda x: np.sum(x * x * w), x)
    x[:], w[:] = 100.0, 100.0
    np.testing.assert_array_equal(g.backward(), [6.0, 16.0])
    np.testing.assert_array_equal(g.inputs[0].value, [1.0, 2.0])


# ---- forward at other inputs ---------------------------------------------------------------------


def test_forward_at_other_inputs():
    g = cr.graph(six_steps, 2.0, 3.0)
    g.backward()
    a = g.node("a")
    assert g.forward(3, 0.5) == six_steps(3.0, 0.5)
    assert a.value == 1.5
    assert a.gradient is None
    close(g.backward(), cr.grad(six_steps, (0, 1))(3.0, 0.5))


def test_forward_takes_what_plain_numbers_decide_from_the_function():
    def f(x, n):
        k = int(n)
        return x * k

    g = cr.graph(f, 2.0, 3)
    assert g.forward(2.0, 5) == 10.0
    assert g.backward()[0] == 5.0
    assert [node.name for node in g.nodes if node.kind == "constant"] == ["5"]


def test_forward_refuses_another_path():
    def f(x):
        return x if x > 0 else -3 * x

    g = cr.graph(f, 2.0)
    assert g.forward(4.0) == 4.0
    with pytest.raises(cr.ArgumentError, match="takes another path"):
        g.forward(-1.0)
    h = cr.graph(lambda x, n: x ** int(n) if n > 1 else x, 2.0, 3)
    with pytest.raises(cr.ArgumentError, match="takes another path"):
        h.forward(2.0, 1)
    loop = cr.graph(lambda x, n: sum(x * k for k in range(int(n))), 2.0, 3)
    with pytest.raises(cr.ArgumentError, match="takes another path"):
        loop.forward(2.0, 4)


# ---- bad input -----------------------------------------------------------------------------------


def test_errors():
    g = cr.graph(six_steps, 2.0, 3.0)
    with pytest.raises(cr.ArgumentError, match="no node called 'q'"):
        g.node("q")
    with pytest.raises(cr.ArgumentError, match="unknown kind 'whole'"):
        g.derivative("y", "x", kind="whole")
    with pytest.raises(cr.ArgumentError, match="unknown mode"):
        g.table("sideways")
    with pytest.raises(cr.ShapeError, match="another shape"):
        g.forward(np.ones(2), 3.0)
    with pytest.raises(cr.DtypeError, match="another dtype"):
        g.forward(1j, 3.0)
    with pytest.raises(cr.ShapeError, match="put together"):
        g.forward(2.0)
    with pytest.raises(cr.ShapeError, match="shape of the output"):
        cr.graph(np.sin, np.ones(2)).backward()
    with pytest.raises(cr.ShapeError, match="tree of the output"):
        cr.graph(lambda x: (x, x), 1.0).backward(1.0)
    with pytest.raises(cr.ArgumentError, match="must be a function"):
        cr.graph(3.0)
    with pytest.raises(cr.TraceError):
        cr.graph(lambda x: float(x) * x, 2.0)


def test_a_jacobian_that_is_too_large_is_refused():
    g = cr.graph(lambda x: np.cumsum(x), np.ones(3000))
    with pytest.raises(cr.ShapeError, match="9,000,000 entries"):
        _ = g.outputs[0].local_gradients
    g.backward(np.ones(3000))
    assert g.edges[0].contribution[0] == 3000.0


def test_no_gradient_before_backward():
    g = cr.graph(six_steps, 2.0, 3.0)
    assert all(node.gradient is None for node in g.nodes)
    assert all(edge.contribution is None for edge in g.edges)
    assert all(isinstance(node, Node) for node in g.nodes)
