"""How a graph's page reads: names, signs, brackets, sizes, and what is told to those who listen."""

import json
import re

import numpy as np
import pytest

import chainrule as cr

pytest.importorskip("pygraphviz", reason="the layout library isn't installed")


def loss(w, x, lambda_, x_1):
    h = np.maximum(w @ x, 0.0)
    return lambda_ * np.sum(h) - x_1 * h[0] / 2


def several(x):
    a = np.maximum(x, 0.0)
    return a * x - a


POINT = (np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([0.25, 3.0]), 0.5, 2.0)


@pytest.fixture
def page(visit, saved):
    return visit(saved(cr.graph(loss, *POINT)))


# ---- names and numbers ---------------------------------------------------------------------------


def test_choices_have_the_names_that_formulas_have(page):
    for choice in ("#of", "#by", "#wrt"):
        names = page.locator(f"{choice} option").all_inner_texts()
        assert {"λ", "x₁"} <= set(names), choice
        assert not any("lambda" in name for name in names)
    assert page.get_by_label("λ", exact=True).input_value() == "0.5"
    assert page.locator("#canvas [data-name='lambda_'][data-node]").first.get_attribute(
        "aria-label"
    ).startswith("λ: input")  # fmt: skip
    page.get_by_label("Forward mode goes along").select_option("λ")
    assert page.locator("[data-wrt]").inner_text() == "λ"


def test_negative_numbers_stand_in_brackets_behind_a_sign(visit, saved):
    page = visit(saved(cr.graph(several, 3.0)))
    page.keyboard.press("End")
    lines = " ".join(page.locator("#pair .paths li, .meeting").all_inner_texts())
    assert re.search(r"[+×·] \(−", lines)
    assert not re.search(r"[+×·] −", lines)
    # The slope of a maximum is a number, never a truth value.
    assert "true" not in page.locator("main").inner_text()


def test_subtraction_turns_one_sign(visit, saved):
    page = visit(saved(cr.graph(lambda p, q: p - q, 5.0, 3.0)))
    page.keyboard.press("End")
    assert "sign turned" in page.locator(".pattern").inner_text()


def test_counts_have_their_thousands_apart(visit, saved):
    model = cr.nn.Sequential([cr.nn.Dense(40, activation="tanh"), cr.nn.Dense(1)])
    variables = model.init(0, (None, 30))
    x = np.ones((1, 30), np.float32)
    page = visit(saved(cr.graph(lambda v, x: np.sum(model.apply(v, x)[0]), variables, x)))
    page.keyboard.press("End")
    assert re.search(
        r"\d,\d{3} multiplications in 1,311 sweeps", page.locator("dl").first.inner_text()
    )


def test_large_arrays_are_told_by_range_and_shape_and_marked(visit, saved):
    x = np.arange(100.0)
    x[7] = np.nan
    page = visit(saved(cr.graph(lambda x: np.sum(x * 2), x)))
    field = page.locator("#inputs .field")
    assert "1 not finite" in field.inner_text()
    assert "length 100" in field.inner_text()
    assert field.locator(".odd").count() == 1
    page.keyboard.press("End")
    assert page.locator("#canvas .odd").count() > 0


def test_the_total_of_the_result_is_its_gradient_where_paths_are_too_large(visit, saved):
    x = np.linspace(-1, 1, 90)
    g = cr.graph(lambda x: np.sum(np.outer(np.sin(x), np.cos(x))), x)
    page = visit(saved(g))
    told = page.locator("#pair .result").inner_text()
    gradient = g.backward()
    low, high = (f"{v:.3g}".replace("-", "−") for v in (gradient.min(), gradient.max()))
    assert f"{low} … {high}" in told
    assert "length 90" in told


def test_numbers_of_many_digits_stand_rounded_until_they_are_edited(visit, saved):
    page = visit(saved(cr.graph(lambda x: x * x, 1 / 3)))
    field = page.get_by_label("x", exact=True)
    assert field.input_value() == "0.3333"
    field.focus()
    assert float(field.input_value()) == 1 / 3
    field.blur()
    assert field.input_value() == "0.3333"
    assert "x=" not in page.evaluate("location.hash")
    page.keyboard.press("End")
    value = page.locator("#canvas [data-value]").last.get_attribute("data-value")
    assert float(value) == (1 / 3) ** 2


