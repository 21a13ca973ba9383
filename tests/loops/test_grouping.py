"""How programs become loops: what is computed together, laid out anew, and kept in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import chainrule as cr
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
        return sum(value.stored for value in packed(builder, target))

    small, large = np.ones((4, 4)), np.ones((256, 256))
    assert copies(np.matmul, small, small) == 0
    assert copies(lambda a, b: a @ b.T, large, large) >= 1


def test_a_large_copy_is_turned_in_registers() -> None:
    lanes = compile_module.host_target().vector_bytes // 8
    text = text_of(lambda x: np.ascontiguousarray(x.T), np.ones((128, 128)))
    # Each of log₂(lanes) rounds exchanges halves between all rows of a square.
    assert text.count("shufflevector") == lanes * (lanes.bit_length() - 1)
