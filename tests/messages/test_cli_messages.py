"""What the command line says about what it can't do, word for word."""

from __future__ import annotations

import sys

import pytest

from chainrule.cli.main import main

USE = "use numbers, names, + - * / ** % and the functions of: chainrule diff --help"
SYMBOLS = "use numbers, names, + - * / ** % and round brackets"
NOT_A_NUMBER = "write a finite real number, such as 2, -0.5, 1e-3 or pi/2"


def said(capsys, *arguments):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


def pointed(problem, text, start, length, fix):
    """The house form, with carets under a piece of the expression."""
    carets = " " * start + "^" * length
    return (
        f"ExpressionError: {problem}\n  expression: {text}\n              {carets}\n"
        f"  fix:        {fix}\n"
    )


@pytest.mark.parametrize(
    ("text", "problem", "start", "length", "fix"),
    [
        ("__import__('os')", "text in quotes is not arithmetic", 11, 1, "leave out the quotes"),
        ("__import__(x)", "there is no function __import__", 0, 10,
         "the functions are listed by: chainrule diff --help"),
        ("x.__class__", "attributes (a dot after a name) are not arithmetic", 0, 11, USE),
        ("x.real", "attributes (a dot after a name) are not arithmetic", 0, 6, USE),
        ("9**9**9**9*x", "this exponent is too large", 6, 4,
         "exponents between -1000 and 1000 are computed"),
        ("x**9**9", "this exponent is too large", 3, 4,
         "exponents between -1000 and 1000 are computed"),
        ("expp(x)", "there is no function expp", 0, 4, "did you mean exp?"),
        ("Sin(x)", "there is no function Sin", 0, 3, "did you mean sin?"),
        ("system(x)", "there is no function system", 0, 6,
         "the functions are listed by: chainrule diff --help"),
        ("x*z", "z has no value", 2, 1, "give it one: --at x=…,z=…"),
        ("sin", "sin is a function and needs its arguments", 0, 3, "write sin(x)"),
        ("sin x", "the brackets of a function are missing", 0, 3, "write sin(x)"),
        ("sin(x, x)", "sin takes 1 argument, not 2", 0, 9, "write sin(x)"),
        ("max(x)", "max takes 2 arguments, not 1", 0, 6, "write max(x, y)"),
        ("sin(x=3)", "arguments can't be given by name", 0, 8,
         "write sin(…) with plain arguments"),
        ("x=2", "= is not arithmetic", 1, 1,
         "write == to compare; values of the variables go into --at"),
        ("x(2)", "x is a number, not a function", 0, 1, "write a product with *: x*(…)"),
        ("2(x)", "only a function can be called", 0, 1, "write a product with *"),
        ("2x", "something is missing after a number", 0, 1, "write a product with *: 2*x"),
        ("x^2", "the character ^ can't be used here", 1, 1, "write ** for a power"),
        ("x²", "the character ² can't be used here", 1, 1, "write **2 for a square"),
        ("3×x", "the character × can't be used here", 1, 1, "write * for a product"),
        ("x−1", "the character − can't be used here", 1, 1, "write the plain minus sign -"),
        ("𝐱", "the character 𝐱 can't be used here", 0, 1, SYMBOLS),
        ("х+x", "the character х can't be used here", 0, 1, SYMBOLS),
        ("x\u202e+1", "the character U+202E can't be used here", 1, 1, SYMBOLS),
        ("x;y", "the character ; can't be used here", 1, 1, SYMBOLS),
        ("[x for x in x]", "[ can't be used here", 0, 1, "use round brackets ( )"),
        ("(x for x in x)", "comprehensions are not arithmetic", 0, 14, USE),
        ("lambda: x", "the character : can't be used here", 6, 1, SYMBOLS),
        ("x<1", "a comparison may only stand first in where(condition, a, b)", 0, 3,
         "write where(x<1, a, b)"),
        ("where(x, 1, 2)", "where needs a comparison first", 6, 1, "write where(x > 0, a, b)"),
        ("where(0<x<1, x, 1)", "a chain of comparisons can't be used here", 6, 5,
         "compare two values at a time"),
        ("x if x else 1", "if … else is not arithmetic; write where(condition, a, b)", 0, 13, USE),
        ("x and 1", "and, or are not arithmetic", 0, 7, USE),
        ("not x", "only + and - may stand before a value", 0, 5, USE),
        ("sin(*x)", "a star before an argument is not arithmetic", 4, 2, USE),
        ("x, x", "only one expression can be differentiated; a comma separates arguments only",
         0, 4, USE),
        ("x//2", "this operator is not arithmetic on real numbers", 0, 4, "write floor(a / b)"),
        ("x<<2", "this operator is not arithmetic on real numbers", 0, 4, "use + - * / ** %"),
        ("1j*x", "complex numbers can't be used here", 0, 2, "write it with real numbers"),
        ("True*x", "only numbers are arithmetic", 0, 4, "write it as a number"),
        ("None", "only numbers are arithmetic", 0, 4, "write it as a number"),
        ("1e400*x", "this number is too large", 0, 5, "numbers go up to 1e308"),
        ("log(-1)*x", "log(-1) is not a real number", 0, 7,
         "use values that give a finite real number"),
        ("x+1/0", "1/0 is infinite or too large", 2, 3,
         "use values that give a finite real number"),
        ("x+", "the expression ends too early", 1, 1, "write what comes after it"),
        ("(x", "an opening bracket is never closed", 0, 1, "add the missing )"),
        ("x)", "a closing bracket without an opening one", 1, 1,
         "remove it, or add the missing ("),
        ("x y", "this can't be read as arithmetic", 2, 1,
         "check the operators and brackets around here; a product is written with *"),
    ],
)  # fmt: skip
def test_an_expression_is_refused(capsys, text, problem, start, length, fix):
    assert said(capsys, "diff", text, "--at", "x=2") == pointed(problem, text, start, length, fix)