# ---- for everybody -------------------------------------------------------------------------------


def luminance(colour):
    parts = [float(x) / 255 for x in re.findall(r"[\d.]+", colour)[:3]]
    linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


_COLOURS = """
elements => elements.filter((e) => e.offsetParent !== null).map((e) => {
  let ground = e;
  const bare = (c) => c === "rgba(0, 0, 0, 0)";
  while (ground && bare(getComputedStyle(ground).backgroundColor)) ground = ground.parentElement;
  const below = ground ? getComputedStyle(ground).backgroundColor : "rgb(255, 255, 255)";
  return [e.innerText, getComputedStyle(e).color, below];
})
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_text_has_enough_contrast(visit, saved, scheme):
    page = visit(saved(cr.graph(loss, *POINT)), color_scheme=scheme)
    page.keyboard.press("End")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    texts = page.locator(
        "main :is(p, span, var, td, th, dd, dt, h2, h3, li, code, label, .tile-meaning, .sign)"
    ).evaluate_all(_COLOURS)
    assert len(texts) > 60
    for text, ink, ground in texts:
        if "color(" in ground or not text.strip():
            continue  # a tint over paper, darker than none
        high, low = sorted((luminance(ink), luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ink, ground)


def test_every_node_is_told_with_what_is_known(page):
    page.keyboard.press("End")
    labels = page.locator("#canvas [data-node]").evaluate_all(
        "all => all.map((g) => [g.getAttribute('role'), g.ariaLabel])"
    )
    assert labels
    for role, label in labels:
        assert role == "button"
        assert re.match(r"[^:]+: .+", label)
    inputs = [label for _, label in labels if ": input" in label]
    assert all("value" in label and "gradient" in label for label in inputs)


def test_tab_goes_through_the_page_as_it_reads(page):
    where = """(() => {
      const here = document.activeElement.closest("header, section");
      return here === null ? "" : here.ariaLabel ?? here.className;
    })()"""
    order = []
    for _ in range(60):
        page.keyboard.press("Tab")
        order.append(page.evaluate(where))
    seen = list(dict.fromkeys(part for part in order if part))
    parts = ["The graph", "inputs-card", "trace-card", "pair-card"]
    places = [next(i for i, part in enumerate(seen) if name in part) for name in parts]
    assert places == sorted(places)
    assert page.locator("[tabindex]:not([tabindex='0']):not([tabindex='-1'])").count() == 0


def test_one_polite_place_speaks(page):
    assert page.locator("#live").get_attribute("aria-live") == "polite"
    said = []
    while page.locator("#next").is_enabled():
        page.keyboard.press("ArrowRight")
        said.append(page.locator("#live").inner_text())
    assert all(re.match(r"(Forward|Turn round|Backward).+\. .+\.$", text) for text in said)
    assert len(set(said)) == len(said)


def test_every_control_has_a_name(page):
    unnamed = page.locator("button, input, select").evaluate_all(
        """all => all.filter((e) => !(e.ariaLabel || e.innerText.trim() || e.labels?.length))
        .map((e) => e.outerHTML)"""
    )
    assert unnamed == []


@pytest.mark.parametrize("step", [0, 3, 9, 12])
def test_nothing_overflows_a_small_screen(visit, saved, step):
    path = saved(cr.graph(loss, *POINT))
    page = visit(f"{path.as_uri()}#step={step}", viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_page_needs_no_server_and_says_so_without_scripts(visit, saved):
    path = saved(cr.graph(several, 3.0))
    assert path.as_uri().startswith("file:")
    page = visit(path, java_script_enabled=False)
    assert "JavaScript" in page.locator("noscript").inner_text()


def test_a_saved_link_restores_chosen_nodes_and_drawing(visit, saved):
    path = saved(cr.graph(several, 3.0))
    page = visit(path)
    for group in page.locator("#canvas [data-node]").all()[:2]:
        group.click()
    state = page.evaluate("location.hash")
    again = visit(f"{path.as_uri()}{state}")
    assert again.locator("#canvas .is-chosen").count() == 2
    assert again.locator("#of").input_value() == page.locator("#of").input_value()
    stored = json.loads(again.locator("#data").inner_text())
    assert stored["inputs"] == [0]
