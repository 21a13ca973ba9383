"""Updates of large arrays, moved from the end of a loop's turn to the beginning of the next."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.ir.program import Program
from chainrule.optimise.pipeline import optimise
from chainrule.optimise.rotate import rotate
from chainrule.tracing.stage import evaluate, trace_program

RNG = np.random.default_rng(5)
W, B = RNG.normal(size=(150, 64)) / 10, RNG.normal(size=64)
XS, YS = RNG.normal(size=(7, 150)), RNG.normal(size=(7, 64))


def train(w: Any, b: Any, xs: Any, ys: Any) -> Any:
    """Least squares, one example at a time."""

    def step(carry: Any, pair: Any) -> Any:
        (w, b), (x, y) = carry, pair
        e = np.tanh(x @ w + b) - y
        return (w - 0.05 * (x[:, None] * e), b - 0.05 * e), np.sum(e * e)

    return cr.scan(step, (w, b), (xs, ys))


def loop(program: Program) -> Any:
    (found,) = [e for e in program.equations if e.primitive.name == "scan"]
    return found


def is_moved(f: Any, *args: Any) -> bool:
    program = trace_program(f, *args, values=False)
    return loop(rotate(program)).params["carry"] > loop(program).params["carry"]


@pytest.mark.parametrize("length", [2, 3, 7])
def test_the_same_numbers_bit_for_bit(length: int) -> None:
    args = W, B, XS[:length], YS[:length]
    program = trace_program(train, *args, values=False)
    moved = rotate(program)
    # The vector on either side, and whether a turn has been done.
    assert loop(moved).params["carry"] == 2 + 2 + 1
    for one, other in zip(evaluate(moved, *args), evaluate(program, *args), strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_moved_once_stays() -> None:
    moved = rotate(trace_program(train, W, B, XS, YS, values=False))
    assert rotate(moved) is moved


def test_where_it_would_not_pay() -> None:
    assert is_moved(train, W, B, XS, YS)
    assert not is_moved(train, W[:20, :8], B[:8], XS[:, :20], YS[:, :8])  # near anyway
    assert not is_moved(train, W, B, XS[:1], YS[:1])

    def decayed(w: Any, noise: Any) -> Any:  # takes much besides the array itself
        return cr.scan(lambda w, n: (w - n, np.sum(np.ones(150) @ w)), w, noise)

    assert not is_moved(decayed, W, RNG.normal(size=(3, *W.shape)))

    def shown(w: Any, xs: Any) -> Any:  # each turn's array is wanted
        def step(w: Any, x: Any) -> Any:
            new = w - 0.1 * x[:, None] * (x @ w)
            return new, new

        return cr.scan(step, w, xs)

    assert not is_moved(shown, W, XS)


def test_compiled_with_and_without() -> None:
    pytest.importorskip("llvmlite")
    args = W, B, XS, YS
    wanted = evaluate(trace_program(train, *args, values=False), *args)
    compiled = cr.jit(train)
    runs = []
    for threads in (1, 2, 4):
        with cr.settings(threads=threads):
            (w, b), errors = compiled(*args)
        runs.append((w.tobytes(), b.tobytes()))
        for one, other in zip((w, b, errors), wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)
    assert len(set(runs)) == 1


def test_the_array_is_changed_where_it_lies() -> None:
    compile_module = pytest.importorskip("chainrule.run.compile")
    engine = pytest.importorskip("chainrule.run.engine")
    if not engine.available():
        pytest.skip("needs llvmlite")
    program = optimise(trace_program(train, W, B, XS, YS, values=False))
    assert loop(program).params["carry"] == 5
    text = compile_module.NativeExecutable(program).llvm
    copies = [line for line in text.splitlines() if f"i64 {W.nbytes}, i1 false" in line]
    assert not copies  # the first turn reads it where it's given, and writes the loop's own memory


@pytest.mark.parametrize("shape", [(150, 64), (131, 77), (64, 200), (5, 2000)], ids=str)
@pytest.mark.parametrize("side", ["rows", "columns"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_products_from_either_side(shape: tuple[int, int], side: str, dtype: str) -> None:
    pytest.importorskip("llvmlite")
    m, n = shape
    w = (RNG.normal(size=shape) / 10).astype(dtype)
    length, width = (m, n) if side == "rows" else (n, m)
    xs, ys = (RNG.normal(size=(4, k)).astype(dtype) for k in (length, width))

    def f(w: Any, xs: Any, ys: Any) -> Any:
        def step(w: Any, pair: Any) -> Any:
            x, y = pair
            e = (x @ w if side == "rows" else w @ x) - y
            change = x[:, None] * e if side == "rows" else e[:, None] * x
            return w - np.asarray(0.01, dtype) * change, None

        return cr.scan(step, w, (xs, ys), reverse=side == "columns")[0]

    wanted = evaluate(trace_program(f, w, xs, ys, values=False), w, xs, ys)[0]
    rtol = 1e-3 if dtype == "f4" else 1e-11
    np.testing.assert_allclose(cr.jit(f)(w, xs, ys), wanted, rtol=rtol, atol=rtol)


def test_of_a_gradient_through_all_turns() -> None:
    pytest.importorskip("llvmlite")

    def total(w: Any, b: Any) -> Any:
        return np.sum(train(w, b, XS, YS)[1])

    found, wanted = cr.jit(cr.grad(total))(W, B), cr.grad(total)(W, B)
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
