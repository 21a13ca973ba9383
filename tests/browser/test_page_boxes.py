"""Folded graphs, loops and what of a drawing is seen, on a graph's page in a real browser."""

import json

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("pygraphviz", reason="the layout library isn't installed")


def chain(x, length):
    v = x
    for _ in range(length):
        v = np.sin(v) * x
    return v


def spiral(x):
    return cr.fori_loop(0, 3, lambda i, v: np.sin(v) * v, x) * 2


def numbers_within(page, kind):
    """What the drawing of a body says in full: node's name → number."""
    pairs = page.locator(f"#canvas .node.inner[data-{kind}]").evaluate_all(
        f"groups => groups.map(g => [g.dataset.name, g.dataset.{kind}])"
    )
    return {name: json.loads(text) for name, text in pairs}


# ---- boxes ---------------------------------------------------------------------------------------


def test_boxes_of_a_folded_graph_open_and_close(visit, saved):
    def block(v):
        return np.tanh(v * 0.5) + v

    def f(x):
        for _ in range(30):
            x = block(x)
        return x

    g = cr.graph(f, 0.5)
    page = visit(saved(g))
    boxes = page.locator("#canvas [data-box]")
    assert 0 < boxes.count() < 30
    title = page.locator("#crumbs button:disabled").inner_text()
    boxes.first.focus()
    page.keyboard.press("Enter")
    assert page.locator("#crumbs button:disabled").inner_text() != title
    page.locator("#crumbs button").first.click()
    assert page.locator("#crumbs button:disabled").inner_text() == title
    page.keyboard.press("End")
    shown = page.locator("#trace [data-row='0'] .gradient").get_attribute("title")
    assert float(shown) == pytest.approx(float(g.backward()), rel=1e-13)


@pytest.fixture
def machine(saved):
    model = cr.models.neural_turing_machine(3, units=8, slots=6, width=4)
    parameters = model.init(0, (5, 4))["parameters"]
    x = np.ones((1, 5, 4), np.float32)
    graph = cr.graph(lambda p, x: np.sum(model.apply({"parameters": p}, x)[0]), parameters, x)
    return saved(graph.fold("loop"))


def test_the_loop_of_a_turing_machine_opens_into_its_step(visit, machine):
    page = visit(machine)
    page.locator("#canvas [data-box]").click()
    assert page.locator("#crumbs button:disabled").inner_text() == "scan"
    boxes = page.locator("#canvas [data-box]")
    told = boxes.evaluate_all("all => all.map(g => g.ariaLabel).join()")
    for part in ("control", "read_head", "write_head", "address"):
        assert part in told
    assert page.locator("#canvas [data-node]").count() == 0
    boxes.first.click()
    assert page.locator("#canvas .node.inner").count() > 2
    page.keyboard.press("End")
    page.locator("#crumbs button").first.click()
    assert page.locator("#canvas [data-box]").count() == 1


def test_the_body_of_a_small_loop_is_a_click_away(visit, saved):
    graph = cr.graph(lambda x: cr.fori_loop(0, 3, lambda i, v: np.sin(v) * v, x) * 2, 0.5)
    page = visit(saved(graph))
    page.locator("#crumbs button", has_text="inside").click()
    assert page.locator("#canvas .node.inner").count() > 1
    page.reload()
    assert page.locator("#canvas .node.inner").count() > 1
    page.locator("#crumbs button").first.click()
    assert page.locator("#canvas [data-node]").count() > 1


def test_the_first_view_is_the_whole_drawing(visit, machine, tmp_path):
    small = tmp_path / "small.html"
    cr.graph(chain, 0.5, 3).save(small)
    for path in (machine, small):
        page = visit(path)
        canvas = page.locator("#canvas").bounding_box()
        boxes = [group.bounding_box() for group in page.locator("#canvas .node").all()]
        left = min(box["x"] for box in boxes) - canvas["x"]
        right = max(box["x"] + box["width"] for box in boxes) - canvas["x"]
        top = min(box["y"] for box in boxes) - canvas["y"]
        bottom = max(box["y"] + box["height"] for box in boxes) - canvas["y"]
        assert left >= 0
        assert top >= 0
        assert right <= canvas["width"]
        assert bottom <= canvas["height"]
        assert abs(left - (canvas["width"] - right)) < 0.1 * canvas["width"]
        assert abs(top - (canvas["height"] - bottom)) < 0.1 * canvas["height"]
        for part in (".legend", ".zoom"):
            assert page.locator(part).bounding_box()["y"] >= canvas["y"] + canvas["height"]


def test_the_body_of_a_loop_has_a_page_without_numbers(visit, saved):
    g = cr.graph(lambda x: cr.scan(lambda c, _: (np.sin(c) * c, None), x, None, length=3)[0], 0.5)
    (body,) = next(node.bodies for node in g.nodes if node.bodies)
    page = visit(saved(body))
    assert "differ from turn to turn" in page.locator("#inputs .notice").inner_text()
    page.keyboard.press("End")
    assert page.locator("#next").is_disabled()


