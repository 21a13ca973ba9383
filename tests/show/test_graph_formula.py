"""Formulas of operations and of their local derivatives, in three notations."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import scipy.special

import chainrule as cr
from chainrule.ops.family import PRIMITIVES
from chainrule.show.formula import formula, local_formula, pull_formula, push_formula
from chainrule.show.mathtext import latex_name, mathml_name, written
from chainrule.tracing.trace import apply


def last(f, *args):
    g = cr.graph(f, *args)
    return next(node for node in reversed(g.nodes) if node.inputs)


@pytest.mark.parametrize(
    ("f", "text", "slopes"),
    [
        (lambda x, z: x * z, "x·z", ["z", "x"]),
        (lambda x, z: x / z, "x/z", ["1/z", "-x/z²"]),
        (lambda x, z: x + z, "x + z", ["1", "1"]),
        (lambda x, z: x - z, "x - z", ["1", "-1"]),
        (lambda x, z: np.maximum(x, z), "max(x, z)",
         ["1 where x is larger, else 0", "1 where z is larger, else 0"]),
        (lambda x, z: x**z, "x^z", ["x^(z - 1)·z", "f·log(x)"]),
        (lambda x, z: np.exp(x), "exp(x)", ["exp(x)"]),
        (lambda x, z: np.log(x), "log(x)", ["1/x"]),
        (lambda x, z: np.tanh(x), "tanh(x)", ["1 - f²"]),
        (lambda x, z: scipy.special.expit(x), "σ(x)", ["f·(1 - f)"]),
        (lambda x, z: x**3, "x³", ["3·x²"]),
        (lambda x, z: 1 - x, "1 - x", ["1", "-1"]),
        (lambda x, z: x > z, "x > z", ["0", "0"]),
    ],
)  # fmt: skip
def test_scalars(f, text, slopes):
    node = last(lambda x, z: cr.name(f(x, z), "f"), 2.0, 3.0)
    assert formula(node).text == text
    found = [local_formula(node, slot).text for slot in range(len(node.inputs))]
    assert found[-len(slopes) :] == slopes[-len(found) :]


def test_upstream_times_local():
    node = last(lambda x, z: cr.name(x * z, "a"), 2.0, 3.0)
    assert pull_formula(node, 0).text == "ā · z"
    assert pull_formula(node, 0).latex == r"\bar{a} \cdot z"
    assert push_formula(node, 1).text == "ż · x"
    assert pull_formula(last(lambda x: cr.name(-x, "a"), 2.0), 0).text == "−ā"
    assert pull_formula(last(lambda x, z: cr.name(z / x, "a"), 2.0, 3.0), 1).text == "ā · (-z/x²)"


def test_arrays():
    W, x = np.ones((2, 3)), np.ones(3)
    node = last(lambda W, x: cr.name(W @ x, "q"), W, x)
    assert formula(node).text == "W · x"
    assert [pull_formula(node, k).text for k in (0, 1)] == ["q̄ · xᵀ", "Wᵀ · q̄"]
    assert [push_formula(node, k).text for k in (0, 1)] == ["Ẇ · x", "W · ẋ"]
    dotted = last(lambda a, b: cr.name(a @ b, "q"), x, x)
    assert [pull_formula(dotted, k).text for k in (0, 1)] == ["q̄ · b", "a · q̄"]
    total = last(lambda x: np.sum(x), x)
    assert formula(total).text == "Σ x"
    assert local_formula(total, 0).text == "1 for every entry that is added"


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_every_operation_has_formulas(name):
    op = PRIMITIVES[name]
    if not op.cases or name == "unseen":
        pytest.skip("made by other operations only")
    case = op.cases[0]
    operands = case.sample(np.random.default_rng(0))

    def f(*xs):
        found = apply(op, *xs, **case.params)
        return list(found) if op.multiple else found

    with np.errstate(all="ignore"):
        g = cr.graph(f, *operands)
    for node in g.nodes:
        for shown in _formulas(node):
            assert shown.text
            assert shown.latex
            assert shown.latex.count("{") == shown.latex.count("}")
            ET.fromstring(f"<math>{shown.mathml}</math>")


def _formulas(node):
    yield formula(node)
    for slot in range(len(node.inputs)):
        yield local_formula(node, slot)
        yield pull_formula(node, slot)
        yield push_formula(node, slot)


@pytest.mark.parametrize(
    "name",
    ["<script>", "a&b", "x\\y{z}", "]]>", '"', "$100%", "l_2", "alpha", "п", "x'", "Q", "QaQ"],
)
def test_hostile_names_are_escaped(name):
    g = cr.graph(lambda x: np.exp(x) * x, 1.0, names=[name])
    for node in g.nodes:
        for shown in _formulas(node):
            ET.fromstring(f"<math>{shown.mathml}</math>")
            assert "<script>" not in shown.mathml
            assert "$" not in shown.latex.replace(r"\$", "")


def test_names_in_notations():
    assert latex_name("l_2") == "l_{2}"
    assert latex_name("alpha") == r"\alpha"
    assert latex_name("loss") == r"\mathrm{loss}"
    assert latex_name("a_b") == r"\text{a\_b}"
    assert mathml_name("x1") == "<msub><mi>x</mi><mn>1</mn></msub>"
    assert mathml_name("beta") == "<mi>β</mi>"
    assert written("{0}ᵀ · {g}", {"0": "W", "g": "g"}).latex == r"W^{\top} \cdot g"
