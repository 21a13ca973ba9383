"""W7: a dense Jacobian and a dense Hessian."""

from __future__ import annotations

import numpy as np

from benchmarks.effort import rounds
from benchmarks.measure import Contestant, compete
from benchmarks.peers import in_jax, jax_with, torch_compile, torch_ready
from benchmarks.report import table
from benchmarks.workloads import logistic_loss, tanh_of_product

SIZE, POINTS = 200, 1000
JACOBIAN_TITLE = f"W7 · Jacobian of tanh(Wx + b) in x, {SIZE} × {SIZE}, float32 (casadi float64)"
HESSIAN_TITLE = f"W7 · Hessian of logistic regression, {SIZE} variables, {POINTS} points, float32"


def jacobian_problem():
    random = np.random.default_rng(0)
    weights = random.standard_normal((SIZE, SIZE)) / np.sqrt(SIZE)
    bias, x = random.standard_normal((2, SIZE))
    return tuple(part.astype(np.float32) for part in (weights, bias, x))


def jacobian_reference(problem):
    weights, bias, x = (part.astype(float) for part in problem)
    return (weights / np.cosh(weights @ x + bias)[:, None] ** 2,)


def hessian_problem():
    random = np.random.default_rng(0)
    points = random.standard_normal((POINTS, SIZE))
    labels = random.integers(0, 2, POINTS)
    weights = random.standard_normal(SIZE) / np.sqrt(SIZE)
    return tuple(part.astype(np.float32) for part in (points, labels, weights))


def hessian_reference(problem):
    points, _, weights = (part.astype(float) for part in problem)
    share = 1 / (1 + np.exp(-(points @ weights)))
    return ((points.T * (share * (1 - share) / POINTS)) @ points,)


def only(found):
    return (found,)


def jacobian_by_hand(problem):
    weights, bias, x = problem

    def run():
        y = np.tanh(weights @ x + bias)
        return (1 - y * y)[:, None] * weights

    return run, only


def hessian_by_hand(problem):
    points, _, weights = problem

    def run():
        share = 1 / (1 + np.exp(-(points @ weights)))
        return (points.T * (share * (1 - share) / np.float32(POINTS))) @ points

    return run, only


def our_jacobian(problem):
    import chainrule as cr

    compiled = cr.jit(cr.jacobian(tanh_of_product, 2))
    return lambda: compiled(*problem), only


def our_hessian(problem):
    import chainrule as cr

    compiled = cr.jit(cr.hessian(logistic_loss, 2))
    return lambda: compiled(*problem), only


def jacobian_in_jax(problem, mode):
    jax = jax_with(False)
    f = lambda *given: tanh_of_product(*given, jax.numpy)  # noqa: E731
    return in_jax(getattr(jax, mode)(f, 2), *problem, double=False), only


def hessian_in_jax(problem):
    jax = jax_with(False)
    f = lambda *given: logistic_loss(*given, jax.numpy)  # noqa: E731
    return in_jax(jax.hessian(f, 2), *problem, double=False), only


def in_torch(problem, transform, f, compiled):
    torch = torch_ready()
    *rest, last = map(torch.tensor, problem)
    function = getattr(torch.func, transform)(lambda x: f(torch, *rest, x))
    if compiled:
        function = torch_compile(function)
    return lambda: function(last), lambda found: (found.numpy(),)


def torch_tanh(torch, weights, bias, x):
    return tanh_of_product(weights, bias, x, torch)


def torch_logistic(torch, points, labels, weights):
    scores = points @ weights
    return (torch.nn.functional.softplus(scores) - labels * scores).mean()


def in_casadi(x, expression):
    """A function of one vector by bound buffers, its result column by column."""
    import casadi

    symbol = casadi.MX.sym("x", x.size)
    function = casadi.Function("f", [symbol], [expression(casadi, symbol)])
    buffer, evaluate = function.buffer()
    shape, x = function.size_out(0), x.astype(float)
    found = np.zeros(shape[::-1])
    if function.nnz_out(0) != found.size:
        raise ImportError("casadi finds a sparse result")
    buffer.set_arg(0, memoryview(x))
    buffer.set_res(0, memoryview(found))

    def run():
        evaluate()
        return found.T

    run.keep = function, buffer, x
    return run, only


def jacobian_in_casadi(problem):
    weights, bias, x = problem

    def expression(casadi, symbol):
        y = casadi.tanh(casadi.DM(weights.astype(float)) @ symbol + bias.astype(float))
        return casadi.jacobian(y, symbol)

    return in_casadi(x, expression)


def hessian_in_casadi(problem):
    points, labels, weights = (part.astype(float) for part in problem)

    def expression(casadi, symbol):
        scores = casadi.DM(points) @ symbol
        losses = casadi.log1p(casadi.exp(scores)) - casadi.DM(labels) * scores
        return casadi.hessian(casadi.sum1(losses) / POINTS, symbol)[0]

    return in_casadi(weights, expression)


JACOBIAN = (
    Contestant("NumPy by hand", jacobian_by_hand, "limit"),
    Contestant("chainrule, jit", our_jacobian, "ours"),
    Contestant("jax, jacfwd", lambda p: jacobian_in_jax(p, "jacfwd")),
    Contestant("jax, jacrev", lambda p: jacobian_in_jax(p, "jacrev")),
    Contestant("torch, jacrev", lambda p: in_torch(p, "jacrev", torch_tanh, False)),
    Contestant("torch.compile, jacrev", lambda p: in_torch(p, "jacrev", torch_tanh, True)),
    Contestant("casadi, bound buffers", jacobian_in_casadi),
)
HESSIAN = (
    Contestant("NumPy by hand, sgemm", hessian_by_hand, "limit"),
    Contestant("chainrule, jit", our_hessian, "ours"),
    Contestant("jax, hessian", hessian_in_jax),
    Contestant("torch, hessian", lambda p: in_torch(p, "hessian", torch_logistic, False)),
    Contestant("torch.compile, hessian", lambda p: in_torch(p, "hessian", torch_logistic, True)),
    Contestant("casadi, bound buffers", hessian_in_casadi),
)


def tables():
    found = []
    for title, contestants, problem, reference in (
        (JACOBIAN_TITLE, JACOBIAN, jacobian_problem(), jacobian_reference),
        (HESSIAN_TITLE, HESSIAN, hessian_problem(), hessian_reference),
    ):
        measured = compete(contestants, problem, reference(problem), *rounds(15, 0.05), 1e-4)
        found.append(table(title, *measured))
    return found
