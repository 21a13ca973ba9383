"""check_grads: what passes, what is accepted at kinks, and whom it blames."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.ir.primitive import Partials, Primitive
from chainrule.tracing.trace import apply


def slope_off_by(factor):
    """sin, with a rule that is wrong by a factor."""

    @cr.custom_jvp
    def sine(x):
        return np.sin(x)

    @sine.defjvp
    def rule(primals, tangents):
        return sine(primals[0]), factor * np.cos(primals[0]) * tangents[0]

    return sine


def test_a_right_function_passes_every_combination():
    report = cr.check_grads(lambda x: np.sum(np.sin(x) * x), (np.array([1.0, 2.0]),))
    chains = {check.modes for check in report.checks}
    assert chains == {
        ("forward",), ("reverse",), ("forward", "forward"), ("forward", "reverse"),
        ("reverse", "forward"), ("reverse", "reverse"),
    }  # fmt: skip
    assert all(check.passed and not check.unsettled for check in report.checks)
    assert report.worst.error <= report.worst.allowed < 1e-5
    assert "agree with finite differences to order 2" in str(report)
    assert "argument 0[" in str(report)


def test_trees_several_outputs_and_integer_arguments():
    def f(p, n):
        return {"outer": np.outer(p["w"], p["w"]) ** n, "b": np.sum(np.log(p["w"]))}

    report = cr.check_grads(f, ({"w": np.array([1e-4, 2.0])}, 2))
    assert any("argument 0['w']" in check.worst.path for check in report.checks)
    assert any("output[" in check.worst.path for check in report.checks)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_orders(order):
    report = cr.check_grads(lambda x: np.exp(np.sin(x)), (0.3,), order=order, modes=("forward",))
    assert [len(check.modes) for check in report.checks] == list(range(1, order + 1))


def test_complex_functions():
    cr.check_grads(lambda z: np.sum(np.exp(z) * z), (np.array([1 + 2j, 0.5j]),))
    cr.check_grads(lambda z: np.sum(np.real(z * np.conj(z))), (np.array([1 + 2j]),))


def test_float32_has_its_own_tolerance():
    x = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    cr.check_grads(lambda x: np.sum(x @ x.T), (x,))


def test_many_entries_are_sampled():
    report = cr.check_grads(lambda x: np.sum(x**2), (np.linspace(1, 2, 500),), order=1)
    assert all(check.entries == 66 for check in report.checks)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_the_operation_to_blame_is_named_with_its_line(mode):
    wrong = slope_off_by(-1)

    def model(x):
        hidden = np.exp(x)
        hidden = wrong(hidden)  # the blame
        return np.sum(np.cos(hidden))

    with pytest.raises(cr.GradientError) as caught:
        cr.check_grads(model, (np.array([0.1, 0.2]),), modes=mode)
    error = caught.value
    assert error.facts["operation"] == "sine(f64[2])"
    assert error.facts["check"] == f"{mode} mode"
    assert str(error.where).endswith("in model")
    assert "wrong(hidden)" in error.where.text


def test_the_first_of_two_wrong_operations():
    first, second = slope_off_by(2), slope_off_by(3)

    def model(x):
        return second(first(x) + 1)

    with pytest.raises(cr.GradientError) as caught:
        cr.check_grads(model, (0.5,))
    assert caught.value.where.text == "first(x)"


def test_a_wrong_reverse_rule():
    @cr.custom_vjp
    def cube(x):
        return x**3

    cube.defvjp(lambda x: (cube(x), x), lambda x, g: (2 * x * g,))
    with pytest.raises(cr.GradientError) as caught:
        cr.check_grads(lambda x: 5 * cube(x), (2.0,), modes=("reverse",))
    assert caught.value.facts["operation"].startswith("cube(")


def test_a_small_slip_is_found():
    wrong = slope_off_by(1 + 1e-5)
    with pytest.raises(cr.GradientError):
        cr.check_grads(wrong, (0.7,))
    cr.check_grads(wrong, (0.7,), rtol=1e-4)


def test_a_wrong_second_derivative():
    @cr.custom_jvp
    def sine(x):
        return np.sin(x)

    @sine.defjvp
    def rule(primals, tangents):
        return sine(primals[0]), cr.stop_gradient(np.cos(primals[0])) * tangents[0]

    cr.check_grads(sine, (0.5,), order=1)
    with pytest.raises(cr.GradientError) as caught:
        cr.check_grads(sine, (0.5,), order=2)
    assert caught.value.facts["check"] == "forward over forward mode"
    assert "stop_gradient" in caught.value.fix


def test_kinks_are_reported_and_a_slope_between_is_accepted():
    report = cr.check_grads(lambda x: np.maximum(x, 0), (np.array([0.0, 1.0]),), order=1)
    assert [check.kinks for check in report.checks] == [1, 1]
    (kink,) = report.kinks
    assert (kink.kind, kink.index, kink.taken) == ("kink", (0,), (0.0,))
    assert "at a kink" in str(report)


def test_a_slope_outside_a_kink_is_not_accepted():
    @cr.custom_jvp
    def relu(x):
        return np.maximum(x, 0)

    @relu.defjvp
    def rule(primals, tangents):
        return relu(primals[0]), np.where(primals[0] > 0, 1.0, 3.0) * tangents[0]

    with pytest.raises(cr.GradientError):
        cr.check_grads(relu, (0.0,), order=1)


def test_what_no_difference_can_settle_is_counted():
    with np.errstate(all="ignore"):
        report = cr.check_grads(np.sqrt, (0.0,), order=1)
    assert all(check.unsettled == 1 for check in report.checks)
    assert "could not be settled" in str(report)


def test_the_step_adapts():
    cr.check_grads(lambda x: np.sum(np.log(x)), (np.array([1e-9, 1.0, 1e9]),), order=1)
    cr.check_grads(lambda x: np.sin(1e4 * x), (0.3,), order=2)
    cr.check_grads(lambda x: 1e6 + np.sin(x), (0.3,), order=1)


def test_a_wrong_primitive():
    wrong = Primitive(
        name="twice",
        type_rule=lambda x: x,
        value=lambda x: 2 * x,
        derivative=Partials(lambda y, x: 2.001 + 0 * x),
        batch=None,
        symbolic=None,
        lower=None,
        cases=(),
    )

    def model(x):
        return np.sum(np.sin(apply(wrong, x)))

    with pytest.raises(cr.GradientError) as caught:
        cr.check_grads(model, (np.array([0.3]),))
    assert caught.value.facts["operation"] == "twice(f64[1])"
    assert caught.value.facts["its rule"] == "2.001, numerically 2"
    assert caught.value.where.text == "apply(wrong, x)"
