"""The lectures' line-by-line sweeps, gate patterns, tables and warnings."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit

import chainrule as cr


def test_reverse_sweep_of_exp_log_sin():
    """D-a: the cotangent of every intermediate, from the output down."""
    a, b = 6.0, math.log(2)
    c = math.sin(b)
    d, e, f = math.exp(a), a / b, c / a
    _, pull = cr.vjp(lambda d, e, f: d + e + f, d, e, f)
    assert [float(g) for g in pull(1.0)] == [1, 1, 1]
    (by_c,) = cr.vjp(lambda c: c / a, c)[1](1.0)
    np.testing.assert_allclose(by_c, 1 / 6, rtol=1e-15)
    (by_b,) = cr.vjp(lambda b: a / b + np.sin(b) / a, b)[1](1.0)
    np.testing.assert_allclose(by_b, -12.360007402472986, rtol=1e-14)
    (by_a,) = cr.vjp(lambda a: np.exp(a) + a / b + c / a, a)[1](1.0)
    np.testing.assert_allclose(by_a, 404.853739609282, rtol=1e-13)


def test_forward_sweep_of_exp_log_sin():
    """D-a: tangents of a, b, c, d, e, f, y for the direction x."""
    x, z = 2.0, 3.0

    def steps(x):
        a, b = x * z, np.log(x)
        c = np.sin(b)
        d, e, f = np.exp(a), a / b, c / a
        return a, b, c, d, e, f, d + e + f

    _, tangents = cr.jvp(steps, (x,), (1.0,))
    b = math.log(2)
    exact = [3, 1 / 2, math.cos(b) / 2, 3 * math.exp(6), 3 / b - 3 / b**2]
    exact += [math.cos(b) / 12 - math.sin(b) / 12]
    exact += [sum(exact[3:])]
    np.testing.assert_allclose(tangents, exact, rtol=1e-14)


def test_sweeps_of_log_sigmoid():
    """L-a: a = x², b = wa, c = σ(b), L = −log c, at w = 1, x = 2."""

    def steps(w, x):
        a = x**2
        b = w * a
        c = expit(b)
        return a, b, c, -np.log(c)

    s = 1 / (1 + math.exp(-4))
    _, by_w = cr.jvp(steps, (1.0, 2.0), (1.0, 0.0))
    np.testing.assert_allclose(by_w, [0, 4, 4 * s * (1 - s), -4 * (1 - s)], rtol=1e-13)
    _, by_x = cr.jvp(steps, (1.0, 2.0), (0.0, 1.0))
    np.testing.assert_allclose(by_x, [4, 4, 4 * s * (1 - s), -4 * (1 - s)], rtol=1e-13)
    _, pull = cr.vjp(lambda c: -np.log(c), s)
    np.testing.assert_allclose(pull(1.0)[0], -1 / s, rtol=1e-15)
    _, pull = cr.vjp(lambda b: -np.log(expit(b)), 4.0)
    np.testing.assert_allclose(pull(1.0)[0], s - 1, rtol=1e-12)


def test_three_forward_sweeps_or_one_reverse():
    """L-b: both give the same gradient."""
    w, x = np.array([1.0, -2.0, 3.0]), np.array([0.5, 1.0, -1.0])

    def f(x):
        return -np.log(expit(w @ x))

    forward = [cr.jvp(f, (x,), (e,))[1] for e in np.eye(3)]
    np.testing.assert_allclose(cr.grad(f)(x), forward, rtol=1e-14)
    np.testing.assert_allclose(forward, [-0.98901306, 1.97802611, -2.96703917], rtol=1e-8)


def test_local_and_total_derivative():
    """L-c: c = ab with a = x², b = 5a: ∂c/∂a = b, dc/da = 10a."""
    a = 4.0
    local = cr.grad(lambda a, b: a * b)(a, 5 * a)
    total = cr.grad(lambda a: a * (5 * a))(a)
    assert (float(local), float(total)) == (20.0, 40.0)


def test_sweeps_of_product_plus_sine():
    """G-a: every intermediate's dot and bar value at (π/2, 2)."""

    def steps(x1, x2):
        v3 = x1 * x2
        v4 = np.sin(x1)
        return v3, v4, v3 + v4

    point = (math.pi / 2, 2.0)
    values, dots = cr.jvp(steps, point, (1.0, 0.0))
    np.testing.assert_allclose(values, [math.pi, 1, math.pi + 1])
    np.testing.assert_allclose(dots, [2, 0, 2], atol=1e-15)
    _, dots = cr.jvp(steps, point, (0.0, 1.0))
    np.testing.assert_allclose(dots, [math.pi / 2, 0, math.pi / 2], atol=1e-15)
    _, pull = cr.vjp(lambda v3, v4: v3 + v4, math.pi, 1.0)
    assert [float(bar) for bar in pull(1.0)] == [1, 1]
    _, pull = cr.vjp(lambda *x: steps(*x)[2], *point)
    np.testing.assert_allclose(pull(1.0), [2, math.pi / 2])


