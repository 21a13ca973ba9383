"""The page of a graph in a real browser: stepping, editing, keys, links, sizes, hostile names."""

import json

import numpy as np
import pytest

import chainrule as cr
from chainrule.show.frame import framed
from chainrule.show.javascript.text import javascript, runtime
from chainrule.tracing.stage import trace_program

pytest.importorskip("pygraphviz", reason="the layout library isn't installed")

HOSTILE = "</script><script>document.title='broken'</script><!--\u2028<img src=x onerror=alert(1)>"


def y(x, z):
    a = x * z
    b = np.log(x)
    c = np.sin(b)
    d = np.exp(a)
    e = a / b
    f = c / a
    return d + e + f


def loss(W, x):
    q = W @ x
    return np.sum(q**2)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "y.html"
    cr.graph(y, 2.0, 3.0).save(path)
    return path


def to_the_end(page):
    page.keyboard.press("End")


def drawn(page, what, kind):
    """What stands in the drawing, in full: node's name → number."""
    selector = f"#canvas [data-node][data-{kind}]"
    found = page.locator(selector).evaluate_all(
        f"groups => groups.map(g => [g.dataset.name, g.dataset.{kind}])"
    )
    return {name: [float(x.replace("Infinity", "inf")) for x in text.split()]
            for name, text in found}[what]  # fmt: skip


def row(page, name):
    """A row of the trace, as texts: its value, its tangent, its gradient."""
    for line in page.locator("#trace tr").all():
        cells = line.locator("th, td").all_inner_texts()
        if cells[0] == name:
            return [cell.replace("−", "-") for cell in cells[2:]]
    raise AssertionError(name)


# ---- stepping ------------------------------------------------------------------------------------


def test_steps_forward_and_backward_by_buttons(visit, address):
    page = visit(address)
    assert page.locator("#title").inner_text() == "The inputs"
    assert page.locator("#canvas .is-active").count() == 0
    page.get_by_role("button", name="One step on").click()
    assert page.locator("#title").inner_text() == "Forward: compute a"
    assert page.locator("#canvas .is-active").get_attribute("data-name") == "a"
    assert row(page, "a")[0] == "6"
    assert row(page, "b")[0] == ""
    page.get_by_role("button", name="One step back").click()
    assert page.locator("#title").inner_text() == "The inputs"
    page.get_by_role("button", name="To the end").click()
    assert row(page, "x")[2] == "1208.4"
    assert page.get_by_role("button", name="One step on").is_disabled()


def test_steps_by_keys_and_says_them_aloud(visit, address):
    page = visit(address)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.locator("#live").inner_text() == "Forward: compute b. b is 0.6931."
    page.keyboard.press("ArrowLeft")
    assert page.locator("#position").inner_text() == "1 of 17"
    to_the_end(page)
    assert page.locator("#position").inner_text() == "17 of 17"
    page.keyboard.press("Home")
    assert page.locator("#position").inner_text() == "0 of 17"
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#help").is_visible()


def test_space_plays_and_pauses(visit, address):
    page = visit(address)
    page.keyboard.press("Space")
    play = page.locator("#play")
    assert play.get_attribute("aria-pressed") == "true"
    page.locator("#title", has_text="Forward: compute a").wait_for(timeout=10_000)
    page.keyboard.press("Space")
    assert play.get_attribute("aria-pressed") == "false"


def test_numbers_appear_as_they_are_computed(visit, address):
    page = visit(address)
    node = page.locator("#canvas [data-name='a'][data-node]")
    edge = page.locator("#canvas .edge[data-slot='0'][data-source='0']").first
    assert edge.locator(".value").is_visible()
    assert node.get_attribute("data-value") is None
    page.keyboard.press("ArrowRight")
    assert node.get_attribute("data-value") == "6"
    assert not edge.locator(".gradient").is_visible()
    to_the_end(page)
    assert edge.locator(".gradient").is_visible()


