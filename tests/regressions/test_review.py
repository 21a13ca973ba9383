"""What outside review found: everyday code whose result or message was wrong."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest

import chainrule as cr

W = np.array([0.5, -1.2, 2.0, 0.3])
M = np.array([[0.3, 1.2, -0.4], [0.8, -0.5, 1.1], [1.5, 0.2, 0.9], [-0.7, 0.6, 0.1]])
LABELS = np.array([0, 2, 1, 2])
MASKED = np.ma.array(np.ones(4), mask=[0, 1, 0, 0])


def filled_masked_array(x):
    held = np.ma.zeros(4)
    held[:] = x
    return held.sum()


def written_masked_list(x):
    held = np.ma.array([0.0, 0.0, 0.0, 0.0], mask=[0, 1, 0, 0])
    held[:] = x
    return held.sum()


def masked_view_of_zeros(x):
    held = np.zeros(4).view(np.ma.MaskedArray)
    held[:] = x
    return held.sum()


REFUSED = {
    "a masked array times a traced one": lambda x: (MASKED * x).sum(),
    "a traced array times a masked one": lambda x: (x * MASKED).sum(),
    "choosing by a masked array": lambda x: np.where(MASKED, x, 0).sum(),
    "masking a traced array": lambda x: np.ma.masked_array(x, mask=[0, 1, 0, 0]).sum(),
    "np.ma.mean": lambda x: np.ma.mean(x),
    "writing into a masked array": filled_masked_array,
    "writing into a masked list": written_masked_list,
    "writing into a masked view": masked_view_of_zeros,
    "np.matrix times a traced array": lambda x: (np.eye(4).view(np.matrix) * x).sum(),
    "a traced array times np.matrix": lambda x: (x * np.eye(4).view(np.matrix)).sum(),
    "text added": lambda x: x + "a",
    "added to text": lambda x: "a" + x,
    "None added": lambda x: x + None,
    "a dictionary added": lambda x: x + {"a": 1},
    "None in a list": lambda x: np.array([x[0], None]).sum(),
    "text in a list": lambda x: np.array([x[0], "a"]).sum(),
    "an object array with None": lambda x: (np.array([1, 2, 3, None], dtype=object) * x).sum(),
    "text as axis": lambda x: x.sum(axis="rows"),
    "a float as axis": lambda x: x.mean(axis=0.0),
    "an axis named twice": lambda x: np.sum(np.outer(x, x), axis=(0, 0)),
    "the truth of an array": lambda x: x.sum() if x else 0.0,
    "the length of a number": lambda x: len(x[0]) * x.sum(),
    "iterating over a number": lambda x: sum(x[0]),
    "a traced float as a size": lambda x: np.zeros(x[0]).sum() + x[0],
    "rows of different lengths": lambda x: np.array([x, x[:2]]).sum(),
    "a text index": lambda x: x["a"],
    "reshaping to another size": lambda x: x.reshape(3, 2).sum(),
    "unequal parts joined": lambda x: np.concatenate([x, np.ones((2, 2))]).sum(),
    "einsum with a letter too many": lambda x: np.einsum("ij->", x),
    "np.vectorize": lambda x: np.vectorize(lambda v: v**2)(x).sum(),
    "windows longer than the array": lambda x: windows(x, 9).sum(),
    "np.cov of three axes": lambda x: np.cov(x.reshape(1, 2, 2))[0],
    "a weight too few": lambda x: np.bincount(LABELS, x[:2]).sum(),
    "text returned": lambda x: "a",
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_users_line_and_a_remedy(name):
    with pytest.raises(cr.ChainruleError) as caught:
        cr.grad(REFUSED[name])(W)
    assert caught.value.fix
    assert "test_review.py" in str(caught.value.where)


def test_a_matrix_is_not_differentiated():
    with pytest.raises(cr.DtypeError, match="matrix"):
        cr.grad(lambda m: (m * m).sum())(np.eye(2).view(np.matrix))


def test_the_fix_names_the_library_that_wanted_plain_values():
    stats = pytest.importorskip("scipy.stats")
    with pytest.raises(cr.TraceError) as caught:
        cr.grad(lambda x: stats.norm.cdf(x).sum())(W)
    assert "scipy.stats" in caught.value.fix


def test_comparing_with_none_is_still_an_answer():
    assert cr.grad(lambda x: x if x is not None and x != None else 0.0)(3.0) == 1.0  # noqa: E711


def test_an_object_array_of_numbers_counts_as_numbers():
    found = cr.grad(lambda x: (np.array([1, 2.5, 3, 4], dtype=object) * x).sum())(W)
    assert np.array_equal(found, [1, 2.5, 3, 4])


def test_a_single_number_still_refuses_length_with_a_type_error():
    def f(x):
        try:
            return sum(v for v in x)
        except TypeError:
            return x**2

    assert cr.grad(f)(3.0) == 6.0


def windows(x, shape, axis=None):
    return np.lib.stride_tricks.sliding_window_view(x, shape, axis)


EVERYDAY = {
    "cov": (lambda a: np.cov(a), M),
    "cov by columns, biased": (lambda a: np.cov(a, rowvar=False, bias=True), M),
    "cov of two": (lambda a: np.cov(a, a**2), W),
    "cov of a list": (lambda a: np.cov([a, np.sin(a)]), W),
    "cov of one": (lambda a: np.cov(a), W),
    "cov weighted": (
        lambda a: np.cov(a, fweights=np.array([1, 2, 1]), aweights=np.array([1.0, 0.5, 2.0])),
        M,
    ),
    "corrcoef": (lambda a: np.corrcoef(a), M),
    "bincount": (lambda a: np.bincount(LABELS, weights=a, minlength=5), W),
    "rows": (lambda a: np.apply_along_axis(lambda r: r**2 / np.sum(r**2), 1, a), M),
    "columns to matrices": (lambda a: np.apply_along_axis(lambda r: np.outer(r, r), 0, a), M),
    "rows with arguments": (
        lambda a: np.apply_along_axis(lambda r, k, m=1: r.sum() * k * m, -1, a, 2.0, m=3),
        M,
    ),
    "windows": (lambda a: windows(a, (2, 2)), M),
    "windows along one axis": (lambda a: windows(a, 3, 0), M),
    "windows along one axis twice": (lambda a: windows(a, (2, 2), (0, 0)), M),
    "polyval": (lambda a: np.polyval(a, np.array([0.5, 2.0])), W),
    "polyval of a list": (lambda a: np.polyval([a[0], 2.0, a[1]], a), W),
    "polyder": (lambda a: np.polyder(a, 2), W),
    "polymul": (lambda a: np.polymul(a, [1.0, 2.0]), W),
    "polyadd": (lambda a: np.polyadd(a, [1.0, 2.0]), W),
    "polysub": (lambda a: np.polysub([1.0, 2.0], a), W),
    "polyfit": (lambda a: np.polyfit(np.arange(4.0), a, 2), W),
    "logaddexp.reduce": (lambda a: np.logaddexp.reduce(a, axis=1), M),
    "hypot of many": (lambda a: math.hypot(*a), W),
}


@pytest.mark.parametrize("name", EVERYDAY)
def test_everyday_numpy(name):
    f, x = EVERYDAY[name]
    value, _ = cr.jvp(f, (x,), (np.ones_like(x),))
    plain = f(x)
    assert np.shape(value) == np.shape(plain)
    assert np.result_type(value) == np.result_type(plain)
    assert np.allclose(value, plain, rtol=1e-12)
    cr.check_grads(f, (x,), order=2)
    stack = np.stack([x, x + 0.1])
    both = cr.vmap(f)(stack)
    assert np.allclose(both, np.stack([f(stack[0]), f(stack[1])]), rtol=1e-12)


def test_scipys_functions_are_named_without_their_files():
    special = pytest.importorskip("scipy.special")
    assert special is sys.modules["scipy.special"]
    with pytest.raises(cr.UnsupportedError) as caught:
        cr.grad(lambda x: np.poly(x)[0])(W)
    assert "._" not in caught.value.fix
