"""What a picture on a slide has to be: nothing twice, nothing by colour alone, nothing lost."""

import json
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise

import numpy as np
import pytest

import chainrule as cr
from chainrule.show import palette
from chainrule.show.block import number_block
from chainrule.show.layout import Item, Wire, arrange
from chainrule.show.network import network
from chainrule.show.palette import contrast
from chainrule.show.png import _libraries
from chainrule.show.scene import Curve, Rect, Run, Text, runs_text
from chainrule.show.symbol import function_runs, leaf_runs
from chainrule.show.tikz import tikz_text

SVG = "{http://www.w3.org/2000/svg}"


def both(x):
    last, sums = cr.scan(lambda c, v: (c * v, c + v), x[0], x)
    return last + np.sum(sums)


def groups(svg, kind):
    return [g for g in ET.fromstring(svg).iter(f"{SVG}g") if kind in g.get("class").split()]


def texts(scene):
    return [shape for group in scene.groups for shape in group.shapes if isinstance(shape, Text)]


def shown(f, *args):
    """What stands in the boxes of the operations."""
    nodes = cr.graph(f, *args).nodes
    return [runs_text(function_runs(node)) for node in nodes if node.kind == "operation"]


# ---- one operation, one box ----------------------------------------------------------------------


def test_an_operation_with_two_results_is_one_box_that_reads_once():
    graph = cr.graph(both, np.array([2.0, 1.0]))
    graph.backward()
    svg = graph.svg()
    [loop] = [g for g in groups(svg, "node") if g.get("data-operation") == "scan"]
    last, sums = graph.node("last"), graph.node("sums")
    assert loop.get("data-results") == f"{last.index} {sums.index}"
    into = [g for g in groups(svg, "edge") if g.get("data-target") == loop.get("data-node")]
    assert len(into) == 2  # init, and the rows
    parts = [e.contribution for e in graph.edges if e.source.name == "x" and e.slot == 1]
    [rows] = [g for g in into if g.get("data-slot") == "1"]
    np.testing.assert_array_equal(json.loads(rows.get("data-gradient")), sum(parts))
    assert len(rows.get("data-edges").split()) == 2


def test_in_the_other_notation_each_result_is_a_node():
    graph = cr.graph(both, np.array([2.0, 1.0]))
    names = [g.get("data-name") for g in groups(graph.svg(notation="variables"), "node")]
    assert {"last", "sums"} <= set(names)


def test_the_sum_stands_below_a_value_that_one_operation_reads_twice():
    graph = cr.graph(lambda x: x * x, 3.0)
    graph.backward()
    [x] = [g for g in groups(graph.svg(), "node") if g.get("data-name") == "x"]
    assert "Σ 6" in "".join(x.itertext())


# ---- what stands in a box ------------------------------------------------------------------------


def test_what_is_read_from_an_array():
    x = np.arange(8.0).reshape(2, 4)
    assert shown(lambda x: x[1, 2], x) == ["x[1, 2]"]
    assert shown(lambda x: x[:, 1:3], x) == ["x[:, 1:3]"]
    assert shown(lambda x: x[..., ::-1], x) == ["x[…, ::−1]"]
    assert shown(lambda x: x[None], x) == ["x[new]"]
    assert shown(lambda x, k: x[k], x, np.array([1, 0])) == ["x[k]"]


def test_a_long_index_drops_the_name_and_then_itself():
    def f(activations_of_a_layer):
        return activations_of_a_layer[:, 1:3]

    assert shown(f, np.ones((2, 4))) == ["[:, 1:3]"]
    x = np.ones((200, 200, 200))
    assert shown(lambda x: x[100:150, 100:150, 100:150], x) == ["[…]"]


def test_only_a_matrix_is_turned_over():
    assert shown(lambda x: x.T, np.ones((2, 3))) == ["xT"]
    assert function_runs(cr.graph(lambda x: x.T, np.ones((2, 3))).nodes[-1])[-1] == Run("T", "sup")
    assert shown(lambda x: np.swapaxes(x, 0, 1), np.ones((2, 3, 4))) == ["transpose"]


def test_constants_are_numbers_as_the_picture_writes_them():
    graph = cr.graph(lambda x: x * np.array([0.0, 1.0, -0.5]) + np.zeros((2, 3)), np.ones(3))
    constants = [node for node in graph.nodes if node.kind == "constant"]
    assert [runs_text(leaf_runs(node)) for node in constants][:1] == ["[0, 1, −0.5]"]
    assert all(run.style == "" for node in constants for run in leaf_runs(node))


def test_the_size_of_a_complex_number():
    assert shown(lambda z: np.abs(z), 1.0 + 2.0j) == ["| · |"]


def test_a_name_stands_next_to_its_matrix():
    """Whatever the font: what it's narrower by than was measured is left at the far end."""
    block = number_block(np.array([1.0, 2.0]), "value", 12.0, (Run("scores", "name"), Run(" = ")))
    lead, *_ = block.shapes(0.0, 0.0)
    assert (lead.anchor, lead.runs[-1].text) == ("end", " =")


# ---- in grey -------------------------------------------------------------------------------------