def test_upstream_times_local_is_downstream_at_every_gate(visit, address):
    g = cr.graph(y, 2.0, 3.0)
    g.backward()
    page = visit(address)
    page.keyboard.press("Home")
    seen = 0
    while not page.locator("#next").is_disabled():
        page.keyboard.press("ArrowRight")
        for line in page.locator("#step .product").all():
            up, local, down = (
                float(text)
                for text in line.locator(".number").evaluate_all("all => all.map(n => n.title)")
            )
            assert up * local == pytest.approx(down, rel=1e-14)
            seen += 1
    assert seen == len([e for e in g.edges if e.source.kind != "constant"])


def test_local_derivatives_are_formulas(visit, address):
    page = visit(f"{address.as_uri()}#step=12")
    assert page.locator("#title").inner_text() == "Backward through f"
    assert page.locator("#step .formula math mfrac").count() == 1
    local = page.locator("#step .tile-meaning", has_text="local")
    assert local.count() == 2
    assert local.first.locator("math").count() == 2


def test_gate_patterns_are_pointed_out(visit, saved):
    path = saved(cr.graph(lambda p, q: np.maximum(p * q, p + q), 2.0, 3.0))
    page = visit(path)
    texts = []
    for _ in range(8):
        page.keyboard.press("ArrowRight")
        texts += page.locator(".pattern, .meeting").all_inner_texts()
    told = " ".join(texts)
    for word in ("routes", "distributes", "switches", "used twice", "add up"):
        assert word in told


# ---- numbers equal Python's ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (y, (2.0, 3.0)),
        (loss, (np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4]))),
        (lambda x: np.log(x) * x, (0.0,)),
        (lambda x: np.max(np.tanh(x)[::-1] * x) + x[0], (np.array([0.3, -1.2, 2.0]),)),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_drawn_numbers_are_the_computed_ones(visit, saved, f, args):
    g = cr.graph(f, *args)
    g.backward()
    page = visit(saved(g))
    to_the_end(page)
    for node in g.nodes:
        if node.kind == "constant":
            continue
        for kind, truth in (("value", node.value), ("gradient", node.gradient)):
            np.testing.assert_allclose(
                drawn(page, node.name, kind), np.ravel(truth), rtol=1e-15, err_msg=node.name
            )
    for k, edge in enumerate(g.edges):
        text = page.locator(f"#canvas [data-edge='{k}']")
        if edge.source.kind != "constant" and text.count():
            found = [float(x.replace("Infinity", "inf"))
                     for x in text.get_attribute("data-gradient").split()]  # fmt: skip
            np.testing.assert_allclose(found, np.ravel(edge.contribution), rtol=1e-15)


def test_elementary_functions_in_this_browser(visit, write):
    """To two units in the last place of NumPy's."""
    names = "exp log sin cos tan tanh sinh arctan sqrt cbrt expm1 log1p exp2".split()
    x = np.random.default_rng(0).uniform(0.01, 5.0, 200)

    def f(x):
        return tuple(getattr(np, name)(x) for name in names)

    program = trace_program(f, x, values=False)
    page = visit(write("<!doctype html><title>arithmetic</title>"))
    text = (
        f"{runtime()}\n{javascript(program)}\nf(Float64Array.from({x.tolist()})).map(a => [...a])"
    )
    for name, found in zip(names, page.evaluate(text), strict=True):
        truth = getattr(np, name)(x)
        assert np.max(np.abs(found - truth) / np.spacing(np.abs(truth))) <= 2, name


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nan_and_infinity_are_shown_and_marked(visit, saved):
    page = visit(saved(cr.graph(lambda x: np.log(x) * x, 0.0)))
    to_the_end(page)
    marked = page.locator("#canvas .odd").all_text_contents()
    assert "⚠ −∞" in marked
    assert "⚠ NaN" in marked
    assert page.locator("#trace .odd").count() >= 3


