"""Derivatives inside derivatives: closures, control flow, leaked values, threads, pullbacks."""

import threading

import numpy as np
import pytest

import chainrule as cr

V = np.array([0.3, 0.7, 1.1])


def f(x):
    return np.sin(x) * x * x


def d1(x):
    return np.cos(x) * x**2 + 2 * x * np.sin(x)


def d2(x):
    return (2 - x**2) * np.sin(x) + 4 * x * np.cos(x)


def slope(g, x, h=1e-5):
    """Fourth-order central difference."""
    return (8 * (g(x + h) - g(x - h)) - (g(x + 2 * h) - g(x - 2 * h))) / (12 * h)


def curvature(g, x, h=1e-3):
    near, far = g(x + h) + g(x - h), g(x + 2 * h) + g(x - 2 * h)
    return (16 * near - far - 30 * g(x)) / (12 * h * h)


# ---- perturbations that must not be confused -----------------------------------------------------


def test_two_levels():
    assert cr.grad(lambda x: x * cr.grad(lambda y: x + y)(2.0))(1.0) == 1.0


def test_three_levels():
    def outer(x):
        return cr.grad(lambda y: y * cr.grad(lambda z: x * y * z * z)(y))(x)

    # d/dz = 2xyz at z=y: y·2xy² = 2xy³; d/dy: 6xy² at y=x: 6x³.
    np.testing.assert_allclose(cr.grad(outer)(1.3), 18 * 1.3**2)


def test_three_levels_forward():
    def outer(x):
        def middle(y):
            return x * y * cr.jvp(lambda z: x * y * z, [x], [y])[1]

        return cr.jvp(middle, [x], [x])[1]

    # inner: x·y·y; middle: x²y³, by y along x: 3x²y²·x at y=x: 3x⁵.
    np.testing.assert_allclose(cr.grad(outer)(1.3), 15 * 1.3**4)


@pytest.mark.parametrize("mode", ["forward over reverse", "reverse over forward"])
def test_modes_keep_apart(mode):
    def inner_jvp(x):
        return x * cr.jvp(lambda y: x * y, (2.0,), (1.0,))[1]

    def inner_grad(x):
        return x * cr.grad(lambda y: x * y)(2.0)

    if mode == "forward over reverse":
        assert cr.jvp(inner_grad, (3.0,), (1.0,))[1] == 6.0
    else:
        assert cr.grad(inner_jvp)(3.0) == 6.0


def test_outer_value_returned_by_an_inner_function():
    assert cr.grad(lambda x: x * cr.grad(lambda y: x)(1.0))(2.0) == 0.0


def test_tangent_depends_on_the_outer_variable():
    found = cr.grad(lambda x: cr.jvp(f, [x], [x * x])[1])(0.7)
    np.testing.assert_allclose(found, slope(lambda x: d1(x) * x * x, 0.7), rtol=1e-9)


def test_vjp_closes_over_outer_values_everywhere():
    def by_pullback(x):
        w = np.exp(x)
        out, pull = cr.vjp(lambda y: np.sin(y * w) * x, x * w)
        return pull(np.cos(w))[0] * out

    def by_hand(x):
        w = np.exp(x)
        y = x * w
        return np.cos(w) * np.cos(y * w) * w * x * np.sin(y * w) * x

    np.testing.assert_allclose(cr.grad(by_pullback)(0.3), slope(by_hand, 0.3), rtol=1e-8)
    np.testing.assert_allclose(
        cr.grad(cr.grad(by_pullback))(0.3), curvature(by_hand, 0.3), rtol=1e-6
    )


# ---- vmap in every place -------------------------------------------------------------------------


def test_vmap_of_derivatives():
    np.testing.assert_allclose(cr.vmap(cr.grad(f))(V), d1(V))
    np.testing.assert_allclose(cr.vmap(cr.grad(cr.grad(f)))(V), d2(V))
    np.testing.assert_allclose(cr.vmap(lambda x: cr.jvp(cr.grad(f), [x], [x])[1])(V), d2(V) * V)


def test_derivative_of_vmap():
    np.testing.assert_allclose(cr.grad(lambda v: np.sum(cr.vmap(f)(v) * v))(V), d1(V) * V + f(V))

    def of_scale(s):
        return np.sum(cr.vmap(f)(V * s) * V)

    np.testing.assert_allclose(cr.grad(cr.grad(of_scale))(0.9), np.sum(d2(V * 0.9) * V**3))


