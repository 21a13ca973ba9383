"""Loops and choices as operations, held against the same programs with Python's own.

Every program below is written once, for `ops`: either chainrule's cond, while_loop, fori_loop and
scan, or plain Python's. Every composition of transformations must give the same for both.
"""

from __future__ import annotations

import functools
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import chainrule as cr
from chainrule.base.trees import flatten, map_tree
from chainrule.ir import canonical
from chainrule.ir.verify import verify


class Plain:
    """Control flow by Python itself."""

    @staticmethod
    def cond(p: Any, f: Any, g: Any, *operands: Any) -> Any:
        return f(*operands) if p else g(*operands)

    @staticmethod
    def while_loop(cond: Any, body: Any, init: Any) -> Any:
        value = init
        while cond(value):
            value = body(value)
        return value

    @staticmethod
    def fori_loop(lo: int, hi: int, body: Any, init: Any) -> Any:
        value = init
        for i in range(lo, hi):
            value = body(i, value)
        return value

    @staticmethod
    def scan(body: Any, init: Any, xs: Any, length: Any = None, reverse: bool = False) -> Any:
        leaves, _ = flatten(xs)
        count = length if not leaves else len(leaves[0])
        carry, ys = init, [None] * count
        for k in reversed(range(count)) if reverse else range(count):
            carry, ys[k] = body(carry, map_tree(lambda x, k=k: x[k], xs))
        return carry, map_tree(lambda *rows: np.stack(rows), *ys) if ys else None


# ---- programs: f(ops, a, x) → a scalar, of a vector a and a matrix x -----------------------------


def recurrent(ops: Any, a: Any, x: Any) -> Any:
    w = np.outer(a, np.cos(a))
    last, ys = ops.scan(lambda c, row: (np.tanh(w @ c + row), np.sum(c * row)), a, x)
    return np.sum(last**2) + np.sum(ys)


def backwards(ops: Any, a: Any, x: Any) -> Any:
    last, ys = ops.scan(lambda c, row: (np.sin(c) * row + a, c * row), a, x, reverse=True)
    return np.sum(last) + np.sum(ys[0] * a) + np.sum(ys[-1] ** 2)


def chosen(ops: Any, a: Any, x: Any) -> Any:
    def body(c: Any, row: Any) -> Any:
        s = np.sum(row) + 0.1 * np.sum(c)
        # What isn't chosen has no real value, and an infinite slope.
        c = ops.cond(s > 0, lambda c: np.log(1.5 + s + np.abs(s)) * c, lambda c: np.sqrt(-s) + c, c)
        return c, s

    last, ys = ops.scan(body, a, x)
    return np.sum(last * a) + np.sum(ys**2)


def counted(ops: Any, a: Any, x: Any) -> Any:
    def body(i: Any, value: Any) -> Any:
        return value * np.take(a, i % 3) + np.take(x, i % 4, axis=0) * i

    return np.sum(ops.fori_loop(1, 5, body, np.sin(a)))


def newton(ops: Any, a: Any, x: Any) -> Any:
    target = np.sum(a**2) + 1.0

    def step(pair: Any) -> Any:
        guess, trips = pair
        return 0.5 * (guess + target / guess), trips + 1

    root, trips = ops.while_loop(lambda p: np.abs(p[0] ** 2 - target) > 1e-13, step, (target, 0))
    return root * np.sum(x) + trips


def growing(ops: Any, a: Any, x: Any) -> Any:
    def body(state: Any) -> Any:
        return {"size": state["size"] * (1.2 + a[0] ** 2), "kept": np.sin(state["kept"]) + a * x[1]}

    state = {"size": np.sum(x**2) + 0.5, "kept": a}
    state = ops.while_loop(lambda s: s["size"] < 30.0, body, state)
    return state["size"] * np.sum(state["kept"])


def nested(ops: Any, a: Any, x: Any) -> Any:
    def inner(value: Any) -> Any:
        c = value[0]
        c = ops.cond(c[0] > 0.3, lambda c: c * np.cos(a), lambda c: c + 0.4, c)
        return c, value[1] + 1.0

    def body(c: Any, row: Any) -> Any:
        c, trips = ops.while_loop(lambda v: v[1] < 2.5 + row[0] ** 2, inner, (c, 0.0))
        return ops.fori_loop(0, 2, lambda i, c: c * row + i, c), trips

    last, ys = ops.scan(body, a, x)
    return np.sum(last**2) + np.sum(ys)


