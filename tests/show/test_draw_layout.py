"""Where things go: nothing overlaps, edges end at their boxes, layers stand in line."""

import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.base.errors import ArgumentError, UnsupportedError
from chainrule.show import layout
from chainrule.show.layout import DIRECTIONS, Item, Wire, arrange
from chainrule.show.way import columns_of, crossings, height_at, on_curve, smooth


@st.composite
def graphs(draw, most=24):
    count = draw(st.integers(1, most))
    items = [
        Item(draw(st.integers(30, 120)), draw(st.integers(20, 60)), (30.0, 16.0))
        for _ in range(count)
    ]
    wires = []
    for target in range(1, count):
        for source in draw(st.lists(st.integers(0, target - 1), max_size=3)):
            labelled = draw(st.booleans())
            wires.append(Wire(source, target, 50.0 * labelled, 30.0 * labelled))
    return items, wires


def rectangles(items, found):
    return [
        (x - item.width / 2, y - item.height / 2, x + item.width / 2, y + item.height / 2)
        for item, (x, y) in zip(items, found.centers, strict=True)
    ]


def overlap(a, b):
    return a[0] < b[2] - 0.1 and b[0] < a[2] - 0.1 and a[1] < b[3] - 0.1 and b[1] < a[3] - 0.1


def along(points):
    return [on_curve(points[k : k + 4], t / 6) for k in range(0, len(points) - 1, 3)
            for t in range(7)]  # fmt: skip


@pytest.mark.parametrize("direction", DIRECTIONS)
@given(data=st.data())
def test_boxes_never_overlap_and_edges_touch_no_other_box(direction, data):
    items, wires = data.draw(graphs())
    found = arrange(items, wires, direction)
    boxes = rectangles(items, found)
    for k, box in enumerate(boxes):
        assert not any(overlap(box, other) for other in boxes[k + 1 :])
        assert min(box) > -1
        assert box[2] < found.width + 1
        assert box[3] < found.height + 1
    for wire, route in zip(wires, found.routes, strict=True):
        for k, box in enumerate(boxes):
            if k in (wire.source, wire.target):
                continue
            inside = (box[0] + 3, box[1] + 3, box[2] - 3, box[3] - 3)
            assert not any(
                inside[0] < x < inside[2] and inside[1] < y < inside[3]
                for x, y in along(route.points)
            )


@given(graphs())
def test_edges_start_and_end_at_their_boxes(graph):
    items, wires = graph
    found = arrange(items, wires)
    boxes = rectangles(items, found)
    for wire, route in zip(wires, found.routes, strict=True):
        assert len(route.points) % 3 == 1
        source, target = boxes[wire.source], boxes[wire.target]
        (x0, y0), (x1, y1) = route.points[0], route.points[-1]
        assert x0 == pytest.approx(source[2], abs=1.5)
        assert y0 == pytest.approx((source[1] + source[3]) / 2, abs=1.5)
        assert x1 == pytest.approx(target[0], abs=1.5)
        assert target[1] <= y1 <= target[3]


@given(graphs())
def test_an_edge_passes_through_the_middle_of_its_label(graph):
    items, wires = graph
    found = arrange(items, wires)
    for wire, route in zip(wires, found.routes, strict=True):
        assert (route.label is not None) == (wire.width > 0)
        if route.label is not None:
            x, y = route.label
            assert min(abs(px - x) + abs(py - y) for px, py in along(route.points)) < 30


def test_a_chain_is_a_straight_line():
    found = arrange([Item(40, 30)] * 5, [Wire(k, k + 1) for k in range(4)])
    assert len({y for _, y in found.centers}) == 1
    assert all(len({round(y, 3) for _, y in route.points}) == 1 for route in found.routes)


def test_layers_stand_in_line():
    wires = [Wire(0, 2), Wire(1, 2), Wire(0, 3), Wire(1, 3), Wire(2, 4), Wire(3, 4)]
    found = arrange([Item(40, 30)] * 5, wires)
    x = [x for x, _ in found.centers]
    assert x[0] == x[1] < x[2] == x[3] < x[4]


def test_operands_keep_their_order_where_that_costs_no_crossing():
    wires = [Wire(0, 4), Wire(1, 4), Wire(2, 5), Wire(3, 5), Wire(4, 6), Wire(5, 6)]
    found = arrange([Item(40, 30)] * 7, wires)
    heights = [y for _, y in found.centers[:4]]
    assert heights == sorted(heights)
    assert crossings([route.points for route in found.routes]) == 0