def test_closures_in_both_directions():
    inner = cr.grad(lambda s: np.sum(cr.vmap(cr.grad(lambda x: np.sin(x * s) * s))(V)))
    s = 0.9
    np.testing.assert_allclose(inner(s), np.sum(2 * s * np.cos(V * s) - s * s * V * np.sin(V * s)))

    def of_example(s):
        return cr.grad(lambda x: np.sin(x * s) * s)(s * 2.0)

    np.testing.assert_allclose(cr.vmap(of_example)(V), V * V * np.cos(2 * V * V))
    np.testing.assert_allclose(
        cr.vmap(cr.grad(of_example))(V),
        2 * V * np.cos(2 * V * V) - 4 * V**3 * np.sin(2 * V * V),
    )


def test_vmap_of_vmap():
    def table(v):
        return cr.vmap(lambda a: cr.vmap(lambda b: np.sin(a * b))(v))(v)

    np.testing.assert_allclose(table(V), np.sin(np.outer(V, V)))

    def total(v):
        inner = lambda a: cr.vmap(cr.grad(lambda b: np.sin(a * b) * b))(v)
        return np.sum(cr.vmap(inner)(v))

    def by_hand(v):
        a, b = v[:, None], v[None, :]
        return np.sum(np.sin(a * b) + a * b * np.cos(a * b))

    found = cr.grad(total)(V)
    for k in range(3):
        unit = np.eye(3)[k]
        np.testing.assert_allclose(
            found[k], slope(lambda t, unit=unit: by_hand(V + t * unit), 0.0), rtol=1e-8
        )


def test_indexing_at_two_levels():
    def outer(v):
        return cr.grad(lambda v: v[0] * v[1] * v[2] * v[0])(v)[0] * v[1]

    # 2·v0·v1·v2·v1
    expected = 2 * np.array([V[1] ** 2 * V[2], 2 * V[0] * V[1] * V[2], V[0] * V[1] ** 2])
    np.testing.assert_allclose(cr.grad(outer)(V), expected)


# ---- control flow on traced values ---------------------------------------------------------------


def test_newton_with_jvp_in_the_loop():
    def cube_root(a):
        x = 1.0
        for _ in range(50):
            value, derivative = cr.jvp(lambda z: z * z * z - a, [x], [1.0])
            step = value / derivative
            x = x - step
            if step * step < 1e-24:
                break
        return x

    np.testing.assert_allclose(cube_root(2.0), 2 ** (1 / 3))
    np.testing.assert_allclose(cr.grad(cube_root)(2.0), 2 ** (-2 / 3) / 3)
    np.testing.assert_allclose(cr.grad(cr.grad(cube_root))(2.0), -2 / 9 * 2 ** (-5 / 3), rtol=1e-6)


def test_while_on_a_traced_value():
    def grow(a):
        x = a
        while x < 10.0:
            x = x + cr.jvp(lambda z: z * z * a, [x], [1.0])[1]
        return x

    def plain(a):
        x = a
        while x < 10.0:
            x = x + 2 * x * a
        return x

    np.testing.assert_allclose(cr.grad(grow)(0.4), slope(plain, 0.4), rtol=1e-8)
    np.testing.assert_allclose(cr.grad(cr.grad(grow))(0.4), curvature(plain, 0.4), rtol=1e-6)


@pytest.mark.parametrize("x", [0.5, 1.5])
def test_if_on_an_inner_derivative(x):
    def branch(x):
        d = cr.grad(lambda y: np.sin(y * x))(x)
        return d * x if d > 0 else np.exp(d)

    def inner(x):
        return x * np.cos(x * x)

    taken = (lambda x: inner(x) * x) if inner(x) > 0 else (lambda x: np.exp(inner(x)))
    np.testing.assert_allclose(cr.grad(branch)(x), slope(taken, x), rtol=1e-8)
    np.testing.assert_allclose(cr.grad(cr.grad(branch))(x), curvature(taken, x), rtol=1e-6)


