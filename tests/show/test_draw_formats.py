"""Files in every format, and one clear message for what can't be."""

import re
import struct
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.errors import ArgumentError, StorageError, UnsupportedError
from chainrule.show import palette, picture
from chainrule.show.palette import contrast
from chainrule.show.png import png_bytes
from chainrule.show.scene import Circle, Group, Lines, Rect, Run, Scene, Text
from chainrule.show.style import stylesheet
from chainrule.show.svg import number, svg_text, with_head
from chainrule.show.tikz import tex, tikz_text


def f(x, z):
    a = x * z
    return np.exp(a) + a / np.log(x)


@pytest.fixture(scope="module")
def graph():
    made = cr.graph(f, 2.0, 3.0)
    made.backward()
    return made


# ---- saving --------------------------------------------------------------------------------------


def test_svg(graph, tmp_path):
    graph.save(tmp_path / "g.svg")
    text = (tmp_path / "g.svg").read_text(encoding="utf-8")
    assert text == graph.svg() == graph._repr_svg_()
    root = ET.fromstring(text)
    assert root.get("role") == "graphics-document"
    assert root.find("{http://www.w3.org/2000/svg}title").text == "Computation graph of f"
    assert "5 operations from x, z" in root.find("{http://www.w3.org/2000/svg}desc").text


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_png(graph, tmp_path, theme):
    path = tmp_path / "g.png"
    graph.save(path, theme=theme, scale=1.5)
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    scene = graph.scene()
    assert width == pytest.approx(1.5 * (scene.width + 32), abs=2)
    assert height == pytest.approx(1.5 * (scene.height + 32), abs=2)


def test_png_shows_text_without_fonts_of_the_system(tmp_path):
    image = pytest.importorskip("PIL.Image")
    text = Scene(60.0, 20.0, "t", "d", (Group("g", "", (Text(30, 15, (Run("x", "name"),)),)),))
    (tmp_path / "t.png").write_bytes(png_bytes(text, "light"))
    pixels = np.asarray(image.open(tmp_path / "t.png").convert("L"))
    assert pixels.min() < 80
    assert pixels.max() == 255


def test_tikz(graph, tmp_path):
    graph.save(tmp_path / "g.tex")
    text = (tmp_path / "g.tex").read_text(encoding="utf-8")
    assert text.startswith("\\documentclass")
    assert text.rstrip().endswith("\\end{document}")
    assert text.count("\\begin{") == text.count("\\end{")
    assert r"\textcolor{crvalue}{403.4}" in text
    drawn = [line for line in text.splitlines() if line.startswith("  \\")]
    assert drawn
    assert all(line.endswith(";") for line in drawn)
    used = set(re.findall(r"\bcr[a-zA-Z]+", text))
    defined = set(re.findall(r"definecolor\{(cr[a-zA-Z]+)\}", text))
    assert used <= defined


def test_dot(graph, tmp_path):
    graph.save(tmp_path / "g.dot", direction="down")
    text = (tmp_path / "g.dot").read_text(encoding="utf-8")
    assert "rankdir=TB" in text
    assert 'label="a = ×"' in text
    assert 'n0 -> n2 [label="2 / ' in text


def test_dot_of_a_folded_graph(tmp_path):
    def g(x):
        for _ in range(3):
            x = np.sin(x) * 2.0
        return x

    cr.graph(g, 1.0).save(tmp_path / "g.dot", fold="loop")
    assert "(loop, 6 operations)" in (tmp_path / "g.dot").read_text(encoding="utf-8")


# ---- what can't be -------------------------------------------------------------------------------


def test_an_unknown_suffix(graph, tmp_path):
    with pytest.raises(ArgumentError) as error:
        graph.save(tmp_path / "g.bmp")
    assert str(error.value).startswith("a graph can't be saved as '.bmp'")
    for known in (".svg", ".png", ".tex", ".dot", ".html"):
        assert known in str(error.value)
    with pytest.raises(ArgumentError, match="the file needs a suffix"):
        graph.save(tmp_path / "g")


def test_a_folder_that_is_not_there(graph, tmp_path):
    with pytest.raises(StorageError) as error:
        graph.save(tmp_path / "nowhere" / "g.svg")
    assert "g.svg couldn't be written" in str(error.value)
    assert "no file" in str(error.value)


def test_a_file_is_written_whole_or_not_at_all(graph, tmp_path, monkeypatch):
    path = tmp_path / "g.svg"
    path.write_text("before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(picture.os, "fsync", full)
    with pytest.raises(StorageError, match="couldn't be written"):
        graph.save(path)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["g.svg"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"theme": "pink"}, "no theme is called 'pink'"),
        ({"notation": "runes"}, "no notation is called 'runes'"),
        ({"convention": "none"}, "no convention is called 'none'"),
        ({"direction": "in"}, "no direction is called 'in'"),
        ({"fold": "colour"}, "a graph can't be folded by 'colour'"),
    ],
)
def test_options_that_are_not_there(graph, options, message):
    with pytest.raises(ArgumentError, match=message):
        graph.svg(**options)


@pytest.mark.parametrize("suffix", [".svg", ".png", ".tex", ".dot"])
def test_an_option_that_a_format_does_not_have(graph, tmp_path, suffix):
    with pytest.raises(ArgumentError, match="has no option called 'colour'") as error:
        graph.save(tmp_path / f"g{suffix}", colour="red")
    assert "direction=" in str(error.value)


