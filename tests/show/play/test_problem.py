"""Planes, tables, and what the page is told of them."""

import json

import numpy as np
import pytest

from chainrule import ArgumentError
from chainrule.cli.play import table_source
from chainrule.show.play.controls import Controls
from chainrule.show.play.frame import scene
from chainrule.show.play.problem import problem_for
from chainrule.show.play.table import table_rows

HOSTILE = "<img src=x onerror=alert(1)>"


def test_a_set_is_split_and_its_features_are_the_inputs():
    problem = problem_for(Controls(data="four", features=("x", "x²")), None)
    assert problem.inputs == ("x", "x²")
    assert problem.classes == ("A", "B", "C", "D")
    assert len(problem.train[1]) == 210
    assert len(problem.validation[1]) == 90
    np.testing.assert_array_equal(problem.train[0][:, 1], problem.places[0][:, 0] ** 2)


def test_the_grid_begins_at_the_top_left():
    problem = problem_for(Controls(), None)
    grid = problem.plane.grid(3)
    edge = np.float32(3.3)
    np.testing.assert_allclose(grid[0], [-edge, edge], rtol=1e-6)
    np.testing.assert_allclose(grid[2], [edge, edge], rtol=1e-6)
    np.testing.assert_allclose(grid[6], [-edge, -edge], rtol=1e-6)


def test_a_table_has_all_its_columns_as_inputs_and_is_seen_in_its_principal_plane(table):
    source = table_source(str(table), None, "auto")
    assert source.target == "kind"
    assert source.columns == ("height", HOSTILE, "depth")
    problem = problem_for(Controls(data="table"), source)
    assert problem.inputs == ("height", HOSTILE, "depth", "colour = green", "colour = red")
    assert problem.classes == ("</script>", "ape", "cat")
    gaps, plane = problem.notes
    assert gaps == "1 missing or infinite value counted as the mean of the column"
    assert plane.startswith(
        "the picture is one plane through 5 inputs: a row stands at the nearest"
    )
    # Along the first direction the rows spread most, and it is orthogonal to the second.
    basis = problem.plane.basis
    np.testing.assert_allclose(basis @ basis.T, np.eye(2), atol=1e-12)
    x = problem.train[0].astype(np.float64)
    spread = np.linalg.eigvalsh(np.cov(x.T))
    np.testing.assert_allclose(np.var(problem.places[0][:, 0], ddof=1), spread[-1], rtol=1e-6)
    # A point of the plane has the coordinates it was made of.
    points = np.array([[0.5, -1.0], [2.0, 0.0]])
    back = problem.plane.places_of(problem.plane.inputs_at(points).astype(np.float64))
    np.testing.assert_allclose(back, points, atol=1e-6)


def test_two_columns_can_span_the_picture_and_their_own_numbers_stand_at_its_edges(table):
    source = table_source(str(table), "kind", "auto")
    problem = problem_for(Controls(data="table", axes=("depth", "height")), source)
    np.testing.assert_allclose(problem.places[0][:, 0], problem.train[0][:, 2], atol=1e-6)
    mean, spread = problem.encoder.numbers["depth"]
    assert problem.plane.shown[0][0] == pytest.approx(mean + spread * problem.plane.low[0])
    # The inputs that aren't on the axes stay at their mean.
    row = problem.plane.inputs_at(np.zeros((1, 2)))[0]
    assert row[1] == pytest.approx(problem.train[0][:, 1].mean(), abs=1e-6)


def test_a_table_of_one_number_and_a_table_to_predict_a_number(tmp_path):
    path = tmp_path / "line.csv"
    path.write_text("x,y\n" + "".join(f"{i},{2.5 * i + 0.1}\n" for i in range(40)))
    problem = problem_for(Controls(data="table"), table_source(str(path), None, "regress"))
    assert problem.classes is None
    assert problem.outputs == 1
    assert np.all(np.isfinite(problem.plane.grid(4)))
    assert json.loads(json.dumps(scene(problem), allow_nan=False))["target"] == "y"


def test_large_tables_are_sampled_and_say_so(tmp_path, monkeypatch):
    path = tmp_path / "long.csv"
    path.write_text("x,z,y\n" + "".join(f"{i},{i % 7},{'ab'[i % 2]}\n" for i in range(500)))
    monkeypatch.setattr("chainrule.show.play.table.MOST_ROWS", 100)
    rows = table_rows(path)
    assert len(rows.train[1]) + len(rows.validation[1]) == 100
    assert rows.notes == ("100 of 500 rows, drawn at random",)


def test_tables_that_cannot_be_shown_are_refused(tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("x,y\n" + "".join(f"{i},c{i % 9}\n" for i in range(90)))
    with pytest.raises(ArgumentError, match="more classes than can be told apart by colour"):
        table_rows(path)
    path.write_text(
        ",".join(f"x{i}" for i in range(201))
        + ",y\n"
        + ("1," * 201 + "a\n" + "2," * 201 + "b\n") * 9
    )
    with pytest.raises(ArgumentError, match="more inputs than the playground takes"):
        table_rows(path)


def test_rows_without_a_target_are_left_out(tmp_path):
    path = tmp_path / "gaps.csv"
    path.write_text("x,y\n" + "".join(f"{i},{i / 7 if i % 5 else 'nan'}\n" for i in range(50)))
    rows = table_rows(path, task="regress")
    assert len(rows.train[1]) + len(rows.validation[1]) == 40
    assert "left out, 10 rows without a value in y" in rows.notes


def test_the_scene_is_json_of_bounded_size(table):
    problem = problem_for(Controls(data="table"), table_source(str(table), None, "auto"))
    text = json.dumps(scene(problem), allow_nan=False)
    told = json.loads(text)
    assert told["classes"] == ["</script>", "ape", "cat"]
    assert told["train"]["rows"] == 63
    assert len(text) < 20_000
