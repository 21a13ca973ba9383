"""Source in LaTeX: every operation can be set, and the worked cases read as they should."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from matplotlib.mathtext import MathTextParser

import chainrule as cr
from chainrule.ir.primitive import Case, Primitive
from chainrule.ops.family import PRIMITIVES
from chainrule.show.source.latex.equations import Latex
from chainrule.tracing.trace import apply

PARSER = MathTextParser("path")
REFUSED = {"while_transpose"}
DISSOLVED = {"call", "call_with_reverse", "unseen"}
PAIRS = [
    pytest.param(op, case, id=f"{op.name}-{k}")
    for op in PRIMITIVES.values()
    for k, case in enumerate(op.cases[:3])
    if op.name not in DISSOLVED | REFUSED
]


def rows_of(text: str) -> list[str]:
    """The equations, taken out of their environment."""
    assert text.startswith("\\begin{aligned}\n")
    assert text.endswith("\n\\end{aligned}")
    assert text.isascii()
    return [row.strip() for row in text[16:-14].split(" \\\\\n")]


def check(text: str) -> None:
    """Brackets pair up, and each equation can be set (mathtext knows no environments)."""
    for opening, closing in ((r"\left", r"\right"), (r"\begin", r"\end")):
        count = len(re.findall(re.escape(opening) + r"(?![a-z])", text))
        assert count == len(re.findall(re.escape(closing) + r"(?![a-z])", text))
    for row in rows_of(text):
        assert row.count("&") >= 1
        plain = re.sub(r"\\begin\{(pmatrix|cases)\}", "(", row)
        plain = re.sub(r"\\end\{(pmatrix|cases)\}", ")", plain)
        plain = plain.replace("\\\\", ";").replace(r"\&", "+").replace("&", "").replace("*}", "}")
        plain = re.sub(r"\\operatorname\*?", r"\\operatorname", plain)
        PARSER.parse(f"${plain}$")


@pytest.mark.parametrize(("op", "case"), PAIRS)
def test_every_operation(op: Primitive, case: Case) -> None:
    args = case.sample(np.random.default_rng(0))
    check(cr.source(lambda *xs: apply(op, *xs, **case.params), *args, language="latex"))


def test_each_operation_is_written_in_one_way() -> None:
    expressions, statements = set(Latex.expressions), set(Latex.statements)
    assert not expressions & statements
    assert expressions | statements == set(PRIMITIVES) - {"call", "call_with_reverse"} - REFUSED


def test_what_has_no_mathematics_says_so() -> None:
    def root(a: Any) -> Any:
        return cr.while_loop(lambda x: abs(x * x - a) > 1e-12, lambda x: (x + a / x) / 2, 1.0)

    check(cr.source(root, 2.0, language="latex"))
    with pytest.raises(cr.UnsupportedError, match="while_transpose can't be written in LaTeX"):
        cr.source(cr.grad(root), 2.0, language="latex")


def lines(f: Any, *args: Any) -> list[str]:
    text = cr.source(f, *args, language="latex")
    check(text)
    return rows_of(text)


def test_d_a() -> None:
    def f(x, z):
        a = x * z
        b = np.log(x)
        c = np.sin(b)
        d = np.exp(a)
        e = a / b
        f = c / a
        return d + e + f

    assert lines(f, 2.0, 3.0) == [
        r"a &= x \, z",
        r"b &= \ln x",
        r"c &= \sin b",
        r"d &= e^{a}",
        r"e &= \frac{a}{b}",
        r"f &= \frac{c}{a}",
        r"f\left(x,\, z\right) &= d + e + f",
    ]
    assert r"\bar{c} &= \frac{1}{a}" in lines(cr.grad(f), 2.0, 3.0)


def test_matrices_sums_and_gradients() -> None:
    def loss(W, x):
        q = W @ x
        return np.sum(q**2)

    assert lines(loss, np.ones((2, 3)), np.ones(3)) == [
        r"q &= W\, x",
        r"\mathrm{loss}\left(W,\, x\right) &= \sum_{i} \left(q^{2}\right)_{i}",
    ]
    assert lines(cr.grad(loss, argnums=(0, 1)), np.ones((2, 3)), np.ones(3)) == [
        r"q &= W\, x",
        r"\bar{q} &= 2 \, q",
        r"\frac{\partial \mathrm{loss}}{\partial W} &= \bar{q}\, x^{\top}",
        r"\frac{\partial \mathrm{loss}}{\partial x} &= W^{\top}\, \bar{q}",
    ]


def test_loops_choices_and_greek_names() -> None:
    def f(theta, lambda_):
        y = np.where(theta > 0, theta * lambda_, 0.0)
        return cr.fori_loop(0, 3, lambda i, s: s + y, 0.0)

    assert lines(f, 1.0, 2.0) == [
        r"y &= \begin{cases} \theta \, \lambda & \text{if } \theta > 0 \\ 0 & \text{otherwise} "
        r"\end{cases}",
        r"s &\leftarrow 0",
        r"&\text{for } k = 0, \dots, 2\text{:}",
        r"&\quad s \leftarrow s + y",
        r"f\left(\theta,\, \lambda\right) &= s",
    ]


def test_numbers_as_in_books() -> None:
    assert lines(lambda x: x * 3e-8 + 2.0, 1.0) == [r"f\left(x\right) &= 3 \cdot 10^{-8} \, x + 2"]
    text = cr.source(lambda x: x * complex(1.5, -2.0), 1.0, language="latex")
    assert r"\mathrm{i}" in text


def test_words_of_a_function_belong_together_and_signs_need_no_number():
    def log_loss(w_1):
        return np.sum(-1.0 * w_1 * np.ones(2))

    text = cr.source(log_loss, np.ones(2), language="latex")
    assert r"\mathrm{log\_loss}\left(w_{1}\right) &= \sum_{i} \left(-w_{1}\right)_{i}" in text

    def f_2(x):
        return x * 1.0

    assert "f_{2}" in cr.source(f_2, 1.0, language="latex")


def test_notebooks_set_it() -> None:
    text = cr.source(np.sin, 1.0, language="latex")
    assert text._repr_markdown_() == f"$$\n{text}\n$$"