def test_a_scale_must_be_positive(graph, tmp_path):
    with pytest.raises(ArgumentError, match="scale="):
        graph.save(tmp_path / "g.png", scale=0)


def test_a_missing_renderer_is_named(graph, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'chainrule\[draw\]'"):
        graph.save(tmp_path / "g.png")
    assert not (tmp_path / "g.png").exists()


def test_what_is_too_large_for_a_format_says_how_to_fold(tmp_path):
    huge = Scene(60000.0, 60000.0, "t", "d", ())
    with pytest.raises(UnsupportedError, match="fold='auto'"):
        png_bytes(huge)
    many = Scene(1.0, 1.0, "t", "d", (Group("g", "", ()),) * 1000)
    with pytest.raises(UnsupportedError, match="more parts than TeX can take"):
        tikz_text(many)


def test_too_many_nodes_fold_first(monkeypatch):
    def g(x):
        for _ in range(40):
            x = np.sin(x) * 2.0
        return x

    made = cr.graph(g, 1.0)
    assert "↻ 40 turns" not in made.svg()
    monkeypatch.setattr(picture, "MOST", 50)
    assert "↻ 40 turns" in made.svg()


def test_too_many_nodes_that_do_not_fold_are_refused(monkeypatch):
    def g(x):
        return np.sin(np.sin(np.sin(np.sin(x))))

    monkeypatch.setattr(picture, "MOST", 3)
    with pytest.raises(UnsupportedError) as error:
        cr.graph(g, 1.0).svg()
    assert "too large to be drawn, even folded" in str(error.value)
    assert "fold(by='function')" in str(error.value)


# ---- style ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", [0, 1])
def test_all_text_has_enough_contrast(theme):
    grounds = [palette.PAPER, *(ground for ground, _ in palette.ROLES.values())]
    for ink in (palette.INK, palette.QUIET):
        for ground in grounds:
            assert contrast(ink[theme], ground[theme]) >= 4.5
    for colour in (palette.VALUE, palette.GRADIENT, palette.WRONG):
        assert contrast(colour[theme], palette.PAPER[theme]) >= 4.5
    for _, outline in palette.ROLES.values():
        assert contrast(outline[theme], palette.PAPER[theme]) >= 3


def simulated(colour, matrix):
    """A colour as a colour-blind eye sees it (Viénot, Brettel and Mollon 1999), in linear RGB."""
    parts = np.array([int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]) ** 2.2
    return np.clip(matrix @ parts, 0, 1) ** (1 / 2.2)


@pytest.mark.parametrize("theme", [0, 1])
@pytest.mark.parametrize(
    "matrix",
    [
        [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],  # no red
        [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],  # no green
    ],
)
def test_values_and_gradients_are_told_apart_by_every_eye(theme, matrix):
    value = simulated(palette.VALUE[theme], np.array(matrix))
    gradient = simulated(palette.GRADIENT[theme], np.array(matrix))
    assert np.linalg.norm(value - gradient) > 0.25


def test_themes():
    assert "prefers-color-scheme" in stylesheet("auto")
    for theme, paper in (("light", palette.PAPER.light), ("dark", palette.PAPER.dark)):
        text = stylesheet(theme)
        assert "@media" not in text
        assert paper in text


def test_no_rule_reaches_outside_its_root():
    for line in stylesheet("auto", "#one").splitlines():
        if "{" in line and not line.startswith("@media"):
            assert line.strip().startswith("#one ")


def test_a_style_sheet_can_stand_elsewhere(graph):
    assert "<style>" not in svg_text(graph.scene(), style=False)


# ---- single shapes -------------------------------------------------------------------------------


def test_shapes_in_both_printers():
    shapes = (
        Rect(1, 2, 3, 4, 1, "input"),
        Circle(5, 6, 7, "operation"),
        Lines(((0, 0), (1, 1.5)), "weight positive", 2.5),
        Text(1, 2, (Run("x", "name"), Run("1", "sub")), 10, "end", "quiet", 30.0),
    )
    scene = Scene(10, 10, "t", "d", (Group("g", "a title", shapes, {"k": "v"}),))
    text = svg_text(scene, "light")
    for part in (
        '<rect class="input" x="1" y="2" width="3" height="4" rx="1"/>',
        '<circle class="operation" cx="5" cy="6" r="7"/>',
        '<path class="weight positive" d="M0 0 L1 1.5" stroke-width="2.5"/>',
        'transform="rotate(30 1 2)"',
        '<tspan dy="2.4" font-size="7.2">1</tspan>',
        'data-k="v"',
    ):
        assert part in text
    printed = tikz_text(scene)
    assert "rotate=-30.00" in printed
    assert r"\textsubscript{1}" in printed
    assert "circle[radius=5.25pt]" in printed


def test_numbers_are_short():
    assert [number(x) for x in (1.0, -0.001, 2.345678, 12345.678)] == ["1", "0", "2.35", "12345.68"]


def test_an_arrowhead_ends_where_the_way_did():
    way = ((0.0, 0.0), (10.0, 0.0), (20.0, 0.0), (30.0, 0.0))
    shortened, head = with_head(way, 8.0)
    assert head[0] == (30.0, 0.0)
    assert shortened[-1][0] < 30.0
    assert head[1][1] == -head[2][1]


def test_tex_knows_the_signs_of_mathematics():
    assert tex("−1 × σ_2 50%") == r"$-$1 $\times$ $\sigma$\_2 50\%"
    assert tex("漢") == "?"
