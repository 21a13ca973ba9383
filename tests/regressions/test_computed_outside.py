"""What a compiled function computes from arrays from outside is computed anew once they change."""

import numpy as np
import pytest

import chainrule as cr

M = np.array([1.0, 2.0, 3.0])
X = np.array([0.3, -0.2, 0.1])


def g(c):
    return np.sin(c * M) + M * np.array([0.1, 0.2, 0.3])


with_jvp = cr.custom_jvp(lambda x: g(x))
with_jvp.defjvp(lambda p, t: (g(p[0]), t[0] * M * 2))
with_vjp = cr.custom_vjp(lambda x: g(x))
with_vjp.defvjp(lambda x: (g(x), x), lambda _, slope: (slope * (M * 2),))


def scanned(f):
    return lambda x: np.sum(cr.scan(lambda c, k: (c + 0.1 * f(c), None), x, np.arange(3.0))[0])


def written(x):
    out = np.zeros(3)
    out[1:] = x[1:]
    out += M * 2
    return np.sum(out**2)


CASES = {
    "plainly": lambda x: np.sum(g(x)),
    "concatenate": lambda x: np.sum(np.concatenate([x, M * 2]) ** 2),
    "stack": lambda x: np.sum(np.stack([x, M * 2]) ** 2),
    "where": lambda x: np.sum(np.where(M * 2 > 3, x, M**2)),
    "index": lambda x: x[(M * 1).astype(int) % 3] @ np.arange(3.0),
    "matmul": lambda x: x @ (M * 2),
    "einsum": lambda x: np.einsum("i,i->", x, M * 2),
    "clip": lambda x: np.sum(np.clip(x, 0.1, M / 10)),
    "pad": lambda x: np.sum(np.pad(x, 1, constant_values=M.sum()) ** 2),
    "spread": lambda x: np.sum(x * np.broadcast_to(M[0] * 2, (3,))),
    "a number": lambda x: np.sum(x * M.sum()),
    "written": written,
    "scan": scanned(g),
    "scan gives it": lambda x: np.sum(cr.scan(lambda c, k: (c + k, M * 2), x, np.arange(2.0))[1]),
    "fori_loop": lambda x: np.sum(cr.fori_loop(0, 3, lambda i, c: c + i * g(c), x)),
    "while_loop": lambda x: np.sum(
        cr.while_loop(lambda c: np.sum(c) < 5, lambda c: c + g(c) * 0.1 + 1, x)
    ),
    "condition": lambda x: np.sum(
        cr.while_loop(lambda c: np.sum(c) < np.sum(M * 2), lambda c: c + 1, x)
    ),
    "cond": lambda x: np.sum(cr.cond(x[0] > 0, g, lambda c: c, x)),
    "cond gives it": lambda x: np.sum(cr.cond(x[0] > 0, lambda c: M * 2, lambda c: c, x)),
    "checkpoint": lambda x: np.sum(cr.checkpoint(g)(x)),
    "grad": lambda x: np.sum(cr.grad(lambda x: np.sum(g(x) ** 2))(x)),
    "vmap": lambda x: np.sum(cr.vmap(g)(np.stack([x, x]))),
    "vmap gives it": lambda x: np.sum(cr.vmap(lambda x: M * 2)(np.stack([x, x]))),
    "jit": lambda x: np.sum(cr.jit(g)(x)),
    "custom_jvp": lambda x: np.sum(with_jvp(x)),
    "its rule": lambda x: np.sum(cr.jvp(with_jvp, (x,), (x,))[1]),
    "custom_vjp": lambda x: np.sum(with_vjp(x)),
    "its own rule": lambda x: np.sum(cr.grad(lambda x: np.sum(with_vjp(x)))(x)),
    "custom_vjp in a scan": scanned(with_vjp),
    "its own rule in a scan": lambda x: np.sum(cr.grad(scanned(with_vjp))(x)),
    "scan in vmap": lambda x: np.sum(cr.vmap(scanned(g))(np.stack([x, x]))),
    "jacobian": lambda x: np.sum(cr.jacobian(g)(x)),
    "hessian": lambda x: np.sum(cr.hessian(lambda x: np.sum(g(x) ** 2))(x)),
}


@pytest.mark.parametrize("name", CASES)
def test_a_change_counts(name):
    f = CASES[name]
    compiled = cr.jit(f)
    before = compiled(X)
    np.testing.assert_allclose(before, f(X), rtol=1e-13)
    for change in (1.0, 2.0):  # the second one meets what the first left behind
        M[0] += change
        try:
            np.testing.assert_allclose(compiled(X), f(X), rtol=1e-13)
        finally:
            M[0] -= change
    np.testing.assert_allclose(compiled(X), before, rtol=1e-13)


@pytest.mark.parametrize("f", [with_jvp, with_vjp], ids=["custom_jvp", "custom_vjp"])
def test_a_change_counts_for_a_function_met_before(f):
    f(X), cr.jit(lambda x: f(x) * 2)(X)
    compiled = cr.jit(lambda x: np.sum(f(x)))
    before = compiled(X)
    M[0] += 1
    try:
        assert compiled(X) == pytest.approx(np.sum(f(X)))
        assert compiled(X) != before
    finally:
        M[0] -= 1
