"""The inside of loops, branches and calls with its numbers: values, gradients, which turn."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.show.fold import Box

R = np.random.default_rng(0)
W, H, XS = R.standard_normal((2, 2)), R.standard_normal(2), R.standard_normal((4, 2))


def recurrent(W, h, xs):
    def step(h, x):
        h = np.tanh(W @ h + x)
        return h, np.sum(h)

    h, ys = cr.scan(step, h, xs)
    return np.sum(ys) + h[0]


def unrolled(W, h, xs):
    total = 0.0
    for x in xs:
        h = np.tanh(W @ h + x)
        total = total + np.sum(h)
    return total + h[0]


def newton(a, x):
    def better(state):
        x, n = state
        return 0.5 * (x + a / x), n + 1

    return cr.while_loop(lambda state: state[1] < 5, better, (x, 0))[0]


def node_of(graph, operation):
    return next(node for node in graph.nodes if node.operation == operation)


@pytest.fixture
def graph():
    found = cr.graph(recurrent, W, H, XS)
    found.backward()
    return found


# ---- values --------------------------------------------------------------------------------------


def test_every_turn_has_its_own_values(graph):
    scan = node_of(graph, "scan")
    assert scan.turns == 4
    h = H
    for k, x in enumerate(XS, 1):
        (body,) = scan.within(k)
        np.testing.assert_array_equal(body.node("h").value, h)
        np.testing.assert_array_equal(body.node("x").value, x)
        h = np.tanh(W @ h + x)
        np.testing.assert_allclose(body.node("h_2").value, h, rtol=1e-15)
        assert body.caption == f"turn {k} of 4"


def test_the_last_turn_unless_another_is_asked_for(graph):
    scan = node_of(graph, "scan")
    assert scan.within()[0].caption == scan.within(4)[0].caption == "turn 4 of 4"
    assert scan.within(-3)[0].caption == "turn 2 of 4"


def test_bodies_stay_without_numbers(graph):
    scan = node_of(graph, "scan")
    scan.within()
    assert all(node.value is None for node in scan.bodies[0].nodes if node.kind != "constant")


def test_values_follow_the_graph(graph):
    graph.forward(W, H, 2 * XS)
    (body,) = node_of(graph, "scan").within(3)
    np.testing.assert_array_equal(body.node("x").value, 2 * XS[2])
    assert body.node("x").gradient is None


def test_a_backward_loop_takes_its_turns_from_the_end():
    def f(x):
        return np.sum(cr.scan(lambda c, v: (c * v, c), 1.0, x, reverse=True)[1])

    graph = cr.graph(f, np.array([2.0, 3.0, 5.0]))
    graph.backward()
    scan = node_of(graph, "scan")
    assert [scan.within(k)[0].inputs[-1].value for k in (1, 2, 3)] == [5.0, 3.0, 2.0]
    slopes = [scan.within(k)[0].inputs[-1].gradient for k in (3, 2, 1)]
    np.testing.assert_array_equal(slopes, graph.inputs[0].gradient)


# ---- gradients -----------------------------------------------------------------------------------


def test_gradients_of_the_turns_make_up_those_of_the_graph(graph):
    expected = cr.grad(unrolled, (0, 1, 2))(W, H, XS)
    scan = node_of(graph, "scan")
    bodies = [scan.within(k)[0] for k in range(1, 5)]
    parts = [body.node("W").gradient for body in bodies]
    np.testing.assert_allclose(sum(parts), expected[0], rtol=1e-12)
    np.testing.assert_allclose(bodies[0].node("h").gradient, expected[1], rtol=1e-12)
    rows = [body.node("x").gradient for body in bodies]
    np.testing.assert_allclose(rows, expected[2], rtol=1e-12)


def test_no_gradients_before_a_backward_sweep():
    (body,) = node_of(cr.graph(recurrent, W, H, XS), "scan").within()
    assert all(node.gradient is None for node in body.nodes)


def test_a_while_loop():
    graph = cr.graph(newton, 2.0, 1.0)
    graph.backward()
    loop = node_of(graph, "while")
    assert loop.turns == 5
    parts = []
    for k in range(1, 6):
        test, body = loop.within(k)
        assert test.value == (True,)
        assert test.caption == body.caption == f"turn {k} of 5"
        assert body.inputs[-1].value == k - 1
        parts.append(body.inputs[0].gradient)
    np.testing.assert_allclose(sum(parts), graph.inputs[0].gradient, rtol=1e-14)
    np.testing.assert_allclose(loop.within()[1].outputs[0].value, 2**0.5, rtol=1e-12)


def test_a_condition_has_numbers_in_the_branch_that_is_taken():
    def f(xs):
        def step(c, x):
            return cr.cond(c > 0, lambda c: c * x, lambda c: np.sin(c), c), None

        return cr.scan(step, xs[0], xs)[0]

    graph = cr.graph(f, np.array([2.0, -3.0, 5.0]))
    graph.backward()
    scan = node_of(graph, "scan")
    for turn, taken in ((1, 0), (2, 0), (3, 1)):
        (body,) = scan.within(turn)
        choice = node_of(body, "cond")
        branches = choice.within()
        assert branches[taken].outputs[0].value == choice.value
        assert branches[taken].outputs[0].gradient == choice.gradient
        assert branches[1 - taken].outputs[0].value is None
        assert branches[taken].caption == f"turn {turn} of 3"


def test_loops_within_loops():
    def f(x):
        return cr.fori_loop(0, 2, lambda i, a: cr.fori_loop(0, 3, lambda j, b: b * x, a), x)

    graph = cr.graph(f, 1.5)
    graph.backward()
    (outer,) = node_of(graph, "scan").within(2)
    (inner,) = node_of(outer, "scan").within(3)
    assert inner.caption == "turn 3 of 3, in turn 2 of 2"
    np.testing.assert_allclose(inner.outputs[-1].value, 1.5**7)


def test_a_called_function():
    graph = cr.graph(lambda x: cr.checkpoint(lambda a: np.sin(a) * a)(x) * 2, 0.5)
    graph.backward()
    call = next(node for node in graph.nodes if node.bodies)
    (body,) = call.within()
    assert body.outputs[0].value == call.value
    assert body.inputs[0].gradient == graph.inputs[0].gradient
    assert (body.caption, call.turns) == ("", 0)


def test_what_never_turns_has_no_numbers():
    graph = cr.graph(lambda x: cr.while_loop(lambda v: v > 9.0, lambda v: v / 2, x), 1.0)
    loop = node_of(graph, "while")
    assert loop.turns == 0
    assert [body.outputs[0].value for body in loop.within()] == [None, None]


@pytest.mark.parametrize("turn", [0, 5, -5])
def test_a_turn_that_is_not_there(graph, turn):
    with pytest.raises(cr.ArgumentError, match=f"the loop has no turn {turn}"):
        node_of(graph, "scan").within(turn)


def test_a_body_without_values_has_no_turns(graph):
    (body,) = node_of(graph, "scan").bodies
    assert [body.turns(node) for node in body.nodes] == [0] * len(body.nodes)
    with pytest.raises(cr.ArgumentError, match="has no values yet"):
        body.nodes[-1].within()


# ---- pictures ------------------------------------------------------------------------------------


def test_the_picture_of_a_body_says_which_turn_it_is(graph):
    (body,) = node_of(graph, "scan").within(2)
    for picture in (body.svg(), body.svg(notation="variables"), body.svg(direction="down")):
        assert ">turn 2 of 4</text>" in picture
    assert "turn 2 of 4</text>" not in body.svg(values=False)
    assert "Computation graph of step, turn 2 of 4" in body.svg()
    assert 'class="gradient"' in body.svg()


def test_bodies_know_the_calls_and_loops_in_them():
    def squash(x):
        return np.tanh(x)

    def step(h, x):
        for _ in range(2):
            h = squash(W @ h + x)
        return h, None

    graph = cr.graph(lambda h: np.sum(cr.scan(step, h, XS)[0]), H)
    (body,) = node_of(graph, "scan").bodies
    path = [[scope.name for scope in node.path] for node in body.nodes if node.operation == "tanh"]
    assert path == [["for _", "squash"]] * 2
    folded = body.fold("loop")
    assert [box.turns for box in folded.boxes] == [2]
    turns = folded.inside(folded.boxes[0]).boxes
    assert [box.name for box in turns] == ["turn 1", "turn 2"]


def test_the_step_of_a_turing_machine_folds_into_its_parts():
    model = cr.models.neural_turing_machine(3, units=8, slots=6, width=4)
    variables = model.init(0, (5, 4))
    x = np.ones((1, 5, 4), np.float32)
    graph = cr.graph(lambda v, x: np.sum(model.apply(v, x)[0]), variables, x)
    graph.backward()
    (body,) = node_of(graph, "scan").within()
    folded = body.fold()
    assert len(folded.nodes) < 30
    assert {box.name for box in folded.boxes} == {
        "control", "write_head", "address", "write", "read_head", "read", "output",
    }  # fmt: skip
    assert sum(box.name == "address" for box in folded.boxes) == 2
    address = folded.inside(next(box for box in folded.boxes if box.name == "address"))
    assert [box.name for box in address.boxes] == ["by_content", "shifted", "sharpened"]
    sharpened = address.inside(address.boxes[-1])
    assert not any(isinstance(part, Box) for part in sharpened.nodes)
    assert ">turn 5 of 5</text>" in sharpened.svg()
    assert 'class="value"' in sharpened.svg()


def test_a_loop_with_two_results_is_one_box(graph):
    folded = graph.fold()
    [loop] = folded.boxes
    assert [node.name for node in loop.nodes] == ["h_2", "ys"]
    assert loop.operations == 4
    assert loop.step is node_of(graph, "scan")
