"""Arrays made inside a traced function: memory at first, traced once a traced value is written."""

from __future__ import annotations

import copy
import functools
import math
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.interpolate
import scipy.linalg
import scipy.optimize

import chainrule as cr
from chainrule.base.errors import ArgumentError, ChainruleError, DtypeError, TraceError

X = np.array([0.3, 0.7, 1.1])


def fill(x: Any) -> Any:
    b = np.zeros(3)
    for i in range(3):
        b[i] = x[i] * x[0] * 2
    return b * 1.0


def view(x: Any) -> Any:
    b = np.zeros(3)
    c = b[1:]
    c[0] = x[0] * x[1]
    return b * b + b[1] * c[0]


def transposed(x: Any) -> Any:
    b = np.empty((2, 2))
    b.T[0] = x[:2]
    b[:, 1] = x[1:] * x[0]
    return b.reshape(4) * np.arange(4.0) + b.sum() + (b @ b)[0, 1]


def in_place(x: Any) -> Any:
    b = np.zeros(3)
    b += x
    b *= x
    b[0] += x[1]
    np.multiply(b, 2.0, out=b)
    b **= 2
    return b / 3.0


def mask(x: Any) -> Any:
    b = np.ones(3)
    b[np.array([True, False, True])] = x[:2] * x[1]
    b[b > 0.75] = x[2]
    return np.concatenate([b * b, b.copy()])


def determinant(x: Any) -> Any:
    return np.linalg.det(np.array([[x[0], x[1]], [1.0, x[2] * x[0]]]))


def solution(x: Any) -> Any:
    a = np.zeros((2, 2))
    a[0, 0] = x[0]
    a[1, 1] = x[1]
    a[0, 1] = 1.0
    return np.linalg.solve(a, np.array([x[2], 1.0]))


def mathematics(x: Any) -> Any:
    return math.sin(x[0]) * math.sqrt(x[1]) + math.exp(x[2]) + math.log(x[1], 3) + math.pow(x[0], 2)


def lists(x: Any) -> Any:
    b = np.zeros(2)
    b[:] = [x[0], x[1] * 2]
    return np.array([b, [x[2], 1.0]])


def column_major(x: Any) -> Any:
    b = np.zeros((2, 3), order="F")
    b[0, 1] = x[0]
    b.T[2, 1] = x[1]
    b[:, 0] = x[1:]
    b.reshape(6)[0] = 99.0
    b.T.reshape(6)[0] = x[2]
    return b * 1.0


def views_by_functions(x: Any) -> Any:
    b = np.zeros(6)
    early = np.reshape(b[2:], (2, 2))
    b[0] = x[0]
    late = np.reshape(b[2:], (2, 2))
    early[1, 1] = x[1]
    late[0, 0] = x[2]
    np.split(b, 3)[0][1] = x[0] * x[1]
    np.flip(b)[1] = x[2] * 2.0
    np.ravel(b)[4] += 1.0
    b[None].swapaxes(0, 1)[3, 0] = x[0] * 3.0
    return b * 1.0


def asarray_is_the_same_array(x: Any) -> Any:
    b = np.zeros(5)
    np.asarray(b)[0] = x[0]
    np.asarray(b)[1] = x[1]
    np.asarray(b[2:])[0] = x[2]
    np.array(b)[3] = 9.0
    c = np.asarray([1.0, 2.0])
    c[1] = x[1]
    return np.concatenate([b, c])


def methods_that_write(x: Any) -> Any:
    b = np.zeros(6)
    b[0] = x[0]
    b[1:3].fill(x[1])
    b[3:].put([0, 2], x[1:])
    b[2:5].sort()
    b.flat[4] = x[2]
    b.flat = np.array([*b.flat])[::-1]
    return b * 1.0


def functions_that_write(x: Any) -> Any:
    b = np.zeros(6)
    np.copyto(b[:3], x)
    np.put(b, [3], x[0])
    np.add.at(b[4:], [0, 0], x[:2])
    c = np.ones((3, 3))
    np.fill_diagonal(c, x)
    np.putmask(c, c > 0.99, x[:2])
    return np.concatenate([b, c.ravel()])