def test_if_on_a_shared_value_inside_vmap():
    def total(w):
        return np.sum(cr.vmap(lambda x: x * w * w if w * 2.0 > 1 else x)(V))

    np.testing.assert_allclose(cr.grad(total)(0.9), np.sum(V) * 1.8)


# ---- values that outlive their trace -------------------------------------------------------------


def test_inner_value_used_outside():
    keep = []

    def leaky(x):
        def inner(y):
            keep.append(x * y)
            return x * y * y

        return cr.grad(inner)(3.0) + keep[-1]

    assert cr.grad(leaky)(2.0) == 9.0


def test_memo_filled_inside_an_inner_trace():
    memo = {}

    def memoised(x):
        def h(k):
            if k not in memo:
                memo[k] = np.sin(x) * k
            return memo[k]

        return cr.grad(lambda y: y * y * h(2))(1.0) * h(2)

    np.testing.assert_allclose(cr.grad(memoised)(0.5), 16 * np.sin(0.5) * np.cos(0.5))


def test_generator_resumed_inside_an_inner_trace():
    def steps(x):
        y = np.sin(x)
        yield y
        yield y * x

    def interleaved(x):
        it = steps(x)
        a = next(it)
        b = cr.grad(lambda z: z * z * next(it))(2.0)
        return a * b

    exact = slope(lambda x: 4 * x * np.sin(x) ** 2, 0.5)
    np.testing.assert_allclose(cr.grad(interleaved)(0.5), exact, rtol=1e-9)


def test_values_of_a_finished_trace_are_plain():
    kept = []
    cr.grad(lambda x: kept.append(x * 2.0) or x)(3.0)
    assert np.sin(kept[0]) == np.sin(6.0)
    assert float(kept[0]) == 6.0


def test_pullback_later_twice_and_inside_other_traces():
    out, pull = cr.vjp(lambda y: np.sin(y) * y, 0.5)
    d = 0.5 * np.cos(0.5) + np.sin(0.5)
    np.testing.assert_allclose(out, 0.5 * np.sin(0.5))
    np.testing.assert_allclose(cr.grad(lambda c: pull(c * c)[0])(3.0), 6 * d)
    np.testing.assert_allclose(pull(1.0)[0], d)
    np.testing.assert_allclose(pull(1.0)[0], d)
    np.testing.assert_allclose(cr.vmap(lambda c: pull(c)[0])(V), V * d)
    np.testing.assert_allclose(cr.jvp(lambda c: pull(c)[0], (1.0,), (2.0,))[1], 2 * d)


def test_jvp_of_a_pullback():
    def hv(x):
        _, pull = cr.vjp(lambda y: np.sin(y * x) * y, x * x)
        return cr.jvp(lambda c: pull(c * x)[0], [x], [1.0])[1]

    def by_hand(x):
        y = x * x
        return x * (np.cos(y * x) * x * y + np.sin(y * x))

    np.testing.assert_allclose(hv(0.6), by_hand(0.6))
    np.testing.assert_allclose(cr.grad(hv)(0.6), slope(by_hand, 0.6), rtol=1e-8)


def test_tangent_map_inside_another_trace():
    _, push = cr.linearize(f, 0.7)
    np.testing.assert_allclose(cr.grad(lambda t: push(t * t))(3.0), 6 * d1(0.7))

    def of_point(x):
        return cr.linearize(f, x)[1](x)

    np.testing.assert_allclose(cr.grad(of_point)(0.7), d2(0.7) * 0.7 + d1(0.7))


# ---- threads -------------------------------------------------------------------------------------


def test_operations_on_another_thread():
    def split(x):
        parts = [None] * 4

        def work(i):
            parts[i] = np.sin(x * float(i + 1))

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return parts[0] + parts[1] + parts[2] + parts[3]

    exact = sum((i + 1) * np.cos((i + 1) * 0.5) for i in range(4))
    np.testing.assert_allclose(cr.grad(split)(0.5), exact)


def test_many_threads_at_once():
    wrong = []

    def work(k):
        x = 0.1 * (k + 1)
        for _ in range(30):
            found = cr.grad(lambda x: np.sum(np.array([x, x * x]) * np.ones(2)) * np.sin(x))(x)
            exact = (1 + 2 * x) * np.sin(x) + (x + x * x) * np.cos(x)
            if abs(found - exact) > 1e-12:
                wrong.append((k, found, exact))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
