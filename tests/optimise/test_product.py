"""Sums of products as products of sums."""

import numpy as np
import pytest

import chainrule as cr
from chainrule.ir.verify import verify
from chainrule.optimise.cleanup import prune
from chainrule.optimise.product import distribute
from chainrule.tracing.stage import evaluate, trace_program

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(4, 30, 5)), RNG.normal(size=(4, 5, 6))


def widest(program):
    """Entries of the largest product."""
    sizes = [e.outputs[0].type.size for e in program.equations if e.primitive.name == "matmul"]
    return max(sizes)


@pytest.mark.parametrize(
    ("f", "size"),
    [
        (lambda a, b: np.sum(a @ b, axis=1), 24),
        (lambda a, b: np.sum(a @ b, axis=2), 120),
        (lambda a, b: np.sum(-(a @ b), axis=1), 24),
        (lambda a, b: np.sum(a @ b[0], axis=1), 24),
        (lambda a, b: np.sum(a[0] @ b, axis=1), 24),
        (lambda a, b: np.sum(a @ b, axis=1, keepdims=True) * 2, 24),
    ],
)
def test_rows_and_columns_are_added_up_first(f, size):
    program = trace_program(f, A, B, values=False)
    made = verify(prune(distribute(program)))
    assert widest(made) == size
    np.testing.assert_allclose(evaluate(made, A, B)[0], f(A, B), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: np.sum(a @ b, axis=0),
        lambda a, b: np.sum(a @ b, axis=(1, 2)),
        lambda a, b: (lambda c: np.sum(c, axis=1) + c[:, 0])(a @ b),
        lambda a, b: np.sum(a[0] @ b[0, :, 0], axis=0),
    ],
)
def test_others_stay(f):
    program = trace_program(f, A, B, values=False)
    assert distribute(program) is program


def test_whole_numbers_stay():
    a, b = np.ones((3, 4), int), np.ones((4, 5), int)
    program = trace_program(lambda a, b: np.sum(a @ b, axis=0), a, b, values=False)
    assert distribute(program) is program


def test_infinities_and_nan():
    a, b = A[0].copy(), B[0].copy()
    a[3, 1], b[2, 2] = np.inf, np.nan
    compiled = cr.jit(lambda a, b: np.sum(a @ b, axis=0))
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(compiled(a, b), np.sum(a @ b, axis=0), rtol=1e-12)


def test_a_gradient_through_rows_that_share_something():
    def f(means, roots, points):
        return np.sum(np.tanh((points[None] - means[:, None]) @ roots))

    means, points = RNG.normal(size=(3, 5)), RNG.normal(size=(40, 5))
    roots = RNG.normal(size=(3, 5, 5))
    found = cr.jit(cr.grad(f, (0, 1)))(means, roots, points)
    for left, right in zip(found, cr.grad(f, (0, 1))(means, roots, points), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-10, atol=1e-11)