def an_advanced_index_is_a_copy(x: Any) -> Any:
    b = np.zeros(4)
    c = b[[0, 1]]
    c[0] = x[0]
    b[1] = x[1]
    d = b[[1, 2]]
    d[1] = x[2]
    return np.concatenate([b, c, d])


def results_are_buffers_too(x: Any) -> Any:
    b = np.zeros(3) + 1.0
    b[0] = x[0]
    c = np.arange(3).astype(float)
    c[1] = x[1]
    d = np.linspace(0.0, 1.0, 3).copy()
    d[2] = x[2]
    return np.stack([b, c, d])


def likes(x: Any) -> Any:
    b = np.full_like(x, 2.0)
    b[1] = x[1]
    c = np.zeros_like(x)
    c[2] = x[0]
    d = np.ones_like(b)
    d[0] = x[0]
    e = np.empty_like(c)
    e[:] = x
    return np.stack([b, c, d, e, np.full(3, x[1])])


def copies(x: Any) -> Any:
    b = np.zeros(3)
    b[0] = x[0]
    c, d = copy.copy(b), copy.deepcopy(b)
    c[1], d[2] = x[1], x[2]
    return np.stack([b, c, d])


def iteration(x: Any) -> Any:
    b = np.zeros((2, 3))
    b[1] = x
    return np.array([v * 2 for row in b for v in row]) + sum(b[1]) + len(b)


def row_alias(x: Any) -> Any:
    b = np.zeros((2, 2))
    row = b[0]
    b[0] = x[:2]
    row[0] = 7.0 * x[2]
    b[1][0] = row[0] * x[0]
    b[1][1:] += row[1]
    return b * 1.0


def euler(x: Any) -> Any:
    y = np.zeros(20)
    y[0] = x[0]
    for i in range(19):
        y[i + 1] = y[i] + 0.05 * (-y[i] * x[1] + x[2])
    return y[-1] + y


def nested(x: Any) -> Any:
    b = np.zeros(2)
    b[0] = cr.grad(lambda z: np.array([z * z, z])[0] * x[1])(x[0])
    b[1] = x[2]
    return b * b


CASES = [
    fill, view, transposed, in_place, mask, determinant, solution, mathematics, lists, column_major,
    views_by_functions, asarray_is_the_same_array, methods_that_write, functions_that_write,
    an_advanced_index_is_a_copy, results_are_buffers_too, likes, copies, iteration, row_alias,
    euler, nested,
]  # fmt: skip
# Masks of traced values and sorting in place need values; these run without a batch or a program.
WITH_VALUES = {mask, methods_that_write, functions_that_write}


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_as_numpy_does(f: Callable[[Any], Any], everywhere: Callable[..., None]) -> None:
    everywhere(f, X, batch=f not in {functions_that_write}, staged=f not in WITH_VALUES)


# ---- SciPy ---------------------------------------------------------------------------------------


def spline(x: Any) -> Any:
    made = scipy.interpolate.CubicSpline([0, 1, 2, 3], [0, 1, 4, 9.0])
    return x * made(np.array([0.5, 1.5, 2.5]))


def ode_of_constants(x: Any) -> Any:
    solved = scipy.integrate.solve_ivp(lambda t, y: -y, (0, 1), [1.0])
    return solved.y[0, -1] * x * x


def minimum_of_constants(x: Any) -> Any:
    found = scipy.optimize.minimize(lambda z: np.sum((z - 1.0) ** 2), np.zeros(2))
    return x * x * found.x[0]


def integral_of_constants(x: Any) -> Any:
    return scipy.integrate.quad(lambda t: np.exp(-t), 0, 1)[0] * x


def system_of_constants(x: Any) -> Any:
    a = np.eye(3) + np.zeros((3, 3))
    return x * scipy.linalg.solve(a, np.ones(3)) * np.linalg.solve(a, np.ones(3))[0]


@pytest.mark.parametrize(
    "f",
    [
        spline, ode_of_constants, minimum_of_constants, integral_of_constants, system_of_constants,
    ],
)  # fmt: skip
def test_scipy_on_constants_is_undisturbed(f: Any, everywhere: Callable[..., None]) -> None:
    everywhere(f, X)


