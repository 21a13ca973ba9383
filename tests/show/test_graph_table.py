"""The tables of the lectures, word for word."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

import chainrule as cr


def six_steps(x, z):
    a = x * z
    b = np.log(x)
    c = np.sin(b)
    d = np.exp(a)
    e = a / b
    f = c / a
    y = d + e + f
    return y


def loss(w, x):
    a = x**2
    b = w * a
    c = scipy.special.expit(b)
    g = np.log(c)
    L = -g
    return L


def product_plus_sine(x1, x2):
    a = x1 * x2
    b = np.sin(x1)
    f = a + b
    return f


GOLDEN = {
    ("six_steps", "reverse"): """
            value                                             gradient
──────────  ────────  ──────────────────────────────────────  ────────
y = g + f   412.191   ȳ = 1                                   1
g = d + e   412.085   ḡ = ȳ                                   1
f = c/a     0.106494  f̄ = ȳ                                   1
e = a/b     8.65617   ē = ḡ                                   1
d = exp(a)  403.429   d̄ = ḡ                                   1
c = sin(b)  0.638961  c̄ = f̄ · 1/a                             0.166667
b = log(x)  0.693147  b̄ = c̄ · cos(b) + ē · (-a/b²)            -12.36
a = x·z     6         ā = d̄ · exp(a) + ē · 1/b + f̄ · (-c/a²)  404.854
z           3         z̄ = ā · x                               809.707
x           2         x̄ = ā · z + b̄ · 1/x                     1208.38
""",
    ("six_steps", "forward"): """
            value                                d/dx       d/dz
──────────  ────────  ─────────────────────────  ─────────  ──────────
x           2         ẋ = 1 for itself, else 0   1          0
z           3         ż = 1 for itself, else 0   0          1
a = x·z     6         ȧ = ẋ · z + ż · x          3          2
b = log(x)  0.693147  ḃ = ẋ · 1/x                0.5        0
c = sin(b)  0.638961  ċ = ḃ · cos(b)             0.384619   0
d = exp(a)  403.429   ḋ = ȧ · exp(a)             1210.29    806.858
e = a/b     8.65617   ė = ȧ · 1/b + ḃ · (-a/b²)  -1.91602   2.88539
f = c/a     0.106494  ḟ = ċ · 1/a + ȧ · (-c/a²)  0.0108565  -0.0354978
g = d + e   412.085   ġ = ḋ + ė                  1208.37    809.743
y = g + f   412.191   ẏ = ġ + ḟ                  1208.38    809.707
""",
    ("log", "reverse"): """
            value                 gradient
──────────  ───────  ───────────  ────────
d = log(c)  1.79176  d̄ = 1        1
c = a·b     6        c̄ = d̄ · 1/c  0.166667
b           3        b̄ = c̄ · a    0.333333
a           2        ā = c̄ · b    0.5
""",
    ("log", "forward"): """
            value                              d/da  d/db
──────────  ───────  ────────────────────────  ────  ────────
a           2        ȧ = 1 for itself, else 0  1     0
b           3        ḃ = 1 for itself, else 0  0     1
c = a·b     6        ċ = ȧ · b + ḃ · a         3     2
d = log(c)  1.79176  ḋ = ċ · 1/c               0.5   0.333333
""",
    ("loss", "reverse"): """
            value                          gradient
──────────  ──────────  ─────────────────  ──────────
L = -g      0.0181499   L̄ = 1              1
g = log(c)  -0.0181499  ḡ = −L̄             -1
c = σ(b)    0.982014    c̄ = ḡ · 1/c        -1.01832
b = w·a     4           b̄ = c̄ · c·(1 - c)  -0.0179862
a = x²      4           ā = b̄ · w          -0.0179862
x           2           x̄ = ā · 2·x        -0.0719448
w           1           w̄ = b̄ · a          -0.0719448
""",
    ("loss", "forward"): """
            value                                 d/dw        d/dx
