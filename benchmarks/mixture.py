"""GMM: the gradient of a mixture of Gaussians with a Wishart prior, and the value alone."""

from __future__ import annotations

import ctypes

import numpy as np

from benchmarks import c, workloads
from benchmarks.effort import QUICK, rounds
from benchmarks.measure import Contestant, compete
from benchmarks.peers import in_jax, jax_with, numpy_of, torch_compile, torch_ready
from benchmarks.report import table

SIZES = ((2, 5), (10, 50), (20, 25), (64, 100))
POINTS = 1000
LANES = 32  # as in limits/mixture.c


def title(d, k):
    return f"GMM · d = {d}, k = {k}, n = {POINTS}, float64: value and gradient, value alone"


def problem(d, k):
    random = np.random.default_rng(0)
    shapes = (k,), (k, d), (k, d), (k, d * (d - 1) // 2), (POINTS, d)
    return tuple(random.standard_normal(shape) for shape in shapes)


def reference(problem):
    """Value and gradient by hand."""
    alphas, means, scales, lower, points = problem
    (n, d), k = points.shape, len(alphas)
    columns, rows = workloads.lower_entries(d)
    roots = np.zeros((k, d, d))
    roots[:, rows, columns] = lower
    roots += np.exp(scales)[:, :, None] * np.eye(d)
    terms, by_mean, by_root = np.empty((k, n)), np.empty((k, d)), np.empty((k, d, d))
    for j in range(k):
        residuals = (points - means[j]) @ roots[j].T
        terms[j] = alphas[j] + scales[j].sum() - 0.5 * (residuals**2).sum(1)
    top = terms.max(0)
    shares = np.exp(terms - top)
    total = shares.sum(0)
    shares /= total
    for j in range(k):
        weighted = shares[j][:, None] * ((points - means[j]) @ roots[j].T)
        by_mean[j] = (weighted @ roots[j]).sum(0)
        by_root[j] = -weighted.T @ (points - means[j])
    prior = np.exp(alphas - alphas.max())
    value = (top + np.log(total)).sum() - n * (alphas.max() + np.log(prior.sum()))
    value -= 0.5 * ((np.exp(scales) ** 2).sum() + (lower**2).sum())
    value += workloads.mixture_constant(n, d, k)
    each = shares.sum(1)
    diagonal = np.diagonal(by_root, axis1=1, axis2=2)
    by_scale = each[:, None] + diagonal * np.exp(scales) - np.exp(scales) ** 2
    by_alpha = each - n * prior / prior.sum()
    return value, by_alpha, by_mean, by_scale, by_root[:, rows, columns] - lower


def flat(found):
    value, slopes = found
    return value, *slopes


def ours(problem):
    import chainrule as cr

    compiled = cr.jit(cr.value_and_grad(workloads.mixture, (0, 1, 2, 3)))
    return lambda: compiled(*problem), flat


def our_value(problem):
    import chainrule as cr

    compiled = cr.jit(workloads.mixture)
    return lambda: compiled(*problem), None


def with_jax(problem):
    jax = jax_with(True)
    both = jax.value_and_grad(lambda *given: workloads.mixture(*given, jax.numpy), (0, 1, 2, 3))
    return in_jax(both, *problem), flat


def value_in_jax(problem):
    numpy = jax_with(True).numpy
    return in_jax(lambda *given: workloads.mixture(*given, numpy), *problem), None


def with_torch(problem, compiled):
    torch = torch_ready()
    *given, points = map(torch.tensor, problem)
    d, (columns, rows) = points.shape[1], workloads.lower_entries(problem[4].shape[1])
    columns, rows = torch.tensor(columns), torch.tensor(rows)
    identity = torch.eye(d, dtype=torch.float64)
    constant = workloads.mixture_constant(len(points), d, len(given[0]))

    def value(alphas, means, scales, lower):
        roots = torch.zeros((len(alphas), d, d), dtype=torch.float64)
        where = (slice(None), rows, columns)
        roots = roots.index_put((torch.arange(len(alphas))[:, None], *where[1:]), lower)
        roots = roots + torch.exp(scales)[:, :, None] * identity
        residuals = (points[None] - means[:, None]) @ roots.mT
        terms = (alphas + scales.sum(1))[:, None] - 0.5 * (residuals**2).sum(2)
        likelihood = torch.logsumexp(terms, 0).sum() - len(points) * torch.logsumexp(alphas, 0)
        wishart = 0.5 * ((torch.exp(scales) ** 2).sum() + (lower**2).sum())
        return likelihood - wishart + constant

    if compiled:
        value = torch_compile(value)
    given = [part.requires_grad_() for part in given]

    def run():
        found = value(*given)
        return found, *torch.autograd.grad(found, given)

    return run, numpy_of


def in_c(problem, slopes):
    """What the sum over the points needs, by hand; the rest is small."""
    alphas, means, scales, lower, points = problem
    (n, d), k = points.shape, len(alphas)
    arguments = [*[c.POINTER] * 4, c.LONG, ctypes.c_int, *[c.POINTER] * 4]
    function = c.function("mixture", "mixture", arguments, ctypes.c_double, D=d, K=k)
    columns, rows = workloads.lower_entries(d)
    roots, by_root = np.zeros((k, d, d)), np.zeros((k, d, d))
    by_alpha, by_mean, diagonal = np.zeros(k), np.zeros((k, d)), np.arange(d)
    kept = np.zeros(k * d * LANES)

    def run():
        exponentials = np.exp(scales)
        roots[:, rows, columns] = lower
        roots[:, diagonal, diagonal] = exponentials
        constants = alphas + scales.sum(1)
        given = (c.address(a) for a in (constants, means, roots, points))
        found = (c.address(a) for a in (by_alpha, by_mean, by_root, kept))
        value = function(*given, n, slopes, *found)
        prior = np.exp(alphas - alphas.max())
        value -= n * (alphas.max() + np.log(prior.sum()))
        value -= 0.5 * (np.sum(exponentials**2) + np.sum(lower**2))
        value += workloads.mixture_constant(n, d, k)
        if not slopes:
            return value
        by_scale = by_root[:, diagonal, diagonal] * exponentials - exponentials**2
        by_scale += by_alpha[:, None]
        prior *= n / prior.sum()
        return value, by_alpha - prior, by_mean, by_scale, by_root[:, rows, columns] - lower

    return run, tuple if slopes else None


CONTESTANTS = (
    Contestant("C", lambda p: in_c(p, slopes=1), "limit"),
    Contestant("C, value", lambda p: in_c(p, slopes=0), "limit"),
    Contestant("NumPy by hand", lambda p: (lambda: reference(p), tuple), "limit"),
    Contestant("chainrule, jit", ours, "ours"),
    Contestant("chainrule, value", our_value, "ours"),
    Contestant("jax, jit", with_jax),
    Contestant("jax, value", value_in_jax),
    Contestant("torch, eager", lambda p: with_torch(p, compiled=False)),
    Contestant("torch.compile", lambda p: with_torch(p, compiled=True)),
)


def tables():
    found = []
    for d, k in SIZES[:2] if QUICK else SIZES:
        this = problem(d, k)
        measured = compete(CONTESTANTS, this, reference(this), *rounds(9, 0.05), 1e-8)
        found.append(table(title(d, k), *measured))
    return found
