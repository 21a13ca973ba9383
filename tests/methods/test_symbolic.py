"""Formulas: readable, shared, right at kinks, and honest about what they hold for."""

import numpy as np
import pytest
import sympy

import chainrule as cr


def lecture(x, z):
    return np.exp(x * z) + x * z / np.log(x) + np.sin(np.log(x)) / (x * z)


def logistic(n):
    def iterate(x):
        value = x
        for _ in range(n - 1):
            value = 4 * value * (1 - value)
        return value

    return iterate


def test_the_first_worked_case_reads_as_mathematics():
    formula = cr.symbolic(lecture, 2.0, 3.0)
    x, z = formula.symbols
    assert str(x) == "x"
    assert str(z) == "z"
    assert formula.value == sympy.exp(x * z) + x * z / sympy.log(x) + sympy.sin(sympy.log(x)) / (
        x * z
    )
    for argnum, symbol in enumerate((x, z)):
        difference = formula.derivative(argnum) - sympy.diff(formula.value, symbol)
        assert sympy.simplify(difference) == 0
    assert formula.derivative(-1) == formula.derivative(1)


def test_its_formula_is_a_function_too():
    formula = cr.symbolic(lecture, 2.0, 3.0)
    assert formula.function()(2.0, 3.0) == pytest.approx(lecture(2.0, 3.0), rel=1e-14)
    for argnum in range(2):
        ours = cr.grad(lecture, argnum)(2.5, 0.5)
        assert formula.function(argnum)(2.5, 0.5) == pytest.approx(ours, rel=1e-13)


def test_latex_and_mathml():
    formula = cr.symbolic(lambda x: np.sin(x) ** 2, 1.0)
    assert formula.latex() == r"\sin^{2}{\left(x \right)}"
    assert formula.latex(0) == r"2 \sin{\left(x \right)} \cos{\left(x \right)}"
    assert formula.mathml(0).startswith("<math><mtable>")
    assert "<mi>cos</mi>" in formula.mathml(0)
    assert cr.symbolic(logistic(10), 0.25).latex(0).startswith("\\begin{aligned}\n")
    assert formula._repr_latex_().startswith("$")


def test_the_logistic_map_stays_shared():
    formula = cr.symbolic(logistic(10), 0.25)
    assert formula.count_ops(0) <= 250
    assert formula.count_ops(0, shared=False) > 10_000
    text = str(formula)
    shared, full = formula.count_ops(0), formula.count_ops(0, shared=False)
    assert f"derivative by x: {shared} operations shared, {full:,} written out" in text
    definitions, (result,) = formula.shared(0)
    size = sum(int(e.count_ops()) for _, e in definitions) + int(result.count_ops())
    assert size <= 250
    assert all(str(symbol) in text for symbol, _ in definitions)


def test_the_counts_agree_with_sympys_where_it_can_count():
    def f(x):
        for _ in range(4):
            x = np.sin(x) + np.exp(x)
        return x

    formula = cr.symbolic(f, 0.25)
    assert formula.count_ops(shared=False) == formula.value.count_ops() == 45
    assert formula.count_ops() == 12


def test_swell_far_beyond_what_could_be_written():
    formula = cr.symbolic(logistic(200), 0.25)
    assert formula.count_ops(0) < 5_000
    assert formula.count_ops(0, shared=False) > 10**50
    assert formula.function(0)(0.3) == pytest.approx(cr.grad(logistic(200))(0.3), rel=1e-6)
    with pytest.raises(cr.ArgumentError, match="written out, this formula has"):
        formula.derivative(0)


def test_the_derivative_agrees_with_grad_at_order_one():
    formula = cr.symbolic(logistic(10), 0.25)
    for x in (0.1, 0.25, 0.7):
        assert formula.function(0)(x) == pytest.approx(cr.grad(logistic(10))(x), rel=1e-10)