──────────  ──────────  ────────────────────────  ──────────  ──────────
w           1           ẇ = 1 for itself, else 0  1           0
x           2           ẋ = 1 for itself, else 0  0           1
a = x²      4           ȧ = ẋ · 2·x               0           4
b = w·a     4           ḃ = ẇ · a + ȧ · w         4           4
c = σ(b)    0.982014    ċ = ḃ · c·(1 - c)         0.0706508   0.0706508
g = log(c)  -0.0181499  ġ = ċ · 1/c               0.0719448   0.0719448
L = -g      0.0181499   L̇ = −ġ                    -0.0719448  -0.0719448
""",
    ("sine", "reverse"): """
             value                               gradient
───────────  ───────  ─────────────────────────  ────────
f = a + b    4.14159  f̄ = 1                      1
b = sin(x1)  1        b̄ = f̄                      1
a = x1·x2    3.14159  ā = f̄                      1
x2           2        x̄2 = ā · x1                1.5708
x1           1.5708   x̄1 = ā · x2 + b̄ · cos(x1)  2
""",
    ("sine", "forward"): """
             value                               d/dx1        d/dx2
───────────  ───────  ─────────────────────────  ───────────  ──────
x1           1.5708   ẋ1 = 1 for itself, else 0  1            0
x2           2        ẋ2 = 1 for itself, else 0  0            1
a = x1·x2    3.14159  ȧ = ẋ1 · x2 + ẋ2 · x1      2            1.5708
b = sin(x1)  1        ḃ = ẋ1 · cos(x1)           6.12323e-17  0
f = a + b    4.14159  ḟ = ȧ + ḃ                  2            1.5708
""",
}
CASES = {
    "six_steps": (six_steps, 2.0, 3.0),
    "log": (lambda a, b: np.log(a * b), 2.0, 3.0),
    "loss": (loss, 1.0, 2.0),
    "sine": (product_plus_sine, np.pi / 2, 2.0),
}


@pytest.mark.parametrize(("case", "mode"), GOLDEN)
def test_word_for_word(case, mode):
    f, *args = CASES[case]
    assert str(cr.graph(f, *args).table(mode)) == GOLDEN[case, mode].strip("\n")


def test_arrays_and_more_digits():
    def f(W, x):
        q = W @ x
        return np.sum(q**2)

    g = cr.graph(f, np.array([[0.1, 0.5], [-0.3, 0.8]]), np.array([0.2, 0.4]))
    rows = {row[0]: row for row in g.table("reverse", digits=3).rows}
    assert rows["q = W · x"][2:] == ("q̄ = ā · 2·q", "[0.44 0.52]")
    assert rows["W"][2:] == ("W̄ = q̄ · xᵀ", "[[0.088 0.176] [0.104 0.208]]")
    forward = {row[0]: row for row in g.table("forward").rows}
    assert forward["q = W · x"][2:] == ("q̇ = Ẇ · x + W · ẋ", "2×2×2", "[[0.1 0.5] [-0.3 0.8]]")
    assert "3.14159265359" in str(cr.graph(lambda x: x * 1.0, np.pi).table(digits=12))


def test_large_arrays_are_named_by_shape():
    g = cr.graph(lambda x: np.sum(np.sin(x)), np.ones(100))
    assert g.table("forward").rows[0] == ("x", "100", "ẋ = 1 for itself, else 0", "100×100")
    assert g.table("reverse").rows[-1][-1] == "100"


def test_html_escapes_names():
    g = cr.graph(lambda x: np.sin(x), 1.0, names=["<b>"])
    text = g.table()._repr_html_()
    assert "&lt;b&gt;" in text
    assert "<b>" not in text


def test_what_does_not_vary_has_no_gradient():
    g = cr.graph(lambda x, n: x * n, 2.0, 3)
    assert [row[0] for row in g.table("reverse").rows] == ["a = x·n", "x"]
    assert g.table("forward").rows[1] == ("n", "3", "", "")


def test_infinities_and_complex_numbers():
    with np.errstate(all="ignore"):
        g = cr.graph(lambda x: np.log(x), 0.0)
    assert g.table().rows[0][1] == "-inf"
    assert g.table().rows[1][3] == "inf"
    z = cr.graph(lambda z: np.real(z * z), 1 + 2j)
    assert z.table().rows[-1][1] == "1+2j"