def trees(ops: Any, a: Any, x: Any) -> Any:
    def body(carry: Any, row: Any) -> Any:
        left, (right,) = carry["left"], carry["right"]
        step = {"left": right * row["k"], "right": (left + row["v"],)}
        return step, {"sum": np.sum(left), "both": (left, right * a)}

    rows = {"v": x, "k": np.arange(1.0, 5.0)}
    last, ys = ops.scan(body, {"left": a, "right": (2 * a,)}, rows)
    return np.sum(last["left"]) + np.sum(ys["sum"] ** 2) + np.sum(ys["both"][1])


def without_rows(ops: Any, a: Any, x: Any) -> Any:
    last, ys = ops.scan(lambda c, _: (c * a + x[0], c[0]), a, None, length=3)
    return np.sum(last) * np.prod(ys)


def nothing(ops: Any, a: Any, x: Any) -> Any:
    last = ops.scan(lambda c, row: (np.exp(c) * row, None), a, x[:0])[0]
    return np.sum(last**2) + np.sum(x * a)


def written(ops: Any, a: Any, x: Any) -> Any:
    def body(i: Any, pair: Any) -> Any:
        table, total = pair
        table = 1.0 * table
        table[i] = np.sum(a * np.take(x, i, axis=0)) * table[i - 1]
        row = np.zeros(3)
        row[i % 3] = total
        row[(i + 1) % 3] += a[1]
        return table, total + np.sum(row**2)

    table, total = ops.fori_loop(1, 4, body, (np.ones(4), 0.1 * a[0]))
    return np.sum(table) + total


def descent(ops: Any, a: Any, x: Any) -> Any:
    def loss(w: Any, row: Any) -> Any:
        return (np.sum(np.tanh(w) * row) - 1.0) ** 2

    def body(w: Any, row: Any) -> Any:
        value, slope = cr.value_and_grad(loss)(w, row)
        return w - 0.1 * slope, value

    last, losses = ops.scan(body, a, x)
    return np.sum(last**2) + np.sum(losses)


def forgetful(ops: Any, a: Any, x: Any) -> Any:
    body = cr.checkpoint(lambda c, row: (np.sin(c * a) * row + np.exp(-(c**2)), np.sum(c)))
    last, ys = ops.scan(body, a, x)
    return np.sum(last) + np.sum(ys**2)


@cr.custom_jvp
def softened(x: Any) -> Any:
    return np.sqrt(x * x + 0.1)