def test_numbers_of_python_where_the_page_cannot_compute(visit, saved):
    def f(A):
        h = np.linalg.svd(A)[1]
        return np.sum(np.outer(h, np.linspace(1.0, 2.0, 40)) * h[0]) + A[0, 0]

    g = cr.graph(f, np.array([[2.0, 1.0], [0.0, 3.0]]))
    g.backward()
    page = visit(saved(g))
    to_the_end(page)
    for node in g.nodes:
        for kind in ("value", "gradient"):
            truth = np.ravel(getattr(node, kind))
            if node.kind != "constant" and 0 < truth.size <= 64:
                assert drawn(page, node.name, kind) == list(truth), (node.name, kind)
    # Of a large array only the range is sent: neither sums nor derivatives of a part of it.
    large, scalar = next(
        (n, x) for n in g.nodes for x in n.inputs if (n.type.size, x.type.size) == (80, 1)
    )
    assert page.locator(f"#trace tr[data-row='{large.index}'] .range").count() >= 1
    page.locator("#of").select_option(str(large.index))
    page.locator("#by").select_option(str(scalar.index))
    assert page.locator("#pair .unknown").all_inner_texts() == ["too large for this page"] * 2


def test_complex_numbers_are_written_out(visit, saved):
    page = visit(saved(cr.graph(lambda z: np.abs(z * (1 + 2j)), 1 + 1j)))
    to_the_end(page)
    texts = page.locator("#canvas .of-value").all_text_contents()
    assert "−1 + 3i" in texts
    assert "NaN" not in page.locator("body").inner_text()


# ---- editing -------------------------------------------------------------------------------------


def test_an_edited_input_moves_every_value_and_gradient(visit, address):
    page = visit(address)
    to_the_end(page)
    page.get_by_label("x", exact=True).fill("1.25")
    g = cr.graph(y, 1.25, 3.0)
    g.backward()
    for node in g.nodes:
        np.testing.assert_allclose(drawn(page, node.name, "value"), [node.value], rtol=3e-16)
        np.testing.assert_allclose(drawn(page, node.name, "gradient"), [node.gradient], rtol=1e-15)
    page.get_by_role("button", name="As they were").click()
    assert page.get_by_label("x", exact=True).input_value() == "2"
    assert drawn(page, "a", "value") == [6]


def test_entries_of_a_matrix_can_be_edited(visit, saved):
    W, x = np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4])
    page = visit(saved(cr.graph(loss, W, x)))
    to_the_end(page)
    page.get_by_role("textbox", name="W[1, 0]").fill("2")
    W[1, 0] = 2
    assert drawn(page, "loss", "value") == pytest.approx([loss(W, x)], rel=1e-15)
    assert drawn(page, "W", "gradient") == pytest.approx(list(np.ravel(cr.grad(loss)(W, x))))
    small = page.locator("#canvas [data-name='W'] text").all_text_contents()
    assert "2" in small


def test_what_is_no_number_is_said_and_changes_nothing(visit, address):
    page = visit(address)
    to_the_end(page)
    field = page.get_by_label("z", exact=True)
    field.fill("two")
    assert field.get_attribute("aria-invalid") == "true"
    assert "a number is needed" in field.get_attribute("title")
    assert drawn(page, "a", "value") == [6]
    field.fill("-inf")
    assert field.get_attribute("aria-invalid") == "false"
    assert row(page, "z")[0] == "-∞"


