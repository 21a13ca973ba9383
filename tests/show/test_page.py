"""The page as text: its data, its arithmetic, and that nothing in it can break out."""

import base64
import json
import re

import numpy as np
import pytest

import chainrule as cr
from chainrule.show.frame import framed
from chainrule.show.node import Edge
from chainrule.show.page import views
from chainrule.show.page_data import page_data
from chainrule.show.page_gate import multiplications
from chainrule.show.page_html import View, embedded, page
from chainrule.show.page_number import number_of, numbers_of, packed
from chainrule.show.sweep import sweeps
from chainrule.tracing.stage import evaluate

HOSTILE = "</script><script>alert(1)</script><!-- \u2028 \" ' & ]]>"


def y(x, z):
    a = x * z
    b = np.log(x)
    c = np.sin(b)
    return np.exp(a) + a / b + c / a


def loss(W, x):
    q = W @ x
    return np.sum(q**2)


@pytest.fixture(scope="module")
def graph():
    g = cr.graph(y, 2.0, 3.0)
    g.backward()
    return g


@pytest.fixture(scope="module")
def text(graph):
    return page(graph, [View("", "all", "<svg></svg>")])


# ---- numbers that follow -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (y, (2.0, 3.0)),
        (loss, (np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4]))),
        (lambda x: np.max(np.tanh(x)[::-1] * x) + x[0], (np.array([0.3, -1.2, 2.0]),)),
        (lambda x, n: x**n + np.maximum(x, 1.5), (1.5, 3)),
    ],
)
def test_one_program_holds_what_the_graph_computes_step_by_step(f, args):
    g = cr.graph(f, *args)
    g.backward()
    made = sweeps(g)
    seeds = [np.ones(g.program.inputs[k].type.shape) for k in made.moving]
    results = evaluate(made.program, *g.leaves, *seeds)

    def found(what, number):
        return results[made.places[what, number]]

    for node in g.nodes:
        if node.kind == "operation":
            np.testing.assert_array_equal(found("value", node.index), node.value)
            np.testing.assert_array_equal(found("gradient", node.index), node.gradient)
    for k, edge in enumerate(g.edges):
        if ("contribution", k) in made.places:
            np.testing.assert_array_equal(found("contribution", k), edge.contribution)
        if ("local", k) in made.places:
            np.testing.assert_allclose(found("local", k), edge.local, rtol=1e-15)


def test_forward_and_reverse_agree_on_the_derivative(graph):
    made = sweeps(graph)
    along_x = evaluate(made.program, 2.0, 3.0, 1.0, 0.0)
    out, x = graph.outputs[0].index, graph.inputs[0].index
    by_forward = along_x[made.places["tangent", out]]
    assert by_forward == pytest.approx(along_x[made.places["gradient", x]], rel=1e-15)


def test_multiplications_are_those_of_the_lectures(graph):
    cost = {(e.source.name, e.target.operation, e.slot): multiplications(e) for e in graph.edges}
    assert cost["x", "multiply", 0] == 1
    assert cost["a", "exp", 0] == 1
    assert all(n == 0 for (_, operation, _), n in cost.items() if operation == "add")
    g = cr.graph(loss, np.ones((3, 4)), np.ones(4))
    product = [e for e in g.edges if e.target.operation == "matmul"]
    assert [multiplications(e) for e in product] == [12, 12]


def unpacked(numbers):
    """Of scalars that were packed: a list of the entry of each, None where there is none."""
    there = np.unpackbits(np.frombuffer(base64.b64decode(numbers["there"]), np.uint8))
    entries = iter(np.frombuffer(base64.b64decode(numbers["entries"]), "<f8").tolist())
    return [[next(entries)] if bit else None for bit in there]


# ---- data ----------------------------------------------------------------------------------------


def test_numbers_that_json_lacks():
    values = [np.nan, np.inf, -np.inf, -0.0, np.float32(0.1), np.int64(3), np.bool_(True)]
    assert [number_of(v) for v in values] == [
        "NaN", "Infinity", "-Infinity", "-0", 0.10000000149011612, 3, True,
    ]  # fmt: skip
    first = {"shape": (5,), "kind": "f8", "entries": [0.0, 1.0], "range": [0.0, 4.0]}
    assert numbers_of(np.arange(5.0), 2) == first


def test_lines_point_into_the_users_source(graph):
    data, _ = page_data(graph)
    block, gradient = data["sources"]
    assert block["lines"][0] == "def y(x, z):"
    at = {name: data["lines"][n] for n, (name, *_) in enumerate(data["nodes"])}
    assert block["lines"][data["spots"][at["a"]][1]].strip() == "a = x * z"
    assert at["x"] is None
    assert block["title"] == "test_page.py"
    assert "def dy(x, z):" in gradient["lines"]


def test_no_path_of_the_users_machine_is_told(text):
    assert __file__ not in text
    assert "test_page.py" in text


