"""Names and literals in a text are names and literals, whatever they were called before."""

from __future__ import annotations

import ast
import builtins
import keyword
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.show.source.names import Gradient, Names, identifier
from chainrule.show.source.python.literal import literal
from chainrule.show.source.wrap import wrapped

HOSTILE = [
    'f"""\nimport os\nos.system("true")\n"""',
    "x); __import__('os').system('true'); (",
    "lambda", "None", "np", "special", "range", "if", "class", "0day", "a b", "ﬁ", "θ", "",
    "\u202ex", "x\n", "</script>", "a'b\"c", "\\", "🙂", "_" * 3, "x" * 500,
]  # fmt: skip


def run(text: Any, *args: Any) -> Any:
    namespace: dict[str, Any] = {"__builtins__": builtins}
    exec(str(text), namespace)
    return namespace[text.name](*args, **text.arrays)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_of_functions_and_keys(name):
    def f(x, tree):
        return {name: np.sin(x) * tree[name], "other": x}

    f.__name__ = name
    tree = {name: 2.0}
    text = cr.source(f, 0.5, tree)
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    assert [ast.unparse(call.func) for call in calls] == ["np.sin"]
    assert run(text, 0.5, tree) == f(0.5, tree)
    gradient = cr.source(cr.grad(lambda x, t: f(x, t)[name], argnums=1), 0.5, tree)
    assert run(gradient, 0.5, tree)[name] == np.sin(0.5)
    latex = cr.source(f, 0.5, tree, language="latex")
    assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")


def test_arguments_called_as_the_texts_own_words():
    def f(np, range, special, slice):
        return cr.fori_loop(0, 3, lambda k, s: s * np + range, special) + slice

    text = cr.source(f, 1.0, 2.0, 3.0, 4.0)
    assert "def f(np_, range_, special_, slice_):" in text
    assert run(text, 1.0, 2.0, 3.0, 4.0) == f(1.0, 2.0, 3.0, 4.0)


def test_arguments_called_as_functions_that_the_text_brings_along():
    def f(windows, drawn):
        return np.sum(np.lib.stride_tricks.sliding_window_view(windows, 2) * drawn)

    x = np.arange(4.0)
    assert run(cr.source(f, x, 2.0), x, 2.0) == f(x, 2.0)


@given(st.text())
def test_identifiers(text):
    name = identifier(text)
    if name is not None:
        assert name.isidentifier()
        assert not keyword.iskeyword(name)
        ast.parse(f"{name} = 1")


def test_names_are_given_once():
    names = Names()
    found = [names.new(wish) for wish in ("x", "x", "ﬁ", "fi", None, None, Gradient("dx"))]
    assert found == ["x", "x_2", "fi", "fi_2", "a", "b", "dx"]
    assert names.gradients == {"dx"}
    assert [names.counter() for _ in range(4)] == ["k", "i", "j", "k_2"]
    many = {names.letter() for _ in range(80)}
    assert len(many) == 80
    assert not many & {"l", "O", "I"}


@given(st.floats() | st.integers() | st.booleans() | st.complex_numbers())
def test_numbers_are_read_back_to_the_bit(value):
    text = literal(value).text
    back = eval(text, {"np": np, "__builtins__": {"complex": complex}})
    assert type(back) is type(value)
    if isinstance(value, (bool, int)):
        assert back == value
    elif isinstance(value, complex):
        for one, other in ((back.real, value.real), (back.imag, value.imag)):
            np.testing.assert_array_equal(one, other)
            assert np.isnan(other) or np.signbit(one) == np.signbit(other)
    else:
        np.testing.assert_array_equal(back, value)
        assert np.isnan(value) or np.signbit(back) == np.signbit(value)


@pytest.mark.parametrize(
    "value",
    [
        np.arange(5), np.eye(3), np.zeros((2, 0)), np.full((3, 2), 7, "i4"), np.float32([0.1, 0.2]),
        np.array([[True, False]]), np.array([-0.0, -0.0]), np.array([1j, np.nan]),
        np.zeros(9, bool),
        np.ones((2, 2), "c16"), np.uint64([2**64 - 1, 3]), np.full((4,), np.inf), np.array([[[5]]]),
    ],
)  # fmt: skip
def test_arrays_are_read_back_to_the_bit(value):
    back = eval(literal(value).text, {"np": np})
    assert (back.dtype, back.shape) == (value.dtype, value.shape)
    assert back.tobytes() == value.tobytes()


def test_long_lines_break_after_commas():
    line = f"    x = f({', '.join(f'argument_{k}' for k in range(30))})"
    rows = wrapped(line, 88)
    assert all(len(row) <= 88 for row in rows)
    assert "".join(rows).replace(" ", "") == line.replace(" ", "")
    ast.parse("if True:\n" + "\n".join(rows))
    assert wrapped("short", 88) == ["short"]
