"""The gallery: every case is exact, is drawn and paged with its numbers, and is listed."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from gallery.listing import CASES, MARK, PARTS, filled
from scipy.special import expit, softmax

DOCS = Path(__file__).parents[1] / "docs"
SVG = "{http://www.w3.org/2000/svg}"

# The worked cases of the lectures; G-e is a table and has no graph.
WORKED = set("D-a B-a B-b B-c B-d I-a I-b L-a L-b L-c G-a G-b G-c G-d G-f C4 C5 C6 C8".split())

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def large(case):
    return case.value is None


def drawn(svg):
    """What the nodes of a drawing say in full: number → value and gradient; a literal has none."""
    groups = [g for g in ET.fromstring(svg).iter(f"{SVG}g") if g.get("data-gradient")]
    return {
        int(g.get("data-node")): [json.loads(g.get(f"data-{k}")) for k in ("value", "gradient")]
        for g in groups
        if g.get("data-node")
    }


def data_of(page):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page)[1]
    )


def entries(numbers):
    return np.reshape([float(x) for x in numbers["entries"]], numbers["shape"])


@each_case
def test_a_case(case, tmp_path):
    graph = case.graph()
    if large(case):
        EXACT[case.label](case, graph)
    else:
        check_exactly(case, graph)
    case.save(graph, tmp_path)
    picture = (tmp_path / f"{case.name}.svg").read_text("utf-8")
    page = (tmp_path / f"{case.name}.html").read_text("utf-8")
    if case.folded:
        assert "data-box" in picture
    elif case.picture.get("convention") == "network":
        weights = re.findall(r'data-weight="([^"]*)"', picture)
        assert [float(w) for w in weights] == [*np.ravel(case.point[1].T), *np.ravel(case.point[3])]
    else:
        check_drawing(case, graph, picture)
    check_page(case, graph, page)


def check_exactly(case, graph):
    """The graph's numbers are the lectures'."""
    np.testing.assert_allclose(graph.value, case.value, rtol=4e-15)
    found = [node.gradient for node in graph.inputs]
    for gradient, exact in zip(found, case.gradient, strict=True):
        assert np.shape(gradient) == np.shape(exact)
        np.testing.assert_allclose(gradient, exact, rtol=1e-13, atol=1e-15)
    for name, exact in case.inside.items():
        np.testing.assert_allclose(graph.node(name).gradient, exact, rtol=1e-13, atol=1e-15)


def check_drawing(case, graph, svg):
    """What is drawn is what was computed, at every node."""
    found = drawn(svg)
    assert {node.index for node in (*graph.inputs, *graph.outputs)} <= set(found)
    for index, (value, gradient) in found.items():
        np.testing.assert_array_equal(value, graph.nodes[index].value)
        np.testing.assert_array_equal(gradient, graph.nodes[index].gradient)


def check_page(case, graph, page):
    """The page has the graph's drawing, its inputs and the user's source, and can compute."""
    data = data_of(page)
    assert [name for name, *_ in data["nodes"]] == [node.name for node in graph.nodes]
    titles = [source["title"] for source in data["sources"]]
    assert f"{case.function.__module__.rpartition('.')[2]}.py" in titles
    if not large(case):
        assert data["cannotEdit"] == ""
        assert "function sweep" in page
        for leaf, node in zip(data["leaves"], graph.inputs, strict=True):
            np.testing.assert_array_equal(entries(leaf), node.value)
    views = re.findall(
        r'<template class="view" data-key="([^"]*)"[^>]*>(.*?)</template>', page, re.S
    )
    if case.folded:
        assert len(views) > 1
        assert "data-box" in views[0][1]
        assert views[-1][0] == "whole"
        return
    [(_, svg)] = views
    check_drawing(case, graph, svg)


def check_alexnet(case, graph):
    assert sum(node.type.size for node in graph.inputs[:-1]) == 60_965_224
    assert f"{60_965_224:,}" in case.look
    scores = graph.node("fc8/bias").users[0]
    [p] = softmax(scores.value.astype(float), axis=-1)
    np.testing.assert_allclose(graph.value, -np.log(p[7]), rtol=1e-5)
    exact = p - (np.arange(1000) == 7)
    np.testing.assert_allclose(graph.node("fc8/bias").gradient, exact, rtol=1e-4, atol=1e-7)
    assert [box.name for box in graph.fold("auto").boxes][0::14] == ["padding", "fc8"]
    assert len(graph.fold("auto").boxes) == 15


def check_machine(case, graph):
    parameters, x, y = case.arguments()
    scores = case.function.__globals__["machine"].apply({"parameters": parameters}, x)[0]
    loss = np.mean(np.log(1 + np.exp(scores)) - y * scores)
    np.testing.assert_allclose(graph.value, loss, rtol=1e-5)
    exact = np.mean(expit(scores) - y, axis=(0, 1)) / 3
    gradient = graph.node("machine/output_bias").gradient
    np.testing.assert_allclose(gradient, exact, rtol=1e-4, atol=1e-6)
    [loop] = graph.fold("loop").boxes
    assert (loop.kind, loop.turns) == ("loop", 5)


EXACT = {"C8, AlexNet": check_alexnet, "C8, Turing machine": check_machine}


def test_every_worked_case_is_there():
    labels = [case.label for case in CASES]
    assert len(set(labels)) == len(labels)
    assert {label.split(",")[0] for label in labels} >= WORKED
    assert {case.label for case in CASES if large(case)} == set(EXACT)
    assert all((case.gradient is None) == large(case) for case in CASES)


def test_the_page_lists_every_case():
    markdown = (DOCS / "gallery.md").read_text("utf-8")
    assert markdown.count(MARK) == 1
    text = filled(markdown)
    assert MARK not in text
    places = []
    for case in CASES:
        link = (
            f"[![{case.title}: open the page](gallery/{case.name}.svg)](gallery/{case.name}.html)"
        )
        assert text.count(link) == 1
        assert f"### {case.title}\n" in text
        assert f"{case.look} ({case.label})\n" in text
        places.append(text.index(link))
    assert places == sorted(places)
    assert all(f"## {heading}\n" in text for heading in PARTS)


def test_the_build_writes_it():
    settings = (DOCS.parent / "mkdocs.yml").read_text("utf-8")
    assert "hooks: [docs/gallery_pages.py]" in settings
    assert (DOCS / "gallery_pages.py").exists()