def test_a_branch_by_python_means_no_editing():
    g = cr.graph(lambda x: x * 2 if x > 1 else x * 3, 2.0)
    g.backward()
    data, arithmetic = page_data(g)
    assert arithmetic == ""
    assert "branch by a value (test_page.py" in data["cannotEdit"]
    assert unpacked(data["shown"]["gradient"])[0] == [2.0]


def test_what_cannot_be_printed_means_no_editing():
    g = cr.graph(lambda a: np.sum(np.linalg.svd(a)[1]), np.array([[2.0, 1.0], [0.0, 3.0]]))
    g.backward()
    data, arithmetic = page_data(g)
    assert arithmetic == ""
    assert data["cannotEdit"] == (
        "The page can't compute this graph itself: svd has no JavaScript form."
    )


def test_a_graph_of_many_nodes_is_shown_but_not_computed(graph, monkeypatch):
    monkeypatch.setattr("chainrule.show.page_data._MOST_COMPUTED", 5)
    data, arithmetic = page_data(graph)
    assert arithmetic == ""
    assert (
        data["cannotEdit"]
        == f"The graph has {len(graph.nodes)} nodes: too many to compute in a page."
    )
    # Forward mode is Python's own then, along the first number.
    assert data["shown"]["along"] == 0
    tangent = unpacked(data["shown"]["tangent"])[graph.outputs[0].index]
    assert tangent == pytest.approx([float(graph.inputs[0].gradient)], rel=1e-14)


def test_a_graph_of_many_numbers_is_shown_but_not_computed():
    g = cr.graph(lambda x: np.sum(x * x), np.ones(150_000))
    data, arithmetic = page_data(g)
    assert arithmetic == ""
    assert "too many to compute" in data["cannotEdit"]
    assert len(json.dumps(data)) < 50_000


def test_alike_gates_are_told_once_and_numbers_packed():
    def f(x):
        for _ in range(4000):
            x = np.sin(x) * 1.01
        return x

    g = cr.graph(f, 0.5)
    g.backward()
    data, _ = page_data(g)
    kinds = [(gate["kind"], gate.get("pattern")) for gate in data["gates"]]
    assert kinds == [
        ("input", None), ("operation", ""), ("constant", None), ("operation", "switches"),
    ]  # fmt: skip
    assert len(json.dumps(data, separators=(",", ":"))) < 70 * len(g.nodes)
    for what in ("value", "gradient"):
        sent = unpacked(data["shown"][what])
        moving = [node.index for node in g.nodes if node.kind != "constant"]
        assert [sent[n] for n in moving] == [[float(getattr(g.nodes[n], what))] for n in moving]
    for what in ("contribution", "local"):
        sent = unpacked(data["shown"][what])
        for k, edge in enumerate(g.edges):
            truth = None if edge.source.kind == "constant" else [float(getattr(edge, what))]
            assert sent[k] == truth


def test_gates_differ_where_their_formulas_or_costs_do(graph):
    g = cr.graph(lambda x, n: x**2 + x**3 + x * 1 + x * 1.0 + x * np.sum(n), 2.0, np.ones(3))
    data, _ = page_data(g)
    formulas = [gate["formula"] for gate in data["gates"] if gate["kind"] == "operation"]
    for text in ("<mn>2</mn>", "<mn>3</mn>"):
        assert sum(text in formula for formula in formulas) == 1
    # Every gate's own is what it would be told of it alone.
    for node, (_, number, *reads) in zip(g.nodes, data["nodes"], strict=True):
        gate = data["gates"][number]
        assert gate["shape"] == node.type.shape
        assert reads == [source.index for source in node.inputs]
        costs = [multiplications(Edge(x, node, k)) for k, x in enumerate(node.inputs)]
        assert [slot["cost"] for slot in gate.get("slots", [])] == costs


def test_what_is_packed_of_an_array():
    found = packed([None, np.arange(100), np.array([1 + 2j]), np.float32(0.5), np.zeros(0)])
    assert found["ranges"] == {"1": [0, 99]}
    assert found["texts"] == {"2": ["1 + 2i"]}
    assert unpacked(found | {"there": packed([0.5])["there"]})[0] == [0.5]


def test_a_long_loop_is_drawn_as_a_few_of_its_turns():
    def f(x):
        for k in range(300):
            x = np.sin(x + k)
        return x

    found = opened(cr.graph(f, 0.5))
    [inside] = [view for view in found.values() if view.title == "for k"]
    told = re.findall(
        r'class="node[^>]*data-name="(turn[^"]*)"[^>]*data-members="([^"]*)"', inside.svg
    )
    assert told == [
        ("turn 1", "1-3"), ("turn 2", "4-6"), ("turn 3", "7-9"), ("turns 4 to 299", "10-897"),
        ("turn 300", "898-900"),
    ]  # fmt: skip
    assert [view.title for view in found.values() if view.parent == inside.key] == [
        "turn 1", "turn 2", "turn 3", "turn 300",
    ]  # fmt: skip


def test_what_is_too_large_to_be_drawn_is_one_box(monkeypatch):
    monkeypatch.setattr("chainrule.show.page._MOST_DRAWN", 100)
    graph = cr.graph(lambda x: sum([np.sin(x * k) for k in range(200)]), 0.5)
    [whole] = views(graph)
    assert re.findall('data-box="([^"]*)"', whole.svg) == ["all"]
    assert whole.nodes == {0}


