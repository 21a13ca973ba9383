"""Network diagrams: circles, weights on edges, no biases and no loss."""

import json
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import UnsupportedError
from chainrule.show.network import network
from chainrule.show.svg import svg_text

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def small():
    model = cr.nn.Sequential(
        [
            cr.nn.Dense(3, activation="tanh", name="hidden"),
            cr.nn.Dense(1, activation="sigmoid", name="out"),
        ]
    )
    variables = model.init(0, (2,))

    def loss(variables, x, y):
        p = model.apply(variables, x)[0]
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    arguments = variables, np.array([[0.5, -1.0]], "f4"), np.array([[1.0]], "f4")
    return cr.graph(loss, *arguments)


def groups(text, kind):
    root = ET.fromstring(text)
    return [g for g in root.iter(f"{SVG}g") if kind in g.get("class").split()]


def words(group):
    return ["".join(text.itertext()) for text in group.iter(f"{SVG}text")]


def test_one_circle_per_unit_and_one_edge_per_weight(small):
    text = small.svg(convention="network")
    units = groups(text, "unit")
    assert [words(g)[0] for g in units] == ["x1", "x2", "tanh", "tanh", "tanh", "σ"]
    edges = groups(text, "edge")
    assert len(edges) == 2 * 3 + 3 * 1
    kernels = [small.node("hidden/kernel").value, small.node("out/kernel").value]
    for edge in edges:
        layer, source, target = (int(edge.get(f"data-{k}")) for k in ("layer", "source", "target"))
        assert np.float32(json.loads(edge.get("data-weight"))) == kernels[layer][source, target]
    assert "bias" not in text
    assert "loss" not in text


def test_weights_are_written_and_do_not_meet(small):
    labels = groups(small.svg(convention="network"), "label")
    assert len(labels) == 9
    places = []
    for label in labels:
        text = label.find(f"{SVG}text")
        places.append((float(text.get("x")), float(text.get("y"))))
    for k, (x, y) in enumerate(places):
        assert all(abs(x - a) > 15 or abs(y - b) > 10 for a, b in places[k + 1 :])


def test_a_model_is_drawn_without_a_graph():
    model = cr.nn.Sequential([cr.nn.Dense(2, activation="relu"), cr.nn.Dense(1)])
    model(np.ones((1, 3), np.float32))
    text = svg_text(network(model))
    assert len(groups(text, "unit")) == 6
    assert [words(g)[0] for g in groups(text, "unit")][3:] == ["relu", "relu", "Σ"]


def test_wide_layers_are_abbreviated():
    def net(x, W, V):
        return np.tanh(x @ W) @ V

    graph = cr.graph(net, np.ones((1, 50)), np.ones((50, 12)), np.ones((12, 2)))
    text = graph.svg(convention="network")
    assert len(groups(text, "unit")) == 6 + 6 + 2
    assert [g.get("aria-label") for g in groups(text, "more")] == ["44 more units", "6 more units"]
    assert ["50 units"] in [words(g)[1:] for g in groups(text, "caption")]
    assert not groups(text, "label")


def test_weights_from_the_left():
    graph = cr.graph(lambda W, x: np.tanh(W @ x), np.arange(6.0).reshape(2, 3), np.ones(3))
    edges = groups(graph.svg(convention="network"), "edge")
    assert len(edges) == 6
    assert {e.get("data-weight") for e in edges} == {"0.0", "1.0", "2.0", "3.0", "4.0", "5.0"}


@pytest.mark.parametrize(
    ("f", "arguments", "reason"),
    [
        (lambda x: np.sin(x), (1.0,), "multiplies by no array"),
        (lambda x, W: np.tanh(x @ W) @ np.tanh(x @ W).T, (np.ones((2, 3)), np.ones((3, 2))), ""),
    ],
)
def test_what_is_no_network_says_so(f, arguments, reason):
    with pytest.raises(UnsupportedError, match="chain of dense layers") as error:
        cr.graph(f, *arguments).svg(convention="network")
    assert reason in str(error.value)
    assert "convention='computation'" in str(error.value)


def test_layers_that_are_not_dense_are_named():
    model = cr.nn.Sequential([cr.nn.Conv2D(2, 3, name="conv"), cr.nn.Flatten(), cr.nn.Dense(1)])
    model(np.ones((1, 5, 5, 1), np.float32))
    with pytest.raises(UnsupportedError, match="conv"):
        network(model)
