"""Random NumPy programs: every transformation against plain NumPy.

Whatever differs is a fault of the package. `./run fuzz` runs this at length.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.ir.verify import verify
from chainrule.tracing.stage import evaluate

_spec = importlib.util.spec_from_file_location(
    "random_programs", Path(__file__).with_name("programs.py")
)
_programs: Any = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_programs)
NESTED, PLAIN = _programs.NESTED, _programs.PLAIN
constant, function, last = _programs.constant, _programs.function, _programs.last
inputs, programs = _programs.inputs, _programs.programs

# A program takes milliseconds, so that even a quick run can try a good number of them.
MORE = settings(max_examples=max(50, settings().max_examples))
Step = tuple[str, int, int, int, int]
ORIGINALS = {name: getattr(np, name) for name in ("zeros", "ones", "array", "arange", "stack")}


def copied(arrays: Any) -> list[Any]:
    return [np.array(a, order="K")[()] for a in arrays]


def plain(f: Callable[..., Any], arrays: Any) -> Any:
    with np.errstate(all="ignore"), _programs.what_is_refused():
        return f(*copied(arrays))


def quietly(test: Any) -> Any:
    """Division by zero and overflow, where a program does them, are its own affair."""
    inner = test.hypothesis.inner_test

    @functools.wraps(inner)
    def silent(*args: Any, **kwargs: Any) -> None:
        with np.errstate(all="ignore"):
            inner(*args, **kwargs)

    test.hypothesis.inner_test = silent
    return test


def usable(values: Any) -> bool:
    return all(np.all(np.isfinite(v)) and np.max(np.abs(v), initial=0) < 1e4 for v in values)


def directions(arrays: Any, k: int) -> tuple[np.ndarray, ...]:
    return tuple(constant(a.shape, k + 7 * i, a.dtype) for i, a in enumerate(arrays))


def inner_product(us: Any, vs: Any) -> float:
    return float(sum(np.sum(u.astype(float) * v) for u, v in zip(us, vs, strict=True)))


def untouched(arrays: Any, before: Any) -> None:
    for a, b in zip(arrays, before, strict=True):
        assert a.tobytes() == b.tobytes()
    assert all(getattr(np, name) is original for name, original in ORIGINALS.items())


def gradients(f: Callable[..., Any], arrays: Any) -> tuple[Any, ...]:
    return cr.grad(f, argnums=tuple(range(len(arrays))))(*arrays)


def kinds(values: Any) -> list[Any]:
    return [(np.shape(v), np.asarray(v).dtype) for v in values]


@quietly
@MORE
@given(programs(PLAIN), inputs(("f8", "f4")))
def test_values_are_numpys(steps: list[Step], arrays: tuple[np.ndarray, ...]) -> None:
    f = last(steps)
    expected = plain(f, arrays)
    assume(usable(expected))
    before = copied(arrays)
    single = any(np.asarray(v).dtype == np.float32 for v in expected)
    seen = cr.jvp(f, arrays, directions(arrays, 1))[0]
    recorded = cr.vjp(f, *arrays)[0]
    for values in (seen, recorded):
        assert kinds(values) == kinds(expected)
        for value, wanted in zip(values, expected, strict=True):
            # Additions in the order of another memory layout round differently.
            eps = 1e-5 if single else 1e-13
            np.testing.assert_allclose(value, wanted, rtol=eps, atol=eps)
    untouched(arrays, before)


@quietly
@MORE
@given(programs(NESTED), inputs())
def test_derivatives(steps: list[Step], arrays: tuple[np.ndarray, ...]) -> None:
    f = function(steps)
    value = plain(f, arrays)
    assume(usable([*plain(last(steps), arrays), value]))
    before = copied(arrays)
    v = directions(arrays, 3)
    traced, gradient = cr.value_and_grad(f, argnums=tuple(range(len(arrays))))(*arrays)
    np.testing.assert_allclose(traced, value, rtol=1e-12, atol=1e-12)
    assert kinds(gradient) == kinds(arrays)
    untouched(arrays, before)
    assume(usable(gradient))
    size = max(1.0, abs(value), max(np.max(np.abs(g), initial=0) for g in gradient))
    slope = inner_product(gradient, v)
    out, tangent = cr.jvp(f, arrays, v)
    np.testing.assert_allclose(out, value, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(tangent, slope, rtol=1e-9, atol=1e-10 * size)
    _, tangent_map = cr.linearize(f, *arrays)
    np.testing.assert_allclose(tangent_map(*v), slope, rtol=1e-9, atol=1e-10 * size)
    untouched(arrays, before)
    check_numerically(f, arrays, v, slope, size)


def check_numerically(
    f: Callable[..., Any], arrays: Any, v: Any, slope: float, size: float
) -> None:
    """Against differences, unless these disagree among themselves: a kink, or a bend too sharp."""

    def at(step: float) -> float:
        return plain(
            f,
            [
                np.asarray(a + step * t, order="F" if np.isfortran(a) else "C")[()]
                for a, t in zip(arrays, v, strict=True)
            ],
        )

    h = 1e-5
    here, steps = at(0.0), [at(k * h) for k in (-2, -1, 1, 2)]
    right, left = (steps[2] - here) / h, (here - steps[1]) / h
    wide = (steps[3] - steps[0]) / (4 * h)
    numeric = (8 * (steps[2] - steps[1]) - (steps[3] - steps[0])) / (12 * h)
    bend = abs(right - left)
    assume(np.isfinite(numeric) and bend < 1e-3 * size and abs(wide - numeric) < 1e-6 * size)
    np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-6 * size)


@quietly
@MORE
@given(programs(NESTED), inputs())
def test_second_order(steps: list[Step], arrays: tuple[np.ndarray, ...]) -> None:
    f = function(steps)
    assume(usable([plain(f, arrays)]))
    u, v = directions(arrays, 1), directions(arrays, 5)
    first = gradients(f, arrays)
    assume(usable(first))

    def slopes(*xs: Any) -> Any:
        return gradients(f, xs)

    forward = cr.jvp(slopes, arrays, v)
    again = cr.jvp(slopes, arrays, u)
    for g, wanted in zip(forward[0], first, strict=True):
        np.testing.assert_allclose(g, wanted, rtol=1e-9, atol=1e-9)
    assume(usable(forward[1]) and usable(again[1]))
    size = max(1.0, *(float(np.max(np.abs(t), initial=0)) for t in (*forward[1], *again[1])))
    one, other = inner_product(u, forward[1]), inner_product(v, again[1])
    np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-9 * size)

    def along(*xs: Any) -> Any:
        return sum(np.sum(g * t) for g, t in zip(gradients(f, xs), v, strict=True))

    for a, b in zip(gradients(along, arrays), forward[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9 * size)

    def plainly(*xs: Any) -> Any:
        return sum(np.sum(g * t) for g, t in zip(gradients(f, xs), u, strict=True))

    check_numerically(plainly, arrays, v, one, size)


@quietly
@MORE
@given(programs(NESTED), inputs(("f8", "f4")), st.booleans())
def test_batches(steps: list[Step], arrays: tuple[np.ndarray, ...], differentiate: bool) -> None:
    f = function(steps)
    g: Callable[..., Any] = (lambda *xs: gradients(f, xs)) if differentiate else last(steps)
    rows = [
        arrays,
        *([np.asarray(a * s + s / 9, a.dtype)[()] for a in arrays] for s in (0.8, -0.6)),
    ]
    stacked = [
        np.stack([np.ascontiguousarray(a).reshape(a.shape) for a in column])
        for column in zip(*rows, strict=True)
    ]
    expected = [plain(g, [np.array(a, order="C")[()] for a in row]) for row in rows]
    assume(all(map(usable, expected)))
    before = copied(stacked)
    single = any(a.dtype == np.float32 for a in arrays)
    tolerance = 1e-3 if single else 1e-9
    with _programs.what_is_refused():
        found = cr.vmap(g)(*stacked)
    for k, row in enumerate(expected):
        assert kinds(row) == kinds([column[k] for column in found])
        for column, wanted in zip(found, row, strict=True):
            np.testing.assert_allclose(column[k], wanted, rtol=tolerance, atol=tolerance)
    untouched(stacked, before)


@quietly
@MORE
@given(programs(NESTED), inputs(("f8", "f4")))
def test_programs(steps: list[Step], arrays: tuple[np.ndarray, ...]) -> None:
    f = last(steps)
    arrays = tuple(np.array(a, order="C")[()] for a in arrays)
    expected = plain(f, arrays)
    assume(usable(expected))
    program = verify(cr.trace(f, *arrays))
    values = evaluate(program, *arrays)
    single = any(a.dtype == np.float32 for a in arrays)
    assert kinds(values) == kinds(expected)
    for value, wanted in zip(values, expected, strict=True):
        np.testing.assert_allclose(
            value, wanted, rtol=1e-4 if single else 1e-11, atol=1e-4 if single else 1e-11
        )
    slopes = verify(cr.trace(lambda *xs: gradients(function(steps), xs), *arrays))
    for value, wanted in zip(
        evaluate(slopes, *arrays), gradients(function(steps), arrays), strict=True
    ):
        assume(usable([wanted]))
        np.testing.assert_allclose(
            value, wanted, rtol=1e-3 if single else 1e-8, atol=1e-3 if single else 1e-8
        )
