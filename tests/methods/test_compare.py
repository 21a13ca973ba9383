"""compare: one row per method, the wrong one marked."""

import re
import tracemalloc

import numpy as np
import pytest

import chainrule as cr


def lecture(x, z):
    return np.exp(x * z) + x * z / np.log(x) + np.sin(np.log(x)) / (x * z)


def lecture_by_hand(x, z):
    log = np.log(x)
    by_x = z * np.exp(x * z) + z / log - z / log**2 + (np.cos(log) - np.sin(log)) / (x * x * z)
    by_z = x * np.exp(x * z) + x / log - np.sin(log) / (x * z * z)
    return by_x, by_z


def sigmoid(h):
    return 1 / (1 + np.exp(-h))


X = np.array([[0.2, -0.5], [1.0, 0.3], [-0.7, 0.8]])
Y = np.array([1, 0, 1])
W, U = np.array([0.5, -0.4]), np.array([[0.1, 0.6], [-0.3, 0.2]])


def hidden_layer_loss(w, u):
    phi = sigmoid(X @ u.T)
    h = phi @ w
    return -np.sum(Y * np.log(sigmoid(h)) + (1 - Y) * np.log(1 - sigmoid(h)))


def hidden_layer_gradient(sign):
    """By hand: Σ(σ(h) + sign·y)φ, and likewise for u; the slide prints sign = +1."""

    def gradient(w, u):
        phi = sigmoid(X @ u.T)
        error = sigmoid(phi @ w) + sign * Y
        return error @ phi, (error[:, None] * w * phi * (1 - phi)).T @ X

    return gradient


def rows_of(table):
    return {row.method: row for row in table.rows}


def test_the_first_worked_case_has_all_five_methods():
    table = cr.compare(lecture, 2.0, 3.0, manual=lecture_by_hand)
    methods = [row.method for row in table.rows]
    assert methods == ["manual", "finite difference", "symbolic", "forward mode", "reverse mode"]
    assert table.labels == ["dlecture/dx", "dlecture/dz"]
    rows = rows_of(table)
    for row in table.rows:
        assert row.values == pytest.approx((1208.3812151266, 809.7074792186), rel=1e-9)
        assert not row.disagrees
        assert row.seconds > 0
        assert row.memory >= 0
    assert rows["manual"].evaluations == 0
    assert rows["finite difference"].evaluations == 4
    assert rows["forward mode"].evaluations == 2
    assert rows["reverse mode"].evaluations == 1
    assert 0 < rows["finite difference"].error < 1e-5
    assert (
        max(rows[m].error for m in ("manual", "symbolic", "forward mode", "reverse mode")) < 1e-11
    )
    assert table.verdict.endswith("agree")


def test_the_slides_wrong_sign_is_exposed():
    table = cr.compare(hidden_layer_loss, W, U, manual=hidden_layer_gradient(+1))
    assert [row.method for row in table.rows if row.disagrees] == ["manual"]
    assert table.verdict.startswith("manual disagrees: dhidden_layer_loss/d")
    assert "manual ✗" in str(table)


def test_the_right_sign_agrees():
    table = cr.compare(hidden_layer_loss, W, U, manual=hidden_layer_gradient(-1))
    assert not any(row.disagrees for row in table.rows)
    assert all(row.values is not None for row in table.rows)
    assert rows_of(table)["manual"].error < 1e-12


def test_it_prints_an_aligned_table():
    lines = str(cr.compare(lecture, 2.0, 3.0)).splitlines()
    head = lines[0].split()
    assert head == ["method", "dlecture/dx", "dlecture/dz", "error", "time", "memory", "calls"]
    ends = [match.end() for match in re.finditer(r"\S+", lines[1])]
    for line in [lines[0], *lines[2:6]]:
        assert len(line) == ends[-1]
        assert all(end == len(line) or line[end] == " " for end in ends)
    assert max(map(len, lines[:6])) <= 90


def test_html_and_dictionary():
    table = cr.compare(lecture, 2.0, 3.0, manual=lambda x, z: (1.0, 2.0))
    page = table._repr_html_()
    assert page.startswith("<table>")
    assert page.count("<tr") == 6
    assert "color:#b00020" in page
    found = table.to_dict()
    assert found["best"] in {"symbolic", "reverse mode", "forward mode"}
    assert found["rows"][0]["disagrees"]
    assert found["rows"][-1]["values"]["dlecture/dz"] == pytest.approx(809.70747921)


def test_a_method_that_does_not_apply_says_why():
    def f(x):
        return np.sum(np.sort(x) ** 2)

    symbolic = rows_of(cr.compare(f, np.array([2.0, 1.0, 3.0])))["symbolic"]
    if symbolic.values is None:
        assert "test_compare.py:" in symbolic.note
    large = rows_of(cr.compare(lambda x: np.sum(np.sin(x)), np.ones(30_000)))
    assert large["symbolic"].values is None
    assert "too many for a formula" in large["symbolic"].note
    assert large["reverse mode"].values is not None


def test_jacobians_trees_and_arguments_that_are_not_differentiated():
    table = cr.compare(lambda A, x, n: (A @ x) ** n, np.eye(2), np.array([1.0, 2.0]), 2)
    assert len(table.labels) == 2
    for row in table.rows:
        np.testing.assert_allclose(row.values[1], [[2, 0], [0, 4]], atol=1e-8)
    table = cr.compare(lambda p: p["w"] * p["b"], {"w": np.ones(2), "b": 3.0})
    assert sorted(table.labels) == ["df/dp['b']", "df/dp['w']"]
    assert not any(row.disagrees for row in table.rows)


def test_several_outputs():
    table = cr.compare(lambda x: {"a": np.sin(x), "b": x**2}, 0.5)
    assert table.labels == ["df['a']/dx", "df['b']/dx"]
    for row in table.rows:
        assert row.values == pytest.approx((np.cos(0.5), 1.0), rel=1e-8)


def test_a_manual_derivative_of_another_shape():
    row = cr.compare(lambda x: np.sum(x**2), np.ones(3), manual=lambda x: 2 * x[:2]).rows[0]
    assert row.disagrees
    assert row.note == "returned shapes (2,), the derivative has (3,)"


def test_many_inputs_sweep_forward_at_once():
    rows = rows_of(cr.compare(lambda x: np.sum(x**2), np.ones(20)))
    assert rows["forward mode"].evaluations == 1
    assert not rows["forward mode"].disagrees


def test_undefined_points_are_equal_when_all_say_so():
    with np.errstate(all="ignore"):
        table = cr.compare(lambda x: np.sqrt(x), 0.0)
    rows = rows_of(table)
    assert rows["reverse mode"].values == (np.inf,)
    assert not rows["forward mode"].disagrees


def test_memory_is_measured_beside_another_measurement():
    tracemalloc.start()
    try:
        cr.compare(np.sin, 1.0)
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "f", [lambda x: np.abs(x) + np.floor(x), np.sqrt], ids=["a jump", "an infinite slope"]
)
def test_differences_that_do_not_settle_are_not_said_to_agree(f):
    with np.errstate(all="ignore"):
        verdict = cr.compare(f, 0.0).verdict
    undecided, agreeing = verdict.splitlines()
    assert undecided.startswith("finite difference can't tell here")
    assert agreeing == "symbolic, forward mode, reverse mode agree"
