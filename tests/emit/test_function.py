"""Functions printed for any number of lanes: calls, rare calls, tables."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chainrule.emit.function import Library
from chainrule.loops.scalar import Graph, cast, floor, fma, rare, table

_spec = importlib.util.spec_from_file_location(
    "vector_loop", Path(__file__).parents[2] / "benchmarks" / "vector_loop.py"
)
_vector_loop: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_vector_loop)

X = np.array([0.0, 3.0, 1.0, 2.0, -1.0, 0.5, 1.5, 2.5, 3.5, -8.0, 3.9, 0.1, 7.0])


def half(x):
    return x * 0.5


def negative(x, y):
    return fma(x, y, -1.0)


def with_rare(x):
    return rare(x < 0.0, "negative", x.graph.call("half", x), x, x + 1)


def looked_up(x):
    return table((1.5, -2.0, 1e300, 4.0), cast(floor(x), "i64") & 3, "f64")


DEFINITIONS = {"half": half, "negative": negative, "with_rare": with_rare, "looked_up": looked_up}


@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
@pytest.mark.parametrize("x", [X, abs(X), -abs(X) - 1])
def test_rare_calls(lanes, x):
    loops = _vector_loop.Loops([("with_rare", "f64", 1)], lanes, DEFINITIONS)
    wanted = np.where(x < 0, x * (x + 1) - 1, x / 2)
    np.testing.assert_array_equal(loops("with_rare", "f64", x), wanted)


@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
def test_tables(lanes):
    loops = _vector_loop.Loops([("looked_up", "f64", 1)], lanes, DEFINITIONS)
    wanted = np.array([1.5, -2.0, 1e300, 4.0])[np.floor(X).astype(int) & 3]
    np.testing.assert_array_equal(loops("looked_up", "f64", X), wanted)


def test_scalar_code_shares_a_function_unless_it_calls_it_once() -> None:
    library, graph = Library(DEFINITIONS), Graph()
    x = graph.parameter(0, "f64")
    library.right_side(graph.call("half", x), ["%x"], 1, "")
    assert "@cr.half.f64x1(double %p0) alwaysinline nounwind" in library.text()
    library.right_side(graph.call("half", x + 1.0), ["%y"], 1, "")
    assert "@cr.half.f64x1(double %p0) noinline nounwind" in library.text()
    library.right_side(graph.call("half", x), ["%z"], 4, "")
    library.right_side(graph.call("half", x + 1.0), ["%z"], 4, "")
    assert "@cr.half.f64x4(<4 x double> %p0) alwaysinline nounwind" in library.text()
