"""Linear algebra with long numbers: true values where they are unique, residuals where they aren't.

Residuals are those of the very factors found, so they need no choice of signs or bases: whoever
finds factors whose product is the matrix and whose columns are orthonormal has found a true
factorisation of a matrix that near (backward error).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from mpmath import mp, mpf

from truth.number import Residual, Truth, entrywise, exact
from truth.registry import reference

_NUMPYS_CUT = 1e-15  # of singular values beside the largest, as np.linalg.pinv has it


def _stacked(shape: tuple[int, ...]) -> Any:
    return np.ndindex(*shape)


def norm(x: Any) -> mpf:
    """The root of the sum of squares."""
    return mp.sqrt(mp.fsum(entry * entry for entry in np.ravel(x)))


def determinant(a: Any) -> Any:
    """By Leibniz' formula for small ones; by elimination with exact fractions' worth of digits."""
    count = len(a)
    if count > 5:
        return mp.det(mp.matrix(a.tolist()))
    total = mpf(0)
    for order in itertools.permutations(range(count)):
        turns = sum(order[i] > order[j] for j in range(count) for i in range(j))
        total += (-1) ** turns * math.prod(a[i, k] for i, k in enumerate(order))
    return total


def cofactors(a: Any) -> Any:
    """Signed determinants of what is left without a row and a column."""
    count = len(a)
    out = np.empty((count, count), object)
    for i, j in np.ndindex(count, count):
        minor = np.delete(np.delete(a, i, 0), j, 1)
        out[i, j] = (-1) ** (i + j) * determinant(minor)
    return out


def inverse(a: Any) -> Any:
    """Of a regular matrix."""
    return np.array((mp.matrix(a.tolist()) ** -1).tolist(), object)


def pseudoinverse(a: Any, cut: float) -> tuple[Any, mpf]:
    """From the singular values above a cut; and the condition among these."""
    wide = a.shape[0] < a.shape[1]
    u, s, v = mp.svd_r(mp.matrix((a.T if wide else a).tolist()))
    kept = [k for k in range(len(s)) if s[k] > cut * s[0]]
    left, right = (np.array(m.tolist(), object) for m in (u, v))
    found = sum(np.outer(right[k], left[:, k]) / s[k] for k in kept)
    return (found.T if wide else found), s[0] / s[kept[-1]]


def _size_of_determinant(a: Any) -> mpf:
    """By how much it changes if every entry does by a part of itself: Σ|aᵢⱼ·∂det/∂aᵢⱼ|."""
    return mp.fsum(abs(x) for x in np.ravel(a * cofactors(a)))


def _log(x: Any) -> mpf:
    return abs(mp.log(abs(x))) if x else mpf(0)


def _of_matrices(rule: Callable[[Any], Any], a: Any, shape: tuple[int, ...]) -> Any:
    """A rule for one matrix, over a stack: an array of what it gives."""
    out = np.empty((*a.shape[:-2], *shape), object)
    for place in _stacked(a.shape[:-2]):
        out[place] = rule(a[place])
    return out


@reference("det")
def _det(a: Any) -> Truth:
    value = _of_matrices(determinant, a, ())

    def size(a: Any) -> mpf:
        whole = determinant(a)
        return _size_of_determinant(a) + abs(whole) * _log(whole)

    return Truth(value, _of_matrices(size, a, ()), a.shape[-1])


@reference("slogdet")
def _slogdet(a: Any) -> tuple[Truth, Truth]:
    det = _of_matrices(determinant, a, ())
    condition = entrywise(
        lambda size, d: size / abs(d), _of_matrices(_size_of_determinant, a, ()), det
    )
    logs = entrywise(lambda d: mp.log(abs(d)), det)
    size = entrywise(lambda c, log: c + abs(log), condition, logs)
    return (
        Truth(entrywise(lambda d: mp.sign(d), det), condition, a.shape[-1]),
        Truth(logs, size, a.shape[-1]),
    )


@reference("cofactor")
def _cofactor(a: Any) -> Truth:
    value = _of_matrices(cofactors, a, a.shape[-2:])

    def size(a: Any) -> Any:
        return np.full(a.shape, norm(a) * norm(inverse(a)) * norm(cofactors(a)), object)

    return Truth(value, _of_matrices(size, a, a.shape[-2:]), a.shape[-1])


@reference("pinv")
def _pinv(a: Any, rcond: Any) -> Truth:
    cut = _NUMPYS_CUT if rcond is None else rcond
    shape = a.shape[:-3:-1]
    value = _of_matrices(lambda a: pseudoinverse(a, cut)[0], a, shape)

    def size(a: Any) -> Any:
        found, condition = pseudoinverse(a, cut)
        return np.full(shape, condition * norm(found), object)

    return Truth(value, _of_matrices(size, a, shape), max(a.shape[-2:]))


# ---- residuals -----------------------------------------------------------------------------------


@reference("inv")
def _inv(a: Any, found: Any) -> list[Residual]:
    x, count = exact(found), a.shape[-1]
    unit = np.eye(count, dtype=int).astype(object)
    return [
        Residual("a·x − 1", norm(a[k] @ x[k] - unit), norm(a[k]) * norm(x[k]), count)
        for k in _stacked(a.shape[:-2])
    ]


@reference("solve")
def _solve(a: Any, b: Any, found: Any) -> list[Residual]:
    x, count = exact(found), a.shape[-1]
    lead = x.shape[:-2]
    a, b = (np.broadcast_to(v, (*lead, *v.shape[-2:])) for v in (a, b))
    return [
        Residual(
            "a·x − b",
            norm(a[k] @ x[k][:, j] - b[k][:, j]),
            norm(a[k]) * norm(x[k][:, j]),
            count,
        )
        for k in _stacked(lead)
        for j in range(x.shape[-1])
    ]


@reference("cholesky")
def _cholesky(a: Any, found: Any) -> list[Residual]:
    residuals = []
    for k in _stacked(a.shape[:-2]):
        y, count = exact(found[k]), a.shape[-1]
        below = np.tril(a[k])
        whole = below + np.tril(a[k], -1).T  # what the routine reads
        away, room = abs(y @ y.T - whole), abs(y) @ abs(y).T
        residuals += [
            Residual("l·lᵀ − a", away[i, j], room[i, j], count + 1)
            for i, j in np.ndindex(count, count)
        ]
        assert all(y[i, i] > 0 for i in range(count))
        assert not any(y[i, j] for i, j in np.ndindex(count, count) if j > i)
    return residuals


def _orthonormal(name: str, q: Any) -> Residual:
    """The columns' products among each other."""
    count = q.shape[-1]
    away = norm(q.T @ q - np.eye(count, dtype=int).astype(object))
    return Residual(name, away, mp.sqrt(count), len(q))


