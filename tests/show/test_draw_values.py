"""What is drawn is what was computed: numbers read back out of the SVG, in full and as shown."""

import json
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import chainrule as cr
from chainrule.show.numeral import exact, short

SVG = "{http://www.w3.org/2000/svg}"


def d_a(x, z):
    a = x * z
    b = np.log(x)
    c = np.sin(b)
    d = np.exp(a)
    e = a / b
    f = c / a
    y = d + e + f
    return y


def b_a(x, y, z):
    return (x + y) * z


def b_b(w0, x0, w1, x1, w2):
    return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + w2)))


def b_c(W, x):
    q = W @ x
    return np.sum(q**2)


def l_c(x):
    a = x**2
    b = 5 * a
    c = np.log(a)
    g = b * c
    L = -g
    return L


def g_c(x1, x2, x3, x4, x5, x6):
    return 1 / (1 + np.exp(-np.log(5 * (np.maximum(x1, x2) * x3 / x4 - (x5 + x6))))) + 0.5


CASES = {
    "D-a": (d_a, (2.0, 3.0)),
    "B-a": (b_a, (-2.0, 5.0, -4.0)),
    "B-b": (b_b, (2.0, -1.0, -3.0, -2.0, -3.0)),
    "B-c": (b_c, (np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4]))),
    "L-c": (l_c, (2.0,)),
    "G-c": (g_c, (1.0, 2.0, 6.0, 3.0, 1.0, 1.0)),
}


def groups(graph, kind, **options):
    """The groups of a class in a graph's SVG."""
    root = ET.fromstring(graph.svg(**options))
    return [g for g in root.iter(f"{SVG}g") if kind in g.get("class").split()]


def words(group):
    """The lines of text of a group."""
    return ["".join(text.itertext()) for text in group.iter(f"{SVG}text")]


def differentiated(name):
    f, arguments = CASES[name]
    graph = cr.graph(f, *arguments)
    graph.backward()
    return graph


@pytest.mark.parametrize("notation", ["operations", "variables"])
@pytest.mark.parametrize("name", CASES)
def test_nodes_carry_their_values_and_gradients_in_full(name, notation):
    graph = differentiated(name)
    drawn = {int(g.get("data-node")): g for g in groups(graph, "node", notation=notation)
             if g.get("data-node")}  # fmt: skip
    literal = {n.index for n in graph.nodes if n.kind == "constant"}
    assert set(drawn) == {n.index for n in graph.nodes} - literal
    for k, group in drawn.items():
        node = graph.nodes[k]
        np.testing.assert_array_equal(json.loads(group.get("data-value")), node.value)
        np.testing.assert_array_equal(json.loads(group.get("data-gradient")), node.gradient)
        assert group.get("data-name") == node.name


@pytest.mark.parametrize("name", CASES)
def test_edges_carry_the_value_and_what_flows_back(name):
    graph = differentiated(name)
    drawn = {int(g.get("data-edge")): g for g in groups(graph, "edge") if g.get("data-edge")}
    for k, edge in enumerate(graph.edges):
        if edge.source.kind == "constant":
            assert k not in drawn
            continue
        np.testing.assert_array_equal(json.loads(drawn[k].get("data-value")), edge.source.value)
        np.testing.assert_array_equal(json.loads(drawn[k].get("data-gradient")), edge.contribution)


@pytest.mark.parametrize("name", ["D-a", "B-a", "B-b", "L-c", "G-c"])
def test_values_stand_above_the_edge_and_gradients_below(name):
    graph = differentiated(name)
    for group in groups(graph, "edge"):
        value, gradient = (json.loads(group.get(f"data-{key}")) for key in ("value", "gradient"))
        above, below = group.findall(f"{SVG}text")
        assert "".join(above.itertext()).split(" = ")[-1] == short(value)
        assert "".join(below.itertext()) == short(gradient)
        path = group.find(f"{SVG}path").get("d")
        heights = [float(y) for y in re.findall(r"[-\d.]+ ([-\d.]+)", path)]
        level = min(heights, key=lambda y: abs(y - float(above.get("y")) - 4))
        assert float(above.get("y")) < level < float(below.get("y"))


def test_b_b_shows_the_numbers_of_the_lecture():
    shown = {line for g in groups(differentiated("B-b"), "edge") for line in words(g)}
    assert {"0.7311", "−0.1966", "−0.3932", "0.3932", "−0.5898"} <= shown


def test_before_backward_there_are_no_gradients():
    graph = cr.graph(b_a, -2.0, 5.0, -4.0)
    text = graph.svg()
    assert "data-gradient" not in text
    assert text.count('class="gradient"') == 0


def test_gradients_that_add_at_a_branch_are_shown_as_their_sum():
    graph = differentiated("L-c")
    [group] = [g for g in groups(graph, "node") if g.get("data-name") == "a"]
    assert f"Σ {short(graph.node('a').gradient)}" in words(group)


def test_a_matrix_shows_its_shape_and_its_entries():
    graph = differentiated("B-c")
    [group] = [g for g in groups(graph, "node") if g.get("data-name") == "W"]
    assert words(group) == ["W", "2 × 2", "0.1", "0.5", "−0.3", "0.8"]


def test_a_large_array_shows_its_shape_in_its_box_and_its_range_on_its_edge():
    graph = cr.graph(lambda x: np.sum(np.exp(x)), np.linspace(-1.0, 1.0, 40))
    shown = [line for g in groups(graph, "edge") for line in words(g)]
    assert "−1 … 1" in shown
    assert "a = 0.368 … 2.72" in shown
    assert "length 40" in words(groups(graph, "input")[0])
    assert all(g.get("data-value") != "" for g in groups(graph, "edge"))


