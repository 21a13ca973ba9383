"""The user's line: theirs, not ours and not NumPy's, with columns where Python knows them."""

import sys

import numpy as np
import pytest

import chainrule as cr
from chainrule.base.place import INTERNAL


def test_the_place_of_an_equation_is_the_users_line():
    def f(x):
        y = np.sin(x * 2.0)
        return y + 1.0

    places = [e.place for e in cr.trace(f, 1.0).equations]
    first = f.__code__.co_firstlineno
    assert [place.line - first for place in places] == [1, 1, 2]
    assert str(places[0]) == f"test_place.py:{first + 1} in f"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 keeps no columns")
def test_the_text_of_a_place_is_the_expression():
    def f(x):
        return np.sin(x * 2.0) + np.cos(x)

    texts = [e.place.text for e in cr.trace(f, 1.0).equations]
    assert texts == ["x * 2.0", "np.sin(x * 2.0)", "np.cos(x)", "np.sin(x * 2.0) + np.cos(x)"]


def test_notebook_cells_and_stdin_are_the_users_code():
    for filename in ("<stdin>", "<ipython-input-3-abc>", "/tmp/ipykernel_12/345.py", "<string>"):
        assert not INTERNAL[filename]


def test_numpy_and_this_package_are_not_the_users_code():
    assert INTERNAL[np.linalg.__file__]
    assert INTERNAL[cr.grad.__code__.co_filename]
    assert INTERNAL["<frozen importlib._bootstrap>"]


def test_an_operation_inside_numpys_python_code_points_to_the_user():
    def f(x):
        return np.trapezoid(x * x)

    program = cr.trace(f, np.ones(3))
    assert {e.place.code.co_name for e in program.equations} == {"f"}
