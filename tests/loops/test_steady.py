"""What a loop's body would compute alike at every turn runs once, before the loop."""

import numpy as np
import pytest

import chainrule as cr

RNG = np.random.default_rng(0)
W, H = RNG.normal(size=(64, 256)) / 8, RNG.normal(size=(32, 64))
XS = RNG.normal(size=(5, 32, 256)) / 4


def recurrent(w, h, xs):
    def step(h, x):
        z = np.tanh(h @ w + x)
        return z[:, :64] * z[:, 64:128] + z[:, 128:192], None

    return cr.scan(step, h, xs)[0]


def test_matrices_are_laid_out_once():
    text = cr.jit(recurrent).llvm(W, H, XS)
    calls = [line for line in text.split("\n") if ".before(" in line and "call i32" in line]
    assert len(calls) == 1
    before = text[text.index("define internal i32 @body") :]
    assert before.index(".before(") < before.index("{")  # it is printed first
    assert before[: before.index("\n}")].count("call void @kernel") == 1


@pytest.mark.parametrize("length", [0, 1, 5])
def test_the_same_numbers(length):
    xs = XS[:length]
    np.testing.assert_allclose(cr.jit(recurrent)(W, H, xs), recurrent(W, H, xs), rtol=1e-12)


def test_gradients():
    def loss(w, h):
        return np.sum(recurrent(w, h, XS) ** 2)

    slopes = cr.grad(loss, (0, 1))
    for left, right in zip(cr.jit(slopes)(W, H), slopes(W, H), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-11)


def test_a_loop_whose_matrix_differs_from_turn_to_turn_of_another():
    def f(ws, h):
        def outer(h, w):
            return cr.fori_loop(0, 3, lambda i, h: np.sin(h @ w)[:, :64] + i, h), None

        return cr.scan(outer, h, ws)[0]

    ws = np.stack([W, 2 * W, -W])
    np.testing.assert_allclose(cr.jit(f)(ws, H), f(ws, H), rtol=1e-9)


def test_what_lasts_is_not_written_over():
    """Several large values live one after the other beside the matrix that is kept."""

    def step(h, x):
        a = np.exp(-((h @ W + x) ** 2))
        b = np.cumsum(a, axis=1)
        c = np.sort(b[:, ::-1], axis=1)
        return np.tanh(c[:, :64] - b[:, 64:128]) * a[:, 128:192], np.sum(c)

    def f(h):
        return cr.scan(step, h, XS)

    for left, right in zip(cr.jit(f)(H), f(H), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("size", [96, 100, 130, 260])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_matrices_that_fill_no_panel(size, dtype):
    w = (RNG.normal(size=(size, size)) / size**0.5).astype(dtype)
    h = RNG.normal(size=(20, size)).astype(dtype)

    def f(w, h):
        return cr.fori_loop(0, 4, lambda i, h: np.tanh(h @ w) + h @ w.T, h)

    near = {"rtol": 1e-3, "atol": 1e-3} if dtype == "f4" else {"rtol": 1e-10, "atol": 1e-11}
    np.testing.assert_allclose(cr.jit(f)(w, h), f(w, h), **near)
    slopes = cr.grad(lambda w, h: np.mean(f(w, h)), (0, 1))
    for left, right in zip(cr.jit(slopes)(w, h), slopes(w, h), strict=True):
        np.testing.assert_allclose(left, right, **near)
