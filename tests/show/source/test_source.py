"""`cr.source` itself: what it takes, what it gives, what it refuses."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import chainrule as cr


def f(x):
    return np.sin(x) * x


def test_it_is_a_string_with_more():
    text = cr.source(f, 1.0)
    assert isinstance(text, str)
    assert (text.language, text.name, text.arrays) == ("python", "f", {})
    assert text._repr_markdown_() == f"```python\n{text}```"


def test_c_is_a_later_step():
    with pytest.raises(cr.UnsupportedError, match="C is a later step"):
        cr.source(f, 1.0, language="c")


def test_languages_that_there_are():
    with pytest.raises(cr.ArgumentError, match="no such language") as caught:
        cr.source(f, 1.0, language="cobol")
    assert "python, latex" in str(caught.value)


def test_not_a_function():
    with pytest.raises(cr.ArgumentError, match="must be a function"):
        cr.source(f(1.0), 1.0)


def test_what_cannot_be_traced_says_where():
    with pytest.raises(cr.DtypeError, match="isn't a number"):
        cr.source(lambda x, name: x, 1.0, "name")
    with pytest.raises(cr.ShapeError) as caught:
        cr.source(lambda a, b: a @ b, np.ones(2), np.ones(3))
    assert "test_source.py" in str(caught.value)


def test_keys_that_are_no_text():
    with pytest.raises(cr.UnsupportedError, match="key of a tree"):
        cr.source(lambda t: t[(1, 2)], {(1, 2): 1.0})


def test_the_text_needs_nothing_but_numpy(tmp_path):
    path = tmp_path / "text.py"
    text = cr.source(cr.grad(lambda w, x: np.sum(np.tanh(w @ x) ** 2)), np.eye(2), np.ones(2))
    path.write_text(
        f"{text}\n\nimport sys\nprint(df(np.eye(2), np.ones(2)).tolist())\n"
        "assert not any(name.startswith('chainrule') for name in sys.modules)\n"
    )
    out = subprocess.run(
        [sys.executable, "-I", str(path)], capture_output=True, text=True, check=True
    )
    wanted = cr.grad(lambda w, x: np.sum(np.tanh(w @ x) ** 2))(np.eye(2), np.ones(2))
    assert out.stdout.strip() == str(wanted.tolist())


def test_the_arguments_stay_as_they_are():
    x = np.ones(3)

    def writes(x):
        x[0] = 2.0
        return x

    cr.source(writes, x)
    np.testing.assert_array_equal(x, 1.0)


def test_shared_and_repeated_results():
    text = cr.source(lambda x: (x, x, np.sin(x), np.sin(x)), 1.0)
    namespace: dict = {}
    exec(str(text), namespace)
    assert namespace["f"](1.0) == (1.0, 1.0, np.sin(1.0), np.sin(1.0))
    assert text.count("np.sin") == 1
