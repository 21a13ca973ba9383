"""differentiability: each kind of place, where it is, and what a derivative costs."""

import numpy as np
import pytest

import chainrule as cr


def only(f, *args):
    """The single finding of a function."""
    with np.errstate(all="ignore"):
        (found,) = cr.differentiability(f, *args).findings
    assert found.line is None or str(found.place).startswith("test_differentiability.py:")
    return found


def test_abs_at_zero():
    found = only(lambda x: np.abs(x), np.array([1.0, 0.0, -2.0]))
    assert (found.kind, found.operation, found.index, found.taken) == (
        "kink",
        "absolute",
        (1,),
        (0.0,),
    )
    assert found.text == "np.abs(x)"


def test_floor_is_flat_and_jumps_at_whole_numbers():
    assert only(lambda x: np.floor(x), 2.5).kind == "flat"
    report = cr.differentiability(lambda x: np.floor(x), 2.0)
    assert [found.kind for found in report.findings] == ["jump", "flat"]


def test_sqrt_at_zero():
    found = only(lambda x: np.sqrt(x), 0.0)
    assert (found.kind, found.operation, found.taken) == ("infinite", "sqrt", (np.inf,))


def test_log_of_a_negative_number():
    found = only(lambda x: np.log(x), -1.0)
    assert (found.kind, found.operation) == ("domain", "log")


def test_the_lectures_log_without_a_real_value():
    def f(x):
        inner = 5 * (np.maximum(x[0], x[1]) * x[2] / x[3] - (x[4] + x[5]))
        return 1 / (1 + np.exp(-np.log(inner))) + 0.5

    with np.errstate(all="ignore"):
        report = cr.differentiability(f, np.ones(6))
    kinds = {found.kind: found for found in report.findings}
    assert kinds["domain"].text == "np.log(inner)"
    assert kinds["kink"].operation == "maximum"


def test_an_integer_input():
    found = only(lambda x, n: x**n, 2.0, 3)
    assert found.kind == "integer"
    assert "argument 1 is an integer (i64)" in found.reason
    report = cr.differentiability(lambda n: n * 2, 3)
    assert not report.smooth
    assert "nothing to differentiate" in str(report)


def test_argmax():
    found = only(lambda x: x[np.argmax(x)], np.array([1.0, 3.0]))
    assert (found.kind, found.operation, found.text) == ("position", "argmax", "np.argmax(x)")


def test_a_tie_in_max():
    found = only(lambda x: np.max(x), np.array([1.0, 3.0, 3.0]))
    assert (found.kind, found.operation, found.taken) == ("kink", "max", (0.5,))
    found = only(lambda x, y: np.maximum(x, y), 1.0, 1.0)
    assert (found.operation, found.taken) == ("maximum", (0.5, 0.5))
    assert cr.differentiability(lambda x: np.max(x), np.array([1.0, 3.0])).smooth


def test_a_branch_on_the_value():
    def f(x):
        if x > 1:
            return x**2
        return x

    found = only(f, 3.0)
    assert (found.kind, found.text) == ("branch", "x > 1")
    assert "(True)" in found.reason
    edge = cr.differentiability(f, 1.0)
    assert [found.kind for found in edge.findings] == ["jump", "branch"]
    assert not edge.smooth


RELU = {
    "maximum(x, 0)": (lambda x: np.maximum(x, 0), "kink", 0.0),
    "where": (lambda x: np.where(x > 0, x, 0), "jump", 0.0),
    "x * (x > 0)": (lambda x: x * (x > 0), "jump", 0.0),
    "half of x + abs": (lambda x: (x + np.abs(x)) / 2, "kink", 0.5),
    "where >=": (lambda x: np.where(x >= 0, x, 0), "jump", 1.0),
    "leaky": (lambda x: np.maximum(0.1 * x, x), "kink", 0.55),
}


@pytest.mark.parametrize("name", RELU)
def test_every_spelling_of_relu_is_named_at_its_kink(name):
    f, kind, slope = RELU[name]
    found = only(f, 0.0)
    assert found.kind == kind
    assert cr.grad(f)(0.0) == pytest.approx(slope)
    assert cr.differentiability(f, 0.5).smooth


def test_a_literal_tie_takes_zero():
    assert only(lambda x: np.maximum(x, 0), 0.0).taken == (0.0,)


def test_values_that_meet_a_kink_up_to_rounding():
    found = only(lambda x: np.abs(np.sin(x)), np.pi)
    assert found.near
    assert "met up to rounding" in str(found)
    assert cr.differentiability(lambda x: np.abs(x), 1e-20).smooth
    assert only(lambda x: np.maximum(0.1 * 3 * x, 0.3), 1.0).near


def test_what_has_no_influence_is_not_reported():
    def f(x):
        np.abs(x - 1)
        return x**2 + np.abs(0.0)

    assert cr.differentiability(f, 1.0).smooth
    assert not cr.differentiability(f, 1.0).findings


def test_overflow_is_reported_where_it_begins():
    found = only(lambda x: 1 / np.exp(x), 1000.0)
    assert (found.kind, found.operation) == ("overflow", "exp")


def test_loops_are_one_finding():
    def f(x):
        for _ in range(5):
            x = np.abs(x)
        return x

    assert only(f, 0.0).times == 5


def test_a_smooth_function():
    report = cr.differentiability(lambda x: np.sum(np.sin(x)), np.ones(3))
    assert report.smooth
    assert report.findings == ()
    assert str(report).startswith("f: differentiable here\n")


@pytest.mark.parametrize(
    ("inputs", "outputs", "mode"), [(3, 300, "forward"), (300, 3, "reverse"), (50, 50, "either")]
)
def test_the_cheaper_mode(inputs, outputs, mode):
    A = np.ones((outputs, inputs))
    cost = cr.differentiability(lambda x: A @ x, np.ones(inputs)).cost
    assert cost.recommended == mode
    assert (cost.inputs, cost.outputs) == (inputs, outputs)
    assert (cost.forward, cost.reverse) == (2 * inputs, 1 + 2 * outputs)
    assert min(cost.seconds, cost.forward_seconds, cost.reverse_seconds) > 0
    text = str(cost)
    assert f"{inputs} inputs → {outputs} outputs" in text
    assert "predicted" in text
    assert "measured" in text
    assert f"recommended: {mode} mode" in text


def test_a_dictionary():
    found = cr.differentiability(lambda x: np.abs(x), 0.0).to_dict()
    assert found["findings"][0]["kind"] == "kink"
    assert found["findings"][0]["text"] == "np.abs(x)"
    assert found["smooth"] is False
    assert found["cost"]["recommended"] == "either"
