"""What is written with other operations: within what their own bounds add up to, carried through.

So no function needs a bound of its own: softmax, a norm, a loss and its gradient, a recurrent
network are as good as the bounds of their operations say, on these very operands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special as sp

import chainrule as cr
from chainrule.base.trees import flatten
from chainrule.ops.pooling import average_pool, max_pool
from chainrule.tracing.stage import trace_program

engine = pytest.importorskip("chainrule.run.engine")
if not engine.available():
    pytest.skip("needs llvmlite", allow_module_level=True)

from mpmath import mp  # noqa: E402
from truth import check  # noqa: E402, F401 - enters references
from truth.number import PRECISION, exact, excess  # noqa: E402
from truth.program import carried  # noqa: E402

from chainrule.ir.bound import Carried  # noqa: E402

RNG = np.random.default_rng(3)
X, Y, W = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 4)), RNG.normal(size=(4, 3))
V, P = RNG.normal(size=7) * 5, RNG.uniform(0.1, 0.9, 5)
KNOTS = np.array([-1.0, 0.3, 0.9, 2.5])
SQUARE = W @ X + 2 * np.eye(4)
IMAGE = RNG.normal(size=(1, 4, 4, 1))
Function = Callable[..., Any]


def cross_entropy(w: Any, x: Any) -> Any:
    return -np.mean(sp.log_softmax(x @ w, axis=1)[np.arange(3), np.array([0, 2, 1])])


def layer_norm(x: Any) -> Any:
    away = x - np.mean(x, axis=1, keepdims=True)
    return away / np.sqrt(np.mean(away * away, axis=1, keepdims=True) + 1e-3)


def network(w: Any, x: Any) -> Any:
    return np.sum(np.tanh(x @ w) ** 2)


def forward_over_reverse(w: Any, x: Any) -> Any:
    return cr.jvp(cr.grad(network), (w, x), (w, x))[1]


def recurrent(w: Any, x: Any) -> Any:
    return cr.scan(
        lambda h, row: (np.tanh(w.T @ h + row), np.sum(h)), np.zeros(3, x.dtype), x[:, :3]
    )


def newton(a: Any) -> Any:
    return cr.fori_loop(0, 4, lambda k, x: (x + a / x) / 2, a)


def halved(x: Any) -> Any:
    return cr.while_loop(lambda x: np.sum(x * x) > 1, lambda x: x * np.exp(-x * x) / 2, x)


def chosen(x: Any) -> Any:
    return cr.cond(x[0] > 0, lambda x: np.sum(np.exp(x)), lambda x: np.log(np.sum(x * x)), x)


def uniform(x: Any) -> Any:
    return cr.random.uniform(3, (4,), x, x + 2, dtype=x.dtype)


def normal(x: Any) -> Any:
    return cr.random.normal(3, (4,), x, np.exp(x), dtype=x.dtype)


def gumbel(x: Any) -> Any:
    return cr.random.gumbel(3, (4,), x, np.exp(x), dtype=x.dtype)


COMPOSED: dict[str, tuple[Function, tuple[Any, ...]]] = {
    "softmax": (lambda x: sp.softmax(x, axis=1), (X * 9,)),
    "log_softmax": (lambda x: sp.log_softmax(x, axis=1), (X * 9,)),
    "logsumexp": (lambda x: sp.logsumexp(x, axis=0), (X * 9,)),
    "mean": (lambda x: np.mean(x, axis=1), (X,)),
    "var": (lambda x: np.var(x, axis=1, ddof=1), (X + 9,)),
    "std": (lambda x: np.std(x), (X,)),
    "average": (lambda x, w: np.average(x, weights=w, axis=0), (X, abs(Y))),
    "cov": (np.cov, (X,)),
    "median": (lambda x: np.median(x, axis=1), (X,)),
    "quantile": (lambda x: np.quantile(x, 0.3), (V,)),
    "norm": (np.linalg.norm, (X,)),
    "norm of order 3": (lambda x: np.linalg.norm(x, 3, axis=1), (X,)),
    "norm by rows": (lambda x: np.linalg.norm(x, np.inf), (X,)),
    "matrix power": (lambda a: np.linalg.matrix_power(a, 3), (SQUARE,)),
    "outer": (np.outer, (V[:3], P)),
    "kron": (np.kron, (X[:2, :2], Y[:2, :2])),
    "cross": (np.cross, (X[:, :3], Y[:, :3])),
    "tensordot": (lambda x, y: np.tensordot(x, y, 1), (X, W)),
    "polyval": (np.polyval, (P, V)),
    "interp": (np.interp, (V / 5, KNOTS, X[0])),
    "trapezoid": (np.trapezoid, (X,)),
    "gradient": (np.gradient, (V,)),
    "clip": (lambda x: np.clip(x, -0.5, 0.5) * x, (X,)),
    "average pool": (lambda x: average_pool(x, 2), (IMAGE,)),
    "max pool": (lambda x: max_pool(x, 2), (IMAGE,)),
    "layer norm": (layer_norm, (X,)),
    "cross entropy": (cross_entropy, (W, X)),
    "its gradient": (cr.grad(cross_entropy), (W, X)),
    "gradient of a network": (cr.grad(network), (W, X)),
    "Hessian of a norm": (cr.hessian(np.linalg.norm), (V[:3],)),
    "forward over reverse": (
        lambda w, x: cr.jvp(cr.grad(network), (w, x), (w, x))[1],
        (W[:, :2], X[:2]),
    ),
    "recurrent network": (recurrent, (W[:3], X)),
    "its derivative": (cr.grad(lambda w, x: np.sum(recurrent(w, x)[0])), (W[:3], X[:2])),
    "Newton's iteration": (newton, (abs(V),)),
    "its slope": (cr.grad(lambda a: np.sum(newton(a))), (abs(V[:3]),)),
    "while": (halved, (V,)),
    "its reverse": (cr.grad(lambda x: np.sum(halved(x))), (V,)),
    "cond": (chosen, (V,)),
    "uniform": (uniform, (X[0],)),
    "normal": (normal, (X[0],)),
    "gumbel": (gumbel, (X[0],)),
    "gelu and its slope": (cr.vmap(cr.value_and_grad(lambda x: x * sp.ndtr(x))), (V,)),
    "batched": (cr.vmap(lambda x: np.log(np.sum(np.exp(x)))), (X,)),
}


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", COMPOSED)
def test_within_the_bounds_of_its_operations(name: str, dtype: str) -> None:
    f, args = COMPOSED[name]
    given = [a.astype(dtype) for a in args]
    program = trace_program(f, *given, values=False)
    found, _ = flatten(cr.jit(f)(*given))
    truths = carried(lambda run: run.program(program, [exact(x) for x in given]))
    with mp.workprec(PRECISION):
        for one, truth in zip(found, truths, strict=True):
            ratio = excess(np.asarray(one), truth, Carried()).max()
            assert ratio <= 1, f"{ratio:.3f} times what the roundings add up to"