def test_what_is_not_finite_is_shown_and_marked():
    def f(x, y):
        return np.log(x) * y / 0.0

    with np.errstate(all="ignore"):
        graph = cr.graph(f, -1.0, 2.0)
        graph.backward()
        other = cr.graph(lambda x: 1 / x, 0.0)
    marked = [g for g in groups(graph, "node") if "wrong" in g.get("class").split()]
    assert marked
    assert any("⚠ NaN" in line for g in groups(graph, "edge") for line in words(g))
    assert any("⚠ ∞" in line for g in groups(other, "edge") for line in words(g))
    found = [g.get("data-value") for g in groups(other, "edge")]
    assert "Infinity" in found


def test_functions_stand_inside_and_literals_with_them():
    inside = [words(g)[0] for g in groups(differentiated("B-b"), "operation")]
    assert inside == ["×", "×", "+", "+", "× −1", "exp", "+ 1", "1 / g"]


def test_a_power_of_a_plain_number_is_written_as_a_power():
    graph = cr.graph(lambda x: x**2 + x**-3 + x**0.25, 2.0)
    inside = [words(g)[0] for g in groups(graph, "operation")]
    assert inside == ["x2", "x−3", "+", "x0.25", "+"]


def test_variables_have_edges_with_what_is_done():
    signs = {words(g)[0] for g in groups(differentiated("D-a"), "edge", notation="variables")}
    assert {"×", "log", "sin", "exp", "a / b", "c / a", "+"} == signs


def test_without_values_edges_still_have_names():
    lines = {
        line
        for g in groups(differentiated("L-c"), "edge", values=False, gradients=False)
        for line in words(g)
    }
    assert {"a", "b", "c", "g"} <= lines


def test_every_node_has_words_for_those_who_do_not_see_it():
    for group in groups(differentiated("D-a"), "node"):
        title = group.find(f"{SVG}title").text
        assert title == group.get("aria-label")
        if group.get("data-node"):
            assert "value" in title


def test_an_exponent_is_told_to_those_who_do_not_see_it():
    def f(q):
        return q**2

    for notation in ("operations", "variables"):
        told = cr.graph(f, 3.0).svg(notation=notation)
        assert "q²" in told
        assert "q2" not in told


class Product(cr.Gate):
    def forward(self, x, y):
        self.x, self.y = x, y
        return x * y

    def backward(self, g):
        return [self.y * g, self.x * g]


def test_a_gate_of_the_users_is_one_gate_with_its_name():
    graph = cr.graph(lambda x, y: Product()(x, y) + 1, 2.0, 3.0)
    assert [words(g)[0] for g in groups(graph, "operation")] == ["Product", "+ 1"]
    assert groups(graph, "function") == []
    assert "1 operation" not in graph.svg()
    assert graph.fold().boxes == ()


def test_an_output_that_is_used_too_shows_no_gradient_where_it_leads_out():
    graph = cr.graph(lambda x: (x * 2.0, x), 3.0)
    graph.backward((1.0, 1.0))
    out = {g.get("data-output"): g for g in groups(graph, "edge") if g.get("data-output")}
    assert len(out) == 2
    assert words(out[str(graph.inputs[0].index)]) == ["3"]
    assert words(out[str(graph.outputs[0].index)]) == ["6", "1"]


def test_a_value_read_twice_has_two_edges():
    graph = cr.graph(lambda x: x * x, 3.0)
    graph.backward()
    read = [g for g in groups(graph, "edge") if g.get("data-edge")]
    assert [g.get("data-slot") for g in read] == ["0", "1"]
    assert [g.get("data-gradient") for g in read] == ["3.0", "3.0"]


def test_a_loop_that_is_one_operation_says_how_often_it_turns():
    graph = cr.graph(lambda x: cr.fori_loop(0, 4, lambda k, c: c * x, x), 2.0)
    [loop] = groups(graph, "loop")
    assert words(loop)[:2] == ["scan", "↻ 4 turns"]
    assert loop.get("data-node")


def test_a_result_that_depends_on_nothing():
    graph = cr.graph(lambda x: 3.0, 2.0)
    assert [words(g) for g in groups(graph, "edge")] == [["3"]]


@pytest.mark.parametrize("direction", ["right", "down", "left", "up"])
def test_every_direction_draws_the_same_numbers(direction):
    graph = differentiated("D-a")
    lines = [line for g in groups(graph, "edge", direction=direction) for line in words(g)]
    assert sorted(lines) == sorted(line for g in groups(graph, "edge") for line in words(g))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (404.853739609282, "404.9"),
        (-4.0, "−4"),
        (-0.0, "0"),
        (1.25e-7, "1.25e−7"),
        (123456789.0, "1.235e8"),
        (7, "7"),
        (True, "true"),
        (float("nan"), "NaN"),
        (float("-inf"), "−∞"),
        (1 - 2j, "1 − 2i"),
        (np.float32(0.1), "0.1"),
    ],
)
def test_numbers_in_a_few_digits(number, text):
    assert short(number) == text


def test_exact_numbers_survive():
    assert json.loads(exact(np.float64(0.1) + 0.2)) == np.float64(0.1) + 0.2
    assert exact(np.zeros(1000)) is None
    assert exact("text") is None