@softened.defjvp
def _softened_rule(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    y = softened(x)
    return y, x / y * t


def ruled(ops: Any, a: Any, x: Any) -> Any:
    last, _ = ops.scan(lambda c, row: (softened(c * row) - a, None), a, x)
    return np.sum(last**2)


@cr.custom_vjp
def doubled(x: Any, k: Any) -> Any:
    return np.sin(x) * k


doubled.defvjp(
    lambda x, k: (np.sin(x) * k, (x, k)),
    lambda kept, g: (g * np.cos(kept[0]) * kept[1], np.sum(g * np.sin(kept[0]))),
)


def ruled_backwards(ops: Any, a: Any, x: Any) -> Any:
    last, ys = ops.scan(lambda c, row: (doubled(c * row, a[0]) + a, np.sum(c)), a, x)
    return np.sum(last**2) + np.sum(ys)


def pushed(ops: Any, a: Any, x: Any) -> Any:
    def body(c: Any, row: Any) -> Any:
        value, slope = cr.jvp(lambda c: np.sin(c) * a, (c,), (row,))
        return value + 0.5 * slope, np.sum(slope)

    last, ys = ops.scan(body, a, x)
    return np.sum(last * ys[1])


def batched_inside(ops: Any, a: Any, x: Any) -> Any:
    def body(c: Any, row: Any) -> Any:
        return cr.vmap(lambda u, v: u * v + np.sin(u))(c, row), np.sum(c)

    last, ys = ops.scan(body, a, x)
    return np.sum(last**2) + np.sum(ys)


def loop_in_while(ops: Any, a: Any, x: Any) -> Any:
    def body(value: Any) -> Any:
        total, c = value
        c, ys = ops.scan(lambda c, row: (c * np.cos(row), np.sum(c * a)), c, x)
        return total + 1.0 + np.sum(ys) ** 2, c

    total, c = ops.while_loop(lambda v: v[0] < 4.0, body, (0.0, a))
    return total * np.sum(c)


PROGRAMS = [
    recurrent, backwards, chosen, counted, newton, growing, nested, trees, without_rows, nothing,
    written, descent, forgetful, ruled, ruled_backwards, pushed, batched_inside, loop_in_while,
]  # fmt: skip

A = np.array([0.45, -0.3, 0.8])
X = np.array([[0.5, -1.1, 0.2], [0.3, 0.4, 0.9], [-0.7, 0.2, 0.1], [1.2, 0.6, -0.4]])
BATCH_A = np.stack([A, -A, 0.5 * A + 0.2])
BATCH_X = np.stack([X, X[::-1], 0.6 * X])


# ---- compositions --------------------------------------------------------------------------------


def one_by_one(f: Callable[..., Any], in_axes: Any = 0) -> Callable[..., Any]:
    """vmap by a Python loop."""

    def many(*args: Any) -> Any:
        axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
        size = next(len(a) for a, axis in zip(args, axes, strict=True) if axis is not None)
        rows = [
            f(*[a if axis is None else a[k] for a, axis in zip(args, axes, strict=True)])
            for k in range(size)
        ]
        return map_tree(lambda *parts: np.stack(parts), *rows)

    return many


T, U = np.cos(3 * A), np.sin(2 * X)
Both = Callable[..., Any]
COMPOSITIONS: dict[str, Callable[[Both, Any], Any]] = {
    "value": lambda f, vmap: f(A, X),
    "jvp": lambda f, vmap: cr.jvp(f, (A, X), (T, U)),
    "grad": lambda f, vmap: cr.grad(f, (0, 1))(A, X),
    "linearize": lambda f, vmap: cr.linearize(f, A, X)[1](T, U),
    "jacfwd": lambda f, vmap: cr.jacfwd(f, (0, 1))(A, X),
    "hessian": lambda f, vmap: cr.hessian(f)(A, X),
    "reverse over reverse": lambda f, vmap: cr.grad(lambda a: np.sum(cr.grad(f)(a, X) * T))(A),
    "forward over reverse": lambda f, vmap: cr.jvp(cr.grad(f, (0, 1)), (A, X), (T, U))[1],
    "reverse over forward": lambda f, vmap: cr.grad(
        lambda a, x: cr.jvp(f, (a, x), (T, U))[1], (0, 1)
    )(A, X),
    "third order": lambda f, vmap: cr.jvp(
        lambda a: cr.grad(lambda a: cr.jvp(f, (a, X), (T, U))[1])(a), (A,), (T,)
    )[1],
    "vmap": lambda f, vmap: vmap(f)(BATCH_A, BATCH_X),
    "vmap, rows shared": lambda f, vmap: vmap(f, (0, None))(BATCH_A, X),
    "vmap, rows only": lambda f, vmap: vmap(f, (None, 0))(A, BATCH_X),
    "vmap of grad": lambda f, vmap: vmap(cr.grad(f, (0, 1)))(BATCH_A, BATCH_X),
    "vmap of grad, shared": lambda f, vmap: vmap(cr.grad(f, (0, 1)), (None, 0))(A, BATCH_X),
    "grad of vmap": lambda f, vmap: cr.grad(
        lambda a, x: np.sum(vmap(f, (None, 0))(a, x) ** 2), (0, 1)
    )(A, BATCH_X),
    "jvp of vmap": lambda f, vmap: cr.jvp(vmap(f, (0, None)), (BATCH_A, X), (BATCH_A, U))[1],
    "vmap of hessian": lambda f, vmap: vmap(cr.hessian(f), (0, None))(BATCH_A, X),
    "vmap of vmap of grad": lambda f, vmap: vmap(vmap(cr.grad(f), (0, None)), (None, 0))(
        BATCH_A, BATCH_X
    ),
    "grad of vmap of grad": lambda f, vmap: cr.grad(
        lambda a: np.sum(vmap(cr.grad(f, 1), (0, None))(a, X) ** 2)
    )(BATCH_A),
    "checkpoint": lambda f, vmap: cr.grad(cr.checkpoint(f), (0, 1))(A, X),
    "hessian of checkpoint": lambda f, vmap: cr.hessian(cr.checkpoint(f))(A, X),
}


def assert_same(found: Any, wanted: Any, rtol: float = 1e-9) -> None:
    left, right = flatten(found)[0], flatten(wanted)[0]
    assert len(left) == len(right)
    for a, b in zip(left, right, strict=True):
        assert np.shape(a) == np.shape(b)
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-10)


