"""Folded graphs: boxes for layers, functions and loops, and what they hold."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.base.errors import ArgumentError
from chainrule.show.fold import Box

SVG = "{http://www.w3.org/2000/svg}"


def model_graph(model, shape):
    variables = model.init(0, shape)

    def net(variables, x):
        return model.apply(variables, x)[0]

    return cr.graph(net, variables, np.ones((1, *shape), np.float32))


@pytest.fixture(scope="module")
def alexnet():
    return model_graph(cr.models.alexnet(classes=10, width=0.05), (224, 224, 3))


@pytest.fixture(scope="module")
def machine():
    model = cr.models.neural_turing_machine(3, units=8, slots=6, width=4)
    return model_graph(model, (5, 4))


def logistic(x):
    s = x
    for _ in range(3):
        s = 4 * s * (1 - s)
    return s


def squash(x):
    return 1 / (1 + np.exp(-x))


def twice(x, y):
    return squash(x) * squash(y)


def drawn(folded):
    root = ET.fromstring(folded.svg())
    return [g for g in root.iter(f"{SVG}g") if g.get("data-box") is not None]


def test_alexnet_in_less_than_thirty_boxes(alexnet):
    folded = alexnet.fold()
    assert len(folded.nodes) < 30
    assert [box.name for box in folded.boxes] == [
        "padding", "conv1", "norm1", "pool1", "conv2", "norm2", "pool2", "conv3", "conv4", "conv5",
        "pool5", "flatten", "fc6", "fc7", "fc8",
    ]  # fmt: skip
    assert {box.kind for box in folded.boxes} == {"layer"}
    assert folded.boxes[1].class_name == "Conv2D"
    assert folded.boxes[1].weights == sum(
        node.type.size for node in alexnet.nodes if node.name.startswith("conv1/")
    )
    assert len(drawn(folded)) == 15


def test_a_model_keeps_its_input_outside_its_boxes(alexnet):
    folded = alexnet.fold("layer")
    assert [node.name for node in folded.nodes if not isinstance(node, Box)] == ["x"]


def test_edges_between_boxes_carry_the_shape(alexnet):
    folded = alexnet.fold()
    lines = {
        "".join(text.itertext())
        for group in ET.fromstring(folded.svg()).iter(f"{SVG}g")
        if group.get("class").startswith("edge")
        for text in group.iter(f"{SVG}text")
    }
    assert "1 × 227 × 227 × 3" in lines
    assert "1 × 10" in lines


def test_a_neural_turing_machine_with_its_recurrence_folded(machine):
    folded = machine.fold()
    assert len(folded.nodes) < 30
    [loop] = [box for box in folded.boxes if box.kind == "loop"]
    assert (loop.name, loop.turns) == ("scan", 5)
    assert loop.operations > 100
    assert "↻ 5 turns" in folded.svg()
    body = machine.nodes[[n.operation for n in machine.nodes].index("scan")].bodies[0]
    assert ET.fromstring(body.svg()) is not None


def test_a_loop_is_one_box_that_holds_its_turns():
    graph = cr.graph(logistic, 0.25)
    folded = graph.fold("loop")
    [loop] = folded.boxes
    assert (loop.kind, loop.turns, loop.operations) == ("loop", 3, 9)
    inner = folded.inside(loop)
    assert [box.name for box in inner.boxes] == ["turn 1", "turn 2", "turn 3"]
    turn = inner.inside(inner.boxes[1])
    assert [node.operation for node in turn.nodes] == ["multiply", "subtract", "multiply"]
    assert [node.name for node in turn.outside] == ["s"]
    assert [node.name for node in turn.leaving] == ["s_2"]
    assert "↻ 3 turns" in folded.svg()


def test_two_calls_of_a_function_are_two_boxes():
    folded = cr.graph(twice, 1.0, 2.0).fold("function")
    assert [box.name for box in folded.boxes] == ["squash", "squash"]
    assert len({box.key for box in folded.boxes}) == 2
    rest = [node.operation for node in folded.nodes if not isinstance(node, Box)]
    assert rest == [None, None, "multiply"]


def test_depth_opens_levels():
    graph = cr.graph(logistic, 0.25)
    assert len(graph.fold("loop", depth=0).boxes) == 1
    assert len(graph.fold("loop", depth=1).boxes) == 3
    assert len(graph.fold("loop", depth=2).boxes) == 0
    assert len(graph.fold("loop", depth=9).nodes) == 10


def test_auto_opens_what_is_small():
    assert len(cr.graph(logistic, 0.25).fold().boxes) == 0


def test_inside_by_key(alexnet):
    folded = alexnet.fold()
    box = folded.boxes[2]
    assert folded.inside(box.key).root is box
    with pytest.raises(ArgumentError, match="no box has the key 'zz'"):
        folded.inside("zz")


def test_members_are_written_for_pages(alexnet):
    folded = alexnet.fold()
    for group, box in zip(drawn(folded), folded.boxes, strict=True):
        members = [int(k) for k in group.get("data-members").split()]
        assert members == [node.index for node in box.nodes]


def test_every_node_is_somewhere_once(alexnet):
    for by in ("auto", "layer", "function", "loop"):
        folded = alexnet.fold(by)
        held = [n.index for part in folded.nodes
                for n in (part.nodes if isinstance(part, Box) else (part,))]  # fmt: skip
        literals = {n.index for n in alexnet.nodes if n.kind == "constant"}
        assert len(held) == len(set(held))
        assert set(held) | literals == {n.index for n in alexnet.nodes}


@given(st.lists(st.sampled_from("ab-"), min_size=1, max_size=12))
def test_folded_edges_lead_forward(order):
    """However calls follow each other, boxes never need each other."""

    def a(x, y):
        return np.sin(x) * y

    def b(x, y):
        return a(y, x) + x

    def f(x, y):
        for step in order:
            x, y = y, {"a": a, "b": b}.get(step, np.add)(x, y)
        return x * y

    graph = cr.graph(f, 0.5, 0.25)
    for depth in (0, 1, 2):
        folded = graph.fold("function", depth)
        place = {id(part): k for k, part in enumerate(folded.nodes)}
        assert all(place[id(e.source)] < place[id(e.target)] for e in folded.edges)


def test_ways_that_are_not_there():
    graph = cr.graph(logistic, 0.25)
    with pytest.raises(ArgumentError, match="can't be folded by 'size'"):
        graph.fold("size")
    with pytest.raises(ArgumentError, match="depth="):
        graph.fold("loop", depth=-1)
    with pytest.raises(ArgumentError, match="depth="):
        graph.fold("loop", depth=1.5)