# ---- nothing breaks out --------------------------------------------------------------------------


def step_of(graph, operation):
    return next(node for node in graph.nodes if node.operation == operation)


def opened(shown):
    return {view.key: view for view in views(shown)}


def names(view):
    return set(re.findall(r'<g class="node[^>]* inner"[^>]*data-name="([^"]*)"', view.svg))


def test_a_loop_opens_into_its_body():
    def f(x, w):
        def turn(c, _):
            z = w * c
            h = np.tanh(z)
            return h, None

        return cr.scan(turn, x, None, length=4)[0]

    graph = cr.graph(f, np.ones(2), 0.5)
    found = opened(graph.fold("loop"))
    [box] = graph.fold("loop").boxes
    body = found[box.key]
    [inside] = step_of(graph, "scan").bodies
    assert names(body) == {node.name for node in inside.nodes}
    assert {"z", "h"} <= names(body)
    assert "length 2" in body.svg
    # Its nodes aren't the page's own.
    assert "data-node" not in body.svg
    assert "data-source" not in body.svg


def test_a_loop_that_is_a_node_has_its_body_beside_the_drawing():
    graph = cr.graph(lambda x: cr.fori_loop(0, 3, lambda i, v: np.sin(v), x) * 2, 0.5)
    first, body, *turns = views(graph)
    loop = step_of(graph, "scan")
    assert (first.key, body.key, body.parent) == ("", f"in {loop.index}", "")
    assert body.title == f"inside {loop.name}"
    assert [(turn.key, turn.title, turn.parent) for turn in turns] == [
        (f"{body.key} turn {k}", f"turn {k} of 3", body.key) for k in (1, 2)
    ]
    assert "data-node" in first.svg
    assert "sin" in body.svg


def test_loops_within_loops_open_one_after_the_other():
    def f(x):
        return cr.fori_loop(0, 2, lambda i, a: cr.fori_loop(0, 3, lambda j, b: np.sin(b), a) * a, x)

    graph = cr.graph(f, 0.5)
    found = opened(graph.fold("loop"))
    outer, inner = (re.search(r'data-box="([^"]*)"', found[key].svg)[1] for key in ("", "0"))
    assert outer == "0"
    assert found[inner].parent == outer
    assert "sin" in found[inner].svg


def test_condition_and_body_of_a_loop_open_by_themselves():
    graph = cr.graph(lambda x: cr.while_loop(lambda v: np.cos(v) > 0.9, np.sin, x), np.float64(0.5))
    shown = graph.fold("loop")
    [box] = shown.boxes
    found = opened(shown)
    keys = re.findall(r'data-box="([^"]*)"', found[box.key].svg)
    assert keys == [f"{box.key}/0", f"{box.key}/1"]
    told = [set(re.findall(r">(sin|cos)<", found[key].svg)) for key in keys]
    assert told == [{"cos"}, {"sin"}]
    assert "weight" not in found[box.key].svg
    assert {found[key].parent for key in keys} == {box.key}


def test_json_in_a_script_element_cannot_end_it():
    inside = embedded({"name": HOSTILE})
    assert not re.search("[<>&\u2028\u2029]", inside)
    assert json.loads(inside) == {"name": HOSTILE}


def test_hostile_names_never_stand_bare(graph):
    def f(x):
        return x * 2.0

    f.__name__ = HOSTILE
    g = cr.graph(f, 1.0, names={"x": HOSTILE})
    g.backward()
    made = page(g, [View(HOSTILE, HOSTILE, "<svg></svg>", HOSTILE)])
    assert "<script>alert" not in made
    assert made.count("<script") == 2
    assert made.count("</script>") == 2
    assert "\u2028" not in made


def test_the_policy_lets_nothing_in(text):
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text)
    assert "@import" not in text
    assert "url(" not in text


def test_braces_of_a_users_source_are_left_alone(graph):
    def f(x):
        table = {"title": "{title}"}  # {style} {data}
        return x * len(table)

    g = cr.graph(f, 1.0)
    assert "{title}" in page(g, [View("", "all", "<svg></svg>")])


def test_a_page_in_a_notebooks_cell_is_a_frame_of_its_own(text):
    frame = framed(text)
    assert frame.startswith('<iframe srcdoc="&lt;!doctype html&gt;')
    assert 'sandbox="allow-scripts"' in frame
    assert "<script" not in frame


def test_the_arithmetic_reads_like_the_users_code(text):
    for line in ("const a = x * z;", "const b = Math.log(x);", "const grad_x = "):
        assert line in text


def test_a_notebook_shows_the_page_and_a_large_graph_as_a_picture():
    pytest.importorskip("pygraphviz")
    assert cr.graph(y, 2.0, 3.0)._repr_html_().startswith("<iframe srcdoc=")
    long = cr.graph(lambda x: sum(np.sin(x * k) for k in range(200)), 0.5)
    assert long._repr_html_() is None
