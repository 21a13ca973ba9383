"""What nodes are called: the user's variables, what a function returns, letters, other names."""

from __future__ import annotations

import numpy as np
import pytest

import chainrule as cr


def names(f, *args, **more):
    return [node.name for node in cr.graph(f, *args, **more).nodes if node.kind != "constant"]


def test_variables_and_letters():
    def f(x):
        h = np.sin(x) * 2
        return h + x

    assert names(f, 1.0) == ["x", "a", "h", "f"]


def test_a_letter_is_nobodys_name():
    def f(a, b):
        d = np.sin(a) * np.cos(b)
        return d + 1 + a

    assert names(f, 1.0, 2.0) == ["a", "b", "c", "e", "d", "g", "f"]


def test_the_result_is_called_as_the_function_if_nothing_else_is():
    def f(x):
        f = x * 2
        return f * x

    assert names(f, 1.0) == ["x", "f", "a"]
    assert names(lambda x: x * 2, 1.0) == ["x", "a"]


def test_names_assigned_again_are_counted():
    def f(x):
        x = x * 2
        for _ in range(2):
            x = np.sin(x)
        x += 1
        return x

    assert names(f, 1.0) == ["x", "x_2", "x_3", "x_4", "x_5"]


def test_a_counted_name_that_is_taken():
    def f(l):  # noqa: E741 - the lecture's name
        l_2 = l * 2
        l = l_2 + 1  # noqa: E741
        return l

    assert names(f, 1.0) == ["l", "l_2", "l_3"]


def test_the_last_of_several_equations_of_one_call_has_the_name():
    def f(x):
        m = np.mean(x)
        s = np.std(x)
        return m + s

    g = cr.graph(f, np.array([1.0, 2.0, 4.0]))
    assert g.node("m").operation == "divide"
    assert g.node("s").value == np.std([1.0, 2.0, 4.0])


def test_what_a_function_returns_has_the_name_that_its_caller_gives_it():
    def relu(t):
        return np.maximum(t, 0)

    def f(x):
        h = relu(x * 2)
        k = relu(h - 1)
        return relu(k)

    assert names(f, 1.0) == ["x", "a", "h", "b", "k", "f"]


def test_unpacking_attributes_walrus_and_conditions():
    class Box:
        pass

    def f(x):
        box = Box()
        u, v = x
        p, q = u * v, u + v
        box.area = p * q
        r = (s := p - q) * 2
        t = r * s if True else x
        return t / box.area

    assert names(f, np.array([2.0, 3.0])) == ["x", "u", "v", "p", "q", "area", "s", "r", "t", "f"]


def test_globals_and_cells():
    def f(x):
        global KEPT
        KEPT = x * 2
        cell = KEPT * x

        def inner():
            return cell

        return inner() * KEPT

    assert names(f, 1.0) == ["x", "KEPT", "cell", "f"]
    del globals()["KEPT"]


def test_code_without_source():
    scope = {"np": np}
    exec("def f(x, z):\n    a = x * z\n    w = np.exp(a)\n    return w - a", scope)  # noqa: S102
    assert names(scope["f"], 1.0, 2.0) == ["x", "z", "a", "w", "f"]


def test_forward_mode_inside_names_values_not_tangents():
    def f(x):
        a = x * x
        return a

    g = cr.graph(lambda x: cr.jvp(f, (x,), (1.0,)), 3.0)
    assert g.node("a").value == 9.0
    assert g.outputs[1].name != "a"
    assert g.outputs[1].value == 6.0


def test_a_gradient_of_what_is_traced_has_no_name_from_outside():
    result = cr.trace(cr.grad(lambda x: np.sin(x) * x), 2.0)
    assert "result" not in str(result)


def test_bodies_of_loops_have_names():
    def step(velocity, push):
        moved = 0.9 * velocity + push
        return moved, moved**2

    g = cr.graph(lambda x: np.sum(cr.scan(step, x, np.ones(3))[1]), 1.0)
    scan = next(node for node in g.nodes if node.operation == "scan")
    assert {"moved"} <= {node.name for node in scan.bodies[0].nodes}


def test_what_a_body_sees_has_the_name_it_has_outside():
    def f(rate, x):
        decay = rate * 2.0
        last, _ = cr.scan(lambda c, _: (c * decay + rate, None), x, None, 3)
        return cr.while_loop(lambda v: v > decay, lambda v: v * decay, last)

    g = cr.graph(f, 0.2, 3.0)
    bodies = {node.operation: node.bodies for node in g.nodes if node.bodies}
    assert {"decay", "rate"} <= {node.name for node in bodies["scan"][0].inputs}
    assert all("decay" in {node.name for node in body.inputs} for body in bodies["while"])