SPELLINGS = {
    "maximum(x, 0)": lambda x: np.maximum(x, 0),
    "maximum(0, x)": lambda x: np.maximum(0, x),
    "where(x > 0, x, 0)": lambda x: np.where(x > 0, x, 0),
    "x * (x > 0)": lambda x: x * (x > 0),
    "clip": lambda x: np.clip(x, 0, None),
    "abs": lambda x: np.abs(x),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_of_relu_are_zero_at_their_kink(name):
    f = SPELLINGS[name]
    derivative = cr.symbolic(f, 1.0).function(0)
    assert derivative(0.0) == 0
    assert derivative(0.5) == 1
    assert derivative(-0.5) == cr.grad(f)(-0.5)


@pytest.mark.parametrize(
    ("f", "value"),
    [
        (lambda x: (x + np.abs(x)) / 2, 0.5),
        (lambda x: np.where(x >= 0, x, 0), 1.0),
        (lambda x: np.maximum(0.1 * x, x), 0.55),
    ],
)
def test_other_spellings_follow_their_operations(f, value):
    assert cr.symbolic(f, 1.0).function(0)(0.0) == pytest.approx(value)
    assert cr.grad(f)(0.0) == pytest.approx(value)


def test_ties_share():
    formula = cr.symbolic(np.maximum, 1.0, 1.0)
    assert formula.function(0)(1.0, 1.0) == 0.5
    assert formula.function(1)(1.0, 1.0) == 0.5


def test_the_branch_not_taken_does_not_leak():
    formula = cr.symbolic(lambda x: np.where(x < 1, x, np.sqrt(x - 1)), 0.0)
    assert formula.function(0)(0.0) == 1
    assert formula.function(0)(5.0) == 0.25


def test_flat_operations_have_derivative_zero():
    formula = cr.symbolic(lambda x: np.floor(x) * x + np.sign(x), 1.5)
    assert formula.function(0)(1.5) == 1
    assert cr.symbolic(lambda x: x * cr.stop_gradient(x), 3.0).function(0)(3.0) == 3


def test_arrays_give_symbols_per_entry():
    W, x = np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4])
    formula = cr.symbolic(lambda W, x: np.sum((W @ x) ** 2), W, x)
    names = [[str(s) for s in row] for row in formula.symbols[0]]
    assert names == [["W00", "W01"], ["W10", "W11"]]
    assert [str(s) for s in formula.symbols[1]] == ["x0", "x1"]
    assert formula.derivative(0).shape == (2, 2)
    np.testing.assert_allclose(formula.function(0)(W, x), [[0.088, 0.176], [0.104, 0.208]])
    np.testing.assert_allclose(formula.function(1)(W, x), [-0.112, 0.636])
    jacobian = cr.symbolic(lambda x: W @ x, x)
    assert jacobian.derivative().shape == (2, 2)
    np.testing.assert_allclose(jacobian.function(0)(x), W)


def test_trees():
    formula = cr.symbolic(lambda p: {"a": p["w"] * p["b"]}, {"w": np.ones(2), "b": 2.0})
    slopes = formula.derivative(0)["a"]
    b = formula.symbols[0]["b"]
    assert slopes["w"].tolist() == [[b, 0], [0, b]]
    assert slopes["b"].tolist() == list(formula.symbols[0]["w"])
    found = formula.function(0)({"w": np.array([1.0, 3.0]), "b": 5.0})["a"]
    np.testing.assert_allclose(found["b"], [1, 3])


def test_numbers_read_as_written():
    formula = cr.symbolic(lambda x: 0.1 * x + np.pi * x**2 + x / 3.0, 1.0)
    (x,) = formula.symbols
    assert sympy.simplify(formula.value - (x / 10 + sympy.pi * x**2 + x / 3)) == 0


def test_names_never_clash():
    def f(x, x0, a, exp, log):
        return np.sum(x) * x0 + np.exp(a * exp) * np.log(log)

    args = (np.array([1.0, 2.0]), 3.0, 0.5, 0.25, 2.0)
    formula = cr.symbolic(f, *args)
    flat = [str(s) for s in [*formula.symbols[0], *formula.symbols[1:]]]
    assert len(set(flat)) == 6
    for argnum in range(5):
        np.testing.assert_allclose(formula.function(argnum)(*args), cr.grad(f, argnum)(*args))