def test_an_empty_expression(capsys):
    for text in ("", "  "):
        assert said(capsys, "diff", text, "--at", "x=2") == (
            'ExpressionError: the expression is empty\n  fix: write one, such as "x**2 + sin(y)"\n'
        )


def test_a_hundred_and_one_brackets(capsys):
    text = "(" * 101 + "x" + ")" * 101
    assert said(capsys, "diff", text, "--at", "x=2") == (
        "ExpressionError: brackets are nested more than 100 deep\n"
        f"  expression: …{'(' * 51}x{')' * 18}…\n"
        f"              {' ' * 51}^\n"
        "  fix:        simplify the expression\n"
    )


def test_ten_thousand_brackets(capsys):
    text = "(" * 10_000 + "x" + ")" * 10_000
    assert said(capsys, "diff", text, "--at", "x=2") == (
        "ExpressionError: the expression is too long\n"
        "  length: 20001 characters; at most 2000 are read\n"
        "  fix:    write it as a Python function and use cr.compare\n"
    )


def test_nothing_to_differentiate(capsys):
    assert said(capsys, "diff", "1 + 2") == (
        "ExpressionError: there is nothing to differentiate with respect to\n"
        "  expression: 1 + 2\n"
        "  fix:        use a name in the expression and give it a value: --at x=2\n"
    )
    assert said(capsys, "diff", "x", "--at", "x=1,y=2") == (
        "ExpressionError: y has a value but does not occur in the expression\n"
        "  expression: x\n"
        "  fix:        leave out --at y=…, or use y in the expression\n"
    )


@pytest.mark.parametrize(
    ("point", "problem", "start", "length", "fix"),
    [
        ("x", "a value is missing", 0, 1, "write name=value, as in x=2,z=3"),
        ("x=", "a value is missing", 0, 2, "write name=value, as in x=2,z=3"),
        ("x=2,", "a value is missing", 4, 1, "write name=value, as in x=2,z=3"),
        ("x=1,x=2", "x has two values", 4, 3, "give each name once"),
        ("exp=3", "exp is the name of a function", 0, 5, "choose another name"),
        ("lambda=2", "'lambda' can't be the name of a variable", 0, 8,
         "a name is letters and digits, and begins with a letter"),
        ("x y=2", "'x y' can't be the name of a variable", 0, 5,
         "a name is letters and digits, and begins with a letter"),
        ("x=a", "'a' is not a number", 2, 1, f"{NOT_A_NUMBER} (a has no value)"),
        ("x=nan", "'nan' is not a number", 2, 3, f"{NOT_A_NUMBER} (nan has no value)"),
        ("x=1e999", "'1e999' is not a number", 2, 5, f"{NOT_A_NUMBER} (this number is too large)"),
        ("x=__import__('os')", '"__import__(\'os\')" is not a number', 2, 16,
         f"{NOT_A_NUMBER} (text in quotes is not arithmetic)"),
    ],
)  # fmt: skip
def test_a_point_is_refused(capsys, point, problem, start, length, fix):
    assert said(capsys, "diff", "x", "--at", point) == (
        f"ExpressionError: {problem}\n  at:  {point}\n       {' ' * start}{'^' * length}\n"
        f"  fix: {fix}\n"
    )


def test_outside_the_domain(capsys):
    assert said(capsys, "diff", "2*log(x-3)", "--at", "x=2") == (
        "DomainError: log(x-3) is not a real number at this point\n"
        "  expression: 2*log(x-3)\n"
        "                ^^^^^^^^\n"
        "  operands:   x-3 = -1\n"
        "  point:      x = 2\n"
        "  fix:        choose a point inside the domain with --at\n"
    )
    assert said(capsys, "diff", "1/x", "--at", "x=0") == (
        "DomainError: 1/x is infinite at this point\n"
        "  expression: 1/x\n"
        "              ^^^\n"
        "  point:      x = 0\n"
        "  fix:        choose a point inside the domain with --at\n"
    )
    assert said(capsys, "diff", "exp(x)", "--at", "x=1000").startswith(
        "DomainError: exp(x) is too large for a floating-point number at this point\n"
    )


def test_the_demo_without_scikit_learn(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert main(["demo"]) == 2
    assert capsys.readouterr().err == (
        "ArgumentError: the demo's digits come with scikit-learn, which is not installed\n"
        "  needed: scikit-learn, an extra of this package\n"
        "  fix:    pip install scikit-learn\n"
    )