def test_other_names():
    def f(x, y):
        return (x + y) * y

    assert names(f, 1.0, 2.0, names={"a": "sum", "f": "area"}) == ["x", "y", "sum", "area"]
    assert names(f, 1.0, 2.0, names=["u", "v", "s"]) == ["u", "v", "s", "f"]
    assert names(f, 1.0, 2.0, names={"x": "y", "y": "x"}) == ["y", "x", "a", "f"]
    for wrong in ({"q": "r"}, {"x": "y"}, {"x": ""}, ["x", "x"], list("abcdefgh")):
        with pytest.raises(cr.ArgumentError):
            cr.graph(f, 1.0, 2.0, names=wrong)


def test_the_program_has_the_same_names():
    def f(x):
        h = np.sin(x)
        return h * x

    text = str(cr.trace(f, 1.0))
    assert "h: f64 = sin(x)" in text
    assert "f: f64 = multiply(h, x)" in text
    assert "total: f64 = sin(x)" in str(cr.graph(f, 1.0, names={"h": "total"}).program)


def test_captured_arrays_have_their_names():
    W = np.eye(3)
    text = str(cr.trace(lambda x: np.sum(W @ x + W[0] * 0), np.ones(3)))
    assert text.count("W: f64[3, 3] = captured") == 1


# ---- cr.name -------------------------------------------------------------------------------------


def test_name_in_graphs_and_programs():
    def f(x):
        return np.sum(cr.name(x * x, "squares") + 1)

    x = np.array([1.0, 2.0])
    assert names(f, x) == ["x", "squares", "a", "f"]
    assert "squares: f64[2] = multiply(x, x)" in str(cr.trace(f, x))


@pytest.mark.parametrize(
    "transform",
    [
        cr.jit,
        cr.vmap,
        cr.checkpoint,
        lambda f: lambda x: cr.vmap(cr.grad(f))(x),
        lambda f: lambda x: cr.jvp(f, (x,), (np.ones(3),))[1],
    ],
)
def test_name_inside_every_transformation(transform):
    def plain(x):
        return np.sin(x * 2) * x

    def named(x):
        return np.sin(cr.name(x * 2, "double")) * x

    x = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(transform(named)(x), transform(plain)(x))
    g = cr.graph(transform(named), x)
    inside = [node for top in g.nodes for body in top.bodies for node in body.nodes]
    assert "double" in {node.name for node in (*g.nodes, *inside)}


def test_name_costs_nothing_in_compiled_code():
    x = np.ones(100)
    plain = cr.jit(lambda x: np.sum(np.sin(x * 2)))
    named = cr.jit(lambda x: np.sum(np.sin(cr.name(x * 2, "double"))))
    assert len(plain.program(x)) == len(named.program(x))


def test_name_of_trees_and_plain_values():
    assert cr.name(3.0, "x") == 3.0
    g = cr.graph(lambda x: cr.name({"s": np.sin(x), "c": np.cos(x)}, "pair"), 1.0)
    assert [node.name for node in g.outputs] == ["pair['c']", "pair['s']"]
    for wrong in ("", " ", 3):
        with pytest.raises(cr.ArgumentError, match="a name must be text"):
            cr.name(1.0, wrong)


def test_name_in_errors():
    def f(x):
        return cr.name(x * 2, "width") > 0 and x

    with pytest.raises(cr.TraceError, match="width"):
        cr.jit(lambda x: int(cr.name(x * 2, "width")))(3.0)


# ---- scopes --------------------------------------------------------------------------------------


def test_calls_and_turns_of_loops():
    def inner(x):
        return np.sin(x) * 2

    def f(x):
        for k in range(2):
            for _ in range(2):
                x = inner(x)
            x = x + k
        return x

    g = cr.graph(f, 1.0)
    paths = [[(s.kind, s.name) for s in node.path] for node in g.nodes if node.inputs]
    assert paths[0] == [("loop", "for k"), ("loop", "for _"), ("function", "inner")]
    assert paths[4] == [("loop", "for k")]
    calls = {node.path[-1].key for node in g.nodes if node.inputs and len(node.path) == 3}
    assert len(calls) == 4
    turns = [node.path[0].key[-1] for node in g.nodes if node.inputs]
    assert turns == [0] * 5 + [1] * 5
    inner_turns = [node.path[1].key[-1] for node in g.nodes if len(node.path) == 3]
    assert inner_turns == [0, 0, 1, 1] * 2
    call = g.nodes[1].path[-1]
    assert call.place is not None
    assert call.place.text.startswith("inner(x)")


def test_recursion_and_comprehensions():
    def power(x, n):
        return x if n == 1 else x * power(x, n - 1)

    g = cr.graph(lambda x: power(x, 4), 2.0)
    depths = [len([s for s in node.path if s.kind == "function"]) for node in g.nodes]
    assert depths[1:] == [3, 2, 1]
    g = cr.graph(lambda x: sum([x * k for k in range(3)]), 2.0)
    turns = {node.path[-1].key for node in g.nodes if node.operation == "multiply"}
    assert len(turns) == 3


def test_an_ordinary_trace_records_no_origins():
    from chainrule.tracing.stage import trace_program

    program = trace_program(lambda x: np.sin(x) * 2, 1.0)
    assert all(e.path == () and e.visit == -1 for e in program.equations)