# ---- turns of loops ------------------------------------------------------------------------------


def test_each_turn_of_a_small_loop_shows_its_own_numbers(visit, saved):
    graph = cr.graph(spiral, 0.5)
    graph.backward()
    loop = next(node for node in graph.nodes if node.bodies)
    page = visit(saved(graph))
    for turn, button in ((3, f"inside {loop.name}"), (1, "turn 1 of 3"), (2, "turn 2 of 3")):
        page.locator("#crumbs button", has_text=button).click()
        assert f"turn {turn} of 3" in page.locator("#canvas").inner_text()
        (body,) = loop.within(turn)
        for kind in ("value", "gradient"):
            found = numbers_within(page, kind)
            assert {node.name for node in body.nodes if node.operation == "sin"} <= set(found)
            for name, number in found.items():
                assert number == pytest.approx(float(getattr(body.node(name), kind)), rel=1e-15)
        if turn != 3:
            page.locator("#crumbs button", has_text="inside").click()


def test_numbers_of_a_turn_are_hidden_when_the_inputs_change(visit, saved):
    page = visit(saved(cr.graph(spiral, 0.5)))
    page.locator("#crumbs button", has_text="inside").click()
    numbers = page.locator("#canvas .inner .value, #canvas .inner .gradient")
    assert numbers.first.is_visible()
    assert page.locator("#stale").is_hidden()
    page.get_by_label("x", exact=True).fill("0.7")
    assert not any(number.is_visible() for number in numbers.all())
    assert "inputs as they were" in page.locator("#stale").inner_text()
    page.get_by_role("button", name="As they were").click()
    assert numbers.first.is_visible()


def test_the_branch_that_is_taken_has_numbers(visit, saved):
    def f(x):
        return cr.cond(x > 1.0, lambda v: np.sin(v) * v, lambda v: np.cos(v) - v, x)

    page = visit(saved(cr.graph(cr.jit(f), 2.0)))
    page.keyboard.press("End")
    value = page.locator("#trace tr").last.locator("td .value").first.get_attribute("title")
    assert float(value) == pytest.approx(np.sin(2.0) * 2.0, rel=1e-15)


# ---- what is seen --------------------------------------------------------------------------------


def scale(page):
    """Pixels per unit of the drawing."""
    return page.evaluate("document.querySelector('#canvas svg').getScreenCTM().a")


def eventually(page, happens):
    """Wait for something; the page's own policy forbids playwright's way to do so."""
    for _ in range(200):
        if happens():
            return
        page.wait_for_timeout(25)
    raise AssertionError(happens)


def test_a_drawing_too_small_to_be_read_is_followed_from_gate_to_gate(visit, saved):
    page = visit(saved(cr.graph(chain, 0.5, 25)))
    whole = scale(page)
    assert whole < 0.6
    canvas = page.locator("#canvas").bounding_box()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
        assert scale(page) > 0.8
        box = page.locator("#canvas .is-active > rect").first.bounding_box()
        assert canvas["x"] <= box["x"]
        assert box["x"] + box["width"] <= canvas["x"] + canvas["width"]
    page.keyboard.press("Home")
    assert scale(page) == pytest.approx(whole, rel=1e-3)
    page.keyboard.press("ArrowRight")
    page.locator("#fit").click()
    page.keyboard.press("ArrowRight")
    assert scale(page) == pytest.approx(whole, rel=1e-3)


def test_movement_is_only_for_those_who_like_it(visit, saved):
    path = saved(cr.graph(chain, 0.5, 25))
    still = visit(path)
    still.keyboard.press("ArrowRight")
    assert scale(still) > 0.8
    moving = visit(path, reduced_motion="no-preference")
    moving.keyboard.press("ArrowRight")
    eventually(moving, lambda: scale(moving) > 0.8)


def test_on_paper_all_of_the_drawing_is_there(visit, saved):
    page = visit(saved(cr.graph(chain, 0.5, 25)))
    page.keyboard.press("End")
    box = "document.querySelector('#canvas svg').viewBox.baseVal.width"
    near = page.evaluate(box)
    page.emulate_media(media="print")
    eventually(page, lambda: page.evaluate(box) > near + 1)
    frame = page.locator(".frame").bounding_box()
    for group in page.locator("#canvas .node").all():
        place = group.bounding_box()
        assert frame["x"] <= place["x"]
        assert place["x"] + place["width"] <= frame["x"] + frame["width"]
    page.emulate_media(media="screen")
    eventually(page, lambda: page.evaluate(box) == near)


def test_on_a_small_screen_the_drawing_stands_above_the_steps(visit, machine):
    page = visit(machine, viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    tops = [page.locator(part).bounding_box()["y"] for part in ("#crumbs", ".frame", ".step-card")]
    assert tops == sorted(tops)
    page.keyboard.press("End")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