def test_equal_parts_are_found_again():
    formula = cr.symbolic(lambda x: np.sin(x * x) + np.cos(x * x), 1.0)
    definitions, _ = formula.shared()
    assert formula.count_ops(shared=True) < formula.count_ops(shared=False)
    assert len(definitions) == 1


def test_a_branch_on_a_value_is_said():
    def f(x):
        if x > 0:
            return x**2
        return -x

    formula = cr.symbolic(f, 1.0)
    assert "for the branch taken" in formula.remarks[0]
    assert "test_symbolic.py:" in formula.remarks[0]
    assert "holds for the branch taken" in str(formula)
    assert str(cr.symbolic(f, -1.0).value) == "-x"


def test_positions_hold_as_they_are():
    formula = cr.symbolic(lambda x: x[np.argmax(x)] ** 2, np.array([1.0, 5.0, 2.0]))
    assert str(formula.value) == "x1**2"
    assert formula.remarks[0].startswith("where argmax finds the same (test_symbolic.py:")


def test_loops_and_buffers_are_unrolled():
    def f(x):
        buffer = np.zeros(3)
        for i in range(3):
            buffer[i] = x**i
        return np.sum(buffer)

    formula = cr.symbolic(f, 2.0)
    (x,) = formula.symbols
    assert sympy.expand(formula.value) == 1 + x + x**2


def test_custom_rules_are_not_used():
    @cr.custom_jvp
    def sine(x):
        return np.sin(x)

    @sine.defjvp
    def rule(primals, tangents):
        return sine(*primals), 100 * tangents[0]

    formula = cr.symbolic(lambda x: sine(2 * x), 1.0)
    assert str(formula.derivative(0)) == "2*cos(2*x)"


def test_integer_arguments_are_symbols_without_derivative():
    formula = cr.symbolic(lambda x, n: x * n, 2.0, 3)
    assert formula.function(0)(2.0, 5) == 5
    with pytest.raises(cr.DtypeError, match="only floating-point"):
        formula.derivative(1)


def test_a_large_program_is_refused():
    with pytest.raises(cr.ArgumentError, match="too many for a formula"):
        cr.symbolic(lambda x: np.sin(x), np.ones(30_000))


def test_other_shapes_than_the_example_are_refused():
    formula = cr.symbolic(lambda x: x * 2, np.ones(2))
    with pytest.raises(cr.ArgumentError, match="other shapes"):
        formula.function()(np.ones(3))


# ---- matrices ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "name", "most"),
    [
        (np.linalg.inv, "inv", 4),
        (np.linalg.det, "det", 5),
        (lambda a: np.linalg.solve(a, np.ones(6)), "solve", 4),
        (lambda a: np.linalg.matrix_power(a, -2), "inv", 4),
    ],
)
def test_large_matrices_are_refused_at_once(f, name, most):
    with pytest.raises(cr.UnsupportedError) as caught:
        cr.symbolic(f, np.eye(6))
    assert caught.value.problem == f"symbolic: the formula of {name} is too large to write out"
    assert caught.value.facts == {"matrix": "6×6", "most": f"{most}×{most}"}
    assert "test_symbolic.py" in str(caught.value.where)
    assert "cr.grad" in caught.value.fix


@pytest.mark.parametrize(
    "f",
    [
        lambda a: np.sum(np.linalg.inv(a) ** 2),
        np.linalg.det,
        lambda a: np.sum(np.linalg.solve(a, np.arange(3.0))),
    ],
)
def test_three_by_three(f):
    A = np.array([[2.0, -1.0, 0.5], [0.3, 1.5, -0.7], [-0.4, 0.8, 1.1]])
    np.testing.assert_allclose(cr.symbolic(f, A).function(0)(A), cr.grad(f)(A), rtol=1e-9)


def test_a_stack_of_matrices():
    A = np.array([[[2.0, 1.0], [0.5, 1.0]], [[1.0, 0.0], [3.0, 2.0]]])

    def f(a):
        return np.sum(np.linalg.inv(a)[:, 0] * np.linalg.det(a)[:, None] ** 2)

    np.testing.assert_allclose(cr.symbolic(f, A).function(0)(A), cr.grad(f)(A), atol=1e-12)