@pytest.mark.parametrize("name", COMPOSITIONS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_composition(program: Any, name: str) -> None:
    compose = COMPOSITIONS[name]
    wanted = compose(functools.partial(program, Plain), one_by_one)
    assert_same(compose(functools.partial(program, cr), cr.vmap), wanted)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_finite_differences(program: Any) -> None:
    # Higher orders follow from those of the plain programs, which the compositions compare with.
    cr.check_grads(functools.partial(program, cr), (A, X), order=1)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_programs_are_well_formed(program: Any) -> None:
    f = functools.partial(program, cr)
    for g in (f, cr.grad(f), cr.grad(lambda a, x: np.sum(cr.grad(f)(a, x))), cr.vmap(f)):
        args = (BATCH_A, BATCH_X) if g is not f and g.__name__ == "batched" else (A, X)
        verify_all(cr.trace(g, *args))


def verify_all(program: cr.Program) -> None:
    verify(program)
    assert str(program)
    for equation in program.equations:
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple) else (value,):
                if isinstance(inner, cr.Program):
                    assert not inner.captured
                    verify_all(inner)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_recorded_without_values(program: Any) -> None:
    """A program recorded once holds at every other point."""
    from chainrule.tracing.stage import run, trace_program

    f = functools.partial(program, cr)
    for g in (f, cr.grad(f, (0, 1)), lambda a, x: cr.jvp(cr.grad(f), (a, x), (T, U))[1]):
        recorded = trace_program(g, A, X, values=False)
        verify_all(recorded)
        for a, x in zip(BATCH_A, BATCH_X, strict=True):
            assert_same(run(recorded, a, x), g(a, x))


# ---- what a tape holds ---------------------------------------------------------------------------


def test_a_loop_is_one_equation() -> None:
    f = functools.partial(recurrent, cr)
    names = [equation.primitive.name for equation in cr.trace(f, A, X).equations]
    assert names.count("scan") == 1
    assert len(names) < 12
    names = [equation.primitive.name for equation in cr.trace(cr.grad(f), A, X).equations]
    assert names.count("scan") == 2  # there and back


def test_constants_of_the_loop_are_not_kept_per_step() -> None:
    w = np.eye(3)

    def f(w: Any) -> Any:
        return np.sum(cr.scan(lambda c, row: (np.sin(np.cos(w) @ c), None), A, X)[0])

    for equation in cr.trace(cr.grad(f), w).equations:
        if equation.primitive.name == "scan":
            for out in equation.outputs:
                assert out.type.shape != (4, 3, 3)


def test_a_checkpointed_body_keeps_its_arguments_alone() -> None:
    def f(a: Any, keep: bool) -> Any:
        def body(c: Any, row: Any) -> Any:
            for _ in range(5):
                c = np.sin(c) * np.exp(-c * row)
            return c, None

        return np.sum(cr.scan(body if keep else cr.checkpoint(body), a, X)[0])

    def kept(keep: bool) -> int:
        program = cr.trace(cr.grad(lambda a: f(a, keep)), A)
        first = next(e for e in program.equations if e.primitive.name == "scan")
        return sum(out.type.size for out in first.outputs[1:])

    assert kept(keep=False) == X.size
    assert kept(keep=True) > 5 * X.size


def test_nothing_is_kept_alive() -> None:
    """But the bodies met last, which a bounded table holds."""
    marks = []

    def once() -> None:
        program = cr.trace(cr.grad(functools.partial(nested, cr)), A, X)
        cr.vmap(cr.grad(functools.partial(nested, cr)))(BATCH_A, BATCH_X)
        for equation in program.equations:
            for value in equation.params.values():
                if isinstance(value, cr.Program):
                    marks.append(weakref.ref(value))

    once()
    marks_before = len(marks)
    canonical._first.cache_clear()
    gc.collect()
    assert marks_before
    assert not any(mark() for mark in marks)


def test_the_path_is_free_again_after_an_error() -> None:
    def bad(c: Any, row: Any) -> Any:
        raise KeyError("mine")

    def f(a: Any) -> Any:
        with pytest.raises(KeyError):
            cr.scan(bad, a, X)
        return np.sum(np.sin(a))

    np.testing.assert_allclose(cr.grad(f)(A), np.cos(A))


def test_other_threads_record_for_themselves() -> None:
    found: list[Any] = []

    def body(c: Any, row: Any) -> Any:
        thread = threading.Thread(target=lambda: found.append(cr.grad(np.sin)(0.5)))
        thread.start()
        thread.join()
        return c * row, None

    cr.scan(body, A, X)
    assert found == [np.cos(0.5)]