def decay(x: Any) -> Any:
    return scipy.integrate.solve_ivp(
        lambda t, y: -y * x[0], (0, 1), [1.0], method="RK45", rtol=1e-10, atol=1e-12
    ).y[0, -1]


def oscillator(x: Any) -> Any:
    return scipy.integrate.solve_ivp(
        lambda t, y: np.array([y[1], -x[0] * y[0]]), (0, 1), [1.0, x[1]], method="RK45",
        t_eval=np.linspace(0, 1, 5), rtol=1e-10, atol=1e-12,
    ).y[0]  # fmt: skip


def test_solve_ivp_of_a_traced_parameter() -> None:
    gradient = cr.grad(decay)(X)
    np.testing.assert_allclose(gradient, [-np.exp(-0.3), 0, 0], rtol=1e-8)
    np.testing.assert_allclose(cr.hessian(decay)(X)[0, 0], np.exp(-0.3), rtol=1e-6)
    w, t = np.sqrt(0.3), np.linspace(0, 1, 5)
    by_speed = cr.jacobian(oscillator)(X)[:, 1]
    np.testing.assert_allclose(by_speed, np.sin(w * t) / w, rtol=1e-7, atol=1e-9)


def test_newton_of_a_traced_parameter() -> None:
    def root(x: Any) -> Any:
        return scipy.optimize.newton(lambda z: z**3 - x[0], 1.0, tol=1e-14)

    def roots(x: Any) -> Any:
        return scipy.optimize.newton(
            lambda z: z * z - x, np.ones(3), fprime=lambda z: 2 * z, tol=1e-14
        )

    np.testing.assert_allclose(cr.grad(root)(X)[0], 0.3 ** (-2 / 3) / 3, rtol=1e-9)
    np.testing.assert_allclose(cr.jacobian(roots)(X), np.diag(0.5 / np.sqrt(X)), rtol=1e-9)


def test_quadrature_in_c_refuses_a_traced_integrand() -> None:
    with pytest.raises(TraceError):
        cr.grad(lambda x: scipy.integrate.quad(lambda t: np.exp(-t * x[0]), 0, 1)[0])(X)


# ---- before and after the trace ------------------------------------------------------------------

NAMES = {
    np: "zeros ones empty full array asarray arange linspace eye concatenate stack r_ c_",
    np.linalg: "det inv solve norm",
    math: "sin exp log sqrt pow erf",
}


def originals() -> list[Any]:
    return [vars(module)[name] for module, names in NAMES.items() for name in names.split()]


def test_everything_is_restored_after_an_error() -> None:
    before = originals()

    def f(x: Any) -> Any:
        np.zeros(3)
        cr.grad(lambda y: y * y)(x[0])
        raise RuntimeError("the user's own")

    with pytest.raises(RuntimeError, match="the user's own"):
        cr.grad(f)(X)
    assert all(now is then for now, then in zip(originals(), before, strict=True))
    assert type(np.zeros(2)) is np.ndarray


def test_other_threads_never_notice() -> None:
    before = originals()
    stop, wrong, rounds = threading.Event(), [], [0]

    def bystander() -> None:
        while not stop.is_set():
            made = np.zeros(3)
            made[0] = math.sin(1.0)
            if type(made) is not np.ndarray or made[0] != 0.8414709848078965:
                wrong.append(type(made))
            if np.r_[1.0, made].shape != (4,) or type(np.array([1.0, 2.0])) is not np.ndarray:
                wrong.append("r_")
            rounds[0] += 1

    def differentiate() -> None:
        for _ in range(40):
            if not np.allclose(cr.grad(lambda x: np.sum(fill(x)))(X), [4.8, 0.6, 0.6]):
                wrong.append("gradient")

    watcher = threading.Thread(target=bystander)
    workers = [threading.Thread(target=differentiate) for _ in range(3)]
    for thread in (watcher, *workers):
        thread.start()
    for thread in workers:
        thread.join()
    stop.set()
    watcher.join()
    assert not wrong
    assert rounds[0]
    assert all(now is then for now, then in zip(originals(), before, strict=True))


@functools.lru_cache
def table(n: int) -> Any:
    made = np.zeros(n)
    made[0] = 3.0
    return made