def test_several_edges_arrive_side_by_side():
    found = arrange([Item(40, 40)] * 4, [Wire(0, 3), Wire(1, 3), Wire(2, 3)])
    ends = [route.points[-1][1] for route in found.routes]
    assert len(set(ends)) == 3
    assert ends == sorted(ends)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_directions(direction):
    found = arrange([Item(40, 30), Item(40, 30)], [Wire(0, 1)], direction)
    (x0, y0), (x1, y1) = found.centers
    assert {"right": x1 > x0, "left": x1 < x0, "down": y1 > y0, "up": y1 < y0}[direction]


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_long_picture_is_set_in_rows(direction):
    count = 40
    found = arrange([Item(90, 40)] * count, [Wire(k, k + 1) for k in range(count - 1)], direction)
    length, width = (
        (found.width, found.height) if direction in ("right", "left")
        else (found.height, found.width)
    )  # fmt: skip
    assert width > 3 * 40
    assert length < 40 * 90 / 2
    boxes = rectangles([Item(90, 40)] * count, found)
    for k, box in enumerate(boxes):
        assert not any(overlap(box, other) for other in boxes[k + 1 :])
    for route in found.routes:
        for x, y in along(route.points):
            assert -1 <= x <= found.width + 1
            assert -1 <= y <= found.height + 1
            assert not any(b[0] + 3 < x < b[2] - 3 and b[1] + 3 < y < b[3] - 3 for b in boxes)


def test_a_large_graph_is_cut_into_pieces_with_tags():
    count = 700
    wires = [Wire(k, k + 1) for k in range(1, count - 1)]
    wires += [Wire(0, k) for k in range(1, count, 7)]
    items = [Item(40, 30)] * count
    found = arrange(items, wires)
    assert any(route.tag for route in found.routes)
    boxes = sorted(rectangles(items, found))
    for k, box in enumerate(boxes):
        near = [other for other in boxes[k + 1 : k + 60] if other[0] < box[2]]
        assert not any(overlap(box, other) for other in near)
    far = [route for wire, route in zip(wires, found.routes, strict=True)
           if wire.source == 0 and wire.target > 100]  # fmt: skip
    assert all(route.tag for route in far)


def test_the_same_graph_gives_the_same_picture():
    items, wires = [Item(40, 30)] * 9, [Wire(k // 2, k) for k in range(1, 9)]
    assert arrange(items, wires) == arrange(items, wires)


def test_several_threads_may_draw():
    items, wires = [Item(40, 30)] * 30, [Wire(k // 2, k) for k in range(1, 30)]
    expected, found = arrange(items, wires), []
    threads = [
        threading.Thread(target=lambda: found.append(arrange(items, wires))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_nothing_to_place():
    assert arrange([], []).centers == []


def test_an_unknown_direction_is_refused():
    with pytest.raises(ArgumentError, match="no direction is called 'sideways'"):
        arrange([Item(1, 1)], [], "sideways")


def test_a_missing_library_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pygraphviz", None)
    with pytest.raises(UnsupportedError, match=re.escape("pip install 'chainrule[draw]'")):
        arrange([Item(1, 1)], [])
    assert layout.DIRECTIONS


def test_columns_join_what_stands_above_each_other():
    assert columns_of([(10, 8), (11, 4), (30, 10)]) == [(6, 14), (25, 35)]


def test_a_smooth_way_is_straight_within_the_layers():
    way = [(10.0, 0.0), (20.0, 0.0), (50.0, 40.0), (90.0, 40.0)]
    found = smooth(way, [(0.0, 12.0), (40.0, 60.0), (90.0, 100.0)])
    assert (found[0], found[-1]) == (way[0], way[-1])
    assert height_at(found, 41.0) == pytest.approx(height_at(found, 59.0), abs=1e-6)


def test_crossings_are_counted():
    def line(y0, y1):
        return [(0.0, y0), (1.0, y0), (9.0, y1), (10.0, y1)]

    assert crossings([line(0, 5), line(5, 0)]) == 1
    assert crossings([line(0, 0), line(5, 5), line(9, 9)]) == 0