# ---- choices -------------------------------------------------------------------------------------


def test_a_known_condition_calls_one_function() -> None:
    called = []
    for p in (True, False):
        cr.cond(p, lambda: called.append("f"), lambda: called.append("g"))
    assert called == ["f", "g"]
    assert cr.grad(lambda x: cr.cond(x > 0, np.sin, np.cos, x))(0.5) == np.cos(0.5)


def test_what_is_not_taken_never_counts() -> None:
    def root(x: Any) -> Any:
        return cr.cond(x > 0, lambda x: np.sqrt(x), lambda x: 0.0 * x, x)

    points = np.array([0.0, 4.0, -1.0])
    assert_same(cr.vmap(root)(points), np.array([0.0, 2.0, 0.0]))
    assert_same(cr.vmap(cr.grad(root))(points), np.array([0.0, 0.25, 0.0]))
    assert_same(cr.grad(lambda x: np.sum(cr.vmap(root)(x)))(points), np.array([0.0, 0.25, 0.0]))
    assert_same(cr.vmap(cr.grad(cr.grad(root)))(points), np.array([0.0, -0.03125, 0.0]))

    def scanned(x: Any) -> Any:
        return cr.scan(lambda c, row: (c + root(row), None), 0.0, x)[0]

    assert_same(cr.grad(scanned)(points), np.array([0.0, 0.25, 0.0]))


