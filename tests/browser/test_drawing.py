"""Drawings in a browser: with its own fonts, and in a page that steps through them."""

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("pygraphviz", reason="the layout library isn't installed")

# How far each text that stands in a box reaches beyond it, in pixels.
BEYOND = """() => [...document.querySelectorAll('svg g.node')].flatMap((group) => {
  const box = group.querySelector('rect')?.getBBox();
  if (!box) return [];
  return [...group.querySelectorAll('text')].map((text) => text.getBBox())
    .filter((room) => room.y > box.y - 2 && room.y + room.height < box.y + box.height + 2)
    .map((room) => Math.max(box.x - room.x, room.x + room.width - box.x - box.width));
})"""


def both(x):
    last, sums = cr.scan(lambda c, v: (c * v, c + v), x[0], x)
    return last + np.sum(sums)


def named(the_first_of_two_inputs, W):
    turned_over = W.T @ the_first_of_two_inputs
    return np.sum(np.maximum(turned_over, 0)[1:] ** 3)


def machine():
    model = cr.models.neural_turing_machine(3, units=8, slots=6, width=4)
    x = np.ones((1, 5, 4), np.float32)
    graph = cr.graph(lambda v, x: np.sum(model.apply(v, x)[0]), model.init(0, (5, 4)), x)
    graph.backward()
    return next(node for node in graph.nodes if node.bodies).within()[0]


def test_text_stays_in_its_box(visit, write):
    graph = cr.graph(named, np.ones(2), np.eye(2))
    graph.backward()
    step = machine()
    pictures = [graph.svg("light"), step.svg("light", fold="function"), step.svg("light")]
    for picture in pictures:
        page = visit(write(picture, "picture.svg"))
        reach = page.evaluate(BEYOND)
        assert len(reach) > 5
        assert max(reach) <= 0


def test_what_comes_back_from_two_results_flows_along_one_edge(visit, saved):
    graph = cr.graph(both, np.array([2.0, 1.0]))
    graph.backward()
    page = visit(saved(graph))
    page.keyboard.press("End")
    rows = page.locator("#canvas .edge[data-edges][data-slot='1']")
    found = [float(x) for x in rows.get_attribute("data-gradient").split()]
    parts = [e.contribution for e in graph.edges if e.source.name == "x" and e.slot == 1]
    np.testing.assert_allclose(found[: len(parts[0])], sum(parts))
    # Both results are computed in the one box, and both steps show it at work.
    active = 0
    page.keyboard.press("Home")
    for _ in range(2 * len(graph.nodes)):
        page.keyboard.press("ArrowRight")
        active += page.locator("#canvas .node.is-active[data-operation='scan']").count()
    assert active == 4