def test_arrow_keys_in_a_field_belong_to_the_field(visit, address):
    page = visit(address)
    page.get_by_label("x", exact=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("End")
    assert page.locator("#position").inner_text() == "0 of 17"


@pytest.mark.parametrize(
    ("f", "reason"),
    [
        (lambda x: x * 2 if x > 1 else x * 3, "chose a branch"),
        (lambda x: np.linalg.svd(np.outer([x, 1.0], [2.0, 3.0]))[1][0], "svd"),
    ],
)
def test_where_editing_is_not_possible_the_page_says_why(visit, saved, f, reason):
    g = cr.graph(f, 2.0)
    page = visit(saved(g))
    assert reason in page.locator("#inputs .notice").inner_text()
    assert page.locator("#inputs input").count() == 0
    to_the_end(page)
    assert drawn(page, "x", "gradient") == pytest.approx([float(g.backward())])
    # Forward mode stands beside it all the same, along the only input.
    assert page.locator("#wrt-choice").is_hidden()
    shown = page.locator("#trace tr").last.locator(".tangent").get_attribute("title")
    assert float(shown) == pytest.approx(float(g.backward()), rel=1e-12)


# ---- both modes, derivatives between nodes -------------------------------------------------------


def test_forward_and_reverse_mode_side_by_side(visit, address):
    page = visit(address)
    to_the_end(page)
    g = cr.graph(y, 2.0, 3.0)
    by_x, by_z = g.backward()
    assert row(page, "y")[1] == f"{by_x:.5g}"
    page.get_by_label("Forward mode goes along").select_option("z")
    assert row(page, "y")[1] == f"{by_z:.5g}"
    assert row(page, "z")[2] == f"{by_z:.5g}"
    assert page.locator("#forward-count").inner_text().startswith("12 multiplications in 2 sweeps")
    assert (
        page.locator("#reverse-count").inner_text() == "9 multiplications in 1 sweep for all inputs"
    )


def test_total_against_partial_derivative_of_two_clicked_nodes(visit, saved):
    def f(x):
        a = x**2
        b = 5 * a
        c = a * b
        return c

    g = cr.graph(f, 2.0)
    page = visit(saved(g))
    for name in (g.nodes[1].name if g.nodes[1].kind == "operation" else "a", g.outputs[0].name):
        page.locator(f"#canvas [data-node][data-name='{name}']").click()
    numbers = page.locator("#pair .tile .number").evaluate_all("all => all.map(n => n.title)")
    assert [float(n) for n in numbers] == [20, 40]
    assert len(page.locator("#pair .paths li").all()) == 2


# ---- source, keys, links -------------------------------------------------------------------------


def test_a_node_and_its_line_light_up_together(visit, address):
    page = visit(address)
    page.locator("#canvas [data-name='e'][data-node]").hover()
    assert page.locator("#source .is-hovered").inner_text().strip() == "e = a / b"
    assert page.locator("#trace .is-hovered th").inner_text() == "e"
    page.keyboard.press("ArrowRight")
    assert page.locator("#source .is-active").inner_text().strip() == "a = x * z"


def test_everything_is_reached_by_keys(visit, address):
    page = visit(address)
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.ariaLabel || ''")
        )
    for name in ("link", "theme", "keys", "fit", "next", "slider", "wrt", "of", "by", "reset"):
        assert name in reached
    assert any(name.startswith("x: input") for name in reached)


def test_nodes_by_keys(visit, address):
    page = visit(address)
    page.locator("#canvas [data-node='0']").focus()
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.dataset.node") is not None
    page.keyboard.press("Enter")
    assert page.locator("#canvas .is-chosen").count() == 1


def test_a_link_brings_the_state_back(visit, address):
    page = visit(address)
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.get_by_label("x", exact=True).fill("0.1")
    page.get_by_label("Forward mode goes along").select_option("z")
    page.get_by_role("button", name="Light or dark").click()
    link = page.evaluate("window.location.href")
    again = visit(link)
    assert again.locator("#position").inner_text() == "12 of 17"
    assert again.get_by_label("x", exact=True).input_value() == "0.1"
    assert row(again, "a")[:2] == ["0.3", "0.1"]
    assert again.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize(
    "state",
    ["step=99999", "step=-3", "step=x", "x=9.9:1&along=7.7&nodes=99.x", "view=nowhere", "%"],
)
def test_a_broken_link_is_harmless(visit, address, state):
    page = visit(f"{address.as_uri()}#{state}")
    assert page.locator("html").get_attribute("data-ready") == "true"


# ---- safety --------------------------------------------------------------------------------------


def test_hostile_names_stay_text(visit, saved):
    def f(x):
        return x * 2.0 + 1.0

    f.__name__ = HOSTILE
    names = [HOSTILE, "<b>a</b>", "__proto__"]
    page = visit(saved(cr.graph(f, 3.0, names=names)))
    to_the_end(page)
    assert page.title() != "broken"
    assert page.locator("img").count() == 0
    assert HOSTILE.split("<!--")[0] in page.locator("h1").inner_text()
    assert page.locator("#trace th").first.inner_text().startswith("</script>")