def test_gate_patterns():
    """B-d: add distributes, max routes, multiply switches; gradients add at branches."""
    assert [float(g) for g in cr.grad(lambda x, y: 7 * (x + y), (0, 1))(3.0, -4.0)] == [7, 7]
    assert [float(g) for g in cr.grad(lambda x, y: 7 * np.maximum(x, y), (0, 1))(3.0, -4.0)] == [
        7,
        0,
    ]
    assert [float(g) for g in cr.grad(lambda x, y: 7 * (x * y), (0, 1))(3.0, -4.0)] == [-28, 21]
    assert float(cr.grad(lambda x: 2 * x + 3 * x + x * x)(5.0)) == 2 + 3 + 10


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_logistic_map_of_every_length(n):
    """G-b: l₁ … l₄ by the loop and by the formula."""
    closed = [
        lambda x: x,
        lambda x: 4 * x * (1 - x),
        lambda x: 16 * x * (1 - x) * (1 - 2 * x) ** 2,
        lambda x: 64 * x * (1 - x) * (1 - 2 * x) ** 2 * (1 - 8 * x + 8 * x**2) ** 2,
    ][n - 1]

    def loop(x):
        for _ in range(n - 1):
            x = 4 * x * (1 - x)
        return 1.0 * x

    for x in (0.25, 0.3, 0.9):
        np.testing.assert_allclose(loop(x), closed(x), rtol=1e-12)
        np.testing.assert_allclose(cr.grad(loop)(x), cr.grad(closed)(x), rtol=1e-11)


def test_the_forward_difference_table():
    """G-e: h = 1e−4 and three printed losses give −2.5, 0.6, 0."""
    w = np.array([0.34, -1.11, 0.78])
    losses = {0: 1.25322, 1: 1.25353, 2: 1.25347}

    def loss(v):
        moved = np.flatnonzero(np.asarray(v) != w)
        return losses[int(moved[0])] if moved.size else 1.25347

    table = [(loss(w + 1e-4 * e) - loss(w)) / 1e-4 for e in np.eye(3)]
    np.testing.assert_allclose(table, [-2.5, 0.6, 0], atol=1e-9)
    found = cr.finite_difference(loss, method="forward", step=1e-4)(w)
    np.testing.assert_allclose(found, [-2.5, 0.6, 0], atol=1e-6)


def test_the_routing_of_a_maximum():
    """G-c: x₁ loses against x₂, and its gradient is exactly zero."""
    x = np.array([1.0, 2.0, 6.0, 3.0, 1.0, 1.0])
    slopes = cr.grad(lambda x: np.maximum(x[0], x[1]) * x[2] / x[3] - (x[4] + x[5]))(x)
    np.testing.assert_allclose(slopes, [0, 2, 2 / 3, -4 / 3, -1, -1], rtol=1e-15)


def test_all_ones_are_outside_the_domain():
    """G-c: log(−5) has no real value, and a tie in the maximum; both are named, with their line."""

    def f(x):
        inside = 5 * (np.maximum(x[0], x[1]) * x[2] / x[3] - (x[4] + x[5]))
        return expit(np.log(inside)) + 1 / 2

    with np.errstate(invalid="ignore"):
        report = cr.differentiability(f, np.ones(6))
    found = {finding.kind: finding.text for finding in report.findings}
    assert not report.smooth
    assert "np.log(inside)" in found["domain"]  # Python 3.10 keeps no columns
    assert "np.maximum(x[0], x[1])" in found["kink"]
