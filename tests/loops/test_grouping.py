"""How programs become loops: what is computed together, laid out anew, and kept in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
from chainrule.loops.layout import laid_out
from chainrule.loops.lower import lower
from chainrule.loops.pack import packed
from chainrule.tracing.stage import trace_program

engine = pytest.importorskip("chainrule.run.engine")
if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

compile_module = pytest.importorskip("chainrule.run.compile")


def text_of(f: Callable[..., Any], *args: Any) -> str:
    traced = trace_program(f, *args, values=False)
    text: str = compile_module.NativeExecutable(traced).llvm
    return text


def kernels(text: str) -> int:
    return text.count("define internal void @kernel") - text.count(".part0(")


def test_entries_and_sums_of_them_are_one_pass() -> None:
    x = np.ones(1000)
    assert kernels(text_of(lambda x: (np.tanh(x) + 1, np.sum(x * x), np.max(x)), x)) == 1
    assert kernels(text_of(cr.value_and_grad(lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2)), x)) <= 2


def test_a_long_chain_is_cut() -> None:
    def chain(x: Any) -> Any:
        for k in range(100):
            x = np.sin(x) + k
        return x

    assert 1 <= kernels(text_of(chain, np.ones(100))) <= 8


def test_what_is_in_between_shares_memory() -> None:
    def chain(x: Any) -> Any:
        for _ in range(20):
            x = np.cumsum(x, axis=0)
        return x

    x = np.ones((100, 100))
    traced = trace_program(chain, x, values=False)
    assert compile_module.NativeExecutable(traced).scratch < 4 * x.nbytes


def test_operands_are_laid_out_anew_where_it_pays() -> None:
    target = compile_module.host_target()

    def copies(f: Callable[..., Any], *args: Any) -> int:
        builder = lower(trace_program(f, *args, values=False)).builder
        return sum(value.stored for value in packed(builder, builder.values, target))

    small, large = np.ones((4, 4)), np.ones((256, 256))
    assert copies(np.matmul, small, small) == 0
    assert copies(lambda a, b: a @ b.T, large, large) >= 1


def test_columns_that_fill_no_panel_lie_in_one_of_their_own() -> None:
    target = compile_module.host_target()
    a, b = np.ones((64, 500)), np.ones((500, 8 * 3 * target.vector_bytes // 8 + 3))
    builder = lower(trace_program(np.matmul, a, b, values=False)).builder
    (whole,) = [v for v in packed(builder, builder.values, target) if v.how == "assemble"]
    (full, _, _), (last, start, _) = whole.parts
    width = whole.shape[-1]
    assert full.shape == (b.shape[1] // width, 500, width)
    assert (last.shape, start) == ((500, b.shape[1] % width), full.size)
    assert engine.available()
    np.testing.assert_allclose(cr.jit(np.matmul)(a, b), a @ b)


def test_an_operand_is_made_in_the_order_of_what_it_is_made_from() -> None:
    def product(x: Any, s: Any) -> Any:
        return (s * np.exp(x.T)) @ x

    x, s = np.ones((300, 40)), np.ones(300)
    traced = trace_program(product, x, s, values=False)
    lowered = lower(traced)
    before = len(lowered.builder.values)
    values = laid_out(lowered.builder, lowered.outputs)
    (made,) = [value for value in values if value.number >= before]
    assert made.shape == (300, 40)
    assert made.stored

    def sums(x: Any) -> Any:
        return np.sum(np.exp(x.T), axis=1)

    lowered = lower(trace_program(sums, x, values=False))
    assert laid_out(lowered.builder, lowered.outputs) == lowered.builder.values


def test_a_sum_beside_a_turned_copy_has_its_own_loop() -> None:
    x = np.ones((128, 256))
    assert (
        kernels(text_of(lambda x: (np.sum(x, axis=0), x.T + 0, np.ascontiguousarray(x.T)), x)) > 1
    )
    text = text_of(lambda x: (np.sum(x, axis=0), np.ascontiguousarray(x.T)), x)
    assert "llvm.masked.scatter" not in text


def test_a_large_copy_is_turned_in_registers() -> None:
    lanes = compile_module.host_target().vector_bytes // 8
    text = text_of(lambda x: np.ascontiguousarray(x.T), np.ones((128, 128)))
    # Each of log₂(lanes) rounds exchanges halves between all rows of a square.
    assert text.count("shufflevector") == lanes * (lanes.bit_length() - 1)


def test_a_large_result_is_used_where_it_is_made() -> None:
    rng = np.random.default_rng(0)
    x, g, w = rng.normal(size=(8, 1200)), rng.normal(size=(8, 1024)), rng.normal(size=(1200, 1024))

    def step(x: Any, g: Any, w: Any) -> Any:
        gradient = x.T @ g
        others = []
        for _ in range(30):  # sums far apart, so that much lies between
            g = np.cumsum(g, axis=0)
            others.append(np.sum(g))
        return w - 0.1 * gradient, np.stack(others)

    traced = trace_program(step, x, g, w, values=False)
    assert compile_module.NativeExecutable(traced).scratch < w.nbytes
    np.testing.assert_allclose(cr.jit(step)(x, g, w)[0], w - 0.1 * (x.T @ g), rtol=1e-10)


def test_few_rows_times_a_large_matrix_turned_over_copy_nothing() -> None:
    rng = np.random.default_rng(0)
    for rows in (1, 3, 8, 13):
        x, w = rng.normal(size=(rows, 700)), rng.normal(size=(1030, 700))
        traced = trace_program(lambda x, w: x @ w.T, x, w, values=False)
        assert compile_module.NativeExecutable(traced).scratch < w.nbytes // 8
        np.testing.assert_allclose(cr.jit(lambda x, w: x @ w.T)(x, w), x @ w.T, rtol=1e-10)


def test_what_a_loop_by_itself_reads_is_not_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel waits for a sum of its entries, but not past a scatter that has them written out."""

    def f(a: Any, b: Any, c: Any) -> Any:
        x = c + b * np.cos(a) * 0.7
        spread = np.zeros(4)
        np.add.at(spread, np.array([[1], [3]]), x[:, :-1] * 0.5)
        kept = x.copy()
        kept[:, :-1] = 0.0
        return np.sum(kept + spread.reshape(2, 2), axis=1)

    make = compile_module._memory

    def full_of_nan(*args: Any) -> np.ndarray:
        memory: np.ndarray = make(*args)
        memory.fill(255 if memory.dtype == np.uint8 else np.nan)
        return memory

    monkeypatch.setattr(compile_module, "_memory", full_of_nan)
    arrays = [np.arange(4.0).reshape(2, 2) + k for k in range(3)]
    np.testing.assert_allclose(cr.jit(f)(*arrays), f(*arrays), rtol=1e-14)


def test_a_sum_is_taken_where_its_terms_are_made_however_long_ago() -> None:
    def f(x: Any) -> Any:
        y = terms = np.sin(x)
        for _ in range(15):
            y = np.cumsum(y, axis=1) / 1200
        return y, np.all(np.isfinite(terms))

    x = np.cos(np.arange(4.0 * 1200)).reshape(4, 1200)
    parts = text_of(f, x).split("define internal void @kernel")
    (making,) = [part for part in parts[1:] if "@cr.sin" in part]
    assert "@llvm.fabs" in making
    compiled = cr.jit(f)
    np.testing.assert_allclose(compiled(x)[0], f(x)[0], rtol=1e-12, atol=1e-12)
    assert compiled(x)[1]
    for bad in (np.nan, np.inf):
        x[2, 700] = bad
        with np.errstate(invalid="ignore"):
            assert not compiled(x)[1]


def test_what_becomes_of_a_sum_does_not_make_its_vectors_narrower() -> None:
    x = np.ones(1000, np.float32)
    whole = text_of(lambda x, s: s + 2.0 * np.sum(np.abs(x)), x, np.float64(1.0))
    lanes = compile_module.host_target().vector_bytes // 4
    assert f"call <{lanes} x float> @llvm.fabs" in whole