def test_an_array_from_outside_has_two_outlines():
    A = np.eye(2)
    scene = cr.graph(lambda x: A @ x, np.ones(2)).scene()
    outlines = {
        group.kind.split()[1]: sum(isinstance(shape, Rect) for shape in group.shapes)
        for group in scene.groups
        if group.kind.startswith("node")
    }
    assert (outlines["input"], outlines["captured"]) == (1, 2)


def test_weights_below_zero_are_dashed():
    graph = cr.graph(lambda W, x: W @ x, np.array([[1.0, -1.0]]), np.ones(2))
    svg = graph.svg(convention="network")
    assert ".negative { stroke-dasharray" in svg
    assert tikz_text(graph.scene(convention="network")).count("dash pattern") == 1


@pytest.mark.parametrize("theme", [0, 1])
def test_lines_have_enough_contrast(theme):
    for colour in (palette.LINE, palette.WRONG, *palette.SERIES[:2]):
        assert contrast(colour[theme], palette.PAPER[theme]) >= 3


# ---- the numbers of a network diagram ------------------------------------------------------------


def layered(*sizes):
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(pair) for pair in pairwise(sizes)]

    def net(weights, x):
        for w in weights:
            x = np.tanh(x @ w)
        return x

    return network(cr.graph(net, weights, np.ones((1, sizes[0]))))


def corners(text):
    """The room of a label, turned about its anchor."""
    half, angle = 3.2 * len(runs_text(text.runs)), np.radians(text.angle)
    box = np.array([(-half, -9.0), (half, -9.0), (half, 0.0), (-half, 0.0)])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return box @ turn + (text.x, text.y)


def apart(one, other):
    for box in (one, other):
        for a, b in pairwise(box):
            mine, theirs = one @ (b - a), other @ (b - a)
            if mine.max() <= theirs.min() or theirs.max() <= mine.min():
                return True
    return False


@pytest.mark.parametrize("sizes", [(2, 3, 1), (4, 4), (2, 4, 4, 1), (3, 5, 3), (6, 5)])
def test_no_two_weights_touch(sizes):
    labels = [text for text in texts(layered(*sizes)) if "halo" in text.role]
    assert len(labels) in (0, sum(a * b for a, b in pairwise(sizes)))
    rooms = [corners(text) for text in labels]
    assert all(apart(a, b) for a, b in combinations(rooms, 2))


# ---- the layout ----------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["right", "left", "down", "up"])
def test_inputs_that_nobody_reads_stand_in_their_order(direction):
    items = [Item(40.0, 30.0)] * 5
    found = arrange(items, [Wire(0, 4)], direction)
    flat = direction in ("right", "left")
    across = [center[1 if flat else 0] for center in found.centers[:4]]
    assert across == sorted(across)
    along = [center[0 if flat else 1] for center in found.centers]
    assert all(abs(x - along[0]) < 0.1 for x in along[1:4])
    for x, y in found.centers:
        assert 19.9 <= x <= found.width - 19.9
        assert 14.9 <= y <= found.height - 14.9


def test_a_long_sum_of_many_inputs_is_set_in_rows():
    def squares(*xs):
        total = 0.0
        for x in xs:
            total = total + x * x
        return total

    scene = cr.graph(squares, *map(float, range(25))).scene()
    assert scene.width < 3000
    assert scene.width / scene.height < 3


# ---- bitmaps -------------------------------------------------------------------------------------


def test_a_character_that_no_font_has_is_not_lost():
    _, fonts = _libraries()
    assert fonts._covered("aλ⚠") == "aλ⚠"
    assert fonts._covered("a\U000f0000") == "a\N{REPLACEMENT CHARACTER}"


def test_a_sign_in_a_line_leaves_the_names_in_their_font():
    _, fonts = _libraries()
    with np.errstate(invalid="ignore"):
        graph = cr.graph(lambda x: np.log(x) * 2, -1.0)
    lines = texts(fonts.set(graph.scene()))
    signs = [text for text in lines if "⚠" in runs_text(text.runs)]
    assert signs
    assert not any(run.style == "name" for text in signs for run in text.runs)
    assert any(text.runs == (Run("a", "name"),) for text in lines)


def test_edges_are_drawn_once():
    graph = cr.graph(both, np.array([2.0, 1.0]))
    curves = [
        shape
        for group in graph.scene().groups
        for shape in group.shapes
        if isinstance(shape, Curve)
    ]
    assert len({curve.points for curve in curves}) == len(curves)


# ---- what isn't finite ---------------------------------------------------------------------------


def test_what_is_not_finite_is_dashed_to_the_very_end_and_in_tex_too():
    with np.errstate(invalid="ignore"):
        graph = cr.graph(np.log, -1.0)
    [end] = [g for g in groups(graph.svg(), "edge") if g.get("data-output") is not None]
    assert "wrong" in end.get("class").split()
    tex = tikz_text(graph.scene())
    assert "draw=crwrong, dash pattern=on 3pt off 2pt, line width=1.9pt" in tex


def test_an_output_has_a_thick_outline_in_tex_too():
    tex = tikz_text(cr.graph(lambda x: np.exp(x) * x, 1.0).scene())
    assert tex.count("line width=1.9pt") == 1
