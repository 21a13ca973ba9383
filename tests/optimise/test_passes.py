"""Each pass alone and all of them together: the same numbers to the last bit, fewer equations."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chainrule as cr
from chainrule.ir.program import Constant
from chainrule.ir.verify import verify
from chainrule.optimise.algebra import simplify
from chainrule.optimise.cleanup import fold, prune, share
from chainrule.optimise.inline import inline
from chainrule.optimise.pipeline import optimise
from chainrule.tracing.stage import evaluate, trace_program

_spec = importlib.util.spec_from_file_location(
    "random_programs", Path(__file__).parents[1] / "fuzz" / "programs.py"
)
_programs = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_programs)

PASSES = [inline, simplify, fold, share, prune, optimise]


def names(program):
    return [equation.primitive.name for equation in program.equations]


def same(left, right):
    """Equal to the last bit; any NaN is as good as another."""
    left, right = np.asarray(left), np.asarray(right)
    assert left.dtype == right.dtype
    assert left.shape == right.shape
    np.testing.assert_array_equal(left, right)
    if left.dtype.kind == "f":
        signs = np.signbit(left) == np.signbit(right)
        assert np.all(signs | np.isnan(left))


def staged(f, *args):
    return trace_program(f, *args, values=False)


def after(f, *args, by=optimise):
    """The program that a pass makes of f, checked to be right here."""
    program = staged(f, *args)
    smaller = verify(by(program))
    with np.errstate(all="ignore"):
        for left, right in zip(evaluate(program, *args), evaluate(smaller, *args), strict=True):
            same(left, right)
    return smaller


X = np.array([0.0, -0.0, 1.5, -2.0, np.inf, np.nan])
M = np.arange(6.0).reshape(2, 3)

# ---- algebra -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * 1,
        lambda x: 1.0 * x,
        lambda x: x * np.float64(1.0),
        lambda x: x / 1,
        lambda x: x + -0.0,
        lambda x: x - 0.0,
        lambda x: x - 0,
        lambda x: +x,
        lambda x: np.negative(np.negative(x)),
        lambda x: x**1,
        lambda x: np.conj(x),
        lambda x: x.copy(),
        lambda x: x.astype(float),
        lambda x: x.reshape(6),
        lambda x: x.reshape(2, 3).reshape(6),
        lambda x: np.broadcast_to(x, (6,)),
        lambda x: np.where(x > 0, x, x),
        lambda x: x * np.ones(6),
        lambda x: np.transpose(x),
    ],
)
def test_what_is_the_operand_itself_is_gone(f):
    assert names(after(f, X)) == []


@pytest.mark.parametrize(
    ("f", "left"),
    [
        (lambda x: x + 0.0, ["add"]),
        (lambda x: 0.0 + x, ["add"]),
        (lambda x: x - -0.0, ["subtract"]),
        (lambda x: 0.0 - x, ["subtract"]),
        (lambda x: x * 0.0, ["multiply"]),
        (lambda x: x - x, ["subtract"]),
        (lambda x: 1.0 / x, ["divide"]),
        (lambda x: x * np.ones((2, 6)), ["multiply"]),
        (lambda x: x * -1, ["negative"]),
        (lambda x: -1.0 * x, ["negative"]),
        (lambda x: x / -1, ["negative"]),
    ],
)
def test_what_differs_for_some_number_stays(f, left):
    assert names(after(f, X)) == left


def test_types_are_kept():
    f32 = np.ones(3, np.float32)
    assert names(after(lambda x: x * np.float64(1.0), f32)) == ["multiply"]
    assert names(after(lambda x: x * np.float32(1.0), f32)) == []
    assert names(after(lambda x: x * 1.0, f32)) == []
    assert names(after(lambda x: x * 1.0, np.arange(3))) == ["multiply"]
    assert names(after(lambda x: x * 1, np.arange(3))) == []
    assert names(after(lambda x: x + 0, np.arange(3))) == []
    assert names(after(lambda x: x * 1, np.array([True, False]))) == ["multiply"]
    assert names(after(lambda x: x * 1.0, np.array([1j, np.inf]))) == ["multiply"]


def test_python_numbers_and_numpy_numbers_stay_apart():
    """float · np.float64 is NumPy's, and makes float64 of what it meets; a float doesn't."""
    f32 = np.ones(3, np.float32)
    program = after(lambda n, x: (n * np.float64(1.0)) * x, 2.0, f32)
    assert program.outputs[0].type.dtype == np.float64
    program = after(lambda n, x: (n * 1.0) * x, 2.0, f32)
    assert program.outputs[0].type.dtype == np.float32
    assert names(program) == ["multiply"]


def test_arrangements_are_joined():
    assert names(after(lambda x: x.T.T, M)) == []
    assert names(after(lambda x: np.transpose(np.transpose(x[None], (1, 2, 0)), (2, 0, 1)), M)) == [
        "reshape"
    ] or names(after(lambda x: x[None], M)) == ["getitem"]
    assert names(after(lambda x: x.reshape(6).reshape(3, 2), M)) == ["reshape"]
    wide = after(lambda x: np.broadcast_to(np.broadcast_to(x, (2, 6)), (4, 2, 6)), X)
    assert names(wide) == ["broadcast_to"]


def test_conversions_are_joined_only_where_nothing_is_lost():
    f32 = np.float32([1.1, 2.2])
    assert names(after(lambda x: x.astype(np.float64).astype(np.float32), f32)) == []
    assert names(after(lambda x: x.astype(np.float32).astype(np.float64), X)) == ["astype"] * 2
    assert names(after(lambda x: x.astype(np.int64).astype(np.float64), X[:4])) == [
        "truncate",
        "astype",
    ]


# ---- cleanup -------------------------------------------------------------------------------------


def test_constants_are_computed_ahead():
    def f(x):
        n = cr.stop_gradient(np.float64(2.0))
        return x * (np.sqrt(n) * np.ones(3))

    program = after(lambda x, y: x * (np.array([1.0, 2.0]) + 1), M[:, :2], 1.0)
    assert names(program) == ["multiply"]
    assert names(after(f, M)) == ["multiply"]


def test_nothing_large_is_made_of_something_small():
    program = after(lambda x: x + cr.vmap(lambda y: y * 0 + 3.0)(np.ones(1000)), np.ones(1000))
    assert all(value.size <= 1000 for _, value in program.captured)


def test_what_fails_is_left_to_fail_later():
    def f(x):
        singular = cr.grad(lambda m: np.sum(m * 0.0))(np.ones((2, 2)))
        return np.linalg.solve(singular + 0 * x, np.ones(2))

    program = staged(f, 1.0)
    assert "solve" in names(optimise(program))


def test_equal_operations_are_shared():
    program = after(lambda x, z: np.exp(x * z) + x * z / np.log(x), 2.0, 3.0)
    assert names(program).count("multiply") == 1


def test_almost_equal_operations_are_not():
    assert names(after(lambda x: x * 0.0 - x * -0.0, X)).count("multiply") == 2
    assert names(after(lambda x: np.maximum(x, 0.0) + np.maximum(x, X), X)).count("maximum") == 2
    assert names(after(lambda x: x[:, 0] + x[:, 1], M)).count("getitem") == 2
    assert names(after(lambda x: np.sum(x, axis=1) + np.sum(x, axis=0)[:2], M)).count("sum") == 2


def test_ties_are_part_of_an_operation():
    """Maximum of x and a literal, and of x and an argument that holds the same number."""
    program = after(cr.grad(lambda x, y: np.maximum(x, 0.0) + np.maximum(x, y)), 1.0, 0.0)
    assert len(program) > 2


def test_what_nobody_needs_is_dropped():
    big = np.arange(50.0)

    def f(x):
        np.exp(x) @ big
        return 2 * x

    assert names(after(f, np.ones(50))) == ["multiply"]
    assert after(f, np.ones(50)).captured == ()


# ---- inline --------------------------------------------------------------------------------------


def test_calls_are_dissolved():
    @cr.custom_jvp
    def softened(x):
        return np.log1p(np.exp(x))

    softened.defjvp(lambda primals, tangents: (softened(*primals), tangents[0] * 0.5))
    inner = cr.checkpoint(lambda x: np.sin(np.exp(x)))

    def f(x):
        return np.sum(softened(inner(x)) * cr.stop_gradient(x))

    for g in (f, cr.grad(f), cr.vmap(lambda x: f(x) + 1.0)):
        x = M if g is not f else M[0]
        x = x if g is not cr.grad else M[0]
        program = after(g, x[0] if g not in (f,) and g.__name__ != "batched" else x, by=inline)
        assert not set(names(program)) & {"call", "call_with_reverse", "stop_gradient", "unseen"}


def test_calls_within_calls_keep_the_line():
    inner = cr.checkpoint(lambda x: np.sin(x))
    outer = cr.checkpoint(lambda x: inner(x) * 2)
    program = after(lambda x: outer(x), M, by=inline)
    assert names(program) == ["sin", "multiply"]
    lines = [equation.place.line for equation in program.equations]
    assert lines[0] != lines[1]
    assert all(equation.place.filename == __file__ for equation in program.equations)


def test_a_python_number_stays_one_inside_a_call():
    f32 = np.ones(3, np.float32)
    program = after(lambda n, x: cr.checkpoint(lambda n, x: n * x)(n, x), 2.0, f32)
    assert program.outputs[0].type.dtype == np.float32


# ---- any program ---------------------------------------------------------------------------------


@pytest.mark.parametrize("by", PASSES)
@settings(max_examples=40, deadline=None)
@given(
    steps=_programs.programs(_programs.NESTED),
    arrays=_programs.inputs(("f8", "f4")),
    which=st.integers(0, 2),
)
def test_any_program_means_the_same(by, steps, arrays, which):
    f = _programs.last(steps) if which == 0 else _programs.function(steps)
    f = cr.grad(f, argnums=tuple(range(len(arrays)))) if which == 2 else f
    with np.errstate(all="ignore"):
        program = trace_program(f, *arrays)
        smaller = verify(by(program))
        assert by(smaller) is smaller or by is not prune
        for left, right in zip(evaluate(program, *arrays), evaluate(smaller, *arrays), strict=True):
            same(left, right)


def test_a_long_program_has_no_surprise():
    """Twenty thousand equations, most of them worth something to some pass."""

    def f(x):
        for k in range(4000):
            x = (x * 1.0 + np.sin(x).reshape(3).T * (k % 7)) - 0.0
        return x

    program = after(f, np.ones(3))
    assert all(not isinstance(out, Constant) for out in program.outputs)
    assert set(names(program)) == {"sin", "multiply", "add"}
