"""Texts stay within their boxes, by the fonts themselves; names as mathematics has them."""

import xml.etree.ElementTree as ET
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.show.mathtext import latex_name, mathml_name
from chainrule.show.metric import WIDEST, WIDTHS, text_width, widest
from chainrule.show.numeral import range_text, shape_text, words
from chainrule.show.scene import Run, name_runs, runs_text, runs_width, runs_words, visible

FONTS = {
    "sans": ("DejaVuSans.ttf",),
    "bold": ("DejaVuSans-Bold.ttf",),
    "italic": ("STIXGeneralItalic.ttf", "DejaVuSerif-Italic.ttf"),
}
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("face", FONTS)
def test_no_character_is_wider_than_its_number(face):
    font_tools = pytest.importorskip("fontTools.ttLib")
    for name in FONTS[face]:
        path = files("matplotlib") / "mpl-data" / "fonts" / "ttf" / name
        font = font_tools.TTFont(str(path))
        advance, known, unit = font["hmtx"], font.getBestCmap(), font["head"].unitsPerEm
        for char, width in WIDTHS[face].items():
            if ord(char) in known:
                assert advance[known[ord(char)]][0] * 1000 / unit <= width, (name, char)


def test_widths_add_up():
    assert text_width("ab", 10) == pytest.approx(text_width("a", 10) + text_width("b", 10))
    assert text_width("a\u0304", 10) == text_width("a", 10)
    assert text_width("漢", 10) == WIDEST / 100
    assert widest(["a", "wide"], 10) == text_width("wide", 10)


@pytest.mark.parametrize(
    ("name", "runs"),
    [
        ("x", [("x", "name")]),
        ("l_2", [("l", "name"), ("2", "sub")]),
        ("x1", [("x", "name"), ("1", "sub")]),
        ("w_in", [("w", "name"), ("in", "sub")]),
        ("theta", [("θ", "name")]),
        ("theta_12", [("θ", "name"), ("12", "sub")]),
        ("loss", [("loss", "name")]),
        ("dense_1_kernel", [("dense_1_kernel", "name")]),
        ("conv2d", [("conv2d", "name")]),
        ("log1", [("log1", "name")]),
        ("_", [("_", "name")]),
        ("_x", [("_x", "name")]),
        ("lambda_", [("λ", "name")]),
        ("in_", [("in", "name")]),
        ("max_", [("max_", "name")]),
    ],
)
def test_names_get_their_indices(name, runs):
    assert [(run.text, run.style) for run in name_runs(name)] == runs


@pytest.mark.parametrize("write", [latex_name, mathml_name])
def test_words_of_pythons_own_lose_their_underscore_in_formulas(write):
    assert write("lambda_") == write("lambda")
    assert write("max_") != write("max")


def test_exponents_are_told():
    assert runs_words((Run("q", "name"), Run("2", "sup"))) == "q²"
    assert runs_words((Run("x", "name"), Run("1", "sub"), Run("−3", "sup"))) == "x1⁻³"
    raised = (Run("a", "name"), Run("b", "sup"), Run("1", "sup"))
    assert runs_words(raised) == "a to the power of b1"


@given(st.text())
def test_what_is_shown_can_be_seen(text):
    shown = visible(text)
    assert len(shown) <= 28
    assert not set("\n\u202e\x00") & set(shown)
    assert runs_width(name_runs(text), 12) >= 0
    assert len(runs_text(name_runs(text))) <= 28


def test_texts_lie_within_their_boxes():
    def f(some_long_name_of_an_input, W):
        hidden = np.tanh(W @ some_long_name_of_an_input)
        return np.sum(hidden * hidden) / 2

    graph = cr.graph(f, np.ones(3), np.full((2, 3), -0.123456))
    graph.backward()
    root = ET.fromstring(graph.svg())
    checked = 0
    for group in root.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        if rect is None:
            continue
        left, width = float(rect.get("x")), float(rect.get("width"))
        top, height = float(rect.get("y")), float(rect.get("height"))
        for text in group.findall(f"{SVG}text"):
            x, y = float(text.get("x")), float(text.get("y"))
            if not top < y < top + height:
                continue
            size = float(text.get("font-size"))
            wide = text_width("".join(text.itertext()), size * 1.14, "italic")
            assert text.get("text-anchor") == "middle"
            assert left <= x - wide / 2 + 4
            assert x + wide / 2 - 4 <= left + width
            checked += 1
    assert checked > 5


def test_shapes_and_ranges():
    assert shape_text(()) == "scalar"
    assert shape_text((3,)) == "length 3"
    assert shape_text((2, 3)) == "2 × 3"
    assert range_text(np.array([0.5, -2.0])) == "−2 … 0.5"
    assert range_text(np.array([1.0, np.nan])) == "1 not finite"
    assert words(np.float64(2)) == "2"
    assert words(np.arange(3)) == "length 3 array 0, 1, 2"