def test_buffers_that_stay() -> None:
    table.cache_clear()
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(np.zeros(2))
        kept[-1][0] = x[0]
        return np.sum(x * table(3)) + kept[-1][0]

    for _ in range(2):
        np.testing.assert_array_equal(cr.grad(f)(X), [4.0, 0.0, 0.0])
    np.testing.assert_array_equal(np.sin(table(3)), [math.sin(3.0), 0, 0])
    np.testing.assert_array_equal(kept[0] + 1, [1.3, 1.0])
    assert type(np.asarray(kept[0])) is np.ndarray
    kept[0][1] = 5.0
    np.testing.assert_array_equal(kept[0], [0.3, 5.0])


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_buffers_are_pickled_as_plain_arrays(protocol: int) -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.extend([np.zeros(3), np.ones((2, 2), order="F"), np.ones(4)[1:]])
        kept[1][0, 1] = x[0]
        kept[2][0] = x[1]
        return np.sum(x)

    cr.grad(f)(X)
    for buffer in kept:
        loaded = pickle.loads(pickle.dumps(buffer, protocol))  # noqa: S301 - our own bytes
        assert type(loaded) is np.ndarray
        np.testing.assert_array_equal(loaded, np.asarray(buffer))
    np.testing.assert_array_equal(kept[1], [[1.0, 0.3], [1.0, 1.0]])


def test_names_bound_during_a_trace() -> None:
    bound: list[Any] = []

    def f(x: Any) -> Any:
        bound.extend([np.zeros, np.array, np.concatenate, np.linalg.det, math.sin])
        return np.sum(x)

    cr.grad(f)(X)
    plain = [np.zeros, np.array, np.concatenate, np.linalg.det, math.sin]
    for wrapper, original in zip(bound, plain, strict=True):
        assert pickle.loads(pickle.dumps(wrapper)) is original  # noqa: S301 - our own bytes
        assert copy.deepcopy(wrapper) is original
        assert wrapper.__name__ == original.__name__
    assert type(bound[0](2)) is np.ndarray
    assert bound[4](1.0) == math.sin(1.0)


def test_results_are_plain() -> None:
    def f(x: Any) -> Any:
        b = np.zeros(3)
        b[0] = x[0]
        return {"buffer": b, "plain": np.ones(2), "view": b[:2]}

    out, tangent = cr.jvp(f, (X,), (X,))
    for tree in (out, tangent):
        assert {type(leaf) for leaf in tree.values()} == {np.ndarray}
    np.testing.assert_array_equal(out["view"], [0.3, 0.0])
    np.testing.assert_array_equal(tangent["buffer"], [0.3, 0.0, 0.0])


def test_conventions_know_an_untouched_buffer() -> None:
    """np.zeros is a literal zero until something is written; a computed zero is not."""
    zero = np.zeros(3)
    relu = cr.grad(lambda x: np.sum(np.maximum(x, np.zeros(3))))
    np.testing.assert_array_equal(relu(zero), [0, 0, 0])

    def written(x: Any) -> Any:
        b = np.zeros(3)
        b[1] = 0.0 * x[1]
        return np.sum(np.maximum(x, b))

    np.testing.assert_array_equal(cr.grad(written)(zero), [0.5, 0.5, 0.5])


# ---- refused -------------------------------------------------------------------------------------


def test_memory_read_by_c_code_is_never_silent() -> None:
    def f(x: Any) -> Any:
        b = np.zeros(3)
        b[0] = x[0]
        return np.frombuffer(memoryview(b)).sum() * x[0]

    with pytest.raises(cr.DomainError, match="has no value"):
        cr.grad(f)(X)
    assert np.isnan(cr.vjp(f, X)[1](1.0)[0][0])


def copied_by_c(b: Any) -> Any:
    return np.ndarray.copy(b)


def viewed(b: Any) -> Any:
    return b.view(np.int64) + 1


def as_bytes(b: Any) -> Any:
    return b.tobytes()


def as_number(b: Any) -> Any:
    return float(b[0])


@pytest.mark.parametrize("use", [copied_by_c, viewed, as_bytes, as_number])
def test_refused(use: Callable[[Any], Any]) -> None:
    def f(x: Any) -> Any:
        b = np.zeros(3)
        b[0] = x[0]
        return np.sum(use(b))

    with pytest.raises(TraceError):
        cr.grad(f)(X)


