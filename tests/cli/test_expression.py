"""Expressions: what they compute, and that they can't do anything else."""

from __future__ import annotations

import ast
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.base.errors import ChainruleError, ExpressionError
from chainrule.cli.expression import Expression
from chainrule.cli.point import read_point
from chainrule.cli.vocabulary import FUNCTIONS


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x + 2*y", 8.0),
        ("-x**2", -4.0),
        ("(-x)**2", 4.0),
        ("2**-x", 0.25),
        ("2**x**y", 256.0),
        ("x - y - 1", -2.0),
        ("x / y / 2", 1 / 3),
        ("7 % x * y", 3.0),
        ("+x - -y", 5.0),
        ("1_000 * x + 0x10 * y", 2048.0),
        (".5*x + 1.*y + 1e-1", 4.1),
        ("pi*x + e*y", 2 * math.pi + 3 * math.e),
        ("π*x + y", 2 * math.pi + 3),
        ("max(x, y) - min(x, y)", 1.0),
        ("where(x < y, x*y, x/y)", 6.0),
        ("where(x >= y, log(-1*x), y)", 3.0),
        ("where(1 < 2, x, y)", 2.0),
        ("sigmoid(x) - expit(x) + y", 3.0),
        ("ln(x) - log(x) + y", 3.0),
        ("\t x\n + y ", 5.0),
    ],
)
def test_arithmetic(text, value):
    used = [name for name in "xy" if re.search(rf"\b{name}\b", text)]
    point = {"x": 2.0, "y": 3.0}
    f = Expression(text, used)
    with np.errstate(invalid="ignore"):  # the branch that isn't taken
        found = f(*[point[n] for n in used])
    np.testing.assert_allclose(found, value, rtol=1e-15)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_differentiates(name):
    if name == "where":
        text = "where(x > 0, x*x, -x)"
    else:
        text = f"{name}({', '.join(['x', '0.3*x'][: FUNCTIONS[name].arguments])})"
    at = 1.6 if name in ("acosh", "arccosh") else 0.6
    f = Expression(text, ["x"])
    f.check_domain(at)
    exact = cr.finite_difference(f)(at)
    np.testing.assert_allclose(cr.grad(f)(at), exact, rtol=1e-7, atol=1e-9)


def test_names_may_be_greek_and_hide_constants():
    assert float(Expression("θ**2", ["θ"])(3.0)) == 9.0
    assert float(Expression("e + pi", ["e", "pi"])(1.0, 2.0)) == 3.0


def test_nothing_is_refused_for_its_depth_or_length_alone():
    assert float(Expression("-" * 1900 + "x", ["x"])(2.0)) == 2.0
    assert float(Expression("+".join(["x"] * 900), ["x"])(1.0)) == 900.0
    assert float(Expression("(" * 100 + "x" + ")" * 100, ["x"])(5.0)) == 5.0
    assert float(cr.grad(Expression("+".join(["x"] * 900), ["x"]))(1.0)) == 900.0


def test_the_point():
    assert read_point(["x=2,z=-3e-1"]) == {"x": 2.0, "z": -0.3}
    assert read_point(["x=pi/2", " y = max(1, 2) "]) == {"x": math.pi / 2, "y": 2.0}
    assert read_point([]) == {}


def test_an_error_of_an_operation_points_into_the_expression():
    f = Expression("sin(x) + cos(y)", ["x", "y"])
    with pytest.raises(ChainruleError, match=r"cos\(y\)"):
        f.check_domain(1.0, math.inf)


def compute_or_refuse(text):
    """Read a text: an error in the house form, or one number."""
    try:
        f = Expression(text, ["x"])
    except ExpressionError:
        return
    with np.errstate(all="ignore"):
        value = f(np.float64(0.7))
    assert np.shape(value) == ()


@given(
    st.text(
        alphabet="x1029.+-*/%()<>=, eE_jabcdefgilmnoprstuw[]{}'\"\\:;@^~!#&|λ²\n\x00", max_size=40
    )
)
def test_any_text_is_computed_or_refused(text):
    compute_or_refuse(text)


@given(st.text(max_size=60))
def test_any_unicode_is_computed_or_refused(text):
    compute_or_refuse(text)


PARTS = st.recursive(
    st.sampled_from(["x", "1", "2.5", "pi", "1e300", "0"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**", "%"]), inner).map(
            lambda t: f"({t[0]}{t[1]}{t[2]})"
        ),
        st.tuples(st.sampled_from(["sin", "exp", "log", "abs", "sqrt", "-"]), inner).map(
            lambda t: f"{t[0]}({t[1]})"
        ),
    ),
    max_leaves=12,
)


@given(PARTS)
def test_random_arithmetic_agrees_with_python(text):
    try:
        f = Expression(f"{text} + x", ["x"])
    except ChainruleError:
        return  # a constant part is infinite, or an exponent too large
    names = {n: getattr(np, n) for n in ("sin", "exp", "log", "abs", "sqrt")}
    names |= {"x": np.float64(0.7), "pi": np.float64(math.pi)}
    with np.errstate(all="ignore"):
        expected = evaluate(ast.parse(f"{text} + x", mode="eval").body, names)
        found = f(np.float64(0.7))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def evaluate(node, names):
    """The oracle: plain recursion over the tree."""
    if isinstance(node, ast.BinOp):
        operators = {
            "Add": np.add, "Sub": np.subtract, "Mult": np.multiply, "Div": np.divide,
            "Pow": np.power, "Mod": np.remainder,
        }  # fmt: skip
        left, right = evaluate(node.left, names), evaluate(node.right, names)
        return operators[type(node.op).__name__](left, right)
    if isinstance(node, ast.UnaryOp):
        return -evaluate(node.operand, names)
    if isinstance(node, ast.Call):
        return names[node.func.id](evaluate(node.args[0], names))
    if isinstance(node, ast.Name):
        return names[node.id]
    return np.float64(node.value)