def test_a_value_from_outside_is_used_in_the_branch_alone() -> None:
    def f(w: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            return c + cr.cond(row > 0, lambda: np.log(w), lambda: 0.0), None

        return w + cr.scan(body, 0.0, np.array([-1.0, -2.0]))[0]

    assert cr.grad(f)(0.0) == 1.0
    assert f(0.0) == 0.0


def test_numbers_of_python_take_the_other_dtype() -> None:
    single = np.float32([1.0, -1.0])

    def f(x: Any) -> Any:
        return cr.cond(x > 0, lambda x: x, lambda x: 0.0, x)

    found = cr.vmap(f)(single)
    assert found.dtype == np.float32
    assert_same(found, np.float32([1.0, 0.0]))


def test_a_condition_that_is_a_number() -> None:
    found = cr.vmap(lambda k: cr.cond(k, lambda: 1.0, lambda: 2.0))(np.arange(2))
    assert_same(found, np.array([2.0, 1.0]))


# ---- loops ---------------------------------------------------------------------------------------


def test_single_precision_stays_single() -> None:
    x = np.float32([0.5, -0.25, 1.5])

    def summed(x: Any) -> Any:
        return cr.scan(lambda c, v: (c + np.sin(v), 2.0 * c), 0.0, x)

    total, ys = summed(x)
    assert total.dtype == ys.dtype == np.float32
    slope = cr.grad(lambda x: summed(x)[0])(x)
    assert slope.dtype == np.float32
    np.testing.assert_allclose(slope, np.cos(x), rtol=1e-6)

    def indexed(x: Any) -> Any:
        return cr.fori_loop(0, 3, lambda i, c: c * x + 0.5 * i, np.float32(1.0))

    assert indexed(x[0]).dtype == np.float32
    assert cr.grad(indexed)(x[0]).dtype == np.float32
    assert_same(cr.vmap(cr.grad(indexed))(x), np.float32([cr.grad(indexed)(v) for v in x]), 1e-5)

    def halved(x: Any) -> Any:
        return cr.while_loop(lambda c: c > 0.1, lambda c: c * 0.5, x)

    assert cr.vmap(halved)(np.abs(x)).dtype == np.float32
    assert cr.vmap(cr.grad(halved))(np.abs(x)).dtype == np.float32


def test_complex_carries() -> None:
    z = np.array([0.3 + 0.4j, -0.2j])

    def f(ops: Any, z: Any) -> Any:
        last = ops.scan(lambda c, v: (c * c + v, None), 0j * z[0], z)[0]
        return np.abs(last) ** 2

    assert_same(cr.grad(functools.partial(f, cr))(z), cr.grad(functools.partial(f, Plain))(z))


def test_integers_and_truth_values_are_carried_too() -> None:
    def body(carry: Any, x: Any) -> Any:
        count, seen, total = carry
        return (count + 1, seen | (x > 1), total + x * count), count

    (count, seen, total), counts = cr.scan(body, (0, False, 0.0), np.arange(3.0))
    assert (count, bool(seen), total) == (3, True, 5.0)
    assert counts.dtype == np.asarray(0).dtype
    slope = cr.grad(lambda x: cr.scan(body, (0, False, 0.0), x)[0][2])(np.arange(3.0))
    assert_same(slope, np.arange(3.0))


def test_an_integer_start_may_become_a_float() -> None:
    total, ys = cr.scan(lambda c, x: (c + x, c), 0, np.array([0.5, 1.0]))
    assert total == 1.5
    assert_same(ys, np.array([0.0, 0.5]))


@pytest.mark.parametrize("length", [0, 1, 5])
def test_lengths(length: int) -> None:
    x = X[0, 0] * np.ones((length, 2))
    carry, ys = cr.scan(lambda c, row: (c + row, (c, 2.0)), np.zeros(2), x)
    assert ys[0].shape == (length, 2)
    assert ys[1].shape == (length,)
    assert_same(carry, np.sum(x, axis=0))
    slope = cr.grad(lambda x: np.sum(cr.scan(lambda c, r: (c + r, c), np.zeros(2), x)[1]))(x)
    assert slope.shape == x.shape


def test_empty_ranges() -> None:
    assert cr.fori_loop(3, 1, lambda i, c: c * 2, 1.0) == 1.0
    assert cr.grad(lambda a: cr.fori_loop(2, 2, lambda i, c: c * a, a))(3.0) == 1.0
    assert cr.grad(lambda a: cr.while_loop(lambda c: False, lambda c: c * a, a))(3.0) == 1.0


def test_bounds_that_are_not_known() -> None:
    def power(x: Any, n: Any) -> Any:
        return cr.fori_loop(0, n, lambda i, y: y * x, 1.0)

    n = np.array([0, 1, 3])
    x = np.array([2.0, 3.0, 0.5])
    assert_same(cr.vmap(power)(x, n), x**n)
    assert_same(cr.vmap(cr.grad(power))(x, n), np.array([0.0, 1.0, 0.75]))
    assert_same(cr.vmap(cr.grad(power), (None, 0))(2.0, n), np.array([0.0, 1.0, 12.0]))


def test_examples_that_are_done_keep_their_value() -> None:
    def f(x: Any) -> Any:
        # One step more than needed would divide by zero.
        return cr.while_loop(lambda c: c[1] > 0, lambda c: (c[0] / c[1], c[1] - 1.0), (x, x))[0]

    x = np.array([1.0, 3.0, 0.0])
    assert_same(cr.vmap(f)(x), np.array([f(v) for v in x]))
    assert_same(cr.vmap(cr.grad(f))(x), np.array([cr.grad(f)(v) for v in x]))


def test_results_share_no_memory_with_arguments() -> None:
    start = np.zeros(3)
    for result in (
        cr.fori_loop(0, 0, lambda i, c: c, start),
        cr.scan(lambda c, _: (c, None), start, None, length=2)[0],
        cr.while_loop(lambda c: False, lambda c: c, start),
    ):
        assert not np.shares_memory(result, start)


def test_an_argument_is_not_changed_by_writes_in_the_body() -> None:
    start = np.zeros(3)

    def body(i: Any, c: Any) -> Any:
        c[i] = i + 1.0
        return c

    assert_same(cr.fori_loop(0, 3, body, start), np.array([1.0, 2.0, 3.0]))
    assert_same(start, np.zeros(3))


def test_a_view_that_waits_for_a_write_is_read_in_a_body() -> None:
    def f(ops: Any, x: Any) -> Any:
        y = x * 1.0
        part = y[1:]
        y[0], y[1] = 5.0, 7.0
        total = ops.scan(lambda c, k: (c + np.sum(part) * k, None), 0.0, x)[0]
        return total + np.sum(part) + np.sum(y)

    mine, plain = functools.partial(f, cr), functools.partial(f, Plain)
    assert_same(mine(A), plain(A))
    assert_same(cr.grad(mine)(A), cr.grad(plain)(A))


def test_arguments_that_are_not_differentiated() -> None:
    def f(x: Any, rate: float, count: int) -> Any:
        return cr.scan(lambda c, row: (c * rate + row, None), 0.0, x)[0] * count

    def plain(x: Any, rate: float, count: int) -> Any:
        return Plain.scan(lambda c, row: (c * rate + row, None), 0.0, x)[0] * count

    assert_same(cr.grad(f)(A, 0.5, 3), cr.grad(plain)(A, 0.5, 3))
    assert_same(cr.grad(f, 1)(A, 0.5, 3), cr.grad(plain, 1)(A, 0.5, 3))
    single = np.float32(A)
    assert cr.grad(f)(single, 0.5, 3).dtype == np.float32


def test_a_loop_that_is_not_chosen_never_counts() -> None:
    loops = (
        lambda x: cr.fori_loop(0, 2, lambda i, c: np.sqrt(c), x),
        lambda x: cr.while_loop(lambda c: c > 0.5, lambda c: np.sqrt(c) - 0.5, np.sqrt(x)),
        lambda x: cr.scan(lambda c, _: (np.log(c), None), x, None, length=1)[0],
    )
    for loop in loops:
        with np.errstate(all="ignore"):
            assert cr.grad(lambda x, loop=loop: np.where(x > 0, loop(x), 0.0))(0.0) == 0.0


def test_entries_that_are_not_chosen_never_count() -> None:
    """A select behind a loop, whose slopes are infinite in some entries."""
    x = np.array([0.0, 4.0, 1.0])
    picked = x > 0
    loops: dict[str, Callable[[Any, Any], Any]] = {
        "fori": lambda ops, x: ops.fori_loop(0, 2, lambda i, c: np.sqrt(c), x),
        "rows": lambda ops, x: ops.scan(
            lambda c, r: (c * r, np.sqrt(c) * r), x, np.array([[2.0], [0.5]])
        )[1][1],
        "consts": lambda ops, x: ops.scan(
            lambda c, _: (c + np.log(1.0 + np.sqrt(x)), None), x, None, length=2
        )[0],
        "cond": lambda ops, x: ops.scan(
            lambda c, r: (
                np.where(picked, ops.cond(r > 0, np.sqrt, lambda c: c**0.25, c), 0.0),
                None,
            ),
            x,
            np.array([1.0, -1.0]),
        )[0],
    }
    for loop in loops.values():

        def f(ops: Any, x: Any, loop: Any = loop) -> Any:
            if ops is cr:
                return np.where(picked, loop(ops, x), 0.0)
            return np.where(picked, loop(ops, np.where(picked, x, 1.0)), 0.0)

        for derive in (
            lambda f: cr.grad(lambda x: np.sum(f(x)))(x),
            lambda f: cr.jacobian(f)(x),
            lambda f: cr.hessian(lambda x: np.sum(f(x)))(x),
            lambda f: cr.grad(lambda x: np.sum(cr.grad(lambda x: np.sum(f(x)))(x)))(x),
        ):
            wanted = derive(functools.partial(f, Plain))
            assert_same(derive(functools.partial(f, cr)), wanted)


# ---- what else works on loops --------------------------------------------------------------------


def test_formulas_are_unrolled() -> None:
    def f(x: Any) -> Any:
        def body(c: Any, k: Any) -> Any:
            return cr.cond(c > 2.0, lambda c: c * x, lambda c: c + k, c), None

        return cr.scan(body, 1.0, np.arange(3.0))[0]

    formula = cr.symbolic(f, 2.0)
    assert str(formula.value) == str(cr.symbolic(lambda x: 1.0 + 1.0 + 2.0 + 0 * x, 2.0).value)
    g = lambda x: cr.while_loop(lambda c: c < 20.0, lambda c: c * x, x)
    formula = cr.symbolic(g, 3.0)
    assert str(formula.value) == "x**3"
    assert "for the branch taken" in formula.report()
    assert str(cr.symbolic(cr.grad(g), 3.0).value) in ("3*x**2", "x**2 + 2*x*x")


def test_kinks_in_a_body_are_found_at_their_line() -> None:
    def f(x: Any) -> Any:
        def body(c: Any, k: Any) -> Any:
            return np.abs(c - 1.0), None

        return cr.scan(body, x, np.arange(3.0))[0]

    report = cr.differentiability(f, 1.0)
    (found,) = report.findings
    assert (found.kind, found.text, found.times) == ("kink", "np.abs(c - 1.0)", 2)


def test_all_methods_agree() -> None:
    table = cr.compare(lambda x: cr.fori_loop(0, 4, lambda i, c: np.sin(c) * x + i, x), 0.7)
    assert {"symbolic", "forward mode", "reverse mode"} <= {row.method for row in table.rows}


# ---- random programs -----------------------------------------------------------------------------


UNARY = (np.sin, np.tanh, lambda v: v * v * 0.3, lambda v: np.exp(-(v**2)), lambda v: v[::-1])
BINARY = (np.add, np.multiply, np.subtract, np.maximum, lambda u, v: u * np.sum(v))


def random_body(rng: np.random.Generator, ops: Any, depth: int, free: Any) -> Callable[..., Any]:
    """A body of a few random operations, with loops and choices inside."""
    plan = [
        (int(rng.integers(7)), int(rng.integers(5)), int(rng.integers(4)), rng.integers(2**31))
        for _ in range(int(rng.integers(2, 5)))
    ]

    def body(c: Any, row: Any) -> Any:
        values = [c, row, free]
        for kind, which, place, seed in plan:
            left, right = values[place % len(values)], values[(place + which) % len(values)]
            inner = np.random.default_rng(seed)
            if kind < 3 or depth == 0:
                new = UNARY[which](left) if kind % 2 else BINARY[which](left, right)
            elif kind == 3:
                taken = random_body(inner, ops, depth - 1, free)
                new = ops.cond(
                    np.sum(left) > 0.1, lambda u, v, t=taken: t(u, v)[0], lambda u, v: u - v,
                    left, right,
                )  # fmt: skip
            elif kind == 4:
                step = random_body(inner, ops, depth - 1, left)
                new = ops.fori_loop(0, 2, lambda i, u, s=step, r=right: s(u, r)[0] + i, left)
            elif kind == 5:
                step = random_body(inner, ops, depth - 1, free)
                rows = np.stack([left, right])
                new = ops.scan(step, right, rows, reverse=bool(which % 2))[0]
            else:
                new = ops.while_loop(
                    lambda p: p[1] < 2.0, lambda p, r=right: (np.sin(p[0]) + r, p[1] + 0.7),
                    (left, 0.0),
                )[0]  # fmt: skip
            values.append(np.tanh(new))
        return values[-1], np.sum(values[-1] * c)

    return body


@given(st.integers(0, 2**31 - 1))
def test_random_programs(seed: int) -> None:
    def program(ops: Any, a: Any, x: Any) -> Any:
        body = random_body(np.random.default_rng(seed), ops, 2, a)
        last, ys = ops.scan(body, a, x)
        return np.sum(last) + np.sum(ys**2)

    for name in ("value", "grad", "jvp", "forward over reverse", "vmap of grad"):
        compose = COMPOSITIONS[name]
        wanted = compose(functools.partial(program, Plain), one_by_one)
        assert_same(compose(functools.partial(program, cr), cr.vmap), wanted)


def test_results_that_do_not_vary() -> None:
    def f(x: Any) -> Any:
        def body(c: Any, row: Any) -> Any:
            count, kept = c
            return (count + 1, kept), (cr.stop_gradient(row) + count, count)

        (count, _), (ys, counts) = cr.scan(body, (0, x[0]), x)
        chosen = cr.scan(
            lambda c, k: (cr.cond(k > 1, lambda: 2.0 * k, lambda: 1.0) + c, None), 0.0, counts
        )[0]
        return np.sum(ys) * 1.0 + np.sum(counts) + count + chosen

    assert_same(cr.grad(f)(A), np.zeros(3))
    assert_same(cr.jvp(f, (A,), (A,))[1], np.float64(0.0))
    assert_same(cr.hessian(f)(A), np.zeros((3, 3)))


def test_loops_without_any_value() -> None:
    assert cr.scan(lambda c, x: (c, None), None, A) == (None, None)
    assert cr.fori_loop(0, 3, lambda i, c: c, {}) == {}
    assert_same(cr.vmap(lambda x: cr.cond(x > 0, lambda: (), lambda: ()) or x)(A), A)


def test_cotangents_that_nobody_wants_are_not_computed() -> None:
    data = np.arange(12.0).reshape(4, 3)

    def f(w: Any) -> Any:
        def body(c: Any) -> Any:
            grown = cr.cond(c[1] > 2.0, lambda: np.sum(np.tanh(data @ w)), lambda: np.sum(data))
            return 0.5 * c[0] + grown, c[1] + 1.0

        return cr.while_loop(lambda c: c[1] < 4.0, body, (np.sum(w), 0.0))[0]

    assert_same(cr.grad(f)(A), cr.jacfwd(f)(A))
    program = cr.trace(cr.grad(f), A)
    (back,) = (e for e in program.equations if e.primitive.name == "while_transpose")
    assert data.shape not in {var.type.shape for var in back.outputs}
    (chosen,) = (e for e in back.params["back"].equations if e.primitive.name == "cond")
    assert data.shape not in {var.type.shape for var in chosen.outputs}