@reference("eigh")
def _eigh(a: Any, lower: bool, found: Any) -> list[Residual]:
    residuals = []
    for k in _stacked(a.shape[:-2]):
        w, v, count = exact(found[0][k]), exact(found[1][k]), a.shape[-1]
        half = np.tril(a[k], -1) if lower else np.triu(a[k], 1)
        whole = half + half.T + np.diag(np.diag(a[k]))
        residuals += [
            Residual("a·v − v·w", norm(whole @ v - v * w), norm(whole), count),
            _orthonormal("vᵀ·v − 1", v),
        ]
        assert all(w[i] <= w[i + 1] for i in range(count - 1))
    return residuals


@reference("svd")
def _svd(a: Any, found: Any) -> list[Residual]:
    residuals = []
    for k in _stacked(a.shape[:-2]):
        u, s, vt = (exact(part[k]) for part in found)
        residuals += [
            Residual("u·s·vᵀ − a", norm((u * s) @ vt - a[k]), norm(a[k]), max(a.shape[-2:])),
            _orthonormal("uᵀ·u − 1", u),
            _orthonormal("vᵀ·v − 1", vt.T),
        ]
        assert all(s[i] >= s[i + 1] for i in range(len(s) - 1))
        assert s[-1] >= 0
    return residuals


@reference("qr")
def _qr(a: Any, found: Any) -> list[Residual]:
    residuals = []
    for k in _stacked(a.shape[:-2]):
        q, r = exact(found[0][k]), exact(found[1][k])
        residuals += [
            Residual("q·r − a", norm(q @ r - a[k]), norm(a[k]), max(a.shape[-2:])),
            _orthonormal("qᵀ·q − 1", q),
        ]
        assert not any(r[i, j] for i, j in np.ndindex(*r.shape) if j < i)
    return residuals