def test_an_integer_buffer() -> None:
    def f(x: Any) -> Any:
        b = np.zeros(3, int)
        b[0] = x[0]
        return np.sum(b)

    with pytest.raises(DtypeError) as caught:
        cr.grad(f)(X)
    assert "dtype int64 can't hold a traced float64" in str(caught.value)
    assert "test_buffers.py" in str(caught.value)


def test_a_read_only_buffer() -> None:
    def f(x: Any) -> Any:
        b = np.zeros(3)
        b[0] = x[0]
        np.diagonal(np.zeros((2, 2)))
        b.flags.writeable = False
        b[1] = x[1]
        return np.sum(b)

    with pytest.raises(ArgumentError, match="read-only"):
        cr.grad(f)(X)


def test_a_traced_value_cannot_be_pickled() -> None:
    with pytest.raises(ChainruleError, match="pickled"):
        cr.grad(lambda x: pickle.dumps(x))(X)


def test_complex_buffers() -> None:
    def f(x: Any) -> Any:
        b = np.zeros(3, complex)
        b.real, b.imag = x, 2.0 * x * x
        b[1] = x[0] * 1j
        return np.sum(b.real * b.imag) + np.sum(np.abs(b) ** 2)

    def by_hand(x: Any) -> Any:
        return 2 * (x[0] ** 3 + x[2] ** 3) + 2 * x[0] ** 2 + x[2] ** 2 + 4 * (x[0] ** 4 + x[2] ** 4)

    np.testing.assert_allclose(cr.grad(f)(X), cr.grad(by_hand)(X))

    def part(x: Any) -> Any:
        b = np.zeros(3, complex)
        b.real[1] = x[1]
        return np.sum(np.abs(b))

    with pytest.raises(TraceError, match="another dtype"):
        cr.grad(part)(X)


# ---- selects -------------------------------------------------------------------------------------


def test_indexing_is_a_select() -> None:
    v = np.array([0.0, 4.0])
    np.testing.assert_array_equal(cr.grad(lambda v: np.sqrt(v)[v > 0].sum())(v), [0, 0.25])
    np.testing.assert_array_equal(cr.grad(lambda v: np.sqrt(v)[1])(v), [0, 0.25])
    np.testing.assert_array_equal(cr.grad(lambda v: np.sqrt(v)[1:].sum())(v), [0, 0.25])
    np.testing.assert_array_equal(cr.grad(lambda v: np.split(np.sqrt(v), 2)[1].sum())(v), [0, 0.25])

    def overwritten(v: Any) -> Any:
        y = np.sqrt(v)
        y[0] = 1.0
        return np.sum(y)

    np.testing.assert_array_equal(cr.grad(overwritten)(v), [0, 0.25])
    np.testing.assert_array_equal(cr.vmap(cr.grad(overwritten))(v[None]), [[0, 0.25]])


VIEWS = {
    "transpose": lambda m: np.transpose(m, [1, 0]),
    "swapaxes": lambda m: np.swapaxes(m, 0, 1),
    "moveaxis": lambda m: np.moveaxis(m, 0, 1),
    "reshape": lambda m: np.reshape(m, (2, 3)),
    "ravel": np.ravel,
    "squeeze": np.squeeze,
    "flip": lambda m: np.flip(m, 0),
    "atleast_3d": lambda m: np.atleast_3d(m)[..., 0],
    "split": lambda m: np.split(m, [1])[1],
    "rot90": np.rot90,
    "zeros_like": lambda m: np.zeros_like(np.asfortranarray(m)),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_parts_of_views_that_functions_made(view: Any) -> None:
    def f(x: Any) -> Any:
        memory = np.zeros((3, 2))
        seen = view(memory)
        part = seen[1:]
        part += np.mean(x)
        seen[0] = x[0] ** 2
        return memory, seen

    x = np.array([1.5, -0.5])
    for found in (cr.jvp(f, (x,), (x,))[0], cr.jit(f)(x)):
        for left, right in zip(found, f(x), strict=True):
            np.testing.assert_allclose(left, right, rtol=1e-15)