def test_hostile_source_stays_text(visit, saved):
    def f(x):
        # </script><script>document.title = "broken"</script><!-- {style}
        return x * 2.0

    page = visit(saved(cr.graph(f, 3.0)))
    assert page.title() == "f: computation graph"
    assert "<script>document.title" in page.locator("#source").inner_text()


def test_several_cells_of_a_notebook_do_not_meet(visit, write, address):
    text = address.read_text("utf-8")
    page = visit(write(f"<!doctype html><title>n</title>{framed(text)}{framed(text)}", "n.html"))
    first, second = page.frame_locator("iframe >> nth=0"), page.frame_locator("iframe >> nth=1")
    first.locator("#next").click()
    assert first.locator("#position").inner_text() == "1 of 17"
    assert second.locator("#position").inner_text() == "0 of 17"


# ---- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(1280, 800), (800, 600), (390, 844)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows(visit, address, size, scheme):
    width, height = size
    page = visit(
        f"{address.as_uri()}#step=12",
        viewport={"width": width, "height": height},
        color_scheme=scheme,
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    clipped = page.locator(".tile").evaluate_all(
        "tiles => tiles.filter(t => t.scrollWidth > t.clientWidth + 1).map(t => t.innerText)"
    )
    assert clipped == []
    background = page.evaluate("getComputedStyle(document.querySelector('.card')).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")


def test_on_paper_it_is_light_and_without_buttons(visit, address):
    page = visit(address, color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator(".transport").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_words_of_a_local_derivative_wrap(visit, saved):
    page = visit(saved(cr.graph(lambda x, z: np.maximum(x, z) * 2, 1.0, 2.0)))
    to_the_end(page)
    meaning = page.locator(".product .tile-meaning", has_text="is larger, else 0")
    assert meaning.count() == 2
    for tile in page.locator(".product .tile").all():
        assert tile.evaluate("e => e.scrollWidth <= e.clientWidth")


def test_nodes_are_told_with_their_exponents_and_without_underscores(visit, saved):
    def f(q, lambda_):
        return lambda_ * q**2

    page = visit(saved(cr.graph(f, 3.0, 2.0)))
    told = page.locator("#canvas [data-node]").evaluate_all("all => all.map(g => g.ariaLabel)")
    assert any("q²" in text for text in told), told
    assert "λ" in page.locator("#inputs").inner_text()
    assert "λ" in page.locator("#trace").inner_text()


def test_two_thousand_nodes_stay_usable(visit, saved):
    def f(x):
        v = x
        for _ in range(1000):
            v = np.sin(v) * x
        return v

    page = visit(saved(cr.graph(f, 0.9)))
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert page.locator("#position").inner_text().startswith("5 of ")
    assert page.locator("#trace tr").count() == 120
    page.get_by_label("x", exact=True).fill("1.5")
    to_the_end(page)
    truth = cr.graph(f, 1.5)
    stored = json.loads(page.locator("#data").inner_text())
    assert len(stored["nodes"]) == len(truth.nodes)
    link = page.evaluate("window.location.hash")
    assert "x=0.0%3A1.5" in link


def test_a_network_is_computed_in_the_page(visit, saved):
    model = cr.nn.Sequential([cr.nn.Dense(3, activation="tanh"), cr.nn.Dense(1)])
    variables = model.init(0, (None, 2))
    x = np.array([[0.5, -1.0]], np.float32)
    g = cr.graph(lambda v, x: np.sum(model.apply(v, x)[0] ** 2), variables, x)
    page = visit(saved(g))
    to_the_end(page)
    g.backward()
    for node in g.inputs:
        found = drawn(page, node.name, "gradient")
        np.testing.assert_allclose(found, np.ravel(node.gradient), rtol=1e-5, atol=1e-7)
