"""Slopes that are infinite behind what np.where or an index leaves out: the text is right there."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.tracing.stage import evaluate, trace_program

NOTE = "isn't followed through products"


def run(text: Any, *args: Any) -> Any:
    namespace: dict[str, Any] = {}
    exec(str(text), namespace)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return namespace[text.name](*args, **text.arrays)


def gradients(f: Any, *args: Any) -> Any:
    with np.errstate(all="ignore"):
        return cr.grad(f, argnums=tuple(range(len(args))))(*args)


def written(f: Any, *args: Any) -> Any:
    with np.errstate(all="ignore"):
        return cr.source(cr.grad(f, argnums=tuple(range(len(args)))), *args)


def same(found: Any, wanted: Any) -> None:
    for f, w in zip(found, wanted, strict=True):
        np.testing.assert_allclose(f, w, rtol=1e-12, atol=1e-12)


def test_right_behind_a_choice_they_are_blanked_and_it_reads_well():
    def f(W, x):
        z = W @ x
        return np.sum(np.where(z > 0, np.log(z), 0.0))

    W, x = np.array([[1.0, 2.0], [1.0, -1.0]]), np.array([1.0, 0.5])
    text = written(f, W, x)
    body = text.partition('0."""')[2] or text.rpartition('"""')[2]
    assert body == (
        "\n    z = W @ x\n    dz = np.where(z > 0, 1.0 / z, 0.0)\n    dW = dz[:, None] * x\n"
        "    dx = W.T @ dz\n    return (dW, dx)\n"
    )
    assert NOTE in " ".join(text.split())
    zero = np.array([[1.0, 2.0], [1.0, -2.0]])  # z = 0, where the slope of log is infinite
    same(run(text, zero, x), gradients(f, zero, x))


def test_factors_of_one_choice_are_one_choice():
    def f(x):
        n = np.sqrt(np.sum(x * x))
        return np.where(n > 0, n, 0.0) * 2

    text = cr.source(cr.grad(f), np.ones(3))
    assert "a = np.where(n > 0, 2.0 * (0.5 / n) * x, 0.0)\n    return a + a\n" in text
    np.testing.assert_array_equal(run(text, np.zeros(3)), np.zeros(3))


def test_where_it_matters_for_the_example_it_is_followed_all_the_way():
    def f(W, x):
        z = W @ x
        return np.sum(np.where(z > 0, np.log(z), 0.0))

    W, x = np.array([[1.0, 2.0], [-np.inf, 1.0]]), np.array([1.0, 2.0])
    text = written(f, W, x)
    assert NOTE not in text
    assert "dW = dz[:, None] * np.where(uneven(2, 2).T @ b != 0, x, 0.0)" in text
    same(run(text, W, x), gradients(f, W, x))


def test_an_index_too():
    def f(W, x, y):
        return np.sum(np.sqrt(x @ W)[np.arange(len(y)), y])

    x, W, y = np.eye(3), np.eye(3), np.array([0, 1, 2])
    with np.errstate(all="ignore"):
        text = cr.source(cr.grad(f, argnums=(0, 1)), W, x, y)
        wanted = cr.grad(f, argnums=(0, 1))(W, x, y)
    assert NOTE not in text
    same(run(text, W, x, y), wanted)
    # With an example without zeros the text is short, and says what it leaves out.
    short = cr.source(cr.grad(f, argnums=(0, 1)), W + 1, x, y)
    assert NOTE in " ".join(short.split())
    assert "uneven" not in short
    with np.errstate(all="ignore"):
        same(run(short, W + 1, x, y), cr.grad(f, argnums=(0, 1))(W + 1, x, y))
    assert np.isnan(run(short, W, x, y)[0]).any()


# ---- random ones ---------------------------------------------------------------------------------

_STEPS: dict[str, Any] = {
    "log": lambda a, b: np.log(a),
    "root": lambda a, b: np.sqrt(a),
    "power": lambda a, b: np.abs(a) ** 0.5,
    "divide": lambda a, b: a / b,
    "product": lambda a, b: a @ b,
    "tanh": lambda a, b: np.tanh(a),
    "times": lambda a, b: a * b,
    "choose": lambda a, b: np.where(a > 0, a, 0.0),
    "choose behind": lambda a, b: np.where(b > 0, a, b),
    "mixed": lambda a, b: np.where(a > b, np.log(a), np.sqrt(b)),
    "rows": lambda a, b: np.concatenate([a[1:], b[:1]]),
    "picked": lambda a, b: a[[0, 2, 0]],
    "turned": lambda a, b: a.T,
    "share": lambda a, b: a / np.sum(np.where(b > 0, b, 0.0), axis=1, keepdims=True),
}
_ENTRIES = st.sampled_from([0.0, 0.0, -1.0, 1.0, 2.0, 0.25])
_MATRIX = st.lists(_ENTRIES, min_size=9, max_size=9).map(lambda v: np.reshape(v, (3, 3)))


def _gradient(steps: list[str]) -> Any:
    """By cr.vjp, which gives NaN where the value is NaN, and cr.grad an error."""

    def f(x: Any, y: Any) -> Any:
        a, b = x, y
        for name in steps:
            a, b = _STEPS[name](a, b), a
        return np.sum(np.where(a > 0, a, 0.0)[:2]) + np.sum(b[0])

    return lambda x, y: cr.vjp(f, x, y)[1](np.ones(()))


@pytest.mark.parametrize("last", ["choose", "picked", "choose behind"])
def test_random_programs_full_of_zeros(last):
    @given(
        st.lists(st.sampled_from(sorted(_STEPS)), min_size=1, max_size=4),
        st.tuples(_MATRIX, _MATRIX),
        st.tuples(_MATRIX, _MATRIX),
    )
    def test(steps, example, others):
        f = _gradient([*steps, last])
        with np.errstate(all="ignore"):
            text = cr.source(f, *example)
            # As compiled: a factor that is known to be 0 leaves out more than one that may be.
            program = trace_program(f, *example, values=False)
            wanted, others_wanted = evaluate(program, *example), evaluate(program, *others)
        # At the example's values the text gives what the program gives, NaN only where that does.
        for g, w in zip(run(text, *example), wanted, strict=True):
            assert not np.any(np.isnan(g) & ~np.isnan(w)), text
            _agree(g, w, text)
        # Elsewhere it may give NaN in place of a number if it says so, never another number.
        for g, w in zip(run(text, *others), others_wanted, strict=True):
            strange = np.isnan(g) & ~np.isnan(w)
            assert not strange.any() or NOTE in " ".join(text.split()), text
            _agree(g, w, text)

    test()


def _agree(found: Any, wanted: Any, text: Any) -> None:
    fine = ~np.isnan(found) & ~np.isnan(wanted)
    np.testing.assert_allclose(found[fine], wanted[fine], rtol=1e-9, atol=1e-9, err_msg=text)
